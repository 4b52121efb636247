//! What a node tells its user while it runs.

use osier_core::{PeerId, Role, sync};
use willow25::prelude::{Area, NamespaceId};

use super::{EntryInfo, EntryKey, Error, PeerInfo, events::Coalesce};

/// How an intent ended well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// Every interest was reconciled.
    Complete,
    /// Some interests were, the peer had nothing for the others.
    Partial,
    /// The peer shares none of the interests.
    NothingInCommon,
    /// The intent was closed before it was complete.
    Closed,
}

/// The next attempt at a connection with a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    /// Milliseconds until then; `None`: not before the network or the page is back.
    pub millis: Option<u64>,
    /// Which attempt in a row it is, from 1.
    pub attempt: u32,
    /// After how many attempts in a row the intent fails; `None`: never.
    pub limit: Option<u32>,
}

impl Retry {
    /// As it stands so many milliseconds later.
    pub(super) fn after(self, millis: u64) -> Self {
        Self { millis: self.millis.map(|wait| wait.saturating_sub(millis)), ..self }
    }
}

/// What happens to an intent. The last item is [`SessionEvent::Ended`] or [`SessionEvent::Error`].
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A connection is being made.
    Connecting,
    /// A session runs.
    Established {
        /// Which end of the connection this node is.
        role: Role,
    },
    /// The connection, or the attempt at one, failed.
    Disconnected {
        /// Why.
        cause: Error,
        /// The next attempt; `None`: there is none, or a connection of the peer's takes its place at once.
        retry: Option<Retry>,
    },
    /// Another attempt will be made.
    Reconnecting {
        /// Why there is no connection.
        cause: Error,
        /// The next attempt.
        retry: Retry,
    },
    /// The peer shares an interest.
    Overlap {
        /// In this namespace.
        namespace: NamespaceId,
        /// The part that both want and may read.
        area: Area,
    },
    /// Both sides hold the same entries of an area, as of now.
    Reconciled {
        /// In this namespace.
        namespace: NamespaceId,
        /// The area.
        area: Area,
    },
    /// Every interest is reconciled, or known not to be shared.
    ReconciledAll,
    /// The peer shares none of the interests. Ends a once-intent.
    NothingInCommon,
    /// An interest that overlaps one of the peer's in a way that this version does not support.
    Unsupported {
        /// The interest's namespace.
        namespace: NamespaceId,
    },
    /// How much has moved, in the whole session so far. Intermediate ones may be left out.
    Progress {
        /// Bytes of the session stream and of payloads sent.
        sent: u64,
        /// Bytes of the session stream and of payloads received.
        received: u64,
        /// Entries sent.
        entries_sent: u64,
        /// Entries received.
        entries_received: u64,
    },
    /// A payload is arriving. Intermediate ones may be left out.
    Payload {
        /// Its entry.
        entry: EntryKey,
        /// Verified bytes here.
        received: u64,
        /// Length of the whole.
        total: u64,
    },
    /// The intent ended well. Nothing follows.
    Ended {
        /// How.
        completion: Completion,
    },
    /// The intent failed. Nothing follows.
    Error {
        /// Why.
        error: Error,
    },
}

impl SessionEvent {
    /// The name of the event's kind, as in the JavaScript API.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Established { .. } => "established",
            Self::Disconnected { .. } => "disconnected",
            Self::Reconnecting { .. } => "reconnecting",
            Self::Overlap { .. } => "overlap",
            Self::Reconciled { .. } => "reconciled",
            Self::ReconciledAll => "reconciledAll",
            Self::NothingInCommon => "nothingInCommon",
            Self::Unsupported { .. } => "unsupported",
            Self::Progress { .. } => "progress",
            Self::Payload { .. } => "payload",
            Self::Ended { .. } => "ended",
            Self::Error { .. } => "error",
        }
    }

    /// Whether nothing follows this event.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Ended { .. } | Self::Error { .. })
    }
}

impl From<sync::SessionEvent> for SessionEvent {
    fn from(event: sync::SessionEvent) -> Self {
        match event {
            sync::SessionEvent::Overlap { namespace, area } => Self::Overlap { namespace, area },
            sync::SessionEvent::Reconciled { namespace, area } => Self::Reconciled { namespace, area },
            sync::SessionEvent::ReconciledAll => Self::ReconciledAll,
            sync::SessionEvent::NothingInCommon => Self::NothingInCommon,
            sync::SessionEvent::Unsupported { namespace, .. } => Self::Unsupported { namespace },
            sync::SessionEvent::Progress { sent, received, entries_sent, entries_received } => {
                Self::Progress { sent, received, entries_sent, entries_received }
            }
            sync::SessionEvent::Payload { namespace, subspace, path, received, total, .. } => {
                Self::Payload { entry: EntryKey { namespace, subspace, path }, received, total }
            }
        }
    }
}

impl Coalesce for SessionEvent {
    fn replaces(&self, older: &Self) -> bool {
        match (self, older) {
            (Self::Progress { .. }, Self::Progress { .. }) => true,
            (Self::Payload { entry, .. }, Self::Payload { entry: other, .. }) => entry == other,
            _ => false,
        }
    }

    fn may_be_lost(&self) -> bool {
        matches!(self, Self::Progress { .. } | Self::Payload { .. })
    }
}

/// A point in the history of the store's changes. Monotonic, with gaps; a subscription resumes from it, after a restart as well. 0 is
/// before everything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ProgressId(pub u64);

/// Where a change of the store came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// This node's own user.
    Local,
    /// A session with this peer.
    Peer(PeerId),
    /// A session with a peer that is not known any more: the node has been opened again since, or it is thousands of sessions ago.
    UnknownPeer,
    /// An entry handed in from elsewhere.
    Import,
}

/// A change of the store.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum StoreEvent {
    /// An entry is new here.
    Inserted {
        /// Resume after this.
        progress: ProgressId,
        /// The entry.
        entry: EntryInfo,
        /// Where it came from.
        origin: Origin,
    },
    /// A newer entry removed this one.
    Pruned {
        /// Resume after this.
        progress: ProgressId,
        /// Where the removed entry was.
        key: EntryKey,
        /// The id of the removed entry.
        id: [u8; 32],
        /// The id of the entry that removed it.
        by: [u8; 32],
    },
    /// More of a payload is here.
    Payload {
        /// Resume after this.
        progress: ProgressId,
        /// Its entry.
        key: EntryKey,
        /// The id of its entry.
        id: [u8; 32],
        /// Verified bytes here.
        available: u64,
        /// Length of the whole.
        total: u64,
        /// Where they came from.
        origin: Origin,
    },
    /// The entries of an area were removed here alone, by this node's user.
    Forgotten {
        /// Resume after this.
        progress: ProgressId,
        /// The area.
        area: Area,
        /// How many entries.
        count: u64,
    },
    /// The history does not reach back far enough: some changes were missed. Read the state again, what follows is complete from here on.
    Lagged {
        /// Resume after this.
        progress: ProgressId,
    },
}

impl Coalesce for StoreEvent {
    fn replaces(&self, _older: &Self) -> bool {
        false
    }

    fn may_be_lost(&self) -> bool {
        false
    }
}

/// A change in how this node stands with a peer.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum PeerEvent {
    /// A peer that is known at the time the iteration begins.
    Present(PeerInfo),
    /// A connection is being made.
    Connecting {
        /// With this peer.
        peer: PeerId,
    },
    /// A session runs.
    Established {
        /// With this peer.
        peer: PeerId,
        /// Which end of the connection this node is.
        role: Role,
    },
    /// Another attempt will be made.
    Reconnecting {
        /// This peer.
        peer: PeerId,
        /// Milliseconds until then; `None`: not before the network or the page is back.
        retry_millis: Option<u64>,
    },
    /// Another device seems to use this node's key.
    IdentityInUse {
        /// The peer whose connection showed it.
        peer: PeerId,
        /// Whether the peer said so; otherwise it is a guess.
        certain: bool,
    },
    /// A connection ended.
    Closed {
        /// With this peer.
        peer: PeerId,
        /// The close code, where there was one.
        code: Option<u64>,
        /// The reason in words.
        reason: String,
    },
    /// Nothing is left to do with this peer.
    Gone {
        /// This peer.
        peer: PeerId,
    },
}

impl Coalesce for PeerEvent {
    fn replaces(&self, _older: &Self) -> bool {
        false
    }

    fn may_be_lost(&self) -> bool {
        matches!(self, Self::Connecting { .. } | Self::Reconnecting { .. })
    }
}
