//! The state of a node, on its own thread. One concern each elsewhere; here is only what they share.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use osier_core::{
    IntentId, Moment, PeerId, SessionId,
    peers::{Input, Manager},
    wallet::Wallet,
};
use tokio::sync::{mpsc, watch};

use super::{
    Error, IncomingSession, NodeOptions, NodeStatus, PeerEvent,
    accept::Questions,
    connections::Connections,
    events::{Coalesce, EventSender},
    intents::Intents,
    lifecycle::Surroundings,
    sessions::Sessions,
    storage::Storage,
};
use crate::{
    net::{Endpoint, OwnHello},
    platform::{Clock, OwnerLock},
};

/// What the handles and the node's thread share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) id: PeerId,
    /// The relays that this node was told to use, those connected first.
    relays: Mutex<Vec<String>>,
    next_intent: AtomicU64,
    /// Whether a relay is connected.
    pub(super) online: watch::Sender<bool>,
    pub(super) life: watch::Sender<Life>,
}

/// How far the life of a node has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Life {
    Running,
    Closing,
    Over,
}

impl Shared {
    pub(super) fn new(id: PeerId, relays: Vec<String>) -> Self {
        Self {
            id,
            relays: Mutex::new(relays),
            next_intent: AtomicU64::new(1),
            online: watch::Sender::new(false),
            life: watch::Sender::new(Life::Running),
        }
    }

    pub(super) fn next_intent(&self) -> IntentId {
        IntentId(self.next_intent.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn relays(&self) -> Vec<String> {
        self.relays.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings the connected relays to the front.
    pub(super) fn prefer_relays(&self, connected: &[String]) {
        self.relays.lock().unwrap_or_else(PoisonError::into_inner).sort_by_key(|relay| !connected.contains(relay));
    }

    /// Resolves once the node ends.
    pub(super) async fn ending(&self) {
        // An error would say that it is gone.
        let _ = self.life.subscribe().wait_for(|life| *life != Life::Running).await;
    }

    pub(super) fn is_running(&self) -> bool {
        *self.life.borrow() == Life::Running
    }
}

/// The state of a node.
pub(super) struct Inner {
    pub(super) options: NodeOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) endpoint: Endpoint,
    /// The lock on its key, if that was given.
    pub(super) key: RefCell<Option<OwnerLock>>,
    pub(super) storage: Storage,
    pub(super) wallet: RefCell<Wallet>,
    pub(super) clock: Clock,
    pub(super) hello: OwnHello,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    /// Stepped by the driver alone.
    pub(super) manager: RefCell<Manager>,
    pub(super) connections: RefCell<Connections>,
    pub(super) questions: RefCell<Questions>,
    pub(super) sessions: RefCell<Sessions>,
    pub(super) intents: RefCell<Intents>,
    pub(super) peer_watchers: RefCell<Vec<EventSender<PeerEvent>>>,
    pub(super) incoming_watchers: RefCell<Vec<EventSender<IncomingSession>>>,
    pub(super) status_watchers: RefCell<Vec<EventSender<NodeStatus>>>,
    pub(super) status: RefCell<NodeStatus>,
    pub(super) surroundings: Surroundings,
    /// Held by the drop that is being read.
    pub(super) importing: tokio::sync::Mutex<()>,
    /// Whose session it was, for the origin of entries; the latest sessions only.
    session_peers: RefCell<BTreeMap<SessionId, PeerId>>,
    next_own: Cell<u64>,
}

/// Sessions whose peers are remembered.
const REMEMBERED_SESSIONS: usize = 4096;

/// What a node is put together from.
pub(super) struct Parts {
    pub(super) options: NodeOptions,
    pub(super) shared: Arc<Shared>,
    pub(super) endpoint: Endpoint,
    pub(super) key: Option<OwnerLock>,
    pub(super) storage: Storage,
    pub(super) wallet: Wallet,
    pub(super) hello: OwnHello,
    pub(super) inputs: mpsc::UnboundedSender<Input>,
    pub(super) manager: Manager,
}

impl Inner {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { options, shared, endpoint, key, storage, wallet, hello, inputs, manager } = parts;
        Self {
            shared,
            endpoint,
            key: RefCell::new(key),
            hello,
            inputs,
            manager: RefCell::new(manager),
            wallet: RefCell::new(wallet),
            clock: Clock::start(),
            connections: RefCell::default(),
            questions: RefCell::default(),
            sessions: RefCell::default(),
            intents: RefCell::default(),
            peer_watchers: RefCell::default(),
            incoming_watchers: RefCell::default(),
            status_watchers: RefCell::default(),
            status: RefCell::new(NodeStatus::first(&options.relays, &storage)),
            surroundings: Surroundings::default(),
            importing: tokio::sync::Mutex::default(),
            session_peers: RefCell::default(),
            next_own: Cell::new(1),
            storage,
            options,
        }
    }

    pub(super) fn id(&self) -> PeerId {
        self.shared.id
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Tells the peer manager, later in this turn.
    pub(super) fn input(&self, input: Input) {
        // The driver is gone only when the node is.
        let _ = self.inputs.send(input);
    }

    /// A name that this node has not used yet.
    pub(super) fn fresh(&self) -> u64 {
        let next = self.next_own.get();
        self.next_own.set(next + 1);
        next
    }

    pub(super) fn remember_session(&self, session: SessionId, peer: PeerId) {
        let mut sessions = self.session_peers.borrow_mut();
        sessions.insert(session, peer);
        if sessions.len() > REMEMBERED_SESSIONS {
            sessions.pop_first();
        }
    }

    pub(super) fn peer_of(&self, session: SessionId) -> Option<PeerId> {
        self.session_peers.borrow().get(&session).copied()
    }

    /// Fails once the node is shutting down.
    pub(super) fn check_running(&self) -> Result<(), Error> {
        if self.shared.is_running() { Ok(()) } else { Err(Error::ShuttingDown) }
    }
}

/// Adds a listener, and forgets those that do not listen any more.
pub(super) fn listen<T>(watchers: &RefCell<Vec<EventSender<T>>>, watcher: EventSender<T>) {
    let mut watchers = watchers.borrow_mut();
    watchers.retain(|watcher| !watcher.is_abandoned());
    watchers.push(watcher);
}

/// Tells everyone who listens, and forgets who does not any more.
pub(super) fn tell<T: Coalesce + Clone>(watchers: &RefCell<Vec<EventSender<T>>>, event: &T) {
    watchers.borrow_mut().retain(|watcher| watcher.push(event.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::events;

    #[test]
    fn listeners_that_are_gone_are_forgotten() {
        let watchers = RefCell::default();
        let add = || {
            let (sender, events) = events::channel([]);
            listen(&watchers, sender);
            events
        };
        for _ in 0..10 {
            drop(add());
        }
        let kept = add();
        assert_eq!(watchers.borrow().len(), 1, "also while nothing happens");
        drop(add());
        tell(&watchers, &NodeStatus::default());
        assert_eq!(watchers.borrow().len(), 1, "and when something does");
        assert_eq!(kept.try_next(), Some(NodeStatus::default()));
    }
}
