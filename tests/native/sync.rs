//! Two and three nodes that sync.

use osier::node::{
    Access, Area, Completion, Error, Interest, Interests, Mode, Origin, PeerEvent, PeerState, Role, SessionEvent, SessionInit, StoreEvent,
};

use crate::harness::{Relay, arrival, contents, event, init, reconciled, share, soon, space, write};

#[tokio::test]
async fn two_nodes_reconcile_once_both_ways() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    for (at, payload) in [("notes/today", "hello"), ("notes/tomorrow", ""), ("list", "milk")] {
        write(&a, &ns, &user, at, payload.as_bytes()).await;
    }
    let joined = share(&a, &ns, Access::Write, &b).await;
    assert_eq!((&joined.namespace, joined.peers.as_slice()), (&ns, [a.address()].as_slice()));
    write(&b, &ns, &joined.user, "from/b", b"and back").await;

    let news = a.subscribe(ns.clone(), Area::full(), None);
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::Complete));
    // Complete says that this side has everything and has sent everything.
    arrival(&news, "from/b").await;
    let (at_a, at_b) = (contents(&a, &ns).await, contents(&b, &ns).await);
    assert_eq!(at_a.len(), 4);
    assert_eq!(at_a, at_b);

    let again = b.sync(joined.peers[0].clone(), init(Mode::Once));
    assert_eq!(soon("the second intent", again.completed()).await, Ok(Completion::Complete));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn live_writes_go_both_ways_and_say_where_they_come_from() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    let at_a = a.subscribe(ns.clone(), Area::full(), None);
    let at_b = b.subscribe(ns.clone(), Area::full(), None);
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Live));
    reconciled(&intent.events()).await;

    for round in 0..5 {
        write(&a, &ns, &user, &format!("a/{round}"), b"by a").await;
        arrival(&at_b, &format!("a/{round}")).await;
        write(&b, &ns, &joined.user, &format!("b/{round}"), b"by b").await;
        event("an entry by b", &at_a, |event| match event {
            StoreEvent::Inserted { entry, origin, .. } if entry.subspace == joined.user => {
                assert_eq!(*origin, Origin::Peer(b.id()));
                Some(())
            }
            StoreEvent::Inserted { origin, .. } => {
                assert_eq!(*origin, Origin::Local);
                None
            }
            _ => None,
        })
        .await;
    }
    assert_eq!(contents(&a, &ns).await, contents(&b, &ns).await);
    intent.close().await;
    assert_eq!(intent.completed().await, Ok(Completion::Closed));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_write_reaches_a_third_node_through_the_second() {
    let relay = Relay::start().await;
    let (hub, b, c) = (relay.node().await, relay.node().await, relay.node().await);
    let (_, ns) = space(&hub).await;
    let (at_b, at_c) = (share(&hub, &ns, Access::Write, &b).await, share(&hub, &ns, Access::Read, &c).await);
    let news = c.subscribe(ns.clone(), Area::full(), None);
    let intents = [b.sync(hub.address(), init(Mode::Live)), c.sync(hub.address(), init(Mode::Live))];
    for intent in &intents {
        reconciled(&intent.events()).await;
    }
    write(&b, &ns, &at_b.user, "over/the/hub", &[7; 20_000]).await;
    arrival(&news, "over/the/hub").await;
    assert_eq!(contents(&b, &ns).await, contents(&c, &ns).await);
    assert_eq!(at_c.access, Access::Read);
    for node in [hub, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_large_payload_arrives_with_progress() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    let payload: Vec<u8> = (0..5 * 1024 * 1024_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let entry = write(&a, &ns, &user, "film", &payload).await;
    let joined = share(&a, &ns, Access::Read, &b).await;
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    let events = intent.events();
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::Complete));
    assert!(b.payload(entry.key(), 0, None).await.unwrap() == payload, "the same bytes");
    assert_eq!(b.payload(entry.key(), 4_000_000, Some(10)).await.unwrap(), payload[4_000_000..4_000_010]);
    let last = event("progress of the payload", &events, |event| match event {
        SessionEvent::Payload { entry, received, total } => Some((entry.clone(), *received, *total)),
        _ => None,
    })
    .await;
    assert_eq!(last, (entry.key(), entry.payload_length, entry.payload_length), "what came before has coalesced");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn what_was_fetched_is_served_on() {
    let relay = Relay::start().await;
    let (a, b, c) = (relay.node().await, relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    let payload: Vec<u8> = (0..700_000_u32).map(|i| (i % 251) as u8).collect();
    let entry = write(&a, &ns, &user, "big", &payload).await;
    share(&a, &ns, Access::Read, &b).await;
    share(&a, &ns, Access::Read, &c).await;
    assert_eq!(soon("b", b.sync(a.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    a.shutdown().await;
    assert_eq!(soon("c", c.sync(b.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    assert!(c.payload(entry.key(), 0, None).await.unwrap() == payload);
    b.shutdown().await;
    c.shutdown().await;
}

#[tokio::test]
async fn events_come_in_their_order() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "x", b"1").await;
    let joined = share(&a, &ns, Access::Read, &b).await;
    let incoming = a.incoming();
    let intent = b.sync(joined.peers[0].clone(), init(Mode::Once));
    let events = intent.events();
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::Complete));
    let mut kinds = Vec::new();
    while let Some(event) = soon("the end", events.next()).await {
        if !matches!(event, SessionEvent::Progress { .. } | SessionEvent::Payload { .. }) {
            kinds.push(event.kind());
        }
    }
    assert_eq!(kinds, ["connecting", "established", "overlap", "reconciled", "reconciledAll", "ended"]);

    let accepted = soon("the accepted session", incoming.next()).await.unwrap();
    assert_eq!(accepted.peer(), b.id());
    event("the end of the accepted session", &accepted.events(), |event| {
        matches!(event, SessionEvent::Ended { completion: Completion::Complete }).then_some(())
    })
    .await;
    a.shutdown().await;
    assert!(soon("the end of incoming", incoming.next()).await.is_none());
    b.shutdown().await;
}

#[tokio::test]
async fn nodes_with_nothing_in_common_part() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "private", b"1").await;
    let (_, other) = space(&b).await;
    let intent = b.sync(a.address(), init(Mode::Once));
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::NothingInCommon));
    assert!(contents(&b, &ns).await.is_empty());
    assert!(contents(&a, &other).await.is_empty());
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn only_the_area_of_interest_moves() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    for at in ["in/1", "in/2", "out/1"] {
        write(&a, &ns, &user, at, at.as_bytes()).await;
    }
    share(&a, &ns, Access::Read, &b).await;
    let area = Area::new(None, crate::harness::path("in"), *Area::full().times());
    let interest = Interest { area: Some(area), ..Interest::namespace(ns.clone()) };
    let init = SessionInit { interests: Interests::Some(vec![interest]), mode: Mode::Once, reconnect: None };
    assert_eq!(soon("the intent", b.sync(a.address(), init).completed()).await, Ok(Completion::Complete));
    let paths: Vec<_> = contents(&b, &ns).await.into_iter().map(|entry| entry.1).collect();
    assert_eq!(paths, [crate::harness::path("in/1"), crate::harness::path("in/2")]);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn both_dial_at_once_and_both_intents_complete() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    write(&a, &ns, &user, "a", b"a").await;
    write(&b, &ns, &joined.user, "b", b"b").await;
    let (from_a, from_b) = (a.sync(b.address(), init(Mode::Once)), b.sync(a.address(), init(Mode::Once)));
    let both = async { tokio::join!(from_a.completed(), from_b.completed()) };
    assert_eq!(soon("both intents", both).await, (Ok(Completion::Complete), Ok(Completion::Complete)));
    assert_eq!(contents(&a, &ns).await, contents(&b, &ns).await);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn several_intents_share_a_session_and_a_once_one_ends_alone() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Write, &b).await;
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    let once = b.sync(a.address(), init(Mode::Once));
    assert_eq!(soon("the once intent", once.completed()).await, Ok(Completion::Complete));
    let peers = b.peers().await.unwrap();
    assert_eq!(peers.len(), 1);
    assert_eq!((peers[0].id, peers[0].state, peers[0].role), (a.id(), PeerState::Active, Some(Role::Alfie)));
    assert_eq!(peers[0].intents, [live.id()]);
    assert_eq!(peers[0].relay.as_deref(), Some(relay.url.as_str()));
    assert!(peers[0].bytes_sent > 0 && peers[0].bytes_received > 0);
    live.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_running_session_takes_in_what_is_made_or_joined_later() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (_, first) = space(&a).await;
    share(&a, &first, Access::Write, &b).await;
    for (dialer, acceptor) in [(&a, &b), (&b, &a)] {
        let live = dialer.sync(acceptor.address(), init(Mode::Live));
        reconciled(&live.events()).await;
        for (maker, joiner) in [(dialer, acceptor), (acceptor, dialer)] {
            let (user, later) = space(maker).await;
            write(maker, &later, &user, "later", b"but not too late").await;
            share(maker, &later, Access::Read, joiner).await;
            let only = Interests::Some(vec![Interest::namespace(later.clone())]);
            let once = joiner.sync(maker.address(), SessionInit { interests: only, mode: Mode::Once, reconnect: None });
            assert_eq!(soon("the later space", once.completed()).await, Ok(Completion::Complete));
            assert_eq!(contents(joiner, &later).await, contents(maker, &later).await);
            assert_eq!(joiner.peers().await.unwrap().len(), 1, "over the session that was there");
        }
        live.close().await;
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn watchers_see_peers_come_and_go_and_disconnect_ends_intents() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Write, &b).await;
    let early = b.watch_peers();
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    event("established", &early, |event| matches!(event, PeerEvent::Established { peer, .. } if *peer == a.id()).then_some(())).await;
    let late = b.watch_peers();
    event("the present peer", &late, |event| matches!(event, PeerEvent::Present(info) if info.id == a.id()).then_some(())).await;
    b.disconnect(a.id()).await.unwrap();
    assert_eq!(soon("the intent", live.completed()).await, Ok(Completion::Closed));
    event("gone", &late, |event| matches!(event, PeerEvent::Gone { peer } if *peer == a.id()).then_some(())).await;
    assert!(b.peers().await.unwrap().is_empty());
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn dropping_the_handle_closes_an_intent_and_detaching_keeps_it() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let dropped = b.sync(a.address(), init(Mode::Live));
    let events = dropped.events();
    reconciled(&events).await;
    drop(dropped);
    event("closed", &events, |event| matches!(event, SessionEvent::Ended { completion: Completion::Closed }).then_some(())).await;

    let detached = b.sync(a.address(), init(Mode::Live));
    let events = detached.events();
    reconciled(&events).await;
    detached.detach();
    drop(detached);
    let news = b.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "still", b"synced").await;
    arrival(&news, "still").await;
    b.shutdown().await;
    event("the end", &events, |event| matches!(event, SessionEvent::Error { error: Error::ShuttingDown }).then_some(())).await;
    a.shutdown().await;
}
