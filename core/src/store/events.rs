//! What has changed, numbered, for those who follow.
//!
//! The history is bounded. A subscription that falls behind it is told so once ([`StoreEvent::Lagged`]) and goes on from the present;
//! what it missed it reads from the store (`entries_since`). This module does not know how changes come about, nor how the history of
//! earlier runs is kept; see `history`.
//!
//! Numbers have gaps. Whoever follows may remember a number better than the disk does: with the power, changes are lost that were told
//! already, and another device may bring back an older state of the disk. So each run of a store leaves a gap before its first change,
//! and no number in a gap is a place to go on from: it is [`Lagged`].

use std::collections::{BTreeMap, VecDeque};

use willow25::prelude::{Area, NamespaceId};

use super::{key::Bounds, row::StoredEntry};
use crate::SessionId;

/// How many changes the history of a store keeps unless told otherwise.
pub const HISTORY: usize = 16_384;

/// Numbers of changes come in blocks of so many. A run of a store begins in a block of its own, and a batch that reaches a block is
/// [strict](super::Durability::Strict): so whatever is lost with the power, the block of the last number that was given out is known.
const BLOCK: u64 = 1 << 20;
/// Beyond this the clock has no say, so that a wrong one does not use up the numbers: JavaScript counts to twice as many. The year 2112.
const CLOCK_END: u64 = 1 << 52;

/// The number of a change to a store. Numbers grow with gaps, and none is given out twice. The change 0 is the empty store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ProgressId(pub u64);

impl ProgressId {
    /// The first number of the next block.
    fn next_block(self) -> Self {
        Self((self.0 / BLOCK).saturating_add(1).saturating_mul(BLOCK))
    }

    /// Whether `later` is in a later block.
    pub(crate) fn is_blocks_before(self, later: Self) -> bool {
        self.0 / BLOCK < later.0 / BLOCK
    }

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
    /// Received from a peer in an earlier run: sessions are not kept. Only in what a subscription is told.
    UnknownPeer,
    /// Read from a drop, or handed in as an authorised entry from elsewhere.
    Import,
}

impl Origin {
    /// Whether it came from a peer, who has it then.
    #[must_use]
    pub fn is_peer(self) -> bool {
        match self {
            Self::Peer(_) | Self::UnknownPeer => true,
            Self::Local | Self::Import => false,
        }
    }
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
    /// Complete between `since` and `now`.
    history: VecDeque<StoreEvent>,
    limit: usize,
    /// The last change before the history.
    since: ProgressId,
    /// The last change; that of the last event of the history, if there is one.
    now: ProgressId,
    /// The last change of earlier runs.
    opened: ProgressId,
    /// The changes of this run have greater numbers.
    gap: ProgressId,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    subscribed: u64,
}

impl Events {
    pub(crate) fn new(limit: usize) -> Self {
        let start = ProgressId::default();
        let (history, subscriptions) = (VecDeque::new(), BTreeMap::new());
        Self { history, limit, since: start, now: start, opened: start, gap: start, subscriptions, subscribed: 0 }
    }

    pub(crate) fn now(&self) -> ProgressId {
        self.now
    }

    /// The next change has the number after this one.
    pub(crate) fn base(&self) -> ProgressId {
        self.now.max(self.gap)
    }

    /// How many changes are kept.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The store has been loaded and is at this change; there is no history. Numbers go on behind a gap.
    pub(crate) fn begin_at(&mut self, opened: ProgressId) {
        self.history.clear();
        (self.since, self.now, self.opened) = (opened, opened, opened);
        self.gap = self.gap.max(opened.next_block());
    }

    /// The changes to come have numbers greater than this one from the clock.
    pub(crate) fn leave_gap(&mut self, micros: u64) {
        self.gap = self.gap.max(ProgressId(micros.min(CLOCK_END)));
    }

    /// Appends a change, which `make` builds from its number.
    pub(crate) fn push(&mut self, make: impl FnOnce(ProgressId) -> StoreEvent) {
        self.now = self.base().plus(1);
        self.history.push_back(make(self.now));
        self.shorten();
    }

    /// Something has changed that no event tells: whoever has not seen it reads the state again.
    pub(crate) fn break_off(&mut self) {
        self.now = self.base().plus(1);
        self.since = self.now;
        self.history.clear();
    }

    /// The last change of earlier runs, if what they told would still continue into what is here.
    pub(crate) fn continues(&self) -> Option<ProgressId> {
        (self.since == self.opened).then_some(self.opened)
    }

    /// Puts the history of earlier runs, complete after `since` and up to where this run began, before that of this run.
    pub(crate) fn prepend(&mut self, since: ProgressId, events: impl DoubleEndedIterator<Item = StoreEvent>) {
        self.since = since;
        events.rev().for_each(|event| self.history.push_front(event));
        self.shorten();
    }

    fn shorten(&mut self) {
        while self.history.len() > self.limit {
            if let Some(gone) = self.history.pop_front() {
                self.since = gone.progress();
            }
        }
    }

    /// Where in the history the events begin that follow this change; `None` if some of them are gone, or it never happened.
    fn unseen(&self, seen: ProgressId) -> Option<usize> {
        let next = self.history.partition_point(|event| event.progress() <= seen);
        let last = next.checked_sub(1).map_or(Some(self.since), |last| self.history.get(last).map(StoreEvent::progress));
        (last == Some(seen)).then_some(next)
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
        let event = history.range(unseen..).find(|event| event.concerns(&subscription.namespace, &subscription.bounds))?;
        subscription.seen = event.progress();
        Some(event.clone())
    }
}
