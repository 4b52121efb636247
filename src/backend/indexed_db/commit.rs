//! Writing a batch in one transaction.

use std::{cell::RefCell, collections::BTreeMap};

use indexed_db_futures::{KeyRange, database::Database, object_store::ObjectStore, transaction::Transaction};
use osier_core::{
    store::{AuthorId, Batch, Change, RowCodec, StorageError},
    willow::EntryId,
};

use super::{
    batch::{Effect, Next, Stored, effects, to_read},
    database::{
        AUTHORS, ENTRIES, HISTORY, META, NOTES, PAYLOADS, SECRETS, STATE, add, complete, entry_key, get, history_key, put, put_last,
        reason, remove, segment_key, segment_keys, writing,
    },
    directory::{Changed, Directory},
    failure::Failure,
    holding::TAKEN_OVER,
    secrets::SECRET,
    state::State,
    there::There,
    value::{of_row, packs, stored_as, unpack, with_payload},
};

/// The longest segment of a payload.
const SEGMENT: usize = 256 * 1024;

/// A batch to be written, and by whom.
pub(super) struct Write<'a> {
    pub(super) batch: &'a Batch,
    /// What to store of the secrets, by the place of their change.
    pub(super) sealed: BTreeMap<usize, Vec<u8>>,
    pub(super) codec: &'a RefCell<RowCodec>,
    /// What is stored, and where; complete.
    pub(super) directory: &'a Directory,
    pub(super) epoch: u64,
}

/// What is new to remember once a batch is written.
struct News {
    authors: Vec<AuthorId>,
    stored: Changed,
}

/// The object stores of a transaction that writes.
struct Stores<'a> {
    entries: ObjectStore<'a>,
    authors: ObjectStore<'a>,
    payloads: ObjectStore<'a>,
    history: ObjectStore<'a>,
    notes: ObjectStore<'a>,
    secrets: ObjectStore<'a>,
    meta: ObjectStore<'a>,
}

impl Write<'_> {
    /// Whether it may change where entries are.
    pub(super) fn moves_entries(&self) -> bool {
        self.batch.changes.iter().any(|change| matches!(change, Change::Put(_) | Change::Remove(_)))
    }

    /// Writes it. [`Failure::Present`] says that an entry is there that the directory does not have.
    pub(super) async fn commit(&self, database: &Database) -> Result<(), Failure> {
        let transaction = writing(database, &[ENTRIES, AUTHORS, PAYLOADS, HISTORY, NOTES, SECRETS, META], self.batch.durability)?;
        // Whatever fails here aborts it.
        let News { authors, stored } = self.write(&transaction).await.map_err(|failure| reason(&transaction, failure))?;
        complete(transaction).await?;
        let mut codec = self.codec.borrow_mut();
        authors.iter().for_each(|author| codec.keep(author));
        self.directory.change(stored);
        Ok(())
    }

    async fn write(&self, transaction: &Transaction<'_>) -> Result<News, Failure> {
        let store = |name: &str| transaction.object_store(name);
        let stores = Stores {
            entries: store(ENTRIES)?,
            authors: store(AUTHORS)?,
            payloads: store(PAYLOADS)?,
            history: store(HISTORY)?,
            notes: store(NOTES)?,
            secrets: store(SECRETS)?,
            meta: store(META)?,
        };
        let state = get(&stores.meta, STATE.into())?;
        let ids = to_read(self.batch, |id| self.directory.has(id));
        let there = There::read(ids, self.directory, self.batch, &stores.entries, &stores.payloads).await?;
        let effects = effects(self.batch, there.stored)?;
        // All of this is on its way before the state is looked at; if that forbids it, it is taken back.
        let authors = self.write_authors(&stores)?;
        let mut changed = Changed::default();
        for (head, pack) in there.packs {
            rewrite(&stores.entries, head, &pack, &effects, &mut changed)?;
        }
        let mut together = Vec::new();
        for (id, effect) in &effects {
            self.write_entry(&stores, id, effect, &mut changed, &mut together)?;
        }
        for members in packs(&together) {
            if let Some((key, value)) = stored_as(&members) {
                changed.put(&members);
                add(&stores.entries, entry_key(&key), &value)?;
            }
        }
        self.write_notes(&stores)?;
        self.write_history(&stores)?;
        let mut state = State::read(state).await?;
        if state.epoch != self.epoch {
            return Err(StorageError::Lost(TAKEN_OVER.to_owned()).into());
        }
        state.progress = state.progress.max(self.batch.progress);
        if let Some(record) = &self.batch.history {
            state.history = state.history.max(record.key);
        }
        // Counted, so that a pack which was damaged, and has taken others with it, makes no lasting difference.
        state.entries = self.directory.len();
        for effect in effects.values() {
            let (before, after) = (effect.stored.is_there(), effect.is_there());
            state.entries = state.entries.saturating_sub(before.into()).saturating_add(after.into());
            let (before, after) = (effect.stored.available(), effect.available());
            state.payload_bytes = state.payload_bytes.saturating_sub(before).saturating_add(after);
        }
        put_last(&stores.meta, STATE.into(), &state.encode()).await?;
        Ok(News { authors, stored: changed })
    }

    /// Writes the records of authors that are not kept yet.
    fn write_authors(&self, stores: &Stores<'_>) -> Result<Vec<AuthorId>, Failure> {
        let mut codec = self.codec.borrow_mut();
        let mut written = Vec::new();
        for change in &self.batch.changes {
            let Change::Put(entry) = change else { continue };
            let author = codec.author(entry);
            if let Some(record) = codec.unkept(&author).filter(|_| !written.contains(&author)) {
                put(&stores.authors, js_sys::Uint8Array::from(&author.0[..]).into(), record)?;
                written.push(author);
            }
        }
        Ok(written)
    }

    /// Writes an entry. If it can be in a pack, its value is put `together` with the others.
    fn write_entry(
        &self,
        stores: &Stores<'_>,
        id: &EntryId,
        effect: &Effect<'_>,
        changed: &mut Changed,
        together: &mut Vec<(EntryId, Vec<u8>)>,
    ) -> Result<(), Failure> {
        if effect.cleared {
            remove(&stores.payloads, segment_keys(id, 0, u64::MAX))?;
        }
        match (&effect.next, &effect.stored) {
            (Next::Nothing, Stored::Nothing | Stored::Draft(_)) => {}
            (Next::Nothing, _) => {
                changed.remove(*id);
                // Otherwise its pack is written without it already.
                if self.directory.head(id).is_none() {
                    remove(&stores.entries, KeyRange::Only(entry_key(id)))?;
                }
            }
            (Next::New(entry, available), stored) => {
                let row = self.codec.borrow_mut().encode(entry, *available);
                let small = effect.small_payload();
                let value = small.as_ref().map_or_else(|| of_row(id, &row), |payload| with_payload(id, &row, payload));
                if !stored.is_there() && (small.is_some() || entry.payload_length() == 0) {
                    together.push((*id, value));
                } else {
                    let write = if stored.is_there() { put } else { add };
                    write(&stores.entries, entry_key(id), &value)?;
                    changed.put_alone(*id);
                }
                if small.is_some() {
                    return Ok(());
                }
            }
            (Next::Kept(available), Stored::Row(row, before)) if available != before => {
                let row = RowCodec::with_available(id, row, *available).map_err(StorageError::from)?;
                put(&stores.entries, entry_key(id), &of_row(id, &row))?;
            }
            (Next::Kept(_), _) => {}
        }
        for &(mut offset, bytes) in &effect.segments {
            for segment in bytes.chunks(SEGMENT) {
                put(&stores.payloads, segment_key(id, offset), segment)?;
                offset += segment.len() as u64;
            }
        }
        Ok(())
    }

    /// Writes the record of the history, and removes those that it makes superfluous.
    fn write_history(&self, stores: &Stores<'_>) -> Result<(), Failure> {
        let Some(record) = &self.batch.history else { return Ok(()) };
        put(&stores.history, history_key(record.key), &record.bytes)?;
        match record.trim {
            Some(trim) => remove(&stores.history, KeyRange::UpperBound(history_key(trim), false)),
            None => Ok(()),
        }
    }

    fn write_notes(&self, stores: &Stores<'_>) -> Result<(), Failure> {
        for (place, change) in self.batch.changes.iter().enumerate() {
            let Change::Note { name, value } = change else { continue };
            let store = if name.starts_with(SECRET) { &stores.secrets } else { &stores.notes };
            match (value, self.sealed.get(&place)) {
                (Some(_), Some(sealed)) => put(store, name.into(), sealed)?,
                (Some(value), None) => put(store, name.into(), value)?,
                (None, _) => remove(store, KeyRange::Only(name.into()))?,
            }
        }
        Ok(())
    }
}

/// Writes a pack without those of its entries that the batch removes or puts anew.
fn rewrite(
    entries: &ObjectStore<'_>,
    head: EntryId,
    pack: &[u8],
    effects: &BTreeMap<EntryId, Effect<'_>>,
    changed: &mut Changed,
) -> Result<(), Failure> {
    let stays = |id: &EntryId| effects.get(id).is_none_or(|effect| matches!(effect.next, Next::Kept(_)));
    let mut members = unpack(pack).unwrap_or_default();
    if members.iter().all(|(id, _)| stays(id)) {
        return Ok(());
    }
    changed.take_apart(&members);
    members.retain(|(id, _)| stays(id));
    changed.put(&members);
    let stored = stored_as(&members);
    if stored.as_ref().is_none_or(|(key, _)| *key != head) {
        remove(entries, KeyRange::Only(entry_key(&head)))?;
    }
    match stored {
        Some((key, value)) => put(entries, entry_key(&key), &value),
        None => Ok(()),
    }
}
