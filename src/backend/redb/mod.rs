//! Durable storage natively: a directory with a database of redb and a log beside it.
//!
//! | file | what it is |
//! |---|---|
//! | `writer` | commits, and going on after the disk has failed |
//! | `changes`, `tables` | what a batch changes in the tables; what is read from them |
//! | `log` | commits that the file of redb does not have yet, and why there is one |
//! | `opening`, `guard` | the version is looked at before anything is touched; recovery |
//! | `folder` | where the files are |
//! | `failure` | errors |
//!
//! Calls of redb block, on the disk or at least on copying, so all of them run on threads that are for blocking: reads as well, because a
//! page that is not in memory may take a disk some milliseconds, and going there and back takes some ten microseconds. A commit that has
//! begun ends, even if nobody waits for it any more, and the next one waits for it.

mod changes;
mod failure;
mod folder;
mod guard;
mod log;
mod opening;
mod tables;
mod writer;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use osier_core::{
    store::{Backend, Batch, Chunk, HistoryKey, LoadCursor, StorageError, Usage},
    willow::EntryId,
};
use redb::Database;
use tokio::sync::{Mutex, RwLock};

use super::{Lock, OpenError};
use crate::platform::{Clock, sleep};
use failure::Failed;
use folder::{Folder, Medium};
use writer::{Access, Writer};

/// The layout of stored data that this code writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// How often to look whether storage that is open elsewhere has been let go.
const POLL: Duration = Duration::from_millis(20);

/// Durable storage.
pub struct Durable {
    writer: Arc<Mutex<Writer>>,
    access: Arc<RwLock<Access>>,
}

impl Durable {
    /// Opens the storage at a place: the name of a database in a browser, natively a directory, made if it is not there. What is in it
    /// is for the user who made it only: there are secrets in it.
    ///
    /// Natively the system lets go of the lock with the process that held it, and nobody else can take it away: [`Lock::Steal`] is
    /// [`Lock::Fail`].
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(place: &str, lock: Lock) -> Result<Self, OpenError> {
        let place = Path::new(place);
        Self::open_on(|| Box::new(Folder::new(place)), lock).await
    }

    async fn open_on(medium: impl Fn() -> Box<dyn Medium>, lock: Lock) -> Result<Self, OpenError> {
        let patience = match lock {
            Lock::Wait(most) => most,
            Lock::Fail | Lock::Steal => Duration::ZERO,
        };
        let clock = Clock::start();
        loop {
            let medium = medium();
            let opened = blocking(move || Writer::open(medium)).await.map_err(StorageError::from)?;
            let rest = patience.saturating_sub(Duration::from_micros(clock.now().0));
            match opened {
                Err(OpenError::AlreadyOpen) if rest > Duration::ZERO => sleep(POLL.min(rest)).await,
                Err(error) => return Err(error),
                Ok((writer, access)) => {
                    return Ok(Self { writer: Arc::new(Mutex::new(writer)), access: Arc::new(RwLock::new(access)) });
                }
            }
        }
    }

    /// Gives back to the disk what the database does not use, which waits until nobody reads, and forgets authors without entries.
    /// Whether there was anything to do. It takes as long as reading all that is stored.
    ///
    /// # Errors
    /// As [`Backend::commit`].
    pub async fn compact(&self) -> Result<bool, StorageError> {
        self.write(Writer::compact).await?
    }

    /// A file that cannot be read is never replaced: opening it fails.
    #[must_use]
    #[allow(clippy::unused_self, reason = "the same calls as in a browser")]
    pub fn data_loss(&self) -> Option<&str> {
        None
    }

    /// Resolves with the reason once the storage was taken away. Natively nobody can do that, and a disk that fails shows where it is used.
    pub async fn on_lost(&self) -> String {
        std::future::pending().await
    }

    /// Does something on a thread for blocking, one after the other.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer, &RwLock<Access>) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<Result<T, StorageError>, Interrupted> {
        let mut writer = self.writer.clone().lock_owned().await;
        let access = self.access.clone();
        blocking(move || writer.run(&access, work)).await
    }

    /// Reads on a thread for blocking, beside whoever writes; and once more, behind them, from a database that was opened again.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Database) -> Result<T, Failed> + Clone + Send + 'static,
    ) -> Result<T, StorageError> {
        let (access, first) = (self.access.clone(), read.clone());
        match blocking(move || access.blocking_read().database().and_then(first)).await? {
            Ok(result) => Ok(result),
            Err(Failed::Refused(error)) => Err(error),
            Err(Failed::Broken(_)) => self.write(move |writer, access| writer.read(access, |database, _| read(database))).await?,
        }
    }
}

/// Runs what blocks on a thread for that. It runs to its end, whether or not someone waits.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Interrupted> {
    tokio::task::spawn_blocking(work).await.map_err(|error| if error.is_panic() { Interrupted::Panicked } else { Interrupted::NotRun })
}

/// Why a call did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    /// redb panics at some kinds of damage.
    #[error("the database could not be understood")]
    Panicked,
    /// The program is ending.
    #[error("the program is ending")]
    NotRun,
}

impl From<Interrupted> for StorageError {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Panicked => Self::Corrupt(interrupted.to_string()),
            Interrupted::NotRun => Self::Lost(interrupted.to_string()),
        }
    }
}

impl Backend for Durable {
    async fn load(&self, from: LoadCursor) -> Result<Chunk, StorageError> {
        self.write(move |writer, access| writer.load(access, from)).await?
    }

    async fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        let written = self.write(move |writer, access| writer.commit(access, &batch)).await;
        written.map_err(|interrupted| StorageError::Unknown(interrupted.to_string()))?
    }

    async fn read_payload(&self, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, StorageError> {
        let id = *id;
        self.read(move |database| tables::read_payload(database, &id, offset, len)).await
    }

    async fn history(&self, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, StorageError> {
        self.read(move |database| tables::history(database, after)).await
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        self.read(tables::usage).await
    }

    async fn close(&self) -> Result<(), StorageError> {
        let mut writer = self.writer.clone().lock_owned().await;
        let access = self.access.clone();
        blocking(move || writer.close(&access)).await?
    }
}
