//! Frames of the session stream: `channel (1 B) ‖ length (c64) ‖ message`, and the bare first one, `length ‖ Hello`.
//!
//! A frame is at most [`MAX_FRAME`] long, which is checked as soon as its header is there. Memory grows with bytes received, never
//! with a length claimed. What a message means is not known here.

use std::fmt;

/// The longest message in a frame, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;
/// The longest Hello, in bytes. It is read before anything is known about the peer.
pub const MAX_HELLO: usize = 1024;

/// What a frame is about (protocol document, section "Transport").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
#[repr(u8)]
pub enum Channel {
    /// Global messages.
    Control = 0,
    /// Fingerprints of ranges.
    Reconciliation = 1,
    /// Announced, sent and forwarded entries and their payloads.
    Data = 2,
    /// Salted hashes of interests.
    Overlap = 3,
    /// Read capabilities.
    Capability = 4,
}

impl Channel {
    /// The channel of that number.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Control,
            1 => Self::Reconciliation,
            2 => Self::Data,
            3 => Self::Overlap,
            4 => Self::Capability,
            _ => return None,
        })
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A frame that cannot be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// No channel has this number.
    #[error("a frame of unknown channel {0}")]
    UnknownChannel(u8),
    /// Longer than allowed; the length is as claimed.
    #[error("a frame of {length} bytes where {limit} are allowed")]
    TooLong {
        /// The claimed length of the message.
        length: u64,
        /// The longest allowed.
        limit: u64,
    },
    /// A length that is not encoded in the shortest way.
    #[error("a frame whose length is not in its shortest encoding")]
    NotCanonic,
}

impl FrameError {
    /// A stable name of the rule, for events and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownChannel(_) => "unknownChannel",
            Self::TooLong { .. } => "frameTooLong",
            Self::NotCanonic => "frameLength",
        }
    }
}

/// Appends a frame with `message` to `out`. Messages are at most [`MAX_FRAME`] long: that is for the sender to see to.
pub fn encode_frame(out: &mut Vec<u8>, channel: Channel, message: &[u8]) {
    debug_assert!(message.len() <= MAX_FRAME, "a frame of {} bytes", message.len());
    out.push(channel as u8);
    encode_length(out, message.len());
    out.extend_from_slice(message);
}

/// How many bytes a frame with a message of that length has.
#[must_use]
pub fn frame_len(message: usize) -> u64 {
    let header = match message {
        0..=0xfb => 2,
        0xfc..=0xff => 3,
        0x100..=0xffff => 4,
        _ => 6,
    };
    header + message as u64
}

/// The bare first frame with a Hello in it.
#[must_use]
pub fn encode_hello_frame(hello: &[u8]) -> Vec<u8> {
    debug_assert!(hello.len() <= MAX_HELLO, "a Hello of {} bytes", hello.len());
    let mut out = Vec::with_capacity(hello.len() + 3);
    encode_length(&mut out, hello.len());
    out.extend_from_slice(hello);
    out
}

/// c64 with an eight-bit tag: up to 251 in the tag itself, then 252 + n for 2^n bytes, big-endian.
fn encode_length(out: &mut Vec<u8>, length: usize) {
    let length = length as u64;
    let bytes = length.to_be_bytes();
    match length {
        0..=0xfb => out.push(bytes[7]),
        0xfc..=0xff => out.extend([0xfc, bytes[7]]),
        0x100..=0xffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xfe);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&bytes);
        }
    }
}

/// The length at the head of `bytes` and the width of its encoding, `None` while bytes are missing.
fn decode_length(bytes: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    let Some((&tag, rest)) = bytes.split_first() else { return Ok(None) };
    let Some(exponent) = tag.checked_sub(0xfc) else { return Ok(Some((u64::from(tag), 1))) };
    let width = 1_usize << exponent;
    let Some(number) = rest.get(..width) else { return Ok(None) };
    let value = number.iter().fold(0_u64, |value, &byte| (value << 8) | u64::from(byte));
    let least = match width {
        1 => 0xfc,
        2 => 0x100,
        4 => 0x1_0000,
        _ => 0x1_0000_0000,
    };
    if value < least { Err(FrameError::NotCanonic) } else { Ok(Some((value, 1 + width))) }
}

/// Takes bytes of a stream in pieces of any size and gives whole frames.
///
/// ```
/// use osier_core::sync::frame::{Channel, FrameReader, encode_frame};
///
/// let mut bytes = Vec::new();
/// encode_frame(&mut bytes, Channel::Overlap, b"hash");
/// let mut reader = FrameReader::default();
/// for byte in bytes {
///     assert_eq!(reader.next()?, None);
///     reader.push(&[byte]);
/// }
/// assert_eq!(reader.next()?, Some((Channel::Overlap, b"hash".to_vec())));
/// # Ok::<(), osier_core::sync::FrameError>(())
/// ```
#[derive(Default, Debug)]
pub struct FrameReader {
    /// Received bytes; those before `taken` were given out.
    buffer: Vec<u8>,
    taken: usize,
}

impl FrameReader {
    /// Adds received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 && self.taken >= self.buffer.len() / 2 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, `None` while bytes are missing. After an error the stream is of no more use.
    ///
    /// # Errors
    /// [`FrameError`] as soon as the header of a frame shows it.
    #[expect(clippy::should_implement_trait, reason = "a fallible step, not an iterator")]
    pub fn next(&mut self) -> Result<Option<(Channel, Vec<u8>)>, FrameError> {
        let Some((&channel, rest)) = self.pending().split_first() else { return Ok(None) };
        let channel = Channel::from_byte(channel).ok_or(FrameError::UnknownChannel(channel))?;
        let Some((start, end)) = bounds(rest, MAX_FRAME)? else { return Ok(None) };
        let Some(message) = rest.get(start..end).map(<[u8]>::to_vec) else { return Ok(None) };
        self.taken += 1 + end;
        Ok(Some((channel, message)))
    }

    /// The Hello at the head of a stream, `None` while bytes are missing.
    ///
    /// # Errors
    /// [`FrameError`] if it is too long or its length is badly encoded.
    pub fn next_hello(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let pending = self.pending();
        let Some((start, end)) = bounds(pending, MAX_HELLO)? else { return Ok(None) };
        let Some(hello) = pending.get(start..end).map(<[u8]>::to_vec) else { return Ok(None) };
        self.taken += end;
        Ok(Some(hello))
    }

    /// The bytes received and not given out: what a stream that ends now leaves unfinished, or what follows the Hello.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }
}

/// Where the message starts and ends behind its length, `None` while the length is incomplete.
fn bounds(bytes: &[u8], limit: usize) -> Result<Option<(usize, usize)>, FrameError> {
    let Some((length, width)) = decode_length(bytes)? else { return Ok(None) };
    match usize::try_from(length) {
        Ok(length) if length <= limit => Ok(Some((width, width + length))),
        _ => Err(FrameError::TooLong { length, limit: limit as u64 }),
    }
}

#[cfg(test)]
mod tests;
