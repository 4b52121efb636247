//! When an own interest is known to have nothing in common with the peer's: the counts of OverlapSettled.

use super::{
    OverlapEvent, SyncError,
    state::{Known, State},
};
use crate::sync::{control::ControlMessage, frame::Channel};

/// How many hashes, announcements and capabilities of one side the other side has dealt with, or has to.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts {
    pub(super) hashes: u64,
    pub(super) announcements: u64,
    pub(super) capabilities: u64,
}

impl Counts {
    pub(super) fn new(hashes: u64, announcements: u64, capabilities: u64) -> Self {
        Self { hashes, announcements, capabilities }
    }

    /// The first count in which `other` is greater.
    fn behind(&self, other: &Self) -> Option<&'static str> {
        if self.hashes < other.hashes {
            Some("hashes")
        } else if self.announcements < other.announcements {
            Some("announcements")
        } else if self.capabilities < other.capabilities {
            Some("capabilities")
        } else {
            None
        }
    }

    fn covers(&self, other: &Self) -> bool {
        self.behind(other).is_none()
    }
}

impl State {
    /// The peer says what it has dealt with, and how many hashes it has bound.
    pub(super) fn settled_there(&mut self, covered: Counts, bound: u64) -> Result<(), SyncError> {
        let sent = Counts::new(self.own_hashes.bound(), self.announced_here, self.own_capabilities.bound());
        if let Some(what) = covered.behind(&self.covered).or_else(|| sent.behind(&covered)) {
            return Err(SyncError::SettledCount { what });
        }
        if bound != self.peer_hashes.bound() {
            return Err(SyncError::SettledCount { what: "bound hashes" });
        }
        if self.announcements.range(..covered.announcements).next().is_some() {
            return Err(SyncError::SettledCount { what: "answered announcements" });
        }
        self.inconclusive |= covered != self.covered;
        self.covered = covered;
        Ok(())
    }

    /// The peer answers an announcement with no capability.
    pub(super) fn declined(&mut self, announcement: u64) -> Result<(), SyncError> {
        let key = self.announcements.remove(&announcement).ok_or(SyncError::UnexpectedDecline { announcement })?;
        if let Some(pair) = self.pairs.get_mut(&key) {
            pair.unanswered = None;
        }
        Ok(())
    }

    /// Draws every conclusion that the last input allows.
    pub(super) fn conclude(&mut self) {
        while let Some(interest) = self.crowded_out.pop_first() {
            self.events.push_back(OverlapEvent::PeerLimit { interest });
            self.remove(interest);
        }
        if !std::mem::take(&mut self.inconclusive) {
            return;
        }
        for (&interest, own) in &mut self.interests {
            let group = self.offers.get(&own.offer).and_then(|offer| self.groups.get(&offer.group));
            if own.known == Known::Open && group.is_some_and(|group| self.covered.covers(&group.awaits)) {
                own.known = Known::Nothing;
                self.events.push_back(OverlapEvent::NothingInCommon { interest });
            }
        }
        if !self.said_settled && self.interests.values().all(|own| own.known != Known::Open) {
            self.said_settled = true;
            self.events.push_back(OverlapEvent::Settled);
        }
    }

    /// The next message in the order of creation; when there is none, OverlapSettled if there is something new to say.
    pub(super) fn next_message(&mut self) -> Option<(Channel, Vec<u8>)> {
        if let Some(message) = self.queued_message() {
            return Some(message);
        }
        let dealt = Counts::new(self.peer_hashes.bound(), self.announced_there, self.peer_capabilities.bound());
        if dealt == self.told {
            return None;
        }
        self.told = dealt;
        let Counts { hashes, announcements, capabilities } = dealt;
        let bound = self.own_hashes.bound();
        Some((Channel::Control, ControlMessage::OverlapSettled { hashes, announcements, capabilities, bound }.encode()))
    }
}
