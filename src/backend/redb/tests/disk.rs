//! A disk in memory that remembers everything that was done to it, fails when it is told to, and has room for so much only.

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind},
    sync::{Arc, Mutex},
};

use redb::StorageBackend;

use super::super::folder::Medium;
use crate::backend::OpenError;

const BLOCK: u64 = 4096;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Act {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
}

/// Which of the two files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Which {
    Database,
    Log,
}

#[derive(Default, Debug)]
struct State {
    files: [Option<Vec<u8>>; 2],
    acts: Vec<(Which, Act)>,
    /// From this act on, so many fail, with this.
    failing: Option<(usize, usize, ErrorKind)>,
    done: usize,
    panics: bool,
    /// Blocks that were ever written, and how many there may be.
    blocks: BTreeSet<(Which, u64)>,
    room: Option<usize>,
}

/// See the module. Clones are the same disk.
#[derive(Clone, Default, Debug)]
pub(super) struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// What was done to it so far.
    pub(super) fn acts(&self) -> Vec<(Which, Act)> {
        self.0.lock().unwrap().acts.clone()
    }

    pub(super) fn acts_done(&self) -> usize {
        self.0.lock().unwrap().done
    }

    /// From the `first` act from now on (from 0) `count` of them fail.
    pub(super) fn fail(&self, first: usize, count: usize, kind: ErrorKind) {
        let mut state = self.0.lock().unwrap();
        state.failing = Some((state.done + first, count, kind));
    }

    /// The next act panics, as redb does at some kinds of damage.
    pub(super) fn panic_next(&self) {
        self.0.lock().unwrap().panics = true;
    }

    /// There is room for so many blocks more.
    pub(super) fn leave_room(&self, blocks: usize) {
        let mut state = self.0.lock().unwrap();
        state.room = Some(state.blocks.len() + blocks);
    }

    pub(super) fn medium(&self) -> Box<dyn Medium> {
        Box::new(self.clone())
    }

    /// The disk after a process died: with everything that was done.
    pub(super) fn after(acts: &[(Which, Act)]) -> Self {
        let disk = Self::default();
        let mut state = disk.0.lock().unwrap();
        acts.iter().for_each(|(which, act)| state.make(*which, act));
        drop(state);
        disk
    }

    /// The disk after the power was lost: with what was synced, and of the rest what `keeps` says for each sector.
    pub(super) fn after_power_loss(acts: &[(Which, Act)], mut keeps: impl FnMut() -> bool) -> Self {
        let disk = Self::default();
        let mut state = disk.0.lock().unwrap();
        let synced = |which| acts.iter().rposition(|act| *act == (which, Act::Sync)).unwrap_or(0);
        let (database, log) = (synced(Which::Database), synced(Which::Log));
        for (number, (which, act)) in acts.iter().enumerate() {
            let lasts = number < if *which == Which::Database { database } else { log };
            match act {
                Act::Write(offset, bytes) if !lasts => {
                    let first = SECTOR - usize::try_from(offset % SECTOR as u64).unwrap();
                    let (head, rest) = bytes.split_at(first.min(bytes.len()));
                    let mut at = *offset;
                    for sector in std::iter::once(head).chain(rest.chunks(SECTOR)) {
                        if keeps() {
                            state.make(*which, &Act::Write(at, sector.to_vec()));
                        }
                        at += sector.len() as u64;
                    }
                }
                act if lasts || keeps() => state.make(*which, act),
                _ => {}
            }
        }
        drop(state);
        disk
    }

    fn act(&self, which: Which, act: Act) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if std::mem::take(&mut state.panics) {
            drop(state);
            panic!("a panic in the middle");
        }
        let number = state.done;
        state.done += 1;
        if let Some((first, count, kind)) = state.failing
            && (first..first.saturating_add(count)).contains(&number)
        {
            // Half of a write may have been done.
            if let Act::Write(offset, bytes) = &act {
                state.make(which, &Act::Write(*offset, bytes[..bytes.len() / 2].to_vec()));
            }
            return Err(kind.into());
        }
        if let (Act::Write(offset, bytes), Some(room)) = (&act, state.room) {
            let touched: BTreeSet<_> =
                (offset / BLOCK..(offset + bytes.len() as u64).div_ceil(BLOCK)).map(|block| (which, block)).collect();
            if state.blocks.union(&touched).count() > room {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        state.make(which, &act);
        state.acts.push((which, act));
        Ok(())
    }
}

impl State {
    fn make(&mut self, which: Which, act: &Act) {
        let file = self.files[which as usize].get_or_insert_default();
        match act {
            Act::Write(offset, bytes) => {
                let start = usize::try_from(*offset).unwrap();
                if file.len() < start + bytes.len() {
                    file.resize(start + bytes.len(), 0);
                }
                file[start..start + bytes.len()].copy_from_slice(bytes);
                self.blocks.extend((offset / BLOCK..(offset + bytes.len() as u64).div_ceil(BLOCK)).map(|block| (which, block)));
            }
            Act::SetLength(length) => {
                file.resize(usize::try_from(*length).unwrap(), 0);
                self.blocks.retain(|(of, block)| *of != which || *block < length.div_ceil(BLOCK));
            }
            Act::Sync => {}
        }
    }
}

impl Medium for Disk {
    fn database(&self, make: bool) -> Result<Box<dyn StorageBackend>, OpenError> {
        if !make && self.0.lock().unwrap().files[0].is_none() {
            return Err(OpenError::Unavailable { reason: "there is no file".to_owned() });
        }
        Ok(Box::new(OnDisk { disk: self.clone(), which: Which::Database }))
    }

    fn log(&self) -> Result<Box<dyn StorageBackend>, OpenError> {
        Ok(Box::new(OnDisk { disk: self.clone(), which: Which::Log }))
    }

    fn is_there(&self) -> bool {
        true
    }

    fn log_limit(&self) -> u64 {
        super::LOG_LIMIT
    }
}

#[derive(Debug)]
struct OnDisk {
    disk: Disk,
    which: Which,
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.0.lock().unwrap().files[self.which as usize].as_ref().map_or(0, Vec::len) as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.disk.0.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let file = state.files[self.which as usize].as_deref().unwrap_or_default();
        out.copy_from_slice(file.get(start..start + out.len()).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.act(self.which, Act::SetLength(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.act(self.which, Act::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.act(self.which, Act::Write(offset, data.to_vec()))
    }
}
