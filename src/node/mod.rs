//! The node: runs the machines of the core on one thread, and is the Rust API of Osier.
//!
//! A [`Node`] is a handle; the node itself lives on a thread of its own (in a browser: on the one there is) and drives the peer manager,
//! one task per session, and the store. Nothing here decides anything about the protocol: rules live in `osier_core`, transport in
//! [`crate::net`].

mod accept;
mod connections;
mod convert;
mod data;
mod driver;
mod drops;
mod entries;
mod error;
mod event;
mod events;
mod group;
mod handle;
mod inner;
mod intent;
mod intents;
mod lifecycle;
mod log;
mod main;
mod options;
mod payload;
mod serve;
mod session;
mod sessions;
mod set;
mod spaces;
mod status;
mod storage;
mod transfer;
mod types;
mod wallet;

pub use crate::backend::Lock;
pub use accept::{AcceptHandler, Acceptance};
pub use drops::{DropExport, DropImport, ImportProgress};
pub use entries::Entries;
pub use error::{ERROR_CODES, Error};
pub use event::{Completion, Origin, PeerEvent, ProgressId, Retry, SessionEvent, StoreEvent};
pub use events::Events;
pub use handle::Node;
pub use intent::{IncomingSession, Intent};
pub use lifecycle::Lifecycle;
pub use options::{
    AcceptPolicy, Attempts, Interest, Interests, Limits, NodeOptions, Opening, OpeningHandler, ReconnectPolicy, SecretKey, SessionInit,
    StorageOptions,
};
pub use osier_core::drops::DropProgress;
pub use osier_core::store::Quota;
pub use osier_core::wallet::PeerAddress;
pub use osier_core::{IntentId, Mode, PeerId, Role, SessionId};
pub use payload::{PayloadReader, PayloadWriter, WriteRequest};
pub use set::{IntentSet, MergedEvents};
pub use status::{NodeStatus, RelayState, RelayStatus, StorageStatus};
pub use storage::StorageState;
pub use types::*;
pub use willow25::prelude::{Area, NamespaceId, Path, SubspaceId};
