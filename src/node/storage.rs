//! The store with its backend: one writer at a time, and what is known of payloads beyond their bytes.
//!
//! A change is planned against the index, committed to the backend, then applied to the index; a lock keeps a second writer from planning
//! in between. It must not know sessions or peers.

use std::{
    cell::{Ref, RefCell, RefMut},
    collections::BTreeMap,
};

use osier_core::{
    payload::{Outboard, PayloadHasher},
    store::{Backend, Change, MemoryBackend, Origin, Outcome, Plan, Store, StoredEntry},
    willow::{CapCache, EntryId},
};
use tokio::sync::{Mutex, watch};

use super::{EntryKey, Error};

/// Bytes of a payload that are read from the backend at once.
const READ_SIZE: u64 = 256 * 1024;

/// The store of a node.
pub(super) struct Storage<B = MemoryBackend> {
    store: RefCell<Store>,
    backend: B,
    writer: Mutex<()>,
    /// The inner labels of payloads that are longer than a group, for serving and resuming them.
    outboards: RefCell<BTreeMap<EntryId, Outboard>>,
    capabilities: RefCell<CapCache>,
    changed: watch::Sender<u64>,
}

impl<B: Backend> Storage<B> {
    /// Opens the store that a backend holds.
    pub(super) async fn open(backend: B) -> Result<Self, Error> {
        let (store, _notes) = Store::open(&backend).await?;
        Ok(Self {
            store: RefCell::new(store),
            backend,
            writer: Mutex::new(()),
            outboards: RefCell::default(),
            capabilities: RefCell::new(CapCache::new()),
            changed: watch::Sender::new(0),
        })
    }

    /// The index, for reading. Not to be held across an await.
    pub(super) fn store(&self) -> Ref<'_, Store> {
        self.store.borrow()
    }

    /// The index, for subscriptions. Not to be held across an await.
    pub(super) fn store_mut(&self) -> RefMut<'_, Store> {
        self.store.borrow_mut()
    }

    /// Capabilities that were verified before.
    pub(super) fn capabilities(&self) -> RefMut<'_, CapCache> {
        self.capabilities.borrow_mut()
    }

    /// A signal that the store has changed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Makes a change: `plan` sees the index as it is when the change is applied. Not to be dropped half way; callers run it in a task.
    pub(super) async fn write(&self, plan: impl FnOnce(&Store) -> Result<Plan, Error>) -> Result<Vec<Outcome>, Error> {
        let _turn = self.writer.lock().await;
        let mut plan = plan(&self.store.borrow())?;
        if plan.is_empty() {
            return Ok(plan.outcomes().to_vec());
        }
        let batch = plan.take_batch();
        let removed: Vec<EntryId> = batch.changes.iter().filter_map(removed_by).collect();
        self.backend.commit(batch).await?;
        let outcomes = self.store.borrow_mut().apply(plan).map_err(|error| Error::Internal { reason: error.to_string() })?;
        let mut outboards = self.outboards.borrow_mut();
        for id in removed {
            outboards.remove(&id);
        }
        drop(outboards);
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        Ok(outcomes)
    }

    /// Waits until no write is under way.
    pub(super) async fn settled(&self) {
        let _turn = self.writer.lock().await;
    }

    /// Adds verified bytes to an entry's payload, with the labels that prove them.
    pub(super) async fn extend_payload(
        &self,
        entry: &StoredEntry,
        offset: u64,
        verified: Vec<u8>,
        outboard: Option<Outboard>,
        origin: Origin,
    ) -> Result<Outcome, Error> {
        let outcomes = self
            .write(|store| {
                let key = (entry.namespace_id(), entry.subspace_id(), &entry.path());
                Ok(store.plan_payload(key, &entry.id(), offset, verified, origin))
            })
            .await?;
        let outcome = outcomes.first().copied().ok_or_else(|| Error::Internal { reason: "a plan without outcome".to_owned() })?;
        if let (Outcome::Extended { .. } | Outcome::NothingNew, Some(outboard)) = (outcome, outboard) {
            self.keep_outboard(entry.id(), outboard);
        }
        Ok(outcome)
    }

    /// Keeps the labels of a payload; those of a small one are not needed.
    pub(super) fn keep_outboard(&self, id: EntryId, outboard: Outboard) {
        if Outboard::of_small(&outboard.digest(), outboard.length()).is_none() {
            self.outboards.borrow_mut().insert(id, outboard);
        }
    }

    /// The entry at a place, and how much of its payload is here.
    pub(super) fn entry(&self, key: &EntryKey) -> Option<(StoredEntry, u64)> {
        let store = self.store.borrow();
        let entry = store.get(&key.namespace, &key.subspace, &key.path)?;
        Some((entry.stored().clone(), entry.available()))
    }

    /// Bytes of a payload that are here.
    pub(super) async fn read(&self, id: &EntryId, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
        Ok(self.backend.read_payload(id, offset, length).await?)
    }

    /// The labels of what is here of a payload. Those of a complete one are computed when they are missing.
    pub(super) async fn outboard(&self, entry: &StoredEntry, available: u64) -> Result<Outboard, Error> {
        let (digest, length) = (entry.payload_digest(), entry.payload_length());
        if available == length
            && let Some(small) = Outboard::of_small(&digest, length)
        {
            return Ok(small);
        }
        if let Some(kept) = self.outboards.borrow().get(&entry.id()) {
            return Ok(kept.clone());
        }
        if available < length {
            return Ok(Outboard::empty(&digest, length));
        }
        let mut hasher = PayloadHasher::new();
        while hasher.length() < length {
            let piece = self.read(&entry.id(), hasher.length(), READ_SIZE).await?;
            if piece.is_empty() {
                return Err(Error::Storage { reason: "a payload is shorter than its entry says".to_owned() });
            }
            hasher.push(&piece);
        }
        let hashed = hasher.finish();
        if hashed.digest != digest {
            return Err(Error::Storage { reason: "a payload does not match its digest".to_owned() });
        }
        self.keep_outboard(entry.id(), hashed.outboard.clone());
        Ok(hashed.outboard)
    }
}

fn removed_by(change: &Change) -> Option<EntryId> {
    match change {
        Change::Remove(id) => Some(*id),
        Change::Put(_) | Change::Payload { .. } | Change::Note { .. } => None,
    }
}
