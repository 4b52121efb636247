//! What is not known to be held elsewhere: what enters and leaves, what evidence shows, and what lasts.

use std::sync::Arc;

use willow25::prelude::{Area, Range3d, TimeRange};

use super::now;
use crate::store::{
    fixture::{Author, namespace, path},
    *,
};

const PEER: Origin = Origin::Peer(crate::SessionId(1));

struct World {
    store: Store,
    backend: MemoryBackend,
    author: Author,
}

impl World {
    fn new() -> Self {
        Self { store: Store::new(), backend: MemoryBackend::new(), author: Author::new(&namespace(2), 1) }
    }

    fn commit(&mut self, plan: Plan) -> Vec<Outcome> {
        now(self.store.commit(&self.backend, plan)).unwrap()
    }

    fn put(&mut self, name: &str, time: u64, payload: Option<&[u8]>, origin: Origin) {
        let entry = self.author.entry(&path(&["p", name]), time, payload.unwrap_or(b"elsewhere"));
        let plan = self.store.plan(vec![Incoming { entry, payload: payload.map(<[u8]>::to_vec), origin }]);
        self.commit(plan);
    }

    fn unheld(&self) -> Vec<String> {
        let name = |entry: EntryRef<'_>| String::from_utf8(entry.path().components().last().unwrap().as_bytes().to_vec()).unwrap();
        let names: Vec<String> = self.store.unheld_entries(&namespace(2), &(&Area::full()).into()).map(name).collect();
        assert_eq!(self.store.unheld(), names.len() as u64);
        assert_eq!(self.store.has_unheld(&namespace(2), &Area::full()), !names.is_empty());
        names
    }

    fn show_all(&mut self, at: ProgressId, whole: bool) -> bool {
        self.store.learn(&Evidence::Range { namespace: namespace(2), range: Arc::new(Range3d::full()), at, whole })
    }

    fn stored(&self, name: &str) -> StoredEntry {
        self.store.get(&namespace(2), self.author.id(), &path(&["p", name])).unwrap().stored().clone()
    }

    fn keep_note(&self) {
        let changes = vec![Change::Note { name: HELD.to_owned(), value: Some(self.store.held_note()) }];
        now(self.backend.commit(Batch { changes, progress: self.store.progress(), ..Batch::default() })).unwrap();
    }

    fn reopened(self) -> Self {
        let (store, notes) = now(Store::open(&self.backend)).unwrap();
        assert!(!notes.contains_key(HELD));
        Self { store, ..self }
    }
}

#[test]
fn what_is_written_or_imported_is_unheld_until_it_is_shown_or_gone() {
    let mut world = World::new();
    for (name, origin) in [("a", Origin::Local), ("b", Origin::Import), ("c", PEER), ("d", Origin::Local), ("e", Origin::Local)] {
        world.put(name, 1, Some(b"x"), origin);
    }
    assert_eq!(world.unheld(), ["a", "b", "d", "e"]);
    let shown = Evidence::Entries(vec![world.stored("b"), world.stored("c")]);
    assert!(world.store.learn(&shown));
    assert!(!world.store.learn(&shown), "no news");
    assert_eq!(world.unheld(), ["a", "d", "e"]);
    // A newer one of a peer prunes it.
    world.put("a", 2, Some(b"y"), PEER);
    assert_eq!(world.unheld(), ["d", "e"]);
    // Evidence for one that was replaced shows nothing of the new one.
    let old = Evidence::Entries(vec![world.stored("d")]);
    world.put("d", 2, Some(b"y"), Origin::Local);
    assert!(!world.store.learn(&old));
    let plan = world.store.plan_forget(&namespace(2), &Area::new(None, path(&["p", "e"]), TimeRange::new_open(0.into())));
    world.commit(plan);
    assert_eq!(world.unheld(), ["d"]);
    assert!(world.show_all(world.store.progress(), true));
    assert!(world.unheld().is_empty());
}

#[test]
fn a_range_shows_what_was_there_when_it_was_compared() {
    let mut world = World::new();
    (0..40).for_each(|i| world.put(&format!("{i:02}"), 1, Some(b"x"), Origin::Local));
    let at = world.store.progress();
    world.put("late", 1, Some(b"x"), Origin::Local);
    let (low, high) = (path(&["p", "10"]), path(&["p", "20"]));
    let paths = willow25::groupings::PathRange::try_new(low, Some(high)).unwrap();
    let some = Range3d::new(Range3d::full().subspaces().clone(), paths, *Range3d::full().times());
    assert!(world.store.learn(&Evidence::Range { namespace: namespace(2), range: Arc::new(some), at, whole: true }));
    assert_eq!(world.unheld().len(), 31);
    let other = Evidence::Range { namespace: namespace(4), range: Arc::new(Range3d::full()), at, whole: true };
    assert!(!world.store.learn(&other));
    assert!(world.show_all(at, true));
    assert_eq!(world.unheld(), ["late"]);
}

#[test]
fn a_payload_that_the_peer_may_lack_is_not_held() {
    let mut world = World::new();
    world.put("whole", 1, Some(b"x"), Origin::Local);
    world.put("empty", 1, Some(b""), Origin::Local);
    world.put("nowhere", 1, None, Origin::Import);
    let full = Range3d::full();
    assert!(!world.store.is_whole(&namespace(2), &full));
    assert!(world.show_all(world.store.progress(), false));
    assert_eq!(world.unheld(), ["whole"], "of what is not here nothing can be lost");
    assert!(world.show_all(world.store.progress(), true));
    // The payload is imported later than its entry: now there is something to lose. A peer that sends all of it has it.
    let entry = world.stored("nowhere");
    let mut extend = |bytes: &[u8], offset, origin| {
        let place = (&namespace(2), entry.subspace_id(), &entry.path());
        let plan = world.store.plan_payload(place, &entry.id(), offset, bytes.to_vec(), origin);
        now(world.store.commit(&world.backend, plan)).unwrap();
        world.store.unheld()
    };
    assert_eq!(extend(b"else", 0, Origin::Import), 1);
    assert_eq!(extend(b"wh", 4, PEER), 1);
    assert_eq!(extend(b"ere", 6, PEER), 0);
    assert!(world.store.is_whole(&namespace(2), &full));
}

#[test]
fn after_a_restart_nothing_is_taken_for_held_that_is_not() {
    let mut world = World::new();
    world.put("a", 1, Some(b"x"), Origin::Local);
    world.put("b", 1, Some(b"x"), PEER);
    world = world.reopened();
    assert_eq!(world.unheld(), ["a", "b"], "without a note nothing is known");
    assert!(world.show_all(world.store.progress(), true));
    world.keep_note();
    world.put("c", 1, Some(b"x"), Origin::Local);
    world.put("d", 1, Some(b"x"), PEER);
    world = world.reopened();
    assert_eq!(world.unheld(), ["c", "d"], "the note says nothing of what came after it");
    let shown = Evidence::Entries(vec![world.stored("d")]);
    assert!(world.store.learn(&shown));
    world.put("e", 1, Some(b"x"), PEER);
    world.keep_note();
    world = world.reopened();
    assert_eq!(world.unheld(), ["c", "d", "e"], "all behind the first that is not held");
}

#[test]
fn a_space_that_nobody_shares_does_not_keep_others_unheld() {
    let mut world = World::new();
    let alone = Author::new(&namespace(4), 1);
    let plan = world.store.plan(vec![alone.writes(&path(&["mine"]), 1, b"x")]);
    world.commit(plan);
    world.put("a", 1, Some(b"x"), PEER);
    world.keep_note();
    world = world.reopened();
    assert_eq!(world.store.unheld(), 1);
    assert!(world.store.has_unheld(&namespace(4), &Area::full()));
}

#[test]
fn a_note_is_taken_back_when_an_earlier_entry_becomes_unheld_again() {
    let mut world = World::new();
    world.put("nowhere", 1, None, PEER);
    world.keep_note();
    let entry = world.stored("nowhere");
    let place = (&namespace(2), entry.subspace_id(), &entry.path());
    let plan = world.store.plan_payload(place, &entry.id(), 0, b"elsewhere".to_vec(), Origin::Import);
    world.commit(plan);
    assert_eq!(world.unheld(), ["nowhere"]);
    world = world.reopened();
    assert_eq!(world.unheld(), ["nowhere"]);
}

#[test]
fn a_note_that_says_nothing_is_as_none() {
    for note in [&b""[..], b"short", &[7; 39], &[7; 81]] {
        let mut world = World::new();
        world.put("a", 1, Some(b"x"), Origin::Local);
        let changes = vec![Change::Note { name: HELD.to_owned(), value: Some(note.to_vec()) }];
        now(world.backend.commit(Batch { changes, progress: world.store.progress(), ..Batch::default() })).unwrap();
        world = world.reopened();
        assert_eq!(world.unheld(), ["a"]);
    }
}
