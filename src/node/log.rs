//! The events of one intent or accepted session: what is true now, who listens, how it ended.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    Completion, Error, Events, SessionEvent,
    events::{self, EventSender},
};
use crate::platform::Clock;

/// How an intent ended.
pub(super) type IntentOutcome = Result<Completion, Error>;

/// Shared by the node, which writes, and the handles, which read.
#[derive(Debug)]
pub(super) struct SessionLog {
    state: Mutex<State>,
    outcome: watch::Sender<Option<IntentOutcome>>,
}

#[derive(Debug, Default)]
struct State {
    now: Snapshot,
    listeners: Vec<EventSender<SessionEvent>>,
}

/// The events that a late listener needs to know what is true.
#[derive(Debug, Default)]
struct Snapshot {
    /// The last connection event and what led to it: a loss and the wait after it belong together.
    connection: Vec<SessionEvent>,
    /// When the last of them was told.
    told: Option<Clock>,
    areas: Vec<SessionEvent>,
    progress: Option<SessionEvent>,
    last: Option<SessionEvent>,
}

impl Snapshot {
    fn take_in(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Connecting | SessionEvent::Disconnected { .. } => {
                *self = Self { connection: vec![event.clone()], told: Some(Clock::start()), ..Self::default() };
            }
            SessionEvent::Established { .. } => self.connection = vec![event.clone()],
            SessionEvent::Reconnecting { .. } => {
                let loss = self.connection.pop().filter(|last| matches!(last, SessionEvent::Disconnected { .. }));
                let connection = loss.into_iter().chain([event.clone()]).collect();
                *self = Self { connection, told: Some(Clock::start()), ..Self::default() };
            }
            SessionEvent::Overlap { .. }
            | SessionEvent::Reconciled { .. }
            | SessionEvent::Unsupported { .. }
            | SessionEvent::ReconciledAll
            | SessionEvent::NothingInCommon => {
                self.areas.retain(|known| known != event && !makes_untrue(event, known));
                self.areas.push(event.clone());
            }
            SessionEvent::Progress { .. } => self.progress = Some(event.clone()),
            SessionEvent::Payload { .. } => {}
            SessionEvent::Ended { .. } | SessionEvent::Error { .. } => self.last = Some(event.clone()),
        }
    }

    /// `passed`: milliseconds since the last connection event; a wait that it tells of is shorter by now.
    fn events(&self, passed: u64) -> impl Iterator<Item = SessionEvent> + '_ {
        let connection = self.connection.iter().cloned().map(move |event| match event {
            SessionEvent::Disconnected { cause, retry } => {
                SessionEvent::Disconnected { cause, retry: retry.map(|retry| retry.after(passed)) }
            }
            SessionEvent::Reconnecting { cause, retry } => SessionEvent::Reconnecting { cause, retry: retry.after(passed) },
            other => other,
        });
        connection.chain(self.areas.iter().chain(&self.progress).cloned())
    }
}

/// Whether `older` is no longer true once `event` is: a new overlap is yet to be reconciled.
fn makes_untrue(event: &SessionEvent, older: &SessionEvent) -> bool {
    match (event, older) {
        (SessionEvent::Overlap { .. }, SessionEvent::ReconciledAll | SessionEvent::NothingInCommon)
        | (SessionEvent::ReconciledAll, SessionEvent::NothingInCommon)
        | (SessionEvent::NothingInCommon, SessionEvent::ReconciledAll) => true,
        (SessionEvent::Overlap { namespace, area }, SessionEvent::Reconciled { namespace: of, area: known }) => {
            (namespace, area) == (of, known)
        }
        _ => false,
    }
}

impl SessionLog {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), outcome: watch::Sender::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone who listens.
    pub(super) fn push(&self, event: &SessionEvent) {
        let mut state = self.lock();
        if state.now.last.is_some() {
            return;
        }
        state.now.take_in(event);
        state.listeners.retain(|listener| listener.push(event.clone()));
    }

    /// The one and only end; later ones are ignored.
    pub(super) fn settle(&self, outcome: IntentOutcome) {
        let last = match &outcome {
            Ok(completion) => SessionEvent::Ended { completion: *completion },
            Err(error) => SessionEvent::Error { error: error.clone() },
        };
        let mut state = self.lock();
        if state.now.last.is_some() {
            return;
        }
        state.now.take_in(&last);
        for listener in state.listeners.drain(..) {
            listener.end(Some(last.clone()));
        }
        drop(state);
        self.outcome.send_replace(Some(outcome));
    }

    pub(super) fn is_settled(&self) -> bool {
        self.lock().now.last.is_some()
    }

    /// What is true now, then what follows.
    pub(super) fn events(&self) -> Events<SessionEvent> {
        let mut state = self.lock();
        let passed = state.now.told.map_or(0, |told| told.now().0 / 1000);
        let (sender, events) = events::channel(state.now.events(passed));
        match &state.now.last {
            Some(last) => sender.end(Some(last.clone())),
            None => {
                state.listeners.retain(|listener| !listener.is_abandoned());
                state.listeners.push(sender);
            }
        }
        events
    }

    /// Waits for the end.
    pub(super) async fn outcome(&self) -> IntentOutcome {
        let mut outcome = self.outcome.subscribe();
        let settled = outcome.wait_for(Option::is_some).await;
        // The sender lives as long as `self`.
        settled.ok().and_then(|outcome| outcome.clone()).unwrap_or(Err(Error::ShuttingDown))
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
