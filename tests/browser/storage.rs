//! Durable storage against the real IndexedDB: what is kept, and who owns it.

use std::{cell::RefCell, sync::Arc, task::Poll, time::Duration};

use js_sys::Array;
use osier::{
    backend::{Durable, Lock, OpenError},
    platform::{persisted, request_persistence, storage_estimate, timeout},
};
use osier_core::{
    store::{Backend, Batch, Change, Incoming, LoadCursor, Origin, ProgressId, StorageError, Store, StoredEntry, conformance},
    willow::{EntryId, SignedEntry},
};
use wasm_bindgen_test::wasm_bindgen_test;
use willow25::prelude::{Entry, NamespaceId, SubspaceSecret, WriteCapability};

use crate::{
    raw::{all, array, bytes, new_name, replace, script, write},
    support::path_of,
};

/// Entries of one author, as a store would hand them to a backend.
pub fn entries(seed: u8, count: usize, payload: &[u8]) -> Vec<StoredEntry> {
    let namespace = NamespaceId::from_bytes(&[2; 32]);
    let secret = SubspaceSecret::from_bytes(&[seed; 32]);
    let capability = Arc::new(WriteCapability::new_communal(namespace.clone(), secret.corresponding_subspace_id()));
    let sign = |number: usize| {
        let entry = Entry::builder()
            .namespace_id(namespace.clone())
            .subspace_id(capability.receiver().clone())
            .path(path_of(&["durable", &format!("{number:06}")]))
            .timestamp(7_u64)
            .payload(payload)
            .build();
        let entry = SignedEntry::sign(entry, capability.clone(), &secret).unwrap();
        Incoming { entry, payload: None, origin: Origin::Local }
    };
    let batch = Store::new().plan((0..count).map(sign).collect()).take_batch();
    batch.changes.into_iter().filter_map(|change| if let Change::Put(entry) = change { Some(entry) } else { None }).collect()
}

pub fn entry(seed: u8) -> StoredEntry {
    entries(seed, 1, b"payload").remove(0)
}

pub fn batch(changes: Vec<Change>) -> Batch {
    Batch { changes, progress: ProgressId(1), ..Batch::default() }
}

pub fn put(entry: &StoredEntry) -> Batch {
    batch(vec![Change::Put(entry.clone())])
}

pub fn note(name: &str, value: &[u8]) -> Change {
    Change::Note { name: name.to_owned(), value: Some(value.to_vec()) }
}

pub fn payload(id: EntryId, offset: u64, bytes: &[u8]) -> Change {
    Change::Payload { id, offset, bytes: bytes.to_vec() }
}

pub async fn open(name: &str) -> Durable {
    Durable::open(name, Lock::Fail).await.unwrap()
}

/// Why a storage could not be opened.
pub async fn refused(name: &str, lock: Lock) -> OpenError {
    match Durable::open(name, lock).await {
        Ok(_) => panic!("{name} was opened"),
        Err(error) => error,
    }
}

/// The ids of all entries that load, and of those that are damaged.
pub async fn ids(durable: &Durable) -> (Vec<EntryId>, Vec<EntryId>) {
    let (mut whole, mut damaged, mut next) = (Vec::new(), Vec::new(), Some(LoadCursor::default()));
    while let Some(from) = next {
        let chunk = durable.load(from).await.unwrap();
        whole.extend(chunk.entries.iter().map(|(entry, _)| entry.id()));
        damaged.extend(chunk.damaged);
        next = chunk.next;
    }
    (whole, damaged)
}

/// Closes a storage and deletes what it stored.
pub async fn discard(durable: Durable, name: &str) {
    durable.close().await.unwrap();
    Durable::delete(name).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_durable_backend_conforms() {
    let names = RefCell::new(Vec::new());
    let empty = async || {
        let name = new_name();
        names.borrow_mut().push(name.clone());
        open(&name).await
    };
    let reopen = async |durable: Durable| {
        durable.close().await.unwrap();
        let name = names.borrow().last().cloned().unwrap();
        open(&name).await
    };
    conformance::run(empty, reopen).await;
    for name in names.take() {
        Durable::delete(&name).await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn durable_entries_load_in_parts() {
    let name = new_name();
    let durable = open(&name).await;
    let known = entries(1, 5000, b"payload");
    for part in known.chunks(1000) {
        durable.commit(batch(part.iter().cloned().map(Change::Put).collect())).await.unwrap();
    }
    durable.close().await.unwrap();
    let durable = open(&name).await;
    let (mut sizes, mut loaded, mut next) = (Vec::new(), Vec::new(), Some(LoadCursor::default()));
    while let Some(from) = next {
        let chunk = durable.load(from).await.unwrap();
        sizes.push(chunk.entries.len());
        loaded.extend(chunk.entries.into_iter().map(|(entry, _)| entry));
        next = chunk.next;
    }
    assert_eq!(sizes, [&[100, 200, 400][..], &[500; 8], &[300]].concat());
    assert!(loaded.is_sorted_by_key(StoredEntry::id));
    let mut expected = known;
    expected.sort_by_key(StoredEntry::id);
    assert!(loaded.iter().map(StoredEntry::signed).eq(expected.iter().map(StoredEntry::signed)));
    // A part that is read ahead is not older than what was committed before it is asked for.
    let first = durable.load(LoadCursor::default()).await.unwrap();
    assert_eq!(durable.usage().await.unwrap().entries, 5000);
    durable.commit(batch(vec![Change::Remove(expected[100].id())])).await.unwrap();
    let second = durable.load(first.next.unwrap()).await.unwrap();
    assert_eq!(second.entries[0].0.id(), expected[101].id());
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn durable_payloads_are_segments_that_are_only_added() {
    let name = new_name();
    let durable = open(&name).await;
    let whole: Vec<u8> = (0..700_000_u32).map(|number| (number % 251) as u8).collect();
    let entry = entries(1, 1, &whole).remove(0);
    let id = entry.id();
    durable.commit(batch(vec![Change::Put(entry), payload(id, 0, &whole[..1000])])).await.unwrap();
    durable.commit(batch(vec![payload(id, 1000, &whole[1000..1500]), payload(id, 1400, &whole[1400..600_000])])).await.unwrap();
    durable.commit(batch(vec![payload(id, 600_000, &whole[600_000..])])).await.unwrap();
    let segments = all(&name, "payloads").await;
    let places = segments.iter().map(|(key, value)| (u64::from_be_bytes(bytes(key)[32..].try_into().unwrap()), bytes(value).len()));
    let expected = [(0, 1000), (1000, 500), (1500, 262_144), (263_644, 262_144), (525_788, 74_212), (600_000, 100_000)];
    assert_eq!(places.collect::<Vec<_>>(), expected);
    for (offset, len) in
        [(0, 1), (999, 2), (1000, 500), (1499, 300_000), (263_643, 2), (600_000, 9), (0, 700_000), (699_999, 9), (700_000, 9)]
    {
        let end = (offset + len).min(whole.len());
        assert_eq!(durable.read_payload(&id, offset as u64, len as u64).await.unwrap(), whole[offset..end], "{offset} {len}");
    }
    assert_eq!(durable.usage().await.unwrap().payload_bytes, 700_000);
    durable.commit(batch(vec![Change::Remove(id)])).await.unwrap();
    assert!(all(&name, "payloads").await.is_empty());
    assert_eq!(durable.usage().await.unwrap().payload_bytes, 0);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn a_small_durable_payload_that_comes_with_its_entry_is_behind_its_row() {
    let name = new_name();
    let durable = open(&name).await;
    let commit = async |changes| durable.commit(batch(changes)).await;
    let of = |length: u8| vec![length; length.into()];
    let stored = async |entry: &StoredEntry| {
        let rows = all(&name, "entries").await;
        bytes(&rows.iter().find(|(key, _)| bytes(key) == entry.id().0).unwrap().1)
    };
    let empty = entries(8, 1, b"").remove(0);
    commit(vec![Change::Put(empty.clone()), payload(empty.id(), 0, b"")]).await.unwrap();
    let row = stored(&empty).await.len() - 32;
    for length in [1, 7, 255] {
        let (entry, whole) = (entries(length, 1, &of(length)).remove(0), of(length));
        let id = entry.id();
        let (put, half) = (Change::Put(entry.clone()), whole.len() / 2);
        // Whole, and in the batch of the entry: there it is.
        commit(vec![put.clone(), payload(id, 0, &whole[..half]), payload(id, half as u64, &whole[half..])]).await.unwrap();
        let value = stored(&entry).await;
        assert_eq!(value[..35], [&id.0[..], &[2, 0, length]].concat());
        assert_eq!((value[35], value.len(), &value[35 + row..]), (1, 35 + row + whole.len(), &whole[..]));
        // Nothing is added to it, neither what there is nor more than there is.
        commit(vec![payload(id, 0, &whole)]).await.unwrap();
        assert_eq!(commit(vec![payload(id, length.into(), b"more")]).await, Err(StorageError::Misfit("more than a whole payload")));
        assert_eq!(stored(&entry).await, value);
        assert!(all(&name, "payloads").await.is_empty());
        // Only a part, or later than the entry: it has segments.
        for (batches, segments) in
            [(vec![vec![payload(id, 0, &whole[..half])]], half.min(1)), (vec![vec![], vec![payload(id, 0, &whole)]], 1)]
        {
            let mut anew = vec![Change::Remove(id), put.clone()];
            for changes in batches {
                commit([anew.split_off(0), changes].concat()).await.unwrap();
            }
            assert_eq!((stored(&entry).await[32], stored(&entry).await.len()), (1, 32 + row));
            assert_eq!(all(&name, "payloads").await.len(), segments);
        }
        // And none any more when it comes anew.
        commit(vec![Change::Remove(id), put, payload(id, 0, &whole)]).await.unwrap();
        assert_eq!(stored(&entry).await, value);
        assert!(all(&name, "payloads").await.is_empty());
    }
    let large = entries(8, 1, &[8; 257]).remove(0);
    commit(vec![Change::Put(large.clone()), payload(large.id(), 0, &[8; 257])]).await.unwrap();
    assert_eq!((stored(&large).await.len(), all(&name, "payloads").await.len()), (32 + row, 1));
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn what_is_taken_to_be_new_and_is_there_stays_as_it_is_in_durable_storage() {
    let name = new_name();
    let durable = open(&name).await;
    let [first, second, third] = &entries(1, 3, b"payload")[..] else { panic!("three entries") };
    durable.commit(batch(vec![Change::Put(first.clone()), payload(first.id(), 0, b"pay")])).await.unwrap();
    // One entry of the batch is there, with a part of its payload; one comes and goes within the batch, and one of those was there.
    let changes = vec![
        Change::Put(second.clone()),
        Change::Put(first.clone()),
        payload(first.id(), 0, b"payload"),
        Change::Put(third.clone()),
        Change::Remove(third.id()),
    ];
    for _ in 0..2 {
        durable.commit(batch(changes.clone())).await.unwrap();
        let chunk = durable.load(LoadCursor::default()).await.unwrap();
        let mut kept: Vec<_> = chunk.entries.iter().map(|(entry, available)| (entry.id(), *available)).collect();
        kept.sort_by_key(|(_, available)| *available);
        assert_eq!(kept, [(second.id(), 0), (first.id(), 7)]);
        assert_eq!(durable.read_payload(&first.id(), 0, 9).await.unwrap(), b"payload");
        let usage = durable.usage().await.unwrap();
        assert_eq!((usage.entries, usage.payload_bytes), (2, 7));
    }
    durable.commit(batch(vec![Change::Put(second.clone()), Change::Remove(second.id())])).await.unwrap();
    assert_eq!(ids(&durable).await, (vec![first.id()], vec![]));
    assert_eq!(durable.usage().await.unwrap().entries, 1);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn the_record_of_an_author_goes_to_durable_storage_once() {
    let name = new_name();
    let durable = open(&name).await;
    let known = entries(1, 3, b"");
    durable.commit(put(&known[0])).await.unwrap();
    let authors = all(&name, "authors").await;
    assert_eq!(authors.len(), 1);
    // Would be written over.
    write(&name, "authors", &authors[0].0, &array(b"mark")).await;
    durable.commit(put(&known[1])).await.unwrap();
    assert_eq!(bytes(&all(&name, "authors").await[0].1), b"mark");
    write(&name, "authors", &authors[0].0, &authors[0].1).await;
    durable.close().await.unwrap();
    // Nor is one written again that was there when the storage was opened.
    let durable = open(&name).await;
    assert_eq!(ids(&durable).await.0.len(), 2);
    write(&name, "authors", &authors[0].0, &array(b"mark")).await;
    durable.commit(put(&known[2])).await.unwrap();
    assert_eq!(bytes(&all(&name, "authors").await[0].1), b"mark");
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn durable_storage_has_one_owner() {
    let name = new_name();
    let first = open(&name).await;
    assert_eq!(refused(&name, Lock::Fail).await, OpenError::AlreadyOpen);
    assert_eq!(refused(&name, Lock::Wait(Duration::from_millis(20))).await, OpenError::AlreadyOpen);
    assert_eq!(Durable::delete(&name).await, Err(OpenError::AlreadyOpen));
    // The first one was not disturbed.
    first.commit(put(&entry(1))).await.unwrap();
    let (second, ()) = tokio::join!(Durable::open(&name, Lock::Wait(Duration::from_secs(60))), async {
        first.commit(put(&entry(2))).await.unwrap();
        first.close().await.unwrap();
    });
    let second = second.unwrap();
    assert_eq!(ids(&second).await.0.len(), 2);
    // Dropping lets go as well.
    drop(second);
    let third = Durable::open(&name, Lock::default()).await.unwrap();
    discard(third, &name).await;
}

#[wasm_bindgen_test]
async fn who_no_longer_waits_for_durable_storage_does_not_get_it() {
    let name = new_name();
    let first = open(&name).await;
    let waiting = Durable::open(&name, Lock::Wait(Duration::from_secs(600)));
    assert!(timeout(Duration::from_millis(20), waiting).await.is_none(), "it was opened twice");
    first.close().await.unwrap();
    let second = Durable::open(&name, Lock::default()).await.unwrap();
    assert_eq!(locks(&name).await, (1, 0));
    second.close().await.unwrap();
    // Nor does the one who gives up when the browser has said yes, and he has not heard of it.
    for lock in [Lock::Fail, Lock::Steal, Lock::default()] {
        let mut opening = Box::pin(Durable::open(&name, lock));
        assert!(std::future::poll_fn(|context| Poll::Ready(opening.as_mut().poll(context).is_pending())).await);
        while locks(&name).await != (1, 0) {}
        drop(opening);
        let next = Durable::open(&name, Lock::default()).await.unwrap();
        next.close().await.unwrap();
    }
    Durable::delete(&name).await.unwrap();
    assert_eq!(locks(&name).await, (0, 0));
}

/// How many locks of a database are held, and how many are waited for.
async fn locks(name: &str) -> (usize, usize) {
    const QUERY: &str = "
        const { held, pending } = await navigator.locks.query();
        const count = (locks) => locks.filter((lock) => lock.name === `osier:${argument}`).length;
        return [count(held), count(pending)];
    ";
    let counts = Array::from(&script(QUERY, name).await);
    let count = |index| counts.get(index).as_f64().unwrap() as usize;
    (count(0), count(1))
}

#[wasm_bindgen_test]
async fn stolen_durable_storage_is_lost_to_its_owner_at_once() {
    let name = new_name();
    let first = open(&name).await;
    first.commit(put(&entry(1))).await.unwrap();
    let (reason, second) = tokio::join!(first.on_lost(), Durable::open(&name, Lock::Steal));
    let second = second.unwrap();
    assert_eq!(reason, "another tab took the storage over");
    assert_eq!(first.commit(put(&entry(2))).await, Err(StorageError::Lost(reason.clone())));
    assert_eq!(first.load(LoadCursor::default()).await, Err(StorageError::Lost(reason.clone())));
    assert_eq!(first.read_payload(&entry(1).id(), 0, 1).await, Err(StorageError::Lost(reason)));
    second.commit(put(&entry(3))).await.unwrap();
    let mut expected = vec![entry(1).id(), entry(3).id()];
    expected.sort();
    assert_eq!(ids(&second).await.0, expected);
    // What was stolen can be closed, which does not let go of what the thief has.
    first.close().await.unwrap();
    assert_eq!(refused(&name, Lock::Fail).await, OpenError::AlreadyOpen);
    assert_eq!(first.commit(put(&entry(2))).await, Err(StorageError::Closed));
    discard(second, &name).await;
}

#[wasm_bindgen_test]
async fn without_web_locks_the_last_to_open_durable_storage_owns_it() {
    let name = new_name();
    let no_locks = replace("navigator", "locks", "undefined");
    let first = open(&name).await;
    first.commit(put(&entry(1))).await.unwrap();
    let second = open(&name).await;
    let lost = Err(StorageError::Lost("another tab took the storage over".to_owned()));
    assert_eq!(first.commit(batch(vec![Change::Put(entry(2)), Change::Remove(entry(1).id()), note("a", b"1")])).await, lost);
    assert_eq!(first.on_lost().await, "another tab took the storage over");
    assert_eq!(ids(&second).await.0, [entry(1).id()]);
    second.commit(put(&entry(3))).await.unwrap();
    drop(first);
    discard(second, &name).await;
    drop(no_locks);
}

#[wasm_bindgen_test]
async fn durable_secrets_are_stored_wrapped() {
    let name = new_name();
    let durable = open(&name).await;
    assert!(durable.secrets_wrapped());
    let secret = b"the secret of this test".as_slice();
    let changes = || vec![note("secret/key", secret), note("plain", secret), note("secret/gone", secret)];
    durable.commit(batch(changes())).await.unwrap();
    let wrapped = all(&name, "secrets").await;
    durable.commit(batch(changes())).await.unwrap();
    let again = all(&name, "secrets").await;
    let is_in = |value: &[u8]| value.windows(secret.len()).any(|part| part == secret);
    assert_eq!(wrapped.len(), 2);
    for ((_, before), (_, after)) in wrapped.iter().zip(&again) {
        assert!(!is_in(&bytes(before)) && !is_in(&bytes(after)));
        assert_ne!(bytes(before), bytes(after), "two writes are wrapped alike");
    }
    let notes = all(&name, "notes").await;
    assert!(notes.len() == 1 && is_in(&bytes(&notes[0].1)), "only secrets are wrapped");
    let keys = all(&name, "keys").await;
    assert_eq!(keys.len(), 1);
    assert_eq!(crate::support::field(&keys[0].1, "extractable"), false);

    durable.commit(batch(vec![Change::Note { name: "secret/gone".to_owned(), value: None }])).await.unwrap();
    durable.close().await.unwrap();
    let durable = open(&name).await;
    let chunk = durable.load(LoadCursor::default()).await.unwrap();
    assert_eq!(chunk.notes, [("plain".to_owned(), secret.to_vec()), ("secret/key".to_owned(), secret.to_vec())]);

    // A secret under another name is not taken for that one's.
    write(&name, "secrets", &"secret/other".into(), &wrapped[1].1).await;
    assert!(matches!(durable.load(LoadCursor::default()).await, Err(StorageError::Corrupt(_))));
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn where_there_is_no_web_crypto_durable_secrets_are_stored_as_they_are() {
    let name = new_name();
    let no_crypto = replace("crypto", "subtle", "undefined");
    let durable = open(&name).await;
    assert!(!durable.secrets_wrapped());
    durable.commit(batch(vec![note("secret/key", b"secret")])).await.unwrap();
    let chunk = durable.load(LoadCursor::default()).await.unwrap();
    assert_eq!(chunk.notes, [("secret/key".to_owned(), b"secret".to_vec())]);
    durable.close().await.unwrap();
    drop(no_crypto);
    // Once there is one, what is written anew is wrapped, and what is there can be read.
    let durable = open(&name).await;
    assert!(durable.secrets_wrapped());
    durable.commit(batch(vec![note("secret/new", b"secret")])).await.unwrap();
    let chunk = durable.load(LoadCursor::default()).await.unwrap();
    assert_eq!(chunk.notes.iter().map(|(_, value)| value.as_slice()).collect::<Vec<_>>(), [b"secret", b"secret"]);
    durable.close().await.unwrap();
    // Without it again, a secret that cannot be read is not taken for none.
    let no_crypto = replace("crypto", "subtle", "undefined");
    let durable = open(&name).await;
    assert!(matches!(durable.load(LoadCursor::default()).await, Err(StorageError::Corrupt(_))));
    drop(no_crypto);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn the_room_that_durable_storage_has_is_known() {
    let name = new_name();
    let durable = open(&name).await;
    // WebKit on Linux does not say how much there is.
    let is_known = script("return typeof navigator.storage?.estimate === 'function'", "").await;
    let estimate = storage_estimate().await;
    assert_eq!(is_known, estimate.is_some());
    assert!(estimate.is_none_or(|estimate| estimate.quota > estimate.usage));
    assert_eq!(is_known, durable.usage().await.unwrap().quota.is_some());
    // Whether it may stay depends on the browser; what it answers is what is so from then on.
    assert_eq!(request_persistence().await, persisted().await);
    let silent = replace("navigator", "storage", "undefined");
    assert_eq!(storage_estimate().await, None);
    assert_eq!(durable.usage().await.unwrap().quota, None);
    assert!(!request_persistence().await && !persisted().await);
    drop(silent);
    discard(durable, &name).await;
}
