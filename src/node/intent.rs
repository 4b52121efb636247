//! The handle of an intent: what a user holds after `sync`, and of an accepted session.

use osier_core::{PeerId, SessionId};

use super::{Completion, Error, Events, Interest, SessionEvent};

/// An intent to sync with a peer. Clones are handles of the same intent; when the last is dropped, the intent is closed,
/// unless it was [detached](Intent::detach).
#[derive(Clone, Debug)]
pub struct Intent {
    peer: PeerId,
}

impl Intent {
    /// Whom it is about.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// How it ends. Settles once; every caller gets the same answer, also one who asks late.
    pub async fn completed(&self) -> Result<Completion, Error> {
        todo!()
    }

    /// Its events: first what is true now, then all that follow. The last is `Ended` or `Error`.
    #[must_use]
    pub fn events(&self) -> Events<SessionEvent> {
        todo!()
    }

    /// Closes it, and waits until it has settled. Closing twice is closing once.
    pub async fn close(&self) {
        todo!()
    }

    /// Asks for more within the same intent.
    ///
    /// # Errors
    /// When an interest resolves to nothing that may be read, or the intent has ended. The intent itself goes on.
    pub async fn add_interests(&self, interests: Vec<Interest>) -> Result<(), Error> {
        let _ = interests;
        todo!()
    }

    /// Lets the intent run on when its handles are dropped.
    pub fn detach(&self) {
        todo!()
    }
}

/// A session that a peer asked for and this node accepted.
#[derive(Clone, Debug)]
pub struct IncomingSession {
    peer: PeerId,
    session: SessionId,
}

impl IncomingSession {
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
        todo!()
    }
}
