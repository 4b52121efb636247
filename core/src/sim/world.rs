//! One virtual clock, one queue of what happens next, and the nodes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use super::{
    Finding, Kind, Options,
    coverage::Coverage,
    data::Universe,
    driver::{Local, Node},
    held::Possession,
    network::{Conn, Packet},
    random::{hash, hash_bytes},
    script::{Act, Script},
};
use crate::{Moment, peers::Cause};
use std::rc::Rc;

/// Something that happens at its time.
#[derive(Debug)]
pub(super) enum Happening {
    /// Something of the script.
    Act(Act),
    /// Some act is over.
    Heal((usize, usize)),
    Thaw {
        node: usize,
        life: u32,
        told: bool,
    },
    Start {
        node: usize,
        life: u32,
    },
    /// A packet arrives at an end.
    Packet {
        conn: usize,
        side: usize,
        packet: Packet,
    },
    /// A transport is told that its peer is not there.
    Reset {
        conn: usize,
        side: usize,
    },
    Idle {
        conn: usize,
        side: usize,
        since: Moment,
    },
    /// Something within a node in one of its lives.
    Local {
        node: usize,
        life: u32,
        what: Local,
    },
}

/// Happenings in the order of their time, those of the same time in the order in which they were scheduled.
struct Scheduled {
    at: Moment,
    number: u64,
    what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A simulation under way.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) calm: bool,
    pub(super) slow: u64,
    pub(super) options: Options,
    pub(super) universe: Rc<Universe>,
    pub(super) now: Moment,
    queue: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) conns: Vec<Conn>,
    /// Pairs of nodes that are cut off from each other, and how often.
    pub(super) partitions: BTreeMap<(usize, usize), u32>,
    /// No more faults: handlers are quick and friendly, dials find their way.
    pub(super) healed: bool,
    /// For the ids of intents that no script names.
    pub(super) next_intent: u64,
    pub(super) happened: u64,
    pub(super) hash: u64,
    pub(super) lines: Vec<String>,
    pub(super) finding: Option<Finding>,
    pub(super) coverage: Coverage,
    /// Which node had what.
    pub(super) possession: Possession,
}

impl World {
    pub(super) fn new(script: &Script, options: &Options) -> Self {
        let universe = Universe::of_thread();
        let mut world = Self {
            seed: script.seed,
            calm: script.calm,
            slow: script.slow,
            options: options.clone(),
            now: Moment(0),
            queue: BinaryHeap::new(),
            scheduled: 0,
            nodes: Vec::new(),
            conns: Vec::new(),
            partitions: BTreeMap::new(),
            healed: false,
            next_intent: 1_000_000,
            happened: 0,
            hash: hash(&[script.seed]),
            lines: Vec::new(),
            finding: None,
            coverage: Coverage::default(),
            possession: Possession::default(),
            universe,
        };
        for (number, plan) in script.nodes.iter().enumerate() {
            world.nodes.push(Node::new(script.seed, number, plan, options));
            world.write_at_once(number, &plan.writes);
        }
        for step in &script.steps {
            world.schedule(Moment(0).after_millis(step.at), Happening::Act(step.act.clone()));
        }
        world
    }

    pub(super) fn schedule(&mut self, at: Moment, what: Happening) {
        self.scheduled += 1;
        self.queue.push(Reverse(Scheduled { at: at.max(self.now), number: self.scheduled, what }));
    }

    /// Something within a node, after a moment.
    pub(super) fn local(&mut self, node: usize, micros: u64, what: Local) {
        let life = self.nodes[node].life;
        self.schedule(self.now.after_micros(micros), Happening::Local { node, life, what });
    }

    /// Runs until then, or a finding, or for good if nothing more happens.
    pub(super) fn run_until(&mut self, end: Moment) {
        while self.finding.is_none() && self.queue.peek().is_some_and(|Reverse(next)| next.at <= end) {
            self.step();
        }
        self.now = self.now.max(end);
    }

    /// Runs until a condition holds, at most until then; whether it does.
    pub(super) fn run_until_that(&mut self, end: Moment, holds: impl Fn(&Self) -> bool) -> bool {
        loop {
            if self.finding.is_some() || holds(self) {
                return true;
            }
            match self.queue.peek() {
                Some(Reverse(next)) if next.at <= end => self.step(),
                _ => {
                    self.now = self.now.max(end);
                    return holds(self);
                }
            }
        }
    }

    fn step(&mut self) {
        if let Some(Reverse(next)) = self.queue.pop() {
            self.now = next.at;
            self.happened += 1;
            self.happen(next.what);
        }
    }

    pub(super) fn happen(&mut self, what: Happening) {
        match what {
            Happening::Act(act) => self.act(act),
            Happening::Heal(pair) => self.heal(pair),
            Happening::Thaw { node, life, told } => self.thaw(node, life, told),
            Happening::Start { node, life } => self.start(node, life),
            Happening::Packet { conn, side, packet } => self.arrive(conn, side, packet),
            Happening::Reset { conn, side } => {
                let node = self.conns[conn].nodes[side];
                if self.nodes[node].frozen {
                    self.nodes[node].backlog.push(Happening::Reset { conn, side });
                } else {
                    self.end(conn, side, Cause::Lost);
                }
            }
            Happening::Idle { conn, side, since } => self.idle(conn, side, since),
            Happening::Local { node, life, .. } if self.nodes[node].life != life || !self.nodes[node].up => {}
            Happening::Local { node, .. } if self.nodes[node].frozen => self.nodes[node].backlog.push(what),
            Happening::Local { node, what, .. } => self.locally(node, what),
        }
    }

    /// Nothing is going to happen any more.
    pub(super) fn is_still(&self) -> bool {
        self.queue.is_empty()
    }

    /// The first finding counts.
    pub(super) fn find(&mut self, kind: Kind, text: impl FnOnce() -> String) {
        if self.finding.is_none() {
            let text = text();
            self.say(|| format!("FOUND {kind:?}: {text}"));
            self.finding = Some(Finding { kind, text });
        }
    }

    /// Adds to the hash of the trace.
    pub(super) fn note(&mut self, what: &str, words: &[u64]) {
        self.hash = hash(&[self.hash, self.now.0, hash_bytes(what.as_bytes()), hash(words)]);
        if self.options.trace && !what.is_empty() {
            self.say(|| format!("{what} {words:?}"));
        }
    }

    /// A line of the trace, for people.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.options.trace {
            let line = line();
            self.lines.push(format!("{:>11.3} ms  {line}", self.now.0 as f64 / 1000.0));
        }
    }
}
