//! Several intents as one: the same wish to several peers.

use std::cell::Cell;

use n0_future::{FuturesUnordered, StreamExt as _};
use osier_core::PeerId;

use super::{Completion, Error, Events, Intent, Interest, SessionEvent};

/// Intents with several peers, in the order in which the peers were given. Each settles by itself; dropping the set drops its handles.
#[derive(Clone, Debug)]
pub struct IntentSet {
    intents: Vec<Intent>,
}

impl IntentSet {
    /// A set of intents that exist.
    #[must_use]
    pub fn new(intents: Vec<Intent>) -> Self {
        Self { intents }
    }

    /// Its intents.
    #[must_use]
    pub fn intents(&self) -> &[Intent] {
        &self.intents
    }

    /// How each of them ends, once all have.
    pub async fn completed(&self) -> Vec<(PeerId, Result<Completion, Error>)> {
        let mut outcomes = Vec::with_capacity(self.intents.len());
        for intent in &self.intents {
            outcomes.push((intent.peer(), intent.completed().await));
        }
        outcomes
    }

    /// The events of all, each with its peer: first what is true now, then all that follow. Each intent's last is `Ended` or `Error`.
    #[must_use]
    pub fn events(&self) -> MergedEvents {
        let sources = self.intents.iter().map(|intent| (intent.peer(), intent.events())).collect();
        MergedEvents { sources, turn: Cell::new(0) }
    }

    /// Adds interests to all. An error names no peer: those that could take the interests did.
    ///
    /// # Errors
    /// The first of [`Intent::add_interests`].
    pub async fn add_interests(&self, interests: &[Interest]) -> Result<(), Error> {
        let mut result = Ok(());
        for intent in &self.intents {
            result = result.and(intent.add_interests(interests.to_vec()).await);
        }
        result
    }

    /// Closes all, and waits until they have settled.
    pub async fn close(&self) {
        for intent in &self.intents {
            intent.ask_to_close();
        }
        for intent in &self.intents {
            intent.close().await;
        }
    }

    /// Lets all run on when their handles are dropped.
    pub fn detach(&self) {
        self.intents.iter().for_each(Intent::detach);
    }
}

/// The events of several intents as one stream. Each keeps a queue of its own, so a busy one takes nothing from the others.
#[derive(Debug)]
pub struct MergedEvents {
    sources: Vec<(PeerId, Events<SessionEvent>)>,
    /// Which source comes first next time.
    turn: Cell<usize>,
}

impl MergedEvents {
    /// The next event, or `None` when there will be none. Dropping the future loses no event.
    pub async fn next(&self) -> Option<(PeerId, SessionEvent)> {
        let (before, after) = self.sources.split_at_checked(self.turn.get()).unwrap_or((&[], &self.sources));
        let waits = after.iter().chain(before).map(|(peer, events)| async { Some((*peer, events.next().await?)) });
        let mut waits: FuturesUnordered<_> = waits.collect();
        self.turn.set(self.turn.get() + 1);
        if self.turn.get() >= self.sources.len() {
            self.turn.set(0);
        }
        while let Some(next) = waits.next().await {
            if next.is_some() {
                return next;
            }
        }
        None
    }
}

#[cfg(test)]
#[path = "set_tests.rs"]
mod tests;
