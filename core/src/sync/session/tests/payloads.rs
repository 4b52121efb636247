//! Payloads too large to travel inline, and who may ask for which.

use super::{
    pair::{Pair, Setup},
    world::{World, all_complete, path_of, payload},
};
use crate::{
    IntentId, Mode,
    payload::{PayloadRequest, PayloadStatus, Slice},
    store::Origin,
    sync::{Completion, IntentMode},
    willow::{Area, Entrylike, SignedEntry, TimeRange, codec::ready},
};

fn request(entry: &SignedEntry, sender: u64, receiver: u64) -> PayloadRequest {
    let length = entry.entry.payload_length();
    let (subspace, path, _) = super::world::place(entry);
    PayloadRequest {
        namespace: crate::willow::Namespaced::namespace_id(&entry.entry).clone(),
        subspace,
        path,
        digest: entry.entry.payload_digest().clone(),
        length,
        sender,
        receiver,
        slice: Slice::whole(length),
        resume: false,
    }
}

#[test]
fn a_once_intent_waits_for_the_payloads_it_wants() {
    let world = World::new(31);
    let mut pair = Pair::new(Setup::default());
    for i in 0..40_u64 {
        let bytes = payload(i, 20_000 + i as usize);
        pair.sides[(i % 2) as usize].disk.put(world.entry(0, &format!("files/{i}"), 10 + i, &bytes), &bytes);
    }
    let missing = payload(99, 30_000);
    pair.betty().disk.put_all([(world.entry(1, "nowhere", 10, &missing), None)]);
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    pair.run().unwrap();
    pair.assert_over();
    assert_eq!(pair.alfie().done.get(&IntentId(1)), Some(&Completion::Complete));
    for side in &pair.sides {
        let incomplete = side.disk.store.entries(&world.namespace, &Area::full()).filter(|entry| !entry.is_complete()).count();
        assert_eq!(incomplete, 1);
        assert_eq!(side.disk.store.len(), 41);
    }
    assert_eq!(pair.alfie().fetches, 21);
    let story = pair.alfie().story(1);
    assert_eq!(story.iter().filter(|name| **name == "payload").count(), 40, "progress and end of each");
}

#[test]
fn a_transfer_resumes_from_what_is_here() {
    let world = World::new(32);
    let mut pair = Pair::new(Setup::default());
    let bytes = payload(5, 100_000);
    let entry = world.entry(0, "file", 10, &bytes);
    pair.alfie().disk.put(entry.clone(), &bytes);
    pair.betty().disk.put_all([(entry.clone(), None)]);
    let (subspace, path, _) = super::world::place(&entry);
    let plan =
        pair.betty().disk.store.plan_payload((&world.namespace, &subspace, &path), &entry.id, 0, bytes[..40_000].to_vec(), Origin::Local);
    let betty = pair.betty();
    ready(betty.disk.store.commit(&betty.disk.backend, plan)).unwrap().unwrap();
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
    pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
    pair.run().unwrap();
    pair.assert_over();
    assert!(all_complete(&pair.betty().disk, &world.namespace));
    assert_eq!(pair.betty().fetches, 1);
}

#[test]
fn tiny_payloads_travel_with_what_the_peer_may_have_and_larger_ones_do_not() {
    let world = World::new(33);
    for (len, fetches) in [(60, 0), (200, 1)] {
        let mut pair = Pair::new(Setup::default());
        for i in 0..6_u64 {
            let bytes = payload(i, len);
            let entry = world.entry(0, &format!("f/{i}"), 10 + i, &bytes);
            // Betty answers Alfie's fingerprint with all of hers, of which Alfie lacks one.
            pair.betty().disk.put(entry.clone(), &bytes);
            if i != 3 {
                pair.alfie().disk.put(entry, &bytes);
            }
        }
        pair.alfie().intent(1, &world, &[Area::full()], Mode::Once);
        pair.betty().intent(2, &world, &[Area::full()], IntentMode::FollowPeer);
        pair.run().unwrap();
        pair.assert_over();
        assert!(all_complete(&pair.alfie().disk, &world.namespace));
        assert_eq!(pair.alfie().fetches, fetches, "payloads of {len} bytes");
    }
}

#[test]
fn a_request_is_served_only_for_an_entry_that_the_asker_may_read() {
    let world = World::new(34);
    let mut pair = Pair::new(Setup::default());
    let bytes = payload(7, 50_000);
    let shared = world.entry(0, "pub/file", 10, &bytes);
    let secret = world.entry(0, "priv/file", 10, &bytes);
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Live);
    pair.betty().intent(2, &world, &[world.area(None, "pub")], IntentMode::FollowPeer);
    pair.run().unwrap();
    pair.alfie().disk.put(shared.clone(), &bytes);
    pair.alfie().disk.put(secret.clone(), &bytes);
    let ask = |pair: &mut Pair, request: &PayloadRequest| {
        let side = pair.alfie();
        side.session.authorise_request(request, &side.disk.store)
    };

    assert!(ask(&mut pair, &request(&shared, 0, 0)).is_ok_and(|entry| entry.id() == shared.id));
    assert_eq!(ask(&mut pair, &request(&secret, 0, 0)), Err(PayloadStatus::NotAuthorised));
    assert_eq!(ask(&mut pair, &request(&shared, 1, 0)), Err(PayloadStatus::NotAuthorised));
    assert_eq!(ask(&mut pair, &request(&shared, 0, 9)), Err(PayloadStatus::NotAuthorised));
    // The same digest under an entry that the asker made up, and one that is not there.
    assert_eq!(ask(&mut pair, &request(&world.entry(0, "pub/other", 10, &bytes), 0, 0)), Err(PayloadStatus::NotFound));
    assert_eq!(ask(&mut pair, &request(&world.entry(0, "pub/file", 10, b"another"), 0, 0)), Err(PayloadStatus::NotFound));
    // One that is there, but not in what is shared, is answered as if it was not there.
    let mut pair = Pair::new(Setup::default());
    let new = Area::new(None, path_of("pub"), TimeRange::new_open(20.into()));
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Live);
    pair.betty().intent(2, &world, &[new], IntentMode::FollowPeer);
    pair.run().unwrap();
    pair.alfie().disk.put(shared.clone(), &bytes);
    assert_eq!(ask(&mut pair, &request(&shared, 0, 0)), ask(&mut pair, &request(&world.entry(0, "pub/none", 10, &bytes), 0, 0)));
    let current = world.entry(0, "pub/new", 20, &bytes);
    pair.alfie().disk.put(current.clone(), &bytes);
    assert!(ask(&mut pair, &request(&current, 0, 0)).is_ok());
    // Another namespace.
    assert_eq!(ask(&mut pair, &request(&World::new(135).entry(0, "pub/file", 10, &bytes), 0, 0)), Err(PayloadStatus::NotAuthorised));
}

#[test]
fn what_was_refused_can_be_asked_for_again_by_a_user() {
    let world = World::new(36);
    let mut pair = Pair::new(Setup::default());
    let bytes = payload(8, 30_000);
    let entry = world.entry(0, "file", 10, &bytes);
    for side in &mut pair.sides {
        side.disk.put_all([(entry.clone(), None)]);
    }
    pair.alfie().intent(1, &world, &[Area::full()], Mode::Live);
    pair.betty().intent(2, &world, &[Area::full()], Mode::Live);
    pair.run().unwrap();
    assert_eq!([0, 1].map(|i| pair.sides[i].fetches), [1, 1], "each asks once and is refused");
    // The payload comes to Alfie in a way that its session does not tell Betty of: Betty's user asks.
    let subspace = world.user(0);
    let alfie = pair.alfie();
    let plan = alfie.disk.store.plan_payload(
        (&world.namespace, &subspace, &path_of("file")),
        &entry.id,
        0,
        bytes,
        Origin::Peer(crate::SessionId(1)),
    );
    ready(alfie.disk.store.commit(&alfie.disk.backend, plan)).unwrap().unwrap();
    let betty = pair.betty();
    assert!(betty.session.request_payload(&world.namespace, &subspace, &path_of("file"), &betty.disk.store));
    assert!(!betty.session.request_payload(&world.namespace, &subspace, &path_of("none"), &betty.disk.store));
    pair.run().unwrap();
    assert!(all_complete(&pair.betty().disk, &world.namespace));
    let betty = pair.betty();
    assert!(!betty.session.request_payload(&world.namespace, &subspace, &path_of("file"), &betty.disk.store), "nothing is missing");
}
