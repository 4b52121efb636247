//! Namespaces, users, entries and capabilities for tests.

use std::sync::Arc;

use crate::{
    store::{Incoming, MemoryBackend, Origin, Store},
    willow::{
        Area, Entry, Entrylike, Keylike, NamespaceId, NamespaceSecret, Path, PayloadDigest, ReadCapability, SignedEntry, SubspaceId,
        SubspaceSecret, TimeRange, WriteCapability, codec::ready,
    },
};

/// An owned namespace and some users who may do everything in it.
pub(super) struct World {
    pub(super) secret: NamespaceSecret,
    pub(super) namespace: NamespaceId,
    users: Vec<SubspaceSecret>,
    writers: Vec<Arc<WriteCapability>>,
}

impl World {
    pub(super) fn new(tag: u8) -> Self {
        let secret =
            (0..=255).map(|i| NamespaceSecret::from_bytes(&[tag.wrapping_add(i); 32])).find(|s| s.corresponding_namespace_id().is_owned());
        let secret = secret.unwrap();
        let users: Vec<_> = (1..=4).map(|i| SubspaceSecret::from_bytes(&[tag.wrapping_mul(7).wrapping_add(i); 32])).collect();
        let writers = users.iter().map(|user| Arc::new(WriteCapability::new_owned(&secret, user.corresponding_subspace_id()))).collect();
        Self { namespace: secret.corresponding_namespace_id(), secret, users, writers }
    }

    pub(super) fn user(&self, user: usize) -> SubspaceId {
        self.users[user].corresponding_subspace_id()
    }

    pub(super) fn entry(&self, user: usize, path: &str, time: u64, payload: &[u8]) -> SignedEntry {
        let entry = Entry::builder()
            .namespace_id(self.namespace.clone())
            .subspace_id(self.user(user))
            .path(path_of(path))
            .timestamp(time)
            .payload_length(payload.len() as u64)
            .payload_digest(PayloadDigest::from_payload(payload))
            .build();
        SignedEntry::sign(entry, self.writers[user].clone(), &self.users[user]).unwrap()
    }

    /// A read capability for the area, whose receiver is `receiver`.
    pub(super) fn read(&self, area: &Area, receiver: &SubspaceId) -> Arc<ReadCapability> {
        let user = &self.users[0];
        let mut capability = ReadCapability::new_owned(&self.secret, user.corresponding_subspace_id());
        capability.delegate(user, area.clone(), receiver.clone());
        Arc::new(capability)
    }

    pub(super) fn area(&self, user: Option<usize>, path: &str) -> Area {
        Area::new(user.map(|user| self.user(user)), path_of(path), TimeRange::new_open(0.into()))
    }
}

pub(super) fn path_of(path: &str) -> Path {
    let parts: Vec<&[u8]> = path.split('/').filter(|part| !part.is_empty()).map(str::as_bytes).collect();
    Path::from_slices(&parts).unwrap()
}

/// A payload of some length that differs with the tag.
pub(super) fn payload(tag: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|i| (tag.wrapping_mul(31).wrapping_add(i * 7) % 251) as u8).collect()
}

/// A store with its backend.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) store: Store,
    pub(super) backend: MemoryBackend,
}

impl Disk {
    pub(super) fn put_all(&mut self, entries: impl IntoIterator<Item = (SignedEntry, Option<Vec<u8>>)>) {
        let incoming = entries.into_iter().map(|(entry, payload)| Incoming { entry, payload, origin: Origin::Local }).collect();
        let plan = self.store.plan(incoming);
        ready(self.store.commit(&self.backend, plan)).unwrap().unwrap();
    }

    pub(super) fn put(&mut self, entry: SignedEntry, payload: &[u8]) {
        self.put_all([(entry, Some(payload.to_vec()))]);
    }

    /// What the area holds: ids, and how much of the payloads.
    pub(super) fn holds(&self, namespace: &NamespaceId, area: &Area) -> Vec<(SubspaceId, Path, [u8; 32], u64)> {
        let entries = self.store.entries(namespace, area);
        entries.map(|entry| (entry.subspace_id().clone(), entry.path(), entry.id().0, entry.available())).collect()
    }
}

/// The payload-less view of [`Disk::holds`].
pub(super) fn ids(disk: &Disk, namespace: &NamespaceId, area: &Area) -> Vec<[u8; 32]> {
    disk.holds(namespace, area).into_iter().map(|(_, _, id, _)| id).collect()
}

/// Whether every payload in the area is here.
pub(super) fn all_complete(disk: &Disk, namespace: &NamespaceId) -> bool {
    disk.store.entries(namespace, &Area::full()).all(|entry| {
        let whole = ready(crate::store::Backend::read_payload(&disk.backend, &entry.id(), 0, u64::MAX)).unwrap().unwrap();
        entry.is_complete() && (whole.is_empty() || PayloadDigest::from_payload(&whole) == entry.payload_digest())
    })
}

/// The place of an entry, to read assertions by.
pub(super) fn place(entry: &SignedEntry) -> (SubspaceId, Path, u64) {
    (entry.entry.subspace_id().clone(), entry.entry.path().clone(), entry.entry.payload_length())
}
