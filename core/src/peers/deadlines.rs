//! Every deadline of the machine, each with its reason, and what happens when it passes.

use crate::Moment;

use super::{
    Action, CloseCode, Manager, Reason,
    peer::{Consent, Core, Cx, Peer, Session, State, Surroundings, span},
    rule::Rule,
};

impl Peer {
    /// The deadlines that are armed, in no order.
    fn deadlines(&self, core: &Core) -> impl Iterator<Item = (Moment, Reason)> {
        let (state, hold) = match self.state {
            State::None | State::Deciding { .. } => (None, None),
            State::Dialing { deadline, held, .. } => (Some((deadline, Reason::Dial)), held.map(|held| (held.until, Reason::Hold))),
            State::Accepting { deadline, .. } => (Some((deadline, Reason::Establish)), None),
            State::Active { probe, .. } => (probe.map(|probe| (probe, Reason::Probe)), None),
            State::Terminating { deadline, .. } => (Some((deadline, Reason::Goodbye)), None),
            State::Waiting => (self.wake_at(core).map(|at| (at, Reason::Backoff)), None),
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
        [state, hold, session, consent, background].into_iter().flatten().filter(|(_, reason)| core.keeps_deadline(*reason))
    }

    fn next_deadline(&self, core: &Core) -> Option<(Moment, Reason)> {
        self.deadlines(core).min()
    }

    /// Let pass whatever is due. Each pass disarms what it was for, and arms nothing that is due at once but a dial.
    fn tick(&mut self, cx: &mut Cx<'_>) {
        for _ in 0..16 {
            match self.next_deadline(cx.core) {
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
        let peers = self.peers.values().filter_map(|peer| peer.next_deadline(&self.core)).min();
        let greeting = self.greeting.values().map(|greeting| (greeting.deadline, Reason::Hello)).min();
        let stop = self.stop.map(|at| (at, Reason::Shutdown));
        [peers, greeting, stop].into_iter().flatten().filter(|(_, reason)| self.core.keeps_deadline(*reason)).min()
    }

    /// Whether a deadline that others keep is overdue by so much that the machine must have slept.
    fn slept(&self, now: Moment) -> bool {
        let peers = self.peers.values().flat_map(|peer| peer.deadlines(&self.core));
        let others = peers.filter(|(_, reason)| *reason != Reason::Backoff).map(|(at, _)| at);
        let earliest = others.chain(self.greeting.values().map(|greeting| greeting.deadline)).chain(self.stop).min();
        let late = if self.core.surroundings.hidden { span::LATE_HIDDEN } else { span::LATE };
        earliest.is_some_and(|at| at.after_millis(late) <= now) && self.core.keeps(Rule::SleepIsNoticed)
    }

    /// Let every deadline pass that is due, or extend them all if the machine slept.
    pub(super) fn tick(&mut self, now: Moment, out: &mut Vec<Action>) {
        if self.slept(now) {
            return self.woken(now, out);
        }
        let hurried = self.core.keeps(Rule::HelloDeadline);
        self.greeting.retain(|&conn, greeting| {
            let late = greeting.deadline <= now && hurried;
            if late {
                out.push(Action::Close { conn, code: CloseCode::Failed, reason: "no Hello in time" });
            }
            !late
        });
        self.each_peer(now, out, Peer::tick);
        if self.stop.is_some_and(|at| at <= now) && self.core.keeps(Rule::ShutdownDeadline) {
            self.each_peer(now, out, Peer::cut_down);
        }
    }

    /// The machine slept: nothing is late that had no chance, and no connection is believed to be alive.
    pub(super) fn woken(&mut self, now: Moment, out: &mut Vec<Action>) {
        let grace = if self.core.keeps(Rule::WakingExtends) { now.after_millis(span::GRACE) } else { now };
        for at in self.greeting.values_mut().map(|greeting| &mut greeting.deadline).chain(&mut self.stop) {
            *at = (*at).max(grace);
        }
        self.each_peer(now, out, Peer::woken);
        // A hidden page may wake once a minute: that is no reason to dial.
        if !self.core.surroundings.hidden {
            self.cut_waits(now, out);
        }
    }

    /// The network or the page says what it is now, and something follows from it. Who goes on waiting is told when a wait gets a timer or
    /// loses it.
    pub(super) fn surround(
        &mut self,
        now: Moment,
        out: &mut Vec<Action>,
        change: impl FnOnce(&mut Surroundings),
        follow: impl FnOnce(&mut Self, Moment, &mut Vec<Action>),
    ) {
        let before = self.core.surroundings.suspended();
        change(&mut self.core.surroundings);
        follow(self, now, out);
        if self.core.surroundings.suspended() != before {
            self.each_peer(now, out, Peer::tell_wait);
        }
    }

    /// The network or the page is back.
    pub(super) fn cut_waits(&mut self, now: Moment, out: &mut Vec<Action>) {
        if !self.core.surroundings.offline && self.core.keeps(Rule::BackCutsWaits) {
            self.each_peer(now, out, Peer::cut_wait);
        }
    }
}
