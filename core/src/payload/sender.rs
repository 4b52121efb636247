//! The serving side of a payload stream: payload bytes in, a Bab slice stream out. No hashing per byte.

use super::GROUP_SIZE;
use super::outboard::{Labels, Outboard};
use super::slice::{Slice, SliceError};
use super::tree::{Groups, Node};

/// Turns the bytes of a slice of a payload into a verifiable stream.
///
/// Loop: [`wants`](Self::wants) names the next payload bytes, of which any number is [`push`](Self::push)ed (some
/// hundred KiB at a time is good); [`take`](Self::take) returns the stream bytes made so far. When `wants` is `None`, the
/// stream is complete with the last `take`. Memory: what was pushed and not taken, and 64 bytes per 16 KiB of payload.
///
/// ```
/// use osier_core::payload::{PayloadHasher, PayloadReceiver, PayloadSender, Slice};
///
/// let payload = vec![7; 100_000];
/// let mut hasher = PayloadHasher::new();
/// hasher.push(&payload);
/// let hashed = hasher.finish();
///
/// let mut sender = PayloadSender::new(&hashed.outboard, Slice::whole(hashed.length), false)?;
/// let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, Slice::whole(hashed.length));
/// let mut received = Vec::new();
/// while let Some((offset, len)) = sender.wants() {
///     let piece = &payload[offset as usize..][..len.min(30_000) as usize];
///     sender.push(piece)?;
///     receiver.push(&sender.take())?;
///     while let Some((_offset, bytes)) = receiver.poll_verified() {
///         received.extend(bytes);
///     }
/// }
/// receiver.finish()?;
/// assert_eq!(received, payload);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PayloadSender {
    length: u64,
    groups: Groups,
    labels: Labels,
    /// Subtrees still to send, the next on top.
    stack: Vec<Node>,
    /// Bytes of the group on top of the stack that were pushed already.
    sent_of_group: u64,
    out: Vec<u8>,
}

/// More payload bytes were pushed than [`PayloadSender::wants`] asked for; none was taken over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more bytes than the slice has left: {pushed} for {wanted}")]
pub struct TooManyBytes {
    /// How many were pushed.
    pub pushed: u64,
    /// How many were wanted.
    pub wanted: u64,
}

impl PayloadSender {
    /// Serves `slice` from a prefix that `outboard` proves.
    ///
    /// With `resume` the stream leaves out the labels that a receiver has who verified everything before the slice
    /// (Bab's optimal left skip); the slice then starts between two groups.
    ///
    /// # Errors
    /// [`SliceError::BeyondEnd`] if the slice is not within [`Outboard::available`] bytes,
    /// [`SliceError::Unaligned`] if a stream cannot resume at its start.
    pub fn new(outboard: &Outboard, slice: Slice, resume: bool) -> Result<Self, SliceError> {
        if slice.end() > outboard.available() {
            return Err(SliceError::BeyondEnd { start: slice.start(), len: slice.len(), length: outboard.available() });
        }
        if resume && !slice.start().is_multiple_of(GROUP_SIZE as u64) {
            return Err(SliceError::Unaligned { start: slice.start() });
        }
        let length = outboard.length();
        let groups = slice.groups();
        let mut stack: Vec<Node> = if resume { super::tree::rest_after(groups.start, length).collect() } else { vec![Node::root(length)] };
        stack.reverse();
        let mut sender = Self { length, groups, labels: Labels::new(outboard), stack, sent_of_group: 0, out: Vec::new() };
        sender.emit_labels();
        Ok(sender)
    }

    /// The payload bytes to push next: (offset, length) up to the end of the slice (in whole groups), or `None` when all
    /// were pushed.
    #[must_use]
    pub fn wants(&self) -> Option<(u64, u64)> {
        let group = self.stack.last()?;
        let offset = group.byte_start().saturating_add(self.sent_of_group);
        let rest = Node { start: group.start, end: self.groups.end }.byte_len(self.length).saturating_sub(self.sent_of_group);
        (rest > 0).then_some((offset, rest))
    }

    /// The next payload bytes, as named by [`wants`](Self::wants); any number of them from the offset on.
    ///
    /// # Errors
    /// [`TooManyBytes`].
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), TooManyBytes> {
        let (pushed, wanted) = (bytes.len() as u64, self.wants().map_or(0, |(_, len)| len));
        if pushed > wanted {
            return Err(TooManyBytes { pushed, wanted });
        }
        self.out.reserve(bytes.len() + bytes.len() / 128 + 64);
        while let (Some(group), false) = (self.stack.last().copied(), bytes.is_empty()) {
            let left = group.byte_len(self.length).saturating_sub(self.sent_of_group);
            let (now, later) = bytes.split_at(usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len())));
            self.out.extend_from_slice(now);
            self.sent_of_group += now.len() as u64;
            bytes = later;
            if now.len() as u64 == left {
                self.stack.pop();
                self.sent_of_group = 0;
                self.emit_labels();
            }
        }
        Ok(())
    }

    /// The stream bytes made since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Opens the subtrees on top of the stack down to the next group of the slice.
    fn emit_labels(&mut self) {
        while let Some(node) = self.stack.last().copied() {
            if node.start >= self.groups.end {
                self.stack.clear();
            } else if node.end <= self.groups.start {
                self.stack.pop();
            } else if node.is_group() {
                return;
            } else {
                self.stack.pop();
                let (left, right) = node.children();
                self.out.extend_from_slice(&self.labels.get(left));
                self.out.extend_from_slice(&self.labels.get(right));
                self.stack.extend([right, left]);
            }
        }
    }
}
