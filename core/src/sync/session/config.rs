//! What goes into a session and what comes out of it.

use crate::{
    IntentId, Mode, Moment, Role, SessionId,
    payload::PayloadRequest,
    store::{Evidence, Incoming},
    sync::{error::SyncError, hello::Hello, inline::ReadId, payloads::FetchId},
    willow::{Area, EntryId, NamespaceId, Path, SubspaceId, Timestamp},
};

/// What a session starts with.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// This node's role.
    pub role: Role,
    /// The secret of this connection that both sides know.
    pub session_secret: [u8; 32],
    /// The name of the session: the origin of the entries that it brings.
    pub id: SessionId,
    /// The Hello that this node sent.
    pub own_hello: Hello,
    /// The Hello of the peer, verified.
    pub peer_hello: Hello,
    /// What time it is.
    pub clock: Clock,
    /// How it goes about.
    pub tuning: Tuning,
    /// What it accepts.
    pub policy: Policy,
}

/// The time of day at one moment. Used to refuse timestamps of the far future, for nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    /// The moment.
    pub at: Moment,
    /// The time of day at that moment, TAI.
    pub tai: Timestamp,
}

impl Clock {
    /// The time of day at `moment`, TAI microseconds.
    pub(super) fn micros(&self, moment: Moment) -> u64 {
        u64::from(self.tai).saturating_add(moment.micros_since(self.at))
    }
}

/// Numbers chosen by measurement. The peer's may differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Into how many parts a range is split, at least 2.
    pub fanout: usize,
    /// Up to how many entries are announced instead of splitting.
    pub threshold: u64,
    /// Payloads of up to so many bytes travel with an entry that the peer lacks; at most [`INLINE_LIMIT`](crate::sync::inline::INLINE_LIMIT).
    pub inline_max: u64,
    /// Payloads of up to so many bytes travel with an entry that the peer may have. Of about five announced entries the peer lacks half a
    /// one, so beyond some tens of bytes it is cheaper to fetch.
    pub speculative_inline_max: u64,
    /// So many payloads are fetched at a time.
    pub fetches: usize,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { fanout: 8, threshold: 8, inline_max: 16 * 1024, speculative_inline_max: 64, fetches: 8 }
    }
}

/// What this node accepts from the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Entries whose timestamp is further in the future are dropped, microseconds.
    pub max_future_micros: u64,
    /// Larger payloads are not fetched unasked, bytes.
    pub fetch_max: u64,
    /// The session ends with [`SyncError::QuotaExceeded`] when the frames of the Reconciliation and Data channels have brought more than
    /// so many bytes. `None`, the default: no bound, for whoever may write into a namespace may fill it, and what is stored of it is
    /// bounded where it is stored.
    pub quota: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { max_future_micros: 10 * 60 * 1_000_000, fetch_max: u64::MAX, quota: None }
    }
}

/// How long an intent stays in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntentMode {
    /// Until its areas are reconciled.
    Once,
    /// Until it is closed.
    Live,
    /// Live while the peer is, which is what an accepting node does; the session is never kept open for it.
    FollowPeer,
}

impl From<Mode> for IntentMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Once => Self::Once,
            Mode::Live => Self::Live,
        }
    }
}

/// Names a batch of entries that are to be stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct BatchId(pub u64);

/// What the driver is to do or to pass on.
#[derive(Debug)]
pub enum Output {
    /// Store these verified entries and say so by [`handle_ingested`](super::Session::handle_ingested).
    Ingest {
        /// The batch.
        batch: BatchId,
        /// The entries, some with their payloads.
        entries: Vec<Incoming>,
    },
    /// Read a small payload from its start and hand it in by [`handle_payload_read`](super::Session::handle_payload_read).
    ReadPayload {
        /// The read.
        read: ReadId,
        /// Whose payload.
        entry: EntryId,
        /// How many bytes: all of it.
        len: u64,
    },
    /// Get a payload on a stream of its own and report by [`handle_fetch`](super::Session::handle_fetch).
    FetchPayload {
        /// The transfer.
        fetch: FetchId,
        /// What to ask for.
        request: PayloadRequest,
    },
    /// The peer holds entries that were not known to be held anywhere else: to be told to the store by
    /// [`learn`](crate::store::Store::learn).
    Held(Evidence),
    /// Something to tell whoever has the intent.
    Event {
        /// The intent.
        intent: IntentId,
        /// What happened.
        event: SessionEvent,
    },
    /// The intent is done, said once. Nothing more is told about it.
    IntentDone {
        /// The intent.
        intent: IntentId,
        /// How far it got.
        completion: Completion,
    },
    /// The peer has finished its direction of the session stream.
    PeerFinished,
    /// All is written: finish this direction of the session stream.
    Finish,
    /// The peer has answered the last probe.
    Probed,
    /// The peer broke a rule, as found when signatures were verified. The session is over.
    Failed(SyncError),
}

/// What an intent is told.
#[derive(Clone, PartialEq, Debug)]
pub enum SessionEvent {
    /// Both sides are interested in this area.
    Overlap {
        /// The namespace.
        namespace: NamespaceId,
        /// The shared area.
        area: Area,
    },
    /// Both sides had the same entries in this area, and what was missing here is stored.
    Reconciled {
        /// The namespace.
        namespace: NamespaceId,
        /// The shared area.
        area: Area,
    },
    /// Every interest is reconciled or known to have nothing in common with the peer's.
    ReconciledAll,
    /// None of the interests has anything in common with the peer's. May change while the intent is live.
    NothingInCommon,
    /// An interest meets one of the peer's, but cannot be synchronised: neither is more specific, or the peer has no room for it.
    Unsupported {
        /// The namespace.
        namespace: NamespaceId,
        /// The area of the own interest.
        area: Area,
    },
    /// How much has moved in the whole session so far. Not every step is told.
    Progress {
        /// Bytes of the session stream that were sent.
        sent: u64,
        /// Bytes of the session stream that were received.
        received: u64,
        /// Entries that were sent.
        entries_sent: u64,
        /// Entries that were received.
        entries_received: u64,
    },
    /// How much of a payload that is being fetched is here.
    Payload {
        /// The id of the entry.
        entry: EntryId,
        /// Its namespace.
        namespace: NamespaceId,
        /// Its subspace.
        subspace: SubspaceId,
        /// Its path.
        path: Path,
        /// Bytes that are here.
        received: u64,
        /// Bytes that there will be.
        total: u64,
    },
}

/// How far a done intent got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// Every interest met the peer's, and all that is shared is reconciled.
    Complete,
    /// Some of it: an interest has nothing in common with the peer's, cannot be synchronised, or the peer dropped its own.
    Partial,
    /// No interest has anything in common with the peer's.
    NothingInCommon,
}

/// Why a session wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// To tell progress that was held back.
    Progress,
    /// To go on looking for missing payloads, at once: a long search is done in pieces, so that other things can come between.
    Search,
}

/// What a session has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Bytes of the session stream that were sent, with frames' headers, without Hello.
    pub sent: u64,
    /// Bytes of the session stream that were received.
    pub received: u64,
    /// Of those, bytes of the Reconciliation and Data channels that were sent.
    pub reconciliation_sent: u64,
    /// Of those, bytes of the Reconciliation and Data channels that were received.
    pub reconciliation_received: u64,
    /// Entries that were sent.
    pub entries_sent: u64,
    /// Entries that were received.
    pub entries_received: u64,
}
