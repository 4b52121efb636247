//! What a peer can make a session keep, look for and tell: bounded, whatever it sends and however little it reads.

use super::{
    super::commons,
    pair::{Pair, Setup},
    trial::{ANSWER, NOW, Trial, alfie, betty, is},
    world::{World, payload},
};
use crate::{
    IntentId, Mode, Role,
    sync::{Channel, ControlMessage, IntentMode, InterestId, OverlapEvent, OwnInterest, SyncError, data::DataKind, reconcile::ENDED},
    willow::Area,
};

/// What an announcement brings while the victim's store confirms nothing: how many entries until it is left.
fn entries_while_the_store_is_behind(bytes: &[u8]) -> u64 {
    let mut trial = alfie("");
    let range = trial.range();
    trial.announce_as(ANSWER, &range, false, false).unwrap();
    let entry = trial.world.entry(0, "x", 1, bytes);
    let mut sent = 0;
    loop {
        let mut result = trial.entry(&entry, &range);
        if !bytes.is_empty() {
            result = result.and_then(|()| trial.payload(bytes));
        }
        match result.and_then(|()| trial.terminate(false)) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error, SyncError::WindowExceeded { limit: 128 * 1024 });
                return sent;
            }
        }
        assert!(sent < 100_000, "memory would grow without bound");
    }
}

#[test]
fn a_peer_that_does_not_wait_while_the_store_is_behind() {
    assert!((4000..6000).contains(&entries_while_the_store_is_behind(b"")));
    assert!((200..300).contains(&entries_while_the_store_is_behind(&payload(1, 16 * 1024))));
}

#[test]
fn what_an_announcement_brought_is_remembered_up_to_a_bound_and_the_rest_is_sent_back() {
    let count = 600;
    let mut trial = Trial::announced(Role::Alfie, "", Setup::default());
    let range = trial.range();
    let long = "x".repeat(4000);
    for i in 0..count {
        let entry = trial.world.entry(0, &format!("{long}/{i:03}"), 1, b"");
        trial.entry(&entry, &range).unwrap();
        trial.terminate(i == count - 1).unwrap();
    }
    trial.heard.clear();
    trial.listen();
    assert_eq!(trial.disk.store.len(), count);
    let sent_back = trial.heard.iter().filter(|(_, message)| is(message, DataKind::SendEntry)).count();
    // A MiB holds some 250 of them.
    assert!((320..380).contains(&sent_back), "{sent_back}");
}

impl Trial {
    /// Lets the attacker's side of the overlap machine do what an honest session does.
    fn obey(&mut self) {
        for _ in 0..4 {
            while let Some(event) = self.attacker.poll_event() {
                if let OverlapEvent::Ended { overlap } = event {
                    self.attacker.release(overlap);
                }
            }
            while let Some((channel, message)) = self.attacker.poll_message() {
                self.send(channel, &message).unwrap();
            }
            self.listen();
        }
    }
}

#[test]
fn of_what_was_asked_about_overlaps_that_ended_only_the_latest_is_remembered() {
    let mut trial = alfie("");
    let interest = trial.attackers_interest();
    for round in 1..=ENDED as u64 + 20 {
        assert!(trial.victim.reconciler.remembered() > 0, "the victim has started");
        trial.attacker.remove(InterestId(round - 1));
        trial.obey();
        trial.attacker.add(OwnInterest { id: InterestId(round), ..interest.clone() }).unwrap();
        trial.obey();
        trial.heard.clear();
    }
    assert_eq!(trial.victim.reconciler.remembered(), ENDED + 1);
}

#[test]
fn of_what_was_shared_only_the_latest_is_remembered_and_what_may_have_been_is_no_fault() {
    let mut pair = Pair::new(Setup::default());
    let world = World::new(37);
    pair.betty().intent(1, &world, &[Area::full()], Mode::Live);
    // What keeps the session open.
    pair.alfie().intent(0, &world, &[world.area(None, "kept")], Mode::Live);
    for round in 0..commons::ENDED as u64 + 9 {
        pair.alfie().intent(2 + round, &world, &[world.area(None, &format!("{round}"))], Mode::Live);
        pair.run().unwrap();
        pair.alfie().session.close_intent(IntentId(2 + round));
        pair.run().unwrap();
    }
    for side in &pair.sides {
        assert_eq!(side.session.commons.remembered(), commons::ENDED);
    }

    let mut trial = alfie("pub");
    let entry = trial.world.entry(0, "pub/x", 1, b"");
    trial.victim.close_intent(IntentId(1));
    trial.live(&entry, false).unwrap();
    trial.listen();
    trial.live(&entry, false).unwrap();
    assert_eq!(trial.disk.store.len(), 0);
    assert_eq!(trial.live(&trial.world.entry(0, "other", 1, b""), false), Err(SyncError::EntryOutsideAreas));
}

#[test]
fn eagerness_that_does_not_change_changes_nothing() {
    let mut trial = betty("");
    let eager = |eager| ControlMessage::SetEagerness { eager, sender: 0, receiver: 0 }.encode();
    assert!(trial.victim.commons.eager().is_empty());
    trial.send(Channel::Control, &eager(true)).unwrap();
    let list = trial.victim.commons.eager().as_ptr();
    assert_eq!(trial.victim.commons.eager().len(), 1);
    trial.send(Channel::Control, &eager(true)).unwrap();
    assert_eq!(trial.victim.commons.eager().as_ptr(), list, "the same list, not a new one");
    trial.send(Channel::Control, &eager(false)).unwrap();
    assert!(trial.victim.commons.eager().is_empty());
}

#[test]
fn a_peer_that_reads_nothing_does_not_make_the_control_queue_grow() {
    let mut trial = Trial::new(Role::Betty, "", Setup::default());
    // A session that follows its peer answers each change with one of its own.
    let interest = trial.interest();
    trial.victim.add_intent(IntentId(2), vec![interest], IntentMode::FollowPeer);
    trial.victim.close_intent(IntentId(1));
    trial.listen();
    for round in 0..1000 {
        let eager = ControlMessage::SetEagerness { eager: round % 2 == 0, sender: 0, receiver: 0 };
        trial.send(Channel::Control, &eager.encode()).unwrap();
        trial.send(Channel::Control, &ControlMessage::Ping { nonce: round }.encode()).unwrap();
        trial.victim.probe();
        trial.victim.update_eagerness();
    }
    let queued = std::iter::from_fn(|| trial.victim.control.pop()).count();
    assert!(queued <= 10, "{queued} messages wait");
    assert_eq!(trial.victim.poll_transmit(NOW, &mut trial.disk.store, usize::MAX), None);
}

#[test]
fn a_search_for_payloads_goes_step_by_step_and_is_not_repeated_for_the_peer() {
    let world = World::new(35);
    let mut pair = Pair::new(Setup::default());
    for i in 0..40 {
        let entry = world.entry(0, &format!("{i}"), 10, b"here");
        for side in &mut pair.sides {
            side.disk.put(entry.clone(), b"here");
        }
    }
    // What keeps the session open.
    let elsewhere = World::new(77);
    pair.alfie().intent(9, &elsewhere, &[Area::full()], Mode::Live);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    for (round, expected) in [[2, 2], [4, 2], [6, 2]].into_iter().enumerate() {
        pair.alfie().intent(10 + round as u64, &world, &[Area::full()], Mode::Once);
        pair.run().unwrap();
        // 16 entries at a step, the first of which is done with the reconciliation.
        assert_eq!([0, 1].map(|i| pair.sides[i].searched), expected);
        assert_eq!(pair.alfie().done.len(), 1 + round);
    }
    // Entries without their payloads are new, wherever the round began.
    pair.alfie().disk.put_all([(world.entry(0, "missing", 10, &payload(3, 30_000)), None)]);
    pair.alfie().intent(20, &world, &[Area::full()], Mode::Once);
    pair.run().unwrap();
    assert_eq!(pair.sides[1].fetches, 1);
}
