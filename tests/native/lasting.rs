//! A node with durable storage is the same when it is opened again.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use osier::{
    Error, Node, NodeOptions,
    node::{
        Access, Area, Lock, Mode, Opening, OpeningHandler, SecretKey, SetRequest, ShareRequest, StorageOptions, StorageState, StoreEvent,
    },
};

use crate::harness::{Relay, arrival, contents, event, init, path, share, soon, space, write};

/// A directory that is removed at the end.
pub struct Place(PathBuf);

impl Place {
    pub fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("osier-{name}-{}", std::process::id()));
        // One of a run that was killed may be there.
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    pub fn storage(&self, lock: Lock) -> StorageOptions {
        StorageOptions::Durable { place: self.0.to_str().unwrap().to_owned(), lock }
    }

    pub async fn open(&self, relay: &Relay) -> Node {
        Node::open(NodeOptions { storage: self.storage(Lock::default()), ..relay.options() }).await.unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A payload that takes more than one read.
fn large() -> Vec<u8> {
    (0..700_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[tokio::test]
async fn durable_who_opens_a_node_is_told_how_far_that_is() {
    let (relay, place) = (Relay::start().await, Place::new("progress"));
    let first = place.open(&relay).await;
    let (user, space) = space(&first).await;
    let names: Vec<String> = (0..3_000).map(|index| index.to_string()).collect();
    n0_future::join_all(names.iter().map(|name| write(&first, &space, &user, name, b"x"))).await;
    first.shutdown().await;

    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = told.clone();
    let on_opening = OpeningHandler::new(move |Opening { entries, total }| seen.lock().unwrap().push((entries, total)));
    let second =
        Node::open(NodeOptions { storage: place.storage(Lock::default()), on_opening: Some(on_opening), ..relay.options() }).await.unwrap();
    second.shutdown().await;
    let told = told.lock().unwrap().clone();
    assert!(told.len() > 1 && told.is_sorted() && told.iter().all(|(_, total)| *total == 3_000), "{told:?}");
    assert_eq!(told.last(), Some(&(3_000, 3_000)));
}

#[tokio::test]
async fn durable_a_node_is_the_same_when_it_is_opened_again() {
    let (relay, place) = (Relay::start().await, Place::new("same"));
    let first = place.open(&relay).await;
    let (user, space) = space(&first).await;
    let payloads = [("empty", vec![]), ("large", large()), ("small", b"hello".to_vec())];
    for (name, payload) in &payloads {
        write(&first, &space, &user, name, payload).await;
    }
    first.online().await.unwrap();
    let ticket =
        first.share(ShareRequest { namespace: space.clone(), access: Access::Write, to: None, from: None, area: None }).await.unwrap();
    let (id, before) = (first.id(), contents(&first, &space).await);
    let held: Vec<_> = before.iter().map(|(_, _, _, payload)| payload.clone()).collect();
    assert_eq!(held, payloads.clone().map(|(_, payload)| payload));
    first.shutdown().await;

    let second = place.open(&relay).await;
    assert_eq!(second.id(), id);
    assert_eq!(second.users().await.unwrap(), std::slice::from_ref(&user));
    assert_eq!(second.namespaces().await.unwrap().len(), 1);
    assert_eq!(contents(&second, &space).await, before);
    let storage = second.storage().await.unwrap();
    assert!(storage.durable && storage.persisted);
    assert_eq!((storage.entries, storage.payload_bytes, storage.state), (3, 700_005, StorageState::Ok));

    // What was shared before leads here still, and what was written before is sent, the large payload too.
    let guest = relay.node().await;
    let joined = guest.join(&ticket, None).await.unwrap();
    let arrivals = guest.subscribe(space.clone(), Area::full(), None);
    let intent = guest.sync(joined.peers[0].clone(), init(Mode::Live));
    arrival(&arrivals, "large").await;
    soon("an end", intent.close()).await;
    assert_eq!(contents(&guest, &space).await, before);
    // The capabilities that were kept allow writing, over what is there.
    let request = SetRequest { user, path: path("small"), payload: b"again".to_vec(), timestamp: None };
    assert_eq!(second.set(space.clone(), request).await.unwrap().pruned, 1);
    guest.shutdown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn durable_storage_has_one_owner_and_is_let_go_by_shutdown_and_by_an_open_that_was_given_up() {
    let (relay, place) = (Relay::start().await, Place::new("owner"));
    let owner = place.open(&relay).await;
    let again = |lock| Node::open(NodeOptions { storage: place.storage(lock), ..NodeOptions::default() });
    assert_eq!(again(Lock::Fail).await.unwrap_err(), Error::AlreadyOpen);
    assert_eq!(again(Lock::Wait(Duration::from_millis(50))).await.unwrap_err(), Error::AlreadyOpen);
    assert!(tokio::time::timeout(Duration::from_millis(50), again(Lock::default())).await.is_err(), "it waits");
    let waiting = tokio::spawn(again(Lock::default()));
    owner.shutdown().await;
    let next = soon("the owner lets go", waiting).await.unwrap().unwrap();
    next.shutdown().await;
    soon("nobody holds it", again(Lock::default())).await.unwrap().shutdown().await;
}

#[tokio::test]
async fn durable_keys_are_kept_unless_another_is_given_or_none_is_wanted() {
    let place = Place::new("keys");
    let open = async |secret_key| {
        let node = Node::open(NodeOptions { storage: place.storage(Lock::default()), secret_key, ..NodeOptions::default() }).await.unwrap();
        node.shutdown().await;
        node.id()
    };
    let kept = open(SecretKey::Stored).await;
    assert_ne!(open(SecretKey::Ephemeral).await, kept);
    assert_ne!(open(SecretKey::Given([7; 32])).await, kept);
    assert_eq!(open(SecretKey::Stored).await, kept);
}

#[tokio::test]
async fn durable_a_transfer_goes_on_after_a_restart_and_with_another_peer() {
    const LENGTH: u64 = 24_000_000;
    let (relay, place) = (Relay::start().await, Place::new("transfer"));
    let (a, c) = (relay.node().await, relay.node().await);
    let (user, ns) = space(&a).await;
    let payload: Vec<u8> = (0..LENGTH as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let entry = write(&a, &ns, &user, "large", &payload).await;
    let joined = share(&a, &ns, Access::Read, &c).await;
    soon("the copy", c.sync(joined.peers[0].clone(), init(Mode::Once)).completed()).await.unwrap();

    let b = place.open(&relay).await;
    share(&a, &ns, Access::Read, &b).await;
    let changes = b.subscribe(ns.clone(), Area::full(), None);
    b.sync(a.address(), init(Mode::Live)).detach();
    let some = |change: &StoreEvent| matches!(change, StoreEvent::Payload { available: 2_000_000.., .. }).then_some(());
    event("some of it", &changes, some).await;
    b.shutdown().await;
    a.shutdown().await;

    let b = place.open(&relay).await;
    let here = b.get(ns.clone(), user, path("large")).await.unwrap().unwrap().available;
    assert!((2_000_000..LENGTH).contains(&here), "{here} bytes are here");
    let changes = b.subscribe(ns.clone(), Area::full(), None);
    b.sync(c.address(), init(Mode::Live)).detach();
    arrival(&changes, "large").await;
    let received = b.peers().await.unwrap()[0].bytes_received;
    assert_eq!(b.payload(entry.key(), 0, None).await.unwrap(), payload);
    assert!(received < LENGTH - here + 1_000_000, "{received} bytes came, though {here} were here");
    b.shutdown().await;
    c.shutdown().await;
}
