//! What one side gets to know of what the other has stored. That it is true is checked by [`Pair`] wherever sessions run.

use super::{
    pair::{Pair, Random, Setup, TAI},
    trial::{NOW, alfie, announced, forged},
    world::{World, path_of, payload},
};
use crate::{
    IntentId, Mode, SessionId,
    store::{Bounds, Incoming, Origin},
    sync::{
        Channel, ControlMessage,
        ControlMessage::{NotStored, Stored},
        IntentMode, Output, Policy, SyncError,
    },
    willow::{Area, EntryId, codec::ready},
};

fn unheld(pair: &Pair) -> [u64; 2] {
    [0, 1].map(|i| pair.sides[i].disk.store.unheld())
}

fn begin(world: &World, pair: &mut Pair, mode: Mode) {
    pair.alfie().intent(1, world, &[Area::full()], mode);
    pair.betty().intent(2, world, &[Area::full()], IntentMode::FollowPeer);
}

fn write(world: &World, pair: &mut Pair, side: usize, name: &str, len: usize) {
    let bytes = payload(len as u64, len);
    pair.sides[side].disk.put(world.entry(side, name, 10, &bytes), &bytes);
}

/// The same entry at both sides, as if each had it from elsewhere and knew nothing of the other.
fn write_both(world: &World, pair: &mut Pair, name: &str, len: usize) {
    let bytes = payload(len as u64, len);
    (0..2).for_each(|side| pair.sides[side].disk.put(world.entry(0, name, 10, &bytes), &bytes));
}

#[test]
fn a_sync_shows_both_sides_that_everything_is_held() {
    for (seed, lens) in [(1, [0, 10, 50]), (2, [200, 5_000, 70_000])] {
        let world = World::new(71);
        let mut pair = Pair::new(Setup::default());
        for i in 0..60 {
            write(&world, &mut pair, i % 2, &format!("own/{i}"), lens[i % 3]);
            write_both(&world, &mut pair, &format!("both/{i}"), lens[i % 3]);
        }
        assert_eq!(unheld(&pair), [90, 90]);
        begin(&world, &mut pair, Mode::Once);
        let mut random = Random(seed);
        for _ in 0..2_000 {
            pair.random_step(&mut random, 3_000).unwrap();
        }
        pair.run().unwrap();
        pair.assert_over();
        assert_eq!(unheld(&pair), [0, 0]);
    }
}

#[test]
fn equal_stores_show_it_without_sending_an_entry() {
    let world = World::new(72);
    let mut pair = Pair::new(Setup::default());
    (0..100).for_each(|i| write_both(&world, &mut pair, &format!("both/{i}"), 100));
    begin(&world, &mut pair, Mode::Once);
    pair.run().unwrap();
    assert_eq!(unheld(&pair), [0, 0]);
    assert!(pair.sides.iter().all(|side| side.session.stats().entries_sent == 0));
}

/// Only what the range was compared with counts: what is written while the answer is under way was not.
#[test]
fn what_is_written_after_a_range_was_compared_is_not_shown() {
    let world = World::new(73);
    for steps in 0..200 {
        let mut pair = Pair::new(Setup::default());
        write_both(&world, &mut pair, "both", 10);
        begin(&world, &mut pair, Mode::Once);
        let mut random = Random(steps + 1);
        for _ in 0..steps {
            pair.random_step(&mut random, 500).unwrap();
        }
        write(&world, &mut pair, 0, "late", 10);
        write(&world, &mut pair, 1, "later", 10);
        pair.run().unwrap();
    }
}

#[test]
fn equal_entries_without_the_payloads_show_nothing_but_those_that_have_none() {
    let world = World::new(74);
    let mut pair = Pair::new(Setup::default());
    for (name, bytes) in [("big", payload(1, 50_000)), ("small", payload(2, 20)), ("empty", Vec::new())] {
        let entry = world.entry(0, name, 10, &bytes);
        pair.alfie().disk.put(entry.clone(), &bytes);
        let incoming = Incoming { entry, payload: (name == "small").then_some(bytes), origin: Origin::Peer(SessionId(9)) };
        let side = pair.betty();
        let plan = side.disk.store.plan(vec![incoming]);
        ready(side.disk.store.commit(&side.disk.backend, plan)).unwrap().unwrap();
    }
    begin(&world, &mut pair, Mode::Live);
    // Betty compares, answers, and has not fetched yet.
    while pair.sides[1].fetches == 0 && (pair.outputs(0) | pair.write(0, usize::MAX) | pair.read(1, usize::MAX).unwrap()) {
        let _ = pair.outputs(1) | pair.write(1, usize::MAX) | pair.read(0, usize::MAX).unwrap();
    }
    let all = Bounds::from(&Area::full());
    let left = |pair: &Pair| {
        let store = &pair.sides[0].disk.store;
        store.unheld_entries(&world.namespace, &all).map(|entry| entry.path()).collect::<Vec<_>>()
    };
    assert_eq!(left(&pair), [path_of("big"), path_of("small")]);
    // It tells when the payload is there; that it has the small one, too, shows the next session.
    pair.run().unwrap();
    assert_eq!(left(&pair), [path_of("small")]);
}

#[test]
fn what_is_forwarded_is_receipted_at_once_and_bulk_in_few_messages() {
    let world = World::new(75);
    let mut pair = Pair::new(Setup::default());
    begin(&world, &mut pair, Mode::Live);
    pair.run().unwrap();
    for (i, len) in [0, 100, 10_000, 40_000].into_iter().enumerate() {
        write(&world, &mut pair, i % 2, &format!("live/{i}"), len);
        pair.run().unwrap();
        assert_eq!(unheld(&pair), [0, 0], "{len}");
    }
    let received = pair.alfie().session.stats().received;
    let many = (0..1_000).map(|i| (world.entry(0, &format!("many/{i}"), 20, b""), Some(Vec::new())));
    pair.alfie().disk.put_all(many);
    assert_eq!(unheld(&pair), [1_000, 0]);
    pair.run().unwrap();
    assert_eq!(unheld(&pair), [0, 0]);
    let cost = pair.alfie().session.stats().received - received;
    assert!(cost < 200, "{cost} bytes came back for 1,000 entries");
}

#[test]
fn entries_that_are_refused_are_told_in_their_order() {
    let (mut trial, range) = announced();
    let entry = |name: &str, time: u64, payload: &[u8]| trial.world.entry(0, name, time, payload);
    let future = TAI + 2 * Policy::default().max_future_micros;
    let newer = entry("d", 50, b"");
    let entries = [
        entry("a", 1, b""),
        entry("b", future, b""),
        entry("c", 2, b""),
        entry("d", 1, b""),
        entry("e", 3, b"0123456789"),
        entry("f", 4, b""),
    ];
    let bad = forged(&entries[2]);
    trial.disk.put(newer, b"");
    for (i, sent) in entries.iter().enumerate() {
        trial.entry(if i == 2 { &bad } else { sent }, &range).unwrap();
        trial.terminate(i == 5).unwrap();
    }
    assert!(trial.receipts.is_empty());
    trial.listen();
    // The first; one of the future; one with a bad signature; one that is obsolete; one without its payload; the last.
    let told = [Stored { count: 1 }, NotStored { count: 2 }, Stored { count: 1 }, NotStored { count: 1 }, Stored { count: 1 }];
    assert_eq!(trial.receipts, told);
}

#[test]
fn receipts_leave_no_sooner_than_the_store_has_the_entries() {
    let (mut trial, range) = announced();
    let entry = trial.world.entry(0, "a", 1, b"");
    trial.entry(&entry, &range).unwrap();
    trial.terminate(true).unwrap();
    let Some(Output::Ingest { batch, entries }) =
        std::iter::from_fn(|| trial.victim.poll_output(NOW, &mut trial.disk.store)).find(|output| matches!(output, Output::Ingest { .. }))
    else {
        panic!("nothing is to be stored")
    };
    trial.listen();
    assert!(trial.receipts.is_empty(), "it is not stored yet");
    let plan = trial.disk.store.plan(entries);
    let outcomes = ready(trial.disk.store.commit(&trial.disk.backend, plan)).unwrap().unwrap();
    trial.victim.handle_ingested(batch, &outcomes, &trial.disk.store);
    trial.listen();
    assert_eq!(trial.receipts, [Stored { count: 1 }]);
}

/// Batches may be stored in any order; receipts keep to that in which the entries came.
#[test]
fn batches_that_are_stored_out_of_order_are_receipted_in_order() {
    let (mut trial, range) = announced();
    let mut batches = Vec::new();
    for (name, payload) in [("a", &b""[..]), ("b", b"left out")] {
        let entry = trial.world.entry(0, name, 1, payload);
        trial.entry(&entry, &range).unwrap();
        trial.terminate(name == "b").unwrap();
        let outputs = std::iter::from_fn(|| trial.victim.poll_output(NOW, &mut trial.disk.store));
        batches.extend(
            outputs.filter_map(|output| if let Output::Ingest { batch, entries } = output { Some((batch, entries)) } else { None }),
        );
    }
    assert_eq!(batches.len(), 2);
    for (batch, entries) in batches.into_iter().rev() {
        let plan = trial.disk.store.plan(entries);
        let outcomes = ready(trial.disk.store.commit(&trial.disk.backend, plan)).unwrap().unwrap();
        trial.victim.handle_ingested(batch, &outcomes, &trial.disk.store);
    }
    trial.listen();
    assert_eq!(trial.receipts, [Stored { count: 1 }, NotStored { count: 1 }]);
}

#[test]
fn receipts_for_what_was_never_sent_end_the_session() {
    for receipt in [Stored { count: 1 }, NotStored { count: 1 }] {
        assert_eq!(alfie("").send(Channel::Control, &receipt.encode()), Err(SyncError::ReceiptUnsent { count: 1 }));
    }
    let all = Stored { count: u64::MAX };
    assert_eq!(alfie("").send(Channel::Control, &all.encode()), Err(SyncError::ReceiptUnsent { count: u64::MAX }));
    // Of a payload that nobody asked for nothing is known, and nothing follows.
    let unasked = ControlMessage::PayloadStored { entry: EntryId([1; 32]) };
    let mut trial = alfie("");
    assert_eq!(trial.send(Channel::Control, &unasked.encode()), Ok(()));
    let told = std::iter::from_fn(|| trial.victim.poll_output(NOW, &mut trial.disk.store));
    assert_eq!(told.filter(|output| matches!(output, Output::Held(_))).count(), 0);
}

/// Whoever does not take an entry says so, and it stays unheld however often it is sent.
#[test]
fn what_the_peer_refuses_stays_unheld() {
    let world = World::new(76);
    let mut setup = Setup::default();
    setup.policy.max_future_micros = 0;
    let mut pair = Pair::new(setup);
    pair.alfie().disk.put(world.entry(0, "future", TAI + 5, b""), b"");
    pair.alfie().disk.put(world.entry(0, "now", TAI, b""), b"");
    begin(&world, &mut pair, Mode::Once);
    pair.run().unwrap();
    assert!(pair.alfie().done.contains_key(&IntentId(1)));
    assert_eq!(unheld(&pair), [1, 0]);
}
