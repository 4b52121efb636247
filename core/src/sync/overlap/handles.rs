//! Numbered handles of one kind, bound by one side, and who may still name them.
//!
//! **Decision.** A handle lives until both sides have said that they will not name it again (HandleFree). Each side says with it how
//! often it has named the handle on the session stream. Since that stream is ordered, the other side must have counted as many;
//! anything else is a breach, as is naming a handle after freeing it. The side that was told answers with its own HandleFree as soon
//! as nothing in its queues names the handle. Handles are never used again. What they stand for is not known here.

use std::collections::BTreeMap;

use crate::sync::{control::HandleKind, error::SyncError};

/// The handles of one kind that one side has bound.
#[derive(Debug)]
pub(super) struct Handles<T> {
    kind: HandleKind,
    bound: u64,
    live: BTreeMap<u64, Slot<T>>,
}

/// A handle that is not fully freed.
#[derive(Debug)]
struct Slot<T> {
    value: T,
    /// Messages naming it that this node has sent, and that arrived.
    sent: u64,
    received: u64,
    /// Whether this node, and the peer, have promised not to name it again.
    freed_here: bool,
    freed_there: bool,
}

impl<T> Handles<T> {
    pub(super) fn new(kind: HandleKind) -> Self {
        Self { kind, bound: 0, live: BTreeMap::new() }
    }

    /// How many handles were ever bound, which is also the next handle.
    pub(super) fn bound(&self) -> u64 {
        self.bound
    }

    /// How many are not fully freed.
    pub(super) fn live(&self) -> u64 {
        self.live.len() as u64
    }

    pub(super) fn bind(&mut self, value: T) -> u64 {
        let handle = self.bound;
        self.bound = self.bound.saturating_add(1);
        self.live.insert(handle, Slot { value, sent: 0, received: 0, freed_here: false, freed_there: false });
        handle
    }

    /// What a handle that is not fully freed stands for.
    pub(super) fn get(&self, handle: u64) -> Option<&T> {
        self.live.get(&handle).map(|slot| &slot.value)
    }

    pub(super) fn get_mut(&mut self, handle: u64) -> Option<&mut T> {
        self.live.get_mut(&handle).map(|slot| &mut slot.value)
    }

    /// Whether this node may still name it: it is bound and not freed by this node.
    pub(super) fn is_open_here(&self, handle: u64) -> bool {
        self.live.get(&handle).is_some_and(|slot| !slot.freed_here)
    }

    /// Whether the peer may still name it.
    pub(super) fn is_open_there(&self, handle: u64) -> bool {
        self.live.get(&handle).is_some_and(|slot| !slot.freed_there)
    }

    /// Counts a message of this node that names the handle.
    pub(super) fn name_here(&mut self, handle: u64) {
        if let Some(slot) = self.live.get_mut(&handle) {
            debug_assert!(!slot.freed_here, "{} handle {handle} is named after it was freed", self.kind);
            slot.sent = slot.sent.saturating_add(1);
        }
    }

    /// Counts a message of the peer that names the handle, and checks that it may.
    pub(super) fn name_there(&mut self, handle: u64) -> Result<&mut T, SyncError> {
        let slot = Self::checked(self.kind, self.bound, &mut self.live, handle)?;
        slot.received = slot.received.saturating_add(1);
        Ok(&mut slot.value)
    }

    /// Promises for this node not to name the handle again, and gives how often it did. `None` if that was promised before.
    pub(super) fn free_here(&mut self, handle: u64) -> Option<u64> {
        let slot = self.live.get_mut(&handle).filter(|slot| !slot.freed_here)?;
        slot.freed_here = true;
        let sent = slot.sent;
        if slot.freed_there {
            self.live.remove(&handle);
        }
        Some(sent)
    }

    /// Takes the peer's promise not to name the handle again. The value comes back if the handle is fully freed with that.
    pub(super) fn free_there(&mut self, handle: u64, references: u64) -> Result<Option<T>, SyncError> {
        let kind = self.kind;
        let slot = Self::checked(kind, self.bound, &mut self.live, handle)?;
        if slot.received != references {
            return Err(SyncError::ReferenceCount { kind, handle, claimed: references, counted: slot.received });
        }
        slot.freed_there = true;
        let over = slot.freed_here;
        Ok(if over { self.live.remove(&handle).map(|slot| slot.value) } else { None })
    }

    fn checked(kind: HandleKind, bound: u64, live: &mut BTreeMap<u64, Slot<T>>, handle: u64) -> Result<&mut Slot<T>, SyncError> {
        if handle >= bound {
            return Err(SyncError::HandleUnbound { kind, handle });
        }
        live.get_mut(&handle).filter(|slot| !slot.freed_there).ok_or(SyncError::HandleFreed { kind, handle })
    }
}
