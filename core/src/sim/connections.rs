//! What a node's driver does with its connections: dials, handshakes, goodbyes, and losing them.
//!
//! This follows `src/node/connections.rs` of the crate `osier`.

use super::{
    driver::{Local, id_of},
    network::{Packet, Stage},
    world::{Happening, World},
};
use crate::{
    Generation, PeerId,
    peers::{AttemptId, Cause, CloseCode, ConnId, Input},
    sync::{self, Hello},
};

impl World {
    pub(super) fn dial(&mut self, node: usize, attempt: AttemptId, peer: PeerId, generation: Generation) {
        let acceptor = self.nodes[node].number_of(peer);
        let conn = self.connect(node, acceptor, attempt);
        self.conns[conn].ends[0].hello = Some(self.own_hello(conn, 0, generation));
        self.nodes[node].dials.insert(attempt, conn);
        if !self.healed && !self.calm && self.conns[conn].random.percent(4) {
            let after = self.conns[conn].random.below(2_000_000);
            self.schedule(self.now.after_micros(after), Happening::Reset { conn, side: 0 });
        }
    }

    fn own_hello(&mut self, conn: usize, side: usize, generation: Generation) -> Hello {
        let any = self.conns[conn].random.next();
        let receiver = self.universe.receiver(side, any).1;
        Hello { max_payload_power: 14, limits: sync::Limits::default(), generation, receiver }
    }

    pub(super) fn cancel(&mut self, node: usize, attempt: AttemptId, code: CloseCode) {
        let Some(conn) = self.nodes[node].dials.remove(&attempt) else { return };
        self.nodes[node].known.remove(&conn);
        // Before the handshake is done there is nobody to tell a code.
        let unlinked = self.conns[conn].ends[0].stage == Stage::Connecting;
        self.close(conn, 0, if unlinked { CloseCode::EndpointClosed } else { code });
    }

    /// The handshake of a dial is done.
    pub(super) fn linked(&mut self, conn: usize) {
        let end = &mut self.conns[conn].ends[0];
        end.stage = Stage::Greeting;
        let hello = end.hello.clone();
        self.send(conn, 0, Packet::Linked);
        if let Some(hello) = hello {
            self.send(conn, 0, Packet::Hello(Box::new(hello)));
        }
    }

    /// A connection wants in.
    pub(super) fn arrived(&mut self, conn: usize) {
        let node = self.conns[conn].nodes[1];
        self.nodes[node].known.insert(conn, false);
        self.input(node, Input::Incoming { conn: ConnId(conn as u64) });
    }

    pub(super) fn read_hello(&mut self, node: usize, conn: usize) {
        let end = &mut self.conns[conn].ends[1];
        if self.nodes[node].known.contains_key(&conn) && end.stage == Stage::Arrived {
            end.stage = Stage::Reading;
            if end.open {
                self.nodes[node].known.insert(conn, true);
                self.send(conn, 1, Packet::Accepted);
            } else {
                let cause = end.ended.unwrap_or(Cause::Lost);
                let lag = self.lag(node);
                self.nodes[node].known.insert(conn, true);
                self.local(node, lag, Local::Watch(conn, cause));
            }
        }
    }

    /// The handshake of a connection that arrived is done.
    pub(super) fn identified(&mut self, conn: usize) {
        let [dialer, node] = self.conns[conn].nodes;
        if self.conns[conn].ends[1].stage == Stage::Reading && self.nodes[node].known.contains_key(&conn) {
            self.input(node, Input::Identified { conn: ConnId(conn as u64), peer: id_of(dialer) });
        }
    }

    /// The peer's Hello is here.
    pub(super) fn hello_arrived(&mut self, conn: usize, side: usize, hello: &Hello) {
        let node = self.conns[conn].nodes[side];
        let end = &mut self.conns[conn].ends[side];
        let generation = hello.generation;
        match (side, end.stage) {
            (0, Stage::Greeting) => {
                end.stage = Stage::Established;
                let attempt = self.conns[conn].attempt;
                if self.nodes[node].dials.contains_key(&attempt) {
                    self.nodes[node].known.insert(conn, true);
                    self.input(node, Input::Established { attempt, conn: ConnId(conn as u64), generation });
                }
            }
            (1, Stage::Reading) => {
                end.stage = Stage::Greeted;
                let peer = id_of(self.conns[conn].nodes[0]);
                if self.nodes[node].known.contains_key(&conn) {
                    self.input(node, Input::HelloRead { conn: ConnId(conn as u64), peer, generation });
                }
            }
            _ => {}
        }
    }

    pub(super) fn establish(&mut self, node: usize, attempt: AttemptId, conn: usize, generation: Generation) {
        if !self.nodes[node].known.contains_key(&conn) {
            return self.input(node, Input::AttemptFailed { attempt, cause: Cause::Lost });
        }
        let end = &mut self.conns[conn].ends[1];
        if end.stage == Stage::Greeted {
            end.stage = Stage::Answering;
            let lag = self.lag(node);
            self.local(node, lag, Local::Answer(attempt, conn, generation));
        }
    }

    pub(super) fn answer(&mut self, node: usize, attempt: AttemptId, conn: usize, own: Generation) {
        if !self.nodes[node].known.contains_key(&conn) {
            return;
        }
        if let Some(cause) = self.conns[conn].ends[1].ended {
            self.nodes[node].known.remove(&conn);
            return self.input(node, Input::AttemptFailed { attempt, cause });
        }
        let hello = self.own_hello(conn, 1, own);
        self.conns[conn].ends[1].hello = Some(hello.clone());
        self.conns[conn].ends[1].stage = Stage::Established;
        self.send(conn, 1, Packet::Hello(Box::new(hello)));
        let generation = self.conns[conn].ends[0].hello.as_ref().map_or(own, |hello| hello.generation);
        self.input(node, Input::Established { attempt, conn: ConnId(conn as u64), generation });
    }

    /// Closes a connection, whatever is being done with it.
    pub(super) fn close_known(&mut self, node: usize, conn: usize, code: CloseCode) {
        if self.nodes[node].known.remove(&conn).is_some() {
            let side = self.side_of(conn, node);
            let unlinked = side == 1 && matches!(self.conns[conn].ends[1].stage, Stage::Arrived | Stage::Reading);
            self.close(conn, side, if unlinked { CloseCode::EndpointClosed } else { code });
        }
    }

    pub(super) fn side_of(&self, conn: usize, node: usize) -> usize {
        usize::from(self.conns[conn].nodes[0] != node)
    }

    pub(super) fn terminate(&mut self, node: usize, conn: usize) {
        if !self.nodes[node].known.contains_key(&conn) {
            return;
        }
        self.nodes[node].known.insert(conn, false);
        let side = self.side_of(conn, node);
        self.conns[conn].ends[side].stage = Stage::Parting;
        match self.conns[conn].ends[side].ended {
            None => {
                self.send(conn, side, Packet::Bye);
                self.part(conn, side);
            }
            Some(cause) => self.parted(node, conn, cause),
        }
    }

    /// The goodbyes may have been exchanged.
    pub(super) fn part(&mut self, conn: usize, side: usize) {
        let end = &self.conns[conn].ends[side];
        if end.stage == Stage::Parting && end.got_bye && end.open {
            let node = self.conns[conn].nodes[side];
            self.parted(node, conn, Cause::Closed(CloseCode::Ok));
        }
    }

    fn parted(&mut self, node: usize, conn: usize, cause: Cause) {
        if self.nodes[node].known.remove(&conn).is_none() {
            return;
        }
        let side = self.side_of(conn, node);
        let id = ConnId(conn as u64);
        if cause == Cause::Closed(CloseCode::Ok) {
            self.close(conn, side, CloseCode::Ok);
            self.input(node, Input::Terminated { conn: id });
        } else {
            self.input(node, Input::ConnectionLost { conn: id, cause });
        }
    }

    /// The transport of an end has learned that the connection is over: who was waiting for it hears of it.
    pub(super) fn ended(&mut self, conn: usize, side: usize, cause: Cause) {
        let (node, stage) = (self.conns[conn].nodes[side], self.conns[conn].ends[side].stage);
        let lag = self.lag(node);
        match stage {
            Stage::Connecting | Stage::Greeting => self.local(node, lag, Local::DialFailed(self.conns[conn].attempt, cause)),
            Stage::Parting => self.parted(node, conn, cause),
            Stage::Arrived => {}
            Stage::Reading | Stage::Greeted | Stage::Answering | Stage::Established | Stage::InSession => {
                self.local(node, lag, Local::Watch(conn, cause));
                self.wake_on(conn, side);
                self.break_replies(conn, side);
            }
        }
    }

    pub(super) fn watched(&mut self, node: usize, conn: usize, cause: Cause) {
        if self.nodes[node].known.get(&conn) == Some(&true) {
            self.nodes[node].known.remove(&conn);
            self.input(node, Input::ConnectionLost { conn: ConnId(conn as u64), cause });
        }
    }
}
