//! What can be wrong with a drop, one variant per rule.

use crate::willow::{DecodeError, EntryId, InvalidToken};

/// Why a drop is not read any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DropError {
    /// An entry that does not decode.
    #[error("at byte {at}: {reason}")]
    Undecodable {
        /// Where in the drop the entry begins.
        at: u64,
        /// What is wrong with its bytes.
        reason: DecodeError,
    },
    /// Neither an entry nor the end, where one of them must be.
    #[error("at byte {at}: neither an entry nor the end of the drop")]
    NoEntry {
        /// Where in the drop.
        at: u64,
    },
    /// A payload in slices, which this code does not read.
    #[error("at byte {at}: a payload in slices")]
    Slices {
        /// Where in the drop its entry begins.
        at: u64,
    },
    /// A part of a payload that has no chunks, or all of them.
    #[error("at byte {at}: a part of a payload of {chunks} chunks")]
    NoPart {
        /// Where in the drop its entry begins.
        at: u64,
        /// How many chunks it is said to have.
        chunks: u64,
    },
    /// A capability that is not valid.
    #[error("at byte {at}: a capability that is not valid")]
    InvalidCapability {
        /// Where in the drop its entry begins.
        at: u64,
    },
    /// An entry that its token does not authorise.
    #[error("at byte {at}: {reason}")]
    InvalidToken {
        /// Where in the drop it begins.
        at: u64,
        /// Which rule the token breaks.
        reason: InvalidToken,
    },
    /// A payload that is not its entry's.
    #[error("at byte {at}: an entry whose payload is another one")]
    WrongPayload {
        /// Where in the drop its entry begins.
        at: u64,
    },
    /// The drop ends before its end.
    #[error("the drop is cut short after {bytes} bytes")]
    Truncated {
        /// How many bytes there were.
        bytes: u64,
    },
    /// Bytes follow the end of the drop.
    #[error("bytes follow the end of the drop at byte {at}")]
    TrailingBytes {
        /// Where the drop ends.
        at: u64,
    },
}

/// Why a drop is not written any further. What was written of it is of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DropWriteError {
    /// A long payload was removed while it was being written: its entry was pruned or forgotten.
    #[error("a payload was removed while it was being written")]
    PayloadGone {
        /// Its entry.
        entry: EntryId,
        /// Its length in bytes.
        length: u64,
    },
    /// A long payload is not the one of its entry: the storage is damaged.
    #[error("a stored payload is not its entry's")]
    WrongPayload {
        /// Its entry.
        entry: EntryId,
    },
}
