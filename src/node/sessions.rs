//! The running sessions of a node: where the peer manager's words about a session go.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use osier_core::{
    IntentId, PeerId, SessionId,
    peers::{Cause, ConnId, Input},
};
use tokio::sync::mpsc;

use super::{
    EntryKey, IncomingSession, SessionEvent, convert,
    inner::{Inner, tell},
    log::SessionLog,
    session::{Command, SessionTask},
};
use crate::platform;

/// The running sessions.
#[derive(Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Running>,
}

struct Running {
    peer: PeerId,
    commands: mpsc::UnboundedSender<Command>,
    accepted: Option<Arc<SessionLog>>,
}

/// Starts a session on an established connection.
pub(super) fn start(node: &Rc<Inner>, session: SessionId, conn: ConnId, peer: PeerId, accept: bool, intents: &[IntentId]) {
    let Some(established) = node.connections.borrow_mut().take_established(conn) else {
        // It was lost between the manager's decision and this.
        return node.input(Input::SessionEnded { session, cause: Cause::Lost });
    };
    let (commands, queue) = mpsc::unbounded_channel();
    node.remember_session(session, peer);
    node.sessions.borrow_mut().all.insert(session, Running { peer, commands: commands.clone(), accepted: None });
    let role = established.role;
    let mut task = SessionTask::new(node.clone(), session, *established, (commands, queue));
    for &intent in intents {
        task.add_intent(intent);
    }
    if accept {
        let log = accepted(node, session, peer);
        log.push(&SessionEvent::Established { role });
        task.add_accept(log);
    }
    platform::spawn_detached(async move {
        let node = task.node();
        // A task that panics must still be reported, or the manager would wait for it until a deadline.
        let mut report =
            EndReport { node: node.clone(), session, end: Some(Input::SessionEnded { session, cause: Cause::Failed("panicked") }) };
        let result = task.run().await;
        report.end = Some(match result {
            Ok(()) => Input::SessionComplete { session },
            Err(cause) => {
                tracing::debug!(%peer, ?session, "session ended: {}", convert::sentence(cause));
                Input::SessionEnded { session, cause }
            }
        });
        drop((report, node));
        if result.is_err() {
            task.hold().await;
        }
    });
}

/// Reports the end of a session when it is dropped, whatever dropped it.
struct EndReport {
    node: Rc<Inner>,
    session: SessionId,
    end: Option<Input>,
}

impl Drop for EndReport {
    fn drop(&mut self) {
        self.node.sessions.borrow_mut().all.remove(&self.session);
        if let Some(end) = self.end.take() {
            self.node.input(end);
        }
    }
}

/// Makes the log of an accepted session known.
fn accepted(node: &Inner, session: SessionId, peer: PeerId) -> Arc<SessionLog> {
    let log = Arc::new(SessionLog::new());
    if let Some(running) = node.sessions.borrow_mut().all.get_mut(&session) {
        running.accepted = Some(log.clone());
    }
    tell(&node.incoming_watchers, &IncomingSession::new(peer, session, log.clone()));
    log
}

/// The accepted sessions that are running.
pub(super) fn incoming(node: &Inner) -> Vec<IncomingSession> {
    let sessions = node.sessions.borrow();
    let accepted = sessions.all.iter().filter_map(|(id, running)| Some((id, running.peer, running.accepted.clone()?)));
    accepted.map(|(id, peer, log)| IncomingSession::new(peer, *id, log)).collect()
}

pub(super) fn hand_over(node: &Inner, session: SessionId, intent: IntentId) {
    send(node, session, Command::AddIntent(intent));
}

pub(super) fn add_accept(node: &Inner, session: SessionId) {
    let peer = node.sessions.borrow().all.get(&session).map(|running| running.peer);
    if let Some(peer) = peer {
        send(node, session, Command::AddAccept(accepted(node, session, peer)));
    }
}

/// There is more to read here than before.
pub(super) fn interests_changed(node: &Inner) {
    for running in node.sessions.borrow().all.values() {
        let _ = running.commands.send(Command::InterestsChanged);
    }
}

pub(super) fn drop_accept(node: &Inner, session: SessionId) {
    send(node, session, Command::DropAccept);
}

pub(super) fn withdraw(node: &Inner, session: SessionId, intent: IntentId) {
    send(node, session, Command::Withdraw(intent));
}

pub(super) fn finish(node: &Inner, session: SessionId) {
    send(node, session, Command::Finish);
}

pub(super) fn abort(node: &Inner, session: SessionId) {
    send(node, session, Command::Abort);
}

pub(super) fn probe(node: &Inner, session: SessionId) {
    send(node, session, Command::Probe);
}

/// A session that has ended reports that itself; what comes late for it is dropped.
fn send(node: &Inner, session: SessionId, command: Command) {
    if let Some(running) = node.sessions.borrow().all.get(&session) {
        let _ = running.commands.send(command);
    }
}

/// Asks the sessions, one after the other, for a payload, until it is here; `peer`: only the session with that one.
pub(super) async fn fetch(node: &Inner, key: &EntryKey, peer: Option<PeerId>, on_progress: impl Fn(u64, u64)) {
    let sessions: Vec<_> = node
        .sessions
        .borrow()
        .all
        .values()
        .filter(|running| peer.is_none_or(|peer| running.peer == peer))
        .map(|running| running.commands.clone())
        .collect();
    for commands in sessions {
        let (watcher, mut news) = mpsc::unbounded_channel();
        if commands.send(Command::RequestPayload { key: key.clone(), watcher }).is_err() {
            continue;
        }
        while let Some((received, total)) = news.recv().await {
            on_progress(received, total);
        }
        if node.storage.entry(key).is_none_or(|(entry, available)| available == entry.payload_length()) {
            return;
        }
    }
}
