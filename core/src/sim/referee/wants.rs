//! What failures cost an intent: attempts, and waits.

use super::{Referee, Turn, Verdict, must};
use crate::{
    IntentId, Mode, Moment, PeerId, SessionId,
    peers::{Action, Cause, CloseCode, Event, Outcome, ReconnectPolicy, Retry},
};

/// An unsettled intent.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub(super) peer: PeerId,
    pub(super) mode: Mode,
    pub(super) policy: ReconnectPolicy,
    pub(super) owner: Option<SessionId>,
    /// It rests after a good end, until then.
    pub(super) rest: Option<Moment>,
    /// It has always been the only one with its peer: then it is known what each failure costs it.
    pub(super) alone: bool,
    failures: u32,
    free_since: Option<Moment>,
}

/// What a cause costs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cost {
    Attempt,
    /// An attempt and a longer wait.
    Longer,
    Nothing,
    Everything,
    Unknown,
}

fn cost(cause: Cause) -> Cost {
    match cause {
        Cause::Closed(CloseCode::Duplicate) => Cost::Nothing,
        Cause::Closed(CloseCode::LimitExceeded | CloseCode::Superseded) | Cause::RefusedBeforeHandshake => Cost::Longer,
        Cause::Closed(CloseCode::Refused | CloseCode::UnsupportedVersion | CloseCode::ProtocolViolation)
        | Cause::NoCommonVersion
        | Cause::Violation(_) => Cost::Everything,
        Cause::Closed(CloseCode::Ok) => Cost::Unknown,
        Cause::Closed(CloseCode::EndpointClosed | CloseCode::Failed | CloseCode::ShuttingDown)
        | Cause::ClosedUnknown(_)
        | Cause::Unreachable
        | Cause::Lost
        | Cause::Deadline(_)
        | Cause::Failed(_)
        | Cause::LocallyClosed => Cost::Attempt,
    }
}

impl Want {
    pub(super) fn new(peer: PeerId, mode: Mode, policy: ReconnectPolicy, alone: bool) -> Self {
        Self { peer, mode, policy, owner: None, rest: None, alone, failures: 0, free_since: None }
    }

    pub(super) fn join(&mut self, session: SessionId) {
        (self.owner, self.rest, self.free_since) = (Some(session), None, None);
    }

    /// The wait before an attempt, in microseconds: at least and at most.
    fn wait(&self, step: u32, longer: bool) -> (f64, f64) {
        let growth = self.policy.factor.powi(i32::try_from(step.min(64)).unwrap_or(64) - 1);
        let most = (self.policy.first_delay as f64 * growth).min(self.policy.cap as f64);
        let least = most * (1.0 - self.policy.jitter);
        if longer { ((least * 4.0).max(10e6), (most * 4.0).max(10e6)) } else { (least, most) }
    }
}

impl Referee {
    /// Counts what a loss costs an intent that is alone with its peer, and compares that with what is done.
    pub(super) fn count(&mut self, turn: Turn<'_>) -> Verdict {
        if self.shutdown.is_some() {
            return Ok(());
        }
        for action in turn.actions {
            if let Action::Emit { peer, event: Event::Disconnected { cause, .. } } = *action {
                self.firm_after(peer, cause);
                let alone = self.wants_of(peer).find(|(_, want)| want.alone).map(|(id, _)| id);
                if let Some(id) = alone {
                    self.charge(turn, id, cause)?;
                }
            }
        }
        Ok(())
    }

    /// After some causes a wait may not be cut short.
    fn firm_after(&mut self, peer: PeerId, cause: Cause) {
        if matches!(cost(cause), Cost::Longer | Cost::Unknown) {
            self.peers.entry(peer).or_default().firm = true;
        }
    }

    fn charge(&mut self, turn: Turn<'_>, id: IntentId, cause: Cause) -> Verdict {
        let closed = turn.has(|action| *action == Action::Settle { intent: id, outcome: Outcome::Closed });
        let Some(want) = self.wants.get(&id).filter(|_| !closed) else { return Ok(()) };
        let seen = self.seen(want.peer);
        let Some(want) = self.wants.get_mut(&id) else { return Ok(()) };
        let own = seen.dial.is_some() && seen.held.is_none();
        let lost = want.owner.is_some() && seen.session.is_some_and(|running| want.owner == Some(running.id));
        let mut cost = cost(cause);
        if !own && !lost && cost != Cost::Everything {
            // An accept, or a connection whose session had not begun, or a dial beside a held connection.
            cost = Cost::Nothing;
        }
        if let Some(running) = seen.session.filter(|_| lost)
            && turn.now.micros_since(running.started) >= 60_000_000
        {
            want.failures = 0;
        }
        let settled = turn.settles(id);
        let (step, longer) = match cost {
            Cost::Everything => return must(settled || want.owner.is_some(), || "no use in trying again".into()),
            Cost::Unknown => {
                want.alone = false;
                return Ok(());
            }
            Cost::Nothing => {
                if turn.now.micros_since(*want.free_since.get_or_insert(turn.now)) > 50_000_000 || seen.held.is_some() {
                    want.alone = false;
                    return Ok(());
                }
                must(!settled, || "what costs nothing ends nothing".into())?;
                (1, false)
            }
            Cost::Attempt | Cost::Longer => {
                let over = want.policy.attempts != ReconnectPolicy::UNLIMITED && want.failures >= want.policy.attempts;
                let ends = settled || lost;
                must(if over { ends } else { !settled }, || {
                    format!("{id:?} has {} of {} attempts left", want.failures, want.policy.attempts)
                })?;
                if over {
                    want.alone = false;
                    return Ok(());
                }
                want.failures += 1;
                (want.failures, cost == Cost::Longer)
            }
        };
        let (least, most) = want.wait(step, longer);
        let (peer, jitter) = (want.peer, want.policy.jitter);
        let next = turn.actions.iter().find_map(|action| match action {
            Action::Emit { peer: it, event: Event::Reconnecting { retry: Retry { at: Some(at), .. }, .. } } if *it == peer => Some(*at),
            _ => None,
        });
        if let Some(at) = next {
            let wait = at.micros_since(turn.now) as f64;
            must(least - 2.0 <= wait && wait <= most + 2.0, || format!("the wait is {wait}, not {least} to {most}"))?;
            must(jitter == 0.0 || longer || wait < most - 0.5, || "waits are random in part".into())?;
        }
        Ok(())
    }
}
