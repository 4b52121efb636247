//! What has changed, numbered, for those who follow.
//!
//! The history is bounded. A subscription that falls behind it is told so once ([`StoreEvent::Lagged`]) and goes on from the present;
//! what it missed it reads from the store (`entries_since`). This module does not know how changes come about.

use std::collections::{BTreeMap, VecDeque};

use willow25::prelude::{Area, NamespaceId};

use super::{key::Bounds, row::StoredEntry};
use crate::SessionId;

/// How many changes the history of a store keeps unless told otherwise.
pub const HISTORY: usize = 16_384;

/// The number of a change to a store: 1, 2, 3 … The change 0 is the empty store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ProgressId(pub u64);

impl ProgressId {
    /// The number of the change `steps` later.
    #[must_use]
    pub(crate) fn plus(self, steps: usize) -> Self {
        Self(self.0.saturating_add(steps as u64))
    }
}

/// Where a change came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Origin {
    /// Written here.
    Local,
    /// Received in this session.
    Peer(SessionId),
    /// Read from a drop, or handed in as an authorised entry from elsewhere.
    Import,
}

/// A change, as a subscription tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreEvent {
    /// An entry is new. What it pruned was told before.
    Inserted {
        /// The number of the change.
        progress: ProgressId,
        /// The entry.
        entry: StoredEntry,
        /// How many bytes of its payload came with it.
        available: u64,
        /// From where.
        origin: Origin,
    },
    /// A newer entry, told next, has removed this one and its payload.
    Pruned {
        /// The number of the change.
        progress: ProgressId,
        /// The entry that is gone.
        entry: StoredEntry,
        /// The id of the newer entry.
        by: crate::willow::EntryId,
        /// From where the newer entry came.
        origin: Origin,
    },
    /// More of an entry's payload is here.
    Payload {
        /// The number of the change.
        progress: ProgressId,
        /// The entry.
        entry: StoredEntry,
        /// How many bytes are here now.
        available: u64,
        /// How many there will be.
        total: u64,
        /// From where.
        origin: Origin,
    },
    /// All entries in an area, and their payloads, were removed from this store only.
    Forgotten(Box<Forgotten>),
    /// The subscription fell behind: changes up to `now` may be missing. It goes on with what follows `now`.
    Lagged(Lagged),
}

/// The entries of an area that were removed from this store only. One change however many there are: a large one does not push
/// everything else out of the history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forgotten {
    /// The number of the change.
    pub progress: ProgressId,
    /// Which namespace.
    pub namespace: NamespaceId,
    /// Which area of it.
    pub area: Area,
    /// How many entries.
    pub count: u64,
}

impl StoreEvent {
    /// The number of the change; of the last one skipped for [`StoreEvent::Lagged`].
    #[must_use]
    pub fn progress(&self) -> ProgressId {
        match self {
            Self::Inserted { progress, .. } | Self::Pruned { progress, .. } | Self::Payload { progress, .. } => *progress,
            Self::Forgotten(forgotten) => forgotten.progress,
            Self::Lagged(lagged) => lagged.now,
        }
    }

    fn concerns(&self, namespace: &NamespaceId, bounds: &Bounds) -> bool {
        match self {
            Self::Inserted { entry, .. } | Self::Pruned { entry, .. } | Self::Payload { entry, .. } => {
                entry.namespace_id() == namespace && bounds.includes(entry.subspace_bytes(), entry.key(), entry.micros())
            }
            Self::Forgotten(forgotten) => forgotten.namespace == *namespace && bounds.overlaps(&(&forgotten.area).into()),
            Self::Lagged(_) => true,
        }
    }
}

/// The history does not reach back to where one wants to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the history does not reach back to change {}: the store is at change {}", seen.0, now.0)]
pub struct Lagged {
    /// The last change that was seen.
    pub seen: ProgressId,
    /// The last change of the store. Whoever reads the store now can go on from here.
    pub now: ProgressId,
}

/// Names a subscription of a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubscriptionId(u64);

struct Subscription {
    namespace: NamespaceId,
    bounds: Bounds,
    seen: ProgressId,
}

/// The history and who follows it.
pub(crate) struct Events {
    history: VecDeque<StoreEvent>,
    limit: usize,
    /// The last change; that of the last event of the history, if there is one.
    now: ProgressId,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    subscribed: u64,
}

impl Events {
    pub(crate) fn new(limit: usize) -> Self {
        Self { history: VecDeque::new(), limit, now: ProgressId::default(), subscriptions: BTreeMap::new(), subscribed: 0 }
    }

    pub(crate) fn now(&self) -> ProgressId {
        self.now
    }

    /// The store has been loaded and is at this change; there is no history.
    pub(crate) fn begin_at(&mut self, now: ProgressId) {
        self.history.clear();
        self.now = now;
    }

    /// Appends a change, which `make` builds from its number.
    pub(crate) fn push(&mut self, make: impl FnOnce(ProgressId) -> StoreEvent) {
        self.now = self.now.plus(1);
        if self.history.len() >= self.limit {
            self.history.pop_front();
        }
        if self.limit > 0 {
            self.history.push_back(make(self.now));
        }
    }

    /// How many events at the end of the history follow this change; `None` if some of them are gone, or it has not happened.
    fn unseen(&self, seen: ProgressId) -> Option<usize> {
        let behind = usize::try_from(self.now.0.checked_sub(seen.0)?).ok()?;
        (behind <= self.history.len()).then_some(behind)
    }

    pub(crate) fn subscribe(&mut self, namespace: NamespaceId, bounds: Bounds, from: Option<ProgressId>) -> Result<SubscriptionId, Lagged> {
        let seen = from.unwrap_or(self.now);
        self.unseen(seen).ok_or(Lagged { seen, now: self.now })?;
        Ok(self.add(Subscription { namespace, bounds, seen }))
    }

    pub(crate) fn subscribe_now(&mut self, namespace: NamespaceId, bounds: Bounds) -> SubscriptionId {
        self.add(Subscription { namespace, bounds, seen: self.now })
    }

    fn add(&mut self, subscription: Subscription) -> SubscriptionId {
        self.subscribed += 1;
        let id = SubscriptionId(self.subscribed);
        self.subscriptions.insert(id, subscription);
        id
    }

    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId) -> bool {
        self.subscriptions.remove(&id).is_some()
    }

    pub(crate) fn poll(&mut self, id: SubscriptionId) -> Option<StoreEvent> {
        let seen = self.subscriptions.get(&id)?.seen;
        let unseen = self.unseen(seen);
        let (now, history) = (self.now, &self.history);
        let subscription = self.subscriptions.get_mut(&id)?;
        subscription.seen = now;
        let Some(unseen) = unseen else { return Some(StoreEvent::Lagged(Lagged { seen, now })) };
        let event = history.range(history.len() - unseen..).find(|event| event.concerns(&subscription.namespace, &subscription.bounds))?;
        subscription.seen = event.progress();
        Some(event.clone())
    }
}
