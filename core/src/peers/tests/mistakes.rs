//! The numbered mistakes of an earlier design, as far as they concern the manager: each has a test that fails without its rule.
//! Mistake 11 (slow consumers) and most of 21 (malformed peers) concern the driver and the session; 15 and 16 stand in `rules`, 23 in
//! `random`. That each fails without its rule is shown in `caught`.

use super::bench::*;
use crate::peers::*;
use crate::{IntentId, Mode, SessionId};

#[test]
fn mistake_01_stale_results_are_cleaned_up_and_ignored() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    let old = bench.attempt();
    bench.wait_for(Reason::Dial);
    bench.wait_for(Reason::Backoff);
    assert_ne!(bench.attempt(), old);
    // The first dial succeeds after all: its connection is closed, the second goes on.
    let late = bench.put(Input::Established { attempt: old, conn: ConnId(70), generation: hello(1) });
    assert!(closes(&late, 70, CloseCode::Duplicate) && late.len() == 1);
    assert_eq!(bench.put(Input::AttemptFailed { attempt: old, cause: Cause::Lost }), []);
    assert_eq!(bench.state(), ConnectionState::Dialing);
    bench.establish(1, hello(2));
    // Reports of connections and sessions that are not current change nothing.
    let session = bench.session();
    let stranger = SessionId(session.0 + 100);
    assert_eq!(bench.put(Input::IntentDone { session: stranger, intent: IntentId(1), outcome: Ok(Completion::Complete) }), []);
    assert_eq!(bench.put(Input::SessionComplete { session: stranger }), []);
    assert_eq!(bench.put(Input::SessionEnded { session: stranger, cause: Cause::Lost }), []);
    assert_eq!(bench.lose(70, Cause::Lost), []);
    assert_eq!(bench.put(Input::Terminated { conn: ConnId(1) }), []);
    assert_eq!((bench.state(), bench.outcome(1)), (ConnectionState::Active, None));
}

#[test]
fn mistake_01_a_session_that_no_longer_owns_an_intent_cannot_settle_it() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    let old = bench.session();
    bench.lose(1, Cause::Lost);
    bench.wait_for(Reason::Backoff);
    bench.wait_for(Reason::Ending);
    bench.establish(2, hello(2));
    assert_ne!(bench.session(), old);
    assert_eq!(bench.put(Input::IntentDone { session: old, intent: IntentId(1), outcome: Ok(Completion::Complete) }), []);
    assert_eq!(bench.outcome(1), None);
    bench.finish_intent(1);
    assert_eq!(bench.outcome(1), Some(Outcome::Done(Completion::Complete)));
}

#[test]
fn mistake_01_a_finishing_session_cannot_settle_what_it_was_not_given() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.establish(1, hello(1));
    bench.finish_intent(1);
    bench.once(2);
    assert_eq!(bench.finish_intent(2), []);
    assert_eq!(bench.finish_intent(1), [], "nor twice");
    assert_eq!(bench.outcome(2), None);
}

#[test]
fn mistake_02_simultaneous_open_the_lesser_side_gives_up_its_dial() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    let actions = bench.arrive(5, hello(1));
    assert!(cancels(&actions, CloseCode::Duplicate) && establishes(&actions, 5));
    // Its own dial had succeeded meanwhile: closed.
    assert!(closes(
        &bench.put(Input::Established { attempt: AttemptId(1), conn: ConnId(6), generation: hello(2) }),
        6,
        CloseCode::Duplicate
    ));
    assert_eq!(starts_with(&bench.establish(5, hello(1))), Some(vec![1]));
}

#[test]
fn mistake_02_simultaneous_open_the_greater_side_holds_then_refuses() {
    let mut bench = Bench::new(LESSER);
    bench.once(1);
    assert_eq!(bench.arrive(5, hello(1)), []);
    let actions = bench.establish(6, hello(2));
    assert!(closes(&actions, 5, CloseCode::Duplicate));
    assert_eq!(starts_with(&actions), Some(vec![1]));
}

#[test]
fn mistake_02_simultaneous_open_a_newer_held_connection_wins() {
    let mut bench = Bench::new(LESSER);
    bench.once(1);
    bench.arrive(5, hello(3));
    let actions = bench.establish(6, hello(2));
    assert!(closes(&actions, 6, CloseCode::Superseded) && establishes(&actions, 5));
}

#[test]
fn mistake_02_simultaneous_open_the_held_connection_is_promoted() {
    for own_fails in [true, false] {
        let mut bench = Bench::new(LESSER);
        bench.once(1);
        bench.arrive(5, hello(1));
        // Only the newest is held.
        assert!(closes(&bench.arrive(6, hello(3)), 5, CloseCode::Duplicate));
        assert!(closes(&bench.arrive(7, hello(2)), 7, CloseCode::Duplicate));
        let actions = if own_fails {
            bench.fail(Cause::Unreachable)
        } else {
            let actions = bench.wait_for(Reason::Hold);
            assert!(cancels(&actions, CloseCode::Duplicate));
            actions
        };
        assert!(establishes(&actions, 6), "{actions:?}");
        assert_eq!(starts_with(&bench.establish(6, hello(3))), Some(vec![1]), "the failed dial did not cost the intent its life");
    }
}

#[test]
fn mistake_03_only_a_newer_hello_supersedes() {
    for accepted in [true, false] {
        let mut bench = Bench::new(GREATER);
        if accepted {
            bench.arrive(1, hello(5));
        } else {
            bench.live(1);
        }
        if !accepted {
            bench.establish(1, hello(5));
        }
        assert!(closes(&bench.arrive(2, hello(5)), 2, CloseCode::Duplicate), "equal is not newer");
        assert!(closes(&bench.arrive(3, hello(4)), 3, CloseCode::Duplicate));
        let older = crate::Generation { instance: [8; 16], counter: 99 };
        assert!(closes(&bench.arrive(4, older), 4, CloseCode::Duplicate), "an older instance is older");
        let actions = bench.arrive(5, hello(6));
        assert!(closes(&actions, 1, CloseCode::Superseded) && establishes(&actions, 5), "{actions:?}");
        let started = bench.establish(5, hello(6));
        if accepted {
            assert_eq!(starts_with(&started), Some(vec![]));
        } else {
            // The old session has to end first; its intents are carried over.
            assert_eq!(starts_with(&started), None);
            assert_eq!(starts_with(&bench.end(Cause::LocallyClosed)), Some(vec![1]));
        }
    }
}

#[test]
fn mistake_04_a_duplicate_is_a_duplicate_whichever_error_tells_it() {
    let duplicate = Cause::Closed(CloseCode::Duplicate);
    let told: [fn(&mut Bench); 3] = [
        |bench| {
            bench.fail(Cause::Closed(CloseCode::Duplicate));
        },
        |bench| {
            bench.establish(1, hello(1));
            bench.lose(1, Cause::Closed(CloseCode::Duplicate));
        },
        |bench| {
            bench.establish(1, hello(1));
            bench.end(Cause::Closed(CloseCode::Duplicate));
        },
    ];
    for tell in told {
        let mut bench = Bench::new(GREATER);
        bench.once(1);
        tell(&mut bench);
        assert_eq!((bench.state(), bench.outcome(1)), (ConnectionState::Waiting, None));
        assert!(bench.events.iter().any(|event| matches!(event, Event::Disconnected { cause, .. } if *cause == duplicate)));
    }
}

#[test]
fn mistake_05_refused_as_duplicate_by_a_connection_that_then_dies() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.fail(Cause::Closed(CloseCode::Duplicate));
    // The connection in whose favour it was refused never shows up: an own dial follows.
    assert!(dials(&bench.wait_for(Reason::Backoff)));
    assert_eq!(starts_with(&bench.establish(2, hello(1))), Some(vec![1]));
}

#[test]
fn mistake_06_a_failed_accept_takes_only_the_accept_intent() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.arrive(5, hello(1));
    bench.fail(Cause::Lost);
    assert_eq!((bench.state(), bench.outcome(1)), (ConnectionState::Waiting, None));
    assert!(dials(&bench.wait_for(Reason::Backoff)));
}

#[test]
fn mistake_06_a_failed_accept_without_own_intents_leaves_nothing() {
    let mut bench = Bench::new(GREATER);
    bench.arrive(5, hello(1));
    assert!(closes(&bench.wait_for(Reason::Establish), 5, CloseCode::Failed));
    bench.assert_nothing_is_left();
}

#[test]
fn mistake_07_loss_while_active_settles_or_requeues_each_intent_once() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.once(2);
    bench.once(3);
    bench.establish(1, hello(1));
    bench.finish_intent(3);
    bench.lose(1, Cause::Lost);
    // A report that was under way still counts; the others go by their policies once the session is over.
    assert_eq!((bench.outcome(1), bench.outcome(2)), (None, None));
    bench.end(Cause::Lost);
    assert_eq!(bench.outcome(1), None);
    assert_eq!(bench.outcome(2), Some(Outcome::Failed(IntentError::Lost(Cause::Lost))));
    assert_eq!(bench.outcome(3), Some(Outcome::Done(Completion::Complete)));
    assert!(dials(&bench.wait_for(Reason::Backoff)));
    assert_eq!(starts_with(&bench.establish(2, hello(2))), Some(vec![1]));
}

#[test]
fn mistake_07_one_loss_told_twice_counts_once() {
    let policy = ReconnectPolicy { attempts: 1, ..ReconnectPolicy::ALWAYS };
    for session_first in [true, false] {
        let mut bench = Bench::new(GREATER);
        bench.submit(1, Mode::Live, policy);
        bench.establish(1, hello(1));
        if session_first {
            bench.end(Cause::Lost);
            bench.lose(1, Cause::Lost);
        } else {
            bench.lose(1, Cause::Lost);
            bench.end(Cause::Lost);
        }
        assert_eq!((bench.state(), bench.outcome(1)), (ConnectionState::Waiting, None));
    }
}

#[test]
fn mistake_08_loss_while_winding_down_redials_for_what_is_queued() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.establish(1, hello(1));
    assert_eq!(bench.finish_intent(1).last(), Some(&Action::FinishSession { session: bench.session() }));
    assert_eq!(bench.once(2), [], "a finishing session takes no more");
    assert!(matches!(bench.complete()[..], [Action::TerminateGracefully { conn: ConnId(1) }]));
    assert!(dials(&bench.lose(1, Cause::Lost)));
    assert_eq!(starts_with(&bench.establish(2, hello(2))), Some(vec![2]));

    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.establish(1, hello(1));
    bench.finish_intent(1);
    bench.once(2);
    bench.lose(1, Cause::Lost);
    bench.end(Cause::Lost);
    assert_eq!(bench.outcome(2), None);
    assert!(dials(&bench.wait_for(Reason::Backoff)));
}

#[test]
fn mistake_09_a_session_that_ends_without_completion_is_a_loss() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.live(2);
    bench.establish(1, hello(1));
    assert!(closes(&bench.end(Cause::Failed("storage")), 1, CloseCode::Failed));
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Lost(Cause::Failed("storage")))));
    assert_eq!((bench.state(), bench.outcome(2)), (ConnectionState::Waiting, None));
}

#[test]
fn mistake_10_a_session_that_never_ends_is_forced() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    bench.arrive(2, hello(2));
    assert_eq!(starts_with(&bench.establish(2, hello(2))), None);
    assert_eq!(starts_with(&bench.wait_for(Reason::Ending)), Some(vec![1]));
    // It ends after all.
    assert_eq!(bench.put(Input::SessionEnded { session: SessionId(1), cause: Cause::Lost }), []);

    // Nor may one that finishes take for ever; progress gives it more time.
    bench.put(Input::CloseIntent { intent: IntentId(1) });
    let session = bench.session();
    assert_eq!(bench.state(), ConnectionState::Active, "the peer is welcome");
    assert_eq!(bench.put(Input::PeerFinished { session }), [Action::FinishSession { session }]);
    bench.pass(9_000);
    bench.put(Input::SessionProgress { session });
    bench.pass(9_000);
    assert_eq!(bench.put(Input::Tick), []);
    assert!(closes(&bench.wait_for(Reason::Finish), 2, CloseCode::Failed));
    bench.wait_for(Reason::Ending);
    bench.assert_nothing_is_left();
}

#[test]
fn mistake_12_a_handler_that_never_answers_is_late() {
    let mut bench = Bench::asking(GREATER);
    assert!(matches!(bench.arrive(1, hello(1))[..], [Action::AskHandler { conn: ConnId(1), .. }]));
    let decision = bench.decision();
    // A newer connection takes the place of the one that is being decided; the question and its deadline stay.
    bench.pass(4_000);
    assert!(closes(&bench.arrive(2, hello(2)), 1, CloseCode::Duplicate));
    assert!(closes(&bench.arrive(3, hello(1)), 3, CloseCode::Duplicate));
    let late = bench.wait_for(Reason::Decision);
    assert_eq!(bench.now.0, 6_000_000);
    assert!(late.contains(&Action::ForgetDecision { decision }) && closes(&late, 2, CloseCode::Failed));
    bench.assert_nothing_is_left();
    assert_eq!(bench.put(Input::Decided { decision, accept: true }), [Action::ForgetDecision { decision }]);
}

#[test]
fn mistake_12_own_intents_do_not_wait_for_the_handler() {
    let mut bench = Bench::asking(GREATER);
    bench.arrive(1, hello(1));
    assert!(establishes(&bench.once(1), 1));
    bench.establish(1, hello(1));
    bench.finish_intent(1);
    assert_eq!(bench.state(), ConnectionState::Active, "the answer may still come");
    let late = bench.wait_for(Reason::Decision);
    assert_eq!(late.last(), Some(&Action::FinishSession { session: bench.session() }));
}

#[test]
fn mistake_13_a_refusal_has_a_code_on_both_sides() {
    let mut bench = Bench::asking(GREATER);
    bench.arrive(1, hello(1));
    let decision = bench.decision();
    assert!(closes(&bench.put(Input::Decided { decision, accept: false }), 1, CloseCode::Refused));
    bench.assert_nothing_is_left();

    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.fail(Cause::Closed(CloseCode::Refused));
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Refused)));
    bench.assert_nothing_is_left();
}

#[test]
fn mistake_14_duplicates_do_not_disturb_the_session() {
    let mut bench = Bench::new(GREATER);
    bench.arrive(1, hello(5));
    bench.establish(1, hello(5));
    let events = bench.events.len();
    for conn in 10..20 {
        assert_eq!(bench.arrive(conn, hello(4)).len(), 1);
        assert_eq!(bench.lose(conn, Cause::LocallyClosed), []);
    }
    assert_eq!((bench.state(), bench.events.len()), (ConnectionState::Active, events));
}

#[test]
fn mistake_17_a_node_is_not_its_own_peer() {
    let mut bench = Bench::new(ME);
    bench.once(1);
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::Oneself)));
    assert!(closes(&bench.arrive(1, hello(1)), 1, CloseCode::Failed));
    bench.assert_nothing_is_left();
}

#[test]
fn mistake_18_a_live_intent_joins_a_once_session() {
    let mut bench = Bench::new(GREATER);
    bench.once(1);
    bench.establish(1, hello(1));
    let session = bench.session();
    assert_eq!(bench.live(2), [Action::HandOver { session, intent: IntentId(2) }]);
    bench.finish_intent(1);
    assert_eq!(bench.state(), ConnectionState::Active);
    let closed = bench.put(Input::CloseIntent { intent: IntentId(2) });
    assert!(closed.contains(&Action::WithdrawIntent { session, intent: IntentId(2) }));
    assert_eq!(closed.last(), Some(&Action::FinishSession { session }));
}

#[test]
fn mistake_19_and_20_an_intent_that_finds_nothing_ends_and_its_connection_closes() {
    for outcome in [Ok(Completion::NothingInCommon), Err(IntentError::Session("noCapability"))] {
        let mut bench = Bench::new(GREATER);
        bench.once(1);
        bench.establish(1, hello(1));
        let session = bench.session();
        let done = bench.put(Input::IntentDone { session, intent: IntentId(1), outcome });
        assert_eq!(done.last(), Some(&Action::FinishSession { session }));
        assert_eq!(bench.outcome(1), Some(outcome.map_or_else(Outcome::Failed, Outcome::Done)));
        bench.complete();
        bench.put(Input::Terminated { conn: ConnId(1) });
        bench.assert_nothing_is_left();
    }
}

#[test]
fn mistake_21_a_peer_that_breaks_the_rules_affects_only_itself() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    let bad = bench.session();
    bench.peer = LESSER;
    bench.live(2);
    bench.establish(2, hello(1));
    assert!(closes(
        &bench.put(Input::SessionEnded { session: bad, cause: Cause::Violation("badHandle") }),
        1,
        CloseCode::ProtocolViolation
    ));
    assert_eq!(bench.outcome(1), Some(Outcome::Failed(IntentError::ProtocolViolation("badHandle"))));
    assert_eq!((bench.state(), bench.outcome(2)), (ConnectionState::Active, None));
    assert_eq!(bench.manager.peers().len(), 1);
}

#[test]
fn mistake_22_nothing_is_left_when_all_is_done() {
    let mut bench = Bench::asking(LESSER);
    bench.once(1);
    bench.arrive(9, hello(1));
    bench.establish(1, hello(2));
    bench.finish_intent(1);
    bench.complete();
    // While that says goodbye, the peer comes again and is refused.
    bench.arrive(2, hello(3));
    let decision = bench.decision();
    bench.put(Input::Decided { decision, accept: false });
    assert!(!bench.manager.is_empty(), "the goodbye in the background");
    bench.wait_for(Reason::Goodbye);
    bench.assert_nothing_is_left();
    assert_eq!(bench.events.last(), Some(&Event::Forgotten));
}

tests![
    mistake_01_stale_results_are_cleaned_up_and_ignored,
    mistake_01_a_session_that_no_longer_owns_an_intent_cannot_settle_it,
    mistake_01_a_finishing_session_cannot_settle_what_it_was_not_given,
    mistake_02_simultaneous_open_the_lesser_side_gives_up_its_dial,
    mistake_02_simultaneous_open_the_greater_side_holds_then_refuses,
    mistake_02_simultaneous_open_a_newer_held_connection_wins,
    mistake_02_simultaneous_open_the_held_connection_is_promoted,
    mistake_03_only_a_newer_hello_supersedes,
    mistake_04_a_duplicate_is_a_duplicate_whichever_error_tells_it,
    mistake_05_refused_as_duplicate_by_a_connection_that_then_dies,
    mistake_06_a_failed_accept_takes_only_the_accept_intent,
    mistake_06_a_failed_accept_without_own_intents_leaves_nothing,
    mistake_07_loss_while_active_settles_or_requeues_each_intent_once,
    mistake_07_one_loss_told_twice_counts_once,
    mistake_08_loss_while_winding_down_redials_for_what_is_queued,
    mistake_09_a_session_that_ends_without_completion_is_a_loss,
    mistake_10_a_session_that_never_ends_is_forced,
    mistake_12_a_handler_that_never_answers_is_late,
    mistake_12_own_intents_do_not_wait_for_the_handler,
    mistake_13_a_refusal_has_a_code_on_both_sides,
    mistake_14_duplicates_do_not_disturb_the_session,
    mistake_17_a_node_is_not_its_own_peer,
    mistake_18_a_live_intent_joins_a_once_session,
    mistake_19_and_20_an_intent_that_finds_nothing_ends_and_its_connection_closes,
    mistake_21_a_peer_that_breaks_the_rules_affects_only_itself,
    mistake_22_nothing_is_left_when_all_is_done,
];
