//! The queue between the node and one consumer of its events.
//!
//! A producer never waits for a consumer that is slow, absent or gone: intermediate events coalesce, and in a full queue the oldest
//! give way. The last item is always delivered. It must not know what the events mean; [`Coalesce`] tells it which may be lost.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

/// Events that a consumer has not taken, at most.
const CAPACITY: usize = 1024;

/// Which events may be left out when the consumer is slow.
pub(crate) trait Coalesce {
    /// Whether an untaken `older` event is worthless once this one is there.
    fn replaces(&self, older: &Self) -> bool;
    /// Whether a consumer can do without this event, if the queue is full.
    fn may_be_lost(&self) -> bool;
}

/// A stream of events. It ends with `None`, after its last item; it may be dropped at any time.
#[derive(Debug)]
pub struct Events<T> {
    shared: Arc<Shared<T>>,
}

/// The producer's end.
#[derive(Debug)]
pub(crate) struct EventSender<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    filled: Notify,
    taken: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    ended: bool,
    abandoned: bool,
}

impl<T> Shared<T> {
    /// The state; a panic elsewhere never makes it unusable, since no operation leaves it half done.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A queue that begins with `snapshot`.
pub(crate) fn channel<T>(snapshot: impl IntoIterator<Item = T>) -> (EventSender<T>, Events<T>) {
    let state = State { items: snapshot.into_iter().collect(), ended: false, abandoned: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), filled: Notify::new(), taken: Notify::new() });
    (EventSender { shared: shared.clone() }, Events { shared })
}

impl<T> Events<T> {
    /// The next event, or `None` when there will be none. Dropping the future loses no event.
    pub async fn next(&self) -> Option<T> {
        loop {
            let filled = self.shared.filled.notified();
            {
                let mut state = self.shared.lock();
                if let Some(item) = state.items.pop_front() {
                    drop(state);
                    self.shared.taken.notify_one();
                    return Some(item);
                }
                if state.ended {
                    // Another waiter of the same stream has to see the end, too.
                    self.shared.filled.notify_one();
                    return None;
                }
            }
            filled.await;
        }
    }

    /// The next event, if one is there already.
    pub fn try_next(&self) -> Option<T> {
        let item = self.shared.lock().items.pop_front();
        if item.is_some() {
            self.shared.taken.notify_one();
        }
        item
    }

    /// Ends the stream from the consumer's side: a waiting `next` gets `None`, what was not taken is dropped.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        state.items.clear();
        state.ended = true;
        state.abandoned = true;
        drop(state);
        self.shared.filled.notify_one();
        self.shared.taken.notify_one();
    }
}

impl<T> Drop for Events<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T: Coalesce> EventSender<T> {
    /// Adds an event, without waiting. Returns false when nobody will take it.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut state = self.shared.lock();
        if state.ended {
            return false;
        }
        if let Some(older) = state.items.iter().position(|older| item.replaces(older)) {
            state.items.remove(older);
        } else if state.items.len() >= CAPACITY {
            let least = state.items.iter().position(T::may_be_lost).unwrap_or(0);
            state.items.remove(least);
        }
        state.items.push_back(item);
        drop(state);
        self.shared.filled.notify_one();
        true
    }
}

impl<T> EventSender<T> {
    /// Adds the last event, if there is one, and ends the stream.
    pub(crate) fn end(&self, last: Option<T>) {
        let mut state = self.shared.lock();
        if !state.ended {
            state.items.extend(last);
            state.ended = true;
        }
        drop(state);
        self.shared.filled.notify_one();
    }

    /// Whether the consumer is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.lock().abandoned
    }

    /// Waits until the consumer has taken all but a few events. Returns false when it is gone.
    pub(crate) async fn drained(&self) -> bool {
        loop {
            let taken = self.shared.taken.notified();
            {
                let state = self.shared.lock();
                if state.abandoned {
                    return false;
                }
                if state.items.len() < CAPACITY / 8 {
                    return true;
                }
            }
            taken.await;
        }
    }

    /// Waits until the consumer is gone.
    pub(crate) async fn abandoned(&self) {
        loop {
            let taken = self.shared.taken.notified();
            if self.is_abandoned() {
                return;
            }
            taken.await;
        }
    }
}

impl<T> Drop for EventSender<T> {
    fn drop(&mut self) {
        self.end(None);
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
