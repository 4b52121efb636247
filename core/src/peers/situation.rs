//! Which row of the table an input reaches: for simulations, which tell what they have covered.

use super::{
    Accept, Input, Manager,
    code::Cause,
    peer::{Consent, Peer, Session, State},
};
use crate::{PeerId, peers::CloseCode};

/// Names of the situations that a peer can be in, as in the table.
pub const SITUATIONS: [&str; 20] = [
    "none",
    "none, session ending",
    "deciding",
    "deciding, session ending",
    "dialing, lesser",
    "dialing, greater",
    "dialing, holding",
    "dialing, session ending",
    "accepting",
    "accepting, asking",
    "accepting, session ending",
    "active, dialed",
    "active, accepted",
    "active, finishing",
    "active, probed",
    "active, old session ending",
    "terminating",
    "terminating, queued",
    "waiting",
    "waiting, session ending",
];

/// Names of the inputs, as in the table.
pub const INPUTS: [&str; 35] = [
    "submit",
    "close the intent",
    "disconnect",
    "newer hello",
    "older hello",
    "decided yes",
    "decided no",
    "established",
    "attempt lost",
    "attempt refused",
    "connection lost",
    "closed: duplicate",
    "closed: superseded",
    "closed: violation",
    "held lost",
    "background lost",
    "intent done",
    "peer finished",
    "progress",
    "session complete",
    "session: violation",
    "session: lost",
    "terminated",
    "probe answered",
    "online",
    "offline",
    "visible",
    "hidden",
    "frozen",
    "resumed",
    "woken",
    "relay",
    "shutdown",
    "tick",
    "yes taken back",
];

impl Peer {
    fn situation(&self, me: PeerId) -> usize {
        let ending = matches!(self.session, Session::Ending { .. });
        let finishing = matches!(self.session, Session::Active { finish: Some(_), .. });
        let asking = matches!(self.consent, Consent::Asking { .. });
        match self.state {
            State::None => usize::from(ending),
            State::Deciding { .. } => 2 + usize::from(ending),
            State::Dialing { .. } if ending => 7,
            State::Dialing { held: Some(_), .. } => 6,
            State::Dialing { held: None, .. } => 4 + usize::from(me > self.id),
            State::Accepting { .. } if ending => 10,
            State::Accepting { .. } => 8 + usize::from(asking),
            State::Active { .. } if ending => 15,
            State::Active { probe: Some(_), .. } => 14,
            State::Active { .. } if finishing => 13,
            State::Active { role, .. } => 11 + usize::from(role == crate::Role::Betty),
            State::Terminating { .. } => 16 + usize::from(self.has_work()),
            State::Waiting => 18 + usize::from(ending),
        }
    }
}

/// What a cause adds to the inputs that name one.
fn of_cause(cause: Cause) -> usize {
    match cause {
        Cause::Closed(CloseCode::Duplicate) => 1,
        Cause::Closed(CloseCode::Superseded) => 2,
        Cause::Closed(CloseCode::ProtocolViolation) | Cause::Violation(_) => 3,
        _ => 0,
    }
}

impl Manager {
    /// The rows of the table that an input is about to reach, one per peer that it concerns: indices of [`SITUATIONS`] and [`INPUTS`].
    /// What concerns no peer that there is counts as an input in the situation none.
    #[must_use]
    pub fn rows(&self, input: &Input) -> Vec<(usize, usize)> {
        let which = |is_it: &dyn Fn(&Peer) -> bool| self.peers.values().find(|peer| is_it(peer));
        let in_session = |session| which(&|peer: &Peer| peer.session_id() == Some(session));
        let (peer, input) = match *input {
            Input::Submit { peer, .. } => (self.peers.get(&peer), 0),
            Input::CloseIntent { intent } => (which(&|peer| peer.intents.contains_key(&intent)), 1),
            Input::Disconnect { peer } => (self.peers.get(&peer), 2),
            Input::Incoming { .. } | Input::Identified { .. } => return Vec::new(),
            Input::HelloRead { peer, generation, .. } => {
                let peer = self.peers.get(&peer);
                let known = peer.and_then(|peer| match peer.state {
                    State::Deciding { hello, .. } | State::Accepting { hello, .. } | State::Active { hello, .. } => Some(hello),
                    State::Dialing { held, .. } => held.map(|held| held.hello),
                    State::None | State::Terminating { .. } | State::Waiting => None,
                });
                (peer, 3 + usize::from(known.is_some_and(|known| known >= generation)))
            }
            Input::Decided { decision, accept } => {
                let asked = |peer: &Peer| matches!(peer.consent, Consent::Asking { decision: open, .. } if open == decision);
                (which(&asked), 6 - usize::from(accept))
            }
            Input::AcceptWithdrawn { decision } => {
                (which(&|peer| matches!(peer.consent, Consent::Yes(Accept::Decision(used)) if used == decision)), 34)
            }
            Input::Established { attempt, .. } => (which(&|peer| peer.attempt() == Some(attempt)), 7),
            Input::AttemptFailed { attempt, cause } => {
                let refused = usize::from(cause == Cause::Closed(CloseCode::Refused));
                (which(&|peer| peer.attempt() == Some(attempt)), 8 + refused)
            }
            Input::ConnectionLost { conn, cause } => {
                let peer = which(&|peer| peer.refers_to(conn));
                match peer {
                    Some(known) if known.background.is_some_and(|background| background.conn == conn) => (peer, 15),
                    Some(known) if matches!(known.state, State::Dialing { .. }) => (peer, 14),
                    Some(_) | None => (peer, 10 + of_cause(cause)),
                }
            }
            Input::IntentDone { session, .. } => (in_session(session), 16),
            Input::PeerFinished { session } => (in_session(session), 17),
            Input::SessionProgress { session } => (in_session(session), 18),
            Input::SessionComplete { session } => (in_session(session), 19),
            Input::SessionEnded { session, cause } => (in_session(session), 21 - usize::from(of_cause(cause) == 3)),
            Input::Terminated { conn } => (which(&|peer| peer.refers_to(conn)), 22),
            Input::ProbeAnswered { session } => (in_session(session), 23),
            Input::Online => return self.everyone(24),
            Input::Offline => return self.everyone(25),
            Input::Visible => return self.everyone(26),
            Input::Hidden => return self.everyone(27),
            Input::Frozen => return self.everyone(28),
            Input::Resumed => return self.everyone(29),
            Input::Woken => return self.everyone(30),
            Input::Relay { .. } => return self.everyone(31),
            Input::Shutdown => return self.everyone(32),
            Input::Tick => return self.everyone(33),
        };
        vec![(peer.map_or(0, |peer| peer.situation(self.core.me)), input)]
    }

    fn everyone(&self, input: usize) -> Vec<(usize, usize)> {
        self.peers.values().map(|peer| (peer.situation(self.core.me), input)).collect()
    }
}
