//! A disk that fails.

use std::io::ErrorKind;

use osier_core::store::{Backend as _, StorageError};

use super::{
    super::Durable,
    Contents, Plain,
    disk::Disk,
    script::{Script, script},
};
use crate::backend::Lock;

/// What is there, once it can be read again.
fn contents(plain: &mut Plain) -> Contents {
    (0..20).find_map(|_| plain.try_contents().ok()).expect("the disk works again")
}

/// Makes the step until it is made. What is there agrees with every answer. How many times it failed.
fn make(plain: &mut Plain, script: &Script, step: usize) -> Vec<StorageError> {
    let (batch, after) = &script.steps[step];
    let mut failures = Vec::new();
    loop {
        match plain.writer.commit(&plain.access, batch) {
            Ok(()) => {
                assert_eq!(contents(plain), *after);
                return failures;
            }
            Err(StorageError::Unknown(_)) => failures.push(StorageError::Unknown(String::new())),
            // After an answer that left it open it may be there.
            Err(error) if failures.iter().any(|failure| matches!(failure, StorageError::Unknown(_))) => {
                assert!([script.after(step), after.clone()].contains(&contents(plain)), "after {error}");
                failures.push(error);
            }
            Err(error) => {
                assert_eq!(contents(plain), script.after(step), "after {error}");
                failures.push(error);
            }
        }
        assert!(failures.len() < 9, "{failures:?}");
    }
}

#[test]
fn durable_whatever_act_fails_memory_and_disk_agree_and_it_goes_on() {
    let script = script(5);
    let total = {
        let disk = Disk::default();
        let mut plain = Plain::open(&disk).unwrap();
        let first = disk.acts_done();
        (0..script.steps.len()).for_each(|step| assert!(make(&mut plain, &script, step).is_empty()));
        disk.acts_done() - first
    };
    let mut answered = 0;
    for (kind, count) in [(ErrorKind::StorageFull, 1), (ErrorKind::Other, 1), (ErrorKind::StorageFull, 8), (ErrorKind::Other, 8)] {
        for failing in 0..total {
            let disk = Disk::default();
            let mut plain = Plain::open(&disk).unwrap();
            disk.fail(failing, count, kind);
            for step in 0..script.steps.len() {
                answered += make(&mut plain, &script, step).len();
            }
            // It is not there to the last if the acts that failed were the last.
            disk.fail(0, 0, kind);
            drop(plain);
            assert_eq!(Plain::open(&disk).unwrap().contents(), script.after(script.steps.len()), "{kind} at {failing}");
        }
    }
    assert!(answered > total, "{answered} failures in {total} acts");
}

#[test]
fn durable_a_single_failure_of_a_sync_or_of_the_database_is_repeated_and_nobody_hears_of_it() {
    let script = script(3);
    let disk = Disk::default();
    let mut plain = Plain::open(&disk).unwrap();
    for step in 0..script.steps.len() {
        // The act after the one that writes the log: the sync of a strict commit.
        disk.fail(1, 1, ErrorKind::Other);
        assert_eq!(make(&mut plain, &script, step), []);
    }
}

#[test]
fn durable_a_disk_that_is_gone_says_so_and_everything_is_there_when_it_is_back() {
    let script = script(4);
    let disk = Disk::default();
    let mut plain = Plain::open(&disk).unwrap();
    let half = script.steps.len() / 2;
    (0..half).for_each(|step| assert!(make(&mut plain, &script, step).is_empty()));
    disk.fail(0, usize::MAX, ErrorKind::NotConnected);
    for _ in 0..3 {
        let error = plain.writer.commit(&plain.access, &script.steps[half].0).unwrap_err();
        assert!(matches!(error, StorageError::Lost(_) | StorageError::Unknown(_)), "{error}");
    }
    disk.fail(0, 0, ErrorKind::NotConnected);
    assert_eq!(plain.contents(), script.after(half));
    (half..script.steps.len()).for_each(|step| assert!(make(&mut plain, &script, step).is_empty()));
}

#[test]
fn durable_a_full_disk_keeps_what_was_acknowledged_can_be_read_and_goes_on_when_there_is_room() {
    let script = script(12);
    let mut refused = 0;
    for blocks in 0..24 {
        let disk = Disk::default();
        let mut plain = Plain::open(&disk).unwrap();
        disk.leave_room(blocks);
        let full_at = (0..script.steps.len()).find(|&step| match plain.writer.commit(&plain.access, &script.steps[step].0) {
            Ok(()) => false,
            Err(error) => {
                assert_eq!(error, StorageError::Full);
                true
            }
        });
        let full_at = full_at.expect("the disk is full some time");
        refused += 1;
        assert_eq!(plain.contents(), script.after(full_at));
        // Also by another process, while it is full.
        drop(plain);
        let mut plain = Plain::open(&disk).unwrap();
        assert_eq!(plain.contents(), script.after(full_at));
        assert_eq!(plain.writer.commit(&plain.access, &script.steps[full_at].0), Err(StorageError::Full));
        assert_eq!(plain.contents(), script.after(full_at));
        disk.leave_room(10_000);
        for step in full_at..script.steps.len() {
            assert_eq!(make(&mut plain, &script, step), []);
        }
    }
    assert_eq!(refused, 24);
}

#[test]
fn durable_a_call_that_panics_is_an_error_and_the_next_one_finds_the_storage_sound() {
    let script = script(3);
    let disk = Disk::default();
    let panicked = async {
        let backend = Durable::open_on(|| disk.medium(), Lock::Fail).await.unwrap();
        for (batch, after) in &script.steps {
            disk.panic_next();
            assert!(matches!(backend.commit(batch.clone()).await, Err(StorageError::Unknown(_))));
            backend.commit(batch.clone()).await.unwrap();
            assert_eq!(Contents::of(&backend).await, *after);
        }
        disk.panic_next();
        assert!(backend.close().await.is_err());
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(panicked);
    assert_eq!(Plain::open(&disk).unwrap().contents(), script.after(script.steps.len()));
}
