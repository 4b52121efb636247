//! What goes wrong, and how it is told.

use osier::{
    Error, Node, NodeOptions,
    node::{Access, Mode, NamespaceKind, PeerAddress, ReconnectPolicy, SessionInit, SetRequest},
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{guest, node, node_at, owner, path_of, relay, sync};

/// Nothing listens there: port 9 (discard) is not served on a test machine.
const DEAD_RELAY: &str = "http://127.0.0.1:9";

fn once() -> SessionInit {
    SessionInit { mode: Mode::Once, reconnect: Some(ReconnectPolicy::never()), ..SessionInit::default() }
}

#[wasm_bindgen_test]
async fn a_node_opens_without_its_relay_and_its_intents_fail_by_their_deadline() {
    let alone = node_at(vec![DEAD_RELAY.to_owned()]).await;
    let other = node().await;
    other.online().await.unwrap();
    let user = alone.create_user().await.unwrap();
    alone.create_namespace(NamespaceKind::Owned, user).await.unwrap();
    let online = alone.online();
    let intent = alone.sync(PeerAddress { id: other.id(), relays: vec![DEAD_RELAY.to_owned()] }, once());
    let outcome = tokio::select! {
        _ = online => panic!("online without a relay"),
        outcome = intent.completed() => outcome,
    };
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::DialFailed { .. } | Error::Timeout { .. }), "{error:?}");
    alone.shutdown().await;
    other.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_relay_that_is_no_url_is_named() {
    let error = Node::open(NodeOptions { relays: vec!["not a url".to_owned()], ..NodeOptions::default() }).await.unwrap_err();
    assert_eq!((error.code(), error.argument()), ("invalidArgument", Some("relays")));
}

#[wasm_bindgen_test]
async fn a_node_does_not_sync_with_itself() {
    let node = node().await;
    let intent = node.sync(node.address(), once());
    assert_eq!(intent.completed().await, Err(Error::SelfPeer));
    node.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_reader_cannot_write() {
    let (alfie, _, space) = owner().await;
    let (betty, joined) = guest(&alfie, &space, Access::Read).await;
    let request = SetRequest { user: joined.user.clone(), path: path_of(&["mine"]), payload: b"x".to_vec(), timestamp: None };
    let error = betty.set(space, request).await.unwrap_err();
    assert_eq!(error.code(), "notAuthorised");
    alfie.shutdown().await;
    betty.shutdown().await;
}

#[wasm_bindgen_test]
async fn shutdown_settles_intents_and_refuses_what_comes_after() {
    let (alfie, _, space) = owner().await;
    let (betty, joined) = guest(&alfie, &space, Access::Write).await;
    let intent = sync(&betty, &joined, Mode::Live);
    let events = intent.events();
    while !matches!(events.next().await.unwrap(), osier::node::SessionEvent::ReconciledAll) {}
    betty.shutdown().await;
    betty.shutdown().await;
    assert_eq!(intent.completed().await, Err(Error::ShuttingDown));
    assert_eq!(betty.create_user().await, Err(Error::ShuttingDown));
    assert_eq!(betty.sync(alfie.address(), once()).completed().await, Err(Error::ShuttingDown));
    assert!(betty.incoming().next().await.is_none());
    alfie.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_peer_that_is_not_there_fails_its_intent_alone() {
    let (alfie, _, space) = owner().await;
    let (betty, joined) = guest(&alfie, &space, Access::Write).await;
    let gone = betty.sync(PeerAddress { id: osier::node::PeerId([7; 32]), relays: vec![relay()] }, once());
    let there = sync(&betty, &joined, Mode::Once);
    assert!(there.completed().await.is_ok());
    let error = gone.completed().await.unwrap_err();
    assert!(matches!(error, Error::DialFailed { .. } | Error::Timeout { .. } | Error::InvalidArgument { .. }), "{error:?}");
    alfie.shutdown().await;
    betty.shutdown().await;
}
