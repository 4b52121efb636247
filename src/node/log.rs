//! The events of one intent or accepted session: what is true now, who listens, how it ended.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{
    Completion, Error, Events, SessionEvent,
    events::{self, EventSender},
};

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
    connection: Option<SessionEvent>,
    areas: Vec<SessionEvent>,
    progress: Option<SessionEvent>,
    last: Option<SessionEvent>,
}

impl Snapshot {
    fn take_in(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Connecting | SessionEvent::Reconnecting { .. } | SessionEvent::Disconnected { .. } => {
                *self = Self { connection: Some(event.clone()), ..Self::default() };
            }
            SessionEvent::Established { .. } => self.connection = Some(event.clone()),
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

    fn events(&self) -> impl Iterator<Item = SessionEvent> + '_ {
        self.connection.iter().chain(&self.areas).chain(&self.progress).cloned()
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
        let (sender, events) = events::channel(state.now.events());
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
