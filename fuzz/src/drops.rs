//! Target: drops, read into a store. Whatever comes in, what is available there was signed by somebody and is true, byte for byte; and a
//! process that is killed half-way leaves it so.

use std::{
    pin::pin,
    sync::OnceLock,
    task::{Context, Poll, Waker},
};

use osier_core::{
    drops::{DropOutput, DropReader, DropWriter, DropWriterOutput, DroppedPayload},
    store::{Backend, Incoming, MemoryBackend, Origin, Outcome, StagingId, Store, StoredEntry},
    willow::{Area, Entrylike, Keylike, Namespaced, SignedEntry},
};

use super::{
    input::Input,
    values::{namespace, signed},
};

const BY: StagingId = StagingId(1);

/// `bytes`: which drop, in which pieces, with which changes; or a drop as it is.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut import = Import::default();
    let kind = input.byte() % 8;
    let (size, stop) = (1 + input.below(200) * 500, usize::from(input.byte()));
    let drop = match kind {
        0 => input.rest().to_vec(),
        _ => {
            let mut drop = input.pick(drops()).clone();
            if kind > 1 {
                input.change(&mut drop);
            }
            drop
        }
    };
    let mut reader = DropReader::new();
    let mut pieces = drop.chunks(size).enumerate();
    let ended = loop {
        match reader.poll() {
            Ok(Some(output)) => {
                if import.take_in(output) {
                    break true;
                }
            }
            Ok(None) => match pieces.next() {
                Some((number, _)) if kind % 2 == 0 && number == stop => break false,
                Some((_, piece)) => reader.handle_bytes(piece.to_vec()),
                None => reader.handle_end(),
            },
            Err(error) => {
                assert_eq!(reader.poll(), Err(error));
                break false;
            }
        }
    };
    assert!(ended || kind != 1, "a true drop is refused");
    if ended || input.once_in(2) {
        import.give_up();
    } else {
        (import.store, _) = now(Store::open(&import.backend)).unwrap();
    }
    import.check();
}

/// Entries with their payloads.
fn known() -> &'static [(SignedEntry, Vec<u8>)] {
    static KNOWN: OnceLock<Vec<(SignedEntry, Vec<u8>)>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let bytes = |length: usize| (0..length).map(|at| (at * 7 + at / 251) as u8).collect::<Vec<u8>>();
        let with =
            |owned, chain: &[u8], components: &[&[u8]], time, payload: Vec<u8>| (signed(owned, chain, components, time, &payload), payload);
        vec![
            with(true, &[1], &[b"a"], 9, bytes(5)),
            with(true, &[1, 2], &[b"b", b""], 70_000, bytes(0)),
            with(true, &[1, 2, 3], &[b"b", b"c"], u64::MAX, bytes(3000)),
            with(true, &[1, 2, 4, 5], &[b"c", b"b", b"d", b"e"], 500, bytes(70)),
            with(true, &[1], &[b"d"], 1, bytes((1 << 20) + 100)),
            with(false, &[1], &[b"a", b"b"], 9, bytes(20_000)),
            with(false, &[1, 6], &[b"b"], 3, bytes(1)),
        ]
    })
}

/// True drops.
fn drops() -> &'static [Vec<u8>] {
    static DROPS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    DROPS.get_or_init(|| {
        let incoming = |(entry, payload): &(SignedEntry, Vec<u8>), here| {
            let payload = (here != Some(payload.len())).then(|| payload.clone());
            Incoming { entry: entry.clone(), payload, origin: Origin::Local }
        };
        // Without the long payload, without the one of 70 bytes, with all.
        let stores = [Some((1 << 20) + 100), Some(70), None].map(|left_out| {
            let (mut store, backend) = (Store::new(), MemoryBackend::new());
            now(store.commit(&backend, store.plan(known().iter().map(|known| incoming(known, left_out)).collect()))).unwrap();
            (store, backend)
        });
        let drops = stores.iter().flat_map(|(store, backend)| [true, false].map(|owned| written(store, backend, owned)));
        drops.collect()
    })
}

fn written(store: &Store, backend: &MemoryBackend, owned: bool) -> Vec<u8> {
    let (mut writer, mut drop) = (DropWriter::new(namespace(owned).0, &Area::full()), Vec::new());
    while let Some(output) = writer.poll(store).unwrap() {
        match output {
            DropWriterOutput::ReadPayload { read, entry, offset, len } => {
                writer.handle_payload(read, now(backend.read_payload(&entry, offset, len)).unwrap());
            }
            DropWriterOutput::Bytes(bytes) => drop.extend(bytes),
            DropWriterOutput::Done => break,
        }
    }
    drop
}

/// A store that a drop is read into.
#[derive(Default)]
struct Import {
    store: Store,
    backend: MemoryBackend,
    /// The entry whose long payload comes.
    long: Option<SignedEntry>,
}

impl Import {
    /// Whether the drop has ended.
    fn take_in(&mut self, output: DropOutput) -> bool {
        match output {
            DropOutput::Entries(entries) => {
                assert!(!entries.is_empty() && self.long.is_none());
                let last = entries.len() - 1;
                let mut incoming = Vec::new();
                for (number, dropped) in entries.into_iter().enumerate() {
                    let payload = match dropped.payload {
                        DroppedPayload::Whole(bytes) => Some(bytes),
                        DroppedPayload::Missing => None,
                        DroppedPayload::Follows => {
                            assert_eq!(number, last);
                            self.long = Some(dropped.entry.clone());
                            None
                        }
                    };
                    incoming.push(Incoming { entry: dropped.entry, payload, origin: Origin::Import });
                }
                let plan = self.store.plan(incoming);
                let outcomes = now(self.store.commit(&self.backend, plan)).unwrap();
                assert!(!outcomes.contains(&Outcome::PayloadMismatch), "a payload that is not its entry's");
                self.check();
            }
            DropOutput::Unverified { offset, bytes } => {
                let entry = self.long.clone().unwrap().into_parts().0;
                let id = osier_core::willow::EntryId::of(&entry);
                let plan = self.store.plan_stage((entry.namespace_id(), entry.subspace_id(), entry.path()), &id, BY, offset, bytes);
                now(self.store.commit(&self.backend, plan)).unwrap();
                self.check();
            }
            DropOutput::Verified(outboard) => {
                let entry = self.long.take().unwrap();
                assert_eq!(outboard.digest(), *entry.entry.payload_digest());
                let place = (entry.entry.namespace_id(), entry.entry.subspace_id(), entry.entry.path());
                let plan = self.store.plan_proven(place, &entry.id, BY, Origin::Import);
                now(self.store.commit(&self.backend, plan)).unwrap();
                self.check();
            }
            DropOutput::Done => return true,
        }
        false
    }

    /// The drop does not go on.
    fn give_up(&mut self) {
        if let Some(entry) = self.long.take() {
            let place = (entry.entry.namespace_id(), entry.entry.subspace_id(), entry.entry.path());
            let plan = self.store.plan_unstage(place, &entry.id, BY, Origin::Import);
            now(self.store.commit(&self.backend, plan)).unwrap();
        }
    }

    /// Everything that is available is true.
    fn check(&self) {
        let namespaces = [true, false].map(|owned| namespace(owned).0);
        let all = namespaces.iter().flat_map(|namespace| self.store.entries(namespace, &Area::full()));
        for entry in all {
            let stored: &StoredEntry = entry.stored();
            let (_, payload) = known().iter().find(|(known, _)| known.id == stored.id()).expect("an entry that nobody signed");
            let here = now(self.backend.read_payload(&stored.id(), 0, entry.available())).unwrap();
            assert_eq!(here.len() as u64, entry.available());
            assert!(payload.starts_with(&here), "available bytes that are not the payload's");
        }
        assert!(self.store.len() <= known().len() as u64);
    }
}

/// The result of a future that never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a future of the core waits for something"),
    }
}

/// Each drop, whole, cut and changed.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut sequence = super::input::Sequence(23);
    let count = drops().len() as u8;
    let mut seeds: Vec<Vec<u8>> = (1..8)
        .flat_map(|kind| (0..count).map(move |drop| vec![kind, 199, 3 * drop, drop]))
        .map(|head| [head, sequence.bytes(12)].concat())
        .collect();
    // As they are, those that are short.
    seeds.extend(drops().iter().filter(|drop| drop.len() < 100_000).map(|drop| [&[0, 60, 255][..], drop].concat()));
    seeds
}
