//! Which payloads a node wants from its peer, and when it asks for them.
//!
//! Small payloads come inline. What is missing after an overlap is reconciled, and what is forwarded without its payload, is asked for on
//! streams of their own, a bounded number at a time. What the peer does not have is not asked for again in the session unless the peer
//! sends the entry once more. How a payload is transferred is the driver's and `payload`'s business.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::overlap::{Overlap, OverlapId};
use crate::{
    payload::{GROUP_SIZE, PayloadRequest, Slice},
    store::{Cursor, EntryRef, Order, Store, StoredEntry},
    willow::{Area, EntryId, NamespaceId},
};

/// How many entries a search looks at in one step.
const GLANCE: usize = if cfg!(test) { 16 } else { 4096 };
/// How many wants a search finds before it waits.
const WANTS: usize = 1024;
/// How many refusals are remembered.
const REFUSALS: usize = 65_536;

/// Names a transfer of a payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct FetchId(pub u64);

/// What became of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchUpdate {
    /// So much of the payload is here and verified.
    Progress {
        /// Bytes that are here.
        received: u64,
        /// Bytes that there will be.
        total: u64,
    },
    /// The whole payload is here.
    Done,
    /// It does not come: the peer has no more of it, or the stream failed.
    Failed,
}

/// A payload that is wanted.
#[derive(Clone, Debug)]
pub struct Want {
    /// Its entry.
    pub entry: StoredEntry,
    /// An overlap that it is in.
    pub overlap: OverlapId,
}

/// A way through an overlap's entries, for payloads that are missing.
#[derive(Debug)]
struct Search {
    overlap: OverlapId,
    namespace: NamespaceId,
    area: Area,
    after: Option<Cursor>,
}

/// The payloads of one session.
#[derive(Debug)]
pub struct Payloads {
    parallel: usize,
    fetch_max: u64,
    last: u64,
    searches: VecDeque<Search>,
    wants: VecDeque<Want>,
    running: BTreeMap<FetchId, Want>,
    /// Ids in `wants` and `running`.
    busy: BTreeSet<EntryId>,
    refused: BTreeSet<EntryId>,
}

impl Payloads {
    /// Wants nothing yet; at most `parallel` transfers at a time, no payload beyond `fetch_max` bytes unasked.
    #[must_use]
    pub fn new(parallel: usize, fetch_max: u64) -> Self {
        Self {
            parallel: parallel.max(1),
            fetch_max,
            last: 0,
            searches: VecDeque::new(),
            wants: VecDeque::new(),
            running: BTreeMap::new(),
            busy: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// An overlap is reconciled: whatever is missing in it is wanted.
    pub fn search(&mut self, overlap: OverlapId, namespace: &NamespaceId, area: &Area) {
        if !self.searches.iter().any(|search| search.overlap == overlap && search.after.is_none()) {
            self.searches.push_back(Search { overlap, namespace: namespace.clone(), area: area.clone(), after: None });
        }
    }

    /// The peer has sent this entry without its payload.
    pub fn offered(&mut self, overlap: OverlapId, entry: EntryRef<'_>) {
        self.refused.remove(&entry.id());
        self.want(overlap, entry);
    }

    /// A user asks for this payload. It goes before all others, whatever was refused and whatever its size; `false` if nothing is missing.
    pub fn request(&mut self, overlap: OverlapId, entry: EntryRef<'_>) -> bool {
        if entry.is_complete() {
            return false;
        }
        self.refused.remove(&entry.id());
        if self.running.values().any(|want| want.entry.id() == entry.id()) {
            return true;
        }
        self.wants.retain(|want| want.entry.id() != entry.id());
        self.busy.insert(entry.id());
        self.wants.push_front(Want { entry: entry.stored().clone(), overlap });
        true
    }

    fn want(&mut self, overlap: OverlapId, entry: EntryRef<'_>) {
        let wanted = !entry.is_complete() && entry.payload_length() <= self.fetch_max && !self.refused.contains(&entry.id());
        if wanted && self.busy.insert(entry.id()) {
            self.wants.push_back(Want { entry: entry.stored().clone(), overlap });
        }
    }

    /// Whether [`Payloads::poll`] has to be called again to go on with a search.
    #[must_use]
    pub fn has_to_look(&self) -> bool {
        !self.searches.is_empty() && self.wants.is_empty() && self.running.len() < self.parallel
    }

    /// The next transfer to begin, if there is room for one. Goes on with a search by one step at most.
    pub fn poll(&mut self, store: &Store, overlap: &Overlap) -> Option<(FetchId, PayloadRequest)> {
        let mut looked = false;
        while self.running.len() < self.parallel {
            let Some(want) = self.wants.pop_front() else {
                if looked || self.searches.is_empty() {
                    return None;
                }
                looked = true;
                self.look(store);
                continue;
            };
            if let Some(request) = request(&want.entry, want.overlap, store, overlap) {
                self.last = self.last.saturating_add(1);
                let fetch = FetchId(self.last);
                self.running.insert(fetch, want);
                return Some((fetch, request));
            }
            self.busy.remove(&want.entry.id());
        }
        None
    }

    /// Goes on with the first search.
    fn look(&mut self, store: &Store) {
        let Some(mut search) = self.searches.pop_front() else { return };
        let after = search.after.take();
        let mut looked = 0;
        for entry in store.entries_from(&search.namespace, &search.area, Order::Ascending, after.as_ref()).take(GLANCE) {
            looked += 1;
            if !entry.is_complete() {
                self.want(search.overlap, entry);
            }
            if looked == GLANCE || self.wants.len() >= WANTS {
                search.after = Some(entry.cursor());
                self.searches.push_front(search);
                return;
            }
        }
    }

    /// What became of a transfer: the want, if it is still wanted.
    pub fn update(&mut self, fetch: FetchId, update: FetchUpdate) -> Option<Want> {
        if let FetchUpdate::Progress { .. } = update {
            return self.running.get(&fetch).cloned();
        }
        let want = self.running.remove(&fetch)?;
        self.busy.remove(&want.entry.id());
        if update == FetchUpdate::Failed {
            if self.refused.len() >= REFUSALS {
                self.refused.clear();
            }
            self.refused.insert(want.entry.id());
        }
        Some(want)
    }

    /// An overlap has ended: nothing is wanted for it any more. Transfers under way are not waited for.
    pub fn end(&mut self, overlap: OverlapId) {
        self.searches.retain(|search| search.overlap != overlap);
        let busy = &mut self.busy;
        let mut keep = |want: &Want| {
            let keep = want.overlap != overlap;
            if !keep {
                busy.remove(&want.entry.id());
            }
            keep
        };
        self.wants.retain(&mut keep);
        self.running.retain(|_, want| keep(want));
    }

    /// Whether something is wanted for this overlap.
    #[must_use]
    pub fn is_busy_with(&self, overlap: OverlapId) -> bool {
        self.searches.iter().any(|search| search.overlap == overlap)
            || self.wants.iter().chain(self.running.values()).any(|want| want.overlap == overlap)
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.searches.is_empty() && self.wants.is_empty() && self.running.is_empty()
    }
}

/// The request for what is missing of a payload; `None` if nothing is, or its entry or its overlap is gone.
fn request(entry: &StoredEntry, overlap: OverlapId, store: &Store, overlaps: &Overlap) -> Option<PayloadRequest> {
    let (sender, receiver) = overlaps.handles(overlap)?;
    let (subspace, path) = (entry.subspace_id(), entry.path());
    let held = store.get(entry.namespace_id(), subspace, &path)?;
    if held.id() != entry.id() || held.is_complete() {
        return None;
    }
    let length = entry.payload_length();
    let start = held.available() - held.available() % GROUP_SIZE as u64;
    Some(PayloadRequest {
        namespace: entry.namespace_id().clone(),
        subspace: subspace.clone(),
        path,
        digest: entry.payload_digest(),
        length,
        sender,
        receiver,
        slice: Slice::new(start, length - start, length).ok()?,
        resume: start > 0,
    })
}

#[cfg(test)]
mod tests;
