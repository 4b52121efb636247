//! Reading what is stored when a store is opened, a part at a time.

use std::cell::RefCell;

use indexed_db_futures::{
    BuildPrimitive, KeyRange, database::Database, future::GetAllPrimitiveRequest, object_store::ObjectStore, query_source::QuerySource,
};
use js_sys::JsString;
use osier_core::{
    store::{AuthorId, Chunk, LoadCursor, RowCodec, StorageError, StoredEntry},
    willow::EntryId,
};
use wasm_bindgen::{JsCast, JsValue};

use super::{
    database::{AUTHORS, ENTRIES, META, NOTES, SECRETS, STATE, bytes, entry_key, get, reading, reason},
    failure::Failure,
    state::State,
};

/// How many entries a part has.
const CHUNK: u32 = 2000;

/// A part, before secrets are unwrapped.
pub(super) struct Part {
    pub(super) chunk: Chunk,
    pub(super) secrets: Vec<(String, Vec<u8>)>,
}

/// The values of a store, or of a part of it.
type All = GetAllPrimitiveRequest<JsValue>;

/// Reads a part, with all authors and notes if it is the first.
pub(super) async fn load(database: &Database, codec: &RefCell<RowCodec>, from: LoadCursor) -> Result<Part, Failure> {
    let transaction = reading(database, &[ENTRIES, AUTHORS, NOTES, SECRETS, META])?;
    let store = |name: &str| transaction.object_store(name);
    let (entries, authors, notes, secrets, meta) = (store(ENTRIES)?, store(AUTHORS)?, store(NOTES)?, store(SECRETS)?, store(META)?);
    // Everything is asked for before anything is waited for.
    let state = get(&meta, STATE.into())?;
    let beside = match from.0 {
        None => Some((pairs(&authors)?, pairs(&notes)?, pairs(&secrets)?)),
        Some(_) => None,
    };
    let rows = values(&entries, from)?;
    let result = async {
        let state = state.await?.ok_or(Failure::Gone)?;
        let mut part =
            Part { chunk: Chunk { progress: State::decode(&bytes(&state)?)?.progress, ..Chunk::default() }, secrets: Vec::new() };
        if let Some((authors, notes, secrets)) = beside {
            for (id, record) in both(authors).await? {
                let id = bytes(&id)?.try_into().map(AuthorId);
                // The entries of an author whose record is damaged are found to be damaged one by one.
                let _ = id.map(|id| codec.borrow_mut().learn(id, &bytes(&record).unwrap_or_default()));
            }
            part.chunk.notes = named(both(notes).await?)?;
            part.secrets = named(both(secrets).await?)?;
        }
        let rows: Vec<JsValue> = rows.await?.collect::<Result<_, _>>()?;
        let mut damaged = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            match decode(&codec.borrow(), row) {
                Some(entry) => part.chunk.entries.push(entry),
                None => damaged.push(place),
            }
        }
        let mut last = part.chunk.entries.last().map(|(entry, _)| entry.id());
        if !damaged.is_empty() {
            // What a damaged row says of itself cannot be trusted: its key says which it is.
            let keys: Vec<JsValue> = keys(&entries, from)?.await?.collect::<Result<_, _>>()?;
            let mut ids = Vec::with_capacity(keys.len());
            for key in &keys {
                ids.push(id_of(key)?);
            }
            part.chunk.damaged = damaged.iter().filter_map(|&place| ids.get(place).copied()).collect();
            last = ids.last().copied();
        }
        let full = u32::try_from(rows.len()).is_ok_and(|count| count == CHUNK);
        part.chunk.next = last.filter(|_| full).map(|last| LoadCursor(Some(last)));
        Ok(part)
    };
    result.await.map_err(|failure| reason(&transaction, failure))
}

/// An entry from what is stored of it.
fn decode(codec: &RowCodec, stored: &JsValue) -> Option<(StoredEntry, u64)> {
    let stored = bytes(stored).ok()?;
    let (id, row) = stored.split_first_chunk::<32>()?;
    codec.decode(&EntryId(*id), row).ok()
}

fn id_of(key: &JsValue) -> Result<EntryId, Failure> {
    let id = bytes(key)?.try_into().map_err(|_| StorageError::Corrupt("an entry without an id".to_owned()))?;
    Ok(EntryId(id))
}

fn range(from: LoadCursor) -> Option<KeyRange<JsValue>> {
    from.0.map(|id| KeyRange::LowerBound(entry_key(&id), true))
}

fn values(store: &ObjectStore<'_>, from: LoadCursor) -> Result<All, Failure> {
    let all = store.get_all::<JsValue>().with_limit(CHUNK);
    Ok(match range(from) {
        Some(range) => all.with_query::<JsValue, _>(range).primitive()?,
        None => all.primitive()?,
    })
}

fn keys(store: &ObjectStore<'_>, from: LoadCursor) -> Result<All, Failure> {
    let all = store.get_all_keys::<JsValue>().with_limit(CHUNK);
    Ok(match range(from) {
        Some(range) => all.with_query::<JsValue, _>(range).primitive()?,
        None => all.primitive()?,
    })
}

fn pairs(store: &ObjectStore<'_>) -> Result<(All, All), Failure> {
    Ok((store.get_all_keys().primitive()?, store.get_all().primitive()?))
}

async fn both((keys, values): (All, All)) -> Result<Vec<(JsValue, JsValue)>, Failure> {
    keys.await?.zip(values.await?).map(|(key, value)| Ok((key?, value?))).collect()
}

fn named(pairs: Vec<(JsValue, JsValue)>) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let name = |key: &JsValue| key.dyn_ref::<JsString>().map(String::from);
    let pair = |(key, value): (JsValue, JsValue)| {
        let name = name(&key).ok_or_else(|| StorageError::Corrupt("a note without a name".to_owned()))?;
        Ok((name, bytes(&value)?))
    };
    pairs.into_iter().map(pair).collect()
}
