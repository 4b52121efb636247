#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! The machine alone (`bench`), and two machines on a virtual network (`world`).

mod bench;
mod codes;
mod exhaustive;
mod mistakes;
mod random;
mod rules;
mod table;
mod withdrawn;
mod world;
