//! Handles and overlaps that end.

use super::*;

/// Two nodes with one overlap, settled.
fn matched() -> (Duo, OverlapId, OverlapId) {
    let mut duo = Duo::of(&[want('o', None, "a")], &[want('o', None, "")]);
    duo.settle();
    let [alfie, betty] = [0, 1].map(|side| *duo.nodes[side].live.keys().next().unwrap());
    (duo, alfie, betty)
}

#[test]
fn a_removed_interest_ends_its_overlaps_on_both_sides_and_leaves_nothing() {
    for side in 0..2 {
        let (mut duo, ..) = matched();
        duo.nodes[side].remove(InterestId(0));
        assert_eq!(duo.nodes[side].ended.len(), 1);
        duo.settle();
        assert!(duo.nodes.iter().all(|node| node.live.is_empty()));
        assert_eq!(duo.nodes[side].machine.state.own_hashes.live(), 0);
        duo.nodes[1 - side].remove(InterestId(0));
        duo.settle();
        duo.nodes.iter().for_each(Node::assert_empty);
    }
}

#[test]
fn a_capability_is_freed_only_after_its_release() {
    let (mut duo, alfie, _) = matched();
    let (own, peer) = duo.nodes[0].machine.handles(alfie).unwrap();
    duo.nodes[0].remove(InterestId(0));
    let sent = duo.nodes[0].sent.len();
    while duo.nodes[0].send() {}
    let freed = |node: &Node| {
        let messages = node.sent[sent..].iter().map(|(_, message)| ControlMessage::decode(message).unwrap());
        messages.filter(|message| matches!(message, ControlMessage::HandleFree { kind: HandleKind::Capability, .. })).count()
    };
    assert_eq!(freed(&duo.nodes[0]), 0);
    assert_eq!(duo.nodes[0].machine.name_sent(own, peer), None, "the overlap has ended");
    duo.nodes[0].release_all();
    while duo.nodes[0].send() {}
    assert_eq!(freed(&duo.nodes[0]), 1);
}

#[test]
fn messages_under_way_when_an_overlap_ends_are_ignored_and_counted() {
    let (mut duo, _, betty) = matched();
    let (own, peer) = duo.nodes[1].machine.handles(betty).unwrap();
    duo.nodes[1].name(betty);
    duo.nodes[1].name(betty);
    duo.nodes[0].remove(InterestId(0));
    duo.nodes[0].release_all();
    assert_eq!(duo.nodes[0].machine.lookup(peer, own), None);
    duo.settle();
    let state = &duo.nodes[0].machine.state;
    assert_eq!((state.own_capabilities.live(), state.own_hashes.live()), (0, 0), "the counts agreed");
}

#[test]
fn a_message_about_a_capability_that_arrived_too_late_to_match_is_ignored() {
    // Alfie drops its interest after showing its capability and before it sees Betty's; for Betty there is an overlap.
    let mut duo = Duo::of(&[want('o', None, "")], &[want('o', None, "")]);
    while duo.nodes[1].send() {}
    duo.deliver(0).unwrap();
    while duo.nodes[0].send() {}
    duo.nodes[0].remove(InterestId(0));
    while !duo.nodes[0].wire.is_empty() {
        duo.deliver(1).unwrap();
        while duo.nodes[1].send() {}
    }
    let overlap = *duo.nodes[1].live.keys().next().unwrap();
    duo.nodes[1].name(overlap);
    duo.settle();
    assert!(duo.nodes[0].matched.is_empty());
    duo.nodes[1].remove(InterestId(0));
    duo.settle();
    duo.nodes.iter().for_each(Node::assert_empty);
}

#[test]
fn an_overlap_that_two_interests_have_ends_with_the_second() {
    let mut duo = Duo::of(&[want('o', None, "a"), want('o', None, "a")], &[want('o', None, "")]);
    duo.settle();
    duo.nodes[0].remove(InterestId(0));
    duo.settle();
    assert_eq!(duo.nodes.each_ref().map(|node| node.live.len()), [1, 1]);
    duo.nodes[0].remove(InterestId(1));
    duo.settle();
    assert_eq!(duo.nodes.each_ref().map(|node| node.live.len()), [0, 0]);
}

#[test]
fn an_overlap_found_by_two_pairs_outlives_one_of_them() {
    let mut duo = Duo::of(&[want('o', Some(2), ""), want('o', None, "")], &[want('o', Some(2), "a")]);
    duo.settle();
    for interest in [0, 1] {
        assert_eq!(duo.nodes.each_ref().map(|node| node.live.len()), [1, 1]);
        for node in &mut duo.nodes {
            let overlap = *node.live.keys().next().unwrap();
            node.name(overlap);
        }
        duo.nodes[0].remove(InterestId(interest));
        duo.settle();
    }
    assert_eq!(duo.nodes.each_ref().map(|node| node.live.len()), [0, 0]);
}

#[test]
fn an_interest_removed_before_the_peers_hash_arrives_is_never_matched_nor_shown() {
    let mut duo = Duo::of(&[want('o', None, "a")], &[want('o', None, "a")]);
    duo.nodes[0].remove(InterestId(0));
    duo.settle();
    assert!(duo.nodes[0].matched.is_empty() && duo.nodes[0].nothing.is_empty());
    assert_eq!(duo.nodes[1].nothing, [InterestId(0)].into());
    assert_eq!(duo.nodes[0].sent_on(Channel::Capability), 0);
    assert_eq!(duo.nodes[1].machine.state.own_capabilities.live(), 0, "what Betty showed is freed");
}

#[test]
fn an_announcement_that_meets_a_removed_interest_is_declined() {
    let mut duo = Duo::of(&[want('o', None, "a")], &[want('o', None, "")]);
    while duo.nodes[1].send() {}
    duo.deliver(0).unwrap();
    while duo.nodes[0].send() {}
    duo.nodes[1].remove(InterestId(0));
    duo.settle();
    assert!(duo.nodes[1].sent.contains(&(Channel::Control, ControlMessage::Decline { announcement: 0 }.encode())));
    assert_eq!(duo.nodes[0].nothing, [InterestId(0)].into());
    assert_eq!(duo.nodes[0].handles(), 1, "Alfie's hash is left");
}

#[test]
fn room_comes_back_with_freed_handles() {
    let narrow = Limits { overlap_handles: 1, capability_handles: 1, ..Limits::default() };
    let mut duo = Duo::with_limits(narrow, narrow);
    for round in 0..5 {
        for node in &mut duo.nodes {
            node.add(&want('o', None, "a"));
        }
        duo.settle();
        assert_eq!(duo.nodes.each_ref().map(|node| node.live.len()), [1, 1]);
        duo.nodes.iter_mut().for_each(|node| node.remove(InterestId(round)));
        duo.settle();
        duo.nodes.iter().for_each(Node::assert_empty);
    }
}

#[test]
fn a_peer_that_frees_our_hash_gets_it_back_and_our_interest_is_told_nothing() {
    let mut duo = Duo::of(&[want('o', None, "a")], &[]);
    let node = &mut duo.nodes[0];
    while node.send() {}
    node.control(&ControlMessage::HandleFree { kind: HandleKind::Overlap, mine: false, handle: 0, references: 0 }).unwrap();
    assert_eq!(node.nothing, [InterestId(0)].into());
    assert!(node.send());
    let answer = ControlMessage::HandleFree { kind: HandleKind::Overlap, mine: true, handle: 0, references: 0 };
    assert_eq!(node.sent.last(), Some(&(Channel::Control, answer.encode())));
    node.assert_empty();
}
