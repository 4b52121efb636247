//! The history on the disk: what a subscription is told after a restart, and when it is told that it cannot be.

use willow25::prelude::{Area, SubspaceId, TimeRange};

use super::now;
use crate::store::{
    fixture::{Author, namespace, path},
    *,
};

/// A step of a script, planned against the store as it is then.
type Script = Vec<Box<dyn Fn(&Store) -> Plan>>;

/// Everything that events tell of: two authors and namespaces, each origin, payloads in parts, pruned and forgotten entries.
fn script() -> Script {
    let part = |from: u64, bytes: &'static [u8], origin: Origin| {
        move |store: &Store| {
            let (author, c) = (Author::new(&namespace(2), 1), path(&["c"]));
            let id = author.entry(&c, 1, b"three").id;
            store.plan_payload((&namespace(2), author.id(), &c), &id, from, bytes.to_vec(), origin)
        }
    };
    let insert = |make: fn(&Author, &Author) -> Vec<Incoming>| {
        move |store: &Store| store.plan(make(&Author::new(&namespace(2), 1), &Author::new(&namespace(4), 2)))
    };
    vec![
        Box::new(insert(|anna, _| vec![anna.writes(&path(&["a", "b"]), 1, b"one"), anna.sends(&path(&["c"]), 1, b"three")])),
        Box::new(part(0, b"th", Origin::Peer(SessionId(3)))),
        Box::new(insert(|anna, bert| {
            let imported = Incoming { origin: Origin::Import, ..bert.sends(&path(&[]), 7, b"x") };
            vec![bert.writes(&path(&["a", "\0\u{1}"]), u64::MAX, b""), imported, anna.writes(&path(&["d"]), 2, b"")]
        })),
        Box::new(insert(|anna, _| vec![anna.sends(&path(&["a"]), 2, b"two"), anna.writes(&path(&["e"]), 2, b"")])),
        Box::new(|store| store.plan_forget(&namespace(2), &Area::new(Some(author_id()), path(&["d"]), TimeRange::new_open(1.into())))),
        Box::new(part(2, b"ree", Origin::Local)),
        Box::new(|store| store.plan_forget(&namespace(4), &Area::full())),
        Box::new(insert(|anna, bert| vec![bert.writes(&path(&["a"]), 3, b"again"), anna.writes(&path(&[]), 3, b"all")])),
    ]
}

fn author_id() -> SubspaceId {
    Author::new(&namespace(2), 1).id().clone()
}

fn perform(store: &mut Store, backend: &impl Backend, step: &dyn Fn(&Store) -> Plan) {
    let plan = step(store);
    assert!(!plan.is_empty());
    now(store.commit(backend, plan)).unwrap();
}

fn write(store: &mut Store, backend: &impl Backend, name: &str) {
    perform(store, backend, &|store| store.plan(vec![Author::new(&namespace(2), 1).writes(&path(&[name]), 9, b"")]));
}

fn opened(backend: &impl Backend) -> Store {
    now(Store::open(backend)).unwrap().0
}

/// Subscribes to a namespace as a node does: reads the history of earlier runs if that is needed.
fn resume(store: &mut Store, backend: &impl Backend, number: u8, from: ProgressId) -> Result<SubscriptionId, Lagged> {
    if let Some(mut reader) = store.history_reader(from) {
        now(reader.read(backend)).unwrap();
        store.restore_history(reader);
    }
    store.subscribe(&namespace(number), &Area::full(), Some(from))
}

/// What an event says, but for numbers, which differ from run to run.
fn told(event: &StoreEvent) -> String {
    let of = |entry: &StoredEntry, origin: &Origin| {
        let origin = if let Origin::Peer(_) | Origin::UnknownPeer = origin { "peer".to_owned() } else { format!("{origin:?}") };
        let signed = entry.signed();
        format!("{:?} {:?} {:?} {:?} {origin}", signed.entry, signed.capability, signed.signature, signed.id)
    };
    match event {
        StoreEvent::Inserted { entry, available, origin, .. } => format!("+ {available} {}", of(entry, origin)),
        StoreEvent::Pruned { entry, by, origin, .. } => format!("- {by:?} {}", of(entry, origin)),
        StoreEvent::Payload { entry, available, total, origin, .. } => format!("~ {available} {total} {}", of(entry, origin)),
        StoreEvent::Forgotten(what) => format!("forgotten {:?} {:?} {}", what.namespace, what.area, what.count),
        StoreEvent::Lagged(lagged) => format!("{lagged}"),
    }
}

fn drain(store: &mut Store, id: SubscriptionId) -> Vec<StoreEvent> {
    std::iter::from_fn(|| store.poll_subscription(id)).collect()
}

#[test]
fn wherever_the_restart_is_events_are_told_as_without_it() {
    for number in [2, 4] {
        let (mut store, backend) = (Store::new(), MemoryBackend::new());
        let id = store.subscribe(&namespace(number), &Area::full(), None).unwrap();
        script().iter().for_each(|step| perform(&mut store, &backend, step));
        let expected: Vec<_> = drain(&mut store, id).iter().map(told).collect();
        assert_eq!(expected.len(), if number == 2 { 13 } else { 4 }, "{expected:#?}");

        for restart in 0..=script().len() {
            let (mut store, backend) = (Store::new(), MemoryBackend::new());
            let id = store.subscribe(&namespace(number), &Area::full(), None).unwrap();
            let (before, after) = (script(), script());
            before.iter().take(restart).for_each(|step| perform(&mut store, &backend, step));
            let seen = drain(&mut store, id);
            let mut store = opened(&backend);
            after.iter().skip(restart).for_each(|step| perform(&mut store, &backend, step));
            for count in 0..=seen.len() {
                let from = count.checked_sub(1).map_or(ProgressId(0), |last| seen[last].progress());
                let id = resume(&mut store, &backend, number, from).unwrap();
                let resumed = drain(&mut store, id);
                let all: Vec<_> = seen[..count].iter().chain(&resumed).map(told).collect();
                assert_eq!(all, expected, "restart before step {restart}, {count} events seen");
                assert!(resumed.iter().chain(&seen[..count]).map(StoreEvent::progress).all(|progress| progress <= store.progress()));
                assert!(resumed.is_sorted_by(|a, b| a.progress() < b.progress()));
                let same = resumed.iter().zip(&seen[count..]);
                assert!(same.clone().all(|(a, b)| a.progress() == b.progress()), "kept events have their old numbers");
                assert_eq!(same.count(), seen.len() - count);
            }
        }
    }
}

#[test]
fn entries_of_the_history_are_the_stores_own_where_it_has_them() {
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    script().iter().take(3).for_each(|step| perform(&mut store, &backend, step));
    let mut store = opened(&backend);
    let id = resume(&mut store, &backend, 2, ProgressId(0)).unwrap();
    let signatures = |store: &Store| {
        let entries: Vec<_> = store.entries(&namespace(2), &Area::full()).map(|entry| entry.stored().clone()).collect();
        entries.iter().map(|entry| std::ptr::from_ref(entry.signature())).collect::<Vec<_>>()
    };
    let known = signatures(&store);
    let events = drain(&mut store, id);
    let inserted = events.iter().filter_map(|event| if let StoreEvent::Inserted { entry, .. } = event { Some(entry) } else { None });
    assert_eq!(inserted.clone().count(), 3);
    for entry in inserted {
        assert!(known.contains(&std::ptr::from_ref(entry.signature())), "an entry is in memory twice");
    }
}

#[test]
fn opening_reads_no_history_and_a_subscription_from_now_on_needs_none() {
    let (mut store, backend) = (Store::new(), FaultyBackend::new(MemoryBackend::new()));
    write(&mut store, &backend, "a");
    let before = backend.operations();
    let mut store = opened(&backend);
    assert_eq!(backend.operations(), before + 1);
    assert!(store.history_reader(store.progress()).is_none());
    assert!(store.subscribe(&namespace(2), &Area::full(), Some(store.progress())).is_ok());
    assert!(store.subscribe(&namespace(2), &Area::full(), Some(ProgressId(0))).is_err(), "the history is not read yet");
    assert!(resume(&mut store, &backend, 2, ProgressId(0)).is_ok());
    assert!(store.history_reader(ProgressId(0)).is_none(), "it is read once");
}

#[test]
fn whatever_is_written_while_the_history_is_read_is_told_once() {
    let (mut store, backend) = (Store::with_history(40), MemoryBackend::new());
    (0..30).for_each(|i| write(&mut store, &backend, &format!("before{i}")));
    let mut store = Store::with_history(40);
    store.restore(now(backend.load(LoadCursor::default())).unwrap());
    let mut reader = store.history_reader(ProgressId(0)).unwrap();
    write(&mut store, &backend, "between");
    now(reader.read(&backend)).unwrap();
    write(&mut store, &backend, "after");
    let mut second = store.history_reader(ProgressId(3)).unwrap();
    now(second.read(&backend)).unwrap();
    store.restore_history(reader);
    store.restore_history(second);
    let id = store.subscribe(&namespace(2), &Area::full(), Some(ProgressId(0))).unwrap();
    let mut expected: Vec<_> = (0..30).map(|i| format!("/before{i}")).collect();
    expected.extend(["/between".to_owned(), "/after".to_owned()]);
    let path = |event| if let StoreEvent::Inserted { entry, .. } = event { entry.path().to_string() } else { format!("{event:?}") };
    assert_eq!(drain(&mut store, id).into_iter().map(path).collect::<Vec<_>>(), expected);
}

#[test]
fn a_history_that_this_run_has_pushed_out_meanwhile_is_not_taken_over() {
    let (mut store, backend) = (Store::with_history(4), MemoryBackend::new());
    (0..3).for_each(|i| write(&mut store, &backend, &format!("before{i}")));
    let mut store = Store::with_history(4);
    store.restore(now(backend.load(LoadCursor::default())).unwrap());
    let mut reader = store.history_reader(ProgressId(1)).unwrap();
    now(reader.read(&backend)).unwrap();
    (0..5).for_each(|i| write(&mut store, &backend, &format!("after{i}")));
    store.restore_history(reader);
    for from in 1..=3 {
        assert!(store.subscribe(&namespace(2), &Area::full(), Some(ProgressId(from))).is_err(), "{from}");
    }
    assert!(store.history_reader(ProgressId(1)).is_none());
}

/// A backend with five changes in five batches, and the numbers of these, 0 before them.
fn five() -> (MemoryBackend, Vec<ProgressId>) {
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    let mut numbers = vec![ProgressId(0)];
    for name in ["a", "b", "c", "d", "e"] {
        write(&mut store, &backend, name);
        numbers.push(store.progress());
    }
    (backend, numbers)
}

fn records(backend: &impl Backend) -> Vec<(HistoryKey, Vec<u8>)> {
    now(backend.history(HistoryKey(0))).unwrap()
}

fn replace(backend: &impl Backend, key: HistoryKey, bytes: Vec<u8>) {
    let history = Some(HistoryRecord { key, bytes, trim: None });
    now(backend.commit(Batch { history, ..Batch::default() })).unwrap();
}

#[test]
fn where_a_record_is_damaged_the_history_begins_after_it() {
    for damaged in 0..5 {
        let (backend, numbers) = five();
        let (key, mut bytes) = records(&backend).swap_remove(damaged);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        replace(&backend, key, bytes);
        for (place, number) in numbers.iter().enumerate() {
            let mut store = opened(&backend);
            let resumed = resume(&mut store, &backend, 2, *number).map(|id| drain(&mut store, id).len());
            let expected = if place > damaged { Ok(5 - place) } else { Err(Lagged { seen: *number, now: numbers[5] }) };
            assert_eq!(resumed, expected, "record {damaged}, from {place}");
        }
    }
}

#[test]
fn whatever_bit_of_a_record_turns_it_is_no_record_any_more() {
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    script().iter().for_each(|step| perform(&mut store, &backend, step));
    for (key, bytes) in records(&backend) {
        let is_damaged = |changed: &[u8]| {
            let backend = MemoryBackend::new();
            replace(&backend, key, changed.to_vec());
            now(backend.commit(Batch { progress: store.progress(), ..Batch::default() })).unwrap();
            let mut reader = opened(&backend).history_reader(ProgressId(0)).unwrap();
            now(reader.read(&backend)).unwrap();
            reader.damaged() == 1
        };
        assert!(!is_damaged(&bytes));
        for bit in 0..bytes.len() * 8 {
            let mut turned = bytes.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(is_damaged(&turned));
        }
        assert!((0..bytes.len()).all(|end| is_damaged(&bytes[..end])));
    }
}

#[test]
fn a_record_that_is_missing_or_left_from_elsewhere_is_no_history() {
    // The last one is missing: what is there does not reach to the present.
    let (backend, numbers) = five();
    let all = records(&backend);
    let other = MemoryBackend::new();
    all.iter().take(4).for_each(|(key, bytes)| replace(&other, *key, bytes.clone()));
    now(other.commit(Batch { progress: numbers[5], ..Batch::default() })).unwrap();
    let mut store = opened(&other);
    assert!(resume(&mut store, &other, 2, numbers[3]).is_err());
    // One in the middle is missing.
    let other = MemoryBackend::new();
    all.iter().filter(|(key, _)| key.0 != 3).for_each(|(key, bytes)| replace(&other, *key, bytes.clone()));
    now(other.commit(Batch { progress: numbers[5], ..Batch::default() })).unwrap();
    let mut store = opened(&other);
    assert!(resume(&mut store, &other, 2, numbers[2]).is_err());
    assert!(resume(&mut store, &other, 2, numbers[3]).is_ok());
}

#[test]
fn a_number_that_was_lost_with_the_power_is_lagged_and_not_given_out_again() {
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    write(&mut store, &backend, "kept");
    let kept = store.progress();
    let disk = backend.clone();
    let author = Author::new(&namespace(2), 1);
    for name in ["lost", "lost, too"] {
        perform(&mut store, &backend, &|store| store.plan(vec![author.sends(&path(&[name]), 1, b"")]));
    }
    let lost = store.progress();
    let mut store = opened(&disk);
    write(&mut store, &disk, "after");
    write(&mut store, &disk, "after, too");
    assert!(store.progress() > lost);
    assert_eq!(resume(&mut store, &disk, 2, lost), Err(Lagged { seen: lost, now: store.progress() }));
    assert!(resume(&mut store, &disk, 2, ProgressId(lost.0 - 1)).is_err());
    let id = resume(&mut store, &disk, 2, kept).unwrap();
    assert_eq!(drain(&mut store, id).len(), 2);
}

#[test]
fn a_batch_that_reaches_a_new_block_of_numbers_is_strict() {
    let author = Author::new(&namespace(2), 1);
    let sends = |store: &Store, name: &str| store.plan(vec![author.sends(&path(&[name]), 1, b"")]);
    let durability = |store: &Store| sends(store, "x").take_batch().durability;
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    assert_eq!(durability(&store), Durability::Relaxed);
    perform(&mut store, &backend, &|store| sends(store, "a"));
    // The first of a run begins a block.
    let mut store = opened(&backend);
    let block = 1 << 20;
    assert_eq!(durability(&store), Durability::Strict);
    assert_eq!(store.plan(Vec::new()).take_batch(), Batch { progress: ProgressId(1), ..Batch::default() }, "nothing takes no number");
    perform(&mut store, &backend, &|store| sends(store, "b"));
    assert_eq!(store.progress(), ProgressId(block + 1));
    assert_eq!(durability(&store), Durability::Relaxed);
    // So does the one that fills a block.
    store.begin_after(2 * block - 2);
    perform(&mut store, &backend, &|store| sends(store, "c"));
    assert_eq!((store.progress(), durability(&store)), (ProgressId(2 * block - 1), Durability::Strict));
    // Just at the end of a block, too.
    let mut store = opened(&backend);
    perform(&mut store, &backend, &|store| sends(store, "d"));
    assert_eq!(store.progress(), ProgressId(2 * block + 1));
}

#[test]
fn numbers_of_a_store_that_is_gone_are_lagged_in_its_successor() {
    let block = 1 << 20;
    let first = MemoryBackend::new();
    let mut store = opened(&first);
    store.begin_after(10 * block);
    write(&mut store, &first, "a");
    write(&mut store, &first, "b");
    let seen = store.progress();
    // The database was deleted; the next store makes more changes.
    let second = MemoryBackend::new();
    let mut store = opened(&second);
    store.begin_after(10 * block + 100);
    assert!(store.subscribe(&namespace(2), &Area::full(), Some(seen)).is_err());
    (0..5).for_each(|i| write(&mut store, &second, &format!("{i}")));
    assert!(store.subscribe(&namespace(2), &Area::full(), Some(seen)).is_err());
    assert!(store.subscribe(&namespace(2), &Area::full(), Some(ProgressId(0))).is_ok(), "the empty store is where all began");
    // A clock that is wrong does not use up the numbers of JavaScript, and one that goes back none at all.
    store.begin_after(7);
    let before = store.progress();
    write(&mut store, &second, "before");
    assert_eq!(store.progress().0, before.0 + 1);
    store.begin_after(u64::MAX);
    write(&mut store, &second, "last");
    assert_eq!(store.progress().0, (1 << 52) + 1);
}

#[test]
fn the_greatest_number_is_not_exceeded() {
    let backend = MemoryBackend::new();
    now(backend.commit(Batch { progress: ProgressId(u64::MAX - 1), ..Batch::default() })).unwrap();
    let mut store = opened(&backend);
    write(&mut store, &backend, "a");
    write(&mut store, &backend, "b");
    assert_eq!(store.progress(), ProgressId(u64::MAX));
    assert!(store.subscribe(&namespace(2), &Area::full(), None).is_ok());
}

#[test]
fn rows_lost_to_damage_are_lagged() {
    let (backend, numbers) = five();
    let mut store = opened(&backend);
    let live = store.subscribe(&namespace(2), &Area::full(), None).unwrap();
    let plan = store.plan_lost(&[]);
    assert!(plan.is_empty());
    let gone = crate::willow::EntryId([9; 32]);
    let mut plan = store.plan_lost(&[gone]);
    let batch = plan.take_batch();
    assert_eq!(batch.changes, [Change::Remove(gone)]);
    now(backend.commit(batch)).unwrap();
    store.apply(plan).unwrap();
    assert!(matches!(drain(&mut store, live)[..], [StoreEvent::Lagged(_)]));
    assert!(resume(&mut store, &backend, 2, numbers[5]).is_err());
    let lost = store.progress();
    for _ in 0..2 {
        let mut store = opened(&backend);
        assert!(resume(&mut store, &backend, 2, numbers[4]).is_err());
        let mut store = opened(&backend);
        assert!(resume(&mut store, &backend, 2, numbers[5]).is_err());
        let mut store = opened(&backend);
        let id = resume(&mut store, &backend, 2, lost).unwrap();
        let told = drain(&mut store, id).len();
        write(&mut store, &backend, &format!("after {told}"));
        assert_eq!(drain(&mut store, id).len(), 1);
    }
}

#[test]
fn where_no_history_is_kept_none_is_written() {
    let backend = MemoryBackend::without_history();
    let mut store = opened(&backend);
    let author = Author::new(&namespace(2), 1);
    let plan = |store: &Store| store.plan(vec![author.writes(&path(&["a"]), 1, b"")]);
    assert_eq!(plan(&store).take_batch().history, None);
    assert!(plan(&Store::new()).take_batch().history.is_some());
    perform(&mut store, &backend, &plan);
    // What a store that is told nothing writes is not kept, either.
    perform(&mut Store::new(), &backend, &|store| store.plan(vec![author.writes(&path(&["b"]), 1, b"")]));
    assert_eq!(records(&backend), []);
    let mut store = opened(&backend);
    assert!(store.history_reader(ProgressId(0)).is_none());
    assert!(resume(&mut store, &backend, 2, ProgressId(0)).is_err());
}

#[test]
fn a_record_larger_than_any_should_be_is_not_written() {
    let author = Author::new(&namespace(2), 1);
    let long = "x".repeat(4000);
    let below = |i: usize| path(&[&long, &i.to_string()]);
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    for part in 0..3 {
        let incoming = (part * 800..(part + 1) * 800).map(|i| author.sends(&below(i), 1, b"")).collect();
        let plan = store.plan(incoming);
        now(store.commit(&backend, plan)).unwrap();
    }
    let before = store.progress();
    let mut plan = store.plan(vec![author.sends(&path(&[]), 2, b"")]);
    let batch = plan.take_batch();
    assert_eq!(batch.history, None);
    now(backend.commit(batch)).unwrap();
    store.apply(plan).unwrap();
    let pruned = store.progress();
    assert_eq!(pruned, ProgressId(before.0 + 2401));
    write(&mut store, &backend, "after");
    let mut store = opened(&backend);
    assert!(resume(&mut store, &backend, 2, before).is_err());
    let id = resume(&mut store, &backend, 2, pruned).unwrap();
    assert_eq!(drain(&mut store, id).len(), 1);
}

#[test]
fn a_backend_that_fails_to_give_its_history_is_asked_again() {
    let (mut store, backend) = (Store::new(), FaultyBackend::new(MemoryBackend::new()));
    write(&mut store, &backend, "a");
    let mut store = opened(&backend);
    let mut reader = store.history_reader(ProgressId(0)).unwrap();
    backend.fail_nth(0, Fault::Before, StorageError::Closed);
    assert_eq!(now(reader.read(&backend)), Err(StorageError::Closed));
    drop(reader);
    assert!(resume(&mut store, &backend, 2, ProgressId(0)).is_ok());
}
