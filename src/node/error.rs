//! What can go wrong at the surface of a node: one enum, one stable code per variant.
//!
//! A code is what a program may depend on; the sentence is for people. The set of codes is closed and is the `ErrorCode` of the npm
//! package. This module knows no transport and no storage: their errors arrive here as sentences.

/// A call or an intent that failed. Cheap to clone: many callers may wait for the same intent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument that cannot be used. Nothing was changed.
    #[error("invalid argument `{argument}`: {reason}")]
    InvalidArgument {
        /// The name of the argument, as the caller wrote it.
        argument: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A text that is no ticket, or a ticket that was damaged.
    #[error("invalid ticket: {reason}")]
    InvalidTicket {
        /// What is wrong with it.
        reason: String,
    },
    /// The ticket was made out to a user whose secret is not here.
    #[error("the ticket is for another user")]
    TicketForAnotherUser,
    /// A newer entry here prunes the one that was to be written.
    #[error("a newer entry is in the way of this one")]
    Obsolete,
    /// No capability here allows it.
    #[error("not authorised: {reason}")]
    NotAuthorised {
        /// What was missing.
        reason: String,
    },
    /// The secret of this user is not here.
    #[error("no such user here")]
    NoSuchUser,
    /// Nothing is known of this namespace.
    #[error("no such namespace here")]
    NoSuchNamespace,
    /// There is no such entry (or no longer).
    #[error("no such entry here")]
    NoSuchEntry,
    /// The payload, or the part of it that was asked for, is not here.
    #[error("the payload is not here: {available} of {total} bytes are")]
    PayloadMissing {
        /// Bytes from the start that are here and verified.
        available: u64,
        /// Length of the whole payload in bytes.
        total: u64,
    },
    /// The source of a payload could not be read to its end.
    #[error("the payload could not be read to its end: {reason}")]
    PayloadUnreadable {
        /// What the source said.
        reason: String,
    },
    /// A signature or a chain of capabilities does not verify.
    #[error("invalid signature: {reason}")]
    InvalidSignature {
        /// Which one, and why.
        reason: String,
    },
    /// Bytes that are no drop, or one that was damaged or made up. What was read of it before stays.
    #[error("not a good drop: {reason}")]
    InvalidDrop {
        /// Which rule is broken, and where.
        reason: String,
    },
    /// A timestamp further in the future than the policy of this node allows.
    #[error("the timestamp is further ahead than this node allows")]
    TimestampTooFarAhead,
    /// A node does not sync with itself.
    #[error("the peer is this node itself")]
    SelfPeer,
    /// No connection came about.
    #[error("the peer could not be reached: {reason}")]
    DialFailed {
        /// What the transport said.
        reason: String,
    },
    /// A deadline passed.
    #[error("no answer in time: {what}")]
    Timeout {
        /// What was waited for.
        what: String,
    },
    /// The peer does not want this connection.
    #[error("the peer refused the connection")]
    Refused,
    /// The peer speaks another version of the protocol.
    #[error("the peer speaks another version of the protocol")]
    UnsupportedVersion,
    /// A rule of the protocol was broken. The session is over; nothing else is.
    #[error("the protocol was violated{by}: {rule}", by = if *.by_peer { " by the peer" } else { ", says the peer" })]
    ProtocolViolation {
        /// Whether this node caught the peer, or the peer accuses this node.
        by_peer: bool,
        /// Which rule: the stable code of the session's error.
        rule: String,
    },
    /// Another connection with the same peer is used instead.
    #[error("another connection with this peer is in use")]
    Duplicate,
    /// A limit of the peer or of this node was reached.
    #[error("a limit was exceeded: {what}")]
    LimitExceeded {
        /// Which limit.
        what: String,
    },
    /// Another device seems to use the same endpoint key.
    #[error("another device uses the identity of this one, or of the peer")]
    IdentityInUse,
    /// The connection was lost.
    #[error("the connection was lost: {reason}")]
    Transport {
        /// What the transport said.
        reason: String,
    },
    /// The intent was closed by its owner.
    #[error("closed")]
    Closed,
    /// The caller gave up on it.
    #[error("aborted")]
    Aborted,
    /// The node is shutting down or has shut down.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// There is no room in the storage, or no more in the quota of the namespace ([`Node::set_quota`](super::Node::set_quota)). Nothing was
    /// changed.
    #[error("there is no room in the storage, or in the quota of the namespace")]
    QuotaExceeded,
    /// The storage was taken away: closed, deleted or evicted, or another tab took it over. The node can be opened again.
    #[error("the storage was lost: {reason}")]
    StorageLost {
        /// What is known.
        reason: String,
    },
    /// A newer version of Osier wrote the storage. It was not touched.
    #[error("the storage has version {found}, newer than this code")]
    StorageVersion {
        /// The version of its layout.
        found: u32,
    },
    /// There is no durable storage here, as in some private windows. A node in memory can be opened.
    #[error("there is no durable storage here: {reason}")]
    StorageUnavailable {
        /// What is known.
        reason: String,
    },
    /// Another tab or process has the storage open, or another tab a node with the key.
    #[error("the storage or the key is open elsewhere")]
    AlreadyOpen,
    /// The storage failed. What was acknowledged before is not affected.
    #[error("storage failed: {reason}")]
    Storage {
        /// What it said.
        reason: String,
    },
    /// The node ended abnormally. It can be opened again.
    #[error("the node ended abnormally: {reason}")]
    Fatal {
        /// What is known.
        reason: String,
    },
    /// A defect in Osier itself.
    #[error("internal error, please report: {reason}")]
    Internal {
        /// Where.
        reason: String,
    },
}

/// Every code that [`Error::code`] can return.
pub const ERROR_CODES: &[&str] = &[
    "invalidArgument",
    "invalidTicket",
    "ticketForAnotherUser",
    "obsolete",
    "notAuthorised",
    "noSuchUser",
    "noSuchNamespace",
    "noSuchEntry",
    "payloadMissing",
    "payloadUnreadable",
    "invalidSignature",
    "invalidDrop",
    "timestampTooFarAhead",
    "selfPeer",
    "dialFailed",
    "timeout",
    "refused",
    "unsupportedVersion",
    "protocolViolation",
    "duplicate",
    "limitExceeded",
    "identityInUse",
    "transport",
    "closed",
    "aborted",
    "shuttingDown",
    "quotaExceeded",
    "storageLost",
    "storageVersion",
    "storageUnavailable",
    "alreadyOpen",
    "storage",
    "fatal",
    "internal",
];

impl Error {
    /// The stable code of this error: one of [`ERROR_CODES`].
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument { .. } => "invalidArgument",
            Self::InvalidTicket { .. } => "invalidTicket",
            Self::TicketForAnotherUser => "ticketForAnotherUser",
            Self::Obsolete => "obsolete",
            Self::NotAuthorised { .. } => "notAuthorised",
            Self::NoSuchUser => "noSuchUser",
            Self::NoSuchNamespace => "noSuchNamespace",
            Self::NoSuchEntry => "noSuchEntry",
            Self::PayloadMissing { .. } => "payloadMissing",
            Self::PayloadUnreadable { .. } => "payloadUnreadable",
            Self::InvalidSignature { .. } => "invalidSignature",
            Self::InvalidDrop { .. } => "invalidDrop",
            Self::TimestampTooFarAhead => "timestampTooFarAhead",
            Self::SelfPeer => "selfPeer",
            Self::DialFailed { .. } => "dialFailed",
            Self::Timeout { .. } => "timeout",
            Self::Refused => "refused",
            Self::UnsupportedVersion => "unsupportedVersion",
            Self::ProtocolViolation { .. } => "protocolViolation",
            Self::Duplicate => "duplicate",
            Self::LimitExceeded { .. } => "limitExceeded",
            Self::IdentityInUse => "identityInUse",
            Self::Transport { .. } => "transport",
            Self::Closed => "closed",
            Self::Aborted => "aborted",
            Self::ShuttingDown => "shuttingDown",
            Self::QuotaExceeded => "quotaExceeded",
            Self::StorageLost { .. } => "storageLost",
            Self::StorageVersion { .. } => "storageVersion",
            Self::StorageUnavailable { .. } => "storageUnavailable",
            Self::AlreadyOpen => "alreadyOpen",
            Self::Storage { .. } => "storage",
            Self::Fatal { .. } => "fatal",
            Self::Internal { .. } => "internal",
        }
    }

    /// The name of the argument that is at fault, where one is.
    #[must_use]
    pub fn argument(&self) -> Option<&'static str> {
        match self {
            Self::InvalidArgument { argument, .. } => Some(argument),
            Self::InvalidTicket { .. } | Self::TicketForAnotherUser => Some("ticket"),
            Self::InvalidSignature { .. } => Some("entry"),
            Self::InvalidDrop { .. } => Some("drop"),
            Self::SelfPeer => Some("peer"),
            Self::TimestampTooFarAhead => Some("timestamp"),
            Self::NoSuchUser => Some("user"),
            Self::NoSuchNamespace => Some("namespace"),
            _ => None,
        }
    }

    /// The rule of the protocol that was broken, where that is the error.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::ProtocolViolation { rule, .. } => Some(rule),
            _ => None,
        }
    }

    /// Something that should not be possible.
    pub(crate) fn internal(reason: impl ToString) -> Self {
        Self::Internal { reason: reason.to_string() }
    }

    /// An argument that cannot be used.
    pub fn invalid_argument(argument: &'static str, reason: impl ToString) -> Self {
        Self::InvalidArgument { argument, reason: reason.to_string() }
    }
}
