//! The store against a naive model, a list of entries with the definitions of the specification written out, over random histories.

use proptest::prelude::*;
use willow25::prelude::{
    Area, Entry, EntrylikeExt, Grouping, Path, PathRange, PayloadDigest, Range3d, SubspaceId, SubspaceRange, TimeRange, Timestamp,
};

use super::now;
use crate::{
    store::{
        fixture::{Author, namespace},
        *,
    },
    willow::{Coordinatelike, EntryId, Entrylike, FingerprintKey, Keylike, Summary},
};

const PAYLOADS: [&[u8]; 4] = [b"", b"a", b"b", b"longer than the others"];

/// An entry to insert: author, path, time, which payload, and whether it comes with it (2: with a wrong one).
type Spec = (usize, Path, u64, usize, u8);

#[derive(Clone, Debug)]
enum Op {
    Insert(Vec<Spec>),
    Forget(Box<Area>),
    /// For the entry of this number, bytes up to this part (of 4) of its payload.
    Payload(prop::sample::Index, u64),
    /// The next commit fails.
    Fault,
}

fn authors() -> Vec<Author> {
    (1..4).map(|seed| Author::new(&namespace(2), seed)).collect()
}

fn path() -> impl Strategy<Value = Path> {
    let component =
        prop_oneof![6 => Just(&b"a"[..]), 6 => Just(&b"b"[..]), 1 => Just(&b""[..]), 1 => Just(&b"a\0"[..]), 1 => Just(&b"\x01"[..])];
    proptest::collection::vec(component, 0..4).prop_map(|parts| Path::from_slices(&parts).unwrap())
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0u64..8, 1 => Just(u64::MAX)]
}

fn times() -> impl Strategy<Value = TimeRange> {
    prop_oneof![
        2 => Just(TimeRange::full()),
        1 => (0u64..8, 0u64..8).prop_filter_map("empty", |(from, to)| TimeRange::try_new_closed(from.into(), to.into()).ok()),
        1 => (0u64..8).prop_map(|from| TimeRange::new_open(from.into())),
    ]
}

fn subspace() -> impl Strategy<Value = SubspaceId> {
    prop_oneof![4 => (0usize..3).prop_map(|author| authors()[author].id().clone()), 1 => any::<u8>().prop_map(|byte| SubspaceId::from_bytes(&[byte; 32]))]
}

fn area() -> impl Strategy<Value = Area> {
    (proptest::option::of(subspace()), path(), times()).prop_map(|(subspace, path, times)| Area::new(subspace, path, times))
}

fn range() -> impl Strategy<Value = Range3d> {
    let subspaces = (subspace(), proptest::option::of(subspace()));
    let subspaces = prop_oneof![
        1 => Just(SubspaceRange::full()),
        2 => subspaces.prop_filter_map("empty", |(from, to)| SubspaceRange::try_new(from, to).ok()),
    ];
    let paths = (path(), proptest::option::of(path()));
    let paths =
        prop_oneof![1 => Just(PathRange::full()), 2 => paths.prop_filter_map("empty", |(from, to)| PathRange::try_new(from, to).ok())];
    prop_oneof![
        (subspaces, paths, times()).prop_map(|(subspaces, paths, times)| Range3d::new(subspaces, paths, times)),
        area().prop_map(Range3d::from)
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let spec = (0usize..3, path(), time(), 0..PAYLOADS.len(), prop_oneof![3 => Just(0u8), 3 => Just(1), 1 => Just(2)]);
    prop_oneof![
        8 => proptest::collection::vec(spec, 1..12).prop_map(Op::Insert),
        1 => area().prop_map(|area| Op::Forget(Box::new(area))),
        3 => (any::<prop::sample::Index>(), 0u64..=4).prop_map(|(which, part)| Op::Payload(which, part)),
        1 => Just(Op::Fault),
    ]
}

/// What the store ought to hold, in no order.
#[derive(Default, Clone)]
struct Model(Vec<(Entry, u64)>);

impl Model {
    /// The join of the specification: of all entries, those that no other prunes.
    fn join(&mut self, incoming: &[Incoming]) -> Vec<Outcome> {
        let right = |incoming: &Incoming| {
            incoming.payload.as_ref().is_none_or(|payload| PayloadDigest::from_payload(payload) == *incoming.entry.entry.payload_digest())
        };
        let mut all = self.0.clone();
        for one in incoming.iter().filter(|one| right(one)) {
            let available = one.payload.as_ref().map_or(0, |payload| payload.len() as u64);
            match all.iter_mut().find(|(entry, _)| *entry == one.entry.entry) {
                Some((_, known)) => *known = available.max(*known),
                None => all.push((one.entry.entry.clone(), available)),
            }
        }
        let (kept, gone): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|(entry, _)| !all.iter().any(|(other, _)| other.prunes(entry)));
        let old = std::mem::replace(&mut self.0, kept);
        // An old entry counts for the shortest of the new paths that prune it.
        let new: Vec<&Entry> =
            self.0.iter().map(|(entry, _)| entry).filter(|entry| !old.iter().any(|(known, _)| known == *entry)).collect();
        let pruner = |entry: &Entry| new.iter().copied().filter(|by| by.prunes(entry)).min_by_key(|by| by.path().component_count());
        let pruned = |by: &Entry| {
            gone.iter().filter(|(entry, _)| old.iter().any(|(known, _)| known == entry) && pruner(entry) == Some(by)).count() as u64
        };
        // Of equal ones, the first with a payload counts as new, else the first.
        let first = |entry: &Entry| {
            let same = || incoming.iter().enumerate().filter(|(_, one)| one.entry.entry == *entry && right(one));
            same().find(|(_, one)| one.payload.is_some()).or(same().next()).map(|(number, _)| number)
        };
        let outcome = |(number, one): (usize, &Incoming)| match &one.entry.entry {
            _ if !right(one) => Outcome::PayloadMismatch,
            entry if !self.0.iter().any(|(kept, _)| kept == entry) => Outcome::Obsolete,
            entry if new.contains(&entry) && first(entry) == Some(number) => Outcome::Inserted { pruned: pruned(entry) },
            _ => Outcome::AlreadyHere,
        };
        incoming.iter().enumerate().map(outcome).collect()
    }

    /// In order.
    fn sorted(&self) -> Vec<(Entry, u64)> {
        let mut sorted = self.0.clone();
        sorted.sort_by(|(a, _), (b, _)| (a.subspace_id(), a.path()).cmp(&(b.subspace_id(), b.path())));
        sorted
    }

    fn within(&self, grouping: &impl Grouping) -> Vec<(Entry, u64)> {
        self.sorted().into_iter().filter(|(entry, _)| grouping.includes(entry)).collect()
    }
}

fn plain<'a>(entries: impl Iterator<Item = EntryRef<'a>>) -> Vec<(Entry, u64)> {
    entries.map(|entry| (entry.entry(), entry.available())).collect()
}

fn incoming(authors: &[Author], (author, path, time, payload, with): &Spec) -> Incoming {
    let bytes = PAYLOADS[*payload];
    let mut incoming = authors[*author].sends(path, *time, bytes);
    incoming.payload = [None, Some(bytes.to_vec()), Some(b"wrong".to_vec())][usize::from(*with)].clone();
    incoming
}

/// The store, its storage, a follower and the model, side by side.
struct Run {
    authors: Vec<Author>,
    store: Store,
    backend: FaultyBackend<MemoryBackend>,
    model: Model,
    subscription: SubscriptionId,
    followed: Vec<(Entry, u64)>,
    seen: u64,
}

impl Run {
    fn new() -> Self {
        let mut store = Store::new();
        let (subscription, _) = store.watch(&namespace(2), &Area::full());
        let backend = FaultyBackend::new(MemoryBackend::new());
        Self { authors: authors(), store, backend, model: Model::default(), subscription, followed: Vec::new(), seen: 0 }
    }

    /// Commits and applies, however often the backend fails.
    fn commit(&mut self, plan: impl Fn(&Store) -> Plan) -> Vec<Outcome> {
        loop {
            let plan = plan(&self.store);
            if let Ok(outcomes) = now(self.store.commit(&self.backend, plan)) {
                return outcomes;
            }
            self.check();
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Insert(specs) => {
                let batch: Vec<_> = specs.iter().map(|spec| incoming(&self.authors, spec)).collect();
                let outcomes = self.commit(|store| store.plan(batch.clone()));
                assert_eq!(outcomes, self.model.join(&batch));
            }
            Op::Forget(area) => {
                let outcomes = self.commit(|store| store.plan_forget(&namespace(2), area));
                let before = self.model.0.len();
                self.model.0.retain(|(entry, _)| !area.includes(entry));
                assert_eq!(outcomes, [Outcome::Forgotten { count: (before - self.model.0.len()) as u64 }]);
            }
            Op::Payload(which, part) if !self.model.0.is_empty() => {
                let number = which.index(self.model.0.len());
                let (entry, available) = self.model.0[number].clone();
                let payload = PAYLOADS.iter().find(|payload| PayloadDigest::from_payload(payload) == *entry.payload_digest()).unwrap();
                let end = payload.len() as u64 * part / 4;
                let (from, to) = (usize::try_from(available.min(end)).unwrap(), usize::try_from(end).unwrap());
                let at = (&namespace(2), entry.subspace_id(), entry.path());
                let outcomes = self
                    .commit(|store| store.plan_payload(at, &EntryId::of(&entry), from as u64, payload[from..to].to_vec(), Origin::Local));
                let total = payload.len() as u64;
                let expected = if end > available { Outcome::Extended { available: end, total } } else { Outcome::NothingNew };
                assert_eq!(outcomes, [expected]);
                self.model.0[number].1 = end.max(available);
            }
            Op::Payload(..) => {}
            Op::Fault => self.backend.fail_nth(0, Fault::Before, StorageError::Full),
        }
        self.follow();
    }

    /// What a subscriber makes of the events.
    fn follow(&mut self) {
        while let Some(event) = self.store.poll_subscription(self.subscription) {
            self.seen += 1;
            assert_eq!(event.progress(), ProgressId(self.seen));
            let gone = |followed: &mut Vec<(Entry, u64)>, gone: &dyn Fn(&Entry) -> bool| {
                let before = followed.len();
                followed.retain(|(entry, _)| !gone(entry));
                before - followed.len()
            };
            match event {
                StoreEvent::Inserted { entry, available, .. } => self.followed.push((entry.entry(), available)),
                StoreEvent::Pruned { entry, .. } => assert_eq!(gone(&mut self.followed, &|known| *known == entry.entry()), 1),
                StoreEvent::Forgotten(what) => {
                    assert_eq!(gone(&mut self.followed, &|known| what.area.includes(known)) as u64, what.count)
                }
                StoreEvent::Payload { entry, available, .. } => {
                    self.followed.iter_mut().filter(|(known, _)| *known == entry.entry()).for_each(|known| known.1 = available);
                }
                StoreEvent::Lagged(lagged) => panic!("{lagged}"),
            }
        }
    }

    fn check(&self) {
        if let Some(index) = self.store.index(&namespace(2)) {
            index.check();
        }
        let expected = self.model.sorted();
        assert_eq!(plain(self.store.entries(&namespace(2), &Area::full())), expected);
        assert_eq!(Model(self.followed.clone()).sorted(), expected);
        let (stored, _) = now(Store::open(self.backend.inner())).unwrap();
        assert_eq!(plain(stored.entries(&namespace(2), &Area::full())), expected);
        assert_eq!(stored.progress(), self.store.progress());
        for (entry, available) in expected {
            let payload = now(self.backend.inner().read_payload(&EntryId::of(&entry), 0, u64::MAX)).unwrap();
            assert_eq!(payload.len() as u64, available);
            assert!(
                PAYLOADS.iter().any(|known| known.starts_with(&payload) && PayloadDigest::from_payload(known) == *entry.payload_digest())
            );
        }
    }

    /// Every query about what lies within these bounds.
    fn ask(&self, bounds: &Bounds, expected: &[(Entry, u64)], sums: &mut BlockSums, limit: usize) {
        let (store, namespace) = (&self.store, &namespace(2));
        assert_eq!(plain(store.entries(namespace, bounds)), expected);
        assert_eq!(store.count(namespace, bounds), expected.len() as u64);
        assert_eq!(store.size(namespace, bounds), expected.iter().map(|(entry, _)| entry.payload_length()).sum::<u64>());
        let summary = expected.iter().fold(Summary::default(), |sum, (entry, _)| sum.with(sums.key().singleton(&EntryId::of(entry))));
        assert_eq!(store.summary(namespace, bounds, sums), summary);
        for order in [Order::Ascending, Order::Descending] {
            let (mut listed, mut cursor) = (Vec::new(), None);
            loop {
                let (page, next) = store.page(namespace, bounds, order, cursor.as_ref(), limit);
                assert!(page.len() == limit || next.is_none());
                listed.extend(plain(page.into_iter()));
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            if order == Order::Descending {
                listed.reverse();
            }
            assert_eq!(listed, expected);
        }
    }

    fn ask_split(&self, range: &Range3d, parts: usize, probes: &[(SubspaceId, Path, u64)]) {
        let split = self.store.split(&namespace(2), range, parts);
        let counts: Vec<_> = split.iter().map(|part| self.store.count(&namespace(2), part)).collect();
        let total = self.store.count(&namespace(2), range);
        assert_eq!(counts.iter().sum::<u64>(), total);
        assert_eq!(split.len() as u64, (parts as u64).min(total).max(1));
        assert!(total == 0 || !counts.contains(&0));
        for (subspace, path, time) in probes {
            let place = (subspace.clone(), path.clone(), Timestamp::from(*time));
            let holding = split.iter().filter(|part| part.includes(&place)).count();
            assert_eq!(holding, usize::from(range.includes(&place)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_the_join_of_all_that_came(
        ops in proptest::collection::vec(op(), 1..14),
        area in area(),
        range in range(),
        probes in proptest::collection::vec((subspace(), path(), time()), 12),
        parts in 1usize..9,
        limit in 1usize..5,
    ) {
        let mut run = Run::new();
        let mut sums = BlockSums::new(FingerprintKey::from_session_secret(&[7; 32]));
        for op in &ops {
            run.step(op);
            run.check();
            run.ask(&Bounds::from(&area), &run.model.within(&area), &mut sums, limit);
            run.ask(&Bounds::from(&range), &run.model.within(&range), &mut sums, limit);
        }
        run.ask_split(&range, parts, &probes);
        run.ask_split(&Range3d::full(), parts, &probes);
        for (subspace, path, _) in &probes {
            let same = |entry: &Entry| entry.subspace_id() == subspace;
            let here = run.model.0.iter().find(|(entry, _)| same(entry) && entry.path() == path).cloned();
            prop_assert_eq!(run.store.get(&namespace(2), subspace, path).map(|entry| (entry.entry(), entry.available())), here);
            let on_line = |entry: &Entry| entry.path().is_prefix_of(path) || path.is_prefix_of(entry.path());
            let in_way = run.model.0.iter().filter(|(entry, _)| same(entry) && on_line(entry)).map(|(entry, _)| entry.timestamp()).max();
            prop_assert_eq!(run.store.newest_in_way(&namespace(2), subspace, path), in_way);
        }
    }
}
