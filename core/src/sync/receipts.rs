//! Receipts: what of the entries that were sent is stored at the other end.
//!
//! The entries of one direction of the session stream, forwarded ones and others, have one order: that in which they come to their end,
//! payloads included. For each of them the receiver tells in this order whether it is stored there, in runs, as soon as the store is done
//! with it. This module counts; it must not know why an entry is stored or not, nor who wants to know.

use std::collections::VecDeque;

use super::{error::SyncError, inline::Planned};
use crate::store::StoredEntry;

/// So many entries are remembered that have left and are not receipted: more than an honest peer leaves without receipt while its storage
/// is busy. What is beyond that is forgotten, and shown to be held another time.
const REMEMBERED: usize = 8192;
/// So many runs are told apart while the peer reads nothing. Beyond that what is stored is told as if it was not, which is safe.
const RUNS: usize = 64;

/// The entries that have left and are not receipted.
#[derive(Default, Debug)]
pub struct Sent {
    total: u64,
    /// The first of them, of which nothing is remembered.
    forgotten: u64,
    /// The others; `None` for those of which nobody needs to know.
    waiting: VecDeque<Option<StoredEntry>>,
}

impl Sent {
    /// An entry leaves.
    pub fn push(&mut self, planned: &Planned) {
        self.remember(planned.unheld.then(|| planned.stored.clone()));
    }

    fn remember(&mut self, entry: Option<StoredEntry>) {
        self.total = self.total.saturating_add(1);
        if self.waiting.len() >= REMEMBERED {
            self.waiting.pop_front();
            self.forgotten = self.forgotten.saturating_add(1);
        }
        self.waiting.push_back(entry);
    }

    /// How many have left.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The next so many are receipted: those that are remembered.
    ///
    /// # Errors
    /// [`SyncError::ReceiptUnsent`].
    pub fn receipted(&mut self, count: u64) -> Result<Vec<StoredEntry>, SyncError> {
        let known = count.saturating_sub(self.forgotten);
        let beyond = known.saturating_sub(self.waiting.len() as u64);
        let Some(known) = usize::try_from(known).ok().filter(|_| beyond == 0) else {
            return Err(SyncError::ReceiptUnsent { count: beyond });
        };
        self.forgotten = self.forgotten.saturating_sub(count);
        Ok(self.waiting.drain(..known).flatten().collect())
    }
}

/// The receipts that the peer is to be given.
#[derive(Default, Debug)]
pub struct Receipts {
    runs: VecDeque<Run>,
}

/// Entries that follow one another and fare alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Whether they are stored.
    pub stored: bool,
    /// How many.
    pub count: u64,
}

impl Receipts {
    /// The next entry is stored, or not.
    pub fn push(&mut self, stored: bool) {
        let full = self.runs.len() >= RUNS;
        match self.runs.back_mut() {
            Some(last) if last.stored == stored || full => {
                last.stored &= stored;
                last.count = last.count.saturating_add(1);
            }
            _ => self.runs.push_back(Run { stored, count: 1 }),
        }
    }

    /// The next receipt.
    pub fn pop(&mut self) -> Option<Run> {
        self.runs.pop_front()
    }
}

#[cfg(test)]
mod tests;
