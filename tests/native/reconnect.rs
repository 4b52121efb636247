//! Connections that are lost come back: what intents see of it, and when they give up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use iroh::{RelayConfig, RelayMap, RelayMode, endpoint::presets};
use osier::{
    Events, Node, NodeOptions,
    node::{
        Access, Area, Attempts, Completion, Error, Lifecycle, Mode, PeerAddress, PeerEvent, PeerId, PeerState, ReconnectPolicy, RelayState,
        SecretKey, SessionEvent, SessionInit, ShareRequest,
    },
};

use crate::harness::{Relay, arrival, event, init, reconciled, share, soon, space, write};

/// Waits that no test notices.
fn quick(attempts: Attempts) -> ReconnectPolicy {
    ReconnectPolicy { first_delay_millis: 1, cap_millis: 20, attempts, ..ReconnectPolicy::default() }
}

fn with(mode: Mode, policy: ReconnectPolicy) -> SessionInit {
    SessionInit { reconnect: Some(policy), ..init(mode) }
}

/// A peer that closes every connection with the code 1 as soon as it is there, and counts them.
async fn grump(relay: &Relay) -> (PeerAddress, Arc<AtomicUsize>) {
    let map = RelayMap::from_iter([RelayConfig::new(relay.url.parse().unwrap(), None)]);
    let endpoint = iroh::Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Custom(map))
        .clear_ip_transports()
        .alpns(vec![osier::net::ALPN.to_vec()])
        .bind()
        .await
        .unwrap();
    soon("the relay", endpoint.online()).await;
    let address = PeerAddress { id: PeerId(*endpoint.id().as_bytes()), relays: vec![relay.url.clone()] };
    let count = Arc::new(AtomicUsize::new(0));
    let calls = count.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            if let Ok(connection) = incoming.await {
                calls.fetch_add(1, Ordering::Relaxed);
                connection.close(1_u32.into(), b"go away");
            }
        }
    });
    (address, count)
}

async fn established(events: &Events<SessionEvent>) {
    event("established", events, |event| matches!(event, SessionEvent::Established { .. }).then_some(())).await;
}

/// Waits for a loss and what follows from it. Returns its cause and the wait.
async fn loss(events: &Events<SessionEvent>) -> (Error, Option<u64>) {
    let cause = event("disconnected", events, |event| match event {
        SessionEvent::Disconnected { cause, .. } => Some(cause.clone()),
        _ => None,
    })
    .await;
    let wait = match soon("what follows a loss", events.next()).await {
        Some(SessionEvent::Reconnecting { cause: again, retry }) => {
            assert_eq!(again, cause);
            retry.millis
        }
        other => panic!("a loss is followed by the wait: {other:?}"),
    };
    (cause, wait)
}

#[tokio::test]
async fn reconnect_goes_on_after_the_relay_was_restarted() {
    let mut relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Write, &b).await;
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    let news = b.subscribe(ns.clone(), Area::full(), None);
    for round in 0..3 {
        let at = format!("while/down/{round}");
        relay = relay
            .restart(async {
                write(&a, &ns, &user, &at, b"written without a relay").await;
            })
            .await;
        arrival(&news, &at).await;
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn reconnect_finds_a_partner_that_was_opened_again_with_the_same_key() {
    let relay = Relay::start().await;
    let a = relay.node().await;
    let (user, ns) = space(&a).await;
    let request = ShareRequest { namespace: ns.clone(), access: Access::Read, to: None, from: None, area: None };
    let ticket = a.share(request).await.unwrap();
    let options = NodeOptions { secret_key: SecretKey::Given([7; 32]), ..relay.options() };
    let open = async || {
        let node = Node::open(options.clone()).await.unwrap();
        soon("the relay", node.online()).await.unwrap();
        node.join(&ticket, None).await.unwrap();
        node
    };
    let mut partner = open().await;
    let live = a.sync(partner.address(), with(Mode::Live, quick(Attempts::ByMode)));
    let events = live.events();
    for round in 0..4 {
        established(&events).await;
        reconciled(&events).await;
        let at = format!("round/{round}");
        write(&a, &ns, &user, &at, b"news").await;
        arrival(&partner.subscribe(ns.clone(), Area::full(), None), &at).await;
        partner.shutdown().await;
        let (cause, wait) = loss(&events).await;
        assert_eq!(cause.code(), "transport", "{cause:?}");
        assert!(wait.is_some());
        partner = open().await;
    }
    established(&events).await;
    live.close().await;
    a.shutdown().await;
    partner.shutdown().await;
}

#[tokio::test]
async fn reconnect_attempts_of_once_intents_are_bounded() {
    let relay = Relay::start().await;
    let a = relay.node().await;
    space(&a).await;
    for (attempts, dials) in [(Attempts::ByMode, 3), (Attempts::AtMost(1), 2), (Attempts::AtMost(0), 1)] {
        let (peer, calls) = grump(&relay).await;
        let intent = a.sync(peer, with(Mode::Once, quick(attempts)));
        let events = intent.events();
        let error = soon("the end", intent.completed()).await.unwrap_err();
        assert_eq!(error.code(), "dialFailed", "{error:?}");
        assert_eq!(calls.load(Ordering::Relaxed), dials, "{attempts:?}");
        let mut kinds = Vec::new();
        while let Some(event) = events.next().await {
            kinds.push(event.kind());
        }
        let mut expected = ["connecting", "disconnected", "reconnecting"].repeat(dials - 1);
        expected.extend(["connecting", "error"]);
        assert_eq!(kinds, expected, "{attempts:?}");
    }
    a.shutdown().await;
}

#[tokio::test]
async fn reconnect_of_live_intents_goes_on() {
    let relay = Relay::start().await;
    let node = Node::open(NodeOptions { reconnect: quick(Attempts::ByMode), ..relay.options() }).await.unwrap();
    soon("the relay", node.online()).await.unwrap();
    space(&node).await;
    let (peer, calls) = grump(&relay).await;
    let intent = node.sync(peer.clone(), init(Mode::Live));
    let events = intent.events();
    for _ in 0..8 {
        assert_eq!(loss(&events).await.0.code(), "transport");
    }
    assert!(calls.load(Ordering::Relaxed) >= 8);
    node.disconnect(peer.id).await.unwrap();
    assert_eq!(soon("the end", intent.completed()).await, Ok(Completion::Closed));
    node.shutdown().await;
}

#[tokio::test]
async fn reconnect_waits_while_the_page_is_hidden() {
    let relay = Relay::start().await;
    let a = relay.node().await;
    space(&a).await;
    let (peer, _) = grump(&relay).await;
    a.notify(Lifecycle { visible: Some(false), ..Lifecycle::default() });
    let intent = a.sync(peer.clone(), init(Mode::Live));
    let events = intent.events();
    assert_eq!(loss(&events).await.1, None, "there is no timer");
    let [info] = &a.peers().await.unwrap()[..] else { panic!("one peer") };
    assert_eq!((info.id, info.state, info.retry_millis), (peer.id, PeerState::Waiting, None));
    let watch = a.watch_peers();
    let present = soon("what is there", watch.next()).await.unwrap();
    assert!(matches!(&present, PeerEvent::Present(info) if info.state == PeerState::Waiting), "{present:?}");

    a.notify(Lifecycle { visible: Some(true), ..Lifecycle::default() });
    assert_eq!(soon("the next attempt", watch.next()).await, Some(PeerEvent::Connecting { peer: peer.id }));
    assert!(loss(&events).await.1.is_some());
    let waiting = a.peers().await.unwrap();
    assert!(waiting.iter().all(|info| info.state != PeerState::Waiting || info.retry_millis.is_some()), "{waiting:?}");
    a.shutdown().await;
}

#[tokio::test]
async fn reconnect_believes_in_no_network_only_without_a_relay() {
    let relay = Relay::start().await;
    let a = relay.node().await;
    space(&a).await;
    let (peer, _) = grump(&relay).await;
    a.notify(Lifecycle { online: Some(false), ..Lifecycle::default() });
    let intent = a.sync(peer, with(Mode::Live, quick(Attempts::ByMode)));
    let events = intent.events();
    for _ in 0..2 {
        assert!(loss(&events).await.1.is_some(), "the relay is connected");
    }
    let status = a.watch_status();
    let address = relay.address;
    relay.stop().await;
    event("the relay is gone", &status, |status| (status.relay.state == RelayState::Connecting).then_some(())).await;
    event("a wait without a timer", &events, |event| {
        matches!(event, SessionEvent::Reconnecting { retry, .. } if retry.millis.is_none()).then_some(())
    })
    .await;
    // A relay that is back says that there is a network.
    let relay = Relay::start_at(address).await;
    event("the next attempt", &events, |event| matches!(event, SessionEvent::Connecting).then_some(())).await;
    a.shutdown().await;
    relay.stop().await;
}

#[tokio::test]
async fn reconnect_after_a_thaw_notices_a_dead_connection_by_a_probe() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let live = b.sync(a.address(), with(Mode::Live, quick(Attempts::ByMode)));
    let events = live.events();
    reconciled(&events).await;
    let frozen = |frozen| b.notify(Lifecycle { frozen: Some(frozen), ..Lifecycle::default() });
    frozen(true);
    let address = relay.address;
    relay.stop().await; // a connection outlives its relay for a while, and does not tell
    frozen(false);
    let cause = event("the loss", &events, |event| match event {
        SessionEvent::Disconnected { cause, .. } => Some(cause.clone()),
        _ => None,
    })
    .await;
    assert_eq!(cause.code(), "timeout", "{cause:?}");
    let relay = Relay::start_at(address).await;
    established(&events).await;
    reconciled(&events).await;
    let news = b.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "after/the/thaw", b"news").await;
    arrival(&news, "after/the/thaw").await;
    a.shutdown().await;
    b.shutdown().await;
    relay.stop().await;
}

#[tokio::test]
async fn disconnect_ends_what_there_is_with_a_peer_and_the_states_are_told() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let watch = b.watch_peers();
    let intents = [b.sync(a.address(), init(Mode::Live)), b.sync(a.address(), init(Mode::Live))];
    for intent in &intents {
        reconciled(&intent.events()).await;
    }
    let [info] = &b.peers().await.unwrap()[..] else { panic!("one peer") };
    assert_eq!((info.id, info.state, info.intents.len()), (a.id(), PeerState::Active, 2));
    assert_eq!((info.relay.as_deref(), info.retry_millis), (Some(&*relay.url), None));
    assert!(info.rtt_millis.is_some_and(|rtt| rtt > 0.0), "{info:?}");
    assert!(info.bytes_sent > 0 && info.bytes_received > 0, "{info:?}");
    b.disconnect(a.id()).await.unwrap();
    for intent in &intents {
        assert_eq!(soon("the intent", intent.completed()).await, Ok(Completion::Closed));
    }
    let mut seen = Vec::new();
    event("gone", &watch, |event| {
        seen.push(event.clone());
        matches!(event, PeerEvent::Gone { .. }).then_some(())
    })
    .await;
    assert!(
        matches!(&seen[..], [PeerEvent::Connecting { .. }, PeerEvent::Established { .. }, PeerEvent::Closed { code: Some(2), .. }, _]),
        "{seen:?}"
    );
    assert!(b.peers().await.unwrap().is_empty());
    a.shutdown().await;
    b.shutdown().await;
}
