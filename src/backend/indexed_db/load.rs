//! Reading what is stored when a store is opened, a part at a time.

use std::{cell::RefCell, rc::Rc};

use indexed_db_futures::{
    BuildPrimitive, KeyRange, database::Database, future::GetAllPrimitiveRequest, object_store::ObjectStore, query_source::QuerySource,
};
use js_sys::JsString;
use osier_core::{
    store::{AuthorId, Chunk, LoadCursor, RowCodec, StorageError, StoredEntry},
    willow::EntryId,
};
use tokio::sync::oneshot;
use wasm_bindgen::{JsCast, JsValue};

use super::{
    database::{AUTHORS, ENTRIES, META, NOTES, SECRETS, STATE, bytes, entry_key, get, reading, reason},
    failure::Failure,
    holding::Holding,
    state::State,
    value::Value,
};
use crate::platform::{Task, spawn_local};

/// How many entries a part has.
const CHUNK: u32 = 2000;

/// A part, before secrets are unwrapped.
pub(super) struct Part {
    pub(super) chunk: Chunk,
    pub(super) secrets: Vec<(String, Vec<u8>)>,
}

/// A part that is being read.
pub(super) struct Ahead {
    from: LoadCursor,
    part: oneshot::Receiver<Result<Part, StorageError>>,
    _task: Task,
}

impl Ahead {
    /// Begins to read a part.
    pub(super) fn start(holding: &Rc<Holding>, from: LoadCursor) -> Self {
        let (holding, (done, part)) = (holding.clone(), oneshot::channel());
        let task = spawn_local(async move {
            let _ = done.send(holding.run(async |database: &Database| load(database, &holding.codec, from).await).await);
        });
        Self { from, part, _task: task }
    }

    /// If it is the part from here on.
    pub(super) fn of(self, from: LoadCursor) -> Option<Self> {
        (self.from == from).then_some(self)
    }

    /// The part.
    pub(super) async fn finish(self) -> Result<Part, StorageError> {
        self.part.await.map_err(|_| StorageError::Unknown("reading was broken off".to_owned()))?
    }
}

/// The values of a store, or of a part of it.
type All = GetAllPrimitiveRequest<JsValue>;

/// Reads a part, with all authors and notes if it is the first.
async fn load(database: &Database, codec: &RefCell<RowCodec>, from: LoadCursor) -> Result<Part, Failure> {
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
        let state = State::read(state).await?;
        let chunk = Chunk { progress: state.progress, history: Some(state.history), ..Chunk::default() };
        let mut part = Part { chunk, secrets: Vec::new() };
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
        let found: Vec<_> = rows.iter().map(|row| decode(&codec.borrow(), row)).collect();
        let ids = found.iter().map(|entry| entry.as_ref().map(|(entry, _)| entry.id()));
        let last = if is_ascending(from.0, ids) {
            let last = found.last().and_then(|entry| entry.as_ref().map(|(entry, _)| entry.id()));
            part.chunk.entries = found.into_iter().flatten().collect();
            last
        } else {
            // What a damaged row says of itself cannot be trusted: the keys say which they are.
            let keys: Vec<JsValue> = keys(&entries, from)?.await?.collect::<Result<_, _>>()?;
            let ids = keys.iter().map(id_of).collect::<Result<Vec<_>, _>>()?;
            for (id, entry) in ids.iter().zip(found) {
                match entry.filter(|(entry, _)| entry.id() == *id) {
                    Some(entry) => part.chunk.entries.push(entry),
                    None => part.chunk.damaged.push(*id),
                }
            }
            ids.last().copied()
        };
        let full = u32::try_from(rows.len()).is_ok_and(|count| count == CHUNK);
        part.chunk.next = last.filter(|_| full).map(|last| LoadCursor(Some(last)));
        Ok(part)
    };
    result.await.map_err(|failure| reason(&transaction, failure))
}

/// An entry from what is stored of it.
fn decode(codec: &RowCodec, stored: &JsValue) -> Option<(StoredEntry, u64)> {
    let stored = bytes(stored).ok()?;
    let value = Value::split(&stored)?;
    codec.decode(&value.id, value.row).ok()
}

/// Whether these are the ids of rows that are where they belong: all there, each behind the one before.
fn is_ascending(mut last: Option<EntryId>, ids: impl Iterator<Item = Option<EntryId>>) -> bool {
    let mut ids = ids;
    ids.all(|id| {
        let behind = id.is_some() && id > last;
        last = id;
        behind
    })
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
