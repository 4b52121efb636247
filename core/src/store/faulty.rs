//! A backend that fails on purpose, to see what a node does then.

use std::cell::{Cell, RefCell};

use super::backend::{Backend, Batch, Chunk, HistoryKey, LoadCursor, StorageError, Usage};
use crate::willow::EntryId;

/// When, within the operation that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Before anything is done.
    Before,
    /// After it is done, so that the caller hears of a failure though it took place.
    After,
}

/// Counts the operations on another backend and fails the one that it was told to.
pub struct FaultyBackend<B> {
    inner: B,
    operations: Cell<u64>,
    planned: RefCell<Option<(u64, Fault, StorageError)>>,
}

impl<B: Backend> FaultyBackend<B> {
    /// Passes everything on, until told otherwise.
    pub fn new(inner: B) -> Self {
        Self { inner, operations: Cell::new(0), planned: RefCell::new(None) }
    }

    /// The `n`-th operation from now (from 0) fails with this error, those after it do not.
    pub fn fail_nth(&self, n: u64, fault: Fault, error: StorageError) {
        *self.planned.borrow_mut() = Some((self.operations.get().saturating_add(n), fault, error));
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.operations.get()
    }

    /// The backend behind.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    async fn run<T>(&self, operation: impl Future<Output = Result<T, StorageError>>) -> Result<T, StorageError> {
        let number = self.operations.replace(self.operations.get() + 1);
        let planned = self.planned.borrow_mut().take_if(|(n, ..)| *n == number);
        match planned {
            Some((_, Fault::Before, error)) => Err(error),
            Some((_, Fault::After, error)) => operation.await.and(Err(error)),
            None => operation.await,
        }
    }
}

impl<B: Backend> Backend for FaultyBackend<B> {
    async fn load(&self, from: LoadCursor) -> Result<Chunk, StorageError> {
        self.run(self.inner.load(from)).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.run(self.inner.commit(batch)).await
    }

    async fn read_payload(&self, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, StorageError> {
        self.run(self.inner.read_payload(id, offset, len)).await
    }

    async fn history(&self, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, StorageError> {
        self.run(self.inner.history(after)).await
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        self.run(self.inner.usage()).await
    }

    async fn close(&self) -> Result<(), StorageError> {
        self.run(self.inner.close()).await
    }
}
