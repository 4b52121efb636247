//! The asking side of a payload stream: stream bytes in, verified payload bytes out.

use willow25::entry::PayloadDigest;

use super::outboard::Outboard;
use super::slice::Slice;
use super::tree::{Groups, Node};
use super::william3::{self, Label};

/// Verifies a Bab slice stream as it arrives.
///
/// Stream bytes of any size go into [`push`](Self::push); verified bytes come out of
/// [`poll_verified`](Self::poll_verified), in order, within the slice. A wrong byte is noticed at the latest with the last
/// byte of its group (16 KiB) and never comes out. Memory: what was pushed and not polled, at most one group not yet
/// verified, and one label per level of the tree; nothing is sized by a claimed length.
#[derive(Debug)]
pub struct PayloadReceiver {
    length: u64,
    slice: Slice,
    groups: Groups,
    /// Subtrees that come, with their verified labels, the next on top. Those after the slice stay.
    stack: Vec<(Node, Label)>,
    /// The beginning of the next pair of labels or group.
    pending: Vec<u8>,
    /// Verified, not yet polled: contiguous, up to `verified_end`.
    verified: Vec<u8>,
    verified_end: u64,
    /// Grows with each group when the slice continues its prefix.
    outboard: Option<Outboard>,
    failed: Option<PayloadError>,
}

/// What is wrong with a payload stream: the peer's fault, in each case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PayloadError {
    /// The labels or the bytes at this offset are not those of the payload.
    #[error("wrong payload bytes at or after byte {offset}")]
    WrongBytes {
        /// Where the subtree starts whose label does not fit.
        offset: u64,
    },
    /// The stream goes on after the end of the slice.
    #[error("bytes after the end of the payload stream")]
    BeyondEnd,
    /// The stream ended before the end of the slice.
    #[error("the payload stream ended at byte {verified} of {end}")]
    Truncated {
        /// The slice was verified up to this byte.
        verified: u64,
        /// The end of the slice.
        end: u64,
    },
}

impl PayloadReceiver {
    /// Receives `slice` of the payload with this digest and length, from a stream that starts at the root.
    #[must_use]
    pub fn slice(digest: &PayloadDigest, length: u64, slice: Slice) -> Self {
        let outboard = Outboard::empty(digest, length);
        let slice = if slice.start() == 0 { slice.widened(length) } else { slice };
        Self::new(outboard, slice)
    }

    /// Receives what follows the prefix that `outboard` proves, up to `end` (rounded up to whole groups).
    ///
    /// The stream is one that resumes there: ask for it with [`PayloadRequest::resume`](super::PayloadRequest::resume), unless the
    /// prefix is empty. `None` if nothing follows before `end`.
    #[must_use]
    pub fn resume(outboard: Outboard, end: u64) -> Option<Self> {
        let (start, length) = (outboard.available(), outboard.length());
        if outboard.is_complete() || (end <= start && length > 0) {
            return None;
        }
        let slice = Slice::after(start, end, length);
        Some(Self::new(outboard, slice))
    }

    fn new(outboard: Outboard, slice: Slice) -> Self {
        let mut stack: Vec<_> = outboard.rest().collect();
        stack.reverse();
        Self {
            length: outboard.length(),
            slice,
            groups: slice.groups(),
            stack,
            pending: Vec::new(),
            verified: Vec::new(),
            verified_end: slice.start(),
            outboard: (slice.start() == outboard.available()).then_some(outboard),
            failed: None,
        }
    }

    /// The slice that comes out: the one asked for, or whole groups around it where a prefix grows.
    #[must_use]
    pub fn expected(&self) -> Slice {
        self.slice
    }

    /// The other side holds only the first `available` bytes of the payload ([`PayloadStatus::Partial`]): expect no more.
    ///
    /// To be called before the first stream bytes. Returns whether any are to come.
    ///
    /// [`PayloadStatus::Partial`]: super::PayloadStatus::Partial
    pub fn limit(&mut self, available: u64) -> bool {
        let available = if available >= self.length { self.length } else { available - available % super::GROUP_SIZE as u64 };
        let Some(slice) = self.slice.within(available) else { return false };
        self.slice = slice;
        self.groups = slice.groups();
        true
    }

    /// The next bytes of the stream.
    ///
    /// # Errors
    /// [`PayloadError::WrongBytes`], [`PayloadError::BeyondEnd`]; from then on always the same. What was verified before
    /// can still be polled.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), PayloadError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.advance(bytes).inspect_err(|error| self.failed = Some(*error))
    }

    /// The next verified bytes of the slice with their offset in the payload; contiguous with those before.
    pub fn poll_verified(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.verified.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.verified);
        Some((self.verified_end - bytes.len() as u64, bytes))
    }

    /// The slice is verified up to this byte of the payload.
    #[must_use]
    pub fn verified_end(&self) -> u64 {
        self.verified_end
    }

    /// Whether every byte of the slice was verified.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.next_len().is_none()
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// [`PayloadError::Truncated`] if bytes of the slice are missing, or the error that `push` returned before.
    pub fn finish(&mut self) -> Result<(), PayloadError> {
        self.push(&[])?;
        if self.is_complete() { Ok(()) } else { Err(PayloadError::Truncated { verified: self.verified_end, end: self.slice.end() }) }
    }

    /// The labels of the prefix verified so far, to keep beside its bytes; `None` where the slice continues no prefix.
    #[must_use]
    pub fn outboard(&self) -> Option<&Outboard> {
        self.outboard.as_ref()
    }

    /// As [`outboard`](Self::outboard), by value.
    #[must_use]
    pub fn into_outboard(self) -> Option<Outboard> {
        self.outboard
    }

    fn advance(&mut self, mut bytes: &[u8]) -> Result<(), PayloadError> {
        while let Some(needed) = self.next_len() {
            if self.pending.is_empty() && bytes.len() >= needed {
                let (item, later) = bytes.split_at(needed);
                self.verify(item)?;
                bytes = later;
                continue;
            }
            let (now, later) = bytes.split_at(bytes.len().min(needed - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() < needed {
                return Ok(());
            }
            let mut item = std::mem::take(&mut self.pending);
            self.verify(&item)?;
            item.clear();
            self.pending = item;
        }
        if bytes.is_empty() { Ok(()) } else { Err(PayloadError::BeyondEnd) }
    }

    /// The length of the next pair of labels or group; `None` after the slice.
    fn next_len(&self) -> Option<usize> {
        let (node, _) = self.stack.last().filter(|(node, _)| node.start < self.groups.end)?;
        if node.is_group() { usize::try_from(node.byte_len(self.length)).ok() } else { Some(64) }
    }

    /// Takes over the next pair of labels or group, if it fits the label of its node.
    fn verify(&mut self, item: &[u8]) -> Result<(), PayloadError> {
        let Some((node, expected)) = self.stack.pop() else { return Err(PayloadError::BeyondEnd) };
        let is_root = node == Node::root(self.length);
        let wrong = PayloadError::WrongBytes { offset: node.byte_start() };
        if node.is_group() {
            if william3::group_label(item, is_root) != expected {
                return Err(wrong);
            }
            self.accept(node, expected, item);
            return Ok(());
        }
        let ([left, right], []) = item.as_chunks::<32>() else { return Err(wrong) };
        if william3::inner_label(left, right, node.byte_len(self.length), is_root) != expected {
            return Err(wrong);
        }
        let (left_node, right_node) = node.children();
        self.stack.push((right_node, *right));
        if left_node.end > self.groups.start {
            self.stack.push((left_node, *left));
        }
        Ok(())
    }

    fn accept(&mut self, group: Node, label: Label, bytes: &[u8]) {
        let offset = group.byte_start();
        let within = |byte: u64| usize::try_from(byte.saturating_sub(offset)).map_or(bytes.len(), |byte| byte.min(bytes.len()));
        let wanted = &bytes[within(self.slice.start())..within(self.slice.end())];
        self.verified.extend_from_slice(wanted);
        self.verified_end += wanted.len() as u64;
        if let Some(outboard) = &mut self.outboard {
            outboard.push(label, self.stack.iter().rev().map(|(_, label)| *label));
        }
    }
}
