//! The database of a store: opening and deleting it, its object stores, and transactions on them.
//!
//! | object store | key | value |
//! |---|---|---|
//! | `entries` | id of an entry | the id again, its row, and maybe its payload; or a pack of several entries: see [`value`](super::value) |
//! | `authors` | id of an author | its record |
//! | `payloads` | id of an entry and, big-endian, an offset | a segment of the payload from there on, if that is not in `entries` |
//! | `history` | key, big-endian | a record of the history |
//! | `notes`, `secrets` | name | value |
//! | `meta` | [`STATE`] | [`State`](super::state::State) |
//! | `meta` | [`OPEN`] | nothing, as long as it is open; still there when it was not closed |
//! | `keys` | [`WRAPPING`] | the key that secrets are wrapped with, a `CryptoKey` |
//!
//! Keys but names, and values but the `CryptoKey`, are `Uint8Array`s. A transaction ends by itself when the browser has nothing to do for
//! it any more: between its beginning and its end nothing else is awaited than its own requests.

use std::{cell::RefCell, ops::Deref, rc::Rc};

use indexed_db_futures::{
    Build, BuildPrimitive, KeyRange,
    database::{Database, VersionChangeEvent},
    future::BasicRequest,
    internals::SystemRepr,
    object_store::ObjectStore,
    query_source::QuerySource,
    transaction::{Transaction, TransactionDurability, TransactionMode, TransactionOptions},
};
use js_sys::{Reflect, Uint8Array};
use osier_core::{
    store::{Durability, HistoryKey, StorageError},
    willow::EntryId,
};
use tokio::sync::oneshot;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};

use super::{
    SCHEMA,
    failure::{Failure, unavailable},
};
use crate::platform::spawn_detached;

pub(super) const ENTRIES: &str = "entries";
pub(super) const AUTHORS: &str = "authors";
pub(super) const PAYLOADS: &str = "payloads";
pub(super) const HISTORY: &str = "history";
pub(super) const NOTES: &str = "notes";
pub(super) const SECRETS: &str = "secrets";
pub(super) const META: &str = "meta";
pub(super) const KEYS: &str = "keys";

/// Where the state is, in `meta`.
pub(super) const STATE: &str = "state";
/// What is in `meta` while the database is open.
pub(super) const OPEN: &str = "open";
/// Where the wrapping key is, in `keys`.
pub(super) const WRAPPING: &str = "wrapping";

const STORES: [&str; 8] = [ENTRIES, AUTHORS, PAYLOADS, HISTORY, NOTES, SECRETS, META, KEYS];

/// A request for one value.
pub(super) type Get = BasicRequest<Option<JsValue>>;

/// A connection to a database; it is closed when this is dropped, once its transactions are complete.
pub(super) struct Connection(Database);

impl Deref for Connection {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.0
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.clone().close();
    }
}

/// Whether a database is made when there is none of the name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfNone {
    Create,
    Fail,
}

/// A database that was opened.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// What the browser says of a database of this name that it could not read, and has replaced by an empty one.
    pub(super) data_loss: Option<String>,
}

/// Opens a database. When the future is dropped, the connection that may still come about is closed.
pub(super) async fn open(name: &str, if_none: IfNone) -> Result<Opened, Failure> {
    let (answer, answered) = oneshot::channel();
    let name = name.to_owned();
    spawn_detached(async move {
        let _ = answer.send(open_now(&name, if_none).await);
    });
    answered.await.map_err(|_| Failure::Broken { name: String::new(), reason: "opening was broken off".to_owned() })?
}

async fn open_now(name: &str, if_none: IfNone) -> Result<Opened, Failure> {
    let refusal = Rc::new(RefCell::new(None));
    let refused = refusal.clone();
    let request = Database::open(name).with_version(SCHEMA).with_on_upgrade_needed(move |event: VersionChangeEvent, database| {
        let is_new = event.old_version() < 1.0;
        let why = match if_none {
            // What we had open has this version.
            IfNone::Fail => Some(Failure::Gone),
            IfNone::Create if !is_new && !has_stores(&database) => Some(StorageError::Corrupt("no database of Osier".to_owned()).into()),
            IfNone::Create => None,
        };
        if why.is_some() {
            refused.replace(why);
            // Only a store leads to the transaction.
            database.create_object_store("refused").build()?.transaction().as_sys().abort()?;
        } else if is_new {
            for store in STORES {
                database.create_object_store(store).build()?;
            }
        }
        // What older versions have written is read as it is.
        Ok(())
    });
    let lost = Rc::new(RefCell::new(None));
    let loss = lost.clone();
    let listener = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| drop(loss.replace(data_loss(&event))));
    let result = match request.build() {
        Ok(opening) => {
            // Where it cannot be listened to, nothing is known of a loss.
            let _ = opening.as_sys().add_event_listener_with_callback("upgradeneeded", listener.as_ref().unchecked_ref());
            opening.await
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(database) => Ok(Opened { connection: Connection(database), data_loss: lost.take() }),
        Err(error) => Err(refusal.take().unwrap_or_else(|| unavailable(error))),
    }
}

/// Whether a database is one of these.
fn has_stores(database: &Database) -> bool {
    let names: Vec<String> = database.object_store_names().collect();
    STORES.iter().all(|store| names.iter().any(|name| name == store))
}

/// What the event of a new database says of one that was lost: an addition of Chromium to the standard. After it was killed at a bad moment,
/// Chromium may find all databases of an origin unreadable, and begins anew.
fn data_loss(event: &JsValue) -> Option<String> {
    let text = |name: &str| Reflect::get(event, &name.into()).ok().and_then(|value| value.as_string());
    let amount = text("dataLoss").filter(|amount| amount != "none")?;
    Some(text("dataLossMessage").filter(|message| !message.is_empty()).unwrap_or(amount))
}

/// The version of a database that is newer than [`SCHEMA`].
pub(super) async fn version(name: &str) -> Result<u32, Failure> {
    let database = Connection(Database::open(name).build().map_err(unavailable)?.await.map_err(unavailable)?);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate, and versions are integers")]
    Ok(database.version() as u32)
}

/// Deletes a database. Whoever has it open is asked to close it first, and this waits until he has.
pub(super) async fn delete(name: &str) -> Result<(), Failure> {
    Ok(Database::delete_by_name(name).map_err(unavailable)?.await?)
}

/// Begins a transaction that reads.
pub(super) fn reading<'a>(database: &'a Database, stores: &[&str]) -> Result<Transaction<'a>, Failure> {
    Ok(database.transaction(stores).with_mode(TransactionMode::Readonly).build()?)
}

/// Begins a transaction that writes, all of it or nothing.
pub(super) fn writing<'a>(database: &'a Database, stores: &[&str], durability: Durability) -> Result<Transaction<'a>, Failure> {
    let durability = match durability {
        Durability::Relaxed => TransactionDurability::Relaxed,
        Durability::Strict => TransactionDurability::Strict,
    };
    let options = TransactionOptions::new().with_durability(durability);
    Ok(database.transaction(stores).with_mode(TransactionMode::Readwrite).with_options(options).build()?)
}

/// Ends a transaction that writes; it is complete when this returns.
pub(super) async fn complete(transaction: Transaction<'_>) -> Result<(), Failure> {
    let raw = transaction.as_sys().clone();
    transaction.commit().await.map_err(|error| {
        // What aborted a transaction is known to itself only: a lack of room often shows no sooner than here.
        let reason = raw.error().map_or_else(|| error.into(), |why| Failure::of(&why));
        // One that refuses to be committed would be complete by itself later. If it is over, this does nothing.
        let _ = raw.abort();
        reason
    })
}

/// What made a request fail: the reason that its transaction has, since requests that are cut off by it have none of their own.
pub(super) fn reason(transaction: &Transaction<'_>, failure: Failure) -> Failure {
    transaction.as_sys().error().map_or(failure, |why| Failure::of(&why))
}

/// Asks for one value.
pub(super) fn get(store: &ObjectStore<'_>, key: JsValue) -> Result<Get, Failure> {
    Ok(store.get::<JsValue, JsValue, _>(KeyRange::Only(key)).primitive()?)
}

/// Writes a value. A failure is the transaction's: nobody listens to the request, of which a batch has hundreds.
pub(super) fn put(store: &ObjectStore<'_>, key: JsValue, value: &[u8]) -> Result<(), Failure> {
    store.as_sys().put_with_key(&Uint8Array::from(value), &key).map_err(|thrown| Failure::of(&thrown))?;
    Ok(())
}

/// Writes the last value of a transaction, and waits until that is done, so that whatever failed before has aborted the transaction: Firefox
/// commits one that it is told to commit even if a request has failed meanwhile, without what failed.
pub(super) async fn put_last(store: &ObjectStore<'_>, key: JsValue, value: &[u8]) -> Result<(), Failure> {
    store.put(JsValue::from(Uint8Array::from(value))).with_key(key).primitive()?.await?;
    Ok(())
}

/// Writes a value that is not there yet; otherwise the transaction fails.
pub(super) fn add(store: &ObjectStore<'_>, key: JsValue, value: &[u8]) -> Result<(), Failure> {
    store.as_sys().add_with_key(&Uint8Array::from(value), &key).map_err(|thrown| Failure::of(&thrown))?;
    Ok(())
}

/// Removes values, if they are there.
pub(super) fn remove(store: &ObjectStore<'_>, keys: KeyRange<JsValue>) -> Result<(), Failure> {
    drop(store.delete::<JsValue, _>(keys).primitive()?);
    Ok(())
}

/// The bytes of a key or value: keys come back as buffers, values as they were written.
pub(super) fn bytes(value: &JsValue) -> Result<Vec<u8>, Failure> {
    match value.dyn_ref::<Uint8Array>() {
        Some(array) => Ok(array.to_vec()),
        None if value.is_instance_of::<js_sys::ArrayBuffer>() => Ok(Uint8Array::new(value).to_vec()),
        None => Err(osier_core::store::StorageError::Corrupt("a value that is not made of bytes".to_owned()).into()),
    }
}

/// The key of an entry.
pub(super) fn entry_key(id: &EntryId) -> JsValue {
    Uint8Array::from(&id.0[..]).into()
}

/// The key of a record of the history.
pub(super) fn history_key(key: HistoryKey) -> JsValue {
    Uint8Array::from(&key.0.to_be_bytes()[..]).into()
}

/// The key of a segment of a payload.
pub(super) fn segment_key(id: &EntryId, offset: u64) -> JsValue {
    let mut key = [0; 40];
    key[..32].copy_from_slice(&id.0);
    key[32..].copy_from_slice(&offset.to_be_bytes());
    Uint8Array::from(&key[..]).into()
}

/// The keys of the segments that begin in a part of a payload, both ends included.
pub(super) fn segment_keys(id: &EntryId, first: u64, last: u64) -> KeyRange<JsValue> {
    KeyRange::Bound(segment_key(id, first), false, segment_key(id, last), false)
}
