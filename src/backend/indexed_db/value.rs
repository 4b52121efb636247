//! What is stored of an entry in one value: its row (see [`RowCodec`](osier_core::store::RowCodec)), and its payload if that is small and came with it.
//!
//! ```text
//! id 32 · row
//! id 32 · 2 · length of the payload 2, big-endian · row · payload
//! ```
//! Rows begin with 1, and have a check: where a value was cut off, or its length is another, what is found in the place of the row is none.

use osier_core::willow::EntryId;

/// The longest payload that is put behind its row.
///
/// A browser takes as long for a value of some kilobytes as for one of some bytes, so a payload in a value of its own doubles what an entry
/// costs to write. But opening reads all that is behind rows, for nothing: with this much, about as many bytes again.
pub(super) const SMALL: u64 = 256;

/// Bytes of a payload from here on are in no value, whatever the longest was when it was written.
pub(super) const BEHIND: u64 = u16::MAX as u64;

/// In the place of a row's format: a payload is behind the row.
const WITH_PAYLOAD: u8 = 2;

/// The parts of a value.
pub(super) struct Value<'a> {
    pub(super) id: EntryId,
    pub(super) row: &'a [u8],
    /// The payload, if it is in here.
    pub(super) payload: Option<&'a [u8]>,
}

impl<'a> Value<'a> {
    /// Takes a value apart; `None` if it is shorter than it says.
    pub(super) fn split(value: &'a [u8]) -> Option<Self> {
        let (id, rest) = value.split_first_chunk()?;
        let id = EntryId(*id);
        let Some((&WITH_PAYLOAD, rest)) = rest.split_first() else { return Some(Self { id, row: rest, payload: None }) };
        let (length, rest) = rest.split_first_chunk()?;
        let (row, payload) = rest.split_at_checked(rest.len().checked_sub(u16::from_be_bytes(*length).into())?)?;
        Some(Self { id, row, payload: Some(payload) })
    }
}

/// The value of a row.
pub(super) fn of_row(id: &EntryId, row: &[u8]) -> Vec<u8> {
    [&id.0, row].concat()
}

/// The value of a row with its payload, which may have [`SMALL`] bytes at most.
pub(super) fn with_payload(id: &EntryId, row: &[u8], payload: &[u8]) -> Vec<u8> {
    #[allow(clippy::cast_possible_truncation, reason = "it is small")]
    let length = (payload.len() as u16).to_be_bytes();
    [&id.0, &[WITH_PAYLOAD][..], &length, row, payload].concat()
}
