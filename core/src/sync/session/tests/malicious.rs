//! A peer that breaks the rules, each rule with the error that it ends the session with.

use std::sync::Arc;

use super::{
    pair::{Random, SECRET, Setup, TAI, config, hello},
    world::{Disk, World, payload},
};
use crate::{
    IntentId, Mode, Moment, Role,
    store::Outcome,
    sync::{
        Channel, ControlMessage, FrameReader, Output, Overlap, OverlapConfig, OverlapEvent, OwnInterest, Session, SyncError,
        data::{
            AnnounceFlags, CurrentEntry, Outgoing, RangeHead, RangeState, encode_announcement, encode_fingerprint, encode_live_entry,
            encode_live_payload, encode_payload, encode_send_entry, encode_terminate,
        },
        frame::encode_frame,
        overlap::InterestId,
    },
    willow::{Area, CapCache, Fingerprint, Range3d, SignedEntry, SubspaceSecret, UnverifiedEntry, codec::ready},
};

const NOW: Moment = Moment(0);

/// An honest session, and a peer that found the overlap with it honestly.
struct Trial {
    victim: Session,
    disk: Disk,
    world: World,
    area: Area,
    attacker: Overlap,
    frames: FrameReader,
    cache: CapCache,
    ranges: RangeState,
    entries: CurrentEntry,
    live: CurrentEntry,
    /// What the victim said on Reconciliation and Data.
    heard: Vec<(Channel, Vec<u8>)>,
    failed: Option<SyncError>,
}

fn interest(world: &World, area: &Area, receiver: &SubspaceSecret) -> OwnInterest {
    let capability = world.read(area, &receiver.corresponding_subspace_id());
    OwnInterest { id: InterestId(0), capability, max_count: None, max_size: None, max_payload_power: 14 }
}

impl Trial {
    /// The victim plays `role`; both are interested in `path`.
    fn new(role: Role, path: &str, setup: Setup) -> Self {
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
            failed: None,
        };
        trial.find_overlap();
        trial
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
    fn listen(&mut self) {
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
                Channel::Control => {
                    self.attacker.handle_control(&ControlMessage::decode(&message).unwrap()).unwrap();
                }
                Channel::Reconciliation | Channel::Data => self.heard.push((channel, message)),
            }
        }
    }

    fn send(&mut self, channel: Channel, message: &[u8]) -> Result<(), SyncError> {
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, channel, message);
        self.victim.handle_bytes(NOW, &bytes, &mut self.disk.store)
    }

    fn range(&self) -> Range3d {
        Range3d::from(self.area.clone())
    }

    /// Starts a root, as Alfie.
    fn start(&mut self) -> Result<(), SyncError> {
        let range = self.range();
        let head = RangeHead { root: 0, sender: 0, receiver: 0, answers: None, last: false };
        self.fingerprint(head, &range, &range)
    }

    fn fingerprint(&mut self, head: RangeHead, range: &Range3d, base: &Range3d) -> Result<(), SyncError> {
        let message = encode_fingerprint(&mut self.ranges, &head, range, base, &Fingerprint([7; 32]));
        self.send(Channel::Reconciliation, &message)
    }

    fn announce(&mut self, head: RangeHead, range: &Range3d, want_response: bool) -> Result<(), SyncError> {
        let flags = AnnounceFlags { is_empty: false, want_response, will_sort: true };
        let message = encode_announcement(&mut self.ranges, &head, flags, range, &self.area.clone().into());
        self.send(Channel::Data, &message)
    }

    /// Announces entries of the whole overlap, as Betty in answer to Alfie's start.
    fn announced(role: Role, path: &str, setup: Setup) -> Self {
        assert_eq!(role, Role::Alfie);
        let mut trial = Self::new(role, path, setup);
        assert!(matches!(trial.heard.first(), Some((Channel::Reconciliation, _))), "the victim has started");
        let range = trial.range();
        trial.announce(ANSWER, &range, true).unwrap();
        trial
    }

    fn entry(&mut self, entry: &UnverifiedEntry, range: &Range3d) -> Result<(), SyncError> {
        let out = Outgoing { entry: &entry.entry, capability: &entry.capability, signature: &entry.signature };
        let message = encode_send_entry(&mut self.entries, range, 0, out);
        self.send(Channel::Data, &message)
    }

    fn live(&mut self, entry: &UnverifiedEntry, payload_follows: bool) -> Result<(), SyncError> {
        let out = Outgoing { entry: &entry.entry, capability: &entry.capability, signature: &entry.signature };
        let message = encode_live_entry(&mut self.live, payload_follows, out);
        self.send(Channel::Data, &message)
    }

    fn payload(&mut self, bytes: &[u8]) -> Result<(), SyncError> {
        self.send(Channel::Data, &encode_payload(bytes))
    }

    fn terminate(&mut self, is_final: bool) -> Result<(), SyncError> {
        self.send(Channel::Data, &encode_terminate(is_final))
    }
}

/// Answers the victim's first range, as Betty.
const ANSWER: RangeHead = RangeHead { root: 2, sender: 0, receiver: 0, answers: Some(0), last: true };

fn alfie(path: &str) -> Trial {
    Trial::new(Role::Alfie, path, Setup::default())
}

fn betty(path: &str) -> Trial {
    Trial::new(Role::Betty, path, Setup::default())
}

fn announced() -> (Trial, Range3d) {
    let trial = Trial::announced(Role::Alfie, "", Setup::default());
    let range = trial.range();
    (trial, range)
}

fn forged(entry: &SignedEntry) -> UnverifiedEntry {
    let mut entry = UnverifiedEntry::clone(entry);
    entry.signature[3] ^= 1;
    entry
}

#[test]
fn undecodable_messages() {
    for channel in [Channel::Reconciliation, Channel::Data, Channel::Control, Channel::Overlap, Channel::Capability] {
        let error = betty("").send(channel, &[]).unwrap_err();
        assert!(matches!(error, SyncError::Undecodable { .. }), "{channel}: {error:?}");
    }
    assert!(matches!(betty("").send(Channel::Data, &[0b1110_0000]), Err(SyncError::Undecodable { .. })));
    let mut trial = betty("");
    let range = trial.range();
    let head = RangeHead { root: 0, sender: 0, receiver: 0, answers: None, last: false };
    let message = encode_fingerprint(&mut RangeState::default(), &head, &range, &range, &Fingerprint([7; 32]));
    assert!(matches!(trial.send(Channel::Reconciliation, &message[..message.len() - 1]), Err(SyncError::Undecodable { .. })));
    let trailing = [&message[..], &[0]].concat();
    assert!(matches!(betty("").send(Channel::Reconciliation, &trailing), Err(SyncError::Undecodable { .. })));
}

#[test]
fn frames_that_cannot_be() {
    let mut trial = betty("");
    assert!(matches!(trial.victim.handle_bytes(NOW, &[9, 0], &mut trial.disk.store), Err(SyncError::Frame(_))));
    // Nothing more comes of a session that has failed.
    assert!(trial.victim.poll_output(NOW, &mut trial.disk.store).is_none_or(|output| !matches!(output, Output::Finish)));
    assert_eq!(trial.victim.poll_transmit(NOW, &mut trial.disk.store, usize::MAX), None);
    let mut trial = betty("");
    let oversized = [2, 0xfe, 0, 1, 0, 1];
    assert!(matches!(trial.victim.handle_bytes(NOW, &oversized, &mut trial.disk.store), Err(SyncError::Frame(_))));
}

#[test]
fn handles_that_were_never_bound() {
    let mut trial = betty("");
    let range = trial.range();
    let head = RangeHead { root: 0, sender: 3, receiver: 0, answers: None, last: false };
    assert!(matches!(trial.fingerprint(head, &range, &range), Err(SyncError::HandleUnbound { .. })));
    let eager = ControlMessage::SetEagerness { eager: true, sender: 0, receiver: 4 };
    assert!(matches!(betty("").send(Channel::Control, &eager.encode()), Err(SyncError::HandleUnbound { .. })));
}

#[test]
fn ranges_outside_of_what_they_are_about() {
    let full = Range3d::full();
    let mut trial = betty("pub");
    let range = trial.range();
    let head = RangeHead { root: 0, sender: 0, receiver: 0, answers: None, last: false };
    assert_eq!(trial.fingerprint(head, &full, &range), Err(SyncError::RootRange));
    let mut trial = alfie("pub");
    assert_eq!(trial.fingerprint(ANSWER, &full, &range), Err(SyncError::RangeOutside));
    let mut trial = alfie("pub");
    assert_eq!(trial.announce(ANSWER, &full, false), Err(SyncError::RangeOutside));
}

#[test]
fn answers_to_nothing() {
    let mut trial = alfie("");
    let range = trial.range();
    assert_eq!(trial.fingerprint(RangeHead { answers: Some(5), ..ANSWER }, &range, &range), Err(SyncError::AnswerUnknown { number: 5 }));
    let mut trial = alfie("");
    trial.fingerprint(ANSWER, &range, &range).unwrap();
    assert_eq!(trial.fingerprint(ANSWER, &range, &range), Err(SyncError::AnswerUnknown { number: 0 }), "answered before");
    let none = RangeHead { answers: None, ..ANSWER };
    assert_eq!(alfie("").fingerprint(none, &range, &range), Err(SyncError::UnexpectedAnswer { what: "fingerprint" }));
    assert_eq!(alfie("").announce(none, &range, false), Err(SyncError::UnexpectedAnswer { what: "announcement" }));
    assert_eq!(alfie("").fingerprint(RangeHead { root: 1, ..ANSWER }, &range, &range), Err(SyncError::RootMismatch));
}

#[test]
fn an_announcement_that_asks_is_answered_by_one_that_does_not() {
    for asks_back in [true, false] {
        let mut trial = betty("");
        let (range, entry) = (trial.range(), trial.world.entry(0, "x", 1, b""));
        trial.disk.put(entry, b"");
        trial.start().unwrap();
        trial.listen();
        assert_eq!(trial.heard.len(), 3, "the victim announces its entry");
        let answer = RangeHead { root: 1, ..ANSWER };
        let expected = if asks_back { "announcement" } else { "fingerprint" };
        let sent = if asks_back { trial.announce(answer, &range, true) } else { trial.fingerprint(answer, &range, &range) };
        assert_eq!(sent, Err(SyncError::UnexpectedAnswer { what: expected }));
    }
}

#[test]
fn more_unanswered_ranges_than_allowed() {
    let mut trial = Trial::new(Role::Betty, "", Setup { unanswered: [1024, 4], ..Setup::default() });
    for _ in 0..4 {
        trial.start().unwrap();
    }
    assert_eq!(trial.start(), Err(SyncError::TooManyRanges { limit: 4 }));
}

#[test]
fn announcements_and_entries_out_of_turn() {
    let (mut trial, range) = announced();
    assert_eq!(trial.announce(RangeHead { answers: Some(0), ..ANSWER }, &range, false), Err(SyncError::AnnouncementUnfinished));

    let mut trial = alfie("");
    let entry = trial.world.entry(0, "x", 1, b"x");
    assert_eq!(trial.entry(&entry, &range), Err(SyncError::EntryUnannounced));

    let (mut trial, range) = announced();
    trial.entry(&entry, &range).unwrap();
    assert_eq!(trial.entry(&trial.world.entry(0, "y", 1, b"x"), &range), Err(SyncError::PayloadUnterminated));

    let (mut trial, range) = announced();
    trial.entry(&trial.world.entry(0, "y", 1, b"x"), &range).unwrap();
    trial.terminate(false).unwrap();
    assert_eq!(trial.entry(&entry, &range), Err(SyncError::SortBroken));
    let (mut trial, range) = announced();
    trial.entry(&entry, &range).unwrap();
    trial.terminate(false).unwrap();
    assert_eq!(trial.entry(&entry, &range), Err(SyncError::SortBroken), "the same entry again");
}

#[test]
fn entries_outside_of_the_announced_range() {
    let mut trial = Trial::announced(Role::Alfie, "pub", Setup::default());
    let range = trial.range();
    trial.entry(&trial.world.entry(0, "pub/x", 1, b"x"), &range).unwrap();
    trial.terminate(false).unwrap();
    assert_eq!(trial.entry(&trial.world.entry(0, "q", 1, b"x"), &range), Err(SyncError::EntryOutsideRange));
    // Encoded as if the range were another one.
    let mut trial = Trial::announced(Role::Alfie, "pub", Setup::default());
    let sent = trial.entry(&trial.world.entry(0, "q", 1, b"x"), &Range3d::full());
    assert!(matches!(sent, Err(SyncError::EntryOutsideRange | SyncError::Undecodable { .. })), "{sent:?}");
    // Another namespace, relative to an entry of the right one.
    let mut trial = Trial::announced(Role::Alfie, "", Setup::default());
    let range = trial.range();
    let (ours, other) = (trial.world.entry(0, "a", 1, b"x"), World::new(200).entry(0, "b", 1, b"x"));
    trial.entry(&ours, &range).unwrap();
    trial.terminate(false).unwrap();
    let message = {
        let mut w = crate::willow::Writer::new();
        w.u8(0b0011_0000 | crate::willow::codec::tag(0, &(4..6)) | crate::willow::codec::tag(0, &(6..8)));
        w.c64(0, 4..6);
        w.c64(0, 6..8);
        crate::willow::entry_codec::encode_entry_rel_entry(&mut w, &other.entry, &ours.entry);
        crate::willow::token_codec::encode_token(&mut w, &other.capability, &other.signature, Some(&ours.capability), &other.entry);
        w.into_bytes()
    };
    assert_eq!(trial.send(Channel::Data, &message), Err(SyncError::EntryOutsideRange));
}

#[test]
fn forwarded_entries_outside_of_every_shared_area() {
    let mut trial = betty("pub");
    trial.live(&trial.world.entry(0, "pub/x", 1, b""), false).unwrap();
    assert_eq!(trial.live(&trial.world.entry(0, "priv", 1, b""), false), Err(SyncError::EntryOutsideAreas));
    assert_eq!(betty("").live(&World::new(201).entry(0, "pub/x", 1, b""), false), Err(SyncError::EntryOutsideAreas));
}

#[test]
fn payloads_that_are_not_their_entry_s() {
    let entry = World::new(61).entry(0, "x", 1, b"four");
    let (mut trial, range) = announced();
    assert_eq!(trial.payload(b"four"), Err(SyncError::PayloadWithoutEntry));
    assert_eq!(announced().0.terminate(false), Err(SyncError::PayloadWithoutEntry));
    assert_eq!(alfie("").terminate(true), Err(SyncError::PayloadWithoutEntry));
    assert_eq!(alfie("").send(Channel::Data, &encode_live_payload(b"x")), Err(SyncError::PayloadWithoutEntry));

    let (mut trial2, _) = announced();
    trial2.entry(&entry, &range).unwrap();
    trial2.payload(b"fou").unwrap();
    assert_eq!(trial2.payload(b"rs"), Err(SyncError::PayloadBeyondEnd));

    let (mut trial3, _) = announced();
    trial3.entry(&entry, &range).unwrap();
    trial3.payload(b"fake").unwrap();
    assert_eq!(trial3.terminate(true), Err(SyncError::PayloadDigest));

    let mut trial4 = alfie("");
    trial4.live(&entry, true).unwrap();
    assert_eq!(trial4.send(Channel::Data, &encode_live_payload(b"fake")), Err(SyncError::PayloadDigest));

    let large = payload(1, 16 * 1024 + 1);
    let entry = World::new(61).entry(0, "x", 1, &large);
    let too_large = SyncError::PayloadTooLarge { length: 16 * 1024 + 1 };
    let (mut trial5, _) = announced();
    trial5.entry(&entry, &range).unwrap();
    assert_eq!(trial5.payload(&large[..100]), Err(too_large.clone()));
    assert_eq!(alfie("").live(&entry, true), Err(too_large));
}

#[test]
fn a_payload_cut_short_is_no_fault_and_the_entry_is_kept() {
    let (mut trial, range) = announced();
    let entry = trial.world.entry(0, "x", 1, b"four");
    trial.entry(&entry, &range).unwrap();
    trial.payload(b"fo").unwrap();
    trial.terminate(true).unwrap();
    trial.live(&trial.world.entry(0, "y", 1, b"four"), true).unwrap();
    trial.live(&trial.world.entry(0, "z", 1, b""), false).unwrap();
    trial.listen();
    assert_eq!(trial.disk.store.len(), 3);
    assert_eq!(trial.disk.holds(&trial.world.namespace, &Area::full()).iter().map(|(.., available)| available).sum::<u64>(), 0);
}

#[test]
fn bad_signatures_cost_their_entries_and_a_few_of_them_the_session() {
    let (mut trial, range) = announced();
    for i in 0..9 {
        let entry = trial.world.entry(0, &format!("e{i}"), 1, b"");
        let entry = if i % 3 == 0 { forged(&entry) } else { UnverifiedEntry::clone(&entry) };
        trial.entry(&entry, &range).unwrap();
        trial.terminate(i == 8).unwrap();
    }
    trial.listen();
    assert_eq!(trial.failed, None);
    assert_eq!(trial.disk.store.len(), 6);
    trial.live(&forged(&trial.world.entry(0, "f", 1, b"")), false).unwrap();
    trial.listen();
    assert_eq!(trial.failed, Some(SyncError::InvalidToken));
    assert_eq!(trial.disk.store.len(), 6);
}

#[test]
fn a_token_that_does_not_cover_its_entry() {
    let (mut trial, range) = announced();
    let mut entry = UnverifiedEntry::clone(&trial.world.entry(0, "x", 1, b""));
    // The capability of another namespace.
    entry.capability = Arc::clone(&World::new(200).entry(0, "x", 1, b"").capability);
    let sent = trial.entry(&entry, &range);
    assert!(matches!(sent, Err(SyncError::InvalidToken)), "{sent:?}");
}

#[test]
fn a_timestamp_of_the_far_future_is_dropped_and_the_session_goes_on() {
    let (mut trial, range) = announced();
    let limit = TAI + 10 * 60 * 1_000_000;
    for (i, time) in [limit, limit + 1, u64::MAX].into_iter().enumerate() {
        trial.entry(&trial.world.entry(0, &format!("e{i}"), time, b""), &range).unwrap();
        trial.terminate(i == 2).unwrap();
    }
    trial.listen();
    assert_eq!((trial.failed.clone(), trial.disk.store.len()), (None, 1));
    trial.live(&trial.world.entry(0, "later", 5, b""), false).unwrap();
    trial.listen();
    assert_eq!(trial.disk.store.len(), 2);
}

#[test]
fn consumed_bytes_that_were_never_sent() {
    let mut trial = alfie("");
    let sent = trial.victim.stats().reconciliation_sent;
    let consumed = |bytes| ControlMessage::Consumed { bytes }.encode();
    trial.send(Channel::Control, &consumed(sent - 1)).unwrap();
    assert_eq!(trial.send(Channel::Control, &consumed(2)), Err(SyncError::ConsumedUnsent { bytes: 1 }));
}

#[test]
fn a_peer_that_does_not_wait_while_the_store_is_behind() {
    let mut trial = Trial::new(Role::Alfie, "", Setup::default());
    let range = trial.range();
    let flags = AnnounceFlags { is_empty: false, want_response: false, will_sort: false };
    let message = encode_announcement(&mut trial.ranges, &ANSWER, flags, &range, &range);
    trial.send(Channel::Data, &message).unwrap();
    let entry = trial.world.entry(0, "x", 1, b"");
    let mut sent = 0;
    let error = loop {
        let result = trial.entry(&entry, &range).and_then(|()| trial.terminate(false));
        match result {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 100_000, "memory would grow without bound");
    };
    assert_eq!(error, SyncError::WindowExceeded { limit: 128 * 1024 });
}

#[test]
fn more_bytes_than_the_quota() {
    let mut setup = Setup::default();
    setup.policy.quota = Some(200);
    let mut trial = Trial::announced(Role::Alfie, "", setup);
    let range = trial.range();
    let entry = trial.world.entry(0, "x", 1, b"");
    let sent = trial.entry(&entry, &range).and_then(|()| trial.terminate(false)).and_then(|()| trial.payload(&[0; 100]));
    assert_eq!(sent, Err(SyncError::QuotaExceeded { limit: 200 }));
}

#[test]
fn a_stream_that_ends_in_the_middle() {
    let mut trial = betty("");
    trial.victim.handle_bytes(NOW, &[2, 5, 0], &mut trial.disk.store).unwrap();
    assert_eq!(trial.victim.handle_finished(NOW), Err(SyncError::FinishedEarly { what: "a frame" }));
    let (mut trial, _) = announced();
    assert_eq!(trial.victim.handle_finished(NOW), Err(SyncError::FinishedEarly { what: "an announcement" }));
    let mut trial = betty("");
    trial.live(&trial.world.entry(0, "x", 1, b"four"), true).unwrap();
    assert_eq!(trial.victim.handle_finished(NOW), Err(SyncError::FinishedEarly { what: "a payload" }));
}

#[test]
fn noise_never_panics() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..300 {
        let mut trial = if round % 2 == 0 { betty("") } else { announced().0 };
        for _ in 0..20 {
            let channel = Channel::from_byte(random.below(5) as u8).unwrap();
            let message: Vec<u8> = (0..random.below(60)).map(|_| random.below(256) as u8).collect();
            if trial.send(channel, &message).is_err() {
                break;
            }
            trial.victim.poll_transmit(NOW, &mut trial.disk.store, usize::MAX);
        }
    }
}
