//! Two machines, a few dials, every order of every message, report and submission, with and without silent losses.
//!
//! Time passes only when nothing else can happen. Without a fault no live connection may be closed, and both machines must end
//! on the same one; with losses they must end there too.

use std::collections::BTreeSet;

use super::world::{Rules, Step, World};
use crate::Mode;
use crate::peers::{AcceptPolicy, Completion, Input, IntentError, Outcome, ReconnectPolicy};

/// What may happen how often, at any moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Budget {
    /// Connections lost in silence.
    pub(super) losses: u8,
    /// Deadlines that pass although something is still under way.
    pub(super) early: u8,
    /// Nodes that lose everything and start again.
    pub(super) reloads: u8,
    /// Intents that are closed.
    pub(super) closes: u8,
}

/// Two nodes, and what may happen to them.
pub(super) struct Scenario {
    pub(super) accept: AcceptPolicy,
    /// What each node submits, in this order, at any time.
    pub(super) submit: [&'static [Mode]; 2],
    pub(super) budget: Budget,
    /// Runs with more are not followed; without a fault and with live intents alone there are none.
    pub(super) max_dials: u32,
    /// More states than this are a sign that it never ends.
    pub(super) max_states: usize,
    /// Reports wait in a queue of their own.
    pub(super) slow_reports: bool,
}

pub(super) const SIMPLE: Scenario = Scenario {
    accept: AcceptPolicy::Everyone,
    submit: [LIVE, LIVE],
    budget: Budget { losses: 0, early: 0, reloads: 0, closes: 0 },
    max_dials: 3,
    max_states: 100_000,
    slow_reports: false,
};

#[derive(Clone)]
struct Branch {
    world: World,
    submitted: [usize; 2],
    budget: Budget,
}

/// Explores everything, shows each step to `see`, and returns how many states there were.
pub(super) fn explore(scenario: &Scenario, mut see: impl FnMut(&mut World)) -> usize {
    let no_kills = scenario.budget == Budget::default();
    let steady = no_kills && scenario.submit == [LIVE, LIVE];
    let rules = Rules { accept: scenario.accept, direct: !scenario.slow_reports, no_kills };
    let mut seen = BTreeSet::new();
    let mut ends = 0;
    let mut stack = vec![Branch { world: World::new(2, rules), submitted: [0, 0], budget: scenario.budget }];
    while let Some(mut branch) = stack.pop() {
        see(&mut branch.world);
        branch.world.changes.clear();
        let too_many = branch.world.dials > scenario.max_dials;
        assert!(!(too_many && steady), "dials without end");
        if too_many || !seen.insert((branch.world.fingerprint(), branch.submitted, branch.budget)) {
            continue;
        }
        assert!(seen.len() < scenario.max_states, "it never ends");
        let before = stack.len();
        for step in branch.world.enabled() {
            let mut next = branch.clone();
            next.world.take(step);
            stack.push(next);
        }
        if stack.len() == before && branch.world.next_time().is_some() {
            let mut next = branch.clone();
            next.world.take(Step::Time);
            stack.push(next);
        }
        let moving = stack.len() > before;
        let waiting = (0..2).any(|node| branch.submitted[node] < scenario.submit[node].len());
        if !moving && !waiting {
            check_end(&branch, no_kills);
            ends += 1;
        }
        disturb(&branch, scenario, &mut stack);
    }
    assert!(ends > 0, "no run ended");
    seen.len()
}

/// What users and the world may do at any time.
fn disturb(branch: &Branch, scenario: &Scenario, stack: &mut Vec<Branch>) {
    for node in 0..2 {
        if let Some(&mode) = scenario.submit[node].get(branch.submitted[node]) {
            let mut next = branch.clone();
            next.submitted[node] += 1;
            next.world.submit(node, 1 - node, mode, ReconnectPolicy::ALWAYS);
            stack.push(next);
        }
    }
    let mut fork = |allowed: u8, spend: fn(&mut Budget), act: &dyn Fn(&mut World)| {
        if allowed > 0 {
            let mut next = branch.clone();
            spend(&mut next.budget);
            act(&mut next.world);
            stack.push(next);
        }
    };
    for conn in branch.world.alive() {
        fork(branch.budget.losses, |budget| budget.losses -= 1, &|world| world.kill(conn));
    }
    if branch.world.next_time().is_some() {
        fork(branch.budget.early, |budget| budget.early -= 1, &|world| world.take(Step::Time));
    }
    for node in 0..2 {
        fork(branch.budget.reloads, |budget| budget.reloads -= 1, &|world| world.reload(node));
        for intent in branch.world.unsettled(node) {
            fork(branch.budget.closes, |budget| budget.closes -= 1, &|world| world.input(node, Input::CloseIntent { intent }));
        }
    }
}

fn check_end(branch: &Branch, without_fault: bool) {
    let world = &branch.world;
    for outcome in world.nodes.iter().flat_map(|node| node.settled.values()) {
        let refused = *outcome == Outcome::Failed(IntentError::Refused) && world.rules.accept == AcceptPolicy::AskHandler;
        assert!(!without_fault || refused || *outcome == Outcome::Done(Completion::Complete), "{outcome:?} without a fault");
    }
    let unsettled: Vec<_> = (0..2).flat_map(|node| world.unsettled(node).into_iter().map(move |intent| (node, intent))).collect();
    for &(node, intent) in &unsettled {
        assert_eq!(world.nodes[node].modes[&intent], Mode::Live, "{intent:?} is stuck");
    }
    if unsettled.is_empty() {
        assert!(world.nodes.iter().all(|node| node.manager.is_empty()), "something is left");
        assert!(world.open().is_empty());
    } else {
        assert!(world.together(0, 1), "apart: {:?} {:?}", world.nodes[0].manager.peers(), world.nodes[1].manager.peers());
    }
}

const LIVE: &[Mode] = &[Mode::Live];
pub(super) const BOTH: &[Mode] = &[Mode::Live, Mode::Once];

/// How many states a scenario has.
fn count(scenario: &Scenario) -> usize {
    explore(scenario, |_| {})
}

#[test]
fn every_order_of_a_simultaneous_open_without_fault() {
    assert!(count(&SIMPLE) > 40);
    assert!(count(&Scenario { slow_reports: true, ..SIMPLE }) > 100);
    assert!(count(&Scenario { submit: [BOTH, BOTH], ..SIMPLE }) > 100);
}

#[test]
fn every_order_with_handlers_that_say_yes_or_no() {
    assert!(count(&Scenario { accept: AcceptPolicy::AskHandler, ..SIMPLE }) > 100);
    assert!(count(&Scenario { accept: AcceptPolicy::AskHandler, submit: [BOTH, LIVE], slow_reports: true, ..SIMPLE }) > 100);
}

#[test]
fn every_order_of_once_intents() {
    assert!(count(&Scenario { submit: [&[Mode::Once, Mode::Once], &[Mode::Once]], ..SIMPLE }) > 1000);
}

#[test]
fn every_order_with_two_losses() {
    let budget = Budget { losses: 2, ..Budget::default() };
    assert!(count(&Scenario { budget, max_dials: 5, ..SIMPLE }) > 1000);
    assert!(count(&Scenario { budget, max_dials: 5, slow_reports: true, ..SIMPLE }) > 1000);
    assert!(count(&Scenario { budget, accept: AcceptPolicy::AskHandler, ..SIMPLE }) > 1000);
    assert!(count(&Scenario { budget, submit: [BOTH, LIVE], ..SIMPLE }) > 1000);
}

#[test]
fn every_order_with_an_early_deadline_a_reload_a_loss_or_a_close() {
    let none = Budget::default();
    for budget in [
        Budget { losses: 1, early: 1, ..none },
        Budget { reloads: 1, early: 1, ..none },
        Budget { losses: 1, reloads: 1, ..none },
        Budget { early: 1, closes: 1, ..none },
    ] {
        assert!(count(&Scenario { budget, max_dials: 4, ..SIMPLE }) > 300);
    }
}

#[test]
fn every_order_with_a_handler_an_early_deadline_and_a_reload() {
    let budget = Budget { early: 1, reloads: 1, ..Budget::default() };
    assert!(count(&Scenario { budget, max_dials: 4, accept: AcceptPolicy::AskHandler, ..SIMPLE }) > 10_000);
}
