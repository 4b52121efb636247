//! What leaves on the session stream, from three queues in their order.

use super::Session;
use crate::{
    Moment,
    store::Store,
    sync::{
        control::ControlMessage,
        frame::{Channel, encode_frame},
        queue::Control,
    },
};

/// No more than this is given out at once, so that what is more urgent can overtake the rest.
const PIECE: usize = 16 * 1024;

/// Encoded bytes on their way out.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    taken: usize,
}

impl Outgoing {
    fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn take(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.is_empty() || most == 0 {
            return None;
        }
        if self.taken == 0 && self.bytes.len() <= most {
            return Some(std::mem::take(&mut self.bytes));
        }
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let piece: Vec<u8> = rest.iter().take(most).copied().collect();
        self.taken += piece.len();
        if self.is_empty() {
            self.bytes.clear();
            self.taken = 0;
        }
        Some(piece)
    }
}

impl Session {
    /// The next bytes for the session stream, at most `space`; `None` if there are none now.
    pub fn poll_transmit(&mut self, now: Moment, store: &mut Store, space: usize) -> Option<Vec<u8>> {
        self.now = now;
        if self.failed {
            return None;
        }
        if space > 0 && !self.ending.is_over() {
            self.settle(store);
            while self.outgoing.len() < space.min(PIECE) && self.step(store) {}
        }
        let piece = self.outgoing.take(space)?;
        self.stats.sent = self.stats.sent.saturating_add(piece.len() as u64);
        Some(piece)
    }

    /// Encodes the next message, with what belongs to it. `false` if there is none now.
    pub(super) fn step(&mut self, store: &mut Store) -> bool {
        if let Some((channel, message)) = self.overlap.poll_message() {
            encode_frame(&mut self.outgoing.bytes, channel, &message);
            return true;
        }
        while let Some(control) = self.control.pop() {
            if let Some(message) = self.control_message(control) {
                encode_frame(&mut self.outgoing.bytes, Channel::Control, &message.encode());
                return true;
            }
        }
        if !self.send_window.has_room() && !self.ending.is_peer_silent() {
            return false;
        }
        let before = self.outgoing.bytes.len();
        let sent = self.live.poll(self.commons.eager(), store, &mut self.reads, &mut self.sent, &mut self.outgoing.bytes)
            || self.reconciler.poll(store, &mut self.overlap, &mut self.reads, &mut self.sent, &mut self.outgoing.bytes);
        let bytes = (self.outgoing.bytes.len() - before) as u64;
        self.send_window.sent(bytes);
        self.stats.reconciliation_sent = self.stats.reconciliation_sent.saturating_add(bytes);
        if sent {
            // An answer that has left may end a root, and so allow another one to start.
            self.follow_roots(store);
            self.start_roots(store);
        }
        sent
    }

    fn control_message(&mut self, control: Control) -> Option<ControlMessage> {
        match control {
            Control::Plain(message) => Some(message),
            Control::Eagerness { overlap, eager } => {
                let (sender, receiver) = self.overlap.handles(overlap)?;
                self.overlap.name_sent(sender, receiver)?;
                Some(ControlMessage::SetEagerness { eager, sender, receiver })
            }
        }
    }
}
