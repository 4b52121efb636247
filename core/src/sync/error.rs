//! Why a session ends: what the peer did, one variant per rule.
//!
//! Every variant is a breach by the peer; the node's own limits that a peer breaks are among them. A refused entry (bad token once,
//! timestamp too far ahead) is no error of the session and not here.

use super::{control::HandleKind, frame::FrameError};
use crate::willow::codec::DecodeError;

/// A rule of the protocol that the peer broke. The session ends; other sessions go on.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SyncError {
    /// A frame that is too long, or of no known channel.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message that does not decode: the message and why.
    #[error("undecodable {message}: {reason}")]
    Undecodable {
        /// Which message.
        message: &'static str,
        /// What is wrong with its bytes.
        reason: DecodeError,
    },

    /// A handle that was never bound.
    #[error("{kind} handle {handle} was never bound")]
    HandleUnbound {
        /// Kind of the handle.
        kind: HandleKind,
        /// The handle as named.
        handle: u64,
    },
    /// A handle that the peer has freed, named or freed by it again.
    #[error("{kind} handle {handle} was freed before")]
    HandleFreed {
        /// Kind of the handle.
        kind: HandleKind,
        /// The handle as named.
        handle: u64,
    },
    /// A reference count in a HandleFree that differs from what arrived.
    #[error("{kind} handle {handle} was freed with {claimed} references, {counted} arrived")]
    ReferenceCount {
        /// Kind of the handle.
        kind: HandleKind,
        /// The handle as named.
        handle: u64,
        /// The count in the message.
        claimed: u64,
        /// How many messages that name the handle arrived.
        counted: u64,
    },
    /// More live handles than this node's Hello allows.
    #[error("more than {limit} {kind} handles")]
    TooManyHandles {
        /// Kind of the handles.
        kind: HandleKind,
        /// The limit announced in Hello.
        limit: u64,
    },

    /// An announcement whose authentication does not prove knowledge of the interest it names.
    #[error("an announced overlap is not authenticated")]
    AnnouncementAuthentication,
    /// An interest whose hash is bound twice, with interest, at a time.
    #[error("an interest was bound twice")]
    InterestRepeated,
    /// More announcements of one interest than there can be less specific ones.
    #[error("more than {limit} announcements of one interest")]
    TooManyAnnouncements {
        /// The bound.
        limit: u64,
    },
    /// A pair of interests announced twice.
    #[error("an overlap was announced twice")]
    AnnouncementRepeated,
    /// A decline of no announcement, or of one that was answered before.
    #[error("announcement {announcement} cannot be declined")]
    UnexpectedDecline {
        /// The number of the announcement.
        announcement: u64,
    },
    /// OverlapSettled with counts that contradict what was sent or what it said before.
    #[error("overlap settled with an impossible count of {what}")]
    SettledCount {
        /// Which count.
        what: &'static str,
    },

    /// More messages about interests and capabilities wait for a peer that does not read or answer them than this node keeps.
    #[error("more than {limit} bytes of messages that the peer caused and does not read or answer")]
    MessagesUnread {
        /// The bound, bytes.
        limit: u64,
    },

    /// Two read capabilities named together that have nothing in common.
    #[error("capability handles {own} and {peer} have no overlap")]
    NoOverlap {
        /// Read capability handle of this node.
        own: u64,
        /// Read capability handle of the peer.
        peer: u64,
    },

    /// A capability for an interest that this node did not bind with interest.
    #[error("a capability for a hash that was bound without interest")]
    CapabilityUnasked,
    /// A capability that does not verify as a read capability for the peer's receiver key: its chain or a signature in it. The receiver
    /// and the access mode are not on the wire but signed, so that a capability for another receiver or for writing ends here.
    #[error("an invalid read capability")]
    CapabilityInvalid,
    /// A capability without delegations whose receiver is not the peer's receiver key of this session.
    #[error("a capability for another receiver")]
    CapabilityReceiver,
    /// A capability of another namespace than the shared one.
    #[error("a capability for another namespace")]
    CapabilityNamespace,
    /// A capability whose area is not inside the less specific interest.
    #[error("a capability for an area outside the shared interest")]
    CapabilityArea,
    /// A capability with more delegations than are considered.
    #[error("a capability with {count} delegations")]
    CapabilityDelegations {
        /// How many it has.
        count: u64,
    },
    /// A maximum payload power beyond 63.
    #[error("a maximum payload power of {power}")]
    PayloadPower {
        /// As sent.
        power: u8,
    },

    /// A range outside of what it answers, or outside of the areas that both capabilities grant.
    #[error("a range outside of what it is about")]
    RangeOutside,
    /// A part of an answer that has other times than what it answers, or does not lie behind the part before it.
    #[error("a range that is not cut as ranges are")]
    RangeCut,
    /// A root whose range is not that of its overlap.
    #[error("a reconciliation that does not start with the whole overlap")]
    RootRange,
    /// An answer that names another root, or other capabilities, than the range that it answers.
    #[error("an answer that belongs to another reconciliation")]
    RootMismatch,
    /// An answer to no range, or to one that was answered before.
    #[error("range {number} is not to be answered")]
    AnswerUnknown {
        /// The number of the range, as named.
        number: u64,
    },
    /// An answer of a kind that the range does not ask for.
    #[error("an unexpected {what}")]
    UnexpectedAnswer {
        /// What it is.
        what: &'static str,
    },
    /// More ranges that ask for an answer than this node's Hello allows.
    #[error("more than {limit} unanswered ranges")]
    TooManyRanges {
        /// The limit announced in Hello.
        limit: u64,
    },
    /// An announcement that wants an answer, with entries that are not promised to be in order.
    #[error("an announcement that is not sorted and wants an answer")]
    AnnouncementUnsorted,
    /// An announcement before the final entry of the one before.
    #[error("an announcement before the end of the one before")]
    AnnouncementUnfinished,
    /// An entry that no announcement precedes.
    #[error("an entry without an announcement")]
    EntryUnannounced,
    /// An entry outside of the announced range.
    #[error("an entry outside of the announced range")]
    EntryOutsideRange,
    /// A forwarded entry that is in no area both sides share.
    #[error("an entry outside of every shared area")]
    EntryOutsideAreas,
    /// An entry that does not follow the one before, though the announcement said so.
    #[error("entries out of the promised order")]
    SortBroken,
    /// A token that does not authorise its entry, or one too many with a signature that does not hold.
    #[error("an invalid authorisation token")]
    InvalidToken,
    /// An entry before the end of the payload of the one before.
    #[error("an entry before the end of a payload")]
    PayloadUnterminated,
    /// Payload bytes, or their end, with no entry that they could belong to.
    #[error("a payload without its entry")]
    PayloadWithoutEntry,
    /// Payload bytes beyond the length that the entry says.
    #[error("a payload beyond its end")]
    PayloadBeyondEnd,
    /// An unsolicited payload that is larger than this node's Hello allows.
    #[error("an unsolicited payload of {length} bytes")]
    PayloadTooLarge {
        /// Its length.
        length: u64,
    },
    /// A payload that is not the one of its entry.
    #[error("a payload that does not match its digest")]
    PayloadDigest,
    /// More consumed bytes than were sent.
    #[error("{bytes} bytes were consumed that were not sent")]
    ConsumedUnsent {
        /// How many too many.
        bytes: u64,
    },
    /// A receipt for more entries than were sent.
    #[error("{count} entries were receipted that were not sent")]
    ReceiptUnsent {
        /// How many too many.
        count: u64,
    },
    /// More unconsumed bytes than a session stream may hold.
    #[error("more than {limit} unconsumed bytes")]
    WindowExceeded {
        /// The bound.
        limit: u64,
    },
    /// More bytes of entries than this node takes from a peer in one session.
    #[error("more than {limit} bytes in one session")]
    QuotaExceeded {
        /// The bound.
        limit: u64,
    },
    /// The stream ended in the middle of something.
    #[error("the session stream ended in the middle of {what}")]
    FinishedEarly {
        /// Of what.
        what: &'static str,
    },
}

impl SyncError {
    /// A `message` whose bytes are wrong.
    #[must_use]
    pub const fn undecodable(message: &'static str, reason: DecodeError) -> Self {
        Self::Undecodable { message, reason }
    }

    /// A stable name of the rule, for events and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Frame(error) => error.code(),
            Self::Undecodable { .. } => "undecodable",
            Self::HandleUnbound { .. } => "handleUnbound",
            Self::HandleFreed { .. } => "handleFreed",
            Self::ReferenceCount { .. } => "referenceCount",
            Self::TooManyHandles { .. } => "tooManyHandles",
            Self::AnnouncementAuthentication => "announcementAuthentication",
            Self::InterestRepeated => "interestRepeated",
            Self::TooManyAnnouncements { .. } => "tooManyAnnouncements",
            Self::AnnouncementRepeated => "announcementRepeated",
            Self::UnexpectedDecline { .. } => "unexpectedDecline",
            Self::SettledCount { .. } => "settledCount",
            Self::MessagesUnread { .. } => "messagesUnread",
            Self::NoOverlap { .. } => "noOverlap",
            Self::CapabilityUnasked => "capabilityUnasked",
            Self::CapabilityInvalid => "capabilityInvalid",
            Self::CapabilityReceiver => "capabilityReceiver",
            Self::CapabilityNamespace => "capabilityNamespace",
            Self::CapabilityArea => "capabilityArea",
            Self::CapabilityDelegations { .. } => "capabilityDelegations",
            Self::PayloadPower { .. } => "payloadPower",
            Self::RangeOutside => "rangeOutside",
            Self::RangeCut => "rangeCut",
            Self::AnnouncementUnsorted => "announcementUnsorted",
            Self::RootRange => "rootRange",
            Self::RootMismatch => "rootMismatch",
            Self::AnswerUnknown { .. } => "answerUnknown",
            Self::UnexpectedAnswer { .. } => "unexpectedAnswer",
            Self::TooManyRanges { .. } => "tooManyRanges",
            Self::AnnouncementUnfinished => "announcementUnfinished",
            Self::EntryUnannounced => "entryUnannounced",
            Self::EntryOutsideRange => "entryOutsideRange",
            Self::EntryOutsideAreas => "entryOutsideAreas",
            Self::SortBroken => "sortBroken",
            Self::InvalidToken => "invalidToken",
            Self::PayloadUnterminated => "payloadUnterminated",
            Self::PayloadWithoutEntry => "payloadWithoutEntry",
            Self::PayloadBeyondEnd => "payloadBeyondEnd",
            Self::PayloadTooLarge { .. } => "payloadTooLarge",
            Self::PayloadDigest => "payloadDigest",
            Self::ConsumedUnsent { .. } => "consumedUnsent",
            Self::ReceiptUnsent { .. } => "receiptUnsent",
            Self::WindowExceeded { .. } => "windowExceeded",
            Self::QuotaExceeded { .. } => "quotaExceeded",
            Self::FinishedEarly { .. } => "finishedEarly",
        }
    }
}
