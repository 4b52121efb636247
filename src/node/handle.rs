//! The handle of a node: its life, its peers, its intents. Every method is a message to the node's own thread and back.

use std::{future::Future, rc::Rc, sync::Arc};

use osier_core::{PeerId, peers::Input, wallet::PeerAddress};
use tokio::sync::{mpsc, oneshot};

use super::{
    Error, Events, IncomingSession, Intent, IntentSet, Lifecycle, NodeOptions, NodeStatus, PeerEvent, PeerInfo, SessionInit, StorageInfo,
    driver::{self, Job},
    events,
    inner::{self, Inner, Life, Shared},
    intents::{self, Submission},
    lifecycle,
    log::SessionLog,
    main, sessions, status,
};
use crate::{net, platform};

/// A running node. Clones are handles of the same node, and may be used from any thread. All futures may be dropped at any await:
/// the store stays consistent. After [`Node::shutdown`] every method fails with [`Error::ShuttingDown`]. When the last handle of a node,
/// its intents included, is dropped, it shuts down by itself.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedSender<Job>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("id", &self.shared.id).finish_non_exhaustive()
    }
}

impl Node {
    /// Opens a node. Does not wait for a relay.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a relay that is no URL.
    pub async fn open(mut options: NodeOptions) -> Result<Self, Error> {
        for relay in &mut options.relays {
            *relay = net::check_relay_url(relay).map_err(|error| Error::invalid_argument("relays", error))?;
        }
        let (ready, opened) = oneshot::channel();
        let (jobs, queue) = mpsc::unbounded_channel();
        platform::start(move || main::run(options, queue, ready)).map_err(|error| Error::Fatal { reason: error.to_string() })?;
        let shared = opened.await.unwrap_or_else(|_| Err(Error::Fatal { reason: "the node's thread ended".to_owned() }))?;
        Ok(Self { shared, jobs })
    }

    /// The endpoint id.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.shared.id
    }

    /// Where this node can be reached: its relays, those that are connected first.
    #[must_use]
    pub fn address(&self) -> PeerAddress {
        PeerAddress { id: self.shared.id, relays: self.shared.relays() }
    }

    /// Waits until a relay is connected, however long that takes.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn online(&self) -> Result<(), Error> {
        let mut online = self.shared.online.subscribe();
        tokio::select! {
            biased;
            () = self.shared.ending() => Err(Error::ShuttingDown),
            _ = online.wait_for(|online| *online) => Ok(()),
        }
    }

    /// Every peer that something is going on with.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, Error> {
        self.call(|node| async move { Ok(driver::peer_infos(&node)) }).await
    }

    /// Changes of the peers: first those present, then every change.
    #[must_use]
    pub fn watch_peers(&self) -> Events<PeerEvent> {
        let (sender, events) = events::channel([]);
        self.post(move |node| {
            for info in driver::peer_infos(node) {
                sender.push(PeerEvent::Present(info));
            }
            inner::listen(&node.peer_watchers, sender);
        });
        events
    }

    /// The state of the node: first as it is now, then whenever it changes. Intermediate states may be left out.
    #[must_use]
    pub fn watch_status(&self) -> Events<NodeStatus> {
        let (sender, events) = events::channel([]);
        self.post(move |node| status::watch(node, sender));
        events
    }

    /// How much is stored, and where.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`], [`Error::StorageLost`].
    pub async fn storage(&self) -> Result<StorageInfo, Error> {
        self.call(|node| async move { status::storage(&node).await }).await
    }

    /// Asks the browser not to delete what is stored to make room for others. Whether it promises that; natively yes. Never in a worker,
    /// which cannot ask.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn request_persistence(&self) -> Result<bool, Error> {
        self.call(|_| async move { Ok(platform::request_persistence().await) }).await
    }

    /// Says what the node cannot see for itself: that its page is hidden, that it was frozen, that there is no network. A page's package
    /// says so by itself; a worker has to be told.
    pub fn notify(&self, lifecycle: Lifecycle) {
        self.post(move |node| lifecycle::notify(node, lifecycle));
    }

    /// Ends every intent with a peer and the connection with it.
    ///
    /// # Errors
    /// [`Error::ShuttingDown`].
    pub async fn disconnect(&self, peer: PeerId) -> Result<(), Error> {
        self.call(move |node| async move {
            node.input(Input::Disconnect { peer });
            Ok(())
        })
        .await
    }

    /// Syncs with a peer. The handle is there at once; what is wrong, with the arguments too, shows in it.
    #[must_use = "dropping the handle closes the intent; `detach` lets it run"]
    pub fn sync(&self, peer: PeerAddress, init: SessionInit) -> Intent {
        let id = self.shared.next_intent();
        let log = Arc::new(SessionLog::new());
        let intent = Intent::new(id, peer.id, log.clone(), self.jobs.clone());
        let submission = Submission::new(id, peer, init, log);
        // Dropped on the way, it settles as `ShuttingDown`.
        let _ = self.jobs.send(Box::new(move |node| intents::submit(node, submission)));
        intent
    }

    /// Syncs with several peers, for the same. Nothing joins the intents: each settles by itself.
    #[must_use = "dropping the handles closes the intents; `detach` lets them run"]
    pub fn sync_all(&self, peers: impl IntoIterator<Item = PeerAddress>, init: &SessionInit) -> IntentSet {
        IntentSet::new(peers.into_iter().map(|peer| self.sync(peer, init.clone())).collect())
    }

    /// Accepted sessions: first those running, then every new one. Not listening changes nothing.
    #[must_use]
    pub fn incoming(&self) -> Events<IncomingSession> {
        let (sender, events) = events::channel([]);
        self.post(move |node| {
            for session in sessions::incoming(node) {
                sender.push(session);
            }
            inner::listen(&node.incoming_watchers, sender);
        });
        events
    }

    /// Shuts down: every intent settles with [`Error::ShuttingDown`], connections are closed, writes under way are finished. 10 s at most,
    /// and some for closing the endpoint; twice is once.
    pub async fn shutdown(&self) {
        let mut life = self.shared.life.subscribe();
        self.shared.life.send_if_modified(|life| {
            let begins = *life == Life::Running;
            if begins {
                *life = Life::Closing;
            }
            begins
        });
        // Asked again by a second caller, it does nothing.
        let asked = self.jobs.send(Box::new(|node| node.input(Input::Shutdown)));
        if asked.is_ok() {
            tokio::select! {
                biased;
                _ = life.wait_for(|life| *life == Life::Over) => {}
                // The node's thread ended without a word.
                () = self.jobs.closed() => {}
            }
        }
    }

    /// Runs something on the node's thread and brings back what it says. Dropping the future does not stop it.
    pub(super) async fn call<T, F>(&self, work: impl FnOnce(Rc<Inner>) -> F + Send + 'static) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |node| match node.check_running() {
            Ok(()) => {
                let work = work(node.clone());
                platform::spawn_detached(async move {
                    // Whoever asked may be gone.
                    let _ = reply.send(work.await);
                });
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        });
        if !self.shared.is_running() || self.jobs.send(job).is_err() {
            return Err(self.gone());
        }
        answer.await.unwrap_or_else(|_| Err(self.gone()))
    }

    /// Runs something short on the node's thread, if that is running.
    pub(super) fn post(&self, work: impl FnOnce(&Rc<Inner>) + Send + 'static) {
        let _ = self.jobs.send(Box::new(move |node| {
            if node.check_running().is_ok() {
                work(node);
            }
        }));
    }

    /// Why nobody answers.
    pub(super) fn gone(&self) -> Error {
        if self.shared.is_running() { Error::Fatal { reason: "the node's thread ended".to_owned() } } else { Error::ShuttingDown }
    }
}
