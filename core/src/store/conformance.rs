//! What every backend must do, as one suite that each of them runs in its real environment.
//!
//! [`run`] takes a function that gives an **empty** backend each time, and optionally one that opens the same storage again. It panics
//! with what went wrong. Nothing here waits for time or spawns anything, so it runs in a browser as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use super::{
    Backend, Batch, Change, Durability, HistoryKey, HistoryRecord, LoadCursor, ProgressId, StorageError, Store, StoredEntry,
    fixture::{Author, namespace, path},
};
use crate::willow::EntryId;

/// Runs all of the suite. `empty` gives a new, empty backend; `reopen` closes one and opens its storage again (for a backend in
/// memory: gives it back).
///
/// # Panics
/// If the backend does not conform.
pub async fn run<B: Backend>(empty: impl AsyncFn() -> B, reopen: impl AsyncFn(B) -> B) {
    empty_storage_is_empty(&empty().await).await;
    let backend = empty().await;
    keeps_entries_and_payloads(&backend).await;
    keeps_entries_and_payloads_after(&reopen(backend).await).await;
    a_batch_is_one(&empty().await).await;
    a_batch_twice_is_once(&empty().await).await;
    payloads_belong_to_entries(&empty().await).await;
    payload_reads_are_clipped(&empty().await).await;
    entries_and_payloads_come_and_go(&empty().await).await;
    let backend = empty().await;
    drafts_become_payloads(&backend).await;
    drafts_become_payloads_after(&reopen(backend).await).await;
    small_drafts_become_payloads(&empty().await).await;
    drafts_that_do_not_fit_are_refused(&empty().await).await;
    notes_are_kept(&empty().await).await;
    loads_in_parts(&empty().await).await;
    let backend = empty().await;
    keeps_a_history(&backend).await;
    keeps_a_history_after(&reopen(backend).await).await;
    a_record_belongs_to_its_batch(&empty().await).await;
    a_long_history_is_read_in_parts(&empty().await).await;
    closed_is_closed(&empty().await).await;
}

/// Entries as a store would hand them to a backend, with their payloads.
fn entries(count: usize) -> Vec<(StoredEntry, Vec<u8>)> {
    with_payloads((0..count).map(|i| format!("payload {i}").repeat(1 + i % 7).into_bytes()).collect())
}

/// Some whose payloads a backend may keep in different ways.
fn of_all_lengths() -> Vec<(StoredEntry, Vec<u8>)> {
    with_payloads([1, 9, 256, 257, 5000, 70_000].map(|length| (0..length).map(|i| (i % 251) as u8).collect()).into())
}

fn with_payloads(payloads: Vec<Vec<u8>>) -> Vec<(StoredEntry, Vec<u8>)> {
    let namespace = namespace(2);
    let author = Author::new(&namespace, 1);
    let written =
        payloads.iter().enumerate().map(|(i, payload)| author.writes(&path(&["conformance", &format!("{i:05}")]), 7, payload)).collect();
    let changes = Store::new().plan(written).take_batch().changes;
    let puts = changes.into_iter().filter_map(|change| if let Change::Put(entry) = change { Some(entry) } else { None });
    puts.zip(payloads).collect()
}

fn batch(changes: Vec<Change>, progress: u64) -> Batch {
    Batch { changes, progress: ProgressId(progress), history: None, durability: Durability::Strict }
}

fn bytes(id: EntryId, offset: u64, bytes: &[u8]) -> Change {
    Change::Payload { id, offset, bytes: bytes.to_vec() }
}

fn note(name: &str, value: Option<&[u8]>) -> Change {
    Change::Note { name: name.to_owned(), value: value.map(<[u8]>::to_vec) }
}

/// Everything that is stored.
async fn load(backend: &impl Backend) -> (BTreeMap<EntryId, (StoredEntry, u64)>, BTreeMap<String, Vec<u8>>, ProgressId) {
    let (mut entries, mut notes, mut progress) = (BTreeMap::new(), BTreeMap::new(), ProgressId::default());
    let mut next = Some(LoadCursor::default());
    while let Some(from) = next {
        let chunk = backend.load(from).await.unwrap();
        for (entry, available) in chunk.entries {
            assert!(entries.insert(entry.id(), (entry, available)).is_none(), "an entry was loaded twice");
        }
        notes.extend(chunk.notes);
        progress = progress.max(chunk.progress);
        next = chunk.next;
    }
    (entries, notes, progress)
}

fn assert_same(stored: &StoredEntry, expected: &StoredEntry) {
    assert_eq!(stored.signed(), expected.signed());
    assert_eq!((stored.id(), stored.progress()), (expected.id(), expected.progress()));
}

async fn empty_storage_is_empty(backend: &impl Backend) {
    let (entries, notes, progress) = load(backend).await;
    assert!(entries.is_empty() && notes.is_empty());
    assert_eq!(progress, ProgressId::default());
    let usage = backend.usage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (0, 0));
}

async fn keeps_entries_and_payloads(backend: &impl Backend) {
    for (number, (entry, payload)) in (1..).zip(entries(3)) {
        let half = payload.len() / 2;
        backend.commit(batch(vec![Change::Put(entry.clone()), bytes(entry.id(), 0, &payload[..half])], number)).await.unwrap();
    }
    keeps_entries_and_payloads_after(backend).await;
}

async fn keeps_entries_and_payloads_after(backend: &impl Backend) {
    let (kept, _, progress) = load(backend).await;
    assert_eq!(progress, ProgressId(3));
    assert_eq!(kept.len(), 3);
    for (entry, payload) in entries(3) {
        let half = payload.len() / 2;
        let (stored, available) = &kept[&entry.id()];
        assert_same(stored, &entry);
        assert_eq!(*available, half as u64);
        assert_eq!(backend.read_payload(&entry.id(), 0, u64::MAX).await.unwrap(), payload[..half]);
    }
}

async fn a_batch_is_one(backend: &impl Backend) {
    let known = entries(3);
    let [(first, payload), (second, _), (third, _)] = &known[..] else { panic!("three entries") };
    backend.commit(batch(vec![Change::Put(first.clone()), bytes(first.id(), 0, payload), note("a", Some(b"1"))], 1)).await.unwrap();
    let bad = [bytes(third.id(), 0, b"without its entry"), bytes(second.id(), 1, b"after a gap")];
    for misfit in bad {
        let changes = vec![Change::Remove(first.id()), Change::Put(second.clone()), note("a", None), misfit];
        assert!(matches!(backend.commit(batch(changes, 9)).await, Err(StorageError::Misfit(_))));
        let (kept, notes, progress) = load(backend).await;
        assert_eq!(kept.keys().copied().collect::<Vec<_>>(), [first.id()]);
        assert_eq!(kept[&first.id()].1, payload.len() as u64);
        assert_eq!((notes.get("a").map(Vec::as_slice), progress), (Some(&b"1"[..]), ProgressId(1)));
    }
}

async fn a_batch_twice_is_once(backend: &impl Backend) {
    for (entry, payload) in of_all_lengths().into_iter().skip(1) {
        let changes = vec![Change::Put(entry.clone()), bytes(entry.id(), 0, &payload[..2]), bytes(entry.id(), 2, &payload[2..])];
        for _ in 0..2 {
            backend.commit(batch(changes.clone(), 1)).await.unwrap();
            assert_eq!(backend.read_payload(&entry.id(), 0, u64::MAX).await.unwrap(), payload);
        }
        // Bytes that overlap what is there leave it as it is.
        backend.commit(batch(vec![bytes(entry.id(), 1, b"??")], 2)).await.unwrap();
        assert_eq!(backend.read_payload(&entry.id(), 0, u64::MAX).await.unwrap(), payload);
        let removal = batch(vec![Change::Remove(entry.id())], 3);
        backend.commit(removal.clone()).await.unwrap();
        backend.commit(removal).await.unwrap();
    }
    // The greatest progress stays.
    backend.commit(batch(vec![], 2)).await.unwrap();
    let (kept, _, progress) = load(backend).await;
    assert_eq!((kept.len(), progress), (0, ProgressId(3)));
}

async fn payloads_belong_to_entries(backend: &impl Backend) {
    let namespace = namespace(2);
    let author = Author::new(&namespace, 1);
    let changes =
        Store::new().plan(vec![author.writes(&path(&["a"]), 1, b"secret"), author.sends(&path(&["b"]), 1, b"secret")]).take_batch();
    backend.commit(changes.clone()).await.unwrap();
    let (kept, ..) = load(backend).await;
    for (entry, available) in kept.values() {
        let payload = backend.read_payload(&entry.id(), 0, 100).await.unwrap();
        let expected: &[u8] = if entry.path() == path(&["a"]) { b"secret" } else { b"" };
        assert_eq!((payload.as_slice(), *available), (expected, expected.len() as u64));
    }
}

async fn payload_reads_are_clipped(backend: &impl Backend) {
    for (entry, payload) in of_all_lengths() {
        backend.commit(batch(vec![Change::Put(entry.clone()), bytes(entry.id(), 0, &payload)], 1)).await.unwrap();
        let end = payload.len() as u64;
        let ends = [(end - 1, 9), (end, 9), (end + 1, 9), (u64::MAX, u64::MAX)];
        for (offset, len) in [(0, 0), (0, 3), (2, 3), (0, end), (1, u64::MAX), (65_534, 3), (65_535, 1)].into_iter().chain(ends) {
            let from = usize::try_from(offset.min(end)).unwrap();
            let to = usize::try_from(offset.saturating_add(len).min(end)).unwrap();
            assert_eq!(backend.read_payload(&entry.id(), offset, len).await.unwrap(), payload[from..to], "{offset} {len} of {end}");
        }
    }
    assert_eq!(backend.read_payload(&EntryId([9; 32]), 0, 9).await.unwrap(), b"");
}

async fn entries_and_payloads_come_and_go(backend: &impl Backend) {
    let known = of_all_lengths();
    let put = known.iter().flat_map(|(entry, payload)| [Change::Put(entry.clone()), bytes(entry.id(), 0, payload)]);
    backend.commit(batch(put.collect(), 4)).await.unwrap();
    let total: u64 = known.iter().map(|(_, payload)| payload.len() as u64).sum();
    for (entry, payload) in &known {
        let (id, length) = (entry.id(), payload.len() as u64);
        let (put, remove, whole) = (Change::Put(entry.clone()), Change::Remove(id), bytes(id, 0, payload));
        let steps = [
            (vec![remove.clone()], None),
            // Put again, it comes without its payload; also within one batch.
            (vec![put.clone()], Some(0)),
            (vec![whole.clone()], Some(length)),
            (vec![remove.clone(), put.clone()], Some(0)),
            (vec![put.clone(), whole.clone()], Some(length)),
            (vec![remove.clone(), put.clone(), bytes(id, 0, &payload[..payload.len() / 2])], Some(length / 2)),
            (vec![remove.clone(), put.clone(), whole.clone()], Some(length)),
            (vec![remove.clone()], None),
            (vec![put.clone(), whole.clone(), remove, put, whole], Some(length)),
        ];
        for (step, (changes, available)) in steps.into_iter().enumerate() {
            for _ in 0..2 {
                backend.commit(batch(changes.clone(), 5)).await.unwrap();
                let there = available.unwrap_or(0);
                let expected = &payload[..usize::try_from(there).unwrap()];
                assert_eq!(backend.read_payload(&id, 0, u64::MAX).await.unwrap(), expected, "step {step} of {length} bytes");
                let usage = backend.usage().await.unwrap();
                let entries = known.len() as u64 - u64::from(available.is_none());
                assert_eq!((usage.entries, usage.payload_bytes), (entries, total - length + there), "step {step} of {length} bytes");
                let (kept, ..) = load(backend).await;
                assert_eq!(kept.get(&id).map(|(_, available)| *available), available, "step {step} of {length} bytes");
            }
        }
    }
}

fn draft(id: EntryId, offset: usize, bytes: &[u8]) -> Change {
    Change::Draft { id, offset: offset as u64, bytes: bytes.to_vec() }
}

/// Three entries with a payload of several segments.
fn long_entries() -> [(StoredEntry, Vec<u8>); 3] {
    let payload: Vec<u8> = (0..140_000_u32).flat_map(|i| [i.to_be_bytes()[3], i.to_be_bytes()[2], 1, 2, 3]).collect();
    with_payloads(vec![payload; 3]).try_into().expect("three entries")
}

/// Three drafts: one is adopted, one dropped, one left.
async fn drafts_become_payloads(backend: &impl Backend) {
    let known @ [(adopted, payload), (dropped, _), (left, _)] = &long_entries();
    for (entry, _) in known {
        for at in [0, 300_000, 299_990] {
            let piece = &payload[at..payload.len().min(at + 300_000 + at)];
            backend.commit(batch(vec![draft(entry.id(), at, piece)], 1)).await.unwrap();
        }
    }
    let usage = backend.usage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (0, 0));
    assert!(load(backend).await.0.is_empty());
    backend.commit(batch(vec![Change::Remove(dropped.id())], 2)).await.unwrap();
    let length = payload.len() as u64;
    for _twice in 0..2 {
        let changes = vec![Change::Put(adopted.clone()), Change::Adopt { id: adopted.id(), length }];
        backend.commit(batch(changes, 3)).await.unwrap();
    }
    // Of what was dropped nothing is there for another draft.
    let gap = backend.commit(batch(vec![draft(dropped.id(), 1, b"more")], 4)).await;
    assert!(matches!(gap, Err(StorageError::Misfit(_))), "{gap:?}");
    backend.commit(batch(vec![Change::Put(dropped.clone()), bytes(dropped.id(), 0, b"short")], 4)).await.unwrap();
    backend.commit(batch(vec![draft(left.id(), payload.len(), b"!")], 5)).await.unwrap();
    drafts_become_payloads_after(backend).await;
}

async fn drafts_become_payloads_after(backend: &impl Backend) {
    let [(adopted, payload), (dropped, _), _] = &long_entries();
    let (kept, ..) = load(backend).await;
    assert_eq!(kept.iter().map(|(id, (_, available))| (*id, *available)).collect::<BTreeMap<_, _>>(), {
        BTreeMap::from([(adopted.id(), payload.len() as u64), (dropped.id(), 5)])
    });
    assert_eq!(backend.read_payload(&adopted.id(), 0, u64::MAX).await.unwrap(), *payload);
    assert_eq!(backend.read_payload(&adopted.id(), 299_995, 10).await.unwrap(), payload[299_995..300_005]);
    assert_eq!(backend.read_payload(&dropped.id(), 0, u64::MAX).await.unwrap(), b"short");
    let usage = backend.usage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (2, payload.len() as u64 + 5));
}

async fn small_drafts_become_payloads(backend: &impl Backend) {
    for (entry, payload) in &of_all_lengths() {
        let (id, length) = (entry.id(), payload.len() as u64);
        let (first, rest) = payload.split_at(payload.len() / 2);
        backend.commit(batch(vec![draft(id, 0, first)], 1)).await.unwrap();
        let changes = vec![draft(id, first.len(), rest), Change::Put(entry.clone()), Change::Adopt { id, length }];
        backend.commit(batch(changes, 2)).await.unwrap();
        assert_eq!(backend.read_payload(&id, 0, u64::MAX).await.unwrap(), *payload, "{length} bytes");
        backend.commit(batch(vec![Change::Remove(id)], 3)).await.unwrap();
        backend.commit(batch(vec![Change::Put(entry.clone())], 4)).await.unwrap();
        assert_eq!(backend.read_payload(&id, 0, u64::MAX).await.unwrap(), b"", "{length} bytes");
    }
}

async fn drafts_that_do_not_fit_are_refused(backend: &impl Backend) {
    let [(there, _), (other, _), _] = &long_entries();
    let payload = b"short";
    backend.commit(batch(vec![Change::Put(there.clone()), bytes(there.id(), 0, payload)], 1)).await.unwrap();
    backend.commit(batch(vec![draft(other.id(), 0, b"0123456789")], 1)).await.unwrap();
    let adopt = |id: EntryId, length: u64| Change::Adopt { id, length };
    let misfits: [Vec<Change>; 6] = [
        vec![draft(there.id(), 0, b"of an entry that is there")],
        vec![draft(other.id(), 11, b"after a gap")],
        vec![adopt(other.id(), 10)],
        vec![Change::Put(other.clone()), adopt(other.id(), 11)],
        vec![Change::Put(other.clone()), adopt(other.id(), 9)],
        vec![adopt(there.id(), payload.len() as u64 + 1)],
    ];
    for changes in misfits {
        let refused = backend.commit(batch([vec![note("a", Some(b"1"))], changes.clone()].concat(), 2)).await;
        assert!(matches!(refused, Err(StorageError::Misfit(_))), "{changes:?}: {refused:?}");
        let (kept, notes, _) = load(backend).await;
        assert_eq!((kept.len(), notes.len()), (1, 0), "{changes:?}");
    }
    backend.commit(batch(vec![adopt(there.id(), payload.len() as u64)], 2)).await.unwrap();
    assert_eq!(backend.read_payload(&there.id(), 0, u64::MAX).await.unwrap(), payload);
    backend.commit(batch(vec![Change::Put(other.clone()), adopt(other.id(), 10)], 3)).await.unwrap();
    backend.commit(batch(vec![bytes(other.id(), 10, b" and more"), Change::Remove(there.id())], 4)).await.unwrap();
    assert_eq!(backend.read_payload(&other.id(), 0, u64::MAX).await.unwrap(), b"0123456789 and more");
}

async fn notes_are_kept(backend: &impl Backend) {
    backend.commit(batch(vec![note("a", Some(b"1")), note("b", Some(b"")), note("c", Some(b"3"))], 0)).await.unwrap();
    backend.commit(batch(vec![note("a", Some(b"2")), note("c", None), note("d", None)], 0)).await.unwrap();
    let (_, notes, _) = load(backend).await;
    assert_eq!(notes, BTreeMap::from([("a".to_owned(), b"2".to_vec()), ("b".to_owned(), vec![])]));
}

async fn loads_in_parts(backend: &impl Backend) {
    let known = entries(2500);
    for part in known.chunks(500) {
        backend.commit(batch(part.iter().map(|(entry, _)| Change::Put(entry.clone())).collect(), 1)).await.unwrap();
    }
    backend.commit(batch(vec![note("once", Some(b"only"))], 2)).await.unwrap();
    let (kept, notes, _) = load(backend).await;
    assert_eq!((kept.len(), notes.len()), (known.len(), 1));
    known.iter().for_each(|(entry, _)| assert_same(&kept[&entry.id()].0, entry));
}

fn record(key: u64, bytes: &[u8], trim: Option<u64>) -> Batch {
    let history = Some(HistoryRecord { key: HistoryKey(key), bytes: bytes.to_vec(), trim: trim.map(HistoryKey) });
    Batch { history, ..batch(vec![], key) }
}

/// The history, and the greatest key of it, which is told without reading it.
async fn history(backend: &impl Backend) -> Vec<(u64, Vec<u8>)> {
    let (mut records, mut after) = (Vec::new(), HistoryKey(0));
    loop {
        let part = backend.history(after).await.unwrap();
        let Some((last, _)) = part.last() else { break };
        after = *last;
        records.extend(part.into_iter().map(|(key, bytes)| (key.0, bytes)));
    }
    assert!(records.is_sorted_by(|(a, _), (b, _)| a < b), "the history is out of order");
    let greatest = backend.load(LoadCursor::default()).await.unwrap().history;
    assert_eq!(greatest, Some(HistoryKey(records.last().map_or(0, |(key, _)| *key))));
    records
}

async fn keeps_a_history(backend: &impl Backend) {
    assert_eq!(history(backend).await, []);
    for key in [1, 3, 255, 256, 257, 70_000] {
        backend.commit(record(key, &key.to_be_bytes(), None)).await.unwrap();
    }
    // Twice is once, and the later one counts.
    for bytes in [&b"another"[..], b"last"] {
        backend.commit(record(1 << 40, bytes, None)).await.unwrap();
    }
    backend.commit(batch(vec![note("a", Some(b"1"))], 1)).await.unwrap();
    let keys = |records: Vec<(u64, Vec<u8>)>| records.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(history(backend).await), [1, 3, 255, 256, 257, 70_000, 1 << 40]);
    backend.commit(record((1 << 40) + 1, b"", Some(255))).await.unwrap();
    keeps_a_history_after(backend).await;
    assert_eq!(backend.history(HistoryKey((1 << 40) + 1)).await.unwrap(), []);
    assert_eq!(backend.history(HistoryKey(1 << 40)).await.unwrap(), [(HistoryKey((1 << 40) + 1), vec![])]);
}

async fn keeps_a_history_after(backend: &impl Backend) {
    let known = |key: u64| (key, key.to_be_bytes().to_vec());
    assert_eq!(history(backend).await, [known(256), known(257), known(70_000), (1 << 40, b"last".to_vec()), ((1 << 40) + 1, vec![])]);
}

async fn a_record_belongs_to_its_batch(backend: &impl Backend) {
    backend.commit(record(1, b"first", None)).await.unwrap();
    let changes = vec![bytes(EntryId([9; 32]), 0, b"without its entry")];
    let misfit = Batch { changes, ..record(2, b"second", Some(1)) };
    assert!(matches!(backend.commit(misfit).await, Err(StorageError::Misfit(_))));
    assert_eq!(history(backend).await, [(1, b"first".to_vec())]);
    // The history is no entry and no payload.
    let usage = backend.usage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (0, 0));
}

async fn a_long_history_is_read_in_parts(backend: &impl Backend) {
    let large = |key: u64| vec![u8::try_from(key).unwrap_or(0); if key == 7 { 3 << 20 } else { 1000 }];
    for key in 1..=250 {
        backend.commit(record(key, &large(key), None)).await.unwrap();
    }
    assert!(backend.history(HistoryKey(0)).await.unwrap().len() < 250, "all of a history at once may not fit into memory");
    assert!(history(backend).await.into_iter().eq((1..=250).map(|key| (key, large(key)))));
    backend.commit(record(251, b"", Some(250))).await.unwrap();
    assert_eq!(history(backend).await, [(251, vec![])]);
}

async fn closed_is_closed(backend: &impl Backend) {
    let (entry, _) = entries(1).remove(0);
    backend.close().await.unwrap();
    backend.close().await.unwrap();
    assert_eq!(backend.commit(batch(vec![Change::Put(entry.clone())], 1)).await, Err(StorageError::Closed));
    assert_eq!(backend.load(LoadCursor::default()).await, Err(StorageError::Closed));
    assert_eq!(backend.read_payload(&entry.id(), 0, 1).await, Err(StorageError::Closed));
    assert_eq!(backend.usage().await, Err(StorageError::Closed));
    assert_eq!(backend.history(HistoryKey(0)).await, Err(StorageError::Closed));
}
