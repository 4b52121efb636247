//! Durable storage in a browser: a database of IndexedDB, with one owner.
//!
//! | file | what it is |
//! |---|---|
//! | `database` | the database and its object stores, transactions, keys |
//! | `state` | what the database says of itself |
//! | `load`, `batch`, `there`, `commit`, `payload`, `history` | reading and writing |
//! | `value` | what is in the value of an entry, or of several |
//! | `directory` | which entries are stored, and under which keys |
//! | `secrets` | secrets at rest |
//! | `holding` | the connection, and losing it |
//! | `renew` | what makes up for a defect of Chromium |
//! | `failure` | what goes wrong |
//!
//! The owner holds a Web Lock as long as it has the database open. Since a lock can be stolen, and a tab may be frozen while it writes,
//! each opening also raises an **epoch** in the database, and each transaction that writes checks that the epoch is still its own. Where
//! there are no Web Locks the epoch is all there is: then the last one to open the database owns it.
//!
//! A browser may close a database under us. The next operation opens it again, and what was cut off is repeated, once. Otherwise the
//! storage is lost: by another tab that takes it over, or wants it deleted or upgraded, or by the browser for good.

mod batch;
mod commit;
mod database;
mod directory;
mod failure;
mod history;
mod holding;
mod load;
mod payload;
mod renew;
mod secrets;
mod state;
mod there;
mod value;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use indexed_db_futures::database::Database;
use osier_core::{
    store::{Backend, Batch, Change, Chunk, HistoryKey, LoadCursor, StorageError, Usage},
    willow::EntryId,
};
use tokio::sync::Mutex;

use self::{
    commit::Write,
    database::{META, STATE, get, reading},
    failure::Failure,
    holding::{Holding, Standing, TAKEN_OVER},
    load::{Ahead, learn},
    secrets::SECRET,
    state::State,
};
use super::{Lock, OpenError};
use crate::platform::{OwnerLock, Task, lock, spawn_local, storage_estimate, timeout};

/// The layout of stored data that this code writes, and the newest that it reads. Version 1 had no payloads behind rows, version 2 no packs;
/// what they wrote is read as it is.
pub const SCHEMA: u32 = 3;

/// How long a database may at least take to open, and how long where the lock says nothing of waiting.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(15);

/// How long [`Durable::delete`] waits for an owner who is just letting go.
const LETTING_GO: Duration = Duration::from_secs(1);

/// Durable storage.
pub struct Durable {
    holding: Rc<Holding>,
    /// The next part to load, which is read while the caller works on the one before.
    ahead: RefCell<Option<Ahead>>,
    /// Held by whoever writes, or finds out what is stored.
    turn: Mutex<()>,
    /// Whether the directory, as far as it goes, says what is stored: not while a batch is written that changes it, and not if it is not
    /// known what became of one.
    sure: Cell<bool>,
    owner: RefCell<Option<OwnerLock>>,
    _thefts: Task,
    renewal: RefCell<Option<Task>>,
}

impl Durable {
    /// Opens the database of this name, made if it is not there.
    ///
    /// [`Lock::Wait`] bounds the wait for the owner, and then that for the database, which somebody may keep from being opened. Dropping
    /// the future gives up.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(place: &str, lock: Lock) -> Result<Self, OpenError> {
        let owner = lock::acquire(&lock_name(place), lock).await.map_err(|_| OpenError::AlreadyOpen)?;
        let patience = match lock {
            Lock::Wait(patience) => patience.max(LEAST_PATIENCE),
            Lock::Fail | Lock::Steal => PATIENCE,
        };
        let holding = timeout(patience, Holding::open(place)).await.ok_or(OpenError::AlreadyOpen)??;
        let (stolen, held) = (owner.stolen(), Rc::downgrade(&holding));
        let thefts = spawn_local(async move {
            stolen.await;
            if let Some(holding) = held.upgrade() {
                holding.lose(TAKEN_OVER);
            }
        });
        let renewal = holding.is_torn.get().then(|| spawn_local(renew(holding.clone())));
        Ok(Self {
            holding,
            ahead: RefCell::default(),
            turn: Mutex::default(),
            sure: Cell::new(true),
            owner: RefCell::new(Some(owner)),
            _thefts: thefts,
            renewal: RefCell::new(renewal),
        })
    }

    /// Deletes the database of this name, if there is one.
    ///
    /// # Errors
    /// [`OpenError::AlreadyOpen`] while it is open somewhere.
    pub async fn delete(place: &str) -> Result<(), OpenError> {
        let owner = lock::acquire(&lock_name(place), Lock::Wait(LETTING_GO)).await.map_err(|_| OpenError::AlreadyOpen)?;
        let deleted = timeout(PATIENCE, database::delete(place)).await.ok_or(OpenError::AlreadyOpen)?;
        owner.release().await;
        deleted.map_err(Failure::into_open)
    }

    /// Resolves with the reason once the storage was taken away; never when it was closed.
    pub async fn on_lost(&self) -> String {
        let mut standing = self.holding.standing();
        match standing.wait_for(|standing| matches!(standing, Standing::Lost(_))).await.as_deref() {
            Ok(Standing::Lost(reason)) => reason.clone(),
            _ => std::future::pending().await,
        }
    }

    /// What the browser said of data under this name that it could not read any more when it was opened, and replaced by an empty database.
    #[must_use]
    pub fn data_loss(&self) -> Option<&str> {
        self.holding.data_loss.as_deref()
    }

    /// Whether secrets are wrapped by a key that the browser does not give out. Otherwise they are stored as they are.
    #[must_use]
    pub fn secrets_wrapped(&self) -> bool {
        self.holding.wrapping.is_some()
    }

    /// Whether the directory is right and complete.
    fn knows_all(&self) -> bool {
        self.sure.get() && self.holding.directory.is_complete()
    }

    /// Makes sure that the directory is right and complete. The caller has the turn.
    async fn learn(&self, database: &Database) -> Result<(), Failure> {
        if !self.knows_all() {
            let Holding { codec, directory, .. } = &*self.holding;
            learn(database, codec, directory).await?;
            self.sure.set(true);
        }
        Ok(())
    }

    /// Writes a batch. The caller has the turn.
    async fn write(&self, database: &Database, write: &Write<'_>) -> Result<(), Failure> {
        self.learn(database).await?;
        if write.moves_entries() {
            self.sure.set(false);
        }
        let result = write.commit(database).await;
        if let Ok(()) | Err(Failure::Final(_)) = result {
            self.sure.set(true);
        }
        result
    }

    /// What to store of the secrets in a batch, by the place of their change.
    async fn seal(&self, batch: &Batch) -> Result<BTreeMap<usize, Vec<u8>>, StorageError> {
        let mut sealed = BTreeMap::new();
        for (place, change) in batch.changes.iter().enumerate() {
            if let Change::Note { name, value: Some(secret) } = change
                && name.starts_with(SECRET)
            {
                sealed.insert(place, secrets::seal(self.holding.wrapping.as_ref(), name, secret).await?);
            }
        }
        Ok(sealed)
    }
}

/// See [`renew`](self::renew).
async fn renew(holding: Rc<Holding>) {
    match holding.run(async |database: &Database| renew::renew(database).await).await {
        Ok(()) => holding.is_torn.set(false),
        Err(error) => tracing::debug!("the log of the storage was not renewed: {error}"),
    }
}

/// The name of the lock of a database.
fn lock_name(place: &str) -> String {
    format!("osier:{place}")
}

impl Backend for Durable {
    async fn load(&self, from: LoadCursor) -> Result<Chunk, StorageError> {
        self.holding.check()?;
        let ahead = self.ahead.take().and_then(|ahead| ahead.of(from));
        let mut part = ahead.unwrap_or_else(|| Ahead::start(&self.holding, from)).finish().await?;
        *self.ahead.borrow_mut() = Ahead::next(&self.holding, &part);
        for (name, sealed) in part.secrets {
            let secret = secrets::open(self.holding.wrapping.as_ref(), &name, &sealed).await?;
            part.chunk.notes.push((name, secret));
        }
        Ok(part.chunk)
    }

    async fn commit(&self, batch: Batch) -> Result<(), StorageError> {
        self.holding.check()?;
        self.ahead.take();
        let _turn = self.turn.lock().await;
        let sealed = self.seal(&batch).await?;
        let Holding { codec, directory, epoch, .. } = &*self.holding;
        let write = Write { batch: &batch, sealed, codec, directory, epoch: *epoch };
        let commit = async |database: &Database| match self.write(database, &write).await {
            // Somebody else has written it, or what was written before in vain was written.
            Err(Failure::Present) => self.write(database, &write).await,
            result => result,
        };
        self.holding.run(commit).await
    }

    async fn read_payload(&self, id: &EntryId, offset: u64, len: u64) -> Result<Vec<u8>, StorageError> {
        let read = async |database: &Database| {
            // Whoever has the turn changes the directory, and the browser would have this wait for him anyway.
            if !self.knows_all() {
                let _turn = self.turn.lock().await;
                self.learn(database).await?;
            }
            payload::read(database, &self.holding.directory, id, offset, len).await
        };
        self.holding.run(read).await
    }

    async fn history(&self, after: HistoryKey) -> Result<Vec<(HistoryKey, Vec<u8>)>, StorageError> {
        self.holding.run(async |database: &Database| history::read(database, after).await).await
    }

    async fn usage(&self) -> Result<Usage, StorageError> {
        let state = async |database: &Database| {
            let transaction = reading(database, &[META])?;
            State::read(get(&transaction.object_store(META)?, STATE.into())?).await
        };
        let state = self.holding.run(state).await?;
        let quota = storage_estimate().await.map(|estimate| estimate.quota);
        Ok(Usage { entries: state.entries, payload_bytes: state.payload_bytes, quota })
    }

    async fn close(&self) -> Result<(), StorageError> {
        self.ahead.take();
        self.renewal.take();
        self.holding.close().await;
        let owner = self.owner.take();
        if let Some(owner) = owner {
            owner.release().await;
        }
        Ok(())
    }
}
