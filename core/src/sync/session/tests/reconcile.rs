//! Reconciliation of two stores by once-intents, and how the session ends.

use super::{
    pair::{Pair, Setup},
    world::{World, all_complete, ids, payload},
};
use crate::{
    IntentId, Mode,
    sync::{Completion, IntentMode},
    willow::Area,
};

/// Both with everything; the acceptor follows.
fn once(world: &World, pair: &mut Pair) {
    pair.alfie().intent(1, world, &[Area::full()], Mode::Once);
    pair.betty().intent(2, world, &[Area::full()], IntentMode::FollowPeer);
}

fn assert_equal(world: &World, pair: &Pair) {
    let [a, b] = [0, 1].map(|i| pair.sides[i].disk.holds(&world.namespace, &Area::full()));
    assert_eq!(a.len(), b.len());
    assert_eq!(a, b);
    assert!(pair.sides.iter().all(|side| all_complete(&side.disk, &world.namespace)));
}

fn assert_complete(pair: &Pair) {
    pair.assert_over();
    for (i, id) in [(0, 1), (1, 2)] {
        assert_eq!(pair.sides[i].done.get(&IntentId(id)), Some(&Completion::Complete));
        assert_eq!(
            pair.sides[i].story(id).iter().filter(|name| **name != "payload").copied().collect::<Vec<_>>(),
            ["overlap", "reconciled", "reconciledAll"]
        );
    }
}

#[test]
fn two_empty_stores_are_equal_and_the_session_ends() {
    let world = World::new(1);
    let mut pair = Pair::new(Setup::default());
    once(&world, &mut pair);
    pair.run().unwrap();
    assert_complete(&pair);
    assert_equal(&world, &pair);
}

#[test]
fn what_one_side_has_comes_to_the_other_whichever_it_is() {
    let world = World::new(2);
    for from in 0..2 {
        let mut pair = Pair::new(Setup::default());
        let entries = (0..300).map(|i| {
            let bytes = payload(i, (i as usize * 13) % 900);
            (world.entry((i % 3) as usize, &format!("notes/{i}"), 10 + i, &bytes), Some(bytes))
        });
        pair.sides[from].disk.put_all(entries);
        once(&world, &mut pair);
        pair.run().unwrap();
        assert_complete(&pair);
        assert_equal(&world, &pair);
        assert_eq!(pair.sides[1 - from].disk.store.len(), 300);
        // Nothing comes back, and every payload came inline.
        assert_eq!(pair.sides[from].session.stats().entries_received, 0);
        assert_eq!(pair.sides[1 - from].fetches, 0);
    }
}

#[test]
fn scattered_differences_are_found_on_both_sides() {
    let world = World::new(3);
    let mut pair = Pair::new(Setup::default());
    for i in 0..800_u64 {
        let bytes = payload(i, 30);
        let entry = world.entry((i % 4) as usize, &format!("a/{}/{i}", i % 17), 100 + i, &bytes);
        for side in 0..2 {
            if i % 50 != side * 7 + 3 {
                pair.sides[side as usize].disk.put(entry.clone(), &bytes);
            }
        }
    }
    once(&world, &mut pair);
    pair.run().unwrap();
    assert_complete(&pair);
    assert_equal(&world, &pair);
    let sent: u64 = pair.sides.iter().map(|side| side.session.stats().entries_sent).sum();
    assert!(sent < 300, "{sent} entries were sent for 32 differences");
}

#[test]
fn a_newer_entry_prunes_what_is_below_it_on_the_other_side() {
    let world = World::new(4);
    let mut pair = Pair::new(Setup::default());
    for i in 0..40_u64 {
        let entry = world.entry(0, &format!("dir/{i}"), 10 + i, b"old");
        pair.betty().disk.put(entry.clone(), b"old");
        pair.alfie().disk.put(entry, b"old");
    }
    pair.alfie().disk.put(world.entry(0, "dir", 1000, b"cleared"), b"cleared");
    pair.betty().disk.put(world.entry(0, "dir/new", 2000, b"stays"), b"stays");
    pair.betty().disk.put(world.entry(0, "dir/7", 500, b"too late"), b"too late");
    once(&world, &mut pair);
    pair.run().unwrap();
    assert_complete(&pair);
    assert_equal(&world, &pair);
    assert_eq!(pair.alfie().disk.store.len(), 2);
}

#[test]
fn only_the_area_that_both_may_read_is_shared() {
    let world = World::new(5);
    let mut pair = Pair::new(Setup::default());
    for i in 0..60_u64 {
        let dir = ["pub", "priv", "pub/deep"][(i % 3) as usize];
        let entry = world.entry((i % 2) as usize, &format!("{dir}/{i}"), 10 + i, b"x");
        pair.sides[(i % 2) as usize].disk.put(entry, b"x");
    }
    let shared = world.area(Some(1), "pub");
    pair.alfie().intent(1, &world, &[world.area(None, "pub")], Mode::Once);
    pair.betty().intent(2, &world, &[world.area(Some(1), "")], IntentMode::FollowPeer);
    // The interests are awkward (neither is more specific): nothing may move.
    pair.run().unwrap();
    pair.assert_over();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::NothingInCommon));
    assert_eq!(pair.alfie().story(1), ["unsupported", "nothing"]);
    assert_eq!(pair.alfie().disk.store.len(), 30);

    let mut pair = Pair::new(Setup::default());
    for i in 0..60_u64 {
        let dir = ["pub", "priv", "pub/deep"][(i % 3) as usize];
        let entry = world.entry((i / 2 % 2) as usize, &format!("{dir}/{i}"), 10 + i, b"x");
        pair.sides[(i % 2) as usize].disk.put(entry, b"x");
    }
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
    pair.betty().intent(2, &world, std::slice::from_ref(&shared), IntentMode::FollowPeer);
    let before: u64 = pair.sides.iter().map(|side| side.disk.store.len()).sum();
    let common = [0, 1].map(|i| ids(&pair.sides[i].disk, &world.namespace, &shared).len() as u64);
    pair.run().unwrap();
    assert_complete(&pair);
    assert_eq!(ids(&pair.sides[0].disk, &world.namespace, &shared), ids(&pair.sides[1].disk, &world.namespace, &shared));
    let after: u64 = pair.sides.iter().map(|side| side.disk.store.len()).sum();
    assert_eq!(after, before + common[0] + common[1], "nothing but the shared area moved");
}

#[test]
fn several_overlaps_and_areas_within_each_other() {
    let world = World::new(6);
    let mut pair = Pair::new(Setup::default());
    for i in 0..90_u64 {
        let dir = ["a", "b", "c"][(i % 3) as usize];
        let entry = world.entry((i % 2) as usize, &format!("{dir}/{i}"), 10 + i, b"payload");
        pair.sides[(i % 2) as usize].disk.put(entry, b"payload");
    }
    let (a, b) = (world.area(None, "a"), world.area(None, "b"));
    pair.alfie().intent(1, &world, &[a.clone(), b.clone()], Mode::Once);
    pair.betty().intent(2, &world, &[Area::full(), a.clone()], IntentMode::FollowPeer);
    pair.run().unwrap();
    pair.assert_over();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::Complete));
    for area in [&a, &b] {
        assert_eq!(ids(&pair.sides[0].disk, &world.namespace, area), ids(&pair.sides[1].disk, &world.namespace, area));
    }
    assert_eq!(ids(&pair.sides[0].disk, &world.namespace, &a).len(), 30);
    assert_eq!(pair.alfie().disk.store.len(), 45 + 30);
    let received = pair.betty().session.stats().entries_received;
    assert_eq!(received, 30, "what is in two overlaps is sent once");
}

#[test]
fn both_directions_large_with_a_tiny_transport_and_a_small_limit() {
    for (limits, fanout) in [([1024, 1024], 8), ([3, 2], 2), ([1, 1], 8), ([16, 40], 4)] {
        let world = World::new(7);
        let mut setup = Setup { transport: 512, unanswered: limits, ..Setup::default() };
        setup.tuning.fanout = fanout;
        setup.tuning.threshold = 2;
        let mut pair = Pair::new(setup);
        for i in 0..1500_u64 {
            let bytes = payload(i, 200);
            let entry = world.entry((i % 4) as usize, &format!("d{}/{i}", i % 11), 10 + i, &bytes);
            if i % 3 != 1 {
                pair.sides[0].disk.put(entry.clone(), &bytes);
            }
            if i % 3 != 2 {
                pair.sides[1].disk.put(entry, &bytes);
            }
        }
        once(&world, &mut pair);
        pair.run().unwrap();
        assert_complete(&pair);
        assert_equal(&world, &pair);
    }
}

#[test]
fn a_session_without_interests_ends() {
    let world = World::new(8);
    let mut pair = Pair::new(Setup::default());
    pair.run().unwrap();
    pair.assert_over();

    let mut pair = Pair::new(Setup::default());
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
    pair.run().unwrap();
    pair.assert_over();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::NothingInCommon));

    let mut pair = Pair::new(Setup::default());
    pair.alfie().intent(1, &world, &[], Mode::Live);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    pair.run().unwrap();
    pair.assert_over();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::NothingInCommon));
}

#[test]
fn disjoint_interests_have_nothing_in_common() {
    let (world, other) = (World::new(9), World::new(90));
    let mut pair = Pair::new(Setup::default());
    pair.alfie().disk.put(world.entry(0, "x", 1, b"x"), b"x");
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
    pair.betty().intent(2, &other, &[Area::full()], Mode::Once);
    pair.run().unwrap();
    pair.assert_over();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::NothingInCommon));
    assert_eq!(pair.betty().done.get(&IntentId(2)), Some(&Completion::NothingInCommon));
    assert_eq!(pair.alfie().story(1), ["nothing"]);
    assert!(pair.betty().disk.store.is_empty());
}
