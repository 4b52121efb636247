//! What the database has of the entries that a batch names: read in the batch's transaction, before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use indexed_db_futures::{BuildPrimitive, cursor::CursorDirection, object_store::ObjectStore, query_source::QuerySource};
use osier_core::{
    store::{Batch, Change},
    willow::EntryId,
};
use wasm_bindgen::JsValue;

use super::{
    batch::{Stored, is_of_draft, stored},
    database::{Get, bytes, entry_key, get, segment_keys},
    directory::Directory,
    failure::Failure,
    payload::offset_of,
    value::unpack,
};

/// See the module.
pub(super) struct There {
    /// What there is of each entry.
    pub(super) stored: BTreeMap<EntryId, Stored>,
    /// The packs that some of them are in, by their heads.
    pub(super) packs: BTreeMap<EntryId, Vec<u8>>,
}

impl There {
    /// Asks for everything at once.
    pub(super) async fn read(
        ids: BTreeSet<EntryId>,
        directory: &Directory,
        batch: &Batch,
        entries: &ObjectStore<'_>,
        payloads: &ObjectStore<'_>,
    ) -> Result<Self, Failure> {
        let heads: BTreeMap<EntryId, Option<EntryId>> = ids.into_iter().map(|id| (id, directory.head(&id))).collect();
        let keys: BTreeSet<EntryId> = heads.iter().map(|(id, head)| head.unwrap_or(*id)).collect();
        let ask = |key: EntryId| Ok((key, get(entries, entry_key(&key))?));
        let asked: Vec<(EntryId, Get)> = keys.into_iter().map(ask).collect::<Result<_, Failure>>()?;
        // Of a pack that does not say what is in it nothing is known, and nothing is changed.
        let in_packs = heads.iter().filter(|(_, head)| head.is_some()).map(|(id, _)| (*id, Stored::Damaged(0)));
        let mut there = Self { stored: in_packs.collect(), packs: BTreeMap::new() };
        for (key, value) in asked {
            let value = value.await?;
            // The head of a pack may be looked for itself, or not.
            if heads.get(&key).is_some_and(Option::is_none) {
                there.stored.insert(key, of_its_own(&key, value.as_ref()));
            } else if let Some(pack) = value.and_then(|value| bytes(&value).ok())
                && let Some(members) = unpack(&pack)
            {
                let asked_for = members.iter().filter(|(id, _)| heads.get(id) == Some(&Some(key)));
                there.stored.extend(asked_for.map(|(id, value)| (*id, in_pack(id, value))));
                there.packs.insert(key, pack);
            }
        }
        for (id, stored) in &mut there.stored {
            if let Stored::Damaged(available) = stored {
                *available = available.saturating_add(length(payloads, id).await?);
            }
        }
        for id in batch.changes.iter().filter(|change| is_of_draft(change)).filter_map(Change::entry) {
            if let Some(stored @ Stored::Nothing) = there.stored.get_mut(&id) {
                *stored = Stored::Draft(length(payloads, &id).await?);
            }
        }
        Ok(there)
    }
}

/// Whatever is in a pack is all there.
fn in_pack(id: &EntryId, value: &[u8]) -> Stored {
    match stored(id, value) {
        Stored::Row(_, available) => Stored::Whole(available),
        stored => stored,
    }
}

fn of_its_own(id: &EntryId, value: Option<&JsValue>) -> Stored {
    match value.map(bytes) {
        None => Stored::Nothing,
        Some(Ok(value)) => stored(id, &value),
        Some(Err(_)) => Stored::Damaged(0),
    }
}

/// How long the stored part of a payload is, by its last segment.
async fn length(payloads: &ObjectStore<'_>, id: &EntryId) -> Result<u64, Failure> {
    let last = payloads.open_cursor().with_query::<JsValue, _>(segment_keys(id, 0, u64::MAX)).with_direction(CursorDirection::Prev);
    let Some(mut last) = last.primitive()?.await? else { return Ok(0) };
    let key = last.key::<JsValue>()?.as_ref().map(bytes).transpose()?.unwrap_or_default();
    let segment = last.next_record::<JsValue>().await?.as_ref().map(bytes).transpose()?.unwrap_or_default();
    Ok(offset_of(&key)?.saturating_add(segment.len() as u64))
}
