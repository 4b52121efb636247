//! A stub of `fjall`. `willow25` names these types in its persistent store, which Osier never
//! uses; the real crate does not compile for wasm32. Opening a database fails, and everything
//! behind a successful opening holds an uninhabited value, so it can never run.

use std::{convert::Infallible, fmt, ops::RangeBounds, path::Path};

/// Why the stub refused.
#[derive(Debug)]
pub struct Error;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this build has no fjall database: willow25's persistent store is not available")
    }
}

impl std::error::Error for Error {}

/// Result of the stub's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Bytes of a key or a value.
pub type Slice = Vec<u8>;

/// Options of a keyspace.
#[derive(Default)]
pub struct KeyspaceCreateOptions;

/// When a write counts as persisted.
pub enum PersistMode {
    /// Data and metadata are on disk.
    SyncAll,
}

/// Builds a database; the result always refuses to open.
pub struct Builder;

impl Builder {
    /// Always fails.
    pub fn open(self) -> Result<Database> {
        Err(Error)
    }
}

/// A database that cannot exist.
pub struct Database(Infallible);

impl Database {
    /// Starts a builder whose `open` fails.
    pub fn builder(_path: &Path) -> Builder {
        Builder
    }
    /// Never runs.
    pub fn keyspace(&self, _name: &str, _options: impl FnOnce() -> KeyspaceCreateOptions) -> Result<Keyspace> {
        match self.0 {}
    }
    /// Never runs.
    pub fn batch(&self) -> Batch {
        match self.0 {}
    }
    /// Never runs.
    pub fn delete_keyspace(&self, _keyspace: Keyspace) -> Result<()> {
        match self.0 {}
    }
    /// Never runs.
    pub fn persist(&self, _mode: PersistMode) -> Result<()> {
        match self.0 {}
    }
}

/// A keyspace that cannot exist.
pub struct Keyspace(Infallible);

impl Keyspace {
    /// Never runs.
    pub fn prefix(&self, _prefix: impl AsRef<[u8]>) -> Iter {
        match self.0 {}
    }
    /// Never runs.
    pub fn range<K: AsRef<[u8]>>(&self, _range: impl RangeBounds<K>) -> Iter {
        match self.0 {}
    }
    /// Never runs.
    pub fn iter(&self) -> Iter {
        match self.0 {}
    }
    /// Never runs.
    pub fn remove(&self, _key: impl Into<Slice>) -> Result<()> {
        match self.0 {}
    }
}

/// An iterator that cannot exist.
pub struct Iter(Infallible);

impl Iterator for Iter {
    type Item = Guard;
    fn next(&mut self) -> Option<Guard> {
        match self.0 {}
    }
}

/// A row that cannot exist.
pub struct Guard(Infallible);

impl Guard {
    /// Never runs.
    pub fn into_inner(self) -> Result<(Slice, Slice)> {
        match self.0 {}
    }
    /// Never runs.
    pub fn key(self) -> Result<Slice> {
        match self.0 {}
    }
}

/// A batch that cannot exist.
pub struct Batch(Infallible);

impl Batch {
    /// Never runs.
    pub fn insert(&mut self, _keyspace: &Keyspace, _key: impl Into<Slice>, _value: impl Into<Slice>) {
        match self.0 {}
    }
    /// Never runs.
    pub fn remove(&mut self, _keyspace: &Keyspace, _key: impl Into<Slice>) {
        match self.0 {}
    }
    /// Never runs.
    pub fn commit(self) -> Result<()> {
        match self.0 {}
    }
}
