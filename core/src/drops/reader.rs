//! Reading a drop from bytes that come in pieces.

use std::collections::VecDeque;

use willow25::prelude::{Entrylike as _, PayloadDigest};

use super::{
    DropError, DropProgress, SEGMENT, WHOLE_MAX,
    record::{END, ENTRY, Follows, KIND, Prior, decode_record, part_length},
};
use crate::{
    payload::{HashedPayload, Outboard, PayloadHasher},
    willow::{CapCache, DecodeError, Reader, SignedEntry, UnverifiedEntry, codec::field, verify_batch},
};

/// How many entries are verified and given out together, and how many bytes of payloads come with them.
const BATCH: usize = 256;
const BATCH_BYTES: u64 = WHOLE_MAX;

/// What comes out of a drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DropOutput {
    /// Entries, verified, in the order of the drop.
    Entries(Vec<Dropped>),
    /// Bytes of the payload of the last entry that was given out, contiguous from the first on, [`SEGMENT`] of them but for the last ones.
    /// **Nobody knows whether they are true**: they may be kept, and must not be shown before [`DropOutput::Verified`].
    Unverified {
        /// Where in the payload they begin.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// All unverified bytes of that payload were given out, and they are true.
    Verified(Outboard),
    /// The drop has ended as it should.
    Done,
}

/// An entry out of a drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dropped {
    /// The entry, verified.
    pub entry: SignedEntry,
    /// Its payload.
    pub payload: DroppedPayload,
}

/// What of an entry's payload is in the drop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DroppedPayload {
    /// Not all of it.
    Missing,
    /// All of it, verified.
    Whole(Vec<u8>),
    /// All of it, as [`DropOutput::Unverified`] bytes that come next. The entry is the last of its batch.
    Follows,
}

/// Reads a drop.
///
/// [`poll`](Self::poll) until it gives nothing, then hand in the next bytes, or say that there are none. It looks at bytes only when
/// it is polled, so it holds the piece that was handed in, and at most some 2.5 MiB; nothing is sized by a claim.
///
/// ```
/// # use osier_core::{drops::*, store::*};
/// # async fn import(store: &mut Store, backend: &impl Backend, drop: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
/// let mut reader = DropReader::new();
/// let mut pieces = drop.chunks(64 * 1024);
/// loop {
///     match reader.poll()? {
///         Some(DropOutput::Entries(entries)) => { /* Store::plan */ }
///         Some(DropOutput::Unverified { offset, bytes }) => { /* Store::plan_stage */ }
///         Some(DropOutput::Verified(outboard)) => { /* Store::plan_proven */ }
///         Some(DropOutput::Done) => return Ok(()),
///         None => match pieces.next() {
///             Some(piece) => reader.handle_bytes(piece.to_vec()),
///             None => reader.handle_end(),
///         },
///     }
/// }
/// # }
/// ```
#[derive(Debug, Default)]
pub struct DropReader {
    input: Input,
    cache: CapCache,
    prior: Prior,
    state: State,
    batch: Vec<Pending>,
    batch_bytes: u64,
    ready: VecDeque<DropOutput>,
    failed: Option<DropError>,
    progress: DropProgress,
}

#[derive(Debug, Default)]
enum State {
    /// An entry comes next, or the end.
    #[default]
    Entry,
    /// A short payload comes.
    Whole {
        entry: Box<UnverifiedEntry>,
        at: u64,
        bytes: Vec<u8>,
    },
    /// A long payload comes.
    Long(Box<Long>),
    /// So many bytes come that are not read.
    Over(u64),
    /// The last byte has come.
    Ended,
    Done,
}

#[derive(Debug)]
struct Long {
    digest: PayloadDigest,
    length: u64,
    at: u64,
    hasher: PayloadHasher,
    segment: Vec<u8>,
}

/// An entry that waits for the others of its batch.
#[derive(Debug)]
struct Pending {
    entry: UnverifiedEntry,
    at: u64,
    payload: DroppedPayload,
}

/// Bytes of the drop that are here and not yet read.
#[derive(Debug, Default)]
struct Input {
    bytes: Vec<u8>,
    at: usize,
    /// How many bytes were read before.
    passed: u64,
    /// An entry was not all here; there is no use in looking again below this many bytes.
    wait_for: usize,
    ended: bool,
}

impl Input {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, count: usize) {
        self.at += count;
        self.passed += count as u64;
        self.wait_for = 0;
    }

    /// Up to `most` bytes.
    fn take(&mut self, most: u64) -> &[u8] {
        let from = self.at;
        self.skip(usize::try_from(most).unwrap_or(usize::MAX).min(self.rest().len()));
        self.bytes.get(from..self.at).unwrap_or_default()
    }

    fn push(&mut self, bytes: Vec<u8>) {
        if self.rest().is_empty() {
            self.bytes = bytes;
        } else {
            self.bytes.drain(..self.at);
            self.bytes.extend_from_slice(&bytes);
        }
        self.at = 0;
    }

    fn truncated(&self) -> DropError {
        DropError::Truncated { bytes: self.passed + self.rest().len() as u64 }
    }
}

impl DropReader {
    /// At the beginning of a drop.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of the drop.
    pub fn handle_bytes(&mut self, bytes: Vec<u8>) {
        self.input.push(bytes);
    }

    /// There are no more bytes.
    pub fn handle_end(&mut self) {
        self.input.ended = true;
    }

    /// How far the drop has been read.
    #[must_use]
    pub fn progress(&self) -> DropProgress {
        DropProgress { bytes: self.input.passed, ..self.progress }
    }

    /// What comes next; `None` if more bytes are needed, or after [`DropOutput::Done`].
    ///
    /// # Errors
    /// [`DropError`]: the first fault, after everything that came before it; from then on always the same.
    pub fn poll(&mut self) -> Result<Option<DropOutput>, DropError> {
        loop {
            if let Some(output) = self.ready.pop_front() {
                return Ok(Some(output));
            }
            if let Some(error) = self.failed {
                return Err(error);
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => {
                    self.give_out();
                    // A fault in what was given out came before.
                    self.failed.get_or_insert(error);
                }
            }
        }
    }

    /// Reads one thing; `false` if it is not all here.
    fn step(&mut self) -> Result<bool, DropError> {
        if self.input.rest().is_empty() && !self.input.ended && !matches!(self.state, State::Whole { .. }) {
            return Ok(false);
        }
        match &mut self.state {
            State::Entry => self.read_entry(),
            State::Whole { entry, bytes, .. } => {
                let missing = entry.entry.payload_length() - bytes.len() as u64;
                bytes.extend_from_slice(self.input.take(missing));
                if bytes.len() as u64 == entry.entry.payload_length() { self.finish_whole() } else { self.or_truncated() }
            }
            State::Long(long) => {
                let missing = (long.length - long.hasher.length()).min(SEGMENT - long.segment.len() as u64);
                let bytes = self.input.take(missing);
                long.hasher.push(bytes);
                long.segment.extend_from_slice(bytes);
                let at_end = long.hasher.length() == long.length;
                if at_end || long.segment.len() as u64 == SEGMENT { self.finish_segment(at_end) } else { self.or_truncated() }
            }
            State::Over(left) => {
                *left -= self.input.take(*left).len() as u64;
                if *left == 0 {
                    self.state = State::Entry;
                    return Ok(true);
                }
                self.or_truncated()
            }
            State::Ended => {
                if !self.input.rest().is_empty() {
                    return Err(DropError::TrailingBytes { at: self.input.passed });
                }
                self.state = State::Done;
                self.give_out();
                if self.failed.is_none() {
                    self.ready.push_back(DropOutput::Done);
                }
                Ok(true)
            }
            State::Done => Ok(false),
        }
    }

    /// More bytes are needed.
    fn or_truncated(&self) -> Result<bool, DropError> {
        if self.input.ended { Err(self.input.truncated()) } else { Ok(false) }
    }

    fn read_entry(&mut self) -> Result<bool, DropError> {
        let (bytes, at) = (self.input.rest(), self.input.passed);
        let Some(&first) = bytes.first() else { return self.or_truncated() };
        if first == END {
            self.input.skip(1);
            self.state = State::Ended;
            return Ok(true);
        }
        if field(first, &KIND) != ENTRY {
            return Err(DropError::NoEntry { at });
        }
        if bytes.len() < self.input.wait_for && !self.input.ended {
            return Ok(false);
        }
        let mut reader = Reader::new(bytes);
        let available = reader.remaining();
        match decode_record(&mut reader, &self.prior, &mut self.cache) {
            Ok((entry, follows)) => {
                let read = available - reader.remaining();
                self.input.skip(read);
                self.begin(entry, follows, at)
            }
            Err(DecodeError::Truncated) => {
                // Not at every byte that comes: else many small pieces would cost the square of their number. Longer than some 20 KiB no
                // entry gets: then its path, or its number of delegations, is too large.
                self.input.wait_for = 2 * available;
                self.or_truncated()
            }
            Err(DecodeError::NotGranted) => Err(DropError::InvalidToken { at, reason: crate::willow::InvalidToken::NotGranted }),
            Err(DecodeError::InvalidCapability) => Err(DropError::InvalidCapability { at }),
            Err(reason) => Err(DropError::Undecodable { at, reason }),
        }
    }

    /// An entry was read; what of its payload follows?
    fn begin(&mut self, entry: UnverifiedEntry, follows: Follows, at: u64) -> Result<bool, DropError> {
        self.prior.set(entry.entry.clone(), entry.capability.clone());
        let length = entry.entry.payload_length();
        let over = match follows {
            Follows::Slices => return Err(DropError::Slices { at }),
            Follows::Part(chunks) => part_length(chunks, length).ok_or(DropError::NoPart { at, chunks })?,
            Follows::Nothing => 0,
            Follows::Whole if length <= WHOLE_MAX => {
                self.state = State::Whole { entry: Box::new(entry), at, bytes: Vec::new() };
                return Ok(true);
            }
            Follows::Whole => {
                let digest = entry.entry.payload_digest().clone();
                self.take_in(Pending { entry, at, payload: DroppedPayload::Follows });
                let (hasher, segment) = (PayloadHasher::new(), Vec::new());
                self.state = State::Long(Box::new(Long { digest, length, at, hasher, segment }));
                return Ok(true);
            }
        };
        self.progress.without_payload += u64::from(length > 0);
        self.take_in(Pending { entry, at, payload: DroppedPayload::Missing });
        if over > 0 {
            self.state = State::Over(over);
        }
        Ok(true)
    }

    fn finish_whole(&mut self) -> Result<bool, DropError> {
        let State::Whole { entry, at, bytes } = std::mem::take(&mut self.state) else { return Ok(true) };
        if PayloadDigest::from_payload(&bytes) != *entry.entry.payload_digest() {
            return Err(DropError::WrongPayload { at });
        }
        self.take_in(Pending { entry: *entry, at, payload: DroppedPayload::Whole(bytes) });
        Ok(true)
    }

    fn finish_segment(&mut self, at_end: bool) -> Result<bool, DropError> {
        let State::Long(long) = &mut self.state else { return Ok(true) };
        let bytes = std::mem::take(&mut long.segment);
        let offset = long.hasher.length() - bytes.len() as u64;
        self.ready.push_back(DropOutput::Unverified { offset, bytes });
        if at_end && let State::Long(long) = std::mem::take(&mut self.state) {
            let HashedPayload { digest, outboard, .. } = long.hasher.finish();
            if digest != long.digest {
                return Err(DropError::WrongPayload { at: long.at });
            }
            self.ready.push_back(DropOutput::Verified(outboard));
        }
        Ok(true)
    }

    fn take_in(&mut self, pending: Pending) {
        self.progress.entries += 1;
        let (length, is_last) = match &pending.payload {
            DroppedPayload::Missing => (0, false),
            DroppedPayload::Whole(bytes) => (bytes.len() as u64, false),
            DroppedPayload::Follows => (0, true),
        };
        self.batch_bytes += length;
        self.batch.push(pending);
        if is_last || self.batch.len() == BATCH || self.batch_bytes >= BATCH_BYTES {
            self.give_out();
        }
    }

    /// Verifies the batch, and gives out what comes before the first fault.
    fn give_out(&mut self) {
        self.batch_bytes = 0;
        if self.batch.is_empty() {
            return;
        }
        let (mut entries, mut rest) = (Vec::new(), Vec::new());
        for Pending { entry, at, payload } in self.batch.drain(..) {
            entries.push(entry);
            rest.push((at, payload));
        }
        let mut verified = Vec::with_capacity(entries.len());
        for (result, (at, payload)) in verify_batch(entries).into_iter().zip(rest) {
            match result {
                Ok(entry) => verified.push(Dropped { entry, payload }),
                Err(reason) => {
                    self.failed = Some(DropError::InvalidToken { at, reason });
                    break;
                }
            }
        }
        if !verified.is_empty() {
            self.ready.push_back(DropOutput::Entries(verified));
        }
    }
}
