//! The notes that a store keeps beside its entries, and what becomes of them when it is opened. It must not know those of the node.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Store,
    backend::{Backend, Change, StorageError},
    draft::DRAFT,
    plan::Planning,
    row::StoredEntry,
    staged::STAGED,
    unheld::HELD,
};
use crate::{common::key_from_hex, willow::EntryId};

/// The name of a note of this kind about an entry or a namespace, by its id.
pub(super) fn note_name(kind: &str, id: &[u8; 32]) -> String {
    id.iter().fold(kind.to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// The id that a note of this kind is about.
pub(super) fn noted_key(kind: &str, name: &str) -> Option<[u8; 32]> {
    key_from_hex(name.strip_prefix(kind)?)
}

impl Store {
    /// To be called when the store has been loaded, with the notes that were beside it: payloads that were staged and never proven are dropped,
    /// drafts that were not finished, too; what the notes say of quotas and of what peers hold is believed. Those notes are taken out.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn recover(&mut self, backend: &impl Backend, notes: &mut BTreeMap<String, Vec<u8>>) -> Result<(), StorageError> {
        self.trust(notes.remove(HELD).as_deref());
        self.take_quotas(notes);
        let names: Vec<String> = notes.keys().filter(|name| name.starts_with(STAGED) || name.starts_with(DRAFT)).cloned().collect();
        if names.is_empty() {
            return Ok(());
        }
        let of = |kind: &str| names.iter().filter_map(|name| noted_key(kind, name).map(EntryId)).collect::<BTreeSet<_>>();
        let (staged, mut drafts) = (of(STAGED), of(DRAFT));
        let all = || self.namespaces.values().flat_map(|namespace| namespace.index.all()).map(|held| &held.stored);
        let entries: Vec<StoredEntry> = all().filter(|entry| staged.contains(&entry.id())).cloned().collect();
        all().for_each(|entry| _ = drafts.remove(&entry.id()));
        let mut planning = Planning::new(self);
        entries.iter().for_each(|entry| planning.put_anew(entry));
        drafts.into_iter().for_each(|id| planning.put(Change::Remove(id)));
        names.iter().for_each(|name| planning.put(Change::Note { name: name.clone(), value: None }));
        backend.commit(planning.finish(Vec::new()).take_batch()).await?;
        entries.iter().for_each(|entry| self.update(entry, |held| held.available = 0));
        names.iter().for_each(|name| drop(notes.remove(name)));
        Ok(())
    }
}
