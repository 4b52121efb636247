//! What both sides share: per overlap, its rounds of reconciliation and who wants live updates.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::{INLINE_LIMIT, IntentMode, Output, Session, SessionEvent, power_of_two};
use crate::{
    IntentId, Role,
    store::{ProgressId, Store},
    sync::{
        live::Eager,
        overlap::{InterestId, OverlapEvent, OverlapId, Shared},
        reconcile::{ReconcileEvent, RootId, Scope},
    },
    willow::{Area, Entry, NamespaceId, Range3d},
};

/// So many areas are remembered that were shared once.
pub(super) const ENDED: usize = 64;

/// An overlap and where it stands.
pub(super) struct Common {
    pub(super) scope: Arc<Scope>,
    /// Rounds that were started, and the greatest that is reconciled.
    started: u64,
    done: u64,
    /// The rounds of running roots.
    running: BTreeMap<RootId, u64>,
    /// Another round is to be started by this side.
    wanted: bool,
    peer_eager: bool,
    told_eager: bool,
    /// The last change of the store before the last round began.
    since: ProgressId,
    /// Whether missing payloads are to be looked for after the next round: the first, each that this side starts, and those in which
    /// entries came without.
    to_search: bool,
}

impl Common {
    /// The round that answers an intent that joins now.
    fn join(&mut self) -> u64 {
        if self.started == 0 || (self.told_eager && !self.wanted) {
            // The first round is still to come; or what is reconciled is kept current by the peer's live updates.
            return self.started.max(1);
        }
        self.wanted = true;
        self.started + 1
    }

    fn began(&mut self, root: RootId, store: &Store) {
        self.started += 1;
        self.since = store.progress();
        self.running.insert(root, self.started);
        // Whatever was wanted before is in a round that begins now.
        self.wanted = false;
    }

    /// Whether the round is reconciled.
    pub(super) fn is_done(&self, round: u64) -> bool {
        self.done >= round
    }
}

/// All overlaps of a session.
#[derive(Default)]
pub(super) struct Commons {
    all: BTreeMap<OverlapId, Common>,
    /// What was shared last: what the peer still forwards of that is no fault.
    ended: VecDeque<Arc<Scope>>,
    /// Some of what was shared is forgotten: there is no telling any more what is a fault.
    forgotten: bool,
    /// Where the peer is eager, unless that is to be listed anew.
    eager: Vec<Eager>,
    eager_changed: bool,
}

impl Commons {
    pub(super) fn get(&self, overlap: OverlapId) -> Option<&Common> {
        self.all.get(&overlap)
    }

    pub(super) fn scope(&self, overlap: OverlapId) -> Option<Arc<Scope>> {
        self.all.get(&overlap).map(|common| Arc::clone(&common.scope))
    }

    /// An overlap that has this entry.
    pub(super) fn of_entry(&self, entry: &Entry) -> Option<OverlapId> {
        self.all.iter().find(|(_, common)| common.scope.has(entry)).map(|(&id, _)| id)
    }

    /// Whether an overlap that has ended may have had this entry.
    pub(super) fn had_entry(&self, entry: &Entry) -> bool {
        self.forgotten || self.ended.iter().any(|scope| scope.has(entry))
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.ended.len()
    }

    pub(super) fn eager(&mut self) -> &[Eager] {
        if std::mem::take(&mut self.eager_changed) {
            let eager = self.all.values().filter(|common| common.peer_eager).map(|common| &common.scope);
            self.eager = eager
                .map(|scope| Eager { namespace: scope.namespace.clone(), area: scope.area.clone(), inline_max: scope.inline_max })
                .collect();
        }
        &self.eager
    }

    /// Whether the peer wants live updates of anything.
    pub(super) fn is_peer_eager(&self) -> bool {
        self.all.values().any(|common| common.peer_eager)
    }

    /// What the peer has become eager for, and since when that was not looked at.
    pub(super) fn set_peer_eager(&mut self, overlap: OverlapId, eager: bool) -> Option<(Arc<Scope>, ProgressId)> {
        let common = self.all.get_mut(&overlap).filter(|common| common.peer_eager != eager)?;
        common.peer_eager = eager;
        self.eager_changed = true;
        eager.then(|| (Arc::clone(&common.scope), common.since))
    }

    /// An entry of a round came without its payload.
    pub(super) fn lacks_payload(&mut self, overlap: OverlapId) {
        if let Some(common) = self.all.get_mut(&overlap) {
            common.to_search = true;
        }
    }

    fn remove(&mut self, overlap: OverlapId) -> Option<Common> {
        let common = self.all.remove(&overlap)?;
        self.eager_changed |= common.peer_eager;
        let scope = &common.scope;
        if !self.ended.iter().any(|ended| ended.namespace == scope.namespace && ended.area == scope.area) {
            self.ended.push_back(Arc::clone(scope));
            self.forgotten |= self.ended.len() > ENDED && self.ended.pop_front().is_some();
        }
        Some(common)
    }

    /// These roots of an overlap were dropped on both sides, and what was told of eagerness is forgotten.
    fn begin_again(&mut self, overlap: OverlapId, dropped: &[RootId]) {
        let Some(common) = self.all.get_mut(&overlap) else { return };
        common.running.retain(|root, _| !dropped.contains(root));
        common.wanted |= !dropped.is_empty();
        self.eager_changed |= std::mem::take(&mut common.peer_eager);
        common.told_eager = false;
    }

    fn has_namespace(&self, namespace: &NamespaceId) -> bool {
        self.all.values().any(|common| common.scope.namespace == *namespace)
    }
}

impl Session {
    /// Takes note of what the overlap machine found.
    pub(super) fn follow_overlaps(&mut self, store: &mut Store) {
        while let Some(event) = self.overlap.poll_event() {
            match event {
                OverlapEvent::Matched { overlap, interest, shared } => self.matched(overlap, interest, &shared, store),
                OverlapEvent::Ended { overlap } => self.ended(overlap, store),
                OverlapEvent::PairEnded { overlap, own, peer } => self.pair_ended(overlap, (own, peer)),
                OverlapEvent::NothingInCommon { interest } => self.intents.nothing_in_common(interest),
                OverlapEvent::Awkward { interest } => self.interest_unsupported(interest, false),
                OverlapEvent::PeerLimit { interest } => self.interest_unsupported(interest, true),
                OverlapEvent::Settled => self.intents.settled(),
            }
        }
    }

    fn matched(&mut self, overlap: OverlapId, interest: InterestId, shared: &Shared, store: &mut Store) {
        if !self.commons.all.contains_key(&overlap) {
            // Before the first fingerprint, so that nothing falls between it and the live updates.
            self.live.follow(&shared.namespace, store);
            let scope = Arc::new(self.scope(overlap, shared));
            let wanted = self.role == Role::Alfie;
            let common = Common {
                scope,
                started: 0,
                done: 0,
                running: BTreeMap::new(),
                wanted,
                peer_eager: false,
                told_eager: false,
                since: store.progress(),
                to_search: true,
            };
            self.commons.all.insert(overlap, common);
        }
        let Some(common) = self.commons.all.get_mut(&overlap) else { return };
        let Some(intent) = self.intents.matched(interest) else { return };
        if self.intents.join(intent, overlap, shared, || common.join()) {
            let event = SessionEvent::Overlap { namespace: shared.namespace.clone(), area: shared.area.clone() };
            self.outputs.push_back(Output::Event { intent, event });
        }
    }

    fn scope(&self, overlap: OverlapId, shared: &Shared) -> Scope {
        let accepted = power_of_two(self.peer_power).min(power_of_two(shared.peer_payload_power)).min(INLINE_LIMIT);
        Scope {
            overlap,
            namespace: shared.namespace.clone(),
            area: shared.area.clone(),
            range: Range3d::from(shared.area.clone()),
            inline_max: self.tuning.inline_max.min(accepted),
            speculative_inline_max: self.tuning.speculative_inline_max.min(accepted),
        }
    }

    fn ended(&mut self, overlap: OverlapId, store: &mut Store) {
        self.reconciler.end(overlap, &mut self.reads);
        self.payloads.end(overlap);
        if let Some(common) = self.commons.remove(overlap)
            && !self.commons.has_namespace(&common.scope.namespace)
        {
            self.live.unfollow(&common.scope.namespace, store);
        }
        self.intents.lost(overlap);
        self.overlap.release(overlap);
    }

    /// A pair of capabilities is gone, and the overlap goes on here. At the peer it may have ended, or ended and begun anew: so both sides
    /// drop what was started in the name of that pair, start again, and tell again where they are eager.
    fn pair_ended(&mut self, overlap: OverlapId, pair: (u64, u64)) {
        let dropped = self.reconciler.end_pair(overlap, pair, &mut self.reads);
        self.commons.begin_again(overlap, &dropped);
    }

    /// Takes note of what the reconciler did.
    pub(super) fn follow_roots(&mut self, store: &Store) {
        while let Some(event) = self.reconciler.poll_event() {
            match event {
                ReconcileEvent::StartedByPeer(overlap, root) => {
                    if let Some(common) = self.commons.all.get_mut(&overlap) {
                        common.began(root, store);
                    }
                }
                ReconcileEvent::Reconciled(overlap, root) => {
                    if let Some(common) = self.commons.all.get_mut(&overlap) {
                        common.done = common.done.max(common.running.remove(&root).unwrap_or_default());
                        if std::mem::take(&mut common.to_search) {
                            self.payloads.search(overlap, &common.scope.namespace, &common.scope.area);
                        }
                    }
                }
                ReconcileEvent::Same(evidence) => self.outputs.push_back(Output::Held(*evidence)),
            }
        }
    }

    /// Starts what is wanted and can be started.
    pub(super) fn start_roots(&mut self, store: &Store) {
        if self.ending.is_over() {
            return;
        }
        for common in self.commons.all.values_mut().filter(|common| common.wanted) {
            if let Some(root) = self.reconciler.start(&common.scope) {
                common.began(root, store);
                common.to_search = true;
            }
        }
    }

    /// Tells the peer where this side has become eager, or is no more.
    pub(super) fn update_eagerness(&mut self) {
        for (&overlap, common) in &mut self.commons.all {
            let eager = self.intents.modes_with(overlap).any(|mode| match mode {
                IntentMode::Live => true,
                IntentMode::FollowPeer => common.peer_eager,
                IntentMode::Once => false,
            });
            if eager != common.told_eager {
                common.told_eager = eager;
                self.control.eagerness(overlap, eager);
            }
        }
    }

    /// Tells whoever has an interest that it cannot be synchronised, or not with all of the peer's.
    pub(super) fn interest_unsupported(&mut self, interest: InterestId, for_good: bool) {
        let told: Option<(IntentId, NamespaceId, Area)> = self.intents.unsupported(interest, for_good);
        if let Some((intent, namespace, area)) = told {
            self.outputs.push_back(Output::Event { intent, event: SessionEvent::Unsupported { namespace, area } });
        }
    }

    /// The overlaps whose round `joined` waits for is reconciled.
    pub(super) fn reconciled_overlaps(&self, joined: impl Iterator<Item = (OverlapId, u64)>) -> BTreeSet<OverlapId> {
        joined.filter(|&(overlap, round)| self.commons.get(overlap).is_some_and(|common| common.is_done(round))).map(|(id, _)| id).collect()
    }
}
