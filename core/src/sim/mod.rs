//! Simulation: the real peer managers, sessions and stores of several nodes on one virtual clock and one virtual network.
//!
//! A seed stands for a [`Script`]: the nodes, and what users, networks and browsers do to them. [`run`] plays it, mends everything, and
//! checks what must hold of every story: each intent settles once; who wants to be connected is; stores are equal where nodes share
//! interests, and nothing else has moved; no peer, timer, attempt, connection or queue is left. The same script gives the same trace,
//! natively and in wasm. A finding is [shrunk](shrink) to a short script.
//!
//! | file | what it is |
//! |---|---|
//! | `script` | what a seed stands for |
//! | `data` | namespaces, users, capabilities, entries: made once |
//! | `world` | the clock and the queue of what happens |
//! | `network` | connections, and what can happen to them |
//! | `driver`, `session`, `transfer`, `storage` | what the driver of a node does around the machines, as `src/node` does it |
//! | `acts` | what a script does to nodes |
//! | `referee` | beside each peer manager: which rule a step breaks |
//! | `held` | what nodes know of what others hold: is it true, and do they come to know it? |
//! | `finish` | the end of every story, and what must hold then |
//! | `coverage` | which rows of the peer manager's table were reached |
//! | `shrink` | from a finding to a short script |
//!
//! Nothing here is part of a node: it is compiled for tests and with the feature `sim`.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

mod acts;
mod connections;
mod coverage;
mod data;
mod driver;
mod finish;
mod held;
mod network;
mod random;
mod referee;
mod script;
mod session;
mod shrink;
mod storage;
mod story;
mod transfer;
mod world;

#[cfg(test)]
mod tests;

pub use coverage::{Coverage, why_unreached};
pub use data::{Item, Spot};
pub use held::Mistake;
pub use script::{Act, Cut, Habit, NodePlan, Page, Script, Step};
pub use shrink::shrink;

use crate::peers::{Config, Manager, Rule};
use world::World;

/// Seeds and the hashes of their traces, natively and in wasm; to change them on purpose, run the test that compares them natively.
pub const TRACES: &str = include_str!("traces.txt");

/// [`TRACES`] as numbers.
pub fn traces() -> impl Iterator<Item = (u64, u64)> {
    let pair = |line: &str| line.split_once(' ').and_then(|(seed, hash)| Some((seed.parse().ok()?, u64::from_str_radix(hash, 16).ok()?)));
    TRACES.lines().filter_map(pair)
}

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An intent does not settle, a peer is not found again, something waits without a deadline, a machine panics.
    Stuck,
    /// An intent settles twice, or a pair of nodes has two active sessions.
    Double,
    /// Something is left, or has moved that is not shared.
    Leaked,
    /// Stores differ where they should not, honest nodes disagree about a rule, or a peer manager breaks one.
    Diverged,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// In which way.
    pub kind: Kind,
    /// For people.
    pub text: String,
}

/// How to play a script.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keep the trace as text.
    pub trace: bool,
    /// A rule that every peer manager breaks, to see that it is missed.
    pub broken: Option<Rule>,
    /// A mistake that every node makes, to see that it is noticed.
    pub mistake: Option<Mistake>,
}

impl Options {
    fn manager(&self, config: Config) -> Manager {
        let mut manager = Manager::new(config);
        if let Some(rule) = self.broken {
            manager.break_rule(rule);
        }
        manager
    }
}

/// What came of a script.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many things happened.
    pub steps: u64,
    /// Of all that happened. The same script has the same one, everywhere.
    pub hash: u64,
    /// What is wrong, if something is. The story ends there.
    pub finding: Option<Finding>,
    /// What was reached.
    pub coverage: Coverage,
    /// The trace, if it was asked for.
    pub lines: Vec<String>,
}

/// Plays a script to its end.
#[must_use]
pub fn run(script: &Script, options: &Options) -> Report {
    let mut world = World::new(script, options);
    let last = script.steps.last().map_or(0, |step| step.at);
    world.run_until(crate::Moment(0).after_millis(last + 500));
    world.finish();
    Report { steps: world.happened, hash: world.hash, finding: world.finding, coverage: world.coverage, lines: world.lines }
}

/// [`run`], with a panic as a finding.
#[must_use]
pub fn run_caught(script: &Script, options: &Options) -> Report {
    std::panic::catch_unwind(|| run(script, options)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = format!("a machine panicked: {}", text.unwrap_or_default());
        let finding = Some(Finding { kind: Kind::Stuck, text });
        Report { steps: 0, hash: 0, finding, coverage: Coverage::default(), lines: Vec::new() }
    })
}
