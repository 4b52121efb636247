//! Byte ranges of payloads, checked once where they enter. Knows nothing of labels.

use super::GROUP_SIZE;
use super::tree::{self, Groups};

const GROUP: u64 = GROUP_SIZE as u64;

/// A range of bytes of a payload: `start..end` within its length, not empty unless the payload is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slice {
    start: u64,
    end: u64,
}

/// A range that is no slice of the payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SliceError {
    /// The range holds no byte of a payload that has some.
    #[error("an empty range of a payload of {length} bytes")]
    Empty {
        /// The length of the payload.
        length: u64,
    },
    /// The range ends after the payload.
    #[error("the range of {len} bytes from byte {start} ends after a payload of {length} bytes")]
    BeyondEnd {
        /// The first byte asked for.
        start: u64,
        /// How many bytes were asked for.
        len: u64,
        /// The length of the payload.
        length: u64,
    },
    /// A stream without the labels of the path to its start was asked for, and the start is not between two groups.
    #[error("a stream can resume at multiples of {GROUP} bytes only, not at byte {start}")]
    Unaligned {
        /// The first byte asked for.
        start: u64,
    },
}

impl Slice {
    /// `len` bytes from byte `start` of a payload of `length` bytes.
    ///
    /// # Errors
    /// [`SliceError::Empty`], [`SliceError::BeyondEnd`].
    pub fn new(start: u64, len: u64, length: u64) -> Result<Self, SliceError> {
        let end = start.checked_add(len).filter(|end| *end <= length).ok_or(SliceError::BeyondEnd { start, len, length })?;
        if len == 0 && length > 0 {
            return Err(SliceError::Empty { length });
        }
        Ok(Self { start, end })
    }

    /// All bytes of a payload of `length` bytes.
    #[must_use]
    pub fn whole(length: u64) -> Self {
        Self { start: 0, end: length }
    }

    /// The first byte.
    #[must_use]
    pub fn start(self) -> u64 {
        self.start
    }

    /// The byte after the last.
    #[must_use]
    pub fn end(self) -> u64 {
        self.end
    }

    /// How many bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a slice is empty only where its payload is")]
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// The part within the first `available` bytes; `None` if there is no such byte.
    #[must_use]
    pub fn within(self, available: u64) -> Option<Self> {
        let end = self.end.min(available);
        (self.start < end).then_some(Self { start: self.start, end })
    }

    /// From the verified prefix of `start` bytes up to `end` or the end of the payload, in whole groups.
    pub(super) fn after(start: u64, end: u64, length: u64) -> Self {
        Self { start, end: end.min(length) }.widened(length)
    }

    /// The slice extended to whole groups of a payload of `length` bytes.
    #[must_use]
    pub(super) fn widened(self, length: u64) -> Self {
        let end = self.end.checked_next_multiple_of(GROUP).map_or(length, |end| end.min(length));
        Self { start: self.start - self.start % GROUP, end }
    }

    /// The groups that hold its bytes.
    pub(super) fn groups(self) -> Groups {
        Groups { start: self.start / GROUP, end: tree::group_count(self.end) }
    }
}
