//! What goes wrong, and that it is said.

use std::task::Poll;

use osier::{
    Error, Node, NodeOptions,
    node::{
        AcceptPolicy, Access, Area, Completion, EntriesOptions, Mode, PeerAddress, PeerId, ReconnectPolicy, SecretKey, SessionEvent,
        SessionInit, ShareRequest,
    },
};

use crate::harness::{Relay, event, free_address, init, path, reconciled, share, soon, space, write};

/// The id of a node that is nowhere.
fn nobody() -> PeerId {
    PeerId(*iroh::SecretKey::from_bytes(&[3; 32]).public().as_bytes())
}

#[tokio::test]
async fn a_dial_to_nobody_fails_by_its_own_deadline() {
    let relay = Relay::start().await;
    let a = relay.node().await;
    space(&a).await;
    let init = SessionInit { reconnect: Some(ReconnectPolicy::never()), ..init(Mode::Live) };
    let intent = a.sync(PeerAddress { id: nobody(), relays: vec![relay.url.clone()] }, init);
    let events = intent.events();
    let error = soon("the intent", intent.completed()).await.unwrap_err();
    assert!(["dialFailed", "timeout"].contains(&error.code()), "{error:?}");
    event("connecting", &events, |event| matches!(event, SessionEvent::Connecting).then_some(())).await;
    event("the error as the last event", &events, |event| (*event == SessionEvent::Error { error: error.clone() }).then_some(())).await;
    assert!(events.next().await.is_none());
    assert!(a.peers().await.unwrap().is_empty());
    a.shutdown().await;
}

#[tokio::test]
async fn with_the_relay_down_a_node_opens_and_waits_and_sync_fails() {
    let address = free_address();
    let options = NodeOptions { relays: vec![format!("http://{address}")], ..NodeOptions::default() };
    let a = Node::open(options).await.unwrap();
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "x", b"works without a relay").await;
    let mut online = std::pin::pin!(a.online());
    let pending = std::future::poll_fn(|cx| Poll::Ready(online.as_mut().poll(cx).is_pending())).await;
    assert!(pending, "online is pending");
    let once = SessionInit { reconnect: Some(ReconnectPolicy::never()), ..init(Mode::Once) };
    let error = soon("the intent", a.sync(PeerAddress { id: nobody(), relays: vec![] }, once).completed()).await.unwrap_err();
    assert!(["dialFailed", "timeout"].contains(&error.code()), "{error:?}");

    let relay = Relay::start_at(address).await;
    soon("the relay", online).await.unwrap();
    a.shutdown().await;
    relay.stop().await;
}

#[tokio::test]
async fn without_a_relay_sync_fails_at_once() {
    let a = Node::open(NodeOptions::default()).await.unwrap();
    space(&a).await;
    let error = soon("the intent", a.sync(PeerAddress { id: nobody(), relays: vec![] }, init(Mode::Once)).completed()).await.unwrap_err();
    assert_eq!(error.code(), "dialFailed");
    a.shutdown().await;
}

#[tokio::test]
async fn bad_arguments_are_named() {
    for relay in ["nonsense", "ftp://relay.example", ""] {
        let error = Node::open(NodeOptions { relays: vec![relay.into()], ..NodeOptions::default() }).await.unwrap_err();
        assert_eq!((error.code(), error.argument()), ("invalidArgument", Some("relays")));
    }
    let a = Node::open(NodeOptions::default()).await.unwrap();
    space(&a).await;
    let oneself = a.sync(a.address(), init(Mode::Once)).completed().await.unwrap_err();
    assert_eq!((oneself.code(), oneself.argument()), ("selfPeer", Some("peer")));
    // No point of the curve has this y coordinate.
    let no_key = PeerId(std::array::from_fn(|i| if i == 0 { 2 } else { 0 }));
    let no_key = a.sync(PeerAddress { id: no_key, relays: vec![] }, init(Mode::Once)).completed().await.unwrap_err();
    assert_eq!((no_key.code(), no_key.argument()), ("invalidArgument", Some("peer")));
    let bad_relay = PeerAddress { id: nobody(), relays: vec!["gopher://x".into()] };
    let bad_relay = a.sync(bad_relay, init(Mode::Once)).completed().await.unwrap_err();
    assert_eq!((bad_relay.code(), bad_relay.argument()), ("invalidArgument", Some("relays")));
    a.shutdown().await;
}

#[tokio::test]
async fn an_intent_without_anything_to_read_ends_at_once() {
    let a = Node::open(NodeOptions::default()).await.unwrap();
    let intent = a.sync(PeerAddress { id: nobody(), relays: vec![] }, init(Mode::Live));
    assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::NothingInCommon));
    assert!(a.peers().await.unwrap().is_empty());
    a.shutdown().await;
}

#[tokio::test]
async fn a_node_that_accepts_nobody_refuses() {
    let relay = Relay::start().await;
    let closed = Node::open(NodeOptions { accept: AcceptPolicy::None, ..relay.options() }).await.unwrap();
    soon("the relay", closed.online()).await.unwrap();
    let b = relay.node().await;
    space(&b).await;
    let error = soon("the intent", b.sync(closed.address(), init(Mode::Live)).completed()).await.unwrap_err();
    assert_eq!(error, Error::Refused);
    closed.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_shuts_down_fails_the_live_intents_that_are_not_to_reconnect() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let live = b.sync(a.address(), SessionInit { reconnect: Some(ReconnectPolicy::never()), ..init(Mode::Live) });
    reconciled(&live.events()).await;
    a.shutdown().await;
    let error = soon("the intent", live.completed()).await.unwrap_err();
    assert_eq!(error.code(), "transport", "{error:?}");
    b.shutdown().await;
}

#[tokio::test]
async fn shutdown_settles_everything_and_is_the_end() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Write, &b).await;
    let active = a.sync(b.address(), init(Mode::Live));
    reconciled(&active.events()).await;
    let dialing = a.sync(PeerAddress { id: nobody(), relays: vec![relay.url.clone()] }, init(Mode::Live));
    let (news, peers, incoming) = (a.subscribe(ns.clone(), Area::full(), None), a.watch_peers(), a.incoming());
    let dialing_events = dialing.events();
    event("connecting", &dialing_events, |event| matches!(event, SessionEvent::Connecting).then_some(())).await;

    soon("both shutdowns", async { tokio::join!(a.shutdown(), a.shutdown()) }).await;
    assert_eq!(active.completed().await, Err(Error::ShuttingDown));
    assert_eq!(dialing.completed().await, Err(Error::ShuttingDown));
    while soon("the end of the news", news.next()).await.is_some() {}
    while soon("the end of the peers", peers.next()).await.is_some() {}
    while soon("the end of incoming", incoming.next()).await.is_some() {}

    let gone = Error::ShuttingDown;
    assert_eq!(a.online().await, Err(gone.clone()));
    assert_eq!(a.peers().await, Err(gone.clone()));
    assert_eq!(a.create_user().await, Err(gone.clone()));
    assert_eq!(a.get(ns.clone(), user.clone(), path("x")).await, Err(gone.clone()));
    assert_eq!(a.entries(ns.clone(), Area::full(), EntriesOptions::default()).next().await, Some(Err(gone.clone())));
    let request = ShareRequest { namespace: ns.clone(), access: Access::Read, to: None, from: None, area: None };
    assert_eq!(a.share(request).await, Err(gone.clone()));
    assert_eq!(a.sync(b.address(), init(Mode::Once)).completed().await, Err(gone));
    assert!(a.subscribe(ns, Area::full(), None).next().await.is_none());
    assert!(a.watch_peers().next().await.is_none());
    assert!(a.incoming().next().await.is_none());
    active.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn open_shutdown_open_with_the_same_key() {
    let relay = Relay::start().await;
    let options = NodeOptions { secret_key: SecretKey::Given([9; 32]), ..relay.options() };
    let first = Node::open(options.clone()).await.unwrap();
    soon("the relay", first.online()).await.unwrap();
    first.shutdown().await;
    let second = Node::open(options).await.unwrap();
    assert_eq!(first.id(), second.id());
    soon("the relay again", second.online()).await.unwrap();
    let b = relay.node().await;
    let (_, ns) = space(&second).await;
    share(&second, &ns, Access::Read, &b).await;
    assert_eq!(soon("the intent", b.sync(second.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    second.shutdown().await;
    b.shutdown().await;
}
