//! How a peer's session and its intents move: submitted, handed over, done, taken back.

use crate::{IntentId, Mode, SessionId};

use super::{
    Action, Cause, CloseCode, Completion, IntentError, Outcome, ReconnectPolicy,
    peer::{Consent, Cx, Intent, Peer, Session, State, span},
    rule::Rule,
};

impl Peer {
    /// A new intent for this peer.
    pub(super) fn submit(&mut self, cx: &mut Cx<'_>, id: IntentId, mode: Mode, policy: ReconnectPolicy) {
        self.intents.insert(id, Intent::new(mode, policy, cx.now));
        match self.state {
            State::None | State::Waiting if cx.keeps(Rule::IntentDials) => self.dial(cx),
            State::Deciding { conn, hello } if cx.keeps(Rule::IntentAccepts) => self.commit(cx, conn, hello),
            State::Active { .. } if cx.keeps(Rule::IntentJoinsSession) => self.hand_over(cx, id),
            State::None
            | State::Waiting
            | State::Deciding { .. }
            | State::Active { .. }
            | State::Dialing { .. }
            | State::Accepting { .. }
            | State::Terminating { .. } => {}
        }
    }

    /// Give an intent of the queue to the running session, unless that is on its way out.
    fn hand_over(&mut self, cx: &mut Cx<'_>, id: IntentId) {
        if let Session::Active { id: session, finish: None, .. } = self.session
            && let Some(intent) = self.intents.get_mut(&id)
        {
            intent.join(session);
            cx.out.push(Action::HandOver { session, intent: id });
        }
    }

    /// The user is done with an intent.
    pub(super) fn close_intent(&mut self, cx: &mut Cx<'_>, id: IntentId) {
        let Some(intent) = self.intents.remove(&id) else { return };
        if let Some(session) = intent.owner {
            cx.out.push(Action::WithdrawIntent { session, intent: id });
        }
        cx.settle(id, Outcome::Closed);
        self.slacken(cx);
    }

    /// There may be less to do than before: a dial without an intent is cancelled, a session without one finishes.
    fn slacken(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            State::Dialing { attempt, .. } if !self.has_work() && cx.keeps(Rule::IdleDialIsCancelled) => {
                cx.out.push(Action::Cancel { attempt, code: CloseCode::Failed, reason: "no intent is left" });
                self.lost(cx, Cause::LocallyClosed, None);
            }
            State::Waiting if !self.has_work() => {
                self.enter(cx, State::None);
            }
            State::Active { .. } => self.finish_if_idle(cx),
            State::None
            | State::Deciding { .. }
            | State::Dialing { .. }
            | State::Accepting { .. }
            | State::Terminating { .. }
            | State::Waiting => {}
        }
    }

    /// The user wants nothing to do with this peer for now.
    pub(super) fn disconnect(&mut self, cx: &mut Cx<'_>) {
        const REASON: &str = "disconnected by the user";
        if let State::Dialing { held, .. } = &mut self.state
            && let Some(held) = held.take()
        {
            cx.close(held.conn, CloseCode::Refused, REASON);
        }
        match self.state {
            State::Deciding { conn, .. } | State::Accepting { conn, .. } => {
                cx.close(conn, CloseCode::Refused, REASON);
                self.enter(cx, State::None);
                self.drop_consent(cx);
            }
            State::Active { .. } => self.no_longer_accept(cx),
            State::None | State::Dialing { .. } | State::Terminating { .. } | State::Waiting => {}
        }
        let intents: Vec<_> = self.intents.keys().copied().collect();
        for id in intents {
            self.close_intent(cx, id);
        }
        self.slacken(cx);
    }

    /// The user takes back the yes that is in use.
    pub(super) fn withdraw_accept(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            State::Accepting { conn, .. } if !self.has_work() => {
                cx.close(conn, CloseCode::Refused, "the accept handler's yes was taken back");
                self.enter(cx, State::None);
                self.drop_consent(cx);
            }
            State::Accepting { .. } | State::Active { .. } => {
                self.no_longer_accept(cx);
                self.finish_if_idle(cx);
            }
            // Without a connection that was accepted no yes is in use.
            State::None | State::Deciding { .. } | State::Dialing { .. } | State::Terminating { .. } | State::Waiting => {}
        }
    }

    /// The peer is welcome no more; what it shares with own intents goes on.
    fn no_longer_accept(&mut self, cx: &mut Cx<'_>) {
        let consent = std::mem::replace(&mut self.consent, Consent::No);
        self.forget(cx, consent);
        if let (Session::Active { id, finish: None, .. }, Consent::Yes(_)) = (self.session, consent) {
            cx.out.push(Action::DropAccept { session: id });
        }
    }

    /// The connection is active: start a session with everything that waits, unless an old one is still ending.
    pub(super) fn start_session(&mut self, cx: &mut Cx<'_>) {
        let State::Active { conn, role, probe, .. } = self.state else { return };
        if !matches!(self.session, Session::None) && cx.keeps(Rule::OneSession) {
            return;
        }
        let session = cx.core.next_session();
        let mut intents = Vec::new();
        for (&id, intent) in self.intents.iter_mut().filter(|_| cx.keeps(Rule::QueueJoinsSession)) {
            intent.join(session);
            intents.push(id);
        }
        let accept = match self.consent {
            Consent::Yes(accept) => Some(accept),
            Consent::NotAsked | Consent::Asking { .. } | Consent::No => None,
        };
        self.session = Session::Active { id: session, started: cx.now, finish: None };
        cx.out.push(Action::StartSession { session, conn, peer: self.id, role, accept, intents });
        if probe.is_some() {
            self.probe(cx);
        }
        self.finish_if_idle(cx);
    }

    /// The answer of the accept handler came while the session was running.
    pub(super) fn add_accept(&mut self, cx: &mut Cx<'_>) {
        if let (Session::Active { id: session, finish: None, .. }, Consent::Yes(accept)) = (self.session, self.consent) {
            cx.out.push(Action::AddAccept { session, accept });
        }
        self.finish_if_idle(cx);
    }

    /// Without an intent, and without hope of one, our direction of the session is finished.
    fn finish_if_idle(&mut self, cx: &mut Cx<'_>) {
        let welcome = matches!(self.consent, Consent::Yes(_) | Consent::Asking { .. });
        let Session::Active { id, finish: None, .. } = self.session else { return };
        if !welcome && !self.intents.values().any(|intent| intent.owner == Some(id)) && cx.keeps(Rule::IdleSessionFinishes) {
            self.finish(cx);
        }
    }

    fn finish(&mut self, cx: &mut Cx<'_>) {
        if let Session::Active { id: session, finish, .. } = &mut self.session
            && finish.is_none()
        {
            *finish = Some(cx.after(span::FINISH));
            cx.out.push(Action::FinishSession { session: *session });
        }
    }

    /// The peer finished its direction.
    pub(super) fn peer_finished(&mut self, cx: &mut Cx<'_>) {
        self.finish(cx);
    }

    /// Bytes moved in the session.
    pub(super) fn progress(&mut self, cx: &mut Cx<'_>) {
        if let Session::Active { finish: Some(finish), .. } = &mut self.session {
            *finish = cx.after(span::FINISH);
        }
    }

    /// A session reports the end of an intent. It counts only if the session owns it.
    pub(super) fn intent_done(&mut self, cx: &mut Cx<'_>, session: SessionId, id: IntentId, outcome: Result<Completion, IntentError>) {
        let owns = self.intents.get(&id).is_some_and(|intent| intent.owner == Some(session));
        if !owns && cx.keeps(Rule::OneOwner) {
            return;
        }
        self.intents.remove(&id);
        cx.settle(id, outcome.map_or_else(Outcome::Failed, Outcome::Done));
        self.slacken(cx);
    }

    /// The session of this peer completed: graceful termination, if it was the running one.
    pub(super) fn session_complete(&mut self, cx: &mut Cx<'_>) {
        match self.session {
            Session::None => {}
            Session::Ending { .. } => self.session_over(cx),
            Session::Active { id, started, .. } => {
                self.session = Session::None;
                self.prove(cx, id, started);
                if cx.keeps(Rule::UnprocessedReturns) {
                    self.take_back(cx, id, true);
                }
                self.drop_consent(cx);
                let State::Active { conn, .. } = self.state else { return };
                if cx.keeps(Rule::GracefulGoodbye) {
                    self.enter(cx, State::Terminating { conn, deadline: cx.after(span::GOODBYE) });
                    cx.out.push(Action::TerminateGracefully { conn });
                } else {
                    cx.close(conn, CloseCode::Ok, "no goodbye");
                    self.enter(cx, State::None);
                    self.dial_or_rest(cx, Cause::Closed(CloseCode::Ok));
                }
            }
        }
    }

    /// The session of this peer ended without completion.
    pub(super) fn session_ended(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        match self.session {
            Session::None => {}
            Session::Ending { id, .. } => {
                if !cx.keeps(Rule::OneLossOneAttempt) {
                    self.charge_session(cx, cause, id, cx.now);
                }
                self.session_over(cx);
            }
            Session::Active { .. } if !cx.keeps(Rule::EndWithoutCompletion) => {}
            Session::Active { id, .. } => {
                if let Some(conn) = self.conn() {
                    cx.close(conn, cause.close_code(), "the session ended without completion");
                }
                self.lost(cx, cause, Some(id));
                self.session_over(cx);
            }
        }
    }

    /// A running session is to end, because its connection does.
    pub(super) fn end_session(&mut self, cx: &mut Cx<'_>, code: CloseCode) {
        if let Session::Active { id, .. } = self.session {
            self.session = Session::Ending { id, deadline: cx.after(span::ENDING) };
            if code == CloseCode::Superseded && !cx.keeps(Rule::IntentsAreCarriedOver) {
                self.charge_session(cx, Cause::Closed(CloseCode::Refused), id, cx.now);
            }
            cx.out.push(Action::AbortSession { session: id, code });
        }
    }

    /// The ending session is over, or had its time: it owns nothing any more, and what it may still say is ignored.
    pub(super) fn session_over(&mut self, cx: &mut Cx<'_>) {
        let Session::Ending { id, .. } = self.session else { return };
        self.session = Session::None;
        self.take_back(cx, id, false);
        match self.state {
            State::Active { conn, .. } if !cx.core.running => {
                cx.close(conn, CloseCode::ShuttingDown, "shutting down");
                self.enter(cx, State::None);
            }
            State::Active { .. } => self.start_session(cx),
            State::None => self.dial_or_rest(cx, Cause::LocallyClosed),
            State::Deciding { conn, hello } => {
                if self.queued() {
                    self.commit(cx, conn, hello);
                }
            }
            State::Waiting => self.slacken(cx),
            State::Dialing { .. } | State::Accepting { .. } | State::Terminating { .. } => {}
        }
    }

    /// Deadlines are extended after the machine slept, and the connection is probed.
    pub(super) fn woken(&mut self, cx: &mut Cx<'_>) {
        let grace = if cx.keeps(Rule::WakingExtends) { cx.after(span::GRACE) } else { cx.now };
        let extend = |deadline: &mut crate::Moment| *deadline = (*deadline).max(grace);
        match &mut self.state {
            State::Dialing { deadline, held, .. } => {
                extend(deadline);
                if let Some(held) = held {
                    extend(&mut held.until);
                }
            }
            State::Accepting { deadline, .. } | State::Terminating { deadline, .. } => extend(deadline),
            State::Active { .. } if cx.core.keeps(Rule::WakingProbes) => self.probe(cx),
            State::None | State::Deciding { .. } | State::Active { .. } | State::Waiting => {}
        }
        match &mut self.session {
            Session::Active { finish: Some(deadline), .. } | Session::Ending { deadline, .. } => extend(deadline),
            Session::None | Session::Active { finish: None, .. } => {}
        }
        if let Consent::Asking { deadline, .. } = &mut self.consent {
            extend(deadline);
        }
        if let Some(background) = &mut self.background {
            extend(&mut background.deadline);
        }
    }

    /// Does the peer still answer? Asked when its session starts, if none is running.
    fn probe(&mut self, cx: &mut Cx<'_>) {
        if let State::Active { probe, .. } = &mut self.state {
            *probe = Some(cx.after(span::PROBE));
        }
        if let Session::Active { id: session, .. } = self.session {
            cx.out.push(Action::Probe { session });
        }
    }

    /// The peer answered the probe.
    pub(super) fn probe_answered(&mut self) {
        if let State::Active { probe, .. } = &mut self.state {
            *probe = None;
        }
    }

    /// The network or the page is back: what waits only for time dials now.
    pub(super) fn cut_wait(&mut self, cx: &mut Cx<'_>) {
        for intent in self.intents.values_mut().filter(|intent| !intent.firm) {
            intent.next = intent.next.min(cx.now);
        }
        if matches!(self.state, State::Waiting) && self.due_at().is_some_and(|at| at <= cx.now) {
            self.dial(cx);
        }
    }

    /// The node is shutting down.
    pub(super) fn shut_down(&mut self, cx: &mut Cx<'_>) {
        const REASON: &str = "shutting down";
        if cx.keeps(Rule::ShutdownSettles) {
            self.settle_queued(cx, Outcome::Failed(IntentError::ShuttingDown));
        }
        self.drop_consent(cx);
        match self.state {
            State::Dialing { attempt, held, .. } => {
                if cx.keeps(Rule::ShutdownCancels) {
                    cx.out.push(Action::Cancel { attempt, code: CloseCode::ShuttingDown, reason: REASON });
                }
                if let Some(held) = held {
                    cx.close(held.conn, CloseCode::ShuttingDown, REASON);
                }
                self.enter(cx, State::None);
            }
            State::Deciding { conn, .. } | State::Accepting { conn, .. } => {
                cx.close(conn, CloseCode::ShuttingDown, REASON);
                self.enter(cx, State::None);
            }
            State::Active { .. } if cx.keeps(Rule::ShutdownAborts) => self.end_session(cx, CloseCode::ShuttingDown),
            State::Waiting => {
                self.enter(cx, State::None);
            }
            State::None | State::Active { .. } | State::Terminating { .. } => {}
        }
    }

    /// The time for shutting down is over: nothing may remain.
    pub(super) fn cut_down(&mut self, cx: &mut Cx<'_>) {
        self.shut_down(cx);
        let background = self.background.take().map(|background| background.conn);
        for conn in self.conn().into_iter().chain(background) {
            cx.close(conn, CloseCode::ShuttingDown, "shutting down");
        }
        self.enter(cx, State::None);
        if let Some(session) = self.session_id() {
            self.session = Session::None;
            self.take_back(cx, session, false);
        }
    }
}
