//! What a hostile peer can send, as functions over arbitrary bytes: the fuzz targets of this workspace, and, with bytes from a
//! fixed sequence, a test of the core (`core/tests/hostile.rs`) that runs everywhere.
//!
//! A target panics iff the core does, or breaks a promise of its documentation. Each has seeds, inputs that reach deep: valid
//! messages, to be changed. The targets see nothing of the core but what is public.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod drops;
pub mod input;
pub mod overlap;
pub mod payload;
pub mod session;
pub mod store;
pub mod text;
pub mod values;
pub mod willow;
pub mod wire;

/// A function over arbitrary bytes, and inputs to start from.
pub struct Target {
    /// Also the name of the binary in `fuzz_targets`.
    pub name: &'static str,
    /// Panics iff something is wrong with the core.
    pub run: fn(&[u8]),
    /// Inputs to change.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "willow", run: willow::run, seeds: willow::seeds },
    Target { name: "text", run: text::run, seeds: text::seeds },
    Target { name: "payload", run: payload::run, seeds: payload::seeds },
    Target { name: "wire", run: wire::run, seeds: wire::seeds },
    Target { name: "overlap", run: overlap::run, seeds: overlap::seeds },
    Target { name: "session", run: session::run, seeds: session::seeds },
    Target { name: "store", run: store::run, seeds: store::seeds },
    Target { name: "drops", run: drops::run, seeds: drops::seeds },
];
