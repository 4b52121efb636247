#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{cell::Cell, rc::Rc};

use n0_future::{FuturesUnordered, StreamExt as _};
use osier_core::{
    store::{
        Backend, Batch, Chunk, HistoryKey, LoadCursor, MemoryBackend, StorageError, Usage,
        fixture::{Author, namespace, path},
    },
    willow::EntryId,
};
use willow25::prelude::SubspaceId;

use super::*;
use crate::node::storage::Storage;

/// Memory that counts what is committed, and may refuse it.
#[derive(Default)]
struct Counting {
    memory: MemoryBackend,
    commits: Rc<Cell<u32>>,
    refuses: Rc<Cell<bool>>,
}

impl Backend for Counting {
    async fn load(&self, from: LoadCursor) -> Result<Chunk, StorageError> {
        self.memory.load(from).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        // As a disk does, this takes time in which others arrive.
        tokio::task::yield_now().await;
        self.commits.set(self.commits.get() + 1);
        if self.refuses.get() { Err(StorageError::Full) } else { self.memory.commit(batch).await }
    }

    async fn read_payload(&self, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, StorageError> {
        self.memory.read_payload(id, offset, len).await
    }

    async fn history(&self, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, StorageError> {
        self.memory.history(after).await
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        self.memory.usage().await
    }

    async fn close(&self) -> Result<(), StorageError> {
        self.memory.close().await
    }
}

fn place(parts: &[&str]) -> EntryKey {
    EntryKey { namespace: namespace(1), subspace: SubspaceId::from([7; 32]), path: path(parts) }
}

/// Wishes an entry of a payload of so many bytes, at a time that exceeds what is in its way.
fn wish(parts: &[&str], length: usize) -> Wish {
    let author = Author::new(&namespace(1), 1);
    let (place, payload) = (EntryKey { subspace: author.id().clone(), ..place(parts) }, vec![1; length]);
    let written = payload.clone();
    let sign = Box::new(move |store: &Store, at: EntryKey| {
        let newest = store.newest_in_way(&at.namespace, &at.subspace, &at.path).map_or(0, u64::from);
        Ok(author.entry(&at.path, newest + 1, &written))
    });
    Wish { place, payload, sign }
}

async fn storage() -> (Storage<Counting>, Rc<Cell<u32>>, Rc<Cell<bool>>) {
    let backend = Counting::default();
    let (commits, refuses) = (backend.commits.clone(), backend.refuses.clone());
    (Storage::open(backend, None).await.unwrap().0, commits, refuses)
}

/// Writes all at once; what became of each, in their order.
async fn write(storage: &Storage<Counting>, wishes: Vec<Wish>) -> Vec<Result<Written, Error>> {
    let writes = wishes.into_iter().enumerate().map(|(index, wish)| async move { (index, storage.write_own(wish).await) });
    let mut written: Vec<_> = writes.collect::<FuturesUnordered<_>>().collect().await;
    written.sort_by_key(|(index, _)| *index);
    written.into_iter().map(|(_, result)| result).collect()
}

#[tokio::test]
async fn entries_that_wait_together_are_committed_together() {
    let (storage, commits, _) = storage().await;
    let names: Vec<String> = (0..250).map(|index| index.to_string()).collect();
    let written = write(&storage, names.iter().map(|name| wish(&[name], 5)).collect()).await;
    assert!(written.iter().all(|written| matches!(written, Ok(Written { outcome: Outcome::Inserted { pruned: 0 }, .. }))));
    assert_eq!(commits.get(), 3, "two groups of a hundred, and the rest");
    assert_eq!(storage.usage().await.unwrap().entries, 250);
}

#[tokio::test]
async fn who_writes_alone_does_not_wait_for_others() {
    let (storage, commits, _) = storage().await;
    for name in ["a", "b"] {
        storage.write_own(wish(&[name], 5)).await.unwrap();
    }
    assert_eq!(commits.get(), 2);
}

#[tokio::test]
async fn entries_that_prune_one_another_are_written_one_after_the_other() {
    let (storage, commits, _) = storage().await;
    let wishes = [&["a", "b"][..], &["c"], &["a"], &["a", "b"], &["a", "b"]].map(|parts| wish(parts, 5));
    let written: Vec<Written> = write(&storage, wishes.into()).await.into_iter().collect::<Result<_, _>>().unwrap();
    let outcomes: Vec<_> = written.iter().map(|written| (written.entry.timestamp, written.outcome)).collect();
    let inserted = |pruned| Outcome::Inserted { pruned };
    assert_eq!(outcomes, [(1, inserted(0)), (1, inserted(0)), (2, inserted(1)), (3, inserted(0)), (4, inserted(1))]);
    assert_eq!(commits.get(), 4);
}

#[tokio::test]
async fn a_group_is_bounded_and_a_long_payload_goes_alone() {
    let (storage, commits, _) = storage().await;
    let wishes = vec![wish(&["a"], 700_000), wish(&["b"], 300_000), wish(&["c"], 100_000), wish(&["d"], 3_000_000)];
    assert!(write(&storage, wishes).await.iter().all(Result::is_ok));
    assert_eq!(commits.get(), 3);
}

#[tokio::test]
async fn one_that_cannot_be_signed_takes_nothing_from_the_others() {
    let (storage, commits, _) = storage().await;
    let refused = Wish { place: place(&["b"]), payload: Vec::new(), sign: Box::new(|_, _| Err(Error::NoSuchUser)) };
    let written = write(&storage, vec![wish(&["a"], 5), refused, wish(&["c"], 5)]).await;
    assert!(matches!(&written[..], [Ok(_), Err(Error::NoSuchUser), Ok(_)]));
    assert_eq!(commits.get(), 1);
}

#[tokio::test]
async fn when_a_group_is_refused_each_is_told_and_none_is_there() {
    let (storage, _, refuses) = storage().await;
    refuses.set(true);
    let written = write(&storage, vec![wish(&["a"], 5), wish(&["b"], 5)]).await;
    assert!(written.iter().all(|written| matches!(written, Err(Error::QuotaExceeded))));
    refuses.set(false);
    assert!(storage.store().get(&namespace(1), Author::new(&namespace(1), 1).id(), &path(&["a"])).is_none());
    assert!(storage.write_own(wish(&["a"], 5)).await.is_ok());
}

#[tokio::test]
async fn the_wish_of_who_has_gone_does_not_hold_up_the_others() {
    let (storage, _, _) = storage().await;
    let mut gone = Box::pin(storage.write_own(wish(&["a"], 5)));
    assert!(n0_future::future::poll_once(&mut gone).await.is_none());
    drop(gone);
    assert!(storage.write_own(wish(&["b"], 5)).await.is_ok());
}

/// An entry from elsewhere, with its payload.
fn arrival(name: &str, timestamp: u64, payload: &[u8]) -> Incoming {
    let entry = Author::new(&namespace(1), 1).entry(&path(&[name]), timestamp, payload);
    Incoming { entry, payload: Some(payload.to_vec()), origin: Origin::Import }
}

/// Writes all at once; what became of each batch, in their order.
async fn write_arrivals(storage: &Storage<Counting>, batches: Vec<Vec<Incoming>>) -> Vec<Result<Vec<Outcome>, Error>> {
    let writes = batches.into_iter().map(|batch| storage.write_arrivals(batch));
    writes.collect::<n0_future::FuturesOrdered<_>>().collect().await
}

#[tokio::test]
async fn batches_that_wait_together_are_committed_together_and_each_hears_of_its_own() {
    let (storage, commits, _) = storage().await;
    let wrong = Incoming { payload: Some(b"another".to_vec()), ..arrival("b", 5, b"b") };
    let batches = vec![vec![arrival("first", 5, b"x")], vec![arrival("a", 5, b"a"), wrong], vec![], vec![arrival("a", 4, b"a")]];
    let outcomes: Vec<_> = write_arrivals(&storage, batches).await.into_iter().collect::<Result<_, _>>().unwrap();
    let inserted = Outcome::Inserted { pruned: 0 };
    assert_eq!(outcomes[..3], [vec![inserted], vec![inserted, Outcome::PayloadMismatch], vec![]]);
    assert!(matches!(outcomes[3][..], [Outcome::Obsolete]), "{:?}", outcomes[3]);
    assert_eq!(commits.get(), 1);
}

#[tokio::test]
async fn what_arrives_is_bounded_and_a_large_batch_goes_alone() {
    let (storage, commits, _) = storage().await;
    let batch = |from: usize, count: usize| (from..from + count).map(|index| arrival(&index.to_string(), 5, b"x")).collect::<Vec<_>>();
    let batches = vec![batch(0, 1), batch(1, 1000), batch(1001, 24), batch(1025, 1), batch(1026, 2000), batch(3026, 1)];
    assert!(write_arrivals(&storage, batches).await.iter().all(Result::is_ok));
    assert_eq!(commits.get(), 4, "1001; 25; 2000; one");
    let long = |name: &str| vec![arrival(name, 6, &[1; 600_000])];
    write_arrivals(&storage, vec![batch(4000, 1), long("y"), long("z")]).await;
    assert_eq!(commits.get(), 6);
}

#[tokio::test]
async fn when_what_arrives_is_refused_each_is_told() {
    let (storage, _, refuses) = storage().await;
    refuses.set(true);
    let written =
        write_arrivals(&storage, vec![vec![arrival("a", 5, b"a")], vec![arrival("b", 5, b"b")], vec![arrival("c", 5, b"c")]]).await;
    assert!(written.iter().all(|written| matches!(written, Err(Error::QuotaExceeded))), "{written:?}");
    refuses.set(false);
    assert_eq!(storage.usage().await.unwrap().entries, 0);
    assert!(storage.write_arrivals(vec![arrival("a", 5, b"a")]).await.is_ok());
}

/// Whether the newer of two entries would prune the other.
fn in_the_way(one: &EntryKey, other: &EntryKey) -> bool {
    let same = one.namespace == other.namespace && one.subspace == other.subspace;
    same && (one.path.is_prefix_of(&other.path) || other.path.is_prefix_of(&one.path))
}

#[test]
fn places_are_taken_unless_one_is_in_the_way_of_another() {
    let paths: [&[&str]; 9] = [&[], &["a"], &["a", "b"], &["a", "b", "c"], &["a", "c"], &["ab"], &["b"], &["b", "a"], &["b", "a", "a"]];
    let of = |author: u8, parts: &[&str]| EntryKey { subspace: SubspaceId::from([author; 32]), ..place(parts) };
    // Every order of three of them, by two authors.
    let all: Vec<_> = paths.iter().flat_map(|parts| [of(7, parts), of(8, parts)]).collect();
    for one in &all {
        for two in &all {
            for three in &all {
                let mut places = Places::default();
                let mut taken: Vec<&EntryKey> = Vec::new();
                for place in [one, two, three] {
                    let expected = !taken.iter().any(|other| in_the_way(other, place));
                    assert_eq!(places.take(place), expected, "{taken:?} {place:?}");
                    if expected {
                        taken.push(place);
                    }
                }
            }
        }
    }
}
