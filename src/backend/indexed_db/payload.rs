//! Reading payloads: a small one is behind its row, others are kept as segments that lie end to end.

use indexed_db_futures::{
    BuildPrimitive, KeyRange, cursor::CursorDirection, database::Database, object_store::ObjectStore, query_source::QuerySource,
};
use osier_core::{
    store::{RowCodec, StorageError},
    willow::EntryId,
};
use wasm_bindgen::JsValue;

use super::{
    database::{ENTRIES, PAYLOADS, bytes, entry_key, get, reading, reason, segment_key, segment_keys},
    directory::Directory,
    failure::Failure,
    value::{BEHIND, Value, is_pack, unpack},
};

/// Where a segment begins, by its key.
pub(super) fn offset_of(key: &[u8]) -> Result<u64, StorageError> {
    let offset = key.get(32..).and_then(|offset| offset.try_into().ok());
    Ok(u64::from_be_bytes(offset.ok_or_else(|| StorageError::Corrupt("a segment without a place".to_owned()))?))
}

/// Up to `len` bytes of a payload from `offset`: what is there of them.
pub(super) async fn read(database: &Database, directory: &Directory, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, Failure> {
    let Some(last) = len.checked_sub(1).map(|more| offset.saturating_add(more)) else { return Ok(Vec::new()) };
    let transaction = reading(database, &[ENTRIES, PAYLOADS])?;
    let read = async {
        // Most payloads are small, and one request has them. Who waits for more than a small one does not notice that it comes second.
        let small = if offset < BEHIND { small(&transaction.object_store(ENTRIES)?, directory, id).await? } else { None };
        let mut read = match small {
            Some(payload) => usize::try_from(offset).ok().and_then(|offset| payload.get(offset..)).unwrap_or_default().to_vec(),
            None => segments(&transaction.object_store(PAYLOADS)?, id, offset, last).await?,
        };
        read.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(read)
    };
    read.await.map_err(|failure| reason(&transaction, failure))
}

/// The payload of an entry, if it is in the value of its row.
async fn small(entries: &ObjectStore<'_>, directory: &Directory, id: &EntryId) -> Result<Option<Vec<u8>>, Failure> {
    loop {
        let head = directory.head(id);
        let stored = get(entries, entry_key(&head.unwrap_or(*id)))?.await?.as_ref().map(bytes).transpose()?;
        let found = stored.as_deref().map_or(Ok(None), |stored| of_entry(stored, id))?;
        // A write that was under way when this began may have moved it.
        if found.is_none() && directory.head(id) != head {
            continue;
        }
        let Some(value) = found else {
            let lost = directory.has(id).then(|| StorageError::Corrupt("an entry is not where it was written".to_owned()));
            return lost.map_or(Ok(None), |error| Err(error.into()));
        };
        let value = Value::split(value).ok_or_else(|| StorageError::Corrupt("a row that is cut off".to_owned()))?;
        let Some(payload) = value.payload else { return Ok(None) };
        RowCodec::available(id, value.row).map_err(StorageError::from)?;
        return Ok(Some(payload.to_vec()));
    }
}

/// The value of an entry in what is stored.
fn of_entry<'a>(stored: &'a [u8], id: &EntryId) -> Result<Option<&'a [u8]>, StorageError> {
    if !is_pack(stored) {
        return Ok(stored.starts_with(&id.0).then_some(stored));
    }
    let members = unpack(stored).ok_or_else(|| StorageError::Corrupt("a pack that is cut off".to_owned()))?;
    Ok(members.into_iter().find_map(|(member, value)| (member == *id).then_some(value)))
}

/// The segments of a payload that have bytes from `offset` to `last`, without what is before `offset`.
async fn segments(payloads: &ObjectStore<'_>, id: &EntryId, offset: u64, last: u64) -> Result<Vec<u8>, Failure> {
    // All at once: the segment that `offset` lies in, and those that begin behind it.
    let before = payloads.open_cursor().with_query::<JsValue, _>(segment_keys(id, 0, offset)).with_direction(CursorDirection::Prev);
    let before = before.primitive()?;
    let behind = KeyRange::Bound(segment_key(id, offset), true, segment_key(id, last), false);
    let behind = match offset < last {
        true => Some((
            payloads.get_all_keys::<JsValue>().with_query::<JsValue, _>(behind.clone()).primitive()?,
            payloads.get_all::<JsValue>().with_query::<JsValue, _>(behind).primitive()?,
        )),
        false => None,
    };
    let Some(mut before) = before.await? else { return Ok(Vec::new()) };
    let key = before.key::<JsValue>()?.as_ref().map(bytes).transpose()?.unwrap_or_default();
    let segment = before.next_record::<JsValue>().await?.as_ref().map(bytes).transpose()?.unwrap_or_default();
    let skipped = usize::try_from(offset.saturating_sub(offset_of(&key)?)).unwrap_or(usize::MAX);
    let mut read = segment.get(skipped..).unwrap_or_default().to_vec();
    if let Some((keys, segments)) = behind {
        for (key, segment) in keys.await?.zip(segments.await?) {
            if offset_of(&bytes(&key?)?)? != offset.saturating_add(read.len() as u64) {
                return Err(StorageError::Corrupt("a gap in a stored payload".to_owned()).into());
            }
            read.extend(bytes(&segment?)?);
        }
    }
    Ok(read)
}
