//! Payloads that are on the disk before their entry: what is too long to be held in memory until it is written.
//!
//! The entry is signed when the digest is known, so its id is, too; then the bytes are written under it, and at last the entry is put with
//! them in one batch. Before that nobody knows of either. A note says that there is a draft: one that is found on opening belongs to a write
//! that was not finished, and is removed. It must not know where the bytes come from; whoever finishes a draft has seen all of them.

use super::{
    Store,
    backend::Change,
    events::Origin,
    notes::note_name,
    plan::{Incoming, Outcome, Plan, Planning, Quiet},
};
use crate::willow::{EntryId, Entrylike as _, Keylike as _, Namespaced as _, SignedEntry};

/// The names of notes about drafts begin like this; the id of the entry follows, in hexadecimal.
pub const DRAFT: &str = "draft/";

impl Store {
    /// What would change if these bytes of the payload of an entry that is not here, from `offset` on, were drafted. They must continue the
    /// draft; at 0 they begin it. Then comes [`Store::plan_drafted`] or [`Store::plan_discard`].
    pub fn plan_draft(&self, entry: &SignedEntry, offset: u64, bytes: Vec<u8>) -> Plan {
        let mut planning = Planning::new(self);
        let (id, total) = (entry.id, entry.entry.payload_length());
        let drafted = self.drafts.get(&id).copied();
        let here = drafted.unwrap_or(0);
        let outcome = match offset.checked_add(bytes.len() as u64).filter(|end| *end <= total) {
            None => Outcome::BeyondEnd,
            Some(_) if self.has(entry) => Outcome::AlreadyHere,
            Some(_) if drafted.is_some() && offset == 0 => Outcome::Occupied,
            Some(_) if offset == 0 && !planning.allows_bytes(entry.entry.namespace_id(), 0, total) => Outcome::OverQuota,
            Some(_) if offset != here => Outcome::Gap { available: here },
            Some(end) => {
                if drafted.is_none() {
                    planning.put(Change::Note { name: note_name(DRAFT, &id.0), value: Some(Vec::new()) });
                }
                planning.put(Change::Draft { id, offset, bytes });
                planning.quiet(Quiet::Draft { id, end });
                Outcome::Staged { end, total }
            }
        };
        planning.finish(vec![outcome])
    }

    /// What would change if an entry came in whose whole payload is drafted. Whatever becomes of it, there is no draft any more.
    pub fn plan_drafted(&self, entry: SignedEntry, origin: Origin) -> Plan {
        let (id, total) = (entry.id, entry.entry.payload_length());
        let mut planning = Planning::new(self);
        let outcomes = match self.drafts.get(&id) {
            Some(end) if *end == total => planning.with_drafts().join(vec![Incoming { entry, payload: None, origin }]),
            drafted => vec![Outcome::Gap { available: drafted.copied().unwrap_or(0) }],
        };
        if !matches!(outcomes[..], [Outcome::Inserted { .. }]) {
            planning.put_discard(id);
        }
        planning.finish(outcomes)
    }

    /// What would change if a draft were given up.
    pub fn plan_discard(&self, id: EntryId) -> Plan {
        let mut planning = Planning::new(self);
        let outcome = if self.drafts.contains_key(&id) { Outcome::Unstaged } else { Outcome::NothingNew };
        planning.put_discard(id);
        planning.finish(vec![outcome])
    }

    fn has(&self, signed: &SignedEntry) -> bool {
        let entry = &signed.entry;
        let there = self.get(entry.namespace_id(), entry.subspace_id(), entry.path());
        there.is_some_and(|there| there.id() == signed.id)
    }
}

impl Planning<'_> {
    /// Removes what is drafted for an entry, if anything is.
    pub(super) fn put_discard(&mut self, id: EntryId) {
        if self.store.drafts.contains_key(&id) {
            self.put(Change::Remove(id));
            self.put_undrafted(id);
        }
    }

    /// There is no draft any more.
    pub(super) fn put_undrafted(&mut self, id: EntryId) {
        self.put(Change::Note { name: note_name(DRAFT, &id.0), value: None });
        self.quiet(Quiet::Undraft { id });
    }
}
