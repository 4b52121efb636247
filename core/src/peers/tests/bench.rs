//! One machine on the bench: brought into a state, given an input, its actions read.

use std::cell::Cell;

use super::diagram::{Change, changes, name, states};
use crate::peers::*;
use crate::{Generation, IntentId, Mode, Moment, PeerId, SessionId};

pub(super) const ME: PeerId = PeerId([5; 32]);
pub(super) const LESSER: PeerId = PeerId([4; 32]);
pub(super) const GREATER: PeerId = PeerId([6; 32]);

/// A generation of the peer.
pub(super) fn hello(counter: u64) -> Generation {
    Generation { instance: [9; 16], counter }
}

thread_local! {
    static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Every machine that is made meanwhile on this thread breaks the rule.
pub(super) fn with_broken<T>(rule: Rule, act: impl FnOnce() -> T) -> T {
    BROKEN.set(Some(rule));
    let result = act();
    BROKEN.set(None);
    result
}

/// A machine, all rules kept but for the one that is being broken.
pub(super) fn machine(config: Config) -> Manager {
    let mut manager = Manager::new(config);
    if let Some(rule) = BROKEN.get() {
        manager.break_rule(rule);
    }
    manager
}

/// A list of tests by name, for `caught`.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(super) const TESTS: &[(&str, fn())] = &[$((stringify!($name), $name)),*];
    };
}
pub(super) use tests;

pub(super) struct Bench {
    pub(super) manager: Manager,
    pub(super) now: Moment,
    pub(super) peer: PeerId,
    /// All that was done, events aside.
    pub(super) done: Vec<Action>,
    pub(super) events: Vec<Event>,
    /// The changes of state so far.
    pub(super) changes: Vec<Change>,
    steps: u32,
}

impl Bench {
    pub(super) fn new(peer: PeerId) -> Self {
        Self::with(peer, AcceptPolicy::Everyone, Limits::default())
    }

    pub(super) fn asking(peer: PeerId) -> Self {
        Self::with(peer, AcceptPolicy::AskHandler, Limits::default())
    }

    pub(super) fn with(peer: PeerId, accept: AcceptPolicy, limits: Limits) -> Self {
        let config = Config { me: ME, instance: [1; 16], seed: 3, accept, limits };
        Self { manager: machine(config), now: Moment(1_000_000), peer, done: Vec::new(), events: Vec::new(), changes: Vec::new(), steps: 0 }
    }

    /// One input; what it makes the machine do, events aside.
    pub(super) fn put(&mut self, input: Input) -> Vec<Action> {
        self.steps += 1;
        assert!(self.steps < 10_000, "it never ends");
        let mut out = Vec::new();
        let (before, name) = (states(&self.manager), name(&input));
        self.manager.step(self.now, input, &mut out);
        self.changes.extend(changes(name, &before, &states(&self.manager)));
        let mut actions = Vec::new();
        for action in out {
            match action {
                Action::Emit { event, .. } => self.events.push(event),
                action => actions.push(action),
            }
        }
        self.done.extend(actions.iter().cloned());
        actions
    }

    /// Time jumps to the next deadline, which must be for this reason.
    pub(super) fn wait_for(&mut self, reason: Reason) -> Vec<Action> {
        let (at, next) = self.manager.next_deadline().expect("a deadline");
        assert_eq!(next, reason);
        self.now = self.now.max(at);
        self.put(Input::Tick)
    }

    pub(super) fn pass(&mut self, millis: u64) {
        self.now = self.now.after_millis(millis);
    }

    pub(super) fn submit(&mut self, id: u64, mode: Mode, policy: ReconnectPolicy) -> Vec<Action> {
        self.put(Input::Submit { intent: IntentId(id), peer: self.peer, mode, policy })
    }

    /// A live intent that never gives up.
    pub(super) fn live(&mut self, id: u64) -> Vec<Action> {
        self.submit(id, Mode::Live, ReconnectPolicy::ALWAYS)
    }

    /// A once-intent that fails at once.
    pub(super) fn once(&mut self, id: u64) -> Vec<Action> {
        self.submit(id, Mode::Once, ReconnectPolicy::NEVER)
    }

    /// A connection of the peer arrives, and its Hello is read.
    pub(super) fn arrive(&mut self, conn: u64, generation: Generation) -> Vec<Action> {
        let conn = ConnId(conn);
        assert_eq!(self.put(Input::Incoming { conn }), [Action::ReadHello { conn }]);
        self.put(Input::HelloRead { conn, peer: self.peer, generation })
    }

    pub(super) fn attempt(&self) -> AttemptId {
        self.done
            .iter()
            .rev()
            .find_map(|action| match action {
                Action::Dial { attempt, .. } | Action::Establish { attempt, .. } => Some(*attempt),
                _ => None,
            })
            .expect("an attempt")
    }

    pub(super) fn decision(&self) -> AttemptId {
        self.done
            .iter()
            .rev()
            .find_map(|action| match action {
                Action::AskHandler { decision, .. } => Some(*decision),
                _ => None,
            })
            .expect("a question")
    }

    pub(super) fn session(&self) -> SessionId {
        self.done
            .iter()
            .rev()
            .find_map(|action| match action {
                Action::StartSession { session, .. } => Some(*session),
                _ => None,
            })
            .expect("a session")
    }

    /// The latest attempt succeeds on this connection.
    pub(super) fn establish(&mut self, conn: u64, generation: Generation) -> Vec<Action> {
        let attempt = self.attempt();
        self.put(Input::Established { attempt, conn: ConnId(conn), generation })
    }

    pub(super) fn fail(&mut self, cause: Cause) -> Vec<Action> {
        let attempt = self.attempt();
        self.put(Input::AttemptFailed { attempt, cause })
    }

    pub(super) fn lose(&mut self, conn: u64, cause: Cause) -> Vec<Action> {
        self.put(Input::ConnectionLost { conn: ConnId(conn), cause })
    }

    pub(super) fn finish_intent(&mut self, id: u64) -> Vec<Action> {
        let session = self.session();
        self.put(Input::IntentDone { session, intent: IntentId(id), outcome: Ok(Completion::Complete) })
    }

    pub(super) fn complete(&mut self) -> Vec<Action> {
        let session = self.session();
        self.put(Input::SessionComplete { session })
    }

    pub(super) fn end(&mut self, cause: Cause) -> Vec<Action> {
        let session = self.session();
        self.put(Input::SessionEnded { session, cause })
    }

    pub(super) fn state(&self) -> ConnectionState {
        let peers = self.manager.peers();
        peers.iter().find(|info| info.peer == self.peer).map_or(ConnectionState::None, |info| info.state)
    }

    /// How often each intent settled must be once; how this one did.
    pub(super) fn outcome(&self, id: u64) -> Option<Outcome> {
        let mut outcomes = self.done.iter().filter_map(|action| match action {
            Action::Settle { intent, outcome } if *intent == IntentId(id) => Some(*outcome),
            _ => None,
        });
        let first = outcomes.next();
        assert_eq!(outcomes.next(), None, "settled twice");
        first
    }

    pub(super) fn assert_nothing_is_left(&self) {
        assert!(self.manager.is_empty(), "{:?}", self.manager.peers());
        assert_eq!(self.manager.next_deadline(), None);
    }
}

pub(super) fn closes(actions: &[Action], conn: u64, with: CloseCode) -> bool {
    actions.iter().any(|action| matches!(action, Action::Close { conn: id, code, .. } if *id == ConnId(conn) && *code == with))
}

pub(super) fn cancels(actions: &[Action], with: CloseCode) -> bool {
    actions.iter().any(|action| matches!(action, Action::Cancel { code, .. } if *code == with))
}

pub(super) fn dials(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Dial { .. }))
}

pub(super) fn establishes(actions: &[Action], on: u64) -> bool {
    actions.iter().any(|action| matches!(action, Action::Establish { conn, .. } if *conn == ConnId(on)))
}

/// The intents with which a session starts.
pub(super) fn starts_with(actions: &[Action]) -> Option<Vec<u64>> {
    actions.iter().find_map(|action| match action {
        Action::StartSession { intents, .. } => Some(intents.iter().map(|intent| intent.0).collect()),
        _ => None,
    })
}
