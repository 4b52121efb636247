//! The intents of a session: what each waits for, and what each is told.

use std::collections::BTreeMap;

use super::{Completion, IntentMode, Output, Session, SessionEvent};
use crate::{
    IntentId,
    sync::overlap::{InterestId, OverlapId, Shared},
    willow::{Area, Grouping, NamespaceId},
};

/// What is known of an interest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Open,
    Matched,
    Nothing,
    Unsupported,
}

#[derive(Debug)]
struct Interest {
    intent: IntentId,
    namespace: NamespaceId,
    area: Area,
    standing: Standing,
    /// It meets one of the peer's in an awkward way.
    awkward: bool,
}

/// A part of a namespace that both sides are interested in.
#[derive(Clone, PartialEq, Debug)]
struct Part {
    namespace: NamespaceId,
    area: Area,
}

impl Part {
    fn includes(&self, other: &Self) -> bool {
        self.namespace == other.namespace && self.area.includes_grouping(&other.area)
    }
}

/// An overlap that an intent has.
#[derive(Debug)]
struct Joined {
    part: Part,
    /// The round of reconciliation that answers the intent.
    round: u64,
    /// Whether the intent was told that it is reconciled.
    told: bool,
}

#[derive(Debug)]
struct Intent {
    mode: IntentMode,
    overlaps: BTreeMap<OverlapId, Joined>,
    /// What was reconciled in overlaps that have ended, and what was not.
    reconciled: Vec<Part>,
    lost: Vec<Part>,
    said_all: bool,
    said_nothing: bool,
    done: bool,
}

impl Intent {
    /// Nothing was shared with the peer, ever.
    fn has_nothing(&self) -> bool {
        self.overlaps.is_empty() && self.reconciled.is_empty() && self.lost.is_empty()
    }

    /// Whether all that was ever shared is reconciled: what one overlap lost, another may have covered.
    fn has_all(&self) -> bool {
        let covered =
            |lost: &Part| self.overlaps.values().map(|joined| &joined.part).chain(&self.reconciled).any(|part| part.includes(lost));
        self.overlaps.values().all(|joined| joined.told) && self.lost.iter().all(covered)
    }
}

/// All intents of a session.
#[derive(Debug, Default)]
pub(super) struct Intents {
    all: BTreeMap<IntentId, Intent>,
    interests: BTreeMap<InterestId, Interest>,
    last_interest: u64,
    /// Every interest has been compared with all of the peer's.
    settled: bool,
}

impl Intents {
    pub(super) fn add(&mut self, intent: IntentId, mode: IntentMode) {
        let new = Intent {
            mode,
            overlaps: BTreeMap::new(),
            reconciled: Vec::new(),
            lost: Vec::new(),
            said_all: false,
            said_nothing: false,
            done: false,
        };
        self.all.insert(intent, new);
    }

    /// Gives an interest its name.
    pub(super) fn add_interest(&mut self, intent: IntentId, namespace: &NamespaceId, area: &Area) -> InterestId {
        self.last_interest += 1;
        let id = InterestId(self.last_interest);
        let (namespace, area) = (namespace.clone(), area.clone());
        self.interests.insert(id, Interest { intent, namespace, area, standing: Standing::Open, awkward: false });
        self.settled = false;
        id
    }

    /// An intent without interests is done, unless it is there for the peer's sake.
    pub(super) fn end_if_empty(&mut self, intent: IntentId) -> bool {
        let empty = self.all.get_mut(&intent).filter(|intent| intent.mode != IntentMode::FollowPeer);
        empty.map(|intent| intent.done = true).is_some()
    }

    /// Forgets an intent; its interests.
    pub(super) fn remove(&mut self, intent: IntentId) -> Vec<InterestId> {
        self.all.remove(&intent);
        let interests: Vec<_> = self.interests.iter().filter(|(_, interest)| interest.intent == intent).map(|(&id, _)| id).collect();
        for id in &interests {
            self.interests.remove(id);
        }
        interests
    }

    /// The intent whose interest is matched.
    pub(super) fn matched(&mut self, interest: InterestId) -> Option<IntentId> {
        let interest = self.interests.get_mut(&interest)?;
        interest.standing = Standing::Matched;
        Some(interest.intent)
    }

    pub(super) fn nothing_in_common(&mut self, interest: InterestId) {
        if let Some(interest) = self.interests.get_mut(&interest).filter(|interest| interest.standing == Standing::Open) {
            interest.standing = if interest.awkward { Standing::Unsupported } else { Standing::Nothing };
        }
    }

    /// An interest that cannot be synchronised with one of the peer's, or with any if `for_good`: whom to tell what.
    pub(super) fn unsupported(&mut self, interest: InterestId, for_good: bool) -> Option<(IntentId, NamespaceId, Area)> {
        let interest = self.interests.get_mut(&interest)?;
        interest.awkward = true;
        if for_good {
            interest.standing = Standing::Unsupported;
        }
        Some((interest.intent, interest.namespace.clone(), interest.area.clone()))
    }

    pub(super) fn settled(&mut self) {
        self.settled = true;
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled || self.interests.is_empty()
    }

    /// The intent has an overlap now; whether that is new to it.
    pub(super) fn join(&mut self, intent: IntentId, overlap: OverlapId, shared: &Shared, round: impl FnOnce() -> u64) -> bool {
        let Some(intent) = self.all.get_mut(&intent) else { return false };
        if intent.overlaps.contains_key(&overlap) {
            return false;
        }
        let part = Part { namespace: shared.namespace.clone(), area: shared.area.clone() };
        intent.overlaps.insert(overlap, Joined { part, round: round(), told: false });
        (intent.said_all, intent.said_nothing) = (false, false);
        true
    }

    /// An overlap has ended.
    pub(super) fn lost(&mut self, overlap: OverlapId) {
        for intent in self.all.values_mut() {
            let Some(Joined { part, told, .. }) = intent.overlaps.remove(&overlap) else { continue };
            let parts = if told { &mut intent.reconciled } else { &mut intent.lost };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }

    /// The intents that are not done.
    pub(super) fn open(&self) -> Vec<IntentId> {
        self.all.iter().filter(|(_, intent)| !intent.done).map(|(&id, _)| id).collect()
    }

    pub(super) fn is_open(&self, intent: IntentId) -> bool {
        self.all.get(&intent).is_some_and(|intent| !intent.done)
    }

    pub(super) fn any_open(&self) -> bool {
        self.all.values().any(|intent| !intent.done)
    }

    /// The intents that are not done and have the overlap.
    pub(super) fn with_overlap(&self, overlap: OverlapId) -> Vec<IntentId> {
        let with = self.all.iter().filter(|(_, intent)| !intent.done && intent.overlaps.contains_key(&overlap));
        with.map(|(&id, _)| id).collect()
    }

    /// The modes of the intents that are not done and have the overlap.
    pub(super) fn modes_with(&self, overlap: OverlapId) -> impl Iterator<Item = IntentMode> {
        self.all.values().filter(move |intent| !intent.done && intent.overlaps.contains_key(&overlap)).map(|intent| intent.mode)
    }

    /// Whether an intent of this side's own is not done.
    pub(super) fn own_open(&self) -> bool {
        self.all.values().any(|intent| !intent.done && intent.mode != IntentMode::FollowPeer)
    }

    /// Ends the intents that follow the peer; each with how far it got.
    pub(super) fn end_followers(&mut self) -> Vec<(IntentId, Completion)> {
        let followers = self.all.iter().filter(|(_, intent)| !intent.done && intent.mode == IntentMode::FollowPeer);
        let ended: Vec<_> = followers.map(|(&id, _)| (id, self.completion(id))).collect();
        for (id, _) in &ended {
            if let Some(intent) = self.all.get_mut(id) {
                intent.done = true;
            }
        }
        ended
    }

    fn completion(&self, id: IntentId) -> Completion {
        let Some(intent) = self.all.get(&id) else { return Completion::NothingInCommon };
        let mut interests = self.interests.values().filter(|interest| interest.intent == id);
        if intent.has_nothing() {
            Completion::NothingInCommon
        } else if intent.has_all() && interests.all(|interest| interest.standing == Standing::Matched) {
            Completion::Complete
        } else {
            Completion::Partial
        }
    }
}

impl Session {
    /// Tells every intent what is new for it.
    pub(super) fn review_intents(&mut self) {
        for id in self.intents.open() {
            self.tell_reconciled(id);
            self.conclude_intent(id);
        }
    }

    fn tell_reconciled(&mut self, id: IntentId) {
        let Some(intent) = self.intents.all.get(&id) else { return };
        let waiting = intent.overlaps.iter().filter(|(_, joined)| !joined.told).map(|(&overlap, joined)| (overlap, joined.round));
        for overlap in self.reconciled_overlaps(waiting) {
            let Some(scope) = self.commons.scope(overlap) else { continue };
            if let Some(joined) = self.intents.all.get_mut(&id).and_then(|intent| intent.overlaps.get_mut(&overlap)) {
                joined.told = true;
            }
            let event = SessionEvent::Reconciled { namespace: scope.namespace.clone(), area: scope.area.clone() };
            self.outputs.push_back(Output::Event { intent: id, event });
        }
    }

    fn conclude_intent(&mut self, id: IntentId) {
        let Some(intent) = self.intents.all.get(&id) else { return };
        let known = |interest: &Interest| interest.intent != id || interest.standing != Standing::Open;
        if !self.intents.is_settled() || !self.intents.interests.values().all(known) || intent.overlaps.values().any(|joined| !joined.told)
        {
            return;
        }
        let nothing = intent.has_nothing();
        let said = if nothing { intent.said_nothing } else { intent.said_all };
        if !said {
            self.tell_progress(true);
            let event = if nothing { SessionEvent::NothingInCommon } else { SessionEvent::ReconciledAll };
            self.outputs.push_back(Output::Event { intent: id, event });
        }
        let Some(intent) = self.intents.all.get_mut(&id) else { return };
        if nothing {
            intent.said_nothing = true
        } else {
            intent.said_all = true
        }
        if intent.mode == IntentMode::Once && !intent.overlaps.keys().any(|&overlap| self.payloads.is_busy_with(overlap)) {
            let completion = self.intents.completion(id);
            if let Some(intent) = self.intents.all.get_mut(&id) {
                intent.done = true;
            }
            self.outputs.push_back(Output::IntentDone { intent: id, completion });
        }
    }
}
