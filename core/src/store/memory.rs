//! A backend that keeps everything in memory, for nodes without durable storage and as the model of the others.

use std::{
    cell::RefCell,
    collections::{BTreeMap, btree_map::Entry::Vacant},
    ops::Bound,
};

use super::{
    backend::{Backend, Batch, Change, Chunk, HistoryKey, HistoryRecord, LoadCursor, StorageError, Usage},
    events::ProgressId,
    row::StoredEntry,
};
use crate::willow::EntryId;

/// How many entries a chunk has.
const CHUNK: usize = 1000;
/// How many records of the history are given at once.
const RECORDS: usize = 100;

/// See the module. Rows are shared with the index, so an entry is in memory once.
#[derive(Clone, Default)]
pub struct MemoryBackend {
    kept: RefCell<Kept>,
}

#[derive(Clone, Default)]
struct Kept {
    entries: BTreeMap<EntryId, (StoredEntry, Vec<u8>)>,
    drafts: BTreeMap<EntryId, Vec<u8>>,
    notes: BTreeMap<String, Vec<u8>>,
    progress: ProgressId,
    history: BTreeMap<HistoryKey, Vec<u8>>,
    without_history: bool,
    closed: bool,
}

impl MemoryBackend {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one that keeps no history, for a store that is never opened again: what it has in memory is enough.
    #[must_use]
    pub fn without_history() -> Self {
        Self { kept: RefCell::new(Kept { without_history: true, ..Kept::default() }) }
    }
}

impl Kept {
    fn open(&self) -> Result<&Self, StorageError> {
        if self.closed { Err(StorageError::Closed) } else { Ok(self) }
    }

    /// Whether a batch can be written: each payload must continue what is there by then. Checked before anything is touched.
    fn check(&self, batch: &Batch) -> Result<(), StorageError> {
        let mut ahead: BTreeMap<EntryId, Ahead> = BTreeMap::new();
        for change in &batch.changes {
            if let Some(id) = change.entry() {
                ahead.entry(id).or_insert_with(|| self.here(&id)).make(change)?;
            }
        }
        Ok(())
    }

    fn here(&self, id: &EntryId) -> Ahead {
        let length = |payload: &Vec<u8>| payload.len() as u64;
        Ahead {
            available: self.entries.get(id).map(|(_, payload)| length(payload)),
            drafted: self.drafts.get(id).map(length).unwrap_or_default(),
        }
    }

    fn write(&mut self, change: Change) {
        match change {
            Change::Put(entry) => {
                if let Vacant(place) = self.entries.entry(entry.id()) {
                    place.insert((entry, Vec::new()));
                }
            }
            Change::Remove(id) => {
                self.entries.remove(&id);
                self.drafts.remove(&id);
            }
            Change::Payload { id, offset, bytes } => {
                let Some((_, payload)) = self.entries.get_mut(&id) else { return };
                append(payload, offset, bytes);
            }
            Change::Draft { id, offset, bytes } => append(self.drafts.entry(id).or_default(), offset, bytes),
            Change::Adopt { id, .. } => {
                let (Some((_, payload)), Some(draft)) = (self.entries.get_mut(&id), self.drafts.remove(&id)) else { return };
                *payload = draft;
            }
            Change::Note { name, value: Some(value) } => {
                self.notes.insert(name, value);
            }
            Change::Note { name, value: None } => {
                self.notes.remove(&name);
            }
        }
    }

    /// Keeps a record of the history.
    fn remember(&mut self, HistoryRecord { key, bytes, trim }: HistoryRecord) {
        self.history.insert(key, bytes);
        if let Some(trim) = trim {
            self.history.retain(|key, _| *key > trim);
        }
    }
}

/// What there will be of an entry after some changes of a batch.
struct Ahead {
    available: Option<u64>,
    drafted: u64,
}

impl Ahead {
    fn make(&mut self, change: &Change) -> Result<(), StorageError> {
        let Self { available, drafted } = self;
        let fits = match (change, available) {
            (Change::Note { .. }, _) => true,
            (Change::Put(_), available) => {
                available.get_or_insert(0);
                true
            }
            (Change::Remove(_), available) => {
                (*available, *drafted) = (None, 0);
                true
            }
            (Change::Payload { offset, bytes, .. }, Some(available)) => continues(available, *offset, bytes),
            (Change::Draft { offset, bytes, .. }, None) => continues(drafted, *offset, bytes),
            (Change::Adopt { length, .. }, Some(available)) => {
                let adopted = available == length;
                let whole = *available == 0 && drafted == length;
                (*available, *drafted) = (*length, 0);
                adopted || whole
            }
            (Change::Payload { .. } | Change::Adopt { .. }, None) => return Err(StorageError::Misfit("a payload without its entry")),
            (Change::Draft { .. }, Some(_)) => return Err(StorageError::Misfit("a draft for an entry that is there")),
        };
        if fits { Ok(()) } else { Err(StorageError::Misfit("a gap in a payload")) }
    }
}

/// Whether bytes continue or overlap what is here; it counts as here then.
fn continues(here: &mut u64, offset: u64, bytes: &[u8]) -> bool {
    let fits = offset <= *here;
    *here = (*here).max(offset.saturating_add(bytes.len() as u64));
    fits
}

/// Adds what is new of these bytes.
fn append(payload: &mut Vec<u8>, offset: u64, bytes: Vec<u8>) {
    let known = usize::try_from((payload.len() as u64).saturating_sub(offset)).unwrap_or(usize::MAX);
    if payload.is_empty() {
        *payload = bytes;
    } else {
        payload.extend_from_slice(bytes.get(known..).unwrap_or_default());
    }
}

impl Backend for MemoryBackend {
    async fn load(&self, from: LoadCursor) -> Result<Chunk, StorageError> {
        let kept = self.kept.borrow();
        let kept = kept.open()?;
        let start = from.0.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = kept.entries.range((start, Bound::Unbounded));
        let entries: Vec<_> = rest.by_ref().take(CHUNK).map(|(_, (entry, payload))| (entry.clone(), payload.len() as u64)).collect();
        let last = entries.last().map(|(entry, _)| entry.id());
        let notes = kept.notes.iter().filter(|_| from == LoadCursor::default());
        Ok(Chunk {
            entries,
            notes: notes.map(|(name, value)| (name.clone(), value.clone())).collect(),
            progress: kept.progress,
            history: (!kept.without_history).then(|| kept.history.last_key_value().map(|(key, _)| *key).unwrap_or_default()),
            damaged: Vec::new(),
            next: rest.next().and(last).map(|last| LoadCursor(Some(last))),
        })
    }

    async fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        let mut kept = self.kept.borrow_mut();
        kept.open()?.check(&batch)?;
        kept.progress = kept.progress.max(batch.progress);
        batch.changes.into_iter().for_each(|change| kept.write(change));
        if let Some(record) = batch.history.filter(|_| !kept.without_history) {
            kept.remember(record);
        }
        Ok(())
    }

    async fn read_payload(&self, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, StorageError> {
        let kept = self.kept.borrow();
        let payload = kept.open()?.entries.get(id).map_or(&[][..], |(_, payload)| payload);
        let rest = usize::try_from(offset).ok().and_then(|offset| payload.get(offset..)).unwrap_or_default();
        Ok(rest[..rest.len().min(usize::try_from(len).unwrap_or(usize::MAX))].to_vec())
    }

    async fn history(&self, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, StorageError> {
        let kept = self.kept.borrow();
        let records = kept.open()?.history.range((Bound::Excluded(after), Bound::Unbounded)).take(RECORDS);
        Ok(records.map(|(key, bytes)| (*key, bytes.clone())).collect())
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        let kept = self.kept.borrow();
        let kept = kept.open()?;
        let payload_bytes = kept.entries.values().map(|(_, payload)| payload.len() as u64).sum();
        Ok(Usage { entries: kept.entries.len() as u64, payload_bytes, quota: None })
    }

    async fn close(&self) -> Result<(), StorageError> {
        self.kept.borrow_mut().closed = true;
        Ok(())
    }
}
