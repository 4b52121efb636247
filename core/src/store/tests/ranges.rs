//! Cutting ranges, and cached sums, on stores of some thousand entries.

use crate::{
    store::{
        fixture::{Author, namespace, path},
        *,
    },
    willow::FingerprintKey,
};
use willow25::prelude::{Area, Path, PathRange, Range3d, SubspaceRange, TimeRange};

fn insert(store: &mut Store, incoming: Vec<Incoming>) {
    let plan = store.plan(incoming);
    store.apply(plan).unwrap();
}

/// So many entries of each author.
fn filled(counts: &[usize]) -> Store {
    let mut store = Store::new();
    for (seed, &count) in (1..).zip(counts) {
        let author = Author::new(&namespace(2), seed);
        insert(&mut store, (0..count).map(|i| author.sends(&path(&["dir", &i.to_string()]), i as u64, b"x")).collect());
    }
    store
}

fn counts(store: &Store, parts: &[Range3d]) -> Vec<u64> {
    parts.iter().map(|part| store.count(&namespace(2), part)).collect()
}

#[test]
fn one_authors_entries_split_evenly() {
    let store = filled(&[1003]);
    for parts in [1, 2, 3, 8, 16, 1003] {
        let counts = counts(&store, &store.split(&namespace(2), &Range3d::full(), parts));
        assert_eq!((counts.len(), counts.iter().sum::<u64>()), (parts, 1003));
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }
    assert_eq!(store.split(&namespace(2), &Range3d::full(), usize::MAX).len(), 1003);
    assert_eq!(store.split(&namespace(2), &Range3d::full(), 0), [Range3d::full()]);
    assert_eq!(store.split(&namespace(4), &Range3d::full(), 8), [Range3d::full()]);
}

#[test]
fn many_authors_split_between_them_and_a_large_one_by_path() {
    let store = filled(&[1; 40]);
    let parts = store.split(&namespace(2), &Range3d::full(), 8);
    assert_eq!(counts(&store, &parts), [5; 8]);
    assert!(parts.iter().all(|part| part.paths().is_full()));

    let store = filled(&[1, 600, 1, 1]);
    let parts = counts(&store, &store.split(&namespace(2), &Range3d::full(), 8));
    assert!(parts.len() <= 8 && parts.iter().all(|&count| count <= 150), "{parts:?}");
    assert_eq!(parts.iter().sum::<u64>(), 603);
}

#[test]
fn restricted_times_are_respected() {
    let store = filled(&[100, 100]);
    let range = Range3d::new(SubspaceRange::full(), PathRange::full(), TimeRange::new_closed(10.into(), 30.into()));
    let parts = store.split(&namespace(2), &range, 4);
    assert_eq!(counts(&store, &parts), [10; 4]);
    assert!(parts.iter().all(|part| part.times() == range.times()));
}

#[test]
fn sums_follow_the_changes_of_their_blocks() {
    let author = Author::new(&namespace(2), 1);
    let mut store = filled(&[500, 500]);
    let key = |n| FingerprintKey::from_session_secret(&[n; 32]);
    let mut sums = BlockSums::new(key(1));
    let full = store.summary(&namespace(2), &Range3d::full(), &mut sums);
    assert_eq!(full.count, 1000);
    assert_ne!(full, store.summary(&namespace(2), &Range3d::full(), &mut BlockSums::new(key(2))));
    for i in 0..300 {
        insert(&mut store, vec![author.sends(&path(&["dir", &format!("{}", i * 3), "below"]), 1000, b"y")]);
        if i % 9 == 0 {
            insert(&mut store, vec![author.sends(&path(&["dir", &format!("{i}")]), 2000, b"z")]);
        }
        let cached = store.summary(&namespace(2), &Range3d::full(), &mut sums);
        assert_eq!(cached, store.summary(&namespace(2), &Range3d::full(), &mut BlockSums::new(key(1))));
    }
    let parts = store.split(&namespace(2), &Range3d::full(), 7);
    let whole = store.summary(&namespace(2), &Range3d::full(), &mut sums);
    let together = parts.iter().map(|part| store.summary(&namespace(2), part, &mut sums));
    assert_eq!(together.reduce(|a, b| a.plus(b)), Some(whole));
    assert_eq!(store.summary(&namespace(4), &Area::full(), &mut sums), crate::willow::Summary::default());
}

#[test]
fn an_update_of_a_whole_subspace_is_one_insert() {
    let author = Author::new(&namespace(2), 1);
    let mut store = filled(&[3000, 5]);
    let plan = store.plan(vec![author.sends(&Path::new(), 5000, b"")]);
    assert_eq!(store.apply(plan), Ok(vec![Outcome::Inserted { pruned: 3000 }]));
    assert_eq!(store.len(), 6);
    store.index(&namespace(2)).unwrap().check();
}

#[test]
fn parts_that_are_restored_are_in_their_order_whatever_order_they_come_in() {
    let from = filled(&[300, 7, 40]);
    let entries: Vec<_> = from.entries(&namespace(2), &Range3d::full()).map(|entry| (entry.stored().clone(), entry.available())).collect();
    for size in [1, 3, 50, 400] {
        let mut store = Store::new();
        // One of 347 and 131 after another: each once, far from the one before.
        let order = (0..entries.len()).map(|at| entries[at * 131 % entries.len()].clone()).collect::<Vec<_>>();
        for part in order.chunks(size) {
            store.restore(Chunk { entries: part.to_vec(), ..Chunk::default() });
            store.index(&namespace(2)).unwrap().check();
        }
        let restored = store.entries(&namespace(2), &Range3d::full()).map(|entry| entry.id());
        assert!(restored.eq(entries.iter().map(|(entry, _)| entry.id())), "parts of {size}");
    }
}
