//! Which pairs of a situation and an input were reached.

use crate::peers::{INPUTS, Input, Manager, SITUATIONS};

/// How often each pair was reached.
#[derive(Clone, Debug)]
pub struct Coverage {
    counts: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Self { counts: vec![0; SITUATIONS.len() * INPUTS.len()] }
    }
}

impl Coverage {
    pub(super) fn note(&mut self, manager: &Manager, input: &Input) {
        for (situation, input) in manager.rows(input) {
            self.counts[situation * INPUTS.len() + input] += 1;
        }
    }

    /// Adds what others have reached.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// All pairs that there can be, with how often they were reached.
    ///
    /// An input cannot meet a situation that lacks what it names: an attempt, a session, a question, a connection. Such inputs are stale;
    /// they are counted in the situation none, and what each of them does to every situation stands in the table.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let of = |index: usize| (index / INPUTS.len(), index % INPUTS.len());
        let all = self.counts.iter().enumerate().map(move |(index, &count)| (of(index), count));
        all.filter(|&((situation, input), _)| is_possible(situation, input))
            .map(|((situation, input), count)| (SITUATIONS[situation], INPUTS[input], count))
    }
}

/// Whether a situation has what an input names; by their places in the lists.
fn is_possible(situation: usize, input: usize) -> bool {
    let name = SITUATIONS[situation];
    let is = |word: &str| name.starts_with(word);
    let ending = name.ends_with("session ending");
    let (some, attempt) = (name != "none", is("dialing") || is("accepting"));
    match INPUTS[input] {
        "submit" | "newer hello" => true,
        "older hello" => {
            is("deciding") || is("accepting") || is("active") || name == "dialing, holding" || name == "dialing, session ending"
        }
        "decided yes" | "decided no" => is("deciding") || is("active") || is("accepting") && name != "accepting",
        "established" | "attempt lost" | "attempt refused" => attempt,
        "connection lost" | "closed: duplicate" | "closed: superseded" | "closed: violation" => {
            is("deciding") || is("accepting") || is("active") || is("terminating")
        }
        "held lost" => name == "dialing, holding" || name == "dialing, session ending",
        "intent done" | "peer finished" | "progress" | "session complete" | "session: violation" | "session: lost" | "probe answered" => {
            ending || is("active")
        }
        "yes taken back" => is("accepting") || is("active"),
        _ => some,
    }
}

/// Why random scripts do not come upon a pair. What each pair does is tested one by one (`peers/tests/table.rs`).
#[must_use]
pub fn why_unreached(situation: &str, input: &str) -> &'static str {
    match input {
        "session: violation" | "closed: violation" => {
            "the nodes of a simulation keep to the protocol; tests/hostile.rs plays those that do not"
        }
        "closed: superseded" => "a peer says so of what a newer connection of this node has replaced: this node has left it by then",
        "closed: duplicate" => "a peer says so of a connection that lost against another one: there is no other one by then",
        "attempt refused" => "who dials refuses nobody",
        "probe answered" => "only a running session is probed, and its answer is there before the session ends",
        "background lost" | "terminated" => "a connection in the background is let go within moments, and seldom ends by itself in them",
        _ if situation.ends_with("session ending") => "a session ends within moments, and little else happens in them",
        "yes taken back" | "decided yes" | "decided no" => "nobody is asked about a peer that was dialed, and a yes is used at once",
        "progress" | "session complete" => "told of sessions that one side has finished",
        "close the intent" => "there is no intent in it",
        _ => "it takes an order of events that is rare",
    }
}
