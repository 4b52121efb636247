//! Entries that wait to be written, and go to the disk together: a commit takes a disk longer than what is in it.
//!
//! Entries of this node are signed no sooner than it is their turn: a timestamp must exceed those of what it replaces. So entries of one
//! group never prune one another; one that would waits for the next group. Entries from elsewhere come as they are. It must not know the
//! backend.

use std::{
    cell::RefCell,
    collections::{BTreeSet, VecDeque},
};

use osier_core::{
    store::{Incoming, Origin, Outcome, Plan, Store},
    willow::SignedEntry,
};
use tokio::sync::oneshot;

use super::{EntryInfo, EntryKey, Error, Path, convert};

/// Entries of this node that are written at once, at most: each is waited for.
const MOST_ENTRIES: usize = 100;

/// Entries from elsewhere that are written at once, at most, but for those that came together.
const MOST_ARRIVALS: usize = 1024;

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
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub(super) entry: EntryInfo,
    pub(super) outcome: Outcome,
}

/// Where it is told what became of something.
type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What waits, in its order, and who waits for it.
type Queue<T, R> = RefCell<VecDeque<(T, Reply<R>)>>;

fn add<T, R>(queue: &Queue<T, R>, what: T) -> oneshot::Receiver<Result<R, Error>> {
    let (reply, told) = oneshot::channel();
    queue.borrow_mut().push_back((what, reply));
    told
}

/// The entries of a plan, and who waits for them.
#[derive(Default)]
pub(super) struct Group(Vec<Part>);

/// So many entries that follow one another in the plan, and what is done with their outcomes.
struct Part {
    entries: usize,
    tell: Box<dyn FnOnce(Result<Vec<Outcome>, Error>)>,
}

/// The wishes that wait.
#[derive(Default)]
pub(super) struct Wishes(Queue<Wish, Written>);

impl Wishes {
    /// Puts a wish behind the others.
    pub(super) fn add(&self, wish: Wish) -> oneshot::Receiver<Result<Written, Error>> {
        add(&self.0, wish)
    }

    /// Plans the first of them, as many as go together. Those that cannot be signed are told so.
    pub(super) fn plan_some(&self, store: &Store) -> (Group, Plan) {
        let (mut group, mut incoming) = (Group::default(), Vec::new());
        for (Wish { place, payload, sign }, reply) in self.take_some() {
            match sign(store, place) {
                Ok(entry) => {
                    let info = convert::whole_info(&entry);
                    let written = move |outcomes: Vec<Outcome>| match outcomes[..] {
                        [outcome] => Ok(Written { entry: info, outcome }),
                        _ => Err(without_outcome()),
                    };
                    group.push(1, move |outcomes| tell(reply, outcomes.and_then(written)));
                    incoming.push(Incoming { entry, payload: Some(payload), origin: Origin::Local });
                }
                Err(error) => tell(reply, Err(error)),
            }
        }
        (group, store.plan(incoming))
    }

    fn take_some(&self) -> Vec<(Wish, Reply<Written>)> {
        let mut waiting = self.0.borrow_mut();
        let (mut some, mut bytes, mut places) = (Vec::<(Wish, Reply<Written>)>::new(), 0_usize, Places::default());
        while let Some((next, _)) = waiting.front() {
            bytes = bytes.saturating_add(next.payload.len());
            let full = some.len() >= MOST_ENTRIES || bytes > MOST_BYTES;
            if !places.take(&next.place) || (full && !some.is_empty()) {
                break;
            }
            some.extend(waiting.pop_front());
        }
        some
    }
}

/// The entries from elsewhere that wait, as they came.
#[derive(Default)]
pub(super) struct Arrivals(Queue<Vec<Incoming>, Vec<Outcome>>);

impl Arrivals {
    /// Puts entries behind the others.
    pub(super) fn add(&self, entries: Vec<Incoming>) -> oneshot::Receiver<Result<Vec<Outcome>, Error>> {
        add(&self.0, entries)
    }

    /// Plans the first of them, as many as go together.
    pub(super) fn plan_some(&self, store: &Store) -> (Group, Plan) {
        let (mut waiting, mut group, mut together, mut bytes) = (self.0.borrow_mut(), Group::default(), Vec::new(), 0_usize);
        while let Some((next, _)) = waiting.front() {
            bytes = next.iter().filter_map(|incoming| incoming.payload.as_ref()).map(Vec::len).fold(bytes, usize::saturating_add);
            let full = together.len().saturating_add(next.len()) > MOST_ARRIVALS || bytes > MOST_BYTES;
            if full && !together.is_empty() {
                break;
            }
            if let Some((mut entries, reply)) = waiting.pop_front() {
                group.push(entries.len(), move |outcomes| tell(reply, outcomes));
                together.append(&mut entries);
            }
        }
        (group, store.plan(together))
    }
}

impl Group {
    fn push(&mut self, entries: usize, tell: impl FnOnce(Result<Vec<Outcome>, Error>) + 'static) {
        self.0.push(Part { entries, tell: Box::new(tell) });
    }

    /// Tells all of them how it went.
    pub(super) fn tell(self, result: Result<Vec<Outcome>, Error>) {
        let mut outcomes = result.map(Vec::into_iter);
        for Part { entries, tell } in self.0 {
            let its: Result<Vec<Outcome>, Error> = match &mut outcomes {
                Ok(outcomes) => Ok(outcomes.by_ref().take(entries).collect()),
                Err(error) => Err(error.clone()),
            };
            tell(its.and_then(|its| if its.len() == entries { Ok(its) } else { Err(without_outcome()) }));
        }
    }
}

fn without_outcome() -> Error {
    Error::internal("a plan without outcome")
}

fn tell<T>(reply: Reply<T>, written: Result<T, Error>) {
    // Whoever waited for it may be gone; it is written all the same.
    let _ = reply.send(written);
}

/// Places of which no newer entry would prune one at another: none of their paths is a prefix of another in the same subspace.
#[derive(Default)]
struct Places(BTreeSet<([u8; 32], [u8; 32], Path)>);

impl Places {
    /// Adds a place, unless an entry there would prune one of the others, or they it.
    fn take(&mut self, place: &EntryKey) -> bool {
        let place = (*place.namespace.as_bytes(), *place.subspace.as_bytes(), place.path.clone());
        let is_in_the_way = |other: &([u8; 32], [u8; 32], Path)| {
            (other.0, other.1) == (place.0, place.1) && (other.2.is_prefix_of(&place.2) || place.2.is_prefix_of(&other.2))
        };
        // Between a path and its prefix lie paths with that prefix alone: so whatever is in the way lies next to it.
        let (before, behind) = (self.0.range(..&place).next_back(), self.0.range(&place..).next());
        !before.into_iter().chain(behind).any(is_in_the_way) && self.0.insert(place)
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
