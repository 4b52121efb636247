//! Everything else that is promised: accepting, limits, reconnecting, waking, shutting down, and what can be watched.

use super::bench::*;
use crate::peers::*;
use crate::{IntentId, Mode, Role};

/// Every state a peer can be in, each on a bench of its own, with one own intent (1) where the state can have one.
pub(super) fn states() -> Vec<(&'static str, Bench)> {
    let mut states: Vec<(&'static str, Bench)> = Vec::new();
    let mut add = |name, mut bench: Bench, prepare: &dyn Fn(&mut Bench)| {
        prepare(&mut bench);
        states.push((name, bench));
    };
    add("none", Bench::new(GREATER), &|_| {});
    add("deciding", Bench::asking(GREATER), &|bench| {
        bench.arrive(1, hello(5));
    });
    add("dialing, lesser", Bench::new(GREATER), &|bench| {
        bench.live(1);
    });
    add("dialing, greater", Bench::new(LESSER), &|bench| {
        bench.live(1);
    });
    add("dialing, holding", Bench::new(LESSER), &|bench| {
        bench.live(1);
        bench.arrive(2, hello(4));
    });
    add("accepting", Bench::new(GREATER), &|bench| {
        bench.arrive(1, hello(5));
    });
    add("accepting for an intent, asking", Bench::asking(GREATER), &|bench| {
        bench.arrive(1, hello(5));
        bench.live(1);
    });
    add("active, dialed", Bench::new(GREATER), &|bench| {
        bench.live(1);
        bench.establish(1, hello(5));
    });
    add("active, accepted", Bench::new(GREATER), &|bench| {
        bench.arrive(1, hello(5));
        bench.establish(1, hello(5));
    });
    add("active, finishing", Bench::new(GREATER), &|bench| {
        bench.once(7);
        bench.establish(1, hello(5));
        bench.finish_intent(7);
        bench.live(1);
    });
    add("active, old session ending", Bench::new(GREATER), &|bench| {
        bench.live(1);
        bench.establish(9, hello(4));
        bench.arrive(1, hello(5));
        bench.establish(1, hello(5));
    });
    add("terminating", Bench::new(GREATER), &|bench| {
        bench.arrive(1, hello(5));
        bench.establish(1, hello(5));
        bench.complete();
    });
    add("terminating, queued", Bench::new(GREATER), &|bench| {
        bench.live(1);
        bench.establish(1, hello(5));
        bench.complete();
    });
    add("waiting", Bench::new(GREATER), &|bench| {
        bench.live(1);
        bench.fail(Cause::Unreachable);
    });
    add("waiting, session ending", Bench::new(GREATER), &|bench| {
        bench.live(1);
        bench.establish(1, hello(5));
        bench.lose(1, Cause::Lost);
    });
    states
}

#[test]
fn mistake_15_shutdown_in_each_state() {
    for patient in [true, false] {
        for (name, mut bench) in states() {
            let intents: Vec<IntentId> = bench.manager.peers().into_iter().flat_map(|info| info.intents).collect();
            let held = bench.manager.peers().first().is_some_and(|info| info.session.is_some());
            let mut actions = bench.put(Input::Shutdown);
            assert!(!dials(&actions), "{name}");
            assert_eq!(bench.put(Input::Shutdown), [], "{name}: idempotent");
            if held {
                assert_eq!(bench.manager.next_deadline().map(|(_, reason)| reason), Some(Reason::Ending), "{name}");
            }
            if patient {
                // Sessions and goodbyes end as asked.
                if bench.done.iter().any(|action| matches!(action, Action::StartSession { .. })) {
                    actions.extend(bench.end(Cause::LocallyClosed));
                }
                actions.extend(bench.put(Input::Terminated { conn: ConnId(1) }));
            }
            while let Some((at, _)) = bench.manager.next_deadline() {
                bench.now = bench.now.max(at);
                actions.extend(bench.put(Input::Tick));
            }
            assert!(bench.now.0 <= 11_000_000, "{name}: too late");
            assert_eq!(actions.iter().filter(|action| **action == Action::Stopped).count(), 1, "{name}: {actions:?}");
            assert_eq!(actions.last(), Some(&Action::Stopped), "{name}");
            for intent in intents {
                assert_eq!(bench.outcome(intent.0), Some(Outcome::Failed(IntentError::ShuttingDown)), "{name}");
            }
            bench.assert_nothing_is_left();
            assert_eq!(bench.put(Input::Shutdown), [], "{name}");
        }
    }
}

#[test]
fn mistake_15_shutdown_does_not_wait_longer_than_ten_seconds_for_goodbyes() {
    let mut bench = Bench::new(GREATER);
    bench.arrive(1, hello(5));
    bench.establish(1, hello(5));
    bench.complete();
    bench.pass(9_999);
    bench.peer = LESSER;
    bench.arrive(2, hello(5));
    bench.establish(2, hello(5));
    bench.put(Input::Shutdown);
    bench.wait_for(Reason::Goodbye);
    let actions = bench.wait_for(Reason::Ending);
    assert!(closes(&actions, 2, CloseCode::ShuttingDown));
    assert_eq!(actions.last(), Some(&Action::Stopped));
}

#[test]
fn mistake_16_submission_after_shutdown_fails_at_once() {
    let mut bench = Bench::new(GREATER);
    assert_eq!(bench.put(Input::Shutdown), [Action::Stopped]);
    bench.once(1);
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::ShuttingDown)));
    assert_eq!(bench.put(Input::Incoming { conn: ConnId(4) }), [Action::Refuse { conn: ConnId(4) }]);
    bench.assert_nothing_is_left();
}

#[test]
fn shutdown_closes_what_has_not_said_hello() {
    let mut bench = Bench::new(GREATER);
    bench.put(Input::Incoming { conn: ConnId(4) });
    let actions = bench.put(Input::Shutdown);
    assert!(closes(&actions, 4, CloseCode::ShuttingDown));
    assert_eq!(actions.last(), Some(&Action::Stopped));
    // Its Hello had been read meanwhile.
    let late = bench.put(Input::HelloRead { conn: ConnId(4), peer: GREATER, generation: hello(1) });
    assert!(closes(&late, 4, CloseCode::ShuttingDown));
}

#[test]
fn an_accepted_session_ends_when_the_peer_has_finished() {
    let mut bench = Bench::new(GREATER);
    assert!(establishes(&bench.arrive(1, hello(1)), 1));
    let started = bench.establish(1, hello(1));
    assert!(
        matches!(&started[..], [Action::StartSession { role: Role::Betty, accept: Some(Accept::Everything), intents, .. }] if intents.is_empty())
    );
    let session = bench.session();
    assert_eq!(bench.put(Input::PeerFinished { session }), [Action::FinishSession { session }]);
    assert_eq!(bench.put(Input::PeerFinished { session }), []);
    assert_eq!(bench.complete(), [Action::TerminateGracefully { conn: ConnId(1) }]);
    bench.put(Input::Terminated { conn: ConnId(1) });
    bench.assert_nothing_is_left();
}

#[test]
fn a_handlers_answer_is_kept_for_its_connection_and_its_successors() {
    let mut bench = Bench::asking(GREATER);
    bench.arrive(1, hello(1));
    let decision = bench.decision();
    assert!(establishes(&bench.put(Input::Decided { decision, accept: true }), 1));
    assert_eq!(bench.put(Input::Decided { decision, accept: true }), [], "said twice");
    bench.establish(1, hello(1));
    // Superseded: not asked again, the answer goes on.
    let actions = bench.arrive(2, hello(2));
    assert!(!actions.iter().any(|action| matches!(action, Action::AskHandler { .. } | Action::ForgetDecision { .. })));
    bench.end(Cause::LocallyClosed);
    let started = bench.establish(2, hello(2));
    assert!(matches!(&started[..], [Action::StartSession { accept: Some(Accept::Decision(used)), .. }] if *used == decision));
    bench.lose(2, Cause::Lost);
    assert!(bench.done.contains(&Action::ForgetDecision { decision }));
    bench.end(Cause::Lost);
    bench.assert_nothing_is_left();
}

#[test]
fn a_handlers_late_yes_joins_a_session_of_own_intents() {
    let mut bench = Bench::asking(GREATER);
    bench.arrive(1, hello(1));
    let decision = bench.decision();
    bench.live(1);
    bench.establish(1, hello(1));
    let session = bench.session();
    let joined = bench.put(Input::Decided { decision, accept: true });
    assert_eq!(joined, [Action::AddAccept { session, accept: Accept::Decision(decision) }]);
    bench.put(Input::CloseIntent { intent: IntentId(1) });
    assert_eq!(bench.state(), ConnectionState::Active, "the peer stays welcome");
}

#[test]
fn a_handlers_no_only_omits_the_accept_intent_when_own_intents_wait() {
    let mut bench = Bench::asking(GREATER);
    bench.live(1);
    let actions = bench.arrive(1, hello(1));
    assert!(establishes(&actions, 1));
    let decision = bench.decision();
    bench.put(Input::Decided { decision, accept: false });
    let started = bench.establish(1, hello(1));
    assert!(matches!(&started[..], [Action::StartSession { accept: None, intents, .. }] if intents[..] == [IntentId(1)]));
}

#[test]
fn a_connection_that_is_lost_while_deciding_withdraws_the_question() {
    let mut bench = Bench::asking(GREATER);
    bench.arrive(1, hello(1));
    let decision = bench.decision();
    assert_eq!(bench.lose(1, Cause::Lost), [Action::ForgetDecision { decision }]);
    bench.assert_nothing_is_left();
}

#[test]
fn limits_refuse_handshakes_before_they_cost_anything() {
    let mut bench = Bench::with(GREATER, AcceptPolicy::Everyone, Limits { handshakes: 2, sessions: 9 });
    for conn in [1, 2] {
        assert_eq!(bench.put(Input::Incoming { conn: ConnId(conn) }), [Action::ReadHello { conn: ConnId(conn) }]);
    }
    assert_eq!(bench.put(Input::Incoming { conn: ConnId(3) }), [Action::Refuse { conn: ConnId(3) }]);
    bench.lose(1, Cause::Lost);
    assert_eq!(bench.put(Input::Incoming { conn: ConnId(4) }), [Action::ReadHello { conn: ConnId(4) }]);
    let late = bench.wait_for(Reason::Hello);
    assert!(closes(&late, 2, CloseCode::Failed) && closes(&late, 4, CloseCode::Failed));
    bench.assert_nothing_is_left();
    assert!(closes(&bench.put(Input::HelloRead { conn: ConnId(4), peer: GREATER, generation: hello(1) }), 4, CloseCode::Duplicate));
}

#[test]
fn limits_of_sessions_spare_own_intents_and_successors() {
    let mut bench = Bench::with(GREATER, AcceptPolicy::Everyone, Limits { handshakes: 9, sessions: 1 });
    bench.arrive(1, hello(1));
    bench.establish(1, hello(1));
    bench.peer = LESSER;
    assert!(closes(&bench.arrive(2, hello(1)), 2, CloseCode::LimitExceeded));
    assert_eq!(bench.manager.peers().len(), 1, "nothing is kept of the other");
    // The same peer with a newer connection is not one more.
    bench.peer = GREATER;
    assert!(establishes(&bench.arrive(3, hello(2)), 3));
    // And whom we want to talk to ourselves is let in.
    bench.peer = LESSER;
    bench.live(1);
    bench.fail(Cause::Unreachable);
    assert!(establishes(&bench.arrive(4, hello(1)), 4));
}

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
fn reconnect_attempts_start_again_only_after_a_minute_of_session() {
    for (millis, survives) in [(59_000, false), (60_000, true)] {
        let mut bench = Bench::new(GREATER);
        bench.submit(1, Mode::Live, ReconnectPolicy { attempts: 1, ..ReconnectPolicy::ALWAYS });
        bench.fail(Cause::Unreachable);
        bench.wait_for(Reason::Backoff);
        bench.establish(1, hello(1));
        bench.pass(millis);
        bench.lose(1, Cause::Lost);
        bench.end(Cause::Lost);
        assert_eq!(bench.outcome(1).is_none(), survives);
    }
}

#[test]
fn reconnect_events_tell_cause_and_next_attempt() {
    let mut bench = Bench::new(GREATER);
    bench.submit(1, Mode::Live, ReconnectPolicy { jitter: 0.0, ..ReconnectPolicy::ALWAYS });
    bench.establish(1, hello(1));
    bench.lose(1, Cause::Lost);
    let at = bench.now.after_millis(500);
    assert_eq!(
        bench.events,
        [
            Event::Connecting,
            Event::Established { role: Role::Alfie },
            Event::Disconnected { cause: Cause::Lost },
            Event::Reconnecting { at: Some(at) }
        ]
    );
    let info = &bench.manager.peers()[0];
    assert_eq!((info.state, info.next_attempt, info.since), (ConnectionState::Waiting, Some(at), bench.now));
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
        assert_eq!(bench.events.last(), Some(&Event::Reconnecting { at: None }));
        assert_eq!(bench.manager.next_deadline(), None);
        assert_eq!(bench.put(Input::Tick), []);
        assert!(dials(&bench.put(back)));
    }
}

#[test]
fn reconnect_waits_that_lose_their_timer_or_get_it_back_are_told() {
    for (leave, back) in [(Input::Hidden, Input::Visible), (Input::Offline, Input::Online), (Input::Frozen, Input::Resumed)] {
        let mut bench = Bench::new(GREATER);
        bench.live(1);
        bench.fail(Cause::Closed(CloseCode::LimitExceeded)); // a wait that nothing cuts short
        let at = bench.manager.next_deadline().map(|(at, _)| at);
        assert!(at.is_some());
        assert_eq!(bench.put(leave.clone()), []);
        assert_eq!(bench.events.last(), Some(&Event::Reconnecting { at: None }));
        let told = bench.events.len();
        bench.put(leave);
        assert_eq!(bench.events.len(), told, "once");
        assert_eq!(bench.put(back), []);
        assert_eq!(bench.events.last(), Some(&Event::Reconnecting { at }));
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
fn closing_all_intents_cancels_the_dial() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.live(2);
    assert!(!cancels(&bench.put(Input::CloseIntent { intent: IntentId(1) }), CloseCode::Failed));
    assert!(cancels(&bench.put(Input::CloseIntent { intent: IntentId(2) }), CloseCode::Failed));
    assert_eq!((bench.outcome(1), bench.outcome(2)), (Some(Outcome::Closed), Some(Outcome::Closed)));
    bench.assert_nothing_is_left();
}

#[test]
fn disconnecting_ends_every_state() {
    for (name, mut bench) in states() {
        let peer = bench.peer;
        let intents: Vec<IntentId> = bench.manager.peers().into_iter().flat_map(|info| info.intents).collect();
        bench.put(Input::Disconnect { peer });
        for intent in intents {
            assert_eq!(bench.outcome(intent.0), Some(Outcome::Closed), "{name}");
        }
        while let Some((at, _)) = bench.manager.next_deadline() {
            bench.now = bench.now.max(at);
            assert!(!dials(&bench.put(Input::Tick)), "{name}");
        }
        bench.assert_nothing_is_left();
    }
}

#[test]
fn an_intent_is_submitted_once() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.peer = LESSER;
    assert_eq!(bench.once(1), []);
    assert_eq!(bench.manager.peers().len(), 1);
}

#[test]
fn every_generation_is_greater_than_the_one_before() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.arrive(1, hello(1));
    bench.establish(1, hello(1));
    bench.peer = LESSER;
    bench.live(2);
    let counters: Vec<u64> = bench
        .done
        .iter()
        .filter_map(|action| match action {
            Action::Dial { generation, .. } | Action::Establish { generation, .. } => Some(generation.counter),
            _ => None,
        })
        .collect();
    assert_eq!(counters, [1, 2, 3]);
}
