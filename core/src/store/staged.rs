//! Payload bytes that cannot be verified before the last of them: on the disk as they come, and not there before they are proven.
//!
//! A payload out of a drop has no labels, so nothing of it can be checked before its end. It is written where it belongs, behind what is
//! here of it, with a note that says where the unverified bytes begin; the index, and so everybody who asks, knows nothing of them. When
//! the payload is proven, the note goes and the bytes are available, in one batch. Else they go: storage only appends to a payload, so the
//! entry is put anew, without any. A note that is found on opening means that a drop was not read to its end, and is treated likewise.
//!
//! While bytes are staged, nothing else is added to that payload: neither what a peer sends nor what is staged for somebody else. Who proves
//! a payload has seen all of its staged bytes. A transfer from a peer that meets staged bytes fails, and is not begun again in its session
//! unless somebody asks for it.

use willow25::prelude::{NamespaceId, Path, SubspaceId};

use super::{
    EntryRef, Store,
    backend::Change,
    events::Origin,
    notes::note_name,
    plan::{Outcome, Plan, Planning, Quiet, Step},
    row::StoredEntry,
};
use crate::willow::EntryId;

/// Names who stages payloads: the reading of a drop. Never used twice while the store is open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StagingId(pub u64);

/// Unverified bytes of a payload that are on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Staged {
    /// Where they end.
    end: u64,
    by: StagingId,
}

/// Where an entry is.
type Place<'a> = (&'a NamespaceId, &'a SubspaceId, &'a Path);

/// The names of notes about staged payloads begin like this; the id of the entry follows, in hexadecimal.
pub const STAGED: &str = "staged/";

/// The change that takes a note about a staged payload back.
pub(super) fn forget_note(id: &EntryId) -> Change {
    Change::Note { name: note_name(STAGED, &id.0), value: None }
}

impl Store {
    /// What would change if these bytes of an entry's payload, from `offset` on, were staged. They must continue what is here and staged, or
    /// overlap it. Then come [`Store::plan_proven`] or [`Store::plan_unstage`].
    pub fn plan_stage(&self, place: Place<'_>, id: &EntryId, by: StagingId, offset: u64, mut bytes: Vec<u8>) -> Plan {
        let mut planning = Planning::new(self);
        let Some(entry) = self.named(place, id) else { return planning.finish(vec![Outcome::NotHere]) };
        let (staged, total) = (self.staged.get(id).copied(), entry.payload_length());
        if staged.is_some_and(|staged| staged.by != by) {
            return planning.finish(vec![Outcome::Occupied]);
        }
        let here = staged.map_or(entry.available(), |staged| staged.end);
        let Some(end) = offset.checked_add(bytes.len() as u64).filter(|&end| end <= total) else {
            return planning.finish(vec![Outcome::BeyondEnd]);
        };
        if offset > here {
            return planning.finish(vec![Outcome::Gap { available: here }]);
        }
        if end <= here {
            return planning.finish(vec![Outcome::NothingNew]);
        }
        if !planning.allows_bytes(entry.namespace_id(), entry.available(), end) {
            return planning.finish(vec![Outcome::OverQuota]);
        }
        if staged.is_none() {
            planning.put(Change::Note { name: note_name(STAGED, &id.0), value: Some(here.to_be_bytes().to_vec()) });
        }
        bytes.drain(..usize::try_from(here - offset).unwrap_or(usize::MAX).min(bytes.len()));
        planning.put(Change::Payload { id: *id, offset: here, bytes });
        planning.quiet(Quiet::Stage { id: *id, staged: Staged { end, by } });
        planning.finish(vec![Outcome::Staged { end, total }])
    }

    /// What would change if the payload that was staged under this name, and is all here, were available: it was proven to be the entry's.
    pub fn plan_proven(&self, place: Place<'_>, id: &EntryId, by: StagingId, origin: Origin) -> Plan {
        let mut planning = Planning::new(self);
        let outcome = match (self.named(place, id), self.staged.get(id)) {
            (None, _) => Outcome::NotHere,
            (Some(_), None) => Outcome::NothingNew,
            (Some(_), Some(staged)) if staged.by != by => Outcome::Occupied,
            (Some(entry), Some(staged)) if staged.end < entry.payload_length() => Outcome::Gap { available: staged.end },
            (Some(entry), Some(staged)) if !planning.allows_bytes(entry.namespace_id(), entry.available(), staged.end) => {
                Outcome::OverQuota
            }
            (Some(entry), Some(staged)) => {
                planning.put(forget_note(id));
                planning.quiet(Quiet::Unstage { id: *id });
                planning.step_extend(entry.stored(), staged.end, origin);
                Outcome::Extended { available: staged.end, total: staged.end }
            }
        };
        planning.finish(vec![outcome])
    }

    /// What would change if the bytes that were staged under this name were dropped: they are not the entry's, or nobody knows. What was here
    /// of the payload before goes, too.
    pub fn plan_unstage(&self, place: Place<'_>, id: &EntryId, by: StagingId, origin: Origin) -> Plan {
        let mut planning = Planning::new(self);
        let outcome = match (self.named(place, id), self.staged.get(id)) {
            (None, _) => Outcome::NotHere,
            (Some(_), None) => Outcome::NothingNew,
            (Some(_), Some(staged)) if staged.by != by => Outcome::Occupied,
            (Some(entry), Some(_)) => {
                planning.put_anew(entry.stored());
                planning.quiet(Quiet::Unstage { id: *id });
                if entry.available() > 0 {
                    planning.step(Step::Extend { entry: entry.stored().clone(), available: 0, origin });
                }
                Outcome::Unstaged
            }
        };
        planning.finish(vec![outcome])
    }

    fn named(&self, (namespace, subspace, path): Place<'_>, id: &EntryId) -> Option<EntryRef<'_>> {
        self.get(namespace, subspace, path).filter(|entry| entry.id() == *id)
    }
}

impl Planning<'_> {
    /// Puts an entry anew, without its payload.
    pub(super) fn put_anew(&mut self, entry: &StoredEntry) {
        self.put(Change::Remove(entry.id()));
        self.put(Change::Put(entry.clone()));
        self.put(forget_note(&entry.id()));
    }
}
