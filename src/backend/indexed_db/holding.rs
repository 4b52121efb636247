//! A database as long as it is ours: the connection, opening it again, and losing it.

use std::{
    cell::{Cell, RefCell},
    rc::{Rc, Weak},
    time::Duration,
};

use indexed_db_futures::{
    BuildPrimitive, KeyRange,
    database::{Database, VersionChangeListener},
};
use osier_core::store::{Durability, RowCodec, StorageError};
use tokio::sync::watch;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::CryptoKey;

use super::{
    SCHEMA,
    database::{self, Connection, IfNone, KEYS, META, OPEN, Opened, STATE, WRAPPING, bytes, complete, get, put, reading, remove, writing},
    directory::Directory,
    failure::Failure,
    renew,
    secrets::{Wrapping, generate, subtle},
    state::State,
};
use crate::{
    backend::OpenError,
    platform::{Task, spawn_local, timeout, unix_micros},
};

/// How long closing waits until its mark is removed.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Why a storage is lost that another opening owns.
pub(super) const TAKEN_OVER: &str = "another tab took the storage over";

/// See the module.
pub(super) struct Holding {
    name: String,
    /// The opening that owns the database, if it is still this one.
    pub(super) epoch: u64,
    pub(super) wrapping: Option<Wrapping>,
    pub(super) codec: RefCell<RowCodec>,
    pub(super) directory: Directory,
    /// `None` after it was closed, by us or by the browser.
    connection: RefCell<Option<Rc<Open>>>,
    standing: watch::Sender<Standing>,
    /// What the browser said on opening of data that it has lost.
    pub(super) data_loss: Option<String>,
    /// Whether the browser's log may end with a torn record; see [`renew`](super::renew).
    pub(super) is_torn: Cell<bool>,
}

/// How a storage stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Good,
    Lost(String),
    Closed,
}

/// A connection, and what listens to it.
struct Open {
    _events: Task,
    connection: Connection,
}

impl Holding {
    /// Opens a database, which is made if there is none, and takes it over from whoever has it.
    pub(super) async fn open(name: &str) -> Result<Rc<Self>, OpenError> {
        let Opened { connection, data_loss } = match database::open(name, IfNone::Create).await {
            Ok(opened) => opened,
            Err(Failure::Broken { name: exception, .. }) if exception == "VersionError" => {
                let found = database::version(name).await.map_err(Failure::into_open)?;
                return Err(OpenError::NewerVersion { found });
            }
            Err(failure) => return Err(failure.into_open()),
        };
        let Taken { state, key, was_left_open } = take_over(&connection).await.map_err(Failure::into_open)?;
        if state.schema > SCHEMA {
            return Err(OpenError::NewerVersion { found: state.schema });
        }
        let holding = Rc::new(Self {
            name: name.to_owned(),
            epoch: state.epoch,
            wrapping: wrapping(&connection, key).await,
            codec: RefCell::default(),
            directory: Directory::default(),
            connection: RefCell::default(),
            standing: watch::Sender::new(Standing::Good),
            data_loss,
            is_torn: Cell::new(was_left_open && renew::is_needed()),
        });
        holding.adopt(connection).map_err(Failure::into_open)?;
        Ok(holding)
    }

    /// How it stands.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Fails unless the storage can be used.
    pub(super) fn check(&self) -> Result<(), StorageError> {
        match &*self.standing.borrow() {
            Standing::Good => Ok(()),
            Standing::Lost(reason) => Err(StorageError::Lost(reason.clone())),
            Standing::Closed => Err(StorageError::Closed),
        }
    }

    /// The storage was taken away: nothing is read or written any more.
    pub(super) fn lose(&self, reason: &str) {
        self.standing.send_if_modified(|standing| {
            let first = *standing == Standing::Good;
            if first {
                *standing = Standing::Lost(reason.to_owned());
            }
            first
        });
        self.connection.take();
    }

    /// Ends the use of it. It counts as left open as long as its log may be torn, and where its mark cannot be removed.
    pub(super) async fn close(self: &Rc<Self>) {
        if !self.is_torn.get() {
            let unmarked = self.run(async |database: &Database| {
                let transaction = writing(database, &[META], Durability::Relaxed)?;
                let meta = transaction.object_store(META)?;
                if State::read(get(&meta, STATE.into())?).await?.epoch == self.epoch {
                    remove(&meta, KeyRange::Only(OPEN.into()))?;
                }
                drop(meta);
                complete(transaction).await
            });
            let _ = timeout(LAST_WRITE, unmarked).await;
        }
        self.standing.send_replace(Standing::Closed);
        self.connection.take();
    }

    /// Runs an operation, and once more on a new connection if the browser breaks it off.
    pub(super) async fn run<T>(self: &Rc<Self>, operation: impl AsyncFn(&Database) -> Result<T, Failure>) -> Result<T, StorageError> {
        let mut repeated = false;
        loop {
            self.check()?;
            let failure = match self.connection().await {
                Ok(open) => match operation(&open.connection).await {
                    Ok(value) => return Ok(value),
                    Err(failure) => failure,
                },
                Err(failure) => failure,
            };
            if matches!(failure, Failure::Broken { .. }) && !repeated {
                repeated = true;
                self.connection.take();
                continue;
            }
            let error = failure.into_storage();
            if let StorageError::Lost(reason) = &error {
                self.lose(reason);
            }
            return Err(error);
        }
    }

    /// The connection, made again if there is none, to the same database and only while it is ours.
    async fn connection(self: &Rc<Self>) -> Result<Rc<Open>, Failure> {
        if let Some(open) = &*self.connection.borrow() {
            return Ok(open.clone());
        }
        let Opened { connection, .. } = database::open(&self.name, IfNone::Fail).await?;
        let state = {
            let transaction = reading(&connection, &[META])?;
            State::read(get(&transaction.object_store(META)?, STATE.into())?).await?
        };
        if state.epoch != self.epoch {
            return Err(StorageError::Lost(TAKEN_OVER.to_owned()).into());
        }
        self.check()?;
        self.adopt(connection)
    }

    /// Takes a connection into use.
    fn adopt(self: &Rc<Self>, connection: Connection) -> Result<Rc<Open>, Failure> {
        let events = connection.version_changes()?;
        let open = Rc::new_cyclic(|open| Open { _events: spawn_local(follow(events, Rc::downgrade(self), open.clone())), connection });
        self.connection.replace(Some(open.clone()));
        Ok(open)
    }

    /// A connection was closed by the browser: the next operation makes a new one.
    fn forget(&self, closed: &Weak<Open>) {
        self.connection.borrow_mut().take_if(|open| std::ptr::eq(Rc::as_ptr(open), closed.as_ptr()));
    }
}

/// Does what the browser, or another tab by way of the browser, asks of a connection.
async fn follow(mut events: VersionChangeListener, holding: Weak<Holding>, open: Weak<Open>) {
    let event = events.recv().await;
    let Some(holding) = holding.upgrade() else { return };
    match event {
        // Whoever wants to change the database waits for us to close it.
        Some(event) if event.new_version().is_some() => holding.lose("another tab wants to upgrade the database"),
        Some(_) => holding.lose("the database is being deleted"),
        None => holding.forget(&open),
    }
}

/// A database that was taken over.
struct Taken {
    state: State,
    /// The wrapping key, if it has one.
    key: Option<CryptoKey>,
    was_left_open: bool,
}

/// Begins a new epoch in a database, unless its schema is newer than this code.
async fn take_over(database: &Database) -> Result<Taken, Failure> {
    let transaction = writing(database, &[META, KEYS], Durability::Relaxed)?;
    let (meta, keys) = (transaction.object_store(META)?, transaction.object_store(KEYS)?);
    let (state, left, key) = (get(&meta, STATE.into())?, get(&meta, OPEN.into())?, get(&keys, WRAPPING.into())?);
    let mut state = match state.await? {
        Some(state) => State::decode(&bytes(&state)?)?,
        None => State::new(),
    };
    let was_left_open = left.await?.is_some();
    let key = key.await?.and_then(|key| key.dyn_into().ok());
    if state.schema <= SCHEMA {
        state.schema = SCHEMA;
        // It begins with the time, so that a database made anew has a greater epoch than one of the same name that was deleted.
        state.epoch = state.epoch.saturating_add(1).max(unix_micros());
        put(&meta, STATE.into(), &state.encode())?;
        put(&meta, OPEN.into(), &[])?;
        drop((meta, keys));
        complete(transaction).await?;
    }
    Ok(Taken { state, key, was_left_open })
}

/// What wraps secrets, with the key of the database or a new one. `None` where the browser does not have such keys, or cannot keep them.
async fn wrapping(database: &Database, key: Option<CryptoKey>) -> Option<Wrapping> {
    let subtle = subtle()?;
    let key = match key {
        Some(key) => key,
        None => {
            let key = generate(&subtle).await?;
            keep(database, &key).await.ok()?;
            key
        }
    };
    Some(Wrapping::new(subtle, key))
}

async fn keep(database: &Database, key: &CryptoKey) -> Result<(), Failure> {
    let transaction = writing(database, &[KEYS], Durability::Strict)?;
    let keys = transaction.object_store(KEYS)?;
    drop(keys.add(JsValue::from(key)).with_key(JsValue::from(WRAPPING)).primitive()?);
    drop(keys);
    complete(transaction).await
}
