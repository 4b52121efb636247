//! The peer manager: every connection of a node, and which intent is served by which.
//!
//! One [`Manager`] per node. It decides, the driver carries out: [`Manager::step`] takes the time and an [`Input`] and appends
//! [`Action`]s. No clock, no I/O, no randomness of its own; deadlines are inputs. It knows nothing of interests, entries, messages
//! or streams: an intent is an id with a peer, a mode and a reconnect policy.
//!
//! The rules are those of ARCHITECTURE.md's chapter on peers; they were explored exhaustively in a model before they were written down.

mod code;
mod connection;
mod deadlines;
mod manager;
mod peer;
mod policy;
mod rule;
mod session;
#[cfg(any(test, feature = "sim"))]
mod situation;
mod types;

pub use code::{Cause, CloseCode, IntentError};
pub use manager::Manager;
pub use policy::ReconnectPolicy;
#[cfg(any(test, feature = "sim"))]
pub use rule::Rule;
#[cfg(any(test, feature = "sim"))]
pub use situation::{INPUTS, SITUATIONS};
pub use types::{
    Accept, AcceptPolicy, Action, AttemptId, Completion, Config, ConnId, ConnectionState, Event, Input, Limits, Outcome, PeerInfo, Reason,
    Retry,
};

#[cfg(test)]
mod tests;
