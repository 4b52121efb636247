//! Skeleton; see the task.

use osier_core::{
    store::{Backend, Batch, Chunk, LoadCursor, StorageError, Usage},
    willow::EntryId,
};

use super::{Lock, OpenError};

/// Durable storage.
pub struct Durable {}

impl Durable {
    /// Opens the storage at a place: the name of a database in a browser, natively a directory, made if it is not there.
    ///
    /// # Errors
    /// [`OpenError`].
    #[allow(clippy::unused_async)]
    pub async fn open(_place: &str, _lock: Lock) -> Result<Self, OpenError> {
        Err(OpenError::AlreadyOpen)
    }

    /// Resolves with the reason once the storage was taken away.
    pub async fn on_lost(&self) -> String {
        std::future::pending().await
    }
}

impl Backend for Durable {
    async fn load(&self, _from: LoadCursor) -> Result<Chunk, StorageError> {
        Err(StorageError::Closed)
    }

    async fn commit(&self, _batch: Batch) -> Result<(), StorageError> {
        Err(StorageError::Closed)
    }

    async fn read_payload(&self, _id: &EntryId, _offset: u64, _len: u64) -> Result<Vec<u8>, StorageError> {
        Err(StorageError::Closed)
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        Err(StorageError::Closed)
    }

    async fn close(&self) -> Result<(), StorageError> {
        Ok(())
    }
}
