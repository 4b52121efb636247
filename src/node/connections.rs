//! The connections of a node, by the peer manager's names: from a dial or an arrival to the end.
//!
//! Each thing the manager asks for runs as a task that ends with an input; dropping the entry ends the task. Nothing is decided here.

use std::{cell::OnceCell, collections::BTreeMap, rc::Rc};

use osier_core::{
    Generation, PeerId,
    peers::{AttemptId, Cause, CloseCode, ConnId, Input},
};

use super::inner::Inner;
use crate::{
    net::{self, Arrival, Established, Greeted, Link, LinkStats},
    platform::{Task, spawn_local},
};

/// Every connection and every dial.
#[derive(Default)]
pub(super) struct Connections {
    all: BTreeMap<ConnId, Connection>,
    dials: BTreeMap<AttemptId, Dial>,
}

struct Connection {
    link: Option<Rc<Link>>,
    stage: Stage,
    /// What is being done with it.
    work: Option<Task>,
    /// Waits for its end.
    watch: Option<Task>,
}

enum Stage {
    /// Nothing was read.
    Arrived(Box<Arrival>),
    /// A task works on it.
    Busy,
    /// The dialer's Hello was read.
    Greeted(Box<Greeted>),
    /// Both Hellos were exchanged.
    Established(Box<Established>),
    /// A session has it, or had.
    InSession,
}

/// A dial, until the manager has heard of its success.
struct Dial {
    link: Rc<OnceCell<Rc<Link>>>,
    conn: Option<ConnId>,
    _work: Task,
}

impl Connections {
    /// Measurements of a connection.
    pub(super) fn stats(&self, conn: ConnId) -> Option<LinkStats> {
        self.all.get(&conn)?.link.as_ref().map(|link| link.stats())
    }

    /// Hands an established connection to a session.
    pub(super) fn take_established(&mut self, conn: ConnId) -> Option<Box<Established>> {
        let connection = self.all.get_mut(&conn)?;
        match std::mem::replace(&mut connection.stage, Stage::InSession) {
            Stage::Established(established) => Some(established),
            other => {
                connection.stage = other;
                None
            }
        }
    }

    /// The manager is about to hear of this dial's success: it will not be cancelled any more.
    pub(super) fn dial_is_known(&mut self, attempt: AttemptId) {
        self.dials.remove(&attempt);
    }
}

/// Connects and exchanges Hellos.
pub(super) fn dial(node: &Rc<Inner>, attempt: AttemptId, peer: PeerId, generation: Generation) {
    let address = node.intents.borrow().address(peer, &node.shared.relays());
    let link = Rc::new(OnceCell::new());
    let work = spawn_local({
        let (node, link) = (node.clone(), link.clone());
        async move {
            let result = async {
                let dialed = node.endpoint.dial(&address).await?;
                // Set once: each dial has a cell of its own.
                let _ = link.set(dialed.clone());
                net::establish(dialed, node.id(), &node.hello, generation).await
            };
            match result.await {
                Ok(established) => dialed(&node, attempt, established),
                Err(cause) => {
                    node.connections.borrow_mut().dials.remove(&attempt);
                    node.input(Input::AttemptFailed { attempt, cause });
                }
            }
        }
    });
    node.connections.borrow_mut().dials.insert(attempt, Dial { link, conn: None, _work: work });
}

fn dialed(node: &Rc<Inner>, attempt: AttemptId, established: Established) {
    let conn = ConnId(node.fresh());
    let generation = established.peer_hello.generation;
    let link = established.link.clone();
    let watch = Some(watch(node, conn, link.clone()));
    let connection = Connection { link: Some(link), stage: Stage::Established(Box::new(established)), work: None, watch };
    let mut connections = node.connections.borrow_mut();
    connections.all.insert(conn, connection);
    if let Some(dial) = connections.dials.get_mut(&attempt) {
        dial.conn = Some(conn);
    }
    drop(connections);
    node.input(Input::Established { attempt, conn, generation });
}

/// Gives up a dial, whatever has become of it.
pub(super) fn cancel(node: &Inner, attempt: AttemptId, code: CloseCode, reason: &str) {
    let Some(dial) = node.connections.borrow_mut().dials.remove(&attempt) else { return };
    if let Some(link) = dial.link.get() {
        link.close(code, reason);
    }
    if let Some(conn) = dial.conn {
        close(node, conn, code, reason);
    }
}

/// Takes in a connection that arrived.
pub(super) fn arrived(node: &Inner, arrival: Arrival) {
    let conn = ConnId(node.fresh());
    let connection = Connection { link: None, stage: Stage::Arrived(Box::new(arrival)), work: None, watch: None };
    node.connections.borrow_mut().all.insert(conn, connection);
    node.input(Input::Incoming { conn });
}

/// Refuses a connection before its handshake.
pub(super) fn refuse(node: &Inner, conn: ConnId) {
    let connection = node.connections.borrow_mut().all.remove(&conn);
    if let Some(Connection { stage: Stage::Arrived(arrival), .. }) = connection {
        arrival.refuse();
    }
}

/// Finishes the handshake and reads the dialer's Hello.
pub(super) fn read_hello(node: &Rc<Inner>, conn: ConnId) {
    let mut connections = node.connections.borrow_mut();
    let Some(connection) = connections.all.get_mut(&conn) else { return };
    match std::mem::replace(&mut connection.stage, Stage::Busy) {
        Stage::Arrived(arrival) => connection.work = Some(spawn_local(greet(node.clone(), conn, *arrival))),
        other => connection.stage = other,
    }
}

async fn greet(node: Rc<Inner>, conn: ConnId, arrival: Arrival) {
    let result = async {
        let link = arrival.accept().await?;
        let watch = watch(&node, conn, link.clone());
        if let Some(connection) = node.connections.borrow_mut().all.get_mut(&conn) {
            connection.link = Some(link.clone());
            connection.watch = Some(watch);
        }
        node.input(Input::Identified { conn, peer: link.peer() });
        net::greet(link, node.id()).await
    };
    match result.await {
        Ok(greeted) => {
            let (peer, generation) = (greeted.link.peer(), greeted.hello.generation);
            set_stage(&node, conn, Stage::Greeted(Box::new(greeted)));
            node.input(Input::HelloRead { conn, peer, generation });
        }
        Err(cause) => lost(&node, conn, cause),
    }
}

/// Answers with the own Hello.
pub(super) fn establish(node: &Rc<Inner>, attempt: AttemptId, conn: ConnId, generation: Generation) {
    let mut connections = node.connections.borrow_mut();
    let greeted = connections.all.get_mut(&conn).map(|connection| (std::mem::replace(&mut connection.stage, Stage::Busy), connection));
    match greeted {
        Some((Stage::Greeted(greeted), connection)) => {
            connection.work = Some(spawn_local(answer(node.clone(), attempt, conn, *greeted, generation)));
        }
        Some((other, connection)) => connection.stage = other,
        None => node.input(Input::AttemptFailed { attempt, cause: Cause::Lost }),
    }
}

async fn answer(node: Rc<Inner>, attempt: AttemptId, conn: ConnId, greeted: Greeted, own: Generation) {
    match greeted.answer(&node.hello, own).await {
        Ok(established) => {
            let generation = established.peer_hello.generation;
            set_stage(&node, conn, Stage::Established(Box::new(established)));
            node.input(Input::Established { attempt, conn, generation });
        }
        Err(cause) => {
            node.connections.borrow_mut().all.remove(&conn);
            node.input(Input::AttemptFailed { attempt, cause });
        }
    }
}

/// Closes a connection, whatever is being done with it.
pub(super) fn close(node: &Inner, conn: ConnId, code: CloseCode, reason: &str) {
    let connection = node.connections.borrow_mut().all.remove(&conn);
    if let Some(link) = connection.as_ref().and_then(|connection| connection.link.as_ref()) {
        link.close(code, reason);
    }
}

/// Exchanges goodbyes, then closes.
pub(super) fn terminate(node: &Rc<Inner>, conn: ConnId) {
    let mut connections = node.connections.borrow_mut();
    let Some(connection) = connections.all.get_mut(&conn) else { return };
    let Some(link) = connection.link.clone() else { return };
    // The peer's close with code 2 is a goodbye, too: what it means is decided there.
    connection.watch = None;
    connection.work = Some(spawn_local({
        let node = node.clone();
        async move {
            let outcome = net::say_goodbye(&link).await;
            node.connections.borrow_mut().all.remove(&conn);
            node.input(match outcome {
                Ok(()) => Input::Terminated { conn },
                Err(cause) => Input::ConnectionLost { conn, cause },
            });
        }
    }));
}

fn set_stage(node: &Inner, conn: ConnId, stage: Stage) {
    if let Some(connection) = node.connections.borrow_mut().all.get_mut(&conn) {
        connection.stage = stage;
    }
}

/// Reports the end of a connection, unless this node closed it itself.
fn watch(node: &Rc<Inner>, conn: ConnId, link: Rc<Link>) -> Task {
    let node = node.clone();
    spawn_local(async move {
        match link.closed().await {
            Cause::LocallyClosed => {}
            cause => lost(&node, conn, cause),
        }
    })
}

fn lost(node: &Inner, conn: ConnId, cause: Cause) {
    node.connections.borrow_mut().all.remove(&conn);
    node.input(Input::ConnectionLost { conn, cause });
}
