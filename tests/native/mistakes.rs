//! Those of the numbered mistakes of an earlier design that show only between whole nodes: events, intents, and errors of the transport.
//! The others stand beside the peer manager (`mistake_…` in `core/src/peers/tests`); malformed peers, mistake 21, also in `hostile`.

use iroh::{RelayConfig, RelayMap, RelayMode, endpoint::presets};
use osier::{
    Node, NodeOptions,
    net::ALPN,
    node::{Access, Area, Completion, Error, Interests, Mode, PeerAddress, PeerEvent, PeerId, PeerState, SessionEvent, SessionInit},
};

use crate::harness::{Relay, arrival, contents, event, init, reconciled, share, soon, space, write};

#[tokio::test]
async fn mistake_04_a_duplicate_is_one_whichever_error_tells_it() {
    let relay = Relay::start().await;
    let node = relay.node().await;
    space(&node).await;
    let map = RelayMap::from_iter([RelayConfig::new(relay.url.parse().unwrap(), None)]);
    let builder = iroh::Endpoint::builder(presets::Minimal).relay_mode(RelayMode::Custom(map)).clear_ip_transports();
    let stranger = builder.alpns(vec![ALPN.to_vec()]).bind().await.unwrap();
    soon("the stranger's relay", stranger.online()).await;

    let address = PeerAddress { id: PeerId(*stranger.id().as_bytes()), relays: vec![relay.url.clone()] };
    let intent = node.sync(address, init(Mode::Once));
    let events = intent.events();
    // It shows up in the handshake or the opening of the stream, in a read, and in the middle of a Hello. None of it costs an attempt.
    for stage in 0..3 {
        let incoming = soon("the dial", stranger.accept()).await.unwrap();
        let connection = soon("the handshake", async { incoming.accept().unwrap().await.unwrap() }).await;
        if stage > 0 {
            let (mut send, mut recv) = soon("the stream", connection.accept_bi()).await.unwrap();
            soon("a Hello", recv.read_exact(&mut [0; 100])).await.unwrap();
            if stage == 2 {
                send.write_all(&[146, 1, 2]).await.unwrap();
            }
        }
        connection.close(3_u32.into(), b"another connection is current");
        let cause = event("disconnected", &events, |event| match event {
            SessionEvent::Disconnected { cause, .. } => Some(cause.clone()),
            _ => None,
        });
        assert_eq!(cause.await, Error::Duplicate, "stage {stage}");
    }
    intent.close().await;
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::Closed));
    node.shutdown().await;
    stranger.close().await;
}

#[tokio::test]
async fn mistake_11_consumers_that_never_read_delay_nobody_nor_shutdown() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Write, &b).await;
    let unread = (b.subscribe(ns.clone(), Area::full(), None), b.watch_peers(), a.incoming(), a.watch_peers());
    let live = b.sync(a.address(), init(Mode::Live));
    let silent = live.events();
    // More than any queue of events holds.
    for number in 0..1_200 {
        write(&a, &ns, &user, &format!("n/{number}"), b"").await;
    }
    let once = b.sync(a.address(), init(Mode::Once));
    assert_eq!(soon("the other intent", once.completed()).await, Ok(Completion::Complete));
    // It joined the session of the live one, which brings the last entries.
    soon("all entries", async {
        while contents(&b, &ns).await.len() < 1_200 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    soon("both shutdowns", async { tokio::join!(a.shutdown(), b.shutdown()) }).await;

    let mut last = None;
    while let Some(event) = soon("the unread events", silent.next()).await {
        last = Some(event);
    }
    let end = live.completed().await.unwrap_err();
    assert_eq!(last, Some(SessionEvent::Error { error: end }), "the last item is never lost");
    drop(unread);
}

#[tokio::test]
async fn mistake_14_a_consumer_that_is_dropped_ends_no_session() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Write, &b).await;
    let incoming = a.incoming();
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    let accepted = soon("the accepted session", incoming.next()).await.unwrap();
    drop((accepted, incoming, a.watch_peers(), live.events()));
    let news = b.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "still", b"there").await;
    arrival(&news, "still").await;
    assert_eq!(a.peers().await.unwrap().len(), 1);
    live.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn mistakes_16_and_17_a_node_that_is_shut_down_and_oneself_are_no_partners() {
    let relay = Relay::start().await;
    let node = relay.node().await;
    space(&node).await;
    let oneself = node.sync(node.address(), init(Mode::Live));
    assert_eq!(soon("the intent", oneself.completed()).await, Err(Error::SelfPeer));
    assert!(node.peers().await.unwrap().is_empty());
    let address = node.address();
    node.shutdown().await;
    assert_eq!(soon("the intent", node.sync(address, init(Mode::Once)).completed()).await, Err(Error::ShuttingDown));
}

#[tokio::test]
async fn mistake_18_a_live_intent_joins_a_once_session_and_outlives_it() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Write, &b).await;
    let once = b.sync(a.address(), init(Mode::Once));
    let live = b.sync(a.address(), init(Mode::Live));
    let news = b.subscribe(ns.clone(), Area::full(), None);
    assert_eq!(soon("the once intent", once.completed()).await, Ok(Completion::Complete));
    reconciled(&live.events()).await;
    write(&a, &ns, &user, "later", b"and live").await;
    arrival(&news, "later").await;
    let peers = b.peers().await.unwrap();
    assert_eq!((peers.len(), peers[0].state, peers[0].intents.as_slice()), (1, PeerState::Active, [live.id()].as_slice()));
    live.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn mistake_19_disjoint_interests_end_and_so_does_the_connection() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    space(&a).await;
    space(&b).await;
    let (at_a, at_b) = (a.watch_peers(), b.watch_peers());
    let intent = b.sync(a.address(), init(Mode::Once));
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::NothingInCommon));
    for (watcher, peer) in [(&at_a, b.id()), (&at_b, a.id())] {
        event("gone", watcher, |event| matches!(event, PeerEvent::Gone { peer: gone } if *gone == peer).then_some(())).await;
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn mistake_20_an_intent_without_interests_ends_without_a_connection() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    for interests in [Interests::All, Interests::Some(vec![])] {
        let intent = b.sync(a.address(), SessionInit { interests, ..init(Mode::Live) });
        assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::NothingInCommon));
        assert!(b.peers().await.unwrap().is_empty());
    }
    a.shutdown().await;
    b.shutdown().await;
    // Nor does a node that is alone wait for anything.
    let alone = Node::open(NodeOptions::default()).await.unwrap();
    let nobody = PeerAddress { id: a.id(), relays: vec![] };
    assert_eq!(soon("the intent", alone.sync(nobody, init(Mode::Once)).completed()).await, Ok(Completion::NothingInCommon));
    alone.shutdown().await;
}
