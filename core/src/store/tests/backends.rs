//! The memory backend and the faulty one conform; a failed commit leaves memory and storage in agreement.

use super::now;
use crate::store::{
    fixture::{Author, namespace, path},
    *,
};

#[test]
fn the_memory_backend_conforms() {
    now(conformance::run(async || MemoryBackend::new(), async |backend| backend));
}

#[test]
fn the_faulty_backend_conforms_as_long_as_it_is_told_nothing() {
    now(conformance::run(async || FaultyBackend::new(MemoryBackend::new()), async |backend| backend));
}

/// Content and payloads, read from the backend.
fn stored(backend: &impl Backend) -> Vec<(String, u64, Vec<u8>)> {
    let (store, _) = now(Store::open(backend)).unwrap();
    contents(&store, backend)
}

fn contents(store: &Store, backend: &impl Backend) -> Vec<(String, u64, Vec<u8>)> {
    let entries = store.entries(&namespace(2), &willow25::prelude::Area::full());
    let payload = |id| now(backend.read_payload(&id, 0, u64::MAX)).unwrap();
    entries.map(|entry| (format!("{}", entry.path()), entry.available(), payload(entry.id()))).collect()
}

#[test]
fn whatever_operation_fails_memory_and_storage_agree_and_the_script_can_go_on() {
    let author = Author::new(&namespace(2), 1);
    let (a, ab, c) = (path(&["a"]), path(&["a", "b"]), path(&["c"]));
    let script = |store: &Store, step: usize| match step {
        0 => store.plan(vec![author.writes(&ab, 1, b"one"), author.sends(&c, 1, b"three")]),
        1 => store.plan_payload((&namespace(2), author.id(), &c), &author.entry(&c, 1, b"three").id, 0, b"th".to_vec(), Origin::Local),
        2 => store.plan(vec![author.writes(&a, 2, b"two")]),
        3 => store.plan_payload((&namespace(2), author.id(), &c), &author.entry(&c, 1, b"three").id, 2, b"ree".to_vec(), Origin::Local),
        _ => store.plan_forget(&namespace(2), &willow25::prelude::Area::new(None, a.clone(), willow25::groupings::TimeRange::full())),
    };
    for fault in [Fault::Before, Fault::After] {
        for failing in 0..5 {
            let (mut store, backend) = (Store::new(), FaultyBackend::new(MemoryBackend::new()));
            backend.fail_nth(failing, fault, StorageError::Unknown("the plug was pulled".to_owned()));
            for step in 0..5 {
                let before = contents(&store, backend.inner());
                let (progress, first) = (store.progress(), script(&store, step));
                if let Err(error) = now(store.commit(&backend, first)) {
                    assert!(matches!(error, CommitError::Storage(StorageError::Unknown(_))));
                    assert_eq!(store.progress(), progress);
                    if fault == Fault::Before {
                        assert_eq!((contents(&store, backend.inner()), stored(backend.inner())), (before.clone(), before));
                    }
                    let again = script(&store, step);
                    now(store.commit(&backend, again)).unwrap();
                }
                assert_eq!(contents(&store, backend.inner()), stored(backend.inner()));
            }
            assert_eq!(contents(&store, backend.inner()), [(c.to_string(), 5, b"three".to_vec())]);
            assert_eq!(backend.operations(), 6);
        }
    }
}

#[test]
fn of_two_plans_made_at_once_only_one_is_applied() {
    let author = Author::new(&namespace(2), 1);
    let mut store = Store::new();
    let first = store.plan(vec![author.writes(&path(&["a"]), 1, b"")]);
    let second = store.plan(vec![author.writes(&path(&["a", "b"]), 1, b"")]);
    assert_eq!(store.apply(first), Ok(vec![Outcome::Inserted { pruned: 0 }]));
    assert_eq!(store.apply(second), Err(StalePlan));
    assert_eq!(store.len(), 1);
}

#[test]
fn what_is_written_here_is_strict_and_what_peers_send_is_relaxed() {
    let author = Author::new(&namespace(2), 1);
    let durability = |incoming| Store::new().plan(incoming).take_batch().durability;
    assert_eq!(durability(vec![author.sends(&path(&["a"]), 1, b"")]), Durability::Relaxed);
    assert_eq!(durability(vec![author.sends(&path(&["a"]), 1, b""), author.writes(&path(&["b"]), 1, b"")]), Durability::Strict);
}

#[test]
fn a_reopened_store_goes_on_with_its_numbers() {
    let author = Author::new(&namespace(2), 1);
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    let plan = store.plan(vec![author.writes(&path(&["a"]), 1, b"x"), author.writes(&path(&["b"]), 1, b"")]);
    now(store.commit(&backend, plan)).unwrap();
    let (mut again, _) = now(Store::open(&backend)).unwrap();
    assert_eq!(again.progress(), ProgressId(2));
    assert_eq!(
        again.subscribe(&namespace(2), &willow25::prelude::Area::full(), Some(ProgressId(1))),
        Err(Lagged { seen: ProgressId(1), now: ProgressId(2) })
    );
    let since = again.entries_since(&namespace(2), &willow25::prelude::Area::full(), ProgressId(1));
    assert_eq!(since.map(|entry| entry.path()).collect::<Vec<_>>(), [path(&["b"])]);
}
