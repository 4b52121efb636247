//! What goes into the peer manager and what comes out of it. Names and plain data only; no behaviour.

use crate::{Generation, IntentId, Mode, Moment, PeerId, Role, SessionId};

use super::{Cause, CloseCode, IntentError, ReconnectPolicy};

/// The driver's name of a connection. Never reused while the node runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct ConnId(pub u64);

/// The manager's name of something it asked for and waits for: a dial, an establish, a decision. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct AttemptId(pub u64);

/// Who may connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum AcceptPolicy {
    /// Everyone, with interest in everything held, as long as the peer wants.
    Everyone,
    /// A handler is asked for each peer ([`Action::AskHandler`]), with a deadline of 5 s.
    AskHandler,
}

/// Bounds on what others can make this node hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Limits {
    /// Incoming connections whose Hello has not been read. More are refused before the handshake.
    pub handshakes: usize,
    /// Those among them that are known to be of one peer ([`Input::Identified`]). The oldest gives way, closed with
    /// [`CloseCode::LimitExceeded`]. Of connections whose Hello was read a peer never has more than three: one that is current or
    /// dialed, one that is held, one that says goodbye.
    pub per_peer: usize,
    /// Peers that are being decided, established or in a session, when another one without an own intent arrives: it is closed
    /// with [`CloseCode::LimitExceeded`]. Own dials are not limited.
    pub sessions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { handshakes: 32, per_peer: 4, sessions: 128 }
    }
}

/// What a manager is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node's endpoint id.
    pub me: PeerId,
    /// This start of the node: milliseconds since the Unix epoch (8 bytes, big-endian, greater than any earlier start's) ‖ 8 random bytes.
    pub instance: [u8; 16],
    /// Seeds the jitter of the backoff; nothing else is random.
    pub seed: u64,
    /// Who may connect.
    pub accept: AcceptPolicy,
    /// Bounds on what others can make this node hold.
    pub limits: Limits,
}

/// Something that happened. Which input answers which action is told at [`Manager`](super::Manager).
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// A user wants to sync with a peer. Answered by exactly one [`Action::Settle`], now or later. An id that is already present is ignored.
    Submit {
        /// A name never used before.
        intent: IntentId,
        /// With whom.
        peer: PeerId,
        /// How long.
        mode: Mode,
        /// What to do when a dial fails or the connection is lost.
        policy: ReconnectPolicy,
    },
    /// The user is done with an intent: it settles as [`Outcome::Closed`], at once.
    CloseIntent {
        /// Which one. Unknown or settled ones are ignored.
        intent: IntentId,
    },
    /// The user wants nothing to do with a peer for now: all its intents settle as [`Outcome::Closed`], the session ends gracefully.
    Disconnect {
        /// Which peer.
        peer: PeerId,
    },
    /// A connection arrived; nothing of it has been read. Answered by [`Action::ReadHello`] or [`Action::Refuse`].
    Incoming {
        /// The new connection.
        conn: ConnId,
    },
    /// The handshake of an incoming connection is finished; its Hello has not been read.
    Identified {
        /// The connection.
        conn: ConnId,
        /// Whose it is, as the transport authenticated it.
        peer: PeerId,
    },
    /// The Hello of an incoming connection was read and verified.
    HelloRead {
        /// The connection.
        conn: ConnId,
        /// Whose it is, as the transport authenticated it.
        peer: PeerId,
        /// The generation in its Hello.
        generation: Generation,
    },
    /// The accept handler answered.
    Decided {
        /// The question: [`Action::AskHandler`]'s.
        decision: AttemptId,
        /// Yes or no.
        accept: bool,
    },
    /// The yes to a question is taken back: what was accepted with it ends, own intents do not. Ignored unless the yes is in use.
    AcceptWithdrawn {
        /// The question.
        decision: AttemptId,
    },
    /// A dial or an establish succeeded: both Hellos have been exchanged.
    Established {
        /// The attempt.
        attempt: AttemptId,
        /// The connection; for an accept the one that was to be established.
        conn: ConnId,
        /// The generation in the peer's Hello.
        generation: Generation,
    },
    /// A dial or an establish failed. The driver has closed what there was, with [`Cause::close_code`].
    AttemptFailed {
        /// The attempt.
        attempt: AttemptId,
        /// Why; taken from the connection's close reason where there is one.
        cause: Cause,
    },
    /// A connection ended that was known to the manager (after [`Input::Incoming`] or [`Input::Established`]), by the peer or the transport.
    ConnectionLost {
        /// The connection.
        conn: ConnId,
        /// Why; taken from the connection's close reason.
        cause: Cause,
    },
    /// A session is done with an intent. Ignored unless that session owns it.
    IntentDone {
        /// The session that says so.
        session: SessionId,
        /// The intent.
        intent: IntentId,
        /// How it went.
        outcome: Result<Completion, IntentError>,
    },
    /// The peer finished its direction of the session stream. Answered by [`Action::FinishSession`] unless that was said before.
    PeerFinished {
        /// The session.
        session: SessionId,
    },
    /// Bytes moved while a session was finishing: its deadline starts again.
    SessionProgress {
        /// The session.
        session: SessionId,
    },
    /// Both directions of the session stream are finished, every report was made; intents that it still owns return to the queue.
    SessionComplete {
        /// The session.
        session: SessionId,
    },
    /// A session ended without completion: aborted, broken or cut off.
    SessionEnded {
        /// The session.
        session: SessionId,
        /// Why. Where the transport failed: the connection's close reason.
        cause: Cause,
    },
    /// The goodbyes were exchanged and the connection is closed with [`CloseCode::Ok`].
    Terminated {
        /// The connection.
        conn: ConnId,
    },
    /// The peer answered a probe.
    ProbeAnswered {
        /// The session that was probed.
        session: SessionId,
    },
    /// The network is back: waits are cut short.
    Online,
    /// The network is gone: what waits, waits without a timer.
    Offline,
    /// The page can be seen: waits are cut short.
    Visible,
    /// The page is hidden: what waits, waits without a timer.
    Hidden,
    /// The page is about to be frozen.
    Frozen,
    /// The page goes on after it was frozen: as [`Input::Woken`].
    Resumed,
    /// The machine slept (timers far too late, or the clocks disagree): deadlines are extended, connections probed.
    Woken,
    /// Whether the home relay is connected; it decides how a failed probe is read.
    Relay {
        /// Connected or not.
        connected: bool,
    },
    /// End everything; answered by [`Action::Stopped`], within 10 s. Idempotent.
    Shutdown,
    /// The time of [`Manager::next_deadline`](super::Manager::next_deadline) has come. Harmless at any time.
    Tick,
}

/// Something to do. Actions are carried out in order and never fail: what goes wrong comes back as an input.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Connect, send a Hello with this generation, read the peer's. Ends with [`Input::Established`] or [`Input::AttemptFailed`].
    Dial {
        /// Names the attempt.
        attempt: AttemptId,
        /// Whom.
        peer: PeerId,
        /// For the Hello.
        generation: Generation,
    },
    /// Give up a dial: close its connection, if there is one, with this code, also when its [`Input::Established`] is already
    /// under way. No answer is needed; late ones are ignored.
    Cancel {
        /// The dial.
        attempt: AttemptId,
        /// For the connection.
        code: CloseCode,
        /// For people.
        reason: &'static str,
    },
    /// Refuse an incoming connection before the handshake.
    Refuse {
        /// The connection.
        conn: ConnId,
    },
    /// Finish the handshake of an incoming connection ([`Input::Identified`]) and read its Hello. Ends with [`Input::HelloRead`] or
    /// [`Input::ConnectionLost`].
    ReadHello {
        /// The connection.
        conn: ConnId,
    },
    /// Ask the accept handler. Ends with [`Input::Decided`], or not at all.
    AskHandler {
        /// Names the question.
        decision: AttemptId,
        /// About whom.
        peer: PeerId,
        /// Its connection at this moment.
        conn: ConnId,
    },
    /// Nobody will use this decision: abort the handler if it still runs, drop what it answered.
    ForgetDecision {
        /// The question.
        decision: AttemptId,
    },
    /// Send a Hello with this generation on an incoming connection. Ends with [`Input::Established`] or [`Input::AttemptFailed`].
    Establish {
        /// Names the attempt.
        attempt: AttemptId,
        /// The connection.
        conn: ConnId,
        /// Whose it is.
        peer: PeerId,
        /// For the Hello.
        generation: Generation,
    },
    /// Close a connection. Closing one that is already closed does nothing.
    Close {
        /// The connection.
        conn: ConnId,
        /// The code.
        code: CloseCode,
        /// For people.
        reason: &'static str,
    },
    /// Start a session. It ends with exactly one [`Input::SessionComplete`] or [`Input::SessionEnded`].
    StartSession {
        /// Names the session.
        session: SessionId,
        /// On this connection, whose Hellos have been exchanged.
        conn: ConnId,
        /// With this peer.
        peer: PeerId,
        /// This node's role on the connection.
        role: Role,
        /// The interests of the accepting side, if it accepts.
        accept: Option<Accept>,
        /// The session owns these intents now.
        intents: Vec<IntentId>,
    },
    /// A running session gets another intent and owns it now.
    HandOver {
        /// The session.
        session: SessionId,
        /// The intent.
        intent: IntentId,
    },
    /// The accept handler said yes after the session had started for the sake of own intents: add the accept intent.
    AddAccept {
        /// The session.
        session: SessionId,
        /// The interests.
        accept: Accept,
    },
    /// The accept intent of a running session is withdrawn.
    DropAccept {
        /// The session.
        session: SessionId,
    },
    /// An intent is withdrawn from a session, which no longer owns it.
    WithdrawIntent {
        /// The session.
        session: SessionId,
        /// The intent.
        intent: IntentId,
    },
    /// The session has nothing more to do on this side: finish our direction of its stream once what is under way has left.
    FinishSession {
        /// The session.
        session: SessionId,
    },
    /// End a session now. Answered by [`Input::SessionEnded`].
    AbortSession {
        /// The session.
        session: SessionId,
        /// What the session's connection was, or will be, closed with.
        code: CloseCode,
    },
    /// Exchange goodbyes, then close with [`CloseCode::Ok`]. Answered by [`Input::Terminated`].
    TerminateGracefully {
        /// The connection.
        conn: ConnId,
    },
    /// Send a Ping. Answered by [`Input::ProbeAnswered`] within 5 s, or the connection counts as lost.
    Probe {
        /// The session.
        session: SessionId,
    },
    /// The one and only end of an intent.
    Settle {
        /// The intent.
        intent: IntentId,
        /// Its result.
        outcome: Outcome,
    },
    /// Tell whoever watches. An event concerns every unsettled intent of its peer.
    Emit {
        /// About whom.
        peer: PeerId,
        /// What happened.
        event: Event,
    },
    /// The last action of a manager: nothing is left.
    Stopped,
}

/// How a session served an intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Completion {
    /// Every interest was reconciled wherever it overlaps the peer's.
    Complete,
    /// Some interests were.
    Partial,
    /// The peer has none of it.
    NothingInCommon,
}

/// How an intent ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Outcome {
    /// A session served it.
    Done(Completion),
    /// The user closed it.
    Closed,
    /// It failed.
    Failed(IntentError),
}

/// With which interests a connection is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Accept {
    /// Everything held ([`AcceptPolicy::Everyone`]).
    Everything,
    /// What the handler answered to this question. Kept by the driver until [`Action::ForgetDecision`].
    Decision(AttemptId),
}

/// The next attempt at a connection, as far as it is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Retry {
    /// When; `None`: not before the network, the page or a user says so.
    pub at: Option<Moment>,
    /// Which attempt in a row this is for the intent that is due first, from 1; those that cost nothing (after a duplicate) do not count.
    pub attempt: u32,
    /// How many attempts in a row that intent has; `None`: it never gives up.
    pub limit: Option<u32>,
}

/// News about a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Event {
    /// A dial began.
    Connecting,
    /// A connection is established and current.
    Established {
        /// This node's role.
        role: Role,
    },
    /// The current connection, or the attempt at one, failed.
    Disconnected {
        /// Why.
        cause: Cause,
        /// What follows; `None`: no intent waits for another attempt, or a connection of the peer's takes its place at once.
        retry: Option<Retry>,
    },
    /// Intents wait for the next attempt.
    Reconnecting {
        /// Why there is no connection.
        cause: Cause,
        /// The next attempt.
        retry: Retry,
    },
    /// The connection ended well.
    Terminated,
    /// Another device seems to use this node's key.
    IdentityInUse {
        /// The peer said so (code 9); otherwise a probe failed although the relay is connected.
        certain: bool,
    },
    /// Nothing connects this node with the peer any more; it leaves [`Manager::peers`](super::Manager::peers).
    Forgotten,
}

/// The state of the connection with a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum ConnectionState {
    /// No connection and no attempt at one.
    None,
    /// The accept handler is being asked.
    Deciding,
    /// Establishing, as the dialer.
    Dialing,
    /// Establishing, as the acceptor.
    Accepting,
    /// Established.
    Active,
    /// Saying goodbye.
    Terminating,
    /// Backing off.
    Waiting,
}

/// What there is to know about a peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerInfo {
    /// Which peer.
    pub peer: PeerId,
    /// The state of the connection.
    pub state: ConnectionState,
    /// This node's role on the current connection or attempt.
    pub role: Option<Role>,
    /// Since when the state is what it is.
    pub since: Moment,
    /// The current connection.
    pub conn: Option<ConnId>,
    /// The running session.
    pub session: Option<SessionId>,
    /// The unsettled intents.
    pub intents: Vec<IntentId>,
    /// Whether the running session has an accept intent.
    pub accepted: bool,
    /// When the next dial is due, in [`ConnectionState::Waiting`]; `None` there: not before something happens.
    pub next_attempt: Option<Moment>,
}

/// Why the manager wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Reason {
    /// An incoming connection must have said Hello (10 s).
    Hello,
    /// The accept handler must have answered (5 s).
    Decision,
    /// A dial must have succeeded (10 s).
    Dial,
    /// A held connection is promoted (3 s).
    Hold,
    /// An establish must have succeeded (10 s).
    Establish,
    /// An aborted session must have ended (5 s).
    Ending,
    /// A finishing session must have completed (10 s without progress).
    Finish,
    /// The goodbyes must have been exchanged (10 s).
    Goodbye,
    /// The next dial is due.
    Backoff,
    /// A probe must have been answered (5 s).
    Probe,
    /// The shutdown must be over (10 s).
    Shutdown,
}
