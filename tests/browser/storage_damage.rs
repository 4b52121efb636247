//! Durable storage that does not say what was written: what is damaged is named, and nothing else is lost.

use js_sys::Array;
use osier_core::{
    store::{Backend, Change, StorageError, StoredEntry},
    willow::EntryId,
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    raw::{all, array, bytes, new_name, script, write},
    storage::{batch, discard, entries, entry, ids, open, payload, put},
};

#[wasm_bindgen_test]
async fn damaged_durable_rows_are_named_and_nothing_else_is_lost() {
    let name = new_name();
    let durable = open(&name).await;
    let known = entries(1, 6, b"payload");
    let other = entry(2);
    let mut changes: Vec<Change> = known.iter().cloned().map(Change::Put).collect();
    changes.extend(known.iter().map(|entry| payload(entry.id(), 0, b"pay")));
    changes.push(Change::Put(other.clone()));
    durable.commit(batch(changes)).await.unwrap();
    // By id, as they are stored.
    let mut rows = all(&name, "entries").await;
    rows.retain(|(key, _)| bytes(key) != other.id().0);
    let id = |row: usize| bytes(&rows[row].0);
    let mut flipped = bytes(&rows[0].1);
    flipped[100] ^= 1;
    let damage = [array(&flipped), array(&bytes(&rows[1].1)[..90]), "no bytes at all".into(), rows[4].1.clone()];
    for (row, value) in damage.iter().enumerate() {
        write(&name, "entries", &rows[row].0, value).await;
    }
    // And the record of an author.
    let authors = all(&name, "authors").await;
    let of_other = authors.iter().find(|(_, record)| bytes(record)[1..33] == other.subspace_id().as_bytes()[..]).unwrap();
    write(&name, "authors", &of_other.0, &array(b"?")).await;
    durable.close().await.unwrap();

    let durable = open(&name).await;
    let (whole, mut damaged) = ids(&durable).await;
    damaged.sort();
    let mut expected: Vec<_> = (0..4).map(id).chain([other.id().0.to_vec()]).collect();
    expected.sort();
    assert_eq!(damaged.iter().map(|id| id.0.to_vec()).collect::<Vec<_>>(), expected);
    assert_eq!(whole.iter().map(|id| id.0.to_vec()).collect::<Vec<_>>(), [id(4), id(5)]);

    // One is put again, the others are removed, as a node does: what is left is right, and so are the sums.
    let again = known.iter().find(|entry| entry.id().0[..] == id(0)).unwrap();
    durable.commit(put(again)).await.unwrap();
    let removed = damaged.iter().filter(|id| **id != again.id());
    durable.commit(batch(removed.copied().map(Change::Remove).collect())).await.unwrap();
    let (whole, damaged) = ids(&durable).await;
    assert_eq!((whole.len(), damaged.len()), (3, 0));
    let usage = durable.usage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (3, 2 * 3));
    assert_eq!(all(&name, "payloads").await.len(), 2);
    durable.commit(put(&other)).await.unwrap();
    durable.close().await.unwrap();
    let durable = open(&name).await;
    assert_eq!(ids(&durable).await.1, []);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn damaged_durable_rows_with_payloads_are_named_and_nothing_else_is_lost() {
    let name = new_name();
    let durable = open(&name).await;
    let known = entries(1, 8, b"payload");
    let put = |entry: &StoredEntry| [Change::Put(entry.clone()), payload(entry.id(), 0, b"payload")];
    for entry in &known {
        durable.commit(batch(put(entry).into())).await.unwrap();
    }
    let rows = all(&name, "entries").await;
    let value = |row: usize| bytes(&rows[row].1);
    let changed = |row: usize, place: usize, byte: u8| {
        let mut value = value(row);
        value[place] = byte;
        value
    };
    let damage = [
        changed(0, 100, !value(0)[100]),
        value(1)[..value(1).len() - 2].to_vec(),
        [&value(2)[..], b"more"].concat(),
        value(7),
        // The length of the payload: a little less, and more than there is of all.
        changed(4, 34, 6),
        changed(5, 33, 9),
        // With a row before it that is whole, and does not say that it has a payload.
        value(6)[..34].to_vec(),
    ];
    for (row, value) in damage.iter().enumerate() {
        write(&name, "entries", &rows[row].0, &array(value)).await;
    }
    let id = |row: usize| EntryId(bytes(&rows[row].0).try_into().unwrap());
    for row in 0..damage.len() {
        let read = durable.read_payload(&id(row), 0, 7).await;
        assert!(matches!(read, Err(StorageError::Corrupt(_))), "{row}: {read:?}");
    }
    durable.close().await.unwrap();

    let durable = open(&name).await;
    let (whole, mut damaged) = ids(&durable).await;
    damaged.sort();
    assert_eq!((whole, damaged.clone()), (vec![id(7)], (0..7).map(id).collect()));
    // One is put again, the others are removed. The sums are right as far as the damaged rows still said how much was behind them.
    let again = known.iter().find(|entry| entry.id() == id(0)).unwrap();
    durable.commit(batch(put(again).into())).await.unwrap();
    assert_eq!(durable.read_payload(&id(0), 0, 9).await.unwrap(), b"payload");
    durable.commit(batch(damaged[1..].iter().copied().map(Change::Remove).collect())).await.unwrap();
    assert_eq!(ids(&durable).await, (vec![id(0), id(7)], vec![]));
    let usage = durable.usage().await.unwrap();
    let unknown = 1 + 7 + 7;
    assert_eq!((usage.entries, usage.payload_bytes), (2, 2 * 7 + unknown));
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn a_durable_row_in_the_place_of_another_is_damaged_though_it_is_whole() {
    let name = new_name();
    let durable = open(&name).await;
    let known = entries(1, 3, b"payload");
    durable.commit(batch(known.iter().cloned().map(Change::Put).collect())).await.unwrap();
    let rows = all(&name, "entries").await;
    write(&name, "entries", &rows[0].0, &rows[1].1).await;
    let (whole, damaged) = ids(&durable).await;
    assert_eq!(whole.iter().map(|id| id.0.to_vec()).collect::<Vec<_>>(), [bytes(&rows[1].0), bytes(&rows[2].0)]);
    assert_eq!(damaged.iter().map(|id| id.0.to_vec()).collect::<Vec<_>>(), [bytes(&rows[0].0)]);
    let bytes_for = |row: usize| {
        let entry = known.iter().find(|entry| entry.id().0[..] == bytes(&rows[row].0)).unwrap();
        batch(vec![payload(entry.id(), 0, b"pay")])
    };
    assert!(matches!(durable.commit(bytes_for(0)).await, Err(StorageError::Misfit(_))));
    durable.commit(bytes_for(1)).await.unwrap();
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn durable_payloads_with_a_segment_missing_are_corrupt() {
    const LOSE: &str = "
        const [name, key] = argument;
        const db = await open(name);
        await done(db.transaction('payloads', 'readwrite').objectStore('payloads').delete(key));
        db.close();
    ";
    let name = new_name();
    let durable = open(&name).await;
    let entry = entries(1, 1, b"payload of some length").remove(0);
    let id = entry.id();
    durable.commit(put(&entry)).await.unwrap();
    for (offset, bytes) in [(0, b"pay".as_slice()), (3, b"load"), (7, b" of ")] {
        durable.commit(batch(vec![payload(id, offset, bytes)])).await.unwrap();
    }
    script(LOSE, Array::of2(&name.as_str().into(), &all(&name, "payloads").await[1].0)).await;
    assert_eq!(durable.read_payload(&id, 0, 3).await.unwrap(), b"pay");
    for (offset, len) in [(0, 9), (1, 9), (4, 9)] {
        let read = durable.read_payload(&id, offset, len).await;
        assert!(matches!(read, Err(StorageError::Corrupt(_))), "{read:?}");
    }
    discard(durable, &name).await;
}
