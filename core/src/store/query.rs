//! Reading entries: one by one, by area or range, in both orders, page by page.

use willow25::prelude::{NamespaceId, Path, SubspaceId, Timestamp};

use super::{
    Store,
    events::ProgressId,
    index::{Index, Piece, Run},
    key::{Bounds, Cursor, path_key},
    row::{EntryRef, Probe},
};

/// In which order entries are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// By subspace, then path.
    #[default]
    Ascending,
    /// The reverse.
    Descending,
}

impl Store {
    /// The entry of this subspace at exactly this path.
    #[must_use]
    pub fn get(&self, namespace: &NamespaceId, subspace: &SubspaceId, path: &Path) -> Option<EntryRef<'_>> {
        let (index, key) = (self.index(namespace)?, path_key(path));
        let held = index.get(index.find(Probe::at(subspace.as_bytes(), &key)))?;
        (held.stored.subspace_bytes() == subspace.as_bytes() && held.stored.key() == &*key).then(|| EntryRef::new(held))
    }

    /// The greatest timestamp among the entries of this subspace in the way of this path: at it, above it or below it. A new entry with a
    /// greater one is not obsolete, and replaces all below. O(log n), and a look at each block of what lies below.
    #[must_use]
    pub fn newest_in_way(&self, namespace: &NamespaceId, subspace: &SubspaceId, path: &Path) -> Option<Timestamp> {
        let (index, subspace, key) = (self.index(namespace)?, subspace.as_bytes(), path_key(path));
        // The deepest at or above the path is the newest of those: else it would have been pruned by the one above.
        let mut newest = index.deepest(subspace, &key).map(|held| held.stored.micros());
        let below = Run { start: index.find(Probe::at(subspace, &key)), end: index.find(Probe::below(subspace, &key)) };
        index.visit(below, &Bounds::until(u64::MAX), |piece| {
            newest = newest.max(Some(match piece {
                Piece::Block(block) => block.newest,
                Piece::Row(row) => row.stored.micros(),
            }));
        });
        newest.map(Timestamp::from)
    }

    /// The entries within the bounds, by subspace and path.
    pub fn entries(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>) -> Entries<'_> {
        self.entries_from(namespace, bounds, Order::Ascending, None)
    }

    /// The entries within the bounds in either order, those that follow `after` in that order.
    pub fn entries_from(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>, order: Order, after: Option<&Cursor>) -> Entries<'_> {
        Entries::new(self.index(namespace), bounds.into(), order, after)
    }

    /// Up to `limit` entries that follow `after`, and where to go on: `None` if there are no more.
    pub fn page(
        &self,
        namespace: &NamespaceId,
        bounds: impl Into<Bounds>,
        order: Order,
        after: Option<&Cursor>,
        limit: usize,
    ) -> (Vec<EntryRef<'_>>, Option<Cursor>) {
        let mut entries = self.entries_from(namespace, bounds, order, after);
        let page: Vec<_> = entries.by_ref().take(limit).collect();
        let more = entries.next().is_some();
        let next = if more { page.last().map(|entry| entry.cursor()).or(after.cloned()) } else { None };
        (page, next)
    }

    /// The entries within the bounds that were inserted after this change and are still here: what a subscription that lagged reads.
    pub fn entries_since(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>, seen: ProgressId) -> Entries<'_> {
        Entries { seen, ..self.entries(namespace, bounds) }
    }
}

/// Entries in order; see [`Store::entries`].
pub struct Entries<'a> {
    index: Option<&'a Index>,
    bounds: Bounds,
    order: Order,
    /// Entries up to this change are left out.
    seen: ProgressId,
    /// What is left of the present run.
    run: Run,
    /// What is left besides, as places between which runs are looked for.
    rest: Run,
}

impl<'a> Entries<'a> {
    fn new(index: Option<&'a Index>, bounds: Bounds, order: Order, after: Option<&Cursor>) -> Self {
        let nothing = Run::default();
        let Some(index) = index else { return Self { index, bounds, order, seen: ProgressId::default(), run: nothing, rest: nothing } };
        let mut rest = index.runs(&bounds).rest();
        match (order, after) {
            (Order::Ascending, Some(at)) => rest.start = rest.start.max(index.find(Probe::after(&at.subspace, &at.key))),
            (Order::Descending, Some(at)) => rest.end = rest.end.min(index.find(Probe::at(&at.subspace, &at.key))),
            (_, None) => {}
        }
        Self { index: Some(index), bounds, order, seen: ProgressId::default(), run: nothing, rest }
    }

    fn next_run(&mut self, index: &'a Index) -> Option<()> {
        let mut runs = index.runs_within(&self.bounds, self.rest);
        self.run = match self.order {
            Order::Ascending => runs.next(),
            Order::Descending => runs.next_back(),
        }?;
        self.rest = runs.rest();
        Some(())
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = EntryRef<'a>;

    fn next(&mut self) -> Option<EntryRef<'a>> {
        let index = self.index?;
        loop {
            while self.run.start < self.run.end {
                let held = match self.order {
                    Order::Ascending => {
                        let at = self.run.start;
                        self.run.start = index.next(at);
                        index.get(at)?
                    }
                    Order::Descending => {
                        self.run.end = index.previous(self.run.end)?;
                        index.get(self.run.end)?
                    }
                };
                if self.bounds.includes_time(held.stored.micros()) && held.stored.progress() > self.seen {
                    return Some(EntryRef::new(held));
                }
            }
            self.next_run(index)?;
        }
    }
}
