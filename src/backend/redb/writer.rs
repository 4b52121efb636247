//! The one writer of a storage: commits, and what it takes to go on after the disk has failed.

use std::collections::BTreeSet;

use osier_core::{
    store::{AuthorId, Batch, Change, Chunk, Durability, LoadCursor, RowCodec, StorageError},
    willow::EntryId,
};
use redb::{Database, Durability as Reach, ReadableTable as _, StorageBackend as _};
use tokio::sync::RwLock;

use super::{
    changes::{Changes, Made},
    failure::{Failed, of_opening},
    folder::Medium,
    guard::Guard,
    log::Log,
    opening::{self, Opened, keep_key, take_over},
    tables::{self, Kind},
};
use crate::backend::OpenError;

/// What an entry takes in the file beside its payload, about.
const ENTRY_BYTES: u64 = 512;
/// A file is not looked at for waste as long as it is no longer than this.
const SMALL_FILE: u64 = 16 * 1024 * 1024;

/// The database, for all who read.
pub(super) struct Access {
    open: Option<(Database, Guard)>,
    closed: bool,
}

impl Access {
    /// The database.
    pub(super) fn database(&self) -> Result<&Database, Failed> {
        match &self.open {
            Some((database, _)) => Ok(database),
            None if self.closed => Err(Failed::Refused(StorageError::Closed)),
            None => Err(Failed::Broken(StorageError::Lost("it is not open".to_owned()))),
        }
    }
}

/// See the module. Its calls block.
pub(super) struct Writer {
    medium: Box<dyn Medium>,
    codec: RowCodec,
    log: Option<Log>,
    /// Whether the commit under way may have been written.
    unsure: bool,
    /// Whether a call is under way; still true at the next one if it did not come to its end.
    busy: bool,
}

impl Writer {
    /// Opens a storage.
    pub(super) fn open(medium: Box<dyn Medium>) -> Result<(Self, Access), OpenError> {
        let Opened { database, log, file } = opening::open(&*medium, true)?;
        let mut codec = RowCodec::new();
        tables::learn_authors(&database, &mut codec)?;
        let access = Access { open: Some((database, file)), closed: false };
        Ok((Self { medium, codec, log: Some(log), unsure: false, busy: false }, access))
    }

    /// Closes what is left and opens it again, once the disk has failed. What was committed is there, what was under way may be.
    fn reopen(&mut self, access: &RwLock<Access>, panicked: bool) -> Result<(), StorageError> {
        let mut access = access.blocking_write();
        if access.closed {
            return Err(StorageError::Closed);
        }
        self.log = None;
        let left = access.open.take();
        if let Some((database, file)) = left.filter(|_| panicked) {
            // A redb that has panicked may do so again when it is dropped, and take the process with it. Nobody uses it any more, and its
            // lock can be let go.
            std::mem::forget(database);
            let _ = file.close();
        }
        match opening::open(&*self.medium, false) {
            Ok(Opened { database, log, file }) => {
                access.open = Some((database, file));
                self.log = Some(log);
                Ok(())
            }
            Err(OpenError::Storage(error)) => Err(error),
            Err(error) => Err(StorageError::Lost(error.to_string())),
        }
    }

    /// Calls with the database, and once more with one that was opened again if it failed.
    pub(super) fn read<T>(
        &mut self,
        access: &RwLock<Access>,
        read: impl Fn(&Database, &RowCodec) -> Result<T, Failed>,
    ) -> Result<T, StorageError> {
        let read = |codec: &RowCodec| access.blocking_read().database().and_then(|database| read(database, codec));
        match read(&self.codec) {
            Ok(result) => return Ok(result),
            Err(Failed::Refused(error)) => return Err(error),
            Err(Failed::Broken(_)) => self.reopen(access, false)?,
        }
        read(&self.codec).map_err(Failed::into_error)
    }

    /// The next part of what is stored.
    pub(super) fn load(&mut self, access: &RwLock<Access>, from: LoadCursor) -> Result<Chunk, StorageError> {
        self.read(access, |database, codec| tables::load(database, codec, from))
    }

    /// Does something, with a storage that is sound: if the last call did not come to its end, it is opened again first.
    pub(super) fn run<T>(
        &mut self,
        access: &RwLock<Access>,
        work: impl FnOnce(&mut Self, &RwLock<Access>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if std::mem::replace(&mut self.busy, true) {
            self.reopen(access, true)?;
        }
        let result = work(self, access);
        self.busy = false;
        result
    }

    /// Writes all of a batch or nothing. When the disk fails, once more: a batch that was written already makes no difference.
    pub(super) fn commit(&mut self, access: &RwLock<Access>, batch: &Batch) -> Result<(), StorageError> {
        let mut repeated = false;
        loop {
            let number = self.log.as_ref().map(|log| log.last() + 1);
            self.unsure = false;
            let broken = match access.blocking_read().database().and_then(|database| self.attempt(database, batch)) {
                Ok(()) => return Ok(()),
                Err(Failed::Refused(error)) => return Err(error),
                Err(Failed::Broken(error)) => error,
            };
            if let Err(error) = self.reopen(access, false) {
                return Err(if self.unsure { StorageError::Unknown(error.to_string()) } else { error });
            }
            // Whether it was written can be seen now.
            if self.unsure && self.log.as_ref().is_some_and(|log| Some(log.last()) >= number) {
                return Ok(());
            }
            if repeated {
                return Err(broken);
            }
            repeated = true;
        }
    }

    fn attempt(&mut self, database: &Database, batch: &Batch) -> Result<(), Failed> {
        let Some(log) = &mut self.log else { return Err(Failed::Broken(StorageError::Lost("it is not open".to_owned()))) };
        if !self.medium.is_there() {
            // The system would go on writing to files that have no names any more.
            return Err(Failed::Refused(StorageError::Lost("its files were removed".to_owned())));
        }
        let number = log.last() + 1;
        let mut transaction = database.begin_write()?;
        let mut changes = Changes::begin(&transaction, log.has_room(least_size(batch)))?;
        changes.make(batch, &mut self.codec)?;
        let Made { record, authors } = changes.finish(number)?;
        self.unsure = true;
        let length = match record {
            Some(record) => log.append(record)?,
            None => None,
        };
        if let Some(length) = length {
            if batch.durability == Durability::Strict {
                log.sync()?;
            }
            transaction.set_durability(Reach::None)?;
            transaction.commit()?;
            log.accept(length);
        } else {
            let key = keep_key(&transaction, log)?;
            transaction.set_quick_repair(true);
            transaction.commit()?;
            log.begin_again(number, key)?;
        }
        authors.iter().for_each(|author| self.codec.keep(author));
        Ok(())
    }

    /// Gives back to the disk what the database does not use, and forgets authors without entries. Whether there was anything to do.
    pub(super) fn compact(&mut self, access: &RwLock<Access>) -> Result<bool, StorageError> {
        let mut access = access.blocking_write();
        access.database().map_err(Failed::into_error)?;
        let (Some((database, _)), Some(log)) = (&mut access.open, &mut self.log) else { return Ok(false) };
        compact(database, log, &mut self.codec).map_err(Failed::into_error)
    }

    /// Brings everything to the disk and lets go of it.
    pub(super) fn close(&mut self, access: &RwLock<Access>) -> Result<(), StorageError> {
        let mut access = access.blocking_write();
        access.closed = true;
        let (open, log) = (access.open.take(), self.log.take());
        let (Some((database, file)), Some(mut log)) = (open, log) else { return Ok(()) };
        let mut kept = Kept(Some(database));
        if let Some(database) = &mut kept.0 {
            if is_wasteful(database, &file) {
                // Not worth failing for.
                let _ = compact(database, &mut log, &mut self.codec);
            }
            if !log.is_at_its_start() {
                take_over(database, &mut log).map_err(Failed::into_error)?;
            }
        }
        // As long as the database is locked: after that the log is another's.
        log.clear().map_err(Failed::into_error)?;
        let Some(database) = kept.0.take() else { return Ok(()) };
        database.close().map_err(|error| match of_opening(error) {
            OpenError::Storage(error) => error,
            other => StorageError::Lost(other.to_string()),
        })
    }
}

/// A database that is leaked when a panic unwinds: a redb that has panicked may do so again when it is dropped, and end the process.
struct Kept(Option<Database>);

impl Drop for Kept {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

/// How large the record of a batch is at least.
fn least_size(batch: &Batch) -> u64 {
    let size =
        |change: &Change| if let Change::Payload { bytes, .. } | Change::Draft { bytes, .. } = change { bytes.len() as u64 } else { 0 };
    batch.changes.iter().map(size).sum()
}

fn compact(database: &mut Database, log: &mut Log, codec: &mut RowCodec) -> Result<bool, Failed> {
    let unused = remove_unused_authors(database, log)?;
    unused.iter().for_each(|author| codec.forget(author));
    Ok(database.compact()? || !unused.is_empty())
}

/// Removes the records of authors that no row names. A row that does not say what was written names none, and cannot be read anyway.
fn remove_unused_authors(database: &Database, log: &mut Log) -> Result<BTreeSet<AuthorId>, Failed> {
    let mut transaction = database.begin_write()?;
    let mut unused = BTreeSet::new();
    {
        let mut authors = transaction.open_table(Kind::Authors.definition())?;
        for item in authors.iter()? {
            unused.extend(item?.0.value().try_into().ok().map(AuthorId));
        }
        for item in transaction.open_table(Kind::Entries.definition())?.iter()? {
            let (id, row) = item?;
            let author = id.value().try_into().ok().and_then(|id| RowCodec::author_of(&EntryId(id), row.value()).ok());
            author.map(|author| unused.remove(&author));
        }
        for author in &unused {
            authors.remove(&author.0[..])?;
        }
    }
    let key = keep_key(&transaction, log)?;
    transaction.set_quick_repair(true);
    transaction.commit()?;
    log.begin_again(log.last(), key)?;
    Ok(unused)
}

/// Whether more than two thirds of the file are worth nothing, as far as that can be told without reading it. With half, as redb leaves
/// it to small entries that were just written, a close would take a second for each 70 MB.
fn is_wasteful(database: &Database, file: &Guard) -> bool {
    let (Ok(length), Ok(usage)) = (file.len(), tables::usage(database)) else { return false };
    let used = usage.payload_bytes.saturating_add(usage.entries.saturating_mul(ENTRY_BYTES));
    length > SMALL_FILE && length / 3 > used
}
