//! The running sessions of a node: where the peer manager's words about a session go.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use osier_core::{
    IntentId, PeerId, Role, SessionId,
    peers::{Accept, Cause, ConnId, Input},
};
use tokio::sync::mpsc;

use super::{
    Completion, EntryKey, IncomingSession, SessionEvent, accept, convert,
    inner::{Inner, tell},
    intents::Added,
    log::SessionLog,
    session::{Accepted, Command, SessionTask},
};
use crate::platform;

/// The running sessions.
#[derive(Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionId, Running>,
}

struct Running {
    peer: PeerId,
    role: Role,
    commands: mpsc::UnboundedSender<Command>,
    accepted: Option<Arc<SessionLog>>,
}

/// Starts a session on an established connection.
pub(super) fn start(node: &Rc<Inner>, session: SessionId, conn: ConnId, peer: PeerId, accept: Option<Accept>, intents: &[IntentId]) {
    let Some(established) = node.connections.borrow_mut().take_established(conn) else {
        // It was lost between the manager's decision and this.
        return node.input(Input::SessionEnded { session, cause: Cause::Lost });
    };
    let (commands, queue) = mpsc::unbounded_channel();
    node.remember_session(session, peer);
    let running = Running { peer, role: established.role, commands: commands.clone(), accepted: None };
    node.sessions.borrow_mut().all.insert(session, running);
    let mut task = SessionTask::new(node.clone(), session, *established, (commands, queue));
    for &intent in intents {
        task.add_intent(intent);
    }
    if let Some(accepted) = accept.and_then(|accept| accepted(node, session, accept)) {
        task.add_accept(accepted);
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
        let ended = self.node.sessions.borrow_mut().all.remove(&self.session);
        let Some(end) = self.end.take() else { return };
        // What was accepted too late for the session to know has ended, too.
        if let Some(log) = ended.and_then(|running| running.accepted) {
            log.settle(match end {
                Input::SessionEnded { cause, .. } => Err(convert::cause_error(cause)),
                _ => Ok(Completion::Closed),
            });
        }
        self.node.input(end);
    }
}

/// Makes an accepted session known.
fn accepted(node: &Inner, session: SessionId, accept: Accept) -> Option<Accepted> {
    let log = Arc::new(SessionLog::new());
    let mut sessions = node.sessions.borrow_mut();
    let running = sessions.all.get_mut(&session)?;
    log.push(&SessionEvent::Established { role: running.role });
    running.accepted = Some(log.clone());
    tell(&node.incoming_watchers, &IncomingSession::new(running.peer, session, log.clone()));
    let (selection, mode) = accept::interests(node, accept);
    Some(Accepted { log, selection, mode })
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

pub(super) fn add_accept(node: &Inner, session: SessionId, accept: Accept) {
    if let Some(accepted) = accepted(node, session, accept) {
        send(node, session, Command::AddAccept(accepted));
    }
}

/// An intent with this peer is interested in more than before.
pub(super) fn add_interests(node: &Inner, peer: PeerId, intent: IntentId, reply: Added) {
    let sessions = node.sessions.borrow();
    let _ = match sessions.all.values().rfind(|running| running.peer == peer) {
        // One that has ended meanwhile drops the reply, which is read from that.
        Some(running) => return drop(running.commands.send(Command::AddInterests { intent, reply })),
        None => reply.send(Ok(())),
    };
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
