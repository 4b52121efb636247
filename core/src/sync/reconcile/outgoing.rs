//! What leaves: answers wait in one queue, are encoded when they leave, and an announcement is followed by its entries at once.

use std::sync::Arc;

use super::{
    Reconciler, RootId, Scope,
    feed::{Feed, Known},
    ranges::{Asked, Asking},
};
use crate::{
    store::Store,
    sync::{
        data::{self, AnnounceFlags, Outgoing, RangeHead},
        frame::{Channel, encode_frame},
        inline::{Planned, Reads},
        overlap::Overlap,
        receipts::Sent,
    },
    willow::Range3d,
};

/// A message that waits to leave.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) root: RootId,
    /// The peer's range that it answers.
    answers: Option<u64>,
    last: bool,
    /// `None` for the whole of the root.
    range: Option<Arc<Range3d>>,
    says: Says,
}

#[derive(Debug)]
enum Says {
    Fingerprint,
    Equal,
    Entries { known: Known, want_response: bool },
}

impl Answer {
    pub(super) fn start(root: RootId) -> Self {
        Self { root, answers: None, last: false, range: None, says: Says::Fingerprint }
    }

    pub(super) fn fingerprint(root: RootId, answers: u64, last: bool, range: Arc<Range3d>) -> Self {
        Self { root, answers: Some(answers), last, range: Some(range), says: Says::Fingerprint }
    }

    pub(super) fn equal(root: RootId, answers: u64, range: Arc<Range3d>) -> Self {
        Self { root, answers: Some(answers), last: true, range: Some(range), says: Says::Equal }
    }

    pub(super) fn entries(root: RootId, answers: u64, range: Arc<Range3d>, known: Known, want_response: bool) -> Self {
        Self { root, answers: Some(answers), last: true, range: Some(range), says: Says::Entries { known, want_response } }
    }

    /// How many bytes it remembers of what the peer has.
    pub(super) fn weight(&self) -> usize {
        match &self.says {
            Says::Entries { known, .. } => known.weight(),
            Says::Fingerprint | Says::Equal => 0,
        }
    }
}

/// An announcement whose entries are leaving.
#[derive(Debug)]
pub(super) struct Sending {
    root: RootId,
    scope: Arc<Scope>,
    range: Arc<Range3d>,
    answers: Option<u64>,
    last: bool,
    feed: Feed,
}

impl Sending {
    pub(super) fn root(&self) -> RootId {
        self.root
    }

    pub(super) fn cut_short(&mut self, reads: &mut Reads) {
        self.feed.cut_short(reads);
    }
}

/// What a message that leaves is about.
struct Leaving {
    root: RootId,
    scope: Arc<Scope>,
    range: Arc<Range3d>,
    base: Arc<Range3d>,
    head: RangeHead,
}

impl Reconciler {
    /// Appends the frames of the next message, with what belongs to it, to `out`; at most about
    /// [`STEP`](crate::sync::queue::STEP) bytes. `false` if there is nothing to send, or it waits for a payload to be read.
    pub fn poll(&mut self, store: &Store, overlap: &mut Overlap, reads: &mut Reads, sent: &mut Sent, out: &mut Vec<u8>) -> bool {
        if let Some(sending) = self.sending.take() {
            return self.send_entry(sending, store, reads, sent, out);
        }
        while let Some(answer) = self.queue.pop_front() {
            if self.send_answer(answer, store, overlap, reads, out).is_some() {
                return true;
            }
            // Its overlap has ended, and the queue will hear of that.
        }
        false
    }

    fn send_answer(&mut self, answer: Answer, store: &Store, overlap: &mut Overlap, reads: &mut Reads, out: &mut Vec<u8>) -> Option<()> {
        let leaving = self.leave(&answer, store, overlap)?;
        match answer.says {
            Says::Fingerprint => self.send_fingerprint(&leaving, store, out),
            Says::Equal => {
                self.send_announcement(&leaving, true, false, store, out);
                self.answer_left(leaving.root, answer.answers, answer.last);
            }
            Says::Entries { known, want_response } => {
                let inline_max = if want_response { leaving.scope.speculative_inline_max } else { leaving.scope.inline_max };
                let mut feed = Feed::new(&leaving.range, known, inline_max);
                feed.fill(&leaving.scope, store, reads);
                self.send_announcement(&leaving, feed.is_empty(), want_response, store, out);
                let Leaving { root, scope, range, .. } = leaving;
                match feed.is_empty() {
                    true => self.answer_left(root, answer.answers, answer.last),
                    false => self.sending = Some(Sending { root, scope, range, answers: answer.answers, last: answer.last, feed }),
                }
            }
        }
        Some(())
    }

    /// Names the handles and the root of a message that leaves. `None` if its overlap has ended.
    fn leave(&mut self, answer: &Answer, store: &Store, overlap: &mut Overlap) -> Option<Leaving> {
        let root = self.roots.get_mut(&answer.root)?;
        let scope = Arc::clone(&root.scope);
        let (sender, receiver) = overlap.handles(scope.overlap)?;
        overlap.name_sent(sender, receiver)?;
        let name = match (answer.answers, root.index) {
            (None, _) => {
                root.index = Some(self.started_here);
                root.pair = Some((sender, receiver));
                self.started_here = self.started_here.saturating_add(1);
                0
            }
            (Some(_), index) => index?.saturating_mul(2).saturating_add(if root.mine { 1 } else { 2 }),
        };
        let base = match answer.answers {
            Some(number) => Arc::clone(&self.peer.get(number)?.range),
            None => Arc::new(scope.range.clone()),
        };
        let range = answer.range.as_ref().map_or_else(|| Arc::clone(&base), Arc::clone);
        let whole = store.is_whole(&scope.namespace, &*range);
        let head = RangeHead { root: name, sender, receiver, answers: answer.answers, last: answer.last, whole };
        Some(Leaving { root: answer.root, scope, range, base, head })
    }

    fn send_fingerprint(&mut self, leaving: &Leaving, store: &Store, out: &mut Vec<u8>) {
        let Leaving { scope, range, base, head, .. } = leaving;
        let fingerprint = store.summary(&scope.namespace, &**range, &mut self.sums).fingerprint();
        let message = data::encode_fingerprint(&mut self.ranges_out, head, range, base, &fingerprint);
        encode_frame(out, Channel::Reconciliation, &message);
        self.asks(leaving, Asked::Fingerprint, store);
        // A split answers its parent with its last part.
        self.answer_left(leaving.root, head.answers, head.last);
    }

    fn send_announcement(&mut self, leaving: &Leaving, is_empty: bool, want_response: bool, store: &Store, out: &mut Vec<u8>) {
        let flags = AnnounceFlags { is_empty, want_response, will_sort: true };
        let message = data::encode_announcement(&mut self.ranges_out, &leaving.head, flags, &leaving.range, &leaving.base);
        encode_frame(out, Channel::Data, &message);
        if want_response {
            self.asks(leaving, Asked::Announcement, store);
        }
    }

    fn asks(&mut self, leaving: &Leaving, asked: Asked, store: &Store) {
        let (scope, range) = (Arc::clone(&leaving.scope), Arc::clone(&leaving.range));
        self.own.sent(Asking { root: leaving.root, scope, range, asked, at: store.progress(), ended: false });
    }

    fn answer_left(&mut self, id: RootId, answers: Option<u64>, last: bool) {
        let Some(number) = answers.filter(|_| last) else { return };
        self.peer.answered(number);
        if let Some(root) = self.roots.get_mut(&id) {
            root.peer_open = root.peer_open.saturating_sub(1);
        }
        self.conclude(id);
    }

    fn send_entry(&mut self, mut sending: Sending, store: &Store, reads: &mut Reads, sent: &mut Sent, out: &mut Vec<u8>) -> bool {
        sending.feed.fill(&sending.scope, store, reads);
        let Some((planned, is_final)) = sending.feed.next(reads) else {
            self.sending = Some(sending);
            return false;
        };
        sent.push(&planned);
        self.write_entry(planned, &sending.range, is_final, reads, out);
        match is_final {
            true => self.answer_left(sending.root, sending.answers, sending.last),
            false => self.sending = Some(sending),
        }
        true
    }

    fn write_entry(&mut self, mut planned: Planned, range: &Range3d, is_final: bool, reads: &mut Reads, out: &mut Vec<u8>) {
        let payload = planned.take_payload(reads);
        let stored = &planned.stored;
        let entry = stored.entry();
        let outgoing = Outgoing { entry: &entry, capability: stored.capability(), signature: stored.signature() };
        let message = data::encode_send_entry(&mut self.current_out, range, planned.available, outgoing);
        encode_frame(out, Channel::Data, &message);
        if let Some(payload) = payload {
            encode_frame(out, Channel::Data, &data::encode_payload(&payload));
        }
        encode_frame(out, Channel::Data, &data::encode_terminate(is_final));
    }
}
