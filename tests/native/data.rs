//! Entries and payloads of one node.

use osier::{
    Error, Node, NodeOptions,
    node::{Area, EntriesOptions, NamespaceKind, Origin, ProgressId, SetRequest, StoreEvent, SubspaceId},
};
use osier_core::willow::time;

use crate::harness::{contents, event, path, soon, space, write};

async fn offline() -> Node {
    Node::open(NodeOptions::default()).await.unwrap()
}

fn request(user: &SubspaceId, at: &str, payload: &[u8], timestamp: Option<u64>) -> SetRequest {
    SetRequest { user: user.clone(), path: path(at), payload: payload.to_vec(), timestamp }
}

fn tai_now() -> u64 {
    time::tai_from_unix_micros(osier::platform::unix_micros()).into()
}

#[tokio::test]
async fn what_was_set_can_be_read() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let before = tai_now();
    let set = node.set(ns.clone(), request(&user, "notes/today", b"hello", None)).await.unwrap();
    assert_eq!((set.pruned, set.entry.payload_length, set.entry.available), (0, 5, 5));
    assert!((before..=tai_now()).contains(&set.entry.timestamp));
    assert_eq!(node.get(ns.clone(), user.clone(), path("notes/today")).await, Ok(Some(set.entry.clone())));
    assert_eq!(node.get(ns.clone(), user.clone(), path("notes")).await, Ok(None));
    assert_eq!(node.payload(set.entry.key(), 0, None).await.unwrap(), b"hello");
    assert_eq!(node.payload(set.entry.key(), 1, Some(3)).await.unwrap(), b"ell");
    assert_eq!(node.payload(set.entry.key(), 5, None).await.unwrap(), b"");
    for (offset, length, argument) in [(6, None, "offset"), (1, Some(5), "length"), (1, Some(u64::MAX), "length")] {
        assert_eq!(node.payload(set.entry.key(), offset, length).await.unwrap_err().argument(), Some(argument));
    }
    node.fetch_payload(set.entry.key(), Default::default(), |_| {}).await.unwrap();
    node.shutdown().await;
}

#[tokio::test]
async fn a_write_never_loses_to_a_clock_but_an_older_one_is_obsolete() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let ahead = tai_now() + 60_000_000;
    node.set(ns.clone(), request(&user, "a/b", b"1", Some(ahead))).await.unwrap();
    let second = node.set(ns.clone(), request(&user, "a/b", b"2", None)).await.unwrap();
    assert_eq!((second.entry.timestamp, second.pruned), (ahead + 1, 1));
    let parent = node.set(ns.clone(), request(&user, "a", b"prunes the rest", Some(ahead + 2))).await.unwrap();
    assert_eq!(parent.pruned, 1, "a newer prefix prunes");
    let obsolete = node.set(ns.clone(), request(&user, "a/c", b"3", Some(5))).await.unwrap_err();
    assert_eq!(obsolete, Error::Obsolete);
    assert_eq!(contents(&node, &ns).await.len(), 1);
    node.shutdown().await;
}

#[tokio::test]
async fn a_write_replaces_all_below_it_though_they_came_in_the_same_tick_of_the_clock() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let ahead = tai_now() + 60_000_000;
    for name in ["a/b", "a/c", "ab"] {
        node.set(ns.clone(), request(&user, name, b"1", Some(ahead))).await.unwrap();
    }
    let parent = node.set(ns.clone(), request(&user, "a", b"2", None)).await.unwrap();
    assert_eq!((parent.entry.timestamp, parent.pruned), (ahead + 1, 2));
    assert_eq!(contents(&node, &ns).await.len(), 2);
    node.shutdown().await;
}

#[tokio::test]
async fn what_must_not_be_written_is_not() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let late = node.set(ns.clone(), request(&user, "x", b"", Some(tai_now() + 3_600_000_000))).await.unwrap_err();
    assert_eq!((late.code(), late.argument()), ("timestampTooFarAhead", Some("timestamp")));
    let stranger = SubspaceId::from_bytes(&[9; 32]);
    assert_eq!(node.set(ns.clone(), request(&stranger, "x", b"", None)).await.unwrap_err().code(), "noSuchUser");
    let other = node.create_user().await.unwrap();
    assert_eq!(node.set(ns.clone(), request(&other, "x", b"", None)).await.unwrap_err().code(), "notAuthorised");
    let communal = node.create_namespace(NamespaceKind::Communal, user.clone()).await.unwrap();
    assert_eq!(node.set(communal.clone(), request(&other, "x", b"", None)).await.unwrap_err().code(), "notAuthorised");
    assert!(node.set(communal, request(&user, "x", b"", None)).await.is_ok());
    assert!(contents(&node, &ns).await.is_empty());
    node.shutdown().await;
}

#[tokio::test]
async fn entries_come_in_order_by_area_with_limits_over_pages() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    for i in 0..600 {
        write(&node, &ns, &user, &format!("{}/{i:03}", if i % 2 == 0 { "even" } else { "odd" }), b"").await;
    }
    let list = async |area: Area, options: EntriesOptions| {
        let mut entries = node.entries(ns.clone(), area, options);
        let mut paths = Vec::new();
        while let Some(entry) = entries.next().await {
            paths.push(entry.unwrap().path);
        }
        paths
    };
    let even = Area::new(Some(user.clone()), path("even"), *Area::full().times());
    let all = list(Area::full(), EntriesOptions::default()).await;
    assert_eq!(all.len(), 600);
    assert!(all.is_sorted());
    assert_eq!(list(even.clone(), EntriesOptions::default()).await, all[..300]);
    let last = list(Area::full(), EntriesOptions { reverse: true, limit: Some(300) }).await;
    assert!(last.iter().eq(all.iter().rev().take(300)));
    assert!(list(even, EntriesOptions { reverse: false, limit: Some(0) }).await.is_empty());
    node.shutdown().await;
}

#[tokio::test]
async fn ingest_takes_what_another_node_exports_and_nothing_forged() {
    let (a, b) = (offline().await, offline().await);
    let (user, ns) = space(&a).await;
    let entry = write(&a, &ns, &user, "x", b"payload").await;
    let bytes = a.export_entry(entry.key()).await.unwrap();
    let mut forged = bytes.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(b.ingest(forged).await.unwrap_err().code(), "invalidSignature");
    let cut = b.ingest(bytes[..bytes.len() - 1].to_vec()).await.unwrap_err();
    assert_eq!((cut.code(), cut.argument()), ("invalidArgument", Some("entry")));
    assert_eq!(b.get(ns.clone(), user.clone(), path("x")).await, Ok(None));
    assert_eq!(b.ingest(bytes.clone()).await, Ok(true));
    assert_eq!(b.ingest(bytes).await, Ok(false));
    let here = b.get(ns, user, path("x")).await.unwrap().unwrap();
    assert_eq!((here.id, here.available, here.payload_length), (entry.id, 0, 7));
    let missing = Error::PayloadMissing { available: 0, total: 7 };
    assert_eq!(b.payload(entry.key(), 0, None).await, Err(missing.clone()));
    assert_eq!(b.fetch_payload(entry.key(), Default::default(), |_| {}).await, Err(missing));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn subscriptions_tell_every_change_and_resume() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let area = Area::new(None, path("in"), *Area::full().times());
    let events = node.subscribe(ns.clone(), area.clone(), None);
    write(&node, &ns, &user, "in/1", b"1").await;
    write(&node, &ns, &user, "out/1", b"1").await;
    write(&node, &ns, &user, "in/1", b"2").await;
    assert_eq!(node.forget(ns.clone(), Some(area.clone())).await, Ok(1));
    let mut kinds = Vec::new();
    let mut resume = ProgressId(0);
    while kinds.last() != Some(&"forgotten") {
        kinds.push(match soon("an event", events.next()).await.unwrap() {
            StoreEvent::Inserted { entry, origin, progress } => {
                assert_eq!((entry.path, origin), (path("in/1"), Origin::Local));
                if resume.0 == 0 {
                    resume = progress;
                }
                "inserted"
            }
            StoreEvent::Pruned { .. } => "pruned",
            StoreEvent::Forgotten { count, .. } => {
                assert_eq!(count, 1);
                "forgotten"
            }
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(kinds, ["inserted", "pruned", "inserted", "forgotten"]);
    let resumed = node.subscribe(ns.clone(), area, Some(resume));
    event("what followed", &resumed, |event| matches!(event, StoreEvent::Forgotten { .. }).then_some(())).await;
    assert_eq!(node.forget(ns, None).await, Ok(1));
    node.shutdown().await;
}

#[tokio::test]
async fn handles_work_from_other_threads_and_dropped_calls_do_no_harm() {
    let node = offline().await;
    let (user, ns) = space(&node).await;
    let writes: Vec<_> = (0..20)
        .map(|i| {
            let (node, user, ns) = (node.clone(), user.clone(), ns.clone());
            tokio::spawn(async move { write(&node, &ns, &user, &format!("{i}"), b"x").await })
        })
        .collect();
    for write in writes {
        soon("a write", write).await.unwrap();
    }
    {
        let mut dropped = std::pin::pin!(node.set(ns.clone(), request(&user, "dropped", b"x", None)));
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(dropped.as_mut().poll(cx))).await.is_pending());
    }
    write(&node, &ns, &user, "after", b"x").await;
    assert!((21..=22).contains(&contents(&node, &ns).await.len()));
    node.shutdown().await;
}
