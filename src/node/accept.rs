//! Who may connect: the accept handler, asked beside the loop, and what it answered.
//!
//! Whether to ask, how long to wait and what follows from an answer is decided by the peer manager. A question lives here from
//! [`ask`] to [`forget`]; dropping it drops the handler's future.

use std::{collections::BTreeMap, future::Future, pin::Pin, rc::Rc, sync::Arc};

use osier_core::{
    Mode, PeerId,
    peers::{Accept, AttemptId, Input},
    sync::IntentMode,
    wallet::InterestSelection,
};

use super::{AcceptPolicy, SessionInit, convert, inner::Inner, intents};
use crate::platform::{Task, spawn_local};

/// Decides, peer by peer, who may connect, and what this node is interested in then.
///
/// It is asked once per connection that is not a leftover, and not again when the peer replaces a connection that it had lost. Its future
/// runs on the node's thread, which it must not block, and is dropped when nobody waits for the answer any more: when the
/// peer is gone, after 5 s, at shutdown. `None`, a panic and no answer in time all refuse the peer, whose intents fail with
/// [`Error::Refused`](super::Error::Refused) (no answer in time: they may try again). A peer that an own intent waits for is connected
/// whatever the answer.
#[derive(Clone)]
pub struct AcceptHandler {
    handler: Arc<dyn Fn(PeerId) -> Answer + Send + Sync>,
}

type Answer = Pin<Box<dyn Future<Output = Option<Acceptance>>>>;

impl AcceptHandler {
    /// A handler; an answer is a [`SessionInit`] or, to take it back later, an [`Acceptance`].
    pub fn new<F, A, I>(handler: F) -> Self
    where
        F: Fn(PeerId) -> A + Send + Sync + 'static,
        A: Future<Output = Option<I>> + 'static,
        I: Into<Acceptance>,
    {
        Self {
            handler: Arc::new(move |peer| {
                let answer = handler(peer);
                Box::pin(async move { answer.await.map(Into::into) })
            }),
        }
    }
}

impl std::fmt::Debug for AcceptHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AcceptHandler")
    }
}

/// The yes of an accept handler. An accepted session never outlives the wish of its peer: `Live` means as long as the peer stays,
/// `Once` that no live updates are asked for. A reconnect policy has no effect: only own intents dial.
pub struct Acceptance {
    init: SessionInit,
    until: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Acceptance {
    /// What this node is interested in.
    #[must_use]
    pub fn new(init: SessionInit) -> Self {
        Self { init, until: None }
    }

    /// Takes the yes back when `end` resolves: what was accepted ends as if closed, own intents with the peer go on.
    #[must_use]
    pub fn until(self, end: impl Future<Output = ()> + 'static) -> Self {
        Self { until: Some(Box::pin(end)), ..self }
    }
}

impl From<SessionInit> for Acceptance {
    fn from(init: SessionInit) -> Self {
        Self::new(init)
    }
}

impl std::fmt::Debug for Acceptance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptance").field("init", &self.init).finish_non_exhaustive()
    }
}

/// The questions that the peer manager has asked and not forgotten.
#[derive(Default)]
pub(super) struct Questions {
    all: BTreeMap<AttemptId, Question>,
}

struct Question {
    answer: Option<SessionInit>,
    _task: Task,
}

/// Asks the handler about a peer.
pub(super) fn ask(node: &Rc<Inner>, decision: AttemptId, peer: PeerId) {
    let AcceptPolicy::Ask(handler) = &node.options.accept else {
        // Nobody is accepted but those whom an own intent waits for; or everybody is, and nobody is asked about.
        return node.input(Input::Decided { decision, accept: false });
    };
    let handler = handler.handler.clone();
    let task = spawn_local({
        let node = node.clone();
        async move {
            // However the handler ends, by a panic too, the question is answered.
            let mut verdict = Verdict { node: node.clone(), decision, accept: false };
            let Some(acceptance) = handler(peer).await else { return };
            if let Err(error) = intents::check_interests(&acceptance.init.interests) {
                tracing::warn!(%peer, "the accept handler's answer is refused: {error}");
                return;
            }
            if let Some(question) = node.questions.borrow_mut().all.get_mut(&decision) {
                question.answer = Some(acceptance.init);
            }
            verdict.accept = true;
            drop(verdict);
            if let Some(end) = acceptance.until {
                end.await;
                node.input(Input::AcceptWithdrawn { decision });
            }
        }
    });
    node.questions.borrow_mut().all.insert(decision, Question { answer: None, _task: task });
}

/// Tells the peer manager how the handler decided, when it is dropped.
struct Verdict {
    node: Rc<Inner>,
    decision: AttemptId,
    accept: bool,
}

impl Drop for Verdict {
    fn drop(&mut self) {
        self.node.input(Input::Decided { decision: self.decision, accept: self.accept });
    }
}

/// Nobody needs the answer, now or any more.
pub(super) fn forget(node: &Inner, decision: AttemptId) {
    let forgotten = node.questions.borrow_mut().all.remove(&decision);
    drop(forgotten);
}

/// What this node is interested in, in a session that it accepted.
pub(super) fn interests(node: &Inner, accept: Accept) -> (InterestSelection, IntentMode) {
    let questions = node.questions.borrow();
    let answer = match accept {
        Accept::Everything => return (InterestSelection::All, IntentMode::FollowPeer),
        Accept::Decision(decision) => questions.all.get(&decision).and_then(|question| question.answer.as_ref()),
    };
    // An answer is forgotten only when the session has no use for it.
    answer.map_or((InterestSelection::Only(Vec::new()), IntentMode::FollowPeer), |init| {
        let mode = match init.mode {
            Mode::Once => IntentMode::Once,
            Mode::Live => IntentMode::FollowPeer,
        };
        (convert::selection(&init.interests), mode)
    })
}
