//! What each input must lead to.

use super::{Referee, Seen, Turn, Verdict, is_live, must};
use crate::{
    Generation, IntentId, PeerId,
    peers::{Action, AttemptId, Cause, CloseCode, ConnId, Event, Input, IntentError, Outcome},
};

impl Referee {
    pub(super) fn expect(&self, turn: Turn<'_>) -> Verdict {
        if self.shutdown.is_some() {
            return self.expect_after_shutdown(turn);
        }
        match *turn.input {
            Input::Submit { intent, peer, .. } => self.expect_submit(turn, intent, peer),
            Input::CloseIntent { intent } => {
                must(!self.wants.contains_key(&intent) || turn.settles(intent), || "a closed intent settles".into())
            }
            Input::HelloRead { conn, peer, generation } if self.greeting.contains_key(&conn) && peer != self.me => {
                self.expect_hello(turn, conn, peer, generation)
            }
            Input::Decided { decision, accept } => self.expect_decided(turn, decision, accept),
            Input::Established { attempt, conn, generation } => self.expect_established(turn, attempt, conn, generation),
            Input::AttemptFailed { attempt, cause } => self.expect_failed(turn, attempt, cause),
            Input::ConnectionLost { conn, cause } => match self.find(|seen| seen.current().is_some_and(|current| current.conn == conn)) {
                Some((peer, _)) => self.expect_told(turn, peer, cause),
                None => Ok(()),
            },
            Input::SessionEnded { session, cause } => match self.find(|seen| seen.session.is_some_and(|running| running.id == session)) {
                Some((peer, seen)) => {
                    let closed = seen.active.is_none_or(|active| turn.closes_somehow(active.conn));
                    must(closed, || "a session ended without completion, and its connection stays".into())?;
                    self.expect_told(turn, peer, cause)
                }
                None => Ok(()),
            },
            Input::SessionComplete { session } => {
                let active = self.find(|seen| seen.session.is_some_and(|running| running.id == session)).and_then(|(_, seen)| seen.active);
                let parts = |conn: ConnId| turn.has(|action| *action == Action::TerminateGracefully { conn });
                must(active.is_none_or(|active| parts(active.conn)), || "a completed session says goodbye".into())
            }
            Input::IntentDone { session, intent, .. } => {
                let owned = self.wants.get(&intent).is_some_and(|want| want.owner == Some(session));
                must(owned == turn.settles(intent), || "an intent is settled by the session that owns it, and by no other".into())
            }
            Input::Tick => self.expect_tick(turn),
            Input::Woken | Input::Resumed => self.expect_probes(turn),
            Input::Online | Input::Visible => self.expect_dials(turn),
            Input::Shutdown => self.expect_shutdown(turn),
            Input::Disconnect { .. }
            | Input::Incoming { .. }
            | Input::Identified { .. }
            | Input::AcceptWithdrawn { .. }
            | Input::HelloRead { .. }
            | Input::PeerFinished { .. }
            | Input::SessionProgress { .. }
            | Input::Terminated { .. }
            | Input::ProbeAnswered { .. }
            | Input::Offline
            | Input::Hidden
            | Input::Frozen
            | Input::Relay { .. } => Ok(()),
        }
    }

    fn expect_submit(&self, turn: Turn<'_>, intent: IntentId, peer: PeerId) -> Verdict {
        if peer == self.me {
            let refused = Action::Settle { intent, outcome: Outcome::Failed(IntentError::Oneself) };
            return must(turn.has(|action| *action == refused), || "a node is not its own peer".into());
        }
        let seen = self.seen(peer);
        must(!seen.is_idle() || turn.dials(peer), || "an intent dials if there is nothing".into())?;
        must(seen.deciding.is_none_or(|deciding| turn.establishes(deciding.conn)), || "an intent accepts what is being decided".into())?;
        match seen.session.filter(|running| running.finish.is_none() && seen.active.is_some()) {
            Some(running) => {
                let joins = Action::HandOver { session: running.id, intent };
                must(turn.has(|action| *action == joins), || "an intent joins the running session".into())
            }
            None => Ok(()),
        }
    }

    fn expect_hello(&self, turn: Turn<'_>, conn: ConnId, peer: PeerId, hello: Generation) -> Verdict {
        let seen = self.seen(peer);
        if let Some(current) = seen.current() {
            if hello > current.hello {
                must(turn.closes(current.conn, CloseCode::Superseded), || "what is superseded is closed with code 9".into())?;
                return must(turn.establishes(conn), || "a newer connection supersedes".into());
            }
            must(turn.closes(conn, CloseCode::Duplicate), || "a leftover is closed as duplicate".into())?;
            return must(!turn.closes_somehow(current.conn), || "a leftover touches nothing".into());
        }
        if let Some(deciding) = seen.deciding {
            let older = if hello > deciding.hello { deciding.conn } else { conn };
            return must(turn.closes(older, CloseCode::Duplicate), || "of those to be decided the newer stays".into());
        }
        if let Some((attempt, _)) = seen.dial {
            if peer > self.me {
                must(cancels(turn, attempt, Some(CloseCode::Duplicate)), || "the lesser side gives up its dial".into())?;
                return must(turn.establishes(conn), || "the lesser side takes the other connection".into());
            }
            let older = seen.held.map(|held| if hello > held.hello { held.conn } else { conn });
            must(!turn.establishes(conn) && !cancels(turn, attempt, None), || "the greater side holds the other connection".into())?;
            must(older.is_none_or(|older| turn.closes(older, CloseCode::Duplicate)), || "the newest is held".into())?;
            let newer = if older == Some(conn) { seen.held.map_or(conn, |held| held.conn) } else { conn };
            return must(!turn.closes_somehow(newer), || "the newest is held, unanswered".into());
        }
        self.expect_admission(turn, conn, peer, &seen)
    }

    /// There is no other connection, but for goodbyes, which go on.
    fn expect_admission(&self, turn: Turn<'_>, conn: ConnId, peer: PeerId, seen: &Seen) -> Verdict {
        must(seen.parting.len() > 1 || !seen.parting.keys().any(|&parting| turn.closes_somehow(parting)), || {
            "a goodbye goes on in the background".into()
        })?;
        if seen.ending.is_some() {
            return Ok(());
        }
        let wanted = self.wants_of(peer).next().is_some();
        let room = self.peers.values().filter(|seen| seen.occupies()).count() < self.limits.sessions;
        if wanted {
            must(turn.establishes(conn), || "own intents accept, whatever else".into())
        } else if !room {
            must(turn.closes(conn, CloseCode::LimitExceeded), || "sessions are limited".into())
        } else if self.asks {
            must(turn.has(|action| matches!(action, Action::AskHandler { conn: it, .. } if *it == conn)), || "the handler is asked".into())
        } else {
            must(turn.establishes(conn), || "everyone is accepted".into())
        }
    }

    fn expect_decided(&self, turn: Turn<'_>, decision: AttemptId, accept: bool) -> Verdict {
        let Some((peer, seen)) = self.find(|seen| seen.question.is_some_and(|(open, _)| open == decision)) else { return Ok(()) };
        let Some(deciding) = seen.deciding else { return Ok(()) };
        if accept || self.wants_of(peer).next().is_some() && seen.ending.is_none() {
            must(turn.establishes(deciding.conn), || "a connection that is accepted is established".into())
        } else if seen.ending.is_none() {
            must(turn.closes(deciding.conn, CloseCode::Refused), || "a refusal has its code".into())
        } else {
            Ok(())
        }
    }

    fn expect_established(&self, turn: Turn<'_>, attempt: AttemptId, conn: ConnId, hello: Generation) -> Verdict {
        let starts = |seen: &Seen| seen.session.is_some() || seen.ending.is_some() || turn.starts_on(conn);
        if let Some((_, seen)) = self.find(|seen| seen.dial.is_some_and(|(dial, _)| dial == attempt)) {
            return match seen.held {
                Some(held) if held.hello > hello => must(turn.closes(conn, CloseCode::Superseded) && turn.establishes(held.conn), || {
                    "a held connection that is newer wins".into()
                }),
                Some(held) => {
                    must(turn.closes(held.conn, CloseCode::Duplicate) && starts(seen), || "a held connection is closed in the end".into())
                }
                None => must(starts(seen), || "an established connection has a session".into()),
            };
        }
        if let Some((_, seen)) = self.find(|seen| seen.accepting.is_some_and(|(accepting, _)| accepting == attempt)) {
            return must(starts(seen), || "an accepted connection has a session".into());
        }
        let stays = self.find(|seen| seen.knows(conn)).is_some();
        must(!turn.starts_on(conn), || "what is stale starts nothing".into())?;
        must(stays || turn.closes_somehow(conn), || "what a stale attempt established is closed".into())
    }

    fn expect_failed(&self, turn: Turn<'_>, attempt: AttemptId, cause: Cause) -> Verdict {
        if let Some((peer, seen)) = self.find(|seen| seen.dial.is_some_and(|(dial, _)| dial == attempt)) {
            let promoted = |conn: ConnId| {
                turn.establishes(conn) || turn.has(|action| matches!(action, Action::AskHandler { conn: it, .. } if *it == conn))
            };
            must(seen.held.is_none_or(|held| promoted(held.conn)), || "a held connection is promoted when the own dial fails".into())?;
            return self.expect_told(turn, peer, cause);
        }
        match self.find(|seen| seen.accepting.is_some_and(|(accepting, _)| accepting == attempt)) {
            Some((peer, _)) => self.expect_told(turn, peer, cause),
            None => must(turn.actions.is_empty(), || "a stale failure changes nothing".into()),
        }
    }

    /// The current connection or attempt is lost.
    fn expect_told(&self, turn: Turn<'_>, peer: PeerId, cause: Cause) -> Verdict {
        let tells = |is_it: &dyn Fn(&Event) -> bool| {
            turn.has(|action| matches!(action, Action::Emit { peer: it, event } if *it == peer && is_it(event)))
        };
        must(tells(&|event| matches!(event, Event::Disconnected { .. })), || "a loss is told".into())?;
        if let Cause::Closed(CloseCode::Superseded) = cause {
            must(tells(&|event| matches!(event, Event::IdentityInUse { certain: true })), || "code 9 is told as identity in use".into())?;
        }
        if matches!(cause, Cause::Closed(CloseCode::Refused | CloseCode::UnsupportedVersion)) {
            let mut queued = self.wants_of(peer).filter(|(_, want)| want.owner.is_none());
            must(queued.all(|(id, _)| turn.settles(id)), || "a refusal is the end".into())?;
        }
        Ok(())
    }

    fn expect_tick(&self, turn: Turn<'_>) -> Verdict {
        if self.suspended() {
            must(!turn.has(|action| matches!(action, Action::Dial { .. })) || self.parts_now(turn.now), || {
                "nobody dials by time while away".into()
            })?;
        }
        let hasty = |action: &Action| match action {
            Action::Close { code, .. } => *code == CloseCode::Failed,
            Action::Cancel { code, .. } => *code == CloseCode::Failed,
            _ => false,
        };
        let slept = self.slept(turn.now);
        if slept {
            self.expect_probes(turn)?;
        }
        if slept || turn.now.micros_since(self.woken) < 5_000_000 && self.woken.0 > 0 {
            must(!turn.has(hasty), || "after sleep deadlines are extended".into())?;
        }
        for (&peer, seen) in &self.peers {
            if let (Some(deciding), Some((_, asked))) = (seen.deciding, seen.question)
                && turn.closes_somehow(deciding.conn)
                && turn.now.micros_since(asked) >= 5_000_000
            {
                must(turn.closes(deciding.conn, CloseCode::Failed), || "a late handler is no refusal".into())?;
            }
            let silent = seen.probe.is_some_and(|probe| turn.now.micros_since(probe) >= 5_000_000);
            let closed = seen.active.is_some_and(|active| turn.closes(active.conn, CloseCode::Failed));
            let finishing = seen.session.is_none_or(|running| running.finish.is_some());
            if silent && closed && !finishing && self.relay {
                let told = Action::Emit { peer, event: Event::IdentityInUse { certain: false } };
                must(turn.has(|action| *action == told), || "silence is told".into())?;
            }
        }
        Ok(())
    }

    /// A goodbye is over, or an ending: then whoever waits may dial.
    fn parts_now(&self, now: crate::Moment) -> bool {
        let due = |since: crate::Moment, millis: u64| now.micros_since(since) >= millis * 1000;
        self.peers.values().any(|seen| {
            let goodbye = seen.parting.values().any(|&since| due(since, 10_000));
            goodbye || seen.ending.is_some_and(|(_, since)| due(since, 5_000)) || seen.question.is_some_and(|(_, since)| due(since, 5_000))
        })
    }

    fn expect_probes(&self, turn: Turn<'_>) -> Verdict {
        let sessions = self.peers.values().filter(|seen| seen.active.is_some()).filter_map(|seen| seen.session);
        let mut silent = sessions.filter(|running| !turn.has(|action| *action == Action::Probe { session: running.id }));
        must(silent.next().is_none(), || "connections are probed after sleep".into())
    }

    fn expect_dials(&self, turn: Turn<'_>) -> Verdict {
        let still_offline = self.offline && !matches!(turn.input, Input::Online);
        let waiting = self.peers.iter().filter(|(_, seen)| seen.is_idle() && seen.ending.is_none() && !seen.firm);
        let mut waiting = waiting.filter(|(peer, _)| self.wants_of(**peer).any(|(_, want)| want.owner.is_none()));
        must(still_offline || waiting.all(|(peer, _)| turn.dials(*peer)), || "waits are cut short".into())
    }

    fn expect_shutdown(&self, turn: Turn<'_>) -> Verdict {
        for seen in self.peers.values() {
            must(seen.dial.is_none_or(|(attempt, _)| cancels(turn, attempt, Some(CloseCode::ShuttingDown))), || {
                "shutdown cancels dials".into()
            })?;
            let aborts = |session| turn.has(|action| matches!(action, Action::AbortSession { session: it, .. } if *it == session));
            must(seen.session.is_none_or(|running| aborts(running.id)), || "shutdown ends sessions".into())?;
        }
        let mut queued = self.wants.iter().filter(|(_, want)| want.owner.is_none());
        must(queued.all(|(&id, _)| turn.settles(id)), || "shutdown settles what is queued".into())
    }

    fn expect_after_shutdown(&self, turn: Turn<'_>) -> Verdict {
        let begins = |action: &Action| {
            matches!(
                action,
                Action::Dial { .. }
                    | Action::ReadHello { .. }
                    | Action::Establish { .. }
                    | Action::StartSession { .. }
                    | Action::AskHandler { .. }
            )
        };
        must(!turn.has(begins), || "nothing new begins after shutdown".into())?;
        match *turn.input {
            Input::Shutdown => must(turn.actions.is_empty(), || "a second shutdown does nothing".into()),
            Input::Submit { intent, .. } => must(turn.settles(intent), || "a late submission fails at once".into()),
            _ => Ok(()),
        }
    }

    /// Dials for those who rest after a good end come late enough.
    pub(super) fn expect_rest(&self, turn: Turn<'_>, peer: PeerId) -> Verdict {
        let mut all = self.wants_of(peer);
        let resting = all.all(|(_, want)| is_live(want.mode) && want.rest.is_some_and(|rest| turn.now < rest));
        must(!resting || self.wants_of(peer).next().is_none(), || "after a good end a live intent rests".into())
    }
}

/// Whether a dial is cancelled, with a code if one is given.
fn cancels(turn: Turn<'_>, attempt: AttemptId, code: Option<CloseCode>) -> bool {
    turn.has(
        |action| matches!(action, Action::Cancel { attempt: it, code: how, .. } if *it == attempt && code.is_none_or(|code| code == *how)),
    )
}
