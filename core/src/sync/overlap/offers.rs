//! Own interests: adding and removing them, and the groups and offers in which they are kept.
//!
//! A *group* is all interests with the same private interest; its hashes are sent once. An *offer* is all interests of a group with
//! the same area and limits; one capability is shown for it.

use std::collections::BTreeSet;

use super::{
    InterestError, InterestId, MAX_SESSION_DELEGATIONS, OverlapEvent, OwnInterest,
    interest::{candidates, hash},
    message::BindHash,
    settle::Counts,
    state::{Group, GroupId, Known, Offer, OfferId, OwnHash, OwnState, PairKey, State},
};
use crate::{
    sync::{
        control::{ControlMessage, HandleKind},
        frame::Channel,
        hello::MAX_PAYLOAD_POWER,
    },
    willow::PrivateInterest,
};

impl State {
    pub(super) fn add(&mut self, interest: OwnInterest) -> Result<(), InterestError> {
        self.check(&interest)?;
        (self.said_settled, self.inconclusive) = (false, true);
        let area = interest.capability.granted_area();
        let namespace = interest.capability.granted_namespace().clone();
        let private = PrivateInterest::new(namespace, area.subspace().cloned(), area.path().clone());
        let known_group = self.groups.iter().find(|(_, group)| group.interest == private).map(|(&id, _)| id);
        let Some(group) = known_group.or_else(|| self.bind_group(private)) else {
            self.events.push_back(OverlapEvent::PeerLimit { interest: interest.id });
            return Ok(());
        };
        let same = |offer: &Offer| {
            offer.group == group
                && offer.area == area
                && (offer.max_count, offer.max_size) == (interest.max_count, interest.max_size)
                && offer.max_payload_power == interest.max_payload_power
        };
        if let Some((&offer, _)) = self.offers.iter().find(|(_, offer)| same(offer)) {
            self.join_offer(interest.id, offer);
        } else {
            let offer = self.next_id();
            let OwnInterest { id, capability, max_count, max_size, max_payload_power } = interest;
            let interests = BTreeSet::from([id]);
            self.offers.insert(offer, Offer { group, capability, area, max_count, max_size, max_payload_power, interests });
            self.interests.insert(id, OwnState { offer, known: Known::Open });
            if let Some(group) = self.groups.get_mut(&group) {
                group.offers.insert(offer);
            }
            self.show_late(group, offer);
        }
        if known_group.is_none() {
            self.compare_group(group);
        } else if self.groups.get(&group).is_some_and(|group| group.awkward) {
            self.events.push_back(OverlapEvent::Awkward { interest: interest.id });
        }
        Ok(())
    }

    fn check(&self, interest: &OwnInterest) -> Result<(), InterestError> {
        if self.interests.contains_key(&interest.id) {
            Err(InterestError::Duplicate)
        } else if interest.capability.receiver() != &self.config.own_receiver {
            Err(InterestError::Receiver)
        } else if interest.capability.delegations().len() > MAX_SESSION_DELEGATIONS {
            Err(InterestError::Delegations)
        } else if interest.max_payload_power > MAX_PAYLOAD_POWER {
            Err(InterestError::PayloadPower)
        } else {
            Ok(())
        }
    }

    /// Sends the hashes of a private interest that is new here, `None` if the peer has no room for them.
    fn bind_group(&mut self, interest: PrivateInterest) -> Option<GroupId> {
        let needed = 1 + u64::from(interest.subspace().is_some());
        if self.own_hashes.live().saturating_add(needed) > self.config.peer_limits.overlap_handles {
            return None;
        }
        let id = self.next_id();
        let exact = self.bind_hash(id, interest.clone(), true);
        let relaxed = interest.subspace().is_some().then(|| self.bind_hash(id, interest.relax(), false));
        let candidates = candidates(&self.peer_salt, &interest);
        for (index, candidate) in candidates.iter().enumerate() {
            self.own_index.entry(candidate.hash).or_default().insert((id, index));
        }
        let awaits = Counts::new(self.own_hashes.bound(), 0, 0);
        self.groups.insert(id, Group { interest, exact, relaxed, candidates, offers: BTreeSet::new(), awaits, awkward: false });
        Some(id)
    }

    fn bind_hash(&mut self, group: GroupId, interest: PrivateInterest, interested: bool) -> u64 {
        let message = BindHash { interested, hash: hash(&self.own_salt, &interest) };
        self.send(Channel::Overlap, message.encode());
        self.own_hashes.bind(OwnHash { interest, interested, group })
    }

    /// Compares a group that is new with the hashes that the peer has sent so far.
    fn compare_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.get(&id) else { return };
        let mut meetings = Vec::new();
        for (index, candidate) in group.candidates.iter().enumerate() {
            meetings.extend(self.peer_index.get(&candidate.hash).into_iter().flatten().map(|&peer| (index, peer)));
        }
        for (index, peer) in meetings {
            self.meet(id, index, peer);
        }
    }

    /// An interest whose area and limits are those of an offer: it has the offer's overlaps at once.
    fn join_offer(&mut self, id: InterestId, offer: OfferId) {
        self.interests.insert(id, OwnState { offer, known: Known::Open });
        let Some(state) = self.offers.get_mut(&offer) else { return };
        state.interests.insert(id);
        let of_offer = |own: u64| self.own_capabilities.get(own).is_some_and(|capability| capability.offer == offer);
        let overlaps = self.overlaps.iter().filter(|(_, overlap)| overlap.pairs.iter().any(|&(own, _)| of_offer(own)));
        for overlap in overlaps.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.report(overlap, id);
        }
    }

    /// Shows an offer that joins a group whose pairs may show capabilities already.
    fn show_late(&mut self, group: GroupId, offer: OfferId) {
        for key in self.pairs_of(group) {
            if self.pairs.get(&key).is_some_and(|pair| pair.shows_all) || self.meets_peer(key, offer) {
                self.show(key, offer);
            }
        }
    }

    /// The pairs in which a group's interest is this node's.
    pub(super) fn pairs_of(&self, group: GroupId) -> Vec<PairKey> {
        let Some(group) = self.groups.get(&group) else { return Vec::new() };
        self.pairs.range((group.exact, 0)..=(group.exact, u64::MAX)).map(|(&key, _)| key).collect()
    }

    pub(super) fn remove(&mut self, id: InterestId) {
        let Some(OwnState { offer, .. }) = self.interests.remove(&id) else { return };
        self.inconclusive = true;
        for overlap in self.overlaps.values_mut() {
            overlap.interests.remove(&id);
        }
        let Some(state) = self.offers.get_mut(&offer) else { return };
        state.interests.remove(&id);
        let group = state.group;
        if !state.interests.is_empty() {
            return;
        }
        self.offers.remove(&offer);
        let keys = self.pairs_of(group);
        let shown = keys.iter().filter_map(|key| self.pairs.get_mut(key)?.own.remove(&offer));
        for capability in shown.collect::<Vec<_>>() {
            self.retire_capability(capability);
        }
        let Some(state) = self.groups.get_mut(&group) else { return };
        state.offers.remove(&offer);
        if state.offers.is_empty() {
            self.retire_group(group);
        }
    }

    /// Takes a group out of every comparison and frees its hashes. What its handles stand for is kept until the peer frees them too:
    /// messages that name them may be on their way.
    fn retire_group(&mut self, id: GroupId) {
        let Some(group) = self.groups.remove(&id) else { return };
        for candidate in &group.candidates {
            if let Some(groups) = self.own_index.get_mut(&candidate.hash) {
                groups.retain(|&(of, _)| of != id);
                if groups.is_empty() {
                    self.own_index.remove(&candidate.hash);
                }
            }
        }
        for handle in std::iter::once(group.exact).chain(group.relaxed) {
            if let Some(references) = self.own_hashes.free_here(handle) {
                self.send_control(&ControlMessage::HandleFree { kind: HandleKind::Overlap, mine: true, handle, references });
                self.drop_pairs_of_hash(handle);
            }
        }
    }

    /// Forgets the pairs of an own hash if it is fully freed.
    pub(super) fn drop_pairs_of_hash(&mut self, own: u64) {
        if self.own_hashes.get(own).is_none() {
            self.pairs.retain(|&(handle, _), _| handle != own);
        }
    }
}
