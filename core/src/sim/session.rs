//! A session's task: carries bytes, results and news between a connection, the store and the session machine.
//!
//! This follows `src/node/session.rs` of the crate `osier`: one thing at a time is taken in, then everything is carried out that the
//! session has to say.

use std::collections::{BTreeMap, VecDeque};

use super::{
    Kind, Mistake,
    data::{Spot, TAI},
    driver::{Local, Node},
    network::{Packet, Stage, role},
    storage::Write,
    transfer::{Download, FetchFailure},
    world::World,
};
use crate::{
    IntentId, Moment, PeerId, SessionId,
    payload::{PayloadRequest, PayloadStatus},
    peers::{self, Cause, ConnId, Input},
    store::{Incoming, Outcome, StoredEntry},
    sync::{
        BatchId, Clock, Completion, FetchId, FetchUpdate, IntentMode, InterestId, Output, OwnInterest, Policy, ReadId, Session,
        SessionConfig, Tuning,
    },
};

/// A session that finishes tells of its progress this often, in microseconds.
const PROGRESS_INTERVAL: u64 = 1_000_000;
/// The first of the names of accept intents.
const ACCEPT: u64 = 1 << 40;

/// What reaches a running session from elsewhere in the node.
#[derive(Debug)]
pub(super) enum Command {
    AddIntent(IntentId),
    AddAccept,
    DropAccept,
    Withdraw(IntentId),
    Finish,
    Abort,
    Probe,
    Ingested(BatchId, Vec<Outcome>),
    PayloadRead(ReadId, Option<Vec<u8>>),
    FetchProgress(FetchId, u64, u64),
    Fetched(FetchId, Result<(), FetchFailure>),
    Asked(u64, Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outgoing {
    Open,
    Finishing,
    Done,
}

/// A session and everything that runs for it.
pub(super) struct Task {
    pub(super) peer: PeerId,
    pub(super) conn: usize,
    pub(super) session: Session,
    receiver: usize,
    commands: VecDeque<Command>,
    outgoing: Outgoing,
    peer_finished: bool,
    accept: Option<IntentId>,
    pub(super) fetches: BTreeMap<FetchId, Download>,
    started: bool,
    waking: bool,
    changed: bool,
    armed: Option<Moment>,
    finishing: bool,
    reported: Moment,
    /// The manager has ended it.
    pub(super) aborted: bool,
}

impl Task {
    /// Whether the peer was accepted with everything held.
    pub(super) fn accepts(&self) -> bool {
        self.accept.is_some()
    }

    /// Whether there is something to take in.
    fn is_ready(&self, node: &super::network::End) -> bool {
        let piece = !self.peer_finished && (!node.inbox.is_empty() || node.got_fin || node.ended.is_some());
        let gone = match self.outgoing {
            Outgoing::Open => false,
            Outgoing::Finishing => node.fin_acked || node.ended.is_some(),
            Outgoing::Done => false,
        };
        !self.started || !self.commands.is_empty() || piece || gone || self.changed
    }
}

impl Node {
    /// The session on a connection.
    pub(super) fn session_on(&self, conn: usize) -> Option<SessionId> {
        self.sessions.iter().find(|(_, task)| task.conn == conn).map(|(&id, _)| id)
    }
}

impl World {
    pub(super) fn start_session(&mut self, node: usize, id: SessionId, conn: usize, peer: PeerId, accept: bool, intents: &[IntentId]) {
        let side = self.side_of(conn, node);
        let double = self.nodes[node].sessions.iter().find(|(_, task)| task.peer == peer && !task.aborted).map(|(&other, _)| other);
        if let Some(other) = double {
            self.find(Kind::Double, || format!("node {node} starts {id:?} with {peer} while {other:?} is active"));
        }
        let end = &mut self.conns[conn].ends[side];
        if !self.nodes[node].known.contains_key(&conn) || end.stage != Stage::Established {
            return self.input(node, Input::SessionEnded { session: id, cause: Cause::Lost });
        }
        end.stage = Stage::InSession;
        let [own, theirs] = [side, 1 - side].map(|side| self.conns[conn].ends[side].hello.clone());
        let (Some(own_hello), Some(peer_hello)) = (own, theirs) else { return };
        let receiver = self.universe.receiver_index(&own_hello.receiver);
        let tuning = Tuning { inline_max: self.nodes[node].plan.inline_max, ..Tuning::default() };
        let config = SessionConfig {
            role: role(side),
            session_secret: self.conns[conn].secret,
            id,
            own_hello,
            peer_hello,
            clock: Clock { at: self.now, tai: TAI.saturating_add(self.now.0).into() },
            tuning,
            policy: Policy::default(),
        };
        let mut task = Task {
            peer,
            conn,
            session: Session::new(config, self.now),
            receiver,
            commands: VecDeque::new(),
            outgoing: Outgoing::Open,
            peer_finished: false,
            accept: None,
            fetches: BTreeMap::new(),
            started: false,
            waking: false,
            changed: false,
            armed: None,
            finishing: false,
            reported: self.now,
            aborted: false,
        };
        for &intent in intents {
            self.add_intent(node, &mut task, intent);
        }
        if accept {
            self.add_accept(node, &mut task);
        }
        self.nodes[node].sessions.insert(id, task);
        self.take_asks(conn, side);
        self.wake(node, id);
    }

    /// The interests of an intent, for the key of a session.
    fn interests(&mut self, node: usize, task: &mut Task, part: Option<Spot>) -> Vec<OwnInterest> {
        let holds = self.nodes[node].plan.holds.iter();
        let spots: Vec<Spot> = holds.filter_map(|&held| part.map_or(Some(held), |part| part.meet(held))).collect();
        let side = self.side_of(task.conn, node);
        self.conns[task.conn].shown[side].extend(&spots);
        let interest = |&spot: &Spot| OwnInterest {
            id: InterestId(0),
            capability: self.universe.reader(spot, task.receiver),
            max_count: None,
            max_size: None,
            max_payload_power: 14,
        };
        spots.iter().map(interest).collect()
    }

    fn add_intent(&mut self, node: usize, task: &mut Task, id: IntentId) {
        // What a session that was aborted has not taken in yet is another one's by now.
        let Some(intent) = self.nodes[node].intents.get_mut(&id).filter(|intent| intent.settled.is_none() && !task.aborted) else { return };
        intent.story.begin();
        let (part, mode) = (intent.part, intent.mode);
        let interests = self.interests(node, task, part);
        task.session.add_intent(id, interests, mode);
    }

    fn add_accept(&mut self, node: usize, task: &mut Task) {
        if task.accept.is_none() {
            self.next_intent += 1;
            let id = IntentId(ACCEPT + self.next_intent);
            let interests = self.interests(node, task, None);
            task.session.add_intent(id, interests, IntentMode::FollowPeer);
            task.accept = Some(id);
        }
    }

    /// A command for a session; what comes too late for one is dropped.
    pub(super) fn command(&mut self, node: usize, id: SessionId, command: Command) {
        if let Some(task) = self.nodes[node].sessions.get_mut(&id) {
            task.aborted |= matches!(command, Command::Abort);
            task.commands.push_back(command);
            self.wake(node, id);
        }
    }

    fn wake(&mut self, node: usize, id: SessionId) {
        if let Some(task) = self.nodes[node].sessions.get_mut(&id)
            && !std::mem::replace(&mut task.waking, true)
        {
            let stalled = self.nodes[node].stalled_until.micros_since(self.now);
            let lag = self.lag(node).max(stalled);
            self.local(node, lag, Local::Work(id));
        }
    }

    /// Something has happened to an end that its session may want to know.
    pub(super) fn wake_on(&mut self, conn: usize, side: usize) {
        let node = self.conns[conn].nodes[side];
        if self.nodes[node].life == self.conns[conn].lives[side]
            && let Some(id) = self.nodes[node].session_on(conn)
        {
            self.wake(node, id);
        }
    }

    /// The store has changed.
    pub(super) fn wake_all(&mut self, node: usize) {
        let ids: Vec<SessionId> = self.nodes[node].sessions.keys().copied().collect();
        for id in ids {
            if let Some(task) = self.nodes[node].sessions.get_mut(&id) {
                task.changed = true;
            }
            self.wake(node, id);
        }
    }

    pub(super) fn session_timer(&mut self, node: usize, id: SessionId, at: Moment) {
        let now = self.now;
        if let Some(task) = self.nodes[node].sessions.get_mut(&id)
            && task.armed == Some(at)
        {
            task.armed = None;
            task.session.handle_timeout(now);
            task.changed = true;
            self.wake(node, id);
        }
    }

    /// A session takes in one thing and carries out what follows.
    pub(super) fn work(&mut self, node: usize, id: SessionId) {
        let Some(mut task) = self.nodes[node].sessions.remove(&id) else { return };
        task.waking = false;
        let side = self.side_of(task.conn, node);
        let result = self.take_one(node, id, &mut task).and_then(|()| self.drain(node, id, &mut task));
        let over = task.peer_finished && task.outgoing == Outgoing::Done;
        if result.is_ok() && !over {
            let ready = task.is_ready(&self.conns[task.conn].ends[side]);
            let deadline = task.session.next_deadline().map(|(at, _reason)| at);
            if deadline != task.armed {
                task.armed = deadline;
                if let Some(at) = deadline {
                    let wait = at.micros_since(self.now);
                    self.local(node, wait, Local::SessionTimer(id, at));
                }
            }
            self.nodes[node].sessions.insert(id, task);
            if ready {
                self.wake(node, id);
            }
            return;
        }
        task.session.close_in(&mut self.nodes[node].storage.store);
        self.note("session over", &[node as u64, id.0, u64::from(over)]);
        self.input(
            node,
            match result {
                Ok(()) => Input::SessionComplete { session: id },
                Err(cause) => Input::SessionEnded { session: id, cause },
            },
        );
    }

    fn take_one(&mut self, node: usize, id: SessionId, task: &mut Task) -> Result<(), Cause> {
        if !std::mem::replace(&mut task.started, true) {
            return Ok(());
        }
        if let Some(command) = task.commands.pop_front() {
            return self.take_command(node, id, task, command);
        }
        let side = self.side_of(task.conn, node);
        let end = &self.conns[task.conn].ends[side];
        if !task.peer_finished && (!end.inbox.is_empty() || end.got_fin || end.ended.is_some()) {
            return self.take_pieces(node, id, task, side);
        }
        if task.outgoing == Outgoing::Finishing {
            if end.fin_acked {
                task.outgoing = Outgoing::Done;
            } else if let Some(cause) = end.ended {
                return Err(cause);
            }
        }
        task.changed = false;
        Ok(())
    }

    /// All bytes that are at hand.
    fn take_pieces(&mut self, node: usize, id: SessionId, task: &mut Task, side: usize) -> Result<(), Cause> {
        let conn = task.conn;
        let mut read = 0;
        while let Some(bytes) = self.conns[conn].ends[side].inbox.pop_front() {
            read += bytes.len();
            let taken = task.session.handle_bytes(self.now, &bytes, &mut self.nodes[node].storage.store);
            taken.map_err(|error| Cause::Violation(error.code()))?;
        }
        if read > 0 {
            self.send(conn, side, Packet::Room(read));
        }
        let end = &self.conns[conn].ends[side];
        if end.got_fin {
            task.peer_finished = true;
            task.session.handle_finished(self.now).map_err(|error| Cause::Violation(error.code()))?;
        } else if let Some(cause) = end.ended {
            return Err(cause);
        }
        self.report_progress(node, id, task);
        Ok(())
    }

    /// While finishing, the manager's deadline is to be restarted as long as bytes move.
    fn report_progress(&mut self, node: usize, id: SessionId, task: &mut Task) {
        if task.finishing && self.now.micros_since(task.reported) > PROGRESS_INTERVAL {
            task.reported = self.now;
            self.input(node, Input::SessionProgress { session: id });
        }
    }

    fn take_command(&mut self, node: usize, id: SessionId, task: &mut Task, command: Command) -> Result<(), Cause> {
        match command {
            Command::AddIntent(intent) => self.add_intent(node, task, intent),
            Command::AddAccept => self.add_accept(node, task),
            Command::DropAccept => {
                if let Some(accept) = task.accept.take() {
                    task.session.close_intent(accept);
                }
            }
            Command::Withdraw(intent) => task.session.close_intent(intent),
            Command::Finish => {
                task.finishing = true;
                task.session.finish();
            }
            Command::Abort => return Err(Cause::LocallyClosed),
            Command::Probe => task.session.probe(),
            Command::Ingested(batch, outcomes) => task.session.handle_ingested(batch, &outcomes, &self.nodes[node].storage.store),
            Command::PayloadRead(read, bytes) => task.session.handle_payload_read(read, bytes),
            Command::FetchProgress(fetch, received, total) => {
                task.session.handle_fetch(fetch, FetchUpdate::Progress { received, total });
                self.report_progress(node, id, task);
            }
            Command::Fetched(fetch, result) => {
                task.fetches.remove(&fetch);
                match result {
                    Ok(()) => task.session.handle_fetch(fetch, FetchUpdate::Done),
                    Err(FetchFailure::Violation(rule)) => return Err(Cause::Violation(rule)),
                    Err(FetchFailure::EntryGone | FetchFailure::NotThere | FetchFailure::Broken) => {
                        task.session.handle_fetch(fetch, FetchUpdate::Failed);
                    }
                }
            }
            Command::Asked(stream, bytes) => {
                let request = PayloadRequest::decode(&bytes).map_err(|_| Cause::Violation("payloadRequest"))?;
                let answer: Result<StoredEntry, PayloadStatus> = task.session.authorise_request(&request, &self.nodes[node].storage.store);
                self.answer_ask(node, task.conn, stream, request, answer);
            }
        }
        Ok(())
    }

    /// Carries out everything that the session has to say, until it has no more.
    fn drain(&mut self, node: usize, id: SessionId, task: &mut Task) -> Result<(), Cause> {
        let (conn, side) = (task.conn, self.side_of(task.conn, node));
        loop {
            while let Some(output) = task.session.poll_output(self.now, &mut self.nodes[node].storage.store) {
                self.carry_out_for(node, id, task, output)?;
            }
            while task.outgoing == Outgoing::Open {
                let space = self.conns[conn].window.saturating_sub(self.conns[conn].ends[side].flight);
                let Some(bytes) = task.session.poll_transmit(self.now, &mut self.nodes[node].storage.store, space) else { break };
                if let Some(cause) = self.conns[conn].ends[side].ended {
                    return Err(cause);
                }
                self.conns[conn].ends[side].flight += bytes.len();
                self.send(conn, side, Packet::Data(bytes));
            }
            match task.session.poll_output(self.now, &mut self.nodes[node].storage.store) {
                Some(output) => self.carry_out_for(node, id, task, output)?,
                None => return Ok(()),
            }
        }
    }

    fn carry_out_for(&mut self, node: usize, id: SessionId, task: &mut Task, output: Output) -> Result<(), Cause> {
        match output {
            Output::Ingest { batch, entries } => {
                self.check_shared(node, task, &entries);
                if self.options.mistake == Some(Mistake::StoredTooEarly) {
                    let store = &self.nodes[node].storage.store;
                    task.session.handle_ingested(batch, store.plan(entries.clone()).outcomes(), store);
                }
                self.write(node, Write::Ingest(id, batch, entries));
            }
            Output::Held(evidence) => self.learn(node, evidence),
            Output::ReadPayload { read, entry, len } => {
                let lag = self.lag(node);
                self.local(node, lag, Local::Read(id, read, entry, len));
            }
            Output::FetchPayload { fetch, request } => {
                let lag = self.lag(node);
                self.local(node, lag, Local::Fetch(id, fetch, Box::new(request)));
            }
            Output::Event { intent, event } => {
                let told = self.nodes[node].intents.get_mut(&intent).filter(|_| !task.aborted);
                if let Some(Err(fault)) = told.map(|intent| intent.story.tell(&event)) {
                    self.find(Kind::Diverged, || format!("node {node} told {intent:?} of {event:?}: {fault}"));
                }
            }
            Output::IntentDone { intent, completion } => {
                if task.accept != Some(intent) {
                    let outcome = Ok(match completion {
                        Completion::Complete => peers::Completion::Complete,
                        Completion::Partial => peers::Completion::Partial,
                        Completion::NothingInCommon => peers::Completion::NothingInCommon,
                    });
                    self.input(node, Input::IntentDone { session: id, intent, outcome });
                }
            }
            Output::PeerFinished => self.input(node, Input::PeerFinished { session: id }),
            Output::Finish => {
                let side = self.side_of(task.conn, node);
                task.outgoing = Outgoing::Finishing;
                if self.conns[task.conn].ends[side].open {
                    self.send(task.conn, side, Packet::Fin);
                }
            }
            Output::Probed => self.input(node, Input::ProbeAnswered { session: id }),
            Output::Failed(error) => return Err(Cause::Violation(error.code())),
        }
        Ok(())
    }

    /// Nothing may arrive that lies outside of what both sides have shown.
    fn check_shared(&mut self, node: usize, task: &Task, entries: &[Incoming]) {
        let other = self.nodes[node].number_of(task.peer);
        let [mine, theirs] = &self.conns[task.conn].shown;
        let both: Vec<Spot> = mine.iter().flat_map(|mine| theirs.iter().filter_map(|&theirs| mine.meet(theirs))).collect();
        for Incoming { entry, .. } in entries {
            if !both.iter().any(|&spot| self.universe.includes(spot, &entry.entry)) {
                self.find(Kind::Leaked, || format!("node {node} got an entry from {other} that they do not share: {:?}", entry.entry));
            }
        }
    }

    /// A payload was read for a session.
    pub(super) fn read(&mut self, node: usize, id: SessionId, read: ReadId, entry: &crate::willow::EntryId, len: u64) {
        let bytes = self.nodes[node].storage.read(entry, 0, len).filter(|bytes| bytes.len() as u64 == len);
        self.command(node, id, Command::PayloadRead(read, bytes));
    }

    /// Whether both nodes have an active session with each other, on the same connection.
    pub(super) fn together(&self, a: usize, b: usize) -> bool {
        let on = |node: usize, peer: usize| -> Option<ConnId> {
            let peers = self.nodes[node].manager.peers();
            let info = peers.into_iter().find(|info| info.peer == super::driver::id_of(peer))?;
            info.session.and(info.conn)
        };
        on(a, b).is_some() && on(a, b) == on(b, a)
    }
}
