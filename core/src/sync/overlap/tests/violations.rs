//! Every rule that a peer can break here, and that nothing it sends can do more.

use proptest::prelude::*;

use super::*;
use crate::willow::{DecodeError, WriteCapability, Writer, capability_codec::encode_read_capability};

/// Betty's machine with interests, her hashes sent; the test plays Alfie.
fn betty(wants: &[Want], own_limits: Limits) -> Node {
    let mut node = Node::new(Role::Betty, own_limits, Limits::default());
    for want in wants {
        node.add(want);
    }
    while node.send() {}
    node
}

fn alfies_key() -> SubspaceId {
    user(100).corresponding_subspace_id()
}

fn interest_of(want: &Want) -> PrivateInterest {
    PrivateInterest::new(namespace(want.namespace).corresponding_namespace_id(), want.area().subspace().cloned(), path(&want.path))
}

/// The hash of an interest as Alfie binds it.
fn bind_hash(want: &Want) -> Wire {
    Wire::Message(Channel::Overlap, [&[0x80][..], &interest::hash(&SECRET, &interest_of(want))].concat())
}

fn announce(sender: u64, receiver: u64, known: &Want) -> ControlMessage {
    let authentication = interest::hash(&SECRET, &interest_of(known));
    ControlMessage::AnnounceOverlap { sender, receiver, authentication, enumeration: None }
}

/// What a capability is shown with, before its own bytes.
fn shown(sender: u64, receiver: u64, power: u8) -> Writer {
    let mut writer = Writer::new();
    message::BindCapability { sender, receiver, max_count: None, max_size: None, max_payload_power: power }.write(&mut writer);
    writer
}

fn show(capability: &ReadCapability, context: &Want) -> Wire {
    let mut writer = shown(0, 0, 10);
    encode_read_capability(&mut writer, capability, &interest_of(context)).unwrap();
    Wire::Message(Channel::Capability, writer.into_bytes())
}

fn settled(hashes: u64, announcements: u64, capabilities: u64, bound: u64) -> ControlMessage {
    ControlMessage::OverlapSettled { hashes, announcements, capabilities, bound }
}

fn free(kind: HandleKind, mine: bool, handle: u64, references: u64) -> ControlMessage {
    ControlMessage::HandleFree { kind, mine, handle, references }
}

#[test]
fn a_hash_that_is_no_hash() {
    let mut node = betty(&[], Limits::default());
    for (length, reason) in [(0, DecodeError::Truncated), (32, DecodeError::Truncated), (34, DecodeError::TrailingBytes)] {
        assert_eq!(node.take(Wire::Message(Channel::Overlap, vec![0; length])), Err(SyncError::undecodable("hash of an interest", reason)));
    }
}

#[test]
fn more_hashes_than_announced() {
    let mut node = betty(&[], Limits { overlap_handles: 2, ..Limits::default() });
    for byte in 0..2 {
        node.take(Wire::Message(Channel::Overlap, vec![byte; 33])).unwrap();
    }
    let error = SyncError::TooManyHandles { kind: HandleKind::Overlap, limit: 2 };
    assert_eq!(node.take(Wire::Message(Channel::Overlap, vec![2; 33])), Err(error));
}

#[test]
fn more_capabilities_than_announced() {
    let all = want('o', None, "");
    let mut node = betty(std::slice::from_ref(&all), Limits { capability_handles: 1, ..Limits::default() });
    node.take(bind_hash(&all)).unwrap();
    node.take(show(&all.capability(&alfies_key()), &all)).unwrap();
    let error = SyncError::TooManyHandles { kind: HandleKind::Capability, limit: 1 };
    assert_eq!(node.take(show(&all.capability(&alfies_key()), &all)), Err(error));
}

#[test]
fn handles_that_were_never_bound() {
    let all = want('o', None, "");
    let mut node = betty(std::slice::from_ref(&all), Limits::default());
    let unbound = |kind, handle| Err(SyncError::HandleUnbound { kind, handle });
    assert_eq!(node.control(&announce(0, 0, &all)), unbound(HandleKind::Overlap, 0));
    node.take(bind_hash(&want('o', None, "a"))).unwrap();
    assert_eq!(node.control(&announce(0, 1, &all)), unbound(HandleKind::Overlap, 1));
    assert_eq!(node.take(Wire::Message(Channel::Capability, shown(7, 0, 0).into_bytes())), unbound(HandleKind::Overlap, 7));
    assert_eq!(node.take(Wire::Message(Channel::Capability, shown(0, u64::MAX, 0).into_bytes())), unbound(HandleKind::Overlap, u64::MAX));
    assert_eq!(node.machine.name_received(3, 0).map(drop), unbound(HandleKind::Capability, 3));
    for mine in [false, true] {
        for (kind, handle) in [(HandleKind::Overlap, 9), (HandleKind::Capability, 0), (HandleKind::PayloadRequest, 0)] {
            assert_eq!(node.control(&free(kind, mine, handle, 0)), unbound(kind, handle));
        }
    }
}

#[test]
fn an_announcement_without_knowledge_gets_no_answer_but_the_end() {
    let all = want('o', None, "");
    let mut node = betty(&[all], Limits::default());
    node.take(bind_hash(&want('o', None, "a"))).unwrap();
    while node.send() {}
    let sent = node.sent.len();
    assert_eq!(node.control(&announce(0, 0, &want('o', None, "a"))), Err(SyncError::AnnouncementAuthentication));
    assert_eq!(node.machine.state.queued_message(), None);
    assert_eq!(node.sent.len(), sent);
}

#[test]
fn an_announcement_with_our_own_hash_sent_back() {
    let all = want('o', None, "");
    let mut node = betty(&[all], Limits::default());
    let authentication = node.sent[0].1[1..].try_into().unwrap();
    node.take(bind_hash(&want('o', None, "a"))).unwrap();
    let message = ControlMessage::AnnounceOverlap { sender: 0, receiver: 0, authentication, enumeration: None };
    assert_eq!(node.control(&message), Err(SyncError::AnnouncementAuthentication));
}

#[test]
fn an_announcement_made_twice() {
    let all = want('o', None, "");
    let mut node = betty(std::slice::from_ref(&all), Limits::default());
    node.take(bind_hash(&want('o', None, "a"))).unwrap();
    node.control(&announce(0, 0, &all)).unwrap();
    assert_eq!(node.control(&announce(0, 0, &all)), Err(SyncError::AnnouncementRepeated));
}

#[test]
fn declines_of_nothing() {
    // Betty's interest is the more specific one: she announces.
    let mut node = betty(&[want('o', None, "a")], Limits::default());
    node.take(bind_hash(&want('o', None, ""))).unwrap();
    assert_eq!(node.control(&ControlMessage::Decline { announcement: 1 }), Err(SyncError::UnexpectedDecline { announcement: 1 }));
    node.control(&ControlMessage::Decline { announcement: 0 }).unwrap();
    assert_eq!(node.control(&ControlMessage::Decline { announcement: 0 }), Err(SyncError::UnexpectedDecline { announcement: 0 }));
}

#[test]
fn a_decline_of_what_was_answered_by_a_capability() {
    let all = want('o', None, "");
    let mut node = betty(&[want('o', None, "a")], Limits::default());
    node.take(bind_hash(&all)).unwrap();
    node.take(show(&all.capability(&alfies_key()), &all)).unwrap();
    assert_eq!(node.live.len(), 1);
    assert_eq!(node.control(&ControlMessage::Decline { announcement: 0 }), Err(SyncError::UnexpectedDecline { announcement: 0 }));
}

#[test]
fn settled_counts_that_cannot_be() {
    let count = |what| Err(SyncError::SettledCount { what });
    let announcing = || {
        let mut node = betty(&[want('o', None, "a")], Limits::default());
        node.take(bind_hash(&want('o', None, ""))).unwrap();
        node
    };
    assert_eq!(announcing().control(&settled(2, 0, 0, 1)), count("hashes"));
    assert_eq!(announcing().control(&settled(1, 2, 0, 1)), count("announcements"));
    assert_eq!(announcing().control(&settled(1, 0, 1, 1)), count("capabilities"));
    assert_eq!(announcing().control(&settled(1, 0, 0, 0)), count("bound hashes"));
    assert_eq!(announcing().control(&settled(1, 1, 0, 1)), count("answered announcements"));
    let mut node = announcing();
    node.control(&settled(1, 0, 0, 1)).unwrap();
    assert_eq!(node.control(&settled(0, 0, 0, 1)), count("hashes"), "a count never falls");
}

#[test]
fn a_capability_for_a_hash_without_interest() {
    let mut node = betty(&[want('o', Some(2), "")], Limits::default());
    node.take(bind_hash(&want('o', None, ""))).unwrap();
    // Handle 1 is the relaxed interest.
    assert_eq!(node.take(Wire::Message(Channel::Capability, shown(0, 1, 0).into_bytes())), Err(SyncError::CapabilityUnasked));
}

#[test]
fn a_payload_power_beyond_63() {
    let mut node = betty(&[want('o', None, "")], Limits::default());
    assert_eq!(node.take(Wire::Message(Channel::Capability, shown(0, 0, 64).into_bytes())), Err(SyncError::PayloadPower { power: 64 }));
}

/// What Betty, interested in `wants`, says to a capability of Alfie's.
fn answer(wants: &Want, message: Wire) -> Result<(), SyncError> {
    let mut node = betty(std::slice::from_ref(wants), Limits::default());
    node.take(bind_hash(wants)).unwrap();
    node.take(message)
}

#[test]
fn a_capability_for_another_receiver() {
    let all = want('o', None, "");
    assert_eq!(answer(&all, show(&all.capability(&alfies_key()), &all)), Ok(()));
    let stolen = all.capability(&user(9).corresponding_subspace_id());
    assert_eq!(answer(&all, show(&stolen, &all)), Err(SyncError::CapabilityInvalid));
    // Without a delegation the receiver is the user whose subspace it is.
    let communal = want('c', Some(2), "");
    let capability = ReadCapability::new_communal(namespace('c').corresponding_namespace_id(), user(2).corresponding_subspace_id());
    assert_eq!(answer(&communal, show(&capability, &communal)), Err(SyncError::CapabilityReceiver));
}

#[test]
fn a_capability_for_another_namespace() {
    // The namespace is not on the wire; in the shared one the signatures do not hold.
    let capability = want('p', None, "").capability(&alfies_key());
    assert_eq!(answer(&want('o', None, ""), show(&capability, &want('p', None, ""))), Err(SyncError::CapabilityInvalid));
}

#[test]
fn a_capability_for_more_than_the_shared_interest() {
    let inside = want('o', None, "a");
    let all = ReadCapability::new_owned(&namespace('o'), alfies_key());
    let Wire::Message(channel, message) = show(&all, &want('o', None, "")) else { panic!("a message") };
    assert_eq!(answer(&inside, Wire::Message(channel, message)), Err(SyncError::CapabilityArea));
}

#[test]
fn a_capability_to_write() {
    let all = want('o', None, "");
    let mut write = WriteCapability::new_owned(&namespace('o'), user(1).corresponding_subspace_id());
    write.delegate(&user(1), Area::full(), alfies_key());
    let delegation = &write.delegations()[0];
    let mut read = ReadCapability::new_owned(&namespace('o'), user(1).corresponding_subspace_id());
    read.delegate(&user(1), Area::full(), alfies_key());
    let Wire::Message(channel, mut message) = show(&read, &all) else { panic!("a message") };
    let crate::willow::raw::Genesis::Owned(genesis) = write.genesis() else { panic!("owned") };
    // Header, four numbers, power, count, user key (39 bytes), initial authorisation, area, signature.
    let length = message.len();
    let authorisation = crate::willow::codec::encode(&genesis.initial_authorisation);
    let signature = crate::willow::codec::encode(&delegation.signature);
    message[39..39 + 64].copy_from_slice(&authorisation);
    message[length - 64..].copy_from_slice(&signature);
    assert_eq!(answer(&all, Wire::Message(channel, message)), Err(SyncError::CapabilityInvalid));
}

#[test]
fn a_capability_with_too_many_delegations() {
    let all = want('o', None, "");
    let long = |count: usize| {
        let mut capability = ReadCapability::new_owned(&namespace('o'), user(9).corresponding_subspace_id());
        (1..count).for_each(|_| capability.delegate(&user(9), Area::full(), user(9).corresponding_subspace_id()));
        capability.delegate(&user(9), Area::full(), alfies_key());
        capability
    };
    assert_eq!(answer(&all, show(&long(17), &all)), Ok(()));
    assert_eq!(answer(&all, show(&long(18), &all)), Err(SyncError::CapabilityDelegations { count: 18 }));
}

#[test]
fn a_capability_with_bytes_after_it_or_too_few() {
    let all = want('o', None, "");
    let Wire::Message(channel, message) = show(&all.capability(&alfies_key()), &all) else { panic!("a message") };
    let longer = [&message[..], &[0]].concat();
    let undecodable = |reason| Err(SyncError::undecodable("read capability", reason));
    assert_eq!(answer(&all, Wire::Message(channel, longer)), undecodable(DecodeError::TrailingBytes));
    for length in 0..message.len() {
        let shorter = Wire::Message(channel, message[..length].to_vec());
        assert_eq!(answer(&all, shorter), undecodable(DecodeError::Truncated), "{length}");
    }
}

/// Betty with one overlap, played by a real Alfie.
fn matched() -> Duo {
    let mut duo = Duo::of(&[want('o', None, "a")], &[want('o', None, "")]);
    duo.settle();
    duo
}

#[test]
fn reference_counts_that_are_wrong() {
    for (kind, mine, claimed, counted) in [
        (HandleKind::Overlap, true, 1, 2),
        (HandleKind::Overlap, false, 3, 2),
        (HandleKind::Capability, true, 1, 0),
        (HandleKind::Capability, false, u64::MAX, 0),
    ] {
        let error = SyncError::ReferenceCount { kind, handle: 0, claimed, counted };
        assert_eq!(matched().nodes[1].control(&free(kind, mine, 0, claimed)), Err(error));
    }
}

#[test]
fn handles_freed_twice() {
    for (kind, references) in [(HandleKind::Overlap, 2), (HandleKind::Capability, 0)] {
        for mine in [true, false] {
            let mut duo = matched();
            duo.nodes[1].control(&free(kind, mine, 0, references)).unwrap();
            assert_eq!(duo.nodes[1].control(&free(kind, mine, 0, references)), Err(SyncError::HandleFreed { kind, handle: 0 }));
        }
    }
}

#[test]
fn handles_named_after_they_were_freed() {
    let freed = |kind| Err(SyncError::HandleFreed { kind, handle: 0 });
    for mine in [true, false] {
        let mut duo = matched();
        duo.nodes[1].control(&free(HandleKind::Capability, mine, 0, 0)).unwrap();
        assert_eq!(duo.nodes[1].take(Wire::Names(0, 0)), freed(HandleKind::Capability));
        let mut duo = matched();
        duo.nodes[1].control(&free(HandleKind::Overlap, mine, 0, 2)).unwrap();
        assert_eq!(duo.nodes[1].control(&announce(0, 0, &want('o', None, ""))), freed(HandleKind::Overlap));
        let capability = want('o', None, "a").capability(&alfies_key());
        assert_eq!(duo.nodes[1].take(show(&capability, &want('o', None, ""))), freed(HandleKind::Overlap));
    }
}

#[test]
fn capabilities_named_together_that_share_nothing() {
    let mut duo = Duo::of(&[want('o', None, "").at(0, Some(10))], &[want('o', None, "").at(10, None)]);
    duo.settle();
    assert_eq!(duo.nodes[1].take(Wire::Names(0, 0)), Err(SyncError::NoOverlap { own: 0, peer: 0 }));
}

#[test]
fn messages_of_the_session_are_left_to_it() {
    let mut node = betty(&[], Limits::default());
    for message in [
        ControlMessage::SetEagerness { eager: true, sender: 0, receiver: 0 },
        ControlMessage::Consumed { bytes: 1 },
        ControlMessage::Ping { nonce: 1 },
        ControlMessage::Pong { nonce: 1 },
    ] {
        assert_eq!(node.machine.handle_control(&message), Ok(false));
    }
}

/// Any bytes on any channel, with a preference for what looks like a message.
fn any_message() -> impl Strategy<Value = Wire> {
    let number = || prop_oneof![8 => 0_u64..3, 1 => any::<u64>()];
    let kind = prop_oneof![Just(HandleKind::Overlap), Just(HandleKind::Capability), Just(HandleKind::PayloadRequest)];
    let control = prop_oneof![
        (number(), number(), any::<bool>()).prop_map(|(sender, receiver, root)| announce(
            sender,
            receiver,
            &want('o', None, if root { "" } else { "a" })
        )),
        (kind, any::<bool>(), number(), number()).prop_map(|(kind, mine, handle, references)| free(kind, mine, handle, references)),
        (number(), number(), number(), number()).prop_map(|(hashes, announcements, capabilities, bound)| settled(
            hashes,
            announcements,
            capabilities,
            bound
        )),
        number().prop_map(|announcement| ControlMessage::Decline { announcement }),
    ];
    let wants =
        prop_oneof![Just(want('o', None, "")), Just(want('o', None, "a")), Just(want('o', Some(2), "a")), Just(want('c', Some(2), ""))];
    let capability = (number(), number(), wants.clone(), prop::collection::vec(any::<u8>(), 0..3), 0_u8..70);
    prop_oneof![
        control.prop_map(|message| Wire::Message(Channel::Control, message.encode())),
        wants.prop_map(|want| bind_hash(&want)),
        capability.prop_map(|(sender, receiver, want, rest, power)| {
            let mut writer = shown(sender, receiver, power);
            encode_read_capability(&mut writer, &want.capability(&alfies_key()), &interest_of(&want)).unwrap();
            writer.bytes(&rest);
            Wire::Message(Channel::Capability, writer.into_bytes())
        }),
        (number(), number()).prop_map(|(theirs, ours)| Wire::Names(theirs, ours)),
        (prop_oneof![Just(Channel::Control), Just(Channel::Overlap), Just(Channel::Capability)], prop::collection::vec(any::<u8>(), 0..80))
            .prop_filter("messages of the session are not its own", |(channel, bytes)| {
                *channel != Channel::Control || ControlMessage::decode(bytes).is_err()
            })
            .prop_map(|(channel, bytes)| Wire::Message(channel, bytes)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_peer_that_sends_anything_gets_an_error_and_never_a_panic(messages in prop::collection::vec((any_message(), any::<bool>()), 0..40)) {
        let mut node = betty(&[want('o', None, ""), want('o', Some(2), "a"), want('c', Some(2), "")], Limits::default());
        for (message, drop_one) in messages {
            if node.take(message).is_err() {
                break;
            }
            node.release_all();
            if drop_one {
                node.remove(InterestId(node.handles() % 3));
            }
            while node.send() {}
        }
        let limit = Limits::default().overlap_handles;
        prop_assert!(node.handles() <= 4 * limit);
    }
}

/// Alfie frees the hash that it bound as the `round`th.
fn free_hash(round: u64) -> Wire {
    Wire::Message(Channel::Control, free(HandleKind::Overlap, true, round, 0).encode())
}

#[test]
fn own_capabilities_are_bounded_whatever_the_peer_allows() {
    let all = Limits { overlap_handles: u64::MAX, capability_handles: u64::MAX, unanswered_ranges: u64::MAX };
    let mut node = Node::new(Role::Betty, Limits::default(), all);
    node.add(&want('o', None, ""));
    let bind = bind_hash(&want('o', None, ""));
    let limit = Limits::default().capability_handles;
    for round in 0..2 * limit {
        node.take(bind.clone()).unwrap();
        node.take(free_hash(round)).unwrap();
        while node.send() {}
        if !node.crowded_out.is_empty() {
            return assert_eq!(node.machine.state.own_capabilities.live(), limit);
        }
        node.sent.clear();
        node.wire.clear();
    }
    panic!("{} capabilities are kept that the peer never frees", node.machine.state.own_capabilities.live());
}

#[test]
fn an_interest_bound_twice_at_a_time() {
    let all = want('o', None, "");
    let mut node = betty(std::slice::from_ref(&all), Limits::default());
    let uninterested = Wire::Message(Channel::Overlap, [&[0][..], &interest::hash(&SECRET, &interest_of(&all))].concat());
    node.take(uninterested.clone()).unwrap();
    node.take(bind_hash(&all)).unwrap();
    node.take(uninterested).unwrap();
    assert_eq!(node.take(bind_hash(&all)), Err(SyncError::InterestRepeated));

    let mut node = betty(std::slice::from_ref(&all), Limits::default());
    node.take(bind_hash(&all)).unwrap();
    // The capability that is shown in answer is named by no message yet.
    node.take(free_hash(0)).unwrap();
    node.take(bind_hash(&all)).unwrap();
}

#[test]
fn more_announcements_of_one_interest_than_there_are_less_specific_ones() {
    let limit = pairs::MOST_ANNOUNCEMENTS;
    let wants: Vec<_> = (0..=limit).map(|i| want('o', None, format!("{i}").leak())).collect();
    let mut node = betty(&wants, Limits::default());
    node.take(bind_hash(&want('o', None, "a"))).unwrap();
    for (receiver, want) in (0..limit).zip(&wants) {
        node.control(&announce(0, receiver, want)).unwrap();
    }
    assert_eq!(node.control(&announce(0, limit, &wants[limit as usize])), Err(SyncError::TooManyAnnouncements { limit }));
}

#[test]
fn a_peer_that_never_answers_announcements_is_left() {
    let mut node = betty(&[want('o', None, "a")], Limits::default());
    let bind = bind_hash(&want('o', None, ""));
    for round in 0..100_000 {
        // Each time the hash meets the interest, which is announced and counted as a mention of it.
        let result = node.take(bind.clone()).and_then(|()| node.take(free_hash(round)));
        if let Err(error) = result {
            return assert_eq!(error, SyncError::MessagesUnread { limit: state::BACKLOG });
        }
        while node.send() {}
        node.sent.clear();
        node.wire.clear();
    }
    panic!("{} announcements are remembered", node.machine.state.announcements.len());
}

#[test]
fn a_peer_that_makes_messages_and_reads_none_is_left() {
    // It knows no interest.
    let mut node = betty(&[], Limits::default());
    for round in 0..500_000 {
        let result = node.take(Wire::Message(Channel::Overlap, vec![7; 33])).and_then(|()| node.take(free_hash(round)));
        if let Err(error) = result {
            return assert_eq!(error, SyncError::MessagesUnread { limit: state::BACKLOG });
        }
    }
    panic!("messages pile up without a bound");
}
