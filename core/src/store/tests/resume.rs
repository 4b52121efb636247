//! Subscriptions over restarts, lost power and short histories, against a naive model: a list of all that happened.

use std::collections::BTreeSet;

use proptest::prelude::*;
use willow25::prelude::Area;

use super::now;
use crate::store::{
    fixture::{Author, namespace, path},
    *,
};

/// So few changes are kept.
const LIMIT: usize = 6;

#[derive(Clone, Debug)]
enum Op {
    /// A batch of so many new entries, written here or sent by a peer.
    Insert(usize, bool),
    /// The store is opened again; of the relaxed batches since the last strict one so many are lost, as far as there are so many.
    Restart(usize),
    /// The same, and the clock says so many half blocks.
    Clock(u64),
    /// The history of earlier runs is read.
    Read,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..4usize, any::<bool>()).prop_map(|(count, here)| Op::Insert(count, here)),
        1 => (LIMIT..LIMIT + 3).prop_map(|count| Op::Insert(count, false)),
        3 => prop_oneof![Just(0usize), 0..3usize].prop_map(Op::Restart),
        1 => (0..40u64).prop_map(Op::Clock),
        3 => Just(Op::Read),
    ]
}

struct Run {
    author: Author,
    store: Store,
    /// The disk after the last strict batch, and after each relaxed one since.
    disks: Vec<MemoryBackend>,
    /// What happened and was not lost, by number.
    happened: Vec<(ProgressId, String)>,
    /// How much of that had happened when the store was opened.
    opened: usize,
    has_read: bool,
    given_out: BTreeSet<ProgressId>,
    count: usize,
    /// A subscription from the beginning of this run, and what it has seen.
    live: SubscriptionId,
    seen: usize,
}

impl Run {
    fn new() -> Self {
        let (author, backend) = (Author::new(&namespace(2), 1), MemoryBackend::new());
        let mut store = open(&backend);
        let live = store.subscribe(&namespace(2), &Area::full(), None).unwrap();
        let (happened, given_out, has_read) = (Vec::new(), BTreeSet::new(), false);
        Self { author, store, disks: vec![backend], happened, opened: 0, has_read, given_out, count: 0, live, seen: 0 }
    }

    fn disk(&self) -> &MemoryBackend {
        self.disks.last().unwrap()
    }

    fn insert(&mut self, count: usize, here: bool) {
        // Two digits, so that the order of names is that of paths.
        let names: Vec<_> = (self.count..self.count + count).map(|i| format!("/{i:04}")).collect();
        self.count += count;
        let incoming = names.iter().map(|name| {
            let path = path(&[&name[1..]]);
            if here { self.author.writes(&path, 1, b"") } else { self.author.sends(&path, 1, b"") }
        });
        let mut plan = self.store.plan(incoming.collect());
        let batch = plan.take_batch();
        let disk = self.disk().clone();
        if batch.durability == Durability::Strict {
            self.disks.clear();
        }
        now(disk.commit(batch)).unwrap();
        self.disks.push(disk);
        self.store.apply(plan).unwrap();
        let last = self.store.progress().0;
        for (name, number) in names.into_iter().zip(last + 1 - count as u64..) {
            assert!(self.given_out.insert(ProgressId(number)), "{number} was given out twice");
            self.happened.push((ProgressId(number), name));
        }
    }

    fn restart(&mut self, lost: usize) {
        let keep = self.disks.len().saturating_sub(lost).max(1);
        self.disks.truncate(keep);
        self.store = open(self.disk());
        self.happened.retain(|(number, _)| *number <= self.store.progress());
        assert_eq!(self.happened.last().map_or(ProgressId(0), |last| last.0), self.store.progress());
        self.opened = self.happened.len();
        self.has_read = false;
        self.live = self.store.subscribe(&namespace(2), &Area::full(), None).unwrap();
        self.seen = self.opened;
    }

    fn read(&mut self) {
        if let Some(mut reader) = self.store.history_reader(ProgressId(0)) {
            now(reader.read(self.disk())).unwrap();
            assert_eq!(reader.damaged(), 0);
            self.store.restore_history(reader);
        }
        self.has_read = true;
    }

    /// Each number that was ever given out, those around it, and no others, are places to go on from iff the model says so.
    fn check(&mut self) {
        let start = self.happened.len().saturating_sub(LIMIT).max(if self.has_read { 0 } else { self.opened });
        let mut asked: BTreeSet<_> =
            self.given_out.iter().flat_map(|number| [number.0 - 1, number.0, number.0 + 1]).map(ProgressId).collect();
        asked.extend([0, 1, u64::MAX].map(ProgressId));
        for from in asked {
            let place = match self.happened.iter().position(|(number, _)| *number == from) {
                Some(place) => Some(place + 1),
                None => (from == ProgressId(0)).then_some(0),
            };
            let expected = place.filter(|place| *place >= start).map(|place| self.happened[place..].to_vec());
            let found = self.store.subscribe(&namespace(2), &Area::full(), Some(from));
            let lagged = Lagged { seen: from, now: self.store.progress() };
            assert_eq!(found.map(|id| self.drain(id)), expected.ok_or(lagged), "from {from:?} of {:?}", self.happened);
        }
    }

    fn drain(&mut self, id: SubscriptionId) -> Vec<(ProgressId, String)> {
        let store = &mut self.store;
        let told = |event| match event {
            StoreEvent::Inserted { progress, entry, .. } => (progress, entry.path().to_string()),
            other => panic!("{other:?}"),
        };
        let told = std::iter::from_fn(|| store.poll_subscription(id)).map(told).collect();
        assert!(store.unsubscribe(id));
        told
    }

    /// A subscription that has lived through this run sees everything, unless it falls behind.
    fn follow(&mut self) {
        let behind = self.happened.len() - self.seen;
        let events: Vec<_> = std::iter::from_fn(|| self.store.poll_subscription(self.live)).collect();
        match events.as_slice() {
            [StoreEvent::Lagged(_)] => assert!(behind > LIMIT),
            events => assert_eq!(
                events.iter().map(StoreEvent::progress).collect::<Vec<_>>(),
                self.happened[self.seen..].iter().map(|(number, _)| *number).collect::<Vec<_>>()
            ),
        }
        self.seen = self.happened.len();
    }
}

fn open(backend: &MemoryBackend) -> Store {
    let mut store = Store::with_history(LIMIT);
    store.restore(now(backend.load(LoadCursor::default())).unwrap());
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_subscription_resumes_where_all_that_followed_is_known_and_nowhere_else(ops in proptest::collection::vec(op(), 1..24)) {
        let mut run = Run::new();
        for op in ops {
            match op {
                Op::Insert(count, here) => run.insert(count, here),
                Op::Restart(lost) => run.restart(lost),
                Op::Clock(half_blocks) => {
                    run.restart(0);
                    run.store.begin_after(half_blocks << 19);
                }
                Op::Read => run.read(),
            }
            run.check();
            if run.count.is_multiple_of(3) {
                run.follow();
            }
        }
        let kept = now(run.disk().history(HistoryKey(0))).unwrap();
        prop_assert!(kept.len() <= LIMIT + 1, "the history on the disk is not trimmed: {}", kept.len());
    }
}
