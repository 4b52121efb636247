//! How much of a namespace a node keeps.

use osier::{
    Error, Node, NodeOptions,
    node::{Access, Area, Completion, EntriesOptions, Lock, Mode, NamespaceId, Quota, SetRequest, WriteRequest},
};

use crate::{
    harness::{Relay, contents, init, path, share, soon, space, write},
    lasting::Place,
};

const SMALL: Option<Quota> = Some(Quota { entries: Some(3), payload_bytes: Some(100) });

async fn usage(node: &Node, namespace: &NamespaceId) -> (u64, u64, Option<Quota>) {
    let known = node.namespaces().await.unwrap();
    let info = known.iter().find(|info| info.id == *namespace).unwrap();
    (info.entries, info.stored_bytes, info.quota)
}

#[tokio::test]
async fn durable_writes_beyond_a_quota_are_refused_after_a_restart_too() {
    let place = Place::new("quota");
    let open = async || Node::open(NodeOptions { storage: place.storage(Lock::default()), ..NodeOptions::default() }).await.unwrap();
    let node = open().await;
    let (user, ns) = space(&node).await;
    assert_eq!(usage(&node, &ns).await, (0, 0, None));
    node.set_quota(ns.clone(), SMALL).await.unwrap();
    write(&node, &ns, &user, "a", &[1; 60]).await;
    node.shutdown().await;

    let node = open().await;
    let set = async |at: &str, length: usize| {
        let request = SetRequest { user: user.clone(), path: path(at), payload: vec![2; length], timestamp: None };
        node.set(ns.clone(), request).await.map(|set| set.pruned)
    };
    assert_eq!(usage(&node, &ns).await, (1, 60, SMALL));
    assert_eq!(set("b", 41).await, Err(Error::QuotaExceeded));
    assert_eq!((set("b", 40).await, set("a", 60).await, set("c", 0).await), (Ok(0), Ok(1), Ok(0)));
    assert_eq!(set("d", 0).await, Err(Error::QuotaExceeded));
    let mut long = node.payload_writer(WriteRequest { namespace: ns.clone(), user: user.clone(), path: path("a"), timestamp: None });
    long.prepare(&vec![3; 2_000_000]);
    assert_eq!(long.push(&vec![3; 2_000_000]).await, Err(Error::QuotaExceeded));
    assert_eq!(usage(&node, &ns).await, (3, 100, SMALL));

    node.set_quota(ns.clone(), None).await.unwrap();
    assert_eq!(set("d", 1000).await, Ok(0));
    node.shutdown().await;
}

#[tokio::test]
async fn what_a_peer_brings_beyond_a_quota_is_refused_and_the_session_goes_on() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    for at in ["a", "b", "c", "d", "e"] {
        write(&a, &ns, &user, at, &[7; 30]).await;
    }
    write(&a, &ns, &user, "large", &vec![7; 500_000]).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    b.set_quota(ns.clone(), Some(Quota { entries: Some(4), payload_bytes: Some(100) })).await.unwrap();
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    let completion = soon("the intent", intent.completed()).await;
    assert!(matches!(completion, Ok(Completion::Complete | Completion::Partial)), "{completion:?}");
    let (entries, bytes, _) = usage(&b, &ns).await;
    assert_eq!((entries, bytes), (4, 90), "three with their payloads, and one whose payload is too large");

    // With more room, all of it comes.
    b.set_quota(ns.clone(), None).await.unwrap();
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::Complete));
    assert_eq!(contents(&a, &ns).await, contents(&b, &ns).await);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_drop_that_is_too_large_for_a_quota_is_refused_where_it_is_used_up() {
    let (a, b) = (Node::open(NodeOptions::default()).await.unwrap(), Node::open(NodeOptions::default()).await.unwrap());
    let (user, ns) = space(&a).await;
    for (at, length) in [("a", 10), ("b", 300_000), ("c", 10)] {
        write(&a, &ns, &user, at, &vec![7; length]).await;
    }
    let mut export = a.export_drop(ns.clone(), Area::full());
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().await {
        bytes.extend(piece.unwrap());
    }
    let import = async |node: &Node| {
        let mut import = node.import_drop();
        import.push(bytes.clone()).await?;
        import.finish().await.map(|done| done.inserted)
    };
    let count = async |node: &Node| {
        let mut entries = node.entries(ns.clone(), Area::full(), EntriesOptions::default());
        let mut count = (0, 0);
        while let Some(entry) = entries.next().await {
            count = (count.0 + 1, count.1 + entry.unwrap().available);
        }
        count
    };
    for quota in [Quota { entries: Some(1), payload_bytes: None }, Quota { entries: None, payload_bytes: Some(200_000) }] {
        b.set_quota(ns.clone(), Some(quota)).await.unwrap();
        assert_eq!(import(&b).await, Err(Error::QuotaExceeded));
        let (entries, available) = count(&b).await;
        assert!(entries < 3 && available <= 20, "{entries} entries, {available} bytes");
    }
    b.set_quota(ns.clone(), None).await.unwrap();
    import(&b).await.unwrap();
    assert_eq!(contents(&a, &ns).await, contents(&b, &ns).await);
    a.shutdown().await;
    b.shutdown().await;
}
