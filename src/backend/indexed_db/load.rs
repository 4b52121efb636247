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
    directory::Directory,
    failure::Failure,
    holding::Holding,
    state::State,
    value::{Value, is_pack, unpack},
};
use crate::platform::{Task, spawn_local};

/// About how many entries a part has.
const CHUNK: u32 = 2000;

/// From how many values the first part is read, and any one at most: how many entries are in them is known only then.
const FIRST: u32 = 100;
const MOST: u32 = 500;

/// A part, before secrets are unwrapped.
pub(super) struct Part {
    pub(super) chunk: Chunk,
    pub(super) secrets: Vec<(String, Vec<u8>)>,
    /// From how many values the next one is to be read.
    values: u32,
}

/// A part that is being read.
pub(super) struct Ahead {
    from: LoadCursor,
    part: oneshot::Receiver<Result<Part, StorageError>>,
    _task: Task,
}

impl Ahead {
    /// Begins to read a part, of which nothing is known but where it begins.
    pub(super) fn start(holding: &Rc<Holding>, from: LoadCursor) -> Self {
        Self::read(holding, from, FIRST)
    }

    /// Begins to read the part behind another, if there is one.
    pub(super) fn next(holding: &Rc<Holding>, part: &Part) -> Option<Self> {
        Some(Self::read(holding, part.chunk.next?, part.values))
    }

    fn read(holding: &Rc<Holding>, from: LoadCursor, values: u32) -> Self {
        let (holding, (done, part)) = (holding.clone(), oneshot::channel());
        let task = spawn_local(async move {
            let load = async |database: &Database| load(database, &holding.codec, &holding.directory, from, values).await;
            let _ = done.send(holding.run(load).await);
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

/// Reads a part from so many values, with all authors and notes if it is the first.
async fn load(
    database: &Database,
    codec: &RefCell<RowCodec>,
    directory: &Directory,
    from: LoadCursor,
    limit: u32,
) -> Result<Part, Failure> {
    let transaction = reading(database, &[ENTRIES, AUTHORS, NOTES, SECRETS, META])?;
    let store = |name: &str| transaction.object_store(name);
    let (entries, authors, notes, secrets, meta) = (store(ENTRIES)?, store(AUTHORS)?, store(NOTES)?, store(SECRETS)?, store(META)?);
    // Everything is asked for before anything is waited for.
    let state = get(&meta, STATE.into())?;
    let beside = match from.0 {
        None => Some((pairs(&authors)?, pairs(&notes)?, pairs(&secrets)?)),
        Some(_) => None,
    };
    let rows = values(&entries, from, limit)?;
    let result = async {
        let state = State::read(state).await?;
        let chunk = Chunk { progress: state.progress, history: Some(state.history), ..Chunk::default() };
        let mut part = Part { chunk, secrets: Vec::new(), values: limit };
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
        let mut found: Vec<Found> = rows.iter().map(|row| Found::in_value(&codec.borrow(), row)).collect();
        if !is_ascending(from.0, found.iter().map(Found::key)) {
            // What a damaged value says of itself cannot be trusted: the keys say which they are.
            let keys: Vec<JsValue> = keys(&entries, from, limit)?.await?.collect::<Result<_, _>>()?;
            for (key, found) in keys.iter().zip(&mut found) {
                let key = id_of(key)?;
                if found.key() != Some(key) {
                    *found = Found::Damaged(key);
                }
            }
        }
        let last = found.last().and_then(Found::key);
        let full = u32::try_from(rows.len()).is_ok_and(|count| count == limit);
        part.chunk.next = last.filter(|_| full).map(|last| LoadCursor(Some(last)));
        directory.learn(from, found.iter().map(Found::ids), part.chunk.next);
        found.into_iter().for_each(|found| found.tell(&mut part.chunk));
        let entries = u32::try_from(part.chunk.entries.len() + part.chunk.damaged.len()).unwrap_or(u32::MAX);
        // What comes next may be in packs though nothing was so far, so it is doubled at most.
        part.values = limit.saturating_mul(CHUNK).checked_div(entries).unwrap_or(limit).min(limit.saturating_mul(2)).clamp(1, MOST);
        Ok(part)
    };
    result.await.map_err(|failure| reason(&transaction, failure))
}

/// Finds out anew what is stored, while nobody writes.
pub(super) async fn learn(database: &Database, codec: &RefCell<RowCodec>, directory: &Directory) -> Result<(), Failure> {
    let anew = Directory::default();
    let (mut from, mut values) = (LoadCursor::default(), FIRST);
    while !anew.is_complete() {
        let part = load(database, codec, &anew, from, values).await?;
        (from, values) = (part.chunk.next.unwrap_or_default(), part.values);
    }
    directory.replace(anew);
    Ok(())
}

/// What is in a value.
enum Found {
    Entry(Box<(StoredEntry, u64)>),
    Pack(Vec<(EntryId, Option<(StoredEntry, u64)>)>),
    /// What does not say what was written, and under which key that is.
    Damaged(EntryId),
    /// The same, while the key is not known.
    Unknown,
}

impl Found {
    fn in_value(codec: &RowCodec, value: &JsValue) -> Self {
        let Ok(value) = bytes(value) else { return Self::Unknown };
        let found = match is_pack(&value) {
            true => unpack(&value).map(|members| Self::Pack(members.iter().map(|(id, value)| (*id, decode(codec, value))).collect())),
            false => decode(codec, &value).map(|entry| Self::Entry(Box::new(entry))),
        };
        found.unwrap_or(Self::Unknown)
    }

    /// The key that it belongs under.
    fn key(&self) -> Option<EntryId> {
        match self {
            Self::Entry(entry) => Some(entry.0.id()),
            Self::Pack(members) => members.first().map(|(id, _)| *id),
            Self::Damaged(key) => Some(*key),
            Self::Unknown => None,
        }
    }

    /// The ids of the entries in it, as far as they are known.
    fn ids(&self) -> Vec<EntryId> {
        match self {
            Self::Pack(members) => members.iter().map(|(id, _)| *id).collect(),
            Self::Entry(_) | Self::Damaged(_) | Self::Unknown => self.key().into_iter().collect(),
        }
    }

    /// Adds it to a part.
    fn tell(self, chunk: &mut Chunk) {
        match self {
            Self::Entry(entry) => chunk.entries.push(*entry),
            Self::Pack(members) => {
                for (id, entry) in members {
                    match entry {
                        Some(entry) => chunk.entries.push(entry),
                        None => chunk.damaged.push(id),
                    }
                }
            }
            Self::Damaged(key) => chunk.damaged.push(key),
            Self::Unknown => {}
        }
    }
}

/// An entry from what is stored of it.
fn decode(codec: &RowCodec, stored: &[u8]) -> Option<(StoredEntry, u64)> {
    let value = Value::split(stored)?;
    codec.decode(&value.id, value.row).ok()
}

/// Whether these are the keys of values that are where they belong: all there, each behind the one before.
fn is_ascending(mut last: Option<EntryId>, mut keys: impl Iterator<Item = Option<EntryId>>) -> bool {
    keys.all(|key| {
        let behind = key.is_some() && key > last;
        last = key;
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

fn values(store: &ObjectStore<'_>, from: LoadCursor, limit: u32) -> Result<All, Failure> {
    let all = store.get_all::<JsValue>().with_limit(limit);
    Ok(match range(from) {
        Some(range) => all.with_query::<JsValue, _>(range).primitive()?,
        None => all.primitive()?,
    })
}

fn keys(store: &ObjectStore<'_>, from: LoadCursor, limit: u32) -> Result<All, Failure> {
    let all = store.get_all_keys::<JsValue>().with_limit(limit);
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
