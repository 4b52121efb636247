//! The machine as its driver sees it: which peer an input is about, and what concerns no peer alone.

use std::collections::BTreeMap;

use crate::{Generation, IntentId, Mode, Moment, PeerId, SessionId};

use super::{
    Action, AttemptId, CloseCode, Config, ConnId, Event, Input, IntentError, Limits, Outcome, PeerInfo, ReconnectPolicy,
    peer::{Consent, Core, Cx, Peer, Surroundings, span},
    policy::Jitter,
    rule::Rule,
};

/// The peer manager of a node: a pure state machine.
///
/// # Calling contract
///
/// The driver owns the transport, the sessions and one timer. It calls [`step`](Self::step) with each thing that happens, one
/// after the other, and carries out the actions in their order. Then it arms its timer for [`next_deadline`](Self::next_deadline).
/// When the timer fires, it first feeds what else is queued and then [`Input::Tick`], so that nothing counts as late that has
/// already happened. Actions never fail; what goes wrong comes back as an input. Every input is allowed in every state: what
/// concerns an attempt, a connection, a session or an intent that is no longer current is cleaned up and otherwise ignored.
///
/// | action | what answers it |
/// |---|---|
/// | [`Dial`](Action::Dial), [`Establish`](Action::Establish) | [`Established`](Input::Established) or [`AttemptFailed`](Input::AttemptFailed) |
/// | [`ReadHello`](Action::ReadHello) | [`Identified`](Input::Identified), then [`HelloRead`](Input::HelloRead); or [`ConnectionLost`](Input::ConnectionLost) |
/// | [`AskHandler`](Action::AskHandler) | [`Decided`](Input::Decided), or nothing |
/// | [`StartSession`](Action::StartSession) | any [`IntentDone`](Input::IntentDone), [`PeerFinished`](Input::PeerFinished); last, once, [`SessionComplete`](Input::SessionComplete) or [`SessionEnded`](Input::SessionEnded) |
/// | [`FinishSession`](Action::FinishSession), [`AbortSession`](Action::AbortSession) | the session's end |
/// | [`TerminateGracefully`](Action::TerminateGracefully) | [`Terminated`](Input::Terminated) or [`ConnectionLost`](Input::ConnectionLost) |
/// | [`Probe`](Action::Probe) | [`ProbeAnswered`](Input::ProbeAnswered), or nothing |
/// | [`Cancel`](Action::Cancel), [`Close`](Action::Close), [`Refuse`](Action::Refuse) | nothing |
///
/// Each [`Input::Submit`] is answered by exactly one [`Action::Settle`], and [`Input::Shutdown`] by [`Action::Stopped`]. When
/// the last intent is settled and the last connection gone, [`is_empty`](Self::is_empty): nothing is kept for a peer.
///
/// # Example
///
/// A dial, a session, an intent that is done, and the way back to nothing:
///
/// ```
/// use osier_core::{Generation, IntentId, Mode, Moment, PeerId};
/// use osier_core::peers::*;
///
/// let me = PeerId([1; 32]);
/// let peer = PeerId([2; 32]);
/// let mut manager = Manager::new(Config {
///     me, instance: [0; 16], seed: 7, accept: AcceptPolicy::Everyone, limits: Limits::default(),
/// });
/// let mut now = Moment(0);
/// let mut queue = std::collections::VecDeque::from([
///     Input::Submit { intent: IntentId(1), peer, mode: Mode::Once, policy: ReconnectPolicy::NEVER },
/// ]);
/// let mut settled = Vec::new();
/// loop {
///     let mut actions = Vec::new();
///     match (queue.pop_front(), manager.next_deadline()) {
///         (Some(input), _) => manager.step(now, input, &mut actions),
///         // Nothing else is queued: let time pass. A driver arms its timer here.
///         (None, Some((at, _reason))) => { now = at; manager.step(now, Input::Tick, &mut actions) }
///         (None, None) => break,
///     }
///     for action in actions {
///         match action {
///             // Connects, exchanges Hellos, reports.
///             Action::Dial { attempt, generation, .. } => {
///                 assert_eq!(generation.counter, 1);
///                 let theirs = Generation { instance: [9; 16], counter: 1 };
///                 queue.push_back(Input::Established { attempt, conn: ConnId(1), generation: theirs });
///             }
///             // Runs the session, reports each intent, then the end.
///             Action::StartSession { session, intents, .. } => {
///                 for intent in intents {
///                     queue.push_back(Input::IntentDone { session, intent, outcome: Ok(Completion::Complete) });
///                 }
///             }
///             Action::FinishSession { session } => queue.push_back(Input::SessionComplete { session }),
///             Action::TerminateGracefully { conn } => queue.push_back(Input::Terminated { conn }),
///             Action::Settle { intent, outcome } => settled.push((intent, outcome)),
///             Action::Emit { .. } => {} // for whoever watches
///             other => panic!("not in this story: {other:?}"),
///         }
///     }
/// }
/// assert_eq!(settled, [(IntentId(1), Outcome::Done(Completion::Complete))]);
/// assert!(manager.is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Manager {
    pub(super) core: Core,
    limits: Limits,
    pub(super) peers: BTreeMap<PeerId, Peer>,
    /// Incoming connections whose Hello has not been read.
    pub(super) greeting: BTreeMap<ConnId, Greeting>,
    /// While shutting down: when that must be over.
    pub(super) stop: Option<Moment>,
}

/// An incoming connection whose Hello has not been read.
#[derive(Clone, Debug)]
pub(super) struct Greeting {
    pub(super) deadline: Moment,
    /// Whose it is, once the handshake is finished.
    peer: Option<PeerId>,
}

impl Manager {
    /// A manager without peers.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let Config { me, instance, seed, accept, limits } = config;
        let core = Core {
            me,
            instance,
            accept,
            running: true,
            surroundings: Surroundings::default(),
            counter: 0,
            attempts: 0,
            sessions: 0,
            jitter: Jitter(seed),
            #[cfg(any(test, feature = "sim"))]
            broken: Default::default(),
        };
        Self { core, limits, peers: BTreeMap::new(), greeting: BTreeMap::new(), stop: None }
    }

    /// Take one input, append what to do.
    pub fn step(&mut self, now: Moment, input: Input, out: &mut Vec<Action>) {
        match input {
            Input::Submit { intent, peer, mode, policy } => self.submit(now, out, intent, (peer, mode, policy)),
            Input::CloseIntent { intent } => {
                let peer = self.find(|peer| peer.intents.contains_key(&intent));
                self.with(now, out, peer, |peer, cx| peer.close_intent(cx, intent));
            }
            Input::Disconnect { peer } => {
                let peer = self.peers.contains_key(&peer).then_some(peer);
                self.with(now, out, peer, Peer::disconnect);
            }
            Input::Incoming { conn } => self.incoming(now, out, conn),
            Input::Identified { conn, peer } => self.identified(out, conn, peer),
            Input::HelloRead { conn, peer, generation } => self.hello_read(now, out, conn, peer, generation),
            Input::Decided { decision, accept } => self.decided(now, out, decision, accept),
            Input::AcceptWithdrawn { decision } => {
                let peer = self.find(|peer| peer.accepted_by() == Some(decision));
                self.with(now, out, peer, Peer::withdraw_accept);
            }
            Input::Established { attempt, conn, generation } => self.established(now, out, attempt, (conn, generation)),
            Input::AttemptFailed { attempt, cause } => {
                let peer = self.attempting(attempt);
                self.with(now, out, peer, |peer, cx| peer.attempt_failed(cx, cause));
            }
            Input::ConnectionLost { conn, cause } => {
                self.greeting.remove(&conn);
                let peer = self.find(|peer| peer.refers_to(conn));
                self.with(now, out, peer, |peer, cx| peer.connection_lost(cx, conn, cause));
            }
            Input::IntentDone { session, intent, outcome } => {
                self.in_session(now, out, session, |peer, cx| peer.intent_done(cx, session, intent, outcome))
            }
            Input::PeerFinished { session } => self.in_session(now, out, session, Peer::peer_finished),
            Input::SessionProgress { session } => self.in_session(now, out, session, Peer::progress),
            Input::SessionComplete { session } => self.in_session(now, out, session, Peer::session_complete),
            Input::SessionEnded { session, cause } if self.core.keeps(Rule::FailuresStayLocal) => {
                self.in_session(now, out, session, |peer, cx| peer.session_ended(cx, cause))
            }
            Input::SessionEnded { cause, .. } => self.each_peer(now, out, |peer, cx| peer.session_ended(cx, cause)),
            Input::Terminated { conn } => {
                let peer = self.find(|peer| peer.refers_to(conn));
                self.with(now, out, peer, |peer, cx| peer.goodbye_over(cx, conn));
            }
            Input::ProbeAnswered { session } => self.in_session(now, out, session, |peer, _| peer.probe_answered()),
            Input::Online => self.surround(now, out, |around| around.offline = false, Self::cut_waits),
            Input::Offline => self.surround(now, out, |around| around.offline = true, |_, _, _| {}),
            Input::Visible => self.surround(now, out, |around| around.hidden = false, Self::cut_waits),
            Input::Hidden => self.surround(now, out, |around| around.hidden = true, |_, _, _| {}),
            Input::Frozen => self.surround(now, out, |around| around.frozen = true, |_, _, _| {}),
            Input::Resumed => self.surround(now, out, |around| around.frozen = false, Self::woken),
            Input::Woken => self.woken(now, out),
            Input::Relay { connected } => self.core.surroundings.relay = connected,
            Input::Shutdown => self.shut_down(now, out),
            Input::Tick => self.tick(now, out),
        }
        let over = self.core.keeps(Rule::ShutdownIsPrompt) || self.stop.is_some_and(|at| at <= now);
        if self.stop.is_some() && self.is_empty() && over {
            self.stop = None;
            out.push(Action::Stopped);
        }
    }

    /// Every peer there is a connection, an attempt or an intent for, by id.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.peers.values().map(|peer| peer.info(&self.core)).collect()
    }

    /// No peer, no connection, no intent is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty() && self.greeting.is_empty()
    }

    fn submit(&mut self, now: Moment, out: &mut Vec<Action>, intent: IntentId, (peer, mode, policy): (PeerId, Mode, ReconnectPolicy)) {
        if self.find(|peer| peer.intents.contains_key(&intent)).is_some() {
            return;
        }
        let refused = if !self.core.running && self.core.keeps(Rule::ShutdownAdmitsNothing) {
            Some(IntentError::ShuttingDown)
        } else if peer == self.core.me && self.core.keeps(Rule::NotOneself) {
            Some(IntentError::Oneself)
        } else {
            None
        };
        match refused {
            Some(error) => out.push(Action::Settle { intent, outcome: Outcome::Failed(error) }),
            None => self.with_peer(now, out, peer, |peer, cx| peer.submit(cx, intent, mode, policy)),
        }
    }

    fn incoming(&mut self, now: Moment, out: &mut Vec<Action>, conn: ConnId) {
        let full = self.greeting.len() >= self.limits.handshakes && self.core.keeps(Rule::HandshakeLimit);
        if !self.core.running || full {
            out.push(Action::Refuse { conn });
        } else {
            self.greeting.insert(conn, Greeting { deadline: now.after_millis(span::HELLO), peer: None });
            out.push(Action::ReadHello { conn });
        }
    }

    /// Nobody may take all the handshakes: the oldest of a peer gives way.
    fn identified(&mut self, out: &mut Vec<Action>, conn: ConnId, peer: PeerId) {
        let Some(greeting) = self.greeting.get_mut(&conn) else { return };
        greeting.peer = Some(peer);
        let theirs = || self.greeting.iter().filter(|(_, greeting)| greeting.peer == Some(peer)).map(|(&conn, _)| conn);
        if theirs().count() > self.limits.per_peer
            && self.core.keeps(Rule::PeerLimit)
            && let Some(oldest) = theirs().next()
        {
            self.greeting.remove(&oldest);
            out.push(Action::Close { conn: oldest, code: CloseCode::LimitExceeded, reason: "too many connections without a Hello" });
        }
    }

    fn hello_read(&mut self, now: Moment, out: &mut Vec<Action>, conn: ConnId, peer: PeerId, hello: Generation) {
        if self.greeting.remove(&conn).is_none() {
            // Given up meanwhile; if it is a connection in use, then only its report is old.
            if self.find(|peer| peer.refers_to(conn)).is_none() {
                out.push(Action::Close { conn, code: self.stale_code(), reason: "the connection was given up" });
            }
        } else if peer == self.core.me {
            out.push(Action::Close { conn, code: CloseCode::Failed, reason: "a node cannot sync with itself" });
        } else {
            let others = self.peers.values().filter(|other| other.id != peer && other.occupies()).count();
            let room = others < self.limits.sessions;
            self.with_peer(now, out, peer, |peer, cx| peer.incoming(cx, conn, hello, room));
        }
    }

    fn established(&mut self, now: Moment, out: &mut Vec<Action>, attempt: AttemptId, (conn, generation): (ConnId, Generation)) {
        let peer = self.attempting(attempt);
        if peer.is_none() && self.find(|peer| peer.refers_to(conn)).is_none() && self.core.keeps(Rule::StaleIsClosed) {
            out.push(Action::Close { conn, code: self.stale_code(), reason: "the attempt was given up" });
        }
        self.with(now, out, peer, |peer, cx| peer.established(cx, conn, generation));
    }

    fn decided(&mut self, now: Moment, out: &mut Vec<Action>, decision: AttemptId, accept: bool) {
        let asked = |peer: &Peer| matches!(peer.consent, Consent::Asking { decision: open, .. } if open == decision);
        match self.find(asked) {
            Some(peer) => self.with_peer(now, out, peer, |peer, cx| peer.decided(cx, decision, accept)),
            // An answer that is in use stays, said twice or not.
            None if self.find(|peer| peer.accepted_by() == Some(decision)).is_some() => {}
            None => out.push(Action::ForgetDecision { decision }),
        }
    }

    fn shut_down(&mut self, now: Moment, out: &mut Vec<Action>) {
        if !self.core.running && self.core.keeps(Rule::ShutdownIsIdempotent) {
            return;
        }
        self.core.running = false;
        self.stop = Some(now.after_millis(span::SHUTDOWN));
        for conn in std::mem::take(&mut self.greeting).into_keys() {
            out.push(Action::Close { conn, code: CloseCode::ShuttingDown, reason: "shutting down" });
        }
        self.each_peer(now, out, Peer::shut_down);
    }

    /// For connections that belong to nothing any more.
    fn stale_code(&self) -> CloseCode {
        if self.core.running { CloseCode::Duplicate } else { CloseCode::ShuttingDown }
    }

    /// The peer whose dial or establish this is, if it is still under way.
    fn attempting(&self, attempt: AttemptId) -> Option<PeerId> {
        self.find(|peer| peer.attempt().is_some_and(|current| current == attempt || !self.core.keeps(Rule::AttemptIds)))
    }

    fn find(&self, is_it: impl Fn(&Peer) -> bool) -> Option<PeerId> {
        self.peers.values().find(|peer| is_it(peer)).map(|peer| peer.id)
    }

    /// For the peer whose session this is; a session that is over concerns nobody.
    fn in_session(&mut self, now: Moment, out: &mut Vec<Action>, session: SessionId, act: impl FnOnce(&mut Peer, &mut Cx<'_>)) {
        let peer = self.find(|peer| peer.session_id() == Some(session));
        self.with(now, out, peer, act);
    }

    fn with(&mut self, now: Moment, out: &mut Vec<Action>, id: Option<PeerId>, act: impl FnOnce(&mut Peer, &mut Cx<'_>)) {
        if let Some(id) = id {
            self.with_peer(now, out, id, act);
        }
    }

    /// Do something to a peer, which is made if there is none and forgotten if nothing is left of it.
    pub(super) fn with_peer(&mut self, now: Moment, out: &mut Vec<Action>, id: PeerId, act: impl FnOnce(&mut Peer, &mut Cx<'_>)) {
        let peer = self.peers.entry(id).or_insert_with(|| Peer::new(id, now));
        act(peer, &mut Cx { now, core: &mut self.core, out });
        if peer.is_blank() && self.core.keeps(Rule::PeersAreForgotten) {
            if peer.told {
                out.push(Action::Emit { peer: id, event: Event::Forgotten });
            }
            self.peers.remove(&id);
            if !self.core.keeps(Rule::CounterIsKept) {
                self.core.counter = 0;
            }
        }
    }

    /// Do something to every peer, in the order of their ids.
    pub(super) fn each_peer(&mut self, now: Moment, out: &mut Vec<Action>, mut act: impl FnMut(&mut Peer, &mut Cx<'_>)) {
        let ids: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in ids {
            self.with_peer(now, out, id, &mut act);
        }
    }
}
