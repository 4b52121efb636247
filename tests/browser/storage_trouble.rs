//! Durable storage when the browser, or somebody else, makes trouble: each time what was written is there, what was refused is not, and
//! the error says what happened.

use std::{task::Poll, time::Duration};

use js_sys::Array;
use osier::backend::{Durable, Lock, OpenError, SCHEMA};
use osier_core::store::{Backend, Batch, Change, LoadCursor, StorageError};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    raw::{all, array, bytes, new_name, replace, script, write},
    storage::{batch, discard, entries, entry, ids, note, open, payload, put, refused},
};

const DELETE: &str = "return remove(argument)";

/// The version that a newer Osier writes.
const NEWER: u32 = SCHEMA + 1;

fn lost(reason: &str) -> Result<(), StorageError> {
    Err(StorageError::Lost(reason.to_owned()))
}

/// A batch with a change of each kind.
fn everything() -> Batch {
    let [first, second] = &entries(9, 2, b"payload")[..] else { panic!("two entries") };
    let put = |entry: &osier_core::store::StoredEntry| Change::Put(entry.clone());
    batch(vec![put(first), payload(first.id(), 0, b"payload"), put(second), Change::Remove(entry(1).id()), note("a", b"1")])
}

/// Nothing of [`everything`] was written, and everything can be written now.
async fn is_untouched_and_usable(durable: Durable, name: &str) -> Durable {
    let chunk = durable.load(LoadCursor::default()).await.unwrap();
    let known: Vec<_> = chunk.entries.iter().map(|(entry, available)| (entry.id(), *available)).collect();
    assert_eq!((known, chunk.notes), (vec![(entry(1).id(), 0)], vec![]));
    durable.commit(everything()).await.unwrap();
    durable.close().await.unwrap();
    // Opened again, it is all there: also the author, who was new to what failed before.
    let durable = open(name).await;
    assert_eq!(ids(&durable).await.0.len(), 2);
    let usage = durable.usage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (2, 7));
    durable
}

#[wasm_bindgen_test]
async fn durable_storage_gives_way_to_an_upgrade_by_a_newer_osier() {
    let name = new_name();
    let durable = open(&name).await;
    durable.commit(put(&entry(1))).await.unwrap();
    // Another tab upgrades the database. It would wait for ever if this one did not close it.
    let upgrade = format!("(await open(argument, {NEWER})).close()");
    let (reason, _) = tokio::join!(durable.on_lost(), script(&upgrade, name.as_str()));
    assert_eq!(reason, "another tab wants to upgrade the database");
    assert_eq!(durable.commit(put(&entry(2))).await, lost(&reason));
    durable.close().await.unwrap();
    let before = all(&name, "meta").await;
    assert_eq!(refused(&name, Lock::Fail).await, OpenError::NewerVersion { found: NEWER });
    let after = all(&name, "meta").await;
    assert_eq!(bytes(&before[0].1), bytes(&after[0].1), "a newer database was touched");
    assert_eq!(all(&name, "entries").await.len(), 1);
    Durable::delete(&name).await.unwrap();
}

#[wasm_bindgen_test]
async fn durable_storage_of_a_newer_schema_is_refused_untouched() {
    let name = new_name();
    let durable = open(&name).await;
    durable.close().await.unwrap();
    let [(key, state)] = &all(&name, "meta").await[..] else { panic!("one state") };
    // What follows the version may be anything.
    let newer = [&NEWER.to_be_bytes()[..], &bytes(state)[4..20], b"???"].concat();
    write(&name, "meta", key, &array(&newer)).await;
    assert_eq!(refused(&name, Lock::Fail).await, OpenError::NewerVersion { found: NEWER });
    assert_eq!(bytes(&all(&name, "meta").await[0].1), newer);
    Durable::delete(&name).await.unwrap();
}

/// The mark by which the next opening knows that this one was not closed outlives one that is closed before it has done anything about that.
#[wasm_bindgen_test]
async fn durable_storage_that_was_left_open_is_marked_until_the_browser_has_a_new_log() {
    let name = new_name();
    let is_marked = async || all(&name, "meta").await.iter().any(|(key, _)| *key == "open");
    drop(open(&name).await);
    assert!(is_marked().await);
    // The browser takes a moment to take the lock back.
    let durable = Durable::open(&name, Lock::Wait(Duration::from_secs(10))).await.unwrap();
    durable.close().await.unwrap();
    // Only Chromium has a log that can be torn.
    let is_chromium = script("return 'dataLoss' in IDBVersionChangeEvent.prototype", JsValue::UNDEFINED).await;
    assert_eq!(is_chromium, is_marked().await);
    while is_marked().await {
        let durable = open(&name).await;
        n0_future::time::sleep(Duration::from_millis(200)).await;
        durable.close().await.unwrap();
    }
    // The pieces that were written for that are gone, and what is closed in time is not marked.
    assert!(all(&name, "keys").await.iter().all(|(key, _)| *key == "wrapping"));
    discard(open(&name).await, &name).await;
}

#[wasm_bindgen_test]
async fn durable_storage_that_is_deleted_while_open_is_lost() {
    let name = new_name();
    let durable = open(&name).await;
    durable.commit(put(&entry(1))).await.unwrap();
    let (reason, _) = tokio::join!(durable.on_lost(), script(DELETE, name.as_str()));
    assert_eq!(reason, "the database is being deleted");
    assert_eq!(durable.commit(put(&entry(2))).await, lost(&reason));
    assert_eq!(durable.usage().await, Err(StorageError::Lost(reason)));
    // Opened again, it is empty.
    drop(durable);
    let durable = Durable::open(&name, Lock::default()).await.unwrap();
    assert_eq!(ids(&durable).await, (vec![], vec![]));
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn who_keeps_durable_storage_from_being_opened_has_it_open() {
    let name = new_name();
    // An open connection that does not give way to a deletion keeps everybody else waiting behind that.
    const BLOCK: &str = "
        globalThis.blocking = await open(argument);
        globalThis.deleted = remove(argument);
    ";
    script(BLOCK, name.as_str()).await;
    assert_eq!(refused(&name, Lock::Wait(Duration::from_secs(1))).await, OpenError::AlreadyOpen);
    script("globalThis.blocking.close(); await globalThis.deleted", JsValue::UNDEFINED).await;
    // What was given up does not come back: the connection that came about late was closed.
    let durable = Durable::open(&name, Lock::default()).await.unwrap();
    durable.commit(put(&entry(1))).await.unwrap();
    discard(durable, &name).await;
}

/// Makes the browser close a connection as it does when the database's files are in trouble: when a transaction is to begin.
const CLOSE_ONCE: &str = "function (...parameters) {
    if (!globalThis.closedOnce) { globalThis.closedOnce = true; this.close(); }
    return old.apply(this, parameters);
}";
const CLOSE_ALWAYS: &str = "function (...parameters) {
    this.close();
    return old.apply(this, parameters);
}";

#[wasm_bindgen_test]
async fn durable_storage_whose_connection_was_closed_is_opened_again() {
    let name = new_name();
    let durable = open(&name).await;
    durable.commit(put(&entry(1))).await.unwrap();
    for operation in 0..4 {
        js_sys::eval("globalThis.closedOnce = false").unwrap();
        let closing = replace("IDBDatabase.prototype", "transaction", CLOSE_ONCE);
        match operation {
            0 => durable.commit(put(&entry(2))).await.unwrap(),
            1 => assert_eq!(ids(&durable).await.0.len(), 2),
            2 => assert_eq!(durable.usage().await.unwrap().entries, 2),
            _ => assert_eq!(durable.read_payload(&entry(1).id(), 0, 1).await.unwrap(), b""),
        }
        assert!(js_sys::eval("globalThis.closedOnce").unwrap().is_truthy());
        drop(closing);
    }
    let closing = replace("IDBDatabase.prototype", "transaction", CLOSE_ALWAYS);
    let error = durable.commit(put(&entry(3))).await.unwrap_err();
    assert!(matches!(&error, StorageError::Lost(reason) if reason.starts_with("the browser closed the database")), "{error}");
    drop(closing);
    // Lost stays lost.
    assert_eq!(durable.commit(put(&entry(3))).await, Err(error));
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn durable_storage_notices_that_its_connection_was_closed() {
    const NOTE: &str = "function (...parameters) {
        (globalThis.connections ??= []).push(this);
        return old.apply(this, parameters);
    }";
    let name = new_name();
    let durable = open(&name).await;
    assert_eq!(ids(&durable).await, (vec![], vec![]));
    let noting = replace("IDBDatabase.prototype", "transaction", NOTE);
    durable.commit(put(&entry(1))).await.unwrap();
    script("const [old] = globalThis.connections; old.close(); old.dispatchEvent(new Event('close'))", JsValue::UNDEFINED).await;
    durable.commit(put(&entry(2))).await.unwrap();
    drop(noting);
    // The old connection was not used again, and the new one first to see whose the database is.
    let connections = Array::from(&js_sys::eval("globalThis.connections").unwrap());
    js_sys::eval("delete globalThis.connections").unwrap();
    assert_eq!(connections.length(), 3);
    assert_ne!(connections.get(0), connections.get(1));
    assert_eq!(connections.get(1), connections.get(2));
    assert_eq!(ids(&durable).await.0.len(), 2);
    discard(durable, &name).await;
}

/// Closes the connection of a storage, as a browser does without telling anybody.
async fn close_behind(durable: &Durable) {
    const SHOW: &str = "function (...parameters) {
        globalThis.connection = this;
        return old.apply(this, parameters);
    }";
    let showing = replace("IDBDatabase.prototype", "transaction", SHOW);
    durable.usage().await.unwrap();
    drop(showing);
    script("globalThis.connection.close(); delete globalThis.connection", JsValue::UNDEFINED).await;
}

#[wasm_bindgen_test]
async fn durable_storage_that_has_vanished_is_lost_and_not_made_again() {
    let name = new_name();
    let durable = open(&name).await;
    close_behind(&durable).await;
    script(DELETE, name.as_str()).await;
    assert_eq!(durable.commit(put(&entry(1))).await, lost("the database was deleted"));
    assert_eq!(durable.on_lost().await, "the database was deleted");
    // WebKit lists one whose making was broken off, with version 0.
    let names = "return (await indexedDB.databases()).filter(({ version }) => version > 0).map(({ name }) => name)";
    let names = script(names, JsValue::UNDEFINED).await;
    assert!(!Array::from(&names).includes(&name.as_str().into(), 0), "it was made again");
    durable.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn durable_storage_in_whose_place_an_older_osier_has_its_own_is_lost_and_that_one_untouched() {
    let name = new_name();
    let durable = open(&name).await;
    close_behind(&durable).await;
    script("await remove(argument); (await open(argument, 1)).close()", name.as_str()).await;
    assert_eq!(durable.commit(put(&entry(1))).await, lost("the database was deleted"));
    assert_eq!(version(&name).await, 1.0);
    durable.close().await.unwrap();
    Durable::delete(&name).await.unwrap();
}

/// The version of a database.
async fn version(name: &str) -> f64 {
    const VERSION: &str = "
        const database = await open(argument);
        database.close();
        return database.version;
    ";
    script(VERSION, name).await.as_f64().unwrap()
}

#[wasm_bindgen_test]
async fn durable_storage_that_is_closed_while_it_is_opened_again_stays_closed() {
    let name = new_name();
    let durable = open(&name).await;
    close_behind(&durable).await;
    let mut usage = Box::pin(durable.usage());
    // Its connection is found to be closed, and a new one is on its way.
    assert!(std::future::poll_fn(|context| Poll::Ready(usage.as_mut().poll(context).is_pending())).await);
    durable.close().await.unwrap();
    assert_eq!(usage.await, Err(StorageError::Closed));
    Durable::delete(&name).await.unwrap();
}

#[wasm_bindgen_test]
async fn durable_storage_that_was_made_anew_is_not_taken_for_the_old_one() {
    let name = new_name();
    let no_locks = replace("navigator", "locks", "undefined");
    let old = open(&name).await;
    close_behind(&old).await;
    script(DELETE, name.as_str()).await;
    let new = open(&name).await;
    new.commit(put(&entry(2))).await.unwrap();
    // Neither reads nor writes go there.
    assert_eq!(old.read_payload(&entry(2).id(), 0, 1).await, Err(StorageError::Lost("another tab took the storage over".to_owned())));
    assert_eq!(old.commit(put(&entry(1))).await, lost("another tab took the storage over"));
    assert_eq!(ids(&new).await.0, [entry(2).id()]);
    drop(old);
    discard(new, &name).await;
    drop(no_locks);
}

#[wasm_bindgen_test]
async fn full_durable_storage_says_so_and_goes_on_when_there_is_room() {
    // Thrown by a request, or known to the transaction only, at some time: browsers do all of it.
    const AT_ONCE: &str = "function () { throw new DOMException('no room', 'QuotaExceededError') }";
    const MEANWHILE: &str = "function (...parameters) {
        const request = old.apply(this, parameters);
        Object.defineProperty(this.transaction, 'error', { value: new DOMException('no room', 'QuotaExceededError') });
        this.transaction.abort();
        return request;
    }";
    const AT_THE_END: &str = "function () {
        Object.defineProperty(this, 'error', { value: new DOMException('no room', 'QuotaExceededError') });
        this.abort();
    }";
    let ways = [
        ("IDBObjectStore", "put", AT_ONCE),
        ("IDBObjectStore", "add", AT_ONCE),
        ("IDBObjectStore", "add", MEANWHILE),
        ("IDBTransaction", "commit", AT_THE_END),
    ];
    for (object, method, full) in ways {
        let name = new_name();
        let durable = open(&name).await;
        durable.commit(put(&entry(1))).await.unwrap();
        let filled = replace(&format!("{object}.prototype"), method, full);
        assert_eq!(durable.commit(everything()).await, Err(StorageError::Full), "{method}");
        drop(filled);
        let durable = is_untouched_and_usable(durable, &name).await;
        discard(durable, &name).await;
    }
}

#[wasm_bindgen_test]
async fn an_aborted_durable_write_is_repeated_once() {
    const ONCE: &str = "function () {
        if (globalThis.aborted) return old.apply(this);
        globalThis.aborted = true;
        this.abort();
    }";
    let name = new_name();
    let durable = open(&name).await;
    durable.commit(put(&entry(1))).await.unwrap();
    let aborting = replace("IDBTransaction.prototype", "commit", "function () { this.abort() }");
    let error = durable.commit(everything()).await.unwrap_err();
    assert!(matches!(error, StorageError::Unknown(_)), "{error}");
    drop(aborting);
    let durable = is_untouched_and_usable(durable, &name).await;
    let aborting = replace("IDBTransaction.prototype", "commit", ONCE);
    durable.commit(put(&entry(2))).await.unwrap();
    drop(aborting);
    assert!(js_sys::eval("const aborted = globalThis.aborted; delete globalThis.aborted; aborted").unwrap().is_truthy());
    assert_eq!(ids(&durable).await.0.len(), 3);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn a_durable_write_that_is_dropped_happens_as_a_whole_or_not_at_all() {
    let name = new_name();
    let durable = open(&name).await;
    durable.commit(put(&entry(1))).await.unwrap();
    // Dropped after so many polls; at some point it is through.
    let mut polls = 0;
    loop {
        let mut commit = Box::pin(durable.commit(everything()));
        let mut left = polls;
        let through = std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(false);
            }
            left -= 1;
            commit.as_mut().poll(context).map(|result| result.is_ok())
        });
        let through = through.await;
        drop(commit);
        let loaded = durable.load(LoadCursor::default()).await.unwrap();
        let written = (loaded.entries.len(), loaded.notes.len(), durable.usage().await.unwrap().payload_bytes);
        assert!([(1, 0, 0), (2, 1, 7)].contains(&written), "{written:?} after {polls} polls");
        assert!(!through || written.0 == 2);
        if through {
            break;
        }
        polls += 1;
    }
    assert!(polls > 2);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn where_there_is_no_indexed_db_there_is_no_durable_storage() {
    let none = replace("globalThis", "indexedDB", "undefined");
    assert!(matches!(refused(&new_name(), Lock::Fail).await, OpenError::Unavailable { .. }));
    drop(none);
    const FORBIDDEN: &str = "{ open() { throw new DOMException('not in this frame', 'SecurityError') } }";
    let forbidden = replace("globalThis", "indexedDB", FORBIDDEN);
    assert!(matches!(refused(&new_name(), Lock::Fail).await, OpenError::Unavailable { .. }));
    drop(forbidden);
}

#[wasm_bindgen_test]
async fn what_is_no_database_of_osier_is_not_taken_for_durable_storage() {
    let name = new_name();
    script("(await open(argument)).close()", name.as_str()).await;
    assert!(matches!(refused(&name, Lock::Fail).await, OpenError::Storage(StorageError::Corrupt(_))));
    assert_eq!(version(&name).await, 1.0, "it was touched");
    script(DELETE, name.as_str()).await;
    let durable = open(&name).await;
    durable.close().await.unwrap();
    write(&name, "meta", &"state".into(), &array(&[0, 0, 0, 1, 9])).await;
    assert!(matches!(refused(&name, Lock::Fail).await, OpenError::Storage(StorageError::Corrupt(_))));
    assert!(all(&name, "meta").await[0].1.is_instance_of::<js_sys::Uint8Array>());
    Durable::delete(&name).await.unwrap();
}
