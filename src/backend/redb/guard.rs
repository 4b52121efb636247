//! A file that is looked at before it is touched.
//!
//! redb writes to a file when it opens it, and more when the file was not closed: it repairs. What a newer Osier has written must stay as
//! it is, so writes are held back here, in their order, until the version has been read; reads see them. Then they go to the file, and
//! everything after them directly.

use std::{
    io,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock},
};

use redb::{BackendError, StorageBackend};

/// How long the mark of redb's files is.
const MARK: usize = 9;

/// See the module. Clones are the same file.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    file: Arc<dyn StorageBackend>,
    held: Arc<RwLock<Option<Vec<Act>>>>,
}

/// What waits to be done to the file.
#[derive(Debug)]
enum Act {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
}

impl Guard {
    /// Holds writes back.
    pub(super) fn new(file: Box<dyn StorageBackend>) -> Self {
        Self { file: file.into(), held: Arc::new(RwLock::new(Some(Vec::new()))) }
    }

    /// Does what was held back, and holds nothing back from now on.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        for act in held.take().into_iter().flatten() {
            match act {
                Act::Write(offset, bytes) => self.file.write(offset, &bytes)?,
                Act::SetLength(length) => self.file.set_len(length)?,
                Act::Sync => self.file.sync_data()?,
            }
        }
        Ok(())
    }

    /// Does something to the file, now or later.
    fn act(&self, act: impl FnOnce() -> Act, now: impl FnOnce(&dyn StorageBackend) -> io::Result<()>) -> io::Result<()> {
        if self.held.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            return now(&*self.file);
        }
        match &mut *self.held.write().unwrap_or_else(PoisonError::into_inner) {
            Some(acts) => {
                acts.push(act());
                Ok(())
            }
            None => now(&*self.file),
        }
    }

    /// A file whose first bytes are zeros was being made when its maker died: redb writes them last, and takes the file for somebody
    /// else's. It begins anew. redb asks for the length first, and once it has the lock, so that nobody is just making it.
    fn begin_anew_what_was_not_made(&self) -> io::Result<()> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let Some(acts) = held.as_mut().filter(|acts| acts.is_empty()) else { return Ok(()) };
        let length = self.file.len()?;
        let mut head = [0; MARK];
        let there = head.get_mut(..usize::try_from(length).unwrap_or(MARK).min(MARK)).unwrap_or_default();
        self.file.read(0, there)?;
        if length > 0 && head == [0; MARK] {
            acts.push(Act::SetLength(0));
        }
        Ok(())
    }
}

impl StorageBackend for Guard {
    fn len(&self) -> io::Result<u64> {
        self.begin_anew_what_was_not_made()?;
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let set = held.iter().flatten().rev().find_map(|act| if let Act::SetLength(length) = act { Some(*length) } else { None });
        set.map_or_else(|| self.file.len(), Ok)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let Some(acts) = held.as_ref().filter(|acts| !acts.is_empty()) else { return self.file.read(offset, out) };
        // What the file has, then what was held back, in order. What lies behind an end was zeros when it came to be.
        let there = usize::try_from(self.file.len()?.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (there, behind) = out.split_at_mut(there);
        self.file.read(offset, there)?;
        behind.fill(0);
        for act in acts {
            match act {
                Act::Write(at, bytes) => overlay(out, offset, *at, bytes),
                Act::SetLength(length) => {
                    let kept = usize::try_from(length.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
                    out[kept..].fill(0);
                }
                Act::Sync => {}
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.act(|| Act::SetLength(length), |file| file.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(|| Act::Sync, |file| file.sync_data())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.act(|| Act::Write(offset, data.to_vec()), |file| file.write(offset, data))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// Copies what overlaps of `bytes`, which lie at `at`, into `out`, which lies at `offset`.
fn overlay(out: &mut [u8], offset: u64, at: u64, bytes: &[u8]) {
    let start = at.max(offset);
    let end = at.saturating_add(bytes.len() as u64).min(offset.saturating_add(out.len() as u64));
    let index = |position: u64, from: u64| usize::try_from(position - from).unwrap_or(usize::MAX);
    if start < end
        && let (Some(to), Some(from)) = (out.get_mut(index(start, offset)..index(end, offset)), bytes.get(index(start, at)..index(end, at)))
    {
        to.copy_from_slice(from);
    }
}
