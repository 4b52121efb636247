//! The native backend on a disk that remembers, fails and loses what it is told to. What it does on a real one is tested from outside.

mod crash;
mod disk;
mod failures;
mod log;
mod script;

use std::collections::BTreeMap;

use osier_core::{
    store::{Backend, HistoryKey, LoadCursor, ProgressId, StorageError, Usage},
    willow::EntryId,
};
use tokio::sync::RwLock;

use super::{
    tables,
    writer::{Access, Writer},
};
use crate::backend::OpenError;
use disk::Disk;

/// How long the log of these tests is: some batches long, so that it begins again often.
const LOG_LIMIT: u64 = 24 * 1024;

/// Everything that is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Contents {
    /// Of each entry its progress and what is there of its payload.
    entries: BTreeMap<EntryId, (ProgressId, Vec<u8>)>,
    notes: BTreeMap<String, Vec<u8>>,
    progress: ProgressId,
    history: Vec<(HistoryKey, Vec<u8>)>,
    usage: Usage,
}

impl Contents {
    async fn of(backend: &impl Backend) -> Self {
        let mut contents = Self { usage: backend.usage().await.unwrap(), ..Self::default() };
        let mut next = Some(LoadCursor::default());
        while let Some(from) = next {
            let chunk = backend.load(from).await.unwrap();
            for (entry, available) in chunk.entries {
                let payload = backend.read_payload(&entry.id(), 0, u64::MAX).await.unwrap();
                assert_eq!(payload.len() as u64, available);
                contents.entries.insert(entry.id(), (entry.progress(), payload));
            }
            contents.notes.extend(chunk.notes);
            contents.progress = chunk.progress;
            next = chunk.next;
        }
        contents.history = backend.history(HistoryKey::default()).await.unwrap();
        contents
    }
}

/// A backend without threads.
struct Plain {
    writer: Writer,
    access: RwLock<Access>,
}

impl Plain {
    fn open(disk: &Disk) -> Result<Self, OpenError> {
        let (writer, access) = Writer::open(disk.medium())?;
        Ok(Self { writer, access: RwLock::new(access) })
    }

    fn contents(&mut self) -> Contents {
        self.try_contents().unwrap()
    }

    fn try_contents(&mut self) -> Result<Contents, StorageError> {
        let Self { writer, access } = self;
        let usage = writer.read(access, |database, _| tables::usage(database))?;
        let mut contents = Contents { usage, ..Contents::default() };
        let mut next = Some(LoadCursor::default());
        while let Some(from) = next {
            let chunk = writer.load(access, from)?;
            assert_eq!(chunk.damaged, []);
            for (entry, available) in chunk.entries {
                let id = entry.id();
                let payload = writer.read(access, |database, _| tables::read_payload(database, &id, 0, u64::MAX))?;
                assert_eq!(payload.len() as u64, available);
                contents.entries.insert(id, (entry.progress(), payload));
            }
            contents.notes.extend(chunk.notes);
            contents.progress = chunk.progress;
            next = chunk.next;
        }
        contents.history = writer.read(access, |database, _| tables::history(database, HistoryKey::default()))?;
        Ok(contents)
    }
}
