//! Connections between nodes: packets that take their time, streams that keep their order, and everything that can cut them.
//!
//! A connection has two ends, each with the streams as the transport shows them. Packets of one stream stay in order, those of
//! different streams overtake each other, and a close may overtake them all. An end that hears nothing for 30 s is lost.

use std::collections::{BTreeMap, VecDeque};

use super::{
    data::Spot,
    random::{Random, hash},
    script::Cut,
    world::{Happening, World},
};
use crate::{
    Moment, Role,
    peers::{AttemptId, Cause, CloseCode},
    sync::Hello,
};

/// The transport gives up a silent peer after this, in milliseconds.
const IDLE: u64 = 30_000;

/// What travels from one end of a connection to the other.
#[derive(Clone, Debug)]
pub(super) enum Packet {
    /// A connection is wanted.
    Initial,
    /// The handshake is done.
    Accepted,
    /// There will be no handshake.
    Refused,
    Hello(Box<Hello>),
    /// Bytes of the session stream, its end, and the news that the end has arrived.
    Data(Vec<u8>),
    Fin,
    FinAck,
    /// So many bytes were read.
    Room(usize),
    Bye,
    /// A payload stream: its request, bytes of the reply, the end of the reply (`false`: reset).
    Ask(u64, Vec<u8>),
    Reply(u64, Vec<u8>),
    ReplyEnd(u64, bool),
    Close(CloseCode),
}

impl Packet {
    /// Packets of the same lane keep their order.
    fn lane(&self) -> u64 {
        match self {
            Self::Initial | Self::Accepted | Self::Refused | Self::Hello(_) | Self::Data(_) | Self::Fin => 0,
            Self::FinAck => 1,
            Self::Room(_) => 2,
            Self::Bye => 3,
            Self::Close(_) => 4,
            Self::Ask(stream, _) | Self::Reply(stream, _) | Self::ReplyEnd(stream, _) => 5 + stream,
        }
    }
}

/// How far the driver is with an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The dialer's, before and after the handshake.
    Connecting,
    Greeting,
    /// The acceptor's: nothing was read; the handshake is being finished; the dialer's Hello was read; the answer is being sent.
    Arrived,
    Reading,
    Greeted,
    Answering,
    /// Both Hellos were exchanged.
    Established,
    InSession,
    /// Goodbyes are being exchanged.
    Parting,
}

/// One end of a connection, as its node's transport shows it.
#[derive(Debug)]
pub(super) struct End {
    pub(super) open: bool,
    /// Why it is not open any more.
    pub(super) ended: Option<Cause>,
    pub(super) stage: Stage,
    pub(super) hello: Option<Hello>,
    /// Bytes of the session stream that nobody has read yet.
    pub(super) inbox: VecDeque<Vec<u8>>,
    pub(super) got_fin: bool,
    pub(super) fin_acked: bool,
    pub(super) got_bye: bool,
    /// Bytes that were sent and not read.
    pub(super) flight: usize,
    /// Requests for payloads that no session has taken.
    pub(super) asks: Vec<(u64, Vec<u8>)>,
    deaf_since: Option<Moment>,
    /// When the last packet of each lane arrives here.
    lanes: BTreeMap<u64, u64>,
}

impl End {
    fn new(stage: Stage) -> Self {
        Self {
            open: true,
            ended: None,
            stage,
            hello: None,
            inbox: VecDeque::new(),
            got_fin: false,
            fin_acked: false,
            got_bye: false,
            flight: 0,
            asks: Vec::new(),
            deaf_since: None,
            lanes: BTreeMap::new(),
        }
    }
}

/// A connection; the dialer's end is the first.
pub(super) struct Conn {
    pub(super) nodes: [usize; 2],
    /// In which of their lives the nodes have it.
    pub(super) lives: [u32; 2],
    pub(super) attempt: AttemptId,
    pub(super) secret: [u8; 32],
    pub(super) ends: [End; 2],
    /// In what each side has shown interest.
    pub(super) shown: [Vec<Spot>; 2],
    /// How many bytes may be sent and not read.
    pub(super) window: usize,
    pub(super) streams: u64,
    /// Nothing that is sent arrives any more.
    dead: bool,
    /// Packets that wait for the end of a partition.
    stalled: Vec<(usize, Packet)>,
    delay: u64,
    pub(super) random: Random,
}

pub(super) fn role(side: usize) -> Role {
    if side == 0 { Role::Alfie } else { Role::Betty }
}

impl World {
    /// A dial begins.
    pub(super) fn connect(&mut self, dialer: usize, acceptor: usize, attempt: AttemptId) -> usize {
        let index = self.conns.len();
        let nth = self.conns.iter().filter(|conn| conn.nodes == [dialer, acceptor]).count() as u64;
        let mut random = Random::new(&[self.seed, 2, dialer as u64, acceptor as u64, nth]);
        let (low, high) = (dialer.min(acceptor) as u64, dialer.max(acceptor) as u64);
        let near = 1_000 + hash(&[self.seed, 3, low, high]) % 120_000;
        // Some connections are so slow that others overtake them.
        let delay = if !self.calm && !self.healed && random.percent(15) { near + random.below(4_000_000) } else { near };
        let secret = std::array::from_fn(|_| random.next() as u8);
        let window = random.pick(&[400, 4_000, 64_000, 64_000]);
        self.conns.push(Conn {
            nodes: [dialer, acceptor],
            lives: [self.nodes[dialer].life, self.nodes[acceptor].life],
            attempt,
            secret,
            ends: [End::new(Stage::Connecting), End { open: false, ..End::new(Stage::Arrived) }],
            shown: [Vec::new(), Vec::new()],
            window,
            streams: 0,
            dead: false,
            stalled: Vec::new(),
            delay,
            random,
        });
        self.send(index, 0, Packet::Initial);
        index
    }

    /// An end sends a packet.
    pub(super) fn send(&mut self, index: usize, from: usize, packet: Packet) {
        let now = self.now;
        let conn = &mut self.conns[index];
        if conn.dead {
            return;
        }
        let jitter = conn.random.below(conn.delay);
        let orderly = matches!(packet, Packet::Close(_)) && conn.random.percent(60);
        let lanes = &mut conn.ends[1 - from].lanes;
        let before = if orderly { lanes.values().max() } else { lanes.get(&packet.lane()) };
        let at = (now.0 + conn.delay + jitter).max(before.copied().unwrap_or_default());
        lanes.insert(packet.lane(), at);
        self.schedule(Moment(at), Happening::Packet { conn: index, side: 1 - from, packet });
    }

    /// Nothing passes between these two nodes now.
    fn blocked(&self, a: usize, b: usize) -> bool {
        self.partitions.contains_key(&(a.min(b), a.max(b))) || self.nodes[a].cut_off || self.nodes[b].cut_off
    }

    /// A packet is where it was sent to.
    pub(super) fn arrive(&mut self, index: usize, side: usize, packet: Packet) {
        let conn = &self.conns[index];
        let ([a, b], node) = (conn.nodes, conn.nodes[side]);
        if conn.dead {
            return;
        }
        if self.blocked(a, b) {
            if !matches!(packet, Packet::Close(_) | Packet::Refused) {
                self.conns[index].stalled.push((side, packet));
            }
            return;
        }
        if matches!(packet, Packet::Initial) {
            self.conns[index].lives[1] = self.nodes[node].life;
        }
        if !self.nodes[node].up || self.nodes[node].life != self.conns[index].lives[side] {
            return self.answer_for_the_dead(index, side, &packet);
        }
        if self.nodes[node].frozen {
            if !matches!(packet, Packet::Close(_)) || self.conns[index].random.percent(50) {
                self.nodes[node].backlog.push(Happening::Packet { conn: index, side, packet });
            }
            return;
        }
        self.note("packet", &[index as u64, side as u64, packet.lane()]);
        self.receive(index, side, packet);
    }

    /// Whoever had this end is gone: perhaps that is told, as a reset.
    fn answer_for_the_dead(&mut self, index: usize, side: usize, packet: &Packet) {
        let told = !matches!(packet, Packet::Close(_) | Packet::Initial) && self.conns[index].random.percent(30);
        let other = self.conns[index].nodes[1 - side];
        if told && self.conns[index].ends[1 - side].open && self.nodes[other].life == self.conns[index].lives[1 - side] {
            let at = self.now.after_micros(self.conns[index].delay);
            self.schedule(at, Happening::Reset { conn: index, side: 1 - side });
        }
    }

    /// What an end that is open, or was, does with a packet.
    fn receive(&mut self, index: usize, side: usize, packet: Packet) {
        if let Packet::Initial = packet {
            self.conns[index].ends[1].open = true;
            return self.arrived(index);
        }
        let end = &mut self.conns[index].ends[side];
        if !end.open {
            return;
        }
        match packet {
            Packet::Initial => {}
            Packet::Accepted => {
                if end.stage == Stage::Connecting {
                    self.linked(index);
                }
            }
            Packet::Refused => self.end(index, side, Cause::RefusedBeforeHandshake),
            Packet::Hello(hello) => self.hello_arrived(index, side, &hello),
            Packet::Data(bytes) => {
                end.inbox.push_back(bytes);
                self.wake_on(index, side);
            }
            Packet::Fin => {
                end.got_fin = true;
                self.send(index, side, Packet::FinAck);
                self.wake_on(index, side);
            }
            Packet::FinAck => {
                end.fin_acked = true;
                self.wake_on(index, side);
            }
            Packet::Room(bytes) => {
                end.flight = end.flight.saturating_sub(bytes);
                self.wake_on(index, side);
            }
            Packet::Bye => {
                end.got_bye = true;
                self.part(index, side);
            }
            Packet::Ask(stream, bytes) => {
                end.asks.push((stream, bytes));
                self.take_asks(index, side);
            }
            Packet::Reply(stream, bytes) => self.take_reply(index, side, stream, Some(bytes)),
            Packet::ReplyEnd(stream, whole) => self.end_reply(index, side, stream, whole),
            Packet::Close(code) => self.end(index, side, Cause::Closed(code)),
        }
    }

    /// The transport of this end learns that the connection is over.
    pub(super) fn end(&mut self, index: usize, side: usize, cause: Cause) {
        let end = &mut self.conns[index].ends[side];
        if !end.open {
            return;
        }
        end.open = false;
        let cause =
            if cause == Cause::Lost && matches!(end.stage, Stage::Connecting | Stage::Reading) { Cause::Unreachable } else { cause };
        end.ended = Some(cause);
        self.ended(index, side, cause);
        self.review(index);
    }

    /// A node closes its end. What was sent and has not arrived may be overtaken.
    pub(super) fn close(&mut self, index: usize, side: usize, code: CloseCode) {
        let end = &mut self.conns[index].ends[side];
        if !end.open {
            return;
        }
        end.open = false;
        end.ended = Some(Cause::LocallyClosed);
        self.send(index, side, Packet::Close(code));
        self.wake_on(index, side);
        self.break_replies(index, side);
        self.review(index);
    }

    /// An end is gone without a word.
    pub(super) fn vanish(&mut self, index: usize, side: usize) {
        self.conns[index].ends[side].open = false;
        self.review(index);
    }

    /// Whether nothing can reach an end.
    fn deaf(&self, index: usize, side: usize) -> bool {
        let conn = &self.conns[index];
        let other = conn.nodes[1 - side];
        let unborn = side == 0 && conn.ends[1].stage == Stage::Arrived && !conn.ends[1].open;
        conn.dead || self.blocked(conn.nodes[0], conn.nodes[1]) || self.nodes[other].frozen || !conn.ends[1 - side].open && !unborn
    }

    /// Takes note of who hears whom, after something has changed.
    pub(super) fn review(&mut self, index: usize) {
        for side in [0, 1] {
            let deaf = self.deaf(index, side);
            let end = &mut self.conns[index].ends[side];
            match (deaf && end.open, end.deaf_since) {
                (true, None) => {
                    let since = self.now;
                    end.deaf_since = Some(since);
                    self.schedule(since.after_millis(IDLE), Happening::Idle { conn: index, side, since });
                }
                (false, _) => end.deaf_since = None,
                (true, Some(_)) => {}
            }
        }
    }

    pub(super) fn review_all(&mut self) {
        for index in 0..self.conns.len() {
            if self.conns[index].ends.iter().any(|end| end.open) {
                self.review(index);
            }
        }
    }

    /// An end has heard nothing for a while, if it still was not.
    pub(super) fn idle(&mut self, index: usize, side: usize, since: Moment) {
        let node = self.conns[index].nodes[side];
        if self.conns[index].ends[side].deaf_since != Some(since) {
            return;
        }
        if self.nodes[node].frozen {
            // Its clock stands still, too.
            let again = self.now.after_millis(IDLE);
            return self.schedule(again, Happening::Idle { conn: index, side, since });
        }
        self.note("idle", &[index as u64, side as u64]);
        self.end(index, side, Cause::Lost);
    }

    /// What waited for the end of a partition is sent again.
    pub(super) fn release(&mut self) {
        for index in 0..self.conns.len() {
            let [a, b] = self.conns[index].nodes;
            if !self.blocked(a, b) {
                for (side, packet) in std::mem::take(&mut self.conns[index].stalled) {
                    self.send(index, 1 - side, packet);
                }
            }
        }
        self.review_all();
    }

    /// A fault: a connection is cut.
    pub(super) fn cut(&mut self, any: u64, how: Cut) {
        let open: Vec<usize> = (0..self.conns.len()).filter(|&index| self.conns[index].ends.iter().any(|end| end.open)).collect();
        let Some(&index) = open.get(any as usize % open.len().max(1)) else { return };
        self.note("cut", &[index as u64]);
        match how {
            Cut::Silent => {
                self.conns[index].dead = true;
                self.review(index);
            }
            Cut::Noticed => {
                self.conns[index].dead = true;
                for side in [0, 1] {
                    let at = self.now.after_micros(700 * side as u64);
                    self.schedule(at, Happening::Reset { conn: index, side });
                }
            }
            Cut::OneSided(side) => {
                self.conns[index].dead = true;
                self.schedule(self.now, Happening::Reset { conn: index, side });
                self.review(index);
            }
        }
    }
}
