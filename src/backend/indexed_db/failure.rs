//! What goes wrong in IndexedDB, and what that means for storage.

use indexed_db_futures::error::{Error, OpenDbError};
use osier_core::store::StorageError;
use wasm_bindgen::{JsCast, JsValue};

use crate::backend::OpenError;

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It would fail again.
    Final(StorageError),
    /// An entry that was taken to be new is there.
    Present,
    /// There is no such database any more.
    Gone,
    /// The browser broke off, by a `DOMException` of this name. Nothing says that it would do so on a new connection.
    Broken { name: String, reason: String },
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        Self::Final(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::DomException(exception) => Self::of(&exception.into()),
            Error::Unknown(error) => Self::of(&error.into()),
            Error::Serialisation(error) => Self::Final(StorageError::Corrupt(format!("a value of another type: {error}"))),
            Error::MissingData(error) => Self::Broken { name: "AbortError".to_owned(), reason: error.to_string() },
        }
    }
}

impl Failure {
    /// What an exception means.
    pub(super) fn of(thrown: &JsValue) -> Self {
        let (name, message) = match thrown.dyn_ref::<web_sys::DomException>() {
            Some(exception) => (exception.name(), exception.message()),
            None => (String::new(), format!("{thrown:?}")),
        };
        let reason = format!("{name}: {message}");
        match name.as_str() {
            "QuotaExceededError" => Self::Final(StorageError::Full),
            "ConstraintError" => Self::Present,
            "NotFoundError" => Self::Final(StorageError::Corrupt(format!("a part of the database is missing, {reason}"))),
            "NotReadableError" | "DataError" => Self::Final(StorageError::Corrupt(reason)),
            "ReadOnlyError" => Self::Final(StorageError::ReadOnly),
            _ => Self::Broken { name, reason },
        }
    }

    /// What it means when it has not helped to try again.
    pub(super) fn into_storage(self) -> StorageError {
        match self {
            Self::Final(error) => error,
            Self::Present => StorageError::Corrupt("a row is there that could not be read".to_owned()),
            Self::Gone => StorageError::Lost("the database was deleted".to_owned()),
            Self::Broken { name, reason } if name == "InvalidStateError" => {
                StorageError::Lost(format!("the browser closed the database ({reason})"))
            }
            Self::Broken { reason, .. } => StorageError::Unknown(reason),
        }
    }

    /// What it means when a database is opened.
    pub(super) fn into_open(self) -> OpenError {
        match self {
            Self::Broken { name, reason } if name != "AbortError" => OpenError::Unavailable { reason },
            other => OpenError::Storage(other.into_storage()),
        }
    }
}

/// Why there is no IndexedDB at all.
pub(super) fn unavailable(error: OpenDbError) -> Failure {
    match error {
        OpenDbError::Base(error) => error.into(),
        // A database cannot be named, or the browser forbids it: whatever is thrown by `open` comes as this one.
        OpenDbError::VersionZero => Failure::Broken { name: String::new(), reason: "the browser refuses to open databases".to_owned() },
        other => Failure::Broken { name: String::new(), reason: other.to_string() },
    }
}
