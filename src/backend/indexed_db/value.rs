//! What is stored of an entry in one value: its row (see [`RowCodec`](osier_core::store::RowCodec)), and its payload if that is small and came with it.
//!
//! ```text
//! id 32 · row
//! id 32 · 2 · length of the payload 2, big-endian · row · payload
//! ```
//! Rows begin with 1, and have a check: where a value was cut off, or its length is another, what is found in the place of the row is none.
//!
//! A **pack** has the values of several entries, in the order of their ids, under the key of the first, its head:
//!
//! ```text
//! id of the head 32 · 3 · number of entries 2 · (length of the value 2 · value)*
//! ```
//! (numbers are big-endian).
//! A browser takes as long for a value of some kilobytes as for one of some bytes, so entries that are written together, and are not going to
//! change, cost a fraction so. They must be all there with their payloads: then nothing happens to them any more but that they are removed,
//! upon which the pack is written without them.

use osier_core::willow::EntryId;

/// The longest payload that is put behind its row.
///
/// In a value of its own it would double what an entry costs to write. But opening reads all that is behind rows, for nothing: with this much,
/// about as many bytes again.
pub(super) const SMALL: u64 = 256;

/// Bytes of a payload from here on are in no value, whatever the longest was when it was written.
pub(super) const BEHIND: u64 = u16::MAX as u64;

/// In the place of a row's format: a payload is behind the row.
const WITH_PAYLOAD: u8 = 2;

/// In the place of a row's format: the values of entries follow.
const PACK: u8 = 3;

/// The longest pack. A longer one would make it cheaper to write many entries, and dearer to remove or read one of them.
const PACK_BYTES: usize = 8 * 1024;

/// The longest value that goes into a pack.
const MEMBER_BYTES: usize = 1024;

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

/// Entries, each with its value, in the order of their ids.
pub(super) type Members<'a> = Vec<(EntryId, &'a [u8])>;

/// Whether a value is that of several entries, or of what is left of them.
pub(super) fn is_pack(value: &[u8]) -> bool {
    value.get(size_of::<EntryId>()) == Some(&PACK)
}

/// The entries of a pack: at least two. `None` if it does not say what was written.
pub(super) fn unpack(pack: &[u8]) -> Option<Members<'_>> {
    let (head, rest) = pack.split_first_chunk()?;
    let (count, mut rest) = rest.strip_prefix(&[PACK])?.split_first_chunk()?;
    let mut members = Members::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let (value, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
        members.push((EntryId(*value.first_chunk()?), value));
        rest = behind;
    }
    let whole = rest.is_empty() && members.len() == usize::from(u16::from_be_bytes(*count));
    let right = members.len() > 1 && members[0].0.0 == *head && members.is_sorted_by(|(a, _), (b, _)| a < b);
    (whole && right).then_some(members)
}

/// What is stored of entries in one value, and under whose key. `None` for none.
pub(super) fn stored_as(members: &Members<'_>) -> Option<(EntryId, Vec<u8>)> {
    #[allow(clippy::cast_possible_truncation, reason = "neither a pack nor what is in one is that long")]
    let number = |length: usize| (length as u16).to_be_bytes();
    match members[..] {
        [] => None,
        [(id, value)] => Some((id, value.to_vec())),
        [(head, _), ..] => {
            let mut pack = [&head.0[..], &[PACK], &number(members.len())].concat();
            for (_, value) in members {
                pack.extend(number(value.len()));
                pack.extend_from_slice(value);
            }
            Some((head, pack))
        }
    }
}

/// Divides entries into those that are stored together.
pub(super) fn packs(values: &[(EntryId, Vec<u8>)]) -> Vec<Members<'_>> {
    let (mut packs, mut alone, mut bytes) = (vec![Members::new()], Vec::new(), 0);
    for (id, value) in values {
        if value.len() > MEMBER_BYTES {
            alone.push(vec![(*id, &value[..])]);
            continue;
        }
        bytes += value.len();
        if bytes > PACK_BYTES {
            bytes = value.len();
            packs.push(Members::new());
        }
        if let Some(pack) = packs.last_mut() {
            pack.push((*id, value));
        }
    }
    packs.append(&mut alone);
    packs
}
