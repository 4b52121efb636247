//! Live forwarding: nothing is missed, nothing is echoed, nothing waits behind bulk.

use super::{
    pair::{Pair, Random, Setup},
    world::{World, all_complete, payload},
};
use crate::{IntentId, Mode, store::Store, sync::IntentMode, willow::Area};

fn live(world: &World, pair: &mut Pair) {
    pair.alfie().intent(1, world, &[Area::full()], Mode::Live);
    pair.betty().intent(2, world, &[Area::full()], IntentMode::FollowPeer);
}

fn assert_equal(world: &World, pair: &Pair) {
    let [a, b] = [0, 1].map(|i| pair.sides[i].disk.holds(&world.namespace, &Area::full()));
    assert_eq!(a, b);
    assert!(pair.sides.iter().all(|side| all_complete(&side.disk, &world.namespace)));
}

#[test]
fn what_is_written_later_is_forwarded_once_both_ways_and_not_echoed() {
    let world = World::new(21);
    let mut pair = Pair::new(Setup::default());
    live(&world, &mut pair);
    pair.run().unwrap();
    for i in 0..100_u64 {
        for side in 0..2 {
            let bytes = payload(i, 100 + i as usize);
            pair.sides[side].disk.put(world.entry(side, &format!("live/{i}"), 10 + i, &bytes), &bytes);
        }
        if i % 9 == 0 {
            pair.run().unwrap();
        }
    }
    pair.run().unwrap();
    assert_equal(&world, &pair);
    for side in &pair.sides {
        assert_eq!(side.session.stats().entries_sent, 100);
        assert_eq!(side.session.stats().entries_received, 100);
        assert_eq!(side.fetches, 0);
    }
    assert_eq!(pair.alfie().story(1), ["overlap", "reconciled", "reconciledAll"]);
    pair.alfie().session.close_intent(IntentId(1));
    pair.run().unwrap();
    pair.assert_over();
}

/// Found by simulation: what was read for the sake of the area that was live was lost for the one that was about to be.
#[test]
fn an_entry_written_while_another_area_becomes_live_is_forwarded() {
    let world = World::new(29);
    for side in 0..2 {
        for moment in 0..160 {
            let mut pair = Pair::new(Setup::default());
            pair.alfie().intent(1, &world, &[world.area(None, "a")], Mode::Live);
            pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
            pair.run().unwrap();
            pair.alfie().intent(3, &world, &[Area::full()], Mode::Live);
            let mut random = Random(moment + 1);
            for _ in 0..moment {
                pair.random_step(&mut random, 100).unwrap();
            }
            pair.sides[side].disk.put(world.entry(0, "b/1", 10, b"x"), b"x");
            pair.run().unwrap();
            assert_equal(&world, &pair);
        }
    }
}

#[test]
fn an_entry_in_several_overlaps_is_forwarded_once() {
    let world = World::new(22);
    let mut pair = Pair::new(Setup::default());
    let areas = [Area::full(), world.area(None, "a"), world.area(None, "a/b")];
    pair.alfie().intent(1, &world, &areas, Mode::Live);
    pair.betty().intent(2, &world, &areas, IntentMode::FollowPeer);
    pair.run().unwrap();
    let before = pair.alfie().session.stats().entries_sent;
    pair.alfie().disk.put(world.entry(0, "a/b/c", 10, b"once"), b"once");
    pair.run().unwrap();
    assert_equal(&world, &pair);
    assert_eq!(pair.alfie().session.stats().entries_sent, before + 1);
}

#[test]
fn updates_while_reconciling_overtake_the_bulk() {
    let world = World::new(23);
    let mut pair = Pair::new(Setup { transport: 4096, ..Setup::default() });
    for i in 0..2000_u64 {
        let bytes = payload(i, 300);
        pair.alfie().disk.put(world.entry(0, &format!("bulk/{i}"), 10 + i, &bytes), &bytes);
    }
    live(&world, &mut pair);
    while pair.betty().disk.store.len() < 200 {
        for i in 0..2 {
            pair.outputs(i);
            pair.write(i, usize::MAX);
            pair.read(i, usize::MAX).unwrap();
            pair.task(i, 0);
        }
    }
    pair.alfie().disk.put(world.entry(1, "urgent", 5, b"now"), b"now");
    let here = |store: &Store| store.get(&world.namespace, &world.user(1), &super::world::path_of("urgent")).is_some();
    let received = pair.betty().session.stats().received;
    while !here(&pair.betty().disk.store) {
        for i in 0..2 {
            pair.outputs(i);
            pair.write(i, usize::MAX);
            pair.read(i, usize::MAX).unwrap();
            while pair.task(i, 0) {}
        }
    }
    let waited = pair.betty().session.stats().received - received;
    assert!(waited < 24 * 1024, "{waited} bytes came before the update");
    assert!(pair.betty().disk.store.len() < 1000);
    pair.run().unwrap();
    assert_equal(&world, &pair);
}

#[test]
fn only_whoever_is_live_is_forwarded_to() {
    let world = World::new(24);
    let mut pair = Pair::new(Setup::default());
    // The dialer's intent is once; the acceptor has a live one of its own, which keeps the session.
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
    pair.betty().intent(2, &world, &[Area::full()], Mode::Live);
    pair.run().unwrap();
    assert!(pair.alfie().done.contains_key(&IntentId(1)));
    assert!(!pair.alfie().finished());
    pair.alfie().disk.put(world.entry(0, "to betty", 10, b"x"), b"x");
    pair.betty().disk.put(world.entry(1, "to nobody", 10, b"x"), b"x");
    pair.run().unwrap();
    assert_eq!(pair.betty().disk.store.len(), 2);
    assert_eq!(pair.alfie().disk.store.len(), 1);
    pair.betty().session.close_intent(IntentId(2));
    pair.run().unwrap();
    pair.assert_over();
}

#[test]
fn a_lagging_session_catches_up_from_the_store() {
    let world = World::new(25);
    let mut pair = Pair::new(Setup::default());
    pair.alfie().disk.store = Store::with_history(8);
    live(&world, &mut pair);
    pair.run().unwrap();
    for i in 0..500_u64 {
        pair.alfie().disk.put(world.entry(0, &format!("burst/{i}"), 10 + i, b"x"), b"x");
    }
    pair.run().unwrap();
    assert_equal(&world, &pair);
}

#[test]
fn a_large_payload_that_completes_later_is_told_again() {
    let world = World::new(26);
    let mut pair = Pair::new(Setup::default());
    live(&world, &mut pair);
    pair.run().unwrap();
    let bytes = payload(1, 100_000);
    let entry = world.entry(0, "big", 10, &bytes);
    pair.alfie().disk.put_all([(entry.clone(), None)]);
    pair.run().unwrap();
    assert_eq!(pair.betty().disk.store.len(), 1);
    assert!(!all_complete(&pair.betty().disk, &world.namespace), "the payload is nowhere yet");
    pair.alfie().disk.put(entry, &bytes);
    pair.run().unwrap();
    assert_equal(&world, &pair);
    assert_eq!(pair.betty().fetches, 2);
}

#[test]
fn a_probe_is_answered() {
    let mut pair = Pair::new(Setup::default());
    let world = World::new(27);
    live(&world, &mut pair);
    pair.run().unwrap();
    pair.alfie().session.probe();
    pair.run().unwrap();
    assert!(pair.alfie().probed && !pair.betty().probed);
}
