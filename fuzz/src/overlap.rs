//! Target: two overlap machines, one of them honest, the messages of the other changed, dropped, repeated or made up.

use std::{collections::VecDeque, num::NonZeroU64, sync::Arc};

use osier_core::{
    Role,
    sync::{Channel, ControlMessage, InterestId, Limits, Overlap, OverlapConfig, OverlapEvent, OwnInterest, SyncError},
    willow::{CapCache, TimeRange},
};

use super::{
    input::Input,
    values::{path, read_capability, user},
    wire::control_messages,
};

const SECRET: [u8; 32] = [7; 32];
/// The number of the user whose key is the receiver key of the honest side, and of the other one.
const RECEIVERS: [u8; 2] = [20, 21];

/// One side.
struct Side {
    machine: Overlap,
    cache: CapCache,
    messages: VecDeque<(Channel, Vec<u8>)>,
    added: u64,
    settled: u64,
    matched: u64,
}

impl Side {
    fn new(side: usize) -> Self {
        let limits = Limits { overlap_handles: 12, capability_handles: 12, unanswered_ranges: 4 };
        let config = OverlapConfig {
            role: [Role::Alfie, Role::Betty][side],
            session_secret: SECRET,
            own_receiver: user(RECEIVERS[side]).0,
            peer_receiver: user(RECEIVERS[1 - side]).0,
            own_limits: limits,
            peer_limits: limits,
        };
        let (machine, cache, messages) = (Overlap::new(config), CapCache::new(), VecDeque::new());
        Self { machine, cache, messages, added: 0, settled: 0, matched: 0 }
    }

    /// Adds one of a few interests, which meet in every way.
    fn add(&mut self, side: usize, choice: usize) {
        let receiver = RECEIVERS[side];
        let subspace = user(1).0;
        let mut chain = vec![1, 2];
        chain.extend([3, 4].iter().take(choice / 4 % 3));
        chain.push(receiver);
        let owned = choice % 4 < 3;
        let components: [&[u8]; 3] = [b"a", b"b", b"c"];
        let mut capability = read_capability(owned, &chain[..chain.len() - 1], &path(&components[..choice / 12 % 4]), &subspace);
        let mut area = capability.granted_area();
        if choice % 5 == 1 {
            area.set_times(TimeRange::new_open(300.into()));
        }
        if choice % 3 == 1 {
            area.set_subspace(Some(subspace));
        }
        let last = user(chain[chain.len() - 2]);
        if capability.try_delegate(&last.1, area, user(receiver).0).is_err() {
            return;
        }
        let id = InterestId(self.added);
        self.added += 1;
        let max_count = NonZeroU64::new((choice % 7 / 6) as u64);
        let interest = OwnInterest { id, capability: Arc::new(capability), max_count, max_size: None, max_payload_power: 14 };
        self.machine.add(interest).unwrap();
    }

    fn receive(&mut self, channel: Channel, message: &[u8]) -> Result<(), SyncError> {
        match channel {
            Channel::Overlap => self.machine.handle_overlap(message),
            Channel::Capability => self.machine.handle_capability(message, &mut self.cache),
            _ => self.machine.handle_control(&ControlMessage::decode(message)?).map(|_| ()),
        }
    }

    /// What a session does after any input.
    fn drain(&mut self) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                OverlapEvent::Ended { overlap } => self.machine.release(overlap),
                OverlapEvent::PairEnded { .. } => {}
                OverlapEvent::Matched { overlap, shared, .. } => {
                    self.matched += 1;
                    if let Some((own, peer)) = self.machine.handles(overlap) {
                        assert_eq!(self.machine.lookup(own, peer), Some(overlap));
                        assert_eq!(self.machine.shared(overlap), Some(&*shared));
                    }
                }
                OverlapEvent::Settled => self.settled += 1,
                OverlapEvent::NothingInCommon { .. } | OverlapEvent::Awkward { .. } | OverlapEvent::PeerLimit { .. } => {}
            }
        }
        while let Some(message) = self.machine.poll_message() {
            self.messages.push_back(message);
        }
    }
}

/// `bytes`: interests of both sides, then what happens.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut sides = [Side::new(0), Side::new(1)];
    for (number, side) in sides.iter_mut().enumerate() {
        for _ in 0..input.below(4) {
            side.add(number, usize::from(input.byte()));
        }
        side.drain();
    }
    let mut honest = true;
    for _ in 0..60 {
        if input.is_empty() {
            break;
        }
        let action = input.byte() % 10;
        honest &= action < 6;
        if step(action, &mut input, &mut sides).is_err() {
            assert!(!honest, "an honest peer is accused");
            return;
        }
        sides.iter_mut().for_each(Side::drain);
    }
    if honest {
        finish(&mut sides);
    }
}

/// One thing that happens: to the first side when it is not honest.
fn step(action: u8, input: &mut Input<'_>, sides: &mut [Side; 2]) -> Result<(), SyncError> {
    match action {
        0 | 1 => deliver(sides, 1),
        2 => deliver(sides, 0),
        3 => {
            let number = input.below(2);
            sides[number].add(number, usize::from(input.byte()));
            Ok(())
        }
        4 => {
            let side = &mut sides[input.below(2)];
            let number = input.below(usize::try_from(side.added).unwrap().max(1));
            side.machine.remove(InterestId(number as u64));
            Ok(())
        }
        5 => {
            // As a session does when it sends something about an overlap.
            let [honest, other] = sides;
            if let Some((own, peer)) = other.machine.handles(osier_core::sync::OverlapId(input.byte().into())) {
                other.machine.name_sent(own, peer);
                // It may be on its way behind what was sent before.
                if other.messages.is_empty() {
                    honest.machine.name_received(peer, own)?;
                } else {
                    return Ok(());
                }
            }
            Ok(())
        }
        6 => {
            let Some((channel, mut message)) = sides[1].messages.pop_front() else { return Ok(()) };
            input.change(&mut message);
            sides[0].receive(channel, &message)
        }
        7 => {
            let Some((channel, message)) = sides[1].messages.front().cloned() else { return Ok(()) };
            if input.once_in(2) { sides[1].messages.pop_front().map_or(Ok(()), |_| Ok(())) } else { sides[0].receive(channel, &message) }
        }
        8 => sides[0].machine.name_received(input.byte().into(), input.byte().into()).map(|_| ()),
        _ => made_up(input, &mut sides[0]),
    }
}

fn made_up(input: &mut Input<'_>, side: &mut Side) -> Result<(), SyncError> {
    let channel = *input.pick(&[Channel::Control, Channel::Overlap, Channel::Capability]);
    let mut message = match channel {
        Channel::Control => input.pick(&control_messages()).encode(),
        _ => input.take(40).to_vec(),
    };
    input.change(&mut message);
    side.receive(channel, &message)
}

fn deliver(sides: &mut [Side; 2], from: usize) -> Result<(), SyncError> {
    let Some((channel, message)) = sides[from].messages.pop_front() else { return Ok(()) };
    sides[1 - from].receive(channel, &message)
}

/// Two honest sides come to an end, and agree.
fn finish(sides: &mut [Side; 2]) {
    for _ in 0..10_000 {
        if sides.iter().all(|side| side.messages.is_empty()) {
            break;
        }
        for from in 0..2 {
            deliver(sides, from).expect("an honest peer is accused");
            sides.iter_mut().for_each(Side::drain);
        }
    }
    assert!(sides.iter().all(|side| side.messages.is_empty()), "two machines talk for ever");
    assert!(sides.iter().all(|side| side.settled > 0 || side.added == 0), "overlap detection does not come to an end");
}

/// Pairs of interests with honest and dishonest ends.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (own, peer) in [(0, 0), (0, 12), (12, 24), (1, 13), (13, 1), (3, 15), (27, 24), (4, 40), (39, 36)] {
        seeds.push(vec![1, own, 1, peer]);
        seeds.push(vec![2, own, peer, 2, peer, own, 0, 0, 2, 2, 4, 0, 0, 3, 1, own, 4, 1, 0, 0, 2]);
        for action in 6..10 {
            seeds.push(vec![1, own, 1, peer, 0, 2, 2, action, 0, 9, 0, 2, 0, 0, 2, action, 1, 0, 3, 1]);
        }
    }
    seeds
}
