//! What an intent is told in a session, in the order in which it must be.

use crate::{
    sync::SessionEvent,
    willow::{Area, NamespaceId},
};

/// The areas of the running session, each with whether it is reconciled.
#[derive(Default)]
pub(super) struct Story(Vec<(NamespaceId, Area, bool)>);

impl Story {
    /// Another session begins.
    pub(super) fn begin(&mut self) {
        self.0.clear();
    }

    /// Takes an event in, and says what is wrong with it.
    pub(super) fn tell(&mut self, event: &SessionEvent) -> Result<(), &'static str> {
        match event {
            SessionEvent::Overlap { namespace, area } => self.0.push((namespace.clone(), area.clone(), false)),
            SessionEvent::Reconciled { namespace, area } => {
                let known = self.0.iter_mut().find(|(of, there, done)| of == namespace && there == area && !done);
                known.ok_or("reconciled, and no overlap was told")?.2 = true;
            }
            SessionEvent::ReconciledAll if self.0.is_empty() => return Err("all is reconciled, and there was nothing"),
            SessionEvent::NothingInCommon if !self.0.is_empty() => return Err("there was an overlap"),
            SessionEvent::ReconciledAll
            | SessionEvent::NothingInCommon
            | SessionEvent::Unsupported { .. }
            | SessionEvent::Progress { .. }
            | SessionEvent::Payload { .. } => {}
        }
        Ok(())
    }
}
