//! What a node's driver does around the peer manager: feeds it, one input after the other, and carries out what it says.
//!
//! This follows `src/node` of the crate `osier`: what is a task there is something that happens a moment later here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Kind, Options,
    data::Spot,
    network::Packet,
    random::Random,
    referee::Referee,
    script::{Habit, NodePlan},
    session::Task,
    storage::Storage,
    story::Story,
    world::{Happening, World},
};
use crate::{
    Generation, IntentId, Mode, Moment, PeerId, SessionId,
    payload::PayloadRequest,
    peers::{AcceptPolicy, Action, AttemptId, Cause, CloseCode, Config, ConnectionState, Event, Input, Limits, Manager, Outcome},
    store::StoredEntry,
    sync::{FetchId, ReadId},
    willow::EntryId,
};

/// A timer that fires this much too late means that the machine slept, in microseconds.
const ASLEEP: u64 = 10_000_000;

/// Something that happens within a node.
#[derive(Debug)]
pub(super) enum Local {
    /// The driver takes the next input.
    Drive,
    /// The manager's deadline.
    Timer(Moment),
    /// A session does one thing.
    Work(SessionId),
    SessionTimer(SessionId, Moment),
    /// The store's writer is done.
    Commit,
    Read(SessionId, ReadId, EntryId, u64),
    /// The accept handler answers.
    Decide(AttemptId, bool),
    /// Whoever watches a connection hears of its end.
    Watch(usize, Cause),
    DialFailed(AttemptId, Cause),
    Answer(AttemptId, usize, Generation),
    Fetch(SessionId, FetchId, Box<PayloadRequest>),
    Serve(usize, u64, Box<(PayloadRequest, StoredEntry)>),
}

/// An own intent of a node.
pub(super) struct Intent {
    pub(super) peer: usize,
    pub(super) mode: Mode,
    pub(super) part: Option<Spot>,
    pub(super) settled: Option<Outcome>,
    pub(super) story: Story,
    /// Retries for ever.
    pub(super) stubborn: bool,
}

/// A node with its driver.
pub(super) struct Node {
    pub(super) plan: NodePlan,
    pub(super) life: u32,
    pub(super) up: bool,
    pub(super) frozen: bool,
    pub(super) cut_off: bool,
    /// It was told to shut down.
    pub(super) closing: bool,
    /// What happens to a frozen node happens when it thaws.
    pub(super) backlog: Vec<Happening>,
    pub(super) busy_until: Moment,
    /// Its sessions do nothing until then.
    pub(super) stalled_until: Moment,
    pub(super) manager: Manager,
    pub(super) referee: Referee,
    pub(super) inputs: VecDeque<Input>,
    driving: bool,
    armed: Option<Moment>,
    /// The connections that the driver knows, and those of them whose end it reports.
    pub(super) known: BTreeMap<usize, bool>,
    pub(super) dials: BTreeMap<AttemptId, usize>,
    pub(super) questions: BTreeSet<AttemptId>,
    pub(super) sessions: BTreeMap<SessionId, Task>,
    pub(super) intents: BTreeMap<IntentId, Intent>,
    pub(super) storage: Storage,
    pub(super) random: Random,
    started_at: u64,
}

pub(super) fn id_of(node: usize) -> PeerId {
    PeerId([node as u8 + 1; 32])
}

impl Node {
    pub(super) fn new(seed: u64, number: usize, plan: &NodePlan, options: &Options) -> Self {
        let mut random = Random::new(&[seed, 4, number as u64, 1]);
        let (manager, referee) = manager(number, plan, options, 1, &mut random);
        Self {
            plan: plan.clone(),
            life: 1,
            up: true,
            frozen: false,
            cut_off: false,
            closing: false,
            backlog: Vec::new(),
            busy_until: Moment(0),
            stalled_until: Moment(0),
            manager,
            referee,
            inputs: VecDeque::new(),
            driving: false,
            armed: None,
            known: BTreeMap::new(),
            dials: BTreeMap::new(),
            questions: BTreeSet::new(),
            sessions: BTreeMap::new(),
            intents: BTreeMap::new(),
            storage: Storage::default(),
            random,
            started_at: 1,
        }
    }

    /// It begins a new life, with nothing but its storage.
    pub(super) fn begin_again(&mut self, seed: u64, number: usize, options: &Options, now: Moment) {
        let (life, storage) = (self.life, std::mem::take(&mut self.storage));
        let started_at = (now.0 / 1000).max(self.started_at + 1);
        let mut random = Random::new(&[seed, 4, number as u64, u64::from(life)]);
        let (manager, referee) = manager(number, &self.plan, options, started_at, &mut random);
        let cut_off = self.cut_off;
        *self = Self {
            life,
            cut_off,
            manager,
            referee,
            random,
            started_at,
            storage: storage.reopened(),
            ..Self::new(seed, number, &self.plan, options)
        };
    }

    pub(super) fn number_of(&self, peer: PeerId) -> usize {
        usize::from(peer.0[0]) - 1
    }
}

fn manager(number: usize, plan: &NodePlan, options: &Options, started_at: u64, random: &mut Random) -> (Manager, Referee) {
    let mut instance = [0; 16];
    instance[..8].copy_from_slice(&started_at.to_be_bytes());
    instance[8..].copy_from_slice(&random.next().to_be_bytes());
    let accept = if plan.handler.is_some() { AcceptPolicy::AskHandler } else { AcceptPolicy::Everyone };
    let limits = plan.room.map_or_else(Limits::default, |room| Limits { handshakes: room + 1, sessions: room, ..Limits::default() });
    let config = Config { me: id_of(number), instance, seed: random.next(), accept, limits };
    let referee = Referee::new(&config);
    (options.manager(config), referee)
}

impl World {
    /// How long something takes that is done at once, in microseconds.
    pub(super) fn lag(&mut self, node: usize) -> u64 {
        let busy = self.nodes[node].busy_until > self.now;
        let random = &mut self.nodes[node].random;
        match random.below(100) {
            _ if busy => random.below(1_500_000),
            0..=69 => 0,
            70..=94 => random.below(1_000),
            _ => random.below(30_000),
        }
    }

    /// The manager is told, later in this turn.
    pub(super) fn input(&mut self, node: usize, input: Input) {
        self.nodes[node].inputs.push_back(input);
        self.drive_later(node);
    }

    fn drive_later(&mut self, node: usize) {
        if !std::mem::replace(&mut self.nodes[node].driving, true) {
            let lag = self.lag(node);
            self.local(node, lag, Local::Drive);
        }
    }

    pub(super) fn locally(&mut self, node: usize, what: Local) {
        match what {
            Local::Drive => {
                self.nodes[node].driving = false;
                if let Some(input) = self.nodes[node].inputs.pop_front() {
                    self.feed(node, input);
                }
                if !self.nodes[node].inputs.is_empty() {
                    self.drive_later(node);
                }
            }
            Local::Timer(at) => self.tick(node, at),
            Local::Work(session) => self.work(node, session),
            Local::SessionTimer(session, at) => self.session_timer(node, session, at),
            Local::Commit => self.commit(node),
            Local::Read(session, read, entry, len) => self.read(node, session, read, &entry, len),
            Local::Decide(decision, accept) => {
                if self.nodes[node].questions.contains(&decision) {
                    self.input(node, Input::Decided { decision, accept });
                }
            }
            Local::Watch(conn, cause) => self.watched(node, conn, cause),
            Local::DialFailed(attempt, cause) => {
                if self.nodes[node].dials.remove(&attempt).is_some() {
                    self.input(node, Input::AttemptFailed { attempt, cause });
                }
            }
            Local::Answer(attempt, conn, generation) => self.answer(node, attempt, conn, generation),
            Local::Fetch(session, fetch, request) => self.fetch(node, session, fetch, *request),
            Local::Serve(conn, stream, asked) => self.serve(node, conn, stream, &asked.0, &asked.1),
        }
    }

    /// A deadline has come. What happened before it counts as before it.
    fn tick(&mut self, node: usize, at: Moment) {
        if self.nodes[node].armed != Some(at) {
            return;
        }
        self.nodes[node].armed = None;
        // The manager notices by itself, too.
        if self.now.micros_since(at) > ASLEEP && !self.seed.is_multiple_of(3) {
            self.feed(node, Input::Woken);
        }
        while let Some(input) = self.nodes[node].inputs.pop_front() {
            self.feed(node, input);
        }
        self.feed(node, Input::Tick);
    }

    fn arm(&mut self, node: usize) {
        let next = self.nodes[node].manager.next_deadline().map(|(at, _reason)| at);
        if next != self.nodes[node].armed {
            self.nodes[node].armed = next;
            if let Some(at) = next {
                let life = self.nodes[node].life;
                self.schedule(at, Happening::Local { node, life, what: Local::Timer(at) });
            }
        }
    }

    /// The manager takes an input, now.
    pub(super) fn feed(&mut self, node: usize, input: Input) {
        if !self.nodes[node].up {
            return;
        }
        if let Input::Established { attempt, .. } = input {
            self.nodes[node].dials.remove(&attempt);
        }
        self.coverage.note(&self.nodes[node].manager, &input);
        self.note(&format!("{node} <- {input:?}"), &[]);
        self.check_report(node, &input);
        let mut actions = Vec::new();
        self.nodes[node].manager.step(self.now, input.clone(), &mut actions);
        let (now, it) = (self.now, &mut self.nodes[node]);
        let empty = it.manager.is_empty();
        if let Err(rule) = it.referee.judge(now, &input, &actions, empty) {
            self.find(Kind::Diverged, || format!("node {node} breaks a rule: {rule}; {input:?} led to {actions:?}"));
        }
        for action in actions {
            self.say(|| format!("      {node} -> {action:?}"));
            self.carry_out(node, action);
        }
        self.check_progress(node);
        self.arm(node);
    }

    /// Honest nodes break no rules; and where nothing goes wrong, no session is cut.
    fn check_report(&mut self, node: usize, input: &Input) {
        if let Input::SessionEnded { cause, .. } | Input::AttemptFailed { cause, .. } | Input::ConnectionLost { cause, .. } = *input {
            if let Cause::Violation(_) | Cause::Closed(CloseCode::ProtocolViolation) = cause {
                self.find(Kind::Diverged, || format!("at node {node} an honest peer broke a rule: {input:?}"));
            }
            if self.calm && matches!(input, Input::SessionEnded { .. }) {
                self.find(Kind::Stuck, || format!("at node {node} a session was cut, and nothing had gone wrong: {input:?}"));
            }
        }
    }

    /// Each peer has a session, a deadline, or waits for its page or its network.
    fn check_progress(&mut self, node: usize) {
        let manager = &self.nodes[node].manager;
        if manager.next_deadline().is_some() {
            return;
        }
        let stuck = manager.peers().into_iter().find(|peer| match peer.state {
            ConnectionState::Active => peer.session.is_none(),
            ConnectionState::Waiting => peer.next_attempt.is_some(),
            ConnectionState::None
            | ConnectionState::Deciding
            | ConnectionState::Dialing
            | ConnectionState::Accepting
            | ConnectionState::Terminating => true,
        });
        if let Some(peer) = stuck {
            self.find(Kind::Stuck, || format!("at node {node} neither progress nor a deadline: {peer:?}"));
        }
    }

    fn carry_out(&mut self, node: usize, action: Action) {
        match action {
            Action::Dial { attempt, peer, generation } => self.dial(node, attempt, peer, generation),
            Action::Cancel { attempt, code, .. } => self.cancel(node, attempt, code),
            Action::Refuse { conn } => {
                let conn = conn.0 as usize;
                if self.nodes[node].known.remove(&conn).is_some() {
                    self.conns[conn].ends[1].open = false;
                    self.send(conn, 1, Packet::Refused);
                }
            }
            Action::ReadHello { conn } => self.read_hello(node, conn.0 as usize),
            Action::AskHandler { decision, .. } => self.ask(node, decision),
            Action::ForgetDecision { decision } => {
                self.nodes[node].questions.remove(&decision);
            }
            Action::Establish { attempt, conn, generation, .. } => self.establish(node, attempt, conn.0 as usize, generation),
            Action::Close { conn, code, .. } => self.close_known(node, conn.0 as usize, code),
            Action::StartSession { session, conn, peer, accept, intents, .. } => {
                self.start_session(node, session, conn.0 as usize, peer, accept.is_some(), &intents);
            }
            Action::HandOver { session, intent } => self.command(node, session, super::session::Command::AddIntent(intent)),
            Action::AddAccept { session, .. } => self.command(node, session, super::session::Command::AddAccept),
            Action::DropAccept { session } => self.command(node, session, super::session::Command::DropAccept),
            Action::WithdrawIntent { session, intent } => self.command(node, session, super::session::Command::Withdraw(intent)),
            Action::FinishSession { session } => self.command(node, session, super::session::Command::Finish),
            Action::AbortSession { session, .. } => self.command(node, session, super::session::Command::Abort),
            Action::TerminateGracefully { conn } => self.terminate(node, conn.0 as usize),
            Action::Probe { session } => self.command(node, session, super::session::Command::Probe),
            Action::Settle { intent, outcome } => self.settle(node, intent, outcome),
            Action::Emit { peer, event } => self.emit(node, peer, event),
            Action::Stopped => self.stopped(node),
        }
    }

    fn settle(&mut self, node: usize, id: IntentId, outcome: Outcome) {
        let calm = self.calm;
        match self.nodes[node].intents.get_mut(&id) {
            None => self.find(Kind::Double, || format!("{id:?} of node {node} settled, and was never submitted")),
            Some(Intent { settled: Some(before), .. }) => {
                let before = *before;
                self.find(Kind::Double, || format!("{id:?} of node {node} settled as {before:?}, and again as {outcome:?}"));
            }
            Some(intent) => {
                intent.settled = Some(outcome);
                if calm && matches!(outcome, Outcome::Failed(_)) {
                    self.find(Kind::Stuck, || format!("{id:?} of node {node} failed, and nothing had gone wrong: {outcome:?}"));
                }
            }
        }
    }

    fn emit(&mut self, node: usize, peer: PeerId, event: Event) {
        let number = self.nodes[node].number_of(peer);
        self.note("", &[node as u64, number as u64, matches!(event, Event::Connecting) as u64]);
    }

    /// The accept handler is asked, and takes its time.
    fn ask(&mut self, node: usize, decision: AttemptId) {
        let habit = if self.healed { Habit::Friendly } else { self.nodes[node].plan.handler.unwrap_or(Habit::Friendly) };
        self.nodes[node].questions.insert(decision);
        let random = &mut self.nodes[node].random;
        let (after, accept) = match habit {
            Habit::Friendly => (random.below(20_000), true),
            Habit::Moody => match random.below(6) {
                0 | 1 => (random.below(100_000), true),
                2 => (random.below(4_900_000), true),
                3 => (random.below(100_000), false),
                4 => (4_900_000 + random.below(3_000_000), random.percent(50)),
                _ => return,
            },
            Habit::Silent => return,
        };
        self.local(node, after, Local::Decide(decision, accept));
    }

    /// The manager has stopped, and the driver with it.
    fn stopped(&mut self, node: usize) {
        let left = self.nodes[node].intents.iter().find(|(_, intent)| intent.settled.is_none()).map(|(&id, _)| id);
        if let Some(id) = left {
            self.find(Kind::Stuck, || format!("node {node} has stopped, and {id:?} is not settled"));
        }
        if !self.nodes[node].manager.is_empty() || self.nodes[node].manager.next_deadline().is_some() {
            self.find(Kind::Leaked, || format!("node {node} has stopped, and its manager is not empty"));
        }
        self.nodes[node].up = false;
        self.leave(node, true);
    }

    /// A node lets go of all connections, with or without a word.
    pub(super) fn leave(&mut self, node: usize, polite: bool) {
        for conn in 0..self.conns.len() {
            for side in [0, 1] {
                if self.conns[conn].nodes[side] == node && self.conns[conn].ends[side].open {
                    if polite {
                        self.close(conn, side, CloseCode::EndpointClosed);
                    } else {
                        self.vanish(conn, side);
                    }
                }
            }
        }
    }
}
