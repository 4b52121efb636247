//! From the core's names to the API's.

use osier_core::{
    Mode, Moment,
    peers::{self, Cause, CloseCode, IntentError, Outcome, Reason},
    store::{Bounds, EntryRef, StorageError, Store, StoredEntry},
    wallet::{self, TicketError, WalletError},
    willow::{Coordinatelike as _, Entrylike as _, Keylike as _, Namespaced as _, SignedEntry},
};
use willow25::prelude::Area;

use crate::backend::OpenError;

use super::{
    Access, Attempts, CapabilityInfo, Completion, EntryInfo, EntryKey, Error, Grant, ImportedSecret, Interests, NamespaceInfo,
    NamespaceKind, PeerState, ReconnectPolicy, Retry, ShareRequest, log::IntentOutcome,
};

pub(super) fn entry_info(entry: EntryRef<'_>) -> EntryInfo {
    stored_info(entry.stored(), entry.available())
}

pub(super) fn stored_info(entry: &StoredEntry, available: u64) -> EntryInfo {
    EntryInfo {
        namespace: entry.namespace_id().clone(),
        subspace: entry.subspace_id().clone(),
        path: entry.path(),
        timestamp: entry.timestamp().into(),
        payload_length: entry.payload_length(),
        payload_digest: entry.payload_digest().into_bytes(),
        available,
        id: entry.id().0,
    }
}

/// An entry whose payload is all here.
pub(super) fn whole_info(entry: &SignedEntry) -> EntryInfo {
    let of = &entry.entry;
    EntryInfo {
        namespace: of.namespace_id().clone(),
        subspace: of.subspace_id().clone(),
        path: of.path().clone(),
        timestamp: of.timestamp().into(),
        payload_length: of.payload_length(),
        payload_digest: *of.payload_digest().as_bytes(),
        available: of.payload_length(),
        id: entry.id.0,
    }
}

pub(super) fn entry_key(entry: &StoredEntry) -> EntryKey {
    EntryKey { namespace: entry.namespace_id().clone(), subspace: entry.subspace_id().clone(), path: entry.path() }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        let reason = error.to_string();
        match error {
            StorageError::Full => Self::QuotaExceeded,
            StorageError::Lost(reason) => Self::StorageLost { reason },
            StorageError::ReadOnly
            | StorageError::Corrupt(_)
            | StorageError::Misfit(_)
            | StorageError::Closed
            | StorageError::Unknown(_) => Self::Storage { reason },
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::AlreadyOpen => Self::AlreadyOpen,
            OpenError::NewerVersion { found } => Self::StorageVersion { found },
            OpenError::Unavailable { reason } => Self::StorageUnavailable { reason },
            OpenError::Storage(error) => error.into(),
        }
    }
}

impl From<WalletError> for Error {
    fn from(error: WalletError) -> Self {
        let reason = error.to_string();
        match error {
            WalletError::NoSuchUser(_) => Self::NoSuchUser,
            WalletError::NoSuchNamespace(_) => Self::NoSuchNamespace,
            WalletError::NoNamespaceSecret(_)
            | WalletError::MayNotWrite(_)
            | WalletError::MayNotShare
            | WalletError::TooManyDelegations => Self::NotAuthorised { reason },
            WalletError::Randomness => Self::Internal { reason },
            WalletError::Secret(_) => Self::InvalidArgument { argument: "secret", reason },
            WalletError::Ticket(error) => error.into(),
        }
    }
}

impl From<TicketError> for Error {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::ForAnotherUser(_) => Self::TicketForAnotherUser,
            other => Self::InvalidTicket { reason: other.to_string() },
        }
    }
}

/// How an intent's settlement looks to its owner.
pub(super) fn intent_outcome(outcome: Outcome) -> IntentOutcome {
    match outcome {
        Outcome::Done(completion) => Ok(completion_of(completion)),
        Outcome::Closed => Ok(Completion::Closed),
        Outcome::Failed(error) => Err(intent_error(error)),
    }
}

fn completion_of(completion: peers::Completion) -> Completion {
    match completion {
        peers::Completion::Complete => Completion::Complete,
        peers::Completion::Partial => Completion::Partial,
        peers::Completion::NothingInCommon => Completion::NothingInCommon,
    }
}

fn intent_error(error: IntentError) -> Error {
    match error {
        IntentError::ShuttingDown => Error::ShuttingDown,
        IntentError::Oneself => Error::SelfPeer,
        IntentError::Refused => Error::Refused,
        IntentError::UnsupportedVersion => Error::UnsupportedVersion,
        IntentError::ProtocolViolation(rule) => Error::ProtocolViolation { by_peer: rule != "reportedByPeer", rule: rule.to_owned() },
        IntentError::LimitExceeded => Error::LimitExceeded { what: "sessions of the peer".to_owned() },
        IntentError::IdentityInUse => Error::IdentityInUse,
        IntentError::Unreachable(cause) => unreachable_error(cause),
        IntentError::Lost(cause) => cause_error(cause),
        IntentError::Unfinished => Error::Transport { reason: error.to_string() },
        IntentError::Session(code) => session_error(code),
    }
}

/// A session that could not serve an intent, by the stable code of its reason.
fn session_error(code: &'static str) -> Error {
    Error::ProtocolViolation { by_peer: false, rule: code.to_owned() }
}

/// Why no connection came about.
fn unreachable_error(cause: Cause) -> Error {
    match cause {
        Cause::Deadline(reason) => Error::Timeout { what: awaited(reason).to_owned() },
        Cause::Closed(CloseCode::Duplicate) => Error::Duplicate,
        other => Error::DialFailed { reason: sentence(other) },
    }
}

/// Why a connection ended.
pub(super) fn cause_error(cause: Cause) -> Error {
    match cause {
        Cause::Closed(code) => match code {
            CloseCode::Duplicate => Error::Duplicate,
            CloseCode::Refused => Error::Refused,
            CloseCode::UnsupportedVersion => Error::UnsupportedVersion,
            CloseCode::LimitExceeded => Error::LimitExceeded { what: "sessions of the peer".to_owned() },
            CloseCode::ProtocolViolation => Error::ProtocolViolation { by_peer: false, rule: "reportedByPeer".to_owned() },
            CloseCode::Superseded => Error::IdentityInUse,
            CloseCode::EndpointClosed | CloseCode::Failed | CloseCode::Ok | CloseCode::ShuttingDown => {
                Error::Transport { reason: sentence(cause) }
            }
        },
        Cause::RefusedBeforeHandshake => Error::LimitExceeded { what: "connections of the peer".to_owned() },
        Cause::NoCommonVersion => Error::UnsupportedVersion,
        Cause::Deadline(reason) => Error::Timeout { what: awaited(reason).to_owned() },
        Cause::Violation(rule) => Error::ProtocolViolation { by_peer: true, rule: rule.to_owned() },
        Cause::ClosedUnknown(_) | Cause::Unreachable | Cause::Lost | Cause::Failed(_) | Cause::LocallyClosed => {
            Error::Transport { reason: sentence(cause) }
        }
    }
}

/// A cause in words.
pub(super) fn sentence(cause: Cause) -> String {
    match cause {
        Cause::Closed(CloseCode::EndpointClosed) => "the peer's endpoint was closed".to_owned(),
        Cause::Closed(CloseCode::Failed) => "the peer gave up".to_owned(),
        Cause::Closed(CloseCode::Ok) => "the peer ended the connection".to_owned(),
        Cause::Closed(CloseCode::Duplicate) => "another connection is used".to_owned(),
        Cause::Closed(CloseCode::ShuttingDown) => "the peer is shutting down".to_owned(),
        Cause::Closed(CloseCode::Refused) => "the peer refused".to_owned(),
        Cause::Closed(CloseCode::UnsupportedVersion) => "the peer speaks another version".to_owned(),
        Cause::Closed(CloseCode::LimitExceeded) => "the peer has too many sessions".to_owned(),
        Cause::Closed(CloseCode::ProtocolViolation) => "the peer says that the protocol was violated".to_owned(),
        Cause::Closed(CloseCode::Superseded) => "a newer connection with the same key took its place".to_owned(),
        Cause::ClosedUnknown(number) => format!("the peer closed it with the unknown code {number}"),
        Cause::RefusedBeforeHandshake => "the peer takes no more connections".to_owned(),
        Cause::NoCommonVersion => "no common version of the protocol".to_owned(),
        Cause::Unreachable => "there is no way to the peer, or no answer".to_owned(),
        Cause::Lost => "the peer does not answer any more".to_owned(),
        Cause::Deadline(reason) => format!("no answer in time: {}", awaited(reason)),
        Cause::Violation(rule) => format!("the peer violated the protocol ({rule})"),
        Cause::Failed(what) => format!("this node could not go on ({what})"),
        Cause::LocallyClosed => "this node closed it".to_owned(),
    }
}

/// What did not come before its deadline.
fn awaited(reason: Reason) -> &'static str {
    match reason {
        Reason::Hello => "the peer's greeting",
        Reason::Decision => "the accept handler",
        Reason::Dial | Reason::Hold | Reason::Backoff => "the connection with the peer",
        Reason::Establish => "the handshake with the peer",
        Reason::Ending | Reason::Finish => "the end of the session",
        Reason::Goodbye => "the peer's goodbye",
        Reason::Probe => "a sign of life from the peer",
        Reason::Shutdown => "the end of the node",
    }
}

/// The close code behind a cause, for those who watch peers.
pub(super) fn code_of(cause: Cause) -> Option<u64> {
    match cause {
        Cause::Closed(code) => Some(code.number().into()),
        Cause::ClosedUnknown(number) => Some(number),
        Cause::RefusedBeforeHandshake | Cause::Unreachable | Cause::Lost | Cause::LocallyClosed => None,
        Cause::NoCommonVersion | Cause::Deadline(_) | Cause::Violation(_) | Cause::Failed(_) => Some(cause.close_code().number().into()),
    }
}

/// The next attempt, seen from now.
pub(super) fn retry(retry: peers::Retry, now: Moment) -> Retry {
    Retry { millis: retry.at.map(|at| at.micros_since(now) / 1000), attempt: retry.attempt, limit: retry.limit }
}

/// `None`: there is no connection and none is tried.
pub(super) fn peer_state(state: peers::ConnectionState) -> Option<PeerState> {
    match state {
        peers::ConnectionState::None => None,
        peers::ConnectionState::Deciding | peers::ConnectionState::Dialing => Some(PeerState::Connecting),
        peers::ConnectionState::Accepting => Some(PeerState::Establishing),
        peers::ConnectionState::Active => Some(PeerState::Active),
        peers::ConnectionState::Terminating => Some(PeerState::Terminating),
        peers::ConnectionState::Waiting => Some(PeerState::Waiting),
    }
}

pub(super) fn reconnect_policy(policy: ReconnectPolicy, mode: Mode) -> peers::ReconnectPolicy {
    peers::ReconnectPolicy {
        first_delay: policy.first_delay_millis.max(1).saturating_mul(1000),
        factor: policy.factor,
        cap: policy.cap_millis.max(1).saturating_mul(1000),
        jitter: policy.jitter,
        attempts: match (policy.attempts, mode) {
            (Attempts::AtMost(attempts), Mode::Once | Mode::Live) => attempts,
            (Attempts::ByMode, Mode::Once) => Attempts::ONCE,
            (Attempts::Unlimited, Mode::Once | Mode::Live) | (Attempts::ByMode, Mode::Live) => peers::ReconnectPolicy::UNLIMITED,
        },
    }
}

/// A `max_count` of 0 asks for nothing and is left out.
pub(super) fn selection(interests: &Interests) -> wallet::InterestSelection {
    match interests {
        Interests::All => wallet::InterestSelection::All,
        Interests::Some(interests) => wallet::InterestSelection::Only(
            interests
                .iter()
                .filter_map(|interest| {
                    let max_count = match interest.max_count {
                        None => None,
                        Some(count) => Some(std::num::NonZeroU64::new(count)?),
                    };
                    Some(wallet::Interest {
                        namespace: interest.namespace.clone(),
                        area: interest.area.clone(),
                        max_count,
                        max_size: interest.max_size,
                    })
                })
                .collect(),
        ),
    }
}

pub(super) fn access_of(access: wallet::Access) -> Access {
    match access {
        wallet::Access::Read => Access::Read,
        wallet::Access::Write => Access::Write,
    }
}

fn access_for(access: Access) -> wallet::Access {
    match access {
        Access::Read => wallet::Access::Read,
        Access::Write => wallet::Access::Write,
    }
}

fn kind_of(kind: wallet::NamespaceKind) -> NamespaceKind {
    match kind {
        wallet::NamespaceKind::Communal => NamespaceKind::Communal,
        wallet::NamespaceKind::Owned => NamespaceKind::Owned,
    }
}

pub(super) fn kind_for(kind: NamespaceKind) -> wallet::NamespaceKind {
    match kind {
        NamespaceKind::Communal => wallet::NamespaceKind::Communal,
        NamespaceKind::Owned => wallet::NamespaceKind::Owned,
    }
}

pub(super) fn namespace_info(info: wallet::NamespaceInfo, store: &Store) -> NamespaceInfo {
    let all = || Bounds::from(&Area::full());
    let (entries, payload_bytes) = (store.count(&info.id, all()), store.size(&info.id, all()));
    let (stored_bytes, quota) = (store.stored_bytes(&info.id), store.quota(&info.id));
    let access = info.access.map(access_of);
    NamespaceInfo { id: info.id, kind: kind_of(info.kind), access, has_secret: info.owner, entries, payload_bytes, stored_bytes, quota }
}

pub(super) fn capability_info(info: wallet::CapabilityInfo) -> CapabilityInfo {
    CapabilityInfo {
        namespace: info.namespace,
        access: access_of(info.access),
        receiver: info.receiver,
        area: info.area,
        delegations: info.delegations as u64,
    }
}

pub(super) fn imported(imported: wallet::Imported) -> ImportedSecret {
    match imported {
        wallet::Imported::User(id) => ImportedSecret::User(id),
        wallet::Imported::Namespace(id) => ImportedSecret::Namespace(id),
    }
}

pub(super) fn share_request(request: ShareRequest) -> wallet::ShareRequest {
    wallet::ShareRequest {
        namespace: request.namespace,
        access: access_for(request.access),
        to: request.to,
        from: request.from,
        area: request.area,
    }
}

pub(super) fn grant(grant: wallet::Grant) -> Grant {
    let from = match grant.by {
        wallet::Grantor::Namespace => grant.to.clone(),
        wallet::Grantor::User(id) => id,
    };
    Grant { from, to: grant.to, access: access_of(grant.access), area: grant.area, link: grant.link }
}
