//! Where the two files of a storage are: in a directory, for their owner only, because secrets are in them.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use osier_core::store::StorageError;
use redb::{StorageBackend, backends::FileBackend};

use super::failure::{of_io, of_opening};
use crate::backend::OpenError;

/// What the database is called.
const DATABASE: &str = "osier.redb";
/// What the log beside it is called.
const LOG: &str = "osier.log";
/// How long the log grows before the database takes everything over, in bytes.
const LOG_LIMIT: u64 = 8 * 1024 * 1024;

/// The files of a storage, on a disk or on what a test makes of one.
pub(super) trait Medium: Send + Sync {
    /// The database; made if it is not there, and if it is to be.
    fn database(&self, make: bool) -> Result<Box<dyn StorageBackend>, OpenError>;

    /// The log, made if it is not there. Asked for only by who has locked the database.
    fn log(&self) -> Result<Box<dyn StorageBackend>, OpenError>;

    /// Whether both still have their names.
    fn is_there(&self) -> bool;

    /// How long the log may be, in bytes.
    fn log_limit(&self) -> u64 {
        LOG_LIMIT
    }
}

/// A directory.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The directory at a path, which is made when the first file is opened.
    pub(super) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn open(&self, name: &str, make: bool) -> Result<Box<dyn StorageBackend>, OpenError> {
        let path = self.path.join(name);
        let new = make && !path.exists();
        let file = private_file(make).open(&path).map_err(|error| why_not(&path, &error))?;
        if new {
            sync_names(&self.path).map_err(|error| OpenError::Storage(of_io(&error)))?;
        }
        Ok(Box::new(FileBackend::new(file).map_err(of_opening)?))
    }
}

impl Medium for Folder {
    fn database(&self, make: bool) -> Result<Box<dyn StorageBackend>, OpenError> {
        if make && !self.path.is_dir() {
            private_directory().create(&self.path).map_err(|error| unavailable(&self.path, &error))?;
        }
        self.open(DATABASE, make)
    }

    fn log(&self) -> Result<Box<dyn StorageBackend>, OpenError> {
        self.open(LOG, true)
    }

    fn is_there(&self) -> bool {
        [DATABASE, LOG].iter().all(|name| self.path.join(name).exists())
    }
}

fn private_directory() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_file(make: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(make).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the names in a directory last. Elsewhere than on Unix that cannot be asked for.
fn sync_names(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

fn unavailable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Unavailable { reason: format!("{}: {error}", path.display()) }
}

/// Why a file could not be opened for writing.
fn why_not(path: &Path, error: &io::Error) -> OpenError {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem => OpenError::Storage(StorageError::ReadOnly),
        ErrorKind::PermissionDenied if File::open(path).is_ok() => OpenError::Storage(StorageError::ReadOnly),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => OpenError::Storage(StorageError::Full),
        _ => unavailable(path, error),
    }
}
