//! Why connections end: the close codes on the wire, causes as this node sees them, and what follows from each.
//!
//! Every mapping here is total and without a catch-all arm: a new code or cause does not compile until its row is written.

use super::Reason;

/// The application close codes of a connection (the table of the protocol's transport chapter).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum CloseCode {
    /// 0: the endpoint was closed or the handle dropped; nobody chose this code.
    EndpointClosed = 0,
    /// 1: this attempt or session failed, for a reason that lies in no rule of the protocol (a deadline, storage, a cancelled dial).
    Failed = 1,
    /// 2: everything was said, by both sides.
    Ok = 2,
    /// 3: another connection between the two nodes is the current one.
    Duplicate = 3,
    /// 4: the node is shutting down.
    ShuttingDown = 4,
    /// 5: the accept handler said no.
    Refused = 5,
    /// 6: no common protocol version.
    UnsupportedVersion = 6,
    /// 7: too many sessions.
    LimitExceeded = 7,
    /// 8: the peer broke a rule of the protocol.
    ProtocolViolation = 8,
    /// 9: a newer connection of the same endpoint key took this one's place.
    Superseded = 9,
}

impl CloseCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 10] = [
        Self::EndpointClosed,
        Self::Failed,
        Self::Ok,
        Self::Duplicate,
        Self::ShuttingDown,
        Self::Refused,
        Self::UnsupportedVersion,
        Self::LimitExceeded,
        Self::ProtocolViolation,
        Self::Superseded,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code with this number on the wire, `None` outside the table.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// Why an attempt failed or a connection ended, as this node sees it: one per connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Cause {
    /// The peer closed the connection with this code. Asked of the connection (its close reason), never of the error that surfaced.
    Closed(CloseCode),
    /// The peer closed the connection with a code that is not in the table.
    ClosedUnknown(u64),
    /// The peer refused the connection before the handshake (it has a limit), without a code.
    RefusedBeforeHandshake,
    /// The peer speaks none of our protocols (transport: no common ALPN), or announced a version that is not ours.
    NoCommonVersion,
    /// There was no way to the peer: no address, no relay, no answer.
    Unreachable,
    /// The transport lost the peer: idle timeout or reset.
    Lost,
    /// A deadline of the manager passed.
    Deadline(Reason),
    /// The peer broke this rule of the protocol (a stable code of the session's error).
    Violation(&'static str),
    /// This node could not go on (storage, for example; a stable code).
    Failed(&'static str),
    /// This node closed the connection itself.
    LocallyClosed,
}

/// What follows from a [`Cause`] for the intents that depended on the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum After {
    /// Exponential backoff; costs an attempt.
    Backoff,
    /// Exponential backoff with longer steps; costs an attempt.
    Longer,
    /// First step of the backoff; costs nothing as long as it does not go on for ever.
    FirstStep,
    /// It went well: a live intent comes back after a while.
    Rest,
    /// No use in trying again.
    Terminal,
}

impl Cause {
    /// The code with which this node closes what failed for this cause.
    #[must_use]
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::NoCommonVersion => CloseCode::UnsupportedVersion,
            Self::Violation(_) => CloseCode::ProtocolViolation,
            Self::Closed(_)
            | Self::ClosedUnknown(_)
            | Self::RefusedBeforeHandshake
            | Self::Unreachable
            | Self::Lost
            | Self::Deadline(_)
            | Self::Failed(_)
            | Self::LocallyClosed => CloseCode::Failed,
        }
    }

    /// The row of the table of causes.
    pub(super) fn after(self) -> After {
        match self {
            Self::Closed(code) => match code {
                CloseCode::EndpointClosed | CloseCode::Failed | CloseCode::ShuttingDown => After::Backoff,
                CloseCode::Ok => After::Rest,
                CloseCode::Duplicate => After::FirstStep,
                CloseCode::Refused | CloseCode::UnsupportedVersion | CloseCode::ProtocolViolation => After::Terminal,
                CloseCode::LimitExceeded | CloseCode::Superseded => After::Longer,
            },
            Self::ClosedUnknown(_) | Self::Unreachable | Self::Lost | Self::Deadline(_) | Self::Failed(_) | Self::LocallyClosed => {
                After::Backoff
            }
            Self::RefusedBeforeHandshake => After::Longer,
            Self::NoCommonVersion | Self::Violation(_) => After::Terminal,
        }
    }
}

/// Why an intent ended without completion.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, thiserror::Error)]
pub enum IntentError {
    /// The node is shutting down, or has.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The peer of the intent is this node itself.
    #[error("a node cannot sync with itself")]
    Oneself,
    /// The peer's accept handler said no.
    #[error("the peer refused the connection")]
    Refused,
    /// No common protocol version.
    #[error("the peer speaks no version of the protocol that this node speaks")]
    UnsupportedVersion,
    /// The peer broke a rule of the protocol, or says that this node did.
    #[error("the session broke a rule of the protocol: {0}")]
    ProtocolViolation(&'static str),
    /// The peer has too many connections or sessions.
    #[error("the peer has too many sessions")]
    LimitExceeded,
    /// Another device with this node's key took the connection's place.
    #[error("another device uses this node's key")]
    IdentityInUse,
    /// No connection came about, and the reconnect policy has no attempt left.
    #[error("the peer could not be reached ({0:?})")]
    Unreachable(Cause),
    /// The connection was lost, and the reconnect policy has no attempt left.
    #[error("the connection was lost ({0:?})")]
    Lost(Cause),
    /// The peer ended one session after the other before this intent was done.
    #[error("the peer ended its sessions before this intent was done")]
    Unfinished,
    /// The session could not serve this intent (a stable code of the session's error).
    #[error("the session could not serve the intent: {0}")]
    Session(&'static str),
}

impl IntentError {
    /// The error of an intent whose policy has no attempt left after `cause`; `established` tells a lost connection from one
    /// that never came about.
    pub(super) fn after(cause: Cause, established: bool) -> Self {
        let ordinary = if established { Self::Lost(cause) } else { Self::Unreachable(cause) };
        match cause {
            Cause::Closed(code) => match code {
                CloseCode::Refused => Self::Refused,
                CloseCode::UnsupportedVersion => Self::UnsupportedVersion,
                CloseCode::LimitExceeded => Self::LimitExceeded,
                CloseCode::ProtocolViolation => Self::ProtocolViolation("reportedByPeer"),
                CloseCode::Superseded => Self::IdentityInUse,
                CloseCode::EndpointClosed | CloseCode::Failed | CloseCode::Ok | CloseCode::Duplicate | CloseCode::ShuttingDown => ordinary,
            },
            Cause::RefusedBeforeHandshake => Self::LimitExceeded,
            Cause::NoCommonVersion => Self::UnsupportedVersion,
            Cause::Violation(rule) => Self::ProtocolViolation(rule),
            Cause::ClosedUnknown(_) | Cause::Unreachable | Cause::Lost | Cause::Deadline(_) | Cause::Failed(_) | Cause::LocallyClosed => {
                ordinary
            }
        }
    }
}
