//! Which entries no other node is known to hold, so that a person can be warned before the only copy goes.
//!
//! What is written here or imported is *unheld* until there is [`Evidence`] that a peer has stored it, with the whole of its payload if
//! that is here. What a peer has sent is held. That a peer has stored something does not mean that it has it still.
//!
//! One bit of a row says so, and the sums over the blocks of the index count them, so that nothing has to be kept beside the index when
//! entries come and go. On the disk a note has, for each namespace, the last change up to which everything is held. It may lag behind,
//! for all that comes later has greater numbers: what is not known to be held after a restart is unheld, until the next reconciliation
//! with a peer shows what that has. The note is removed in the very batch that makes an earlier entry unheld again, which takes a payload
//! that was imported later than its entry.
//!
//! It must not know how evidence travels.

use std::{collections::BTreeMap, sync::Arc};

use willow25::prelude::{NamespaceId, Range3d};

use super::{
    Store,
    backend::Change,
    events::{Origin, ProgressId},
    index::Position,
    key::Bounds,
    row::{EntryRef, Held, StoredEntry},
    totals::Weight,
};

/// The name of the note that says up to where everything is held: for each namespace its id and the number of a change, big-endian.
pub const HELD: &str = "held";
const ID: usize = 32;
const RECORD: usize = ID + 8;

/// What shows that a peer holds entries.
#[derive(Clone, PartialEq, Debug)]
pub enum Evidence {
    /// It has said that it has stored these, with their payloads.
    Entries(Vec<StoredEntry>),
    /// It has the entries that were here in a range.
    Range {
        /// The namespace.
        namespace: NamespaceId,
        /// The range.
        range: Arc<Range3d>,
        /// When they were here: after this change.
        at: ProgressId,
        /// Whether it has their payloads, too.
        whole: bool,
    },
}

/// The change that takes the note back.
pub(super) fn distrust_note() -> Change {
    Change::Note { name: HELD.to_owned(), value: None }
}

impl Store {
    /// How many entries no other node is known to hold.
    #[must_use]
    pub fn unheld(&self) -> u64 {
        self.namespaces.values().map(|namespace| namespace.index.weight().unheld).sum()
    }

    /// Those entries within the bounds, by subspace and path. O(blocks) beside what is found.
    pub fn unheld_entries<'a>(&'a self, namespace: &NamespaceId, bounds: &'a Bounds) -> impl Iterator<Item = EntryRef<'a>> {
        self.index(namespace).into_iter().flat_map(|index| index.unheld(bounds)).map(|(_, held)| EntryRef::new(held))
    }

    /// Whether some entry of the range is unheld. Costs as [`Store::count`].
    #[must_use]
    pub fn has_unheld(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>) -> bool {
        self.weight(namespace, &bounds.into()).unheld > 0
    }

    /// Whether the payloads of all entries of the range are here. Costs as [`Store::count`].
    #[must_use]
    pub fn is_whole(&self, namespace: &NamespaceId, bounds: impl Into<Bounds>) -> bool {
        self.weight(namespace, &bounds.into()).incomplete == 0
    }

    /// Takes evidence into account; whether it is news. O(log n) for each entry, O(blocks) for a range beside what is unheld in it.
    pub fn learn(&mut self, evidence: &Evidence) -> bool {
        let before = self.unheld();
        match evidence {
            Evidence::Entries(entries) => entries.iter().for_each(|entry| self.update(entry, |held| held.unheld = false)),
            Evidence::Range { namespace, range, at, whole } => {
                let shown = |held: &Held| {
                    // Of a payload that is not here in whole nothing is lost with this node that others could not have lost before.
                    let length = held.stored.payload_length();
                    held.stored.progress() <= *at && (*whole || held.available < length || length == 0)
                };
                self.hold_those(namespace, &Bounds::from(&**range), shown);
            }
        }
        self.unheld() < before
    }

    fn hold_those(&mut self, namespace: &NamespaceId, bounds: &Bounds, shown: impl Fn(&Held) -> bool) {
        let Some(namespace) = self.namespaces.get_mut(namespace) else { return };
        let places: Vec<Position> = namespace.index.unheld(bounds).filter(|(_, held)| shown(held)).map(|(place, _)| place).collect();
        places.into_iter().for_each(|place| namespace.index.update(place, |held| held.unheld = false));
    }

    /// More of a payload is here, or less. Who sent all of it has it; what was imported may be nowhere else.
    pub(super) fn extend(&mut self, entry: &StoredEntry, available: u64, origin: Origin) {
        self.update(entry, |held| {
            match origin.is_peer() {
                true => held.unheld &= available < held.stored.payload_length(),
                false => held.unheld |= available > held.available,
            }
            held.available = available;
        });
    }

    /// What the note is to say now.
    #[must_use]
    pub fn held_note(&self) -> Vec<u8> {
        let mut note = Vec::with_capacity(self.namespaces.len().saturating_mul(RECORD));
        let everywhere = Bounds::until(u64::MAX);
        for (id, namespace) in &self.namespaces {
            let first = namespace.index.unheld(&everywhere).map(|(_, held)| held.stored.progress()).min();
            let until = first.map_or(self.progress(), |first| ProgressId(first.0.saturating_sub(1)));
            note.extend(id.as_bytes());
            note.extend(until.0.to_be_bytes());
        }
        note
    }

    /// Believes the note of the storage that was loaded. One that says nothing is as none.
    pub(super) fn trust(&mut self, note: Option<&[u8]>) {
        let records = note.unwrap_or_default().as_chunks::<RECORD>().0;
        let until: BTreeMap<&[u8], u64> =
            records.iter().filter_map(|record| record.split_last_chunk().map(|(id, until)| (id, u64::from_be_bytes(*until)))).collect();
        let known: Vec<NamespaceId> = self.namespaces.keys().cloned().collect();
        for id in known {
            if let Some(&until) = until.get(id.as_bytes().as_slice()) {
                self.hold_those(&id, &Bounds::until(u64::MAX), |held| held.stored.progress().0 <= until);
            }
        }
    }

    fn weight(&self, namespace: &NamespaceId, bounds: &Bounds) -> Weight {
        self.index(namespace).map_or(Weight::default(), |index| index.weight_of(bounds))
    }
}
