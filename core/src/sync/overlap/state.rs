//! What the overlap machine remembers. The rules are in the sibling modules, each an `impl` of [`State`].

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU64,
    sync::Arc,
};

use super::{
    InterestId, OverlapConfig, OverlapEvent, OverlapId, Shared,
    handles::Handles,
    interest::{Candidate, InterestHash, salt},
    settle::Counts,
};
use crate::{
    sync::{
        control::{ControlMessage, HandleKind},
        error::SyncError,
        frame::Channel,
        hello::Limits,
    },
    willow::{Area, PrivateInterest, ReadCapability},
};

/// So many bytes of messages may wait to leave, with what it takes to keep each of them and each announcement that waits for its answer.
pub(super) const BACKLOG: u64 = 4 * 1024 * 1024;
/// What a message takes in memory beside its bytes.
const OVERHEAD: u64 = 64;

/// Names an [`Offer`].
pub(super) type OfferId = u64;
/// Names a [`Group`].
pub(super) type GroupId = u64;
/// Overlap handles of two interests that meet: own, peer's. The own one is that of the interest itself, not of the relaxed one.
pub(super) type PairKey = (u64, u64);

/// A hash that this node bound.
#[derive(Debug)]
pub(super) struct OwnHash {
    /// What it is the hash of.
    pub(super) interest: PrivateInterest,
    /// Whether this node is interested in that itself; the relaxed interest is sent without.
    pub(super) interested: bool,
    pub(super) group: GroupId,
}

/// A hash that the peer bound.
#[derive(Debug)]
pub(super) struct PeerHash {
    pub(super) hash: InterestHash,
    pub(super) interested: bool,
    /// How many announcements of the peer named it.
    pub(super) announced: u64,
}

/// All own interests with the same private interest: hashed and compared once.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) interest: PrivateInterest,
    pub(super) exact: u64,
    pub(super) relaxed: Option<u64>,
    pub(super) candidates: Vec<Candidate>,
    pub(super) offers: BTreeSet<OfferId>,
    /// What the peer's counts must cover before the group is known to meet nothing.
    pub(super) awaits: Counts,
    pub(super) awkward: bool,
}

/// All own interests with the same area and limits: one capability is shown for them.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) group: GroupId,
    pub(super) capability: Arc<ReadCapability>,
    pub(super) area: Area,
    pub(super) max_count: Option<NonZeroU64>,
    pub(super) max_size: Option<u64>,
    pub(super) max_payload_power: u8,
    pub(super) interests: BTreeSet<InterestId>,
}

/// Where an own interest stands.
#[derive(Debug)]
pub(super) struct OwnState {
    pub(super) offer: OfferId,
    pub(super) known: Known,
}

/// What is known of an own interest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Nothing yet.
    Open,
    /// It was matched.
    Matched,
    /// It meets nothing of the peer's.
    Nothing,
}

/// Two interests that meet.
#[derive(Debug)]
pub(super) struct Pair {
    /// The less specific of both, relative to which capabilities are encoded.
    pub(super) context: PrivateInterest,
    /// Whether every own capability is shown, or only those that intersect one of the peer's.
    pub(super) shows_all: bool,
    /// The own announcement that waits for its answer.
    pub(super) unanswered: Option<u64>,
    pub(super) announced_by_peer: bool,
    /// Read capability handles bound for this pair.
    pub(super) own: BTreeMap<OfferId, u64>,
    pub(super) peer: BTreeSet<u64>,
}

impl Pair {
    pub(super) fn new(context: PrivateInterest, shows_all: bool) -> Self {
        let (own, peer) = (BTreeMap::new(), BTreeSet::new());
        Self { context, shows_all, unanswered: None, announced_by_peer: false, own, peer }
    }
}

/// A read capability that this node bound.
#[derive(Debug)]
pub(super) struct OwnCapability {
    pub(super) pair: PairKey,
    pub(super) offer: OfferId,
    /// Whether it is to be freed as soon as nothing names it.
    pub(super) retired: bool,
}

/// A read capability that the peer bound.
#[derive(Debug)]
pub(super) struct PeerCapability {
    pub(super) pair: PairKey,
    pub(super) area: Area,
    pub(super) max_count: Option<NonZeroU64>,
    pub(super) max_size: Option<u64>,
    pub(super) max_payload_power: u8,
}

/// Pairs of capabilities whose areas and limits intersect in the same way.
#[derive(Debug)]
pub(super) struct OverlapState {
    pub(super) shared: Shared,
    /// Read capability handles (own, peer's). Empty once the overlap has ended.
    pub(super) pairs: Vec<(u64, u64)>,
    /// The pair that ended last and waits for the release.
    pub(super) unreleased: Option<(u64, u64)>,
    pub(super) interests: BTreeSet<InterestId>,
}

/// The whole machine.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: OverlapConfig,
    pub(super) own_salt: [u8; 32],
    pub(super) peer_salt: [u8; 32],
    pub(super) next_id: u64,

    pub(super) interests: BTreeMap<InterestId, OwnState>,
    pub(super) offers: BTreeMap<OfferId, Offer>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// Hashes to compare with the peer's: which groups, and which of their candidates.
    pub(super) own_index: BTreeMap<InterestHash, BTreeSet<(GroupId, usize)>>,
    pub(super) peer_index: BTreeMap<InterestHash, BTreeSet<u64>>,

    pub(super) own_hashes: Handles<OwnHash>,
    pub(super) peer_hashes: Handles<PeerHash>,
    pub(super) own_capabilities: Handles<OwnCapability>,
    pub(super) peer_capabilities: Handles<PeerCapability>,

    pub(super) pairs: BTreeMap<PairKey, Pair>,
    /// Own announcements that wait for their answer.
    pub(super) announcements: BTreeMap<u64, PairKey>,
    pub(super) overlaps: BTreeMap<OverlapId, OverlapState>,
    /// The overlap of a pair of capability handles (own, peer's), as long as either side may name both.
    pub(super) overlap_of: BTreeMap<(u64, u64), OverlapId>,

    /// How much this node sent, what the peer says it dealt with, and what the peer was told that this node dealt with.
    pub(super) announced_here: u64,
    pub(super) announced_there: u64,
    pub(super) covered: Counts,
    pub(super) told: Counts,
    pub(super) said_settled: bool,
    /// Whether something happened since [`State::conclude`] that it may conclude from.
    pub(super) inconclusive: bool,

    /// Interests for whose capabilities the peer has no room.
    pub(super) crowded_out: BTreeSet<InterestId>,
    messages: VecDeque<(Channel, Vec<u8>)>,
    /// What the messages take.
    backlog: u64,
    pub(super) events: VecDeque<OverlapEvent>,
}

impl State {
    pub(super) fn new(mut config: OverlapConfig) -> Self {
        // However many handles the peer allows, it need never free them.
        let Limits { overlap_handles, capability_handles, .. } = config.own_limits;
        let allowed = &mut config.peer_limits;
        allowed.overlap_handles = overlap_handles.min(allowed.overlap_handles);
        allowed.capability_handles = capability_handles.min(allowed.capability_handles);
        let own_salt = salt(config.role, &config.session_secret);
        let peer_salt = salt(config.role.other(), &config.session_secret);
        Self {
            config,
            own_salt,
            peer_salt,
            next_id: 0,
            interests: BTreeMap::new(),
            offers: BTreeMap::new(),
            groups: BTreeMap::new(),
            own_index: BTreeMap::new(),
            peer_index: BTreeMap::new(),
            own_hashes: Handles::new(HandleKind::Overlap),
            peer_hashes: Handles::new(HandleKind::Overlap),
            own_capabilities: Handles::new(HandleKind::Capability),
            peer_capabilities: Handles::new(HandleKind::Capability),
            pairs: BTreeMap::new(),
            announcements: BTreeMap::new(),
            overlaps: BTreeMap::new(),
            overlap_of: BTreeMap::new(),
            announced_here: 0,
            announced_there: 0,
            covered: Counts::default(),
            told: Counts::default(),
            said_settled: false,
            inconclusive: true,
            crowded_out: BTreeSet::new(),
            messages: VecDeque::new(),
            backlog: 0,
            events: VecDeque::new(),
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        id
    }

    pub(super) fn send_control(&mut self, message: &ControlMessage) {
        self.send(Channel::Control, message.encode());
    }

    pub(super) fn send(&mut self, channel: Channel, message: Vec<u8>) {
        self.backlog = self.backlog.saturating_add(OVERHEAD + message.len() as u64);
        self.messages.push_back((channel, message));
    }

    /// The next of the messages that were queued.
    pub(super) fn queued_message(&mut self) -> Option<(Channel, Vec<u8>)> {
        let (channel, message) = self.messages.pop_front()?;
        self.backlog = self.backlog.saturating_sub(OVERHEAD + message.len() as u64);
        Some((channel, message))
    }

    /// Nothing but this bounds what a peer can make this node say and leave unanswered: handles that are freed may be bound again.
    pub(super) fn check_backlog(&self) -> Result<(), SyncError> {
        let unanswered = (self.announcements.len() as u64).saturating_mul(OVERHEAD);
        if self.backlog.saturating_add(unanswered) > BACKLOG { Err(SyncError::MessagesUnread { limit: BACKLOG }) } else { Ok(()) }
    }

    /// The handles of a message that names an overlap handle of each side.
    pub(super) fn name_hashes_there(&mut self, own: u64, peer: u64) -> Result<(), SyncError> {
        self.peer_hashes.name_there(peer)?;
        self.own_hashes.name_there(own)?;
        Ok(())
    }

    pub(super) fn live_overlap(&self, overlap: OverlapId) -> Option<&OverlapState> {
        self.overlaps.get(&overlap).filter(|overlap| !overlap.pairs.is_empty())
    }

    pub(super) fn overlaps_of(&self, interest: InterestId) -> impl Iterator<Item = OverlapId> {
        self.overlaps.iter().filter(move |(_, overlap)| overlap.interests.contains(&interest)).map(|(&id, _)| id)
    }

    pub(super) fn lookup(&self, own: u64, peer: u64) -> Option<OverlapId> {
        let overlap = *self.overlap_of.get(&(own, peer))?;
        self.live_overlap(overlap).map(|_| overlap)
    }

    pub(super) fn name_sent(&mut self, own: u64, peer: u64) -> Option<OverlapId> {
        let overlap = self.lookup(own, peer)?;
        if !self.own_capabilities.is_open_here(own) || !self.peer_capabilities.is_open_here(peer) {
            return None;
        }
        self.own_capabilities.name_here(own);
        self.peer_capabilities.name_here(peer);
        Some(overlap)
    }

    pub(super) fn name_received(&mut self, own: u64, peer: u64) -> Result<Option<OverlapId>, SyncError> {
        self.own_capabilities.name_there(own)?;
        self.peer_capabilities.name_there(peer)?;
        match self.overlap_of.get(&(own, peer)) {
            Some(&overlap) => Ok(self.live_overlap(overlap).map(|_| overlap)),
            // This node dropped its interest before it saw the peer's capability; the peer may have found an overlap of both.
            None if self.own_capabilities.get(own).is_some_and(|capability| capability.retired) => Ok(None),
            None => Err(SyncError::NoOverlap { own, peer }),
        }
    }
}
