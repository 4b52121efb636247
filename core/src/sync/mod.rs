//! Confidential Sync: what two nodes say to each other over one session stream.
//!
//! Everything here is sans-IO: messages in by `handle_*`, messages and events out by `poll_*`. A session must stop producing
//! when the transport is full, hence polling. Nothing here knows iroh, clocks, storage backends or the peer manager; limits,
//! keys and the session secret are handed in.
//!
//! | module | what it is |
//! |---|---|
//! | [`control`] | the messages of the Control channel |
//! | [`error`] | [`SyncError`]: one variant per rule whose breach ends the session |
//! | [`frame`] | frames of the session stream: channel ‖ length ‖ message |
//! | [`hello`] | the bare first frame in both directions: version, limits, generation, receiver key, signature |
//! | [`overlap`] | private interest overlap and capability handles |

pub mod control;
pub mod error;
pub mod frame;
pub mod hello;
pub mod overlap;

pub use control::{ControlMessage, HandleKind};
pub use error::SyncError;
pub use frame::{Channel, FrameError, FrameReader, MAX_FRAME};
pub use hello::{Hello, HelloError, Limits};
pub use overlap::{InterestError, InterestId, Overlap, OverlapConfig, OverlapEvent, OverlapId, OwnInterest, Shared};
