//! Target: the store, changed by arbitrary entries that are all authorised, against a list of entries and the specification's rules.

use std::{
    pin::pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use osier_core::{
    SessionId,
    store::{Backend, BlockSums, Incoming, MemoryBackend, Order, Origin, Outcome, StagingId, Store, StoreEvent},
    willow::{
        Area, Entry, EntryId, Entrylike, EntrylikeExt, FingerprintKey, Grouping, Keylike, NamespaceId, Path, PayloadDigest, Range3d,
        SignedEntry, SubspaceId, Summary, TimeRange, WriteCapability,
    },
};

use super::{
    input::Input,
    values::{namespace, user},
};

const COMPONENTS: [&[u8]; 8] = [b"", b"\0", b"\x01", b"\x02", b"a", b"a\0", b"b", b"\xff"];
const PAYLOADS: [&[u8]; 3] = [b"", b"a", b"longer"];

fn authors() -> &'static [(SubspaceId, std::sync::Arc<WriteCapability>)] {
    static AUTHORS: OnceLock<Vec<(SubspaceId, std::sync::Arc<WriteCapability>)>> = OnceLock::new();
    AUTHORS.get_or_init(|| {
        let author = |number| {
            let id = user(number).0;
            (id.clone(), WriteCapability::new_communal(place(), id).into())
        };
        (0..3).map(author).collect()
    })
}

fn place() -> NamespaceId {
    static PLACE: OnceLock<NamespaceId> = OnceLock::new();
    PLACE.get_or_init(|| namespace(false).0).clone()
}

fn path(input: &mut Input<'_>) -> Path {
    let count = input.below(5);
    let components: Vec<&[u8]> = (0..count).map(|_| *input.pick(&COMPONENTS)).collect();
    Path::from_slices(&components).unwrap()
}

fn entry(input: &mut Input<'_>) -> SignedEntry {
    let number = input.below(3);
    let (subspace, capability) = &authors()[number];
    let builder = Entry::builder().namespace_id(place()).subspace_id(subspace.clone()).path(path(input));
    let entry = builder.timestamp(u64::from(input.byte() % 8)).payload(*input.pick(&PAYLOADS)).build();
    SignedEntry::sign(entry, capability.clone(), &user(number as u8).1).unwrap()
}

fn area(input: &mut Input<'_>) -> Area {
    let subspace = authors().get(input.below(4)).map(|(id, _)| id.clone());
    let times = TimeRange::try_new(u64::from(input.byte() % 8).into(), Some(u64::from(input.byte() % 8).into()));
    Area::new(subspace, path(input), times.unwrap_or_else(|_| TimeRange::full()))
}

/// The entries that ought to be there, each with how much of its payload; and those whose payload is staged, and how far.
#[derive(Default)]
struct Model(Vec<(Entry, u64)>, Vec<(Entry, u64)>);

impl Model {
    fn join(&mut self, incoming: &[Incoming]) {
        for one in incoming {
            let entry = &one.entry.entry;
            if one.payload.as_ref().is_some_and(|payload| PayloadDigest::from_payload(payload) != *entry.payload_digest()) {
                continue;
            }
            let staged = self.1.iter().any(|(known, _)| known == entry);
            let available = one.payload.as_ref().filter(|_| !staged).map_or(0, Vec::len) as u64;
            match self.0.iter_mut().find(|(known, _)| known == entry) {
                Some((_, known)) => *known = available.max(*known),
                None => self.0.push((entry.clone(), available)),
            }
        }
        let all = self.0.clone();
        self.0.retain(|(entry, _)| !all.iter().any(|(other, _)| other.prunes(entry)));
        self.0.sort_by(|(a, _), (b, _)| (a.subspace_id(), a.path()).cmp(&(b.subspace_id(), b.path())));
    }

    /// What was staged of entries that have gone has gone with them.
    fn tidy(&mut self) {
        self.1.retain(|(entry, _)| self.0.iter().any(|(known, _)| known == entry));
    }

    fn within(&self, grouping: &impl Grouping) -> Vec<(Entry, u64)> {
        self.0.iter().filter(|(entry, _)| grouping.includes(entry)).cloned().collect()
    }
}

/// `bytes`: one change after another.
pub fn run(bytes: &[u8]) {
    let (mut input, mut store, mut model, backend) = (Input(bytes), Store::with_history(40), Model::default(), MemoryBackend::new());
    let (subscription, _) = store.watch(&place(), &Area::full());
    let mut followed = Model::default();
    let mut sums = BlockSums::new(FingerprintKey::from_session_secret(&[7; 32]));
    for _ in 0..40 {
        if input.is_empty() {
            break;
        }
        change(&mut input, &mut store, &mut model, &backend);
        model.tidy();
        if input.byte() % 2 == 0 {
            follow(&mut store, subscription, &mut followed);
            followed.0.sort_by(|(a, _), (b, _)| (a.subspace_id(), a.path()).cmp(&(b.subspace_id(), b.path())));
            assert_eq!(followed.0, model.0, "a subscription tells another story");
        }
        let area = area(&mut input);
        ask(&store, &Range3d::from(area.clone()), &model, &mut sums, 1 + input.below(6));
        let found: Vec<_> = store.entries(&place(), &area).map(|entry| (entry.entry(), entry.available())).collect();
        assert_eq!(found, model.within(&area));
    }
    // Nobody will prove what is staged.
    for (entry, available) in &mut model.0 {
        *available = if model.1.iter().any(|(staged, _)| staged == entry) { 0 } else { *available };
    }
    let (stored, notes) = now(Store::open(&backend)).unwrap();
    assert!(notes.is_empty());
    ask(&stored, &Range3d::full(), &model, &mut BlockSums::new(sums.key().clone()), 3);
    for (entry, available) in &model.0 {
        let payload = now(backend.read_payload(&EntryId::of(entry), 0, u64::MAX)).unwrap();
        assert_eq!(payload.len() as u64, *available);
        assert!(PAYLOADS.iter().any(|known| known.starts_with(&payload) && PayloadDigest::from_payload(known) == *entry.payload_digest()));
    }
}

fn change(input: &mut Input<'_>, store: &mut Store, model: &mut Model, backend: &MemoryBackend) {
    match input.byte() % 8 {
        0 => {
            let area = area(input);
            now(store.commit(backend, store.plan_forget(&place(), &area))).unwrap();
            model.0.retain(|(entry, _)| !area.includes(entry));
        }
        1 if !model.0.is_empty() => {
            let number = input.below(model.0.len());
            let (entry, available) = &mut model.0[number];
            let payload = *PAYLOADS.iter().find(|known| PayloadDigest::from_payload(known) == *entry.payload_digest()).unwrap();
            let (from, to) = (input.below(9).min(payload.len()), input.below(9).min(payload.len()));
            let bytes = payload.get(from..to).unwrap_or_default().to_vec();
            let at = (&place(), entry.subspace_id(), entry.path());
            if input.once_in(2) {
                return stage(input, store, model, number, backend);
            }
            let plan = store.plan_payload(at, &EntryId::of(entry), from as u64, bytes.clone(), Origin::Local);
            let end = (from + bytes.len()) as u64;
            let staged = model.1.iter().any(|(known, _)| known == entry);
            let expected = match () {
                () if staged => Outcome::Occupied,
                () if from as u64 > *available => Outcome::Gap { available: *available },
                () if end <= *available => Outcome::NothingNew,
                () => Outcome::Extended { available: end, total: payload.len() as u64 },
            };
            assert_eq!(now(store.commit(backend, plan)), Ok(vec![expected]));
            if matches!(expected, Outcome::Extended { .. }) {
                *available = end;
            }
        }
        _ => {
            let incoming: Vec<_> = (0..1 + input.below(9)).map(|_| incoming(input)).collect();
            let outcomes = now(store.commit(backend, store.plan(incoming.clone()))).unwrap();
            model.join(&incoming);
            for (one, outcome) in incoming.iter().zip(outcomes) {
                let here = model.0.iter().any(|(entry, _)| *entry == one.entry.entry);
                match outcome {
                    Outcome::Inserted { .. } | Outcome::AlreadyHere => assert!(here),
                    Outcome::Obsolete => assert!(!here),
                    other => assert_eq!(other, Outcome::PayloadMismatch),
                }
            }
        }
    }
}

/// Stages true bytes of an entry's payload, or ends that.
fn stage(input: &mut Input<'_>, store: &mut Store, model: &mut Model, number: usize, backend: &MemoryBackend) {
    let (entry, available) = &mut model.0[number];
    let (id, at) = (EntryId::of(entry), (&place(), entry.subspace_id(), entry.path()));
    let payload = *PAYLOADS.iter().find(|known| PayloadDigest::from_payload(known) == *entry.payload_digest()).unwrap();
    let total = payload.len() as u64;
    let staged = model.1.iter().position(|(known, _)| known == entry);
    let here = staged.map_or(*available, |staged| model.1[staged].1);
    let (plan, expected) = match input.below(4) {
        0 => {
            let expected = match staged {
                None => Outcome::NothingNew,
                Some(_) if here < total => Outcome::Gap { available: here },
                Some(_) => Outcome::Extended { available: total, total },
            };
            (store.plan_proven(at, &id, StagingId(1), Origin::Import), expected)
        }
        1 => (
            store.plan_unstage(at, &id, StagingId(1), Origin::Import),
            if staged.is_some() { Outcome::Unstaged } else { Outcome::NothingNew },
        ),
        _ => {
            let (from, to) = (input.below(9).min(payload.len()), input.below(9).min(payload.len()));
            let bytes = payload.get(from..to).unwrap_or_default().to_vec();
            let end = (from + bytes.len()) as u64;
            let expected = match () {
                () if from as u64 > here => Outcome::Gap { available: here },
                () if end <= here => Outcome::NothingNew,
                () => Outcome::Staged { end, total },
            };
            (store.plan_stage(at, &id, StagingId(1), from as u64, bytes), expected)
        }
    };
    assert_eq!(now(store.commit(backend, plan)), Ok(vec![expected]));
    match expected {
        Outcome::Extended { available: end, .. } => *available = end,
        Outcome::Unstaged => *available = 0,
        Outcome::Staged { end, .. } => {
            let entry = entry.clone();
            model.1.retain(|(known, _)| *known != entry);
            return model.1.push((entry, end));
        }
        _ => return,
    }
    let entry = entry.clone();
    model.1.retain(|(known, _)| *known != entry);
}

fn incoming(input: &mut Input<'_>) -> Incoming {
    let entry = entry(input);
    let payload = [None, None, Some(*input.pick(&PAYLOADS))][input.below(3)].map(<[u8]>::to_vec);
    Incoming { entry, payload, origin: Origin::Peer(SessionId(1)) }
}

fn ask(store: &Store, range: &Range3d, model: &Model, sums: &mut BlockSums, parts: usize) {
    let expected = model.within(range);
    assert_eq!(store.count(&place(), range), expected.len() as u64);
    let summary = expected.iter().fold(Summary::default(), |sum, (entry, _)| sum.with(sums.key().singleton(&EntryId::of(entry))));
    assert_eq!(store.summary(&place(), range, sums), summary);
    let mut backwards: Vec<_> =
        store.entries_from(&place(), range, Order::Descending, None).map(|entry| (entry.entry(), entry.available())).collect();
    backwards.reverse();
    assert_eq!(backwards, expected);
    let split = store.split(&place(), range, parts);
    let joined: Vec<_> = split.iter().flat_map(|part| model.within(part)).collect();
    assert_eq!(joined.len(), expected.len(), "the parts of a range are not the range");
    assert!(expected.iter().all(|entry| joined.contains(entry)));
}

fn follow(store: &mut Store, subscription: osier_core::store::SubscriptionId, followed: &mut Model) {
    while let Some(event) = store.poll_subscription(subscription) {
        match event {
            StoreEvent::Inserted { entry, available, .. } => followed.0.push((entry.entry(), available)),
            StoreEvent::Pruned { entry, .. } => followed.0.retain(|(known, _)| *known != entry.entry()),
            StoreEvent::Payload { entry, available, .. } => {
                followed.0.iter_mut().filter(|(known, _)| *known == entry.entry()).for_each(|known| known.1 = available);
            }
            StoreEvent::Forgotten(gone) => followed.0.retain(|(known, _)| !gone.area.includes(known)),
            StoreEvent::Lagged(_) => {
                followed.0 = store.entries(&place(), &Area::full()).map(|entry| (entry.entry(), entry.available())).collect();
            }
        }
    }
}

/// The result of a future that never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a future of the core waits for something"),
    }
}

/// A few histories.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut sequence = super::input::Sequence(11);
    (1..12).map(|number| sequence.bytes(number * 40)).collect()
}
