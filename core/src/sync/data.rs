//! The messages of the Reconciliation and Data channels, with the state that their relative encodings refer to.
//!
//! Codec only: which message may come when, and what it does, is the business of [`reconcile`](super::reconcile) and
//! [`live`](super::live). Encodings are fixed when a message leaves: an encoder and the decoder at the other end see the same messages
//! in the same order.
//!
//! # Decisions
//!
//! - *What a range is relative to.* The first range of an answer is encoded relative to the range that it answers, each further one of
//!   the same answer relative to the one before it, of whatever kind; the range that starts a root relative to the range of its overlap.
//!   So the parts of a split share borders with what both sides know, and a session in sync does not spell out a subspace. (The specs
//!   have "the previous range", which for interleaved answers is an unrelated one.)
//! - *Roots* are numbered per starter. On the wire 0 starts one; the sender's root `n` is `2n + 1`, the receiver's `2n + 2`.
//! - *DataSendEntry* says by its offset whether a payload follows: 0 if all of it does, the payload's length if nothing does.

use std::sync::Arc;

use super::error::SyncError;
use crate::willow::{
    CapCache, DecodeError, Entry, Entrylike, Fingerprint, Grouping, Keylike, NamespaceId, Namespaced, Range3d, Reader, UnverifiedEntry,
    WriteCapability, Writer,
    codec::{field, flag, is_set, put_field, tag},
    entry_codec::{decode_entry_in_range, decode_entry_rel_entry, encode_entry_in_range, encode_entry_rel_entry},
    range_codec::{decode_range_rel_range, encode_range_rel_range},
    token_codec::{decode_token, encode_token},
};

const FINGERPRINT: &str = "ReconciliationSendFingerprint";
const ANNOUNCE: &str = "AnnounceEntries";
const SEND_ENTRY: &str = "SendEntry";
const SEND_PAYLOAD: &str = "SendPayload";
const TERMINATE: &str = "TerminatePayload";
const LIVE_ENTRY: &str = "DataSendEntry";
const LIVE_PAYLOAD: &str = "DataSendPayload";

/// What a message that names a range says besides the range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RangeHead {
    /// 0: this starts a root. Else which one it belongs to, see the [module](self).
    pub root: u64,
    /// Read capability handle of the sender.
    pub sender: u64,
    /// Read capability handle of the receiver.
    pub receiver: u64,
    /// The number of the receiver's range that this answers.
    pub answers: Option<u64>,
    /// Whether this is the last part of that answer.
    pub last: bool,
    /// Whether the sender has the payloads of all its entries in the range.
    pub whole: bool,
}

impl RangeHead {
    fn answers_wire(&self) -> u64 {
        self.answers.map_or(0, |number| number.saturating_add(1))
    }

    fn answer_byte(&self) -> u8 {
        flag(0, self.last) | tag(self.answers_wire(), &(1..4)) | flag(4, self.whole)
    }
}

/// What an AnnounceEntries says besides its head and range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnounceFlags {
    /// No SendEntry follows.
    pub is_empty: bool,
    /// The receiver is to answer with what it has in the range and was not sent.
    pub want_response: bool,
    /// The entries come in the order of (subspace, path).
    pub will_sort: bool,
}

/// What the next range of one direction is encoded relative to.
#[derive(Default, Debug)]
pub struct RangeState {
    previous: Option<(u64, Range3d)>,
}

impl RangeState {
    /// The start of a root that cannot be decoded has passed.
    pub fn skip_start(&mut self) {
        self.previous = None;
    }

    fn encode(&mut self, w: &mut Writer, head: &RangeHead, range: &Range3d, base: &Range3d) {
        encode_range_rel_range(w, range, self.reference(head.answers, base));
        self.previous = head.answers.map(|number| (number, range.clone()));
    }

    fn decode(&mut self, r: &mut Reader<'_>, head: &RangeHead, base: &Range3d, cache: &mut CapCache) -> Result<Range3d, DecodeError> {
        let range = decode_range_rel_range(r, self.reference(head.answers, base), cache.keys())?;
        self.previous = head.answers.map(|number| (number, range.clone()));
        Ok(range)
    }

    fn reference<'a>(&'a self, answers: Option<u64>, base: &'a Range3d) -> &'a Range3d {
        match &self.previous {
            Some((number, range)) if answers == Some(*number) => range,
            _ => base,
        }
    }
}

/// Encodes a ReconciliationSendFingerprint. `base` is the range that it answers, or that of the overlap.
#[must_use]
pub fn encode_fingerprint(state: &mut RangeState, head: &RangeHead, range: &Range3d, base: &Range3d, fingerprint: &Fingerprint) -> Vec<u8> {
    let mut w = Writer::with_capacity(96);
    w.u8(tag(head.root, &(0..4)) | tag(head.sender, &(4..6)) | tag(head.receiver, &(6..8)));
    w.u8(head.answer_byte());
    w.c64(head.root, 0..4);
    w.c64(head.sender, 4..6);
    w.c64(head.receiver, 6..8);
    w.c64(head.answers_wire(), 1..4);
    state.encode(&mut w, head, range, base);
    w.bytes(&fingerprint.0);
    w.into_bytes()
}

/// A message that names a range, of which the range is still to be read: what that is relative to depends on the head.
#[derive(Debug)]
pub struct RangeMessage<'a> {
    /// The head.
    pub head: RangeHead,
    name: &'static str,
    rest: Reader<'a>,
}

impl<'a> RangeMessage<'a> {
    /// The head of a ReconciliationSendFingerprint.
    ///
    /// # Errors
    /// [`SyncError::Undecodable`].
    pub fn fingerprint(bytes: &'a [u8]) -> Result<Self, SyncError> {
        let mut rest = Reader::new(bytes);
        let head = Self::read_fingerprint_head(&mut rest).map_err(|error| SyncError::undecodable(FINGERPRINT, error))?;
        Ok(Self { head, name: FINGERPRINT, rest })
    }

    fn read_fingerprint_head(r: &mut Reader<'_>) -> Result<RangeHead, DecodeError> {
        let (first, second) = (r.u8()?, r.u8()?);
        let (root, sender, receiver) = (r.c64(first, 0..4)?, r.c64(first, 4..6)?, r.c64(first, 6..8)?);
        let answers = r.c64(second, 1..4)?.checked_sub(1);
        Ok(RangeHead { root, sender, receiver, answers, last: is_set(second, 0), whole: is_set(second, 4) })
    }

    /// The head of an AnnounceEntries.
    ///
    /// # Errors
    /// [`SyncError::Undecodable`].
    pub fn announcement(bytes: &'a [u8]) -> Result<(Self, AnnounceFlags), SyncError> {
        let mut rest = Reader::new(bytes);
        let (head, flags) = Self::read_announcement_head(&mut rest).map_err(|error| SyncError::undecodable(ANNOUNCE, error))?;
        Ok((Self { head, name: ANNOUNCE, rest }, flags))
    }

    fn read_announcement_head(r: &mut Reader<'_>) -> Result<(RangeHead, AnnounceFlags), DecodeError> {
        let (first, second, third) = (r.u8()?, r.u8()?, r.u8()?);
        let flags = AnnounceFlags { is_empty: is_set(first, 3), want_response: is_set(first, 4), will_sort: is_set(first, 5) };
        let (root, sender, receiver) = (r.c64(first, 6..8)?, r.c64(second, 0..4)?, r.c64(second, 4..8)?);
        let answers = r.c64(third, 1..4)?.checked_sub(1);
        Ok((RangeHead { root, sender, receiver, answers, last: is_set(third, 0), whole: is_set(third, 4) }, flags))
    }

    /// The range and the fingerprint of a ReconciliationSendFingerprint.
    ///
    /// # Errors
    /// [`SyncError::Undecodable`].
    pub fn range_and_fingerprint(
        mut self,
        state: &mut RangeState,
        base: &Range3d,
        cache: &mut CapCache,
    ) -> Result<(Range3d, Fingerprint), SyncError> {
        let mut read = || {
            let range = state.decode(&mut self.rest, &self.head, base, cache)?;
            let fingerprint = Fingerprint(self.rest.array()?);
            self.rest.finish()?;
            Ok((range, fingerprint))
        };
        read().map_err(|error| SyncError::undecodable(self.name, error))
    }

    /// The range of an AnnounceEntries.
    ///
    /// # Errors
    /// [`SyncError::Undecodable`].
    pub fn range(mut self, state: &mut RangeState, base: &Range3d, cache: &mut CapCache) -> Result<Range3d, SyncError> {
        let mut read = || {
            let range = state.decode(&mut self.rest, &self.head, base, cache)?;
            self.rest.finish()?;
            Ok(range)
        };
        read().map_err(|error| SyncError::undecodable(self.name, error))
    }
}

/// Encodes an AnnounceEntries. `base` is the range that it answers.
#[must_use]
pub fn encode_announcement(state: &mut RangeState, head: &RangeHead, flags: AnnounceFlags, range: &Range3d, base: &Range3d) -> Vec<u8> {
    let mut w = Writer::with_capacity(64);
    w.u8(flag(3, flags.is_empty) | flag(4, flags.want_response) | flag(5, flags.will_sort) | tag(head.root, &(6..8)));
    w.u8(tag(head.sender, &(0..4)) | tag(head.receiver, &(4..8)));
    w.u8(head.answer_byte());
    w.c64(head.root, 6..8);
    w.c64(head.sender, 0..4);
    w.c64(head.receiver, 4..8);
    w.c64(head.answers_wire(), 1..4);
    state.encode(&mut w, head, range, base);
    w.into_bytes()
}

/// The kinds of messages on the Data channel, by their first three bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DataKind {
    /// `000`
    AnnounceEntries,
    /// `001`
    SendEntry,
    /// `010`
    SendPayload,
    /// `011`
    TerminatePayload,
    /// `100`
    DataSendEntry,
    /// `101`
    DataSendPayload,
}

impl DataKind {
    /// The kind of a message.
    ///
    /// # Errors
    /// [`SyncError::Undecodable`].
    pub fn of(message: &[u8]) -> Result<Self, SyncError> {
        let first = message.first().ok_or(SyncError::undecodable("data message", DecodeError::Truncated))?;
        Ok(match field(*first, &(0..3)) {
            0b000 => Self::AnnounceEntries,
            0b001 => Self::SendEntry,
            0b010 => Self::SendPayload,
            0b011 => Self::TerminatePayload,
            0b100 => Self::DataSendEntry,
            0b101 => Self::DataSendPayload,
            _ => return Err(SyncError::undecodable("data message", DecodeError::Invalid("an unknown kind of data message"))),
        })
    }
}

/// The entry and the capability that the next entry of one direction and kind is encoded relative to.
#[derive(Default, Debug)]
pub struct CurrentEntry {
    current: Option<(Entry, Arc<WriteCapability>)>,
}

impl CurrentEntry {
    fn capability(&self) -> Option<&Arc<WriteCapability>> {
        self.current.as_ref().map(|(_, capability)| capability)
    }

    /// The current entry, if the next one would do well to refer to it.
    fn close_to(&self, entry: &Entry) -> Option<&Entry> {
        let current = self.current.as_ref().map(|(current, _)| current)?;
        (current.namespace_id() == entry.namespace_id() && current.subspace_id() == entry.subspace_id()).then_some(current)
    }
}

/// An entry with its token, as it is sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// The capability of its token.
    pub capability: &'a Arc<WriteCapability>,
    /// The signature of its token.
    pub signature: &'a [u8; 64],
}

/// A received SendEntry or DataSendEntry.
#[derive(Debug)]
pub struct Received {
    /// The entry with its token.
    pub entry: UnverifiedEntry,
    /// Where in the payload the bytes that follow begin.
    pub offset: u64,
    /// How many bytes of the payload the sender has; 0 in a DataSendEntry, which does not say.
    pub available: u64,
}

/// Encodes a SendEntry of an announcement of `range`, whose payload bytes, if any, follow from the first on. `available` bytes of the
/// payload are here.
#[must_use]
pub fn encode_send_entry(current: &mut CurrentEntry, range: &Range3d, available: u64, out: Outgoing<'_>) -> Vec<u8> {
    let mut w = Writer::with_capacity(192);
    let reference = current.close_to(out.entry);
    w.u8(put_field(&(0..3), 0b001) | flag(3, reference.is_some()) | tag(0, &(4..6)) | tag(available, &(6..8)));
    w.c64(0, 4..6);
    w.c64(available, 6..8);
    match reference {
        Some(reference) => encode_entry_rel_entry(&mut w, out.entry, reference),
        None => encode_entry_in_range(&mut w, out.entry, range),
    }
    finish_entry(&mut w, current, out);
    w.into_bytes()
}

fn finish_entry(w: &mut Writer, current: &mut CurrentEntry, out: Outgoing<'_>) {
    encode_token(w, out.capability, out.signature, current.capability().map(AsRef::as_ref), out.entry);
    current.current = Some((out.entry.clone(), Arc::clone(out.capability)));
}

/// Decodes a SendEntry of an announcement of `range`.
///
/// # Errors
/// [`SyncError::Undecodable`], [`SyncError::EntryOutsideRange`], [`SyncError::InvalidToken`].
pub fn decode_send_entry(
    bytes: &[u8],
    current: &mut CurrentEntry,
    namespace: &NamespaceId,
    range: &Range3d,
    cache: &mut CapCache,
) -> Result<Received, SyncError> {
    let refused = |error| refused(SEND_ENTRY, error);
    let mut r = Reader::new(bytes);
    let mut read_entry = || {
        let header = r.u8()?;
        let (offset, available) = (r.c64(header, 4..6)?, r.c64(header, 6..8)?);
        let entry = match (is_set(header, 3), &current.current) {
            (true, Some((reference, _))) => decode_entry_rel_entry(&mut r, reference, cache.keys())?,
            (true, None) => return Err(DecodeError::Invalid("an entry relative to none")),
            (false, _) => decode_entry_in_range(&mut r, namespace, range, cache.keys())?,
        };
        Ok((offset, available, entry))
    };
    let (offset, available, entry) = read_entry().map_err(refused)?;
    if entry.namespace_id() != namespace || !range.includes(&entry) {
        return Err(SyncError::EntryOutsideRange);
    }
    if available > entry.payload_length() || offset > available {
        return Err(refused(DecodeError::Invalid("more of a payload than there is")));
    }
    let entry = read_token(&mut r, current, entry, cache).map_err(refused)?;
    Ok(Received { entry, offset, available })
}

fn read_token(r: &mut Reader<'_>, current: &mut CurrentEntry, entry: Entry, cache: &mut CapCache) -> Result<UnverifiedEntry, DecodeError> {
    let token = decode_token(r, current.capability(), &entry, cache)?;
    r.finish()?;
    current.current = Some((entry.clone(), Arc::clone(&token.capability)));
    Ok(UnverifiedEntry::new(entry, token))
}

/// Which rule the undecodable bytes of an entry break.
fn refused(message: &'static str, error: DecodeError) -> SyncError {
    match error {
        DecodeError::OutsideRange => SyncError::EntryOutsideRange,
        DecodeError::InvalidCapability | DecodeError::NotGranted => SyncError::InvalidToken,
        error => SyncError::undecodable(message, error),
    }
}

/// Encodes a DataSendEntry. The whole payload follows, or nothing of it.
#[must_use]
pub fn encode_live_entry(current: &mut CurrentEntry, payload_follows: bool, out: Outgoing<'_>) -> Vec<u8> {
    let offset = if payload_follows { 0 } else { out.entry.payload_length() };
    let mut w = Writer::with_capacity(192);
    w.u8(put_field(&(0..3), 0b100) | tag(offset, &(3..8)));
    w.c64(offset, 3..8);
    match &current.current {
        Some((reference, _)) => encode_entry_rel_entry(&mut w, out.entry, reference),
        None => encode_entry_rel_entry(&mut w, out.entry, &willow25::defaults::default_entry()),
    }
    finish_entry(&mut w, current, out);
    w.into_bytes()
}

/// Decodes a DataSendEntry.
///
/// # Errors
/// [`SyncError::Undecodable`], [`SyncError::InvalidToken`].
pub fn decode_live_entry(bytes: &[u8], current: &mut CurrentEntry, cache: &mut CapCache) -> Result<Received, SyncError> {
    let mut r = Reader::new(bytes);
    let mut read = || {
        let header = r.u8()?;
        let offset = r.c64(header, 3..8)?;
        let entry = match &current.current {
            Some((reference, _)) => decode_entry_rel_entry(&mut r, reference, cache.keys())?,
            None => decode_entry_rel_entry(&mut r, &willow25::defaults::default_entry(), cache.keys())?,
        };
        if offset > entry.payload_length() {
            return Err(DecodeError::Invalid("more of a payload than there is"));
        }
        let entry = read_token(&mut r, current, entry, cache)?;
        Ok(Received { entry, offset, available: 0 })
    };
    read().map_err(|error| refused(LIVE_ENTRY, error))
}

/// Encodes a SendPayload.
#[must_use]
pub fn encode_payload(bytes: &[u8]) -> Vec<u8> {
    encode_bytes(0b010, bytes)
}

/// The bytes of a SendPayload.
///
/// # Errors
/// [`SyncError::Undecodable`].
pub fn decode_payload(message: &[u8]) -> Result<&[u8], SyncError> {
    decode_bytes(message).map_err(|error| SyncError::undecodable(SEND_PAYLOAD, error))
}

/// Encodes a DataSendPayload.
#[must_use]
pub fn encode_live_payload(bytes: &[u8]) -> Vec<u8> {
    encode_bytes(0b101, bytes)
}

/// The bytes of a DataSendPayload.
///
/// # Errors
/// [`SyncError::Undecodable`].
pub fn decode_live_payload(message: &[u8]) -> Result<&[u8], SyncError> {
    decode_bytes(message).map_err(|error| SyncError::undecodable(LIVE_PAYLOAD, error))
}

fn encode_bytes(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let amount = bytes.len() as u64;
    let mut w = Writer::with_capacity(bytes.len() + 9);
    w.u8(put_field(&(0..3), kind) | tag(amount, &(3..8)));
    w.c64(amount, 3..8);
    w.bytes(bytes);
    w.into_bytes()
}

fn decode_bytes(message: &[u8]) -> Result<&[u8], DecodeError> {
    let mut r = Reader::new(message);
    let header = r.u8()?;
    let amount = r.c64(header, 3..8)?;
    let bytes = r.take_u64(amount)?;
    r.finish()?;
    Ok(bytes)
}

/// Encodes a TerminatePayload: the end of what follows an entry, and of the announcement if it is final.
#[must_use]
pub fn encode_terminate(is_final: bool) -> Vec<u8> {
    vec![put_field(&(0..3), 0b011) | flag(3, is_final)]
}

/// Whether a TerminatePayload is final.
///
/// # Errors
/// [`SyncError::Undecodable`].
pub fn decode_terminate(message: &[u8]) -> Result<bool, SyncError> {
    let mut r = Reader::new(message);
    let read = r.u8().and_then(|header| r.finish().map(|()| is_set(header, 3)));
    read.map_err(|error| SyncError::undecodable(TERMINATE, error))
}

#[cfg(test)]
mod tests;
