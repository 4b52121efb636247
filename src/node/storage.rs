//! The store with its backend: one writer at a time, and what is known of payloads beyond their bytes.
//!
//! A change is planned against the index, committed to the backend, then applied to the index; a lock keeps a second writer from planning
//! in between. So memory says what the disk says. Where it is not known whether a change reached the disk, nothing more is written: what
//! is there shows when the storage is opened again. It must not know sessions or peers.

use std::{
    cell::{Ref, RefCell, RefMut},
    collections::BTreeMap,
};

use osier_core::{
    payload::{Outboard, PayloadHasher},
    store::{
        Backend, Batch, Change, Durability, Evidence, HELD, Incoming, LoadCursor, Origin, Outcome, Plan, ProgressId, StalePlan,
        StorageError, Store, StoredEntry, Usage,
    },
    willow::{CapCache, EntryId},
};
use tokio::sync::{
    Mutex,
    oneshot::{self, error::TryRecvError},
    watch,
};

use super::{
    EntryKey, Error, Opening, OpeningHandler,
    group::{Arrivals, Group, Wish, Wishes, Written},
};
use crate::{backend::Disk, platform};

/// Bytes of a payload that are read from the backend at once.
const READ_SIZE: u64 = 256 * 1024;

/// Small records of the node itself, by name.
pub(super) type Notes = BTreeMap<String, Vec<u8>>;

/// How the storage of a node stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum StorageState {
    /// What is written is kept.
    #[default]
    Ok,
    /// The last write found no room. What was there is there, and writes may be tried again.
    Full,
    /// It can be read only.
    ReadOnly,
    /// It was taken away, and every write fails; the node can be opened again.
    Lost {
        /// What is known.
        reason: String,
    },
}

/// The store of a node.
pub(super) struct Storage<B = Disk> {
    store: RefCell<Store>,
    backend: B,
    writer: Mutex<()>,
    /// Entries of this node that wait for their turn.
    wishes: Wishes,
    /// Entries from elsewhere that do.
    arrivals: Arrivals,
    /// Held by who reads the history.
    reader: Mutex<()>,
    /// The inner labels of payloads that are longer than a group, for serving and resuming them.
    outboards: RefCell<BTreeMap<EntryId, Outboard>>,
    capabilities: RefCell<CapCache>,
    changed: watch::Sender<u64>,
    /// Told when something is known to be held elsewhere that was not.
    learned: watch::Sender<()>,
    /// The note of what is held elsewhere that was written last.
    noted: RefCell<Vec<u8>>,
    state: watch::Sender<StorageState>,
    damaged: u64,
}

impl<B: Backend> Storage<B> {
    /// Opens the store that a backend holds, and the notes beside it. Entries whose rows are damaged are removed, so that peers can send
    /// them again. The history of earlier runs is not read yet; see [`Storage::read_history`].
    pub(super) async fn open(backend: B, told: Option<OpeningHandler>) -> Result<(Self, Notes), Error> {
        let (mut store, mut notes, mut damaged) = (Store::new(), Notes::new(), Vec::new());
        let mut opening = match told {
            Some(handler) => Some((handler, Opening { entries: 0, total: backend.usage().await?.entries })),
            None => None,
        };
        let mut next = Some(LoadCursor::default());
        while let Some(from) = next {
            let mut chunk = backend.load(from).await?;
            next = chunk.next;
            notes.append(&mut chunk.notes.drain(..).collect());
            damaged.append(&mut chunk.damaged);
            if let Some((handler, opening)) = &mut opening {
                opening.entries = opening.entries.saturating_add(chunk.entries.len() as u64);
                handler.tell(*opening);
            }
            store.restore(chunk);
        }
        store.begin_after(platform::unix_micros());
        if !damaged.is_empty() {
            tracing::warn!("{} damaged entries were removed from the storage", damaged.len());
            let mut plan = store.plan_lost(&damaged);
            backend.commit(plan.take_batch()).await?;
            store.apply(plan).map_err(stale)?;
        }
        store.recover(&backend, &mut notes).await?;
        let storage = Self {
            store: RefCell::new(store),
            backend,
            writer: Mutex::new(()),
            wishes: Wishes::default(),
            arrivals: Arrivals::default(),
            reader: Mutex::new(()),
            outboards: RefCell::default(),
            capabilities: RefCell::new(CapCache::new()),
            changed: watch::Sender::new(0),
            learned: watch::Sender::new(()),
            noted: RefCell::default(),
            state: watch::Sender::new(StorageState::Ok),
            damaged: damaged.len() as u64,
        };
        Ok((storage, notes))
    }

    /// The backend.
    pub(super) fn backend(&self) -> &B {
        &self.backend
    }

    /// How many entries were removed on opening because their rows were damaged.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    /// How the storage stands.
    pub(super) fn state(&self) -> watch::Receiver<StorageState> {
        self.state.subscribe()
    }

    /// How much is stored.
    pub(super) async fn usage(&self) -> Result<Usage, Error> {
        Ok(self.backend.usage().await?)
    }

    /// The storage was taken away.
    pub(super) fn lose(&self, reason: String) {
        self.state.send_if_modified(|state| {
            let first = !matches!(state, StorageState::Lost { .. });
            if first {
                *state = StorageState::Lost { reason };
            }
            first
        });
    }

    /// Writes a batch, and remembers how that went. The caller holds the turn.
    async fn commit(&self, batch: Batch) -> Result<(), Error> {
        if let StorageState::Lost { reason } = &*self.state.borrow() {
            return Err(Error::StorageLost { reason: reason.clone() });
        }
        let result = self.backend.commit(batch).await;
        let state = match &result {
            Ok(()) => StorageState::Ok,
            Err(StorageError::Full) => StorageState::Full,
            Err(StorageError::ReadOnly) => StorageState::ReadOnly,
            Err(StorageError::Lost(reason) | StorageError::Unknown(reason)) => StorageState::Lost { reason: reason.clone() },
            Err(StorageError::Corrupt(_) | StorageError::Misfit(_) | StorageError::Closed) => return Ok(result?),
        };
        self.state.send_if_modified(|known| {
            let differs = *known != state;
            *known = state;
            differs
        });
        Ok(result?)
    }

    /// Changes a value of which a note is kept: `change` gives the new value and its note, or `None` where nothing changes; it is applied
    /// once the note is written. Nobody else changes the storage in between.
    pub(super) async fn keep<T>(
        &self,
        change: impl FnOnce() -> Result<(T, Option<(&'static str, Vec<u8>)>), Error>,
        apply: impl FnOnce(&T),
    ) -> Result<T, Error> {
        let _turn = self.writer.lock().await;
        let (value, note) = change()?;
        if let Some((name, bytes)) = note {
            let changes = vec![Change::Note { name: name.to_owned(), value: Some(bytes) }];
            let progress = self.store.borrow().progress();
            self.commit(Batch { changes, progress, durability: Durability::Strict, ..Batch::default() }).await?;
        }
        apply(&value);
        Ok(value)
    }

    /// A peer holds something.
    pub(super) fn learn(&self, evidence: &Evidence) {
        if self.store.borrow_mut().learn(evidence) {
            self.learned.send_replace(());
        }
    }

    /// A signal that more is known to be held elsewhere.
    pub(super) fn learned(&self) -> watch::Receiver<()> {
        self.learned.subscribe()
    }

    /// Notes up to where everything is held elsewhere.
    pub(super) async fn note_held(&self) {
        let _turn = self.writer.lock().await;
        self.note_held_now().await;
    }

    /// Without this note more counts as unheld when the storage is opened again: that it could not be written is no harm.
    async fn note_held_now(&self) {
        let (note, progress) = (self.store.borrow().held_note(), self.store.borrow().progress());
        if *self.noted.borrow() == note {
            return;
        }
        let changes = vec![Change::Note { name: HELD.to_owned(), value: Some(note.clone()) }];
        match self.commit(Batch { changes, progress, ..Batch::default() }).await {
            Ok(()) => *self.noted.borrow_mut() = note,
            Err(error) => tracing::debug!("what peers hold could not be noted: {error}"),
        }
    }

    /// Waits until no write is under way, and lets the storage go.
    pub(super) async fn close(&self) {
        let _turn = self.writer.lock().await;
        self.note_held_now().await;
        if let Err(error) = self.backend.close().await {
            tracing::warn!("the storage could not be closed: {error}");
        }
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
        let plan = plan(&self.store.borrow())?;
        self.carry_out(plan).await
    }

    /// Writes an entry of this node, together with those that wait for their turn at the same time. Not to be dropped half way, as
    /// [`Storage::write`].
    pub(super) async fn write_own(&self, wish: Wish) -> Result<Written, Error> {
        self.in_turn(self.wishes.add(wish), |store| self.wishes.plan_some(store)).await
    }

    /// Writes entries from elsewhere, together with others that wait for their turn at the same time: an outcome for each, in their order.
    /// Not to be dropped half way, as [`Storage::write`].
    pub(super) async fn write_arrivals(&self, entries: Vec<Incoming>) -> Result<Vec<Outcome>, Error> {
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        self.in_turn(self.arrivals.add(entries), |store| self.arrivals.plan_some(store)).await
    }

    /// Waits for what is `told`, and writes groups while it is our turn and nobody has told us.
    async fn in_turn<T>(
        &self,
        mut told: oneshot::Receiver<Result<T, Error>>,
        plan_some: impl Fn(&Store) -> (Group, Plan),
    ) -> Result<T, Error> {
        let _turn = self.writer.lock().await;
        loop {
            match told.try_recv() {
                Ok(result) => return result,
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Closed) => return Err(Error::ShuttingDown),
            }
            // Whoever is about to ask in the same breath comes along.
            n0_future::future::yield_now().await;
            let (group, plan) = plan_some(&self.store.borrow());
            group.tell(self.carry_out(plan).await);
        }
    }

    /// Commits a plan and applies it. The caller holds the turn.
    async fn carry_out(&self, mut plan: Plan) -> Result<Vec<Outcome>, Error> {
        if plan.is_empty() {
            return Ok(plan.outcomes().to_vec());
        }
        let batch = plan.take_batch();
        let removed: Vec<EntryId> = batch.changes.iter().filter_map(removed_by).collect();
        if batch.changes.iter().any(|change| matches!(change, Change::Note { name, .. } if name == HELD)) {
            self.noted.borrow_mut().clear();
        }
        self.commit(batch).await?;
        let outcomes = self.store.borrow_mut().apply(plan).map_err(stale)?;
        let mut outboards = self.outboards.borrow_mut();
        for id in removed {
            outboards.remove(&id);
        }
        drop(outboards);
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
        Ok(outcomes)
    }

    /// Reads the history of earlier runs, if a subscription from this change may need it and nobody has read it yet. What is written
    /// meanwhile follows it. If it cannot be read, the subscription is told that it has fallen behind.
    pub(super) async fn read_history(&self, from: ProgressId) {
        let _turn = self.reader.lock().await;
        let Some(mut reader) = self.store.borrow().history_reader(from) else { return };
        if let Err(error) = reader.read(&self.backend).await {
            return tracing::warn!("the history could not be read: {error}");
        }
        if reader.damaged() > 0 {
            tracing::warn!("{} records of the history are damaged: it begins after them", reader.damaged());
        }
        self.store.borrow_mut().restore_history(reader);
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
        let outcome = outcomes.first().copied().ok_or_else(|| Error::internal("a plan without outcome"))?;
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

fn stale(error: StalePlan) -> Error {
    Error::internal(error)
}

fn removed_by(change: &Change) -> Option<EntryId> {
    match change {
        Change::Remove(id) => Some(*id),
        Change::Put(_) | Change::Payload { .. } | Change::Draft { .. } | Change::Adopt { .. } | Change::Note { .. } => None,
    }
}
