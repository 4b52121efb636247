//! Live intents outlive their connections, in a browser, too.

use osier::{
    Events, Node, NodeOptions,
    node::{Access, Attempts, Lifecycle, Mode, PeerState, ReconnectPolicy, SecretKey, SessionEvent, SessionInit, ShareRequest},
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::support::{guest, owner, relay, sync, write};

/// The next event of this kind.
async fn next(events: &Events<SessionEvent>, kind: &str) -> SessionEvent {
    loop {
        let event = events.next().await.unwrap();
        if event.kind() == kind {
            return event;
        }
        assert!(!event.is_terminal(), "no {kind} before {event:?}");
    }
}

#[wasm_bindgen_test]
async fn reconnect_finds_a_partner_that_was_opened_again_with_the_same_key() {
    let (alfie, user, space) = owner().await;
    let ticket =
        alfie.share(ShareRequest { namespace: space.clone(), access: Access::Read, to: None, from: None, area: None }).await.unwrap();
    let open = async || {
        let node = Node::open(NodeOptions { relays: vec![relay()], secret_key: SecretKey::Given([8; 32]), ..NodeOptions::default() })
            .await
            .unwrap();
        node.online().await.unwrap();
        node.join(&ticket, None).await.unwrap();
        node
    };
    let mut partner = open().await;
    let policy = ReconnectPolicy { first_delay_millis: 10, cap_millis: 200, attempts: Attempts::ByMode, ..ReconnectPolicy::default() };
    let init = SessionInit { mode: Mode::Live, reconnect: Some(policy), ..SessionInit::default() };
    let intent = alfie.sync(partner.address(), init);
    let events = intent.events();
    for round in 0..3 {
        next(&events, "established").await;
        next(&events, "reconciledAll").await;
        write(&alfie, &space, &user, &["round", &round.to_string()], b"news").await;
        partner.shutdown().await;
        let SessionEvent::Disconnected { cause, .. } = next(&events, "disconnected").await else { panic!("it is one") };
        assert_eq!(cause.code(), "transport");
        next(&events, "reconnecting").await;
        partner = open().await;
    }
    next(&events, "reconciledAll").await;
    intent.close().await;
    alfie.shutdown().await;
    partner.shutdown().await;
}

#[wasm_bindgen_test]
async fn reconnect_waits_while_hidden_and_a_thaw_leaves_a_live_connection_alone() {
    let (alfie, user, space) = owner().await;
    let (betty, joined) = guest(&alfie, &space, Access::Read).await;
    let intent = sync(&betty, &joined, Mode::Live);
    let events = intent.events();
    next(&events, "reconciledAll").await;
    betty.notify(Lifecycle { visible: Some(false), frozen: Some(true), online: None });
    betty.notify(Lifecycle { visible: None, frozen: Some(false), online: Some(true) });
    let news = betty.subscribe(space.clone(), osier::node::Area::full(), None);
    write(&alfie, &space, &user, &["after"], b"the thaw").await;
    news.next().await.unwrap();
    assert_eq!(betty.peers().await.unwrap()[0].state, PeerState::Active);
    alfie.shutdown().await;
    next(&events, "disconnected").await;
    let waiting = next(&events, "reconnecting").await;
    assert!(matches!(waiting, SessionEvent::Reconnecting { retry, .. } if retry.millis.is_none()), "{waiting:?}");
    betty.notify(Lifecycle { visible: Some(true), ..Lifecycle::default() });
    next(&events, "connecting").await;
    betty.disconnect(joined.peers[0].id).await.unwrap();
    assert!(intent.completed().await.is_ok());
    betty.shutdown().await;
}
