//! Staged payloads: on the disk, and not there before they are proven, whatever happens.

use willow25::prelude::{Area, Path};

use super::now;
use crate::{
    store::{
        fixture::{Author, namespace, path},
        *,
    },
    willow::EntryId,
};

const PAYLOAD: &[u8] = b"a payload that nobody can check before its end";
const TOTAL: u64 = PAYLOAD.len() as u64;
const DROP: StagingId = StagingId(1);
const OTHER: StagingId = StagingId(2);

struct World {
    store: Store,
    backend: MemoryBackend,
    author: Author,
    id: EntryId,
}

fn place() -> Path {
    path(&["a", "b"])
}

impl World {
    /// With the entry, and so much of its payload.
    fn new(available: usize) -> Self {
        let author = Author::new(&namespace(2), 1);
        let (mut store, backend) = (Store::new(), MemoryBackend::new());
        let incoming = author.sends(&place(), 1, PAYLOAD);
        let id = incoming.entry.id;
        let plan = store.plan(vec![incoming]);
        now(store.commit(&backend, plan)).unwrap();
        let mut world = Self { store, backend, author, id };
        if available > 0 {
            world.extend(0, &PAYLOAD[..available]);
        }
        world
    }

    fn commit(&mut self, plan: Plan) -> Outcome {
        now(self.store.commit(&self.backend, plan)).unwrap()[0]
    }

    fn extend(&mut self, offset: u64, bytes: &[u8]) -> Outcome {
        let plan = self.store.plan_payload(
            (&namespace(2), self.author.id(), &place()),
            &self.id,
            offset,
            bytes.to_vec(),
            Origin::Peer(crate::SessionId(1)),
        );
        self.commit(plan)
    }

    fn stage(&mut self, offset: u64, bytes: &[u8]) -> Outcome {
        let plan = self.store.plan_stage((&namespace(2), self.author.id(), &place()), &self.id, DROP, offset, bytes.to_vec());
        self.commit(plan)
    }

    fn proven(&mut self) -> Outcome {
        let plan = self.store.plan_proven((&namespace(2), self.author.id(), &place()), &self.id, DROP, Origin::Import);
        self.commit(plan)
    }

    fn unstage(&mut self) -> Outcome {
        let plan = self.store.plan_unstage((&namespace(2), self.author.id(), &place()), &self.id, DROP, Origin::Import);
        self.commit(plan)
    }

    fn available(&self) -> Option<u64> {
        self.store.get(&namespace(2), self.author.id(), &place()).filter(|entry| entry.id() == self.id).map(|entry| entry.available())
    }

    fn on_disk(&self) -> Vec<u8> {
        now(self.backend.read_payload(&self.id, 0, u64::MAX)).unwrap()
    }

    /// The notes on the disk.
    fn notes(&self) -> usize {
        now(self.backend.load(LoadCursor::default())).unwrap().notes.len()
    }

    /// What is available after the process was killed.
    fn after_a_crash(&self) -> Option<u64> {
        let (store, notes) = now(Store::open(&self.backend)).unwrap();
        assert!(notes.is_empty());
        store.get(&namespace(2), self.author.id(), &place()).map(|entry| entry.available())
    }
}

#[test]
fn staged_bytes_are_there_once_they_are_proven() {
    for available in [0, 7] {
        let mut world = World::new(available);
        let here = available as u64;
        let (subscription, _) = world.store.watch(&namespace(2), &Area::full());
        assert_eq!(world.stage(0, &PAYLOAD[..20]), Outcome::Staged { end: 20, total: TOTAL });
        assert_eq!(world.stage(15, &PAYLOAD[15..]), Outcome::Staged { end: TOTAL, total: TOTAL });
        assert_eq!((world.available(), world.on_disk().as_slice(), world.notes()), (Some(here), PAYLOAD, 1));
        assert_eq!(world.store.poll_subscription(subscription), None);
        assert_eq!(world.proven(), Outcome::Extended { available: TOTAL, total: TOTAL });
        assert_eq!((world.available(), world.notes()), (Some(TOTAL), 0));
        let event = world.store.poll_subscription(subscription);
        assert!(matches!(event, Some(StoreEvent::Payload { available: TOTAL, origin: Origin::Import, .. })), "{event:?}");
        assert_eq!(world.after_a_crash(), Some(TOTAL));
        assert_eq!(world.proven(), Outcome::NothingNew);
    }
}

#[test]
fn unproven_bytes_leave_nothing_behind() {
    for available in [0, 7] {
        let mut world = World::new(available);
        let (subscription, _) = world.store.watch(&namespace(2), &Area::full());
        world.stage(available as u64, b"lies");
        assert_eq!(world.unstage(), Outcome::Unstaged);
        assert_eq!((world.available(), world.on_disk().as_slice(), world.notes()), (Some(0), &b""[..], 0));
        let event = world.store.poll_subscription(subscription);
        assert_eq!(matches!(event, Some(StoreEvent::Payload { available: 0, .. })), available > 0, "{event:?}");
        assert_eq!(world.unstage(), Outcome::NothingNew);
        // The true payload can come.
        assert_eq!(world.extend(0, PAYLOAD), Outcome::Extended { available: TOTAL, total: TOTAL });
        assert_eq!((world.on_disk().as_slice(), world.after_a_crash()), (PAYLOAD, Some(TOTAL)));
    }
}

#[test]
fn a_crash_leaves_nothing_unproven() {
    for available in [0, 7] {
        let mut world = World::new(available);
        world.stage(0, b"lies, lies, lies");
        assert_eq!(world.after_a_crash(), Some(0));
        assert_eq!((world.on_disk().as_slice(), world.notes()), (&b""[..], 0));
        // Opening again finds nothing to do.
        assert_eq!(world.after_a_crash(), Some(0));
    }
}

/// Notes of entries that are gone, or that are none.
#[test]
fn notes_that_name_nothing_are_cleared_away() {
    let world = World::new(7);
    let names = [format!("{STAGED}{}", "07".repeat(32)), format!("{STAGED}nothing"), format!("{STAGED}{}", "é".repeat(32))];
    let changes = names.map(|name| Change::Note { name, value: Some(vec![0; 8]) }).into();
    now(world.backend.commit(Batch { changes, ..Batch::default() })).unwrap();
    assert_eq!((world.after_a_crash(), world.notes()), (Some(7), 0));
}

/// What peers can send again may be lost with the power; what came in a drop and was acknowledged may not.
#[test]
fn a_proof_is_durable() {
    let mut world = World::new(0);
    let place = place();
    let at = (&namespace(2), &world.author.id().clone(), &place);
    assert_eq!(world.store.plan_stage(at, &world.id, DROP, 0, PAYLOAD.to_vec()).take_batch().durability, Durability::Relaxed);
    world.stage(0, PAYLOAD);
    assert_eq!(world.store.plan_proven(at, &world.id, DROP, Origin::Import).take_batch().durability, Durability::Strict);
}

#[test]
fn nothing_else_is_added_to_a_payload_that_is_being_staged() {
    let mut world = World::new(0);
    world.stage(0, b"lies");
    assert_eq!(world.extend(0, PAYLOAD), Outcome::Occupied);
    let again = world.author.writes(&place(), 1, PAYLOAD);
    let plan = world.store.plan(vec![again]);
    assert_eq!(world.commit(plan), Outcome::Occupied);
    assert_eq!((world.available(), world.on_disk().as_slice()), (Some(0), &b"lies"[..]));
}

/// Two drops with the same entry, of which one lies, are read at the same time. Who knows that its own bytes are true knows nothing of those
/// that the other has staged.
#[test]
fn what_one_has_staged_another_cannot_prove() {
    let mut world = World::new(7);
    world.stage(0, &[&PAYLOAD[..20], b"lies, lies, lies"].concat());
    let (place, user) = (place(), world.author.id().clone());
    let at = (&namespace(2), &user, &place);
    for plan in [
        world.store.plan_stage(at, &world.id, OTHER, 0, PAYLOAD.to_vec()),
        world.store.plan_stage(at, &world.id, OTHER, 36, PAYLOAD[36..].to_vec()),
        world.store.plan_proven(at, &world.id, OTHER, Origin::Import),
        world.store.plan_unstage(at, &world.id, OTHER, Origin::Import),
    ] {
        assert!(plan.is_empty());
        assert_eq!(world.commit(plan), Outcome::Occupied);
    }
    assert_eq!((world.available(), world.notes()), (Some(7), 1));
    assert_eq!(world.unstage(), Outcome::Unstaged);
    let plan = world.store.plan_stage(at, &world.id, OTHER, 0, PAYLOAD.to_vec());
    assert_eq!(world.commit(plan), Outcome::Staged { end: TOTAL, total: TOTAL });
    let plan = world.store.plan_proven(at, &world.id, OTHER, Origin::Import);
    assert_eq!(world.commit(plan), Outcome::Extended { available: TOTAL, total: TOTAL });
    assert_eq!(world.on_disk(), PAYLOAD);
}

#[test]
fn a_staged_payload_that_is_not_all_here_is_not_proven() {
    let mut world = World::new(0);
    assert_eq!(world.proven(), Outcome::NothingNew);
    world.stage(0, &PAYLOAD[..20]);
    assert_eq!(world.proven(), Outcome::Gap { available: 20 });
    assert_eq!((world.available(), world.notes()), (Some(0), 1));
}

#[test]
fn bytes_are_staged_where_they_belong() {
    let mut world = World::new(7);
    assert_eq!(world.stage(8, b"x"), Outcome::Gap { available: 7 });
    assert_eq!(world.stage(TOTAL, b"x"), Outcome::BeyondEnd);
    assert_eq!(world.stage(u64::MAX, b"x"), Outcome::BeyondEnd);
    assert_eq!(world.stage(0, &PAYLOAD[..7]), Outcome::NothingNew);
    assert_eq!(world.notes(), 0);
    world.extend(7, &PAYLOAD[7..]);
    assert_eq!(world.stage(0, PAYLOAD), Outcome::NothingNew);
    world.id = EntryId([9; 32]);
    assert_eq!((world.stage(0, b"x"), world.proven(), world.unstage()), (Outcome::NotHere, Outcome::NotHere, Outcome::NotHere));
}

#[test]
fn an_entry_that_goes_takes_what_was_staged_with_it() {
    for prune in [true, false] {
        let mut world = World::new(0);
        world.stage(0, b"lies");
        let plan = if prune {
            world.store.plan(vec![world.author.writes(&path(&["a"]), 2, b"newer")])
        } else {
            world.store.plan_forget(&namespace(2), &Area::full())
        };
        world.commit(plan);
        assert_eq!((world.available(), world.on_disk().as_slice(), world.notes()), (None, &b""[..], 0));
        assert_eq!((world.stage(4, b"more"), world.proven()), (Outcome::NotHere, Outcome::NotHere));
        // It comes back, as if nothing had been.
        let plan = world.store.plan_forget(&namespace(2), &Area::full());
        world.commit(plan);
        let plan = world.store.plan(vec![world.author.sends(&place(), 1, PAYLOAD)]);
        assert_eq!(world.commit(plan), Outcome::Inserted { pruned: 0 });
        assert_eq!(world.extend(0, PAYLOAD), Outcome::Extended { available: TOTAL, total: TOTAL });
        assert_eq!((world.available(), world.on_disk().as_slice()), (Some(TOTAL), PAYLOAD));
    }
}

#[test]
fn a_plan_to_stage_is_stale_after_another_change() {
    let mut world = World::new(0);
    let mut plan = world.store.plan_stage((&namespace(2), world.author.id(), &place()), &world.id, DROP, 0, b"lies".to_vec());
    let _ = plan.take_batch();
    world.stage(0, b"other");
    assert_eq!(world.store.apply(plan), Err(StalePlan));
}

#[test]
fn a_failing_disk_leaves_memory_and_disk_in_agreement() {
    for failing in 0..3 {
        let mut world = World::new(7);
        let backend = FaultyBackend::new(std::mem::take(&mut world.backend));
        backend.fail_nth(failing, Fault::Before, StorageError::Full);
        let at = (&namespace(2), world.author.id(), &place());
        let mut steps = 0;
        for step in 0..3 {
            let plan = match step {
                0 => world.store.plan_stage(at, &world.id, DROP, 0, PAYLOAD[..20].to_vec()),
                1 => world.store.plan_stage(at, &world.id, DROP, 20, PAYLOAD[20..].to_vec()),
                _ => world.store.plan_proven(at, &world.id, DROP, Origin::Import),
            };
            match now(world.store.commit(&backend, plan)) {
                Ok(_) => steps += 1,
                Err(error) => assert_eq!((step, error), (failing, CommitError::Storage(StorageError::Full))),
            }
            if step == failing {
                break;
            }
        }
        assert_eq!((steps, world.available()), (failing, Some(7)));
        // Whoever reads the drop gives up.
        let plan = world.store.plan_unstage(at, &world.id, DROP, Origin::Import);
        let outcome = now(world.store.commit(&backend, plan)).unwrap();
        assert_eq!(outcome, [if failing == 0 { Outcome::NothingNew } else { Outcome::Unstaged }]);
        let (opened, notes) = now(Store::open(backend.inner())).unwrap();
        let stored = opened.get(at.0, at.1, at.2).unwrap().available();
        assert_eq!((Some(stored), notes.len()), (world.available(), 0));
    }
}
