//! One peer: the state of its connection and session, its intents, and what a failure does to them.
//!
//! Knows nothing of other peers: whatever happens here stays here.

use std::collections::BTreeMap;

use crate::{Generation, IntentId, Mode, Moment, PeerId, Role, SessionId};

use super::{
    Accept, AcceptPolicy, Action, AttemptId, Cause, CloseCode, ConnId, ConnectionState, Event, IntentError, Outcome, PeerInfo,
    ReconnectPolicy, Retry, code::After, policy::Jitter, rule::Rule,
};

/// Milliseconds that each stage may take.
pub(super) mod span {
    pub(in super::super) const HELLO: u64 = 10_000;
    pub(in super::super) const DECISION: u64 = 5_000;
    pub(in super::super) const DIAL: u64 = 10_000;
    pub(in super::super) const HOLD: u64 = 3_000;
    pub(in super::super) const ESTABLISH: u64 = 10_000;
    pub(in super::super) const ENDING: u64 = 5_000;
    pub(in super::super) const FINISH: u64 = 10_000;
    pub(in super::super) const GOODBYE: u64 = 10_000;
    pub(in super::super) const PROBE: u64 = 5_000;
    pub(in super::super) const SHUTDOWN: u64 = 10_000;
    /// A live intent whose session ended well dials again after this.
    pub(in super::super) const REST: u64 = 30_000;
    /// A session this long makes up for all failures before it.
    pub(in super::super) const PROVEN: u64 = 60_000;
    /// Failures that cost no attempt do so for this long at most.
    pub(in super::super) const FREE: u64 = 60_000;
    /// The longer waits last at least this.
    pub(in super::super) const LONGER: u64 = 10_000;
    /// After waking, no deadline counts before this has passed.
    pub(in super::super) const GRACE: u64 = 5_000;
    /// A timer this late means that the machine slept.
    pub(in super::super) const LATE: u64 = 10_000;
    /// The same while the page is hidden, when browsers run timers once a minute.
    pub(in super::super) const LATE_HIDDEN: u64 = 90_000;
}

/// How much longer the longer waits are.
const LONGER_FACTOR: u64 = 4;
/// How often a once-intent may come back from a completed session before that counts as a failure.
const FREE_RETURNS: u32 = 3;

/// What all peers share.
#[derive(Clone, Debug)]
pub(super) struct Core {
    pub(super) me: PeerId,
    pub(super) instance: [u8; 16],
    pub(super) accept: AcceptPolicy,
    pub(super) running: bool,
    pub(super) surroundings: Surroundings,
    pub(super) counter: u64,
    pub(super) attempts: u64,
    pub(super) sessions: u64,
    pub(super) jitter: Jitter,
    #[cfg(any(test, feature = "sim"))]
    pub(super) broken: super::rule::Broken,
}

/// What the network and the page told.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Surroundings {
    pub(super) offline: bool,
    pub(super) hidden: bool,
    pub(super) frozen: bool,
    pub(super) relay: bool,
}

impl Surroundings {
    /// Whether waiting has no timer.
    pub(super) fn suspended(self) -> bool {
        self.offline || self.hidden || self.frozen
    }
}

impl Core {
    /// A generation greater than all before.
    pub(super) fn raise(&mut self) -> Generation {
        self.counter = self.counter.saturating_add(1);
        self.generation()
    }

    /// The greatest generation so far.
    pub(super) fn generation(&self) -> Generation {
        Generation { instance: self.instance, counter: self.counter }
    }

    pub(super) fn next_attempt(&mut self) -> AttemptId {
        self.attempts = self.attempts.saturating_add(1);
        AttemptId(self.attempts)
    }

    pub(super) fn next_session(&mut self) -> SessionId {
        self.sessions = self.sessions.saturating_add(1);
        SessionId(self.sessions)
    }
}

/// One step: its time, what all peers share, and where its actions go.
pub(super) struct Cx<'a> {
    pub(super) now: Moment,
    pub(super) core: &'a mut Core,
    pub(super) out: &'a mut Vec<Action>,
}

impl Cx<'_> {
    pub(super) fn close(&mut self, conn: ConnId, code: CloseCode, reason: &'static str) {
        self.out.push(Action::Close { conn, code, reason });
    }

    pub(super) fn settle(&mut self, intent: IntentId, outcome: Outcome) {
        self.out.push(Action::Settle { intent, outcome });
    }

    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.core.keeps(rule)
    }

    pub(super) fn after(&self, millis: u64) -> Moment {
        self.now.after_millis(millis)
    }
}

/// The other connection of a simultaneous open, unanswered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) conn: ConnId,
    pub(super) hello: Generation,
    pub(super) until: Moment,
}

/// The connection with a peer. Exactly one is current.
#[derive(Clone, Debug)]
pub(super) enum State {
    None,
    Deciding { conn: ConnId, hello: Generation },
    Dialing { attempt: AttemptId, deadline: Moment, held: Option<Held> },
    Accepting { attempt: AttemptId, conn: ConnId, hello: Generation, deadline: Moment },
    Active { conn: ConnId, role: Role, hello: Generation, probe: Option<Moment> },
    Terminating { conn: ConnId, deadline: Moment },
    Waiting,
}

/// The session with a peer. `Active` only while the connection is, on that connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Session {
    None,
    Active { id: SessionId, started: Moment, finish: Option<Moment> },
    Ending { id: SessionId, deadline: Moment },
}

/// Whether the peer is welcome on the current connection, own intents aside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Consent {
    NotAsked,
    Asking { decision: AttemptId, deadline: Moment },
    Yes(Accept),
    No,
}

/// A connection that says goodbye in the background.
#[derive(Clone, Copy, Debug)]
pub(super) struct Background {
    pub(super) conn: ConnId,
    pub(super) deadline: Moment,
}

/// An unsettled intent. Its owner is the queue (`None`) or a session.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    pub(super) mode: Mode,
    pub(super) policy: ReconnectPolicy,
    pub(super) owner: Option<SessionId>,
    /// Not to be dialed for before this.
    pub(super) next: Moment,
    /// The wait is not cut short by network or page.
    pub(super) firm: bool,
    /// How it settles when its session is over.
    pub(super) fate: Option<IntentError>,
    failures: u32,
    free_since: Option<Moment>,
    returns: u32,
}

impl Intent {
    pub(super) fn new(mode: Mode, policy: ReconnectPolicy, now: Moment) -> Self {
        Self { mode, policy, owner: None, next: now, firm: false, fate: None, failures: 0, free_since: None, returns: 0 }
    }

    /// What `cause` does to this intent; `established`: its session was running.
    fn charge(&mut self, now: Moment, cause: Cause, established: bool, core: &mut Core) {
        let error = IntentError::after(cause, established);
        match (core.after(cause), self.mode) {
            (After::Terminal, Mode::Once | Mode::Live) => self.fate = Some(error),
            (After::Rest, Mode::Live) => self.rest(now),
            (After::FirstStep, Mode::Once | Mode::Live) => self.retry_free(now, error, core),
            (After::Backoff, Mode::Once | Mode::Live) | (After::Rest, Mode::Once) => self.back_off(now, error, false, core),
            (After::Longer, Mode::Once | Mode::Live) => self.back_off(now, error, true, core),
        }
    }

    fn rest(&mut self, now: Moment) {
        self.next = now.after_millis(span::REST);
        self.firm = true;
    }

    fn back_off(&mut self, now: Moment, error: IntentError, longer: bool, core: &mut Core) {
        let allowed = self.policy.allows_another(self.failures) || !core.keeps(Rule::AttemptLimit);
        if !(allowed && core.keeps(Rule::Retry)) {
            self.fate = Some(error);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.free_since = None;
        let delay = core.delay(self.policy, self.failures);
        let delay = if longer { delay.saturating_mul(LONGER_FACTOR).max(span::LONGER * 1000) } else { delay };
        self.next = now.after_micros(delay);
        self.firm = longer;
    }

    /// The first step of the backoff without counting it, as long as this has not gone on for too long.
    fn retry_free(&mut self, now: Moment, error: IntentError, core: &mut Core) {
        let since = *self.free_since.get_or_insert(now);
        if now.micros_since(since) > span::FREE * 1000 && core.keeps(Rule::FreeRetriesEnd) {
            return self.back_off(now, error, false, core);
        }
        self.next = now.after_micros(core.delay(self.policy, 1));
        self.firm = false;
    }

    /// Back from a session that completed without it.
    fn come_back(&mut self, now: Moment, core: &mut Core) {
        self.owner = None;
        match self.mode {
            Mode::Live if core.keeps(Rule::GoodEndRests) => self.rest(now),
            Mode::Live => self.next = now,
            Mode::Once => {
                self.returns = self.returns.saturating_add(1);
                self.next = now;
                if self.returns > FREE_RETURNS && core.keeps(Rule::ReturnsAreBounded) {
                    self.back_off(now, IntentError::Unfinished, false, core);
                }
            }
        }
    }

    /// Whether it waits for a connection, or will when the session that is `ending` is over.
    fn waits(&self, ending: bool) -> bool {
        self.owner.is_none() || ending && self.fate.is_none()
    }

    pub(super) fn join(&mut self, session: SessionId) {
        self.owner = Some(session);
        self.firm = false;
    }

    /// A session that lasted makes up for the failures before it.
    fn prove(&mut self) {
        self.failures = 0;
        self.free_since = None;
    }
}

/// Everything about one peer.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) state: State,
    pub(super) since: Moment,
    pub(super) session: Session,
    pub(super) consent: Consent,
    pub(super) background: Option<Background>,
    pub(super) intents: BTreeMap<IntentId, Intent>,
    /// Why there is no connection, while waiting for one.
    pub(super) lost_by: Option<Cause>,
    /// Whether anything was told about this peer.
    pub(super) told: bool,
}

impl Peer {
    pub(super) fn new(id: PeerId, now: Moment) -> Self {
        Self {
            id,
            state: State::None,
            since: now,
            session: Session::None,
            consent: Consent::NotAsked,
            background: None,
            intents: BTreeMap::new(),
            lost_by: None,
            told: false,
        }
    }

    /// Nothing is left of this peer.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.state, State::None)
            && matches!(self.session, Session::None)
            && matches!(self.consent, Consent::NotAsked)
            && self.background.is_none()
            && self.intents.is_empty()
    }

    pub(super) fn enter(&mut self, cx: &Cx<'_>, state: State) -> State {
        (self.since, self.lost_by) = (cx.now, None);
        std::mem::replace(&mut self.state, state)
    }

    pub(super) fn emit(&mut self, cx: &mut Cx<'_>, event: Event) {
        self.told = true;
        cx.out.push(Action::Emit { peer: self.id, event });
    }

    pub(super) fn queued(&self) -> bool {
        self.intents.values().any(|intent| intent.owner.is_none())
    }

    /// Whether an intent waits for a connection, or will when the ending session is over.
    pub(super) fn has_work(&self) -> bool {
        self.waiting().next().is_some()
    }

    /// The intents that wait for a connection, or will when the ending session is over.
    fn waiting(&self) -> impl Iterator<Item = &Intent> {
        let ending = matches!(self.session, Session::Ending { .. });
        self.intents.values().filter(move |intent| intent.waits(ending))
    }

    /// When the next dial is due, whatever the surroundings.
    pub(super) fn due_at(&self) -> Option<Moment> {
        self.waiting().map(|intent| intent.next).min()
    }

    /// When the next dial is due; `None` while there is no timer for it.
    pub(super) fn wake_at(&self, core: &Core) -> Option<Moment> {
        if core.surroundings.suspended() && core.keeps(Rule::AwayWaits) { None } else { self.due_at() }
    }

    /// The next attempt, if anything waits for one.
    pub(super) fn retry(&self, core: &Core) -> Option<Retry> {
        let first = self.waiting().min_by_key(|intent| intent.next)?;
        Some(Retry { at: self.wake_at(core), attempt: first.failures.max(1), limit: first.policy.limit() })
    }

    /// The dial or establish that is under way.
    pub(super) fn attempt(&self) -> Option<AttemptId> {
        match self.state {
            State::Dialing { attempt, .. } | State::Accepting { attempt, .. } => Some(attempt),
            State::None | State::Deciding { .. } | State::Active { .. } | State::Terminating { .. } | State::Waiting => None,
        }
    }

    /// The session that may report.
    pub(super) fn session_id(&self) -> Option<SessionId> {
        match self.session {
            Session::None => None,
            Session::Active { id, .. } | Session::Ending { id, .. } => Some(id),
        }
    }

    /// The question whose yes is in use.
    pub(super) fn accepted_by(&self) -> Option<AttemptId> {
        match self.consent {
            Consent::Yes(Accept::Decision(decision)) => Some(decision),
            Consent::Yes(Accept::Everything) | Consent::NotAsked | Consent::Asking { .. } | Consent::No => None,
        }
    }

    /// The current connection.
    pub(super) fn conn(&self) -> Option<ConnId> {
        match self.state {
            State::Deciding { conn, .. } | State::Accepting { conn, .. } | State::Active { conn, .. } | State::Terminating { conn, .. } => {
                Some(conn)
            }
            State::None | State::Dialing { .. } | State::Waiting => None,
        }
    }

    /// Whether this connection is current, held or in the background.
    pub(super) fn refers_to(&self, conn: ConnId) -> bool {
        let held = if let State::Dialing { held: Some(held), .. } = self.state { Some(held.conn) } else { None };
        self.conn() == Some(conn) || held == Some(conn) || self.background.is_some_and(|background| background.conn == conn)
    }

    /// Whether this peer counts against the limit of sessions.
    pub(super) fn occupies(&self) -> bool {
        self.conn().is_some() || !matches!(self.session, Session::None)
    }

    pub(super) fn drop_consent(&mut self, cx: &mut Cx<'_>) {
        let consent = std::mem::replace(&mut self.consent, Consent::NotAsked);
        self.forget(cx, consent);
    }

    /// Tell the driver that a decision is of no more use.
    pub(super) fn forget(&self, cx: &mut Cx<'_>, consent: Consent) {
        match consent {
            Consent::Asking { decision, .. } | Consent::Yes(Accept::Decision(decision)) => {
                cx.out.push(Action::ForgetDecision { decision });
            }
            Consent::NotAsked | Consent::Yes(Accept::Everything) | Consent::No => {}
        }
    }

    /// A dial failed: for what it does to the intents that wait for one. A held connection spares them.
    pub(super) fn charge_dial(&mut self, cx: &mut Cx<'_>, cause: Cause, spared: bool) {
        let terminal = cx.core.after(cause) == After::Terminal;
        let ending = matches!(self.session, Session::Ending { .. });
        for intent in self.intents.values_mut() {
            let due = intent.waits(ending) && intent.next <= cx.now && !spared;
            if due || terminal {
                intent.charge(cx.now, cause, false, cx.core);
            }
        }
        self.settle_doomed(cx);
    }

    /// An accept failed, or a connection whose session had not begun: own intents are spared, unless there is no use.
    pub(super) fn charge_accept(&mut self, cx: &mut Cx<'_>, cause: Cause) {
        for intent in self.intents.values_mut() {
            if cx.core.after(cause) == After::Terminal || !cx.keeps(Rule::FailedAcceptSparesIntents) {
                intent.charge(cx.now, cause, false, cx.core);
            } else {
                intent.retry_free(cx.now, IntentError::after(cause, false), cx.core);
            }
        }
        self.settle_doomed(cx);
    }

    /// A session that lasted makes up for the failures of its intents.
    pub(super) fn prove(&mut self, cx: &Cx<'_>, id: SessionId, started: Moment) {
        let proven = cx.now.micros_since(started) >= span::PROVEN * 1000 || !cx.keeps(Rule::MinuteResets);
        for intent in self.intents.values_mut().filter(|intent| proven && intent.owner == Some(id)) {
            intent.prove();
        }
    }

    /// A running session lost its connection: its intents pay, those in the queue only wait.
    pub(super) fn charge_session(&mut self, cx: &mut Cx<'_>, cause: Cause, id: SessionId, started: Moment) {
        self.prove(cx, id, started);
        for intent in self.intents.values_mut() {
            if intent.owner == Some(id) || cx.core.after(cause) == After::Terminal || !cx.keeps(Rule::LossSparesQueue) {
                intent.charge(cx.now, cause, true, cx.core);
            } else {
                intent.retry_free(cx.now, IntentError::after(cause, true), cx.core);
            }
        }
        self.settle_doomed(cx);
    }

    /// Settle those intents of the queue whose fate is sealed.
    fn settle_doomed(&mut self, cx: &mut Cx<'_>) {
        self.intents.retain(|&id, intent| match (intent.owner, intent.fate) {
            (None, Some(error)) => {
                cx.settle(id, Outcome::Failed(error));
                false
            }
            (None, None) | (Some(_), _) => true,
        });
    }

    /// The session is over: what it still owned goes back to the queue, or to its fate.
    pub(super) fn take_back(&mut self, cx: &mut Cx<'_>, session: SessionId, completed: bool) {
        for intent in self.intents.values_mut().filter(|intent| intent.owner == Some(session)) {
            if completed && intent.fate.is_none() {
                intent.come_back(cx.now, cx.core);
            } else {
                intent.owner = None;
            }
            if !cx.core.running {
                intent.fate = Some(IntentError::ShuttingDown);
            }
        }
        self.settle_doomed(cx);
    }

    /// Settle what waits in the queue.
    pub(super) fn settle_queued(&mut self, cx: &mut Cx<'_>, outcome: Outcome) {
        self.intents.retain(|&id, intent| {
            if intent.owner.is_none() {
                cx.settle(id, outcome);
            }
            intent.owner.is_some()
        });
    }

    /// After a goodbye, live intents rest from now on, not from the end of the session.
    pub(super) fn renew_rests(&mut self, now: Moment) {
        for intent in self.intents.values_mut().filter(|intent| intent.firm && intent.mode == Mode::Live && intent.owner.is_none()) {
            intent.rest(now);
        }
    }

    pub(super) fn info(&self, core: &Core) -> PeerInfo {
        let (state, role) = match self.state {
            State::None => (ConnectionState::None, None),
            State::Deciding { .. } => (ConnectionState::Deciding, Some(Role::Betty)),
            State::Dialing { .. } => (ConnectionState::Dialing, Some(Role::Alfie)),
            State::Accepting { .. } => (ConnectionState::Accepting, Some(Role::Betty)),
            State::Active { role, .. } => (ConnectionState::Active, Some(role)),
            State::Terminating { .. } => (ConnectionState::Terminating, None),
            State::Waiting => (ConnectionState::Waiting, None),
        };
        PeerInfo {
            peer: self.id,
            state,
            role,
            since: self.since,
            conn: self.conn(),
            session: if let Session::Active { id, .. } = self.session { Some(id) } else { None },
            intents: self.intents.keys().copied().collect(),
            accepted: matches!(self.consent, Consent::Yes(_)),
            next_attempt: if matches!(self.state, State::Waiting) { self.wake_at(core) } else { None },
        }
    }
}
