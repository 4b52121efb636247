//! Everything else that is promised: accepting, limits, reconnecting, waking, shutting down, and what can be watched.

use super::bench::*;
use crate::peers::*;
use crate::{IntentId, Role};

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
fn mistake_15_shutdown_lets_goodbyes_finish() {
    for background in [false, true] {
        let mut bench = Bench::asking(GREATER);
        bench.once(1);
        bench.establish(1, hello(5));
        bench.finish_intent(1);
        bench.complete();
        if background {
            bench.arrive(2, hello(6));
        }
        let actions = bench.put(Input::Shutdown);
        assert!(!closes(&actions, 1, CloseCode::ShuttingDown), "the peer may not have everything");
        assert_eq!(bench.put(Input::Terminated { conn: ConnId(1) }), [Action::Stopped]);
    }
}

#[test]
fn mistake_15_shutdown_is_over_in_time_even_if_nothing_else_were() {
    for (rule, intent) in [(Rule::EndingDeadline, true), (Rule::GoodbyeDeadline, false)] {
        let mut bench = Bench::new(GREATER);
        bench.manager.break_rule(rule);
        bench.arrive(1, hello(5));
        bench.establish(1, hello(5));
        if intent {
            bench.live(1);
        } else {
            bench.complete();
        }
        bench.put(Input::Shutdown);
        let actions = bench.wait_for(Reason::Shutdown);
        assert!(closes(&actions, 1, CloseCode::ShuttingDown));
        assert_eq!(actions.last(), Some(&Action::Stopped));
        bench.assert_nothing_is_left();
    }
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
fn own_intents_that_wait_accept_before_the_handler_is_heard() {
    let mut bench = Bench::asking(GREATER);
    bench.live(1);
    bench.fail(Cause::Unreachable);
    assert!(establishes(&bench.arrive(1, hello(1)), 1));
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
    let mut bench = Bench::with(GREATER, AcceptPolicy::Everyone, Limits { handshakes: 2, per_peer: 2, sessions: 9 });
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
fn limits_per_peer_leave_room_for_others() {
    let mut bench = Bench::with(GREATER, AcceptPolicy::Everyone, Limits { handshakes: 4, per_peer: 2, sessions: 9 });
    for conn in [1, 2, 3] {
        bench.put(Input::Incoming { conn: ConnId(conn) });
    }
    assert_eq!(bench.put(Input::Identified { conn: ConnId(2), peer: GREATER }), []);
    assert_eq!(bench.put(Input::Identified { conn: ConnId(1), peer: LESSER }), []);
    assert_eq!(bench.put(Input::Identified { conn: ConnId(3), peer: GREATER }), []);
    bench.put(Input::Incoming { conn: ConnId(4) });
    assert!(closes(&bench.put(Input::Identified { conn: ConnId(4), peer: GREATER }), 2, CloseCode::LimitExceeded));
    // The Hello of the one that gave way comes too late; the newer ones go on, and one that was read counts no more.
    assert!(closes(&bench.put(Input::HelloRead { conn: ConnId(2), peer: GREATER, generation: hello(1) }), 2, CloseCode::Duplicate));
    assert!(establishes(&bench.put(Input::HelloRead { conn: ConnId(3), peer: GREATER, generation: hello(2) }), 3));
    bench.put(Input::Incoming { conn: ConnId(5) });
    assert_eq!(bench.put(Input::Identified { conn: ConnId(5), peer: GREATER }), []);
    assert_eq!(bench.put(Input::Identified { conn: ConnId(3), peer: GREATER }), [], "a report of what was read already");
}

#[test]
fn limits_of_sessions_spare_own_intents_and_successors() {
    let mut bench = Bench::with(GREATER, AcceptPolicy::Everyone, Limits { handshakes: 9, per_peer: 9, sessions: 1 });
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
fn limits_of_sessions_do_not_count_the_peer_itself() {
    let mut bench = Bench::with(GREATER, AcceptPolicy::Everyone, Limits { sessions: 1, ..Limits::default() });
    bench.arrive(1, hello(1));
    bench.establish(1, hello(1));
    bench.complete();
    assert!(establishes(&bench.arrive(2, hello(2)), 2), "its last connection is saying goodbye");
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
    // Nor does it start again when a peer, or every peer, is forgotten.
    bench.put(Input::Disconnect { peer: LESSER });
    bench.put(Input::Disconnect { peer: GREATER });
    bench.complete();
    bench.put(Input::Terminated { conn: ConnId(1) });
    bench.assert_nothing_is_left();
    assert!(matches!(bench.once(3)[..], [Action::Dial { generation, .. }] if generation.counter == 4));
}

tests![
    mistake_15_shutdown_in_each_state,
    mistake_15_shutdown_does_not_wait_longer_than_ten_seconds_for_goodbyes,
    mistake_15_shutdown_lets_goodbyes_finish,
    mistake_15_shutdown_is_over_in_time_even_if_nothing_else_were,
    mistake_16_submission_after_shutdown_fails_at_once,
    own_intents_that_wait_accept_before_the_handler_is_heard,
    shutdown_closes_what_has_not_said_hello,
    an_accepted_session_ends_when_the_peer_has_finished,
    a_handlers_answer_is_kept_for_its_connection_and_its_successors,
    a_handlers_late_yes_joins_a_session_of_own_intents,
    a_handlers_no_only_omits_the_accept_intent_when_own_intents_wait,
    a_connection_that_is_lost_while_deciding_withdraws_the_question,
    limits_refuse_handshakes_before_they_cost_anything,
    limits_per_peer_leave_room_for_others,
    limits_of_sessions_spare_own_intents_and_successors,
    closing_all_intents_cancels_the_dial,
    disconnecting_ends_every_state,
    an_intent_is_submitted_once,
    limits_of_sessions_do_not_count_the_peer_itself,
    every_generation_is_greater_than_the_one_before,
];
