//! A node's store: the real one with the memory backend, and one writer at a time that takes a while.

use std::collections::{BTreeMap, VecDeque};

use super::{Kind, data::Item, driver::Local, session::Command, transfer::FetchFailure, world::World};
use crate::{
    SessionId,
    payload::{Outboard, PayloadHasher},
    store::{Backend as _, Batch, Change, HELD, Incoming, MemoryBackend, Origin, Outcome, Plan, Store, StoredEntry},
    sync::{BatchId, FetchId},
    willow::{EntryId, codec::ready},
};

/// A write that waits for its turn.
pub(super) enum Write {
    Own(Item),
    Ingest(SessionId, BatchId, Vec<Incoming>),
    /// Verified bytes of a payload.
    Extend {
        session: SessionId,
        fetch: FetchId,
        entry: StoredEntry,
        offset: u64,
        bytes: Vec<u8>,
        outboard: Option<Outboard>,
    },
    /// All bytes of a transfer were written: its result.
    Fetched(SessionId, FetchId, Result<(), FetchFailure>),
}

#[derive(Default)]
pub(super) struct Storage {
    pub(super) store: Store,
    backend: MemoryBackend,
    pub(super) writes: VecDeque<Write>,
    committing: bool,
    outboards: BTreeMap<EntryId, Outboard>,
}

impl Storage {
    /// What is there after a restart: whatever was committed.
    pub(super) fn reopened(self) -> Self {
        let opened = ready(Store::open(&self.backend)).and_then(Result::ok);
        let store = opened.map(|(store, _notes)| store).unwrap_or_default();
        Self { store, backend: self.backend, ..Self::default() }
    }

    fn make(&mut self, plan: Plan) -> Vec<Outcome> {
        ready(self.store.commit(&self.backend, plan)).and_then(Result::ok).unwrap_or_default()
    }

    /// Notes up to where everything is held.
    pub(super) fn keep_held(&self, note: Vec<u8>) {
        let changes = vec![Change::Note { name: HELD.to_owned(), value: Some(note) }];
        let batch = Batch { changes, progress: self.store.progress(), ..Batch::default() };
        let _ = ready(self.backend.commit(batch));
    }

    fn own(&mut self, entry: Incoming) {
        let plan = self.store.plan(vec![entry]);
        self.make(plan);
    }

    pub(super) fn read(&self, id: &EntryId, offset: u64, len: u64) -> Option<Vec<u8>> {
        ready(self.backend.read_payload(id, offset, len)).and_then(Result::ok)
    }

    /// The labels of what is here of a payload.
    pub(super) fn outboard(&self, entry: &StoredEntry, available: u64) -> Option<Outboard> {
        let (digest, length) = (entry.payload_digest(), entry.payload_length());
        let small = Outboard::of_small(&digest, length).filter(|_| available == length);
        if let Some(known) = small.or_else(|| self.outboards.get(&entry.id()).cloned()) {
            return Some(known);
        }
        if available < length {
            return Some(Outboard::empty(&digest, length));
        }
        let mut hasher = PayloadHasher::new();
        hasher.push(&self.read(&entry.id(), 0, length)?);
        Some(hasher.finish().outboard)
    }
}

impl World {
    /// Entries that are there from the beginning.
    pub(super) fn write_at_once(&mut self, node: usize, items: &[Item]) {
        for &item in items {
            let entry = self.written(item);
            self.nodes[node].storage.own(entry);
        }
        self.possess(node);
    }

    pub(super) fn written(&self, item: Item) -> Incoming {
        Incoming { entry: self.universe.entry(item), payload: Some(self.universe.payload(item)), origin: Origin::Local }
    }

    /// Queues a write.
    pub(super) fn write(&mut self, node: usize, write: Write) {
        self.nodes[node].storage.writes.push_back(write);
        self.commit_later(node);
    }

    fn commit_later(&mut self, node: usize) {
        let storage = &mut self.nodes[node].storage;
        if !storage.writes.is_empty() && !std::mem::replace(&mut storage.committing, true) {
            let lag = self.lag(node);
            self.local(node, lag, Local::Commit);
        }
    }

    /// The writer is done with the next write.
    pub(super) fn commit(&mut self, node: usize) {
        self.nodes[node].storage.committing = false;
        if let Some(write) = self.nodes[node].storage.writes.pop_front() {
            self.note("commit", &[node as u64, self.nodes[node].storage.store.progress().0]);
            self.carry_out_write(node, write);
        }
        self.commit_later(node);
    }

    fn carry_out_write(&mut self, node: usize, write: Write) {
        let before = self.nodes[node].storage.store.progress();
        match write {
            Write::Own(item) => {
                let entry = self.written(item);
                self.nodes[node].storage.own(entry);
            }
            Write::Ingest(session, batch, entries) => {
                let (count, storage) = (entries.len(), &mut self.nodes[node].storage);
                let plan = storage.store.plan(entries);
                let outcomes = storage.make(plan);
                if outcomes.len() != count || outcomes.contains(&Outcome::PayloadMismatch) {
                    self.find(Kind::Diverged, || format!("node {node} was sent a payload that is not the entry's: {outcomes:?}"));
                }
                self.command(node, session, Command::Ingested(batch, outcomes));
            }
            Write::Extend { session, fetch, entry, offset, bytes, outboard } => {
                let storage = &mut self.nodes[node].storage;
                let key = (entry.namespace_id(), entry.subspace_id(), &entry.path());
                let plan = storage.store.plan_payload(key, &entry.id(), offset, bytes, Origin::Peer(session));
                let outcome = storage.make(plan).first().copied();
                let command = match outcome {
                    Some(Outcome::Extended { available, total }) => Some(Command::FetchProgress(fetch, available, total)),
                    Some(Outcome::NothingNew) => None,
                    _ => Some(Command::Fetched(fetch, Err(FetchFailure::EntryGone))),
                };
                if let (Some(Outcome::Extended { .. } | Outcome::NothingNew), Some(outboard)) = (outcome, outboard)
                    && Outboard::of_small(&outboard.digest(), outboard.length()).is_none()
                {
                    storage.outboards.insert(entry.id(), outboard);
                }
                if let Some(command) = command {
                    self.command(node, session, command);
                }
            }
            Write::Fetched(session, fetch, result) => self.command(node, session, Command::Fetched(fetch, result)),
        }
        if self.nodes[node].storage.store.progress() != before {
            self.possess(node);
            self.wake_all(node);
        }
    }
}
