//! One test per way in which interests can meet or miss each other.

use super::{model::assert_agrees, *};

/// Runs every order of delivery and gives the last pair, after comparing each with the definition.
fn in_every_order(alfie: &[Want], betty: &[Want]) -> Duo {
    let mut last = None;
    let orders = every_order(|choose| {
        let mut duo = Duo::of(alfie, betty);
        duo.run(choose);
        let number = |wants: &[Want]| (0..).map(InterestId).zip(wants.iter().cloned()).collect::<Vec<_>>();
        assert_agrees(&duo, [&number(alfie), &number(betty)]);
        last = Some(duo);
    });
    assert!(orders > 1, "there is more than one order");
    last.unwrap()
}

fn areas(node: &Node) -> Vec<Area> {
    node.live.values().map(|shared| shared.area.clone()).collect()
}

#[test]
fn equal_interests_both_show_at_once() {
    for interest in [want('o', None, ""), want('o', Some(2), "a/b"), want('c', Some(2), "a")] {
        let duo = in_every_order(std::slice::from_ref(&interest), std::slice::from_ref(&interest));
        for node in &duo.nodes {
            assert_eq!(areas(node), [interest.area()]);
            assert_eq!(node.sent_on(Channel::Capability), 1);
            assert!(node.nothing.is_empty());
        }
    }
}

#[test]
fn a_longer_path_is_announced_and_shown_last() {
    let duo = in_every_order(&[want('o', None, "a/b")], &[want('o', None, "a")]);
    let [alfie, betty] = &duo.nodes;
    assert_eq!(areas(alfie), [want('o', None, "a/b").area()]);
    let kinds: Vec<_> = alfie.sent.iter().map(|(channel, message)| (*channel, message[0] >> 6)).collect();
    assert_eq!(kinds[..2], [(Channel::Overlap, 0b10), (Channel::Control, 0b00)], "hash, then announcement");
    assert_eq!([alfie, betty].map(|node| node.sent_on(Channel::Capability)), [1, 1]);
}

#[test]
fn a_communal_subspace_meets_its_longer_path() {
    in_every_order(&[want('c', Some(2), "")], &[want('c', Some(2), "a")]);
}

#[test]
fn a_subspace_meets_any_subspace_at_the_same_path_without_announcement() {
    for path in ["", "a"] {
        let duo = in_every_order(&[want('o', Some(2), path)], &[want('o', None, path)]);
        assert_eq!(areas(&duo.nodes[0]), [want('o', Some(2), path).area()]);
        let announced = |node: &Node| node.sent.iter().any(|(channel, message)| *channel == Channel::Control && message[0] >> 6 == 0);
        assert!(!duo.nodes.iter().any(announced));
    }
}

#[test]
fn a_subspace_with_a_longer_path_meets_any_subspace() {
    let duo = in_every_order(&[want('o', None, "a")], &[want('o', Some(2), "a/b")]);
    assert_eq!(areas(&duo.nodes[0]), [want('o', Some(2), "a/b").area()]);
}

#[test]
fn several_interests_a_side() {
    let alfie = [want('o', None, ""), want('o', None, "a")];
    let betty = [want('o', Some(2), "a/b")];
    let duo = in_every_order(&alfie, &betty);
    assert_eq!(duo.nodes[0].live.len(), 1, "the area is the same, so it is one overlap");
    assert_eq!(duo.nodes[0].matched.len(), 2, "both interests are told");
}

#[test]
fn the_same_interest_twice_is_shown_once_and_told_to_both() {
    let twice = [want('o', None, "a"), want('o', None, "a")];
    let duo = in_every_order(&twice, &twice[..1]);
    assert_eq!(duo.nodes[0].live.len(), 1);
    assert_eq!(duo.nodes[0].matched.len(), 2);
    assert_eq!(duo.nodes[0].sent_on(Channel::Overlap), 1);
    assert_eq!(duo.nodes[0].sent_on(Channel::Capability), 1);
}

#[test]
fn several_capabilities_with_one_area_are_one_overlap() {
    // Alfie's two interests are found separately, but what is shared with Betty's is the same area.
    let duo = in_every_order(&[want('o', Some(2), ""), want('o', None, "")], &[want('o', Some(2), "a")]);
    assert_eq!(duo.nodes.map(|node| node.live.len()), [1, 1]);
}

#[test]
fn disjoint_interests_settle_with_nothing_but_hashes() {
    let cases = [
        (want('o', None, ""), want('p', None, "")),
        (want('o', None, "a"), want('o', None, "b")),
        (want('o', Some(2), ""), want('o', Some(3), "")),
        (want('o', Some(2), "a"), want('o', Some(3), "a")),
        (want('o', Some(2), "a/b"), want('o', Some(3), "a")),
        (want('c', Some(2), ""), want('c', Some(3), "")),
    ];
    for (one, other) in cases {
        let duo = in_every_order(std::slice::from_ref(&one), &[other]);
        for node in &duo.nodes {
            assert_eq!(node.nothing, [InterestId(0)].into(), "{one:?}");
            let settled = node.sent.iter().filter(|(channel, _)| *channel == Channel::Control).count();
            assert!(settled <= 2, "at most one per hash of the peer");
            assert_eq!(node.sent.len(), node.sent_on(Channel::Overlap) + settled);
        }
    }
}

#[test]
fn of_an_interest_that_is_not_shared_only_salted_hashes_leave() {
    let mine = want('o', Some(2), "secret");
    let mut duo =
        Duo::of(std::slice::from_ref(&mine), &[want('o', Some(3), "secret"), want('p', Some(2), "secret"), want('o', Some(2), "open")]);
    duo.run(|_| 0);
    let private = PrivateInterest::new(namespace('o').corresponding_namespace_id(), mine.area().subspace().cloned(), path(&["secret"]));
    let hashes = [(0x80, interest::hash(&SECRET, &private)), (0, interest::hash(&SECRET, &private.relax()))];
    let expected = hashes.map(|(flags, hash)| (Channel::Overlap, [&[flags][..], &hash].concat()));
    let (sent_hashes, rest): (Vec<_>, Vec<_>) = duo.nodes[0].sent.drain(..).partition(|(channel, _)| *channel == Channel::Overlap);
    assert_eq!(sent_hashes, expected);
    // The rest counts the hashes of the peer, one after the other.
    let settled = |hashes| ControlMessage::OverlapSettled { hashes, announcements: 0, capabilities: 0, bound: 2 };
    assert_eq!(rest, (1..=6).map(|hashes| (Channel::Control, settled(hashes).encode())).collect::<Vec<_>>());
}

#[test]
fn hashes_differ_by_side_so_that_they_cannot_be_sent_back() {
    let mut duo = Duo::of(&[want('o', None, "")], &[want('o', None, "")]);
    duo.run(|_| 0);
    assert_ne!(duo.nodes[0].sent[0], duo.nodes[1].sent[0]);
    // A peer that knows nothing and returns what it gets learns nothing.
    let mut alone = Duo::of(&[want('o', None, "")], &[]);
    assert!(alone.nodes[0].send());
    let hash = alone.nodes[0].wire.pop_front().unwrap();
    alone.nodes[0].take(hash).unwrap();
    assert!(alone.nodes[0].send());
    assert!(!alone.nodes[0].send());
    assert_eq!(alone.nodes[0].sent_on(Channel::Capability), 0);
}

#[test]
fn a_node_without_interests_answers_that_there_is_nothing() {
    let mut duo = Duo::of(&[want('o', None, "")], &[]);
    duo.run(|_| 0);
    assert_eq!(duo.nodes[0].nothing, [InterestId(0)].into());
    assert!(duo.nodes.iter().all(|node| node.settled));
}

#[test]
fn times_that_do_not_intersect_are_nothing_in_common() {
    let duo = in_every_order(&[want('o', None, "").at(0, Some(10))], &[want('o', None, "").at(10, None)]);
    for node in &duo.nodes {
        assert!(node.live.is_empty());
        assert_eq!(node.nothing, [InterestId(0)].into());
    }
    let duo = in_every_order(&[want('o', Some(2), "a").at(0, Some(10))], &[want('o', None, "").at(10, None)]);
    assert!(duo.nodes.iter().all(|node| node.nothing.len() == 1));
}

#[test]
fn a_capability_that_does_not_intersect_is_not_shown_in_answer() {
    // Alfie, concrete, shows first; Betty answers with the interest that intersects only.
    let betty = [want('o', None, "").at(0, Some(10)), want('o', None, "").at(10, None)];
    let duo = in_every_order(&[want('o', Some(2), "").at(20, None)], &betty);
    assert_eq!(duo.nodes[1].sent_on(Channel::Capability), 1);
    assert_eq!(duo.nodes[1].nothing, [InterestId(0)].into());
}

#[test]
fn awkward_pairs_are_refused_and_told() {
    let duo = in_every_order(&[want('o', None, "a")], &[want('o', Some(2), "")]);
    assert_eq!(duo.nodes[0].awkward, [InterestId(0)].into());
    for node in &duo.nodes {
        assert_eq!(node.nothing, [InterestId(0)].into());
        assert_eq!(node.sent_on(Channel::Capability), 0);
    }
}

#[test]
fn an_awkward_pair_that_the_peer_announces_is_declined() {
    let mut duo = Duo::of(&[], &[want('o', Some(2), "")]);
    let [alfie, betty] = &mut duo.nodes;
    betty.take(Wire::Message(Channel::Overlap, vec![0x80; 33])).unwrap();
    let any = PrivateInterest::new(namespace('o').corresponding_namespace_id(), None, path(&[]));
    let authentication = interest::hash(&SECRET, &any);
    let enumeration = Some(vec![1, 2, 3]);
    betty.control(&ControlMessage::AnnounceOverlap { sender: 0, receiver: 1, authentication, enumeration }).unwrap();
    assert_eq!(betty.awkward, [InterestId(0)].into());
    while betty.send() {}
    assert!(betty.sent.contains(&(Channel::Control, ControlMessage::Decline { announcement: 0 }.encode())));
    assert_eq!(betty.sent_on(Channel::Capability), 0);
    assert!(alfie.sent.is_empty());
}

#[test]
fn an_interest_added_after_all_was_settled_is_matched() {
    for (first, later) in [
        (want('o', None, ""), want('o', None, "a")),
        (want('o', None, "a"), want('o', None, "")),
        (want('o', None, "a"), want('o', Some(2), "a")),
    ] {
        for side in 0..2 {
            let mut duo = Duo::new();
            duo.nodes[side].add(&first);
            duo.settle();
            assert_eq!(duo.nodes[side].nothing, [InterestId(0)].into());
            duo.nodes[1 - side].add(&later);
            duo.settle();
            assert!(duo.nodes.iter().all(|node| node.live.len() == 1 && node.settled), "{first:?} {later:?}");
        }
    }
}

#[test]
fn an_interest_equal_to_one_that_is_matched_is_matched_at_once() {
    let mut duo = Duo::of(&[want('o', None, "")], &[want('o', None, "")]);
    duo.settle();
    let sent = duo.nodes[0].sent.len();
    duo.nodes[0].add(&want('o', None, ""));
    assert_eq!(duo.nodes[0].matched.len(), 2);
    assert!(duo.nodes[0].settled);
    duo.settle();
    assert_eq!(duo.nodes[0].sent.len(), sent, "nothing is said about it");
}

#[test]
fn the_lesser_limit_counts_and_none_is_no_limit() {
    let mut duo = Duo::new();
    let limits: [(Option<u64>, Option<u64>); 2] = [(Some(5), None), (None, Some(0))];
    for (node, (count, size)) in duo.nodes.iter_mut().zip(limits) {
        let interest = node.interest(&want('o', None, ""));
        let max_count = count.and_then(NonZeroU64::new);
        node.machine.add(OwnInterest { max_count, max_size: size, ..interest }).unwrap();
    }
    duo.settle();
    for node in &duo.nodes {
        let shared = node.live.values().next().unwrap();
        assert_eq!((shared.max_count.map(NonZeroU64::get), shared.max_size), (Some(5), Some(0)));
    }
}

#[test]
fn an_interest_that_cannot_be_shown_is_refused_at_once() {
    let mut duo = Duo::new();
    let node = &mut duo.nodes[0];
    let good = node.interest(&want('o', None, ""));
    let foreign = Arc::new(want('o', None, "").capability(&user(9).corresponding_subspace_id()));
    assert_eq!(node.machine.add(OwnInterest { capability: foreign, ..good.clone() }), Err(InterestError::Receiver));
    assert_eq!(node.machine.add(OwnInterest { max_payload_power: 64, ..good.clone() }), Err(InterestError::PayloadPower));
    let mut long = ReadCapability::new_owned(&namespace('o'), user(9).corresponding_subspace_id());
    for _ in 0..MAX_SESSION_DELEGATIONS {
        long.delegate(&user(9), Area::full(), user(9).corresponding_subspace_id());
    }
    long.delegate(&user(9), Area::full(), node.receiver.clone());
    assert_eq!(node.machine.add(OwnInterest { capability: Arc::new(long), ..good.clone() }), Err(InterestError::Delegations));
    node.machine.add(good.clone()).unwrap();
    assert_eq!(node.machine.add(good), Err(InterestError::Duplicate));
    assert_eq!(node.handles(), 1);
}

#[test]
fn a_path_longer_than_considered_is_met_by_the_equal_one_only() {
    let deep: &'static str = Box::leak(vec!["x"; 40].join("/").into_boxed_str());
    let mut duo = Duo::of(&[want('o', None, deep)], &[want('o', None, deep), want('o', None, &deep[..65]), want('o', None, &deep[..63])]);
    duo.settle();
    // 40 components; prefixes of 33 and 32: only up to 32 are considered.
    assert_eq!(duo.nodes[1].matched.iter().map(|(interest, _)| interest.0).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(duo.nodes[1].nothing, [InterestId(1)].into());
}

#[test]
fn the_peers_limit_of_hashes_is_kept() {
    let narrow = Limits { overlap_handles: 2, ..Limits::default() };
    let mut duo = Duo::with_limits(Limits::default(), narrow);
    duo.nodes[0].add(&want('o', None, "a"));
    duo.nodes[0].add(&want('o', Some(2), "b"));
    duo.nodes[0].add(&want('o', None, "c"));
    duo.settle();
    assert_eq!(duo.nodes[0].crowded_out, [InterestId(1)].into(), "a subspace needs two hashes");
    assert_eq!(duo.nodes[0].nothing.len(), 2);
}

#[test]
fn the_peers_limit_of_capabilities_is_kept() {
    let narrow = Limits { capability_handles: 1, ..Limits::default() };
    for side in 0..2 {
        let mut duo = if side == 0 { Duo::with_limits(Limits::default(), narrow) } else { Duo::with_limits(narrow, Limits::default()) };
        for path in ["a", "b"] {
            duo.nodes[side].add(&want('o', None, path));
            duo.nodes[1 - side].add(&want('o', None, path));
        }
        duo.settle();
        assert_eq!(duo.nodes[side].crowded_out, [InterestId(1)].into());
        assert_eq!(duo.nodes[side].live.len(), 1);
        assert_eq!(duo.nodes[1 - side].live.len(), 1);
        assert!(duo.nodes.iter().all(|node| node.settled));
    }
}

#[test]
fn an_announcement_that_meets_no_room_is_declined() {
    let narrow = Limits { capability_handles: 1, ..Limits::default() };
    let mut duo = Duo::with_limits(narrow, Limits::default());
    duo.nodes[1].add(&want('o', None, "a"));
    duo.nodes[1].add(&want('p', None, ""));
    duo.nodes[0].add(&want('o', None, "a"));
    duo.nodes[0].add(&want('p', None, "a"));
    duo.settle();
    assert_eq!(duo.nodes[1].crowded_out, [InterestId(1)].into());
    assert_eq!(duo.nodes[0].nothing, [InterestId(1)].into());
    assert!(duo.nodes[1].sent.contains(&(Channel::Control, ControlMessage::Decline { announcement: 0 }.encode())));
}
