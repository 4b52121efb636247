//! Prefix sums over the blocks of an index: how many entries of which sort, and how many payload bytes, lie before a block.
//!
//! A Fenwick tree: changing one block and asking for a prefix or a rank are O(log blocks); when blocks come or go it is rebuilt in
//! O(blocks), which happens at most once per half a block of changes.

use super::row::Held;

/// How much lies in a block or a run of blocks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Weight {
    /// Entries.
    pub(crate) count: u64,
    /// Sum of their payload lengths in bytes. Lengths are claims of remote peers up to 2^64 - 1, hence the width.
    pub(crate) size: u128,
    /// Sum of how much of them is here, in bytes.
    pub(crate) stored: u128,
    /// Of those, entries whose payload is not all here.
    pub(crate) incomplete: u64,
    /// Of those, entries that no other node is known to hold.
    pub(crate) unheld: u64,
}

impl Weight {
    /// The weight of one entry.
    pub(crate) fn of(held: &Held) -> Self {
        let (length, available) = (held.stored.payload_length(), held.available);
        let incomplete = (available < length).into();
        Self { count: 1, size: length.into(), stored: available.into(), incomplete, unheld: held.unheld.into() }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.size += other.size;
        self.stored += other.stored;
        self.incomplete += other.incomplete;
        self.unheld += other.unheld;
    }

    pub(crate) fn sub(&mut self, other: Self) {
        self.count -= other.count;
        self.size -= other.size;
        self.stored -= other.stored;
        self.incomplete -= other.incomplete;
        self.unheld -= other.unheld;
    }
}

/// The tree; see the module.
#[derive(Default)]
pub(crate) struct Totals {
    /// Node `i` (from 1) covers the `i & -i` blocks that end at block `i`; stored at `i - 1`.
    tree: Vec<Weight>,
}

impl Totals {
    /// Begins anew with these blocks.
    pub(crate) fn rebuild(&mut self, blocks: impl Iterator<Item = Weight>) {
        self.tree.clear();
        self.tree.extend(blocks);
        for node in 1..=self.tree.len() {
            let parent = node + lowest_bit(node);
            if parent <= self.tree.len() {
                let weight = self.tree[node - 1];
                self.tree[parent - 1].add(weight);
            }
        }
    }

    /// Adds to one block.
    pub(crate) fn add(&mut self, block: usize, weight: Weight) {
        let mut node = block + 1;
        while node <= self.tree.len() {
            self.tree[node - 1].add(weight);
            node += lowest_bit(node);
        }
    }

    /// Takes from one block.
    pub(crate) fn sub(&mut self, block: usize, weight: Weight) {
        let mut node = block + 1;
        while node <= self.tree.len() {
            self.tree[node - 1].sub(weight);
            node += lowest_bit(node);
        }
    }

    /// What lies in the blocks before `block`.
    pub(crate) fn before(&self, block: usize) -> Weight {
        let mut sum = Weight::default();
        let mut node = block.min(self.tree.len());
        while node > 0 {
            sum.add(self.tree[node - 1]);
            node -= lowest_bit(node);
        }
        sum
    }

    /// The block that holds the entry of this rank (from 0), and its rank within the block; the number of blocks if there is none.
    pub(crate) fn find(&self, rank: u64) -> (usize, u64) {
        let (mut node, mut rest) = (0, rank);
        let mut step = self.tree.len().checked_ilog2().map_or(0, |log| 1 << log);
        while step > 0 {
            if node + step <= self.tree.len() && self.tree[node + step - 1].count <= rest {
                node += step;
                rest -= self.tree[node - 1].count;
            }
            step >>= 1;
        }
        (node, rest)
    }
}

fn lowest_bit(node: usize) -> usize {
    node & node.wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn prefixes_and_ranks_match_plain_sums(start in proptest::collection::vec(0u64..5, 0..40), more in proptest::collection::vec((0usize..40, 1u64..9), 0..40)) {
            let mut plain = start;
            let mut totals = Totals::default();
            totals.rebuild(plain.iter().map(|&count| Weight { count, size: u128::from(count) * 3, ..Weight::default() }));
            for (at, count) in more.into_iter().filter(|&(at, _)| at < plain.len()).collect::<Vec<_>>() {
                plain[at] += count;
                totals.add(at, Weight { count, size: u128::from(count) * 3, ..Weight::default() });
                if plain[at] > 7 {
                    plain[at] -= 7;
                    totals.sub(at, Weight { count: 7, size: 21, ..Weight::default() });
                }
            }
            for block in 0..=plain.len() {
                let count = plain[..block].iter().sum::<u64>();
                prop_assert_eq!(totals.before(block), Weight { count, size: u128::from(count) * 3, ..Weight::default() });
            }
            let ranks = plain.iter().enumerate().flat_map(|(block, &count)| (0..count).map(move |within| (block, within))).collect::<Vec<_>>();
            for (rank, &found) in ranks.iter().enumerate() {
                prop_assert_eq!(totals.find(rank as u64), found);
            }
            prop_assert_eq!(totals.find(ranks.len() as u64).0, plain.len());
        }
    }
}
