//! Confidential Sync: what two nodes say to each other over one session stream.
//!
//! Everything here is sans-IO: messages in by `handle_*`, messages and events out by `poll_*`. A session must stop producing
//! when the transport is full, hence polling. Nothing here knows iroh, clocks, storage backends or the peer manager; limits,
//! keys and the session secret are handed in.
//!
//! | module | what it is |
//! |---|---|
//! | [`session`] | one session: everything below, composed |
//! | [`reconcile`] | range-based set reconciliation |
//! | [`live`] | forwarding of what is new |
//! | [`payloads`], [`inline`] | which payloads are wanted; small ones that travel with their entry |
//! | [`queue`] | what leaves when, and how much may be under way |
//! | [`receipts`] | what of the entries that were sent is stored at the other end |
//! | [`data`] | the messages of the Reconciliation and Data channels |
//! | [`control`] | the messages of the Control channel |
//! | [`error`] | [`SyncError`]: one variant per rule whose breach ends the session |
//! | [`frame`] | frames of the session stream: channel ‖ length ‖ message |
//! | [`hello`] | the bare first frame in both directions: version, limits, generation, receiver key, signature |
//! | [`overlap`] | private interest overlap and capability handles |

pub mod control;
pub mod data;
pub mod error;
pub mod frame;
pub mod hello;
pub mod inline;
pub mod live;
pub mod overlap;
pub mod payloads;
pub mod queue;
pub mod receipts;
pub mod reconcile;
pub mod session;

pub use control::{ControlMessage, HandleKind};
pub use error::SyncError;
pub use frame::{Channel, FrameError, FrameReader, MAX_FRAME};
pub use hello::{Hello, HelloError, Limits};
pub use inline::ReadId;
pub use overlap::{InterestError, InterestId, Overlap, OverlapConfig, OverlapEvent, OverlapId, OwnInterest, Shared};
pub use payloads::{FetchId, FetchUpdate};
pub use session::{BatchId, Clock, Completion, IntentMode, Output, Policy, Reason, Session, SessionConfig, SessionEvent, Stats, Tuning};
