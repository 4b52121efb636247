//! Defects that simulations found, each as the script of inputs that was left of it.

use super::bench::*;
use crate::peers::*;

#[test]
fn a_dial_that_fails_while_the_old_session_is_ending_costs_an_attempt_and_a_wait() {
    let mut bench = Bench::new(GREATER);
    bench.live(1);
    bench.establish(1, hello(1));
    bench.lose(1, Cause::Lost);
    bench.wait_for(Reason::Backoff);
    // The session hangs: it is still ending, and has not given the intent back.
    bench.fail(Cause::Unreachable);
    assert_eq!(bench.state(), ConnectionState::Waiting);
    let at = bench.manager.peers()[0].next_attempt.unwrap();
    assert!(at > bench.now, "it dials again at once");
}
