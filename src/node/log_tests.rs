#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use osier_core::Role;
use willow25::prelude::{Area, NamespaceId, Path, SubspaceId};

use super::*;
use crate::node::{EntryKey, Retry};

fn all(events: &Events<SessionEvent>) -> Vec<SessionEvent> {
    std::iter::from_fn(|| events.try_next()).collect()
}

fn progress(sent: u64) -> SessionEvent {
    SessionEvent::Progress { sent, received: 0, entries_sent: 0, entries_received: 0 }
}

fn gone() -> Error {
    Error::Transport { reason: "gone".to_owned() }
}

fn retry(millis: Option<u64>) -> Retry {
    Retry { millis, attempt: 1, limit: None }
}

fn reconnecting(millis: Option<u64>) -> SessionEvent {
    SessionEvent::Reconnecting { cause: gone(), retry: retry(millis) }
}

#[tokio::test]
async fn a_late_listener_sees_what_is_true_and_an_early_one_everything() {
    let log = SessionLog::new();
    let early = log.events();
    let established = SessionEvent::Established { role: Role::Alfie };
    for event in [SessionEvent::Connecting, established.clone(), progress(1), progress(2), SessionEvent::ReconciledAll] {
        log.push(&event);
    }
    let late = log.events();
    log.settle(Ok(Completion::Complete));
    log.settle(Err(Error::Closed));
    log.push(&SessionEvent::Connecting);
    let ended = SessionEvent::Ended { completion: Completion::Complete };
    assert_eq!(all(&early), [SessionEvent::Connecting, established.clone(), progress(2), SessionEvent::ReconciledAll, ended.clone()]);
    assert_eq!(all(&late), [established.clone(), SessionEvent::ReconciledAll, progress(2), ended.clone()]);
    assert_eq!(all(&log.events()).last(), Some(&ended), "also for a listener that comes after the end");
    assert_eq!(log.outcome().await, Ok(Completion::Complete));
    assert_eq!(log.outcome().await, Ok(Completion::Complete));
}

#[test]
fn a_new_connection_makes_the_old_areas_untrue() {
    let log = SessionLog::new();
    log.push(&SessionEvent::ReconciledAll);
    let waiting = reconnecting(Some(1));
    log.push(&waiting);
    assert_eq!(all(&log.events()), [waiting]);
}

#[test]
fn a_late_listener_hears_why_reconnecting_is_needed_and_how_long_the_wait_is_by_now() {
    let mut now = Snapshot::default();
    let disconnected = |wait| SessionEvent::Disconnected { cause: gone(), retry: Some(retry(wait)) };
    for event in [SessionEvent::ReconciledAll, disconnected(Some(500)), reconnecting(Some(500))] {
        now.take_in(&event);
    }
    assert_eq!(now.events(200).collect::<Vec<_>>(), [disconnected(Some(300)), reconnecting(Some(300))]);
    assert_eq!(now.events(700).collect::<Vec<_>>(), [disconnected(Some(0)), reconnecting(Some(0))]);
    now.take_in(&SessionEvent::Connecting);
    assert_eq!(now.events(0).collect::<Vec<_>>(), [SessionEvent::Connecting]);
}

#[test]
fn a_dropped_listener_is_forgotten() {
    let log = SessionLog::new();
    drop(log.events());
    log.push(&SessionEvent::Connecting);
    assert!(log.lock().listeners.is_empty());
    for _ in 0..10 {
        drop(log.events());
    }
    assert_eq!(log.lock().listeners.len(), 1, "also while nothing happens");
}

#[test]
fn a_new_overlap_makes_reconciled_all_untrue_until_it_is_said_again() {
    let log = SessionLog::new();
    let area = |user: u8| (NamespaceId::from_bytes(&[9; 32]), Area::new_subspace_area(SubspaceId::from_bytes(&[user; 32])));
    let overlap = |user| SessionEvent::Overlap { namespace: area(user).0, area: area(user).1 };
    let reconciled = |user| SessionEvent::Reconciled { namespace: area(user).0, area: area(user).1 };
    for event in [SessionEvent::NothingInCommon, overlap(1), reconciled(1), SessionEvent::ReconciledAll, overlap(2)] {
        log.push(&event);
    }
    assert_eq!(all(&log.events()), [overlap(1), reconciled(1), overlap(2)]);
    for event in [reconciled(2), SessionEvent::ReconciledAll, overlap(1)] {
        log.push(&event);
    }
    assert_eq!(all(&log.events()), [overlap(2), reconciled(2), overlap(1)], "an overlap that was lost and came back");
    for event in [reconciled(1), SessionEvent::ReconciledAll] {
        log.push(&event);
    }
    assert_eq!(all(&log.events()), [overlap(2), reconciled(2), overlap(1), reconciled(1), SessionEvent::ReconciledAll]);
}

#[test]
fn progress_of_a_payload_replaces_what_was_told_of_that_payload_alone() {
    let log = SessionLog::new();
    let events = log.events();
    let payload = |user: u8, received| SessionEvent::Payload {
        entry: EntryKey {
            namespace: NamespaceId::from_bytes(&[9; 32]),
            subspace: SubspaceId::from_bytes(&[user; 32]),
            path: Path::from_slices(&[b"at"]).unwrap(),
        },
        received,
        total: 9,
    };
    for event in [payload(1, 1), payload(2, 1), payload(1, 2), progress(1), payload(1, 3)] {
        log.push(&event);
    }
    assert_eq!(all(&events), [payload(2, 1), progress(1), payload(1, 3)]);
}
