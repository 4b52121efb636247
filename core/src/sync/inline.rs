//! Small payloads that travel on the session stream right after their entry: reading them here, collecting them there.
//!
//! Which entries take their payload along is decided by who sends them.

use std::collections::{BTreeMap, VecDeque};

use super::error::SyncError;
use crate::{
    store::{EntryRef, StoredEntry},
    willow::{Entry, EntryId, Entrylike, PayloadDigest},
};

/// No payload beyond this many bytes travels inline: a quarter of the longest frame, an eighth of the window, and the longest payload
/// that is verified whole (its hash tree has one group).
pub const INLINE_LIMIT: u64 = 16 * 1024;

/// Names a read of a payload that is to travel inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct ReadId(pub u64);

/// Payload bytes that were asked for and those that are here.
#[derive(Default, Debug)]
pub struct Reads {
    last: u64,
    asked: VecDeque<(ReadId, EntryId, u64)>,
    /// `None` while the answer is awaited.
    open: BTreeMap<ReadId, Option<Answer>>,
}

#[derive(Debug)]
enum Answer {
    Bytes(Vec<u8>),
    Gone,
}

impl Reads {
    fn ask(&mut self, entry: EntryId, len: u64) -> ReadId {
        self.last = self.last.saturating_add(1);
        let read = ReadId(self.last);
        self.asked.push_back((read, entry, len));
        self.open.insert(read, None);
        read
    }

    /// The next read to carry out: of which entry, and how many bytes from the start.
    pub fn poll(&mut self) -> Option<(ReadId, EntryId, u64)> {
        self.asked.pop_front()
    }

    /// The result of a read, `None` if the bytes are not there any more. A result that nobody waits for is dropped.
    pub fn answer(&mut self, read: ReadId, bytes: Option<Vec<u8>>) {
        if let Some(open) = self.open.get_mut(&read) {
            *open = Some(bytes.map_or(Answer::Gone, Answer::Bytes));
        }
    }

    fn is_ready(&self, read: ReadId) -> bool {
        self.open.get(&read).is_none_or(Option::is_some)
    }

    fn take(&mut self, read: ReadId) -> Option<Vec<u8>> {
        match self.open.remove(&read)? {
            Some(Answer::Bytes(bytes)) => Some(bytes),
            Some(Answer::Gone) | None => None,
        }
    }

    /// Forgets a read.
    fn cancel(&mut self, read: ReadId) {
        self.open.remove(&read);
        self.asked.retain(|(asked, ..)| *asked != read);
    }
}

/// An entry that is about to be sent, and its payload if it travels inline.
#[derive(Debug)]
pub struct Planned {
    /// The entry.
    pub stored: StoredEntry,
    /// How many bytes of its payload are here.
    pub available: u64,
    /// Whether no other node is known to hold it.
    pub unheld: bool,
    read: Option<ReadId>,
}

impl Planned {
    /// Plans to send an entry; with its payload if all of that is here and it has at most `inline_max` bytes.
    pub fn new(entry: EntryRef<'_>, inline_max: u64, reads: &mut Reads) -> Self {
        let length = entry.payload_length();
        let inline = entry.is_complete() && length > 0 && length <= inline_max.min(INLINE_LIMIT);
        let read = inline.then(|| reads.ask(entry.id(), length));
        Self { stored: entry.stored().clone(), available: entry.available(), unheld: entry.is_unheld(), read }
    }

    /// How many bytes it keeps in memory until it is sent.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.read.map_or(0, |_| self.stored.payload_length())
    }

    /// Whether it can be sent.
    #[must_use]
    pub fn is_ready(&self, reads: &Reads) -> bool {
        self.read.is_none_or(|read| reads.is_ready(read))
    }

    /// Its inline payload, if it has one and that could be read.
    pub fn take_payload(&mut self, reads: &mut Reads) -> Option<Vec<u8>> {
        let bytes = reads.take(self.read.take()?)?;
        (bytes.len() as u64 == self.stored.payload_length()).then_some(bytes)
    }

    /// Gives up sending it.
    pub fn cancel(self, reads: &mut Reads) {
        if let Some(read) = self.read {
            reads.cancel(read);
        }
    }
}

/// Collects the payload bytes that follow a received entry. Memory grows with what arrives, up to what was announced as acceptable.
#[derive(Debug)]
pub struct Collector {
    digest: PayloadDigest,
    length: u64,
    /// How far into the payload the bytes have come.
    end: u64,
    /// Bytes from the first on; `None` if they did not start there.
    bytes: Option<Vec<u8>>,
    limit: u64,
}

impl Collector {
    /// For the bytes from `offset` on, at most `limit` in all.
    #[must_use]
    pub fn new(entry: &Entry, offset: u64, limit: u64) -> Self {
        let bytes = (offset == 0).then(Vec::new);
        Self { digest: entry.payload_digest().clone(), length: entry.payload_length(), end: offset, bytes, limit }
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// [`SyncError::PayloadBeyondEnd`], [`SyncError::PayloadTooLarge`].
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), SyncError> {
        let end = self.end.saturating_add(bytes.len() as u64);
        if end > self.length {
            return Err(SyncError::PayloadBeyondEnd);
        }
        if !bytes.is_empty() && self.length > self.limit {
            return Err(SyncError::PayloadTooLarge { length: self.length });
        }
        self.end = end;
        if let Some(collected) = &mut self.bytes {
            collected.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Whether the payload has come to its end.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.end == self.length
    }

    /// The whole payload, if it arrived.
    ///
    /// # Errors
    /// [`SyncError::PayloadDigest`] if it is another one.
    pub fn finish(self) -> Result<Option<Vec<u8>>, SyncError> {
        let at_end = self.is_at_end();
        match self.bytes.filter(|bytes| at_end && !bytes.is_empty()) {
            Some(bytes) if PayloadDigest::from_payload(&bytes) != self.digest => Err(SyncError::PayloadDigest),
            whole => Ok(whole),
        }
    }
}

#[cfg(test)]
mod tests;
