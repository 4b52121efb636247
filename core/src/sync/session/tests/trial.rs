//! An honest session, and a peer that found the overlap with it honestly and then says what it likes.

use super::{
    pair::{SECRET, Setup, config, hello},
    world::{Disk, World},
};
use crate::{
    IntentId, Mode, Moment, Role,
    store::Outcome,
    sync::{
        Channel, ControlMessage, FrameReader, Output, Overlap, OverlapConfig, OverlapEvent, OwnInterest, Session, SyncError,
        data::{
            AnnounceFlags, CurrentEntry, DataKind, Outgoing, RangeHead, RangeMessage, RangeState, encode_announcement, encode_fingerprint,
            encode_live_entry, encode_payload, encode_send_entry, encode_terminate,
        },
        frame::encode_frame,
        overlap::InterestId,
    },
    willow::{Area, CapCache, Fingerprint, Range3d, SignedEntry, SubspaceSecret, UnverifiedEntry, codec::ready},
};

pub(super) const NOW: Moment = Moment(0);

/// See the module.
pub(super) struct Trial {
    pub(super) victim: Session,
    pub(super) disk: Disk,
    pub(super) world: World,
    pub(super) area: Area,
    pub(super) attacker: Overlap,
    pub(super) frames: FrameReader,
    pub(super) cache: CapCache,
    pub(super) ranges: RangeState,
    pub(super) entries: CurrentEntry,
    pub(super) live: CurrentEntry,
    /// What the victim said on Reconciliation and Data.
    pub(super) heard: Vec<(Channel, Vec<u8>)>,
    /// What the victim says of entries that it was sent.
    pub(super) receipts: Vec<ControlMessage>,
    pub(super) failed: Option<SyncError>,
}

fn interest(world: &World, area: &Area, receiver: &SubspaceSecret) -> OwnInterest {
    let capability = world.read(area, &receiver.corresponding_subspace_id());
    OwnInterest { id: InterestId(0), capability, max_count: None, max_size: None, max_payload_power: 14 }
}

impl Trial {
    /// The victim plays `role`; both are interested in `path`.
    pub(super) fn new(role: Role, path: &str, setup: Setup) -> Self {
        let world = World::new(61);
        let area = world.area(None, path);
        let config = config(role, &setup);
        let mut victim = Session::new(config.clone(), NOW);
        victim.add_intent(IntentId(1), vec![interest(&world, &area, &hello(role, 1).1)], Mode::Live);
        let mut attacker = Overlap::new(OverlapConfig {
            role: role.other(),
            session_secret: SECRET,
            own_receiver: config.peer_hello.receiver,
            peer_receiver: config.own_hello.receiver,
            own_limits: config.peer_hello.limits,
            peer_limits: config.own_hello.limits,
        });
        attacker.add(interest(&world, &area, &hello(role.other(), 1).1)).unwrap();
        let mut trial = Self {
            victim,
            disk: Disk::default(),
            world,
            area,
            attacker,
            frames: FrameReader::default(),
            cache: CapCache::new(),
            ranges: RangeState::default(),
            entries: CurrentEntry::default(),
            live: CurrentEntry::default(),
            heard: Vec::new(),
            receipts: Vec::new(),
            failed: None,
        };
        trial.find_overlap();
        trial
    }

    /// The victim named two capabilities.
    fn named(&mut self, sender: u64, receiver: u64) {
        self.attacker.name_received(receiver, sender).unwrap();
    }

    fn find_overlap(&mut self) {
        for _ in 0..10 {
            while let Some((channel, message)) = self.attacker.poll_message() {
                self.send(channel, &message).unwrap();
            }
            self.listen();
        }
        let matched = std::iter::from_fn(|| self.attacker.poll_event()).any(|event| matches!(event, OverlapEvent::Matched { .. }));
        assert!(matched, "the attacker finds the overlap");
    }

    /// Lets the victim do and say what it can.
    pub(super) fn listen(&mut self) {
        loop {
            let mut idle = true;
            while let Some(output) = self.victim.poll_output(NOW, &mut self.disk.store) {
                idle = false;
                match output {
                    Output::Ingest { batch, entries } => {
                        let plan = self.disk.store.plan(entries);
                        let outcomes: Vec<Outcome> = ready(self.disk.store.commit(&self.disk.backend, plan)).unwrap().unwrap();
                        self.victim.handle_ingested(batch, &outcomes, &self.disk.store);
                    }
                    Output::Failed(error) => self.failed = Some(error),
                    _ => {}
                }
            }
            while let Some(bytes) = self.victim.poll_transmit(NOW, &mut self.disk.store, usize::MAX) {
                idle = false;
                self.frames.push(&bytes);
            }
            if idle {
                break;
            }
        }
        while let Some((channel, message)) = self.frames.next().unwrap() {
            match channel {
                Channel::Overlap => self.attacker.handle_overlap(&message).unwrap(),
                Channel::Capability => self.attacker.handle_capability(&message, &mut self.cache).unwrap(),
                Channel::Control => match ControlMessage::decode(&message).unwrap() {
                    ControlMessage::SetEagerness { sender, receiver, .. } => self.named(sender, receiver),
                    receipt @ (ControlMessage::Stored { .. } | ControlMessage::NotStored { .. }) => self.receipts.push(receipt),
                    message => drop(self.attacker.handle_control(&message).unwrap()),
                },
                Channel::Reconciliation | Channel::Data => {
                    let head = match channel {
                        Channel::Reconciliation => Some(RangeMessage::fingerprint(&message).unwrap().head),
                        _ => RangeMessage::announcement(&message)
                            .ok()
                            .filter(|_| is(&message, DataKind::AnnounceEntries))
                            .map(|it| it.0.head),
                    };
                    head.into_iter().for_each(|head| self.named(head.sender, head.receiver));
                    self.heard.push((channel, message));
                }
            }
        }
    }

    pub(super) fn send(&mut self, channel: Channel, message: &[u8]) -> Result<(), SyncError> {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, channel, message);
        self.victim.handle_bytes(NOW, &bytes, &mut self.disk.store)
    }

    /// The interest that the victim has.
    pub(super) fn interest(&self) -> OwnInterest {
        interest(&self.world, &self.area, &hello(self.victim.role, 1).1)
    }

    pub(super) fn attackers_interest(&self) -> OwnInterest {
        interest(&self.world, &self.area, &hello(self.victim.role.other(), 1).1)
    }

    pub(super) fn range(&self) -> Range3d {
        Range3d::from(self.area.clone())
    }

    /// Starts a root, as Alfie.
    pub(super) fn start(&mut self) -> Result<(), SyncError> {
        let range = self.range();
        let head = RangeHead { root: 0, sender: 0, receiver: 0, answers: None, last: false, whole: false };
        self.fingerprint(head, &range, &range)
    }

    pub(super) fn fingerprint(&mut self, head: RangeHead, range: &Range3d, base: &Range3d) -> Result<(), SyncError> {
        let message = encode_fingerprint(&mut self.ranges, &head, range, base, &Fingerprint([7; 32]));
        self.send(Channel::Reconciliation, &message)
    }

    pub(super) fn announce(&mut self, head: RangeHead, range: &Range3d, want_response: bool) -> Result<(), SyncError> {
        self.announce_as(head, range, want_response, true)
    }

    pub(super) fn announce_as(&mut self, head: RangeHead, range: &Range3d, want_response: bool, will_sort: bool) -> Result<(), SyncError> {
        let flags = AnnounceFlags { is_empty: false, want_response, will_sort };
        let message = encode_announcement(&mut self.ranges, &head, flags, range, &self.area.clone().into());
        self.send(Channel::Data, &message)
    }

    /// Announces entries of the whole overlap, as Betty in answer to Alfie's start.
    pub(super) fn announced(role: Role, path: &str, setup: Setup) -> Self {
        assert_eq!(role, Role::Alfie);
        let mut trial = Self::new(role, path, setup);
        assert!(matches!(trial.heard.first(), Some((Channel::Reconciliation, _))), "the victim has started");
        let range = trial.range();
        trial.announce(ANSWER, &range, true).unwrap();
        trial
    }

    pub(super) fn entry(&mut self, entry: &UnverifiedEntry, range: &Range3d) -> Result<(), SyncError> {
        let out = Outgoing { entry: &entry.entry, capability: &entry.capability, signature: &entry.signature };
        let message = encode_send_entry(&mut self.entries, range, 0, out);
        self.send(Channel::Data, &message)
    }

    pub(super) fn live(&mut self, entry: &UnverifiedEntry, payload_follows: bool) -> Result<(), SyncError> {
        let out = Outgoing { entry: &entry.entry, capability: &entry.capability, signature: &entry.signature };
        let message = encode_live_entry(&mut self.live, payload_follows, out);
        self.send(Channel::Data, &message)
    }

    pub(super) fn payload(&mut self, bytes: &[u8]) -> Result<(), SyncError> {
        self.send(Channel::Data, &encode_payload(bytes))
    }

    pub(super) fn terminate(&mut self, is_final: bool) -> Result<(), SyncError> {
        self.send(Channel::Data, &encode_terminate(is_final))
    }
}

pub(super) fn is(message: &[u8], kind: DataKind) -> bool {
    DataKind::of(message) == Ok(kind)
}

/// Answers the victim's first range, as Betty.
pub(super) const ANSWER: RangeHead = RangeHead { root: 2, sender: 0, receiver: 0, answers: Some(0), last: true, whole: false };

pub(super) fn alfie(path: &str) -> Trial {
    Trial::new(Role::Alfie, path, Setup::default())
}

pub(super) fn betty(path: &str) -> Trial {
    Trial::new(Role::Betty, path, Setup::default())
}

pub(super) fn announced() -> (Trial, Range3d) {
    let trial = Trial::announced(Role::Alfie, "", Setup::default());
    let range = trial.range();
    (trial, range)
}

pub(super) fn forged(entry: &SignedEntry) -> UnverifiedEntry {
    let mut entry = UnverifiedEntry::clone(entry);
    entry.signature[3] ^= 1;
    entry
}
