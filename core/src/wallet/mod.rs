//! Users, namespaces, the capabilities held, tickets, and who was given what.
//!
//! Pure: randomness comes from the caller, nothing is kept but in memory; [`Wallet::to_bytes`] is what a durable backend
//! stores. Text from outside (tickets, secrets) is parsed without panics, and every capability in it is verified.
//! Must not know of sessions, stores or connections: a session is given what [`Wallet::for_session`] delegates to it.
//!
//! The rights are Meadowcap's. In an *owned* namespace the owner's capability covers everything and can be passed on, whole
//! or restricted. In a *communal* one every user has their own subspace and can share that only.

mod error;
mod grants;
mod interests;
mod secret;
mod sharing;
mod snapshot;
mod state;
mod text;
mod ticket;

#[cfg(test)]
mod tests;

pub use error::WalletError;
pub use grants::{Grant, Grantor};
pub use interests::{Interest, InterestSelection, SessionInterest};
pub use secret::{Secret, SecretError};
pub use sharing::{Joined, ShareRequest};
pub use snapshot::SnapshotError;
pub use state::{CapabilityInfo, Imported, NamespaceInfo, NamespaceKind, Wallet};
pub use ticket::{PeerAddress, Ticket, TicketError};

/// What somebody may do in an area.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}
