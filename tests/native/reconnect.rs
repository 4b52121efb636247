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
        Role, SecretKey, SessionEvent, SessionInit, ShareRequest,
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
    grump_with(relay, 1).await
}

/// The same with another code.
async fn grump_with(relay: &Relay, code: u32) -> (PeerAddress, Arc<AtomicUsize>) {
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
                connection.close(code.into(), b"go away");
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
    let (cause, planned) = event("disconnected", events, |event| match event {
        SessionEvent::Disconnected { cause, retry } => Some((cause.clone(), *retry)),
        _ => None,
    })
    .await;
    let wait = match soon("what follows a loss", events.next()).await {
        Some(SessionEvent::Reconnecting { cause: again, retry }) => {
            assert_eq!((again, Some(retry.attempt)), (cause.clone(), planned.map(|planned| planned.attempt)));
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
    // As the page learns more, it says more.
    let online = |online| a.notify(Lifecycle { online: Some(online), ..Lifecycle::default() });
    online(true);
    event("an attempt", &events, |event| matches!(event, SessionEvent::Connecting).then_some(())).await;
    online(false);
    event("no timer again", &events, |event| {
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

#[tokio::test]
async fn reconnect_is_told_to_who_watches_peers_and_so_is_a_key_that_is_used_twice() {
    let relay = Relay::start().await;
    let node = relay.node().await;
    space(&node).await;
    for code in [1, 9] {
        let (peer, _) = grump_with(&relay, code).await;
        let watch = node.watch_peers();
        let intent = node.sync(peer.clone(), with(Mode::Live, quick(Attempts::ByMode)));
        let mut told = Vec::new();
        event("the wait", &watch, |event| {
            told.push(event.clone());
            matches!(event, PeerEvent::Reconnecting { peer: of, retry_millis: Some(_) } if *of == peer.id).then_some(())
        })
        .await;
        assert!(told.contains(&PeerEvent::Connecting { peer: peer.id }), "{told:?}");
        let closed = |event: &PeerEvent| matches!(event, PeerEvent::Closed { peer: of, code: known, .. } if (*of, *known) == (peer.id, Some(code.into())));
        assert!(told.iter().any(closed), "{told:?}");
        assert_eq!(told.contains(&PeerEvent::IdentityInUse { peer: peer.id, certain: true }), code == 9, "{told:?}");
        intent.close().await;
    }
    node.shutdown().await;
}

#[tokio::test]
async fn peers_are_described_from_both_ends() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "large", &vec![7; 300_000]).await;
    share(&a, &ns, Access::Read, &b).await;
    let now = || osier::platform::unix_micros() / 1000;
    let before = now();
    let (news, live) = (b.subscribe(ns.clone(), Area::full(), None), b.sync(a.address(), init(Mode::Live)));
    established(&live.events()).await;
    let after = now();
    arrival(&news, "large").await;
    // One end's role and bytes are the other's, turned round.
    let ([of_a], [of_b]) = (&b.peers().await.unwrap()[..], &a.peers().await.unwrap()[..]) else { panic!("one peer each") };
    assert_eq!((of_a.role, of_b.role), (Some(Role::Alfie), Some(Role::Betty)));
    assert_eq!((&of_a.intents[..], &of_b.intents[..]), (&[live.id()][..], &[][..]));
    assert!(of_a.bytes_received > 300_000 && of_a.bytes_sent < 300_000, "{of_a:?}");
    assert!(of_b.bytes_sent > 300_000 && of_b.bytes_received < 300_000, "{of_b:?}");
    // However much later one asks.
    let mut round = 0;
    while now() <= after + 10 {
        round += 1;
        write(&a, &ns, &user, &format!("round/{round}"), b"").await;
        arrival(&news, &format!("round/{round}")).await;
    }
    let since = b.peers().await.unwrap()[0].since_unix_millis;
    assert!((before.saturating_sub(2)..=after + 2).contains(&since), "{before} {since} {after}");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_peer_is_dialed_at_the_relays_of_its_address_or_else_at_the_own_ones() {
    let (one, two) = (Relay::start().await, Relay::start().await);
    let (a, b, c) = (one.node().await, two.node().await, one.node().await);
    let (_, ns) = space(&a).await;
    for node in [&b, &c] {
        share(&a, &ns, Access::Read, node).await;
    }
    let elsewhere = b.sync(a.address(), with(Mode::Once, ReconnectPolicy::never()));
    assert_eq!(soon("the one elsewhere", elsewhere.completed()).await, Ok(Completion::Complete));
    let nowhere = PeerAddress { id: a.id(), relays: Vec::new() };
    let here = c.sync(nowhere, with(Mode::Once, ReconnectPolicy::never()));
    assert_eq!(soon("the one here", here.completed()).await, Ok(Completion::Complete));
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn reconnect_after_a_thaw_is_not_needed_where_the_peer_answers_the_probe() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let live = b.sync(a.address(), with(Mode::Live, quick(Attempts::ByMode)));
    let events = live.events();
    reconciled(&events).await;
    for frozen in [true, false] {
        b.notify(Lifecycle { frozen: Some(frozen), ..Lifecycle::default() });
    }
    // A dial is given up later than a probe that began before it.
    let nobody = PeerAddress { id: PeerId(*iroh::SecretKey::from_bytes(&[3; 32]).public().as_bytes()), relays: vec![relay.url.clone()] };
    soon("the dial", b.sync(nobody, with(Mode::Once, ReconnectPolicy::never())).completed()).await.unwrap_err();
    let told: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    assert!(told.iter().all(|event| matches!(event, SessionEvent::Progress { .. })), "{told:?}");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn reconnect_waits_while_the_page_is_frozen() {
    let relay = Relay::start().await;
    let node = relay.node().await;
    space(&node).await;
    let (peer, _) = grump(&relay).await;
    node.notify(Lifecycle { frozen: Some(true), ..Lifecycle::default() });
    let intent = node.sync(peer, with(Mode::Live, quick(Attempts::ByMode)));
    let events = intent.events();
    assert_eq!(loss(&events).await.1, None, "there is no timer");
    node.notify(Lifecycle { frozen: Some(false), ..Lifecycle::default() });
    assert!(loss(&events).await.1.is_some());
    node.shutdown().await;
}

#[tokio::test]
async fn reconnect_from_a_peer_that_falls_silent_while_the_relay_is_there_may_mean_that_the_key_is_used_twice() {
    let (one, two) = (Relay::start().await, Relay::start().await);
    let (a, b) = (one.node().await, two.node().await);
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let live = b.sync(a.address(), with(Mode::Live, quick(Attempts::ByMode)));
    reconciled(&live.events()).await;
    let watch = b.watch_peers();
    // The way to the peer, not the own relay.
    one.stop().await;
    for frozen in [true, false] {
        b.notify(Lifecycle { frozen: Some(frozen), ..Lifecycle::default() });
    }
    let suspicion = PeerEvent::IdentityInUse { peer: a.id(), certain: false };
    event("the suspicion", &watch, |event| (*event == suspicion).then_some(())).await;
    a.shutdown().await;
    b.shutdown().await;
}
