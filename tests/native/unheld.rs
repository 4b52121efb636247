//! What a node says of entries that nobody else is known to hold.

use osier::{
    Events, Node, NodeOptions,
    node::{Access, Area, Mode, NodeStatus, SetRequest},
};

use crate::{
    harness::{Relay, arrival, event, init, path, reconciled, share, soon, space, write},
    lasting::Place,
};

/// Waits until so many entries are unheld.
async fn unheld(status: &Events<NodeStatus>, wanted: u64) {
    let what = format!("{wanted} entries that nobody else holds");
    event(&what, status, |status| (status.storage.unheld == wanted).then_some(())).await;
}

async fn unheld_now(node: &Node) -> u64 {
    soon("the present status", node.watch_status().next()).await.unwrap().storage.unheld
}

#[tokio::test]
async fn what_is_written_is_unheld_until_a_peer_has_stored_it() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    let (at_a, at_b) = (a.watch_status(), b.watch_status());
    write(&a, &ns, &user, "alone", b"here only").await;
    unheld(&at_a, 1).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Live));
    unheld(&at_a, 0).await;
    reconciled(&intent.events()).await;
    assert_eq!(unheld_now(&b).await, 0, "what came from a peer is held");

    // Live, with payloads that go along and one that is fetched; both ways.
    for (at, length) in [("live/small", 10), ("live/large", 300_000)] {
        write(&a, &ns, &user, at, &vec![7; length]).await;
        write(&b, &ns, &joined.user, at, &vec![8; length]).await;
    }
    unheld(&at_a, 0).await;
    unheld(&at_b, 0).await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn watchers_are_not_told_of_each_entry() {
    const MANY: usize = 2_000;
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    let names: Vec<String> = (0..MANY).map(|number| number.to_string()).collect();
    n0_future::join_all(names.iter().map(|name| write(&a, &ns, &user, name, b"x"))).await;
    let status = a.watch_status();
    unheld(&status, MANY as u64).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    let mut told = 0;
    event("nothing that is held by nobody", &status, |status| {
        told += 1;
        (status.storage.unheld == 0).then_some(())
    })
    .await;
    assert!(told < MANY / 4, "told {told} times of {MANY} entries");
    drop(intent);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn durable_after_a_restart_no_more_is_taken_for_held_than_was() {
    let (relay, place) = (Relay::start().await, Place::new("unheld"));
    let (a, b) = (place.open(&relay).await, relay.node().await);
    soon("the relay", a.online()).await.unwrap();
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "shared", b"x").await;
    assert_eq!(unheld_now(&a).await, 1, "who begins to watch hears what is true");
    let joined = share(&a, &ns, Access::Write, &b).await;
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    unheld(&a.watch_status(), 0).await;
    soon("the sync", intent.completed()).await.unwrap();
    a.shutdown().await;

    let a = place.open(&relay).await;
    assert_eq!(unheld_now(&a).await, 0, "it is noted that it was held");
    write(&a, &ns, &user, "alone", b"y").await;
    unheld(&a.watch_status(), 1).await;
    a.shutdown().await;

    let a = place.open(&relay).await;
    assert_eq!(unheld_now(&a).await, 1);
    soon("the relay", a.online()).await.unwrap();
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    unheld(&a.watch_status(), 0).await;
    soon("the second sync", intent.completed()).await.unwrap();
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn what_a_peer_refuses_stays_unheld() {
    let relay = Relay::start().await;
    let a = Node::open(NodeOptions { max_future_micros: u64::MAX / 4, ..relay.options() }).await.unwrap();
    soon("the relay", a.online()).await.unwrap();
    let b = relay.node().await;
    let (user, ns) = space(&a).await;
    let now = write(&a, &ns, &user, "now", b"x").await;
    let ahead = SetRequest { user, path: path("ahead"), payload: b"y".to_vec(), timestamp: Some(now.timestamp + 1_000_000_000_000) };
    a.set(ns.clone(), ahead).await.unwrap();
    let status = a.watch_status();
    unheld(&status, 2).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    let at_b = b.subscribe(ns.clone(), Area::full(), None);
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Live));
    arrival(&at_b, "now").await;
    unheld(&status, 1).await;
    // It is sent anew in each reconciliation, and refused.
    let again = b.sync(joined.peers[0].clone(), init(Mode::Once));
    soon("another round", again.completed()).await.unwrap();
    assert_eq!(unheld_now(&a).await, 1);
    drop(intent);
    a.shutdown().await;
    b.shutdown().await;
}
