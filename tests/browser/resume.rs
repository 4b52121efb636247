//! Subscriptions of a page's node go on where they were when it is opened again, by what IndexedDB has kept.

use osier::{
    Events, Node, NodeOptions,
    backend::Durable,
    node::{Area, Lock, NamespaceId, NamespaceKind, ProgressId, StorageOptions, StoreEvent, SubspaceId},
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    raw::{all, array, bytes, new_name, write as write_raw},
    support::write,
};

async fn open(name: &str) -> Node {
    let storage = StorageOptions::Durable { place: name.to_owned(), lock: Lock::default() };
    Node::open(NodeOptions { relays: Vec::new(), storage, ..NodeOptions::default() }).await.unwrap()
}

async fn space(node: &Node) -> (SubspaceId, NamespaceId) {
    let user = node.create_user().await.unwrap();
    (user.clone(), node.create_namespace(NamespaceKind::Owned, user).await.unwrap())
}

fn follow(node: &Node, space: &NamespaceId, from: ProgressId) -> Events<StoreEvent> {
    node.subscribe(space.clone(), Area::full(), Some(from))
}

/// The next so many events, as (number, path): without a path where something was missed.
async fn take(events: &Events<StoreEvent>, count: usize) -> Vec<(ProgressId, Option<String>)> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(match events.next().await.expect("no end") {
            StoreEvent::Inserted { progress, entry, .. } => (progress, Some(entry.path.to_string())),
            StoreEvent::Lagged { progress } => (progress, None),
            other => panic!("{other:?}"),
        });
    }
    taken
}

#[wasm_bindgen_test]
async fn durable_subscriptions_resume_when_the_node_is_opened_again() {
    let name = new_name();
    let node = open(&name).await;
    let (user, space) = space(&node).await;
    for path in ["a", "b", "c"] {
        write(&node, &space, &user, &[path], path.as_bytes()).await;
    }
    let mut seen = take(&follow(&node, &space, ProgressId(0)), 3).await;
    assert_eq!(seen.iter().filter_map(|(_, path)| path.clone()).collect::<Vec<_>>(), ["/a", "/b", "/c"]);
    node.shutdown().await;

    for run in ["d", "e"] {
        let node = open(&name).await;
        let starts = [ProgressId(0)].into_iter().chain(seen.iter().map(|(progress, _)| *progress));
        // All ask at once, before the write, and are answered after it.
        let all: Vec<_> = starts.map(|from| follow(&node, &space, from)).collect();
        write(&node, &space, &user, &[run], b"").await;
        let mut last = Vec::new();
        for (place, events) in all.iter().enumerate() {
            assert_eq!(take(events, seen.len() - place).await, seen[place..], "from {place}");
            last = take(events, 1).await;
            assert_eq!(last[0].1, Some(format!("/{run}")));
        }
        seen.append(&mut last);
        node.shutdown().await;
        for events in all {
            assert_eq!(events.next().await, None);
        }
    }
    Durable::delete(&name).await.unwrap();
}

#[wasm_bindgen_test]
async fn durable_history_that_is_damaged_or_gone_is_told() {
    let name = new_name();
    let node = open(&name).await;
    let (user, owned) = space(&node).await;
    for path in ["a", "b", "c"] {
        write(&node, &owned, &user, &[path], b"").await;
    }
    let seen = take(&follow(&node, &owned, ProgressId(0)), 3).await;
    node.shutdown().await;
    let records = all(&name, "history").await;
    assert_eq!(records.len(), 3);
    let (key, record) = &records[1];
    let mut record = bytes(record);
    record[50] ^= 4;
    write_raw(&name, "history", key, &array(&record)).await;

    let node = open(&name).await;
    for from in [ProgressId(0), seen[0].0, ProgressId(seen[2].0.0 + 1)] {
        assert_eq!(take(&follow(&node, &owned, from), 1).await, [(seen[2].0, None)], "{from:?}");
    }
    assert_eq!(take(&follow(&node, &owned, seen[1].0), 1).await, seen[2..]);
    node.shutdown().await;

    // The browser has thrown the database away, but not where the page wrote down how far it was.
    Durable::delete(&name).await.unwrap();
    let node = open(&name).await;
    let (user, owned) = space(&node).await;
    for path in ["1", "2", "3", "4"] {
        write(&node, &owned, &user, &[path], b"").await;
    }
    for (from, _) in seen {
        assert_eq!(take(&follow(&node, &owned, from), 1).await[0].1, None);
    }
    let all = take(&follow(&node, &owned, ProgressId(0)), 4).await;
    assert_eq!(all.iter().filter_map(|(_, path)| path.as_deref()).collect::<Vec<_>>(), ["/1", "/2", "/3", "/4"]);
    node.shutdown().await;
    Durable::delete(&name).await.unwrap();
}
