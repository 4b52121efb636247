//! Private interest overlap: which of the two nodes' interests meet, and the read capabilities shown for those that do.
//!
//! Each side sends salted hashes of its interests; equal hashes are an overlap; for an overlap both sides show read capabilities,
//! encoded relative to the less specific interest. A pair of capabilities whose areas intersect is an overlap to reconcile. About an
//! interest that the peer does not share, nothing but its salted hash leaves the node.
//!
//! [`Overlap`] is that machine. It must not know how messages travel, what is stored, or what is done with an overlap.
//!
//! # Calling contract
//!
//! - [`add`](Overlap::add) the first interests before handling the first message: the answer to the peer's hashes says which of them
//!   were *not* met.
//! - After any call, drain [`poll_event`](Overlap::poll_event), and [`poll_message`](Overlap::poll_message) as fast as the transport
//!   takes it. Messages leave in that order, in one queue, and before any message that names a capability handle.
//! - A message that names a pair of capability handles is counted: [`name_sent`](Overlap::name_sent) when it leaves,
//!   [`name_received`](Overlap::name_received) when it arrives.
//! - After [`OverlapEvent::Ended`], [`release`](Overlap::release) the overlap once nothing in any queue names its handles.
//! - After an error the session is over.
//!
//! # Decisions
//!
//! - *End of detection.* Confidential Sync has no end marker. OverlapSettled counts the peer's hashes, announcements and capabilities
//!   that were dealt with, everything that follows from them having been sent before. An own interest is known to have nothing in
//!   common iff its hashes, its last announcement and its last capability are covered and no pair of capabilities intersects. The
//!   count of capabilities is there because a capability that is shown first may meet an interest that was removed meanwhile, or one
//!   whose times do not intersect.
//! - *Announcements* are numbered per announcer, and a decline names that number: an interest can be announced to several of the
//!   peer's, so its handle alone would be ambiguous. A wrong authentication ends the session.
//! - *Who shows what.* A side that shows first (equal interests, the concrete one at the same path, the less specific one after an
//!   announcement) shows every capability of the interest; the other one answers with those that intersect, so that nothing more
//!   leaves the node than the peer has proved to share.
//! - *Awkward pairs* are refused: not announced, declined if announced, and reported.

mod free;
mod handles;
mod interest;
mod message;
mod offers;
mod pairs;
mod settle;
mod state;

use std::{num::NonZeroU64, sync::Arc};

pub use interest::MAX_COMPONENTS;

use super::{control::ControlMessage, error::SyncError, frame::Channel, hello::Limits};
use crate::{
    Role,
    willow::{Area, CapCache, MAX_DELEGATIONS, NamespaceId, ReadCapability, SubspaceId},
};
use state::State;

/// The greatest number of delegations in a capability that is shown in a session: the node's own, and the one to the session's key.
pub const MAX_SESSION_DELEGATIONS: usize = MAX_DELEGATIONS + 1;

/// Names an own interest within a session. Chosen by the caller, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct InterestId(pub u64);

/// Names an overlap within a session, on this side only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct OverlapId(pub u64);

/// What this node wants to synchronise: the area that a read capability grants.
#[derive(Clone, Debug)]
pub struct OwnInterest {
    /// Its name.
    pub id: InterestId,
    /// Delegated to this node's receiver key of the session and restricted to the area of interest: its granted area *is* that area.
    pub capability: Arc<ReadCapability>,
    /// How many of the newest entries are wanted, `None` for all.
    pub max_count: Option<NonZeroU64>,
    /// How many payload bytes the newest entries that are wanted may have in all, `None` for any number.
    pub max_size: Option<u64>,
    /// Payloads of up to 2^this bytes may come unsolicited, 0..=63.
    pub max_payload_power: u8,
}

/// An own interest that cannot be shown in this session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InterestError {
    /// The capability is not delegated to this node's receiver key of the session.
    #[error("the capability's receiver is not the session's receiver key")]
    Receiver,
    /// The capability has more than [`MAX_SESSION_DELEGATIONS`].
    #[error("the capability has too many delegations")]
    Delegations,
    /// The maximum payload power is beyond 63.
    #[error("the maximum payload power is beyond 63")]
    PayloadPower,
    /// An interest of that name exists.
    #[error("the interest was added before")]
    Duplicate,
}

/// What both sides of an overlap are interested in and may read.
#[derive(Clone, PartialEq, Debug)]
pub struct Shared {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The intersection of both granted areas.
    pub area: Area,
    /// The lesser of both counts, `None` if neither side has one.
    pub max_count: Option<NonZeroU64>,
    /// The lesser of both sizes in bytes, `None` if neither side has one.
    pub max_size: Option<u64>,
    /// Payloads of up to 2^this bytes may be sent here unsolicited.
    pub own_payload_power: u8,
    /// Payloads of up to 2^this bytes may be sent to the peer unsolicited.
    pub peer_payload_power: u8,
}

/// What the machine found out.
#[derive(Clone, PartialEq, Debug)]
pub enum OverlapEvent {
    /// An own interest meets one of the peer's. Once per interest and overlap; several interests, and several capabilities with the
    /// same area and limits, share one overlap, to be reconciled and forwarded once. Overlaps whose areas merely contain each other
    /// are distinct.
    Matched {
        /// The overlap.
        overlap: OverlapId,
        /// The own interest.
        interest: InterestId,
        /// What is shared.
        shared: Box<Shared>,
    },
    /// An overlap is over because one side dropped its interest. To be answered by [`Overlap::release`].
    Ended {
        /// The overlap.
        overlap: OverlapId,
    },
    /// A pair of capabilities is gone from an overlap that has others. At the peer, who may not know those yet, the overlap may have
    /// ended: what was begun in the name of this pair is over on both sides.
    PairEnded {
        /// The overlap.
        overlap: OverlapId,
        /// This node's read capability handle.
        own: u64,
        /// The peer's.
        peer: u64,
    },
    /// The peer has no interest now that meets this one. It may still be matched when the peer adds one.
    NothingInCommon {
        /// The own interest.
        interest: InterestId,
    },
    /// An interest of the peer meets this one, but neither is more specific. Such a pair is not synchronised.
    Awkward {
        /// The own interest.
        interest: InterestId,
    },
    /// The peer's limit of handles leaves no room for this interest, which is dropped.
    PeerLimit {
        /// The own interest.
        interest: InterestId,
    },
    /// Every own interest is matched or known to have nothing in common; said again when that becomes true again.
    Settled,
}

/// What a machine starts with.
#[derive(Clone, Debug)]
pub struct OverlapConfig {
    /// This node's role.
    pub role: Role,
    /// The session secret, of which the salts are made.
    pub session_secret: [u8; 32],
    /// This node's receiver key.
    pub own_receiver: SubspaceId,
    /// The peer's receiver key, from its Hello.
    pub peer_receiver: SubspaceId,
    /// The limits in this node's Hello, which the peer has to keep.
    pub own_limits: Limits,
    /// The limits in the peer's Hello, which this node keeps.
    pub peer_limits: Limits,
}

/// The overlap machine of one session: see the [module](self) for the calling contract.
#[derive(Debug)]
pub struct Overlap {
    state: State,
}

impl Overlap {
    /// A machine with no interests.
    #[must_use]
    pub fn new(config: OverlapConfig) -> Self {
        Self { state: State::new(config) }
    }

    /// Adds an own interest; before or while the session runs.
    ///
    /// # Errors
    /// [`InterestError`], and nothing is changed.
    pub fn add(&mut self, interest: OwnInterest) -> Result<(), InterestError> {
        self.state.add(interest)?;
        self.state.conclude();
        Ok(())
    }

    /// Drops an own interest. Overlaps that nobody else needs end, their handles are freed after [`Overlap::release`].
    pub fn remove(&mut self, interest: InterestId) {
        self.state.remove(interest);
        self.state.conclude();
    }

    /// Takes a message of [`Channel::Overlap`].
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_overlap(&mut self, message: &[u8]) -> Result<(), SyncError> {
        self.state.hash_bound(message)?;
        self.state.conclude();
        self.state.check_backlog()
    }

    /// Takes a message of [`Channel::Capability`]. Chains that `cache` knows are not verified again.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_capability(&mut self, message: &[u8], cache: &mut CapCache) -> Result<(), SyncError> {
        self.state.capability_bound(message, cache)?;
        self.state.conclude();
        self.state.check_backlog()
    }

    /// Takes a message of [`Channel::Control`]. `false` if it is none of this machine.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_control(&mut self, message: &ControlMessage) -> Result<bool, SyncError> {
        match message {
            ControlMessage::AnnounceOverlap { sender, receiver, authentication, .. } => {
                self.state.announced(*sender, *receiver, authentication)?;
            }
            ControlMessage::HandleFree { kind, mine, handle, references } => self.state.freed(*kind, *mine, *handle, *references)?,
            ControlMessage::OverlapSettled { hashes, announcements, capabilities, bound } => {
                self.state.settled_there(settle::Counts::new(*hashes, *announcements, *capabilities), *bound)?;
            }
            ControlMessage::Decline { announcement } => self.state.declined(*announcement)?,
            ControlMessage::SetEagerness { .. }
            | ControlMessage::Consumed { .. }
            | ControlMessage::Ping { .. }
            | ControlMessage::Pong { .. }
            | ControlMessage::Stored { .. }
            | ControlMessage::NotStored { .. }
            | ControlMessage::PayloadStored { .. } => return Ok(false),
        }
        self.state.conclude();
        self.state.check_backlog().map(|()| true)
    }

    /// The next message to send, in order, with its channel.
    pub fn poll_message(&mut self) -> Option<(Channel, Vec<u8>)> {
        self.state.next_message()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<OverlapEvent> {
        self.state.events.pop_front()
    }

    /// Counts a message of the session stream that leaves and names these read capability handles. `None` if there is no such overlap,
    /// or it has ended: the message must not leave.
    pub fn name_sent(&mut self, own: u64, peer: u64) -> Option<OverlapId> {
        self.state.name_sent(own, peer)
    }

    /// Counts a message of the session stream that arrived and names these read capability handles. `None` if the overlap has ended on
    /// this side, which the peer could not know: the message is to be ignored.
    ///
    /// # Errors
    /// [`SyncError::HandleUnbound`], [`SyncError::HandleFreed`] or [`SyncError::NoOverlap`].
    pub fn name_received(&mut self, own: u64, peer: u64) -> Result<Option<OverlapId>, SyncError> {
        self.state.name_received(own, peer)
    }

    /// The overlap of two read capability handles, if it has not ended. Nothing is counted: for requests on their own streams.
    #[must_use]
    pub fn lookup(&self, own: u64, peer: u64) -> Option<OverlapId> {
        self.state.lookup(own, peer)
    }

    /// What an overlap is about, if it has not ended.
    #[must_use]
    pub fn shared(&self, overlap: OverlapId) -> Option<&Shared> {
        self.state.live_overlap(overlap).map(|overlap| &overlap.shared)
    }

    /// The read capability handles, own and peer's, to name an overlap with. They may change; to be asked when a message leaves.
    #[must_use]
    pub fn handles(&self, overlap: OverlapId) -> Option<(u64, u64)> {
        self.state.live_overlap(overlap).and_then(|overlap| overlap.pairs.first().copied())
    }

    /// The overlaps that an own interest has.
    pub fn overlaps_of(&self, interest: InterestId) -> impl Iterator<Item = OverlapId> {
        self.state.overlaps_of(interest)
    }

    /// Says that nothing in any queue names the handles of an ended overlap any more.
    pub fn release(&mut self, overlap: OverlapId) {
        self.state.release(overlap);
    }
}

#[cfg(test)]
mod tests;
