//! The store: every entry that this node holds, in order, and what it takes to change them together with what is on the disk.
//!
//! | file | what it is |
//! |---|---|
//! | `key` | paths as byte strings in path order; the bounds of a query |
//! | `row` | an entry as it is kept: compact and shared |
//! | `index`, `totals` | the entries of a namespace in blocks, and prefix sums over the blocks |
//! | `query`, `summary`, `split` | what is asked of it |
//! | `plan` | Willow's join: what would change |
//! | `notes` | the notes beside the entries, and what becomes of them on opening |
//! | `staged` | payloads that are on the disk before they can be verified |
//! | `draft` | payloads that are on the disk before their entry |
//! | `quota` | how much of a namespace is kept at most |
//! | `events` | what has changed, numbered; subscriptions |
//! | `history` | the same on the disk, for subscriptions that resume after a restart |
//! | `unheld` | what no other node is known to hold |
//! | `backend` | the seam to durable storage; `memory`, `faulty`, `conformance`; `disk`, how durable ones keep rows |
//!
//! A change is planned, committed by a backend, and applied:
//!
//! ```
//! # use osier_core::store::*;
//! # async fn change(store: &std::cell::RefCell<Store>, backend: &impl Backend, incoming: Vec<Incoming>) -> Result<(), CommitError> {
//! let mut plan = store.borrow().plan(incoming);
//! if !plan.is_empty() {
//!     backend.commit(plan.take_batch()).await?; // if this fails, nothing has changed
//! }
//! let outcomes = store.borrow_mut().apply(plan)?;
//! # Ok(()) }
//! ```
//!
//! Between plan and apply there is no other plan: one writer at a time, which the driver sees to and `apply` checks. Reading goes on.
//! The store knows nothing of sessions but their names, and never waits.

mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod disk;
mod draft;
mod events;
mod faulty;
#[cfg(any(test, feature = "conformance"))]
pub mod fixture;
mod history;
mod index;
mod key;
mod memory;
mod notes;
mod plan;
mod query;
mod quota;
mod row;
mod split;
mod staged;
mod summary;
mod totals;
mod unheld;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use willow25::prelude::{Area, NamespaceId, WriteCapability};

pub use crate::SessionId;
pub use backend::{Backend, Batch, Change, Chunk, Durability, HistoryKey, HistoryRecord, LoadCursor, StorageError, Usage};
pub use disk::{AuthorId, Damaged, RowCodec};
pub use draft::DRAFT;
pub use events::{Forgotten, HISTORY, Lagged, Origin, ProgressId, StoreEvent, SubscriptionId};
pub use faulty::{Fault, FaultyBackend};
pub use history::HistoryReader;
pub use key::{Bounds, Cursor};
pub use memory::MemoryBackend;
pub use plan::{Incoming, Outcome, Plan};
pub use query::{Entries, Order};
pub use quota::{QUOTA, Quota};
pub use row::{EntryRef, StoredEntry};
pub use staged::{STAGED, StagingId};
pub use summary::BlockSums;
pub use unheld::{Evidence, HELD};

use events::Events;
use history::Kept;
use index::Index;
use plan::{Quiet, Step};
use row::{Held, Probe, Subspace};
use staged::Staged;

use crate::willow::EntryId;

/// How many of an author's capabilities are looked through to share them.
const SHARED_CAPABILITIES: usize = 16;

/// All entries, in memory; see the module.
pub struct Store {
    namespaces: BTreeMap<NamespaceId, Namespace>,
    events: Events,
    kept: Kept,
    epoch: u64,
    /// Payloads with unverified bytes on the disk.
    staged: BTreeMap<EntryId, Staged>,
    /// How many bytes are on the disk of payloads whose entries are not here yet.
    drafts: BTreeMap<EntryId, u64>,
    quotas: BTreeMap<NamespaceId, Quota>,
}

/// The entries of one namespace.
pub(crate) struct Namespace {
    id: Arc<NamespaceId>,
    index: Index,
    authors: BTreeMap<[u8; 32], Author>,
}

/// What the entries of one subspace share.
struct Author {
    subspace: Arc<Subspace>,
    /// The latest first, at most [`SHARED_CAPABILITIES`].
    capabilities: Vec<Arc<WriteCapability>>,
}

impl Namespace {
    fn new(id: Arc<NamespaceId>) -> Self {
        Self { id, index: Index::default(), authors: BTreeMap::new() }
    }

    fn insert(&mut self, held: Held) {
        self.meet(&held.stored);
        self.index.insert(held);
    }

    /// As [`Namespace::insert`] for each.
    fn insert_all(&mut self, rows: Vec<Held>) {
        let authors = rows.chunk_by(|a, b| {
            Arc::ptr_eq(a.stored.subspace(), b.stored.subspace()) && Arc::ptr_eq(a.stored.capability(), b.stored.capability())
        });
        authors.filter_map(<[_]>::first).for_each(|row| self.meet(&row.stored));
        self.index.insert_all(rows);
    }

    /// What an entry shares with others of its author is at hand for them.
    fn meet(&mut self, stored: &StoredEntry) {
        let (subspace, capability) = (stored.subspace(), stored.capability());
        let author =
            self.authors.entry(*subspace.bytes()).or_insert_with(|| Author { subspace: subspace.clone(), capabilities: Vec::new() });
        if !author.capabilities.iter().any(|known| Arc::ptr_eq(known, capability)) {
            author.capabilities.truncate(SHARED_CAPABILITIES - 1);
            author.capabilities.insert(0, capability.clone());
        }
    }

    fn find(&self, entry: &StoredEntry) -> index::Position {
        self.index.find(Probe::at(entry.subspace_bytes(), entry.key()))
    }

    fn remove(&mut self, entry: &StoredEntry) {
        let place = self.find(entry);
        if self.index.get(place).is_some_and(|held| held.stored == *entry) {
            self.index.remove(place);
        }
    }
}

/// A plan that was made before another plan was applied. Nothing has changed in memory, but the batch may be on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the plan was made before another one was applied")]
pub struct StalePlan;

/// Why a change did not take place.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommitError {
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There were two writers.
    #[error(transparent)]
    Stale(#[from] StalePlan),
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store with a history of [`HISTORY`] changes.
    #[must_use]
    pub fn new() -> Self {
        Self::with_history(HISTORY)
    }

    /// An empty store that keeps so many changes for subscriptions that are behind.
    #[must_use]
    pub fn with_history(limit: usize) -> Self {
        Self {
            namespaces: BTreeMap::new(),
            events: Events::new(limit),
            kept: Kept::new(),
            epoch: 0,
            staged: BTreeMap::new(),
            drafts: BTreeMap::new(),
            quotas: BTreeMap::new(),
        }
    }

    /// The store that a backend has kept, and the notes beside it.
    ///
    /// # Errors
    /// If the backend fails.
    pub async fn open(backend: &impl Backend) -> Result<(Self, BTreeMap<String, Vec<u8>>), StorageError> {
        let (mut store, mut notes) = (Self::new(), BTreeMap::new());
        let mut next = Some(LoadCursor::default());
        while let Some(from) = next {
            let mut chunk = backend.load(from).await?;
            next = chunk.next;
            notes.extend(std::mem::take(&mut chunk.notes));
            store.restore(chunk);
        }
        store.recover(backend, &mut notes).await?;
        Ok((store, notes))
    }

    /// Takes over a part of what a backend has kept. For a new store, before anything else.
    pub fn restore(&mut self, chunk: Chunk) {
        let mut rows = BTreeMap::<_, Vec<Held>>::new();
        for (stored, available) in chunk.entries {
            rows.entry(*stored.namespace_id().as_bytes()).or_default().push(Held { stored, available, unheld: true });
        }
        for of_one in rows.into_values() {
            if let Some(of) = of_one.first().map(|row| row.stored.clone()) {
                self.namespace_of(&of).insert_all(of_one);
            }
        }
        self.epoch += 1;
        self.events.begin_at(chunk.progress);
        self.kept.begin_at(chunk.history);
    }

    /// The changes to come get numbers greater than the time, in microseconds since the Unix epoch, beyond the gap that a restored store
    /// leaves anyway. No store makes more than one change in a microsecond: so a subscription is not misled by numbers of a store that was
    /// deleted, or put back to an earlier state, either, as long as clocks are right.
    pub fn begin_after(&mut self, unix_micros: u64) {
        self.epoch += 1;
        self.events.leave_gap(unix_micros);
    }

    /// What reads the history of earlier runs, if a subscription from this change may need it: there is one, it has not been read, and it
    /// would continue into what is in memory. Have it read, give it to [`Store::restore_history`], and subscribe then. Changes may be made
    /// meanwhile.
    #[must_use]
    pub fn history_reader(&self, from: ProgressId) -> Option<HistoryReader> {
        self.events.continues().filter(|opened| from < *opened).and_then(|_| self.kept.reader())
    }

    /// Takes over the history of earlier runs, as far as it goes. From then on it is not read again.
    pub fn restore_history(&mut self, reader: HistoryReader) {
        self.kept.read();
        let Some((since, mut events)) = self.events.continues().and_then(|opened| reader.until(opened)) else { return };
        for event in &mut events {
            if let StoreEvent::Inserted { entry, .. } | StoreEvent::Pruned { entry, .. } | StoreEvent::Payload { entry, .. } = event {
                self.share(entry);
            }
        }
        self.events.prepend(since, events.into_iter());
    }

    /// Puts the entry that is here in place of an equal one.
    fn share(&self, entry: &mut StoredEntry) {
        let here = self.namespace(entry.namespace_id()).and_then(|namespace| namespace.index.get(namespace.find(entry)));
        if let Some(held) = here.filter(|held| held.stored == *entry && held.stored.progress() == entry.progress()) {
            *entry = held.stored.clone();
        }
    }

    /// Makes the planned changes, after their batch was committed. Returns what became of each thing that was planned.
    ///
    /// # Errors
    /// If another plan was applied since this one was made.
    pub fn apply(&mut self, mut plan: Plan) -> Result<Vec<Outcome>, StalePlan> {
        if plan.epoch != self.epoch {
            return Err(StalePlan);
        }
        if !plan.is_empty() {
            self.epoch += 1;
        }
        let steps = std::mem::take(&mut plan.steps);
        std::mem::take(&mut plan.quiet).into_iter().for_each(|change| self.make_quietly(change));
        self.kept.count(steps.len());
        steps.into_iter().for_each(|step| self.make(step));
        Ok(plan.into_outcomes())
    }

    fn make(&mut self, step: Step) {
        match step {
            Step::Prune { entry, by, origin } => {
                self.namespace_of(&entry).remove(&entry);
                self.staged.remove(&entry.id());
                self.events.push(|progress| StoreEvent::Pruned { progress, entry, by, origin });
            }
            Step::Insert { held, origin } => {
                let (entry, available) = (held.stored.clone(), held.available);
                self.namespace_of(&entry).insert(held);
                self.events.push(|progress| StoreEvent::Inserted { progress, entry, available, origin });
            }
            Step::Extend { entry, available, origin } => {
                self.extend(&entry, available, origin);
                let total = entry.payload_length();
                self.events.push(|progress| StoreEvent::Payload { progress, entry, available, total, origin });
            }
            Step::Forget { what, entries } => {
                entries.iter().for_each(|entry| _ = self.staged.remove(&entry.id()));
                if let Some(of) = self.namespaces.get_mut(&what.namespace) {
                    entries.into_iter().for_each(|entry| of.remove(&entry));
                    of.authors.retain(|_, author| Arc::strong_count(&author.subspace) > 1);
                }
                self.events.push(|_| StoreEvent::Forgotten(what));
            }
            Step::Lose => self.events.break_off(),
        }
    }

    fn make_quietly(&mut self, change: Quiet) {
        match change {
            Quiet::Stage { id, staged } => _ = self.staged.insert(id, staged),
            Quiet::Unstage { id } => _ = self.staged.remove(&id),
            Quiet::Draft { id, end } => _ = self.drafts.insert(id, end),
            Quiet::Quota { namespace, quota } => self.set_quota(namespace, quota),
            Quiet::Undraft { id } => _ = self.drafts.remove(&id),
        }
    }

    /// Changes what is known of an entry, if it is here.
    fn update(&mut self, entry: &StoredEntry, change: impl FnOnce(&mut Held)) {
        let Some(namespace) = self.namespaces.get_mut(entry.namespace_id()) else { return };
        let place = namespace.find(entry);
        if namespace.index.get(place).is_some_and(|held| held.stored == *entry) {
            namespace.index.update(place, change);
        }
    }

    /// Commits a plan and applies it: for those who hold the store alone meanwhile.
    ///
    /// # Errors
    /// If the backend fails; nothing has changed then.
    pub async fn commit(&mut self, backend: &impl Backend, mut plan: Plan) -> Result<Vec<Outcome>, CommitError> {
        if !plan.is_empty() {
            backend.commit(plan.take_batch()).await?;
        }
        Ok(self.apply(plan)?)
    }

    /// The namespaces that have entries here, in the order of their ids.
    pub fn namespaces(&self) -> impl Iterator<Item = &NamespaceId> {
        self.namespaces.iter().filter(|(_, namespace)| !namespace.index.is_empty()).map(|(id, _)| id)
    }

    /// How many entries there are in all namespaces.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.namespaces.values().map(|namespace| namespace.index.len()).sum()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespaces().next().is_none()
    }

    /// The number of the last change.
    #[must_use]
    pub fn progress(&self) -> ProgressId {
        self.events.now()
    }

    /// Follows the changes in an area: those after `from`, or those after now. Entries read under the same borrow of the store are the
    /// state that the changes continue; nothing falls between.
    ///
    /// # Errors
    /// If the history does not reach back to `from`, or the store has not got there.
    pub fn subscribe(&mut self, namespace: &NamespaceId, area: &Area, from: Option<ProgressId>) -> Result<SubscriptionId, Lagged> {
        self.events.subscribe(namespace.clone(), area.into(), from)
    }

    /// The entries of an area as they are now, and a subscription to what changes from now on.
    pub fn watch(&mut self, namespace: &NamespaceId, area: &Area) -> (SubscriptionId, Entries<'_>) {
        let id = self.events.subscribe_now(namespace.clone(), area.into());
        (id, self.entries(namespace, area))
    }

    /// The next change of a subscription; `None` if there is none now, or no such subscription.
    pub fn poll_subscription(&mut self, id: SubscriptionId) -> Option<StoreEvent> {
        self.events.poll(id)
    }

    /// Ends a subscription; whether there was one.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> bool {
        self.events.unsubscribe(id)
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn namespace(&self, id: &NamespaceId) -> Option<&Namespace> {
        self.namespaces.get(id)
    }

    fn index(&self, id: &NamespaceId) -> Option<&Index> {
        self.namespaces.get(id).map(|namespace| &namespace.index)
    }

    fn namespace_of(&mut self, entry: &StoredEntry) -> &mut Namespace {
        let id = &entry.subspace().namespace;
        self.namespaces.entry(NamespaceId::clone(id)).or_insert_with(|| Namespace::new(id.clone()))
    }
}
