//! Live forwarding: what is new in the store goes to a peer that wants it at once.
//!
//! One subscription per namespace, however many overlaps of it there are, so that an entry in several of them is forwarded once. It is
//! taken before the first fingerprint of the namespace, and read when the peer is eager: whatever came between is then forwarded, so
//! there is no gap. What was read before the peer became eager for another area too is looked for again. An entry is not sent back to the
//! session it came from. An entry whose payload is complete later is sent again, so that whoever could not get the payload before knows
//! where it is now.
//!
//! It must not know what is reconciled, nor how messages travel.

use std::collections::{BTreeMap, VecDeque};

use super::{
    data::{self, CurrentEntry, Outgoing, Received},
    error::SyncError,
    frame::{Channel, encode_frame},
    inline::{Collector, Planned, Reads},
    receipts::Sent,
    reconcile::Arrival,
};
use crate::{
    SessionId,
    store::{Cursor, EntryRef, Order, Origin, ProgressId, Store, StoreEvent, StoredEntry, SubscriptionId},
    willow::{Area, CapCache, Entrylike, Grouping, NamespaceId, UnverifiedEntry},
};

/// How many entries are planned ahead.
const AHEAD: usize = 16;
/// How many events or entries are looked at in one step.
const GLANCE: usize = 1024;

/// Where entries are to be forwarded.
#[derive(Clone, Debug)]
pub struct Eager {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The area.
    pub area: Area,
    /// Payloads go inline up to this many bytes.
    pub inline_max: u64,
}

#[derive(Debug)]
struct Followed {
    subscription: SubscriptionId,
    /// What was new up to here was looked at, and forwarded where the peer was eager by then.
    read: ProgressId,
    catching_up: Option<CatchUp>,
}

/// A way through the entries of a namespace, for those that were inserted while the subscription lagged.
#[derive(Debug)]
struct CatchUp {
    seen: ProgressId,
    after: Option<Cursor>,
}

/// The live forwarding of one session, both ways.
#[derive(Debug)]
pub struct Live {
    session: SessionId,
    inline_accepted: u64,
    followed: BTreeMap<NamespaceId, Followed>,
    planned: VecDeque<Planned>,
    current_out: CurrentEntry,
    current_in: CurrentEntry,
    incoming: Option<(UnverifiedEntry, Collector)>,
}

impl Live {
    /// Follows nothing yet. Inline payloads of more than `inline_accepted` bytes are refused.
    #[must_use]
    pub fn new(session: SessionId, inline_accepted: u64) -> Self {
        Self {
            session,
            inline_accepted,
            followed: BTreeMap::new(),
            planned: VecDeque::new(),
            current_out: CurrentEntry::default(),
            current_in: CurrentEntry::default(),
            incoming: None,
        }
    }

    /// Follows a namespace from now on. To be called before the first fingerprint.
    pub fn follow(&mut self, namespace: &NamespaceId, store: &mut Store) {
        if self.followed.contains_key(namespace) {
            return;
        }
        // A subscription from now on never lags.
        if let Ok(subscription) = store.subscribe(namespace, &Area::full(), None) {
            self.followed.insert(namespace.clone(), Followed { subscription, read: store.progress(), catching_up: None });
        }
    }

    /// The peer has become eager for an area of the namespace, whose last reconciliation began at `since`. What was new after that and was
    /// looked at for the sake of other areas is looked at again.
    pub fn catch_up(&mut self, namespace: &NamespaceId, since: ProgressId) {
        if let Some(followed) = self.followed.get_mut(namespace).filter(|followed| followed.read > since) {
            let seen = followed.catching_up.as_ref().map_or(since, |catching_up| catching_up.seen.min(since));
            followed.catching_up = Some(CatchUp { seen, after: None });
        }
    }

    /// Follows a namespace no more.
    pub fn unfollow(&mut self, namespace: &NamespaceId, store: &mut Store) {
        if let Some(followed) = self.followed.remove(namespace) {
            store.unsubscribe(followed.subscription);
        }
    }

    /// Follows nothing any more.
    pub fn unfollow_all(&mut self, store: &mut Store) {
        while let Some((_, followed)) = self.followed.pop_first() {
            store.unsubscribe(followed.subscription);
        }
    }

    /// Whether nothing waits to be sent; what is in the store and not looked at is not known.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.planned.is_empty()
    }

    /// Appends the frames of the next entry to `out`. `false` if there is none, or its payload is still to be read.
    pub fn poll(&mut self, eager: &[Eager], store: &mut Store, reads: &mut Reads, sent: &mut Sent, out: &mut Vec<u8>) -> bool {
        self.plan(eager, store, reads);
        while let Some(planned) = self.planned.pop_front_if(|planned| planned.is_ready(reads)) {
            let stored = &planned.stored;
            let held = store.get(stored.namespace_id(), stored.subspace_id(), &stored.path());
            // What replaced it will be told next; without eagerness nothing is wanted any more.
            if held.is_some_and(|held| held.id() == stored.id()) && area_of(stored, eager).is_some() {
                sent.push(&planned);
                self.send(planned, reads, out);
                return true;
            }
            planned.cancel(reads);
        }
        false
    }

    fn send(&mut self, mut planned: Planned, reads: &mut Reads, out: &mut Vec<u8>) {
        let payload = planned.take_payload(reads);
        let stored = &planned.stored;
        let entry = stored.entry();
        let outgoing = Outgoing { entry: &entry, capability: stored.capability(), signature: stored.signature() };
        encode_frame(out, Channel::Data, &data::encode_live_entry(&mut self.current_out, payload.is_some(), outgoing));
        if let Some(payload) = payload {
            encode_frame(out, Channel::Data, &data::encode_live_payload(&payload));
        }
    }

    /// Looks for what is new, a bounded number of steps.
    fn plan(&mut self, eager: &[Eager], store: &mut Store, reads: &mut Reads) {
        for (namespace, followed) in &mut self.followed {
            if !eager.iter().any(|eager| eager.namespace == *namespace) {
                continue;
            }
            for _ in 0..GLANCE {
                if self.planned.len() >= AHEAD {
                    return;
                }
                if let Some(catching_up) = &mut followed.catching_up {
                    let room = AHEAD - self.planned.len();
                    if catching_up.step(namespace, eager, store, reads, &mut self.planned, room) {
                        followed.catching_up = None;
                    }
                    continue;
                }
                let Some(event) = store.poll_subscription(followed.subscription) else { break };
                followed.read = store.progress();
                match event {
                    StoreEvent::Lagged(lagged) => followed.catching_up = Some(CatchUp { seen: lagged.seen, after: None }),
                    event => self.planned.extend(fresh(&event, self.session).and_then(|stored| plan_one(stored, eager, store, reads))),
                }
            }
        }
    }

    /// Handles a DataSendEntry. An entry before it whose payload did not come to its end is given out without.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_entry(&mut self, message: &[u8], cache: &mut CapCache) -> Result<Option<Arrival>, SyncError> {
        let interrupted = self.incoming.take().map(|(entry, _)| Arrival { entry, payload: None, root: None, whole: false });
        let Received { entry, offset, .. } = data::decode_live_entry(message, &mut self.current_in, cache)?;
        let collector = Collector::new(&entry.entry, offset, self.inline_accepted);
        if offset < entry.entry.payload_length() && entry.entry.payload_length() > self.inline_accepted {
            return Err(SyncError::PayloadTooLarge { length: entry.entry.payload_length() });
        }
        self.incoming = Some((entry, collector));
        Ok(interrupted)
    }

    /// Handles a DataSendPayload.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_payload(&mut self, message: &[u8]) -> Result<(), SyncError> {
        let bytes = data::decode_live_payload(message)?;
        let (_, collector) = self.incoming.as_mut().ok_or(SyncError::PayloadWithoutEntry)?;
        collector.push(bytes)
    }

    /// The entry that has arrived with all that was to follow it.
    ///
    /// # Errors
    /// [`SyncError::PayloadDigest`].
    pub fn poll_arrival(&mut self) -> Result<Option<Arrival>, SyncError> {
        let Some((entry, collector)) = self.incoming.take_if(|(_, collector)| collector.is_at_end()) else { return Ok(None) };
        let payload = collector.finish()?;
        let whole = payload.is_some() || entry.entry.payload_length() == 0;
        Ok(Some(Arrival { entry, payload, root: None, whole }))
    }

    /// Whether the peer is in the middle of a payload.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        self.incoming.is_some()
    }
}

impl CatchUp {
    /// Goes on by some entries; `true` at the end.
    fn step(
        &mut self,
        namespace: &NamespaceId,
        eager: &[Eager],
        store: &Store,
        reads: &mut Reads,
        planned: &mut VecDeque<Planned>,
        room: usize,
    ) -> bool {
        let after = self.after.take();
        let (mut looked, mut found) = (0, 0);
        for entry in store.entries_from(namespace, &Area::full(), Order::Ascending, after.as_ref()).take(GLANCE) {
            looked += 1;
            self.after = Some(entry.cursor());
            if entry.progress() > self.seen
                && let Some(area) = area_of(&entry, eager)
            {
                planned.push_back(Planned::new(entry, area.inline_max, reads));
                found += 1;
                if found == room {
                    return false;
                }
            }
        }
        looked < GLANCE
    }
}

/// The entry that an event is about, if it is to be forwarded.
fn fresh(event: &StoreEvent, session: SessionId) -> Option<StoredEntry> {
    match event {
        StoreEvent::Inserted { entry, origin, .. } if *origin != Origin::Peer(session) => Some(entry.clone()),
        StoreEvent::Payload { entry, available, total, origin, .. } if available == total && *origin != Origin::Peer(session) => {
            Some(entry.clone())
        }
        StoreEvent::Inserted { .. }
        | StoreEvent::Payload { .. }
        | StoreEvent::Pruned { .. }
        | StoreEvent::Forgotten { .. }
        | StoreEvent::Lagged(_) => None,
    }
}

fn plan_one(stored: StoredEntry, eager: &[Eager], store: &Store, reads: &mut Reads) -> Option<Planned> {
    let area = area_of(&stored, eager)?;
    let held: EntryRef<'_> = store.get(stored.namespace_id(), stored.subspace_id(), &stored.path())?;
    (held.id() == stored.id()).then(|| Planned::new(held, area.inline_max, reads))
}

/// The area, of those that are wanted, which the entry is in; of several the one that takes the largest payloads.
fn area_of<'a>(stored: &StoredEntry, eager: &'a [Eager]) -> Option<&'a Eager> {
    if !eager.iter().any(|eager| eager.namespace == *stored.namespace_id()) {
        return None;
    }
    let place = (stored.subspace_id().clone(), stored.path(), stored.timestamp());
    let wanted = |eager: &&Eager| eager.namespace == *stored.namespace_id() && eager.area.includes(&place);
    eager.iter().filter(wanted).max_by_key(|eager| eager.inline_max)
}

#[cfg(test)]
mod tests;
