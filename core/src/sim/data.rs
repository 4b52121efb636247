//! Namespaces, users, capabilities and entries of all simulations: made once per thread, for signatures are what takes the time.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use crate::willow::{
    Area, Entry, Grouping, NamespaceId, NamespaceSecret, Namespaced, Path, PayloadDigest, ReadCapability, SignedEntry, SubspaceId,
    SubspaceSecret, TimeRange, WriteCapability,
};

/// TAI microseconds at the beginning of time.
pub(super) const TAI: u64 = 1_000_000_000_000;
pub(super) const SPACES: u8 = 3;
pub(super) const USERS: u8 = 3;
/// Pairwise different keys for the sessions of dialers, and as many for those of acceptors.
const RECEIVERS: usize = 8;
/// Where interests begin and entries lie.
pub(super) const PATHS: [&[&str]; 7] = [&[], &["a"], &["a", "b"], &["a", "c"], &["d"], &["d", "e"], &["f"]];
/// Bytes of payloads: none, inline, fetched, and several groups.
pub(super) const PAYLOADS: [usize; 6] = [0, 9, 60, 700, 17_000, 40_000];

/// A part of a namespace, as interests and entries have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Spot {
    /// Which namespace; the last one is communal.
    pub space: u8,
    /// Whose subspace; all if `None`.
    pub user: Option<u8>,
    /// Which of the paths.
    pub path: u8,
}

/// An entry that may be written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Item {
    /// Its namespace.
    pub space: u8,
    /// Its author.
    pub user: u8,
    /// Which of the paths.
    pub path: u8,
    /// A component after that, unless 0: an entry without prunes those with one.
    pub leaf: u8,
    /// When, after the beginning.
    pub time: u8,
    /// Which of the payloads.
    pub payload: u8,
}

fn path_of(path: u8) -> &'static [&'static str] {
    PATHS[usize::from(path) % PATHS.len()]
}

impl Spot {
    /// What both have.
    pub(super) fn meet(self, other: Self) -> Option<Self> {
        let (mine, theirs) = (path_of(self.path), path_of(other.path));
        let path = match (mine.starts_with(theirs), theirs.starts_with(mine)) {
            (true, _) => self.path,
            (false, true) => other.path,
            (false, false) => return None,
        };
        let user = match (self.user, other.user) {
            (Some(mine), Some(theirs)) if mine != theirs => return None,
            (mine, theirs) => mine.or(theirs),
        };
        (self.space == other.space).then_some(Self { space: self.space, user, path })
    }

    /// Whether the two meet in the one way that private interest overlap has no answer to.
    pub(super) fn awkward(self, other: Self) -> bool {
        let strictly = |inner: u8, outer: u8| inner != outer && path_of(inner).starts_with(path_of(outer));
        self.user.is_none() && other.user.is_some() && strictly(self.path, other.path)
            || other.user.is_none() && self.user.is_some() && strictly(other.path, self.path)
    }
}

/// Everything that is made once.
pub(super) struct Universe {
    spaces: Vec<(NamespaceId, NamespaceSecret)>,
    users: Vec<(SubspaceId, SubspaceSecret)>,
    receivers: Vec<(SubspaceId, SubspaceSecret)>,
    writers: Vec<Vec<Arc<WriteCapability>>>,
    payloads: Vec<(Vec<u8>, PayloadDigest)>,
    readers: RefCell<BTreeMap<(Spot, usize), Arc<ReadCapability>>>,
    entries: RefCell<BTreeMap<Item, SignedEntry>>,
}

fn keys(first: u8, count: usize) -> Vec<(SubspaceId, SubspaceSecret)> {
    let secrets = (first..).take(count).map(|tag| SubspaceSecret::from_bytes(&[tag; 32]));
    secrets.map(|secret| (secret.corresponding_subspace_id(), secret)).collect()
}

impl Universe {
    /// The one of this thread.
    pub(super) fn of_thread() -> Rc<Self> {
        thread_local! {
            static MADE: Rc<Universe> = Rc::new(Universe::new());
        }
        MADE.with(Rc::clone)
    }

    fn new() -> Self {
        let mut secrets =
            (0..=255).map(|tag| NamespaceSecret::from_bytes(&[tag; 32])).map(|secret| (secret.corresponding_namespace_id(), secret));
        let mut spaces: Vec<_> = secrets.by_ref().filter(|(id, _)| id.is_owned()).take(usize::from(SPACES) - 1).collect();
        spaces.extend(secrets.find(|(id, _)| id.is_communal()));
        let users = keys(1, usize::from(USERS));
        let writer = |(id, secret): &(NamespaceId, NamespaceSecret), user: &SubspaceId| match id.is_owned() {
            true => WriteCapability::new_owned(secret, user.clone()),
            false => WriteCapability::new_communal(id.clone(), user.clone()),
        };
        let writers = spaces.iter().map(|space| users.iter().map(|(user, _)| Arc::new(writer(space, user))).collect()).collect();
        let payload = |length: &usize| (0..*length).map(|i| (i * 7 + length) as u8).collect::<Vec<u8>>();
        Self {
            receivers: keys(100, 2 * RECEIVERS),
            payloads: PAYLOADS.iter().map(payload).map(|bytes| (bytes.clone(), PayloadDigest::from_payload(&bytes))).collect(),
            spaces,
            users,
            writers,
            readers: RefCell::default(),
            entries: RefCell::default(),
        }
    }

    pub(super) fn space(&self, space: u8) -> &NamespaceId {
        &self.spaces[usize::from(space)].0
    }

    pub(super) fn area(&self, spot: Spot) -> Area {
        Area::new(spot.user.map(|user| self.users[usize::from(user)].0.clone()), self.path(spot.path, 0), TimeRange::new_open(0.into()))
    }

    fn path(&self, path: u8, leaf: u8) -> Path {
        let leaf = leaf.to_string();
        let mut parts: Vec<&[u8]> = path_of(path).iter().map(|part| part.as_bytes()).collect();
        if leaf != "0" {
            parts.push(leaf.as_bytes());
        }
        Path::from_slices(&parts).unwrap_or_default()
    }

    /// The key of a session on the dialer's (0) or acceptor's (1) side.
    pub(super) fn receiver(&self, side: usize, any: u64) -> (usize, SubspaceId) {
        let index = side * RECEIVERS + any as usize % RECEIVERS;
        (index, self.receivers[index].0.clone())
    }

    pub(super) fn receiver_index(&self, receiver: &SubspaceId) -> usize {
        self.receivers.iter().position(|(id, _)| id == receiver).unwrap_or_default()
    }

    pub(super) fn includes(&self, spot: Spot, entry: &Entry) -> bool {
        self.space(spot.space) == entry.namespace_id() && self.area(spot).includes(entry)
    }

    /// A capability to read there, for the key of a session.
    pub(super) fn reader(&self, spot: Spot, receiver: usize) -> Arc<ReadCapability> {
        let make = || {
            let (id, secret) = &self.spaces[usize::from(spot.space)];
            let (user, user_secret) = &self.users[usize::from(spot.user.unwrap_or_default())];
            let mut capability = match id.is_owned() {
                true => ReadCapability::new_owned(secret, user.clone()),
                false => ReadCapability::new_communal(id.clone(), user.clone()),
            };
            capability.delegate(user_secret, self.area(spot), self.receivers[receiver].0.clone());
            Arc::new(capability)
        };
        self.readers.borrow_mut().entry((spot, receiver)).or_insert_with(make).clone()
    }

    /// An entry, signed.
    pub(super) fn entry(&self, item: Item) -> SignedEntry {
        let make = || {
            let (bytes, digest) = &self.payloads[usize::from(item.payload)];
            let (user, secret) = &self.users[usize::from(item.user)];
            let entry = Entry::builder()
                .namespace_id(self.space(item.space).clone())
                .subspace_id(user.clone())
                .path(self.path(item.path, item.leaf))
                .timestamp(TAI + u64::from(item.time))
                .payload_length(bytes.len() as u64)
                .payload_digest(digest.clone())
                .build();
            let writer = self.writers[usize::from(item.space)][usize::from(item.user)].clone();
            SignedEntry::sign(entry, writer, secret).expect("the capability covers the entry")
        };
        self.entries.borrow_mut().entry(item).or_insert_with(make).clone()
    }

    pub(super) fn payload(&self, item: Item) -> Vec<u8> {
        self.payloads[usize::from(item.payload)].0.clone()
    }
}
