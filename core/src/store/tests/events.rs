//! Subscriptions: numbers, areas, falling behind.

use crate::store::{
    fixture::{Author, namespace, path},
    *,
};
use willow25::prelude::{Area, TimeRange};

fn insert(store: &mut Store, incoming: Vec<Incoming>) {
    let plan = store.plan(incoming);
    store.apply(plan).unwrap();
}

fn drain(store: &mut Store, id: SubscriptionId) -> Vec<String> {
    let events = std::iter::from_fn(|| store.poll_subscription(id));
    let name = |event| match event {
        StoreEvent::Inserted { progress, entry, available, origin } => format!("{} + {} {available} {origin:?}", progress.0, entry.path()),
        StoreEvent::Pruned { progress, entry, origin, .. } => format!("{} - {} {origin:?}", progress.0, entry.path()),
        StoreEvent::Payload { progress, entry, available, total, .. } => format!("{} ~ {} {available}/{total}", progress.0, entry.path()),
        StoreEvent::Forgotten(forgotten) => format!("{} forgot {}", forgotten.progress.0, forgotten.count),
        StoreEvent::Lagged(lagged) => lagged.to_string(),
    };
    events.map(name).collect()
}

#[test]
fn a_subscription_tells_what_happens_in_its_area_in_order() {
    let author = Author::new(&namespace(2), 1);
    let mut store = Store::new();
    insert(&mut store, vec![author.writes(&path(&["a", "old"]), 1, b"x")]);
    let area = Area::new(None, path(&["a"]), TimeRange::full());
    let (id, entries) = store.watch(&namespace(2), &area);
    assert_eq!(entries.count(), 1);
    let late = store.subscribe(&namespace(2), &area, Some(ProgressId(0))).unwrap();
    let elsewhere = store.subscribe(&namespace(4), &Area::full(), None).unwrap();

    insert(&mut store, vec![author.sends(&path(&["a"]), 2, b"xyz"), author.writes(&path(&["b"]), 1, b"")]);
    let entry = author.entry(&path(&["a"]), 2, b"xyz").id;
    let plan = store.plan_payload((&namespace(2), author.id(), &path(&["a"])), &entry, 0, b"xy".to_vec(), Origin::Local);
    store.apply(plan).unwrap();
    for area in [Area::new(None, path(&["b"]), TimeRange::full()), Area::full()] {
        let plan = store.plan_forget(&namespace(2), &area);
        store.apply(plan).unwrap();
    }
    let expected = ["2 - /a/old Peer(SessionId(1))", "3 + /a 0 Peer(SessionId(1))", "5 ~ /a 2/3", "7 forgot 1"];
    assert_eq!(drain(&mut store, id), expected);
    assert_eq!(drain(&mut store, id), [""; 0]);
    assert_eq!(drain(&mut store, late), [&["1 + /a/old 1 Local"], &expected[..]].concat());
    assert_eq!(drain(&mut store, elsewhere), [""; 0]);
    assert!(store.unsubscribe(id) && !store.unsubscribe(id));
    assert_eq!(store.poll_subscription(id), None);
}

#[test]
fn a_subscription_that_falls_behind_is_told_once_and_reads_what_it_missed_from_the_store() {
    let author = Author::new(&namespace(2), 1);
    let mut store = Store::with_history(3);
    let id = store.subscribe(&namespace(2), &Area::full(), None).unwrap();
    for i in 0..5u8 {
        insert(&mut store, vec![author.writes(&path(&[&i.to_string()]), 1, b"")]);
        if i == 0 {
            assert_eq!(drain(&mut store, id).len(), 1);
        }
    }
    let Some(StoreEvent::Lagged(Lagged { seen, now })) = store.poll_subscription(id) else { panic!("four events in a history of three") };
    assert_eq!((seen, now), (ProgressId(1), ProgressId(5)));
    let missed = store.entries_since(&namespace(2), &Area::full(), seen);
    assert_eq!(missed.map(|entry| entry.path().to_string()).collect::<Vec<_>>(), ["/1", "/2", "/3", "/4"]);
    assert_eq!(store.poll_subscription(id), None);
    insert(&mut store, vec![author.writes(&path(&["last"]), 1, b"")]);
    assert_eq!(drain(&mut store, id), ["6 + /last 0 Local"]);

    for (from, lagged) in [(2, true), (3, false), (6, false), (7, true), (u64::MAX, true)] {
        assert_eq!(store.subscribe(&namespace(2), &Area::full(), Some(ProgressId(from))).is_err(), lagged, "{from}");
    }
}
