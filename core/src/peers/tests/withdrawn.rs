//! A yes of the accept handler that is taken back: what was accepted ends, own intents do not.

use super::bench::*;
use crate::peers::*;
use crate::{IntentId, Mode};

/// A peer that the handler has accepted.
fn accepted() -> Bench {
    let mut bench = Bench::asking(GREATER);
    bench.arrive(1, hello(5));
    let decision = bench.decision();
    assert!(establishes(&bench.put(Input::Decided { decision, accept: true }), 1));
    bench
}

fn withdraw(bench: &mut Bench) -> Vec<Action> {
    let decision = bench.decision();
    bench.put(Input::AcceptWithdrawn { decision })
}

#[test]
fn before_it_is_established_the_connection_is_refused() {
    let mut bench = accepted();
    assert!(closes(&withdraw(&mut bench), 1, CloseCode::Refused));
    assert!(bench.done.contains(&Action::ForgetDecision { decision: bench.decision() }));
    bench.assert_nothing_is_left();
    // What was under way is cleaned up.
    assert!(closes(&bench.establish(1, hello(5)), 1, CloseCode::Duplicate));
    bench.assert_nothing_is_left();
}

#[test]
fn before_it_is_established_an_own_intent_keeps_the_connection() {
    let mut bench = accepted();
    bench.live(1);
    let decision = bench.decision();
    assert_eq!(withdraw(&mut bench), [Action::ForgetDecision { decision }]);
    let actions = bench.establish(1, hello(5));
    assert_eq!(starts_with(&actions), Some(vec![1]));
    assert!(actions.iter().any(|action| matches!(action, Action::StartSession { accept: None, .. })));
}

#[test]
fn in_a_session_the_accept_intent_is_dropped_and_the_session_finishes_unless_an_own_intent_needs_it() {
    for own in [false, true] {
        let mut bench = accepted();
        bench.establish(1, hello(5));
        if own {
            bench.submit(1, Mode::Live, ReconnectPolicy::ALWAYS);
        }
        let (session, decision) = (bench.session(), bench.decision());
        let mut expected = vec![Action::ForgetDecision { decision }, Action::DropAccept { session }];
        if !own {
            expected.push(Action::FinishSession { session });
        }
        assert_eq!(withdraw(&mut bench), expected);
        assert_eq!(withdraw(&mut bench), [], "twice is once");
        if own {
            let actions = bench.put(Input::CloseIntent { intent: IntentId(1) });
            assert!(actions.contains(&Action::FinishSession { session }), "nobody else needs it");
        }
        bench.complete();
        bench.put(Input::Terminated { conn: ConnId(1) });
        bench.assert_nothing_is_left();
    }
}

#[test]
fn a_question_that_is_open_or_forgotten_is_not_a_yes() {
    let mut bench = Bench::asking(GREATER);
    bench.arrive(1, hello(5));
    assert_eq!(withdraw(&mut bench), []);
    assert_eq!(bench.state(), ConnectionState::Deciding);
    let decision = bench.decision();
    bench.put(Input::Decided { decision, accept: false });
    assert_eq!(withdraw(&mut bench), []);
    bench.assert_nothing_is_left();
}
