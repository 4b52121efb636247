//! The entries of an announcement, read from the store as they are needed.

use std::collections::VecDeque;

use super::Scope;
use crate::{
    store::{Bounds, Cursor, EntryRef, Order, Store},
    sync::inline::{Planned, Reads},
    willow::{EntryId, Range3d, Timestamp},
};

/// How many entries, and how many bytes of their inline payloads, are read ahead.
const AHEAD: usize = 64;
const AHEAD_BYTES: u64 = 128 * 1024;

/// An entry that an announcement has brought.
#[derive(Debug)]
pub(super) struct Brought {
    cursor: Cursor,
    id: EntryId,
    timestamp: Timestamp,
}

impl Brought {
    pub(super) fn new(cursor: Cursor, id: EntryId, timestamp: Timestamp) -> Self {
        Self { cursor, id, timestamp }
    }

    /// How many bytes it keeps in memory.
    pub(super) fn weight(&self) -> usize {
        size_of::<Self>().saturating_add(self.cursor.key.len())
    }

    /// Whether the peer needs not be sent `entry`, because it has it or something newer in its place.
    fn supersedes(&self, entry: &EntryRef<'_>, cursor: &Cursor) -> bool {
        self.id == entry.id() || (self.timestamp > entry.timestamp() && is_at_or_below(cursor, &self.cursor))
    }
}

/// Whether a path in the same subspace begins with that of `above`.
fn is_at_or_below(cursor: &Cursor, above: &Cursor) -> bool {
    cursor.subspace == above.subspace && cursor.key.starts_with(&above.key)
}

/// What the peer is known to have in a range: what its announcement brought, in order.
#[derive(Default, Debug)]
pub(super) struct Known {
    ahead: VecDeque<Brought>,
    /// Those whose place is at or above the place that was reached last.
    above: Vec<Brought>,
    weight: usize,
}

impl Known {
    pub(super) fn nothing() -> Self {
        Self::default()
    }

    /// The peer has this too. To be told in order, before anything is asked.
    pub(super) fn push(&mut self, brought: Brought) {
        self.weight = self.weight.saturating_add(brought.weight());
        self.ahead.push_back(brought);
    }

    /// How many bytes it keeps in memory.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Whether the peer has the entry or something newer in its place. To be asked in order.
    fn covers(&mut self, entry: &EntryRef<'_>, cursor: &Cursor) -> bool {
        self.above.retain(|above| is_at_or_below(cursor, &above.cursor));
        while let Some(next) = self.ahead.pop_front_if(|next| next.cursor <= *cursor) {
            if is_at_or_below(cursor, &next.cursor) {
                self.above.push(next);
            }
        }
        self.above.iter().any(|above| above.supersedes(entry, cursor))
    }
}

/// Entries of a range in order, some of them read ahead with their inline payloads.
#[derive(Debug)]
pub(super) struct Feed {
    bounds: Bounds,
    known: Known,
    inline_max: u64,
    after: Option<Cursor>,
    exhausted: bool,
    ahead: VecDeque<Planned>,
}

impl Feed {
    pub(super) fn new(range: &Range3d, known: Known, inline_max: u64) -> Self {
        Self { bounds: range.into(), known, inline_max, after: None, exhausted: false, ahead: VecDeque::new() }
    }

    /// Reads ahead. Afterwards there is a next entry, unless there are no more.
    pub(super) fn fill(&mut self, scope: &Scope, store: &Store, reads: &mut Reads) {
        let mut bytes: u64 = self.ahead.iter().map(Planned::weight).sum();
        if self.exhausted || self.ahead.len() > AHEAD / 2 || bytes > AHEAD_BYTES / 2 {
            return;
        }
        let after = self.after.take();
        let mut entries = store.entries_from(&scope.namespace, &self.bounds, Order::Ascending, after.as_ref());
        self.after = after;
        while self.ahead.len() < AHEAD && bytes < AHEAD_BYTES {
            let Some(entry) = entries.next() else {
                self.exhausted = true;
                return;
            };
            let cursor = entry.cursor();
            if !self.known.covers(&entry, &cursor) {
                let planned = Planned::new(entry, self.inline_max, reads);
                bytes = bytes.saturating_add(planned.weight());
                self.ahead.push_back(planned);
            }
            self.after = Some(cursor);
        }
    }

    /// The next entry and whether it is the last, if it can be sent now.
    pub(super) fn next(&mut self, reads: &Reads) -> Option<(Planned, bool)> {
        let next = self.ahead.pop_front_if(|next| next.is_ready(reads))?;
        Some((next, self.is_empty()))
    }

    /// Whether there are no more, after [`Feed::fill`].
    pub(super) fn is_empty(&self) -> bool {
        self.exhausted && self.ahead.is_empty()
    }

    /// Leaves one entry only, the final one.
    pub(super) fn cut_short(&mut self, reads: &mut Reads) {
        self.exhausted = true;
        for planned in self.ahead.drain(self.ahead.len().min(1)..) {
            planned.cancel(reads);
        }
    }
}
