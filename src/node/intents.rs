//! The own intents of a node: their interests, where their peers are, and their logs.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use osier_core::{
    IntentId, Mode, PeerId,
    peers::{Event, Input, Outcome},
    sync::OwnInterest,
    wallet::{InterestSelection, PeerAddress},
};
use tokio::sync::oneshot;
use willow25::prelude::SubspaceId;

use super::{
    Completion, Error, Interest, Interests, SessionEvent, SessionInit, convert,
    inner::Inner,
    log::{IntentOutcome, SessionLog},
    sessions,
};
use crate::net::DialAddress;

/// Payloads of at most 2^this bytes may be sent to this node unasked, together with their entry.
pub(super) const MAX_PAYLOAD_POWER: u8 = 14;

/// The unsettled intents.
#[derive(Default)]
pub(super) struct Intents {
    all: BTreeMap<IntentId, IntentEntry>,
}

struct IntentEntry {
    peer: PeerId,
    relays: Vec<String>,
    selection: InterestSelection,
    mode: Mode,
    log: Arc<SessionLog>,
}

/// When the node ends in a way that settles nothing, nobody shall wait for ever.
impl Drop for Intents {
    fn drop(&mut self) {
        for entry in self.all.values() {
            entry.log.settle(Err(Error::Fatal { reason: "the node's thread ended".to_owned() }));
        }
    }
}

impl Intents {
    /// Where a peer can be dialed, as its intents say.
    pub(super) fn address(&self, peer: PeerId, own_relays: &[String]) -> DialAddress {
        let mut relays: Vec<String> = Vec::new();
        for entry in self.all.values().filter(|entry| entry.peer == peer) {
            for relay in &entry.relays {
                if !relays.contains(relay) {
                    relays.push(relay.clone());
                }
            }
        }
        if relays.is_empty() {
            relays = own_relays.to_vec();
        }
        DialAddress { id: peer, relays }
    }

    /// What an intent is about.
    pub(super) fn selection(&self, intent: IntentId) -> Option<(InterestSelection, Mode)> {
        self.all.get(&intent).map(|entry| (entry.selection.clone(), entry.mode))
    }

    /// Whether those with this peer were told last that a connection is being made.
    fn are_connecting(&self, peer: PeerId) -> bool {
        self.all.values().any(|entry| entry.peer == peer && entry.log.is_connecting())
    }

    /// Tells one intent.
    pub(super) fn push(&self, intent: IntentId, event: &SessionEvent) {
        if let Some(entry) = self.all.get(&intent) {
            entry.log.push(event);
        }
    }

    /// Tells every intent with a peer.
    pub(super) fn push_all(&self, peer: PeerId, event: &SessionEvent) {
        for entry in self.all.values().filter(|entry| entry.peer == peer) {
            entry.log.push(event);
        }
    }

    /// The one end of an intent.
    pub(super) fn settle(&mut self, intent: IntentId, outcome: Outcome) {
        if let Some(entry) = self.all.remove(&intent) {
            entry.log.settle(convert::intent_outcome(outcome));
        }
    }
}

/// An intent on its way from the handle to the node. Whatever happens to it, it settles.
pub(super) struct Submission {
    id: IntentId,
    address: PeerAddress,
    init: SessionInit,
    /// Taken when the intent has another owner, or has settled.
    log: Option<Arc<SessionLog>>,
}

impl Submission {
    pub(super) fn new(id: IntentId, address: PeerAddress, init: SessionInit, log: Arc<SessionLog>) -> Self {
        Self { id, address, init, log: Some(log) }
    }

    /// Settles it without the peer manager.
    pub(super) fn settle(mut self, outcome: IntentOutcome) {
        if let Some(log) = self.log.take() {
            log.settle(outcome);
        }
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        if let Some(log) = self.log.take() {
            log.settle(Err(Error::ShuttingDown));
        }
    }
}

/// Takes an intent in: checks it, registers it, hands it to the peer manager.
pub(super) fn submit(node: &Rc<Inner>, mut submission: Submission) {
    if let Err(error) = check(node, &submission.address, &submission.init) {
        return submission.settle(Err(error));
    }
    let selection = convert::selection(&submission.init.interests);
    if !can_read_any(node, &selection) {
        let outcome = match &submission.init.interests {
            Interests::Some(named) if !named.is_empty() => Err(not_readable("any of the interests")),
            Interests::All | Interests::Some(_) => Ok(Completion::NothingInCommon),
        };
        return submission.settle(outcome);
    }
    if submission.address.relays.is_empty() && node.options.relays.is_empty() {
        let reason = "neither this node nor the peer's address names a relay".to_owned();
        return submission.settle(Err(Error::DialFailed { reason }));
    }
    let Some(log) = submission.log.take() else { return };
    let (id, peer, mode) = (submission.id, submission.address.id, submission.init.mode);
    let policy = convert::reconnect_policy(submission.init.reconnect.unwrap_or(node.options.reconnect), mode);
    let relays = submission.address.relays.clone();
    if node.intents.borrow().are_connecting(peer) {
        log.push(&SessionEvent::Connecting);
    }
    node.intents.borrow_mut().all.insert(id, IntentEntry { peer, relays, selection, mode, log });
    node.input(Input::Submit { intent: id, peer, mode, policy });
}

fn check(node: &Inner, address: &PeerAddress, init: &SessionInit) -> Result<(), Error> {
    node.check_running()?;
    if address.id == node.id() {
        return Err(Error::SelfPeer);
    }
    if !crate::net::is_peer_id(&address.id) {
        return Err(Error::invalid_argument("peer", "the id is no Ed25519 public key"));
    }
    for relay in &address.relays {
        crate::net::check_relay_url(relay).map_err(|error| Error::invalid_argument("relays", error))?;
    }
    check_interests(&init.interests)
}

/// What is wrong with interests whatever is held here.
pub(super) fn check_interests(interests: &Interests) -> Result<(), Error> {
    match interests {
        Interests::Some(interests) if interests.iter().any(|interest| interest.max_count == Some(0)) => {
            Err(Error::invalid_argument("interests", "a maximum count of 0 asks for nothing"))
        }
        Interests::Some(_) | Interests::All => Ok(()),
    }
}

/// Says whether interests were added to an intent: its session does, if it has one.
pub(super) type Added = oneshot::Sender<Result<(), Error>>;

/// Adds to what an intent is about, or changes nothing.
pub(super) fn add_interests(node: &Inner, intent: IntentId, interests: Vec<Interest>, reply: Added) {
    // Whoever asked may be gone, here and in the session.
    let _ = match extend(node, intent, Interests::Some(interests)) {
        Ok(peer) => return sessions::add_interests(node, peer, intent, reply),
        Err(error) => reply.send(Err(error)),
    };
}

/// The peer of the intent.
fn extend(node: &Inner, intent: IntentId, interests: Interests) -> Result<PeerId, Error> {
    node.check_running()?;
    check_interests(&interests)?;
    let more = match convert::selection(&interests) {
        InterestSelection::Only(more) => more,
        InterestSelection::All => Vec::new(),
    };
    if !more.iter().all(|interest| can_read_any(node, &InterestSelection::Only(vec![interest.clone()]))) {
        return Err(not_readable("one of the interests"));
    }
    let mut intents = node.intents.borrow_mut();
    let entry = intents.all.get_mut(&intent).ok_or(Error::Closed)?;
    if let InterestSelection::Only(known) = &mut entry.selection {
        known.extend(more);
    }
    Ok(entry.peer)
}

fn not_readable(what: &str) -> Error {
    Error::NotAuthorised { reason: format!("no capability here reads {what}") }
}

/// Whether any capability here reads a part of the selection.
fn can_read_any(node: &Inner, selection: &InterestSelection) -> bool {
    let wallet = node.wallet.borrow();
    match selection {
        InterestSelection::All => wallet.read_capabilities(None).next().is_some(),
        InterestSelection::Only(interests) => interests.iter().any(|interest| {
            wallet.read_capabilities(Some(&interest.namespace)).any(|held| match &interest.area {
                None => true,
                Some(area) => osier_core::willow::Grouping::intersection(&held.granted_area(), area).is_ok(),
            })
        }),
    }
}

/// The interests of an intent in one session: delegated to its receiver key.
pub(super) fn own_interests(node: &Inner, receiver: &SubspaceId, selection: &InterestSelection) -> Vec<OwnInterest> {
    let interests = node.wallet.borrow().for_session(receiver, selection);
    interests
        .into_iter()
        .map(|interest| OwnInterest {
            id: osier_core::sync::InterestId(0),
            capability: interest.capability,
            max_count: interest.max_count,
            max_size: interest.max_size,
            max_payload_power: MAX_PAYLOAD_POWER,
        })
        .collect()
}

/// How news about a peer looks to its intents; `None`: they hear of it in another way.
pub(super) fn session_event(node: &Inner, event: Event) -> Option<SessionEvent> {
    match event {
        Event::Connecting => Some(SessionEvent::Connecting),
        Event::Established { role } => Some(SessionEvent::Established { role }),
        Event::Disconnected { cause, retry } => {
            let retry = retry.map(|retry| convert::retry(retry, node.now()));
            Some(SessionEvent::Disconnected { cause: convert::cause_error(cause), retry })
        }
        Event::Reconnecting { cause, retry } => {
            Some(SessionEvent::Reconnecting { cause: convert::cause_error(cause), retry: convert::retry(retry, node.now()) })
        }
        Event::Terminated | Event::IdentityInUse { .. } | Event::Forgotten => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intents_settle_whatever_becomes_of_their_node() {
        let log = Arc::new(SessionLog::new());
        let (selection, peer) = (InterestSelection::All, PeerId([1; 32]));
        let entry = IntentEntry { peer, relays: Vec::new(), selection, mode: Mode::Live, log: log.clone() };
        let intents = Intents { all: BTreeMap::from([(IntentId(1), entry)]) };
        assert!(!log.is_settled());
        drop(intents);
        assert!(log.is_settled());
    }
}
