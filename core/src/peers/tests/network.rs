//! What a world is made of: nodes, connections with a queue in each direction, sessions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::peers::*;
use crate::{Generation, IntentId, Mode, Moment, SessionId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Message {
    HelloOfAlfie(Generation),
    HelloOfBetty(Generation),
    Fin,
    Bye,
    Closed(CloseCode),
}

/// One end of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct End {
    pub(super) open: bool,
    /// On its way to this end.
    pub(super) queue: VecDeque<Message>,
    pub(super) sent_fin: bool,
    pub(super) got_fin: bool,
    pub(super) sent_bye: bool,
    pub(super) got_bye: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Conn {
    pub(super) dialer: usize,
    pub(super) acceptor: usize,
    pub(super) attempt: AttemptId,
    pub(super) hello: Generation,
    pub(super) established_at_dialer: bool,
    /// Lost in silence: nothing that is sent from now on arrives.
    pub(super) dead: bool,
    /// When the ends will notice that the other is gone.
    pub(super) idle_at: Moment,
    pub(super) ends: [End; 2],
}

impl Conn {
    pub(super) fn side(&self, node: usize) -> usize {
        usize::from(self.dialer != node)
    }

    pub(super) fn doomed(&self, side: usize) -> bool {
        self.ends[side].open && (self.dead || !self.ends[1 - side].open) && self.ends[side].queue.is_empty()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) conn: usize,
    pub(super) once: BTreeSet<IntentId>,
    pub(super) complete: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) manager: Manager,
    pub(super) reports: VecDeque<Input>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) questions: BTreeSet<AttemptId>,
    pub(super) modes: BTreeMap<IntentId, Mode>,
    pub(super) settled: BTreeMap<IntentId, Outcome>,
    pub(super) stopped: bool,
    pub(super) starts: u8,
}
