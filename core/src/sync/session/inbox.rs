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
    willow::{Entry, Entrylike, Keylike, verify_batch},
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
    /// The root that brought it; `None`: it was forwarded.
    pub(super) root: Option<RootId>,
    /// The entry, if it came without its payload.
    pub(super) lacking: Option<Box<Entry>>,
    /// It is not stored, whatever the store says.
    pub(super) refused: bool,
    weight: usize,
}

/// How many bytes an entry with its payload takes in memory.
fn weight(entry: &Entry, payload: Option<&Vec<u8>>) -> usize {
    OVERHEAD.saturating_add(entry.path().total_length()).saturating_add(payload.map_or(0, Vec::len))
}

/// The inbox of a session.
#[derive(Debug)]
pub(super) struct Inbox {
    session: SessionId,
    /// What has arrived, and whether it is taken.
    arrived: Vec<(Arrival, bool)>,
    verified: VecDeque<(BatchId, Vec<Incoming>)>,
    waiting: BTreeMap<BatchId, Vec<Tag>>,
    /// Whether each entry of a batch is stored, for batches that are not receipted because an earlier one is not stored.
    receipts: BTreeMap<BatchId, Vec<bool>>,
    receipted: u64,
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
            receipts: BTreeMap::new(),
            receipted: 0,
            last: 0,
            bad_signatures: 0,
            backlog: 0,
        }
    }

    /// An entry arrives, and is taken or refused. The session goes on in any case, and the peer is told.
    pub(super) fn push(&mut self, arrival: Arrival, taken: bool) {
        self.backlog = self.backlog.saturating_add(weight(&arrival.entry.entry, arrival.payload.as_ref()));
        self.arrived.push((arrival, taken));
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
        self.arrived.is_empty() && self.verified.is_empty() && self.waiting.is_empty()
    }

    /// Verifies what has arrived.
    pub(super) fn verify(&mut self) -> Result<(), SyncError> {
        if self.arrived.is_empty() {
            return Ok(());
        }
        let mut unverified = Vec::with_capacity(self.arrived.len());
        let mut tags = Vec::with_capacity(self.arrived.len());
        let mut payloads = Vec::with_capacity(self.arrived.len());
        for (Arrival { entry, payload, root, .. }, taken) in self.arrived.drain(..) {
            let weight = weight(&entry.entry, payload.as_ref());
            let lacks = taken && payload.is_none() && entry.entry.payload_length() > 0;
            tags.push(Tag { root, lacking: lacks.then(|| Box::new(entry.entry.clone())), refused: !taken, weight });
            if taken {
                unverified.push(entry);
                payloads.push(payload);
            }
        }
        let mut entries = Vec::with_capacity(payloads.len());
        let taken = tags.iter_mut().filter(|tag| !tag.refused);
        for ((verified, payload), tag) in verify_batch(unverified).into_iter().zip(payloads).zip(taken) {
            match verified {
                Ok(entry) => entries.push(Incoming { entry, payload, origin: Origin::Peer(self.session) }),
                Err(_) => {
                    tag.refused = true;
                    self.bad_signatures += 1;
                }
            }
        }
        if self.bad_signatures > BAD_SIGNATURES {
            return Err(SyncError::InvalidToken);
        }
        self.last += 1;
        self.waiting.insert(BatchId(self.last), tags);
        self.verified.push_back((BatchId(self.last), entries));
        Ok(())
    }

    /// The next batch to store.
    pub(super) fn poll(&mut self) -> Option<(BatchId, Vec<Incoming>)> {
        self.verified.pop_front()
    }

    /// The store has dealt with a batch: what there is to know of its entries, in their order.
    pub(super) fn confirmed(&mut self, batch: BatchId) -> Vec<Tag> {
        let tags = self.waiting.remove(&batch).unwrap_or_default();
        self.backlog = self.backlog.saturating_sub(tags.iter().map(|tag| tag.weight).sum());
        tags
    }

    /// The entries of a batch are stored, or not, as they came.
    pub(super) fn receipt(&mut self, batch: BatchId, stored: Vec<bool>) {
        self.receipts.insert(batch, stored);
    }

    /// The next receipts that are due: of all batches in the order in which they came.
    pub(super) fn poll_receipts(&mut self) -> Option<Vec<bool>> {
        let next = self.receipted.saturating_add(1);
        let due = self.receipts.remove(&BatchId(next))?;
        self.receipted = next;
        Some(due)
    }
}
