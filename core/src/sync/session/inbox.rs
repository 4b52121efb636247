//! Entries that have arrived: verified in batches, handed to the store, confirmed.

use std::collections::{BTreeMap, VecDeque};

use super::config::BatchId;
use crate::{
    SessionId,
    store::{Incoming, Origin},
    sync::{
        error::SyncError,
        reconcile::{Arrival, RootId},
    },
    willow::{Coordinatelike, Entry, Entrylike, Keylike, verify_batch},
};

/// How many signatures are verified at once.
pub(super) const BATCH: usize = 1024;
/// So many bytes may wait for the store before the peer is held up.
pub(super) const BACKLOG: usize = 4 * 1024 * 1024;
/// What an entry takes in memory beside its path and its payload.
const OVERHEAD: usize = 1024;
/// How many signatures of a peer may be bad before the session ends.
const BAD_SIGNATURES: u32 = 3;

/// What to remember of an entry until the store has it.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) of: Of,
    /// Whether it came without its payload.
    pub(super) lacks_payload: bool,
    weight: usize,
}

/// How an entry came in.
#[derive(Debug)]
pub(super) enum Of {
    Root(RootId),
    Forwarded(Box<Entry>),
}

/// How many bytes an entry with its payload takes in memory.
fn weight(entry: &Entry, payload: Option<&Vec<u8>>) -> usize {
    OVERHEAD.saturating_add(entry.path().total_length()).saturating_add(payload.map_or(0, Vec::len))
}

/// The inbox of a session.
#[derive(Debug)]
pub(super) struct Inbox {
    session: SessionId,
    arrived: Vec<Arrival>,
    verified: VecDeque<(BatchId, Vec<Incoming>)>,
    waiting: BTreeMap<BatchId, Vec<Tag>>,
    /// Roots of entries that were refused here.
    refused: Vec<RootId>,
    last: u64,
    bad_signatures: u32,
    /// What the entries that are not confirmed take, bytes.
    backlog: usize,
}

impl Inbox {
    pub(super) fn new(session: SessionId) -> Self {
        Self {
            session,
            arrived: Vec::new(),
            verified: VecDeque::new(),
            waiting: BTreeMap::new(),
            refused: Vec::new(),
            last: 0,
            bad_signatures: 0,
            backlog: 0,
        }
    }

    /// Takes an entry. One whose timestamp is beyond `latest` is refused, and the session goes on.
    pub(super) fn push(&mut self, arrival: Arrival, latest: u64) {
        if u64::from(arrival.entry.entry.timestamp()) > latest {
            self.refused.extend(arrival.root);
        } else {
            self.backlog = self.backlog.saturating_add(weight(&arrival.entry.entry, arrival.payload.as_ref()));
            self.arrived.push(arrival);
        }
    }

    /// Whether a whole batch has arrived.
    pub(super) fn is_full(&self) -> bool {
        self.arrived.len() >= BATCH
    }

    /// Whether the store is so far behind that the peer should wait.
    pub(super) fn is_behind(&self) -> bool {
        self.backlog >= BACKLOG
    }

    pub(super) fn is_idle(&self) -> bool {
        self.arrived.is_empty() && self.verified.is_empty() && self.waiting.is_empty() && self.refused.is_empty()
    }

    /// Verifies what has arrived.
    pub(super) fn verify(&mut self) -> Result<(), SyncError> {
        if self.arrived.is_empty() {
            return Ok(());
        }
        let mut unverified = Vec::with_capacity(self.arrived.len());
        let mut rest = Vec::with_capacity(self.arrived.len());
        for Arrival { entry, payload, root } in self.arrived.drain(..) {
            let weight = weight(&entry.entry, payload.as_ref());
            unverified.push(entry);
            rest.push((payload, root, weight));
        }
        let mut entries = Vec::with_capacity(rest.len());
        let mut tags = Vec::with_capacity(rest.len());
        for (verified, (payload, root, weight)) in verify_batch(unverified).into_iter().zip(rest) {
            match verified {
                Ok(entry) => {
                    let lacks_payload = payload.is_none() && entry.entry.payload_length() > 0;
                    let of = root.map_or_else(|| Of::Forwarded(Box::new(entry.entry.clone())), Of::Root);
                    tags.push(Tag { of, lacks_payload, weight });
                    entries.push(Incoming { entry, payload, origin: Origin::Peer(self.session) });
                }
                Err(_) => {
                    self.backlog = self.backlog.saturating_sub(weight);
                    self.bad_signatures += 1;
                    self.refused.extend(root);
                }
            }
        }
        if self.bad_signatures > BAD_SIGNATURES {
            return Err(SyncError::InvalidToken);
        }
        if !entries.is_empty() {
            self.last += 1;
            self.waiting.insert(BatchId(self.last), tags);
            self.verified.push_back((BatchId(self.last), entries));
        }
        Ok(())
    }

    /// The next batch to store.
    pub(super) fn poll(&mut self) -> Option<(BatchId, Vec<Incoming>)> {
        self.verified.pop_front()
    }

    /// Roots of entries that were refused since the last time.
    pub(super) fn take_refused(&mut self) -> Vec<RootId> {
        std::mem::take(&mut self.refused)
    }

    /// The store has dealt with a batch: what there is to know of its entries, in their order.
    pub(super) fn confirmed(&mut self, batch: BatchId) -> Vec<Tag> {
        let tags = self.waiting.remove(&batch).unwrap_or_default();
        self.backlog = self.backlog.saturating_sub(tags.iter().map(|tag| tag.weight).sum());
        tags
    }
}
