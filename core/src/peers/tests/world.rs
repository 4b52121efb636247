//! Machines on a virtual network: in-order delivery, one queue of local reports per node, time that jumps to the next deadline.
//!
//! Everything that can happen next is listed by [`World::enabled`]; whoever drives the world chooses. Invariants are checked
//! after every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::bench::machine;
use super::diagram::{Change, changes, name, states};
use super::network::{Conn, End, Message, Node, Session};
use crate::peers::{peer::State, *};
use crate::{Generation, IntentId, Mode, Moment, PeerId, SessionId};

/// What can happen next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// The first message on its way to an end (0: the dialer's) of a connection arrives.
    Deliver(usize, usize),
    /// The first local report of a node is read.
    Report(usize),
    Decide(usize, AttemptId, bool),
    Done(usize, SessionId, IntentId),
    /// Time jumps to the next deadline.
    Time,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) accept: AcceptPolicy,
    /// Deliveries become inputs at once instead of joining the queue of reports.
    pub(super) direct: bool,
    /// No live connection on which both are active may be closed but well.
    pub(super) no_kills: bool,
}

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) now: Moment,
    pub(super) nodes: Vec<Node>,
    conns: Vec<Conn>,
    pub(super) rules: Rules,
    pub(super) dials: u32,
    next_intent: u64,
    pub(super) trace: Vec<String>,
    pub(super) tracing: bool,
    /// The changes of state by the last input.
    pub(super) changes: Vec<Change>,
}

pub(super) fn id_of(node: usize) -> PeerId {
    PeerId([node as u8 + 1; 32])
}

fn new_manager(node: usize, start: u8, accept: AcceptPolicy) -> Manager {
    let mut instance = [0; 16];
    instance[7] = start;
    instance[15] = node as u8;
    machine(Config { me: id_of(node), instance, seed: node as u64, accept, limits: Limits::default() })
}

impl World {
    pub(super) fn new(count: usize, rules: Rules) -> Self {
        let nodes = (0..count)
            .map(|node| Node {
                manager: new_manager(node, 1, rules.accept),
                reports: VecDeque::new(),
                sessions: BTreeMap::new(),
                questions: BTreeSet::new(),
                modes: BTreeMap::new(),
                settled: BTreeMap::new(),
                stopped: false,
                starts: 1,
            })
            .collect();
        Self {
            now: Moment(0),
            nodes,
            conns: Vec::new(),
            rules,
            dials: 0,
            next_intent: 0,
            trace: Vec::new(),
            tracing: false,
            changes: Vec::new(),
        }
    }

    pub(super) fn input(&mut self, node: usize, input: Input) {
        if self.tracing {
            self.trace.push(format!("{} {node} <- {input:?}", self.now.0 / 1000));
        }
        let mut out = Vec::new();
        let before = states(&self.nodes[node].manager);
        let name = name(&input);
        self.nodes[node].manager.step(self.now, input, &mut out);
        self.changes.extend(changes(name, &before, &states(&self.nodes[node].manager)));
        for action in out {
            if self.tracing && !matches!(action, Action::Emit { .. }) {
                self.trace.push(format!("      {node} -> {action:?}"));
            }
            self.act(node, action);
        }
        self.check();
    }

    pub(super) fn submit(&mut self, node: usize, peer: usize, mode: Mode, policy: ReconnectPolicy) -> IntentId {
        self.next_intent += 1;
        let intent = IntentId(self.next_intent);
        self.nodes[node].modes.insert(intent, mode);
        self.input(node, Input::Submit { intent, peer: id_of(peer), mode, policy });
        intent
    }

    pub(super) fn unsettled(&self, node: usize) -> Vec<IntentId> {
        let node = &self.nodes[node];
        node.modes.keys().filter(|intent| !node.settled.contains_key(intent)).copied().collect()
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Dial { attempt, peer, generation } => self.dial(node, attempt, peer, generation),
            Action::Cancel { attempt, code, .. } => {
                if let Some(conn) = self.conns.iter().rposition(|conn| conn.dialer == node && conn.attempt == attempt) {
                    self.close(node, conn, code);
                }
            }
            Action::Refuse { conn } => self.close(node, conn.0 as usize, CloseCode::LimitExceeded),
            Action::ReadHello { conn } => {
                let dialer = self.conns[conn.0 as usize].dialer;
                let generation = self.hello_of(conn.0 as usize);
                self.arrive(node, Input::HelloRead { conn, peer: id_of(dialer), generation });
            }
            Action::AskHandler { decision, .. } => assert!(self.nodes[node].questions.insert(decision)),
            Action::ForgetDecision { decision } => {
                self.nodes[node].questions.remove(&decision);
            }
            Action::Establish { attempt, conn, generation, .. } => {
                let index = conn.0 as usize;
                let theirs = self.hello_of(index);
                self.send(node, index, Message::HelloOfBetty(generation));
                let report = if self.conns[index].ends[1].open {
                    Input::Established { attempt, conn, generation: theirs }
                } else {
                    Input::AttemptFailed { attempt, cause: Cause::LocallyClosed }
                };
                self.nodes[node].reports.push_back(report);
            }
            Action::Close { conn, code, .. } => self.close(node, conn.0 as usize, code),
            Action::StartSession { session, conn, intents, .. } => self.start(node, session, conn.0 as usize, &intents),
            Action::HandOver { session, intent } => {
                if self.nodes[node].modes[&intent] == Mode::Once {
                    self.nodes[node].sessions.get_mut(&session).unwrap().once.insert(intent);
                }
            }
            Action::AddAccept { .. } | Action::DropAccept { .. } | Action::Emit { .. } => {}
            Action::WithdrawIntent { session, intent } => {
                if let Some(session) = self.nodes[node].sessions.get_mut(&session) {
                    session.once.remove(&intent);
                }
            }
            Action::FinishSession { session } => {
                let Some(conn) = self.nodes[node].sessions.get(&session).map(|session| session.conn) else { return };
                let side = self.conns[conn].side(node);
                self.conns[conn].ends[side].sent_fin = true;
                self.send(node, conn, Message::Fin);
                self.complete(node, conn);
            }
            Action::AbortSession { session, .. } => {
                if self.nodes[node].sessions.remove(&session).is_some() {
                    self.nodes[node].reports.push_back(Input::SessionEnded { session, cause: Cause::LocallyClosed });
                }
            }
            Action::TerminateGracefully { conn } => {
                let side = self.conns[conn.0 as usize].side(node);
                self.conns[conn.0 as usize].ends[side].sent_bye = true;
                self.send(node, conn.0 as usize, Message::Bye);
                self.say_goodbye(node, conn.0 as usize);
            }
            Action::Probe { session } => {
                let Some(conn) = self.nodes[node].sessions.get(&session).map(|session| session.conn) else { return };
                if !self.conns[conn].dead && self.conns[conn].ends[1 - self.conns[conn].side(node)].open {
                    self.nodes[node].reports.push_back(Input::ProbeAnswered { session });
                }
            }
            Action::Settle { intent, outcome } => {
                assert!(self.nodes[node].modes.contains_key(&intent), "{intent:?} was never submitted");
                let before = self.nodes[node].settled.insert(intent, outcome);
                assert_eq!(before, None, "{intent:?} settled twice");
            }
            Action::Stopped => {
                assert!(!std::mem::replace(&mut self.nodes[node].stopped, true), "stopped twice");
                assert!(self.nodes[node].manager.is_empty());
            }
        }
    }

    fn dial(&mut self, node: usize, attempt: AttemptId, peer: PeerId, generation: Generation) {
        self.dials += 1;
        let acceptor = (0..self.nodes.len()).find(|&other| id_of(other) == peer).unwrap();
        let mut ends = [End { open: true, ..End::default() }, End { open: true, ..End::default() }];
        ends[1].queue.push_back(Message::HelloOfAlfie(generation));
        let idle_at = self.now.after_millis(30_000);
        self.conns.push(Conn {
            dialer: node,
            acceptor,
            attempt,
            hello: generation,
            established_at_dialer: false,
            dead: false,
            idle_at,
            ends,
        });
    }

    fn hello_of(&self, conn: usize) -> Generation {
        self.conns[conn].hello
    }

    fn send(&mut self, node: usize, conn: usize, message: Message) {
        let conn = &mut self.conns[conn];
        let to = 1 - conn.side(node);
        if !conn.dead && conn.ends[to].open {
            conn.ends[to].queue.push_back(message);
        }
    }

    fn close(&mut self, node: usize, conn: usize, code: CloseCode) {
        let side = self.conns[conn].side(node);
        if !self.conns[conn].ends[side].open {
            return;
        }
        if self.rules.no_kills && !matches!(code, CloseCode::Ok | CloseCode::ShuttingDown) && !self.conns[conn].dead {
            let active = |node: usize| {
                let peers = self.nodes[node].manager.peers();
                peers.iter().any(|peer| peer.state == ConnectionState::Active && peer.conn == Some(ConnId(conn as u64)))
            };
            let other = if side == 0 { self.conns[conn].acceptor } else { self.conns[conn].dialer };
            assert!(!active(other) || !self.session_on(node, conn), "a live connection was closed with {code:?}");
        }
        self.conns[conn].ends[side].open = false;
        self.conns[conn].ends[side].queue.clear();
        self.conns[conn].idle_at = self.now.after_millis(30_000);
        self.send(node, conn, Message::Closed(code));
    }

    fn session_on(&self, node: usize, conn: usize) -> bool {
        self.nodes[node].sessions.values().any(|session| session.conn == conn)
    }

    fn start(&mut self, node: usize, session: SessionId, conn: usize, intents: &[IntentId]) {
        let pair = (self.conns[conn].dialer, self.conns[conn].acceptor);
        let same = |other: &Session| {
            let (dialer, acceptor) = (self.conns[other.conn].dialer, self.conns[other.conn].acceptor);
            (dialer, acceptor) == pair || (acceptor, dialer) == pair
        };
        assert!(!self.nodes[node].sessions.values().any(same), "two sessions with one peer\n{}", self.tail());
        let once = intents.iter().filter(|intent| self.nodes[node].modes[intent] == Mode::Once).copied().collect();
        self.nodes[node].sessions.insert(session, Session { conn, once, complete: false });
        let side = self.conns[conn].side(node);
        if self.conns[conn].ends[side].got_fin {
            self.nodes[node].reports.push_back(Input::PeerFinished { session });
        }
    }

    /// A session whose stream is finished in both directions is complete.
    fn complete(&mut self, node: usize, conn: usize) {
        let end = &self.conns[conn].ends[self.conns[conn].side(node)];
        if !(end.sent_fin && end.got_fin) {
            return;
        }
        let node = &mut self.nodes[node];
        for (&id, session) in node.sessions.iter_mut().filter(|(_, session)| session.conn == conn && !session.complete) {
            session.complete = true;
            node.reports.push_back(Input::SessionComplete { session: id });
        }
        node.sessions.retain(|_, session| !session.complete);
    }

    fn say_goodbye(&mut self, node: usize, conn: usize) {
        let end = &self.conns[conn].ends[self.conns[conn].side(node)];
        if end.open && end.sent_bye && end.got_bye {
            self.close(node, conn, CloseCode::Ok);
            self.nodes[node].reports.push_back(Input::Terminated { conn: ConnId(conn as u64) });
        }
    }

    fn arrive(&mut self, node: usize, input: Input) {
        if self.rules.direct {
            self.input(node, input);
        } else {
            self.nodes[node].reports.push_back(input);
        }
    }

    fn deliver(&mut self, index: usize, side: usize) {
        let conn = &mut self.conns[index];
        let node = if side == 0 { conn.dialer } else { conn.acceptor };
        let Some(message) = conn.ends[side].queue.pop_front() else { return };
        let id = ConnId(index as u64);
        if self.tracing {
            self.trace.push(format!("  conn {index}: {message:?} reaches {node}"));
        }
        match message {
            Message::HelloOfAlfie(_) => self.arrive(node, Input::Incoming { conn: id }),
            Message::HelloOfBetty(generation) => {
                conn.established_at_dialer = true;
                let attempt = conn.attempt;
                self.arrive(node, Input::Established { attempt, conn: id, generation });
            }
            Message::Fin => {
                conn.ends[side].got_fin = true;
                let session = self.nodes[node].sessions.iter().find(|(_, session)| session.conn == index).map(|(&id, _)| id);
                self.complete(node, index);
                if let Some(session) = session {
                    self.arrive(node, Input::PeerFinished { session });
                }
            }
            Message::Bye => {
                conn.ends[side].got_bye = true;
                self.say_goodbye(node, index);
            }
            Message::Closed(code) => {
                conn.ends[side].open = false;
                self.ended(node, index, Cause::Closed(code));
            }
        }
    }

    /// A node learns that a connection has ended.
    fn ended(&mut self, node: usize, index: usize, cause: Cause) {
        let conn = &self.conns[index];
        let report = if conn.dialer == node && !conn.established_at_dialer {
            Input::AttemptFailed { attempt: conn.attempt, cause }
        } else {
            Input::ConnectionLost { conn: ConnId(index as u64), cause }
        };
        self.arrive(node, report);
    }

    pub(super) fn enabled(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, conn) in self.conns.iter().enumerate() {
            steps.extend([0, 1].into_iter().filter(|&side| !conn.ends[side].queue.is_empty()).map(|side| Step::Deliver(index, side)));
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if !node.reports.is_empty() {
                steps.push(Step::Report(index));
            }
            for &decision in &node.questions {
                steps.extend([Step::Decide(index, decision, true), Step::Decide(index, decision, false)]);
            }
            for (&id, session) in &node.sessions {
                let conn = &self.conns[session.conn];
                let other = if conn.dialer == index { conn.acceptor } else { conn.dialer };
                if !conn.dead && self.session_on(other, session.conn) {
                    steps.extend(session.once.iter().map(|&intent| Step::Done(index, id, intent)));
                }
            }
        }
        steps
    }

    /// When something happens of itself.
    pub(super) fn next_time(&self) -> Option<Moment> {
        let managers = self.nodes.iter().filter_map(|node| node.manager.next_deadline()).map(|(at, _)| at);
        let idle = self.conns.iter().filter(|conn| conn.doomed(0) || conn.doomed(1)).map(|conn| conn.idle_at);
        managers.chain(idle).min()
    }

    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Deliver(conn, side) => self.deliver(conn, side),
            Step::Report(node) => {
                if let Some(report) = self.nodes[node].reports.pop_front() {
                    self.input(node, report);
                }
            }
            Step::Decide(node, decision, accept) => {
                self.nodes[node].questions.remove(&decision);
                self.input(node, Input::Decided { decision, accept });
            }
            Step::Done(node, session, intent) => {
                self.nodes[node].sessions.get_mut(&session).unwrap().once.remove(&intent);
                let outcome = Ok(Completion::Complete);
                self.nodes[node].reports.push_back(Input::IntentDone { session, intent, outcome });
            }
            Step::Time => self.pass_time(),
        }
        self.check();
    }

    fn pass_time(&mut self) {
        let Some(at) = self.next_time() else { return };
        self.now = self.now.max(at);
        for index in 0..self.conns.len() {
            for side in [0, 1] {
                let conn = &mut self.conns[index];
                if conn.doomed(side) && conn.idle_at <= self.now {
                    let node = if side == 0 { conn.dialer } else { conn.acceptor };
                    conn.ends[side].open = false;
                    self.ended(node, index, Cause::Lost);
                }
            }
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].manager.next_deadline().is_some_and(|(at, _)| at <= self.now) {
                self.input(node, Input::Tick);
            }
        }
    }

    /// A connection is lost in silence.
    pub(super) fn kill(&mut self, conn: usize) {
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.dead = true;
            conn.idle_at = self.now.after_millis(30_000);
        }
    }

    /// The connections that are open at either end.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = |conn: &Conn| conn.ends[0].open || conn.ends[1].open;
        self.conns.iter().enumerate().filter(|(_, conn)| open(conn)).map(|(index, _)| index).collect()
    }

    /// A node loses everything and starts again with the same key; nothing is said to its peers.
    pub(super) fn reload(&mut self, index: usize) {
        for conn in self.conns.iter_mut().filter(|conn| conn.dialer == index || conn.acceptor == index) {
            let side = conn.side(index);
            conn.ends[side].open = false;
            conn.ends[side].queue.clear();
            conn.idle_at = self.now.after_millis(30_000);
        }
        let node = &mut self.nodes[index];
        node.starts += 1;
        node.manager = new_manager(index, node.starts, self.rules.accept);
        node.reports.clear();
        node.sessions.clear();
        node.questions.clear();
        node.modes.clear();
        node.settled.clear();
        node.stopped = false;
    }

    /// Run on, gently: time passes only when nothing else can happen, handlers say yes.
    pub(super) fn settle_down(&mut self) {
        for _ in 0..20_000 {
            let step = self.enabled().into_iter().find(|step| !matches!(step, Step::Decide(_, _, false)));
            match step {
                Some(step) => self.take(step),
                None if self.is_calm() => return,
                None => self.take(Step::Time),
            }
        }
        panic!("does not settle down\n{}", self.tail());
    }

    /// Nothing waits for time, but for those that rest.
    fn is_calm(&self) -> bool {
        self.next_time().is_none()
    }

    /// The connections that can still be lost in silence.
    pub(super) fn alive(&self) -> Vec<usize> {
        self.open().into_iter().filter(|&conn| !self.conns[conn].dead).collect()
    }

    /// Everything is as it will be.
    pub(super) fn rests(&self) -> bool {
        self.is_calm() && self.enabled().iter().all(|step| matches!(step, Step::Decide(..)))
    }

    pub(super) fn tail(&self) -> String {
        self.trace[self.trace.len().saturating_sub(80)..].join("\n")
    }

    /// Both nodes are active on the same connection, in sessions that own every intent.
    pub(super) fn together(&self, a: usize, b: usize) -> bool {
        let on = |node: usize, peer: usize| {
            let peer = self.nodes[node].manager.peers.get(&id_of(peer))?;
            let session = peer.info(&self.nodes[node].manager.core).session?;
            peer.conn().filter(|_| peer.intents.values().all(|intent| intent.owner == Some(session)))
        };
        on(a, b).is_some() && on(a, b) == on(b, a)
    }

    fn check(&self) {
        for (index, node) in self.nodes.iter().enumerate() {
            for peer in node.manager.peers.values() {
                let waits_in_peace = matches!(peer.state, State::Active { .. }) && peer.session_id().is_some();
                let suspended = matches!(peer.state, State::Waiting) && node.manager.core.surroundings.suspended();
                assert!(
                    waits_in_peace || suspended || node.manager.next_deadline().is_some(),
                    "neither progress nor a deadline: {peer:?}\n{}",
                    self.tail()
                );
            }
            if node.reports.is_empty() {
                for (conn, state) in self.conns.iter().enumerate() {
                    let (mine, side) = (state.dialer == index || state.acceptor == index, state.side(index));
                    let unborn = side == 1 && matches!(state.ends[1].queue.front(), Some(Message::HelloOfAlfie(_)));
                    let id = ConnId(conn as u64);
                    let known = node.manager.greeting.contains_key(&id)
                        || node.manager.peers.values().any(|peer| {
                            peer.refers_to(id) || side == 0 && !state.established_at_dialer && peer.attempt() == Some(state.attempt)
                        });
                    assert!(!mine || !state.ends[side].open || unborn || known, "node {index} forgot connection {conn}\n{}", self.tail());
                }
            }
        }
    }

    /// Everything that the future depends on.
    pub(super) fn fingerprint(&self) -> u128 {
        let text = format!("{:?}{:?}{:?}", self.now, self.nodes, self.conns);
        u128::from_le_bytes(blake3::hash(text.as_bytes()).as_bytes()[..16].try_into().unwrap())
    }
}
