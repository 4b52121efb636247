//! What was done, taken note of.

use super::{Other, Referee, Running, Seen, Turn, Verdict, must, wants::Want};
use crate::{
    Generation, Moment, SessionId,
    peers::{Accept, Action, AttemptId, CloseCode, ConnId, Input, IntentError, Outcome, ReconnectPolicy},
};

impl Referee {
    pub(super) fn follow(&mut self, turn: Turn<'_>) -> Verdict {
        self.follow_input(turn);
        for action in turn.actions {
            self.follow_action(turn, action)?;
        }
        self.peers.retain(|_, seen| !seen.is_blank());
        Ok(())
    }

    fn follow_input(&mut self, turn: Turn<'_>) {
        let now = turn.now;
        match *turn.input {
            Input::Submit { intent, peer, mode, policy } => {
                let alone = self.wants_of(peer).next().is_none();
                self.wants.entry(intent).or_insert(Want::new(peer, mode, policy, alone));
                for want in self.wants.values_mut().filter(|want| want.peer == peer) {
                    want.alone &= alone;
                }
            }
            Input::Incoming { conn } => {
                self.greeting.insert(conn, now);
            }
            Input::HelloRead { conn, peer, generation } => {
                let waiting = self.greeting.remove(&conn).is_some();
                if waiting && !turn.closes_somehow(conn) && !turn.establishes(conn) && peer != self.me {
                    let other = Some(Other { conn, hello: generation, since: now });
                    let seen = self.peers.entry(peer).or_default();
                    if seen.dial.is_some() {
                        // The first time counts, whichever is held.
                        let since = seen.held.map_or(now, |held| held.since);
                        seen.held = other.map(|other| Other { since, ..other });
                    } else {
                        seen.deciding = other;
                    }
                }
                self.arrived = Some(Other { conn, hello: generation, since: now });
            }
            Input::Decided { decision, accept } => {
                for seen in self.peers.values_mut().filter(|seen| seen.question.is_some_and(|(open, _)| open == decision)) {
                    seen.question = None;
                    seen.yes = accept.then_some(decision);
                }
            }
            Input::Established { attempt, conn, generation } => {
                self.follow_established(now, attempt, Other { conn, hello: generation, since: now })
            }
            Input::AttemptFailed { attempt, .. } => self.lose(|seen| seen.has_attempt(attempt)),
            Input::ConnectionLost { conn, .. } => {
                self.greeting.remove(&conn);
                self.part(conn);
                for seen in self.peers.values_mut() {
                    seen.held.take_if(|held| held.conn == conn);
                    seen.deciding.take_if(|deciding| deciding.conn == conn);
                }
                self.lose(|seen| seen.current().is_some_and(|current| current.conn == conn));
            }
            Input::SessionComplete { session } => {
                // One that was aborted already, because its connection was lost, came to no good end.
                let mut aborted = false;
                for seen in self.peers.values_mut() {
                    aborted |= seen.ending.take_if(|(ending, _)| *ending == session).is_some();
                    if seen.session.take_if(|running| running.id == session).is_some() {
                        (seen.active, seen.probe, seen.firm) = (None, None, true);
                    }
                }
                self.disown(session, (!aborted).then(|| now.after_millis(30_000)));
            }
            Input::SessionEnded { session, .. } => {
                self.lose(|seen| seen.session.is_some_and(|running| running.id == session));
                for seen in self.peers.values_mut() {
                    seen.ending.take_if(|(ending, _)| *ending == session);
                    seen.session.take_if(|running| running.id == session);
                }
                self.disown(session, None);
            }
            Input::SessionProgress { session } => {
                let sessions = self.peers.values_mut().filter_map(|seen| seen.session.as_mut());
                for running in sessions.filter(|running| running.id == session) {
                    running.finish = running.finish.map(|_| now);
                }
            }
            Input::Terminated { conn } => self.part(conn),
            Input::ProbeAnswered { session } => {
                let probed = self.peers.values_mut().filter(|seen| seen.session.is_some_and(|running| running.id == session));
                probed.for_each(|seen| seen.probe = None);
            }
            Input::Tick => {
                if self.slept(now) {
                    self.woken = now;
                }
                self.pass(now);
            }
            Input::Woken => self.woken = now,
            Input::Resumed => (self.woken, self.frozen) = (now, false),
            Input::Online => self.offline = false,
            Input::Offline => self.offline = true,
            Input::Visible => self.hidden = false,
            Input::Hidden => self.hidden = true,
            Input::Frozen => self.frozen = true,
            Input::Relay { connected } => self.relay = connected,
            Input::Shutdown => {
                self.shutdown.get_or_insert(now);
                self.greeting.clear();
            }
            Input::CloseIntent { .. }
            | Input::Disconnect { .. }
            | Input::Identified { .. }
            | Input::AcceptWithdrawn { .. }
            | Input::PeerFinished { .. }
            | Input::IntentDone { .. } => {}
        }
    }

    fn follow_established(&mut self, now: Moment, attempt: AttemptId, other: Other) {
        for seen in self.peers.values_mut().filter(|seen| seen.has_attempt(attempt)) {
            let accepted = seen.accepting.take().map(|(_, accepted)| Other { since: now, ..accepted });
            seen.dial = None;
            seen.active = accepted.or(Some(other));
        }
    }

    /// The current connection or attempt of a peer is gone.
    fn lose(&mut self, which: impl Fn(&Seen) -> bool) {
        for seen in self.peers.values_mut().filter(|seen| which(seen)) {
            (seen.dial, seen.accepting, seen.active, seen.probe) = (None, None, None, None);
        }
    }

    /// A session owns nothing any more.
    pub(super) fn disown(&mut self, session: SessionId, rest: Option<Moment>) {
        for want in self.wants.values_mut().filter(|want| want.owner == Some(session)) {
            want.owner = None;
            want.rest = rest;
        }
    }

    fn follow_action(&mut self, turn: Turn<'_>, action: &Action) -> Verdict {
        let now = turn.now;
        match *action {
            Action::Dial { attempt, peer, generation } => {
                self.newest(generation)?;
                must(peer != self.me, || "a node dials itself".into())?;
                self.expect_rest(turn, peer)?;
                let seen = self.peers.entry(peer).or_default();
                must(seen.dial.is_none() && seen.current().is_none(), || format!("a second attempt at {peer}"))?;
                seen.dial = Some((attempt, now));
            }
            Action::Establish { attempt, conn, peer, generation } => {
                self.newest(generation)?;
                let (asks, arrived) = (self.asks, self.arrived);
                let unwanted = self.wants_of(peer).next().is_none();
                let seen = self.peers.entry(peer).or_default();
                let asked = seen.question.is_some() || seen.yes.is_some() || seen.ending.is_some();
                must(!asks || !unwanted || asked || seen.session.is_some(), || {
                    "the handler is asked before a connection is accepted".into()
                })?;
                let known = [seen.deciding, seen.held, arrived].into_iter().flatten().find(|other| other.conn == conn);
                let hello = known.map_or(Generation { instance: [0; 16], counter: 0 }, |other| other.hello);
                seen.accepting = Some((attempt, Other { conn, hello, since: now }));
                (seen.deciding, seen.dial, seen.active, seen.probe) = (None, None, None, None);
                seen.held.take_if(|held| held.conn == conn);
                seen.terminating = None;
            }
            Action::Cancel { attempt, .. } => {
                for seen in self.peers.values_mut() {
                    seen.dial.take_if(|(dial, _)| *dial == attempt);
                }
            }
            Action::Refuse { conn } => {
                self.greeting.remove(&conn);
            }
            Action::Close { conn, code, .. } => self.follow_close(conn, code),
            Action::AskHandler { decision, peer, conn } => {
                let seen = self.peers.entry(peer).or_default();
                seen.deciding = seen.deciding.or(seen.held.take_if(|held| held.conn == conn));
                seen.terminating = None;
                must(seen.question.is_none() && seen.yes.is_none(), || "the handler is asked once".into())?;
                seen.question = Some((decision, now));
            }
            Action::ForgetDecision { decision } => {
                for seen in self.peers.values_mut() {
                    seen.question.take_if(|(open, _)| *open == decision);
                    seen.yes.take_if(|yes| *yes == decision);
                }
            }
            Action::StartSession { session, conn, peer, accept, ref intents, .. } => {
                let wanted: Vec<_> = self.wants_of(peer).map(|(id, _)| id).collect();
                must(wanted == *intents, || format!("the queue joins the session that starts: {wanted:?}, not {intents:?}"))?;
                let asks = self.asks;
                let seen = self.peers.entry(peer).or_default();
                must(Self::may_start(seen, now), || "a session starts when the one before has ended".into())?;
                must(seen.active.is_some_and(|active| active.conn == conn), || "a session starts on the current connection".into())?;
                let consent = match accept {
                    None => true,
                    Some(Accept::Everything) => !asks,
                    Some(Accept::Decision(decision)) => seen.yes == Some(decision),
                };
                must(consent, || "nobody is accepted without consent".into())?;
                seen.session = Some(Running { id: session, started: now, finish: None, accepted: accept.is_some() });
                seen.ending = None;
                for id in intents {
                    if let Some(want) = self.wants.get_mut(id) {
                        want.join(session);
                    }
                }
            }
            Action::HandOver { session, intent } => {
                if let Some(want) = self.wants.get_mut(&intent) {
                    want.join(session);
                }
            }
            Action::AddAccept { session, .. } => self.running(session, |running| running.accepted = true),
            Action::DropAccept { session } => self.running(session, |running| running.accepted = false),
            Action::FinishSession { session } => self.running(session, |running| running.finish = running.finish.or(Some(now))),
            Action::AbortSession { session, .. } => {
                for seen in self.peers.values_mut() {
                    if seen.session.take_if(|running| running.id == session).is_some() {
                        seen.ending = Some((session, now));
                        seen.probe = None;
                    }
                }
            }
            Action::TerminateGracefully { conn } => {
                let peer = self.peers.iter().find(|(_, seen)| seen.was == Some(conn)).map(|(&peer, _)| peer);
                if let Some(seen) = peer.and_then(|peer| self.peers.get_mut(&peer)) {
                    seen.parting.insert(conn, now);
                    seen.terminating = Some(conn);
                }
            }
            Action::Probe { session } => {
                let probed = self.peers.values_mut().filter(|seen| seen.session.is_some_and(|running| running.id == session));
                probed.for_each(|seen| seen.probe = Some(now));
            }
            Action::Settle { intent, outcome } => {
                if let Some(want) = self.wants.remove(&intent)
                    && let Outcome::Failed(error) = outcome
                {
                    let fatal = match error {
                        IntentError::ShuttingDown | IntentError::Oneself => true,
                        IntentError::Refused | IntentError::UnsupportedVersion | IntentError::ProtocolViolation(_) => want.doomed,
                        _ => false,
                    };
                    let patient = want.policy.attempts == ReconnectPolicy::UNLIMITED;
                    must(fatal || !patient, || format!("an intent that never gives up failed: {error:?}"))?;
                }
            }
            Action::Stopped => self.stopped = true,
            Action::ReadHello { .. } | Action::WithdrawIntent { .. } | Action::Emit { .. } => {}
        }
        for seen in self.peers.values_mut() {
            seen.was = seen.active.map(|active| active.conn).or(seen.was);
        }
        Ok(())
    }

    fn follow_close(&mut self, conn: ConnId, code: CloseCode) {
        self.greeting.remove(&conn);
        self.part(conn);
        for seen in self.peers.values_mut() {
            seen.held.take_if(|held| held.conn == conn);
            seen.deciding.take_if(|deciding| deciding.conn == conn);
            seen.accepting.take_if(|(_, accepting)| accepting.conn == conn);
            if seen.active.take_if(|active| active.conn == conn).is_some() {
                seen.probe = None;
            }
            seen.firm |= code == CloseCode::LimitExceeded;
        }
    }

    /// A goodbye is over.
    fn part(&mut self, conn: ConnId) {
        for seen in self.peers.values_mut() {
            seen.parting.remove(&conn);
            seen.terminating.take_if(|terminating| *terminating == conn);
        }
    }

    fn running(&mut self, session: SessionId, change: impl Fn(&mut Running)) {
        let sessions = self.peers.values_mut().filter_map(|seen| seen.session.as_mut());
        sessions.filter(|running| running.id == session).for_each(change);
    }

    /// Generations of this node only grow.
    fn newest(&mut self, generation: Generation) -> Verdict {
        must(generation.instance == self.instance && generation.counter > self.counter, || "the counter grows".into())?;
        self.counter = generation.counter;
        Ok(())
    }
}

impl Seen {
    fn has_attempt(&self, attempt: AttemptId) -> bool {
        self.dial.is_some_and(|(dial, _)| dial == attempt) || self.accepting.is_some_and(|(accepting, _)| accepting == attempt)
    }

    fn is_blank(&self) -> bool {
        self.is_idle()
            && self.session.is_none()
            && self.ending.is_none()
            && self.parting.is_empty()
            && self.question.is_none()
            && self.yes.is_none()
            && !self.firm
    }
}
