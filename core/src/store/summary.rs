//! What reconciliation asks: how many entries a range holds, how large their payloads are, and its keyed fingerprint sum.
//!
//! Sums depend on a session's key, so a session keeps its own [`BlockSums`] beside the index.

use std::collections::BTreeMap;

use willow25::prelude::NamespaceId;

use super::{
    Store,
    index::{Block, Index, Piece},
    key::Bounds,
};
use crate::willow::{FingerprintKey, Sum, Summary};

/// The fingerprint sums of index blocks under one session's key, filled when first needed. A block that has changed since is computed
/// again. 40 bytes for each block of some hundred entries. To be used with one [`Store`] only.
pub struct BlockSums {
    key: FingerprintKey,
    namespaces: BTreeMap<NamespaceId, Vec<(u64, Sum)>>,
}

impl BlockSums {
    /// Nothing computed yet.
    #[must_use]
    pub fn new(key: FingerprintKey) -> Self {
        Self { key, namespaces: BTreeMap::new() }
    }

    /// The key that the sums are under.
    #[must_use]
    pub fn key(&self) -> &FingerprintKey {
        &self.key
    }
}

/// The sum of a block; `sums` by block slot, each with the stamp of the block that it belongs to (stamps are never 0).
fn block_sum(key: &FingerprintKey, sums: &mut Vec<(u64, Sum)>, block: &Block) -> Sum {
    if sums.len() <= block.slot {
        sums.resize(block.slot + 1, (0, Sum::ZERO));
    }
    let (stamp, sum) = &mut sums[block.slot];
    if *stamp != block.stamp {
        *sum = block.rows.iter().fold(Sum::ZERO, |sum, row| sum.add(key.singleton(&row.stored.id())));
        *stamp = block.stamp;
    }
    *sum
}

fn count(index: &Index, bounds: &Bounds) -> u64 {
    if bounds.all_times() {
        return index.runs(bounds).map(|run| index.rank(run.end) - index.rank(run.start)).sum();
    }
    let mut count = 0;
    for run in index.runs(bounds) {
        index.visit(run, bounds, |piece| {
            count += match piece {
                Piece::Block(block) => block.rows.len() as u64,
                Piece::Row(_) => 1,
            };
        });
    }
    count
}

impl Store {
    /// How many entries lie within the bounds. O(log n) for each subspace run; if times are restricted, also O(blocks) and the rows of
    /// blocks whose times cross the restriction.
    #[must_use]
    pub fn count(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>) -> u64 {
        self.index(namespace).map_or(0, |index| count(index, &bounds.into()))
    }

    /// The sum of the payload lengths, in bytes, of the entries within the bounds, whether the payloads are here or not; at most
    /// `u64::MAX`. Costs as [`Store::count`].
    #[must_use]
    pub fn size(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>) -> u64 {
        let size = self.index(namespace).map_or(0, |index| index.weight_of(&bounds.into()).size);
        u64::try_from(size).unwrap_or(u64::MAX)
    }

    /// The number of entries within the bounds and the sum of their singletons under the session's key. One addition for each block
    /// that is cached, one keyed hash for each other entry.
    pub fn summary(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>, sums: &mut BlockSums) -> Summary {
        let Some(index) = self.index(namespace) else { return Summary::default() };
        let bounds = bounds.into();
        let blocks = match sums.namespaces.get_mut(namespace) {
            Some(blocks) => blocks,
            None => sums.namespaces.entry(namespace.clone()).or_default(),
        };
        let mut summary = Summary::default();
        for run in index.runs(&bounds) {
            index.visit(run, &bounds, |piece| {
                let (count, sum) = match piece {
                    Piece::Block(block) => (block.rows.len() as u64, block_sum(&sums.key, blocks, block)),
                    Piece::Row(row) => (1, sums.key.singleton(&row.stored.id())),
                };
                summary = Summary { count: summary.count + count, sum: summary.sum.add(sum) };
            });
        }
        summary
    }
}
