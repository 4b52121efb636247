#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

//! Two machines that talk to each other, message by message, in any order.

mod freeing;
mod model;
mod scenarios;
mod violations;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;
use crate::{
    sync::control::HandleKind,
    willow::{NamespaceSecret, Path, PrivateInterest, SubspaceSecret, TimeRange},
};

pub const SECRET: [u8; 32] = [0xa5; 32];
/// The user to whom the owner of a namespace delegates reading.
const READER: u8 = 200;

/// An interest in words: namespace (`'o'`, `'p'` owned, `'c'` communal), subspace, path, times.
#[derive(Clone, PartialEq, Debug)]
pub struct Want {
    pub namespace: char,
    pub subspace: Option<u8>,
    pub path: Vec<&'static str>,
    pub times: (u64, Option<u64>),
}

/// A path such as `"a/b"` in a namespace.
pub fn want(namespace: char, subspace: Option<u8>, path: &'static str) -> Want {
    Want { namespace, subspace, path: path.split('/').filter(|part| !part.is_empty()).collect(), times: (0, None) }
}

impl Want {
    pub fn at(mut self, start: u64, end: Option<u64>) -> Self {
        self.times = (start, end);
        self
    }

    pub fn area(&self) -> Area {
        let times = TimeRange::new(self.times.0.into(), self.times.1.map(Into::into));
        Area::new(self.subspace.map(|subspace| user(subspace).corresponding_subspace_id()), path(&self.path), times)
    }

    /// A capability for that area with `receiver` at its end.
    pub fn capability(&self, receiver: &SubspaceId) -> ReadCapability {
        let secret = namespace(self.namespace);
        let (mut capability, holder) = if self.namespace == 'c' {
            let owner = self.subspace.expect("communal namespaces have no interest in any subspace");
            (ReadCapability::new_communal(secret.corresponding_namespace_id(), user(owner).corresponding_subspace_id()), user(owner))
        } else {
            let mut capability = ReadCapability::new_owned(&secret, user(1).corresponding_subspace_id());
            capability.delegate(&user(1), Area::full(), user(READER).corresponding_subspace_id());
            (capability, user(READER))
        };
        capability.delegate(&holder, self.area(), receiver.clone());
        capability
    }
}

pub fn path(parts: &[&str]) -> Path {
    let parts: Vec<_> = parts.iter().map(|part| part.as_bytes()).collect();
    Path::from_slices(&parts).unwrap()
}

pub fn user(seed: u8) -> SubspaceSecret {
    SubspaceSecret::from_bytes(&[seed; 32])
}

/// A namespace's secret, of the kind that its name says.
pub fn namespace(name: char) -> NamespaceSecret {
    let secrets = (0_u8..).map(|i| NamespaceSecret::from_bytes(&std::array::from_fn(|at| if at == 0 { i } else { name as u8 })));
    let mut secrets = secrets.filter(|secret| secret.corresponding_namespace_id().is_communal() == (name == 'c'));
    secrets.next().unwrap()
}

/// What travels: a message of the machine, or one of the session that names two capabilities (sender's, receiver's).
#[derive(Clone, Debug)]
pub enum Wire {
    Message(Channel, Vec<u8>),
    Names(u64, u64),
}

/// A machine with its session's memory of what it was told.
pub struct Node {
    pub machine: Overlap,
    pub cache: CapCache,
    pub receiver: SubspaceId,
    /// On the way to the other node, and all that was ever sent.
    pub wire: VecDeque<Wire>,
    pub sent: Vec<(Channel, Vec<u8>)>,
    pub live: BTreeMap<OverlapId, Shared>,
    pub matched: BTreeSet<(InterestId, OverlapId)>,
    pub nothing: BTreeSet<InterestId>,
    pub awkward: BTreeSet<InterestId>,
    pub crowded_out: BTreeSet<InterestId>,
    pub ended: Vec<OverlapId>,
    pub settled: bool,
    next_interest: u64,
}

impl Node {
    fn new(role: Role, own_limits: Limits, peer_limits: Limits) -> Self {
        let key = |role| user(if role == Role::Alfie { 100 } else { 101 }).corresponding_subspace_id();
        let (own_receiver, peer_receiver) = (key(role), key(role.other()));
        let receiver = own_receiver.clone();
        let config = OverlapConfig { role, session_secret: SECRET, own_receiver, peer_receiver, own_limits, peer_limits };
        Self {
            machine: Overlap::new(config),
            cache: CapCache::new(),
            receiver,
            wire: VecDeque::new(),
            sent: Vec::new(),
            live: BTreeMap::new(),
            matched: BTreeSet::new(),
            nothing: BTreeSet::new(),
            awkward: BTreeSet::new(),
            crowded_out: BTreeSet::new(),
            ended: Vec::new(),
            settled: true,
            next_interest: 0,
        }
    }

    pub fn interest(&mut self, want: &Want) -> OwnInterest {
        let id = InterestId(self.next_interest);
        self.next_interest += 1;
        let capability = Arc::new(want.capability(&self.receiver));
        OwnInterest { id, capability, max_count: None, max_size: None, max_payload_power: 20 }
    }

    pub fn add(&mut self, want: &Want) -> InterestId {
        let interest = self.interest(want);
        let id = interest.id;
        self.settled = false;
        self.machine.add(interest).unwrap();
        self.drain();
        id
    }

    pub fn remove(&mut self, interest: InterestId) {
        self.machine.remove(interest);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                OverlapEvent::Matched { overlap, interest, shared } => {
                    assert!(self.matched.insert((interest, overlap)), "{interest:?} is told {overlap:?} twice");
                    assert_eq!(self.machine.shared(overlap), Some(&*shared));
                    self.live.insert(overlap, *shared);
                }
                OverlapEvent::PairEnded { .. } => {}
                OverlapEvent::Ended { overlap } => {
                    assert!(self.live.remove(&overlap).is_some(), "{overlap:?} ended twice");
                    assert_eq!(self.machine.shared(overlap), None);
                    self.ended.push(overlap);
                }
                OverlapEvent::NothingInCommon { interest } => assert!(self.nothing.insert(interest), "{interest:?} is told nothing twice"),
                OverlapEvent::Awkward { interest } => assert!(self.awkward.insert(interest), "{interest:?} is told awkward twice"),
                OverlapEvent::PeerLimit { interest } => assert!(self.crowded_out.insert(interest), "{interest:?} is crowded out twice"),
                OverlapEvent::Settled => self.settled = true,
            }
        }
    }

    /// Moves one message to the wire.
    pub fn send(&mut self) -> bool {
        let Some((channel, message)) = self.machine.poll_message() else { return false };
        self.sent.push((channel, message.clone()));
        self.wire.push_back(Wire::Message(channel, message));
        true
    }

    /// Sends a message of the session about a live overlap, after all that the machine has to say.
    pub fn name(&mut self, overlap: OverlapId) {
        while self.send() {}
        let (own, peer) = self.machine.handles(overlap).unwrap();
        assert_eq!(self.machine.name_sent(own, peer), Some(overlap));
        self.wire.push_back(Wire::Names(own, peer));
    }

    pub fn take(&mut self, wire: Wire) -> Result<(), SyncError> {
        let result = match wire {
            Wire::Names(theirs, ours) => self.machine.name_received(ours, theirs).map(drop),
            Wire::Message(Channel::Overlap, message) => self.machine.handle_overlap(&message),
            Wire::Message(Channel::Capability, message) => self.machine.handle_capability(&message, &mut self.cache),
            Wire::Message(Channel::Control, message) => {
                ControlMessage::decode(&message).and_then(|message| self.machine.handle_control(&message)).map(|known| assert!(known))
            }
            Wire::Message(channel, _) => panic!("a message on {channel}"),
        };
        self.drain();
        result
    }

    pub fn control(&mut self, message: &ControlMessage) -> Result<(), SyncError> {
        self.take(Wire::Message(Channel::Control, message.encode()))
    }

    pub fn release_all(&mut self) {
        for overlap in std::mem::take(&mut self.ended) {
            self.machine.release(overlap);
        }
        self.drain();
    }

    /// How many messages it sent on a channel.
    pub fn sent_on(&self, channel: Channel) -> usize {
        self.sent.iter().filter(|(on, _)| *on == channel).count()
    }

    /// How many handles it remembers, of all kinds.
    pub fn handles(&self) -> u64 {
        let state = &self.machine.state;
        state.own_hashes.live() + state.peer_hashes.live() + state.own_capabilities.live() + state.peer_capabilities.live()
    }

    /// Asserts that nothing is left of what was freed.
    pub fn assert_empty(&self) {
        let state = &self.machine.state;
        assert_eq!(self.handles(), 0);
        assert!(state.pairs.is_empty() && state.overlaps.is_empty() && state.overlap_of.is_empty(), "{state:?}");
        assert!(state.own_index.is_empty() && state.peer_index.is_empty() && state.announcements.is_empty(), "{state:?}");
        assert!(state.groups.is_empty() && state.offers.is_empty() && state.interests.is_empty(), "{state:?}");
    }
}

/// Alfie and Betty.
pub struct Duo {
    pub nodes: [Node; 2],
}

/// What can happen next, the number is the node that does it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Step {
    Send(usize),
    Deliver(usize),
}

impl Duo {
    pub fn new() -> Self {
        Self::with_limits(Limits::default(), Limits::default())
    }

    pub fn with_limits(alfie: Limits, betty: Limits) -> Self {
        Self { nodes: [Node::new(Role::Alfie, alfie, betty), Node::new(Role::Betty, betty, alfie)] }
    }

    /// Both with their interests, nothing sent.
    pub fn of(alfie: &[Want], betty: &[Want]) -> Self {
        let mut duo = Self::new();
        for (node, wants) in duo.nodes.iter_mut().zip([alfie, betty]) {
            for want in wants {
                node.add(want);
            }
        }
        duo
    }

    pub fn deliver(&mut self, to: usize) -> Result<bool, SyncError> {
        let Some(wire) = self.nodes[1 - to].wire.pop_front() else { return Ok(false) };
        self.nodes[to].take(wire).map(|()| true)
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Send(node) => drop(self.nodes[node].send()),
            Step::Deliver(to) => drop(self.deliver(to).expect("both are honest")),
        }
    }

    /// Runs until nobody has anything to say; `choose` picks among the directions in which something is under way.
    pub fn run(&mut self, mut choose: impl FnMut(usize) -> usize) {
        loop {
            for node in &mut self.nodes {
                while node.send() {}
            }
            let ways: Vec<_> = (0..2).filter(|&to| !self.nodes[1 - to].wire.is_empty()).collect();
            match ways.len() {
                0 => return,
                1 => self.step(Step::Deliver(ways[0])),
                count => self.step(Step::Deliver(ways[choose(count)])),
            }
        }
    }

    /// Runs in one order until all is said, releasing what ended.
    pub fn settle(&mut self) {
        loop {
            self.run(|_| 0);
            if self.nodes.iter().all(|node| node.ended.is_empty()) {
                return;
            }
            self.nodes.iter_mut().for_each(Node::release_all);
        }
    }
}

/// How many orders [`every_order`] tries at most.
const MOST_ORDERS: usize = 300;

/// Calls `run` with every sequence of choices that it can make; of very many, with those that differ late.
pub fn every_order(mut run: impl FnMut(&mut dyn FnMut(usize) -> usize)) -> usize {
    let mut choices: Vec<(usize, usize)> = Vec::new();
    for orders in 1..=MOST_ORDERS {
        let mut at = 0;
        run(&mut |count| {
            if at == choices.len() {
                choices.push((0, count));
            }
            at += 1;
            choices[at - 1].0
        });
        while choices.last().is_some_and(|&(choice, count)| choice + 1 == count) {
            choices.pop();
        }
        match choices.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => return orders,
        }
    }
    MOST_ORDERS
}
