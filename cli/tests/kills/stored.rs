//! What is in the storage of a program that does not run.

use std::path::Path;

use osier::backend::{Durable, Lock};
use osier_core::store::{Backend as _, LoadCursor};

#[derive(Default)]
pub struct Stored {
    pub entries: Vec<Entry>,
}

pub struct Entry {
    pub path: Vec<Vec<u8>>,
    pub payload: Vec<u8>,
}

/// Reads everything; the storage is closed as it should be afterwards.
pub fn stored(folder: &Path) -> Stored {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = Durable::open(folder.to_str().unwrap(), Lock::Fail).await.expect("the storage opens");
        let (mut stored, mut next) = (Stored::default(), Some(LoadCursor::default()));
        while let Some(from) = next {
            let chunk = storage.load(from).await.expect("the storage is read");
            assert_eq!(chunk.damaged, []);
            for (entry, available) in chunk.entries {
                let payload = storage.read_payload(&entry.id(), 0, u64::MAX).await.expect("a payload is read");
                assert_eq!(payload.len() as u64, available);
                let path = entry.path().components().map(|component| component.as_bytes().to_vec()).collect();
                stored.entries.push(Entry { path, payload });
            }
            next = chunk.next;
        }
        storage.close().await.expect("the storage closes");
        stored
    })
}
