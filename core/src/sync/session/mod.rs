//! One session with a peer: overlap detection, reconciliation, live forwarding and payloads, composed.
//!
//! [`Session`] takes the bytes of the session stream after both Hellos and gives bytes back. It must not know how connections are made
//! or chosen, how payload streams are carried, or where the store keeps things.

mod commons;
mod config;
mod ending;
mod inbox;
mod intents;
mod receive;
mod transmit;

use std::collections::{BTreeMap, VecDeque};

pub use config::{BatchId, Clock, Completion, IntentMode, Output, Policy, Reason, SessionConfig, SessionEvent, Stats, Tuning};

use super::{
    frame::FrameReader,
    inline::{INLINE_LIMIT, ReadId, Reads},
    live::Live,
    overlap::{Overlap, OverlapConfig, OverlapId, OwnInterest},
    payloads::{FetchId, FetchUpdate, Payloads},
    queue::{ControlQueue, ReceiveWindow, SendWindow},
    receipts::Sent,
    reconcile::{Reconciler, ReconcilerConfig},
};
use crate::{
    IntentId, Moment, Role,
    payload::{PayloadRequest, PayloadStatus},
    store::{Outcome, Store, StoredEntry},
    willow::{
        CapCache, Coordinatelike, Entry, EntryId, Entrylike, FingerprintKey, Grouping, Keylike, NamespaceId, Namespaced, Path, SubspaceId,
    },
};
use commons::Commons;
use ending::Ending;
use inbox::Inbox;
use intents::Intents;
use transmit::Outgoing;

/// The machine of one session.
///
/// # Calling contract
///
/// - [`add_intent`](Self::add_intent) the first intents before the first [`handle_bytes`](Self::handle_bytes).
/// - After any input (any `handle_*`, a new or closed intent, a change of the store by anybody, more room on the stream) drain
///   [`poll_output`](Self::poll_output), then [`poll_transmit`](Self::poll_transmit) as far as there is room, and repeat until there is no
///   output after the last transmit, which may itself want something: a payload to be read. Then arm a timer for
///   [`next_deadline`](Self::next_deadline).
/// - Hand in all bytes that are at hand before draining: the signatures of what arrived are verified together.
/// - What `poll_transmit` gives is written in that order. After [`Output::Finish`] it gives nothing more.
/// - After an error, or [`Output::Failed`], the session is over.
/// - Whenever it is over, [`close_in`](Self::close_in) gives its subscriptions back to the store.
///
/// ```
/// # use osier_core::{Moment, store::Store, sync::{Output, Session, SyncError}};
/// fn drain(session: &mut Session, now: Moment, store: &mut Store, carry_out: &mut impl FnMut(Output), write: &mut impl FnMut(Vec<u8>) -> usize) {
///     let mut space = 64 * 1024;
///     loop {
///         while let Some(output) = session.poll_output(now, store) {
///             carry_out(output);
///         }
///         while let Some(bytes) = session.poll_transmit(now, store, space) {
///             space = write(bytes);
///         }
///         match session.poll_output(now, store) {
///             Some(output) => carry_out(output),
///             None => break,
///         }
///     }
/// }
/// ```
pub struct Session {
    role: Role,
    clock: Clock,
    policy: Policy,
    tuning: Tuning,
    /// Payloads of up to 2^this bytes may be sent to the peer unsolicited.
    peer_power: u8,
    now: Moment,

    frames: FrameReader,
    cache: CapCache,
    overlap: Overlap,
    reconciler: Reconciler,
    live: Live,
    payloads: Payloads,
    reads: Reads,
    inbox: Inbox,
    commons: Commons,
    intents: Intents,

    control: ControlQueue,
    sent: Sent,
    /// Entries whose payloads the peer has asked for, and has not said to have stored.
    asked: BTreeMap<EntryId, StoredEntry>,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    outgoing: Outgoing,
    outputs: VecDeque<Output>,

    stats: Stats,
    told: Progress,
    probes: u64,
    awaited_pong: Option<u64>,
    ending: Ending,
    failed: bool,
}

/// The progress that was told last, and when.
#[derive(Default)]
struct Progress {
    stats: Stats,
    at: Moment,
}

/// Progress is told no more often than this, in milliseconds.
const PROGRESS_INTERVAL: u64 = 100;

/// So many entries are remembered whose payloads the peer has asked for.
const ASKED: usize = 1024;

/// Whether the whole payload of the entry is here; what is not here any more was replaced or forgotten after it was.
fn is_whole(entry: &Entry, store: &Store) -> bool {
    let held = store.get(entry.namespace_id(), entry.subspace_id(), entry.path());
    held.is_none_or(|held| held.is_complete() || held.payload_digest() != *entry.payload_digest())
}

/// `2^power` bytes, saturating.
fn power_of_two(power: u8) -> u64 {
    1_u64.checked_shl(u32::from(power)).unwrap_or(u64::MAX)
}

impl Session {
    /// A session whose Hellos have been exchanged.
    #[must_use]
    pub fn new(config: SessionConfig, now: Moment) -> Self {
        let SessionConfig { role, session_secret, id, own_hello, peer_hello, clock, tuning, policy } = config;
        let inline_accepted = power_of_two(own_hello.max_payload_power);
        Self {
            role,
            clock,
            policy,
            tuning,
            peer_power: peer_hello.max_payload_power,
            now,
            frames: FrameReader::default(),
            cache: CapCache::new(),
            overlap: Overlap::new(OverlapConfig {
                role,
                session_secret,
                own_receiver: own_hello.receiver,
                peer_receiver: peer_hello.receiver,
                own_limits: own_hello.limits,
                peer_limits: peer_hello.limits,
            }),
            reconciler: Reconciler::new(ReconcilerConfig {
                role,
                key: FingerprintKey::from_session_secret(&session_secret),
                own_limit: own_hello.limits.unanswered_ranges,
                peer_limit: peer_hello.limits.unanswered_ranges,
                fanout: tuning.fanout,
                threshold: tuning.threshold,
                inline_accepted,
            }),
            live: Live::new(id, inline_accepted),
            payloads: Payloads::new(tuning.fetches, policy.fetch_max),
            reads: Reads::default(),
            inbox: Inbox::new(id),
            commons: Commons::default(),
            intents: Intents::default(),
            control: ControlQueue::default(),
            sent: Sent::default(),
            asked: BTreeMap::new(),
            send_window: SendWindow::default(),
            receive_window: ReceiveWindow::default(),
            outgoing: Outgoing::default(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
            told: Progress { stats: Stats::default(), at: now },
            probes: 0,
            awaited_pong: None,
            ending: Ending::default(),
            failed: false,
        }
    }

    /// Adds an intent. The ids of its interests are given by the session. With no interests it is done at once.
    pub fn add_intent(&mut self, intent: IntentId, interests: Vec<OwnInterest>, mode: impl Into<IntentMode>) {
        self.intents.add(intent, mode.into());
        if interests.is_empty() && self.intents.end_if_empty(intent) {
            self.outputs.push_back(Output::IntentDone { intent, completion: Completion::NothingInCommon });
        }
        self.add_interests(intent, interests);
    }

    /// Adds interests to an intent that is not done; to others nothing is added.
    pub fn add_interests(&mut self, intent: IntentId, interests: Vec<OwnInterest>) {
        if !self.intents.is_open(intent) {
            return;
        }
        for mut interest in interests {
            let (namespace, area) = (interest.capability.granted_namespace().clone(), interest.capability.granted_area());
            interest.id = self.intents.add_interest(intent, &namespace, &area);
            let id = interest.id;
            if self.overlap.add(interest).is_err() {
                self.interest_unsupported(id, true);
            }
        }
    }

    /// Whether an intent is here and not done.
    #[must_use]
    pub fn is_open(&self, intent: IntentId) -> bool {
        self.intents.is_open(intent)
    }

    /// Ends an intent. Nothing more is told about it, and what only it was interested in ends.
    pub fn close_intent(&mut self, intent: IntentId) {
        for interest in self.intents.remove(intent) {
            self.overlap.remove(interest);
        }
        self.outputs
            .retain(|output| !matches!(output, Output::Event { intent: of, .. } | Output::IntentDone { intent: of, .. } if *of == intent));
    }

    /// The store has dealt with a batch: what became of each entry, in order.
    pub fn handle_ingested(&mut self, batch: BatchId, outcomes: &[Outcome], store: &Store) {
        let mut outcomes = outcomes.iter();
        let mut stored = Vec::with_capacity(outcomes.len());
        for tag in self.inbox.confirmed(batch) {
            let outcome = if tag.refused { None } else { outcomes.next() };
            let here = matches!(outcome, Some(Outcome::Inserted { .. } | Outcome::AlreadyHere));
            let lacking = tag.lacking.as_deref().filter(|_| here);
            stored.push((here || outcome == Some(&Outcome::Obsolete)) && lacking.is_none_or(|entry| is_whole(entry, store)));
            if let Some(root) = tag.root {
                if let Some(overlap) = self.reconciler.overlap_of(root).filter(|_| lacking.is_some()) {
                    self.commons.lacks_payload(overlap);
                }
                self.reconciler.confirmed(root, 1);
            } else if let Some(entry) = lacking {
                self.offered(entry, store);
            }
        }
        self.inbox.receipt(batch, stored);
        while let Some(stored) = self.inbox.poll_receipts() {
            stored.into_iter().for_each(|stored| self.control.receipt(stored));
        }
        self.acknowledge();
    }

    /// The peer has forwarded this entry without its payload.
    fn offered(&mut self, entry: &Entry, store: &Store) {
        if let Some(overlap) = self.commons.of_entry(entry)
            && let Some(held) = store.get(entry.namespace_id(), entry.subspace_id(), entry.path())
            && held.timestamp() == entry.timestamp()
        {
            self.payloads.offered(overlap, held);
        }
    }

    /// The result of [`Output::ReadPayload`]: the bytes, or `None` if they are not there any more.
    pub fn handle_payload_read(&mut self, read: ReadId, bytes: Option<Vec<u8>>) {
        self.reads.answer(read, bytes);
    }

    /// What became of [`Output::FetchPayload`]. Exactly one of [`FetchUpdate::Done`] and [`FetchUpdate::Failed`] comes last.
    pub fn handle_fetch(&mut self, fetch: FetchId, update: FetchUpdate) {
        let Some(want) = self.payloads.update(fetch, update) else { return };
        let (received, total) = match update {
            FetchUpdate::Progress { received, total } => (received, total),
            FetchUpdate::Done => {
                self.control.fetched(want.entry.id());
                (want.entry.payload_length(), want.entry.payload_length())
            }
            FetchUpdate::Failed => return,
        };
        let event = SessionEvent::Payload {
            entry: want.entry.id(),
            namespace: want.entry.namespace_id().clone(),
            subspace: want.entry.subspace_id().clone(),
            path: want.entry.path(),
            received,
            total,
        };
        self.tell_all_of(want.overlap, &event);
    }

    /// Asks the peer for the payload of an entry, before all others. `false` if no shared area has the entry, or nothing is missing.
    pub fn request_payload(&mut self, namespace: &NamespaceId, subspace: &SubspaceId, path: &Path, store: &Store) -> bool {
        let Some(held) = store.get(namespace, subspace, path) else { return false };
        self.commons.of_entry(&held.entry()).is_some_and(|overlap| self.payloads.request(overlap, held))
    }

    /// Whether the peer may read the entry that it asks for the payload of; the entry then. The handles and the place are checked before
    /// anything is looked up, so that the answer about what the peer may not read does not depend on what is here. Of an entry that no
    /// other node is known to hold it is remembered that the peer wants its payload.
    ///
    /// # Errors
    /// The status to answer with: [`PayloadStatus::NotAuthorised`] by handles and place alone, else [`PayloadStatus::NotFound`].
    pub fn authorise_request(&mut self, request: &PayloadRequest, store: &Store) -> Result<StoredEntry, PayloadStatus> {
        let overlap = self.overlap.lookup(request.receiver, request.sender).ok_or(PayloadStatus::NotAuthorised)?;
        let shared = self.overlap.shared(overlap).ok_or(PayloadStatus::NotAuthorised)?;
        let in_place = shared.namespace == request.namespace
            && shared.area.subspace().is_none_or(|subspace| *subspace == request.subspace)
            && shared.area.path().is_prefix_of(&request.path);
        if !in_place {
            return Err(PayloadStatus::NotAuthorised);
        }
        // What is at that place outside of the shared times, or with another payload, is none of the asker's business: as if nothing was there.
        let held = store.get(&request.namespace, &request.subspace, &request.path).ok_or(PayloadStatus::NotFound)?;
        let place = (request.subspace.clone(), request.path.clone(), held.timestamp());
        if !shared.area.includes(&place) || held.payload_digest() != request.digest || held.payload_length() != request.length {
            return Err(PayloadStatus::NotFound);
        }
        if held.is_unheld() {
            self.asked.insert(held.id(), held.stored().clone());
            if self.asked.len() > ASKED {
                self.asked.pop_first();
            }
        }
        Ok(held.stored().clone())
    }

    /// Asks the peer whether it is there. [`Output::Probed`] follows if it is.
    pub fn probe(&mut self) {
        self.probes = self.probes.saturating_add(1);
        self.awaited_pong = Some(self.probes);
        self.control.ping(self.probes);
    }

    /// What is to be done or passed on, in order.
    pub fn poll_output(&mut self, now: Moment, store: &mut Store) -> Option<Output> {
        self.now = now;
        self.settle(store);
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.failed {
            return None;
        }
        if let Err(error) = self.inbox.verify() {
            self.failed = true;
            return Some(Output::Failed(error));
        }
        if let Some((batch, entries)) = self.inbox.poll() {
            return Some(Output::Ingest { batch, entries });
        }
        if let Some((read, entry, len)) = self.reads.poll() {
            return Some(Output::ReadPayload { read, entry, len });
        }
        if !self.ending.is_over()
            && let Some((fetch, request)) = self.payloads.poll(store, &self.overlap)
        {
            return Some(Output::FetchPayload { fetch, request });
        }
        // To look for what can be sent may ask for payloads to be read.
        if self.outgoing.is_empty()
            && !self.ending.is_over()
            && !self.step(store)
            && let Some((read, entry, len)) = self.reads.poll()
        {
            return Some(Output::ReadPayload { read, entry, len });
        }
        self.settle(store);
        self.tell_progress(false);
        self.finish_if_done();
        self.outputs.pop_front()
    }

    /// When the session wants [`handle_timeout`](Self::handle_timeout), and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Moment, Reason)> {
        if !self.failed && !self.ending.is_over() && self.payloads.has_to_look() {
            return Some((self.now, Reason::Search));
        }
        let due = self.told.stats != self.stats() && self.intents.any_open();
        due.then(|| (self.told.at.after_millis(PROGRESS_INTERVAL), Reason::Progress))
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.now = now;
    }

    /// What the session has done so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { entries_sent: self.sent.total(), ..self.stats }
    }

    /// Gives the session's subscriptions back. To be called once it is over, however it ended.
    pub fn close_in(&mut self, store: &mut Store) {
        self.live.unfollow_all(store);
    }

    /// Draws the conclusions from what the parts found out.
    fn settle(&mut self, store: &mut Store) {
        self.follow_overlaps(store);
        self.follow_roots(store);
        self.start_roots(store);
        self.update_eagerness();
        self.review_intents();
    }

    /// Tells everyone who has the overlap.
    fn tell_all_of(&mut self, overlap: OverlapId, event: &SessionEvent) {
        for intent in self.intents.with_overlap(overlap) {
            self.outputs.push_back(Output::Event { intent, event: event.clone() });
        }
    }

    /// Tells progress, unless there is none, or it was told just now and this is not urgent.
    fn tell_progress(&mut self, urgent: bool) {
        let stats = self.stats();
        if stats == self.told.stats || !(urgent || self.now >= self.told.at.after_millis(PROGRESS_INTERVAL)) {
            return;
        }
        let Stats { sent, received, entries_sent, entries_received, .. } = stats;
        let event = SessionEvent::Progress { sent, received, entries_sent, entries_received };
        for intent in self.intents.open() {
            self.outputs.push_back(Output::Event { intent, event: event.clone() });
        }
        self.told = Progress { stats, at: self.now };
    }
}

#[cfg(test)]
mod tests;
