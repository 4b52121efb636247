//! How a session ends by itself: who finishes when.
//!
//! The dialer finishes its direction first: when none of its own intents is open, the peer wants no live updates, and nothing is
//! outstanding on either side. The accepting side finishes when the dialer has, so that what it accepted with never keeps a dialer's
//! session open. Either finishes when told to ([`Session::finish`]) as soon as nothing is under way, and when the peer has finished, for
//! then nothing can come any more but payloads.

use super::{Output, Session};
use crate::{Moment, Role, sync::error::SyncError};

/// What has ended so far.
#[derive(Default, Debug)]
pub(super) struct Ending {
    told_to: bool,
    finished: bool,
    peer_finished: bool,
}

impl Ending {
    /// Whether this direction is finished.
    pub(super) fn is_over(&self) -> bool {
        self.finished
    }

    /// Whether the peer can say nothing more, not even what it has consumed.
    pub(super) fn is_peer_silent(&self) -> bool {
        self.peer_finished
    }
}

impl Session {
    /// Ends the session as soon as nothing is under way, whatever its intents and the peer's.
    pub fn finish(&mut self) {
        self.ending.told_to = true;
    }

    /// Whether both directions are finished.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.ending.finished && self.ending.peer_finished
    }

    /// The peer has finished its direction of the session stream.
    ///
    /// # Errors
    /// [`SyncError::FinishedEarly`] in the middle of a frame, an announcement or a payload.
    pub fn handle_finished(&mut self, now: Moment) -> Result<(), SyncError> {
        self.now = now;
        let unfinished = if !self.frames.pending().is_empty() {
            Some("a frame")
        } else if self.reconciler.is_receiving() {
            Some("an announcement")
        } else if self.live.is_receiving() {
            Some("a payload")
        } else {
            None
        };
        if let Some(what) = unfinished {
            self.failed = true;
            return Err(SyncError::FinishedEarly { what });
        }
        if !self.ending.peer_finished {
            self.ending.peer_finished = true;
            self.outputs.push_back(Output::PeerFinished);
        }
        Ok(())
    }

    /// Finishes this direction if its time has come. To be called when nothing more can be sent now.
    pub(super) fn finish_if_done(&mut self) {
        let more = !self.outputs.is_empty() || !self.outgoing.is_empty();
        if self.failed || self.ending.finished || more || !self.may_finish() {
            return;
        }
        for (intent, completion) in self.intents.end_followers() {
            self.outputs.push_back(Output::IntentDone { intent, completion });
        }
        self.ending.finished = true;
        self.outputs.push_back(Output::Finish);
    }

    fn may_finish(&self) -> bool {
        if !self.inbox.is_idle() || !self.payloads.is_idle() {
            return false;
        }
        if self.ending.peer_finished {
            // An announcement that was cut short still has its last entry, whose payload may be on its way from the disk.
            return !self.reconciler.is_sending();
        }
        let quiet = self.reconciler.is_idle() && self.live.is_idle();
        let idle = self.role == Role::Alfie && self.intents.is_settled() && !self.intents.own_open() && !self.commons.is_peer_eager();
        quiet && (self.ending.told_to || idle)
    }
}
