//! Entries and payloads: what the data methods of a node do on its thread.

use std::rc::Rc;

use osier_core::{
    payload::{Outboard, PayloadHasher},
    store::{Bounds, Cursor, Incoming, Lagged, Order, Origin, Outcome, Store, StoreEvent as CoreEvent, SubscriptionId},
    willow::{Coordinatelike as _, EntryId, SignedEntry, time, verify_one},
};
use willow25::prelude::{Area, Entry, NamespaceId, PayloadDigest, Timestamp};

use super::{
    EntriesOptions, EntryInfo, EntryKey, Error, SetOutcome, SetRequest, StoreEvent, WriteRequest, convert,
    event::{Origin as EventOrigin, ProgressId},
    events::EventSender,
    group::{Wish, Written},
    inner::Inner,
};
use crate::platform;

/// Entries that a page of a query holds.
const PAGE: usize = 256;

/// Now, in Willow'25's microseconds.
pub(super) fn tai_now() -> u64 {
    time::tai_from_unix_micros(platform::unix_micros()).into()
}

/// The latest timestamp that is accepted now.
pub(super) fn latest_allowed(max_future_micros: u64) -> u64 {
    tai_now().saturating_add(max_future_micros)
}

/// Writes an entry. The timestamp is chosen while nobody else can write, so that it never loses to a clock.
pub(super) async fn set(node: Rc<Inner>, namespace: NamespaceId, request: SetRequest) -> Result<SetOutcome, Error> {
    let SetRequest { user, path, payload, timestamp } = request;
    check_timestamp(&node, timestamp)?;
    let mut hasher = PayloadHasher::new();
    hasher.push(&payload);
    let hashed = hasher.finish();
    let (digest, length) = (hashed.digest.clone(), hashed.length);
    let place = EntryKey { namespace, subspace: user, path };
    let by = node.clone();
    let sign = Box::new(move |store: &Store, place| sign(&by, store, place, timestamp, (digest, length)));
    let Written { entry, outcome } = node.storage.write_own(Wish { place, payload, sign }).await?;
    written(&node, entry, outcome, hashed.outboard)
}

/// What a write did, of whose payload the labels are kept.
fn written(node: &Inner, entry: EntryInfo, outcome: Outcome, outboard: Outboard) -> Result<SetOutcome, Error> {
    let pruned = match outcome {
        Outcome::Inserted { pruned } => pruned,
        Outcome::AlreadyHere => 0,
        // Occupied: the very same entry is here, and what is read of its payload is not proven yet.
        Outcome::Obsolete | Outcome::Occupied => return Err(Error::Obsolete),
        Outcome::OverQuota => return Err(Error::QuotaExceeded),
        other => return Err(Error::internal(format_args!("an unexpected outcome of a write: {other:?}"))),
    };
    node.storage.keep_outboard(EntryId(entry.id), outboard);
    Ok(SetOutcome { entry, pruned })
}

fn check_timestamp(node: &Inner, timestamp: Option<u64>) -> Result<(), Error> {
    let latest = latest_allowed(node.options.max_future_micros);
    if timestamp.is_some_and(|timestamp| timestamp > latest) { Err(Error::TimestampTooFarAhead) } else { Ok(()) }
}

/// Makes the entry of a payload that is to be drafted.
pub(super) fn sign_draft(node: &Inner, request: WriteRequest, payload: (PayloadDigest, u64)) -> Result<SignedEntry, Error> {
    let WriteRequest { namespace, user: subspace, path, timestamp } = request;
    check_timestamp(node, timestamp)?;
    sign(node, &node.storage.store(), EntryKey { namespace, subspace, path }, timestamp, payload)
}

/// Writes bytes of a payload whose entry is not here yet.
pub(super) async fn draft(node: Rc<Inner>, entry: SignedEntry, offset: u64, bytes: Vec<u8>) -> Result<(), Error> {
    let outcomes = node.storage.write(|store| Ok(store.plan_draft(&entry, offset, bytes))).await?;
    match outcomes.first() {
        Some(Outcome::Staged { .. }) => Ok(()),
        Some(Outcome::OverQuota) => Err(Error::QuotaExceeded),
        // The very same entry is being written by another call, or came from another device of the user.
        Some(Outcome::Occupied | Outcome::AlreadyHere | Outcome::Gap { .. }) => Err(Error::Obsolete),
        other => Err(Error::internal(format_args!("an unexpected outcome of a draft: {other:?}"))),
    }
}

/// Writes an entry whose payload is drafted.
pub(super) async fn finish_draft(node: Rc<Inner>, entry: SignedEntry, outboard: Outboard) -> Result<SetOutcome, Error> {
    let outcomes = node.storage.write(|store| Ok(store.plan_drafted(entry.clone(), Origin::Local))).await?;
    match outcomes.first() {
        // What was drafted was taken back, because the same entry came from elsewhere.
        Some(Outcome::Gap { .. }) => Err(Error::Obsolete),
        Some(outcome) => written(&node, convert::whole_info(&entry), *outcome, outboard),
        None => Err(Error::internal("a plan without outcome")),
    }
}

/// Takes back what is drafted of a payload.
pub(super) async fn discard_draft(node: Rc<Inner>, id: EntryId) {
    if let Err(error) = node.storage.write(|store| Ok(store.plan_discard(id))).await {
        // It is found when the storage is opened again.
        tracing::warn!("what was written of a payload could not be removed: {error}");
    }
}

/// Makes an entry for the store as it is, with a timestamp that wins there unless one is given.
fn sign(
    node: &Inner,
    store: &Store,
    place: EntryKey,
    timestamp: Option<u64>,
    (digest, length): (PayloadDigest, u64),
) -> Result<SignedEntry, Error> {
    let EntryKey { namespace, subspace, path } = place;
    let wallet = node.wallet.borrow();
    let (capability, secret) = wallet.write_capability_for(&namespace, &subspace, &path)?;
    let timestamp = timestamp.unwrap_or_else(|| {
        let after = store.newest_in_way(&namespace, &subspace, &path).map(|newest| u64::from(newest).saturating_add(1));
        tai_now().max(after.unwrap_or(0))
    });
    let entry = Entry::builder()
        .namespace_id(namespace)
        .subspace_id(subspace)
        .path(path)
        .timestamp(Timestamp::from(timestamp))
        .payload_digest(digest)
        .payload_length(length)
        .build();
    SignedEntry::sign(entry, capability, secret).map_err(|error| Error::NotAuthorised { reason: error.to_string() })
}

/// Takes an entry from elsewhere.
pub(super) async fn ingest(node: Rc<Inner>, bytes: Vec<u8>) -> Result<bool, Error> {
    let unverified =
        SignedEntry::from_bytes(&bytes, &mut node.storage.capabilities()).map_err(|error| Error::invalid_argument("entry", error))?;
    if u64::from(unverified.entry.timestamp()) > latest_allowed(node.options.max_future_micros) {
        return Err(Error::TimestampTooFarAhead);
    }
    let entry = verify_one(unverified).map_err(|error| Error::InvalidSignature { reason: error.to_string() })?;
    let incoming = vec![Incoming { entry, payload: None, origin: Origin::Import }];
    let outcomes = node.storage.write_arrivals(incoming).await?;
    match outcomes.first() {
        Some(Outcome::OverQuota) => Err(Error::QuotaExceeded),
        outcome => Ok(matches!(outcome, Some(Outcome::Inserted { .. }))),
    }
}

/// The absolute encoding of the entry at a place.
pub(super) fn export_entry(node: &Inner, key: &EntryKey) -> Result<Vec<u8>, Error> {
    let (entry, _) = node.storage.entry(key).ok_or(Error::NoSuchEntry)?;
    Ok(entry.signed().to_bytes())
}

/// The entry at a place.
pub(super) fn get(node: &Inner, key: &EntryKey) -> Option<EntryInfo> {
    let (entry, available) = node.storage.entry(key)?;
    Some(convert::stored_info(&entry, available))
}

/// A page of a query, and where the next one starts.
pub(super) fn page(
    node: &Inner,
    namespace: &NamespaceId,
    area: &Area,
    options: EntriesOptions,
    after: Option<&Cursor>,
) -> (Vec<EntryInfo>, Option<Cursor>) {
    let order = if options.reverse { Order::Descending } else { Order::Ascending };
    let limit = options.limit.map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(PAGE).min(PAGE));
    let store = node.storage.store();
    let (entries, next) = store.page(namespace, Bounds::from(area), order, after, limit);
    (entries.into_iter().map(convert::entry_info).collect(), next)
}

/// Bytes of a payload.
pub(super) async fn payload(node: Rc<Inner>, key: EntryKey, offset: u64, length: Option<u64>) -> Result<Vec<u8>, Error> {
    let (id, end) = payload_range(&node, &key, offset, length)?;
    payload_piece(node, key, id, offset, end - offset).await
}

/// The id of the entry at a place, and where a range of its payload ends, all of which is here.
pub(super) fn payload_range(node: &Inner, key: &EntryKey, offset: u64, length: Option<u64>) -> Result<([u8; 32], u64), Error> {
    let (entry, available) = node.storage.entry(key).ok_or(Error::NoSuchEntry)?;
    let total = entry.payload_length();
    let rest = total.checked_sub(offset).ok_or_else(|| Error::invalid_argument("offset", "beyond the end of the payload"))?;
    let length = length.unwrap_or(rest);
    if length > rest {
        return Err(Error::invalid_argument("length", "beyond the end of the payload"));
    }
    let end = offset + length;
    if end > available { Err(Error::PayloadMissing { available, total }) } else { Ok((entry.id().0, end)) }
}

/// Bytes of the payload that an entry of this id has here.
pub(super) async fn payload_piece(node: Rc<Inner>, key: EntryKey, id: [u8; 32], offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    let id = EntryId(id);
    let bytes = node.storage.read(&id, offset, length).await?;
    if bytes.len() as u64 == length {
        return Ok(bytes);
    }
    // Between the look at the index and the read the entry was pruned or forgotten.
    match node.storage.entry(&key) {
        Some((now, _)) if now.id() == id => Err(Error::Storage { reason: "a payload is shorter than it should be".to_owned() }),
        _ => Err(Error::NoSuchEntry),
    }
}

/// Removes the entries of an area, here alone.
pub(super) async fn forget(node: Rc<Inner>, namespace: NamespaceId, area: Option<Area>) -> Result<u64, Error> {
    let area = area.unwrap_or_else(Area::full);
    let outcomes = node.storage.write(|store| Ok(store.plan_forget(&namespace, &area))).await?;
    Ok(match outcomes.first() {
        Some(Outcome::Forgotten { count }) => *count,
        _ => 0,
    })
}

/// Changes that someone asks for.
pub(super) struct Query {
    pub(super) namespace: NamespaceId,
    pub(super) area: Area,
    pub(super) from: Option<ProgressId>,
}

/// Subscribes, at once, so that nothing that is written from now on is missed.
pub(super) fn subscribe(node: &Inner, query: &Query) -> Result<SubscriptionId, Lagged> {
    node.storage.store_mut().subscribe(&query.namespace, &query.area, query.from.map(|id| osier_core::store::ProgressId(id.0)))
}

/// Subscribes again, once the history of earlier runs is in memory. Nothing is missed in between: what is asked for begins before it.
async fn subscribe_later(node: &Inner, query: &Query, lagged: Lagged, sender: &EventSender<StoreEvent>) -> Option<SubscriptionId> {
    node.storage.read_history(lagged.seen).await;
    let lagged = match subscribe(node, query) {
        Ok(id) => return Some(id),
        Err(lagged) => lagged,
    };
    sender.push(StoreEvent::Lagged { progress: ProgressId(lagged.now.0) });
    node.storage.store_mut().subscribe(&query.namespace, &query.area, None).ok()
}

/// Moves events from the store to a consumer, at the consumer's pace; the store's own history is the buffer.
pub(super) async fn pump_events(
    node: Rc<Inner>,
    query: Query,
    subscribed: Result<SubscriptionId, Lagged>,
    sender: EventSender<StoreEvent>,
) {
    let mut changes = node.storage.changes();
    let subscribed = match subscribed {
        Ok(id) => Some(id),
        Err(lagged) => tokio::select! {
            biased;
            () = sender.abandoned() => None,
            () = node.shared.ending() => None,
            subscribed = subscribe_later(&node, &query, lagged, &sender) => subscribed,
        },
    };
    let Some(id) = subscribed else { return };
    loop {
        changes.borrow_and_update();
        while sender.drained().await {
            let Some(event) = node.storage.store_mut().poll_subscription(id) else { break };
            sender.push(store_event(&node, event));
        }
        tokio::select! {
            biased;
            () = sender.abandoned() => break,
            () = node.shared.ending() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
    }
    node.storage.store_mut().unsubscribe(id);
}

fn store_event(node: &Inner, event: CoreEvent) -> StoreEvent {
    let progress = ProgressId(event.progress().0);
    match event {
        CoreEvent::Inserted { entry, available, origin, .. } => {
            StoreEvent::Inserted { progress, entry: convert::stored_info(&entry, available), origin: event_origin(node, origin) }
        }
        CoreEvent::Pruned { entry, by, .. } => StoreEvent::Pruned { progress, key: convert::entry_key(&entry), id: entry.id().0, by: by.0 },
        CoreEvent::Payload { entry, available, total, origin, .. } => StoreEvent::Payload {
            progress,
            key: convert::entry_key(&entry),
            id: entry.id().0,
            available,
            total,
            origin: event_origin(node, origin),
        },
        CoreEvent::Forgotten(forgotten) => StoreEvent::Forgotten { progress, area: forgotten.area, count: forgotten.count },
        CoreEvent::Lagged(_) => StoreEvent::Lagged { progress },
    }
}

fn event_origin(node: &Inner, origin: Origin) -> EventOrigin {
    match origin {
        Origin::Local => EventOrigin::Local,
        Origin::Import => EventOrigin::Import,
        Origin::Peer(session) => node.peer_of(session).map_or(EventOrigin::UnknownPeer, EventOrigin::Peer),
        Origin::UnknownPeer => EventOrigin::UnknownPeer,
    }
}
