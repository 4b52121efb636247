//! Every deadline of the machine, each with its reason, and what happens when it passes.

use crate::Moment;

use super::{
    Action, CloseCode, Manager, Reason,
    peer::{Consent, Cx, Peer, Session, State, Surroundings, span},
};

impl Peer {
    /// The deadlines that are armed, in no order.
    fn deadlines(&self, surroundings: Surroundings) -> impl Iterator<Item = (Moment, Reason)> {
        let (state, hold) = match self.state {
            State::None | State::Deciding { .. } => (None, None),
            State::Dialing { deadline, held, .. } => (Some((deadline, Reason::Dial)), held.map(|held| (held.until, Reason::Hold))),
            State::Accepting { deadline, .. } => (Some((deadline, Reason::Establish)), None),
            State::Active { probe, .. } => (probe.map(|probe| (probe, Reason::Probe)), None),
            State::Terminating { deadline, .. } => (Some((deadline, Reason::Goodbye)), None),
            State::Waiting => (self.wake_at(surroundings).map(|at| (at, Reason::Backoff)), None),
        };
        let session = match self.session {
            Session::None => None,
            Session::Active { finish, .. } => finish.map(|finish| (finish, Reason::Finish)),
            Session::Ending { deadline, .. } => Some((deadline, Reason::Ending)),
        };
        let consent = match self.consent {
            Consent::Asking { deadline, .. } => Some((deadline, Reason::Decision)),
            Consent::NotAsked | Consent::Yes(_) | Consent::No => None,
        };
        let background = self.background.map(|background| (background.deadline, Reason::Goodbye));
        [state, hold, session, consent, background].into_iter().flatten()
    }

    fn next_deadline(&self, surroundings: Surroundings) -> Option<(Moment, Reason)> {
        self.deadlines(surroundings).min()
    }

    /// Let pass whatever is due. Each pass disarms what it was for, and arms nothing that is due at once but a dial.
    fn tick(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..16 {
            match self.next_deadline(cx.core.surroundings) {
                Some((at, reason)) if at <= cx.now => self.overdue(cx, reason),
                Some(_) | None => break,
            }
        }
    }
}

impl Manager {
    /// The one next deadline and what it is for. Arm a timer for it; when it fires, first feed what else is queued, then
    /// [`Input::Tick`](super::Input::Tick).
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Moment, Reason)> {
        let peers = self.peers.values().filter_map(|peer| peer.next_deadline(self.core.surroundings)).min();
        let greeting = self.greeting.values().min().map(|&at| (at, Reason::Hello));
        let stop = self.stop.map(|at| (at, Reason::Shutdown));
        [peers, greeting, stop].into_iter().flatten().min()
    }

    /// Whether a deadline that others keep is overdue by so much that the machine must have slept.
    fn slept(&self, now: Moment) -> bool {
        let peers = self.peers.values().flat_map(|peer| peer.deadlines(self.core.surroundings));
        let others = peers.filter(|(_, reason)| *reason != Reason::Backoff).map(|(at, _)| at);
        let earliest = others.chain(self.greeting.values().copied()).chain(self.stop).min();
        let late = if self.core.surroundings.hidden { span::LATE_HIDDEN } else { span::LATE };
        earliest.is_some_and(|at| at.after_millis(late) <= now)
    }

    /// Let every deadline pass that is due, or extend them all if the machine slept.
    pub(super) fn tick(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.slept(now) {
            return self.woken(now, out);
        }
        self.greeting.retain(|&conn, at| {
            if *at <= now {
                out.push(Action::Close { conn, code: CloseCode::Failed, reason: "no Hello in time" });
            }
            *at > now
        });
        self.each_peer(now, out, Peer::tick);
        if self.stop.is_some_and(|at| at <= now) {
            self.each_peer(now, out, Peer::cut_down);
        }
    }

    /// The machine slept: nothing is late that had no chance, and no connection is believed to be alive.
    pub(super) fn woken(&mut self, now: Moment, out: &mut Vec<Action>) {
        let grace = now.after_millis(span::GRACE);
        for at in self.greeting.values_mut().chain(&mut self.stop) {
            *at = (*at).max(grace);
        }
        self.each_peer(now, out, Peer::woken);
        // A hidden page may wake once a minute: that is no reason to dial.
        if !self.core.surroundings.hidden {
            self.cut_waits(now, out);
        }
    }

    /// The network or the page is back.
    pub(super) fn cut_waits(&mut self, now: Moment, out: &mut Vec<Action>) {
        if !self.core.surroundings.offline {
            self.each_peer(now, out, Peer::cut_wait);
        }
    }
}
