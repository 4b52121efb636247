//! A way around a defect of Chromium's storage (google/leveldb#1287).
//!
//! A Chromium that is killed in the middle of a write leaves a torn record at the end of the log of its databases. The next one passes over it
//! and writes on behind it; the one after that finds a record whose checksum is wrong, takes the log for damaged and throws all databases of
//! the origin away, with everything that was acknowledged. A log ends when some 4 MiB have been written. So a database that was not closed is
//! given that much to write, and to remove again: then what is kept is in other files, and the log that may be torn is gone.

use indexed_db_futures::{KeyRange, database::Database};
use js_sys::Reflect;
use osier_core::store::Durability;

use super::{
    database::{KEYS, complete, put, remove, writing},
    failure::Failure,
};
use crate::platform::{global, random};

/// How much a log takes before another one is begun, and some more.
const ENOUGH: usize = 5 * 1024 * 1024 + 512 * 1024;

/// Larger values are not written to the log but beside it.
const PIECE: usize = 48 * 1024;

/// What the keys of the pieces begin with. They are where commits do not have to wait for them.
const NAME: &str = "renewal/";
/// Behind all of those keys.
const BEHIND: &str = "renewal0";

/// Whether this browser has the defect, or a cure: it tells of losses.
pub(super) fn is_needed() -> bool {
    let event = global(&["IDBVersionChangeEvent", "prototype"]);
    event.is_some_and(|event| Reflect::has(&event, &"dataLoss".into()).unwrap_or(false))
}

/// Has the browser begin a new log.
pub(super) async fn renew(database: &Database) -> Result<(), Failure> {
    let transaction = writing(database, &[KEYS], Durability::Relaxed)?;
    let keys = transaction.object_store(KEYS)?;
    for number in 0..ENOUGH.div_ceil(PIECE) {
        // Values that can be compressed would be.
        put(&keys, format!("{NAME}{number}").into(), &random::<PIECE>())?;
    }
    drop(keys);
    complete(transaction).await?;
    let transaction = writing(database, &[KEYS], Durability::Relaxed)?;
    let keys = transaction.object_store(KEYS)?;
    remove(&keys, KeyRange::Bound(NAME.into(), false, BEHIND.into(), true))?;
    drop(keys);
    complete(transaction).await
}
