//! The seam to durable storage: what a backend must do, and nothing about how.
//!
//! The index lives in memory ([`Store`](super::Store)); a backend keeps its rows, the payload bytes and small notes. Whatever belongs
//! together is one [`Batch`], whatever is in a batch happens or does not happen. What is in memory follows the disk: plan, then
//! `commit`, then apply.

use super::{events::ProgressId, row::StoredEntry};
use crate::willow::EntryId;

/// What can go wrong in storage. Nothing has been written when `commit` returns one of these, except [`StorageError::Unknown`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no room.
    #[error("the storage is full")]
    Full,
    /// The storage was taken away: closed, deleted, evicted.
    #[error("the storage was lost: {0}")]
    Lost(String),
    /// It can be read only.
    #[error("the storage is read-only")]
    ReadOnly,
    /// What is stored contradicts itself.
    #[error("the storage is corrupt: {0}")]
    Corrupt(String),
    /// The batch contradicts what is stored: a payload for an entry that is not there, or with a gap before it.
    #[error("the batch does not fit what is stored: {0}")]
    Misfit(&'static str),
    /// The backend has been closed.
    #[error("the storage is closed")]
    Closed,
    /// It is not known whether the batch was written. Committing the same batch again is safe.
    #[error("it is not known whether the write took place: {0}")]
    Unknown(String),
}

/// One change to what is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// An entry without payload bytes. One that is there already stays as it is.
    Put(StoredEntry),
    /// Removes an entry and its payload, or what is drafted of one; nothing happens if there is neither.
    Remove(EntryId),
    /// Bytes of the payload of an entry that is stored, from `offset` on. `offset` is at most the number of bytes there; bytes that
    /// are there already stay as they are.
    Payload {
        /// Whose payload.
        id: EntryId,
        /// Where the bytes begin.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes of the payload of an entry that is not stored yet, from `offset` on, at most the number of bytes that are drafted; bytes that
    /// are drafted already stay as they are. They are no part of the usage, and nobody asks for them, before [`Change::Adopt`].
    Draft {
        /// Whose payload it will be.
        id: EntryId,
        /// Where the bytes begin.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// What is drafted for an entry, which is stored by now without any payload, becomes its payload. Nothing happens if it did before.
    Adopt {
        /// Whose payload it is.
        id: EntryId,
        /// How many bytes are drafted: all of the payload.
        length: u64,
    },
    /// A small named record of the node (a setting, a wrapped secret); `None` removes it.
    Note {
        /// Its name.
        name: String,
        /// What it says.
        value: Option<Vec<u8>>,
    },
}

impl Change {
    /// The entry that it is about.
    #[must_use]
    pub fn entry(&self) -> Option<EntryId> {
        match self {
            Self::Put(entry) => Some(entry.id()),
            Self::Remove(id) | Self::Payload { id, .. } | Self::Draft { id, .. } | Self::Adopt { id, .. } => Some(*id),
            Self::Note { .. } => None,
        }
    }
}

/// How sure a write must be before `commit` returns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Durability {
    /// It survives the process, and may be lost with the power: for what peers can send again.
    #[default]
    Relaxed,
    /// It is on the disk: for what was written here.
    Strict,
}

/// Names a record of the history: how many changes the store had seen in all its runs when the record was written, those of the record
/// included. Unlike the numbers of changes these have no gaps, so that the history can be kept to a number of changes. 0 is before the
/// first record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct HistoryKey(pub u64);

/// A part of the history: the changes of one batch. What it says only the store knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryRecord {
    /// Under which key it is kept. One that is there already is replaced.
    pub key: HistoryKey,
    /// What is kept.
    pub bytes: Vec<u8>,
    /// The records up to this key are needed no more and are removed. In few batches only, so that most cost nothing for it.
    pub trim: Option<HistoryKey>,
}

/// Changes that happen together or not at all, in this order. Committing one twice is the same as once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// The changes.
    pub changes: Vec<Change>,
    /// The last change of the store once this is written; a backend keeps the greatest that it was given.
    pub progress: ProgressId,
    /// The same changes, to be told again to subscriptions that resume after a restart. A backend that keeps no history ignores it.
    pub history: Option<HistoryRecord>,
    /// How sure.
    pub durability: Durability,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Where [`Backend::load`] goes on: behind the entry of this id in the order of ids; at the first one by default.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct LoadCursor(pub Option<EntryId>);

/// A part of what is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chunk {
    /// Entries, each with the number of payload bytes that are stored, at most some thousands of them.
    pub entries: Vec<(StoredEntry, u64)>,
    /// The ids of entries whose rows do not say what was written, or whose authors' records do not. To be removed, and asked of peers
    /// again.
    pub damaged: Vec<EntryId>,
    /// Notes by name.
    pub notes: Vec<(String, Vec<u8>)>,
    /// The last change that was committed.
    pub progress: ProgressId,
    /// The greatest key in the history, 0 if it is empty; found without reading it. `None` if this storage keeps no history.
    pub history: Option<HistoryKey>,
    /// Where to go on, `None` if this was the last part.
    pub next: Option<LoadCursor>,
}

/// How much is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Entries.
    pub entries: u64,
    /// Bytes of payloads.
    pub payload_bytes: u64,
    /// Bytes that the storage may grow to, where that is known.
    pub quota: Option<u64>,
}

/// Storage for one store, with one owner. Futures need not be `Send`, and dropping one at any await leaves the storage with all of a batch
/// or nothing of it.
#[allow(async_fn_in_trait)] // Everything that awaits these runs on the one thread of a node.
pub trait Backend {
    /// The next part of what is stored. Nothing is committed between the parts.
    async fn load(&self, from: LoadCursor) -> Result<Chunk, StorageError>;

    /// Writes all of a batch or nothing.
    async fn commit(&self, batch: Batch) -> Result<(), StorageError>;

    /// Up to `len` bytes of the stored prefix of an entry's payload, from `offset`: fewer where the prefix ends, none behind it or
    /// without such an entry. `len` may be anything; memory is taken for bytes that are there only.
    async fn read_payload(&self, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, StorageError>;

    /// The next records of the history after a key, in the order of their keys: at least one if there is one, at most some hundreds.
    /// Batches may be committed between the parts.
    async fn history(&self, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, StorageError>;

    /// How much is stored.
    async fn usage(&self) -> Result<Usage, StorageError>;

    /// Ends the use of the storage: all that was committed is kept, everything later fails with [`StorageError::Closed`]. Idempotent.
    async fn close(&self) -> Result<(), StorageError>;
}
