//! Writing a batch in one transaction.

use std::{cell::RefCell, collections::BTreeMap};

use indexed_db_futures::{
    BuildPrimitive, KeyRange, cursor::CursorDirection, database::Database, object_store::ObjectStore, query_source::QuerySource,
    transaction::Transaction,
};
use osier_core::{
    store::{AuthorId, Batch, Change, RowCodec, StorageError},
    willow::EntryId,
};
use wasm_bindgen::JsValue;

use super::{
    batch::{Effect, Next, Stored, effects, is_of_draft, stored, to_read},
    database::{
        AUTHORS, ENTRIES, Get, HISTORY, META, NOTES, PAYLOADS, SECRETS, STATE, add, bytes, complete, entry_key, get, history_key, put,
        put_last, reason, remove, segment_key, segment_keys, writing,
    },
    failure::Failure,
    holding::TAKEN_OVER,
    secrets::SECRET,
    state::State,
    value::{of_row, with_payload},
};

/// The longest segment of a payload.
const SEGMENT: usize = 256 * 1024;

/// A batch to be written, and by whom.
pub(super) struct Write<'a> {
    pub(super) batch: &'a Batch,
    /// What to store of the secrets, by the place of their change.
    pub(super) sealed: BTreeMap<usize, Vec<u8>>,
    pub(super) codec: &'a RefCell<RowCodec>,
    pub(super) epoch: u64,
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
    /// Writes it. Unless it is `careful`, entries that it puts are taken to be new, which saves reading them;
    /// [`Failure::Present`] says that one is not.
    pub(super) async fn commit(&self, database: &Database, careful: bool) -> Result<(), Failure> {
        let transaction = writing(database, &[ENTRIES, AUTHORS, PAYLOADS, HISTORY, NOTES, SECRETS, META], self.batch.durability)?;
        // Whatever fails here aborts it.
        let authors = self.write(&transaction, careful).await.map_err(|failure| reason(&transaction, failure))?;
        complete(transaction).await?;
        let mut codec = self.codec.borrow_mut();
        authors.iter().for_each(|author| codec.keep(author));
        Ok(())
    }

    async fn write(&self, transaction: &Transaction<'_>, careful: bool) -> Result<Vec<AuthorId>, Failure> {
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
        let ids = to_read(self.batch, careful);
        let asked: Vec<(EntryId, Get)> =
            ids.into_iter().map(|id| Ok((id, get(&stores.entries, entry_key(&id))?))).collect::<Result<_, Failure>>()?;
        let mut read = BTreeMap::new();
        for (id, row) in asked {
            let stored = match row.await?.as_ref().map(bytes) {
                None => Stored::Nothing,
                Some(Ok(row)) => stored(&id, &row),
                Some(Err(_)) => Stored::Damaged(0),
            };
            read.insert(id, stored);
        }
        for (id, stored) in &mut read {
            if let Stored::Damaged(available) = stored {
                *available = available.saturating_add(length(&stores.payloads, id).await?);
            }
        }
        for id in self.batch.changes.iter().filter(|change| is_of_draft(change)).filter_map(Change::entry) {
            if let Some(stored @ Stored::Nothing) = read.get_mut(&id) {
                *stored = Stored::Draft(length(&stores.payloads, &id).await?);
            }
        }
        let effects = effects(self.batch, read)?;
        // All of this is on its way before the state is looked at; if that forbids it, it is taken back.
        let authors = self.write_authors(&stores)?;
        for (id, effect) in &effects {
            self.write_entry(&stores, id, effect)?;
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
        for effect in effects.values() {
            let (before, after) = (effect.stored.is_there(), effect.is_there());
            state.entries = state.entries.saturating_sub(before.into()).saturating_add(after.into());
            let (before, after) = (effect.stored.available(), effect.available());
            state.payload_bytes = state.payload_bytes.saturating_sub(before).saturating_add(after);
        }
        put_last(&stores.meta, STATE.into(), &state.encode()).await?;
        Ok(authors)
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

    fn write_entry(&self, stores: &Stores<'_>, id: &EntryId, effect: &Effect<'_>) -> Result<(), Failure> {
        if effect.cleared {
            remove(&stores.payloads, segment_keys(id, 0, u64::MAX))?;
        }
        match (&effect.next, &effect.stored) {
            (Next::Nothing, Stored::Nothing | Stored::Draft(_)) => {}
            (Next::Nothing, _) => remove(&stores.entries, KeyRange::Only(entry_key(id)))?,
            (Next::New(entry, available), stored) => {
                let row = self.codec.borrow_mut().encode(entry, *available);
                let write = if stored.is_there() { put } else { add };
                if let Some(payload) = effect.small_payload() {
                    return write(&stores.entries, entry_key(id), &with_payload(id, &row, &payload));
                }
                write(&stores.entries, entry_key(id), &of_row(id, &row))?;
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

/// How long the stored part of a payload is, by its last segment.
async fn length(payloads: &ObjectStore<'_>, id: &EntryId) -> Result<u64, Failure> {
    let last = payloads.open_cursor().with_query::<JsValue, _>(segment_keys(id, 0, u64::MAX)).with_direction(CursorDirection::Prev);
    let Some(mut last) = last.primitive()?.await? else { return Ok(0) };
    let key = last.key::<JsValue>()?.as_ref().map(bytes).transpose()?.unwrap_or_default();
    let segment = last.next_record::<JsValue>().await?.as_ref().map(bytes).transpose()?.unwrap_or_default();
    Ok(super::payload::offset_of(&key)?.saturating_add(segment.len() as u64))
}
