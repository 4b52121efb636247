//! Several intents in one session: modes, joining, closing, completion.

use super::{
    pair::{Pair, Setup},
    world::World,
};
use crate::{
    IntentId, Mode,
    sync::{Completion, IntentMode, Output, SessionEvent},
    willow::Area,
};

#[test]
fn an_intent_that_joins_a_live_area_is_answered_at_once() {
    let world = World::new(41);
    let mut pair = Pair::new(Setup::default());
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Live);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    pair.run().unwrap();
    let before = pair.alfie().session.stats().reconciliation_sent;
    pair.alfie().intent(3, &world, &[Area::full()], Mode::Once);
    pair.run().unwrap();
    assert_eq!(pair.alfie().story(3), ["overlap", "reconciled", "reconciledAll"]);
    assert_eq!(pair.alfie().done.get(&IntentId(3)), Some(&Completion::Complete));
    assert_eq!(pair.alfie().session.stats().reconciliation_sent, before, "nothing had to be compared again");
    assert!(!pair.alfie().done.contains_key(&IntentId(1)));
}

#[test]
fn an_intent_that_joins_what_nothing_keeps_current_is_reconciled_again_on_either_side() {
    let world = World::new(42);
    for joining in 0..2 {
        let mut pair = Pair::new(Setup::default());
        // The other side's live intent keeps the session; it makes only the other side eager.
        pair.sides[joining].intent(1, &world, &[Area::full()], Mode::Once);
        pair.sides[1 - joining].intent(2, &world, &[Area::full()], Mode::Live);
        pair.run().unwrap();
        assert!(pair.sides[joining].done.contains_key(&IntentId(1)));
        pair.sides[1 - joining].disk.put(world.entry(0, "later", 10, b"x"), b"x");
        pair.run().unwrap();
        assert_eq!(pair.sides[joining].disk.store.len(), 0, "not eager");
        pair.sides[joining].intent(3, &world, &[Area::full()], Mode::Once);
        pair.run().unwrap();
        assert_eq!(pair.sides[joining].done.get(&IntentId(3)), Some(&Completion::Complete));
        assert_eq!(pair.sides[joining].disk.store.len(), 1);
        pair.sides[1 - joining].session.close_intent(IntentId(2));
        pair.run().unwrap();
        pair.assert_over();
    }
}

#[test]
fn an_intent_that_joins_while_another_round_is_due_waits_for_that_round() {
    let world = World::new(48);
    let mut pair = Pair::new(Setup::default());
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
    pair.betty().intent(2, &world, &[Area::full()], Mode::Live);
    pair.run().unwrap();
    for i in 0..100_u64 {
        pair.betty().disk.put(world.entry(0, &format!("a/{i}"), 10, b"x"), b"x");
    }
    // As long as a part is being reconciled, no round of the whole can begin.
    pair.alfie().intent(3, &world, &[world.area(None, "a")], Mode::Once);
    while pair.alfie().story(3).is_empty() {
        for i in 0..2 {
            pair.outputs(i);
            pair.write(i, 200);
            pair.read(i, 200).unwrap();
        }
    }
    pair.outputs(0);
    pair.alfie().intent(4, &world, &[Area::full()], Mode::Live);
    pair.outputs(0);
    pair.alfie().intent(5, &world, &[Area::full()], Mode::Once);
    pair.outputs(0);
    assert_eq!(pair.alfie().disk.store.len(), 0);
    assert_eq!(pair.alfie().story(5), ["overlap"], "what was reconciled once is not current");
    pair.run().unwrap();
    assert_eq!(pair.alfie().done.get(&IntentId(5)), Some(&Completion::Complete));
    assert_eq!(pair.alfie().disk.store.len(), 100);
}

#[test]
fn what_one_overlap_lost_another_may_have_covered() {
    let world = World::new(51);
    for covered in [true, false] {
        let mut pair = Pair::new(Setup { transport: 1024, ..Setup::default() });
        for i in 0..300_u64 {
            pair.betty().disk.put(world.entry(0, &format!("a/b/{i}"), 10, b"x"), b"x");
        }
        let wider = if covered { world.area(None, "a") } else { world.area(None, "a/b/7") };
        pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
        pair.betty().intent(2, &world, &[wider], IntentMode::FollowPeer);
        pair.betty().intent(3, &world, &[world.area(None, "a/b")], IntentMode::FollowPeer);
        while pair.alfie().story(1) != ["overlap", "overlap"] {
            for i in 0..2 {
                pair.outputs(i);
                pair.write(i, 100);
                pair.read(i, 100).unwrap();
            }
        }
        pair.betty().session.close_intent(IntentId(3));
        pair.run().unwrap();
        pair.assert_over();
        let expected = if covered { Completion::Complete } else { Completion::Partial };
        assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&expected));
    }
}

#[test]
fn a_session_is_as_eager_as_its_intents_at_any_time() {
    let world = World::new(49);
    let mut pair = Pair::new(Setup::default());
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    pair.alfie().intent(1, &world, &[world.area(None, "keep")], Mode::Live);
    pair.run().unwrap();
    for (round, entries) in [(1_u64, 2), (2, 4), (3, 6)] {
        let put = |pair: &mut Pair, name: &str| {
            pair.betty().disk.put(world.entry(0, &format!("part/{round}/{name}"), round, b"x"), b"x");
            pair.run().unwrap();
        };
        put(&mut pair, "once");
        assert_eq!(pair.alfie().disk.store.len(), entries - 2, "nobody asked for it");
        pair.alfie().intent(10 * round, &world, &[world.area(None, "part")], Mode::Once);
        pair.run().unwrap();
        assert_eq!(pair.alfie().disk.store.len(), entries - 1);
        pair.alfie().intent(10 * round + 1, &world, &[world.area(None, "part")], Mode::Live);
        put(&mut pair, "live");
        assert_eq!(pair.alfie().disk.store.len(), entries);
        pair.alfie().session.close_intent(IntentId(10 * round + 1));
        pair.run().unwrap();
    }
    assert!(!pair.alfie().finished());
    pair.alfie().session.close_intent(IntentId(1));
    pair.run().unwrap();
    pair.assert_over();
}

#[test]
fn interests_are_added_to_an_open_intent_and_to_no_other() {
    let world = World::new(50);
    let mut pair = Pair::new(Setup::default());
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    for at in ["a", "b"] {
        pair.betty().disk.put(world.entry(0, at, 10, b"x"), b"x");
    }
    let alfie = pair.alfie();
    alfie.intent(1, &world, &[world.area(None, "a")], Mode::Once);
    assert!(alfie.session.is_open(IntentId(1)));
    let more = vec![alfie.interest(&world, &world.area(None, "b"))];
    alfie.session.add_interests(IntentId(1), more.clone());
    alfie.intent(3, &world, &[world.area(None, "a")], Mode::Live);
    pair.run().unwrap();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::Complete));
    assert_eq!(pair.alfie().disk.store.len(), 2, "it was not done before the second was reconciled");
    let alfie = pair.alfie();
    assert!(!alfie.session.is_open(IntentId(1)) && !alfie.session.is_open(IntentId(9)) && alfie.session.is_open(IntentId(3)));
    alfie.session.add_interests(IntentId(1), more.clone());
    alfie.session.add_interests(IntentId(3), more);
    pair.run().unwrap();
    assert_eq!(pair.alfie().story(3), ["overlap", "reconciled", "reconciledAll", "overlap", "reconciled", "reconciledAll"]);
    assert_eq!(pair.alfie().story(1).len(), 5, "nothing more is told about it");
}

#[test]
fn a_live_intent_joins_a_once_session_and_keeps_it() {
    let world = World::new(43);
    let mut pair = Pair::new(Setup::default());
    pair.alfie().intent(1, &world, &[world.area(None, "a")], Mode::Once);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    // Joins while the first is under way.
    for _ in 0..3 {
        for i in 0..2 {
            pair.outputs(i);
            pair.write(i, 200);
            pair.read(i, 200).unwrap();
        }
    }
    pair.alfie().intent(3, &world, &[world.area(None, "b")], Mode::Live);
    pair.run().unwrap();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::Complete));
    assert_eq!(pair.alfie().story(3), ["overlap", "reconciled", "reconciledAll"]);
    assert!(!pair.alfie().finished());
    pair.betty().disk.put(world.entry(0, "a/x", 10, b"x"), b"x");
    pair.betty().disk.put(world.entry(0, "b/x", 10, b"x"), b"x");
    pair.run().unwrap();
    assert_eq!(pair.alfie().disk.store.len(), 1, "only the live one's area");
    pair.alfie().session.close_intent(IntentId(3));
    pair.run().unwrap();
    pair.assert_over();
}

#[test]
fn one_of_two_areas_is_not_all() {
    let world = World::new(44);
    let other = World::new(144);
    let mut pair = Pair::new(Setup::default());
    for i in 0..500_u64 {
        pair.betty().disk.put(world.entry(0, &format!("b/{i}"), 10, b"x"), b"x");
    }
    let alfie = pair.alfie();
    let interests = vec![
        alfie.interest(&world, &world.area(None, "a")),
        alfie.interest(&world, &world.area(None, "b")),
        alfie.interest(&other, &Area::full()),
    ];
    alfie.session.add_intent(IntentId(1), interests, Mode::Once);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    pair.run().unwrap();
    pair.assert_over();
    assert_eq!(pair.alfie().story(1), ["overlap", "overlap", "reconciled", "reconciled", "reconciledAll"]);
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::Partial), "the third has nothing in common");
    assert_eq!(pair.betty().done.get(&IntentId(2)), Some(&Completion::Complete));
}

#[test]
fn closing_in_the_middle_of_a_bulk_ends_the_session_and_tells_nothing_more() {
    let world = World::new(45);
    for closing in 0..2 {
        let mut pair = Pair::new(Setup { transport: 2048, ..Setup::default() });
        for i in 0..1000_u64 {
            let entry = world.entry(0, &format!("b/{i}"), 10, b"payload");
            pair.sides[(i % 2) as usize].disk.put(entry, b"payload");
        }
        pair.alfie().intent(1, &world, &[Area::full()], Mode::Live);
        pair.betty().intent(2, &world, &[Area::full()], Mode::Live);
        while pair.sides.iter().all(|side| side.disk.store.len() < 600) {
            for i in 0..2 {
                pair.outputs(i);
                pair.write(i, usize::MAX);
                pair.read(i, usize::MAX).unwrap();
                pair.task(i, 0);
            }
        }
        let id = 1 + closing as u64;
        pair.sides[closing].session.close_intent(IntentId(id));
        let told = pair.sides[closing].events.len();
        pair.run().unwrap();
        assert_eq!(pair.sides[closing].events.len(), told);
        // The other's live intent stays with its owner: it is not done.
        assert!(pair.sides.iter().all(|side| side.done.is_empty()));
        if closing == 0 {
            // The dialer has nothing left to do, so the session ends; the other one follows.
            pair.assert_over();
        } else {
            assert!(!pair.alfie().finished());
            pair.alfie().session.close_intent(IntentId(1));
            pair.run().unwrap();
            pair.assert_over();
        }
    }
}

#[test]
fn a_session_told_to_finish_finishes_and_leaves_the_rest_unsettled() {
    let world = World::new(46);
    let mut pair = Pair::new(Setup::default());
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Live);
    pair.betty().intent(2, &world, &[Area::full()], Mode::Live);
    pair.run().unwrap();
    pair.betty().session.finish();
    pair.run().unwrap();
    // Alfie sees that the peer has finished, and finishes as well.
    pair.assert_over();
    assert!(pair.sides.iter().all(|side| side.done.is_empty()));
}

#[test]
fn progress_is_told_with_the_result_and_not_at_every_step() {
    let world = World::new(47);
    let mut pair = Pair::new(Setup { transport: 1024, ..Setup::default() });
    for i in 0..2000_u64 {
        pair.betty().disk.put(world.entry(0, &format!("b/{i}"), 10, b"payload"), b"payload");
    }
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Live);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    pair.run().unwrap();
    let progress: Vec<_> =
        pair.alfie().events.iter().filter(|(_, event)| matches!(event, SessionEvent::Progress { .. })).cloned().collect();
    assert_eq!(progress.len(), 1, "time stands still, so only the result is told");
    assert!(matches!(progress[0].1, SessionEvent::Progress { entries_received: 2000, .. }));
    // What comes after it is told when its time has come.
    pair.betty().disk.put(world.entry(1, "later", 10, b"payload"), b"payload");
    pair.run().unwrap();
    let side = pair.alfie();
    let (deadline, _) = side.session.next_deadline().unwrap();
    side.session.handle_timeout(deadline);
    let told = side.session.poll_output(deadline, &mut side.disk.store);
    assert!(matches!(told, Some(Output::Event { event: SessionEvent::Progress { .. }, .. })), "{told:?}");
    assert_eq!(side.session.next_deadline(), None);
}
