//! Payloads that are too long to be held in memory: written and read a piece at a time.
//!
//! What is signed names the digest, so the bytes of a payload are seen twice: hashed, and then written as a draft, which becomes the payload
//! in the transaction that writes the entry. Whatever ends a write before that leaves nothing behind.

use std::mem;

use osier_core::{
    payload::{HashedPayload, PayloadHasher},
    willow::SignedEntry,
};
use willow25::prelude::{NamespaceId, Path, SubspaceId};

use super::{EntryKey, Error, Node, SetOutcome, SetRequest, data};
use crate::platform;

/// Payloads up to this length are written together with their entry, longer ones in pieces of it, in bytes.
const WRITE_PIECE: usize = 1024 * 1024;

/// How many bytes are read at once.
const READ_PIECE: u64 = 256 * 1024;

/// A write without its payload: where, who, what, when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriteRequest {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The user who writes; the entry's subspace.
    pub user: SubspaceId,
    /// Where.
    pub path: Path,
    /// TAI microseconds. `None`: as for [`SetRequest::timestamp`], as it is when the payload has been seen once.
    pub timestamp: Option<u64>,
}

/// A write whose payload comes in pieces, all of them twice; see [`Node::payload_writer`]. Dropping it gives the write up.
#[derive(Debug)]
pub struct PayloadWriter {
    node: Node,
    request: WriteRequest,
    /// What has been seen this time.
    hasher: PayloadHasher,
    /// What was seen the first time.
    hashed: Option<HashedPayload>,
    /// What was seen, and is not written.
    pending: Vec<u8>,
    draft: Option<Draft>,
}

#[derive(Debug)]
struct Draft {
    entry: SignedEntry,
    end: u64,
}

/// A payload that is read in pieces; see [`Node::payload_reader`].
#[derive(Debug)]
pub struct PayloadReader {
    node: Node,
    key: EntryKey,
    offset: u64,
    length: Option<u64>,
    /// The entry that it is the payload of, and where to stop: known from the first piece on.
    of: Option<([u8; 32], u64)>,
}

impl Node {
    /// Begins a write like [`Node::set`], of a payload of any length, with memory for little of it.
    #[must_use]
    pub fn payload_writer(&self, request: WriteRequest) -> PayloadWriter {
        let (node, hasher) = (self.clone(), PayloadHasher::new());
        PayloadWriter { node, request, hasher, hashed: None, pending: Vec::new(), draft: None }
    }

    /// Reads an entry's payload in pieces: `length` bytes from `offset`, or all that follow.
    #[must_use]
    pub fn payload_reader(&self, key: EntryKey, offset: u64, length: Option<u64>) -> PayloadReader {
        PayloadReader { node: self.clone(), key, offset, length, of: None }
    }
}

impl PayloadWriter {
    /// The next bytes, for the first time: they are hashed. Nothing is written yet.
    pub fn prepare(&mut self, bytes: &[u8]) {
        self.hasher.push(bytes);
    }

    /// The next bytes, for the second time. Written now and then.
    ///
    /// # Errors
    /// Those of [`Node::set`] but [`Error::Obsolete`], and [`Error::PayloadUnreadable`] if there are more bytes than the first time. They end
    /// the write.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let total = self.hashed().length;
        self.hasher.push(bytes);
        if self.hasher.length() > total {
            return Err(changed());
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= WRITE_PIECE && total > WRITE_PIECE as u64 { self.write().await } else { Ok(()) }
    }

    /// All bytes were pushed: stores the entry with them.
    ///
    /// # Errors
    /// Those of [`Node::set`], and [`Error::PayloadUnreadable`] if the bytes were others than the first time. Nothing has changed then.
    pub async fn finish(mut self) -> Result<SetOutcome, Error> {
        let hashed = self.hashed().clone();
        if mem::take(&mut self.hasher).finish().digest != hashed.digest {
            return Err(changed());
        }
        if self.draft.is_none() {
            let WriteRequest { namespace, user, path, timestamp } = self.request.clone();
            let payload = mem::take(&mut self.pending);
            return self.node.set(namespace, SetRequest { user, path, payload, timestamp }).await;
        }
        self.write().await?;
        let Some(Draft { entry, .. }) = &self.draft else { return Err(Error::Aborted) };
        let entry = entry.clone();
        let written = self.node.call(move |node| data::finish_draft(node, entry, hashed.outboard)).await;
        self.draft = None;
        written
    }

    fn hashed(&mut self) -> &HashedPayload {
        self.hashed.get_or_insert_with(|| mem::take(&mut self.hasher).finish())
    }

    /// Writes what was seen. The entry is kept before anything is written under its id, so that this can be given up at any time.
    async fn write(&mut self) -> Result<(), Error> {
        if self.draft.is_none() {
            let (request, hashed) = (self.request.clone(), self.hashed());
            let payload = (hashed.digest.clone(), hashed.length);
            let entry = self.node.call(move |node| async move { data::sign_draft(&node, request, payload) }).await?;
            self.draft = Some(Draft { entry, end: 0 });
        }
        let Some(draft) = &mut self.draft else { return Err(Error::Aborted) };
        let (entry, offset, bytes) = (draft.entry.clone(), draft.end, mem::take(&mut self.pending));
        draft.end = offset.saturating_add(bytes.len() as u64);
        let written = self.node.call(move |node| data::draft(node, entry, offset, bytes)).await;
        if offset == 0 && written == Err(Error::Obsolete) {
            // What is drafted under this id is another's.
            self.draft = None;
        }
        written
    }
}

impl Drop for PayloadWriter {
    fn drop(&mut self) {
        if let Some(Draft { entry, .. }) = self.draft.take() {
            self.node.post(move |node| platform::spawn_detached(data::discard_draft(node.clone(), entry.id)));
        }
    }
}

impl PayloadReader {
    /// The next bytes, 256 KiB but for the last ones; `None` after them.
    ///
    /// # Errors
    /// Those of [`Node::payload`]; [`Error::NoSuchEntry`] also when the entry was replaced meanwhile.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let (key, offset, length) = (self.key.clone(), self.offset, self.length);
        let (id, end) = match self.of {
            Some(of) => of,
            None => self.node.call(move |node| async move { data::payload_range(&node, &key, offset, length) }).await?,
        };
        self.of = Some((id, end));
        let length = end.saturating_sub(offset).min(READ_PIECE);
        if length == 0 {
            return Ok(None);
        }
        let key = self.key.clone();
        let piece = self.node.call(move |node| data::payload_piece(node, key, id, offset, length)).await?;
        self.offset = offset.saturating_add(length);
        Ok(Some(piece))
    }
}

fn changed() -> Error {
    Error::PayloadUnreadable { reason: "it changed while it was read".to_owned() }
}
