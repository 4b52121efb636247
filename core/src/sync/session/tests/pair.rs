//! Two sessions, the stream between them, and what their drivers would do, in any order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::world::{Disk, World};
use crate::{
    Generation, IntentId, Moment, Role, SessionId,
    payload::PayloadRequest,
    store::{Backend, EntryRef, Evidence, Incoming, Origin, Store, StoredEntry},
    sync::{
        BatchId, Clock, Completion, FetchId, FetchUpdate, Hello, IntentMode, Limits, Output, OwnInterest, Policy, ReadId, Session,
        SessionConfig, SessionEvent, SyncError, Tuning, overlap::InterestId,
    },
    willow::{Area, EntryId, SubspaceSecret, codec::ready},
};

/// TAI microseconds at `Moment(0)` in tests.
pub(super) const TAI: u64 = 1_000_000_000_000;
pub(super) const SECRET: [u8; 32] = [9; 32];

/// A small generator for interleavings.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound.max(1) as u64) as usize
    }
}

/// Something that a driver has been asked to do.
enum Task {
    Ingest(BatchId, Vec<Incoming>),
    Read(ReadId, EntryId, u64),
    Fetch(FetchId, Box<PayloadRequest>),
}

pub(super) struct Side {
    pub(super) session: Session,
    pub(super) disk: Disk,
    receiver: SubspaceSecret,
    tasks: VecDeque<Task>,
    /// Bytes that this side has written and the other has not read.
    wire: VecDeque<u8>,
    fin_written: bool,
    fin_read: bool,
    pub(super) events: Vec<(IntentId, SessionEvent)>,
    pub(super) done: BTreeMap<IntentId, Completion>,
    pub(super) peer_finished: bool,
    pub(super) probed: bool,
    pub(super) fetches: u64,
    /// How often the session wanted to go on looking for payloads.
    pub(super) searched: u64,
    id: SessionId,
}

#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) unanswered: [u64; 2],
    pub(super) tuning: Tuning,
    pub(super) policy: Policy,
    /// How many bytes the transport holds in each direction.
    pub(super) transport: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self { unanswered: [1024; 2], tuning: Tuning::default(), policy: Policy::default(), transport: 64 * 1024 }
    }
}

pub(super) fn hello(role: Role, unanswered: u64) -> (Hello, SubspaceSecret) {
    let tag = if role == Role::Alfie { 0xa1 } else { 0xb2 };
    let secret = SubspaceSecret::from_bytes(&[tag; 32]);
    let hello = Hello {
        max_payload_power: 14,
        limits: Limits { unanswered_ranges: unanswered, ..Limits::default() },
        generation: Generation { instance: [tag; 16], counter: 1 },
        receiver: secret.corresponding_subspace_id(),
    };
    (hello, secret)
}

pub(super) fn config(role: Role, setup: &Setup) -> SessionConfig {
    let index = usize::from(role == Role::Betty);
    SessionConfig {
        role,
        session_secret: SECRET,
        id: SessionId(1 + index as u64),
        own_hello: hello(role, setup.unanswered[index]).0,
        peer_hello: hello(role.other(), setup.unanswered[1 - index]).0,
        clock: Clock { at: Moment(0), tai: TAI.into() },
        tuning: setup.tuning,
        policy: setup.policy,
    }
}

impl Side {
    fn new(role: Role, setup: &Setup) -> Self {
        let config = config(role, setup);
        let id = config.id;
        Self {
            session: Session::new(config, Moment(0)),
            disk: Disk::default(),
            receiver: hello(role, 1).1,
            tasks: VecDeque::new(),
            wire: VecDeque::new(),
            fin_written: false,
            fin_read: false,
            events: Vec::new(),
            done: BTreeMap::new(),
            peer_finished: false,
            probed: false,
            fetches: 0,
            searched: 0,
            id,
        }
    }

    pub(super) fn interest(&self, world: &World, area: &Area) -> OwnInterest {
        let capability = world.read(area, &self.receiver.corresponding_subspace_id());
        OwnInterest { id: InterestId(0), capability, max_count: None, max_size: None, max_payload_power: 14 }
    }

    pub(super) fn intent(&mut self, id: u64, world: &World, areas: &[Area], mode: impl Into<IntentMode>) {
        let interests = areas.iter().map(|area| self.interest(world, area)).collect();
        self.session.add_intent(IntentId(id), interests, mode);
    }

    /// Names of the events of an intent, without progress.
    pub(super) fn story(&self, id: u64) -> Vec<&'static str> {
        let of = self.events.iter().filter(|(intent, _)| *intent == IntentId(id));
        of.filter_map(|(_, event)| {
            Some(match event {
                SessionEvent::Overlap { .. } => "overlap",
                SessionEvent::Reconciled { .. } => "reconciled",
                SessionEvent::ReconciledAll => "reconciledAll",
                SessionEvent::NothingInCommon => "nothing",
                SessionEvent::Unsupported { .. } => "unsupported",
                SessionEvent::Payload { .. } => "payload",
                SessionEvent::Progress { .. } => return None,
            })
        })
        .collect()
    }

    /// The peer is said to hold something: it must have it, whole, or something newer in its place.
    fn learn(&mut self, evidence: &Evidence, peer: &Store) {
        let unheld = |store: &Store| -> Vec<(StoredEntry, bool)> {
            let of = |entry: EntryRef<'_>| entry.is_unheld().then(|| (entry.stored().clone(), entry.is_complete()));
            match evidence {
                Evidence::Entries(entries) => {
                    let here = |entry: &StoredEntry| store.get(entry.namespace_id(), entry.subspace_id(), &entry.path());
                    entries.iter().filter_map(here).filter_map(of).collect()
                }
                Evidence::Range { namespace, range, .. } => store.entries(namespace, &**range).filter_map(of).collect(),
            }
        };
        let before = unheld(&self.disk.store);
        self.disk.store.learn(evidence);
        let after: BTreeSet<EntryId> = unheld(&self.disk.store).iter().map(|(entry, _)| entry.id()).collect();
        for (entry, complete) in before.into_iter().filter(|(entry, _)| !after.contains(&entry.id())) {
            let path = entry.path();
            let there = peer.get(entry.namespace_id(), entry.subspace_id(), &path).filter(|there| there.id() == entry.id());
            let newer = peer.newest_in_way(entry.namespace_id(), entry.subspace_id(), &path) >= Some(entry.timestamp());
            let held = there.map_or(newer, |there| there.is_complete() || !complete);
            assert!(held, "{evidence:?}, but the peer does not hold {entry:?}");
        }
    }

    pub(super) fn finished(&self) -> bool {
        self.fin_written
    }
}

pub(super) struct Pair {
    pub(super) sides: [Side; 2],
    pub(super) now: Moment,
    transport: usize,
}

impl Pair {
    pub(super) fn new(setup: Setup) -> Self {
        Self { sides: [Side::new(Role::Alfie, &setup), Side::new(Role::Betty, &setup)], now: Moment(0), transport: setup.transport }
    }

    pub(super) fn alfie(&mut self) -> &mut Side {
        &mut self.sides[0]
    }

    pub(super) fn betty(&mut self) -> &mut Side {
        &mut self.sides[1]
    }

    /// Takes all outputs of a side; whether there were any.
    pub(super) fn outputs(&mut self, i: usize) -> bool {
        let mut any = false;
        loop {
            let side = &mut self.sides[i];
            let Some(output) = side.session.poll_output(self.now, &mut side.disk.store) else {
                if side.session.next_deadline().is_some_and(|(at, _)| at <= self.now) {
                    side.session.handle_timeout(self.now);
                    side.searched += 1;
                    continue;
                }
                break;
            };
            any = true;
            match output {
                Output::Ingest { batch, entries } => side.tasks.push_back(Task::Ingest(batch, entries)),
                Output::ReadPayload { read, entry, len } => side.tasks.push_back(Task::Read(read, entry, len)),
                Output::FetchPayload { fetch, request } => side.tasks.push_back(Task::Fetch(fetch, Box::new(request))),
                Output::Held(evidence) => {
                    let [a, b] = &mut self.sides;
                    let (side, other) = if i == 0 { (a, b) } else { (b, a) };
                    side.learn(&evidence, &other.disk.store);
                }
                Output::Event { intent, event } => side.events.push((intent, event)),
                Output::IntentDone { intent, completion } => {
                    assert!(side.done.insert(intent, completion).is_none(), "an intent is done twice");
                }
                Output::PeerFinished => side.peer_finished = true,
                Output::Finish => {
                    assert!(!side.fin_written, "finished twice");
                    side.fin_written = true;
                }
                Output::Probed => side.probed = true,
                Output::Failed(error) => panic!("{error}"),
            }
        }
        any
    }

    /// Writes at most `most` bytes of a side to the wire.
    pub(super) fn write(&mut self, i: usize, most: usize) -> bool {
        let side = &mut self.sides[i];
        let space = self.transport.saturating_sub(side.wire.len()).min(most);
        let Some(bytes) = side.session.poll_transmit(self.now, &mut side.disk.store, space) else { return false };
        assert!(!bytes.is_empty() && bytes.len() <= space);
        assert!(!side.fin_written, "bytes after the end");
        side.wire.extend(bytes);
        true
    }

    /// Gives a side at most `most` bytes that the other has written.
    pub(super) fn read(&mut self, i: usize, most: usize) -> Result<bool, SyncError> {
        let wire = &mut self.sides[1 - i].wire;
        let bytes: Vec<u8> = wire.drain(..wire.len().min(most)).collect();
        let fin = wire.is_empty() && self.sides[1 - i].fin_written;
        let side = &mut self.sides[i];
        if !bytes.is_empty() {
            side.session.handle_bytes(self.now, &bytes, &mut side.disk.store)?;
            return Ok(true);
        }
        if fin && !side.fin_read {
            side.fin_read = true;
            side.session.handle_finished(self.now)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Does one of the tasks of a side.
    pub(super) fn task(&mut self, i: usize, choice: usize) -> bool {
        if self.sides[i].tasks.is_empty() {
            return false;
        }
        // The store has one writer: batches stay in order, anything else may overtake them.
        let choice = choice % self.sides[i].tasks.len();
        let first_ingest = self.sides[i].tasks.iter().position(|task| matches!(task, Task::Ingest(..)));
        let at = match self.sides[i].tasks[choice] {
            Task::Ingest(..) => first_ingest.unwrap_or(choice),
            _ => choice,
        };
        match self.sides[i].tasks.remove(at) {
            Some(Task::Ingest(batch, entries)) => {
                let side = &mut self.sides[i];
                let plan = side.disk.store.plan(entries);
                let outcomes = ready(side.disk.store.commit(&side.disk.backend, plan)).unwrap().unwrap();
                side.session.handle_ingested(batch, &outcomes, &side.disk.store);
            }
            Some(Task::Read(read, entry, len)) => {
                let side = &mut self.sides[i];
                let bytes = ready(side.disk.backend.read_payload(&entry, 0, len)).unwrap().unwrap();
                side.session.handle_payload_read(read, (bytes.len() as u64 == len).then_some(bytes));
            }
            Some(Task::Fetch(fetch, request)) => self.fetch(i, fetch, &request),
            None => {}
        }
        true
    }

    fn fetch(&mut self, i: usize, fetch: FetchId, request: &PayloadRequest) {
        self.sides[i].fetches += 1;
        let other = &mut self.sides[1 - i];
        let served = other.session.authorise_request(request, &other.disk.store).ok().and_then(|entry| {
            let start = request.slice.start();
            let bytes = ready(other.disk.backend.read_payload(&entry.id(), start, request.length - start)).unwrap().unwrap();
            (bytes.len() as u64 + start == request.length).then_some((entry, bytes))
        });
        let side = &mut self.sides[i];
        let Some((entry, bytes)) = served else { return side.session.handle_fetch(fetch, FetchUpdate::Failed) };
        let key = (&request.namespace, &request.subspace, &request.path);
        let plan = side.disk.store.plan_payload(key, &entry.id(), request.slice.start(), bytes, Origin::Peer(side.id));
        ready(side.disk.store.commit(&side.disk.backend, plan)).unwrap().unwrap();
        side.session.handle_fetch(fetch, FetchUpdate::Progress { received: request.length / 2, total: request.length });
        side.session.handle_fetch(fetch, FetchUpdate::Done);
    }

    /// One random step of one side.
    pub(super) fn random_step(&mut self, random: &mut Random, most: usize) -> Result<(), SyncError> {
        let i = random.below(2);
        match random.below(5) {
            0 => {
                self.outputs(i);
            }
            1 => {
                let most = 1 + random.below(most);
                self.write(i, most);
            }
            2 | 3 => {
                let most = 1 + random.below(most);
                self.read(i, most)?;
            }
            _ => {
                let choice = random.below(8);
                self.task(i, choice);
            }
        }
        Ok(())
    }

    /// Goes on until nothing moves any more.
    pub(super) fn run(&mut self) -> Result<(), SyncError> {
        for _ in 0..1_000_000 {
            let mut moved = false;
            for i in 0..2 {
                moved |= self.outputs(i);
                moved |= self.write(i, usize::MAX);
                moved |= self.read(i, usize::MAX)?;
                moved |= self.task(i, 0);
            }
            if !moved {
                return Ok(());
            }
        }
        panic!("the sessions never come to rest")
    }

    /// Lets both sides speak in turns, each saying all that it can; how many turns brought bytes of reconciliation.
    pub(super) fn run_in_turns(&mut self) -> u64 {
        let mut turns = 0;
        let mut silent = 0;
        let mut i = 0;
        while silent < 2 {
            let before = self.sides[i].session.stats().reconciliation_sent;
            let mut spoke = false;
            while self.outputs(i) | self.task(i, 0) | self.write(i, usize::MAX) {
                spoke = true;
            }
            turns += u64::from(self.sides[i].session.stats().reconciliation_sent > before);
            silent = if spoke { 0 } else { silent + 1 };
            while self.read(1 - i, usize::MAX).unwrap() {}
            i = 1 - i;
        }
        turns
    }

    pub(super) fn assert_over(&self) {
        for side in &self.sides {
            assert!(side.fin_written && side.fin_read && side.peer_finished && side.session.is_finished(), "the session does not end");
            assert!(side.tasks.is_empty());
        }
    }
}
