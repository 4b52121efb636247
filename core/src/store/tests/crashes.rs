//! A crash before and after every effect of a scenario: memory is gone, what was committed is there, nothing is there by halves, and the
//! scenario goes on where it was broken off.

use std::collections::BTreeMap;

use willow25::prelude::{Area, TimeRange};

use super::now;
use crate::{
    store::{
        fixture::{Author, namespace, path},
        *,
    },
    willow::{EntryId, FingerprintKey, Summary},
};

/// Everything that lasts: entries with what is there of their payloads, notes. Numbers of changes are not the same in every run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Lasting {
    entries: BTreeMap<String, (EntryId, u64, Vec<u8>)>,
    notes: BTreeMap<String, Vec<u8>>,
    usage: Usage,
}

/// One thing that a node does, as often as it is asked to.
type Effect = Box<dyn Fn(&Store) -> Plan>;

/// An effect on the store, or a note beside it.
enum Step {
    Change(Effect),
    Note(&'static str, Option<&'static [u8]>),
}

/// What is written here, what a sync brings in batches and pieces, what is taken away.
fn scenario() -> Vec<Step> {
    let of = namespace(2);
    let peer = Origin::Peer(SessionId(1));
    let large: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let mut steps = vec![Step::Note("secret/wallet", Some(b"a user")), Step::Note("setting", Some(b"1"))];
    let change = |steps: &mut Vec<Step>, effect: Effect| steps.push(Step::Change(effect));
    for round in 0..4_u8 {
        let (anna, bert) = (|| Author::new(&namespace(2), 1), || Author::new(&namespace(2), 2));
        let (time, name) = (u64::from(round) + 1, round.to_string());
        let (own, sent) = (path(&["own", &name]), path(&["sent", &name]));
        // Written here, with its payload; then by a peer's batch: a new one, one that prunes what was written before, one that is late.
        change(&mut steps, Box::new(move |store| store.plan(vec![anna().writes(&own, time, &[round; 100])])));
        let large_too = large.clone();
        change(&mut steps, {
            let (sent, large) = (sent.clone(), large.clone());
            let before = path(&["own", &round.saturating_sub(1).to_string()]);
            Box::new(move |store| {
                let whole = Incoming { origin: peer, ..bert().writes(&path(&["whole", &sent.to_string()]), time, b"came along") };
                store.plan(vec![
                    bert().sends(&sent, time, &large),
                    anna().sends(&before, time, b"newer"),
                    anna().sends(&before, 0, b"late"),
                    whole,
                ])
            })
        });
        // The payload in pieces; the second overlaps the first.
        for (from, to) in [(0, 20_000), (16_384, 50_000), (50_000, 70_000)] {
            let (sent, large, id) = (sent.clone(), large_too.clone(), bert().entry(&sent, time, &large_too).id);
            let piece = large[from..to].to_vec();
            change(
                &mut steps,
                Box::new(move |store| store.plan_payload((&namespace(2), bert().id(), &sent), &id, from as u64, piece.clone(), peer)),
            );
        }
        if round % 2 == 1 {
            let area = Area::new(Some(bert().id().clone()), path(&["sent", &round.saturating_sub(1).to_string()]), TimeRange::full());
            let of = of.clone();
            change(&mut steps, Box::new(move |store| store.plan_forget(&of, &area)));
            steps.push(Step::Note("setting", if round == 3 { None } else { Some(b"2") }));
        }
    }
    steps
}

fn carry_out(store: &mut Store, backend: &impl Backend, step: &Step) -> Result<(), CommitError> {
    match step {
        Step::Change(effect) => {
            let plan = effect(store);
            now(store.commit(backend, plan)).map(drop)
        }
        Step::Note(name, value) => {
            let change = Change::Note { name: (*name).to_owned(), value: value.map(<[u8]>::to_vec) };
            let batch = Batch { changes: vec![change], progress: store.progress(), history: None, durability: Durability::Strict };
            Ok(now(backend.commit(batch))?)
        }
    }
}

/// What a store and its backend hold.
fn lasting(store: &Store, notes: BTreeMap<String, Vec<u8>>, backend: &impl Backend) -> Lasting {
    let entries = store.entries(&namespace(2), &Area::full()).map(|entry| {
        let payload = now(backend.read_payload(&entry.id(), 0, u64::MAX)).unwrap();
        assert_eq!(payload.len() as u64, entry.available());
        (format!("{:?}{}", entry.subspace_id(), entry.path()), (entry.id(), entry.available(), payload))
    });
    Lasting { entries: entries.collect(), notes, usage: now(backend.usage()).unwrap() }
}

/// What is there for a node that starts now. Its index is whole, and it is what a store in memory would have been.
fn restarted(backend: &impl Backend) -> (Store, Lasting) {
    let (store, notes) = now(Store::open(backend)).unwrap();
    if let Some(index) = store.index(&namespace(2)) {
        index.check();
    }
    let mut sums = BlockSums::new(FingerprintKey::from_session_secret(&[7; 32]));
    let summary = store.summary(&namespace(2), &Area::full(), &mut sums);
    let entries = store.entries(&namespace(2), &Area::full());
    assert_eq!(summary, entries.fold(Summary::default(), |sum, entry| sum.with(sums.key().singleton(&entry.id()))));
    let lasting = lasting(&store, notes, backend);
    (store, lasting)
}

/// What lasts after each number of steps, and the number of the last change, when nothing goes wrong; memory says the same as the storage
/// after each.
fn without_crash(steps: &[Step]) -> Vec<(Lasting, ProgressId)> {
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    let mut states = vec![(Lasting::default(), ProgressId::default())];
    for step in steps {
        carry_out(&mut store, &backend, step).unwrap();
        let (opened, state) = restarted(&backend);
        assert_eq!(lasting(&store, state.notes.clone(), &backend), state);
        assert_eq!(opened.progress(), store.progress());
        states.push((state, store.progress()));
    }
    states
}

#[test]
fn durable_a_crash_before_or_after_any_effect_loses_nothing_and_leaves_nothing_half_done() {
    let steps = scenario();
    let states = without_crash(&steps);
    assert!(states.windows(2).all(|pair| pair[0].0 != pair[1].0), "every step is an effect");
    for fault in [Fault::Before, Fault::After] {
        for crash in 0..steps.len() {
            let (mut store, backend) = (Store::new(), FaultyBackend::new(MemoryBackend::new()));
            for step in &steps[..crash] {
                carry_out(&mut store, &backend, step).unwrap();
            }
            backend.fail_nth(0, fault, StorageError::Unknown("the process was killed".to_owned()));
            carry_out(&mut store, &backend, &steps[crash]).unwrap_err();
            drop(store);
            let (mut store, state) = restarted(backend.inner());
            let expected = &states[if fault == Fault::Before { crash } else { crash + 1 }];
            assert_eq!((state, store.progress()), *expected, "{fault:?} {crash}");
            // What was broken off is done again, as a user or a peer would; once more makes no difference.
            for (step, (state, _)) in steps[crash..].iter().zip(&states[crash + 1..]) {
                let before = store.progress();
                carry_out(&mut store, backend.inner(), step).unwrap();
                assert!(store.progress() >= before);
                assert_eq!(lasting(&store, state.notes.clone(), backend.inner()), *state, "{fault:?} {crash}");
            }
            let (opened, state) = restarted(backend.inner());
            assert_eq!((opened.progress(), &state), (store.progress(), &states[steps.len()].0));
        }
    }
}

#[test]
fn durable_a_node_that_crashes_after_every_single_effect_ends_where_one_that_never_did_ends() {
    let steps = scenario();
    let states = without_crash(&steps);
    let backend = MemoryBackend::new();
    for (step, (state, _)) in steps.iter().zip(&states[1..]) {
        let (mut store, _) = restarted(&backend);
        // A crash before takes the plan away with everything else.
        if let Step::Change(effect) = step {
            let _ = effect(&store);
        }
        carry_out(&mut store, &backend, step).unwrap();
        drop(store);
        assert_eq!(restarted(&backend).1, *state);
    }
}
