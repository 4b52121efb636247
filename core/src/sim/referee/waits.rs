//! Nothing lasts longer than it may.

use super::{Referee, Verdict, must};
use crate::Moment;

/// How late a timer may be, in milliseconds.
const SLACK: u64 = 3_000;
/// What shows in nothing but what does not begin.
const ENDING: &str = "an ending";

impl Referee {
    /// Everything that has a deadline: since when, and how many milliseconds.
    fn waits(&self) -> impl Iterator<Item = (&'static str, Moment, u64)> {
        let greeting = self.greeting.values().map(|&since| ("a Hello", since, 10_000));
        let shutdown = self.shutdown.filter(|_| !self.stopped).map(|since| ("a shutdown", since, 10_000));
        let peers = self.peers.values().flat_map(|seen| {
            let goodbyes = seen.parting.values().map(|&since| ("a goodbye", since, 10_000));
            let finish = seen.session.and_then(|running| running.finish);
            let others = [
                seen.dial.map(|(_, since)| ("a dial", since, 10_000)),
                seen.held.map(|held| ("a held connection", held.since, 3_000)),
                seen.accepting.map(|(_, accepting)| ("an establish", accepting.since, 10_000)),
                seen.question.map(|(_, since)| ("a decision", since, 5_000)),
                finish.map(|since| ("a finish", since, 10_000)),
                seen.ending.map(|(_, since)| (ENDING, since, 5_000)),
                seen.probe.map(|since| ("a probe", since, 5_000)),
            ];
            goodbyes.chain(others.into_iter().flatten())
        });
        greeting.chain(shutdown).chain(peers)
    }

    pub(super) fn nothing_is_late(&self, now: Moment) -> Verdict {
        let grace = self.woken.max(self.thawed).after_millis(5_000);
        let due = |since: Moment, millis: u64| since.after_millis(millis).max(grace).after_millis(SLACK);
        let late = self.waits().filter(|(what, ..)| *what != ENDING).find(|&(_, since, millis)| due(since, millis) < now);
        must(late.is_none(), || format!("{} takes too long", late.map_or("", |(what, ..)| what)))
    }

    /// Whether a deadline has passed so long ago that the machine must have slept. The timers of a hidden page are late by nature.
    pub(super) fn slept(&self, now: Moment) -> bool {
        self.overdue_by(now, if self.hidden { 90_000 } else { 10_000 })
    }

    /// Whether a deadline has passed so many milliseconds ago.
    pub(super) fn overdue_by(&self, now: Moment, millis: u64) -> bool {
        let due = |since: Moment, wait: u64| since.after_millis(wait).max(self.woken.after_millis(5_000));
        let earliest = self.waits().map(|(_, since, wait)| due(since, wait)).min();
        earliest.is_some_and(|due| due.after_millis(millis) <= now)
    }

    /// What is due has passed: endings are forced, goodbyes and questions are over.
    pub(super) fn pass(&mut self, now: Moment) {
        let due = |since: Moment| since.after_millis(5_000).max(self.woken.after_millis(5_000)) <= now;
        let endings = self.peers.values_mut().filter_map(|seen| seen.ending.take_if(|(_, since)| due(*since)));
        let sessions: Vec<_> = endings.map(|(session, _)| session).collect();
        for session in sessions {
            self.disown(session, None);
        }
    }
}
