//! The handles of an intent and of an accepted session.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use osier_core::{IntentId, PeerId, SessionId, peers::Input};
use tokio::sync::{mpsc, oneshot};

use super::{Completion, Error, Events, Interest, SessionEvent, driver::Job, intents, log::SessionLog};

/// An intent to sync with a peer. Clones are handles of the same intent; when the last is dropped, the intent is closed,
/// unless it was [detached](Intent::detach).
#[derive(Clone, Debug)]
pub struct Intent {
    shared: Arc<IntentShared>,
}

struct IntentShared {
    id: IntentId,
    peer: PeerId,
    log: Arc<SessionLog>,
    jobs: mpsc::UnboundedSender<Job>,
    detached: AtomicBool,
}

impl std::fmt::Debug for IntentShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intent").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl IntentShared {
    fn ask_to_close(&self) {
        let intent = self.id;
        // Without a node the intent has settled already.
        let _ = self.jobs.send(Box::new(move |node| node.input(Input::CloseIntent { intent })));
    }
}

impl Drop for IntentShared {
    fn drop(&mut self) {
        if !self.detached.load(Ordering::Relaxed) && !self.log.is_settled() {
            self.ask_to_close();
        }
    }
}

impl Intent {
    pub(super) fn new(id: IntentId, peer: PeerId, log: Arc<SessionLog>, jobs: mpsc::UnboundedSender<Job>) -> Self {
        Self { shared: Arc::new(IntentShared { id, peer, log, jobs, detached: AtomicBool::new(false) }) }
    }

    /// Names the intent within its node.
    #[must_use]
    pub fn id(&self) -> IntentId {
        self.shared.id
    }

    /// Whom it is about.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.shared.peer
    }

    /// How it ends. Settles once; every caller gets the same answer, also one who asks late.
    ///
    /// # Errors
    /// Why it failed.
    pub async fn completed(&self) -> Result<Completion, Error> {
        self.shared.log.outcome().await
    }

    /// Its events: first what is true now, then all that follow. The last is `Ended` or `Error`.
    #[must_use]
    pub fn events(&self) -> Events<SessionEvent> {
        self.shared.log.events()
    }

    /// Adds interests, while it is not settled: what an intent in everything is about already changes nothing. Resolves when the session
    /// knows of them, or will from its beginning; a once-intent is not done before they are reconciled, too.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::NotAuthorised`] if no capability here reads one of them, [`Error::Closed`] if the intent was done
    /// before. None of them changes anything, nor ends the intent.
    pub async fn add_interests(&self, interests: Vec<Interest>) -> Result<(), Error> {
        let (reply, added) = oneshot::channel();
        let intent = self.id();
        // Without a node the intent has settled already.
        let _ = self.shared.jobs.send(Box::new(move |node| intents::add_interests(node, intent, interests, reply)));
        match added.await {
            Ok(result) => result,
            // Its session ended before it could reply: an intent that goes on takes them to the next one.
            Err(_) if !self.shared.log.is_settled() => Ok(()),
            Err(_) => Err(if self.completed().await == Err(Error::ShuttingDown) { Error::ShuttingDown } else { Error::Closed }),
        }
    }

    /// Closes it, and waits until it has settled. Closing twice is closing once.
    pub async fn close(&self) {
        self.ask_to_close();
        // However it settles is fine.
        let _ = self.shared.log.outcome().await;
    }

    pub(super) fn ask_to_close(&self) {
        if !self.shared.log.is_settled() {
            self.shared.ask_to_close();
        }
    }

    /// Lets the intent run on when its handles are dropped.
    pub fn detach(&self) {
        self.shared.detached.store(true, Ordering::Relaxed);
    }
}

/// A session that a peer asked for and this node accepted.
#[derive(Clone, Debug)]
pub struct IncomingSession {
    peer: PeerId,
    session: SessionId,
    log: Arc<SessionLog>,
}

impl IncomingSession {
    pub(super) fn new(peer: PeerId, session: SessionId, log: Arc<SessionLog>) -> Self {
        Self { peer, session, log }
    }

    /// Who asked for it.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// Names the session within this node.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Its events: first what is true now, then all that follow. The last is `Ended` or `Error`. Not listening changes nothing.
    #[must_use]
    pub fn events(&self) -> Events<SessionEvent> {
        self.log.events()
    }
}

impl super::events::Coalesce for IncomingSession {
    fn replaces(&self, _older: &Self) -> bool {
        false
    }

    fn may_be_lost(&self) -> bool {
        // One whose session is over tells a slow consumer least.
        self.log.is_settled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::events;

    #[test]
    fn a_slow_consumer_of_sessions_loses_those_that_are_over_first() {
        let session = |number| IncomingSession::new(PeerId([1; 32]), SessionId(number), Arc::new(SessionLog::new()));
        let (sender, sessions) = events::channel([]);
        sender.push(session(0));
        for number in 1..5000 {
            let over = session(number);
            over.log.settle(Ok(Completion::Complete));
            sender.push(over);
        }
        let kept: Vec<_> = std::iter::from_fn(|| sessions.try_next()).map(|session| session.session().0).collect();
        assert_eq!((kept.first(), kept.last()), (Some(&0), Some(&4999)));
        assert!(kept.len() < 5000);
    }
}
