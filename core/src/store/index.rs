//! The entries of one namespace in the order (subspace, path): a list of blocks of a few hundred rows with prefix sums.
//!
//! Finding, inserting, removing, ranking and selecting are O(log n) (and a move of at most one block of small slots). The index
//! knows nothing of Willow's join: `plan` decides what comes and goes.

use super::{
    key::{Bounds, common_prefix},
    row::{Held, Probe},
    totals::{Totals, Weight},
};

/// A block that grows beyond this is split.
const MOST: usize = if cfg!(test) { 8 } else { 256 };
/// A block that shrinks below this is joined with a neighbour if both fit into [`JOINED`].
const LEAST: usize = MOST / 4;
const JOINED: usize = MOST * 3 / 4;

/// Consecutive rows; never empty while in the index.
pub(crate) struct Block {
    /// Names the block for caches beside the index: small numbers, used again when a block is gone.
    pub(crate) slot: usize,
    /// Changes with every change to the set of rows, and is never used twice in an index.
    pub(crate) stamp: u64,
    pub(crate) rows: Vec<Held>,
    /// Of the rows' payload lengths.
    pub(crate) weight: Weight,
    /// The least timestamp among the rows.
    pub(crate) oldest: u64,
    /// The greatest timestamp among the rows.
    pub(crate) newest: u64,
}

impl Block {
    fn new(slot: usize, stamp: u64, rows: Vec<Held>) -> Self {
        let mut block = Self { slot, stamp, rows, weight: Weight::default(), oldest: 0, newest: 0 };
        block.measure();
        block
    }

    fn measure(&mut self) {
        self.weight = Weight::default();
        self.rows.iter().for_each(|row| self.weight.add(Weight::of(row)));
        self.measure_times();
    }

    fn measure_times(&mut self) {
        let times = self.rows.iter().map(|row| row.stored.micros());
        self.oldest = times.clone().min().unwrap_or(u64::MAX);
        self.newest = times.max().unwrap_or(0);
    }
}

/// A place between rows: before row `row` of block `block`. Always normal: `row` is less than the block's length, or this is the end
/// of the index with `row` 0. Good until the index changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Position {
    pub(crate) block: usize,
    pub(crate) row: usize,
}

/// The index; see the module.
#[derive(Default)]
pub(crate) struct Index {
    blocks: Vec<Block>,
    totals: Totals,
    free_slots: Vec<usize>,
    slots: usize,
    stamps: u64,
}

impl Index {
    /// How many entries.
    pub(crate) fn len(&self) -> u64 {
        self.weight().count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(crate) fn start(&self) -> Position {
        Position { block: 0, row: 0 }
    }

    pub(crate) fn end(&self) -> Position {
        Position { block: self.blocks.len(), row: 0 }
    }

    /// The first place that has nothing before it that lies behind the probe.
    pub(crate) fn find(&self, probe: Probe<'_>) -> Position {
        let after = self.blocks.partition_point(|block| block.rows.first().is_some_and(|row| probe.is_behind(&row.stored)));
        let Some(block) = after.checked_sub(1) else { return self.start() };
        let rows = &self.blocks[block].rows;
        let row = rows.partition_point(|row| probe.is_behind(&row.stored));
        if row == rows.len() { Position { block: block + 1, row: 0 } } else { Position { block, row } }
    }

    /// All rows, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Held> {
        self.blocks.iter().flat_map(|block| &block.rows)
    }

    /// The row at a place, `None` at the end.
    pub(crate) fn get(&self, at: Position) -> Option<&Held> {
        self.blocks.get(at.block)?.rows.get(at.row)
    }

    /// Changes what is known of the row at a place; the entry stays.
    pub(crate) fn update(&mut self, at: Position, change: impl FnOnce(&mut Held)) {
        let Some(block) = self.blocks.get_mut(at.block) else { return };
        let Some(row) = block.rows.get_mut(at.row) else { return };
        let before = Weight::of(row);
        change(row);
        let now = Weight::of(row);
        if now != before {
            block.weight.sub(before);
            block.weight.add(now);
            self.totals.sub(at.block, before);
            self.totals.add(at.block, now);
        }
    }

    /// The weight of what the bounds cover. Costs as [`Store::count`](super::Store::count).
    pub(crate) fn weight_of(&self, bounds: &Bounds) -> Weight {
        let mut weight = Weight::default();
        for run in self.runs(bounds) {
            if bounds.all_times() {
                weight.add(self.weight_before(run.end));
                weight.sub(self.weight_before(run.start));
            } else {
                self.visit(run, bounds, |piece| {
                    weight.add(match piece {
                        Piece::Block(block) => block.weight,
                        Piece::Row(row) => Weight::of(row),
                    });
                });
            }
        }
        weight
    }

    /// The weight of all rows.
    pub(crate) fn weight(&self) -> Weight {
        self.totals.before(self.blocks.len())
    }

    /// The rows within the bounds that no other node is known to hold, in order, and their places. Blocks without any cost a look each.
    pub(crate) fn unheld<'a>(&'a self, bounds: &'a Bounds) -> impl Iterator<Item = (Position, &'a Held)> {
        self.runs(bounds).flat_map(move |run| {
            let blocks = self.blocks.iter().enumerate().take(run.end.block.saturating_add(1)).skip(run.start.block);
            blocks.filter(|(_, block)| block.weight.unheld > 0).flat_map(move |(block, of)| {
                let rows = of.rows.iter().enumerate().map(move |(row, held)| (Position { block, row }, held));
                rows.filter(move |(at, held)| {
                    held.unheld && run.start <= *at && *at < run.end && bounds.includes_time(held.stored.micros())
                })
            })
        })
    }

    /// The place one row further.
    pub(crate) fn next(&self, at: Position) -> Position {
        let row = at.row + 1;
        if self.blocks.get(at.block).is_some_and(|block| row < block.rows.len()) {
            Position { row, ..at }
        } else {
            Position { block: at.block + 1, row: 0 }
        }
    }

    /// The place one row back, `None` at the start.
    pub(crate) fn previous(&self, at: Position) -> Option<Position> {
        if let Some(row) = at.row.checked_sub(1) {
            return Some(Position { row, ..at });
        }
        let block = at.block.checked_sub(1)?;
        Some(Position { block, row: self.blocks.get(block)?.rows.len() - 1 })
    }

    /// How many rows lie before this place.
    pub(crate) fn rank(&self, at: Position) -> u64 {
        self.totals.before(at.block).count + at.row as u64
    }

    /// The place of the row with so many before it.
    pub(crate) fn select(&self, rank: u64) -> Position {
        let (block, row) = self.totals.find(rank);
        match usize::try_from(row) {
            Ok(row) if block < self.blocks.len() => Position { block, row },
            _ => self.end(),
        }
    }

    /// What lies before this place.
    pub(crate) fn weight_before(&self, at: Position) -> Weight {
        let mut weight = self.totals.before(at.block);
        let rows = self.blocks.get(at.block).map_or(&[][..], |block| &block.rows[..at.row]);
        rows.iter().for_each(|row| weight.add(Weight::of(row)));
        weight
    }

    fn stamp(&mut self) -> u64 {
        self.stamps += 1;
        self.stamps
    }

    fn new_block(&mut self, rows: Vec<Held>) -> Block {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        Block::new(slot, self.stamp(), rows)
    }

    fn rebuild_totals(&mut self) {
        self.totals.rebuild(self.blocks.iter().map(|block| block.weight));
    }

    /// Inserts a row in its place. The caller has made sure that its key is not there.
    pub(crate) fn insert(&mut self, held: Held) {
        let at = self.find(Probe::at(held.stored.subspace_bytes(), held.stored.key()));
        // A place between two blocks is taken at the end of the earlier one, unless that is full.
        let at = match at.block.checked_sub(1) {
            Some(block) if at.row == 0 && self.blocks[block].rows.len() < MOST => Position { block, row: self.blocks[block].rows.len() },
            _ => at,
        };
        if at.block == self.blocks.len() {
            let block = self.new_block(vec![held]);
            self.blocks.push(block);
            return self.rebuild_totals();
        }
        let weight = Weight::of(&held);
        let (time, stamp) = (held.stored.micros(), self.stamp());
        let block = &mut self.blocks[at.block];
        block.rows.insert(at.row, held);
        block.weight.add(weight);
        block.oldest = block.oldest.min(time);
        block.newest = block.newest.max(time);
        block.stamp = stamp;
        if block.rows.len() > MOST {
            self.split(at.block);
        } else {
            self.totals.add(at.block, weight);
        }
    }

    /// Inserts many rows in their places. The caller has made sure that none of their keys is there, or twice among them. Each block is
    /// visited once, in order: so what is looked at is near, as it is not for rows that come one by one.
    pub(crate) fn insert_all(&mut self, mut rows: Vec<Held>) {
        rows.sort_unstable_by(|a, b| a.stored.place_cmp(&b.stored));
        let mut rows = rows.into_iter().peekable();
        let mut blocks = std::mem::take(&mut self.blocks).into_iter().peekable();
        while let Some(mut block) = blocks.next().or_else(|| rows.peek().is_some().then(|| self.new_block(Vec::new()))) {
            let next = blocks.peek().and_then(|next| next.rows.first()).map(|row| row.stored.clone());
            let (mut at, before) = (0, block.rows.len());
            while let Some(row) = rows.next_if(|row| next.as_ref().is_none_or(|next| row.stored.place_cmp(next).is_lt())) {
                at += block.rows[at..].partition_point(|other| other.stored.place_cmp(&row.stored).is_lt());
                block.rows.insert(at, row);
            }
            if block.rows.len() == before {
                self.blocks.push(block);
            } else {
                self.push_split(block);
            }
        }
        self.rebuild_totals();
    }

    /// Puts a block that has changed behind the others, in as many parts as it needs.
    fn push_split(&mut self, mut block: Block) {
        let len = block.rows.len();
        let parts = if len > MOST { len.div_ceil(JOINED) } else { 1 };
        let mut upper: Vec<_> = (1..parts).rev().map(|part| block.rows.split_off(len * part / parts)).collect();
        block.stamp = self.stamp();
        block.measure();
        self.blocks.push(block);
        while let Some(rows) = upper.pop() {
            let block = self.new_block(rows);
            self.blocks.push(block);
        }
    }

    fn split(&mut self, at: usize) {
        let rows = &mut self.blocks[at].rows;
        let upper = rows.split_off(rows.len() / 2);
        rows.shrink_to(JOINED);
        self.blocks[at].measure();
        let block = self.new_block(upper);
        self.blocks.insert(at + 1, block);
        self.rebuild_totals();
    }

    /// Removes the row at a place; `None` at the end.
    pub(crate) fn remove(&mut self, at: Position) -> Option<Held> {
        let stamp = self.stamp();
        let block = self.blocks.get_mut(at.block).filter(|block| at.row < block.rows.len())?;
        let held = block.rows.remove(at.row);
        let (weight, time) = (Weight::of(&held), held.stored.micros());
        block.weight.sub(weight);
        block.stamp = stamp;
        if time == block.oldest || time == block.newest {
            block.measure_times();
        }
        if block.rows.len() >= LEAST || !self.join(at.block) {
            self.totals.sub(at.block, weight);
        }
        Some(held)
    }

    /// Drops the block if it is empty, or joins it with a neighbour if both are small. Whether the blocks have changed.
    fn join(&mut self, at: usize) -> bool {
        let len = |block: usize| self.blocks.get(block).map(|block| block.rows.len());
        let fits = |first: usize| matches!((len(first), len(first + 1)), (Some(a), Some(b)) if a + b <= JOINED);
        if len(at) == Some(0) {
            let empty = self.blocks.remove(at);
            self.free_slots.push(empty.slot);
        } else if let Some(first) = [Some(at), at.checked_sub(1)].into_iter().flatten().find(|&first| fits(first)) {
            let mut second = self.blocks.remove(first + 1);
            self.free_slots.push(second.slot);
            let stamp = self.stamp();
            let block = &mut self.blocks[first];
            block.rows.append(&mut second.rows);
            block.stamp = stamp;
            block.measure();
        } else {
            return false;
        }
        self.rebuild_totals();
        true
    }

    /// The runs of consecutive rows that the bounds cover, timestamps aside.
    pub(crate) fn runs<'a>(&'a self, bounds: &'a Bounds) -> Runs<'a> {
        let from = self.find(Probe::at(&bounds.subspace_start, &bounds.path_start));
        let to = bounds.subspace_end.as_ref().map_or(self.end(), |end| self.find(Probe::at(end, &[])));
        Runs { index: self, bounds, from, to }
    }

    /// The runs that [`Runs::rest`] left.
    pub(crate) fn runs_within<'a>(&'a self, bounds: &'a Bounds, rest: Run) -> Runs<'a> {
        Runs { index: self, bounds, from: rest.start, to: rest.end }
    }

    /// The entry of the subspace at the longest prefix of this path, the path itself included. At most one step for each component of
    /// the path, each to a place that is near as a rule.
    pub(crate) fn deepest(&self, subspace: &[u8; 32], mut key: &[u8]) -> Option<&Held> {
        let mut place = self.find(Probe::after(subspace, key));
        loop {
            let at = self.previous(place)?;
            let before = self.get(at)?;
            if before.stored.subspace_bytes() != subspace {
                return None;
            }
            if key.starts_with(before.stored.key()) {
                return Some(before);
            }
            // Any prefix of the path that is left lies before this entry, and so is a prefix of both.
            key = common_prefix(key, before.stored.key());
            place = self.find_before(at, Probe::after(subspace, key));
        }
    }

    /// As [`Index::find`], for a probe that lies before the row at `from`: looks near that first.
    fn find_before(&self, from: Position, probe: Probe<'_>) -> Position {
        let is_behind = |row: &Held| probe.is_behind(&row.stored);
        if self.previous(from).and_then(|before| self.get(before)).is_none_or(is_behind) {
            return from;
        }
        let rows = self.blocks.get(from.block).and_then(|block| block.rows.get(..from.row)).unwrap_or_default();
        match rows.first() {
            Some(first) if is_behind(first) => Position { row: rows.partition_point(is_behind), ..from },
            _ => self.find(probe),
        }
    }

    /// Calls `visit` for all that the run holds and the bounds' times include: whole blocks where possible, single rows else.
    pub(crate) fn visit<'a>(&'a self, run: Run, bounds: &Bounds, mut visit: impl FnMut(Piece<'a>)) {
        let last = if run.end.row == 0 { run.end.block } else { run.end.block + 1 };
        for (at, block) in self.blocks.iter().enumerate().take(last).skip(run.start.block) {
            if block.newest < bounds.time_start || bounds.time_end.is_some_and(|end| end <= block.oldest) {
                continue;
            }
            let start = if at == run.start.block { run.start.row } else { 0 };
            let end = if at == run.end.block { run.end.row } else { block.rows.len() };
            let whole = start == 0 && end == block.rows.len();
            if whole && bounds.includes_time(block.oldest) && bounds.includes_time(block.newest) {
                visit(Piece::Block(block));
            } else {
                let rows = block.rows.get(start..end).unwrap_or_default().iter();
                rows.filter(|row| bounds.includes_time(row.stored.micros())).for_each(|row| visit(Piece::Row(row)));
            }
        }
    }
}

/// Consecutive rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Run {
    pub(crate) start: Position,
    pub(crate) end: Position,
}

/// What [`Index::visit`] shows.
pub(crate) enum Piece<'a> {
    /// All of a block.
    Block(&'a Block),
    /// One row.
    Row(&'a Held),
}

/// The runs that some bounds cover, one per subspace, or one alone if all paths are covered. From both ends.
pub(crate) struct Runs<'a> {
    index: &'a Index,
    bounds: &'a Bounds,
    from: Position,
    to: Position,
}

impl Runs<'_> {
    /// What has not been returned yet.
    pub(crate) fn rest(&self) -> Run {
        Run { start: self.from, end: self.to }
    }

    fn within(&self, subspace: &[u8; 32]) -> Run {
        let start = self.index.find(Probe::at(subspace, &self.bounds.path_start));
        let end = match &self.bounds.path_end {
            Some(key) => self.index.find(Probe::at(subspace, key)),
            None => self.index.find(Probe::end_of(subspace)),
        };
        Run { start: start.max(self.from), end: end.min(self.to) }
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        while self.from < self.to {
            if self.bounds.all_paths() {
                return Some(Run { start: std::mem::replace(&mut self.from, self.to), end: self.to });
            }
            let subspace = self.index.get(self.from)?.stored.subspace_bytes();
            let run = self.within(subspace);
            self.from = self.index.find(Probe::end_of(subspace));
            if run.start < run.end {
                return Some(run);
            }
        }
        None
    }
}

impl DoubleEndedIterator for Runs<'_> {
    fn next_back(&mut self) -> Option<Run> {
        while self.from < self.to {
            if self.bounds.all_paths() {
                return Some(Run { start: self.from, end: std::mem::replace(&mut self.to, self.from) });
            }
            let subspace = self.index.get(self.index.previous(self.to)?)?.stored.subspace_bytes();
            let run = self.within(subspace);
            self.to = self.index.find(Probe::at(subspace, &[]));
            if run.start < run.end {
                return Some(run);
            }
        }
        None
    }
}

#[cfg(test)]
impl Index {
    /// Panics if the index contradicts itself.
    pub(crate) fn check(&self) {
        let rows: Vec<_> = self.blocks.iter().flat_map(|block| &block.rows).collect();
        assert!(rows.is_sorted_by(|a, b| (a.stored.subspace_bytes(), a.stored.key()) < (b.stored.subspace_bytes(), b.stored.key())));
        assert_eq!(self.len(), rows.len() as u64);
        let mut before = Weight::default();
        for (at, block) in self.blocks.iter().enumerate() {
            assert!((1..=MOST).contains(&block.rows.len()));
            assert_eq!(self.totals.before(at), before);
            let fresh = Block::new(block.slot, block.stamp, block.rows.clone());
            assert_eq!((block.weight, block.oldest, block.newest), (fresh.weight, fresh.oldest, fresh.newest));
            before.add(block.weight);
        }
        let mut slots: Vec<_> = self.blocks.iter().map(|block| block.slot).chain(self.free_slots.iter().copied()).collect();
        slots.sort_unstable();
        assert_eq!(slots, (0..self.slots).collect::<Vec<_>>());
        let small = self.blocks.windows(2).filter(|pair| pair.iter().all(|block| block.rows.len() < LEAST)).count();
        assert_eq!(small, 0, "small blocks side by side");
        for (rank, row) in rows.iter().enumerate() {
            let place = self.find(Probe::at(row.stored.subspace_bytes(), row.stored.key()));
            assert_eq!(self.select(rank as u64), place);
            assert_eq!(self.rank(place), rank as u64);
            assert!(self.get(place).is_some_and(|found| found.stored == row.stored));
        }
    }
}
