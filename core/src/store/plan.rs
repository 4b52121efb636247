//! What would change: Willow's join, decided against the index without touching it.
//!
//! A change takes three steps, so that memory and disk agree: `plan` (here, pure), [`Backend::commit`](super::Backend::commit) of the
//! plan's batch, and [`Store::apply`]. One writer at a time; a plan made before another was applied is refused.
//!
//! A batch joins as one: what counts is the state after it. So the incoming entries are taken in the order of their keys, in which every
//! entry comes after those that could prune it, and each decision is final.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use willow25::prelude::{Area, Entrylike, Keylike, NamespaceId, Namespaced, Path, PayloadDigest, SubspaceId, WriteCapability};

use super::{
    Namespace, Store,
    backend::{Batch, Change, Durability},
    events::{Forgotten, Origin, ProgressId},
    index::{Piece, Position, Run},
    key::{Bounds, path_key},
    quota::{Growth, Quota},
    row::{EntryRef, Held, Probe, Recency, StoredEntry, Subspace},
    staged::{Staged, forget_note},
    unheld::distrust_note,
};
use crate::willow::{EntryId, SignedEntry};

/// An entry on its way into the store.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The entry, verified.
    pub entry: SignedEntry,
    /// Its whole payload, if it came along; checked against the entry by [`Store::plan`].
    pub payload: Option<Vec<u8>>,
    /// From where.
    pub origin: Origin,
}

/// What becomes of one thing that was planned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The entry is new in the store.
    Inserted {
        /// How many entries it removes from the store, with their payloads.
        pruned: u64,
    },
    /// A newer entry, in the store or in the same batch, prunes it. Nothing changes.
    Obsolete,
    /// The store has this entry, whatever its token. If a payload came along that was not all here, it is now.
    AlreadyHere,
    /// The payload that came along is not the entry's. Nothing changes.
    PayloadMismatch,
    /// More of the payload is here.
    Extended {
        /// How many bytes are here now.
        available: u64,
        /// How many there will be.
        total: u64,
    },
    /// All that was offered of the payload is here already. Nothing changes.
    NothingNew,
    /// The store does not have this entry (any more). Nothing changes.
    NotHere,
    /// The bytes of the payload begin behind what is here. Nothing changes.
    Gap {
        /// How many bytes are here.
        available: u64,
    },
    /// The bytes reach beyond the end of the payload. Nothing changes.
    BeyondEnd,
    /// These many entries are removed from this store.
    Forgotten {
        /// How many.
        count: u64,
    },
    /// So much of the payload is here, staged or drafted.
    Staged {
        /// How many bytes.
        end: u64,
        /// How many there will be.
        total: u64,
    },
    /// What was staged or drafted of the payload is gone.
    Unstaged,
    /// There would be more of the namespace than its [`Quota`](super::Quota) allows. Nothing changes.
    OverQuota,
    /// The payload is being staged or drafted by somebody else, and nothing is added to it meanwhile. Nothing changes.
    Occupied,
}

/// One numbered change that [`Store::apply`] makes.
pub(crate) enum Step {
    Prune {
        entry: StoredEntry,
        by: EntryId,
        origin: Origin,
    },
    Insert {
        held: Held,
        origin: Origin,
    },
    Extend {
        entry: StoredEntry,
        available: u64,
        origin: Origin,
    },
    Forget {
        what: Box<Forgotten>,
        entries: Vec<StoredEntry>,
    },
    /// What was on the disk is gone, and nobody can tell what it was.
    Lose,
}

/// A change that nobody outside is told of; [`Store::apply`] makes it before the numbered ones.
pub(crate) enum Quiet {
    Stage { id: EntryId, staged: Staged },
    Unstage { id: EntryId },
    Draft { id: EntryId, end: u64 },
    Undraft { id: EntryId },
    Quota { namespace: NamespaceId, quota: Option<Quota> },
}

/// What would change. Commit [`Plan::take_batch`], then [`Store::apply`] the plan.
#[must_use = "a plan changes nothing by itself"]
pub struct Plan {
    pub(crate) epoch: u64,
    pub(crate) steps: Vec<Step>,
    pub(crate) quiet: Vec<Quiet>,
    outcomes: Vec<Outcome>,
    batch: Batch,
}

impl Plan {
    /// What becomes of each thing that was planned, in the order given.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Whether nothing changes, so that nothing needs to be committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.quiet.is_empty()
    }

    /// What a backend must commit before the plan is applied. It leaves an empty batch.
    pub fn take_batch(&mut self) -> Batch {
        std::mem::take(&mut self.batch)
    }

    pub(crate) fn into_outcomes(self) -> Vec<Outcome> {
        self.outcomes
    }
}

/// A plan in the making.
pub(super) struct Planning<'a> {
    pub(super) store: &'a Store,
    plan: Plan,
    base: ProgressId,
    payloads: Vec<Change>,
    /// Whether the payloads of the entries that come in are drafted.
    drafted: bool,
    /// What there will be of namespaces that have a quota.
    pub(super) grown: BTreeMap<NamespaceId, Growth>,
    /// Entries of the store that are removed or completed already.
    touched: BTreeSet<EntryId>,
}

impl<'a> Planning<'a> {
    pub(super) fn new(store: &'a Store) -> Self {
        let plan = Plan { epoch: store.epoch(), steps: Vec::new(), quiet: Vec::new(), outcomes: Vec::new(), batch: Batch::default() };
        Self {
            store,
            plan,
            base: store.events.base(),
            payloads: Vec::new(),
            drafted: false,
            grown: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    /// The entries that come in have their payloads drafted.
    pub(super) fn with_drafts(&mut self) -> &mut Self {
        self.drafted = true;
        self
    }

    /// The number that the next step gets.
    fn next(&self) -> ProgressId {
        self.base.plus(self.plan.steps.len() + 1)
    }

    pub(super) fn put(&mut self, change: Change) {
        self.plan.batch.changes.push(change);
    }

    /// Removes an entry of the store, and what is known of it besides.
    fn put_removal(&mut self, id: EntryId) {
        self.put(Change::Remove(id));
        if self.store.staged.contains_key(&id) {
            self.put(forget_note(&id));
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.plan.steps.push(step);
    }

    pub(super) fn quiet(&mut self, quiet: Quiet) {
        self.plan.quiet.push(quiet);
    }

    pub(super) fn durable_for(&mut self, origin: Origin) {
        if !origin.is_peer() {
            self.plan.batch.durability = Durability::Strict;
        }
    }

    /// Bytes of a payload, of which `available` are here already.
    fn extend(&mut self, entry: &StoredEntry, available: u64, offset: u64, mut bytes: Vec<u8>, origin: Origin) {
        let known = usize::try_from(available.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes.len());
        bytes.drain(..known);
        let now = available.saturating_add(bytes.len() as u64);
        self.payloads.push(Change::Payload { id: entry.id(), offset: available, bytes });
        self.step_extend(entry, now, origin);
    }

    /// So much of a payload is here.
    pub(super) fn step_extend(&mut self, entry: &StoredEntry, available: u64, origin: Origin) {
        self.step(Step::Extend { entry: entry.clone(), available, origin });
        if !origin.is_peer() {
            self.put(distrust_note());
        }
        self.durable_for(origin);
    }

    pub(super) fn finish(mut self, outcomes: Vec<Outcome>) -> Plan {
        self.plan.batch.changes.append(&mut self.payloads);
        let (steps, now) = (self.plan.steps.len(), self.store.progress());
        let progress = if steps == 0 { now } else { self.base.plus(steps) };
        self.plan.batch.progress = progress;
        if now.is_blocks_before(progress) {
            self.plan.batch.durability = Durability::Strict;
        }
        self.plan.batch.history = self.store.kept.record(&self.store.events, &self.plan.steps);
        self.plan.outcomes = outcomes;
        self.plan
    }
}

/// An incoming entry in its place in the order. Small, because it is sorted.
struct Candidate<'a> {
    number: usize,
    entry: &'a SignedEntry,
    key: Box<[u8]>,
    payload: Option<Vec<u8>>,
    origin: Origin,
}

impl<'a> Candidate<'a> {
    fn new(number: usize, Incoming { entry, payload, origin }: &'a mut Incoming) -> Self {
        Self { number, entry, key: path_key(entry.entry.path()), payload: payload.take(), origin: *origin }
    }

    fn namespace(&self) -> &NamespaceId {
        self.entry.entry.namespace_id()
    }

    fn subspace(&self) -> &SubspaceId {
        self.entry.entry.subspace_id()
    }

    fn recency(&self) -> Recency {
        Recency::of(&self.entry.entry)
    }

    fn is_below(&self, other: &StoredEntry) -> bool {
        self.key.starts_with(other.key()) && self.subspace() == other.subspace_id() && self.namespace() == other.namespace_id()
    }

    /// By key, the newest of a key first, and of equal entries one with a payload first.
    fn cmp(&self, other: &Self) -> Ordering {
        let age = |of: &Self| (Reverse(of.recency()), of.payload.is_none(), of.number);
        let place = self.namespace().as_bytes().cmp(other.namespace().as_bytes()).then_with(|| self.subspace().cmp(other.subspace()));
        place.then_with(|| self.key.cmp(&other.key)).then_with(|| age(self).cmp(&age(other)))
    }
}

/// Whether the payload, if there is one, is the entry's.
fn fits(entry: &SignedEntry, payload: Option<&[u8]>) -> bool {
    let entry = &entry.entry;
    payload.is_none_or(|payload| {
        payload.len() as u64 == entry.payload_length() && PayloadDigest::from_payload(payload) == *entry.payload_digest()
    })
}

/// What consecutive entries have in common, kept from one to the next.
#[derive(Default)]
struct Common {
    subspace: Option<Arc<Subspace>>,
    capability: Option<Arc<WriteCapability>>,
    /// The deepest entry of the store at or above this parent path.
    parent: Option<(Box<[u8]>, Option<Recency>)>,
}

impl Common {
    /// The shared subspace; `known` is the store's, if it has this namespace.
    fn subspace(&mut self, of: &Candidate<'_>, known: Option<&Namespace>) -> Arc<Subspace> {
        if let Some(same) = self.subspace.as_ref().filter(|last| last.id == *of.subspace() && *last.namespace == *of.namespace()) {
            return same.clone();
        }
        let namespace = match (known, &self.subspace) {
            (Some(known), _) => known.id.clone(),
            (None, Some(last)) if *last.namespace == *of.namespace() => last.namespace.clone(),
            (None, _) => Arc::new(of.namespace().clone()),
        };
        let author = known.and_then(|known| known.authors.get(of.subspace().as_bytes()));
        let subspace = author.map_or_else(|| Arc::new(Subspace { namespace, id: of.subspace().clone() }), |author| author.subspace.clone());
        *self = Self { subspace: Some(subspace.clone()), ..Self::default() };
        subspace
    }

    fn capability(&mut self, of: &SignedEntry, known: Option<&Namespace>) -> Arc<WriteCapability> {
        let own = &of.capability;
        let same = |other: &&Arc<WriteCapability>| Arc::ptr_eq(own, other) || own == *other;
        let author = known.and_then(|known| known.authors.get(of.entry.subspace_id().as_bytes()));
        let known = author.into_iter().flat_map(|author| &author.capabilities);
        let shared = known.chain(&self.capability).find(same).unwrap_or(own).clone();
        self.capability = Some(shared.clone());
        shared
    }

    /// The recency of the store's deepest entry strictly above this path.
    fn above(&mut self, of: &Candidate<'_>, known: &Namespace) -> Option<Recency> {
        let (_, parent) = of.key.split_last()?;
        let parent = &of.key[..parent.iter().rposition(|&byte| byte == 0).map_or(0, |end| end + 1)];
        if let Some((_, deepest)) = self.parent.as_ref().filter(|(last, _)| **last == *parent) {
            return *deepest;
        }
        let deepest = known.index.deepest(of.subspace().as_bytes(), parent).map(|held| held.stored.recency());
        self.parent = Some((parent.into(), deepest));
        deepest
    }
}

/// What the index says to a candidate.
enum Verdict<'a> {
    Obsolete,
    Here(&'a Held),
    New(Option<Position>),
}

fn judge<'a>(candidate: &Candidate<'_>, known: Option<&'a Namespace>, common: &mut Common) -> Verdict<'a> {
    let Some(known) = known else { return Verdict::New(None) };
    let subspace = candidate.subspace().as_bytes();
    let place = known.index.find(Probe::at(subspace, &candidate.key));
    let same = known.index.get(place).filter(|held| held.stored.key() == &*candidate.key && held.stored.subspace_bytes() == subspace);
    match same {
        Some(held) if held.stored.id() == candidate.entry.id => Verdict::Here(held),
        Some(held) if held.stored.recency() > candidate.recency() => Verdict::Obsolete,
        None if common.above(candidate, known).is_some_and(|above| above > candidate.recency()) => Verdict::Obsolete,
        // If an entry is at the very path, it is the newest in the way.
        _ => Verdict::New(Some(place)),
    }
}

/// The store's entries at or below the candidate's path that it prunes, `place` being where it belongs.
fn pruned_by<'a>(candidate: &Candidate<'_>, known: &'a Namespace, place: Position) -> Vec<&'a Held> {
    let (index, subspace) = (&known.index, candidate.subspace().as_bytes());
    let mut pruned = Vec::new();
    let is_below = |held: &Held| held.stored.key().starts_with(&candidate.key) && held.stored.subspace_bytes() == subspace;
    if index.get(place).is_some_and(is_below) {
        let run = Run { start: place, end: index.find(Probe::below(subspace, &candidate.key)) };
        let recency = candidate.recency();
        let mut consider = |held: &'a Held| {
            if held.stored.recency() < recency {
                pruned.push(held);
            }
        };
        index.visit(run, &Bounds::until(recency.timestamp), |piece| match piece {
            Piece::Block(block) => block.rows.iter().for_each(&mut consider),
            Piece::Row(row) => consider(row),
        });
    }
    pruned
}

impl Store {
    /// What would change if these entries came in together. Outcomes are in the order given. O(log n) for each, a few microseconds, and
    /// the hashing of payloads.
    pub fn plan(&self, incoming: Vec<Incoming>) -> Plan {
        let mut planning = Planning::new(self);
        let outcomes = planning.join(incoming);
        planning.finish(outcomes)
    }

    /// What would change if these verified bytes of an entry's payload, from `offset` on, were kept. They must continue what is here or
    /// overlap it. The entry must still be the one of this id.
    pub fn plan_payload(
        &self,
        (namespace, subspace, path): (&NamespaceId, &SubspaceId, &Path),
        id: &EntryId,
        offset: u64,
        verified: Vec<u8>,
        origin: Origin,
    ) -> Plan {
        let mut planning = Planning::new(self);
        let outcome = match self.get(namespace, subspace, path).filter(|entry| entry.id() == *id) {
            None => Outcome::NotHere,
            Some(_) if self.staged.contains_key(id) => Outcome::Occupied,
            Some(entry) => planning.extend_checked(entry, offset, verified, origin),
        };
        planning.finish(vec![outcome])
    }

    /// What would change if all entries in this area were removed from this store, with their payloads. They may come back from peers.
    pub fn plan_forget(&self, namespace: &NamespaceId, area: &Area) -> Plan {
        let mut planning = Planning::new(self);
        let entries: Vec<_> = self.entries(namespace, area).map(|entry| entry.stored().clone()).collect();
        let count = entries.len() as u64;
        if count > 0 {
            entries.iter().for_each(|entry| planning.put_removal(entry.id()));
            let what = Forgotten { progress: planning.next(), namespace: namespace.clone(), area: area.clone(), count };
            planning.step(Step::Forget { what: Box::new(what), entries });
            planning.durable_for(Origin::Local);
        }
        planning.finish(vec![Outcome::Forgotten { count }])
    }

    /// What would change if the rest of these entries were removed from the disk, whose rows were found damaged there. No event can tell
    /// which entries they were, so the history begins anew after it: whoever has not seen it is told [`Lagged`](super::Lagged).
    pub fn plan_lost(&self, damaged: &[EntryId]) -> Plan {
        let mut planning = Planning::new(self);
        if !damaged.is_empty() {
            damaged.iter().for_each(|id| planning.put(Change::Remove(*id)));
            planning.step(Step::Lose);
        }
        planning.finish(Vec::new())
    }
}

impl Planning<'_> {
    /// Decides what becomes of entries that come in together.
    pub(super) fn join(&mut self, mut incoming: Vec<Incoming>) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::PayloadMismatch; incoming.len()];
        let right = incoming.iter_mut().enumerate().filter(|(_, one)| fits(&one.entry, one.payload.as_deref()));
        let mut candidates: Vec<_> = right.map(|(number, one)| Candidate::new(number, one)).collect();
        candidates.sort_by(Candidate::cmp);

        let mut common = Common::default();
        // The new entries at prefixes of the present path, the deepest last.
        let mut above: Vec<StoredEntry> = Vec::new();
        for candidate in candidates {
            let number = candidate.number;
            while above.last().is_some_and(|last| !candidate.is_below(last)) {
                above.pop();
            }
            outcomes[number] = match above.last() {
                Some(last) if last.id() == candidate.entry.id => Outcome::AlreadyHere,
                Some(last) if last.recency() > candidate.recency() => Outcome::Obsolete,
                _ => self.take(candidate, &mut common, &mut above),
            };
        }
        outcomes
    }

    /// An entry that no other of the batch prunes. If it is new, it is put on top of `above`.
    fn take(&mut self, candidate: Candidate<'_>, common: &mut Common, above: &mut Vec<StoredEntry>) -> Outcome {
        let known = self.store.namespace(candidate.namespace());
        let subspace = common.subspace(&candidate, known);
        let place = match judge(&candidate, known, common) {
            Verdict::Obsolete => return Outcome::Obsolete,
            Verdict::Here(held) => {
                let (id, here) = (held.stored.id(), held.available);
                let payload = candidate.payload.filter(|payload| here < payload.len() as u64 && !self.touched.contains(&id));
                let Some(payload) = payload else { return Outcome::AlreadyHere };
                if self.store.staged.contains_key(&id) {
                    return Outcome::Occupied;
                }
                if !self.allows_bytes(candidate.entry.entry.namespace_id(), here, payload.len() as u64) {
                    return Outcome::OverQuota;
                }
                self.touched.insert(id);
                self.extend(&held.stored, here, 0, payload, candidate.origin);
                return Outcome::AlreadyHere;
            }
            Verdict::New(place) => place,
        };
        let (id, origin) = (candidate.entry.id, candidate.origin);
        let mut pruned = known.zip(place).map(|(known, place)| pruned_by(&candidate, known, place)).unwrap_or_default();
        pruned.retain(|old| !self.touched.contains(&old.stored.id()));
        let bytes = candidate.payload.unwrap_or_default();
        let available = if self.drafted { candidate.entry.entry.payload_length() } else { bytes.len() as u64 };
        if !self.allows(candidate.entry.entry.namespace_id(), Growth::of(available, &pruned)) {
            return Outcome::OverQuota;
        }
        for old in &pruned {
            self.touched.insert(old.stored.id());
            self.put_removal(old.stored.id());
            self.step(Step::Prune { entry: old.stored.clone(), by: id, origin });
        }
        let capability = common.capability(candidate.entry, known);
        let stored = StoredEntry::new(candidate.entry, candidate.key, subspace, capability, self.next());
        above.push(stored.clone());
        if self.drafted {
            self.payloads.push(Change::Adopt { id, length: available });
            self.put_undrafted(id);
        } else {
            self.put_discard(id);
            if available > 0 {
                self.payloads.push(Change::Payload { id, offset: 0, bytes });
            }
        }
        self.put(Change::Put(stored.clone()));
        self.step(Step::Insert { held: Held { stored, available, unheld: !origin.is_peer() }, origin });
        self.durable_for(origin);
        Outcome::Inserted { pruned: pruned.len() as u64 }
    }

    fn extend_checked(&mut self, entry: EntryRef<'_>, offset: u64, verified: Vec<u8>, origin: Origin) -> Outcome {
        let (available, total) = (entry.available(), entry.payload_length());
        let Some(end) = offset.checked_add(verified.len() as u64).filter(|&end| end <= total) else { return Outcome::BeyondEnd };
        if offset > available {
            return Outcome::Gap { available };
        }
        if end <= available {
            return Outcome::NothingNew;
        }
        if !self.allows_bytes(entry.namespace_id(), available, end) {
            return Outcome::OverQuota;
        }
        self.extend(entry.stored(), available, offset, verified, origin);
        Outcome::Extended { available: end, total }
    }
}
