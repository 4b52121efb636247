//! Quotas: what would exceed one is refused, and nothing else.

use willow25::prelude::Area;

use super::now;
use crate::store::{
    fixture::{Author, namespace, path},
    *,
};

struct World {
    store: Store,
    backend: MemoryBackend,
    author: Author,
}

impl World {
    fn new(entries: Option<u64>, payload_bytes: Option<u64>) -> Self {
        let mut world = Self { store: Store::new(), backend: MemoryBackend::new(), author: Author::new(&namespace(2), 1) };
        world.limit(Some(Quota { entries, payload_bytes }));
        world
    }

    fn limit(&mut self, quota: Option<Quota>) {
        let plan = self.store.plan_quota(&namespace(2), quota);
        self.commit(plan);
        assert_eq!(self.store.quota(&namespace(2)), quota);
    }

    fn commit(&mut self, plan: Plan) -> Vec<Outcome> {
        now(self.store.commit(&self.backend, plan)).unwrap()
    }

    fn write(&mut self, entries: &[(&[&str], u64, &[u8])]) -> Vec<Outcome> {
        let incoming = entries.iter().map(|(at, timestamp, payload)| self.author.writes(&path(at), *timestamp, payload)).collect();
        let plan = self.store.plan(incoming);
        self.commit(plan)
    }

    /// Entries and bytes, which are the same on the disk.
    fn here(&self) -> (u64, u64) {
        let usage = now(self.backend.usage()).unwrap();
        let here = (self.store.len(), self.store.stored_bytes(&namespace(2)));
        assert_eq!((usage.entries, usage.payload_bytes), here);
        here
    }
}

const NEW: Outcome = Outcome::Inserted { pruned: 0 };
const REPLACED: Outcome = Outcome::Inserted { pruned: 1 };

#[test]
fn what_exceeds_a_quota_is_refused_entry_by_entry() {
    let mut world = World::new(Some(3), Some(10));
    assert_eq!(world.write(&[(&["a"], 1, b"1234"), (&["b"], 1, b"1234567"), (&["c"], 1, b"123456")]), [NEW, Outcome::OverQuota, NEW]);
    assert_eq!(world.here(), (2, 10));
    assert_eq!(world.write(&[(&["d"], 1, b"1"), (&["e"], 1, b""), (&["f"], 1, b"")]), [Outcome::OverQuota, NEW, Outcome::OverQuota]);
    // In another namespace there is room.
    let other = Author::new(&namespace(4), 1).writes(&path(&["a"]), 1, &[0; 100]);
    let plan = world.store.plan(vec![other]);
    assert_eq!(world.commit(plan), [NEW]);
    assert_eq!((world.store.stored_bytes(&namespace(2)), world.store.stored_bytes(&namespace(4))), (10, 100));
}

#[test]
fn what_replaces_as_much_as_it_brings_is_not_refused() {
    let mut world = World::new(Some(2), Some(10));
    assert_eq!(world.write(&[(&["a"], 1, b"12345"), (&["b"], 1, b"12345")]), [NEW, NEW]);
    assert_eq!(world.write(&[(&["a"], 2, b"123456")]), [Outcome::OverQuota]);
    assert_eq!(world.write(&[(&["a"], 2, b"54321")]), [REPLACED]);
    // All at once: the room that the one gives the other takes.
    assert_eq!(world.write(&[(&["a"], 3, b"1"), (&["b"], 3, b"123456789")]), [REPLACED, REPLACED]);
    // A quota that came too late removes nothing, and what makes it better is welcome.
    world.limit(Some(Quota { entries: Some(1), payload_bytes: Some(5) }));
    assert_eq!(world.here(), (2, 10));
    assert_eq!(world.write(&[(&["b"], 4, b"12345678")]), [REPLACED]);
    assert_eq!(world.write(&[(&["c"], 4, b"")]), [Outcome::OverQuota]);
    assert_eq!(world.write(&[(&[], 5, b"1")]), [Outcome::Inserted { pruned: 2 }]);
    world.limit(None);
    assert_eq!(world.write(&[(&["c"], 6, &[0; 100])]), [NEW]);
    assert_eq!(world.here(), (2, 101));
}

#[test]
fn payloads_that_come_later_count_when_they_are_here() {
    let mut world = World::new(None, Some(10));
    let (at, payload) = (path(&["a"]), b"0123456789abc");
    let incoming = world.author.sends(&at, 1, payload);
    let id = incoming.entry.id;
    let plan = world.store.plan(vec![incoming.clone()]);
    assert_eq!(world.commit(plan), [NEW]);
    let user = world.author.id().clone();
    let (space, from) = (namespace(2), Origin::UnknownPeer);
    let place = (&space, &user, &at);
    let plan = world.store.plan_payload(place, &id, 0, payload[..8].to_vec(), from);
    assert_eq!(world.commit(plan), [Outcome::Extended { available: 8, total: 13 }]);
    for plan in [
        world.store.plan_payload(place, &id, 8, payload[8..].to_vec(), from),
        world.store.plan_stage(place, &id, StagingId(1), 8, payload[8..].to_vec()),
    ] {
        assert_eq!(plan.outcomes(), [Outcome::OverQuota]);
        world.commit(plan);
    }
    // Nor does it come along with the entry, which is here.
    let plan = world.store.plan(vec![Incoming { payload: Some(payload.to_vec()), ..incoming }]);
    assert_eq!(world.commit(plan), [Outcome::OverQuota]);
    assert_eq!(world.here(), (1, 8));
    let plan = world.store.plan_stage(place, &id, StagingId(1), 8, payload[8..10].to_vec());
    assert_eq!(world.commit(plan), [Outcome::Staged { end: 10, total: 13 }]);
    let plan = world.store.plan_forget(&space, &Area::full());
    world.commit(plan);
    assert_eq!(world.here(), (0, 0));
}

#[test]
fn a_draft_that_would_not_fit_is_not_begun() {
    let mut world = World::new(None, Some(10));
    let draft = |world: &World, payload: &[u8]| {
        let entry = world.author.sends(&path(&["a"]), 1, payload).entry;
        (world.store.plan_draft(&entry, 0, payload.to_vec()), entry)
    };
    assert_eq!(draft(&world, b"0123456789a").0.outcomes(), [Outcome::OverQuota]);
    let (plan, entry) = draft(&world, b"0123456789");
    world.commit(plan);
    // There was room when it began.
    world.write(&[(&["b"], 1, b"1")]);
    let plan = world.store.plan_drafted(entry, Origin::Local);
    assert_eq!(world.commit(plan), [Outcome::OverQuota]);
    assert_eq!(world.here(), (1, 1));
}

#[test]
fn a_quota_lasts() {
    let mut world = World::new(Some(7), None);
    world.write(&[(&["a"], 1, b"12345")]);
    let (mut store, notes) = now(Store::open(&world.backend)).unwrap();
    assert!(notes.is_empty());
    assert_eq!((store.quota(&namespace(2)), store.stored_bytes(&namespace(2))), (Some(Quota { entries: Some(7), payload_bytes: None }), 5));
    let plan = store.plan_quota(&namespace(2), None);
    now(store.commit(&world.backend, plan)).unwrap();
    assert_eq!(now(Store::open(&world.backend)).unwrap().0.quota(&namespace(2)), None);
    // What is none says nothing.
    let name = format!("{QUOTA}{}", "07".repeat(32));
    let changes = vec![Change::Note { name, value: Some(vec![1; 17]) }];
    now(world.backend.commit(Batch { changes, ..Batch::default() })).unwrap();
    assert_eq!(now(Store::open(&world.backend)).unwrap().1.len(), 1);
}
