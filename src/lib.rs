//! Osier: a Willow node for the browser, and natively the same.
//!
//! It syncs Willow data (entries keyed by path, subspace and time, guarded by Meadowcap capabilities) with other nodes, over iroh
//! connections that run through relays, end-to-end encrypted.
//!
//! ```text
//!   a page, a worker               a native program, a test
//!        │ js/ (wasm only)               │
//!        └──────────────┬────────────────┘
//!                     node/      the Rust API, and the driver: one thread, one task per session
//!          ┌────────────┼───────────────┐
//!        net/       platform/        osier_core: pure machines
//!   iroh: endpoint,  spawn, sleep,    peers/  who is connected, which intent goes where
//!   streams, close   now, random      sync/   what two nodes say to each other
//!   codes                             store/  entries and payloads
//!                                     payload/, wallet/, willow/
//! ```
//!
//! One intent on its way: `Node::sync` hands it to the driver, the peer manager decides to dial, net/ dials and establishes, the
//! driver starts a session task that carries bytes between the connection and `sync::Session`; what the session finds out comes back as
//! events of the intent, and the peer manager settles it.

pub mod backend;
pub mod net;
pub mod node;
pub mod platform;

pub use node::{Error, Events, Intent, Node, NodeOptions};

// What is exported to JavaScript is linked into everything; the unit tests run natively, and linking them with all of it for wasm, as
// `wasm-pack test` does, would take a minute for nothing.
#[cfg(all(target_arch = "wasm32", not(test)))]
pub mod js;
