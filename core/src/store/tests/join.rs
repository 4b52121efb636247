//! Willow's join by example; the outcomes; payloads.

use super::now;
use crate::{
    store::{
        fixture::{Author, namespace, path},
        *,
    },
    willow::{Entry, SignedEntry, SubspaceSecret, WriteCapability},
};
use willow25::prelude::{Area, TimeRange};

fn insert(store: &mut Store, incoming: Vec<Incoming>) -> Vec<Outcome> {
    let plan = store.plan(incoming);
    store.apply(plan).unwrap()
}

const NEW: Outcome = Outcome::Inserted { pruned: 0 };

#[test]
fn newer_entries_prune_what_lies_below_their_path_and_nothing_else() {
    let (author, other) = (Author::new(&namespace(2), 1), Author::new(&namespace(2), 2));
    let mut store = Store::new();
    let at = |author: &Author, names: &[&str], time| author.sends(&path(names), time, b"x");
    let before = vec![
        at(&author, &["a"], 1),
        at(&author, &["a", "b"], 1),
        at(&author, &["a", "c"], 5),
        at(&author, &["ab"], 1),
        at(&other, &["a"], 1),
    ];
    assert_eq!(insert(&mut store, before), [NEW; 5]);
    assert_eq!(insert(&mut store, vec![at(&author, &["a"], 3)]), [Outcome::Inserted { pruned: 2 }]);
    let left =
        |of: &Author| store.entries(&namespace(2), &Area::new_subspace_area(of.id().clone())).map(|entry| entry.path()).collect::<Vec<_>>();
    assert_eq!(left(&author), [path(&["a"]), path(&["a", "c"]), path(&["ab"])]);
    assert_eq!(left(&other), [path(&["a"])]);
    assert_eq!(insert(&mut store, vec![at(&author, &["a", "d"], 2)]), [Outcome::Obsolete]);
    assert_eq!(insert(&mut store, vec![at(&author, &["a", "c"], 4)]), [Outcome::Obsolete]);
    assert_eq!(insert(&mut store, vec![at(&author, &["a", "c", "x"], 4)]), [Outcome::Obsolete]);
    assert_eq!(insert(&mut store, vec![at(&author, &["a", "d"], 3)]), [NEW]);
    assert_eq!(insert(&mut store, vec![at(&author, &[], 9)]), [Outcome::Inserted { pruned: 4 }]);
    assert_eq!(store.len(), 2);
    assert_eq!(store.newest_in_way(&namespace(2), author.id(), &path(&["any", "where"])), Some(9.into()));
    assert_eq!(store.newest_in_way(&namespace(2), other.id(), &path(&["a", "b"])), Some(1.into()));
    assert_eq!(store.newest_in_way(&namespace(2), other.id(), &path(&["b"])), None);
    assert_eq!(store.newest_in_way(&namespace(2), other.id(), &path(&[])), Some(1.into()));
}

#[test]
fn ties_of_time_are_decided_by_digest_then_length() {
    let author = Author::new(&namespace(2), 1);
    let entry = |digest: u8, length: u64| {
        let entry =
            Entry::prefilled_builder(&author.entry(&path(&["a"]), 1, b"").entry).payload_digest([digest; 32].into()).payload_length(length);
        let secret = SubspaceSecret::from_bytes(&[1; 32]);
        let capability = WriteCapability::new_communal(namespace(2), secret.corresponding_subspace_id());
        Incoming { entry: SignedEntry::sign(entry.build(), capability.into(), &secret).unwrap(), payload: None, origin: Origin::Import }
    };
    let mut store = Store::new();
    assert_eq!(insert(&mut store, vec![entry(5, 9)]), [NEW]);
    assert_eq!(insert(&mut store, vec![entry(4, 99), entry(5, 8)]), [Outcome::Obsolete; 2]);
    assert_eq!(insert(&mut store, vec![entry(5, 10)]), [Outcome::Inserted { pruned: 1 }]);
    assert_eq!(insert(&mut store, vec![entry(6, 0)]), [Outcome::Inserted { pruned: 1 }]);
    assert_eq!(insert(&mut store, vec![entry(6, u64::MAX)]), [Outcome::Inserted { pruned: 1 }]);
    assert_eq!(store.size(&namespace(2), &Area::full()), u64::MAX);
    // Twice the greatest length: the sum does not overflow.
    let mut below = entry(1, u64::MAX);
    let moved = Entry::prefilled_builder(&below.entry.entry).path(path(&["b"])).build();
    let secret = SubspaceSecret::from_bytes(&[1; 32]);
    below.entry = SignedEntry::sign(moved, below.entry.capability.clone(), &secret).unwrap();
    insert(&mut store, vec![below]);
    assert_eq!((store.size(&namespace(2), &Area::full()), store.len()), (u64::MAX, 2));
}

#[test]
fn a_batch_joins_as_one_whatever_its_order() {
    let author = Author::new(&namespace(2), 1);
    let at = |names: &[&str], time| author.sends(&path(names), time, b"x");
    let batch = [at(&["a"], 5), at(&["a", "b"], 3), at(&["a", "b", "c"], 9), at(&["a", "b"], 3), at(&["d"], 1), at(&["d"], 2)];
    for turn in 0..batch.len() {
        let mut store = Store::new();
        insert(&mut store, vec![at(&["a", "z"], 1), at(&["d", "d"], 1)]);
        let mut turned = batch.to_vec();
        turned.rotate_left(turn);
        let mut outcomes = insert(&mut store, turned);
        outcomes.rotate_right(turn);
        let pruning = Outcome::Inserted { pruned: 1 };
        assert_eq!(outcomes, [pruning, Outcome::Obsolete, NEW, Outcome::Obsolete, Outcome::Obsolete, pruning]);
        assert_eq!(store.len(), 3);
    }
}

#[test]
fn the_same_entry_with_another_token_is_not_new_and_loses_nothing() {
    let author = Author::new(&namespace(2), 1);
    let mut store = Store::new();
    let first = author.writes(&path(&["a"]), 1, b"payload");
    insert(&mut store, vec![first.clone()]);
    let progress = store.progress();
    // The same key may hold the capability in another way: delegated to itself.
    let secret = SubspaceSecret::from_bytes(&[1; 32]);
    let mut longer = WriteCapability::clone(&first.entry.capability);
    longer.try_delegate(&secret, Area::new_subspace_area(author.id().clone()), author.id().clone()).unwrap();
    let other = SignedEntry::sign(first.entry.entry.clone(), longer.into(), &secret).unwrap();
    assert_ne!(other.capability, first.entry.capability);
    for payload in [None, Some(b"payload".to_vec())] {
        let again = Incoming { entry: other.clone(), payload, origin: Origin::Import };
        assert_eq!(insert(&mut store, vec![again]), [Outcome::AlreadyHere]);
    }
    let kept = store.get(&namespace(2), author.id(), &path(&["a"])).unwrap();
    assert_eq!((kept.available(), kept.signed(), store.progress()), (7, first.entry, progress));
}

#[test]
fn a_payload_that_comes_along_must_be_the_entrys() {
    let author = Author::new(&namespace(2), 1);
    let mut store = Store::new();
    for wrong in [&b"payloaD"[..], b"", b"payload!"] {
        let incoming = Incoming { payload: Some(wrong.to_vec()), ..author.writes(&path(&["a"]), 1, b"payload") };
        assert_eq!(insert(&mut store, vec![incoming]), [Outcome::PayloadMismatch]);
    }
    assert!(store.is_empty());
    assert_eq!(store.progress(), ProgressId(0));
    // A payload completes an entry that came without.
    let twice = vec![author.sends(&path(&["a"]), 1, b"payload"), author.writes(&path(&["a"]), 1, b"payload")];
    assert_eq!(insert(&mut store, twice), [Outcome::AlreadyHere, NEW]);
    assert!(store.get(&namespace(2), author.id(), &path(&["a"])).unwrap().is_complete());
}

#[test]
fn payloads_grow_by_verified_pieces_without_gaps() {
    let author = Author::new(&namespace(2), 1);
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    let a = path(&["a"]);
    let incoming = author.sends(&a, 1, b"0123456789");
    let id = incoming.entry.id;
    let plan = store.plan(vec![incoming, author.sends(&path(&["same digest"]), 1, b"0123456789")]);
    now(store.commit(&backend, plan)).unwrap();
    let mut piece = |offset: u64, bytes: &[u8]| {
        let plan = store.plan_payload((&namespace(2), author.id(), &a), &id, offset, bytes.to_vec(), Origin::Local);
        let outcome = now(store.commit(&backend, plan)).unwrap()[0];
        let available = store.get(&namespace(2), author.id(), &a).unwrap().available();
        assert_eq!(now(backend.read_payload(&id, 0, u64::MAX)).unwrap(), b"0123456789"[..usize::try_from(available).unwrap()]);
        outcome
    };
    assert_eq!(piece(1, b"1"), Outcome::Gap { available: 0 });
    assert_eq!(piece(0, b"0123"), Outcome::Extended { available: 4, total: 10 });
    assert_eq!(piece(2, b"23"), Outcome::NothingNew);
    assert_eq!(piece(2, b"2345"), Outcome::Extended { available: 6, total: 10 });
    assert_eq!(piece(6, b"67890"), Outcome::BeyondEnd);
    assert_eq!(piece(u64::MAX, b"6"), Outcome::BeyondEnd);
    assert_eq!(piece(6, b"6789"), Outcome::Extended { available: 10, total: 10 });
    assert_eq!(piece(10, b""), Outcome::NothingNew);
    let other = store.get(&namespace(2), author.id(), &path(&["same digest"])).unwrap();
    assert_eq!((other.available(), other.payload_digest()), (0, store.get(&namespace(2), author.id(), &a).unwrap().payload_digest()));

    // An entry that was replaced takes no more bytes.
    insert(&mut store, vec![author.sends(&a, 2, b"0123456789")]);
    let late = store.plan_payload((&namespace(2), author.id(), &a), &id, 0, b"0".to_vec(), Origin::Local);
    assert_eq!(late.outcomes(), [Outcome::NotHere]);
}

#[test]
fn a_claimed_length_costs_nothing() {
    let author = Author::new(&namespace(2), 1);
    let secret = SubspaceSecret::from_bytes(&[1; 32]);
    let small = author.entry(&path(&["a"]), 1, b"");
    let huge = Entry::prefilled_builder(&small.entry).payload_length(u64::MAX).build();
    let entry = SignedEntry::sign(huge, small.capability.clone(), &secret).unwrap();
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    let plan = store.plan(vec![Incoming { entry: entry.clone(), payload: None, origin: Origin::Import }]);
    now(store.commit(&backend, plan)).unwrap();
    assert_eq!(now(backend.read_payload(&entry.id, 0, u64::MAX)).unwrap(), b"");
    let plan = store.plan_payload((&namespace(2), author.id(), &path(&["a"])), &entry.id, 0, vec![7], Origin::Local);
    assert_eq!(plan.outcomes(), [Outcome::Extended { available: 1, total: u64::MAX }]);
}

#[test]
fn forgetting_is_local_and_by_area() {
    let author = Author::new(&namespace(2), 1);
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    let at = |names: &[&str], time| author.writes(&path(names), time, b"x");
    let plan = store.plan(vec![at(&["a", "b"], 1), at(&["a", "c"], 5), at(&["d"], 1)]);
    now(store.commit(&backend, plan)).unwrap();
    let plan = store.plan_forget(&namespace(2), &Area::new(None, path(&["a"]), TimeRange::new_open(2.into())));
    assert_eq!(now(store.commit(&backend, plan)), Ok(vec![Outcome::Forgotten { count: 1 }]));
    assert_eq!(now(backend.usage()).unwrap().payload_bytes, 2);
    assert!(store.plan_forget(&namespace(4), &Area::full()).is_empty());
    assert_eq!(insert(&mut store, vec![at(&["a", "c"], 5)]), [NEW], "it can come back");
    let plan = store.plan_forget(&namespace(2), &Area::full());
    assert_eq!(store.apply(plan), Ok(vec![Outcome::Forgotten { count: 3 }]));
    assert_eq!((store.namespaces().count(), store.is_empty()), (0, true));
}
