//! The state diagram of ARCHITECTURE.md against the code: the transitions that the table, the exploration and random worlds reach.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::exhaustive::{BOTH, Budget, SIMPLE, Scenario, explore};
use super::random;
use super::table;
use crate::PeerId;
use crate::peers::*;

/// A peer's state before and after an input, and the input's name.
pub(super) type Change = (ConnectionState, ConnectionState, &'static str);

/// The states of all peers.
pub(super) fn states(manager: &Manager) -> BTreeMap<PeerId, ConnectionState> {
    manager.peers().into_iter().map(|info| (info.peer, info.state)).collect()
}

/// What changed between two looks. A peer that is not there is in the state none.
pub(super) fn changes(
    input: &'static str,
    before: &BTreeMap<PeerId, ConnectionState>,
    after: &BTreeMap<PeerId, ConnectionState>,
) -> Vec<Change> {
    let peers: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let state = |states: &BTreeMap<_, _>, peer| states.get(peer).copied().unwrap_or(ConnectionState::None);
    peers.into_iter().map(|peer| (state(before, peer), state(after, peer), input)).filter(|(from, to, _)| from != to).collect()
}

/// An input in the words of the diagram.
pub(super) fn name(input: &Input) -> &'static str {
    match input {
        Input::Submit { .. } => "intent",
        Input::CloseIntent { .. } => "intent closed",
        Input::Disconnect { .. } => "disconnect",
        Input::Incoming { .. } | Input::Identified { .. } | Input::HelloRead { .. } => "incoming",
        Input::Decided { .. } => "decided",
        Input::AcceptWithdrawn { .. } => "yes taken back",
        Input::Established { .. } => "established",
        Input::AttemptFailed { .. } => "failed",
        Input::ConnectionLost { .. } => "lost",
        Input::IntentDone { .. } => "intent done",
        Input::PeerFinished { .. } | Input::SessionProgress { .. } | Input::SessionComplete { .. } => "session complete",
        Input::SessionEnded { .. } => "session ended",
        Input::Terminated { .. } => "goodbye",
        Input::ProbeAnswered { .. } => "probe answered",
        Input::Online | Input::Visible | Input::Resumed | Input::Woken => "back",
        Input::Offline | Input::Hidden | Input::Frozen => "away",
        Input::Relay { .. } => "relay",
        Input::Shutdown => "shutdown",
        Input::Tick => "deadline",
    }
}

/// Every change that can be made to happen here.
fn reached() -> BTreeSet<Change> {
    let mut reached = BTreeSet::new();
    table::every_pair(|_, _, bench, _| reached.extend(bench.changes.iter().copied()));
    let none = Budget::default();
    for scenario in [
        Scenario { accept: AcceptPolicy::AskHandler, submit: [BOTH, BOTH], ..SIMPLE },
        Scenario { budget: Budget { losses: 1, early: 1, ..none }, ..SIMPLE },
        Scenario { budget: Budget { reloads: 1, closes: 1, ..none }, accept: AcceptPolicy::AskHandler, ..SIMPLE },
    ] {
        explore(&scenario, |world| reached.extend(world.changes.drain(..)));
    }
    for seed in 0..100 {
        random::of_seed(seed, |world| reached.extend(world.changes.drain(..)));
    }
    reached
}

fn diagram() -> String {
    let mut edges: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (from, to, input) in reached() {
        edges.entry((from, to)).or_default().insert(input);
    }
    let mut text = String::from("```mermaid\nstateDiagram-v2\n    [*] --> None\n");
    for ((from, to), inputs) in edges {
        let inputs: Vec<_> = inputs.into_iter().collect();
        writeln!(text, "    {from:?} --> {to:?}: {}", inputs.join(", ")).unwrap();
    }
    text + "```\n"
}

#[test]
fn the_diagram_in_the_architecture_is_the_machine() {
    let diagram = diagram();
    assert!(include_str!("../../../../ARCHITECTURE.md").contains(&diagram), "the diagram is now:\n{diagram}");
}
