//! Target: two sessions, each with a store, over a wire whose frames may be changed, dropped, repeated, reordered or made up on their
//! way to the first one. Honest peers agree in the end; whatever else arrives, only authorised entries get in.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Waker},
};

use osier_core::{
    Generation, IntentId, Mode, Moment, Role, SessionId,
    payload::{PayloadHasher, PayloadReceiver, PayloadSender},
    store::{Backend, Incoming, MemoryBackend, Origin, Store},
    sync::{
        Channel, Clock, Completion, ControlMessage, FetchId, FetchUpdate, FrameReader, Hello, InterestId, Limits, Output, OwnInterest,
        Policy, Session, SessionConfig, SyncError, Tuning,
        data::{
            AnnounceFlags, CurrentEntry, Outgoing, RangeHead, RangeState, encode_announcement, encode_fingerprint, encode_live_entry,
            encode_live_payload, encode_payload, encode_send_entry, encode_terminate,
        },
        frame::encode_frame,
    },
    willow::{
        Area, Entry, EntrylikeExt, Fingerprint, Grouping, Path, PrivateInterest, Range3d, ReadCapability, SignedEntry, TimeRange,
        UnverifiedEntry, WriteCapability, verify_one,
    },
};

use super::{
    input::Input,
    values::{namespace, ranges, user},
    wire::control_messages,
};

const SECRET: [u8; 32] = [7; 32];
const RECEIVERS: [u8; 2] = [20, 21];
const NOW: u64 = 1_000_000;
const COMPONENTS: [&[u8]; 4] = [b"", b"a", b"b", b"\xff"];
const PAYLOADS: [usize; 5] = [0, 1, 64, 3000, 40_000];

/// Entries in an owned namespace: three subspaces, short paths, few times.
fn entry(input: &mut Input<'_>) -> (SignedEntry, Vec<u8>) {
    static CAPABILITY: OnceLock<Arc<WriteCapability>> = OnceLock::new();
    let capability = CAPABILITY.get_or_init(|| Arc::new(WriteCapability::new_owned(&namespace(true).1, user(1).0)));
    let components: Vec<&[u8]> = (0..input.below(4)).map(|_| *input.pick(&COMPONENTS)).collect();
    let payload = vec![input.byte() % 2; *input.pick(&PAYLOADS)];
    let entry = Entry::builder()
        .namespace_id(namespace(true).0)
        .subspace_id(user(input.byte() % 3).0)
        .path(Path::from_slices(&components).unwrap())
        .timestamp(u64::from(input.byte() % 8))
        .payload(&payload)
        .build();
    (SignedEntry::sign(entry, capability.clone(), &user(1).1).unwrap(), payload)
}

/// What a side may be interested in; the first two are the same.
fn interests(side: usize) -> &'static [Arc<ReadCapability>] {
    static INTERESTS: [OnceLock<Vec<Arc<ReadCapability>>>; 2] = [const { OnceLock::new() }; 2];
    INTERESTS[side].get_or_init(|| {
        let area = |subspace: Option<u8>, components: &[&[u8]], times| {
            Area::new(subspace.map(|number| user(number).0), Path::from_slices(components).unwrap(), times)
        };
        let areas = [
            Area::full(),
            area(None, &[b"a"], TimeRange::full()),
            area(Some(1), &[], TimeRange::full()),
            area(Some(1), &[b"a"], TimeRange::new_closed(2.into(), 6.into())),
            area(None, &[], TimeRange::new_open(4.into())),
        ];
        let interest = |area| {
            let mut capability = ReadCapability::new_owned(&namespace(true).1, user(1).0);
            capability.delegate(&user(1).1, area, user(RECEIVERS[side]).0);
            Arc::new(capability)
        };
        areas.into_iter().map(interest).collect()
    })
}

/// One side, and what is on its way to the other.
struct Side {
    number: usize,
    session: Session,
    store: Store,
    backend: MemoryBackend,
    reader: FrameReader,
    frames: VecDeque<(Channel, Vec<u8>)>,
    fetches: Vec<(FetchId, osier_core::payload::PayloadRequest)>,
    intents: u64,
    /// What it is interested in, live or once.
    interested: Vec<(Area, Mode)>,
    done: Vec<Completion>,
    finished: bool,
    told: bool,
    error: Option<SyncError>,
}

impl Side {
    fn new(number: usize, limit: u64) -> Self {
        let limits = Limits { overlap_handles: 64, capability_handles: 64, unanswered_ranges: limit };
        let hello = |side: usize| Hello {
            max_payload_power: 12,
            limits,
            generation: Generation { instance: [0; 16], counter: 0 },
            receiver: user(RECEIVERS[side]).0,
        };
        let config = SessionConfig {
            role: [Role::Alfie, Role::Betty][number],
            session_secret: SECRET,
            id: SessionId(1),
            own_hello: hello(number),
            peer_hello: hello(1 - number),
            clock: Clock { at: Moment(0), tai: NOW.into() },
            tuning: Tuning { fanout: 2 + number, threshold: 1, ..Tuning::default() },
            policy: Policy::default(),
        };
        Self {
            number,
            session: Session::new(config, Moment(0)),
            store: Store::with_history(6),
            backend: MemoryBackend::new(),
            reader: FrameReader::default(),
            frames: VecDeque::new(),
            fetches: Vec::new(),
            intents: 0,
            interested: Vec::new(),
            done: Vec::new(),
            finished: false,
            told: false,
            error: None,
        }
    }

    fn add_intent(&mut self, choice: usize, mode: Mode) {
        let interest = |capability: &Arc<ReadCapability>| OwnInterest {
            id: InterestId(0),
            capability: capability.clone(),
            max_count: None,
            max_size: None,
            max_payload_power: 12,
        };
        let known = interests(self.number);
        let first = choice % known.len();
        let chosen: Vec<_> = known.iter().cycle().skip(first).take(1 + choice / 16 % 2).collect();
        self.interested.extend(chosen.iter().map(|capability| (capability.granted_area(), mode)));
        let interests = chosen.into_iter().map(interest).collect();
        self.intents += 1;
        self.session.add_intent(IntentId(self.intents), interests, mode);
    }

    fn write(&mut self, (entry, payload): (SignedEntry, Vec<u8>), with: bool) {
        let incoming = Incoming { entry, payload: with.then_some(payload), origin: Origin::Local };
        now(self.store.commit(&self.backend, self.store.plan(vec![incoming]))).unwrap();
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.error.is_none() {
            self.error = self.session.handle_bytes(Moment(1), bytes, &mut self.store).err();
        }
    }

    /// Everything that the session has to say; whether there was anything.
    fn drain(&mut self) -> bool {
        let mut any = false;
        for _ in 0..100_000 {
            let mut idle = true;
            while let Some(output) = self.session.poll_output(Moment(1), &mut self.store) {
                idle = false;
                self.carry_out(output);
            }
            while let Some(bytes) = self.session.poll_transmit(Moment(1), &mut self.store, 5000) {
                idle = false;
                self.reader.push(&bytes);
                while let Some(frame) = self.reader.next().unwrap() {
                    self.frames.push_back(frame);
                }
            }
            if self.session.next_deadline().is_some_and(|(at, _)| at <= Moment(1)) {
                self.session.handle_timeout(Moment(1));
                continue;
            }
            if idle {
                return any;
            }
            any = true;
        }
        panic!("a session that is never idle");
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Ingest { batch, entries } => {
                let outcomes = now(self.store.commit(&self.backend, self.store.plan(entries))).unwrap();
                self.session.handle_ingested(batch, &outcomes, &self.store);
            }
            Output::ReadPayload { read, entry, len } => {
                let bytes = now(self.backend.read_payload(&entry, 0, len)).unwrap();
                self.session.handle_payload_read(read, (bytes.len() as u64 == len).then_some(bytes));
            }
            Output::FetchPayload { fetch, request } => self.fetches.push((fetch, request)),
            Output::IntentDone { completion, .. } => self.done.push(completion),
            Output::Finish => self.finished = true,
            Output::Failed(error) => self.error = Some(error),
            Output::Held(evidence) => _ = self.store.learn(&evidence),
            Output::Event { .. } | Output::PeerFinished | Output::Probed => {}
        }
    }

    /// Only what is authorised is in the store.
    fn check(&self) {
        for entry in self.store.entries(&namespace(true).0, &Area::full()) {
            assert!(verify_one(UnverifiedEntry::clone(&entry.signed())).is_ok(), "an entry that nobody authorised");
        }
    }
}

/// `bytes`: limits, intents and entries of both sides, then what happens.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let limit = 2 + input.below(6) as u64;
    let mut sides = [Side::new(0, limit), Side::new(1, limit)];
    for side in &mut sides {
        for _ in 0..input.below(12) {
            side.write(entry(&mut input), true);
        }
        for _ in 0..1 + input.below(2) {
            let choice = usize::from(input.byte());
            side.add_intent(choice, if choice % 3 == 0 { Mode::Live } else { Mode::Once });
        }
        side.drain();
    }
    let (mut honest, mut written, mut closed) = (true, false, false);
    for _ in 0..80 {
        if input.is_empty() || sides.iter().any(|side| side.error.is_some()) {
            break;
        }
        let action = input.byte() % 16;
        honest &= action < 10;
        written |= action == 6 || action == 7;
        closed |= action == 8;
        step(action, &mut input, &mut sides);
        for side in &mut sides {
            if side.error.is_none() {
                side.drain();
            }
        }
    }
    if honest {
        finish(&mut sides);
        if !closed {
            agree(&sides, written);
        }
    }
    for side in &mut sides {
        side.check();
        side.session.close_in(&mut side.store);
    }
    assert!(sides[1].error.is_none() || !honest, "an honest peer is accused: {:?}", sides[1].error);
}

/// One thing that happens. Those from 10 on are done to the first side.
fn step(action: u8, input: &mut Input<'_>, sides: &mut [Side; 2]) {
    match action {
        0..=3 => deliver(sides, 1, 1 + input.below(4)),
        4 | 5 => deliver(sides, 0, 1 + input.below(4)),
        6 => {
            let (written, with) = (entry(input), !input.once_in(4));
            sides[input.below(2)].write(written, with);
        }
        7 => {
            let (side, choice) = (input.below(2), usize::from(input.byte()));
            sides[side].add_intent(choice, if choice % 2 == 0 { Mode::Live } else { Mode::Once });
        }
        8 => {
            let side = &mut sides[input.below(2)];
            side.session.close_intent(IntentId(1 + input.below(4) as u64));
        }
        9 => fetch(sides, input.below(2), true),
        10 | 11 => {
            let Some((channel, mut message)) = sides[1].frames.pop_front() else { return };
            input.change(&mut message);
            forge(sides, channel, &message);
        }
        12 => {
            let (frames, at) = (&mut sides[1].frames, input.byte());
            match at % 3 {
                0 => drop(frames.pop_front()),
                1 => frames.extend(frames.front().cloned()),
                _ if frames.len() > 1 => frames.swap(0, 1),
                _ => {}
            }
        }
        13 => fetch(sides, 0, false),
        14 => {
            let bytes = input.take(30).to_vec();
            sides[0].receive(&bytes);
        }
        _ => {
            let (channel, mut message) = made_up(input);
            if input.once_in(3) {
                input.change(&mut message);
            }
            forge(sides, channel, &message);
        }
    }
}

fn forge(sides: &mut [Side; 2], channel: Channel, message: &[u8]) {
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, channel, &message[..message.len().min(60_000)]);
    sides[0].receive(&bytes);
}

/// A message that decodes, in a state where it may be wrong.
fn made_up(input: &mut Input<'_>) -> (Channel, Vec<u8>) {
    let mut small = || u64::from(input.byte() % 4);
    let head = RangeHead {
        root: small(),
        sender: small(),
        receiver: small(),
        answers: small().checked_sub(1),
        last: small() > 1,
        whole: small() > 1,
    };
    let flags = AnnounceFlags { is_empty: small() > 1, want_response: small() > 1, will_sort: small() > 0 };
    let (range, base) = (input.pick(&ranges()).clone(), Range3d::full());
    let state = &mut RangeState::default();
    let (signed, payload) = entry(input);
    let outgoing = Outgoing { entry: &signed.entry, capability: &signed.capability, signature: &signed.signature };
    match input.byte() % 9 {
        0 => (Channel::Control, input.pick(&control_messages()).encode()),
        1 => (Channel::Control, ControlMessage::SetEagerness { eager: head.last, sender: head.sender, receiver: head.receiver }.encode()),
        2 => (Channel::Reconciliation, encode_fingerprint(state, &head, &range, &base, &Fingerprint([input.byte() % 2; 32]))),
        3 => (Channel::Data, encode_announcement(state, &head, flags, &range, &base)),
        4 => (Channel::Data, encode_send_entry(&mut CurrentEntry::default(), &base, 0, outgoing)),
        5 => (Channel::Data, encode_payload(&payload)),
        6 => (Channel::Data, encode_terminate(head.last)),
        7 => (Channel::Data, encode_live_entry(&mut CurrentEntry::default(), head.last, outgoing)),
        _ => (Channel::Data, encode_live_payload(&payload)),
    }
}

fn deliver(sides: &mut [Side; 2], from: usize, frames: usize) {
    let mut bytes = Vec::new();
    for _ in 0..frames {
        let Some((channel, message)) = sides[from].frames.pop_front() else { break };
        encode_frame(&mut bytes, channel, &message);
    }
    sides[1 - from].receive(&bytes);
}

/// Carries out the oldest transfer that a side asks for, or lets it fail.
fn fetch(sides: &mut [Side; 2], by: usize, serve: bool) {
    if sides[by].fetches.is_empty() {
        return;
    }
    let (fetch, request) = sides[by].fetches.remove(0);
    let served = if serve { transfer(sides, by, &request) } else { None };
    let side = &mut sides[by];
    side.session.handle_fetch(fetch, if served.is_some() { FetchUpdate::Done } else { FetchUpdate::Failed });
}

/// Moves a payload as a payload stream does. `None` if it is not to be had.
fn transfer(sides: &mut [Side; 2], by: usize, request: &osier_core::payload::PayloadRequest) -> Option<()> {
    let other = &mut sides[1 - by];
    let entry = other.session.authorise_request(request, &other.store).ok()?;
    assert_eq!((entry.payload_digest(), entry.payload_length()), (request.digest.clone(), request.length));
    let payload = now(other.backend.read_payload(&entry.id(), 0, u64::MAX)).unwrap();
    // No transfer here is interrupted.
    assert!(!request.resume);
    if payload.len() as u64 != request.length {
        return None;
    }
    let mut hasher = PayloadHasher::new();
    hasher.push(&payload);
    let (_, sender) = PayloadSender::open(&hasher.finish().outboard, request).unwrap();
    let (mut sender, mut receiver) = (sender?, PayloadReceiver::slice(&request.digest, request.length, request.slice));
    while let Some((offset, len)) = sender.wants() {
        let from = usize::try_from(offset).unwrap();
        sender.push(&payload[from..from + usize::try_from(len).unwrap()]).unwrap();
    }
    receiver.push(&sender.take()).unwrap();
    receiver.finish().unwrap();
    let (offset, bytes) = receiver.poll_verified()?;
    let side = &mut sides[by];
    let at = (&request.namespace, &request.subspace, &request.path);
    let plan = side.store.plan_payload(at, &entry.id(), offset, bytes, Origin::Peer(SessionId(1)));
    now(side.store.commit(&side.backend, plan)).unwrap();
    Some(())
}

/// What both are interested in is the same on both: where both are live, and if nothing happened meanwhile everywhere.
fn agree(sides: &[Side; 2], changed: bool) {
    let interest = |area: &Area| PrivateInterest::new(namespace(true).0, area.subspace().cloned(), area.path().clone());
    for (own, own_mode) in &sides[0].interested {
        for (peer, peer_mode) in &sides[1].interested {
            let comparable = interest(own).is_comparable(&interest(peer));
            let Some(area) = own.intersection(peer).ok().filter(|_| comparable) else { continue };
            // An intent that joins when the session ends is for another one.
            let current = (*own_mode, *peer_mode) == (Mode::Live, Mode::Live) && !sides.iter().any(|side| side.finished);
            if changed && !current {
                continue;
            }
            for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
                let others: Vec<_> = other.store.entries(&namespace(true).0, &Area::full()).map(|entry| entry.entry()).collect();
                for entry in side.store.entries(&namespace(true).0, &area).map(|entry| entry.entry()) {
                    // An entry outside of the area may prune one that is in it.
                    let there = others.iter().any(|other| *other == entry || other.prunes(&entry));
                    assert!(there, "two honest peers disagree in {area:?} about {entry:?}");
                }
            }
        }
    }
    if !changed && sides[0].interested.iter().chain(&sides[1].interested).all(|(_, mode)| *mode == Mode::Once) {
        assert!(sides.iter().all(|side| side.finished), "a session without an end");
        assert!(sides.iter().all(|side| side.done.len() as u64 == side.intents), "an intent that is not done");
    }
}

/// Two honest sides come to rest.
fn finish(sides: &mut [Side; 2]) {
    for round in 0.. {
        assert!(round < 20_000, "two sessions talk for ever");
        let mut idle = true;
        for number in 0..2 {
            idle &= sides[number].frames.is_empty() && sides[number].fetches.is_empty();
            deliver(sides, number, 3);
            fetch(sides, number, true);
            if sides[number].finished && sides[number].frames.is_empty() && !std::mem::replace(&mut sides[number].told, true) {
                let peer = &mut sides[1 - number].session;
                peer.handle_finished(Moment(1)).expect("an honest peer finishes in the middle of something");
                idle = false;
            }
        }
        for side in sides.iter_mut() {
            assert!(side.error.is_none(), "an honest peer is accused: {:?}", side.error);
            idle &= !side.drain();
        }
        if idle {
            return;
        }
    }
}

/// The result of a future that never has to wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a future of the core waits for something"),
    }
}

/// Honest and dishonest sessions of few entries.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut sequence = super::input::Sequence(5);
    let mut seeds = Vec::new();
    for number in 0..60_u8 {
        let mut seed = vec![number];
        for _ in 0..2 {
            let count = number % 12;
            seed.push(count);
            // Of a size that leaves the rest where it should be, mostly.
            seed.extend(sequence.bytes(usize::from(count) * 6));
            seed.extend([0, number / 2]);
        }
        let wild = if number % 2 == 0 { 10 } else { 16 };
        for byte in sequence.bytes(100) {
            seed.push(byte % wild);
        }
        seeds.push(seed);
    }
    // An answer that is under way when what it is about has ended.
    seeds.push(vec![
        24, 0, 91, 0, 12, 0, 0, 12, 2, 2, 2, 8, 9, 0, 9, 7, 2, 1, 1, 5, 3, 2, 6, 6, 2, 3, 8, 9, 4, 1, 3, 4, 6, 8, 132, 4, 3, 5, 9, 7, 3, 8,
        0, 7, 7, 1, 0, 6, 5, 5, 1, 5, 5, 6, 1, 8, 9, 3, 8, 4, 7, 3, 0, 5, 0, 6, 6, 1, 1, 0, 0, 6, 6, 1, 8, 1, 5, 9, 3, 8, 6, 0, 0, 4, 2, 3,
        1, 3, 2, 2, 2, 5, 2, 8, 3, 5, 0, 6, 4, 5, 0, 3, 6, 1, 9, 7, 1, 2,
    ]);
    seeds
}
