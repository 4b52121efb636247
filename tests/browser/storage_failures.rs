//! Every call of a script into IndexedDB fails once, in each way that browsers have: what was acknowledged is there, what was refused is not,
//! and the next attempt succeeds.

use std::collections::BTreeMap;

use js_sys::Reflect;
use osier::backend::{Durable, Lock};
use osier_core::{
    store::{Backend, Batch, Change, HistoryKey, HistoryRecord, LoadCursor, MemoryBackend, ProgressId, StorageError, StoredEntry, Usage},
    willow::EntryId,
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    raw::new_name,
    storage::{batch, entries, note, payload},
};

/// Counts the calls, and makes one of them fail. `run` is what it would do.
const SABOTAGE: &str = r"
    const state = (globalThis.sabotage = { calls: 0, at: -1, way: '', undo: [] });
    const thrown = (name) => () => {
        throw new DOMException('on purpose', name);
    };
    const ways = {
        full: thrown('QuotaExceededError'),
        unknown: thrown('UnknownError'),
        state: thrown('InvalidStateError'),
        aborted(of, run) {
            if (of instanceof IDBTransaction) return of.abort();
            const result = run();
            (result instanceof IDBTransaction ? result : of.transaction).abort();
            return result;
        },
        closed(of, run) {
            (of instanceof IDBDatabase ? of : (of.transaction ?? of).db).close();
            return run();
        },
    };
    for (const [object, methods] of [
        [IDBDatabase, ['transaction']],
        [IDBObjectStore, ['add', 'put', 'delete', 'get', 'getAll', 'getAllKeys', 'openCursor']],
        [IDBTransaction, ['commit']],
    ]) {
        for (const method of methods) {
            const old = object.prototype[method];
            object.prototype[method] = function (...parameters) {
                const run = () => old.apply(this, parameters);
                return state.calls++ === state.at ? ways[state.way](this, run) : run();
            };
            state.undo.push(() => (object.prototype[method] = old));
        }
    }
";
const WAYS: [&str; 5] = ["full", "unknown", "state", "aborted", "closed"];

fn sabotage(property: &str, value: impl Into<wasm_bindgen::JsValue>) {
    let state = js_sys::eval("globalThis.sabotage").unwrap();
    Reflect::set(&state, &property.into(), &value.into()).unwrap();
}

/// How many calls there were.
fn calls() -> u32 {
    js_sys::eval("globalThis.sabotage.calls").unwrap().as_f64().unwrap() as u32
}

fn put(entry: &StoredEntry) -> Change {
    Change::Put(entry.clone())
}

/// Batches as a store numbers them.
fn numbered(steps: impl IntoIterator<Item = (Vec<Change>, Option<HistoryRecord>)>) -> Vec<Batch> {
    let with = |(number, (changes, history)): (u64, _)| Batch { history, progress: ProgressId(number), ..batch(changes) };
    (1..).zip(steps).map(with).collect()
}

/// Batches that differ from one another in each thing that a backend keeps.
fn of_all_kinds() -> Vec<Batch> {
    let [a, b, c, d] = &entries(1, 4, &[7; 300])[..] else { panic!("four entries") };
    let small = &entries(2, 1, b"payload")[0];
    let draft = |offset: u64, length: usize| Change::Draft { id: d.id(), offset, bytes: vec![7; length] };
    let record = |key: u64, trim: Option<u64>| Some(HistoryRecord { key: HistoryKey(key), bytes: vec![1], trim: trim.map(HistoryKey) });
    numbered([
        (vec![put(a), payload(a.id(), 0, &[7; 100]), put(small), payload(small.id(), 0, b"payload"), note("a", b"1")], record(1, None)),
        (vec![payload(a.id(), 100, &[7; 200]), put(b), note("secret/b", b"2")], record(2, None)),
        (vec![draft(0, 200)], None),
        (vec![Change::Remove(a.id()), put(a), put(c), payload(c.id(), 0, &[7; 300])], record(3, Some(1))),
        (vec![draft(200, 100), Change::Note { name: "a".to_owned(), value: None }], None),
        (vec![put(d), Change::Adopt { id: d.id(), length: 300 }, Change::Remove(b.id())], record(4, None)),
        (vec![Change::Remove(small.id()), put(small)], record(5, None)),
    ])
}

/// A pack, and then without its head; one that comes anew; what is left of the first; and nothing.
fn of_packs() -> Vec<Batch> {
    let mut packed = entries(3, 5, b"small");
    packed.sort_by_key(StoredEntry::id);
    let put_all = |entries: &[StoredEntry]| -> Vec<Change> {
        entries.iter().flat_map(|entry| [put(entry), payload(entry.id(), 0, b"small")]).collect()
    };
    let remove_all = |entries: &[StoredEntry]| -> Vec<Change> { entries.iter().map(|entry| Change::Remove(entry.id())).collect() };
    numbered([
        (put_all(&packed[..4]), None),
        (remove_all(&packed[..1]), None),
        ([remove_all(&packed[1..2]), put_all(&packed[1..2]), put_all(&packed[4..])].concat(), None),
        (remove_all(&packed[2..3]), None),
        (remove_all(&packed[1..4]), None),
    ])
}

/// Everything that a storage says of itself.
type All = (BTreeMap<EntryId, (u64, Vec<u8>)>, BTreeMap<String, Vec<u8>>, ProgressId, Vec<(HistoryKey, Vec<u8>)>, Usage);

async fn all(backend: &impl Backend) -> Result<All, StorageError> {
    let chunk = backend.load(LoadCursor::default()).await?;
    assert!(chunk.next.is_none() && chunk.damaged.is_empty());
    let mut entries = BTreeMap::new();
    for (entry, available) in chunk.entries {
        entries.insert(entry.id(), (available, backend.read_payload(&entry.id(), 0, u64::MAX).await?));
    }
    let usage = Usage { quota: None, ..backend.usage().await? };
    Ok((entries, chunk.notes.into_iter().collect(), chunk.progress, backend.history(HistoryKey(0)).await?, usage))
}

/// Everything, at the second attempt at the latest.
async fn all_of(durable: &Durable) -> All {
    match all(durable).await {
        Ok(all) => all,
        Err(_) => all(durable).await.unwrap(),
    }
}

/// The storage, opened at the second attempt at the latest.
async fn opened(name: &str) -> Durable {
    match Durable::open(name, Lock::default()).await {
        Ok(durable) => durable,
        Err(_) => Durable::open(name, Lock::default()).await.unwrap_or_else(|error| panic!("{error}")),
    }
}

/// Plays a script with one call that fails. Returns how many there were.
async fn play(script: &[Batch], at: i32, way: &str) -> u32 {
    let name = new_name();
    sabotage("calls", 0);
    sabotage("at", at);
    sabotage("way", way);
    let (mut durable, model) = (opened(&name).await, MemoryBackend::new());
    for (number, batch) in script.iter().enumerate() {
        let before = all(&model).await.unwrap();
        model.commit(batch.clone()).await.unwrap();
        let after = all(&model).await.unwrap();
        match durable.commit(batch.clone()).await {
            Ok(()) => {}
            Err(error) => {
                let here = all_of(&durable).await;
                let unsure = matches!(error, StorageError::Unknown(_)) && here == after;
                assert!(here == before || unsure, "{way} at {at}: after `{error}`, step {number} is {here:?}");
                durable.commit(batch.clone()).await.unwrap_or_else(|error| panic!("{way} at {at}: step {number} again: {error}"));
            }
        }
        if number == script.len() / 2 {
            // In the middle of it, the page is reloaded.
            durable.close().await.unwrap();
            durable = opened(&name).await;
        }
    }
    assert_eq!(all_of(&durable).await, all(&model).await.unwrap(), "{way} at {at}");
    let calls = calls();
    sabotage("at", -1);
    durable.close().await.unwrap();
    durable = opened(&name).await;
    assert_eq!(all_of(&durable).await, all(&model).await.unwrap(), "{way} at {at}, reopened");
    durable.close().await.unwrap();
    Durable::delete(&name).await.unwrap();
    calls
}

#[wasm_bindgen_test]
async fn durable_storage_survives_the_failure_of_each_call_in_each_way() {
    js_sys::eval(&format!("{{ {SABOTAGE} }}")).unwrap();
    // What is thrown makes no difference to packs.
    for (script, least, ways) in [(of_all_kinds(), 60, &WAYS[..]), (of_packs(), 40, &["unknown", "aborted", "closed"])] {
        let calls = play(&script, -1, "none").await;
        assert!(calls > least, "{calls} calls");
        for way in ways {
            for at in 0..calls {
                play(&script, at as i32, way).await;
            }
        }
    }
    js_sys::eval("globalThis.sabotage.undo.forEach((undo) => undo()); delete globalThis.sabotage").unwrap();
}
