#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use osier_core::IntentId;
use tokio::sync::mpsc;

use super::*;
use crate::node::{driver::Job, log::SessionLog};

/// A set whose node is the test: the intents' logs, and what the handles ask for.
fn set<const N: usize>() -> (IntentSet, [Arc<SessionLog>; N], mpsc::UnboundedReceiver<Job>) {
    let (jobs, asked) = mpsc::unbounded_channel();
    let logs = std::array::from_fn(|_| Arc::new(SessionLog::new()));
    let intents = (1..)
        .zip(&logs)
        .map(|(number, log): (u8, &Arc<SessionLog>)| Intent::new(IntentId(number.into()), PeerId([number; 32]), log.clone(), jobs.clone()));
    (IntentSet::new(intents.collect()), logs, asked)
}

#[tokio::test]
async fn a_busy_intent_takes_nothing_from_the_others() {
    for busy in 0..3 {
        let (set, logs, _asked) = set::<3>();
        let events = set.events();
        for (place, log) in logs.iter().enumerate() {
            for _ in 0..if place == busy { 100 } else { 1 } {
                log.push(&SessionEvent::Connecting);
            }
        }
        let mut heard = Vec::new();
        for _ in 0..4 {
            heard.push(events.next().await.unwrap().0);
        }
        for number in 1..=3 {
            assert!(heard.contains(&PeerId([number; 32])), "{busy} is busy: {heard:?}");
        }
    }
}

#[tokio::test]
async fn all_are_asked_to_close_before_the_first_has_settled() {
    let (set, logs, mut asked) = set::<3>();
    let mut closing = Box::pin(set.close());
    assert!(n0_future::future::poll_once(&mut closing).await.is_none());
    assert!(std::iter::from_fn(|| asked.try_recv().ok()).count() >= 3);
    for log in logs {
        log.settle(Ok(Completion::Closed));
    }
    closing.await;
}
