//! Where a node keeps its data: in memory, or durably in IndexedDB (browser) or redb (natively), behind the core's trait.
//!
//! The two durable ones have the same name and the same calls. It must not know nodes, sessions or connections.

use osier_core::{
    store::{Backend, Batch, Chunk, HistoryKey, LoadCursor, MemoryBackend, StorageError, Usage},
    willow::EntryId,
};

#[cfg(target_arch = "wasm32")]
#[path = "indexed_db/mod.rs"]
mod face;
#[cfg(not(target_arch = "wasm32"))]
#[path = "redb/mod.rs"]
mod face;

pub use crate::platform::lock::Lock;
pub use face::{Durable, SCHEMA};

/// Why storage could not be opened. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it open and keeps it.
    #[error("the storage is open elsewhere")]
    AlreadyOpen,
    /// A newer Osier wrote it.
    #[error("the storage has version {found}, this code knows versions up to {SCHEMA}")]
    NewerVersion {
        /// The version it has.
        found: u32,
    },
    /// There is no durable storage here: a private window, a missing permission, a path that is no directory.
    #[error("there is no durable storage here: {reason}")]
    Unavailable {
        /// What is known.
        reason: String,
    },
    /// It failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The storage of one node.
pub enum Disk {
    /// It lives as long as the node.
    Memory(MemoryBackend),
    /// It lasts.
    Durable(Durable),
}

impl Disk {
    /// Whether it lasts longer than the node.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        matches!(self, Self::Durable(_))
    }

    /// What is known of data that was here before, and that whoever keeps it has lost: a browser that found its database unreadable.
    #[must_use]
    pub fn data_loss(&self) -> Option<&str> {
        match self {
            Self::Memory(_) => None,
            Self::Durable(durable) => durable.data_loss(),
        }
    }

    /// Resolves with the reason once the storage was taken away; never in memory.
    pub async fn on_lost(&self) -> String {
        match self {
            Self::Memory(_) => std::future::pending().await,
            Self::Durable(durable) => durable.on_lost().await,
        }
    }
}

impl Backend for Disk {
    async fn load(&self, from: LoadCursor) -> Result<Chunk, StorageError> {
        match self {
            Self::Memory(memory) => memory.load(from).await,
            Self::Durable(durable) => durable.load(from).await,
        }
    }

    async fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        match self {
            Self::Memory(memory) => memory.commit(batch).await,
            Self::Durable(durable) => durable.commit(batch).await,
        }
    }

    async fn read_payload(&self, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, StorageError> {
        match self {
            Self::Memory(memory) => memory.read_payload(id, offset, len).await,
            Self::Durable(durable) => durable.read_payload(id, offset, len).await,
        }
    }

    async fn history(&self, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, StorageError> {
        match self {
            Self::Memory(memory) => memory.history(after).await,
            Self::Durable(durable) => durable.history(after).await,
        }
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        match self {
            Self::Memory(memory) => memory.usage().await,
            Self::Durable(durable) => durable.usage().await,
        }
    }

    async fn close(&self) -> Result<(), StorageError> {
        match self {
            Self::Memory(memory) => memory.close().await,
            Self::Durable(durable) => durable.close().await,
        }
    }
}
