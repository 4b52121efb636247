//! What arrives: fingerprints, announcements, the entries of an announcement and their payloads.

use std::sync::Arc;

use super::{
    Arrival, ReconcileEvent, Reconciler, RootId, Scope, contains,
    feed::{Brought, Known},
    outgoing::Answer,
    ranges::{Asked, Asking},
};
use crate::{
    store::{Cursor, Store},
    sync::{
        data::{self, AnnounceFlags, RangeHead, RangeMessage},
        error::SyncError,
        inline::Collector,
    },
    willow::{CapCache, Coordinatelike, Entrylike, Fingerprint, Keylike, Range3d, UnverifiedEntry},
};

/// So many bytes of what announcements brought are remembered until they are answered. What is beyond that is sent back.
const BROUGHT: usize = 1024 * 1024;

/// An announcement whose entries are arriving.
#[derive(Debug)]
pub(super) struct Receiving {
    root: RootId,
    scope: Arc<Scope>,
    range: Arc<Range3d>,
    /// The own range that it answers; whether it is the last part of the answer.
    answers: u64,
    last: bool,
    /// Its number, if it wants a response.
    asks: Option<u64>,
    sorted: bool,
    previous: Option<Cursor>,
    brought: Known,
    /// How much of what it brings is remembered, bytes.
    room: usize,
    entry: Option<Arriving>,
}

/// An entry whose payload may follow.
#[derive(Debug)]
struct Arriving {
    entry: UnverifiedEntry,
    payload: Collector,
    /// The peer has all of its payload.
    whole: bool,
}

impl Reconciler {
    pub(super) fn fingerprint(
        &mut self,
        message: RangeMessage<'_>,
        named: Option<&Arc<Scope>>,
        store: &Store,
        cache: &mut CapCache,
    ) -> Result<(), SyncError> {
        let head = message.head;
        let Some(number) = head.answers else { return self.started_by_peer(message, named, store, cache) };
        let asking = self.own.get(number)?.clone();
        let (range, fingerprint) = message.range_and_fingerprint(&mut self.ranges_in, &asking.range, cache)?;
        if asking.asked != Asked::Fingerprint {
            return Err(SyncError::UnexpectedAnswer { what: "fingerprint" });
        }
        let range = Arc::new(range);
        self.check_answer(number, &head, &asking, named, &range)?;
        if head.last {
            self.answered(number);
        }
        match self.roots.contains_key(&asking.root) {
            true => self.asked(Asking { range, asked: Asked::Fingerprint, ..asking }, fingerprint, head.whole, store)?,
            false => self.peer.skip(),
        }
        self.conclude(asking.root);
        Ok(())
    }

    fn started_by_peer(
        &mut self,
        message: RangeMessage<'_>,
        named: Option<&Arc<Scope>>,
        store: &Store,
        cache: &mut CapCache,
    ) -> Result<(), SyncError> {
        let head = message.head;
        if head.root != 0 {
            return Err(SyncError::UnexpectedAnswer { what: "fingerprint" });
        }
        let index = self.started_there;
        self.started_there = self.started_there.saturating_add(1);
        // Without its overlap the range cannot be decoded; no later range refers to it.
        let Some(scope) = named else {
            self.ranges_in.skip_start();
            self.peer.skip();
            return Ok(());
        };
        let (range, fingerprint) = message.range_and_fingerprint(&mut self.ranges_in, &scope.range, cache)?;
        if range != scope.range {
            return Err(SyncError::RootRange);
        }
        let root = self.add_root(scope, false, Some(index), Some((head.receiver, head.sender)));
        self.events.push_back(ReconcileEvent::StartedByPeer(scope.overlap, root));
        let asking = Asking {
            root,
            scope: Arc::clone(scope),
            range: Arc::new(range),
            asked: Asked::Fingerprint,
            at: store.progress(),
            ended: false,
        };
        self.asked(asking, fingerprint, head.whole, store)
    }

    /// Checks what every answer must keep to.
    fn check_answer(
        &mut self,
        number: u64,
        head: &RangeHead,
        asking: &Asking,
        named: Option<&Arc<Scope>>,
        range: &Arc<Range3d>,
    ) -> Result<(), SyncError> {
        let root = self.roots.get(&asking.root);
        let another = !asking.ended && named.is_some_and(|scope| scope.overlap != asking.scope.overlap);
        if another || root.is_some_and(|root| self.incoming_name(root.mine, root.index) != Some(head.root)) {
            return Err(SyncError::RootMismatch);
        }
        if !contains(&asking.range, range) {
            return Err(SyncError::RangeOutside);
        }
        if range.times() != asking.range.times() {
            return Err(SyncError::RangeCut);
        }
        self.own.part(number, range)
    }

    fn incoming_name(&self, mine: bool, index: Option<u64>) -> Option<u64> {
        Some(index?.saturating_mul(2).saturating_add(if mine { 2 } else { 1 }))
    }

    fn answered(&mut self, number: u64) {
        let Some(asking) = self.own.answered(number) else { return };
        if let Some(root) = self.roots.get_mut(&asking.root).filter(|_| !asking.ended) {
            root.own_open = root.own_open.saturating_sub(1);
        }
    }

    /// Registers a range of the peer.
    fn owe(&mut self, asking: Asking) -> Result<u64, SyncError> {
        if let Some(root) = self.roots.get_mut(&asking.root) {
            root.peer_open = root.peer_open.saturating_add(1);
        }
        self.peer.received(asking, self.own_limit)
    }

    /// Answers a fingerprint; `whole`: the peer has the payloads of all that it is of.
    fn asked(&mut self, asking: Asking, fingerprint: Fingerprint, whole: bool, store: &Store) -> Result<(), SyncError> {
        let (root, scope, range) = (asking.root, Arc::clone(&asking.scope), Arc::clone(&asking.range));
        let number = self.owe(asking)?;
        let own = store.summary(&scope.namespace, &*range, &mut self.sums);
        if own.fingerprint() == fingerprint {
            self.same(&scope, &range, store.progress(), whole, store);
            self.queue.push_back(Answer::equal(root, number, range));
        } else if fingerprint == Fingerprint::EMPTY {
            self.queue.push_back(Answer::entries(root, number, range, Known::nothing(), false));
        } else {
            let parts = if own.count > self.threshold { self.split(&scope, &range, store) } else { Vec::new() };
            if parts.len() < 2 {
                self.ask(root, 1);
                self.queue.push_back(Answer::entries(root, number, range, Known::nothing(), true));
            } else {
                self.ask(root, parts.len() as u64);
                let last = parts.len() - 1;
                let part = |(i, part)| Answer::fingerprint(root, number, i == last, Arc::new(part));
                self.queue.extend(parts.into_iter().enumerate().map(part));
            }
        }
        Ok(())
    }

    /// The parts of a range, none if there is no room for them.
    fn split(&self, scope: &Scope, range: &Range3d, store: &Store) -> Vec<Range3d> {
        let room = self.budget.saturating_sub(self.own.open());
        if room < self.fanout as u64 { Vec::new() } else { store.split(&scope.namespace, range, self.fanout) }
    }

    pub(super) fn announcement(
        &mut self,
        message: RangeMessage<'_>,
        flags: AnnounceFlags,
        named: Option<&Arc<Scope>>,
        store: &Store,
        cache: &mut CapCache,
    ) -> Result<(), SyncError> {
        if self.receiving.is_some() {
            return Err(SyncError::AnnouncementUnfinished);
        }
        let head = message.head;
        let answers = head.answers.ok_or(SyncError::UnexpectedAnswer { what: "announcement" })?;
        let asking = self.own.get(answers)?.clone();
        let range = message.range(&mut self.ranges_in, &asking.range, cache)?;
        if flags.want_response && !flags.is_empty && !flags.will_sort {
            return Err(SyncError::AnnouncementUnsorted);
        }
        let response = !flags.want_response && head.last && range == *asking.range;
        if asking.asked == Asked::Announcement && !response {
            return Err(SyncError::UnexpectedAnswer { what: "announcement" });
        }
        let range = Arc::new(range);
        self.check_answer(answers, &head, &asking, named, &range)?;
        if asking.asked == Asked::Fingerprint && flags.is_empty && !flags.want_response && range == asking.range {
            self.same(&asking.scope, &range, asking.at, head.whole, store);
        }
        let (root, scope) = (asking.root, Arc::clone(&asking.scope));
        let asks = match (flags.want_response, self.roots.contains_key(&root)) {
            (true, true) => Some(self.owe(Asking { range: Arc::clone(&range), asked: Asked::Announcement, ..asking })?),
            (true, false) => {
                self.peer.skip();
                None
            }
            (false, _) => None,
        };
        let (sorted, last, brought) = (flags.will_sort, head.last, Known::nothing());
        let room = BROUGHT.saturating_sub(self.queue.iter().map(Answer::weight).sum());
        let receiving = Receiving { root, scope, range, answers, last, asks, sorted, previous: None, brought, room, entry: None };
        match flags.is_empty {
            true => self.finish_announcement(receiving),
            false => self.receiving = Some(receiving),
        }
        Ok(())
    }

    fn finish_announcement(&mut self, receiving: Receiving) {
        if receiving.last {
            self.answered(receiving.answers);
        }
        if let Some(number) = receiving.asks.filter(|_| self.roots.contains_key(&receiving.root)) {
            self.queue.push_back(Answer::entries(receiving.root, number, receiving.range, receiving.brought, false));
        }
        self.conclude(receiving.root);
    }

    /// Handles a SendEntry.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_entry(&mut self, message: &[u8], cache: &mut CapCache) -> Result<(), SyncError> {
        let receiving = self.receiving.as_mut().ok_or(SyncError::EntryUnannounced)?;
        if receiving.entry.is_some() {
            return Err(SyncError::PayloadUnterminated);
        }
        let received = data::decode_send_entry(message, &mut self.current_in, &receiving.scope.namespace, &receiving.range, cache)?;
        let entry = &received.entry.entry;
        let cursor = Cursor::at(entry.subspace_id(), entry.path());
        if receiving.sorted && receiving.previous.as_ref().is_some_and(|previous| *previous >= cursor) {
            return Err(SyncError::SortBroken);
        }
        if receiving.asks.is_some() {
            let brought = Brought::new(cursor.clone(), received.entry.id, entry.timestamp());
            if receiving.brought.weight().saturating_add(brought.weight()) <= receiving.room {
                receiving.brought.push(brought);
            }
        }
        receiving.previous = Some(cursor);
        let payload = Collector::new(entry, received.offset, self.inline_accepted);
        let whole = received.available == entry.payload_length();
        receiving.entry = Some(Arriving { entry: received.entry, payload, whole });
        Ok(())
    }

    /// Handles a SendPayload.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_payload(&mut self, message: &[u8]) -> Result<(), SyncError> {
        let bytes = data::decode_payload(message)?;
        let entry = self.receiving.as_mut().and_then(|receiving| receiving.entry.as_mut());
        entry.ok_or(SyncError::PayloadWithoutEntry)?.payload.push(bytes)
    }

    /// Handles a TerminatePayload.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke.
    pub fn handle_terminate(&mut self, message: &[u8]) -> Result<(), SyncError> {
        let is_final = data::decode_terminate(message)?;
        let receiving = self.receiving.as_mut().ok_or(SyncError::PayloadWithoutEntry)?;
        let Arriving { entry, payload, whole } = receiving.entry.take().ok_or(SyncError::PayloadWithoutEntry)?;
        let payload = payload.finish()?;
        if let Some(root) = self.roots.get_mut(&receiving.root) {
            root.unconfirmed = root.unconfirmed.saturating_add(1);
        }
        self.arrivals.push_back(Arrival { entry, payload, root: Some(receiving.root), whole });
        if is_final && let Some(receiving) = self.receiving.take() {
            self.finish_announcement(receiving);
        }
        Ok(())
    }
}
