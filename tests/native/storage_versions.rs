//! Storage as each version of the layout has written it can be read by this one, and written on.
//!
//! `fixtures/storage-N` is what version N has left when its process died: most of it in the database, the rest in the log. With
//! `OSIER_FIXTURE=1` in the environment the test writes the one of the version of this code anew, which is for a version that nobody has
//! used yet only.

use std::{fs, path::PathBuf};

use osier::backend::SCHEMA;
use osier_core::store::{Backend as _, Change, Durability, HistoryKey, HistoryRecord, LoadCursor};

use crate::storage::{Author, Place, batch, bytes, note, notes, pattern};

fn fixture(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/native/fixtures/storage-{version}"))
}

/// Writes what is in the fixtures, and returns how it looks when the process dies.
async fn write_one() -> Place {
    let place = Place::new();
    let (anna, bert) = (Author::new(1), Author::new(2));
    let (whole, part, late) = (anna.entry("whole", &pattern(9000)), bert.entry("in/part", &pattern(5000)), bert.entry("late", b"late"));
    let backend = place.open().await;
    let first = vec![
        Change::Put(whole.clone()),
        bytes(whole.id(), 0, &pattern(9000)),
        Change::Put(part.clone()),
        bytes(part.id(), 0, &pattern(5000)[..2000]),
        note("setting", b"1"),
        note("secret/wallet", b"a secret"),
    ];
    let history = Some(HistoryRecord { key: HistoryKey(3), bytes: b"what happened".to_vec(), trim: None });
    backend.commit(osier_core::store::Batch { history, ..batch(first, Durability::Strict) }).await.unwrap();
    backend.close().await.unwrap();
    let backend = place.open().await;
    let second = vec![bytes(part.id(), 2000, &pattern(5000)[2000..4000]), Change::Put(late), note("setting", b"2")];
    backend.commit(batch(second, Durability::Relaxed)).await.unwrap();
    place.snapshot()
}

#[tokio::test]
async fn durable_storage_of_every_version_is_read_and_written_on() {
    if std::env::var("OSIER_FIXTURE").is_ok() {
        let written = write_one().await;
        let _ = fs::remove_dir_all(fixture(SCHEMA));
        written.copy_to(&fixture(SCHEMA));
    }
    let (anna, bert) = (Author::new(1), Author::new(2));
    for version in 1..=SCHEMA {
        let place = Place::new();
        place.copy_from(&fixture(version));
        for opening in 0..2 {
            let backend = place.open().await;
            let chunk = backend.load(LoadCursor::default()).await.unwrap();
            assert_eq!((chunk.damaged.len(), chunk.progress.0, chunk.next), (0, 1, None));
            let mut found: Vec<_> = chunk.entries.iter().map(|(entry, available)| (entry.path().to_string(), *available)).collect();
            found.sort();
            assert_eq!(found, [("/in/part".to_owned(), 4000), ("/late".to_owned(), 0), ("/whole".to_owned(), 9000)]);
            for (entry, length) in [(anna.entry("whole", &pattern(9000)), 9000), (bert.entry("in/part", &pattern(5000)), 4000)] {
                let kept = chunk.entries.iter().find(|(kept, _)| kept.id() == entry.id()).unwrap();
                assert_eq!(kept.0.signed(), entry.signed());
                assert!(backend.read_payload(&entry.id(), 0, u64::MAX).await.unwrap() == pattern(length));
            }
            assert_eq!(chunk.history, Some(HistoryKey(3)));
            assert_eq!(backend.history(HistoryKey(0)).await.unwrap(), [(HistoryKey(3), b"what happened".to_vec())]);
            let usage = backend.usage().await.unwrap();
            assert_eq!((usage.entries, usage.payload_bytes), (3, 13_000));
            let kept = notes(&backend).await;
            assert_eq!((&kept["setting"][..], &kept["secret/wallet"][..], kept.len()), (&b"2"[..], &b"a secret"[..], 2 + opening));
            backend.commit(batch(vec![note("written on", b"")], Durability::Strict)).await.unwrap();
            backend.close().await.unwrap();
        }
    }
}
