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
        let mut ahead: BTreeMap<EntryId, Option<u64>> = BTreeMap::new();
        for change in &batch.changes {
            match change {
                Change::Put(entry) => {
                    let here = self.available(&ahead, &entry.id());
                    ahead.insert(entry.id(), Some(here.unwrap_or(0)));
                }
                Change::Remove(id) => {
                    ahead.insert(*id, None);
                }
                Change::Payload { id, offset, bytes } => {
                    let here = self.available(&ahead, id).ok_or(StorageError::Misfit("a payload without its entry"))?;
                    if *offset > here {
                        return Err(StorageError::Misfit("a gap in a payload"));
                    }
                    ahead.insert(*id, Some(here.max(offset.saturating_add(bytes.len() as u64))));
                }
                Change::Note { .. } => {}
            }
        }
        Ok(())
    }

    fn available(&self, ahead: &BTreeMap<EntryId, Option<u64>>, id: &EntryId) -> Option<u64> {
        ahead.get(id).copied().unwrap_or_else(|| self.entries.get(id).map(|(_, payload)| payload.len() as u64))
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
            }
            Change::Payload { id, offset, bytes } => {
                let Some((_, payload)) = self.entries.get_mut(&id) else { return };
                let known = usize::try_from((payload.len() as u64).saturating_sub(offset)).unwrap_or(usize::MAX);
                if payload.is_empty() {
                    *payload = bytes;
                } else {
                    payload.extend_from_slice(bytes.get(known..).unwrap_or_default());
                }
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
