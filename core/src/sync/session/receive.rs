//! What arrives on the session stream, message by message.

use std::sync::Arc;

use super::{Output, Session};
use crate::{
    Moment,
    store::Store,
    sync::{
        control::ControlMessage,
        data::DataKind,
        error::SyncError,
        frame::{Channel, frame_len},
        overlap::{Overlap, OverlapId},
        reconcile::{Arrival, Scope},
    },
    willow::Entrylike,
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
                    self.handle_data(message)?;
                } else {
                    let named = named(&mut self.overlap, &self.commons);
                    self.reconciler.handle_fingerprint(message, named, store, &mut self.cache)?;
                }
                return self.collect();
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
                if let Some(overlap) = self.overlap.name_received(receiver, sender)? {
                    self.commons.set_peer_eager(overlap, eager);
                }
            }
            ControlMessage::Consumed { bytes } => self.send_window.consumed(bytes)?,
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

    fn handle_data(&mut self, message: &[u8]) -> Result<(), SyncError> {
        match DataKind::of(message)? {
            DataKind::AnnounceEntries => {
                let named = named(&mut self.overlap, &self.commons);
                self.reconciler.handle_announcement(message, named, &mut self.cache)
            }
            DataKind::SendEntry => self.reconciler.handle_entry(message, &mut self.cache),
            DataKind::SendPayload => self.reconciler.handle_payload(message),
            DataKind::TerminatePayload => self.reconciler.handle_terminate(message),
            DataKind::DataSendEntry => match self.live.handle_entry(message, &mut self.cache)? {
                Some(interrupted) => self.take_live(interrupted),
                None => Ok(()),
            },
            DataKind::DataSendPayload => self.live.handle_payload(message),
        }
    }

    /// Puts what has arrived whole into the inbox.
    fn collect(&mut self) -> Result<(), SyncError> {
        while let Some(arrival) = self.reconciler.poll_arrival() {
            self.take(arrival);
        }
        match self.live.poll_arrival()? {
            Some(arrival) => self.take_live(arrival),
            None => Ok(()),
        }
    }

    fn take_live(&mut self, arrival: Arrival) -> Result<(), SyncError> {
        let entry = &arrival.entry.entry;
        if self.commons.of_entry(entry).is_some() {
            self.take(arrival);
        } else if !self.commons.had_entry(entry) {
            return Err(SyncError::EntryOutsideAreas);
        }
        Ok(())
    }

    fn take(&mut self, arrival: Arrival) {
        self.stats.entries_received = self.stats.entries_received.saturating_add(1);
        debug_assert!(arrival.payload.as_ref().is_none_or(|payload| payload.len() as u64 == arrival.entry.entry.payload_length()));
        let latest = self.clock.micros(self.now).saturating_add(self.policy.max_future_micros);
        self.inbox.push(arrival, latest);
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
