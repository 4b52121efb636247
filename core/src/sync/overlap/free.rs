//! The end of handles and overlaps.

use super::{
    OverlapEvent, OverlapId, SyncError,
    state::{Known, State},
};
use crate::sync::control::{ControlMessage, HandleKind};

impl State {
    /// The peer will not name a handle again. `bound_there`: whether it is one of the peer's.
    pub(super) fn freed(&mut self, kind: HandleKind, bound_there: bool, handle: u64, references: u64) -> Result<(), SyncError> {
        match (kind, bound_there) {
            (HandleKind::Overlap, true) => self.peer_hash_freed(handle, references),
            (HandleKind::Overlap, false) => self.own_hash_freed(handle, references),
            (HandleKind::Capability, true) => self.peer_capability_freed(handle, references),
            (HandleKind::Capability, false) => self.own_capability_freed(handle, references),
            (HandleKind::PayloadRequest, _) => Err(SyncError::HandleUnbound { kind, handle }),
        }
    }

    /// The peer dropped an interest: everything shown for it is withdrawn.
    fn peer_hash_freed(&mut self, handle: u64, references: u64) -> Result<(), SyncError> {
        let hash = self.peer_hashes.get(handle).map(|peer| peer.hash);
        self.peer_hashes.free_there(handle, references)?;
        if let Some(hash) = hash
            && let Some(handles) = self.peer_index.get_mut(&hash)
        {
            handles.remove(&handle);
            if handles.is_empty() {
                self.peer_index.remove(&hash);
            }
        }
        let keys: Vec<_> = self.pairs.keys().filter(|&&(_, peer)| peer == handle).copied().collect();
        for pair in keys.iter().filter_map(|key| self.pairs.remove(key)).collect::<Vec<_>>() {
            for capability in pair.own.into_values() {
                self.retire_capability(capability);
            }
        }
        if let Some(references) = self.peer_hashes.free_here(handle) {
            self.send_control(&ControlMessage::HandleFree { kind: HandleKind::Overlap, mine: false, handle, references });
        }
        Ok(())
    }

    /// The peer freed one of this node's hashes: in answer, or because it wants to hear no more of that interest.
    fn own_hash_freed(&mut self, handle: u64, references: u64) -> Result<(), SyncError> {
        self.own_hashes.free_there(handle, references)?;
        self.drop_pairs_of_hash(handle);
        let Some(own) = self.own_hashes.get(handle) else { return Ok(()) };
        let offers = self.groups.get(&own.group).map(|group| group.offers.clone()).unwrap_or_default();
        let interests: Vec<_> = offers.iter().filter_map(|id| self.offers.get(id)).flat_map(|offer| offer.interests.clone()).collect();
        for interest in interests {
            if self.interests.get(&interest).is_some_and(|own| own.known == Known::Open) {
                self.events.push_back(OverlapEvent::NothingInCommon { interest });
            }
            self.remove(interest);
        }
        Ok(())
    }

    fn peer_capability_freed(&mut self, handle: u64, references: u64) -> Result<(), SyncError> {
        self.peer_capabilities.free_there(handle, references)?;
        let key = self.peer_capabilities.get(handle).map(|capability| capability.pair);
        if let Some(pair) = key.and_then(|key| self.pairs.get_mut(&key)) {
            pair.peer.remove(&handle);
        }
        self.detach(|_, peer| peer == handle);
        self.try_free_peer(handle);
        Ok(())
    }

    fn own_capability_freed(&mut self, handle: u64, references: u64) -> Result<(), SyncError> {
        self.own_capabilities.free_there(handle, references)?;
        if self.own_capabilities.get(handle).is_some() {
            self.retire_capability(handle);
        }
        self.forget_pairs();
        Ok(())
    }

    /// An own capability is wanted no more: it is freed as soon as nothing names it.
    pub(super) fn retire_capability(&mut self, handle: u64) {
        if let Some(capability) = self.own_capabilities.get_mut(handle) {
            capability.retired = true;
            self.detach(|own, _| own == handle);
            self.try_free_own(handle);
        }
    }

    /// Takes pairs of capabilities out of their overlaps; those that are left with none end.
    fn detach(&mut self, is_gone: impl Fn(u64, u64) -> bool) {
        for (&overlap, state) in &mut self.overlaps {
            let last = state.pairs.last().copied();
            state.pairs.retain(|&(own, peer)| !is_gone(own, peer));
            if last.is_some() && state.pairs.is_empty() {
                state.unreleased = last;
                self.events.push_back(OverlapEvent::Ended { overlap });
            }
        }
    }

    pub(super) fn release(&mut self, overlap: OverlapId) {
        if self.live_overlap(overlap).is_some() {
            return;
        }
        let Some((own, peer)) = self.overlaps.remove(&overlap).and_then(|state| state.unreleased) else { return };
        self.try_free_own(own);
        self.try_free_peer(peer);
    }

    fn try_free_own(&mut self, handle: u64) {
        let retired = self.own_capabilities.get(handle).is_some_and(|capability| capability.retired);
        let named = self.overlaps.values().any(|state| state.unreleased.is_some_and(|(own, _)| own == handle));
        if retired && !named {
            self.free_capability(true, handle);
        }
    }

    fn try_free_peer(&mut self, handle: u64) {
        let freed_there = self.peer_capabilities.get(handle).is_some() && !self.peer_capabilities.is_open_there(handle);
        let named = self.overlaps.values().any(|state| state.unreleased.is_some_and(|(_, peer)| peer == handle));
        if freed_there && !named {
            self.free_capability(false, handle);
        }
    }

    fn free_capability(&mut self, mine: bool, handle: u64) {
        let references = if mine { self.own_capabilities.free_here(handle) } else { self.peer_capabilities.free_here(handle) };
        let Some(references) = references else { return };
        self.send_control(&ControlMessage::HandleFree { kind: HandleKind::Capability, mine, handle, references });
        self.forget_pairs();
    }

    /// Forgets the pairs of capabilities of which one is fully freed.
    fn forget_pairs(&mut self) {
        let (own_capabilities, peer_capabilities) = (&self.own_capabilities, &self.peer_capabilities);
        self.overlap_of.retain(|&(own, peer), _| own_capabilities.get(own).is_some() && peer_capabilities.get(peer).is_some());
    }
}
