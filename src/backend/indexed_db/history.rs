//! Reading the history.

use indexed_db_futures::{BuildPrimitive, KeyRange, database::Database, query_source::QuerySource};
use osier_core::store::{HistoryKey, StorageError};
use wasm_bindgen::JsValue;

use super::{
    database::{HISTORY, bytes, history_key, reading, reason},
    failure::Failure,
};

/// How many records are read at once. A record is about as large as its batch, without payloads.
const RECORDS: u32 = 64;

/// The next records behind a key.
pub(super) async fn read(database: &Database, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, Failure> {
    let transaction = reading(database, &[HISTORY])?;
    let history = transaction.object_store(HISTORY)?;
    let behind = KeyRange::LowerBound(history_key(after), true);
    let keys = history.get_all_keys::<JsValue>().with_query::<JsValue, _>(behind.clone()).with_limit(RECORDS).primitive()?;
    let records = history.get_all::<JsValue>().with_query::<JsValue, _>(behind).with_limit(RECORDS).primitive()?;
    let read = async {
        let pairs = keys.await?.zip(records.await?);
        pairs.map(|(key, record)| Ok((key_of(&key?)?, bytes(&record?)?))).collect::<Result<Vec<_>, Failure>>()
    };
    read.await.map_err(|failure| reason(&transaction, failure))
}

fn key_of(key: &JsValue) -> Result<HistoryKey, Failure> {
    let key = bytes(key)?.try_into().map_err(|_| StorageError::Corrupt("a key of the history that is none".to_owned()))?;
    Ok(HistoryKey(u64::from_be_bytes(key)))
}
