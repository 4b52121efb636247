//! The log: what was committed since the database on the disk was last brought up to date.
//!
//! redb knows commits that are on the disk when they return, at the cost of several writes all over the file and two syncs, and commits
//! that are in this process's memory only. What peers send must survive the process, though not the loss of power, and what is written
//! here must be on the disk. So each commit goes to redb's memory, and as one record to the end of this file; a strict one waits for the
//! file to be synced. When the log is full, redb writes everything, and the log begins again from its start.
//!
//! ```text
//! record   length of the changes 4 · number 8 · check 16 · changes
//! change   table 1 · 1 · length 4 · key · length 4 · value      or      table 1 · 0 · length 4 · key
//! ```
//! Records are numbered without a gap; the database says which of them it has. The check is keyed by a secret that the database keeps
//! and that changes with each recovery: neither what an earlier use has left in the file nor what a peer has put into a payload is ever
//! taken for a record. The first record that does not hold ends the log.

use osier_core::store::StorageError;
use redb::StorageBackend;

use super::{
    failure::{Failed, of_io},
    tables::Kind,
};
use crate::platform;

/// The secret of the checks.
pub(super) type Key = [u8; 32];

const LENGTH: usize = 4;
const NUMBER: usize = 8;
const CHECK: usize = 16;
const HEAD: usize = LENGTH + NUMBER + CHECK;

/// The changes of a commit, as a record in the making.
#[derive(Debug)]
pub(super) struct Record(Vec<u8>);

/// A change to one of the tables.
pub(super) type TableChange<'a> = (Kind, &'a [u8], Option<&'a [u8]>);

impl Record {
    /// Without a change.
    pub(super) fn new() -> Self {
        Self(vec![0; HEAD])
    }

    /// One more change: the value that is put under a key, or `None` if what is there is removed.
    pub(super) fn push(&mut self, (kind, key, value): TableChange<'_>) {
        self.0.extend([kind as u8, u8::from(value.is_some())]);
        self.part(key);
        if let Some(value) = value {
            self.part(value);
        }
    }

    /// Keys are short, and values no longer than a row, a segment or a note.
    fn part(&mut self, bytes: &[u8]) {
        self.0.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(bytes);
    }

    pub(super) fn complete(mut self, key: &Key, number: u64) -> Option<Vec<u8>> {
        let (head, changes) = self.0.split_at_mut_checked(HEAD)?;
        head[..LENGTH].copy_from_slice(&u32::try_from(changes.len()).ok()?.to_be_bytes());
        head[LENGTH..LENGTH + NUMBER].copy_from_slice(&number.to_be_bytes());
        head[LENGTH + NUMBER..].copy_from_slice(&check(key, number, changes));
        Some(self.0)
    }
}

/// The file, and where it ends.
pub(super) struct Log {
    file: Box<dyn StorageBackend>,
    key: Key,
    limit: u64,
    /// Where the next record goes; `None` while the log is not to be used, after a recovery that the database has not got yet.
    end: Option<u64>,
    /// The number of the last record that was committed.
    last: u64,
}

impl Log {
    /// The log of a database that has the records up to `last`. The second is what the file says beyond them, not empty if it was not
    /// closed.
    pub(super) fn open(file: Box<dyn StorageBackend>, key: Key, limit: u64, last: u64) -> Result<(Self, Vec<u8>), Failed> {
        let length = file.len().map_err(broken)?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read(0, &mut bytes).map_err(broken)?;
        let end = bytes.is_empty().then_some(0);
        Ok((Self { file, key, limit, end, last }, bytes))
    }

    /// The changes of the records in `bytes` that the database does not have, in order.
    pub(super) fn replay(&mut self, bytes: &[u8], mut make: impl FnMut(TableChange<'_>) -> Result<(), Failed>) -> Result<(), Failed> {
        let (mut rest, mut before) = (bytes, None);
        while let Some((number, changes, after)) = record(&self.key, rest) {
            let follows = before.map_or(number <= self.last + 1, |before| number == before + 1);
            if !follows {
                break;
            }
            if number > self.last {
                let mut changes = changes;
                while let Some((next, after)) = change(changes) {
                    make(next)?;
                    changes = after;
                }
                self.last = number;
            }
            (before, rest) = (Some(number), after);
        }
        Ok(())
    }

    /// The number of the last record.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether a record of so many bytes finds room.
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.end.is_some_and(|end| end.saturating_add(bytes).saturating_add(HEAD as u64) <= self.limit)
    }

    /// Writes a record with the next number, if it finds room, and returns its length. Until [`Log::accept`] it does not count.
    pub(super) fn append(&self, record: Record) -> Result<Option<u64>, Failed> {
        let Some(end) = self.end else { return Ok(None) };
        let Some(bytes) = record.complete(&self.key, self.last + 1).filter(|bytes| end + bytes.len() as u64 <= self.limit) else {
            return Ok(None);
        };
        self.file.write(end, &bytes).map_err(|error| match of_io(&error) {
            // What was written of it holds no check, and the next one goes to its place.
            StorageError::Full => Failed::Refused(StorageError::Full),
            error => Failed::Broken(error),
        })?;
        Ok(Some(bytes.len() as u64))
    }

    /// Brings all records to the disk. When this fails, nobody knows what is there.
    pub(super) fn sync(&self) -> Result<(), Failed> {
        self.file.sync_data().map_err(broken)
    }

    /// The last record of this length was committed.
    pub(super) fn accept(&mut self, length: u64) {
        self.last += 1;
        self.end = self.end.map(|end| end + length);
    }

    /// The key that the database must keep when it takes everything over, if it is to be another one.
    pub(super) fn new_key(&self) -> Option<Key> {
        self.end.is_none().then(platform::random)
    }

    /// The database has everything up to this number, and this key.
    pub(super) fn begin_again(&mut self, last: u64, key: Option<Key>) -> Result<(), Failed> {
        self.last = last;
        if let Some(key) = key {
            self.file.set_len(0).map_err(broken)?;
            self.key = key;
        }
        self.end = Some(0);
        Ok(())
    }

    /// Whether there is nothing in it that the database does not have.
    pub(super) fn is_at_its_start(&self) -> bool {
        self.end == Some(0)
    }

    /// Empties the file, which says that the storage was closed. The database must have everything.
    pub(super) fn clear(&self) -> Result<(), Failed> {
        self.file.set_len(0).map_err(broken)
    }
}

fn broken(error: std::io::Error) -> Failed {
    Failed::Broken(of_io(&error))
}

fn check(key: &Key, number: u64, changes: &[u8]) -> [u8; CHECK] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&number.to_be_bytes());
    hasher.update(changes);
    let mut check = [0; CHECK];
    hasher.finalize_xof().fill(&mut check);
    check
}

/// The record at the beginning of `bytes`, if it holds: its number, its changes, and what follows.
fn record<'a>(key: &Key, bytes: &'a [u8]) -> Option<(u64, &'a [u8], &'a [u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let (number, rest) = rest.split_first_chunk::<NUMBER>()?;
    let (found, rest) = rest.split_first_chunk::<CHECK>()?;
    let (changes, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let number = u64::from_be_bytes(*number);
    (check(key, number, changes) == *found).then_some((number, changes, rest))
}

/// The change at the beginning of `bytes`, and what follows.
fn change(bytes: &[u8]) -> Option<(TableChange<'_>, &[u8])> {
    let ([kind, put], rest) = bytes.split_first_chunk::<2>()?;
    let (key, rest) = part(rest)?;
    let (value, rest) = if *put == 1 { part(rest).map(|(value, rest)| (Some(value), rest))? } else { (None, rest) };
    Some(((Kind::of(*kind)?, key, value), rest))
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
