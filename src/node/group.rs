//! Entries of this node that wait to be written, and go to the disk together.
//!
//! Each is signed no sooner than it is its turn: its timestamp must exceed those of what it replaces. So entries of one group never prune
//! one another; one that would waits for the next group. It must not know the backend.

use std::{cell::RefCell, collections::VecDeque};

use osier_core::{
    store::{Incoming, Origin, Outcome, Plan, Store},
    willow::{Coordinatelike as _, EntryId, SignedEntry},
};
use tokio::sync::oneshot;

use super::{EntryKey, Error};

/// Entries that are written at once, at most.
const MOST_ENTRIES: usize = 100;

/// Bytes of their payloads, but for one that is longer alone.
const MOST_BYTES: usize = 1024 * 1024;

/// An entry that somebody wants to write.
pub(super) struct Wish {
    /// Where it goes.
    pub(super) place: EntryKey,
    /// What is written.
    pub(super) payload: Vec<u8>,
    /// Signs the entry, for the store as it is then.
    pub(super) sign: Sign,
}

/// Makes the entry of a place for the store as it is when it is written.
pub(super) type Sign = Box<dyn FnOnce(&Store, EntryKey) -> Result<SignedEntry, Error>>;

/// What became of a wish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub(super) id: EntryId,
    pub(super) timestamp: u64,
    pub(super) outcome: Outcome,
}

/// The wishes that wait, in their order.
#[derive(Default)]
pub(super) struct Waiting(RefCell<VecDeque<(Wish, Reply)>>);

type Reply = oneshot::Sender<Result<Written, Error>>;

/// The entries of a plan, and who waits for each.
pub(super) struct Group(Vec<(EntryId, u64, Reply)>);

impl Waiting {
    /// Puts a wish behind the others.
    pub(super) fn add(&self, wish: Wish) -> oneshot::Receiver<Result<Written, Error>> {
        let (reply, written) = oneshot::channel();
        self.0.borrow_mut().push_back((wish, reply));
        written
    }

    /// Plans the first of them, as many as go together. Those that cannot be signed are told so.
    pub(super) fn plan_some(&self, store: &Store) -> (Group, Plan) {
        let (mut group, mut incoming) = (Vec::new(), Vec::new());
        for (Wish { place, payload, sign }, reply) in self.take_some() {
            match sign(store, place) {
                Ok(entry) => {
                    group.push((entry.id, entry.entry.timestamp().into(), reply));
                    incoming.push(Incoming { entry, payload: Some(payload), origin: Origin::Local });
                }
                Err(error) => tell(reply, Err(error)),
            }
        }
        (Group(group), store.plan(incoming))
    }

    fn take_some(&self) -> Vec<(Wish, Reply)> {
        let mut waiting = self.0.borrow_mut();
        let (mut some, mut bytes) = (Vec::<(Wish, Reply)>::new(), 0_usize);
        while let Some((next, _)) = waiting.front() {
            bytes = bytes.saturating_add(next.payload.len());
            let full = some.len() >= MOST_ENTRIES || bytes > MOST_BYTES;
            if !some.is_empty() && (full || some.iter().any(|(other, _)| in_the_way(&other.place, &next.place))) {
                break;
            }
            some.extend(waiting.pop_front());
        }
        some
    }
}

impl Group {
    /// Tells all of them how it went.
    pub(super) fn tell(self, result: Result<Vec<Outcome>, Error>) {
        let mut outcomes = result.map(Vec::into_iter);
        for (id, timestamp, reply) in self.0 {
            let written = match &mut outcomes {
                Ok(outcomes) => match outcomes.next() {
                    Some(outcome) => Ok(Written { id, timestamp, outcome }),
                    None => Err(Error::internal("a plan without outcome")),
                },
                Err(error) => Err(error.clone()),
            };
            tell(reply, written);
        }
    }
}

fn tell(reply: Reply, written: Result<Written, Error>) {
    // Whoever wished it may be gone; it is written all the same.
    let _ = reply.send(written);
}

/// Whether the newer of two entries would prune the other.
fn in_the_way(one: &EntryKey, other: &EntryKey) -> bool {
    let same = one.namespace == other.namespace && one.subspace == other.subspace;
    same && (one.path.is_prefix_of(&other.path) || other.path.is_prefix_of(&one.path))
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
