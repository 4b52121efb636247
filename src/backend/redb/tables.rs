//! The tables of the database, and what is read from them. It must not know how changes come about.

use std::ops::Bound;

use osier_core::{
    store::{Chunk, HistoryKey, LoadCursor, ProgressId, RowCodec, StorageError, Usage},
    willow::EntryId,
};
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable, TableDefinition};

use super::{failure::Failed, log::Key};

/// What every table maps: bytes to bytes.
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Reading = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// How many rows are read at once.
const CHUNK: usize = 2000;
/// How many bytes of the history are read at once, but for the last record.
const HISTORY_PART: usize = 1 << 20;

/// Names of notes that are kept apart begin with this.
pub(super) const SECRET: &str = "secret/";

/// One of the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Id of an entry → its row.
    Entries,
    /// Id of an author → its record.
    Authors,
    /// Id of an entry and an offset, big-endian → bytes of the payload from there.
    Payloads,
    /// Name → note.
    Notes,
    /// Name → note that is a secret.
    Secrets,
    /// What is known of all of it; see [`Fact`].
    Meta,
    /// Key, big-endian → record of the history.
    History,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [Self::Entries, Self::Authors, Self::Payloads, Self::Notes, Self::Secrets, Self::Meta, Self::History];

    /// The table of this number.
    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// How redb finds it.
    pub(super) fn definition(self) -> Definition {
        TableDefinition::new(match self {
            Self::Entries => "entries",
            Self::Authors => "authors",
            Self::Payloads => "payloads",
            Self::Notes => "notes",
            Self::Secrets => "secrets",
            Self::Meta => "meta",
            Self::History => "history",
        })
    }

    /// Where a note of this name is kept.
    pub(super) fn of_note(name: &str) -> Self {
        if name.starts_with(SECRET) { Self::Secrets } else { Self::Notes }
    }
}

/// The keys of the table [`Kind::Meta`]. Numbers are big-endian.
pub(super) struct Fact;

impl Fact {
    /// The version of the layout.
    pub(super) const SCHEMA: &'static [u8] = b"schema";
    /// The greatest progress.
    pub(super) const PROGRESS: &'static [u8] = b"progress";
    /// How many entries there are.
    pub(super) const ENTRIES: &'static [u8] = b"entries";
    /// How many bytes of payloads there are.
    pub(super) const PAYLOAD_BYTES: &'static [u8] = b"payload bytes";
    /// The number of the last record of the log that is in here.
    pub(super) const LOGGED: &'static [u8] = b"logged";
    /// The secret of the log.
    pub(super) const LOG_KEY: &'static [u8] = b"log key";
}

/// A number of the table [`Kind::Meta`], 0 if it is not there.
pub(super) fn number(meta: &impl ReadableTable<&'static [u8], &'static [u8]>, fact: &[u8]) -> Result<u64, Failed> {
    let Some(value) = meta.get(fact)? else { return Ok(0) };
    let bytes = value.value().try_into().map_err(|_| corrupt("a number that is none"))?;
    Ok(u64::from_be_bytes(bytes))
}

fn corrupt(what: &str) -> Failed {
    Failed::Refused(StorageError::Corrupt(what.to_owned()))
}

/// What a database says of itself.
pub(super) enum Identity {
    /// Nothing: it is new.
    New,
    /// It is one of Osier's.
    Known {
        /// The version of its layout.
        schema: u32,
        /// The number of the last record of the log that is in here.
        logged: u64,
        /// The secret of the log.
        key: Key,
    },
    /// It is somebody else's.
    Foreign,
}

/// What a database says of itself.
pub(super) fn identity(database: &Database) -> Result<Identity, Failed> {
    let reading = database.begin_read()?;
    if reading.list_tables()?.next().is_none() {
        return Ok(Identity::New);
    }
    let Ok(meta) = table(&reading, Kind::Meta) else { return Ok(Identity::Foreign) };
    let Some(schema) = meta.get(Fact::SCHEMA)? else { return Ok(Identity::Foreign) };
    let schema = u32::from_be_bytes(schema.value().try_into().map_err(|_| corrupt("a version that is none"))?);
    let key = meta.get(Fact::LOG_KEY)?.and_then(|key| key.value().try_into().ok()).ok_or(corrupt("the key of the log is not there"))?;
    Ok(Identity::Known { schema, logged: number(&meta, Fact::LOGGED)?, key })
}

fn table(reading: &ReadTransaction, kind: Kind) -> Result<Reading, Failed> {
    Ok(reading.open_table(kind.definition())?)
}

/// Takes over the records of all authors. Entries of those that do not say what was written are damaged.
pub(super) fn learn_authors(database: &Database, codec: &mut RowCodec) -> Result<(), Failed> {
    for item in table(&database.begin_read()?, Kind::Authors)?.iter()? {
        let (id, record) = item?;
        if let Ok(id) = id.value().try_into() {
            // What is not learned is missed when its rows are read.
            let _ = codec.learn(osier_core::store::AuthorId(id), record.value());
        }
    }
    Ok(())
}

/// The next part of what is stored.
pub(super) fn load(database: &Database, codec: &RowCodec, from: LoadCursor) -> Result<Chunk, Failed> {
    let reading = database.begin_read()?;
    let progress = ProgressId(number(&table(&reading, Kind::Meta)?, Fact::PROGRESS)?);
    let last = table(&reading, Kind::History)?.last()?.map(|(key, _)| history_key(key.value())).transpose()?;
    let mut chunk = Chunk { progress, history: Some(last.unwrap_or_default()), ..Chunk::default() };
    if from == LoadCursor::default() {
        for kind in [Kind::Notes, Kind::Secrets] {
            for item in table(&reading, kind)?.iter()? {
                let (name, value) = item?;
                let name = String::from_utf8(name.value().to_vec()).map_err(|_| corrupt("a name that is no text"))?;
                chunk.notes.push((name, value.value().to_vec()));
            }
        }
    }
    let entries = table(&reading, Kind::Entries)?;
    let mut rows = match &from.0 {
        Some(last) => entries.range::<&[u8]>((Bound::Excluded(&last.0[..]), Bound::Unbounded))?,
        None => entries.iter()?,
    };
    let mut last = None;
    for item in rows.by_ref().take(CHUNK) {
        let (id, row) = item?;
        // A key that is no id is nobody's entry.
        let Ok(id) = id.value().try_into().map(EntryId) else { continue };
        match codec.decode(&id, row.value()) {
            Ok(entry) => chunk.entries.push(entry),
            Err(_) => chunk.damaged.push(id),
        }
        last = Some(id);
    }
    if rows.next().transpose()?.is_some() {
        chunk.next = last.map(|last| LoadCursor(Some(last)));
    }
    Ok(chunk)
}

/// The key of a segment of a payload.
pub(super) fn segment_key(id: &EntryId, offset: u64) -> [u8; 40] {
    let mut key = [0; 40];
    let (entry, position) = key.split_at_mut(32);
    entry.copy_from_slice(&id.0);
    position.copy_from_slice(&offset.to_be_bytes());
    key
}

/// Where the segment of this key begins in its payload.
pub(super) fn segment_offset(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk()?))
}

/// Bytes of a payload.
pub(super) fn read_payload(database: &Database, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, Failed> {
    let payloads = table(&database.begin_read()?, Kind::Payloads)?;
    let mut bytes = Vec::new();
    let until = |to: u64| segment_key(id, to);
    let Some(first) = payloads.range::<&[u8]>(&until(0)[..]..=&until(offset)[..])?.next_back().transpose()? else { return Ok(bytes) };
    let Some(mut position) = segment_offset(first.0.value()) else { return Ok(bytes) };
    let end = offset.saturating_add(len);
    for item in payloads.range::<&[u8]>(first.0.value()..=&until(u64::MAX)[..])? {
        let (key, segment) = item?;
        if position >= end {
            break;
        }
        if segment_offset(key.value()) != Some(position) {
            return Err(corrupt("a hole in a payload"));
        }
        let segment = segment.value();
        let index = |at: u64| usize::try_from(at.saturating_sub(position)).unwrap_or(usize::MAX).min(segment.len());
        bytes.extend_from_slice(segment.get(index(offset)..index(end)).unwrap_or_default());
        position += segment.len() as u64;
    }
    Ok(bytes)
}

fn history_key(bytes: &[u8]) -> Result<HistoryKey, Failed> {
    let key = bytes.try_into().map_err(|_| corrupt("a key of the history that is none"))?;
    Ok(HistoryKey(u64::from_be_bytes(key)))
}

/// The next records of the history.
pub(super) fn history(database: &Database, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, Failed> {
    let after = after.0.to_be_bytes();
    let (mut records, mut size) = (Vec::new(), 0);
    for item in table(&database.begin_read()?, Kind::History)?.range::<&[u8]>((Bound::Excluded(&after[..]), Bound::Unbounded))? {
        let (key, record) = item?;
        size += record.value().len();
        records.push((history_key(key.value())?, record.value().to_vec()));
        if size > HISTORY_PART {
            break;
        }
    }
    Ok(records)
}

/// How much is stored.
pub(super) fn usage(database: &Database) -> Result<Usage, Failed> {
    let meta = table(&database.begin_read()?, Kind::Meta)?;
    Ok(Usage { entries: number(&meta, Fact::ENTRIES)?, payload_bytes: number(&meta, Fact::PAYLOAD_BYTES)?, quota: None })
}
