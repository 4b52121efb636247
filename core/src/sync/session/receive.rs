//! What arrives on the session stream, message by message.

use std::sync::Arc;

use super::{Output, Session};
use crate::{
    Moment,
    store::{Evidence, Store},
    sync::{
        control::ControlMessage,
        data::DataKind,
        error::SyncError,
        frame::{Channel, frame_len},
        overlap::{Overlap, OverlapId},
        reconcile::{Arrival, Scope},
    },
    willow::{Coordinatelike, Entrylike, Keylike, Namespaced},
};

use super::commons::Commons;

impl Session {
    /// Takes bytes of the session stream, after Hello, in pieces of any size.
    ///
    /// # Errors
    /// [`SyncError`], the rule that the peer broke. The session is over.
    pub fn handle_bytes(&mut self, now: Moment, bytes: &[u8], store: &mut Store) -> Result<(), SyncError> {
        self.now = now;
        self.stats.received = self.stats.received.saturating_add(bytes.len() as u64);
        self.frames.push(bytes);
        let taken = self.handle_frames(store);
        self.failed |= taken.is_err();
        taken
    }

    fn handle_frames(&mut self, store: &mut Store) -> Result<(), SyncError> {
        self.follow_overlaps(store);
        while let Some((channel, message)) = self.frames.next()? {
            self.handle_message(channel, &message, store)?;
            if self.inbox.is_full() {
                self.inbox.verify()?;
            }
        }
        self.acknowledge();
        Ok(())
    }

    fn handle_message(&mut self, channel: Channel, message: &[u8], store: &mut Store) -> Result<(), SyncError> {
        match channel {
            Channel::Control => self.handle_control(message)?,
            Channel::Overlap => self.overlap.handle_overlap(message)?,
            Channel::Capability => self.overlap.handle_capability(message, &mut self.cache)?,
            Channel::Reconciliation | Channel::Data => {
                self.count(message)?;
                if channel == Channel::Data {
                    self.handle_data(message, store)?;
                } else {
                    let named = named(&mut self.overlap, &self.commons);
                    self.reconciler.handle_fingerprint(message, named, store, &mut self.cache)?;
                    // While the store is what the answer will be compared with.
                    self.follow_roots(store);
                }
                return self.collect(store);
            }
        }
        self.follow_overlaps(store);
        Ok(())
    }

    fn count(&mut self, message: &[u8]) -> Result<(), SyncError> {
        let bytes = frame_len(message.len());
        self.stats.reconciliation_received = self.stats.reconciliation_received.saturating_add(bytes);
        match self.policy.quota {
            Some(limit) if self.stats.reconciliation_received > limit => Err(SyncError::QuotaExceeded { limit }),
            _ => self.receive_window.received(bytes),
        }
    }

    fn handle_control(&mut self, message: &[u8]) -> Result<(), SyncError> {
        let message = ControlMessage::decode(message)?;
        if self.overlap.handle_control(&message)? {
            return Ok(());
        }
        match message {
            ControlMessage::SetEagerness { eager, sender, receiver } => {
                if let Some(overlap) = self.overlap.name_received(receiver, sender)?
                    && let Some((scope, since)) = self.commons.set_peer_eager(overlap, eager)
                {
                    self.live.catch_up(&scope.namespace, since);
                }
            }
            ControlMessage::Consumed { bytes } => self.send_window.consumed(bytes)?,
            ControlMessage::Stored { count } => {
                let stored = self.sent.receipted(count)?;
                if !stored.is_empty() {
                    self.outputs.push_back(Output::Held(Evidence::Entries(stored)));
                }
            }
            ControlMessage::NotStored { count } => drop(self.sent.receipted(count)?),
            ControlMessage::PayloadStored { entry } => {
                if let Some(entry) = self.asked.remove(&entry) {
                    self.outputs.push_back(Output::Held(Evidence::Entries(vec![entry])));
                }
            }
            ControlMessage::Ping { nonce } => self.control.pong(nonce),
            ControlMessage::Pong { nonce } => {
                if self.awaited_pong.take_if(|awaited| *awaited == nonce).is_some() {
                    self.outputs.push_back(Output::Probed);
                }
            }
            ControlMessage::AnnounceOverlap { .. }
            | ControlMessage::HandleFree { .. }
            | ControlMessage::OverlapSettled { .. }
            | ControlMessage::Decline { .. } => {}
        }
        Ok(())
    }

    fn handle_data(&mut self, message: &[u8], store: &Store) -> Result<(), SyncError> {
        match DataKind::of(message)? {
            DataKind::AnnounceEntries => {
                let named = named(&mut self.overlap, &self.commons);
                self.reconciler.handle_announcement(message, named, store, &mut self.cache)
            }
            DataKind::SendEntry => self.reconciler.handle_entry(message, &mut self.cache),
            DataKind::SendPayload => self.reconciler.handle_payload(message),
            DataKind::TerminatePayload => self.reconciler.handle_terminate(message),
            DataKind::DataSendEntry => match self.live.handle_entry(message, &mut self.cache)? {
                Some(interrupted) => self.take(interrupted, store),
                None => Ok(()),
            },
            DataKind::DataSendPayload => self.live.handle_payload(message),
        }
    }

    /// Puts what has arrived whole into the inbox.
    fn collect(&mut self, store: &Store) -> Result<(), SyncError> {
        while let Some(arrival) = self.reconciler.poll_arrival() {
            self.take(arrival, store)?;
        }
        match self.live.poll_arrival()? {
            Some(arrival) => self.take(arrival, store),
            None => Ok(()),
        }
    }

    fn take(&mut self, arrival: Arrival, store: &Store) -> Result<(), SyncError> {
        let entry = &arrival.entry.entry;
        debug_assert!(arrival.payload.as_ref().is_none_or(|payload| payload.len() as u64 == entry.payload_length()));
        let shared = match arrival.root {
            Some(root) => self.reconciler.overlap_of(root).is_some(),
            None => self.commons.of_entry(entry).is_some(),
        };
        if !shared && arrival.root.is_none() && !self.commons.had_entry(entry) {
            return Err(SyncError::EntryOutsideAreas);
        }
        if shared {
            self.stats.entries_received = self.stats.entries_received.saturating_add(1);
        }
        let latest = self.clock.micros(self.now).saturating_add(self.policy.max_future_micros);
        let taken = shared && u64::from(entry.timestamp()) <= latest;
        self.learn_from(&arrival, store);
        self.inbox.push(arrival, taken);
        Ok(())
    }

    /// What the peer sends it has.
    fn learn_from(&mut self, arrival: &Arrival, store: &Store) {
        let entry = &arrival.entry.entry;
        if store.unheld() > 0
            && let Some(held) = store.get(entry.namespace_id(), entry.subspace_id(), entry.path())
            && held.id() == arrival.entry.id
            && held.is_unheld()
            && (arrival.whole || !held.is_complete())
        {
            self.outputs.push_back(Output::Held(Evidence::Entries(vec![held.stored().clone()])));
        }
    }

    /// Tells the peer what was consumed, unless the store is far behind.
    pub(super) fn acknowledge(&mut self) {
        if !self.inbox.is_behind()
            && let Some(bytes) = self.receive_window.acknowledge()
        {
            self.control.consumed(bytes);
        }
    }
}

/// What a received pair of read capability handles (own, peer's) is about; counts the mention.
fn named<'a>(overlap: &'a mut Overlap, commons: &'a Commons) -> impl FnOnce(u64, u64) -> Result<Option<Arc<Scope>>, SyncError> + 'a {
    move |own, peer| {
        let named: Option<OverlapId> = overlap.name_received(own, peer)?;
        Ok(named.and_then(|overlap| commons.scope(overlap)))
    }
}
