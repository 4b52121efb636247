//! What a seed stands for: the nodes, and what their users, their networks and their browsers do, and when.

use std::fmt;

use super::{
    data::{Item, PATHS, PAYLOADS, SPACES, Spot, USERS},
    random::Random,
};
use crate::{Mode, peers::ReconnectPolicy};

/// A node as it is set up.
#[derive(Clone, PartialEq, Debug)]
pub struct NodePlan {
    /// Its accept handler is asked, and answers so; otherwise everyone is accepted.
    pub handler: Option<Habit>,
    /// At most so many sessions and handshakes, if few.
    pub room: Option<usize>,
    /// What its users may read.
    pub holds: Vec<Spot>,
    /// What it has written before everything begins.
    pub writes: Vec<Item>,
    /// So few bytes of payload travel with an entry.
    pub inline_max: u64,
}

/// How an accept handler answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Habit {
    /// Yes, soon.
    Friendly,
    /// Yes or no, soon or late, or never.
    Moody,
    /// Never.
    Silent,
}

/// How a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Nothing that is sent from now on arrives.
    Silent,
    /// Both ends hear at once.
    Noticed,
    /// The dialer's (0) or the acceptor's end (1) is lost, and the other hears nothing of it.
    OneSided(usize),
}

/// What the browser tells a page, or a page of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// It cannot be seen.
    Hidden,
    /// It can.
    Visible,
    /// No network.
    Offline,
    /// A network.
    Online,
    /// The machine slept.
    Woken,
    /// The relay is gone.
    RelayGone,
    /// The relay is back.
    RelayBack,
}

/// Something that happens to a node or between nodes.
#[derive(Clone, PartialEq, Debug)]
pub enum Act {
    /// A user wants to sync, with everything held or a part of it.
    Submit {
        /// Whose user.
        node: usize,
        /// With whom.
        peer: usize,
        /// Its name, for [`Act::Close`].
        intent: u64,
        /// How long.
        mode: Mode,
        /// What then.
        policy: ReconnectPolicy,
        /// What of it, if not all.
        part: Option<Spot>,
    },
    /// A user closes an intent, if it still is one.
    Close {
        /// Whose.
        node: usize,
        /// Which.
        intent: u64,
    },
    /// A user wants nothing to do with a peer for now.
    Disconnect {
        /// Whose user.
        node: usize,
        /// With whom.
        peer: usize,
    },
    /// A user writes.
    Write {
        /// Where.
        node: usize,
        /// What.
        item: Item,
    },
    /// A connection is cut.
    Cut {
        /// Which of those that are open then.
        any: u64,
        /// How.
        how: Cut,
    },
    /// Nothing passes between two nodes.
    Partition {
        /// The one.
        a: usize,
        /// The other.
        b: usize,
        /// How long.
        millis: u64,
    },
    /// A node does nothing.
    Freeze {
        /// Which.
        node: usize,
        /// How long.
        millis: u64,
        /// Whether the page hears of it before and after.
        told: bool,
    },
    /// Whatever a node does takes long.
    Busy {
        /// Which.
        node: usize,
        /// How long.
        millis: u64,
    },
    /// The sessions of a node do nothing.
    Stall {
        /// Which.
        node: usize,
        /// How long.
        millis: u64,
    },
    /// A page is told something.
    Page {
        /// Which.
        node: usize,
        /// What.
        news: Page,
    },
    /// A node is gone and starts again with the same key.
    Reload {
        /// Which.
        node: usize,
        /// How long it is gone.
        millis: u64,
        /// Whether what it stored is there again.
        keep: bool,
        /// Whether its connections are closed.
        polite: bool,
    },
    /// A node is shut down, and stays so.
    Shutdown {
        /// Which.
        node: usize,
    },
}

/// One act, and when.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// Milliseconds after the beginning.
    pub at: u64,
    /// What.
    pub act: Act,
}

/// A whole story but for its end, which is always the same.
#[derive(Clone, PartialEq, Debug)]
pub struct Script {
    /// What the rest was made from; it also decides how long things take.
    pub seed: u64,
    /// The nodes.
    pub nodes: Vec<NodePlan>,
    /// Nothing goes wrong in it: then nothing may fail.
    pub calm: bool,
    /// What happens, by time.
    pub steps: Vec<Step>,
}

impl Script {
    /// The script of a seed.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut random = Random::new(&[seed, 1]);
        let count = random.pick(&[2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6, 8]);
        let calm = random.percent(15);
        let nodes: Vec<_> = (0..count).map(|_| node_plan(&mut random, calm)).collect();
        let steps = Writer { random, nodes: &nodes, span: 0, centres: Vec::new(), steps: Vec::new(), intents: 0 }.write(calm);
        Self { seed, nodes, calm, steps }
    }
}

fn spot(random: &mut Random) -> Spot {
    let space = random.below(u64::from(SPACES)) as u8;
    let user = (space + 1 == SPACES || random.percent(25)).then(|| random.below(u64::from(USERS)) as u8);
    let path = if random.percent(50) { 0 } else { random.below(PATHS.len() as u64) as u8 };
    Spot { space, user, path }
}

fn item_in(spot: Spot, random: &mut Random) -> Item {
    let user = spot.user.unwrap_or_else(|| random.below(u64::from(USERS)) as u8);
    let inside = (0..PATHS.len() as u8).filter(|&path| Spot { path, ..spot }.meet(spot) == Some(Spot { path, ..spot }));
    let paths: Vec<u8> = inside.collect();
    Item {
        space: spot.space,
        user,
        path: random.pick(&paths),
        leaf: random.below(4) as u8,
        time: random.below(8) as u8,
        payload: if random.percent(92) { random.below(4) as u8 } else { random.below(PAYLOADS.len() as u64) as u8 },
    }
}

fn node_plan(random: &mut Random, calm: bool) -> NodePlan {
    let habit = random.pick(&[Habit::Friendly, Habit::Moody, Habit::Moody, Habit::Silent]);
    let common = Spot { space: 0, user: None, path: 0 };
    let mut holds = if random.percent(60) { vec![common] } else { Vec::new() };
    for _ in 0..random.below(3) {
        let spot = spot(random);
        if !holds.contains(&spot) {
            holds.push(spot);
        }
    }
    let mut writes = Vec::new();
    for _ in 0..if holds.is_empty() { 0 } else { random.below(7) } {
        let spot = random.pick(&holds);
        writes.push(item_in(spot, random));
    }
    NodePlan {
        handler: (!calm && random.percent(35)).then_some(habit),
        room: (!calm && random.percent(8)).then(|| 1 + random.index(2)),
        holds,
        writes,
        inline_max: random.pick(&[64, 1024, 16 * 1024]),
    }
}

/// Writes the steps.
struct Writer<'a> {
    random: Random,
    nodes: &'a [NodePlan],
    span: u64,
    centres: Vec<u64>,
    steps: Vec<Step>,
    intents: u64,
}

impl Writer<'_> {
    fn write(mut self, calm: bool) -> Vec<Step> {
        self.span = self.random.pick(&[3_000, 15_000, 40_000, 90_000]);
        self.centres = (0..4).map(|_| self.random.below(self.span)).collect();
        for _ in 0..3 + self.random.below(if calm { 8 } else { 24 }) {
            let at = self.time();
            if calm { self.peace(at) } else { self.trouble(at) }
        }
        self.steps.sort_by_key(|step| step.at);
        self.steps
    }

    /// Much happens at about the same time.
    fn time(&mut self) -> u64 {
        match self.random.below(10) {
            0..=3 => self.random.below(self.span),
            _ => {
                let spread = self.random.pick(&[60, 400, 400, 2_000]);
                self.centres[self.random.index(self.centres.len())] + self.random.below(spread)
            }
        }
    }

    fn node(&mut self) -> usize {
        self.random.index(self.nodes.len())
    }

    fn pair(&mut self) -> (usize, usize) {
        let count = self.nodes.len();
        let a = self.random.index(count);
        (a, (a + 1 + self.random.index(count - 1)) % count)
    }

    fn push(&mut self, at: u64, act: Act) {
        self.steps.push(Step { at, act });
    }

    fn submit(&mut self, at: u64, (node, peer): (usize, usize), calm: bool) {
        self.intents += 1;
        let intent = self.intents;
        let mode = if self.random.percent(55) { Mode::Live } else { Mode::Once };
        let attempts = match self.random.below(10) {
            0 | 1 if !calm => 0,
            2 | 3 if !calm => 1 + self.random.below(3) as u32,
            _ => ReconnectPolicy::UNLIMITED,
        };
        let policy = ReconnectPolicy { attempts, cap: self.random.pick(&[3_000_000, 30_000_000]), ..ReconnectPolicy::ALWAYS };
        let part = self.random.percent(25).then(|| match self.nodes[node].holds.first() {
            Some(&held) if self.random.percent(70) => Spot { path: self.random.below(PATHS.len() as u64) as u8, ..held },
            _ => spot(&mut self.random),
        });
        self.push(at, Act::Submit { node, peer, intent, mode, policy, part });
        if !calm && self.random.percent(30) {
            let later = at + self.random.pick(&[1, 50, 400, 3_000, 20_000]);
            self.push(later, Act::Close { node, intent });
        }
    }

    fn write_something(&mut self, at: u64) {
        let node = self.node();
        if let Some(&spot) = self.nodes[node].holds.get(self.random.index(self.nodes[node].holds.len())) {
            let item = item_in(spot, &mut self.random);
            self.push(at, Act::Write { node, item });
        }
    }

    /// Two nodes get to know each other, perhaps both at once.
    fn meeting(&mut self, at: u64, calm: bool) {
        let (a, b) = self.pair();
        self.submit(at, (a, b), calm);
        if self.random.percent(45) {
            let spread = self.random.pick(&[1, 100, 1_000]);
            let later = at + self.random.below(spread);
            self.submit(later, (b, a), calm);
        }
    }

    fn peace(&mut self, at: u64) {
        match self.random.below(10) {
            0..=4 => self.meeting(at, true),
            _ => self.write_something(at),
        }
    }

    fn trouble(&mut self, at: u64) {
        let millis = self.random.pick(&[10, 300, 2_000, 7_000, 20_000, 50_000]);
        let node = self.node();
        let (a, b) = self.pair();
        let act = match self.random.below(100) {
            0 => return self.submit(at, (node, node), false),
            1..=29 => return self.meeting(at, false),
            30..=46 => return self.write_something(at),
            47..=59 => {
                let how = self.random.pick(&[Cut::Silent, Cut::Silent, Cut::Noticed, Cut::OneSided(0), Cut::OneSided(1)]);
                Act::Cut { any: self.random.below(1000), how }
            }
            60..=65 => Act::Partition { a, b, millis },
            66..=72 => Act::Freeze { node, millis, told: self.random.percent(50) },
            73..=75 => Act::Busy { node, millis },
            76..=78 => Act::Stall { node, millis },
            79..=80 => Act::Disconnect { node: a, peer: b },
            81..=88 => Act::Reload { node, millis: millis / 4, keep: self.random.percent(60), polite: self.random.percent(40) },
            89..=91 => {
                if self.random.percent(30) {
                    self.push(at + millis / 7, Act::Shutdown { node });
                }
                Act::Shutdown { node }
            }
            _ => return self.news(at, node, millis),
        };
        self.push(at, act);
    }

    /// A page hears something, and later mostly the opposite.
    fn news(&mut self, at: u64, node: usize, millis: u64) {
        let (news, later) = self.random.pick(&[
            (Page::Hidden, Some(Page::Visible)),
            (Page::Offline, Some(Page::Online)),
            (Page::RelayGone, Some(Page::RelayBack)),
            (Page::RelayBack, None),
            (Page::Woken, None),
        ]);
        self.push(at, Act::Page { node, news });
        if let Some(news) = later.filter(|_| self.random.percent(75)) {
            self.push(at + millis, Act::Page { node, news });
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}{}", self.seed, if self.calm { ", nothing goes wrong" } else { "" })?;
        for (number, node) in self.nodes.iter().enumerate() {
            writeln!(f, "  node {number}: {node:?}")?;
        }
        for step in &self.steps {
            writeln!(f, "  {:>6} ms  {:?}", step.at, step.act)?;
        }
        Ok(())
    }
}
