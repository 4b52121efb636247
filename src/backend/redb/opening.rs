//! Opening: a look at the version before anything is touched, a new layout for a new database, and what the log has beyond an old one.

use osier_core::store::StorageError;
use redb::{Builder, Database, Durability};

use super::{
    SCHEMA,
    changes::Changes,
    failure::{Failed, of_io, of_opening},
    folder::Medium,
    guard::Guard,
    log::{Key, Log},
    tables::{self, Fact, Identity, Kind},
};
use crate::{backend::OpenError, platform};

/// Memory that redb may use for pages.
const CACHE: usize = 32 * 1024 * 1024;
/// The format of redb's files that this redb writes.
const REDB_FORMAT: u8 = 3;
/// Where a file of redb says in which format it is: in each of the two places of commits.
const REDB_FORMAT_AT: [usize; 2] = [64, 192];

/// Both files, open.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) log: Log,
    pub(super) file: Guard,
}

/// Opens a storage. `make`: it may be a new one.
pub(super) fn open(medium: &dyn Medium, make: bool) -> Result<Opened, OpenError> {
    let mut opened = recover(medium, make)?;
    if opened.log.new_key().is_some() && take_over(&opened.database, &mut opened.log).is_err() {
        // There may be no room to write, but there is something to read, and entries to be removed. Whoever writes takes over first.
        drop(opened);
        opened = recover(medium, false)?;
    }
    Ok(opened)
}

/// Opens both files. What the log has beyond the database is in redb's memory then.
fn recover(medium: &dyn Medium, make: bool) -> Result<Opened, OpenError> {
    let file = Guard::new(medium.database(make)?);
    let opened = Builder::new().set_cache_size(CACHE).create_with_backend(file.clone());
    let database = opened.map_err(|error| if newer_format(&file) { newer(u32::from(REDB_FORMAT) + 1) } else { of_opening(error) })?;
    let (logged, key) = match tables::identity(&database)? {
        Identity::Known { schema, .. } if schema > SCHEMA => return Err(newer(schema)),
        Identity::Foreign => return Err(OpenError::Unavailable { reason: "the database there is not one of Osier's".to_owned() }),
        Identity::Known { logged, key, .. } => {
            release(&file)?;
            (logged, key)
        }
        Identity::New if !make => return Err(StorageError::Lost("the database is gone".to_owned()).into()),
        Identity::New => {
            release(&file)?;
            (0, lay_out(&database)?)
        }
    };
    let (mut log, rest) = Log::open(medium.log()?, key, medium.log_limit(), logged)?;
    if !rest.is_empty() {
        let mut transaction = database.begin_write().map_err(Failed::from)?;
        transaction.set_durability(Durability::None).map_err(Failed::from)?;
        let mut changes = Changes::begin(&transaction, false)?;
        log.replay(&rest, |change| changes.apply(change))?;
        drop(changes);
        transaction.commit().map_err(Failed::from)?;
    }
    Ok(Opened { database, log, file })
}

fn newer(found: u32) -> OpenError {
    OpenError::NewerVersion { found }
}

fn release(file: &Guard) -> Result<(), OpenError> {
    file.release().map_err(|error| OpenError::Storage(of_io(&error)))
}

/// Whether a file that redb did not open is of a later redb.
fn newer_format(file: &Guard) -> bool {
    use redb::StorageBackend as _;
    let mut head = [0; 320];
    let read = file.read(0, &mut head).is_ok();
    read && head.starts_with(b"redb") && REDB_FORMAT_AT.iter().any(|&at| head.get(at).is_some_and(|format| *format > REDB_FORMAT))
}

/// Makes the tables of a new database.
fn lay_out(database: &Database) -> Result<Key, Failed> {
    let key = platform::random();
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let mut changes = Changes::begin(&transaction, false)?;
    changes.apply((Kind::Meta, Fact::SCHEMA, Some(&SCHEMA.to_be_bytes())))?;
    changes.apply((Kind::Meta, Fact::LOG_KEY, Some(&key)))?;
    changes.finish(0)?;
    transaction.commit()?;
    Ok(key)
}

/// Brings everything that redb has to the disk, so that the log begins again.
pub(super) fn take_over(database: &Database, log: &mut Log) -> Result<(), Failed> {
    let mut transaction = database.begin_write()?;
    let new_key = keep_key(&transaction, log)?;
    transaction.set_quick_repair(true);
    transaction.commit()?;
    log.begin_again(log.last(), new_key)
}

/// Writes the key of the log that begins with this transaction, if it is another one.
pub(super) fn keep_key(transaction: &redb::WriteTransaction, log: &Log) -> Result<Option<Key>, Failed> {
    let new_key = log.new_key();
    if let Some(key) = new_key {
        transaction.open_table(Kind::Meta.definition())?.insert(Fact::LOG_KEY, &key[..])?;
    }
    Ok(new_key)
}
