//! The rules of the manager by name, so that tests and simulations can break one on purpose and see that it is missed.
//!
//! In every other build a machine keeps all of them: [`Core::keeps`] is then `true`, and nothing of this is left.

use crate::Generation;

use super::{Cause, Reason, ReconnectPolicy, code::After, peer::Core};

macro_rules! rules {
    ($($(#[doc = $text:literal])+ $name:ident,)*) => {
        /// A rule of the manager that a test or a simulation can break on purpose.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub enum Rule {
            $($(#[doc = $text])+ $name,)*
        }

        #[cfg(any(test, feature = "sim"))]
        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The rule in words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($text),+).trim_ascii(),)*
                }
            }
        }
    };
}

rules! {
    /// An incoming connection must say Hello in time.
    HelloDeadline,
    /// An accept handler must answer in time.
    DecisionDeadline,
    /// A dial must succeed in time.
    DialDeadline,
    /// A held connection is promoted when its time has come.
    HoldDeadline,
    /// An establish must succeed in time.
    EstablishDeadline,
    /// A session that is to end is forced after a while.
    EndingDeadline,
    /// A session that finishes must complete in time.
    FinishDeadline,
    /// Goodbyes must be exchanged in time.
    GoodbyeDeadline,
    /// A backoff ends.
    BackoffDeadline,
    /// A probe must be answered in time.
    ProbeDeadline,
    /// A shutdown is over in time, whatever happens.
    ShutdownDeadline,

    /// An intent dials if there is no connection and no attempt at one.
    IntentDials,
    /// An intent joins the running session.
    IntentJoinsSession,
    /// An intent that is submitted while the handler is asked accepts the connection at once.
    IntentAccepts,
    /// What is queued joins the session that starts.
    QueueJoinsSession,
    /// Only the session that owns an intent reports its end.
    OneOwner,
    /// A dial without an intent is cancelled.
    IdleDialIsCancelled,
    /// A session without an intent finishes.
    IdleSessionFinishes,
    /// A node is not its own peer.
    NotOneself,

    /// A result of an attempt counts only while the attempt is current.
    AttemptIds,
    /// What a stale attempt established is closed.
    StaleIsClosed,
    /// A generation is compared by instance first, then by counter.
    InstanceIsCompared,
    /// The counter is never reset, whoever is forgotten.
    CounterIsKept,
    /// The counter is raised for an accept, too.
    AcceptRaises,
    /// A newer connection replaces the one being decided.
    NewerReplacesDecided,
    /// Simultaneous open: the lesser side gives up its dial.
    LesserGivesUp,
    /// Simultaneous open: the greater side holds the other connection.
    GreaterHolds,
    /// Of several other connections the newest is held.
    NewestIsHeld,
    /// A held connection is closed when the own one is established.
    HeldIsClosed,
    /// A held connection that is newer than the established one takes its place.
    NewerHeldWins,
    /// A held connection is promoted when the own dial fails, and spares the intents.
    HeldIsPromoted,
    /// A newer connection supersedes.
    NewerSupersedes,
    /// A connection that is not newer is a leftover: closed as duplicate.
    OlderIsLeftover,
    /// What is superseded is closed with code 9.
    SupersededCode,
    /// A superseded session's intents are carried over.
    IntentsAreCarriedOver,
    /// An attempt that ended leaves its state.
    AttemptEnds,
    /// A failed accept spares own intents.
    FailedAcceptSparesIntents,
    /// A failure concerns one peer.
    FailuresStayLocal,

    /// A session starts only when the one before has ended.
    OneSession,
    /// What a completed session never processed returns to the queue.
    UnprocessedReturns,
    /// A once-intent comes back from completed sessions a bounded number of times.
    ReturnsAreBounded,
    /// A session that ends without completion is a loss.
    EndWithoutCompletion,
    /// A completed session says goodbye.
    GracefulGoodbye,
    /// A goodbye goes on in the background when another connection comes.
    GoodbyeInBackground,
    /// After the goodbye the queue is dialed for.
    RedialAfterGoodbye,
    /// A peer of which nothing is left is forgotten.
    PeersAreForgotten,

    /// One loss, told twice, costs one attempt.
    OneLossOneAttempt,
    /// A loss costs those in the queue nothing.
    LossSparesQueue,
    /// What failed is tried again, as the policy says.
    Retry,
    /// The policy's attempts are a limit.
    AttemptLimit,
    /// Only a minute of session makes up for failures.
    MinuteResets,
    /// Waits grow.
    BackoffGrows,
    /// Waits are random in part.
    BackoffJitters,
    /// A duplicate costs no attempt.
    DuplicateIsFree,
    /// Not even duplicates go on for ever.
    FreeRetriesEnd,
    /// After a good end a live intent rests.
    GoodEndRests,
    /// A refusal, a version or a violation is the end.
    TerminalCodes,
    /// After codes 7 and 9 the wait is longer.
    LongerWaits,
    /// A loss and the next attempt are told.
    LossIsTold,
    /// Code 9 is told as identity in use.
    IdentityIsTold,
    /// A failed probe while the relay is connected is told as identity in use, perhaps.
    SilenceIsTold,

    /// Handshakes are limited.
    HandshakeLimit,
    /// Handshakes of one peer are limited: the oldest gives way.
    PeerLimit,
    /// Sessions are limited.
    SessionLimit,
    /// The handler is asked.
    HandlerIsAsked,
    /// A successor's handler is not asked again.
    HandlerIsAskedOnce,
    /// Own intents accept, whatever the handler says.
    IntentsOverrideHandler,
    /// A refusal has its code.
    RefusalCode,
    /// A late handler is no refusal: code 1.
    LateHandlerCode,
    /// The accept intent dies with its connection.
    AcceptDies,

    /// While hidden, offline or frozen, what waits has no timer.
    AwayWaits,
    /// Online or visible again: waits are cut short.
    BackCutsWaits,
    /// A timer that is far too late means that the machine slept.
    SleepIsNoticed,
    /// Deadlines are extended after sleep.
    WakingExtends,
    /// Connections are probed after sleep.
    WakingProbes,

    /// Shutdown cancels dials.
    ShutdownCancels,
    /// Shutdown ends sessions.
    ShutdownAborts,
    /// Shutdown settles what is queued.
    ShutdownSettles,
    /// Nothing new begins after shutdown.
    ShutdownAdmitsNothing,
    /// Shutdown is over as soon as nothing is left.
    ShutdownIsPrompt,
    /// A second shutdown does nothing.
    ShutdownIsIdempotent,
}

impl Reason {
    /// The rule that this deadline is kept.
    fn rule(self) -> Rule {
        match self {
            Self::Hello => Rule::HelloDeadline,
            Self::Decision => Rule::DecisionDeadline,
            Self::Dial => Rule::DialDeadline,
            Self::Hold => Rule::HoldDeadline,
            Self::Establish => Rule::EstablishDeadline,
            Self::Ending => Rule::EndingDeadline,
            Self::Finish => Rule::FinishDeadline,
            Self::Goodbye => Rule::GoodbyeDeadline,
            Self::Backoff => Rule::BackoffDeadline,
            Self::Probe => Rule::ProbeDeadline,
            Self::Shutdown => Rule::ShutdownDeadline,
        }
    }
}

/// The rules that a machine breaks: one bit each.
#[cfg(any(test, feature = "sim"))]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Broken(u128);

#[cfg(any(test, feature = "sim"))]
impl super::Manager {
    /// Break a rule from now on.
    pub fn break_rule(&mut self, rule: Rule) {
        self.core.broken.0 |= 1 << rule as u32;
    }
}

impl Core {
    /// Whether this machine keeps the rule.
    #[cfg(any(test, feature = "sim"))]
    pub(super) fn keeps(&self, rule: Rule) -> bool {
        self.broken.0 & (1 << rule as u32) == 0
    }

    /// Whether this machine keeps the rule: always.
    #[cfg(not(any(test, feature = "sim")))]
    pub(super) const fn keeps(&self, _: Rule) -> bool {
        true
    }

    /// Whether deadlines of this kind are kept.
    pub(super) fn keeps_deadline(&self, reason: Reason) -> bool {
        self.keeps(reason.rule())
    }

    /// Whether one Hello is newer than another of the same key.
    pub(super) fn newer(&self, hello: Generation, known: Generation) -> bool {
        if self.keeps(Rule::InstanceIsCompared) { hello > known } else { hello.counter > known.counter }
    }

    /// What follows from a cause.
    pub(super) fn after(&self, cause: Cause) -> After {
        match cause.after() {
            After::Terminal if !self.keeps(Rule::TerminalCodes) => After::Backoff,
            After::Longer if !self.keeps(Rule::LongerWaits) => After::Backoff,
            After::FirstStep if !self.keeps(Rule::DuplicateIsFree) => After::Backoff,
            After::Rest if !self.keeps(Rule::GoodEndRests) => After::FirstStep,
            after @ (After::Backoff | After::Longer | After::FirstStep | After::Rest | After::Terminal) => after,
        }
    }

    /// The wait before the `step`th attempt in a row, in microseconds.
    pub(super) fn delay(&mut self, mut policy: ReconnectPolicy, step: u32) -> u64 {
        if !self.keeps(Rule::BackoffGrows) {
            policy.factor = 1.0;
        }
        if !self.keeps(Rule::BackoffJitters) {
            policy.jitter = 0.0;
        }
        policy.delay(step, &mut self.jitter)
    }
}
