//! The heart of Osier, without I/O.
//!
//! Everything here is pure: state machines that take inputs and yield outputs, and data structures. There is no
//! clock (time is a [`Moment`] handed in), no randomness of its own (it is handed in), no await and no transport.
//! The driver in the crate `osier` moves bytes, time and storage between these machines and the world.
//!
//! | module | what it is |
//! |---|---|
//! | [`willow`] | what the crate `willow25` lacks: relative codecs, entry ids and fingerprints, time, one rule for signatures |
//! | [`store`] | the entry index, the seam to durable storage, subscriptions |
//! | [`payload`] | verifiable payload streams (Bab slices) |
//! | [`drops`] | drops: entries and payloads as one string of bytes, written and read |
//! | [`wallet`] | users, namespaces, capabilities, tickets |
//! | [`sync`] | Confidential Sync: overlap detection, reconciliation, live forwarding, one session |
//! | [`peers`] | the peer manager: connections, attempts, intents |
//! | `sim` | simulation of many nodes; for tests and with the feature `sim` |
//!
//! `sync` and `peers` never import each other; the types that both name live here.

pub mod drops;
pub mod payload;
pub mod peers;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod store;
pub mod sync;
pub mod wallet;
pub mod willow;

mod common;
pub use common::{Generation, IntentId, Mode, Moment, PeerId, PeerIdError, Role, SessionId};
