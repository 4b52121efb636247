//! How a peer's connection moves from state to state: dials, incoming connections, decisions, losses.

use crate::{Generation, Role, SessionId};

use super::{
    Accept, AcceptPolicy, Action, AttemptId, Cause, CloseCode, ConnId, Event, Reason,
    peer::{Background, Consent, Cx, Held, Peer, Session, State, span},
    rule::Rule,
};

impl Peer {
    /// Dial, for whatever waits. Only from a state without a connection.
    pub(super) fn dial(&mut self, cx: &mut Cx<'_>) {
        let attempt = cx.core.next_attempt();
        let generation = cx.core.raise();
        self.enter(cx, State::Dialing { attempt, deadline: cx.after(span::DIAL), held: None });
        self.emit(cx, Event::Connecting);
        cx.out.push(Action::Dial { attempt, peer: self.id, generation });
    }

    /// There is no connection, for this cause: dial if something is due, wait if something is not, else rest.
    pub(super) fn dial_or_rest(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        let due = self.intents.values().any(|intent| intent.owner.is_none() && intent.next <= cx.now);
        if due && cx.core.running {
            self.dial(cx);
        } else {
            self.wait_or_rest(cx, cause);
        }
    }

    /// There is no connection, for this cause: wait if there is something to wait for, else rest.
    fn wait_or_rest(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        let waits = cx.core.running && self.has_work();
        self.enter(cx, if waits { State::Waiting } else { State::None });
        self.lost_by = waits.then_some(cause);
        self.tell_wait(cx);
    }

    /// Tell when the next dial is due, if one is waited for.
    pub(super) fn tell_wait(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Waiting)
            && let (Some(cause), Some(retry)) = (self.lost_by, self.retry(cx.core))
            && cx.keeps(Rule::LossIsTold)
        {
            self.emit(cx, Event::Reconnecting { cause, retry });
        }
    }

    /// The Hello of an incoming connection of this peer was read (or a held connection's turn has come). `room`: whether the
    /// limit of sessions allows one more.
    pub(super) fn incoming(&mut self, cx: &mut Cx<'_>, conn: ConnId, hello: Generation, room: bool) {
        if !cx.core.running {
            return cx.close(conn, CloseCode::ShuttingDown, "shutting down");
        }
        match self.state {
            State::None | State::Waiting | State::Terminating { .. } => self.admit(cx, conn, hello, room),
            State::Deciding { conn: deciding, hello: known } => {
                if cx.core.newer(hello, known) && cx.keeps(Rule::NewerReplacesDecided) {
                    cx.close(deciding, CloseCode::Duplicate, "a newer connection is being decided");
                    self.state = State::Deciding { conn, hello };
                } else {
                    cx.close(conn, CloseCode::Duplicate, "a newer connection is being decided");
                }
            }
            State::Dialing { attempt, held, deadline } => {
                if self.id > cx.core.me && cx.keeps(Rule::LesserGivesUp) {
                    cx.out.push(Action::Cancel { attempt, code: CloseCode::Duplicate, reason: "the greater side's dial goes first" });
                    self.commit(cx, conn, hello);
                } else {
                    let held = self.hold(cx, conn, hello, held);
                    self.state = State::Dialing { attempt, deadline, held };
                }
            }
            State::Accepting { conn: current, hello: known, .. } | State::Active { conn: current, hello: known, .. } => {
                let newer = cx.core.newer(hello, known) && cx.keeps(Rule::NewerSupersedes);
                if newer || !cx.keeps(Rule::OlderIsLeftover) {
                    let code = if cx.keeps(Rule::SupersededCode) { CloseCode::Superseded } else { CloseCode::Duplicate };
                    cx.close(current, code, "superseded by a newer connection");
                    self.commit(cx, conn, hello);
                } else {
                    cx.close(conn, CloseCode::Duplicate, "another connection is current");
                }
            }
        }
    }

    /// The greater side holds the newest other connection, unanswered.
    fn hold(&self, cx: &mut Cx<'_>, conn: ConnId, hello: Generation, held: Option<Held>) -> Option<Held> {
        match held {
            None if cx.keeps(Rule::GreaterHolds) => Some(Held { conn, hello, until: cx.after(span::HOLD) }),
            Some(older) if cx.core.newer(hello, older.hello) || !cx.keeps(Rule::NewestIsHeld) => {
                cx.close(older.conn, CloseCode::Duplicate, "a newer connection is held");
                Some(Held { conn, hello, until: older.until })
            }
            newer @ (None | Some(_)) => {
                cx.close(conn, CloseCode::Duplicate, "a newer connection is held");
                newer
            }
        }
    }

    /// There is no current connection but for one that says goodbye: take this one, or ask.
    fn admit(&mut self, cx: &mut Cx<'_>, conn: ConnId, hello: Generation, room: bool) {
        if !room && !self.has_work() && cx.keeps(Rule::SessionLimit) {
            return cx.close(conn, CloseCode::LimitExceeded, "too many sessions");
        }
        if let State::Terminating { conn, deadline } = self.enter(cx, State::None)
            && cx.keeps(Rule::GoodbyeInBackground)
            && let Some(older) = self.background.replace(Background { conn, deadline })
        {
            cx.close(older.conn, CloseCode::Ok, "enough was said");
        }
        let wanted = self.has_work() && cx.keeps(Rule::IntentsOverrideHandler);
        if wanted || cx.core.accept == AcceptPolicy::Everyone || !cx.keeps(Rule::HandlerIsAsked) {
            self.commit(cx, conn, hello);
        } else {
            self.enter(cx, State::Deciding { conn, hello });
            self.ask(cx, conn);
        }
    }

    fn ask(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        let decision = cx.core.next_attempt();
        self.consent = Consent::Asking { decision, deadline: cx.after(span::DECISION) };
        cx.out.push(Action::AskHandler { decision, peer: self.id, conn });
    }

    /// Decided: this incoming connection becomes the current one. The caller has closed the one before. A running session ends;
    /// its intents will join the new one. Whoever was asked about this peer is not asked again.
    pub(super) fn commit(&mut self, cx: &mut Cx<'_>, conn: ConnId, hello: Generation) {
        let attempt = cx.core.next_attempt();
        let generation = if cx.keeps(Rule::AcceptRaises) { cx.core.raise() } else { cx.core.generation() };
        self.end_session(cx, CloseCode::Superseded);
        self.enter(cx, State::Accepting { attempt, conn, hello, deadline: cx.after(span::ESTABLISH) });
        let consent = if cx.keeps(Rule::HandlerIsAskedOnce) { self.consent } else { Consent::NotAsked };
        match (consent, cx.core.accept) {
            (Consent::NotAsked, AcceptPolicy::Everyone) => self.consent = Consent::Yes(Accept::Everything),
            (Consent::NotAsked, AcceptPolicy::AskHandler) => self.ask(cx, conn),
            (Consent::Asking { .. } | Consent::Yes(_) | Consent::No, AcceptPolicy::Everyone | AcceptPolicy::AskHandler) => {}
        }
        cx.out.push(Action::Establish { attempt, conn, peer: self.id, generation });
    }

    /// A dial or establish of this peer, the current one, succeeded.
    pub(super) fn established(&mut self, cx: &mut Cx<'_>, conn: ConnId, hello: Generation) {
        match self.state {
            State::Dialing { held: Some(held), .. } if cx.core.newer(held.hello, hello) && cx.keeps(Rule::NewerHeldWins) => {
                cx.close(conn, CloseCode::Superseded, "the held connection is newer");
                self.commit(cx, held.conn, held.hello);
            }
            State::Dialing { held, .. } => {
                if let Some(held) = held
                    && cx.keeps(Rule::HeldIsClosed)
                {
                    cx.close(held.conn, CloseCode::Duplicate, "the greater side's dial goes first");
                }
                self.activate(cx, conn, Role::Alfie, hello);
            }
            State::Accepting { conn: current, hello, .. } if current == conn => self.activate(cx, conn, Role::Betty, hello),
            State::None
            | State::Deciding { .. }
            | State::Accepting { .. }
            | State::Active { .. }
            | State::Terminating { .. }
            | State::Waiting => cx.close(conn, CloseCode::Duplicate, "the attempt was given up"),
        }
    }

    fn activate(&mut self, cx: &mut Cx<'_>, conn: ConnId, role: Role, hello: Generation) {
        self.end_session(cx, CloseCode::Superseded);
        self.enter(cx, State::Active { conn, role, hello, probe: None });
        self.emit(cx, Event::Established { role });
        self.start_session(cx);
    }

    /// A dial or establish of this peer, the current one, failed.
    pub(super) fn attempt_failed(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        if !cx.keeps(Rule::AttemptEnds) {
            return;
        }
        if let State::Accepting { conn, .. } = self.state {
            cx.close(conn, cause.close_code(), "establishing failed");
        }
        self.lost(cx, cause, None);
    }

    /// The current attempt or connection is gone for this cause; the caller has closed what there was. `reported`: the session
    /// that told so, and has ended.
    pub(super) fn lost(&mut self, cx: &mut Cx<'_>, cause: Cause, reported: Option<SessionId>) {
        let held = match self.state {
            State::Dialing { held, .. } => {
                let held = held.filter(|_| cx.keeps(Rule::HeldIsPromoted));
                self.charge_dial(cx, cause, held.is_some());
                held
            }
            State::Accepting { .. } => {
                self.charge_accept(cx, cause);
                None
            }
            State::Active { .. } => {
                match self.session {
                    Session::Active { id, started, .. } => self.charge_session(cx, cause, id, started),
                    Session::None | Session::Ending { .. } => self.charge_accept(cx, cause),
                }
                None
            }
            State::None | State::Deciding { .. } | State::Terminating { .. } | State::Waiting => return,
        };
        self.enter(cx, State::None);
        if cx.keeps(Rule::AcceptDies) {
            self.drop_consent(cx);
        }
        if reported.is_none() || reported != self.session_id() {
            self.end_session(cx, if let Cause::Closed(code) = cause { code } else { CloseCode::Failed });
        } else if let Some(id) = reported {
            self.session = Session::Ending { id, deadline: cx.now };
        }
        let retry = self.retry(cx.core).filter(|_| held.is_none());
        if cx.keeps(Rule::LossIsTold) {
            self.emit(cx, Event::Disconnected { cause, retry });
        }
        if cause == Cause::Closed(CloseCode::Superseded) && cx.keeps(Rule::IdentityIsTold) {
            self.emit(cx, Event::IdentityInUse { certain: true });
        }
        match held {
            Some(held) => self.incoming(cx, held.conn, held.hello, true),
            None => self.wait_or_rest(cx, cause),
        }
    }

    /// A connection of this peer ended.
    pub(super) fn connection_lost(&mut self, cx: &mut Cx<'_>, conn: ConnId, cause: Cause) {
        if self.background.is_some_and(|background| background.conn == conn) {
            self.background = None;
            return;
        }
        match &mut self.state {
            State::Deciding { conn: current, .. } if *current == conn => {
                self.enter(cx, State::None);
                self.drop_consent(cx);
                self.dial_or_rest(cx, cause);
            }
            State::Dialing { held, .. } => {
                if held.is_some_and(|held| held.conn == conn) {
                    *held = None;
                }
            }
            State::Accepting { conn: current, .. } | State::Active { conn: current, .. } if *current == conn => self.lost(cx, cause, None),
            State::Terminating { conn: current, .. } if *current == conn => self.terminated(cx),
            State::None
            | State::Deciding { .. }
            | State::Accepting { .. }
            | State::Active { .. }
            | State::Terminating { .. }
            | State::Waiting => {}
        }
    }

    /// The goodbyes of this connection are over.
    pub(super) fn goodbye_over(&mut self, cx: &mut Cx<'_>, conn: ConnId) {
        match self.state {
            State::Terminating { conn: current, .. } if current == conn => self.terminated(cx),
            State::None
            | State::Deciding { .. }
            | State::Dialing { .. }
            | State::Accepting { .. }
            | State::Active { .. }
            | State::Terminating { .. }
            | State::Waiting => {
                if self.background.is_some_and(|background| background.conn == conn) {
                    self.background = None;
                }
            }
        }
    }

    /// The current connection ended well.
    fn terminated(&mut self, cx: &mut Cx<'_>) {
        self.enter(cx, State::None);
        self.emit(cx, Event::Terminated);
        self.renew_rests(cx.now);
        if cx.keeps(Rule::RedialAfterGoodbye) {
            self.dial_or_rest(cx, Cause::Closed(CloseCode::Ok));
        }
    }

    /// The accept handler answered the question that is open.
    pub(super) fn decided(&mut self, cx: &mut Cx<'_>, decision: AttemptId, accept: bool) {
        let answer = if accept { Consent::Yes(Accept::Decision(decision)) } else { Consent::No };
        if !accept {
            cx.out.push(Action::ForgetDecision { decision });
        }
        let code = if cx.keeps(Rule::RefusalCode) { CloseCode::Refused } else { CloseCode::Failed };
        self.answer(cx, answer, code, "the accept handler said no");
    }

    /// The question is answered, or nobody waits for an answer any more.
    fn answer(&mut self, cx: &mut Cx<'_>, answer: Consent, code: CloseCode, reason: &'static str) {
        match self.state {
            State::Deciding { conn, hello } => {
                if matches!(answer, Consent::Yes(_)) || self.has_work() && cx.keeps(Rule::IntentsOverrideHandler) {
                    self.consent = answer;
                    self.commit(cx, conn, hello);
                } else {
                    self.consent = Consent::NotAsked;
                    cx.close(conn, code, reason);
                    self.enter(cx, State::None);
                    self.dial_or_rest(cx, Cause::LocallyClosed);
                }
            }
            State::Accepting { .. } => self.consent = answer,
            State::Active { .. } => {
                self.consent = answer;
                self.add_accept(cx);
            }
            State::None | State::Dialing { .. } | State::Terminating { .. } | State::Waiting => {
                self.consent = Consent::NotAsked;
                self.forget(cx, answer);
            }
        }
    }

    /// The handler did not answer in time.
    fn decision_late(&mut self, cx: &mut Cx<'_>) {
        let asked = std::mem::replace(&mut self.consent, Consent::No);
        self.forget(cx, asked);
        let code = if cx.keeps(Rule::LateHandlerCode) { CloseCode::Failed } else { CloseCode::Refused };
        self.answer(cx, Consent::No, code, "the accept handler did not answer in time");
    }

    /// A deadline of this peer has passed.
    pub(super) fn overdue(&mut self, cx: &mut Cx<'_>, due: Reason) {
        match due {
            Reason::Decision => self.decision_late(cx),
            Reason::Ending => self.session_over(cx),
            Reason::Backoff => {
                if self.has_work() {
                    self.dial(cx);
                }
            }
            Reason::Dial => {
                if let State::Dialing { attempt, .. } = self.state {
                    cx.out.push(Action::Cancel { attempt, code: CloseCode::Failed, reason: "dialing took too long" });
                    self.lost(cx, Cause::Deadline(due), None);
                }
            }
            Reason::Hold => self.promote(cx),
            Reason::Establish | Reason::Finish | Reason::Probe => {
                if let Some(conn) = self.conn() {
                    cx.close(conn, CloseCode::Failed, "no answer in time");
                }
                self.lost(cx, Cause::Deadline(due), None);
                if due == Reason::Probe && cx.core.surroundings.relay && cx.keeps(Rule::SilenceIsTold) {
                    self.emit(cx, Event::IdentityInUse { certain: false });
                }
            }
            Reason::Goodbye => self.goodbye_late(cx),
            Reason::Hello | Reason::Shutdown => {}
        }
    }

    /// The own dial has had its time: the held connection's turn.
    fn promote(&mut self, cx: &mut Cx<'_>) {
        if let State::Dialing { attempt, held: Some(held), .. } = self.state {
            cx.out.push(Action::Cancel { attempt, code: CloseCode::Duplicate, reason: "the held connection takes its place" });
            self.enter(cx, State::None);
            self.incoming(cx, held.conn, held.hello, true);
        }
    }

    fn goodbye_late(&mut self, cx: &mut Cx<'_>) {
        if let Some(background) = self.background
            && background.deadline <= cx.now
        {
            cx.close(background.conn, CloseCode::Ok, "no goodbye in time");
            self.background = None;
        }
        if let State::Terminating { conn, deadline } = self.state
            && deadline <= cx.now
        {
            cx.close(conn, CloseCode::Ok, "no goodbye in time");
            self.terminated(cx);
        }
    }
}
