//! Writing a drop, as fast as whoever takes it.

use std::collections::{BTreeMap, VecDeque};

use willow25::prelude::{Area, NamespaceId, PayloadDigest};

use super::{
    DropProgress, DropWriteError, SEGMENT,
    record::{END, Prior, encode_record},
};
use crate::{
    payload::PayloadHasher,
    store::{Bounds, Cursor, EntryRef, Order, Store, StoredEntry},
    willow::{EntryId, Writer},
};

/// How many bytes a piece of a drop has, but for the last.
const PIECE: usize = 64 * 1024;
/// How many entries are looked up ahead, and how many bytes of payloads may be read ahead with them.
const AHEAD: usize = 64;
const AHEAD_BYTES: u64 = 1 << 20;

/// Names a read of payload bytes that a writer asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct ReadId(pub u64);

/// What a writer wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DropWriterOutput {
    /// Read these bytes of a payload, and hand them to [`DropWriter::handle_payload`]. Several reads may be under way.
    ReadPayload {
        /// To answer with.
        read: ReadId,
        /// Whose payload.
        entry: EntryId,
        /// The first byte.
        offset: u64,
        /// How many, [`SEGMENT`] at most.
        len: u64,
    },
    /// The next bytes of the drop, 64 KiB but for the last ones.
    Bytes(Vec<u8>),
    /// The drop is complete.
    Done,
}

/// Writes the entries of an area, with the payloads that are all here.
///
/// [`poll`](Self::poll) until it gives nothing: then a read is awaited. It is asked only when there is room for more, so it never
/// runs ahead of who takes the bytes; it keeps some 1.5 MiB at most. What is written to the store meanwhile may or may not be in the drop.
///
/// ```
/// # use osier_core::{drops::*, store::*, willow::*};
/// # async fn export(store: &std::cell::RefCell<Store>, backend: &impl Backend, namespace: NamespaceId) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
/// let (mut writer, mut drop) = (DropWriter::new(namespace, &Area::full()), Vec::new());
/// loop {
///     let output = writer.poll(&store.borrow())?;
///     match output {
///         Some(DropWriterOutput::ReadPayload { read, entry, offset, len }) => {
///             let bytes = backend.read_payload(&entry, offset, len).await?;
///             writer.handle_payload(read, bytes);
///         }
///         Some(DropWriterOutput::Bytes(bytes)) => drop.extend(bytes),
///         Some(DropWriterOutput::Done) | None => break,
///     }
/// }
/// # Ok(drop) }
/// ```
#[derive(Debug)]
pub struct DropWriter {
    namespace: NamespaceId,
    bounds: Bounds,
    after: Option<Cursor>,
    listed: bool,
    ahead: VecDeque<Ahead>,
    /// Bytes of the payloads in `ahead`, read or to be read.
    ahead_bytes: u64,
    copying: Option<Copying>,
    reads: Reads,
    prior: Prior,
    out: Writer,
    progress: DropProgress,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Writing,
    /// The last byte is in `out`.
    Ended,
    Done,
    Failed(DropWriteError),
}

/// An entry that is next but a few.
#[derive(Debug)]
struct Ahead {
    stored: StoredEntry,
    payload: Payload,
}

#[derive(Clone, Copy, Debug)]
enum Payload {
    /// Not all of it is here.
    Missing,
    Empty,
    /// Read before its entry is written: if it is gone by then, the entry goes without it.
    Short(ReadId),
    /// Read in segments, after its entry.
    Long,
}

/// A long payload that is being written.
#[derive(Debug)]
struct Copying {
    entry: EntryId,
    length: u64,
    digest: PayloadDigest,
    hasher: PayloadHasher,
    read: Option<ReadId>,
}

impl Copying {
    fn new(stored: &StoredEntry) -> Self {
        let (length, digest) = (stored.payload_length(), stored.payload_digest());
        Self { entry: stored.id(), length, digest, hasher: PayloadHasher::new(), read: None }
    }
}

/// Reads that were asked for.
#[derive(Default, Debug)]
struct Reads {
    last: u64,
    asked: VecDeque<DropWriterOutput>,
    open: BTreeMap<ReadId, Option<Vec<u8>>>,
}

impl Reads {
    fn ask(&mut self, entry: EntryId, offset: u64, len: u64) -> ReadId {
        self.last = self.last.saturating_add(1);
        let read = ReadId(self.last);
        self.asked.push_back(DropWriterOutput::ReadPayload { read, entry, offset, len });
        self.open.insert(read, None);
        read
    }

    /// The bytes of a read, once they are here.
    fn take(&mut self, read: ReadId) -> Option<Vec<u8>> {
        self.open.get(&read)?.as_ref()?;
        self.open.remove(&read)?
    }
}

impl DropWriter {
    /// Writes what is in this area of a namespace.
    #[must_use]
    pub fn new(namespace: NamespaceId, area: &Area) -> Self {
        Self {
            namespace,
            bounds: area.into(),
            after: None,
            listed: false,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            copying: None,
            reads: Reads::default(),
            prior: Prior::default(),
            out: Writer::new(),
            progress: DropProgress::default(),
            state: State::Writing,
        }
    }

    /// How far the drop has been given out.
    #[must_use]
    pub fn progress(&self) -> DropProgress {
        self.progress
    }

    /// What to do next; `None` if a read is awaited, or nothing is left to do.
    ///
    /// # Errors
    /// [`DropWriteError`]; from then on always the same.
    pub fn poll(&mut self, store: &Store) -> Result<Option<DropWriterOutput>, DropWriteError> {
        loop {
            if self.out.len() >= PIECE {
                return Ok(Some(self.piece()));
            }
            match self.state {
                State::Writing => {}
                State::Failed(error) => return Err(error),
                State::Done => return Ok(None),
                State::Ended if !self.out.is_empty() => return Ok(Some(self.piece())),
                State::Ended => {
                    self.state = State::Done;
                    return Ok(Some(DropWriterOutput::Done));
                }
            }
            self.look_ahead(store);
            if let Some(read) = self.reads.asked.pop_front() {
                return Ok(Some(read));
            }
            let advanced = self.advance(store).inspect_err(|error| self.state = State::Failed(*error))?;
            if !advanced && self.reads.asked.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The bytes that a read found: all that were asked for, or fewer if the payload is not here any more.
    pub fn handle_payload(&mut self, read: ReadId, bytes: Vec<u8>) {
        if let Some(answer) = self.reads.open.get_mut(&read) {
            *answer = Some(bytes);
        }
    }

    fn piece(&mut self) -> DropWriterOutput {
        let mut bytes = std::mem::take(&mut self.out).into_bytes();
        if bytes.len() > PIECE {
            self.out.bytes(&bytes.split_off(PIECE));
        }
        self.progress.bytes += bytes.len() as u64;
        DropWriterOutput::Bytes(bytes)
    }

    /// Lists entries that come next, and asks for the payloads that go with them.
    fn look_ahead(&mut self, store: &Store) {
        if self.listed || self.ahead.len() > AHEAD / 2 || self.ahead_bytes >= AHEAD_BYTES {
            return;
        }
        let mut entries = store.entries_from(&self.namespace, &self.bounds, Order::Ascending, self.after.as_ref());
        while self.ahead.len() < AHEAD && self.ahead_bytes < AHEAD_BYTES {
            let Some(entry) = entries.next() else {
                self.listed = true;
                break;
            };
            let (id, length) = (entry.id(), entry.payload_length());
            let payload = match length {
                0 => Payload::Empty,
                _ if !entry.is_complete() => Payload::Missing,
                1..=SEGMENT => {
                    self.ahead_bytes += length;
                    Payload::Short(self.reads.ask(id, 0, length))
                }
                _ => Payload::Long,
            };
            self.ahead.push_back(Ahead { stored: entry.stored().clone(), payload });
        }
        self.after = self.ahead.back().map(|last| last.stored.cursor()).or(self.after.take());
    }

    /// Writes what can be written next; whether there was anything.
    fn advance(&mut self, store: &Store) -> Result<bool, DropWriteError> {
        if self.copying.is_some() {
            return self.copy();
        }
        let Some(Ahead { stored, payload }) = self.ahead.front() else {
            if self.listed {
                self.out.u8(END);
                self.state = State::Ended;
            }
            return Ok(true);
        };
        let (stored, payload) = (stored.clone(), *payload);
        let mut bytes = Vec::new();
        let whole = match payload {
            Payload::Missing => false,
            Payload::Empty => true,
            Payload::Short(read) => {
                let Some(found) = self.reads.take(read) else { return Ok(false) };
                self.ahead_bytes -= stored.payload_length();
                bytes = found;
                // A drop must not have a payload that is not its entry's: if there is another, the storage is damaged.
                PayloadDigest::from_payload(&bytes) == stored.payload_digest()
            }
            Payload::Long => find(store, &stored).is_some_and(|entry| entry.is_complete()),
        };
        self.ahead.pop_front();
        let removed = matches!(payload, Payload::Short(_) | Payload::Long) && !whole && find(store, &stored).is_none();
        if removed {
            return Ok(true);
        }
        self.write_entry(&stored, whole);
        match payload {
            Payload::Long if whole => self.copying = Some(Copying::new(&stored)),
            _ if whole => self.out.bytes(&bytes),
            _ => {}
        }
        Ok(true)
    }

    /// Goes on with a long payload.
    fn copy(&mut self) -> Result<bool, DropWriteError> {
        let Some(copying) = &mut self.copying else { return Ok(false) };
        let offset = copying.hasher.length();
        let len = (copying.length - offset).min(SEGMENT);
        let Some(read) = copying.read else {
            copying.read = Some(self.reads.ask(copying.entry, offset, len));
            return Ok(true);
        };
        let Some(bytes) = self.reads.take(read) else { return Ok(false) };
        if bytes.len() as u64 != len {
            return Err(DropWriteError::PayloadGone { entry: copying.entry, length: copying.length });
        }
        copying.read = None;
        copying.hasher.push(&bytes);
        self.out.bytes(&bytes);
        if copying.hasher.length() == copying.length
            && let Some(Copying { entry, digest, hasher, .. }) = self.copying.take()
            && hasher.finish().digest != digest
        {
            return Err(DropWriteError::WrongPayload { entry });
        }
        Ok(true)
    }

    fn write_entry(&mut self, stored: &StoredEntry, whole: bool) {
        let entry = stored.entry();
        encode_record(&mut self.out, &entry, stored.capability(), stored.signature(), whole, &self.prior);
        self.prior.set(entry, stored.capability().clone());
        self.progress.entries += 1;
        self.progress.without_payload += u64::from(!whole);
    }
}

/// The entry, if it is still here.
fn find<'a>(store: &'a Store, stored: &StoredEntry) -> Option<EntryRef<'a>> {
    store.get(stored.namespace_id(), stored.subspace_id(), &stored.path()).filter(|entry| entry.id() == stored.id())
}
