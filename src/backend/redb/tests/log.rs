//! Records of the log: those that hold and follow each other are read, nothing else is.

use super::{
    super::{
        failure::Failed,
        folder::Medium as _,
        log::{Log, Record},
        tables::Kind,
    },
    disk::Disk,
};

fn record(name: &str) -> Record {
    let mut record = Record::new();
    record.push((Kind::Notes, name.as_bytes(), Some(b"value")));
    record.push((Kind::Secrets, name.as_bytes(), None));
    record
}

fn log(last: u64) -> Log {
    Log::open(Disk::default().log().unwrap(), [7; 32], 4096, last).map_err(Failed::into_error).unwrap().0
}

/// Records numbered from `first`, as the log writes them.
fn written(first: u64, names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().zip(first..).map(|(name, number)| record(name).complete(&[7; 32], number).unwrap()).collect()
}

/// The names of the notes in the records of `bytes` that a database with records up to `last` does not have.
fn read(last: u64, bytes: &[u8]) -> Vec<String> {
    let (mut names, mut log) = (Vec::new(), log(last));
    let result = log.replay(bytes, |(kind, key, value)| {
        if kind == Kind::Notes {
            assert_eq!(value, Some(&b"value"[..]));
            names.push(String::from_utf8(key.to_vec()).unwrap());
        } else {
            assert_eq!((kind, value), (Kind::Secrets, None));
        }
        Ok(())
    });
    result.map_err(Failed::into_error).unwrap();
    assert_eq!(log.last(), last + names.len() as u64);
    names
}

#[test]
fn durable_records_are_read_as_they_were_written_from_the_first_that_is_missing() {
    let bytes = written(5, &["a", "b", "c"]).concat();
    assert_eq!(read(4, &bytes), ["a", "b", "c"]);
    assert_eq!(read(5, &bytes), ["b", "c"]);
    assert_eq!(read(7, &bytes), [""; 0]);
    assert_eq!(read(3, &bytes), [""; 0], "there is a gap before the first");
}

#[test]
fn durable_a_record_that_was_cut_or_changed_ends_the_log() {
    let records = written(1, &["a", "b", "c"]);
    let bytes = records.concat();
    for cut in 0..bytes.len() {
        let whole = records.iter().scan(0, |end, record| Some(std::mem::replace(end, *end + record.len()) + record.len()));
        assert_eq!(read(0, &bytes[..cut]).len(), whole.take_while(|end| *end <= cut).count());
        let mut changed = bytes.clone();
        changed[cut] ^= 1;
        assert_eq!(read(0, &changed).len(), cut / records[0].len());
    }
}

#[test]
fn durable_records_of_another_round_or_with_another_key_are_not_read() {
    let with = |first: &[Vec<u8>], second: &[Vec<u8>]| [first.concat(), second.concat()].concat();
    // What is behind the end is of an earlier round: its numbers do not follow.
    assert_eq!(read(8, &with(&written(9, &["new"]), &written(3, &["old"]))), ["new"]);
    assert_eq!(read(8, &with(&written(9, &["new"]), &written(11, &["later"]))), ["new"]);
    let forged = record("forged").complete(&[8; 32], 2).unwrap();
    assert_eq!(read(0, &with(&written(1, &["own"]), &[forged])), ["own"]);
}

#[test]
fn durable_a_full_log_takes_no_record() {
    let mut log = log(0);
    let mut written = 0;
    while let Some(length) = log.append(record("a")).map_err(Failed::into_error).unwrap() {
        log.accept(length);
        written += length;
    }
    assert!(written <= 4096 && written + 60 > 4096, "{written}");
    assert!(!log.has_room(100));
    let last = log.last();
    log.begin_again(last, None).map_err(Failed::into_error).unwrap();
    assert!(log.has_room(100) && log.is_at_its_start());
}
