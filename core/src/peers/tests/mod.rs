#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The machine alone (`bench`), and two machines on a virtual network (`world`).

mod bench;
mod caught;
mod codes;
mod diagram;
mod exhaustive;
mod mistakes;
mod network;
mod random;
mod reconnect;
mod rules;
mod simulated;
mod table;
mod withdrawn;
mod world;
