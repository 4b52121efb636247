//! The two messages at the head of a payload stream: what is asked for, and what follows.
//!
//! A payload travels on a stream of its own: the asker sends a [`PayloadRequest`] and finishes its direction, the other
//! side answers with a [`PayloadStatus`] and, for [`Ok`](PayloadStatus::Ok) and
//! [`Partial`](PayloadStatus::Partial), a Bab slice stream. Knows nothing of handles beyond their numbers.

use std::ops::Range;

use willow25::entry::{NamespaceId, PayloadDigest, SubspaceId};
use willow25::paths::Path;

use super::GROUP_SIZE;
use super::outboard::Outboard;
use super::sender::PayloadSender;
use super::slice::{Slice, SliceError};
use crate::willow::codec::{self, DecodeError, Reader, Writer};
use crate::willow::path_codec;

/// Asks for a part of the payload of one entry. The right to read it is checked before anything is looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayloadRequest {
    /// The entry's namespace.
    pub namespace: NamespaceId,
    /// The entry's subspace.
    pub subspace: SubspaceId,
    /// The entry's path.
    pub path: Path,
    /// The payload digest of the entry that is meant: not of whichever entry is at that path by now.
    pub digest: PayloadDigest,
    /// The payload length of that entry, in bytes.
    pub length: u64,
    /// The asker's read capability handle.
    pub sender: u64,
    /// The asked one's read capability handle.
    pub receiver: u64,
    /// The bytes asked for, of a payload of `length` bytes; what is served are the whole groups that hold them.
    pub slice: Slice,
    /// The asker has verified all bytes before the slice and needs no labels of the path to it
    /// ([`PayloadReceiver::resume`](super::PayloadReceiver::resume)). The slice starts at a positive multiple of [`GROUP_SIZE`].
    pub resume: bool,
}

/// What the asked one says before the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadStatus {
    /// The stream of the slice follows.
    Ok,
    /// There is no such entry here, or nothing of its payload. Nothing follows.
    NotFound,
    /// The handles give no right to read that entry. Nothing follows.
    NotAuthorised,
    /// Only the first `available` bytes of the payload are here: the stream of that part of the slice follows, if it has
    /// any ([`PayloadReceiver::limit`](super::PayloadReceiver::limit)).
    Partial {
        /// The length in bytes of the verified prefix; a multiple of [`GROUP_SIZE`].
        available: u64,
    },
}

// Header of a request: [resume | to the end | sender c64(3) | receiver c64(3)] [length c64(4) | start c64(4)].
const RESUME: u8 = 0;
const TO_END: u8 = 1;
const SENDER: Range<u8> = 2..5;
const RECEIVER: Range<u8> = 5..8;
const LENGTH: Range<u8> = 0..4;
const START: Range<u8> = 4..8;
// A status: [kind (2) | available c64(6)].
const KIND: Range<u8> = 0..2;
const AVAILABLE: Range<u8> = 2..8;

impl PayloadRequest {
    /// No request is longer: a path of 4096 bytes in up to 4096 components, three keys, numbers.
    pub const MAX_LEN: usize = 16 * 1024;

    /// Bytes for the wire:
    /// `[resume | to_end | sender:c64(3) | receiver:c64(3)] [length:c64(4) | start:c64(4)] sender receiver length start
    /// [len:c64(8) unless to_end] namespace(32) subspace(32) digest(32) path`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let to_end = self.slice.end() == self.length;
        let mut w = Writer::new();
        w.u8(codec::flag(RESUME, self.resume)
            | codec::flag(TO_END, to_end)
            | codec::tag(self.sender, &SENDER)
            | codec::tag(self.receiver, &RECEIVER));
        w.u8(codec::tag(self.length, &LENGTH) | codec::tag(self.slice.start(), &START));
        w.c64(self.sender, SENDER);
        w.c64(self.receiver, RECEIVER);
        w.c64(self.length, LENGTH);
        w.c64(self.slice.start(), START);
        if !to_end {
            w.c64_standalone(self.slice.len());
        }
        w.bytes(self.namespace.as_bytes());
        w.bytes(self.subspace.as_bytes());
        w.bytes(self.digest.as_bytes());
        path_codec::encode_path(&mut w, &self.path);
        w.into_bytes()
    }

    /// The request that is the whole of `bytes`.
    ///
    /// # Errors
    /// [`DecodeError`]: cut short, not canonic, followed by more, too long, or a slice that is none of the payload.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(DecodeError::TooLarge);
        }
        let mut r = Reader::new(bytes);
        let (first, second) = (r.u8()?, r.u8()?);
        let sender = r.c64(first, SENDER)?;
        let receiver = r.c64(first, RECEIVER)?;
        let length = r.c64(second, LENGTH)?;
        let start = r.c64(second, START)?;
        let to_end = codec::is_set(first, TO_END);
        let left = length.checked_sub(start).ok_or(DecodeError::Invalid("a payload slice that starts after the payload"))?;
        let len = if to_end { left } else { r.c64_standalone()? };
        if !to_end && len == left {
            return Err(DecodeError::NotCanonic);
        }
        let slice = Slice::new(start, len, length).map_err(|_| DecodeError::Invalid("a range that is no slice of the payload"))?;
        let resume = codec::is_set(first, RESUME);
        if resume && (start == 0 || !start.is_multiple_of(GROUP_SIZE as u64)) {
            return Err(DecodeError::Invalid("a payload stream cannot resume there"));
        }
        let namespace = NamespaceId::from_bytes(&r.array()?);
        let subspace = SubspaceId::from_bytes(&r.array()?);
        let digest = PayloadDigest::from(r.array()?);
        let path = path_codec::decode_path(&mut r)?;
        r.finish()?;
        Ok(Self { namespace, subspace, path, digest, length, sender, receiver, slice, resume })
    }
}

impl PayloadStatus {
    /// Bytes for the wire: `[kind:2 | available:c64(6)] available`; kind 0 ok, 1 not found, 2 not authorised, 3 partial.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        let (kind, available) = match self {
            Self::Ok => (0, 0),
            Self::NotFound => (1, 0),
            Self::NotAuthorised => (2, 0),
            Self::Partial { available } => (3, available),
        };
        let mut w = Writer::new();
        w.u8(codec::put_field(&KIND, kind) | codec::tag(available, &AVAILABLE));
        w.c64(available, AVAILABLE);
        w.into_bytes()
    }

    /// The status at the start of `bytes` and how many bytes it takes; `None` while more are needed (nine at most).
    ///
    /// # Errors
    /// [`DecodeError::NotCanonic`].
    pub fn decode_prefix(bytes: &[u8]) -> Result<Option<(Self, usize)>, DecodeError> {
        let mut r = Reader::new(bytes);
        let read = r.u8().and_then(|header| Ok((codec::field(header, &KIND), r.c64(header, AVAILABLE)?)));
        let (kind, available) = match read {
            Ok(read) => read,
            Err(DecodeError::Truncated) => return Ok(None),
            Err(error) => return Err(error),
        };
        let status = match (kind, available) {
            (0, 0) => Self::Ok,
            (1, 0) => Self::NotFound,
            (2, 0) => Self::NotAuthorised,
            (3, available) => Self::Partial { available },
            _ => return Err(DecodeError::NotCanonic),
        };
        Ok(Some((status, bytes.len() - r.remaining())))
    }
}

impl PayloadSender {
    /// Answers a request that is authorised and whose entry is here, with what `outboard` proves of its payload.
    ///
    /// # Errors
    /// [`SliceError::Unaligned`] for a stream that cannot resume where it should; a decoded request never does that.
    pub fn open(outboard: &Outboard, request: &PayloadRequest) -> Result<(PayloadStatus, Option<Self>), SliceError> {
        let available = outboard.available();
        if outboard.length() != request.length || (available == 0 && !outboard.is_complete()) {
            return Ok((PayloadStatus::NotFound, None));
        }
        if request.slice.end() <= available {
            return Ok((PayloadStatus::Ok, Some(Self::new(outboard, request.slice, request.resume)?)));
        }
        let part = request.slice.within(available);
        let sender = part.map(|part| Self::new(outboard, part, request.resume)).transpose()?;
        Ok((PayloadStatus::Partial { available }, sender))
    }
}
