//! The history on the disk: what changed, kept batch by batch, so that subscriptions resume after a restart.
//!
//! Each batch carries a record of its changes to the disk ([`Batch::history`](super::Batch::history)), whole in itself. Opening a store
//! reads none of them: once a subscription asks for what was before this run, a [`HistoryReader`] reads them all and the store puts
//! their events before its own. It must not know who follows, or how a backend keeps records.
//!
//! ```text
//! record  format=1 · before 8 · first 8 · event* · check 8
//! event   kind and origin 1 · author · entry · (available | id of the newer entry 32)     inserted 0, payload 2 | pruned 1
//!         kind 1 · namespace 32 · count · area                                                                      forgotten 3
//! author  number in the record, from 0 · (subspace 32 · write capability, absolute: at its first use)
//! entry   id 32 · progress · timestamp · payload length · payload digest 32 · signature 64 · length of the key · key
//! ```
//! `before` is the last change before the record, `first` the number of its first event, from which the others count up. A record
//! continues the one before it iff `before` is that one's last change: so a record that is damaged, lost or was never written ends the
//! history there, and whoever has seen less is told [`Lagged`](super::Lagged). Fixed numbers are big-endian, others compact; `check` is
//! the beginning of BLAKE3 over the record without it.

use std::{collections::BTreeMap, sync::Arc};

use willow25::prelude::{Area, WriteCapability};

use super::{
    backend::{Backend, HistoryKey, HistoryRecord, StorageError},
    disk::{Damaged, SharedAuthors, write_author},
    events::{Events, Forgotten, Origin, ProgressId, StoreEvent},
    plan::Step,
    row::{Row, StoredEntry, Subspace},
};
use crate::willow::{
    DecodeError, EntryId, Reader, Writer,
    area_codec::{decode_area_in_area, encode_area_in_area},
};

const FORMAT: u8 = 1;
const CHECK: usize = 8;
/// A record that would be larger is not written, and the history begins after it. Only a batch that prunes very many entries comes near.
const LARGEST: usize = 8 << 20;

/// Kinds of events: the lower half of the first byte.
const INSERTED: u8 = 0;
const PRUNED: u8 = 1;
const PAYLOAD: u8 = 2;
const FORGOTTEN: u8 = 3;
/// Origins: the upper half of the first byte.
const LOCAL: u8 = 0x00;
const PEER: u8 = 0x10;
const IMPORT: u8 = 0x20;

impl From<DecodeError> for Damaged {
    fn from(_: DecodeError) -> Self {
        Self("a record of the history")
    }
}

/// What a store knows of its history on the disk.
pub(crate) struct Kept {
    /// Whether there is one.
    is_kept: bool,
    /// Of the last change, written or not.
    last: HistoryKey,
    /// Of the last change of earlier runs.
    opened: HistoryKey,
}

impl Kept {
    pub(crate) fn new() -> Self {
        Self { is_kept: true, last: HistoryKey::default(), opened: HistoryKey::default() }
    }

    /// The store has been loaded; the backend has told the greatest key.
    pub(crate) fn begin_at(&mut self, greatest: Option<HistoryKey>) {
        self.is_kept = greatest.is_some();
        self.last = greatest.unwrap_or_default();
        self.opened = self.last;
    }

    /// So many changes were made.
    pub(crate) fn count(&mut self, changes: usize) {
        self.last = self.last.plus(changes);
    }

    /// The record of a batch that makes these changes, the next ones.
    pub(crate) fn record(&self, events: &Events, steps: &[Step]) -> Option<HistoryRecord> {
        if !self.is_kept || steps.is_empty() {
            return None;
        }
        // Of more than the history holds only the end.
        let left_out = steps.len().saturating_sub(events.limit());
        let first = events.base().plus(left_out + 1);
        let before = if left_out == 0 { events.now() } else { events.base().plus(left_out) };
        let bytes = encode(before, first, steps.get(left_out..)?)?;
        let key = self.last.plus(steps.len());
        Some(HistoryRecord { key, bytes, trim: trim(self.last, key, events.limit()) })
    }

    /// What reads the records of earlier runs.
    pub(crate) fn reader(&self) -> Option<HistoryReader> {
        (self.is_kept && self.opened > HistoryKey::default()).then(|| HistoryReader::new(self.opened))
    }

    /// The records of earlier runs have been read.
    pub(crate) fn read(&mut self) {
        self.opened = HistoryKey::default();
    }
}

impl HistoryKey {
    fn plus(self, changes: usize) -> Self {
        Self(self.0.saturating_add(changes as u64))
    }
}

/// What to remove when the last key becomes `key`, so that `limit` changes are left: something once in so many changes only.
fn trim(last: HistoryKey, key: HistoryKey, limit: usize) -> Option<HistoryKey> {
    let (limit, step) = (limit as u64, (limit as u64 / 32).max(1));
    let excess = |key: HistoryKey| key.0.saturating_sub(limit) / step * step;
    (excess(key) > excess(last)).then(|| HistoryKey(excess(key)))
}

/// The record of these changes; `None` if it were too large, or they are none that events tell.
fn encode(before: ProgressId, first: ProgressId, steps: &[Step]) -> Option<Vec<u8>> {
    let mut encoder = Encoder { writer: Writer::with_capacity(256 + 256 * steps.len()), authors: BTreeMap::new(), last: None };
    encoder.writer.u8(FORMAT);
    encoder.writer.bytes(&before.0.to_be_bytes());
    encoder.writer.bytes(&first.0.to_be_bytes());
    for step in steps {
        encoder.step(step)?;
        if encoder.writer.len() > LARGEST {
            return None;
        }
    }
    let check = check(encoder.writer.as_bytes());
    encoder.writer.bytes(&check);
    Some(encoder.writer.into_bytes())
}

/// Authors are told apart by where their shared values are: at worst one is written twice.
type Shared = (*const Subspace, *const WriteCapability);

struct Encoder {
    writer: Writer,
    authors: BTreeMap<Shared, u64>,
    /// The author of the event before; most have the same.
    last: Option<(Shared, u64)>,
}

impl Encoder {
    fn step(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Insert { held, origin } => {
                self.entry(INSERTED, *origin, &held.stored);
                self.writer.c64_standalone(held.available);
            }
            Step::Prune { entry, by, origin } => {
                self.entry(PRUNED, *origin, entry);
                self.writer.bytes(&by.0);
            }
            Step::Extend { entry, available, origin } => {
                self.entry(PAYLOAD, *origin, entry);
                self.writer.c64_standalone(*available);
            }
            Step::Forget { what, .. } => {
                self.writer.u8(FORGOTTEN);
                self.writer.bytes(what.namespace.as_bytes());
                self.writer.c64_standalone(what.count);
                encode_area_in_area(&mut self.writer, &what.area, &Area::full());
            }
            Step::Lose => return None,
        }
        Some(())
    }

    fn entry(&mut self, kind: u8, origin: Origin, entry: &StoredEntry) {
        let origin = match origin {
            Origin::Local => LOCAL,
            Origin::Peer(_) | Origin::UnknownPeer => PEER,
            Origin::Import => IMPORT,
        };
        self.writer.u8(kind | origin);
        self.author(entry);
        let writer = &mut self.writer;
        writer.bytes(&entry.id().0);
        writer.c64_standalone(entry.progress().0);
        writer.c64_standalone(entry.micros());
        writer.c64_standalone(entry.payload_length());
        writer.bytes(entry.digest_bytes());
        writer.bytes(entry.signature());
        writer.c64_standalone(entry.key().len() as u64);
        writer.bytes(entry.key());
    }

    fn author(&mut self, entry: &StoredEntry) {
        let shared = (Arc::as_ptr(entry.subspace()), Arc::as_ptr(entry.capability()));
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == shared) {
            return self.writer.c64_standalone(number);
        }
        let (known, next) = (self.authors.get(&shared).copied(), self.authors.len() as u64);
        let number = known.unwrap_or(next);
        self.writer.c64_standalone(number);
        if known.is_none() {
            self.authors.insert(shared, number);
            write_author(&mut self.writer, entry);
        }
        self.last = Some((shared, number));
    }
}

fn check(body: &[u8]) -> [u8; CHECK] {
    let hash = blake3::hash(body);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Reads the history of earlier runs; see [`Store::history_reader`](super::Store::history_reader).
pub struct HistoryReader {
    authors: SharedAuthors,
    /// The last key that was read.
    read: HistoryKey,
    /// The last key of earlier runs.
    until: HistoryKey,
    run: Option<Run>,
    damaged: u64,
}

/// Records that continue each other.
struct Run {
    since: ProgressId,
    events: Vec<StoreEvent>,
    last: ProgressId,
}

impl HistoryReader {
    fn new(until: HistoryKey) -> Self {
        Self { authors: SharedAuthors::default(), read: HistoryKey::default(), until, run: None, damaged: 0 }
    }

    /// Reads what the backend has. Batches may be committed meanwhile.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn read(&mut self, backend: &impl Backend) -> Result<(), StorageError> {
        while self.read < self.until {
            let records = backend.history(self.read).await?;
            let Some((last, _)) = records.last() else { break };
            self.read = self.read.max(*last);
            for (key, bytes) in records {
                // Later ones are those of this run, which the store has in memory.
                if key <= self.until {
                    self.take(&bytes);
                }
            }
        }
        Ok(())
    }

    /// How many records did not say what was written.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn take(&mut self, bytes: &[u8]) {
        let Ok(mut record) = decode(bytes, &mut self.authors) else {
            // The next record does not continue the one before this.
            self.damaged += 1;
            return;
        };
        match &mut self.run {
            Some(run) if run.last == record.since => {
                run.last = record.last;
                run.events.append(&mut record.events);
            }
            run => *run = Some(record),
        }
    }

    /// Since when all changes up to `end` were read, and their events.
    pub(crate) fn until(self, end: ProgressId) -> Option<(ProgressId, Vec<StoreEvent>)> {
        self.run.filter(|run| run.last == end).map(|run| (run.since, run.events))
    }
}

fn decode(bytes: &[u8], authors: &mut SharedAuthors) -> Result<Run, Damaged> {
    let (body, found) = bytes.split_last_chunk::<CHECK>().ok_or(Damaged("a short record of the history"))?;
    if check(body) != *found {
        return Err(Damaged("the check of a record of the history"));
    }
    let mut decoder = Decoder { reader: Reader::new(body), shared: authors, authors: Vec::new() };
    let FORMAT = decoder.reader.u8()? else { return Err(Damaged("no record of this format")) };
    let since = ProgressId(u64::from_be_bytes(decoder.reader.array()?));
    let first = ProgressId(u64::from_be_bytes(decoder.reader.array()?));
    let mut run = Run { since, events: Vec::new(), last: since };
    while !decoder.reader.is_empty() {
        run.last = first.plus(run.events.len());
        run.events.push(decoder.event(run.last)?);
    }
    if first <= since { Err(Damaged("the numbers of a record of the history")) } else { Ok(run) }
}

struct Decoder<'a> {
    reader: Reader<'a>,
    shared: &'a mut SharedAuthors,
    authors: Vec<(Arc<Subspace>, Arc<WriteCapability>)>,
}

impl Decoder<'_> {
    fn event(&mut self, progress: ProgressId) -> Result<StoreEvent, Damaged> {
        let first = self.reader.u8()?;
        if first == FORGOTTEN {
            let namespace = self.shared.keys().namespace(&self.reader.array()?);
            let count = self.reader.c64_standalone()?;
            let area = decode_area_in_area(&mut self.reader, &Area::full(), self.shared.keys())?;
            return Ok(StoreEvent::Forgotten(Box::new(Forgotten { progress, namespace, area, count })));
        }
        let origin = match first & 0xf0 {
            LOCAL => Origin::Local,
            PEER => Origin::UnknownPeer,
            IMPORT => Origin::Import,
            _ => return Err(Damaged("an origin in the history")),
        };
        let entry = self.entry()?;
        match first & 0x0f {
            INSERTED => Ok(StoreEvent::Inserted { progress, available: self.available(&entry)?, entry, origin }),
            PRUNED => Ok(StoreEvent::Pruned { progress, entry, by: EntryId(self.reader.array()?), origin }),
            PAYLOAD => {
                let (available, total) = (self.available(&entry)?, entry.payload_length());
                Ok(StoreEvent::Payload { progress, entry, available, total, origin })
            }
            _ => Err(Damaged("an event of the history")),
        }
    }

    fn available(&mut self, entry: &StoredEntry) -> Result<u64, Damaged> {
        let available = self.reader.c64_standalone()?;
        if available > entry.payload_length() { Err(Damaged("more payload than there is")) } else { Ok(available) }
    }

    fn entry(&mut self) -> Result<StoredEntry, Damaged> {
        let number = usize::try_from(self.reader.c64_standalone()?).map_err(|_| Damaged("an author in the history"))?;
        if number == self.authors.len() {
            self.authors.push(self.shared.read(&mut self.reader)?);
        }
        let (subspace, capability) = self.authors.get(number).cloned().ok_or(Damaged("an author in the history"))?;
        let reader = &mut self.reader;
        let id = EntryId(reader.array()?);
        let progress = ProgressId(reader.c64_standalone()?);
        let (timestamp, payload_length) = (reader.c64_standalone()?, reader.c64_standalone()?);
        let (payload_digest, signature) = (reader.array()?, reader.array()?);
        let length = reader.c64_standalone()?;
        let key = reader.take_u64(length)?.into();
        Ok(StoredEntry::kept(Row { subspace, key, timestamp, payload_length, payload_digest, id, capability, signature, progress }))
    }
}
