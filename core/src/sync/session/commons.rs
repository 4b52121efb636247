//! What both sides share: per overlap, its rounds of reconciliation and who wants live updates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{INLINE_LIMIT, IntentMode, Output, Session, SessionEvent, power_of_two};
use crate::{
    IntentId, Role,
    store::Store,
    sync::{
        live::Eager,
        overlap::{InterestId, OverlapEvent, OverlapId, Shared},
        queue::Control,
        reconcile::{ReconcileEvent, RootId, Scope},
    },
    willow::{Area, Entry, Grouping, NamespaceId, Namespaced, Range3d},
};

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

    fn began(&mut self, root: RootId) {
        self.started += 1;
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
    /// Areas that were shared once: what the peer still forwards of them is no fault.
    ended: Vec<(NamespaceId, Area)>,
    /// Where the peer is eager.
    eager: Vec<Eager>,
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
        let has = |common: &Common| common.scope.namespace == *entry.namespace_id() && common.scope.area.includes(entry);
        self.all.iter().find(|(_, common)| has(common)).map(|(&id, _)| id)
    }

    /// Whether an overlap that has ended had this entry.
    pub(super) fn had_entry(&self, entry: &Entry) -> bool {
        self.ended.iter().any(|(namespace, area)| namespace == entry.namespace_id() && area.includes(entry))
    }

    pub(super) fn eager(&self) -> &[Eager] {
        &self.eager
    }

    /// Whether the peer wants live updates of anything.
    pub(super) fn is_peer_eager(&self) -> bool {
        !self.eager.is_empty()
    }

    pub(super) fn set_peer_eager(&mut self, overlap: OverlapId, eager: bool) {
        if let Some(common) = self.all.get_mut(&overlap) {
            common.peer_eager = eager;
        }
        self.list_eager();
    }

    fn list_eager(&mut self) {
        let eager = self.all.values().filter(|common| common.peer_eager).map(|common| &common.scope);
        self.eager = eager
            .map(|scope| Eager { namespace: scope.namespace.clone(), area: scope.area.clone(), inline_max: scope.inline_max })
            .collect();
    }

    fn remove(&mut self, overlap: OverlapId) -> Option<Common> {
        let common = self.all.remove(&overlap)?;
        let ended = (common.scope.namespace.clone(), common.scope.area.clone());
        if !self.ended.contains(&ended) {
            self.ended.push(ended);
        }
        self.list_eager();
        Some(common)
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
            let (running, peer_eager, told_eager) = (BTreeMap::new(), false, false);
            self.commons.all.insert(overlap, Common { scope, started: 0, done: 0, running, wanted, peer_eager, told_eager });
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

    /// Takes note of what the reconciler did.
    pub(super) fn follow_roots(&mut self) {
        while let Some(event) = self.reconciler.poll_event() {
            match event {
                ReconcileEvent::StartedByPeer(overlap, root) => {
                    if let Some(common) = self.commons.all.get_mut(&overlap) {
                        common.began(root);
                    }
                }
                ReconcileEvent::Reconciled(overlap, root) => {
                    if let Some(common) = self.commons.all.get_mut(&overlap) {
                        common.done = common.done.max(common.running.remove(&root).unwrap_or_default());
                        self.payloads.search(overlap, &common.scope.namespace, &common.scope.area);
                    }
                }
            }
        }
    }

    /// Starts what is wanted and can be started.
    pub(super) fn start_roots(&mut self) {
        if self.ending.is_over() {
            return;
        }
        for common in self.commons.all.values_mut().filter(|common| common.wanted) {
            if let Some(root) = self.reconciler.start(&common.scope) {
                common.began(root);
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
                self.control.push(Control::Eagerness { overlap, eager });
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
