//! Drafts: payloads on the disk before their entry, of which nobody knows before it is there, whatever happens.

use willow25::prelude::{Area, Path};

use super::now;
use crate::{
    store::{
        fixture::{Author, namespace, path},
        *,
    },
    willow::SignedEntry,
};

const PAYLOAD: &[u8] = b"a payload that is too long for the memory";
const TOTAL: u64 = PAYLOAD.len() as u64;

struct World {
    store: Store,
    backend: MemoryBackend,
    author: Author,
    entry: SignedEntry,
}

fn place() -> Path {
    path(&["a", "b"])
}

impl World {
    /// With an older entry at the place.
    fn new() -> Self {
        let author = Author::new(&namespace(2), 1);
        let entry = author.sends(&place(), 5, PAYLOAD).entry;
        let mut world = Self { store: Store::new(), backend: MemoryBackend::new(), author, entry };
        assert_eq!(world.write(&place(), 1, b"older"), Outcome::Inserted { pruned: 0 });
        world
    }

    fn commit(&mut self, plan: Plan) -> Outcome {
        now(self.store.commit(&self.backend, plan)).unwrap()[0]
    }

    /// Writes something else, at once.
    fn write(&mut self, path: &Path, timestamp: u64, payload: &[u8]) -> Outcome {
        let plan = self.store.plan(vec![self.author.writes(path, timestamp, payload)]);
        self.commit(plan)
    }

    fn draft(&mut self, from: usize, to: usize) -> Outcome {
        let plan = self.store.plan_draft(&self.entry, from as u64, PAYLOAD[from..to].to_vec());
        self.commit(plan)
    }

    fn finish(&mut self) -> Outcome {
        let plan = self.store.plan_drafted(self.entry.clone(), Origin::Local);
        self.commit(plan)
    }

    fn discard(&mut self) -> Outcome {
        let plan = self.store.plan_discard(self.entry.id);
        self.commit(plan)
    }

    /// What is in memory, after it was found to be what is on the disk: entries at the place, bytes of payloads; and how many notes there are.
    fn there(&self) -> (Option<u64>, u64, usize) {
        let here = |store: &Store| {
            store.get(&namespace(2), self.author.id(), &place()).map(|entry| (entry.id(), entry.available(), entry.payload_length()))
        };
        let mut on_disk = Store::new();
        let chunk = now(self.backend.load(LoadCursor::default())).unwrap();
        let notes = chunk.notes.len();
        on_disk.restore(chunk);
        assert_eq!(here(&self.store), here(&on_disk));
        let bytes = now(self.backend.usage()).unwrap().payload_bytes;
        (here(&self.store).map(|(_, available, total)| if available == total { total } else { 0 }), bytes, notes)
    }

    fn on_disk(&self) -> Vec<u8> {
        now(self.backend.read_payload(&self.entry.id, 0, u64::MAX)).unwrap()
    }

    /// Whether anything of the draft is left on the disk.
    fn is_left(&self) -> bool {
        let change = Change::Draft { id: self.entry.id, offset: 1, bytes: vec![0] };
        now(self.backend.clone().commit(Batch { changes: vec![change], ..Batch::default() }))
            != Err(StorageError::Misfit("a gap in a payload"))
    }
}

#[test]
fn a_draft_is_there_when_its_entry_is() {
    let mut world = World::new();
    let (subscription, _) = world.store.watch(&namespace(2), &Area::full());
    let progress = world.store.progress();
    assert_eq!(world.draft(0, 20), Outcome::Staged { end: 20, total: TOTAL });
    assert_eq!(world.draft(20, PAYLOAD.len()), Outcome::Staged { end: TOTAL, total: TOTAL });
    assert_eq!(world.there(), (Some(5), 5, 1));
    assert_eq!((world.store.poll_subscription(subscription), world.store.progress()), (None, progress));
    assert_eq!(world.finish(), Outcome::Inserted { pruned: 1 });
    assert_eq!((world.there(), world.on_disk().as_slice()), ((Some(TOTAL), TOTAL, 0), PAYLOAD));
    assert!(matches!(world.store.poll_subscription(subscription), Some(StoreEvent::Pruned { .. })));
    let event = world.store.poll_subscription(subscription);
    assert!(matches!(event, Some(StoreEvent::Inserted { available: TOTAL, origin: Origin::Local, .. })), "{event:?}");
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let mut world = World::new();
    world.draft(0, 20);
    assert!(world.is_left());
    assert_eq!(world.discard(), Outcome::Unstaged);
    assert_eq!((world.there(), world.is_left()), ((Some(5), 5, 0), false));
    assert_eq!(world.discard(), Outcome::NothingNew);
    // Another one begins anew.
    assert_eq!(world.draft(0, PAYLOAD.len()), Outcome::Staged { end: TOTAL, total: TOTAL });
    assert_eq!(world.finish(), Outcome::Inserted { pruned: 1 });
}

#[test]
fn a_crash_leaves_no_draft() {
    let mut world = World::new();
    world.draft(0, 20);
    let (store, notes) = now(Store::open(&world.backend)).unwrap();
    assert!(notes.is_empty());
    world.store = store;
    assert_eq!((world.there(), world.is_left()), ((Some(5), 5, 0), false));
}

/// A note about an entry that is there is no reason to remove it.
#[test]
fn a_note_of_a_draft_harms_no_entry() {
    let mut world = World::new();
    world.draft(0, PAYLOAD.len());
    world.finish();
    let names = [format!("{DRAFT}{}", world.entry.id), format!("{DRAFT}nothing")];
    let changes = names.map(|name| Change::Note { name, value: Some(vec![]) }).into();
    now(world.backend.commit(Batch { changes, ..Batch::default() })).unwrap();
    world.store = now(Store::open(&world.backend)).unwrap().0;
    assert_eq!(world.there(), (Some(TOTAL), TOTAL, 0));
}

#[test]
fn an_obsolete_draft_goes() {
    let mut world = World::new();
    world.draft(0, PAYLOAD.len());
    world.write(&path(&["a"]), 9, b"newer");
    assert_eq!(world.finish(), Outcome::Obsolete);
    assert_eq!((world.there(), world.is_left()), ((None, 5, 0), false));
}

#[test]
fn a_draft_that_is_not_all_there_is_no_payload() {
    let mut world = World::new();
    assert_eq!(world.finish(), Outcome::Gap { available: 0 });
    world.draft(0, 20);
    assert_eq!(world.finish(), Outcome::Gap { available: 20 });
    assert_eq!((world.there(), world.is_left()), ((Some(5), 5, 0), false));
}

#[test]
fn bytes_are_drafted_in_their_order_by_one_alone() {
    let mut world = World::new();
    assert_eq!(world.draft(20, 30), Outcome::Gap { available: 0 });
    assert_eq!(world.draft(0, 20), Outcome::Staged { end: 20, total: TOTAL });
    assert_eq!(world.draft(0, 20), Outcome::Occupied);
    assert_eq!(world.draft(19, 30), Outcome::Gap { available: 20 });
    let beyond = world.store.plan_draft(&world.entry, 20, vec![0; PAYLOAD.len()]);
    assert_eq!(world.commit(beyond), Outcome::BeyondEnd);
    assert_eq!(world.draft(20, PAYLOAD.len()), Outcome::Staged { end: TOTAL, total: TOTAL });
    assert_eq!(world.finish(), Outcome::Inserted { pruned: 1 });
    assert_eq!(world.draft(0, 20), Outcome::AlreadyHere);
}

/// The same entry, written on another device of the user, comes meanwhile.
#[test]
fn an_entry_that_comes_first_replaces_its_draft() {
    for with_payload in [true, false] {
        let mut world = World::new();
        world.draft(0, 20);
        let payload = with_payload.then(|| PAYLOAD.to_vec());
        let plan = world.store.plan(vec![Incoming { entry: world.entry.clone(), payload, origin: Origin::UnknownPeer }]);
        assert_eq!(world.commit(plan), Outcome::Inserted { pruned: 1 });
        let bytes = if with_payload { PAYLOAD } else { b"" };
        assert_eq!((world.on_disk().as_slice(), world.there().2), (bytes, 0));
        assert_eq!(world.draft(20, 30), Outcome::AlreadyHere);
        assert_eq!((world.discard(), world.on_disk().as_slice()), (Outcome::NothingNew, bytes));
    }
}

/// What is drafted can be written again; what was acknowledged is on the disk.
#[test]
fn a_finished_draft_is_durable() {
    let mut world = World::new();
    assert_eq!(world.store.plan_draft(&world.entry, 0, PAYLOAD.to_vec()).take_batch().durability, Durability::Relaxed);
    world.draft(0, PAYLOAD.len());
    assert_eq!(world.store.plan_drafted(world.entry.clone(), Origin::Local).take_batch().durability, Durability::Strict);
}

#[test]
fn a_disk_that_fails_leaves_memory_and_disk_in_agreement() {
    for failing in 0..3 {
        let mut world = World::new();
        let backend = FaultyBackend::new(std::mem::take(&mut world.backend));
        backend.fail_nth(failing, Fault::Before, StorageError::Full);
        let steps: [&dyn Fn(&Store) -> Plan; 3] = [
            &|store| store.plan_draft(&world.entry, 0, PAYLOAD[..20].to_vec()),
            &|store| store.plan_draft(&world.entry, 20, PAYLOAD[20..].to_vec()),
            &|store| store.plan_drafted(world.entry.clone(), Origin::Local),
        ];
        for (step, plan) in (0..=failing).zip(steps) {
            let done = now(world.store.commit(&backend, plan(&world.store)));
            assert_eq!(done.is_err(), step == failing, "{done:?}");
        }
        let plan = world.store.plan_discard(world.entry.id);
        now(world.store.commit(&backend, plan)).unwrap();
        world.backend = backend.inner().clone();
        assert_eq!((world.there(), world.is_left()), ((Some(5), 5, 0), false));
    }
}
