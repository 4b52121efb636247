//! Interests that meet: comparing hashes, announcing, showing capabilities, and finding the overlaps of those shown.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    InterestId, MAX_COMPONENTS, MAX_SESSION_DELEGATIONS, OverlapEvent, OverlapId, Shared, SyncError,
    interest::{Meeting, hash},
    message::{BindCapability, BindHash},
    state::{GroupId, Known, OfferId, OverlapState, OwnCapability, Pair, PairKey, PeerCapability, PeerHash, State},
};
use crate::{
    sync::{
        control::{ControlMessage, HandleKind},
        frame::Channel,
    },
    willow::{
        CapCache, DecodeError, Grouping, PrivateInterest, ReadCapability, Reader, SubspaceId, Writer,
        capability_codec::{CapabilityError, decode_read_capability, encode_read_capability},
    },
};

/// The most announcements that name one hash of the peer: more interests than this cannot be less specific than one, see [`candidates`].
///
/// [`candidates`]: super::interest::candidates
pub(super) const MOST_ANNOUNCEMENTS: u64 = 2 * (MAX_COMPONENTS as u64 + 2);

impl State {
    /// The peer bound a hash.
    pub(super) fn hash_bound(&mut self, message: &[u8]) -> Result<(), SyncError> {
        let BindHash { interested, hash } = BindHash::decode(message)?;
        let limit = self.config.own_limits.overlap_handles;
        if self.peer_hashes.live() >= limit {
            return Err(SyncError::TooManyHandles { kind: HandleKind::Overlap, limit });
        }
        let is_same = |&handle: &u64| self.peer_hashes.get(handle).is_some_and(|peer| peer.interested);
        if interested && self.peer_index.get(&hash).is_some_and(|handles| handles.iter().any(is_same)) {
            return Err(SyncError::InterestRepeated);
        }
        let handle = self.peer_hashes.bind(PeerHash { hash, interested, announced: 0 });
        self.peer_index.entry(hash).or_default().insert(handle);
        let met = self.own_index.get(&hash).cloned().unwrap_or_default();
        for (group, candidate) in met {
            self.meet(group, candidate, handle);
        }
        Ok(())
    }

    /// A hash of the peer equals one to compare with.
    pub(super) fn meet(&mut self, id: GroupId, candidate: usize, peer: u64) {
        let Some(group) = self.groups.get(&id) else { return };
        let Some(candidate) = group.candidates.get(candidate) else { return };
        let Some(peer_hash) = self.peer_hashes.get(peer) else { return };
        let Some(meeting) = candidate.meeting(&group.interest, peer_hash.interested) else { return };
        let Some(context) = candidate.interest(&group.interest) else { return };
        let key = (group.exact, peer);
        match meeting {
            Meeting::Await => {}
            Meeting::Awkward => self.tell_awkward(id),
            Meeting::Show => {
                self.pairs.entry(key).or_insert_with(|| Pair::new(context, true)).shows_all = true;
                self.show_all(id, key);
            }
            Meeting::Announce => self.announce(id, key, context),
        }
    }

    fn announce(&mut self, id: GroupId, key: PairKey, context: PrivateInterest) {
        let authentication = hash(&self.own_salt, &context);
        let number = self.announced_here;
        self.announced_here = number.saturating_add(1);
        self.pairs.entry(key).or_insert_with(|| Pair::new(context, false)).unanswered = Some(number);
        self.announcements.insert(number, key);
        if let Some(group) = self.groups.get_mut(&id) {
            group.awaits.announcements = self.announced_here;
        }
        self.own_hashes.name_here(key.0);
        self.peer_hashes.name_here(key.1);
        self.send_control(&ControlMessage::AnnounceOverlap { sender: key.0, receiver: key.1, authentication, enumeration: None });
    }

    /// The peer announced that its interest is more specific than one of this node's. Answered here and now, but nothing is answered
    /// before the authentication is verified: it would be an oracle for guesses.
    pub(super) fn announced(&mut self, sender: u64, receiver: u64, authentication: &[u8; 32]) -> Result<(), SyncError> {
        self.name_hashes_there(receiver, sender)?;
        if let Some(peer) = self.peer_hashes.get_mut(sender) {
            peer.announced = peer.announced.saturating_add(1);
            if peer.announced > MOST_ANNOUNCEMENTS {
                return Err(SyncError::TooManyAnnouncements { limit: MOST_ANNOUNCEMENTS });
            }
        }
        let number = self.announced_there;
        self.announced_there = number.saturating_add(1);
        let unbound = SyncError::HandleUnbound { kind: HandleKind::Overlap, handle: receiver };
        let own = self.own_hashes.get(receiver).ok_or(unbound)?;
        if hash(&self.peer_salt, &own.interest) != *authentication {
            return Err(SyncError::AnnouncementAuthentication);
        }
        let (group, interested) = (own.group, own.interested);
        let key = (receiver, sender);
        let pair = self.pairs.entry(key).or_insert_with(|| Pair::new(own.interest.clone(), false));
        if std::mem::replace(&mut pair.announced_by_peer, true) {
            return Err(SyncError::AnnouncementRepeated);
        }
        pair.shows_all |= interested;
        let answered = if interested {
            self.show_all(group, key)
        } else {
            self.tell_awkward(group);
            false
        };
        if !answered {
            self.send_control(&ControlMessage::Decline { announcement: number });
        }
        Ok(())
    }

    fn tell_awkward(&mut self, id: GroupId) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        if std::mem::replace(&mut group.awkward, true) {
            return;
        }
        let offers = group.offers.iter().filter_map(|offer| self.offers.get(offer));
        let interests = offers.flat_map(|offer| &offer.interests);
        self.events.extend(interests.map(|&interest| OverlapEvent::Awkward { interest }));
    }

    /// Shows every capability of a group that was not shown yet. Whether there was one.
    fn show_all(&mut self, group: GroupId, key: PairKey) -> bool {
        let offers = self.groups.get(&group).map(|group| group.offers.clone()).unwrap_or_default();
        let shown = offers.into_iter().filter(|&offer| self.show(key, offer)).count();
        shown > 0
    }

    /// Whether the peer showed a capability in this pair that intersects the offer.
    pub(super) fn meets_peer(&self, key: PairKey, offer: OfferId) -> bool {
        let (Some(pair), Some(offer)) = (self.pairs.get(&key), self.offers.get(&offer)) else { return false };
        let mut shown = pair.peer.iter().filter_map(|&peer| self.peer_capabilities.get(peer));
        shown.any(|peer| offer.area.intersection(&peer.area).is_ok())
    }

    /// Shows a capability for a pair, unless it was shown or a handle of the pair is freed. Whether it was sent.
    pub(super) fn show(&mut self, key: PairKey, id: OfferId) -> bool {
        let (Some(pair), Some(offer)) = (self.pairs.get(&key), self.offers.get(&id)) else { return false };
        let open = self.own_hashes.is_open_here(key.0) && self.peer_hashes.is_open_here(key.1);
        if !open || pair.own.contains_key(&id) {
            return false;
        }
        if self.own_capabilities.live() >= self.config.peer_limits.capability_handles {
            self.crowded_out.extend(&offer.interests);
            return false;
        }
        let mut writer = Writer::with_capacity(512);
        let (sender, receiver) = key;
        let (max_count, max_size, max_payload_power) = (offer.max_count, offer.max_size, offer.max_payload_power);
        BindCapability { sender, receiver, max_count, max_size, max_payload_power }.write(&mut writer);
        if let Err(error) = encode_read_capability(&mut writer, &offer.capability, &pair.context) {
            tracing::error!(%error, "a capability cannot be shown for its own interest");
            return false;
        }
        self.own_hashes.name_here(sender);
        self.peer_hashes.name_here(receiver);
        let group = offer.group;
        self.send(Channel::Capability, writer.into_bytes());
        let own = self.own_capabilities.bind(OwnCapability { pair: key, offer: id, retired: false });
        if let Some(group) = self.groups.get_mut(&group) {
            group.awaits.capabilities = self.own_capabilities.bound();
        }
        let Some(pair) = self.pairs.get_mut(&key) else { return true };
        pair.own.insert(id, own);
        for peer in pair.peer.clone() {
            self.intersect(own, peer);
        }
        true
    }

    /// The peer showed a capability.
    pub(super) fn capability_bound(&mut self, message: &[u8], cache: &mut CapCache) -> Result<(), SyncError> {
        let mut reader = Reader::new(message);
        let bind = BindCapability::read(&mut reader)?;
        let limit = self.config.own_limits.capability_handles;
        if self.peer_capabilities.live() >= limit {
            return Err(SyncError::TooManyHandles { kind: HandleKind::Capability, limit });
        }
        self.name_hashes_there(bind.receiver, bind.sender)?;
        let unbound = SyncError::HandleUnbound { kind: HandleKind::Overlap, handle: bind.receiver };
        let own = self.own_hashes.get(bind.receiver).ok_or(unbound)?;
        if !own.interested {
            return Err(SyncError::CapabilityUnasked);
        }
        let (group, key) = (own.group, (bind.receiver, bind.sender));
        let pair = self.pairs.entry(key).or_insert_with(|| Pair::new(own.interest.clone(), false));
        let capability = read_capability(&mut reader, &pair.context, &self.config.peer_receiver, cache)?;
        let area = capability.granted_area();
        let BindCapability { max_count, max_size, max_payload_power, .. } = bind;
        let peer = self.peer_capabilities.bind(PeerCapability { pair: key, area, max_count, max_size, max_payload_power });
        if let Some(announcement) = pair.unanswered.take() {
            self.announcements.remove(&announcement);
        }
        pair.peer.insert(peer);
        for own in pair.own.values().copied().collect::<Vec<_>>() {
            self.intersect(own, peer);
        }
        for offer in self.groups.get(&group).map(|group| group.offers.clone()).unwrap_or_default() {
            if self.meets_peer(key, offer) {
                self.show(key, offer);
            }
        }
        Ok(())
    }

    /// Finds out whether two capabilities of a pair have an overlap, and tells the interests that have it.
    fn intersect(&mut self, own: u64, peer: u64) {
        let Some(own_capability) = self.own_capabilities.get(own).filter(|capability| !capability.retired) else { return };
        let Some(offer) = self.offers.get(&own_capability.offer) else { return };
        let Some(peer_capability) = self.peer_capabilities.get(peer) else { return };
        let Some(pair) = self.pairs.get(&own_capability.pair) else { return };
        let Ok(area) = offer.area.intersection(&peer_capability.area) else { return };
        let shared = Shared {
            namespace: pair.context.namespace().clone(),
            area,
            max_count: least(offer.max_count, peer_capability.max_count),
            max_size: least(offer.max_size, peer_capability.max_size),
            own_payload_power: offer.max_payload_power,
            peer_payload_power: peer_capability.max_payload_power,
        };
        let interests = offer.interests.clone();
        let same = self.overlaps.iter_mut().find(|(_, overlap)| !overlap.pairs.is_empty() && overlap.shared == shared);
        let id = if let Some((&id, overlap)) = same {
            overlap.pairs.push((own, peer));
            id
        } else {
            let id = OverlapId(self.next_id());
            self.overlaps.insert(id, OverlapState { shared, pairs: vec![(own, peer)], unreleased: None, interests: BTreeSet::new() });
            id
        };
        self.overlap_of.insert((own, peer), id);
        for interest in interests {
            self.report(id, interest);
        }
    }

    /// Tells an interest of an overlap, once.
    pub(super) fn report(&mut self, overlap: OverlapId, interest: InterestId) {
        let Some(state) = self.overlaps.get_mut(&overlap) else { return };
        let Some(own) = self.interests.get_mut(&interest) else { return };
        if state.interests.insert(interest) {
            own.known = Known::Matched;
            self.inconclusive = true;
            self.events.push_back(OverlapEvent::Matched { overlap, interest, shared: Box::new(state.shared.clone()) });
        }
    }
}

/// Reads a capability that the peer shows relative to `context`, with every check that does not depend on other messages.
fn read_capability(
    reader: &mut Reader<'_>,
    context: &PrivateInterest,
    receiver: &SubspaceId,
    cache: &mut CapCache,
) -> Result<Arc<ReadCapability>, SyncError> {
    let undecodable = |error| SyncError::undecodable("read capability", error);
    let count = reader.clone().c64_standalone().map_err(undecodable)?;
    if count > MAX_SESSION_DELEGATIONS as u64 {
        return Err(SyncError::CapabilityDelegations { count });
    }
    let capability = decode_read_capability(reader, context, receiver, cache).map_err(|error| match error {
        CapabilityError::Decode(DecodeError::InvalidCapability) => SyncError::CapabilityInvalid,
        CapabilityError::Decode(error) => undecodable(error),
        CapabilityError::OtherNamespace => SyncError::CapabilityNamespace,
        CapabilityError::OutsideInterest | CapabilityError::OtherSubspace => SyncError::CapabilityArea,
        CapabilityError::OtherReceiver => SyncError::CapabilityReceiver,
    })?;
    reader.finish().map_err(undecodable)?;
    Ok(capability)
}

/// The lesser of two limits, where `None` is no limit. Never computed on wire values, where none is 0.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (limit, None) | (None, limit) => limit,
    }
}
