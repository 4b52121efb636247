//! Cutting a 3d range into parts of about equal numbers of entries, by subspace and path.
//!
//! A range is a box: a cut is either between two subspaces, or, where the store has one subspace in the box, between two paths. (The
//! other side may have more subspaces there; the parts still cover the box exactly.)

use willow25::prelude::{NamespaceId, PathRange, Range3d, SubspaceId, SubspaceRange};

use super::{
    Store,
    index::{Index, Run},
    key::Bounds,
    row::{Probe, StoredEntry},
};

/// The entries in a range, numbered from 0: as runs, or row by row where times are restricted.
struct Selection<'a> {
    index: &'a Index,
    /// Each with the number of its first entry and its first rank; they are in order.
    spans: Vec<Span>,
    len: u64,
}

#[derive(Clone, Copy)]
struct Span {
    number: u64,
    rank: u64,
    len: u64,
}

impl<'a> Selection<'a> {
    fn new(index: &'a Index, bounds: &Bounds) -> Self {
        let mut selection = Self { index, spans: Vec::new(), len: 0 };
        for run in index.runs(bounds) {
            selection.take(run, bounds);
        }
        selection
    }

    fn take(&mut self, run: Run, bounds: &Bounds) {
        let (first, last) = (self.index.rank(run.start), self.index.rank(run.end));
        if bounds.all_times() {
            return self.push(first, last - first);
        }
        let mut at = run.start;
        for rank in first..last {
            if self.index.get(at).is_some_and(|row| bounds.includes_time(row.stored.micros())) {
                self.push(rank, 1);
            }
            at = self.index.next(at);
        }
    }

    fn push(&mut self, rank: u64, len: u64) {
        match self.spans.last_mut() {
            Some(last) if last.rank + last.len == rank => last.len += len,
            _ => self.spans.push(Span { number: self.len, rank, len }),
        }
        self.len += len;
    }

    /// The entry of this number.
    fn get(&self, number: u64) -> Option<&'a StoredEntry> {
        let span = self.spans.get(self.spans.partition_point(|span| span.number <= number).checked_sub(1)?)?;
        self.index.get(self.index.select(span.rank + (number - span.number))).map(|row| &row.stored)
    }

    /// How many of them lie before the probe.
    fn before(&self, probe: Probe<'_>) -> u64 {
        let rank = self.index.rank(self.index.find(probe));
        let span = self.spans.partition_point(|span| span.rank < rank).checked_sub(1).and_then(|span| self.spans.get(span));
        span.map_or(0, |span| span.number + span.len.min(rank - span.rank))
    }
}

/// A box that is to become `parts` boxes, and the numbers of the entries in it.
struct Task {
    range: Range3d,
    from: u64,
    to: u64,
    parts: u64,
}

impl Task {
    /// Two tasks, cut where the halves suit best; `None` if the box stays whole.
    fn cut(&self, selection: &Selection<'_>) -> Option<(Self, Self)> {
        let len = self.to - self.from;
        let parts = self.parts.min(len);
        if parts < 2 {
            return None;
        }
        let middle = self.from + share(len, parts / 2, parts);
        let entry = selection.get(middle)?;
        let starts = selection.before(Probe::at(entry.subspace_bytes(), &[])).max(self.from);
        let ends = selection.before(Probe::end_of(entry.subspace_bytes())).min(self.to);
        let between = [starts, ends].into_iter().filter(|&at| self.from < at && at < self.to);
        let (at, lower, upper) = match between.min_by_key(|at| at.abs_diff(middle)) {
            Some(at) => self.between_subspaces(selection, at)?,
            None => self.between_paths(entry, middle)?,
        };
        let lower_parts = share(parts, at - self.from, len).clamp(1, parts - 1);
        let task = |range, from, to, parts| Self { range, from, to, parts };
        Some((task(lower, self.from, at, lower_parts), task(upper, at, self.to, parts - lower_parts)))
    }

    fn between_subspaces(&self, selection: &Selection<'_>, at: u64) -> Option<(u64, Range3d, Range3d)> {
        let border: SubspaceId = selection.get(at)?.subspace_id().clone();
        let subspaces = self.range.subspaces();
        let lower = SubspaceRange::try_new(subspaces.start().clone(), Some(border.clone())).ok()?;
        let upper = SubspaceRange::try_new(border, subspaces.end().cloned()).ok()?;
        let part = |subspaces| Range3d::new(subspaces, self.range.paths().clone(), *self.range.times());
        Some((at, part(lower), part(upper)))
    }

    fn between_paths(&self, entry: &StoredEntry, at: u64) -> Option<(u64, Range3d, Range3d)> {
        let border = entry.path();
        let paths = self.range.paths();
        let lower = PathRange::try_new(paths.start().clone(), Some(border.clone())).ok()?;
        let upper = PathRange::try_new(border, paths.end().cloned()).ok()?;
        let part = |paths| Range3d::new(self.range.subspaces().clone(), paths, *self.range.times());
        Some((at, part(lower), part(upper)))
    }
}

/// `whole * part / of`, rounded to the nearest.
fn share(whole: u64, part: u64, of: u64) -> u64 {
    let (whole, part, of) = (u128::from(whole), u128::from(part), u128::from(of.max(1)));
    u64::try_from((whole * part + of / 2) / of).unwrap_or(u64::MAX)
}

impl Store {
    /// Cuts the range into at least one and at most `parts` disjoint ranges that together cover it exactly, in order, each with an
    /// about equal number of entries and none without, if there is any. Times are not cut. O(parts · log n); if times are restricted,
    /// O(entries).
    #[must_use]
    pub fn split(&self, namespace: &NamespaceId, range: &Range3d, parts: usize) -> Vec<Range3d> {
        let Some(index) = self.index(namespace) else { return vec![range.clone()] };
        let selection = Selection::new(index, &range.into());
        let mut whole = Vec::new();
        let mut tasks = vec![Task { range: range.clone(), from: 0, to: selection.len, parts: parts as u64 }];
        while let Some(task) = tasks.pop() {
            match task.cut(&selection) {
                Some((lower, upper)) => tasks.extend([upper, lower]),
                None => whole.push(task.range),
            }
        }
        whole
    }
}
