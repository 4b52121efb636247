//! One session: carries bytes, results and news between a connection, the store and `osier_core::sync::Session`.
//!
//! Everything that can take time (writes, reads of payloads, transfers) runs beside the loop and comes back as a [`Command`], so that
//! nothing that one of them waits for stops the others. Its failure is reported to the peer manager and touches nothing else.

use std::{collections::BTreeMap, num::NonZeroU64, rc::Rc, sync::Arc};

use osier_core::{
    IntentId, Moment, SessionId,
    payload::{PayloadRequest, PayloadStatus},
    peers::{self, Cause, Input},
    store::{Outcome, StoredEntry},
    sync::{self, BatchId, FetchId, FetchUpdate, IntentMode, Output, OwnInterest, ReadId, SyncError},
    wallet::InterestSelection,
    willow::time,
};
use tokio::sync::{mpsc, oneshot, watch};
use willow25::prelude::{Area, NamespaceId, SubspaceId};

use super::{
    Completion, EntryKey, Error, SessionEvent, convert,
    inner::Inner,
    intents::{self, Added},
    log::SessionLog,
    serve::serve_payloads,
    sessions,
    transfer::{self, Fetch, FetchFailure},
};
use crate::{
    net::{Established, Finishing, Inbox, Link, Outbox},
    platform::{self, Task, spawn_local},
};

/// A session that finishes tells of its progress this often, in microseconds.
const PROGRESS_INTERVAL: u64 = 1_000_000;

/// What reaches a running session from elsewhere.
pub(super) enum Command {
    /// From the peer manager.
    AddIntent(IntentId),
    AddAccept(Accepted),
    DropAccept,
    Withdraw(IntentId),
    /// A user here may read more than before.
    InterestsChanged,
    /// An intent wants more than before.
    AddInterests {
        intent: IntentId,
        reply: Added,
    },
    Finish,
    Abort,
    Probe,
    /// Results of what runs beside the loop.
    Ingested {
        batch: BatchId,
        outcomes: Result<Vec<Outcome>, Error>,
    },
    PayloadRead {
        read: ReadId,
        bytes: Option<Vec<u8>>,
    },
    FetchProgress {
        fetch: FetchId,
        received: u64,
        total: u64,
    },
    Fetched {
        fetch: FetchId,
        result: Result<(), FetchFailure>,
    },
    /// May the peer have this?
    Authorise {
        request: PayloadRequest,
        reply: oneshot::Sender<Result<StoredEntry, PayloadStatus>>,
    },
    /// The peer asked in a way that no honest one does.
    BadRequest,
    /// A user asks for the payload at this place; the watcher is dropped when there is nothing more to tell.
    RequestPayload {
        key: EntryKey,
        watcher: FetchWatcher,
    },
}

/// Hears of a transfer that a user asked for: (bytes here, length).
pub(super) type FetchWatcher = mpsc::UnboundedSender<(u64, u64)>;

/// A transfer under way.
struct Transfer {
    key: EntryKey,
    _task: Task,
}

/// Where what leaves goes.
enum Outgoing {
    Open(Outbox),
    Finishing(Finishing),
    Done,
}

/// What the session has been given of what an intent selects: that can grow while the intent lasts.
type Given = Vec<(NamespaceId, Area, Option<NonZeroU64>, Option<u64>)>;

/// With what a session is accepted, and who hears of it.
pub(super) struct Accepted {
    pub(super) log: Arc<SessionLog>,
    pub(super) selection: InterestSelection,
    pub(super) mode: IntentMode,
}

/// The accept intent of a session.
struct AcceptIntent {
    id: IntentId,
    log: Arc<SessionLog>,
    selection: InterestSelection,
    completion: Completion,
}

/// A session and everything that runs for it.
pub(super) struct SessionTask {
    node: Rc<Inner>,
    id: SessionId,
    link: Rc<Link>,
    session: sync::Session,
    /// This node's receiver key in this session.
    receiver: SubspaceId,
    inbox: Inbox,
    outgoing: Outgoing,
    peer_finished: bool,
    commands: mpsc::UnboundedReceiver<Command>,
    results: mpsc::UnboundedSender<Command>,
    changes: watch::Receiver<u64>,
    accept: Option<AcceptIntent>,
    given: BTreeMap<IntentId, Given>,
    fetches: BTreeMap<FetchId, Transfer>,
    watchers: Vec<(EntryKey, FetchWatcher)>,
    _serving: Task,
    finishing: bool,
    reported: Moment,
}

impl SessionTask {
    pub(super) fn new(
        node: Rc<Inner>,
        id: SessionId,
        established: Established,
        (results, commands): (mpsc::UnboundedSender<Command>, mpsc::UnboundedReceiver<Command>),
    ) -> Self {
        let now = node.now();
        let Established { link, role, session_secret, own_hello, peer_hello, send, recv, early, .. } = established;
        let receiver = own_hello.receiver.clone();
        let config = sync::SessionConfig {
            role,
            session_secret,
            id,
            own_hello,
            peer_hello,
            clock: sync::Clock { at: now, tai: time::tai_from_unix_micros(platform::unix_micros()) },
            tuning: sync::Tuning { fetches: node.options.limits.payloads_per_session, ..sync::Tuning::default() },
            policy: sync::Policy { max_future_micros: node.options.max_future_micros, ..sync::Policy::default() },
        };
        let serving = spawn_local(serve_payloads(node.clone(), link.clone(), results.clone()));
        Self {
            id,
            session: sync::Session::new(config, now),
            receiver,
            inbox: Inbox::new(link.clone(), recv, early),
            outgoing: Outgoing::Open(Outbox::new(link.clone(), send)),
            peer_finished: false,
            commands,
            results,
            changes: node.storage.changes(),
            accept: None,
            given: BTreeMap::new(),
            fetches: BTreeMap::new(),
            watchers: Vec::new(),
            _serving: serving,
            finishing: false,
            reported: now,
            link,
            node,
        }
    }

    pub(super) fn node(&self) -> Rc<Inner> {
        self.node.clone()
    }

    /// An own intent joins.
    pub(super) fn add_intent(&mut self, intent: IntentId) {
        let selected = self.node.intents.borrow().selection(intent);
        if let Some((selection, mode)) = selected {
            self.admit(intent, &selection, mode.into());
        }
    }

    /// The session is accepted.
    pub(super) fn add_accept(&mut self, accepted: Accepted) {
        let Accepted { log, selection, mode } = accepted;
        if self.accept.is_none() {
            let id = self.node.shared.next_intent();
            self.admit(id, &selection, mode);
            self.accept = Some(AcceptIntent { id, log, selection, completion: Completion::Partial });
        }
    }

    fn admit(&mut self, intent: IntentId, selection: &InterestSelection, mode: IntentMode) {
        let interests = intents::own_interests(&self.node, &self.receiver, selection);
        self.given.insert(intent, interests.iter().map(given).collect());
        self.session.add_intent(intent, interests, mode);
    }

    /// Gives every intent what there is for it by now and was not before.
    fn widen(&mut self) {
        for (&intent, known) in &mut self.given {
            if !self.session.is_open(intent) {
                continue;
            }
            let selection = match &self.accept {
                Some(accept) if accept.id == intent => Some(accept.selection.clone()),
                _ => self.node.intents.borrow().selection(intent).map(|(selection, _)| selection),
            };
            let Some(selection) = selection else { continue };
            let mut interests = intents::own_interests(&self.node, &self.receiver, &selection);
            interests.retain(|interest| !known.contains(&given(interest)));
            known.extend(interests.iter().map(given));
            self.session.add_interests(intent, interests);
        }
    }

    /// Runs until both directions are finished, or something broke.
    pub(super) async fn run(&mut self) -> Result<(), Cause> {
        let result = self.go().await;
        self.session.close_in(&mut self.node.storage.store_mut());
        if let Some(accept) = self.accept.take() {
            accept.log.settle(match result {
                Ok(()) => Ok(accept.completion),
                Err(cause) => Err(if self.node.shared.is_running() { convert::cause_error(cause) } else { Error::ShuttingDown }),
            });
        }
        result
    }

    /// Keeps the session stream as it is until the connection is closed: letting go of it before would look to the peer as if it was reset.
    pub(super) async fn hold(self) {
        self.link.closed().await;
    }

    async fn go(&mut self) -> Result<(), Cause> {
        loop {
            self.drain()?;
            if self.peer_finished && matches!(self.outgoing, Outgoing::Done) {
                return Ok(());
            }
            self.wait().await?;
        }
    }

    /// Waits for one thing to happen and takes it in.
    async fn wait(&mut self) -> Result<(), Cause> {
        let deadline = self.session.next_deadline().map(|(at, _reason)| at);
        let clock = self.node.clock;
        tokio::select! {
            biased;
            command = self.commands.recv() => match command {
                Some(command) => self.take_command(command)?,
                None => return Err(Cause::Failed("internal")),
            },
            piece = self.inbox.next(), if !self.peer_finished => self.take_piece(piece?)?,
            moved = moved(&self.outgoing) => {
                moved?;
                if matches!(self.outgoing, Outgoing::Finishing(_)) {
                    self.outgoing = Outgoing::Done;
                }
            }
            changed = self.changes.changed() => changed.map_err(|_| Cause::Failed("internal"))?,
            () = clock.sleep_until(deadline.unwrap_or_default()), if deadline.is_some() => self.session.handle_timeout(clock.now()),
        }
        Ok(())
    }

    /// Bytes of the peer: all that are at hand, so that their signatures are verified together.
    fn take_piece(&mut self, piece: Option<Vec<u8>>) -> Result<(), Cause> {
        let mut next = Some(piece);
        while let Some(piece) = next {
            let now = self.node.now();
            match piece {
                Some(bytes) => {
                    self.session.handle_bytes(now, &bytes, &mut self.node.storage.store_mut()).map_err(|error| violation(&error))?
                }
                None => {
                    self.peer_finished = true;
                    return self.session.handle_finished(now).map_err(|error| violation(&error));
                }
            }
            next = self.inbox.try_next()?;
        }
        self.report_progress();
        Ok(())
    }

    /// While finishing, the manager's deadline is to be restarted as long as bytes move.
    fn report_progress(&mut self) {
        let now = self.node.now();
        if self.finishing && now.micros_since(self.reported) > PROGRESS_INTERVAL {
            self.reported = now;
            self.node.input(Input::SessionProgress { session: self.id });
        }
    }

    fn take_command(&mut self, command: Command) -> Result<(), Cause> {
        match command {
            Command::AddIntent(intent) => self.add_intent(intent),
            Command::AddAccept(log) => self.add_accept(log),
            Command::DropAccept => {
                if let Some(accept) = self.accept.take() {
                    self.withdraw(accept.id);
                    accept.log.settle(Ok(Completion::Closed));
                }
            }
            Command::Withdraw(intent) => self.withdraw(intent),
            Command::InterestsChanged => self.widen(),
            Command::AddInterests { intent, reply } => {
                // An intent that is not here takes them along to the session that it will be in.
                let done = self.given.contains_key(&intent) && !self.session.is_open(intent);
                self.widen();
                // Whoever asked may be gone.
                let _ = reply.send(if done { Err(Error::Closed) } else { Ok(()) });
            }
            Command::Finish => {
                self.finishing = true;
                self.session.finish();
            }
            Command::Abort => return Err(Cause::LocallyClosed),
            Command::Probe => self.session.probe(),
            Command::Ingested { batch, outcomes } => {
                let outcomes = outcomes.map_err(|_| Cause::Failed("storage"))?;
                self.session.handle_ingested(batch, &outcomes, &self.node.storage.store());
            }
            Command::PayloadRead { read, bytes } => self.session.handle_payload_read(read, bytes),
            Command::FetchProgress { fetch, received, total } => {
                self.session.handle_fetch(fetch, FetchUpdate::Progress { received, total });
                if let Some(transfer) = self.fetches.get(&fetch) {
                    self.watchers.retain(|(key, watcher)| *key != transfer.key || watcher.send((received, total)).is_ok());
                }
                self.report_progress();
            }
            Command::Fetched { fetch, result } => self.take_fetched(fetch, result)?,
            Command::Authorise { request, reply } => {
                let answer = self.session.authorise_request(&request, &self.node.storage.store());
                // The stream may be over by now.
                let _ = reply.send(answer);
            }
            Command::BadRequest => return Err(Cause::Violation("payloadRequest")),
            Command::RequestPayload { key, watcher } => {
                let wanted = self.session.request_payload(&key.namespace, &key.subspace, &key.path, &self.node.storage.store());
                if wanted {
                    self.watchers.push((key, watcher));
                }
            }
        }
        Ok(())
    }

    fn withdraw(&mut self, intent: IntentId) {
        self.given.remove(&intent);
        self.session.close_intent(intent);
    }

    fn take_fetched(&mut self, fetch: FetchId, result: Result<(), FetchFailure>) -> Result<(), Cause> {
        if let Some(transfer) = self.fetches.remove(&fetch) {
            self.watchers.retain(|(key, _)| *key != transfer.key);
        }
        match result {
            Ok(()) => self.session.handle_fetch(fetch, FetchUpdate::Done),
            Err(FetchFailure::Violation(rule)) => return Err(Cause::Violation(rule)),
            Err(FetchFailure::Storage) => return Err(Cause::Failed("storage")),
            Err(FetchFailure::EntryGone | FetchFailure::NotThere | FetchFailure::Broken) => {
                self.session.handle_fetch(fetch, FetchUpdate::Failed);
            }
        }
        Ok(())
    }

    /// Carries out everything that the session has to say, until it has no more.
    fn drain(&mut self) -> Result<(), Cause> {
        self.changes.borrow_and_update();
        loop {
            while let Some(output) = self.poll_output() {
                self.carry_out(output)?;
            }
            while let Outgoing::Open(outbox) = &self.outgoing {
                let space = outbox.space();
                if space == 0 {
                    break;
                }
                let bytes = self.session.poll_transmit(self.node.now(), &mut self.node.storage.store_mut(), space);
                let Some(bytes) = bytes else { break };
                outbox.push(bytes);
            }
            // What is to be sent may need something first: a payload is to be read.
            match self.poll_output() {
                Some(output) => self.carry_out(output)?,
                None => return Ok(()),
            }
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.session.poll_output(self.node.now(), &mut self.node.storage.store_mut())
    }

    fn carry_out(&mut self, output: Output) -> Result<(), Cause> {
        match output {
            Output::Ingest { batch, entries } => {
                let (node, results) = (self.node.clone(), self.results.clone());
                // Not tied to this session: a write that has begun is finished.
                platform::spawn_detached(async move {
                    let outcomes = node.storage.write_arrivals(entries).await;
                    let _ = results.send(Command::Ingested { batch, outcomes });
                });
            }
            Output::ReadPayload { read, entry, len } => {
                let (node, results) = (self.node.clone(), self.results.clone());
                platform::spawn_detached(async move {
                    let bytes = node.storage.read(&entry, 0, len).await.ok().filter(|bytes| bytes.len() as u64 == len);
                    let _ = results.send(Command::PayloadRead { read, bytes });
                });
            }
            Output::Held(evidence) => self.node.storage.learn(&evidence),
            Output::FetchPayload { fetch, request } => self.start_fetch(fetch, request),
            Output::Event { intent, event } => self.tell(intent, event),
            Output::IntentDone { intent, completion } => self.intent_done(intent, completion),
            Output::PeerFinished => self.node.input(Input::PeerFinished { session: self.id }),
            Output::Finish => {
                self.outgoing = match std::mem::replace(&mut self.outgoing, Outgoing::Done) {
                    Outgoing::Open(outbox) => Outgoing::Finishing(outbox.finish()),
                    other => other,
                };
            }
            Output::Probed => self.node.input(Input::ProbeAnswered { session: self.id }),
            Output::Failed(error) => return Err(violation(&error)),
        }
        Ok(())
    }

    fn start_fetch(&mut self, fetch: FetchId, request: PayloadRequest) {
        let (node, results) = (self.node.clone(), self.results.clone());
        let key = EntryKey { namespace: request.namespace.clone(), subspace: request.subspace.clone(), path: request.path.clone() };
        let way = Fetch { link: self.link.clone(), session: self.id, request };
        let task = spawn_local(async move {
            let progress = |received, total| {
                let _ = results.send(Command::FetchProgress { fetch, received, total });
            };
            let result = transfer::fetch(&node, way, progress).await;
            let _ = results.send(Command::Fetched { fetch, result });
        });
        self.fetches.insert(fetch, Transfer { key, _task: task });
    }

    fn tell(&self, intent: IntentId, event: sync::SessionEvent) {
        let event = SessionEvent::from(event);
        match &self.accept {
            Some(accept) if accept.id == intent => accept.log.push(&event),
            _ => sessions::tell_intent(&self.node, self.id, intent, &event),
        }
    }

    fn intent_done(&mut self, intent: IntentId, completion: sync::Completion) {
        let (own, core) = match completion {
            sync::Completion::Complete => (Completion::Complete, peers::Completion::Complete),
            sync::Completion::Partial => (Completion::Partial, peers::Completion::Partial),
            sync::Completion::NothingInCommon => (Completion::NothingInCommon, peers::Completion::NothingInCommon),
        };
        match &mut self.accept {
            Some(accept) if accept.id == intent => accept.completion = own,
            _ => self.node.input(Input::IntentDone { session: self.id, intent, outcome: Ok(core) }),
        }
    }
}

/// Waits for room, or for the end of what leaves.
async fn moved(outgoing: &Outgoing) -> Result<(), Cause> {
    match outgoing {
        Outgoing::Open(outbox) => outbox.moved().await,
        Outgoing::Finishing(finishing) => finishing.done().await,
        Outgoing::Done => std::future::pending().await,
    }
}

fn given(interest: &OwnInterest) -> (NamespaceId, Area, Option<NonZeroU64>, Option<u64>) {
    let OwnInterest { capability, max_count, max_size, .. } = interest;
    (capability.granted_namespace().clone(), capability.granted_area(), *max_count, *max_size)
}

fn violation(error: &SyncError) -> Cause {
    tracing::debug!("the peer violated the protocol: {error}");
    Cause::Violation(error.code())
}
