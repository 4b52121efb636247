//! Entries as the store keeps them: compact, shared between index, history, plans and backends.
//!
//! A `SubspaceId` of `willow25` is a decompressed curve point of some 200 bytes, a capability a chain of signatures: both are
//! shared here. A row is about 250 bytes in wasm with its path of 40 bytes, its token and its place in the index.

use std::{cmp::Ordering, fmt, ops::Deref, sync::Arc};

use willow25::prelude::{Coordinatelike, Entry, Entrylike, NamespaceId, Path, PayloadDigest, SubspaceId, Timestamp, WriteCapability};

use super::{
    events::ProgressId,
    key::{Cursor, key_path, micros},
};
use crate::willow::{EntryId, SignedEntry, UnverifiedEntry};

/// A subspace of a namespace, one value however many entries it has.
pub(crate) struct Subspace {
    pub(crate) namespace: Arc<NamespaceId>,
    pub(crate) id: SubspaceId,
}

impl Subspace {
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        self.id.as_bytes()
    }
}

/// What is stored of an entry.
pub(crate) struct Row {
    pub(crate) subspace: Arc<Subspace>,
    pub(crate) key: Box<[u8]>,
    pub(crate) timestamp: u64,
    pub(crate) payload_length: u64,
    pub(crate) payload_digest: [u8; 32],
    pub(crate) id: EntryId,
    pub(crate) capability: Arc<WriteCapability>,
    pub(crate) signature: [u8; 64],
    pub(crate) progress: ProgressId,
}

/// An entry with its token, verified, as it is stored. Cheap to clone.
#[derive(Clone)]
pub struct StoredEntry(Arc<Row>);

impl StoredEntry {
    /// Takes an entry over; `subspace` and `capability` are the shared values equal to the entry's own, `key` is its path's.
    pub(crate) fn new(
        entry: &SignedEntry,
        key: Box<[u8]>,
        subspace: Arc<Subspace>,
        capability: Arc<WriteCapability>,
        progress: ProgressId,
    ) -> Self {
        Self(Arc::new(Row {
            subspace,
            key,
            timestamp: micros(entry.entry.timestamp()),
            payload_length: entry.entry.payload_length(),
            payload_digest: *entry.entry.payload_digest().as_bytes(),
            id: entry.id,
            capability,
            signature: entry.signature,
            progress,
        }))
    }

    /// An entry that was stored before, from its row.
    pub(crate) fn kept(row: Row) -> Self {
        Self(Arc::new(row))
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace_id(&self) -> &NamespaceId {
        &self.0.subspace.namespace
    }

    /// Its subspace.
    #[must_use]
    pub fn subspace_id(&self) -> &SubspaceId {
        &self.0.subspace.id
    }

    /// Its path, made anew from the stored bytes.
    #[must_use]
    pub fn path(&self) -> Path {
        // A key is only ever made from a path.
        key_path(&self.0.key).unwrap_or_default()
    }

    /// Its timestamp, TAI microseconds.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp.into()
    }

    /// The length of its payload in bytes, as the entry claims it.
    #[must_use]
    pub fn payload_length(&self) -> u64 {
        self.0.payload_length
    }

    /// The digest of its payload.
    #[must_use]
    pub fn payload_digest(&self) -> PayloadDigest {
        self.0.payload_digest.into()
    }

    /// Its id: BLAKE3 of its encoding. Payloads are kept under this id.
    #[must_use]
    pub fn id(&self) -> EntryId {
        self.0.id
    }

    /// The write capability of its token.
    #[must_use]
    pub fn capability(&self) -> &Arc<WriteCapability> {
        &self.0.capability
    }

    /// The signature of its token.
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        &self.0.signature
    }

    /// The change by which it came into this store.
    #[must_use]
    pub fn progress(&self) -> ProgressId {
        self.0.progress
    }

    /// The entry, as `willow25` has it.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry::builder()
            .namespace_id(self.namespace_id().clone())
            .subspace_id(self.subspace_id().clone())
            .path(self.path())
            .timestamp(self.0.timestamp)
            .payload_length(self.0.payload_length)
            .payload_digest(self.payload_digest())
            .build()
    }

    /// The entry with its token.
    #[must_use]
    pub fn signed(&self) -> SignedEntry {
        SignedEntry::proven(UnverifiedEntry {
            entry: self.entry(),
            capability: self.0.capability.clone(),
            signature: self.0.signature,
            id: self.0.id,
        })
    }

    /// Its place in the order of its namespace.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { subspace: *self.subspace_bytes(), key: self.0.key.clone() }
    }

    pub(crate) fn subspace(&self) -> &Arc<Subspace> {
        &self.0.subspace
    }

    pub(crate) fn subspace_bytes(&self) -> &[u8; 32] {
        self.0.subspace.bytes()
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.0.key
    }

    /// The order of places in a namespace.
    pub(crate) fn place_cmp(&self, other: &Self) -> Ordering {
        let subspaces = if Arc::ptr_eq(self.subspace(), other.subspace()) {
            Ordering::Equal
        } else {
            self.subspace_bytes().cmp(other.subspace_bytes())
        };
        subspaces.then_with(|| self.key().cmp(other.key()))
    }

    pub(crate) fn micros(&self) -> u64 {
        self.0.timestamp
    }

    pub(crate) fn digest_bytes(&self) -> &[u8; 32] {
        &self.0.payload_digest
    }

    pub(crate) fn recency(&self) -> Recency {
        Recency { timestamp: self.0.timestamp, digest: self.0.payload_digest, length: self.0.payload_length }
    }
}

impl fmt::Debug for StoredEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredEntry")
            .field("subspace", self.subspace_id())
            .field("path", &self.path())
            .field("time", &self.0.timestamp)
            .finish()
    }
}

/// Two are equal iff they are the same entry, whatever their tokens.
impl PartialEq for StoredEntry {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for StoredEntry {}

/// What decides which of two entries is newer: timestamp, then payload digest, then payload length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Recency {
    pub(crate) timestamp: u64,
    digest: [u8; 32],
    length: u64,
}

impl Recency {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { timestamp: micros(entry.timestamp()), digest: *entry.payload_digest().as_bytes(), length: entry.payload_length() }
    }
}

/// An entry in the store, and how much of its payload is here.
#[derive(Clone, Copy, Debug)]
pub struct EntryRef<'a> {
    stored: &'a StoredEntry,
    available: u64,
    unheld: bool,
}

impl<'a> EntryRef<'a> {
    pub(crate) fn new(held: &'a Held) -> Self {
        Self { stored: &held.stored, available: held.available, unheld: held.unheld }
    }

    /// The entry, for longer than the borrow of the store (clone it).
    #[must_use]
    pub fn stored(&self) -> &'a StoredEntry {
        self.stored
    }

    /// How many bytes of its payload are here: a verified prefix of this length.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.available
    }

    /// Whether the whole payload is here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.available == self.stored.payload_length()
    }

    /// Whether no other node is known to hold it.
    #[must_use]
    pub fn is_unheld(&self) -> bool {
        self.unheld
    }
}

impl Deref for EntryRef<'_> {
    type Target = StoredEntry;

    fn deref(&self) -> &StoredEntry {
        self.stored
    }
}

/// An entry in its place in the index.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) stored: StoredEntry,
    pub(crate) available: u64,
    /// No other node is known to hold it; see `unheld`.
    pub(crate) unheld: bool,
}

/// A place to look for in the order (subspace, path).
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    subspace: &'a [u8; 32],
    place: Place<'a>,
}

#[derive(Clone, Copy)]
enum Place<'a> {
    At(&'a [u8]),
    After(&'a [u8]),
    Below(&'a [u8]),
    End,
}

impl<'a> Probe<'a> {
    /// Before the entry of this key.
    pub(crate) fn at(subspace: &'a [u8; 32], key: &'a [u8]) -> Self {
        Self { subspace, place: Place::At(key) }
    }

    /// Just behind the entry of this key.
    pub(crate) fn after(subspace: &'a [u8; 32], key: &'a [u8]) -> Self {
        Self { subspace, place: Place::After(key) }
    }

    /// Behind all entries whose path begins with this key's.
    pub(crate) fn below(subspace: &'a [u8; 32], key: &'a [u8]) -> Self {
        Self { subspace, place: Place::Below(key) }
    }

    /// Behind all entries of the subspace.
    pub(crate) fn end_of(subspace: &'a [u8; 32]) -> Self {
        Self { subspace, place: Place::End }
    }

    /// Whether the entry lies before this place.
    pub(crate) fn is_behind(&self, entry: &StoredEntry) -> bool {
        match entry.subspace_bytes().cmp(self.subspace) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal => match self.place {
                Place::At(key) => entry.key() < key,
                Place::After(key) => entry.key() <= key,
                Place::Below(key) => entry.key() < key || entry.key().starts_with(key),
                Place::End => true,
            },
        }
    }
}
