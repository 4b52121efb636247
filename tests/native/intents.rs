//! What an intent is about, while it runs: more interests, several intents in one session, several peers at once.

use osier::{
    Error, Events, Node,
    node::{Access, Area, Completion, Interest, Interests, Mode, NamespaceId, PeerAddress, SessionEvent, SessionInit},
};

use crate::harness::{Relay, arrival, contents, event, init, path, reconciled, share, soon, space, write};

fn interest(namespace: &NamespaceId, at: &str) -> Interest {
    Interest { area: Some(Area::new(None, path(at), *Area::full().times())), ..Interest::namespace(namespace.clone()) }
}

fn about(interests: &[Interest], mode: Mode) -> SessionInit {
    SessionInit { interests: Interests::Some(interests.to_vec()), ..init(mode) }
}

async fn paths(node: &Node, namespace: &NamespaceId) -> Vec<String> {
    let text = |path: &osier::node::Path| {
        path.components().map(|component| String::from_utf8_lossy(component.as_bytes()).into_owned()).collect::<Vec<_>>().join("/")
    };
    contents(node, namespace).await.iter().map(|entry| text(&entry.1)).collect()
}

/// The kinds of the events that are there, without progress.
fn told(events: &Events<SessionEvent>) -> Vec<&'static str> {
    let all = std::iter::from_fn(|| events.try_next());
    all.filter(|event| !matches!(event, SessionEvent::Progress { .. })).map(|event| event.kind()).collect()
}

#[tokio::test]
async fn interests_are_added_to_a_running_intent() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    for at in ["one/1", "two/1", "three/1"] {
        write(&a, &ns, &user, at, at.as_bytes()).await;
    }
    share(&a, &ns, Access::Read, &b).await;
    let live = b.sync(a.address(), about(&[interest(&ns, "one")], Mode::Live));
    let events = live.events();
    reconciled(&events).await;
    assert_eq!(paths(&b, &ns).await, ["one/1"]);

    soon("the addition", live.add_interests(vec![interest(&ns, "two")])).await.unwrap();
    reconciled(&events).await;
    assert_eq!(paths(&b, &ns).await, ["one/1", "two/1"]);
    // They are as live as the first, and a late listener hears of all of them.
    let news = b.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "two/2", b"live").await;
    arrival(&news, "two/2").await;
    assert_eq!(told(&live.events()), ["established", "overlap", "reconciled", "overlap", "reconciled", "reconciledAll"]);
    // What is there already, and nothing at all, change nothing.
    soon("the same", live.add_interests(vec![interest(&ns, "two")])).await.unwrap();
    soon("nothing", live.add_interests(Vec::new())).await.unwrap();
    write(&a, &ns, &user, "one/2", b"live").await;
    arrival(&news, "one/2").await;
    assert_eq!(told(&events), Vec::<&str>::new());
    live.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn interests_added_at_any_time_belong_to_what_a_once_intent_completes() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    for at in ["one/1", "two/1", "three/1"] {
        write(&a, &ns, &user, at, at.as_bytes()).await;
    }
    share(&a, &ns, Access::Read, &b).await;
    // Before there is a connection.
    let once = b.sync(a.address(), about(&[interest(&ns, "one")], Mode::Once));
    soon("the addition", once.add_interests(vec![interest(&ns, "two")])).await.unwrap();
    assert_eq!(soon("the intent", once.completed()).await, Ok(Completion::Complete));
    assert_eq!(paths(&b, &ns).await, ["one/1", "two/1"]);
    // Whenever it comes, it is in time or it says that it is not.
    let keep = b.sync(a.address(), about(&[interest(&ns, "one")], Mode::Live));
    reconciled(&keep.events()).await;
    for _ in 0..20 {
        b.forget(ns.clone(), Some(interest(&ns, "three").area.unwrap())).await.unwrap();
        let once = b.sync(a.address(), about(&[interest(&ns, "two")], Mode::Once));
        let (added, completed) =
            soon("both", async { tokio::join!(once.add_interests(vec![interest(&ns, "three")]), once.completed()) }).await;
        assert_eq!(completed, Ok(Completion::Complete));
        match added {
            Ok(()) => assert!(paths(&b, &ns).await.contains(&"three/1".to_owned()), "it was in time"),
            Err(error) => assert_eq!(error, Error::Closed),
        }
    }
    keep.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn adding_interests_has_a_result_of_its_own() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let live = b.sync(a.address(), about(&[interest(&ns, "one")], Mode::Live));
    reconciled(&live.events()).await;
    let nothing = Interest { max_count: Some(0), ..interest(&ns, "two") };
    let error = live.add_interests(vec![interest(&ns, "two"), nothing]).await.unwrap_err();
    assert_eq!((error.code(), error.argument()), ("invalidArgument", Some("interests")));
    let elsewhere = NamespaceId::from_bytes(&[5; 32]);
    let error = live.add_interests(vec![interest(&ns, "two"), Interest::namespace(elsewhere)]).await.unwrap_err();
    assert_eq!(error.code(), "notAuthorised");
    // Neither did a part of it, nor harm to the intent.
    let news = b.subscribe(ns.clone(), Area::full(), None);
    write(&a, &ns, &user, "two/1", b"not asked for").await;
    write(&a, &ns, &user, "one/1", b"live").await;
    arrival(&news, "one/1").await;
    assert_eq!(paths(&b, &ns).await, ["one/1"]);

    let more = || vec![interest(&ns, "two")];
    live.close().await;
    assert_eq!(live.add_interests(more()).await, Err(Error::Closed));
    let other = b.sync(a.address(), about(&[interest(&ns, "one")], Mode::Live));
    b.shutdown().await;
    assert_eq!(other.add_interests(more()).await, Err(Error::ShuttingDown));
    a.shutdown().await;
}

#[tokio::test]
async fn intents_of_one_session_have_queues_of_their_own_and_a_slow_one_delays_nobody() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let first = b.sync(a.address(), about(&[interest(&ns, "one")], Mode::Live));
    let second = b.sync(a.address(), about(&[interest(&ns, "two")], Mode::Live));
    let (slow, events) = (first.events(), second.events());
    reconciled(&events).await;
    assert_eq!(b.peers().await.unwrap()[0].intents, [first.id(), second.id()]);
    let news = b.subscribe(ns.clone(), Area::full(), None);
    for round in 0..200 {
        write(&a, &ns, &user, &format!("one/{round}"), &[1; 2000]).await;
        write(&a, &ns, &user, &format!("two/{round}"), b"2").await;
    }
    arrival(&news, "two/199").await;
    second.close().await;
    assert_eq!(
        event("its end", &events, |event| event.is_terminal().then(|| event.clone())).await,
        SessionEvent::Ended { completion: Completion::Closed }
    );
    write(&a, &ns, &user, "one/last", b"of the other").await;
    arrival(&news, "one/last").await;
    first.close().await;
    let unread: Vec<_> = std::iter::from_fn(|| slow.try_next()).collect();
    assert!(unread.iter().filter(|event| matches!(event, SessionEvent::Progress { .. })).count() <= 1, "{unread:?}");
    let areas: Vec<_> = unread
        .iter()
        .filter_map(|event| match event {
            SessionEvent::Overlap { area, .. } | SessionEvent::Reconciled { area, .. } => Some(area.path().clone()),
            _ => None,
        })
        .collect();
    assert_eq!(areas, [path("one"), path("one")], "nothing of the other's");
    assert_eq!(unread.last(), Some(&SessionEvent::Ended { completion: Completion::Closed }));
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn a_session_is_as_live_as_its_intents_from_one_moment_to_the_next() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let keep = b.sync(a.address(), about(&[interest(&ns, "keep")], Mode::Live));
    reconciled(&keep.events()).await;
    let news = b.subscribe(ns.clone(), Area::full(), None);
    let mut expected = vec![];
    for round in 0..3 {
        // Nobody here is live in this part.
        write(&a, &ns, &user, &format!("part/{round}/1"), b"1").await;
        write(&a, &ns, &user, &format!("keep/{round}/1"), b"1").await;
        arrival(&news, &format!("keep/{round}/1")).await;
        assert_eq!(paths(&b, &ns).await.iter().filter(|path| path.starts_with("part")).count(), expected.len());
        // Once: what is there now.
        let once = b.sync(a.address(), about(&[interest(&ns, "part")], Mode::Once));
        assert_eq!(soon("the once-intent", once.completed()).await, Ok(Completion::Complete));
        expected.push(format!("part/{round}/1"));
        // Wider: live, then not any more.
        let live = b.sync(a.address(), about(&[interest(&ns, "part")], Mode::Live));
        reconciled(&live.events()).await;
        write(&a, &ns, &user, &format!("part/{round}/2"), b"2").await;
        arrival(&news, &format!("part/{round}/2")).await;
        expected.push(format!("part/{round}/2"));
        live.close().await;
        // The peer has heard of it when it answers something later.
        let fence = b.sync(a.address(), about(&[interest(&ns, "fence")], Mode::Once));
        assert_eq!(soon("the fence", fence.completed()).await, Ok(Completion::Complete));
        assert_eq!(paths(&b, &ns).await.into_iter().filter(|path| path.starts_with("part")).collect::<Vec<_>>(), expected);
    }
    assert_eq!(b.peers().await.unwrap().len(), 1);
    keep.close().await;
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn sync_all_merges_the_events_of_all_and_each_ends_by_itself() {
    let relay = Relay::start().await;
    let (a, b, c) = (relay.node().await, relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    write(&a, &ns, &user, "by/a", b"a").await;
    let at_b = share(&a, &ns, Access::Write, &b).await;
    write(&b, &ns, &at_b.user, "by/b", b"b").await;
    share(&a, &ns, Access::Read, &c).await;
    let own = c.address();
    let set = c.sync_all([a.address(), own.clone(), b.address()], &init(Mode::Once));
    let events = set.events();
    let outcomes = soon("all of them", set.completed()).await;
    let complete = Ok(Completion::Complete);
    assert_eq!(outcomes, [(a.id(), complete.clone()), (own.id, Err(Error::SelfPeer)), (b.id(), complete.clone())]);
    assert_eq!(contents(&c, &ns).await.len(), 2);
    let mut of = std::collections::BTreeMap::<_, Vec<_>>::new();
    while let Some((peer, event)) = soon("the end of the events", events.next()).await {
        if !matches!(event, SessionEvent::Progress { .. } | SessionEvent::Payload { .. }) {
            of.entry(peer).or_default().push(event.kind());
        }
    }
    assert!(events.next().await.is_none());
    let whole = ["connecting", "established", "overlap", "reconciled", "reconciledAll", "ended"];
    assert_eq!((&of[&a.id()][..], &of[&b.id()][..], &of[&own.id][..]), (&whole[..], &whole[..], &["error"][..]));

    // Live ones: a quiet peer holds nobody back, all can be given more, and all are closed at once.
    let set = c.sync_all([a.address(), b.address()], &about(&[interest(&ns, "by")], Mode::Live));
    let events = set.events();
    let mut pending = vec![a.id(), b.id()];
    while !pending.is_empty() {
        let (peer, event) = soon("reconciledAll", events.next()).await.unwrap();
        if event == SessionEvent::ReconciledAll {
            pending.retain(|waiting| *waiting != peer);
        }
    }
    soon("the addition", set.add_interests(&[interest(&ns, "more")])).await.unwrap();
    let news = c.subscribe(ns.clone(), Area::full(), None);
    for round in 0..20 {
        write(&b, &ns, &at_b.user, &format!("more/{round}"), b"b").await;
        arrival(&news, &format!("more/{round}")).await;
    }
    soon("the close", set.close()).await;
    let closed = Ok(Completion::Closed);
    assert_eq!(set.completed().await, [(a.id(), closed.clone()), (b.id(), closed)]);
    while soon("the end", events.next()).await.is_some() {}

    let none = c.sync_all(Vec::<PeerAddress>::new(), &init(Mode::Live));
    assert!(none.completed().await.is_empty() && none.events().next().await.is_none());
    for node in [a, b, c] {
        node.shutdown().await;
    }
}

#[tokio::test]
async fn a_set_is_closed_by_dropping_it_unless_it_is_detached() {
    let relay = Relay::start().await;
    let (a, b) = (relay.node().await, relay.node().await);
    let (_, ns) = space(&a).await;
    share(&a, &ns, Access::Read, &b).await;
    let set = b.sync_all([a.address()], &init(Mode::Live));
    let events = set.intents()[0].events();
    reconciled(&events).await;
    drop(set);
    event("closed", &events, |event| matches!(event, SessionEvent::Ended { completion: Completion::Closed }).then_some(())).await;
    let set = b.sync_all([a.address()], &init(Mode::Live));
    let events = set.intents()[0].events();
    set.detach();
    drop(set);
    reconciled(&events).await;
    b.shutdown().await;
    event("the end", &events, |event| matches!(event, SessionEvent::Error { error: Error::ShuttingDown }).then_some(())).await;
    a.shutdown().await;
}
