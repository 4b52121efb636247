//! What a batch changes in the tables, within one transaction of redb: all of it, or an error and the transaction is dropped.
//!
//! Each change of a table is also noted in a record for the log, as long as one is wanted.

use std::collections::BTreeSet;

use osier_core::{
    store::{AuthorId, Batch, Change, HistoryRecord, RowCodec, StorageError, StoredEntry},
    willow::EntryId,
};
use redb::{ReadableTable as _, Table, WriteTransaction};

use super::{
    failure::Failed,
    log::{Record, TableChange},
    tables::{Fact, Kind, number, segment_key, segment_offset},
};

/// The largest value of a segment. redb gives a value pages of a power of two, in which it needs some room for itself: a value of just
/// such a power would take twice its size.
const SEGMENT: usize = 256 * 1024;
/// The smallest page.
const PAGE: usize = 4096;
/// What redb needs in a page beside the value, its key included.
const ROOM: usize = 128;

/// The changes of one transaction.
pub(super) struct Changes<'txn> {
    tables: [Table<'txn, &'static [u8], &'static [u8]>; Kind::ALL.len()],
    record: Option<Record>,
    entries: u64,
    payload_bytes: u64,
    progress: u64,
    authors: BTreeSet<AuthorId>,
}

/// What is left to do with the changes.
pub(super) struct Made {
    /// For the log, if it was wanted.
    pub(super) record: Option<Record>,
    /// The authors whose records are kept once this is committed.
    pub(super) authors: BTreeSet<AuthorId>,
}

impl<'txn> Changes<'txn> {
    /// No changes yet. `record`: whether they are noted for the log.
    pub(super) fn begin(transaction: &'txn WriteTransaction, record: bool) -> Result<Self, Failed> {
        let open = |kind: Kind| transaction.open_table(kind.definition());
        let tables = [
            open(Kind::Entries)?,
            open(Kind::Authors)?,
            open(Kind::Payloads)?,
            open(Kind::Notes)?,
            open(Kind::Secrets)?,
            open(Kind::Meta)?,
            open(Kind::History)?,
        ];
        let meta = &tables[Kind::Meta as usize];
        let (entries, payload_bytes, progress) =
            (number(meta, Fact::ENTRIES)?, number(meta, Fact::PAYLOAD_BYTES)?, number(meta, Fact::PROGRESS)?);
        Ok(Self { tables, record: record.then(Record::new), entries, payload_bytes, progress, authors: BTreeSet::new() })
    }

    /// Makes a change as it is.
    pub(super) fn apply(&mut self, (kind, key, value): TableChange<'_>) -> Result<(), Failed> {
        let table = &mut self.tables[kind as usize];
        match value {
            Some(value) => table.insert(key, value)?,
            None => table.remove(key)?,
        };
        if let Some(record) = &mut self.record {
            record.push((kind, key, value));
        }
        Ok(())
    }

    fn put(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), Failed> {
        self.apply((kind, key, Some(value)))
    }

    fn remove(&mut self, kind: Kind, key: &[u8]) -> Result<(), Failed> {
        self.apply((kind, key, None))
    }

    /// Makes the changes of a batch.
    pub(super) fn make(&mut self, batch: &Batch, codec: &mut RowCodec) -> Result<(), Failed> {
        for change in &batch.changes {
            match change {
                Change::Put(entry) => self.put_entry(entry, codec)?,
                Change::Remove(id) => self.remove_entry(id)?,
                Change::Payload { id, offset, bytes } => self.extend(id, *offset, bytes)?,
                Change::Draft { id, offset, bytes } => self.draft(id, *offset, bytes)?,
                Change::Adopt { id, length } => self.adopt(id, *length)?,
                Change::Note { name, value: Some(value) } => self.put(Kind::of_note(name), name.as_bytes(), value)?,
                Change::Note { name, value: None } => self.remove(Kind::of_note(name), name.as_bytes())?,
            }
        }
        if let Some(record) = &batch.history {
            self.remember(record)?;
        }
        self.progress = self.progress.max(batch.progress.0);
        Ok(())
    }

    /// Keeps a record of the history, and removes those that it makes superfluous.
    fn remember(&mut self, record: &HistoryRecord) -> Result<(), Failed> {
        self.put(Kind::History, &record.key.0.to_be_bytes(), &record.bytes)?;
        let Some(trim) = record.trim else { return Ok(()) };
        let mut old = Vec::new();
        for item in self.tables[Kind::History as usize].range::<&[u8]>(..=&trim.0.to_be_bytes()[..])? {
            old.push(item?.0.value().to_vec());
        }
        old.iter().try_for_each(|key| self.remove(Kind::History, key))
    }

    /// Writes what is known of all. `logged`: the number that this commit has in the log.
    pub(super) fn finish(mut self, logged: u64) -> Result<Made, Failed> {
        let facts = [
            (Fact::ENTRIES, self.entries),
            (Fact::PAYLOAD_BYTES, self.payload_bytes),
            (Fact::PROGRESS, self.progress),
            (Fact::LOGGED, logged),
        ];
        for (fact, value) in facts {
            self.put(Kind::Meta, fact, &value.to_be_bytes())?;
        }
        Ok(Made { record: self.record, authors: self.authors })
    }

    fn row(&self, id: &EntryId) -> Result<Option<Vec<u8>>, Failed> {
        Ok(self.tables[Kind::Entries as usize].get(&id.0[..])?.map(|row| row.value().to_vec()))
    }

    fn put_entry(&mut self, entry: &StoredEntry, codec: &mut RowCodec) -> Result<(), Failed> {
        let id = entry.id();
        if let Some(row) = self.row(&id)? {
            if RowCodec::available(&id, &row).is_ok() {
                return Ok(());
            }
            // What is left of a damaged one is no use to the new.
            self.remove_entry(&id)?;
        }
        let author = codec.author(entry);
        if let Some(record) = codec.unkept(&author)
            && self.authors.insert(author)
        {
            self.put(Kind::Authors, &author.0, record)?;
        }
        self.entries += 1;
        self.put(Kind::Entries, &id.0, &codec.encode(entry, 0))
    }

    fn remove_entry(&mut self, id: &EntryId) -> Result<(), Failed> {
        // What is drafted was not counted.
        let counts = self.tables[Kind::Entries as usize].get(&id.0[..])?.is_some();
        if counts {
            self.entries = self.entries.saturating_sub(1);
            self.remove(Kind::Entries, &id.0)?;
        }
        let (first, last) = (segment_key(id, 0), segment_key(id, u64::MAX));
        let mut segments = Vec::new();
        for item in self.tables[Kind::Payloads as usize].range::<&[u8]>(&first[..]..=&last[..])? {
            let (key, value) = item?;
            segments.push((key.value().to_vec(), value.value().len() as u64));
        }
        for (key, length) in segments {
            self.payload_bytes = self.payload_bytes.saturating_sub(if counts { length } else { 0 });
            self.remove(Kind::Payloads, &key)?;
        }
        Ok(())
    }

    /// Appends the bytes that are new.
    fn extend(&mut self, id: &EntryId, offset: u64, bytes: &[u8]) -> Result<(), Failed> {
        let row = self.row(id)?.ok_or(misfit("a payload without its entry"))?;
        let available = RowCodec::available(id, &row)?;
        let end = self.append(id, available, offset, bytes)?;
        if end > available {
            self.payload_bytes += end - available;
            self.put(Kind::Entries, &id.0, &RowCodec::with_available(id, &row, end)?)?;
        }
        Ok(())
    }

    /// Appends to what will be the payload of an entry that is not there.
    fn draft(&mut self, id: &EntryId, offset: u64, bytes: &[u8]) -> Result<(), Failed> {
        if self.row(id)?.is_some() {
            return Err(misfit("a draft for an entry that is there"));
        }
        let drafted = self.stored_length(id)?;
        self.append(id, drafted, offset, bytes)?;
        Ok(())
    }

    /// Gives an entry its draft.
    fn adopt(&mut self, id: &EntryId, length: u64) -> Result<(), Failed> {
        let row = self.row(id)?.ok_or(misfit("a draft without its entry"))?;
        let available = RowCodec::available(id, &row)?;
        if available == length {
            return Ok(());
        }
        if available > 0 || self.stored_length(id)? != length {
            return Err(misfit("a draft that is not all there"));
        }
        self.payload_bytes += length;
        self.put(Kind::Entries, &id.0, &RowCodec::with_available(id, &row, length)?)
    }

    /// Where the last segment ends.
    fn stored_length(&self, id: &EntryId) -> Result<u64, Failed> {
        let (first, last) = (segment_key(id, 0), segment_key(id, u64::MAX));
        let last = self.tables[Kind::Payloads as usize].range::<&[u8]>(&first[..]..=&last[..])?.next_back().transpose()?;
        let end = last.and_then(|(key, segment)| segment_offset(key.value())?.checked_add(segment.value().len() as u64));
        Ok(end.unwrap_or(0))
    }

    /// Writes those of the bytes that are behind `here`, where the stored ones end. Returns where they end then.
    fn append(&mut self, id: &EntryId, here: u64, offset: u64, bytes: &[u8]) -> Result<u64, Failed> {
        let known = here.checked_sub(offset).ok_or(misfit("a gap in a payload"))?;
        let mut rest = usize::try_from(known).ok().and_then(|known| bytes.get(known..)).unwrap_or_default();
        let mut position = here;
        while let Some((segment, after)) = rest.split_at_checked(segment_length(rest.len())).filter(|(segment, _)| !segment.is_empty()) {
            self.put(Kind::Payloads, &segment_key(id, position), segment)?;
            position += segment.len() as u64;
            rest = after;
        }
        Ok(position)
    }
}

fn misfit(why: &'static str) -> Failed {
    Failed::Refused(StorageError::Misfit(why))
}

/// How long the next segment of so many bytes is: what fills pages, or less than a page.
fn segment_length(rest: usize) -> usize {
    let mut page = SEGMENT;
    while page > PAGE && page - ROOM > rest {
        page /= 2;
    }
    rest.min(page - ROOM)
}
