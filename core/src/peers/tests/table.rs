//! Every (state, input) pair against the table that was read and agreed to: `table.txt`, one row per pair that does something.
//!
//! A row is `state | input | what is done -> the state after it`. Pairs without a row do nothing. To change the table on
//! purpose, run this test and read what it prints: the whole table as it is.

use std::fmt::Write;

use super::bench::*;
use super::rules::states;
use crate::peers::*;
use crate::{IntentId, Mode, SessionId};

fn latest_session(bench: &Bench) -> SessionId {
    let started = bench.done.iter().rev().find_map(|action| match action {
        Action::StartSession { session, .. } => Some(*session),
        _ => None,
    });
    started.unwrap_or(SessionId(99))
}

fn latest_attempt(bench: &Bench) -> AttemptId {
    if bench.done.iter().any(|action| matches!(action, Action::Dial { .. } | Action::Establish { .. })) {
        bench.attempt()
    } else {
        AttemptId(99)
    }
}

/// The inputs, made for the bench: they name what is or was current there.
fn inputs(bench: &Bench) -> Vec<(&'static str, Input)> {
    let (session, attempt, peer) = (latest_session(bench), latest_attempt(bench), bench.peer);
    let asked = bench.done.iter().any(|action| matches!(action, Action::AskHandler { .. }));
    let decision = if asked { bench.decision() } else { AttemptId(98) };
    let one = ConnId(1);
    let lost = |cause| Input::ConnectionLost { conn: one, cause };
    vec![
        ("submit", Input::Submit { intent: IntentId(50), peer, mode: Mode::Once, policy: ReconnectPolicy::ALWAYS }),
        ("close the intent", Input::CloseIntent { intent: IntentId(1) }),
        ("disconnect", Input::Disconnect { peer }),
        ("newer hello", Input::HelloRead { conn: ConnId(20), peer, generation: hello(9) }),
        ("older hello", Input::HelloRead { conn: ConnId(20), peer, generation: hello(1) }),
        ("decided yes", Input::Decided { decision, accept: true }),
        ("decided no", Input::Decided { decision, accept: false }),
        ("yes taken back", Input::AcceptWithdrawn { decision }),
        ("established", Input::Established { attempt, conn: one, generation: hello(3) }),
        ("attempt lost", Input::AttemptFailed { attempt, cause: Cause::Lost }),
        ("attempt refused", Input::AttemptFailed { attempt, cause: Cause::Closed(CloseCode::Refused) }),
        ("connection lost", lost(Cause::Lost)),
        ("closed: duplicate", lost(Cause::Closed(CloseCode::Duplicate))),
        ("closed: superseded", lost(Cause::Closed(CloseCode::Superseded))),
        ("closed: violation", lost(Cause::Closed(CloseCode::ProtocolViolation))),
        ("held lost", Input::ConnectionLost { conn: ConnId(2), cause: Cause::Lost }),
        ("intent done", Input::IntentDone { session, intent: IntentId(1), outcome: Ok(Completion::Complete) }),
        ("peer finished", Input::PeerFinished { session }),
        ("progress", Input::SessionProgress { session }),
        ("session complete", Input::SessionComplete { session }),
        ("session: violation", Input::SessionEnded { session, cause: Cause::Violation("rule") }),
        ("session: lost", Input::SessionEnded { session, cause: Cause::Lost }),
        ("terminated", Input::Terminated { conn: one }),
        ("probe answered", Input::ProbeAnswered { session }),
        ("online", Input::Online),
        ("offline", Input::Offline),
        ("visible", Input::Visible),
        ("hidden", Input::Hidden),
        ("frozen", Input::Frozen),
        ("resumed", Input::Resumed),
        ("woken", Input::Woken),
        ("relay", Input::Relay { connected: true }),
        ("shutdown", Input::Shutdown),
        ("tick", Input::Tick),
    ]
}

fn short(action: &Action) -> String {
    match action {
        Action::Dial { .. } => "dial".into(),
        Action::Cancel { code, .. } => format!("cancel({})", code.number()),
        Action::Refuse { conn } => format!("refuse #{}", conn.0),
        Action::ReadHello { conn } => format!("read #{}", conn.0),
        Action::AskHandler { .. } => "ask".into(),
        Action::ForgetDecision { .. } => "forget".into(),
        Action::Establish { conn, .. } => format!("establish #{}", conn.0),
        Action::Close { conn, code, .. } => format!("close #{}({})", conn.0, code.number()),
        Action::StartSession { accept, intents, .. } => {
            let intents: Vec<_> = intents.iter().map(|intent| intent.0.to_string()).collect();
            format!("start[{}{}]", intents.join(" "), if accept.is_some() { " accept" } else { "" })
        }
        Action::HandOver { intent, .. } => format!("hand over {}", intent.0),
        Action::AddAccept { .. } => "add accept".into(),
        Action::DropAccept { .. } => "drop accept".into(),
        Action::WithdrawIntent { intent, .. } => format!("withdraw {}", intent.0),
        Action::FinishSession { .. } => "finish".into(),
        Action::AbortSession { code, .. } => format!("abort({})", code.number()),
        Action::TerminateGracefully { conn } => format!("goodbye #{}", conn.0),
        Action::Probe { .. } => "probe".into(),
        Action::Settle { intent, outcome } => {
            let outcome = match outcome {
                Outcome::Done(completion) => format!("{completion:?}"),
                Outcome::Closed => "Closed".into(),
                Outcome::Failed(error) => format!("{error:?}"),
            };
            format!("settle {} {outcome}", intent.0)
        }
        Action::Emit { event, .. } => format!("{event:?}"),
        Action::Stopped => "stopped".into(),
    }
}

/// The state after an input, with the deadline it has.
fn after(bench: &Bench) -> String {
    let deadline = bench.manager.next_deadline();
    let deadline = deadline.map_or(String::new(), |(_, reason)| format!(" until {reason:?}"));
    format!("{:?}{deadline}", bench.state())
}

/// Puts every input to every state; `see` is told both by name, the bench as it was and as it is, and what was done.
pub(super) fn every_pair(mut see: impl FnMut((&str, &str), &Bench, &Bench, &[Action])) {
    for (index, (state, fresh)) in states().into_iter().enumerate() {
        for (number, (input, _)) in inputs(&fresh).into_iter().enumerate() {
            let (_, mut bench) = states().swap_remove(index);
            let (_, put) = inputs(&bench).swap_remove(number);
            if matches!(put, Input::HelloRead { .. }) {
                bench.put(Input::Incoming { conn: ConnId(20) });
            }
            if matches!(put, Input::Tick)
                && let Some((at, _)) = bench.manager.next_deadline()
            {
                bench.now = at;
            }
            let actions = bench.put(put);
            see((state, input), &fresh, &bench, &actions);
        }
    }
}

#[test]
fn every_state_and_input() {
    let mut table = String::new();
    let mut silent = 0;
    every_pair(|(state, input), fresh, bench, actions| {
        let done: Vec<_> = actions.iter().map(short).collect();
        if actions.is_empty() && after(bench) == after(fresh) {
            silent += 1;
        } else {
            writeln!(table, "{state} | {input} | {} -> {}", done.join(", "), after(bench)).unwrap();
        }
    });
    let rows = table.lines().count();
    assert_eq!(rows + silent, 15 * 34);
    assert!(table == include_str!("table.txt"), "the table is now:\n{table}");
}

#[test]
fn no_match_of_the_machine_has_an_arm_that_catches_all() {
    let sources = [
        include_str!("../code.rs"),
        include_str!("../connection.rs"),
        include_str!("../deadlines.rs"),
        include_str!("../manager.rs"),
        include_str!("../peer.rs"),
        include_str!("../rule.rs"),
        include_str!("../session.rs"),
    ];
    for source in sources {
        assert_eq!(source.lines().find(|line| line.trim_start().starts_with("_ =>")), None);
    }
}
