//! What redb and the file system say, in the words of the seam.

use std::io::{self, ErrorKind};

use osier_core::store::{Damaged, StorageError};
use redb::{CommitError, CompactionError, DatabaseError, SetDurabilityError, TableError, TransactionError};

use crate::backend::OpenError;

/// Why something could not be done.
#[derive(Debug)]
pub(super) enum Failed {
    /// It was not to be done. Nothing has changed, and everything goes on.
    Refused(StorageError),
    /// redb or the disk failed. redb takes no more writes after that until the database is opened again.
    Broken(StorageError),
}

impl Failed {
    /// Without the difference.
    pub(super) fn into_error(self) -> StorageError {
        match self {
            Self::Refused(error) | Self::Broken(error) => error,
        }
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for Failed {
            fn from(error: $error) -> Self {
                Self::Broken(of_redb(error.into()))
            }
        }
    )*};
}
from_redb!(redb::StorageError, TableError, TransactionError, CommitError, CompactionError, SetDurabilityError);

impl From<Damaged> for Failed {
    fn from(damaged: Damaged) -> Self {
        Self::Refused(damaged.into())
    }
}

impl From<Failed> for OpenError {
    fn from(failed: Failed) -> Self {
        Self::Storage(failed.into_error())
    }
}

/// What redb says.
pub(super) fn of_redb(error: redb::Error) -> StorageError {
    match error {
        redb::Error::Io(error) => of_io(&error),
        redb::Error::Corrupted(what) => StorageError::Corrupt(what),
        error @ (redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted) => StorageError::Corrupt(error.to_string()),
        error => StorageError::Lost(error.to_string()),
    }
}

/// What redb says when it opens a database.
pub(super) fn of_opening(error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => OpenError::AlreadyOpen,
        error => OpenError::Storage(of_redb(error.into())),
    }
}

/// What the file system says.
pub(super) fn of_io(error: &io::Error) -> StorageError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => StorageError::Full,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StorageError::ReadOnly,
        // A file that is shorter than it says, or none of ours.
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData => StorageError::Corrupt(error.to_string()),
        _ => StorageError::Lost(error.to_string()),
    }
}
