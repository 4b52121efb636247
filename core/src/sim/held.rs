//! What nodes know of what others hold: is it true, and do they come to know it?

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, data::Spot, world::World};
use crate::{
    store::{Bounds, EntryRef, Evidence, ProgressId, StoredEntry},
    willow::EntryId,
};

/// A mistake about what is held elsewhere that every node of a simulation can make.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mistake {
    /// The peer is told that entries are stored before they are.
    StoredTooEarly,
    /// What a peer says to have stored is not heeded, nor which ranges are the same.
    EvidenceUnheeded,
    /// That a range is the same is not heeded.
    RangesUnheeded,
    /// What was written since a range was compared counts as compared.
    TimeUnheeded,
    /// Entries count as held without their payloads.
    PayloadsUnheeded,
    /// The note says that everything is held.
    NoteTooNew,
}

impl Mistake {
    /// Every mistake.
    pub const ALL: &'static [Self] =
        &[Self::StoredTooEarly, Self::EvidenceUnheeded, Self::RangesUnheeded, Self::TimeUnheeded, Self::PayloadsUnheeded, Self::NoteTooNew];
}

/// Which node had what, at some time.
#[derive(Default)]
pub(super) struct Possession {
    all: BTreeMap<EntryId, Owners>,
}

struct Owners {
    entry: StoredEntry,
    some: BTreeSet<usize>,
    /// With the whole payload.
    whole: BTreeSet<usize>,
}

impl Possession {
    fn add(&mut self, node: usize, entry: &EntryRef<'_>) {
        let new = || Owners { entry: entry.stored().clone(), some: BTreeSet::new(), whole: BTreeSet::new() };
        let owners = self.all.entry(entry.id()).or_insert_with(new);
        owners.some.insert(node);
        if entry.is_complete() {
            owners.whole.insert(node);
        }
    }

    /// Whether another node had this, whole if the node itself has it whole, or something newer in its place.
    fn is_elsewhere(&self, node: usize, entry: &StoredEntry, complete: bool) -> bool {
        let had = |owners: &Owners| (if complete { &owners.whole } else { &owners.some }).iter().any(|&owner| owner != node);
        self.all.get(&entry.id()).is_some_and(had)
            || self.all.values().any(|owners| owners.some.iter().any(|&owner| owner != node) && prunes(&owners.entry, entry))
    }
}

fn prunes(newer: &StoredEntry, entry: &StoredEntry) -> bool {
    let age = |of: &StoredEntry| (of.timestamp(), of.payload_digest(), of.payload_length());
    newer.namespace_id() == entry.namespace_id()
        && newer.subspace_id() == entry.subspace_id()
        && newer.path().is_prefix_of(&entry.path())
        && age(newer) > age(entry)
}

impl World {
    /// The store of a node has changed.
    pub(super) fn possess(&mut self, node: usize) {
        let store = &self.nodes[node].storage.store;
        for space in store.namespaces() {
            store.entries(space, &crate::willow::Area::full()).for_each(|entry| self.possession.add(node, &entry));
        }
        self.note_held(node);
    }

    /// A node gets to know that a peer holds something.
    pub(super) fn learn(&mut self, node: usize, mut evidence: Evidence) {
        match (self.options.mistake, &mut evidence) {
            (Some(Mistake::EvidenceUnheeded), _) | (Some(Mistake::RangesUnheeded), Evidence::Range { .. }) => return,
            (Some(Mistake::TimeUnheeded), Evidence::Range { at, .. }) => *at = ProgressId(u64::MAX),
            (Some(Mistake::PayloadsUnheeded), Evidence::Range { whole, .. }) => *whole = true,
            _ => {}
        }
        self.nodes[node].storage.store.learn(&evidence);
        self.expect_truth(node);
    }

    /// Whatever a node takes for held was in another's store.
    pub(super) fn expect_truth(&mut self, node: usize) {
        let (store, possession) = (&self.nodes[node].storage.store, &self.possession);
        let mut held =
            store.namespaces().flat_map(|space| store.entries(space, &crate::willow::Area::full())).filter(|entry| !entry.is_unheld());
        let wrong = held.find(|entry| !possession.is_elsewhere(node, entry, entry.is_complete())).map(|entry| entry.stored().clone());
        drop(held);
        if let Some(entry) = wrong {
            self.find(Kind::Diverged, || format!("node {node} takes for held what nobody else had: {entry:?}"));
        }
    }

    /// A node that has nothing else to do notes what is held.
    fn note_held(&self, node: usize) {
        let storage = &self.nodes[node].storage;
        if storage.writes.is_empty() {
            let mut note = storage.store.held_note();
            if self.options.mistake == Some(Mistake::NoteTooNew) {
                note.chunks_mut(40).for_each(|record| record[32..].copy_from_slice(&storage.store.progress().0.to_be_bytes()));
            }
            storage.keep_held(note);
        }
    }

    /// What a node has in these places and does not know to be held elsewhere.
    pub(super) fn unknown(&self, node: usize, spots: &[Spot]) -> Option<String> {
        let store = &self.nodes[node].storage.store;
        let mut areas = spots.iter().map(|&spot| (self.universe.space(spot.space), Bounds::from(&self.universe.area(spot))));
        let entry = areas.find_map(|(space, bounds)| store.unheld_entries(space, &bounds).next().map(|entry| entry.stored().clone()))?;
        Some(format!("{:?} of {:?}", entry.path(), entry.timestamp()))
    }
}
