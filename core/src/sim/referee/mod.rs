//! A referee beside each peer manager: sees what goes in and what comes out, and says which rule was broken.
//!
//! It was written from the table of rules, not from the machine: it follows what the machine says it does, and knows what must follow from
//! what. `expect` says what an input must lead to, `follow` takes note of what was done, `waits` sees that nothing lasts too long, `wants`
//! counts what failures cost.

mod expect;
mod follow;
mod waits;
mod wants;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Generation, IntentId, Mode, Moment, PeerId, SessionId,
    peers::{AcceptPolicy, Action, AttemptId, CloseCode, Config, ConnId, Input, Limits},
};
use wants::Want;

/// What was seen of one peer.
#[derive(Clone, Debug, Default)]
struct Seen {
    dial: Option<(AttemptId, Moment)>,
    held: Option<Other>,
    deciding: Option<Other>,
    accepting: Option<(AttemptId, Other)>,
    active: Option<Other>,
    /// The session that runs, and the one that is to end.
    session: Option<Running>,
    ending: Option<(SessionId, Moment)>,
    /// Goodbyes, and the one of them that no other connection has followed.
    parting: BTreeMap<ConnId, Moment>,
    terminating: Option<ConnId>,
    /// The connection that was active last.
    was: Option<ConnId>,
    question: Option<(AttemptId, Moment)>,
    yes: Option<AttemptId>,
    probe: Option<Moment>,
    /// Some wait may not be cut short.
    firm: bool,
}

/// A connection whose Hello was read, and when that was.
#[derive(Clone, Copy, Debug)]
struct Other {
    conn: ConnId,
    hello: Generation,
    since: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    id: SessionId,
    started: Moment,
    finish: Option<Moment>,
    accepted: bool,
}

impl Seen {
    fn current(&self) -> Option<Other> {
        self.active.or(self.accepting.map(|(_, other)| other))
    }

    /// It counts against the limit of sessions.
    fn occupies(&self) -> bool {
        self.deciding.is_some() || self.current().is_some() || self.terminating.is_some() || self.session.is_some() || self.ending.is_some()
    }

    /// There is neither a connection nor an attempt at one.
    fn is_idle(&self) -> bool {
        self.dial.is_none() && self.deciding.is_none() && self.current().is_none() && self.terminating.is_none()
    }

    fn knows(&self, conn: ConnId) -> bool {
        let others = [self.held, self.deciding, self.current()];
        others.into_iter().flatten().any(|other| other.conn == conn) || self.parting.contains_key(&conn)
    }
}

/// See the module.
pub(super) struct Referee {
    me: PeerId,
    instance: [u8; 16],
    asks: bool,
    limits: Limits,
    counter: u64,
    peers: BTreeMap<PeerId, Seen>,
    wants: BTreeMap<IntentId, Want>,
    greeting: BTreeMap<ConnId, Moment>,
    /// The last connection whose Hello was read.
    arrived: Option<Other>,
    offline: bool,
    hidden: bool,
    frozen: bool,
    relay: bool,
    /// When the machine was told that it slept: no deadline counts before five seconds have passed.
    woken: Moment,
    /// When the node could do something again.
    thawed: Moment,
    shutdown: Option<Moment>,
    stopped: bool,
}

/// The rule that was broken, in words.
type Verdict = Result<(), String>;

fn must(holds: bool, rule: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(rule()) }
}

/// One step of a manager.
#[derive(Clone, Copy)]
struct Turn<'a> {
    now: Moment,
    input: &'a Input,
    actions: &'a [Action],
}

impl Turn<'_> {
    fn has(&self, is_it: impl Fn(&Action) -> bool) -> bool {
        self.actions.iter().any(is_it)
    }

    fn closes(&self, conn: ConnId, code: CloseCode) -> bool {
        self.has(|action| matches!(action, Action::Close { conn: it, code: how, .. } if *it == conn && *how == code))
    }

    fn closes_somehow(&self, conn: ConnId) -> bool {
        self.has(|action| matches!(action, Action::Close { conn: it, .. } if *it == conn))
    }

    fn establishes(&self, conn: ConnId) -> bool {
        self.has(|action| matches!(action, Action::Establish { conn: it, .. } if *it == conn))
    }

    fn dials(&self, peer: PeerId) -> bool {
        self.has(|action| matches!(action, Action::Dial { peer: it, .. } if *it == peer))
    }

    fn starts_on(&self, conn: ConnId) -> bool {
        self.has(|action| matches!(action, Action::StartSession { conn: it, .. } if *it == conn))
    }

    fn settles(&self, intent: IntentId) -> bool {
        self.has(|action| matches!(action, Action::Settle { intent: it, .. } if *it == intent))
    }
}

impl Referee {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            me: config.me,
            instance: config.instance,
            asks: config.accept == AcceptPolicy::AskHandler,
            limits: config.limits,
            counter: 0,
            peers: BTreeMap::new(),
            wants: BTreeMap::new(),
            greeting: BTreeMap::new(),
            arrived: None,
            offline: false,
            hidden: false,
            frozen: false,
            relay: false,
            woken: Moment(0),
            thawed: Moment(0),
            shutdown: None,
            stopped: false,
        }
    }

    /// Judges one step; `empty`: nothing is left in the manager after it.
    pub(super) fn judge(&mut self, now: Moment, input: &Input, actions: &[Action], empty: bool) -> Verdict {
        let turn = Turn { now, input, actions };
        self.expect(turn)?;
        self.count(turn)?;
        self.follow(turn)?;
        self.invariants(turn, empty)?;
        self.nothing_is_late(now)
    }

    /// The node did nothing for a while.
    pub(super) fn thawed(&mut self, now: Moment) {
        self.thawed = now;
    }

    fn suspended(&self) -> bool {
        self.offline || self.hidden || self.frozen
    }

    fn seen(&self, peer: PeerId) -> Seen {
        self.peers.get(&peer).cloned().unwrap_or_default()
    }

    /// Unsettled intents with a peer.
    fn wants_of(&self, peer: PeerId) -> impl Iterator<Item = (IntentId, &Want)> {
        self.wants.iter().filter(move |(_, want)| want.peer == peer).map(|(&id, want)| (id, want))
    }

    fn find(&self, is_it: impl Fn(&Seen) -> bool) -> Option<(PeerId, &Seen)> {
        self.peers.iter().find(|(_, seen)| is_it(seen)).map(|(&peer, seen)| (peer, seen))
    }

    /// What holds after every step.
    fn invariants(&self, turn: Turn<'_>, empty: bool) -> Verdict {
        must(self.greeting.len() <= self.limits.handshakes, || "too many handshakes at a time".into())?;
        must(self.shutdown.is_none() || !empty || self.stopped, || "nothing is left, and the shutdown is not over".into())?;
        for (&peer, seen) in &self.peers {
            let mut wants = self.wants_of(peer);
            must(seen.dial.is_none() || wants.next().is_some(), || format!("a dial of {peer} for no intent"))?;
            if let Some(running) = seen.session.filter(|running| running.finish.is_none()) {
                let owned = self.wants_of(peer).any(|(_, want)| want.owner == Some(running.id));
                must(owned || running.accepted || seen.question.is_some(), || {
                    format!("a session with {peer} for no intent, and it does not finish")
                })?;
            }
        }
        let questions: BTreeSet<PeerId> = turn
            .actions
            .iter()
            .filter_map(|action| if let Action::AskHandler { peer, .. } = action { Some(*peer) } else { None })
            .collect();
        must(questions.is_empty() || self.asks, || "nobody is to be asked".into())
    }

    /// The oldest session that may still be running for a peer is allowed to be.
    fn may_start(seen: &Seen, now: Moment) -> bool {
        seen.session.is_none() && seen.ending.is_none_or(|(_, since)| now.micros_since(since) >= 5_000_000)
    }
}

/// How long an intent lasts.
fn is_live(mode: Mode) -> bool {
    mode == Mode::Live
}
