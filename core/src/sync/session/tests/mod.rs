//! Two sessions over a virtual stream, and a session against a peer that breaks the rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bounds;
mod bytes;
mod held;
mod intents;
mod interleavings;
mod live;
mod malicious;
mod pair;
mod payloads;
mod reconcile;
mod trial;
mod world;
