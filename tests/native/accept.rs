//! Who may connect: the accept handler, its limits, and the sessions that it lets in.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use osier::{
    Error, Node, NodeOptions,
    node::{
        AcceptHandler, AcceptPolicy, Acceptance, Access, Area, Completion, Interest, Interests, Limits, Mode, NamespaceId, PeerEvent,
        ReconnectPolicy, Role, SessionEvent, SessionInit,
    },
};
use tokio::sync::{Notify, mpsc, watch};

use crate::harness::{Relay, arrival, contents, event, init, path, reconciled, share, soon, space, write};

impl Relay {
    async fn node_that(&self, accept: AcceptHandler) -> Node {
        self.node_with(NodeOptions { accept: AcceptPolicy::Ask(accept), ..self.options() }).await
    }

    async fn node_with(&self, options: NodeOptions) -> Node {
        let node = Node::open(options).await.expect("a node");
        soon("the relay", node.online()).await.expect("online");
        node
    }
}

/// A handler that tells when it is asked, and gives its answer when it is told to.
fn hesitant(answer: Option<SessionInit>) -> (AcceptHandler, Arc<Notify>, Arc<Notify>) {
    let (asked, told) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = AcceptHandler::new({
        let (asked, told) = (asked.clone(), told.clone());
        move |_| {
            let (asked, told, answer) = (asked.clone(), told.clone(), answer.clone());
            async move {
                asked.notify_one();
                told.notified().await;
                answer
            }
        }
    });
    (handler, asked, told)
}

/// A handler that says yes to everybody until it is told to take that back.
fn revocable() -> (AcceptHandler, Arc<Notify>) {
    let end = Arc::new(Notify::new());
    let handler = AcceptHandler::new({
        let end = end.clone();
        move |_| {
            let end = end.clone();
            async move { Some(Acceptance::new(init(Mode::Live)).until(async move { end.notified().await })) }
        }
    });
    (handler, end)
}

/// Fails instead of trying again.
fn impatient() -> SessionInit {
    SessionInit { reconnect: Some(ReconnectPolicy::never()), ..init(Mode::Once) }
}

/// Interest in what is below a path.
fn below(namespace: &NamespaceId, at: &str, mode: Mode) -> SessionInit {
    let area = Area::new(None, path(at), *Area::full().times());
    SessionInit { interests: Interests::Some(vec![Interest { area: Some(area), ..Interest::namespace(namespace.clone()) }]), ..init(mode) }
}

#[tokio::test]
async fn the_handler_says_who_is_accepted_and_for_what() {
    let relay = Relay::start().await;
    let (b, c) = (relay.node().await, relay.node().await);
    let (asked, mut questions) = mpsc::unbounded_channel();
    let (tell, known) = watch::channel(None);
    let friend = b.id();
    let a = relay
        .node_that(AcceptHandler::new(move |peer| {
            let (asked, mut known) = (asked.clone(), known.clone());
            async move {
                asked.send(peer).unwrap();
                // It may take its time, and depend on what the node has learned since it was opened.
                let namespace = known.wait_for(Option::is_some).await.ok()?.clone()?;
                (peer == friend).then(|| below(&namespace, "in", Mode::Live))
            }
        }))
        .await;
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "in/1", b"for friends").await;
    write(&a, &ns, &user, "out/1", b"for nobody").await;
    for node in [&b, &c] {
        share(&a, &ns, Access::Write, node).await;
    }

    let from_b = b.sync(a.address(), init(Mode::Once));
    assert_eq!(soon("the question", questions.recv()).await, Some(b.id()));
    tell.send(Some(ns.clone())).unwrap();
    assert_eq!(soon("the accepted intent", from_b.completed()).await, Ok(Completion::Complete));
    let paths: Vec<_> = contents(&b, &ns).await.into_iter().map(|entry| entry.1).collect();
    assert_eq!(paths, [path("in/1")]);

    let from_c = c.sync(a.address(), init(Mode::Live));
    assert_eq!(soon("the refused intent", from_c.completed()).await, Err(Error::Refused));
    assert_eq!(questions.recv().await, Some(c.id()));
    assert!(contents(&c, &ns).await.is_empty());
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_handler_that_panics_or_answers_nonsense_refuses_that_peer_only() {
    let relay = Relay::start().await;
    let (b, c, d) = (relay.node().await, relay.node().await, relay.node().await);
    let (panics_at, nonsense_for) = (b.id(), c.id());
    let a = relay
        .node_that(AcceptHandler::new(move |peer| async move {
            assert_ne!(peer, panics_at, "what a handler may do, too");
            let ns = NamespaceId::from_bytes(&[1; 32]);
            let nothing = Interests::Some(vec![Interest { max_count: Some(0), ..Interest::namespace(ns) }]);
            Some(if peer == nonsense_for { SessionInit { interests: nothing, ..init(Mode::Live) } } else { init(Mode::Live) })
        }))
        .await;
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "x", b"1").await;
    for node in [&b, &c, &d] {
        share(&a, &ns, Access::Read, node).await;
    }
    assert_eq!(soon("the panic's", b.sync(a.address(), init(Mode::Once)).completed()).await, Err(Error::Refused));
    assert_eq!(soon("the nonsense's", c.sync(a.address(), init(Mode::Once)).completed()).await, Err(Error::Refused));
    assert_eq!(soon("the third's", d.sync(a.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    assert_eq!(contents(&d, &ns).await, contents(&a, &ns).await);
    for node in [a, b, c, d] {
        node.shutdown().await;
    }
}

/// Tells when it is dropped.
struct OnDrop(mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn a_handler_that_never_resolves_stalls_nothing_and_is_dropped() {
    let relay = Relay::start().await;
    let (b, c, d) = (relay.node().await, relay.node().await, relay.node().await);
    let (dropped, mut drops) = mpsc::unbounded_channel();
    let (asked, mut questions) = mpsc::unbounded_channel();
    let friend = c.id();
    let a = relay
        .node_that(AcceptHandler::new(move |peer| {
            let guard = OnDrop(dropped.clone());
            asked.send(peer).unwrap();
            async move {
                if peer != friend {
                    pending::<()>().await;
                }
                drop(guard);
                Some(init(Mode::Live))
            }
        }))
        .await;
    let (user, ns) = space(&a).await;
    for node in [&b, &c, &d] {
        share(&a, &ns, Access::Read, node).await;
    }
    let stuck = b.sync(a.address(), impatient());
    assert_eq!(soon("the question", questions.recv()).await, Some(b.id()));
    // Somebody else, and writes, go on meanwhile.
    let live = c.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    let news = c.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "x", b"1").await;
    arrival(&news, "x").await;
    assert_eq!(drops.recv().await, Some(()), "the answered one");
    assert!(drops.try_recv().is_err(), "the other is still asked");

    let error = soon("the intent that nobody decided on", stuck.completed()).await.unwrap_err();
    assert_ne!(error, Error::Refused, "it may try again");
    assert_eq!(error.code(), "dialFailed", "{error:?}");
    assert_eq!(soon("the end of the question", drops.recv()).await, Some(()));

    // One that is open when the node shuts down ends with it.
    let stuck = d.sync(a.address(), impatient());
    event("connecting", &stuck.events(), |event| matches!(event, SessionEvent::Connecting).then_some(())).await;
    soon("the shutdown", a.shutdown()).await;
    assert!(soon("the last intent", stuck.completed()).await.is_err());
    b.shutdown().await;
    c.shutdown().await;
    d.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_an_own_intent_waits_for_is_connected_whatever_the_handler_says() {
    let relay = Relay::start().await;
    let b = relay.node().await;
    let (handler, asked, answer) = hesitant(None);
    let a = relay.node_that(handler).await;
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "x", b"1").await;
    share(&a, &ns, Access::Read, &b).await;
    let incoming = a.incoming();
    let from_b = b.sync(a.address(), init(Mode::Live));
    soon("the question", asked.notified()).await;
    let from_a = a.sync(b.address(), init(Mode::Live));
    let events = from_a.events();
    let role = event("established", &events, |event| match event {
        SessionEvent::Established { role } => Some(*role),
        _ => None,
    })
    .await;
    assert_eq!(role, Role::Betty, "over the peer's connection, before the handler has answered");
    answer.notify_one();
    reconciled(&events).await;
    reconciled(&from_b.events()).await;
    assert_eq!(contents(&b, &ns).await, contents(&a, &ns).await);
    assert!(incoming.try_next().is_none(), "no session was accepted");
    assert!(a.incoming().try_next().is_none());
    from_a.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_yes_is_taken_back_and_own_intents_stay() {
    let relay = Relay::start().await;
    let (b, c) = (relay.node().await, relay.node().await);
    let (handler, end) = revocable();
    let a = relay.node_that(handler).await;
    let (user, ns) = space(&a).await;
    for node in [&b, &c] {
        share(&a, &ns, Access::Read, node).await;
    }
    let incoming = a.incoming();
    let (from_b, from_c) = (b.sync(a.address(), init(Mode::Live)), c.sync(a.address(), init(Mode::Live)));
    for intent in [&from_b, &from_c] {
        reconciled(&intent.events()).await;
    }
    let own = a.sync(c.address(), init(Mode::Live));
    reconciled(&own.events()).await;
    end.notify_waiters();
    for _ in 0..2 {
        let session = soon("an accepted session", incoming.next()).await.unwrap();
        let events = session.events();
        event("its end", &events, |event| matches!(event, SessionEvent::Ended { completion: Completion::Closed }).then_some(())).await;
    }
    // Nothing is left to do with one peer, which waits before it asks again; the other's session serves the own intent.
    event("b's wait", &from_b.events(), |event| matches!(event, SessionEvent::Reconnecting { .. }).then_some(())).await;
    let news = c.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "x", b"still").await;
    arrival(&news, "x").await;
    assert!(contents(&b, &ns).await.is_empty());
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn what_is_accepted_once_asks_for_no_live_updates() {
    let relay = Relay::start().await;
    let b = relay.node().await;
    let a = relay.node_that(AcceptHandler::new(|_| async { Some(init(Mode::Once)) })).await;
    let (user, ns) = space(&a).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    write(&b, &ns, &joined.user, "before", b"b").await;
    let incoming = a.incoming();
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    write(&b, &ns, &joined.user, "later", b"b").await;
    let news = b.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "to b", b"a").await;
    arrival(&news, "to b").await;
    live.close().await;
    let session = soon("the session", incoming.next()).await.unwrap();
    event("its end", &session.events(), |event| matches!(event, SessionEvent::Ended { completion: Completion::Complete }).then_some(()))
        .await;
    let paths: Vec<_> = contents(&a, &ns).await.into_iter().map(|entry| entry.1).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(!paths.contains(&path("later")));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn consumers_of_incoming_that_are_slow_absent_or_gone_cost_nothing() {
    let relay = Relay::start().await;
    let (a, b, c) = (relay.node().await, relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    share(&a, &ns, Access::Read, &c).await;
    for _ in 0..1000 {
        drop(a.incoming());
    }
    let slow = a.incoming();
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    let taken = soon("the session", a.incoming().next()).await.unwrap();
    assert_eq!(taken.peer(), b.id(), "a late consumer sees what runs now, and may leave");
    let news = b.subscribe(ns.clone(), Area::full(), None);
    for round in 0..50 {
        write(&a, &ns, &user, &format!("{round}"), b"x").await;
    }
    arrival(&news, "49").await;
    let peers = a.watch_peers();
    assert_eq!(soon("c", c.sync(a.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    event("c is gone", &peers, |event| matches!(event, PeerEvent::Gone { peer } if *peer == c.id()).then_some(())).await;
    let late = a.incoming();
    let session = soon("the session that still runs", late.next()).await.unwrap();
    assert_eq!((session.peer(), session.session()), (b.id(), taken.session()));
    assert!(late.try_next().is_none(), "the other one is over");
    let events = session.events();
    let mut known = std::iter::from_fn(|| events.try_next()).map(|event| event.kind()).collect::<Vec<_>>();
    known.retain(|kind| *kind != "progress");
    assert_eq!(known, ["established", "overlap", "reconciled", "reconciledAll"]);
    live.close().await;
    event("its end", &events, |event| event.is_terminal().then_some(())).await;
    a.shutdown().await;

    // The slow one finds all of it.
    for peer in [b.id(), c.id()] {
        let session = soon("a session of before", slow.next()).await.unwrap();
        assert_eq!(session.peer(), peer);
        event("its end", &session.events(), |event| event.is_terminal().then_some(())).await;
    }
    assert!(soon("the end", slow.next()).await.is_none());
    b.shutdown().await;
    c.shutdown().await;
}

#[tokio::test]
async fn limits_turn_peers_away_with_a_code_and_spare_own_intents() {
    let relay = Relay::start().await;
    let (b, c) = (relay.node().await, relay.node().await);
    let limits = Limits { sessions: 1, ..Limits::default() };
    let a = relay.node_with(NodeOptions { limits, ..relay.options() }).await;
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "x", b"1").await;
    for node in [&b, &c] {
        share(&a, &ns, Access::Read, node).await;
    }
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    let error = soon("one too many", c.sync(a.address(), impatient()).completed()).await.unwrap_err();
    assert_eq!(error.code(), "limitExceeded", "{error:?}");
    let news = c.subscribe(ns.clone(), Area::full(), None);
    assert_eq!(soon("an own intent", a.sync(c.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    arrival(&news, "x").await;

    let peers = a.watch_peers();
    live.close().await;
    event("b is gone", &peers, |event| matches!(event, PeerEvent::Gone { peer } if *peer == b.id()).then_some(())).await;
    assert_eq!(soon("when there is room", c.sync(a.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    a.shutdown().await;

    let closed = relay.node_with(NodeOptions { limits: Limits { handshakes: 0, ..Limits::default() }, ..relay.options() }).await;
    let error = soon("no handshake", b.sync(closed.address(), impatient()).completed()).await.unwrap_err();
    assert_eq!(error.code(), "limitExceeded", "{error:?}");
    for node in [closed, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn one_question_per_peer_at_a_time() {
    let relay = Relay::start().await;
    let b = relay.node().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let a = relay
        .node_that(AcceptHandler::new({
            let asked = asked.clone();
            move |_| {
                asked.fetch_add(1, Ordering::Relaxed);
                async { Some(init(Mode::Live)) }
            }
        }))
        .await;
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let live = b.sync(a.address(), init(Mode::Live));
    reconciled(&live.events()).await;
    for _ in 0..3 {
        assert_eq!(soon("another", b.sync(a.address(), init(Mode::Once)).completed()).await, Ok(Completion::Complete));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "they share a session");
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_yes_that_comes_late_joins_the_session_of_an_own_intent() {
    let relay = Relay::start().await;
    let b = relay.node().await;
    let (handler, asked, answer) = hesitant(Some(init(Mode::Live)));
    let a = relay.node_that(handler).await;
    let (_, ns) = space(&a).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    write(&b, &ns, &joined.user, "theirs", b"b").await;
    let incoming = a.incoming();
    let from_b = b.sync(a.address(), init(Mode::Live));
    soon("the question", asked.notified()).await;
    let from_a = a.sync(b.address(), below(&ns, "own", Mode::Live));
    reconciled(&from_a.events()).await;
    assert!(contents(&a, &ns).await.is_empty());
    assert!(incoming.try_next().is_none());
    let news = a.subscribe(ns.clone(), Area::full(), None);
    answer.notify_one();
    arrival(&news, "theirs").await;
    let session = soon("the accepted session", incoming.next()).await.unwrap();
    assert_eq!(session.peer(), b.id());
    let events = session.events();
    reconciled(&events).await;
    a.shutdown().await;
    let end = event("its end", &events, |event| event.is_terminal().then(|| event.clone())).await;
    assert_eq!(end, SessionEvent::Error { error: Error::ShuttingDown });
    drop((from_a, from_b));
    b.shutdown().await;
}

#[tokio::test]
async fn what_a_yes_asked_for_is_not_wanted_any_more_once_it_is_taken_back() {
    let relay = Relay::start().await;
    let b = relay.node().await;
    let (handler, end) = revocable();
    let a = relay.node_that(handler).await;
    let (_, ns) = space(&a).await;
    let joined = share(&a, &ns, Access::Write, &b).await;
    let incoming = a.incoming();
    let from_b = b.sync(a.address(), init(Mode::Live));
    let session = soon("the accepted session", incoming.next()).await.unwrap();
    let own = a.sync(b.address(), below(&ns, "own", Mode::Live));
    reconciled(&own.events()).await;
    let news = a.subscribe(ns.clone(), Area::full(), None);
    write(&b, &ns, &joined.user, "theirs/1", b"b").await;
    arrival(&news, "theirs/1").await;
    end.notify_one();
    event("its end", &session.events(), |event| event.is_terminal().then_some(())).await;
    // The peer has heard of it when it answers something later.
    let fence = a.sync(b.address(), below(&ns, "fence", Mode::Once));
    assert_eq!(soon("the fence", fence.completed()).await, Ok(Completion::Complete));
    for at in ["theirs/2", "own/2"] {
        write(&b, &ns, &joined.user, at, b"b").await;
    }
    arrival(&news, "own/2").await;
    let paths: Vec<_> = contents(&a, &ns).await.into_iter().map(|entry| entry.1).collect();
    assert!(!paths.contains(&path("theirs/2")), "{paths:?}");
    drop(from_b);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_question_about_a_peer_that_is_gone_is_dropped_at_once() {
    let relay = Relay::start().await;
    let (b, c) = (relay.node().await, relay.node().await);
    let (asked, mut questions) = mpsc::unbounded_channel();
    let (patient, mut dropped) = (b.id(), [mpsc::unbounded_channel(), mpsc::unbounded_channel()]);
    let senders = [dropped[0].0.clone(), dropped[1].0.clone()];
    let a = relay
        .node_that(AcceptHandler::new(move |peer| {
            asked.send(peer).unwrap();
            let guard = OnDrop(senders[usize::from(peer != patient)].clone());
            async move {
                pending::<()>().await;
                drop(guard);
                None::<SessionInit>
            }
        }))
        .await;
    let (_, ns) = space(&a).await;
    for node in [&b, &c] {
        share(&a, &ns, Access::Read, node).await;
    }
    let waits = b.sync(a.address(), impatient());
    assert_eq!(soon("the first question", questions.recv()).await, Some(b.id()));
    let leaves = c.sync(a.address(), impatient());
    assert_eq!(soon("the second question", questions.recv()).await, Some(c.id()));
    leaves.close().await;
    assert_eq!(soon("the end of the second", dropped[1].1.recv()).await, Some(()));
    assert!(dropped[0].1.try_recv().is_err(), "the first, whose time is up earlier, is still asked");
    drop(waits);
    for node in [a, b, c] {
        node.shutdown().await;
    }
}
