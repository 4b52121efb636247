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

    /// All pairs, with how often they were reached.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let pair = |(index, &count): (usize, &u64)| (SITUATIONS[index / INPUTS.len()], INPUTS[index % INPUTS.len()], count);
        self.counts.iter().enumerate().map(pair)
    }
}
