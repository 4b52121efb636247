//! Subscriptions of a node with durable storage go on after a restart where they were.

use osier::{
    Events, Node,
    node::{Access, Area, Mode, NamespaceId, Origin, ProgressId, StoreEvent},
};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::{
    harness::{Relay, arrival, event, init, path, reconciled, share, soon, space, write},
    lasting::Place,
};

/// Turns one bit of one value of a table.
fn damage(place: &Place, table: &str, number: usize) {
    let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(table);
    let database = Database::open(place.folder().join("osier.redb")).unwrap();
    let values: Vec<_> = {
        let table = database.begin_read().unwrap().open_table(table).unwrap();
        table.iter().unwrap().map(|item| item.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())).unwrap()).collect()
    };
    assert_eq!(values.len(), 4);
    let (key, mut value) = values[number].clone();
    value[100] ^= 1;
    let change = database.begin_write().unwrap();
    change.open_table(table).unwrap().insert(&key[..], &value[..]).unwrap();
    change.commit().unwrap();
}

fn follow(node: &Node, namespace: &NamespaceId, from: Option<ProgressId>) -> Events<StoreEvent> {
    node.subscribe(namespace.clone(), Area::full(), from)
}

fn progress(event: &StoreEvent) -> ProgressId {
    match event {
        StoreEvent::Inserted { progress, .. }
        | StoreEvent::Pruned { progress, .. }
        | StoreEvent::Payload { progress, .. }
        | StoreEvent::Forgotten { progress, .. }
        | StoreEvent::Lagged { progress } => *progress,
        other => panic!("{other:?}"),
    }
}

/// The next so many events.
async fn take(events: &Events<StoreEvent>, count: usize) -> Vec<StoreEvent> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(soon("an event", events.next()).await.expect("no end"));
    }
    taken
}

/// As they are told after a restart.
fn kept(mut events: Vec<StoreEvent>) -> Vec<StoreEvent> {
    for event in &mut events {
        if let StoreEvent::Inserted { origin, .. } | StoreEvent::Payload { origin, .. } = event
            && let Origin::Peer(_) = origin
        {
            *origin = Origin::UnknownPeer;
        }
    }
    events
}

#[tokio::test]
async fn durable_subscriptions_resume_after_restarts_with_no_event_lost_or_repeated() {
    let (relay, place) = (Relay::start().await, Place::new("resume"));
    let node = place.open(&relay).await;
    let guest = relay.node().await;
    let (user, ns) = space(&node).await;
    let joined = share(&node, &ns, Access::Write, &guest).await;
    let events = follow(&node, &ns, None);
    write(&node, &ns, &user, "a/1", b"one").await;
    write(&guest, &ns, &joined.user, "theirs", &vec![7; 300_000]).await;
    let intent = guest.sync(joined.peers[0].clone(), init(Mode::Live));
    reconciled(&intent.events()).await;
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(StoreEvent::Payload { available: 300_000, .. })) {
        seen.extend(take(&events, 1).await);
    }
    write(&node, &ns, &user, "a/2", b"").await;
    write(&node, &ns, &user, "a", b"above").await;
    assert_eq!(node.forget(ns.clone(), Some(Area::new_subspace_area(user.clone()))).await, Ok(1));
    seen.extend(take(&events, 5).await);
    assert!(matches!(seen.last(), Some(StoreEvent::Forgotten { count: 1, .. })), "{seen:?}");
    guest.shutdown().await;
    node.shutdown().await;
    let mut seen = kept(seen);
    assert!(seen.iter().any(|event| matches!(event, StoreEvent::Inserted { origin: Origin::UnknownPeer, .. })));

    for run in 0..2 {
        let node = place.open(&relay).await;
        // Everybody asks at once, and someone writes while the history is read.
        let first = follow(&node, &ns, Some(ProgressId(0)));
        let written = tokio::spawn({
            let (node, ns, user) = (node.clone(), ns.clone(), user.clone());
            async move { write(&node, &ns, &user, &format!("new/{run}"), b"new").await }
        });
        let starts = seen.iter().map(progress).map(Some);
        let mut all = vec![(0, first)];
        all.extend(starts.enumerate().map(|(place, from)| (place + 1, follow(&node, &ns, from))));
        let entry = written.await.unwrap();
        let mut news = Vec::new();
        for (place, events) in &all {
            assert_eq!(take(events, seen.len() - place).await, seen[*place..], "from event {place}");
            news = take(events, 1).await;
            assert!(matches!(&news[..], [StoreEvent::Inserted { entry: told, .. }] if *told == entry), "{news:?}");
        }
        node.shutdown().await;
        for (_, events) in all {
            assert_eq!(soon("the end", events.next()).await, None);
        }
        seen.append(&mut news);
    }
}

#[tokio::test]
async fn durable_where_the_history_is_damaged_or_from_elsewhere_a_subscription_is_told_that_it_lagged() {
    let (relay, place) = (Relay::start().await, Place::new("lagged"));
    let node = place.open(&relay).await;
    let (user, ns) = space(&node).await;
    let events = follow(&node, &ns, None);
    for name in ["a", "b", "c", "d"] {
        write(&node, &ns, &user, name, b"").await;
    }
    let seen: Vec<_> = take(&events, 4).await.iter().map(progress).collect();
    node.shutdown().await;

    // The record of "b" is not what was written.
    damage(&place, "history", 1);
    let node = place.open(&relay).await;
    for from in [ProgressId(0), seen[0], ProgressId(seen[3].0 + 1), ProgressId(u64::MAX)] {
        let events = follow(&node, &ns, Some(from));
        assert_eq!(take(&events, 1).await, [StoreEvent::Lagged { progress: seen[3] }], "from {from:?}");
    }
    for (place, from) in seen.iter().enumerate().skip(1) {
        let events = follow(&node, &ns, Some(*from));
        assert_eq!(take(&events, 3 - place).await.iter().map(progress).collect::<Vec<_>>(), seen[place + 1..]);
    }
    // Whoever has read the state again goes on.
    let events = follow(&node, &ns, Some(seen[3]));
    write(&node, &ns, &user, "e", b"").await;
    arrival(&events, "e").await;
    // A row is damaged, and its entry gone: nobody can be told which it was.
    assert_eq!(node.forget(ns.clone(), Some(Area::new(None, path("e"), *Area::full().times()))).await, Ok(1));
    node.shutdown().await;
    damage(&place, "entries", 2);
    let node = place.open(&relay).await;
    for from in seen.iter().chain([&ProgressId(0)]) {
        let [StoreEvent::Lagged { progress }] = take(&follow(&node, &ns, Some(*from)), 1).await[..] else { panic!("no lag") };
        assert!(progress > seen[3]);
    }
    node.shutdown().await;

    // The storage is gone, and another one is in its place, with as many changes.
    drop(place);
    let place = Place::new("lagged");
    let node = place.open(&relay).await;
    let (user, ns) = space(&node).await;
    for i in 0..6 {
        write(&node, &ns, &user, &i.to_string(), b"").await;
    }
    for from in seen {
        let events = follow(&node, &ns, Some(from));
        event("a lag", &events, |event| matches!(event, StoreEvent::Lagged { .. }).then_some(())).await;
    }
    let events = follow(&node, &ns, Some(ProgressId(0)));
    arrival(&events, "5").await;
    node.shutdown().await;
}
