//! Losses, waits, attempts, and what the network, the page and sleep do to them.

use super::bench::*;
use crate::peers::*;
use crate::{Mode, Role};

#[test]
fn reconnect_backs_off_counts_and_gives_up() {
    let policy = ReconnectPolicy { jitter: 0.0, attempts: 3, ..ReconnectPolicy::ALWAYS };
    let mut bench = Bench::new(GREATER);
    bench.submit(1, Mode::Live, policy);
    let mut waits = Vec::new();
    while bench.outcome(1).is_none() {
        bench.fail(Cause::Unreachable);
        if bench.outcome(1).is_none() {
            let before = bench.now;
            assert!(dials(&bench.wait_for(Reason::Backoff)));
            waits.push(bench.now.micros_since(before) / 1000);
        }
    }
    assert_eq!(waits, [500, 1000, 2000]);
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Unreachable(Cause::Unreachable))));
    bench.assert_nothing_is_left();
}

#[test]
fn reconnect_waits_are_random_in_part() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    let waits = [1, 2].map(|_| {
        bench.fail(Cause::Unreachable);
        let before = bench.now;
        bench.wait_for(Reason::Backoff);
        bench.now.micros_since(before)
    });
    assert!((250_000..500_000).contains(&waits[0]) && (500_000..1_000_000).contains(&waits[1]), "{waits:?}");
    assert_ne!(waits[1], 2 * waits[0]);
}

#[test]
fn reconnect_attempts_start_again_only_after_a_minute_of_session() {
    for (millis, ends_well, survives) in [(59_000, false, false), (60_000, false, true), (59_000, true, false), (60_000, true, true)] {
        let mut bench = Bench::new(GREATER);
        bench.submit(1, Mode::Live, ReconnectPolicy { attempts: 1, ..ReconnectPolicy::ALWAYS });
        bench.fail(Cause::Unreachable);
        bench.wait_for(Reason::Backoff);
        bench.establish(1, hello(1));
        bench.pass(millis);
        if ends_well {
            bench.complete();
            bench.put(Input::Terminated { conn: ConnId(1) });
            bench.wait_for(Reason::Backoff);
            bench.fail(Cause::Unreachable);
        } else {
            bench.lose(1, Cause::Lost);
            bench.end(Cause::Lost);
        }
        assert_eq!(bench.outcome(1).is_none(), survives, "{millis} {ends_well}");
    }
}

#[test]
fn reconnect_events_tell_cause_and_next_attempt() {
    let mut bench = Bench::new(GREATER);
    bench.submit(1, Mode::Live, ReconnectPolicy { jitter: 0.0, ..ReconnectPolicy::ALWAYS });
    bench.establish(1, hello(1));
    bench.lose(1, Cause::Lost);
    let at = bench.now.after_millis(500);
    let retry = Retry { at: Some(at), attempt: 1, limit: None };
    assert_eq!(
        bench.events,
        [
            Event::Connecting,
            Event::Established { role: Role::Alfie },
            Event::Disconnected { cause: Cause::Lost, retry: Some(retry) },
            Event::Reconnecting { cause: Cause::Lost, retry }
        ]
    );
    let info = &bench.manager.peers()[0];
    assert_eq!((info.state, info.next_attempt, info.since), (ConnectionState::Waiting, Some(at), bench.now));
}

#[test]
fn reconnect_events_count_the_attempts_up_to_the_limit() {
    let mut bench = Bench::new(GREATER);
    bench.submit(1, Mode::Live, ReconnectPolicy { attempts: 2, ..ReconnectPolicy::ALWAYS });
    for attempt in [Some(1), Some(2), None] {
        bench.fail(Cause::Unreachable);
        let told = bench.events.iter().rev().find_map(|event| match event {
            Event::Disconnected { cause: Cause::Unreachable, retry } => Some(*retry),
            _ => None,
        });
        assert_eq!(told.flatten().map(|retry| (retry.attempt, retry.limit)), attempt.map(|attempt| (attempt, Some(2))));
        if attempt.is_some() {
            bench.wait_for(Reason::Backoff);
        }
    }
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Unreachable(Cause::Unreachable))));
}

#[test]
fn reconnect_is_cut_short_by_a_new_intent_the_network_and_the_page() {
    let cuts: [fn(&mut Bench) -> Vec<Action>; 5] = [
        |bench| bench.once(2),
        |bench| bench.put(Input::Online),
        |bench| bench.put(Input::Visible),
        |bench| bench.put(Input::Resumed),
        |bench| bench.put(Input::Woken),
    ];
    for cut in cuts {
        let mut bench = Bench::new(GREATER);
        bench.live(1);
        bench.fail(Cause::Unreachable);
        assert!(dials(&cut(&mut bench)));
    }
}

#[test]
fn reconnect_waits_without_a_timer_while_hidden_offline_or_frozen() {
    for (leave, back) in [(Input::Hidden, Input::Visible), (Input::Offline, Input::Online), (Input::Frozen, Input::Resumed)] {
        let mut bench = Bench::new(GREATER);
        bench.live(1);
        bench.establish(1, hello(1));
        bench.put(leave);
        bench.lose(1, Cause::Lost);
        bench.end(Cause::Lost);
        assert!(matches!(bench.events.last(), Some(Event::Reconnecting { cause: Cause::Lost, retry: Retry { at: None, .. } })));
        assert_eq!(bench.manager.next_deadline(), None);
        assert_eq!(bench.put(Input::Tick), []);
        assert!(dials(&bench.put(back)));
    }
}

#[test]
fn reconnect_waits_that_lose_their_timer_or_get_it_back_are_told() {
    let told = |bench: &Bench| match bench.events.last() {
        Some(Event::Reconnecting { retry, .. }) => Some(retry.at),
        _ => None,
    };
    for (leave, back) in [(Input::Hidden, Input::Visible), (Input::Offline, Input::Online), (Input::Frozen, Input::Resumed)] {
        let mut bench = Bench::new(GREATER);
        bench.live(1);
        bench.fail(Cause::Closed(CloseCode::LimitExceeded)); // a wait that nothing cuts short
        let at = bench.manager.next_deadline().map(|(at, _)| at);
        assert!(at.is_some());
        assert_eq!(bench.put(leave.clone()), []);
        assert_eq!(told(&bench), Some(None));
        let events = bench.events.len();
        bench.put(leave);
        assert_eq!(bench.events.len(), events, "once");
        assert_eq!(bench.put(back), []);
        assert_eq!(told(&bench), Some(at));
    }
}

#[test]
fn reconnect_waits_for_a_hidden_page_although_its_timers_are_late() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.put(Input::Hidden);
    bench.fail(Cause::Unreachable);
    assert_eq!(bench.put(Input::Woken), []);
    assert!(dials(&bench.put(Input::Visible)));

    // Browsers run the timers of a hidden page once a minute: a deadline counts all the same.
    bench.put(Input::Hidden);
    bench.pass(60_000);
    assert!(cancels(&bench.put(Input::Tick), CloseCode::Failed));
}

#[test]
fn reconnect_does_not_dial_into_a_network_that_is_gone() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.put(Input::Offline);
    bench.fail(Cause::Unreachable);
    assert_eq!(bench.put(Input::Visible), []);
    assert!(dials(&bench.put(Input::Online)));
}

#[test]
fn reconnect_after_a_good_end_rests_half_a_minute() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    let session = bench.session();
    bench.put(Input::PeerFinished { session });
    bench.complete();
    bench.pass(1_000);
    bench.put(Input::Terminated { conn: ConnId(1) });
    assert_eq!(bench.manager.next_deadline(), Some((bench.now.after_millis(30_000), Reason::Backoff)));
    assert_eq!(bench.put(Input::Online), [], "a rest is a rest");
    assert!(dials(&bench.once(2)), "a new intent dials at once");
}

#[test]
fn reconnect_after_a_good_end_a_once_intent_dials_at_once_but_not_for_ever() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    for round in 1..=4 {
        bench.establish(round, hello(round));
        let session = bench.session();
        bench.put(Input::PeerFinished { session });
        bench.complete();
        assert_eq!(dials(&bench.put(Input::Terminated { conn: ConnId(round) })), round < 4);
    }
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Unfinished)));
    bench.assert_nothing_is_left();
}

#[test]
fn reconnect_after_superseded_waits_longer_and_tells() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    bench.lose(1, Cause::Closed(CloseCode::Superseded));
    assert!(bench.events.contains(&Event::IdentityInUse { certain: true }));
    bench.end(Cause::Lost);
    assert_eq!(bench.put(Input::Visible), []);
    let (at, reason) = bench.manager.next_deadline().unwrap();
    assert_eq!(reason, Reason::Backoff);
    assert!(at.micros_since(bench.now) >= 10_000_000);
}

#[test]
fn reconnect_a_hasty_intent_does_not_spend_the_attempts_of_a_patient_one() {
    let patient = ReconnectPolicy { first_delay: 60_000_000, cap: 60_000_000, jitter: 0.0, factor: 1.0, attempts: 1 };
    let mut bench = Bench::new(GREATER);
    bench.submit(1, Mode::Live, patient);
    bench.fail(Cause::Unreachable);
    bench.once(2);
    bench.fail(Cause::Unreachable);
    assert_eq!(bench.outcome(2), Some(Outcome::Failed(IntentError::Unreachable(Cause::Unreachable))));
    assert_eq!((bench.state(), bench.outcome(1)), (ConnectionState::Waiting, None));
}

#[test]
fn waking_extends_deadlines_and_probes() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    bench.peer = LESSER;
    bench.live(2);
    bench.pass(3_600_000);
    // The timer of the dial is an hour late: nothing is lost, the living are asked.
    let actions = bench.put(Input::Tick);
    assert!(matches!(actions[..], [Action::Probe { .. }]), "{actions:?}");
    assert_eq!(bench.state(), ConnectionState::Dialing);
    let [Action::Probe { session }] = actions[..] else { panic!() };
    bench.put(Input::ProbeAnswered { session });
    assert_eq!(bench.manager.next_deadline(), Some((bench.now.after_millis(5_000), Reason::Dial)));
    assert!(cancels(&bench.wait_for(Reason::Dial), CloseCode::Failed));
}

#[test]
fn a_probe_without_answer_is_a_loss() {
    for relay in [true, false] {
        let mut bench = Bench::new(GREATER);
        bench.live(1);
        bench.establish(1, hello(1));
        bench.put(Input::Relay { connected: relay });
        bench.put(Input::Resumed);
        assert!(closes(&bench.wait_for(Reason::Probe), 1, CloseCode::Failed));
        assert_eq!(bench.state(), ConnectionState::Waiting);
        assert_eq!(bench.events.contains(&Event::IdentityInUse { certain: false }), relay);
    }
}

#[test]
fn reconnect_does_not_go_on_for_ever_when_every_session_is_closed_as_duplicate() {
    let duplicate = Cause::Closed(CloseCode::Duplicate);
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    for round in 1..1000 {
        bench.establish(round, hello(round));
        bench.lose(round, duplicate);
        bench.end(duplicate);
        if bench.outcome(1).is_some() {
            break;
        }
        bench.wait_for(Reason::Backoff);
    }
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Lost(duplicate))));
    bench.assert_nothing_is_left();
}

#[test]
fn waking_probes_a_connection_whose_session_has_yet_to_start() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    bench.arrive(2, hello(2));
    bench.establish(2, hello(2));
    assert_eq!(bench.put(Input::Resumed), [], "the old session is ending");
    let started = bench.end(Cause::LocallyClosed);
    assert!(matches!(started[..], [Action::StartSession { .. }, Action::Probe { .. }]), "{started:?}");
    assert!(closes(&bench.wait_for(Reason::Probe), 2, CloseCode::Failed));
}

tests![
    reconnect_waits_are_random_in_part,
    reconnect_backs_off_counts_and_gives_up,
    reconnect_attempts_start_again_only_after_a_minute_of_session,
    reconnect_events_tell_cause_and_next_attempt,
    reconnect_events_count_the_attempts_up_to_the_limit,
    reconnect_is_cut_short_by_a_new_intent_the_network_and_the_page,
    reconnect_waits_without_a_timer_while_hidden_offline_or_frozen,
    reconnect_does_not_dial_into_a_network_that_is_gone,
    reconnect_after_a_good_end_rests_half_a_minute,
    reconnect_after_a_good_end_a_once_intent_dials_at_once_but_not_for_ever,
    reconnect_after_superseded_waits_longer_and_tells,
    reconnect_a_hasty_intent_does_not_spend_the_attempts_of_a_patient_one,
    waking_extends_deadlines_and_probes,
    a_probe_without_answer_is_a_loss,
    reconnect_does_not_go_on_for_ever_when_every_session_is_closed_as_duplicate,
    waking_probes_a_connection_whose_session_has_yet_to_start,
];
