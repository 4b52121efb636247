//! How many bytes and round trips reconciliation takes. The figures are deterministic, so they are asserted.

use super::{
    pair::{Pair, Setup},
    world::{World, payload},
};
use crate::{IntentId, Mode, sync::IntentMode, willow::Area};

const ENTRIES: u64 = 20_000;

/// Bytes of the Reconciliation and Data channels in both directions, and turns that carried some.
fn measure(pair: &mut Pair, world: &World, area: &Area) -> (u64, u64) {
    pair.alfie().intent(1, world, std::slice::from_ref(area), Mode::Once);
    pair.betty().intent(2, world, std::slice::from_ref(area), IntentMode::FollowPeer);
    let turns = pair.run_in_turns();
    pair.assert_over();
    assert!(pair.alfie().done.contains_key(&IntentId(1)));
    let bytes = pair.sides.iter().map(|side| side.session.stats().reconciliation_sent).sum();
    assert_eq!(bytes, pair.sides.iter().map(|side| side.session.stats().reconciliation_received).sum::<u64>());
    (bytes, turns)
}

fn filled(world: &World, missing: Option<(usize, u64)>) -> Pair {
    let mut pair = Pair::new(Setup { transport: usize::MAX, ..Setup::default() });
    let entries: Vec<_> = (0..ENTRIES)
        .map(|i| {
            let bytes = payload(i, 24);
            (world.entry(0, &format!("notes/2025/{:05}", i * 7919 % ENTRIES), 1000 + i, &bytes), Some(bytes))
        })
        .collect();
    for (i, side) in pair.sides.iter_mut().enumerate() {
        let kept = entries.iter().enumerate().filter(|(n, _)| missing != Some((i, *n as u64)));
        side.disk.put_all(kept.map(|(_, entry)| entry.clone()));
    }
    pair
}

#[test]
fn equal_stores_take_one_fingerprint_and_one_empty_announcement() {
    let world = World::new(11);
    for area in [Area::full(), world.area(Some(0), "notes/2025")] {
        let (bytes, turns) = measure(&mut filled(&world, None), &world, &area);
        println!("{ENTRIES} entries, no difference: {bytes} bytes in {turns} turns");
        assert!(bytes <= 64, "{bytes}");
        assert_eq!(turns, 2, "one round trip");
    }
}

#[test]
fn one_difference_among_many_takes_little_more_than_the_entry() {
    let world = World::new(12);
    for (side, n) in [(0, 4711), (1, 4711), (0, 0), (1, ENTRIES - 1)] {
        let mut pair = filled(&world, Some((side, n)));
        let (bytes, turns) = measure(&mut pair, &world, &Area::full());
        println!("{ENTRIES} entries, one missing at side {side}: {bytes} bytes in {turns} turns");
        assert!(pair.sides.iter().all(|side| side.disk.store.len() == ENTRIES));
        assert!(bytes <= 4096, "{bytes}");
        assert!(turns <= 8, "{turns} turns are more than four round trips");
    }
}
