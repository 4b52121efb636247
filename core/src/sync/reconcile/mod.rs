//! Range-based set reconciliation: which entries of an overlap each side has and the other lacks.
//!
//! One *root* per overlap and round. A fingerprint of a range is answered with an empty announcement if it is the own one, with the
//! own entries if they are few, else with fingerprints of its parts. An announcement that wants a response is answered with the own
//! entries that it did not bring. [`Reconciler`] decides and encodes; it must not know how messages travel, how entries are verified and
//! stored, or what an intent is.
//!
//! # Decisions
//!
//! - *Completion.* Every range that asks for an answer is numbered per sender, in the order of leaving; every message but the first of a
//!   root says which range it answers and whether it is the last part of that answer. A root is reconciled on a side when it has no
//!   unanswered range of its own, owes no answer, and the store has confirmed what came in. Both sides conclude that by themselves: once
//!   nothing of one's own is unanswered, nothing that arrives can ask for more.
//! - *The limit of unanswered ranges, without a deadlock.* Let L be the lesser of both Hellos' limits. Alfie starts and splits only while
//!   his own unanswered ranges stay within ⌈L/2⌉, Betty within ⌊L/2⌋; whoever has no room answers one to one with an announcement.
//!   A range is answered as soon as it arrives and answers leave in order. So when a fingerprint arrives, every announcement of one's own
//!   that is still unanswered answers a fingerprint that its sender still counted as unanswered when it sent this one: at most the
//!   sender's half of L. Own fingerprints and own announcements together never exceed L, however slow either direction is, and no
//!   answer ever has to wait. (To count the peer's ranges that have *arrived*, as a first version of the protocol had it, is not
//!   enough: those under way are not seen.)
//! - *An empty fingerprint* is answered with all entries and without asking back: its sender has none.
//! - *Inline payloads.* What the peer certainly lacks takes its small payload along; entries of an announcement that asks back are mostly
//!   known to the peer, so only tiny payloads go with them, and others are fetched.
//! - *Rounds.* The first root of an overlap is started by Alfie. A later one, for an intent that joins when nothing keeps the overlap
//!   current, is started by whoever has that intent. Overlaps that intersect a running one wait, so that nothing is sent twice.

mod feed;
mod incoming;
mod outgoing;
mod ranges;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    data::{CurrentEntry, RangeState},
    error::SyncError,
    overlap::OverlapId,
};
use crate::{
    Role,
    store::{BlockSums, Evidence, ProgressId, Store},
    willow::{Area, CapCache, Entry, FingerprintKey, Grouping, NamespaceId, Namespaced, Range3d, UnverifiedEntry},
};
use outgoing::{Answer, Sending};
#[cfg(test)]
pub(super) use ranges::ENDED;
use ranges::{OwnRanges, PeerRanges};

/// Names a root within this side of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RootId(u64);

/// What a root is about.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The overlap.
    pub overlap: OverlapId,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Its area.
    pub area: Area,
    /// Its area as a range.
    pub range: Range3d,
    /// Payloads of entries that the peer lacks go inline up to this many bytes.
    pub inline_max: u64,
    /// Payloads of entries that the peer may have go inline up to this many bytes.
    pub speculative_inline_max: u64,
}

impl Scope {
    /// Whether the entry is in it.
    #[must_use]
    pub fn has(&self, entry: &Entry) -> bool {
        self.namespace == *entry.namespace_id() && self.area.includes(entry)
    }
}

/// What a reconciler starts with.
#[derive(Debug)]
pub struct ReconcilerConfig {
    /// This node's role.
    pub role: Role,
    /// The key of the session's fingerprints.
    pub key: FingerprintKey,
    /// How many unanswered ranges this node allows the peer.
    pub own_limit: u64,
    /// How many the peer allows this node.
    pub peer_limit: u64,
    /// Into how many parts a range is split, at least 2.
    pub fanout: usize,
    /// Up to how many own entries are announced instead of splitting.
    pub threshold: u64,
    /// No inline payload that is longer is accepted.
    pub inline_accepted: u64,
}

/// An entry that has arrived in an announcement, with its payload if that came along whole.
#[derive(Debug)]
pub struct Arrival {
    /// The entry, not verified.
    pub entry: UnverifiedEntry,
    /// Its whole payload.
    pub payload: Option<Vec<u8>>,
    /// The root, to be told when the store has the entry ([`Reconciler::confirmed`]). `None` for a forwarded entry.
    pub root: Option<RootId>,
    /// Whether the peer has said that it has all of its payload.
    pub whole: bool,
}

/// What happened to a root.
#[derive(Clone, PartialEq, Debug)]
pub enum ReconcileEvent {
    /// The peer started one.
    StartedByPeer(OverlapId, RootId),
    /// It is reconciled, and what came in is stored.
    Reconciled(OverlapId, RootId),
    /// Both sides have the same entries in a range in which something is not known to be held elsewhere.
    Same(Box<Evidence>),
}

#[derive(Debug)]
struct Root {
    scope: Arc<Scope>,
    /// Whether this side started it, and as which of its roots; `None` until the start has left.
    mine: bool,
    index: Option<u64>,
    /// The read capability handles (own, peer's) in whose name it was started; `None` until the start has left.
    pair: Option<(u64, u64)>,
    /// Own ranges that are queued or unanswered.
    own_open: u64,
    /// Ranges of the peer whose answer has not left.
    peer_open: u64,
    /// Entries that arrived and are not confirmed.
    unconfirmed: u64,
}

/// The reconciliation of one session: see the [module](self).
pub struct Reconciler {
    role: Role,
    own_limit: u64,
    budget: u64,
    fanout: usize,
    threshold: u64,
    inline_accepted: u64,
    sums: BlockSums,

    next_root: u64,
    roots: BTreeMap<RootId, Root>,
    started_here: u64,
    started_there: u64,

    own: OwnRanges,
    peer: PeerRanges,
    queue: VecDeque<Answer>,
    sending: Option<Sending>,
    receiving: Option<incoming::Receiving>,

    ranges_out: RangeState,
    ranges_in: RangeState,
    current_out: CurrentEntry,
    current_in: CurrentEntry,

    arrivals: VecDeque<Arrival>,
    events: VecDeque<ReconcileEvent>,
}

impl Reconciler {
    /// Nothing to reconcile yet.
    #[must_use]
    pub fn new(config: ReconcilerConfig) -> Self {
        // With a limit of 1 Betty could start nothing, ever.
        let limit = config.own_limit.min(config.peer_limit).max(2);
        let budget = match config.role {
            Role::Alfie => limit.div_ceil(2),
            Role::Betty => limit / 2,
        };
        Self {
            role: config.role,
            own_limit: config.own_limit.max(2),
            budget,
            fanout: config.fanout.max(2),
            threshold: config.threshold,
            inline_accepted: config.inline_accepted,
            sums: BlockSums::new(config.key),
            next_root: 0,
            roots: BTreeMap::new(),
            started_here: 0,
            started_there: 0,
            own: OwnRanges::default(),
            peer: PeerRanges::default(),
            queue: VecDeque::new(),
            sending: None,
            receiving: None,
            ranges_out: RangeState::default(),
            ranges_in: RangeState::default(),
            current_out: CurrentEntry::default(),
            current_in: CurrentEntry::default(),
            arrivals: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The role of this side.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Starts a root, unless there is no room for its range or a root that intersects it is running: then to be tried again.
    pub fn start(&mut self, scope: &Arc<Scope>) -> Option<RootId> {
        let intersects = |root: &Root| root.scope.namespace == scope.namespace && root.scope.area.intersection(&scope.area).is_ok();
        if self.own.open() >= self.budget || self.roots.values().any(intersects) {
            return None;
        }
        let root = self.add_root(scope, true, None, None);
        self.ask(root, 1);
        self.queue.push_back(Answer::start(root));
        Some(root)
    }

    fn add_root(&mut self, scope: &Arc<Scope>, mine: bool, index: Option<u64>, pair: Option<(u64, u64)>) -> RootId {
        let id = RootId(self.next_root);
        self.next_root = self.next_root.saturating_add(1);
        self.roots.insert(id, Root { scope: Arc::clone(scope), mine, index, pair, own_open: 0, peer_open: 0, unconfirmed: 0 });
        id
    }

    /// Counts ranges of the root that are about to be queued.
    fn ask(&mut self, root: RootId, count: u64) {
        self.own.add_open(count);
        if let Some(root) = self.roots.get_mut(&root) {
            root.own_open = root.own_open.saturating_add(count);
        }
    }

    /// The overlap of a root that is running.
    #[must_use]
    pub fn overlap_of(&self, root: RootId) -> Option<OverlapId> {
        self.roots.get(&root).map(|root| root.scope.overlap)
    }

    /// The store has taken or refused `count` entries of a root.
    pub fn confirmed(&mut self, root: RootId, count: u64) {
        if let Some(state) = self.roots.get_mut(&root) {
            state.unconfirmed = state.unconfirmed.saturating_sub(count);
            self.conclude(root);
        }
    }

    /// Ends the root if nothing of it is outstanding.
    fn conclude(&mut self, id: RootId) {
        let done = |root: &Root| root.own_open == 0 && root.peer_open == 0 && root.unconfirmed == 0;
        if self.roots.get(&id).is_some_and(done)
            && let Some(root) = self.roots.remove(&id)
        {
            self.events.push_back(ReconcileEvent::Reconciled(root.scope.overlap, id));
        }
    }

    /// Drops all roots of an overlap that has ended. An announcement that is leaving is cut short, one that is arriving is ignored.
    pub fn end(&mut self, overlap: OverlapId, reads: &mut super::inline::Reads) {
        self.end_those(|root| root.scope.overlap == overlap, reads);
    }

    /// Drops those roots of an overlap that were started in the name of these handles (own, peer's), and returns them.
    pub fn end_pair(&mut self, overlap: OverlapId, pair: (u64, u64), reads: &mut super::inline::Reads) -> Vec<RootId> {
        self.end_those(|root| root.scope.overlap == overlap && root.pair == Some(pair), reads)
    }

    fn end_those(&mut self, is_over: impl Fn(&Root) -> bool, reads: &mut super::inline::Reads) -> Vec<RootId> {
        let ended: Vec<RootId> = self.roots.iter().filter(|(_, root)| is_over(root)).map(|(&id, _)| id).collect();
        for &id in &ended {
            if let Some(root) = self.roots.remove(&id) {
                self.own.end(id, root.own_open);
                self.peer.end(id);
            }
            self.queue.retain(|answer| answer.root != id);
            if let Some(sending) = self.sending.as_mut().filter(|sending| sending.root() == id) {
                sending.cut_short(reads);
            }
        }
        ended
    }

    /// How many own ranges are remembered that have left.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.own.remembered()
    }

    /// Both sides had the same entries in this range after that change of the store here.
    fn same(&mut self, scope: &Scope, range: &Arc<Range3d>, at: ProgressId, whole: bool, store: &Store) {
        if store.has_unheld(&scope.namespace, &**range) {
            let (namespace, range) = (scope.namespace.clone(), Arc::clone(range));
            self.events.push_back(ReconcileEvent::Same(Box::new(Evidence::Range { namespace, range, at, whole })));
        }
    }

    /// The next arrived entry.
    pub fn poll_arrival(&mut self) -> Option<Arrival> {
        self.arrivals.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ReconcileEvent> {
        self.events.pop_front()
    }

    /// Whether no root is running and nothing waits to be sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.roots.is_empty() && self.queue.is_empty() && self.sending.is_none() && self.receiving.is_none()
    }

    /// Whether this side is in the middle of an announcement.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Whether the peer is in the middle of an announcement.
    #[must_use]
    pub fn is_receiving(&self) -> bool {
        self.receiving.is_some()
    }

    /// Handles a ReconciliationSendFingerprint. `scope_of` gives what the named overlap is about, `None` if that has ended here.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_fingerprint(
        &mut self,
        message: &[u8],
        named: impl FnOnce(u64, u64) -> Result<Option<Arc<Scope>>, SyncError>,
        store: &Store,
        cache: &mut CapCache,
    ) -> Result<(), SyncError> {
        let message = super::data::RangeMessage::fingerprint(message)?;
        let scope = named(message.head.receiver, message.head.sender)?;
        self.fingerprint(message, scope.as_ref(), store, cache)
    }

    /// Handles an AnnounceEntries; as [`Reconciler::handle_fingerprint`].
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_announcement(
        &mut self,
        message: &[u8],
        named: impl FnOnce(u64, u64) -> Result<Option<Arc<Scope>>, SyncError>,
        store: &Store,
        cache: &mut CapCache,
    ) -> Result<(), SyncError> {
        let (message, flags) = super::data::RangeMessage::announcement(message)?;
        let scope = named(message.head.receiver, message.head.sender)?;
        self.announcement(message, flags, scope.as_ref(), store, cache)
    }
}

/// Whether every coordinate of `inner` is one of `outer`.
fn contains(outer: &Range3d, inner: &Range3d) -> bool {
    outer.subspaces().includes_willow_range(inner.subspaces())
        && outer.paths().includes_willow_range(inner.paths())
        && outer.times().includes_willow_range(inner.times())
}

#[cfg(test)]
mod tests;
