//! Rows and authors' records: read as they were written, and nothing else is read.

use crate::store::{
    fixture::{Author, namespace, path},
    *,
};

/// Entries of two authors, as a store hands them to a backend.
fn entries() -> Vec<StoredEntry> {
    let (anna, bert) = (Author::new(&namespace(2), 1), Author::new(&namespace(2), 2));
    let written = vec![
        anna.writes(&path(&[]), 1, b""),
        anna.writes(&path(&["a", "\0\u{1}b"]), 2, b"payload"),
        bert.writes(&path(&["c"]), u64::MAX, b"another"),
        anna.writes(&path(&["d"]), 3, b"more"),
    ];
    let changes = Store::new().plan(written).take_batch().changes;
    changes.into_iter().filter_map(|change| if let Change::Put(entry) = change { Some(entry) } else { None }).collect()
}

/// Rows, and the records that must be kept with them.
#[allow(clippy::type_complexity)]
fn written() -> (Vec<(StoredEntry, Vec<u8>)>, Vec<(AuthorId, Vec<u8>)>) {
    let mut codec = RowCodec::new();
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    for entry in entries() {
        let author = codec.author(&entry);
        if let Some(record) = codec.unkept(&author) {
            records.push((author, record.to_vec()));
            codec.keep(&author);
        }
        let row = codec.encode(&entry, entry.payload_length() / 2);
        rows.push((entry, row));
    }
    (rows, records)
}

#[test]
fn rows_are_read_as_they_were_written() {
    let (rows, records) = written();
    assert_eq!(records.len(), 2, "a record for each author, once");
    let mut codec = RowCodec::new();
    for (id, record) in &records {
        codec.learn(*id, record).unwrap();
    }
    for (entry, row) in &rows {
        let (read, available) = codec.decode(&entry.id(), row).unwrap();
        assert_eq!(read.signed(), entry.signed());
        assert_eq!((read.id(), read.progress(), available), (entry.id(), entry.progress(), entry.payload_length() / 2));
        assert_eq!(RowCodec::available(&entry.id(), row), Ok(available));
        assert!(records.iter().any(|(id, _)| Ok(*id) == RowCodec::author_of(&entry.id(), row)));
        let whole = RowCodec::with_available(&entry.id(), row, entry.payload_length()).unwrap();
        assert_eq!(codec.decode(&entry.id(), &whole).unwrap().1, entry.payload_length());
        let author = codec.author(&read);
        assert_eq!(Ok(author), RowCodec::author_of(&entry.id(), row));
        assert_eq!(codec.unkept(&author), None, "what was learned is kept already");
        assert_eq!(&codec.encode(&read, available), row);
    }
}

#[test]
fn entries_of_one_author_share_what_is_large() {
    let (rows, records) = written();
    let mut codec = RowCodec::new();
    records.iter().for_each(|(id, record)| codec.learn(*id, record).unwrap());
    let read: Vec<_> = rows.iter().map(|(entry, row)| codec.decode(&entry.id(), row).unwrap().0).collect();
    for (one, other) in read.iter().flat_map(|one| read.iter().map(move |other| (one, other))) {
        let is_same = one.subspace_id() == other.subspace_id();
        assert_eq!(std::sync::Arc::ptr_eq(one.capability(), other.capability()), is_same);
        assert_eq!(std::sync::Arc::ptr_eq(one.subspace(), other.subspace()), is_same);
    }
}

#[test]
fn whatever_bit_of_a_row_turns_it_is_no_row_any_more() {
    let (rows, records) = written();
    let mut codec = RowCodec::new();
    records.iter().for_each(|(id, record)| codec.learn(*id, record).unwrap());
    for (entry, row) in rows {
        for bit in 0..row.len() * 8 {
            let mut turned = row.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(codec.decode(&entry.id(), &turned).is_err());
            assert!(RowCodec::with_available(&entry.id(), &turned, 0).is_err());
        }
        for end in 0..row.len() {
            assert!(codec.decode(&entry.id(), &row[..end]).is_err());
        }
        assert!(codec.decode(&crate::willow::EntryId([7; 32]), &row).is_err(), "the row of another entry");
        assert!(RowCodec::new().decode(&entry.id(), &row).is_err(), "without its author's record");
        let too_much = RowCodec::with_available(&entry.id(), &row, entry.payload_length() + 1).unwrap();
        assert!(codec.decode(&entry.id(), &too_much).is_err());
    }
}

#[test]
fn a_record_that_was_changed_is_not_learned() {
    for (id, record) in written().1 {
        for bit in 0..record.len() * 8 {
            let mut turned = record.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            assert!(RowCodec::new().learn(id, &turned).is_err());
        }
        assert!(RowCodec::new().learn(AuthorId([1; 32]), &record).is_err());
    }
}

#[test]
fn an_author_that_was_forgotten_is_kept_again_before_its_next_row() {
    let (rows, records) = written();
    let mut codec = RowCodec::new();
    records.iter().for_each(|(id, record)| codec.learn(*id, record).unwrap());
    let (entry, _) = &rows[0];
    let author = codec.author(entry);
    assert_eq!(codec.unkept(&author), None);
    codec.forget(&author);
    assert_eq!(codec.author(entry), author);
    assert_eq!(codec.unkept(&author), Some(&records.iter().find(|(id, _)| *id == author).unwrap().1[..]));
}
