//! The table of close codes and causes, row by row, and the arithmetic of the reconnect policy.

use super::bench::*;
use crate::peers::{policy::Jitter, *};
use crate::{Mode, Moment};

#[test]
fn codes_and_numbers_are_the_same() {
    for (number, code) in CloseCode::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(code.number()), number);
        assert_eq!(CloseCode::from_number(number as u64), Some(code));
    }
    assert_eq!(CloseCode::from_number(10), None);
    assert_eq!(CloseCode::from_number(u64::MAX), None);
}

/// A dial for one intent of this mode and policy fails for this cause.
fn dial_fails(mode: Mode, policy: ReconnectPolicy, cause: Cause) -> Bench {
    let mut bench = Bench::new(GREATER);
    bench.submit(1, mode, policy);
    bench.fail(cause);
    bench
}

fn wait(bench: &Bench) -> Option<u64> {
    bench.manager.next_deadline().map(|(at, _)| at.micros_since(bench.now) / 1000)
}

#[test]
fn after_each_cause_a_patient_intent_waits_as_the_table_says() {
    let patient = ReconnectPolicy { jitter: 0.0, ..ReconnectPolicy::ALWAYS };
    let rows = [
        (Cause::Closed(CloseCode::EndpointClosed), 500),
        (Cause::Closed(CloseCode::Failed), 500),
        (Cause::Closed(CloseCode::ShuttingDown), 500),
        (Cause::Closed(CloseCode::Duplicate), 500),
        (Cause::Closed(CloseCode::Ok), 30_000),
        (Cause::Closed(CloseCode::LimitExceeded), 10_000),
        (Cause::Closed(CloseCode::Superseded), 10_000),
        (Cause::RefusedBeforeHandshake, 10_000),
        (Cause::ClosedUnknown(77), 500),
        (Cause::Unreachable, 500),
        (Cause::Lost, 500),
        (Cause::Failed("storage"), 500),
        (Cause::LocallyClosed, 500),
    ];
    for (cause, millis) in rows {
        let bench = dial_fails(Mode::Live, patient, cause);
        assert_eq!((bench.state(), bench.outcome(1)), (ConnectionState::Waiting, None), "{cause:?}");
        assert_eq!(wait(&bench), Some(millis), "{cause:?}");
    }
}

#[test]
fn terminal_causes_end_the_most_patient_intent() {
    let rows = [
        (Cause::Closed(CloseCode::Refused), IntentError::Refused),
        (Cause::Closed(CloseCode::UnsupportedVersion), IntentError::UnsupportedVersion),
        (Cause::NoCommonVersion, IntentError::UnsupportedVersion),
        (Cause::Closed(CloseCode::ProtocolViolation), IntentError::ProtocolViolation("reportedByPeer")),
        (Cause::Violation("badFrame"), IntentError::ProtocolViolation("badFrame")),
    ];
    for (cause, error) in rows {
        for mode in [Mode::Once, Mode::Live] {
            let bench = dial_fails(mode, ReconnectPolicy::ALWAYS, cause);
            assert_eq!(bench.outcome(1), Some(Outcome::Failed(error)), "{cause:?}");
            bench.assert_nothing_is_left();
        }
    }
}

#[test]
fn an_intent_without_attempts_fails_with_the_error_of_the_cause() {
    let rows = [
        (Cause::Unreachable, IntentError::Unreachable(Cause::Unreachable)),
        (Cause::Closed(CloseCode::ShuttingDown), IntentError::Unreachable(Cause::Closed(CloseCode::ShuttingDown))),
        (Cause::Closed(CloseCode::LimitExceeded), IntentError::LimitExceeded),
        (Cause::RefusedBeforeHandshake, IntentError::LimitExceeded),
        (Cause::Closed(CloseCode::Superseded), IntentError::IdentityInUse),
    ];
    for (cause, error) in rows {
        let bench = dial_fails(Mode::Live, ReconnectPolicy::NEVER, cause);
        assert_eq!(bench.outcome(1), Some(Outcome::Failed(error)), "{cause:?}");
        bench.assert_nothing_is_left();
    }
}

#[test]
fn a_duplicate_costs_no_attempt_but_not_for_ever() {
    let mut bench = dial_fails(Mode::Once, ReconnectPolicy::NEVER, Cause::Closed(CloseCode::Duplicate));
    for _ in 0..1000 {
        if bench.outcome(1).is_some() {
            break;
        }
        bench.wait_for(Reason::Backoff);
        bench.fail(Cause::Closed(CloseCode::Duplicate));
    }
    let cause = Cause::Closed(CloseCode::Duplicate);
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Unreachable(cause))));
    assert!(bench.now.micros_since(Moment(1_000_000)) > 60_000_000);
    bench.assert_nothing_is_left();
}

#[test]
fn what_this_node_finds_it_closes_with_the_code_of_the_rule() {
    assert_eq!(Cause::Violation("x").close_code(), CloseCode::ProtocolViolation);
    assert_eq!(Cause::NoCommonVersion.close_code(), CloseCode::UnsupportedVersion);
    for cause in [Cause::Lost, Cause::Unreachable, Cause::Failed("x"), Cause::Closed(CloseCode::Ok), Cause::Deadline(Reason::Dial)] {
        assert_eq!(cause.close_code(), CloseCode::Failed);
    }
}

#[test]
fn reconnect_delays_grow_up_to_the_cap() {
    let policy = ReconnectPolicy { first_delay: 100, factor: 3.0, cap: 1000, jitter: 0.0, attempts: 9 };
    let delays: Vec<_> = (1..6).map(|step| policy.delay(step, &mut Jitter(1))).collect();
    assert_eq!(delays, [100, 300, 900, 1000, 1000]);
}

#[test]
fn reconnect_jitter_is_seeded_and_bounded() {
    let policy = ReconnectPolicy { first_delay: 1_000_000, factor: 1.0, cap: 1_000_000, jitter: 0.5, attempts: 9 };
    let draw = |seed| {
        let mut jitter = Jitter(seed);
        (0..100).map(|_| policy.delay(1, &mut jitter)).collect::<Vec<_>>()
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
    assert!(draw(7).iter().all(|&delay| (500_000..=1_000_000).contains(&delay)));
    assert!(draw(7).iter().max() > Some(&900_000) && draw(7).iter().min() < Some(&600_000));
}

#[test]
fn reconnect_policies_out_of_range_are_harmless() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
        let policy = ReconnectPolicy { first_delay: u64::MAX, factor: bad, cap: u64::MAX, jitter: bad, attempts: 1 };
        for step in [0, 1, 64, u32::MAX] {
            policy.delay(step, &mut Jitter(1));
        }
        let short = ReconnectPolicy { first_delay: 10, cap: 20, ..policy };
        assert!(short.delay(u32::MAX, &mut Jitter(1)) <= 20);
    }
}

tests![
    codes_and_numbers_are_the_same,
    after_each_cause_a_patient_intent_waits_as_the_table_says,
    terminal_causes_end_the_most_patient_intent,
    an_intent_without_attempts_fails_with_the_error_of_the_cause,
    a_duplicate_costs_no_attempt_but_not_for_ever,
    what_this_node_finds_it_closes_with_the_code_of_the_rule,
    reconnect_delays_grow_up_to_the_cap,
    reconnect_jitter_is_seeded_and_bounded,
    reconnect_policies_out_of_range_are_harmless,
];
