//! Reading and writing bytes: compact integers, header bits, and willow25's own codecs over slices.
//!
//! Knows nothing of what the bytes mean. Every read is bounded by the bytes that are there; nothing here allocates by a
//! length that was only claimed. Decoding is *canonic*: each value has exactly one encoding, any other is
//! [`DecodeError::NotCanonic`].
//!
//! Header bits are numbered as the protocol writes them, most significant first: bit 0 is `0b1000_0000`, and a range such
//! as `3..5` names the two bits after the first three.

use std::{
    future::Future,
    ops::Range,
    pin::pin,
    task::{Context, Poll, Waker},
};

use ufotofu::{
    codec_prelude::{Blame, DecodableCanonic, DecodeError as UfotofuError, Encodable},
    prelude::IntoConsumer,
    producer::clone_from_slice,
};

/// Why bytes are not the encoding of what was asked for. One variant per rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("the encoding is cut short")]
    Truncated,
    /// The value has another, the only allowed, encoding.
    #[error("the encoding is not the canonic one")]
    NotCanonic,
    /// A number, a path or a chain of delegations is larger than anything that is allowed.
    #[error("the encoded value is larger than allowed")]
    TooLarge,
    /// Bytes follow a value that should have been the last.
    #[error("bytes follow the encoded value")]
    TrailingBytes,
    /// An entry lies outside of the range it was to be in.
    #[error("the entry is outside of the range it is encoded in")]
    OutsideRange,
    /// A capability whose chain of signatures does not hold.
    #[error("the capability is not valid")]
    InvalidCapability,
    /// A capability that does not grant what it is shown for.
    #[error("the capability does not cover what it is shown for")]
    NotGranted,
    /// Anything else: what was expected, in words.
    #[error("{0}")]
    Invalid(&'static str),
}

/// `set` as bit number `bit` of a header, counted from the most significant.
#[must_use]
pub const fn flag(bit: u8, set: bool) -> u8 {
    if set { 0b1000_0000 >> bit } else { 0 }
}

/// Whether bit number `bit` of a header is set, counted from the most significant.
#[must_use]
pub const fn is_set(header: u8, bit: u8) -> bool {
    header & (0b1000_0000 >> bit) != 0
}

/// The number that the bits `bits` of a header hold.
#[must_use]
pub fn field(header: u8, bits: &Range<u8>) -> u8 {
    let width = bits.end.saturating_sub(bits.start).min(8);
    let mask = u8::try_from((1_u16 << width) - 1).unwrap_or(u8::MAX);
    header.checked_shr(u32::from(8_u8.saturating_sub(bits.end))).unwrap_or(0) & mask
}

/// `value` in the bits `bits` of a header; bits of `value` that do not fit are dropped.
#[must_use]
pub fn put_field(bits: &Range<u8>, value: u8) -> u8 {
    field(value, &(8 - bits.end.saturating_sub(bits.start).min(8)..8)).checked_shl(u32::from(8_u8.saturating_sub(bits.end))).unwrap_or(0)
}

/// The tag of the compact integer `value` in the header bits `bits` (two to eight of them): either the value itself or
/// the width of the bytes that [`Writer::c64`] writes for it.
#[must_use]
pub fn tag(value: u64, bits: &Range<u8>) -> u8 {
    let width = bits.end.saturating_sub(bits.start);
    put_field(bits, minimal_tag(value, width))
}

/// The largest tag of `width` bits.
const fn largest_tag(width: u8) -> u8 {
    if width >= 8 { u8::MAX } else { (1 << width) - 1 }
}

/// The tag that belongs to the shortest encoding of `value`.
const fn minimal_tag(value: u64, width: u8) -> u8 {
    let largest = largest_tag(width);
    #[allow(clippy::cast_possible_truncation)] // The first arm holds only if the value fits.
    match value {
        n if n < largest as u64 - 3 => n as u8,
        n if n <= u8::MAX as u64 => largest - 3,
        n if n <= u16::MAX as u64 => largest - 2,
        n if n <= u32::MAX as u64 => largest - 1,
        _ => largest,
    }
}

/// Reads a slice from its start to its end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes are not read yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything is read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Asserts that everything is read.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] otherwise.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }

    /// The next byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] at the end.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `count` bytes, for a count that came from a peer.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn take_u64(&mut self, count: u64) -> Result<&'a [u8], DecodeError> {
        self.take(usize::try_from(count).map_err(|_| DecodeError::Truncated)?)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The compact integer whose tag is in the bits `bits` (two to eight of them) of `header`.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], and [`DecodeError::NotCanonic`] if fewer bytes would have done.
    pub fn c64(&mut self, header: u8, bits: Range<u8>) -> Result<u64, DecodeError> {
        let width = bits.end.saturating_sub(bits.start);
        let tag = field(header, &bits);
        let value = match largest_tag(width) - tag {
            0 => u64::from_be_bytes(self.array()?),
            1 => u64::from(u32::from_be_bytes(self.array()?)),
            2 => u64::from(u16::from_be_bytes(self.array()?)),
            3 => u64::from(self.u8()?),
            _ => u64::from(tag),
        };
        if minimal_tag(value, width) == tag { Ok(value) } else { Err(DecodeError::NotCanonic) }
    }

    /// A compact integer whose tag is a whole byte.
    ///
    /// # Errors
    /// As [`Self::c64`].
    pub fn c64_standalone(&mut self) -> Result<u64, DecodeError> {
        let header = self.u8()?;
        self.c64(header, 0..8)
    }

    /// A value by willow25's own canonic codec.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], and [`DecodeError::Invalid`] for whatever willow25 refuses.
    pub fn decode<T>(&mut self) -> Result<T, DecodeError>
    where
        T: DecodableCanonic,
        T::ErrorCanonic: Into<Blame>,
    {
        let mut producer = clone_from_slice(self.rest);
        let decoded = ready(T::decode_canonic(&mut producer)).ok_or(DecodeError::Invalid("the decoder did not finish"))?;
        let used = producer.offset();
        let value = decoded.map_err(|error| match error {
            UfotofuError::UnexpectedEndOfInput(()) => DecodeError::Truncated,
            UfotofuError::ProducerError(never) => match never {},
            UfotofuError::Other(_) => DecodeError::Invalid("the encoding is not valid"),
        })?;
        self.take(used)?;
        Ok(value)
    }
}

/// Collects bytes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// An empty writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What was written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes were written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte.
    pub fn u8(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The bytes of the compact integer `value` whose [`tag`] is in the header bits `bits`: 0, 1, 2, 4 or 8 of them.
    pub fn c64(&mut self, value: u64, bits: Range<u8>) {
        let width = bits.end.saturating_sub(bits.start);
        let bytes = value.to_be_bytes();
        let count = match largest_tag(width) - minimal_tag(value, width) {
            0 => 8,
            1 => 4,
            2 => 2,
            3 => 1,
            _ => 0,
        };
        self.bytes(bytes.split_at(8 - count).1);
    }

    /// A compact integer whose tag is a whole byte.
    pub fn c64_standalone(&mut self, value: u64) {
        self.u8(tag(value, &(0..8)));
        self.c64(value, 0..8);
    }

    /// A value by willow25's own codec.
    pub fn encode<T: Encodable + ?Sized>(&mut self, value: &T) {
        let mut consumer = (&mut self.bytes).into_consumer();
        // Writing into a vector neither waits nor fails.
        let _done = ready(value.encode(&mut consumer));
    }
}

/// The bytes of `value` by willow25's own codec.
#[must_use]
pub fn encode<T: Encodable + ?Sized>(value: &T) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.encode(value);
    writer.into_bytes()
}

/// The value whose canonic encoding, by willow25's own codec, is the whole of `bytes`.
///
/// # Errors
/// As [`Reader::decode`], and [`DecodeError::TrailingBytes`].
pub fn decode<T>(bytes: &[u8]) -> Result<T, DecodeError>
where
    T: DecodableCanonic,
    T::ErrorCanonic: Into<Blame>,
{
    let mut reader = Reader::new(bytes);
    let value = reader.decode()?;
    reader.finish()?;
    Ok(value)
}

/// The result of a future that never waits, `None` if it does: codecs over slices and vectors never do.
pub(crate) fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
