//! What leaves when, and how much may be under way.
//!
//! A session has three queues, each first in, first out: what belongs to Control, Overlap and Capability; live entries; and
//! reconciliation. Whenever there is room, the first of them that has something is served, so that bulk reconciliation never delays a
//! live update, nor either of them an announcement. Messages are encoded when they leave their queue.
//!
//! The transport buffers more than a megabyte behind all priorities; so at most [`WINDOW`] bytes of the Reconciliation and Data channels
//! may be sent that the peer has not said to have consumed. The first queue does not count and does not wait: it carries the very
//! messages that open the window, and it is bounded by the handles that a peer may bind.
//!
//! Nothing here knows what a message says.

use std::collections::VecDeque;

use super::{
    control::ControlMessage,
    error::SyncError,
    overlap::OverlapId,
    receipts::{Receipts, Run},
};
use crate::willow::EntryId;

/// How many bytes of the Reconciliation and Data channels, with their frames' headers, may be sent and not yet consumed.
pub const WINDOW: u64 = 128 * 1024;
/// After how many consumed bytes the peer is told.
pub const ACKNOWLEDGE: u64 = 32 * 1024;
/// The most that one step of a queue adds: an entry with its token and an inline payload.
pub const STEP: u64 = 40 * 1024;

/// How many fetched payloads may wait to be told; what is beyond that is shown to be here another time.
const FETCHED: usize = 1024;

/// How many pings may wait for their answer to be sent.
const PONGS: usize = 8;

/// What may still be sent.
#[derive(Default, Debug)]
pub struct SendWindow {
    unconsumed: u64,
}

impl SendWindow {
    /// Whether there is room for one more step of a queue.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unconsumed + STEP <= WINDOW
    }

    /// So many bytes leave.
    pub fn sent(&mut self, bytes: u64) {
        self.unconsumed = self.unconsumed.saturating_add(bytes);
    }

    /// The peer has consumed so many.
    ///
    /// # Errors
    /// [`SyncError::ConsumedUnsent`].
    pub fn consumed(&mut self, bytes: u64) -> Result<(), SyncError> {
        let left = self.unconsumed.checked_sub(bytes).ok_or(SyncError::ConsumedUnsent { bytes: bytes.saturating_sub(self.unconsumed) })?;
        self.unconsumed = left;
        Ok(())
    }
}

/// What was received and the peer was not told to be consumed.
#[derive(Default, Debug)]
pub struct ReceiveWindow {
    unacknowledged: u64,
}

impl ReceiveWindow {
    /// So many bytes arrived.
    ///
    /// # Errors
    /// [`SyncError::WindowExceeded`].
    pub fn received(&mut self, bytes: u64) -> Result<(), SyncError> {
        self.unacknowledged = self.unacknowledged.saturating_add(bytes);
        if self.unacknowledged > WINDOW { Err(SyncError::WindowExceeded { limit: WINDOW }) } else { Ok(()) }
    }

    /// How many bytes to tell the peer now, if it is worth a message. Everything received counts as consumed.
    pub fn acknowledge(&mut self) -> Option<u64> {
        (self.unacknowledged >= ACKNOWLEDGE).then(|| std::mem::take(&mut self.unacknowledged))
    }
}

/// A message of the session itself in the first queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// To be encoded as it is.
    Plain(ControlMessage),
    /// SetEagerness; its handles are looked up when it leaves.
    Eagerness {
        /// The overlap.
        overlap: OverlapId,
        /// Whether new entries are wanted at once.
        eager: bool,
    },
}

/// The session's own part of the first queue. What the overlap machine has to say leaves before it. It does not grow while a peer reads
/// nothing: what is said anew takes the place of what was to be said.
#[derive(Default, Debug)]
pub struct ControlQueue {
    pongs: VecDeque<u64>,
    consumed: u64,
    ping: Option<u64>,
    receipts: Receipts,
    fetched: VecDeque<EntryId>,
    eagerness: VecDeque<(OverlapId, bool)>,
}

impl ControlQueue {
    /// So many more bytes are consumed.
    pub fn consumed(&mut self, bytes: u64) {
        self.consumed = self.consumed.saturating_add(bytes);
    }

    /// The next entry of the peer is stored, or not.
    pub fn receipt(&mut self, stored: bool) {
        self.receipts.push(stored);
    }

    /// A payload that was fetched is stored.
    pub fn fetched(&mut self, entry: EntryId) {
        if self.fetched.len() < FETCHED {
            self.fetched.push_back(entry);
        }
    }

    /// Queues a Ping, in the place of one that has not left.
    pub fn ping(&mut self, nonce: u64) {
        self.ping = Some(nonce);
    }

    /// Eagerness has changed to this. If the change before has not left, the peer needs not know of either.
    pub fn eagerness(&mut self, overlap: OverlapId, eager: bool) {
        match self.eagerness.iter().position(|&(queued, _)| queued == overlap) {
            Some(at) => drop(self.eagerness.remove(at)),
            None => self.eagerness.push_back((overlap, eager)),
        }
    }

    /// Queues the answer to a Ping. Of many that cannot be sent only the latest are kept.
    pub fn pong(&mut self, nonce: u64) {
        if self.pongs.len() >= PONGS {
            self.pongs.pop_front();
        }
        self.pongs.push_back(nonce);
    }

    /// The next message.
    pub fn pop(&mut self) -> Option<Control> {
        if let Some(nonce) = self.pongs.pop_front() {
            return Some(Control::Plain(ControlMessage::Pong { nonce }));
        }
        if self.consumed > 0 {
            return Some(Control::Plain(ControlMessage::Consumed { bytes: std::mem::take(&mut self.consumed) }));
        }
        if let Some(nonce) = self.ping.take() {
            return Some(Control::Plain(ControlMessage::Ping { nonce }));
        }
        if let Some(Run { stored, count }) = self.receipts.pop() {
            return Some(Control::Plain(if stored { ControlMessage::Stored { count } } else { ControlMessage::NotStored { count } }));
        }
        if let Some(entry) = self.fetched.pop_front() {
            return Some(Control::Plain(ControlMessage::PayloadStored { entry }));
        }
        self.eagerness.pop_front().map(|(overlap, eager)| Control::Eagerness { overlap, eager })
    }
}

#[cfg(test)]
mod tests;
