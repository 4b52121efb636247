//! The driver: feeds the peer manager and carries out what it says. Boring on purpose.

use std::{rc::Rc, time::Duration};

use osier_core::peers::{self, Action, Config, Event, Input};
use tokio::sync::mpsc;

use super::{
    AcceptPolicy, NodeOptions, PeerEvent, PeerInfo, accept, connections, convert,
    inner::{Inner, Life, tell},
    intents, lifecycle, sessions, status,
};
use crate::platform;

/// Something that a handle wants done on the node's thread.
pub(super) type Job = Box<dyn FnOnce(&Rc<Inner>) + Send>;

/// How long closing the endpoint may take.
const CLOSING: Duration = Duration::from_secs(3);

/// The driver's own state, which nothing else touches.
pub(super) struct Driver {
    node: Rc<Inner>,
    jobs: mpsc::UnboundedReceiver<Job>,
    inputs: mpsc::UnboundedReceiver<Input>,
    stopped: bool,
    /// No handle is left.
    orphaned: bool,
}

/// The peer manager's configuration of a node that started at this time, in Unix milliseconds, later than ever before.
pub(super) fn manager_config(options: &NodeOptions, me: osier_core::PeerId, started: u64) -> Config {
    let mut instance = [0; 16];
    let (time, rest) = instance.split_at_mut(8);
    time.copy_from_slice(&started.to_be_bytes());
    rest.copy_from_slice(&platform::random::<8>());
    Config {
        me,
        instance,
        seed: u64::from_be_bytes(platform::random()),
        accept: match options.accept {
            AcceptPolicy::All => peers::AcceptPolicy::Everyone,
            AcceptPolicy::None | AcceptPolicy::Ask(_) => peers::AcceptPolicy::AskHandler,
        },
        limits: peers::Limits {
            handshakes: options.limits.handshakes,
            per_peer: options.limits.handshakes_per_peer,
            sessions: options.limits.sessions,
        },
    }
}

impl Driver {
    pub(super) fn new(node: Rc<Inner>, jobs: mpsc::UnboundedReceiver<Job>, inputs: mpsc::UnboundedReceiver<Input>) -> Self {
        Self { node, jobs, inputs, stopped: false, orphaned: false }
    }

    /// Runs until the manager has stopped.
    pub(super) async fn run(mut self) {
        let accepting = platform::spawn_local(take_in(self.node.clone()));
        let relays = platform::spawn_local(status::watch_relays(self.node.clone()));
        let storage = platform::spawn_local(status::watch_storage(self.node.clone()));
        let held = platform::spawn_local(status::watch_held(self.node.clone()));
        let pulse = platform::spawn_local(lifecycle::watch_clocks(self.node.clone()));
        let key = platform::spawn_local(lifecycle::watch_key(self.node.clone()));
        while !self.stopped {
            let deadline = self.node.manager.borrow().next_deadline().map(|(at, _reason)| at);
            let clock = self.node.clock;
            tokio::select! {
                biased;
                input = self.inputs.recv() => match input {
                    Some(input) => self.step(input),
                    None => break,
                },
                job = self.jobs.recv(), if !self.orphaned => match job {
                    Some(job) => job(&self.node),
                    // Nobody can ask for a shutdown any more.
                    None => {
                        self.orphaned = true;
                        self.step(Input::Shutdown);
                    }
                },
                () = clock.sleep_until(deadline.unwrap_or_default()), if deadline.is_some() => self.tick(),
            }
        }
        drop((accepting, relays, storage, held, pulse, key));
        self.close().await;
    }

    /// A deadline has come. What happened before it counts as before it.
    fn tick(&mut self) {
        while let Ok(input) = self.inputs.try_recv() {
            self.step(input);
        }
        self.step(Input::Tick);
    }

    fn step(&mut self, input: Input) {
        if let Input::Established { attempt, .. } = input {
            self.node.connections.borrow_mut().dial_is_known(attempt);
        }
        let mut actions = Vec::new();
        self.node.manager.borrow_mut().step(self.node.now(), input, &mut actions);
        for action in actions {
            tracing::trace!(?action);
            self.carry_out(action);
        }
    }

    fn carry_out(&mut self, action: Action) {
        let node = &self.node;
        match action {
            Action::Dial { attempt, peer, generation } => connections::dial(node, attempt, peer, generation),
            Action::Cancel { attempt, code, reason } => connections::cancel(node, attempt, code, reason),
            Action::Refuse { conn } => connections::refuse(node, conn),
            Action::ReadHello { conn } => connections::read_hello(node, conn),
            Action::AskHandler { decision, peer, .. } => accept::ask(node, decision, peer),
            Action::ForgetDecision { decision } => accept::forget(node, decision),
            Action::Establish { attempt, conn, generation, .. } => connections::establish(node, attempt, conn, generation),
            Action::Close { conn, code, reason } => connections::close(node, conn, code, reason),
            Action::StartSession { session, conn, peer, accept, intents, .. } => {
                sessions::start(node, session, conn, peer, accept, &intents);
            }
            Action::HandOver { session, intent } => sessions::hand_over(node, session, intent),
            Action::AddAccept { session, accept } => sessions::add_accept(node, session, accept),
            Action::DropAccept { session } => sessions::drop_accept(node, session),
            Action::WithdrawIntent { session, intent } => sessions::withdraw(node, session, intent),
            Action::FinishSession { session } => sessions::finish(node, session),
            Action::AbortSession { session, .. } => sessions::abort(node, session),
            Action::TerminateGracefully { conn } => connections::terminate(node, conn),
            Action::Probe { session } => sessions::probe(node, session),
            Action::Settle { intent, outcome } => node.intents.borrow_mut().settle(intent, outcome),
            Action::Emit { peer, event } => emit(node, peer, event),
            Action::Stopped => self.stopped = true,
        }
    }

    /// The end: what is under way is finished, everyone who waits hears of it.
    async fn close(mut self) {
        self.node.shared.life.send_if_modified(|life| std::mem::replace(life, Life::Closing) != Life::Closing);
        self.node.storage.close().await;
        // Tasks and entries hold the node, and the node them: undo that.
        let connections = self.node.connections.take();
        drop((connections, self.node.sessions.take(), self.node.questions.take()));
        for watcher in self.node.peer_watchers.borrow_mut().drain(..) {
            watcher.end(None);
        }
        for watcher in self.node.incoming_watchers.borrow_mut().drain(..) {
            watcher.end(None);
        }
        for watcher in self.node.status_watchers.borrow_mut().drain(..) {
            watcher.end(None);
        }
        // Slow at worst: peers that do not hear of it find out by a timeout.
        let _ = platform::timeout(CLOSING, self.node.endpoint.close()).await;
        let key = self.node.key.take();
        if let Some(key) = key {
            key.release().await;
        }
        self.jobs.close();
        while self.jobs.try_recv().is_ok() {}
        self.node.shared.life.send_replace(Life::Over);
    }
}

/// Takes in connections until the endpoint is closed.
async fn take_in(node: Rc<Inner>) {
    while let Some(arrival) = node.endpoint.accept().await {
        connections::arrived(&node, arrival);
    }
}

/// News about a peer, to its intents and to whoever watches peers.
fn emit(node: &Inner, peer: osier_core::PeerId, event: Event) {
    if let Some(event) = intents::session_event(node, event) {
        node.intents.borrow().push_all(peer, &event);
    }
    let now = node.now();
    let event = match event {
        Event::Connecting => PeerEvent::Connecting { peer },
        Event::Established { role } => PeerEvent::Established { peer, role },
        Event::Disconnected { cause, .. } => PeerEvent::Closed { peer, code: convert::code_of(cause), reason: convert::sentence(cause) },
        Event::Reconnecting { retry, .. } => PeerEvent::Reconnecting { peer, retry_millis: convert::retry(retry, now).millis },
        Event::Terminated => {
            PeerEvent::Closed { peer, code: Some(peers::CloseCode::Ok.number().into()), reason: "everything was said".to_owned() }
        }
        Event::IdentityInUse { certain } => PeerEvent::IdentityInUse { peer, certain },
        Event::Forgotten => PeerEvent::Gone { peer },
    };
    tell(&node.peer_watchers, &event);
}

/// What there is to know of every peer.
pub(super) fn peer_infos(node: &Inner) -> Vec<PeerInfo> {
    let (now, unix_millis) = (node.now(), platform::unix_micros() / 1000);
    let connections = node.connections.borrow();
    let peers = node.manager.borrow().peers();
    peers
        .into_iter()
        .filter_map(|info| {
            let stats = info.conn.and_then(|conn| connections.stats(conn)).unwrap_or_default();
            Some(PeerInfo {
                id: info.peer,
                state: convert::peer_state(info.state)?,
                role: info.role,
                relay: stats.relay,
                rtt_millis: stats.rtt_millis,
                bytes_sent: stats.bytes_sent,
                bytes_received: stats.bytes_received,
                intents: info.intents,
                since_unix_millis: unix_millis.saturating_sub(now.micros_since(info.since) / 1000),
                retry_millis: info.next_attempt.map(|at| at.micros_since(now) / 1000),
            })
        })
        .collect()
}
