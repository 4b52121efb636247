//! The ranges that wait for an answer, of both sides, by their implicit numbers.

use std::{collections::BTreeMap, sync::Arc};

use super::{RootId, Scope};
use crate::{store::ProgressId, sync::error::SyncError, willow::Range3d};

/// So many ranges are remembered whose overlap has ended. Of most of them the peer says nothing any more, as the overlap has ended there
/// too; what answers are under way are to the latest.
pub(in crate::sync) const ENDED: usize = if cfg!(test) { 512 } else { 4096 };

/// How a range asks for an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// By a fingerprint.
    Fingerprint,
    /// By an announcement that wants a response.
    Announcement,
}

/// A range that asks for an answer.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) root: RootId,
    pub(super) scope: Arc<Scope>,
    pub(super) range: Arc<Range3d>,
    pub(super) asked: Asked,
    /// The last change of the store when it left, if it is an own one.
    pub(super) at: ProgressId,
    /// Its overlap has ended here; an answer is decoded and ignored.
    pub(super) ended: bool,
}

/// Own ranges.
#[derive(Default, Debug)]
pub(super) struct OwnRanges {
    sent: u64,
    /// Those that have left.
    unanswered: BTreeMap<u64, Asking>,
    /// Where the answer comes in parts: the last one that is here.
    parts: BTreeMap<u64, Arc<Range3d>>,
    /// Those that are queued or have left, without ended ones.
    open: u64,
}

impl OwnRanges {
    /// How many wait for an answer or to leave.
    pub(super) fn open(&self) -> u64 {
        self.open
    }

    pub(super) fn add_open(&mut self, count: u64) {
        self.open = self.open.saturating_add(count);
    }

    /// One leaves.
    pub(super) fn sent(&mut self, asking: Asking) {
        self.unanswered.insert(self.sent, asking);
        self.sent = self.sent.saturating_add(1);
    }

    /// The range that the peer answers.
    pub(super) fn get(&self, number: u64) -> Result<&Asking, SyncError> {
        self.unanswered.get(&number).ok_or(SyncError::AnswerUnknown { number })
    }

    /// A part of the answer is here. That parts are disjoint bounds what it costs to answer them in turn.
    pub(super) fn part(&mut self, number: u64, part: &Arc<Range3d>) -> Result<(), SyncError> {
        match self.parts.insert(number, Arc::clone(part)) {
            Some(previous) if !is_behind(part, &previous) => Err(SyncError::RangeCut),
            _ => Ok(()),
        }
    }

    /// The last part of the answer is here.
    pub(super) fn answered(&mut self, number: u64) -> Option<Asking> {
        self.parts.remove(&number);
        let asking = self.unanswered.remove(&number)?;
        if !asking.ended {
            self.open = self.open.saturating_sub(1);
        }
        Some(asking)
    }

    /// The root, of which `open` ranges are queued or unanswered, has ended.
    pub(super) fn end(&mut self, root: RootId, open: u64) {
        self.open = self.open.saturating_sub(open);
        for asking in self.unanswered.values_mut().filter(|asking| asking.root == root) {
            asking.ended = true;
        }
        let ended = self.unanswered.iter().filter(|(_, asking)| asking.ended).map(|(&number, _)| number);
        let too_many = ended.clone().count().saturating_sub(ENDED);
        for number in ended.take(too_many).collect::<Vec<_>>() {
            self.unanswered.remove(&number);
            self.parts.remove(&number);
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.unanswered.len()
    }
}

/// Whether a range lies behind another one in the order in which the parts of a split leave.
fn is_behind(range: &Range3d, before: &Range3d) -> bool {
    before.subspaces().end().is_some_and(|end| end <= range.subspaces().start())
        || (before.subspaces() == range.subspaces() && before.paths().end().is_some_and(|end| end <= range.paths().start()))
}

/// Ranges of the peer.
#[derive(Default, Debug)]
pub(super) struct PeerRanges {
    received: u64,
    /// Those whose answer has not left.
    unanswered: BTreeMap<u64, Asking>,
}

impl PeerRanges {
    /// One that is counted only, because its overlap has ended here.
    pub(super) fn skip(&mut self) {
        self.received = self.received.saturating_add(1);
    }

    /// One arrives and gets its number.
    pub(super) fn received(&mut self, asking: Asking, limit: u64) -> Result<u64, SyncError> {
        let number = self.received;
        self.skip();
        self.unanswered.insert(number, asking);
        if self.unanswered.len() as u64 > limit { Err(SyncError::TooManyRanges { limit }) } else { Ok(number) }
    }

    pub(super) fn get(&self, number: u64) -> Option<&Asking> {
        self.unanswered.get(&number)
    }

    /// The last part of the answer has left.
    pub(super) fn answered(&mut self, number: u64) {
        self.unanswered.remove(&number);
    }

    pub(super) fn end(&mut self, root: RootId) {
        self.unanswered.retain(|_, asking| asking.root != root);
    }
}
