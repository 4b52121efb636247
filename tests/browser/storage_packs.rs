//! Packs: entries that are written together, and are all there with small payloads, are stored together.

use std::{collections::BTreeMap, future::poll_fn, task::Poll};

use osier::backend::Durable;
use osier_core::{
    store::{Backend, Batch, Change, LoadCursor, MemoryBackend, StorageError, StoredEntry},
    willow::EntryId,
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::{
    raw::{all, array, bytes, new_name, write},
    storage::{batch, discard, entries, ids, open, payload},
};

const PAYLOAD: &[u8] = b"a payload";

fn put(entry: &StoredEntry, length: usize) -> [Change; 2] {
    [Change::Put(entry.clone()), payload(entry.id(), 0, &PAYLOAD[..length])]
}

fn put_all(entries: &[StoredEntry]) -> Batch {
    batch(entries.iter().flat_map(|entry| put(entry, PAYLOAD.len())).collect())
}

fn remove(entries: &[StoredEntry]) -> Batch {
    batch(entries.iter().map(|entry| Change::Remove(entry.id())).collect())
}

/// In the order of their ids, as in a pack.
fn sorted(count: usize) -> Vec<StoredEntry> {
    let mut entries = entries(1, count, PAYLOAD);
    entries.sort_by_key(StoredEntry::id);
    entries
}

/// Keys and values.
async fn stored(name: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    all(name, "entries").await.iter().map(|(key, value)| (bytes(key), bytes(value))).collect()
}

fn is_pack(value: &[u8]) -> bool {
    value[32] == 3
}

/// What a backend has of these entries, and in all.
async fn state(backend: &impl Backend, known: &[StoredEntry]) -> (BTreeMap<EntryId, Vec<u8>>, u64, u64) {
    let mut payloads = BTreeMap::new();
    for entry in known {
        payloads.insert(entry.id(), backend.read_payload(&entry.id(), 0, 99).await.unwrap());
    }
    let usage = backend.usage().await.unwrap();
    (payloads, usage.entries, usage.payload_bytes)
}

/// What loads, with how much of its payload.
async fn loaded(backend: &impl Backend) -> BTreeMap<EntryId, u64> {
    let (mut loaded, mut next) = (BTreeMap::new(), Some(LoadCursor::default()));
    while let Some(from) = next {
        let chunk = backend.load(from).await.unwrap();
        assert!(chunk.damaged.is_empty());
        for (entry, available) in chunk.entries {
            assert_eq!(loaded.insert(entry.id(), available), None, "an entry is there twice");
        }
        next = chunk.next;
    }
    loaded
}

async fn reopened(durable: Durable, name: &str) -> Durable {
    durable.close().await.unwrap();
    open(name).await
}

#[wasm_bindgen_test]
async fn entries_that_are_written_together_are_in_durable_packs() {
    let name = new_name();
    let durable = open(&name).await;
    let known = sorted(100);
    durable.commit(put_all(&known)).await.unwrap();
    let values = stored(&name).await;
    assert!((3..=5).contains(&values.len()), "{} values", values.len());
    assert!(values.iter().all(|(key, value)| value.starts_with(key) && is_pack(value) && value.len() < 10_000));
    assert_eq!(values[0].0, known[0].id().0);
    // What is there is not stored twice, and nothing is added to it.
    durable.commit(put_all(&known[3..40])).await.unwrap();
    let more = batch(vec![payload(known[9].id(), 9, b"!")]);
    assert_eq!(durable.commit(more).await, Err(StorageError::Misfit("more than a whole payload")));
    assert_eq!(stored(&name).await, values);

    // Though nothing was loaded, it is known what is in a pack.
    let durable = reopened(durable, &name).await;
    assert_eq!(durable.read_payload(&known[50].id(), 2, 4).await.unwrap(), b"payl");
    let durable = reopened(durable, &name).await;
    durable.commit(remove(&known[50..51])).await.unwrap();
    assert_eq!(durable.read_payload(&known[50].id(), 0, 9).await.unwrap(), b"");
    assert_eq!(loaded(&durable).await.len(), 99);
    assert_eq!(stored(&name).await.len(), values.len());

    // A pack without its head has another; the last of a pack is in none; and then there is nothing.
    let first = known.iter().position(|entry| entry.id().0[..] == values[1].0).unwrap();
    durable.commit(remove(&known[..1])).await.unwrap();
    assert_eq!(stored(&name).await[0].0, known[1].id().0);
    durable.commit(remove(&known[1..first - 1])).await.unwrap();
    let (key, value) = &stored(&name).await[0];
    assert_eq!(*key, known[first - 1].id().0);
    assert!(!is_pack(value));
    assert_eq!(durable.read_payload(&known[first - 1].id(), 0, 9).await.unwrap(), PAYLOAD);
    durable.commit(remove(&known)).await.unwrap();
    assert_eq!(stored(&name).await, []);
    let usage = durable.usage().await.unwrap();
    assert_eq!((usage.entries, usage.payload_bytes), (0, 0));
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn only_entries_that_do_not_change_any_more_are_in_durable_packs() {
    let name = new_name();
    let durable = open(&name).await;
    let known = sorted(6);
    let [partial, none, a, b, alone, drafted] = &known[..] else { panic!("six entries") };
    let draft = batch(vec![Change::Draft { id: drafted.id(), offset: 0, bytes: PAYLOAD.to_vec() }]);
    durable.commit(draft).await.unwrap();
    let together = [put(partial, 3).to_vec(), vec![Change::Put(none.clone())], put(a, 9).to_vec(), put(b, 9).to_vec()];
    let adopted = vec![Change::Put(drafted.clone()), Change::Adopt { id: drafted.id(), length: 9 }];
    durable.commit(batch([together.concat(), adopted].concat())).await.unwrap();
    durable.commit(put_all(std::slice::from_ref(alone))).await.unwrap();
    let packs: Vec<_> = stored(&name).await.into_iter().filter(|(_, value)| is_pack(value)).map(|(key, _)| key).collect();
    assert_eq!(packs, [a.id().0.to_vec()]);
    assert_eq!(stored(&name).await.len(), 5);
    durable.commit(batch(vec![payload(partial.id(), 3, &PAYLOAD[3..]), payload(none.id(), 0, PAYLOAD)])).await.unwrap();
    let expected = known.iter().map(|entry| (entry.id(), PAYLOAD.to_vec())).collect();
    assert_eq!(state(&durable, &known).await, (expected, 6, 54));
    discard(durable, &name).await;
}

/// Numbers that look random, the same ones each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[wasm_bindgen_test]
async fn durable_packs_are_what_a_store_in_memory_is_whatever_happens_to_them() {
    let name = new_name();
    let (mut durable, model, known) = (open(&name).await, MemoryBackend::new(), sorted(60));
    let (mut random, mut packs) = (Random(7), 0);
    for round in 0..100 {
        let mut changes = Vec::new();
        for _ in 0..1 + random.below(30) {
            let entry = &known[random.below(known.len())];
            let there = model.read_payload(&entry.id(), 0, 99).await.unwrap().len();
            match random.below(8) {
                // Never less than there may be, so that nothing leaves a gap.
                0 => changes.extend(put(entry, there.max(5))),
                1 | 2 => changes.push(Change::Remove(entry.id())),
                _ => changes.extend(put(entry, 9)),
            }
        }
        let changes = batch(changes);
        for _ in 0..1 + random.below(2) {
            durable.commit(changes.clone()).await.unwrap();
            model.commit(changes.clone()).await.unwrap();
        }
        if random.below(4) == 0 {
            durable = reopened(durable, &name).await;
        }
        assert_eq!(state(&durable, &known).await, state(&model, &known).await, "round {round}");
        assert_eq!(loaded(&durable).await, loaded(&model).await, "round {round}");
        packs += stored(&name).await.iter().filter(|(_, value)| is_pack(value)).count();
    }
    assert!(packs > 200, "only {packs} packs were seen");
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn a_payload_in_a_durable_pack_can_be_read_while_the_pack_changes() {
    let name = new_name();
    let durable = open(&name).await;
    let known = sorted(40);
    durable.commit(put_all(&known)).await.unwrap();
    let last = known.last().unwrap();
    // The head goes each time, and with it the key of the pack.
    for entry in &known[..39] {
        let read = async || durable.read_payload(&last.id(), 0, 9).await;
        let change = remove(std::slice::from_ref(entry));
        let (before, changed, after) = tokio::join!(read(), durable.commit(change), read());
        assert_eq!((before, changed, after), (Ok(PAYLOAD.to_vec()), Ok(()), Ok(PAYLOAD.to_vec())));
    }
    assert_eq!(stored(&name).await.len(), 1);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn after_a_durable_write_was_dropped_it_is_known_what_is_in_packs() {
    let (known, mut polls, mut seen) = (sorted(8), 0, [0; 2]);
    loop {
        let name = new_name();
        let durable = open(&name).await;
        durable.commit(put_all(&known[..5])).await.unwrap();
        // The head goes, and another pack comes.
        let change = [remove(&known[..1]).changes, put_all(&known[5..]).changes].concat();
        let mut commit = Box::pin(durable.commit(batch(change)));
        let mut left = polls;
        let polled = poll_fn(|context| match left {
            0 => Poll::Ready(false),
            _ => {
                left -= 1;
                commit.as_mut().poll(context).map(|result| result.is_ok())
            }
        });
        let through = polled.await;
        drop(commit);
        let (payloads, entries, _) = state(&durable, &known).await;
        let there: Vec<bool> = known.iter().map(|entry| payloads[&entry.id()] == PAYLOAD).collect();
        let written = there[7];
        assert_eq!(there, [!written, true, true, true, true, written, written, written], "after {polls} polls");
        assert_eq!(entries, if written { 7 } else { 5 });
        assert!(written || !through);
        seen[usize::from(written)] += 1;
        // What is changed then is right, and nothing comes back.
        durable.commit(remove(&known[1..2])).await.unwrap();
        durable.commit(remove(&known[7..])).await.unwrap();
        let durable = reopened(durable, &name).await;
        let expected = (0..7).filter(|at| there[*at] && *at != 1).map(|at| (known[at].id(), 9)).collect();
        assert_eq!(loaded(&durable).await, expected, "after {polls} polls");
        discard(durable, &name).await;
        if through {
            break;
        }
        polls += 1;
    }
    assert!(seen[0] > 1 && seen[1] > 1, "{seen:?}");
}

#[wasm_bindgen_test]
async fn durable_packs_that_are_not_whole_are_noticed() {
    let name = new_name();
    let durable = open(&name).await;
    let known = sorted(3);
    durable.commit(put_all(&known)).await.unwrap();
    let [(key, value)] = &stored(&name).await[..] else { panic!("one pack") };
    // Cut off between two entries; with one more than it says; in another order; less than two.
    let value_of = |at: usize| {
        let begin = value.windows(32).skip(35).position(|part| part == known[at].id().0).unwrap() + 33;
        let length = usize::from(u16::from_be_bytes(value[begin..begin + 2].try_into().unwrap()));
        value[begin..begin + 2 + length].to_vec()
    };
    let pack = |count: u8, members: &[usize]| {
        let values = members.iter().map(|at| value_of(*at)).collect::<Vec<_>>().concat();
        [&known[members[0]].id().0[..], &[3, 0, count], &values].concat()
    };
    assert_eq!(pack(3, &[0, 1, 2]), *value);
    for wrong in [pack(3, &[0, 1]), pack(2, &[0, 1, 2]), pack(3, &[0, 2, 1]), pack(1, &[0]), pack(3, &[0, 1, 1]), value[..34].to_vec()] {
        write(&name, "entries", &array(key), &array(&wrong)).await;
        let read = durable.read_payload(&known[0].id(), 0, 9).await;
        assert!(matches!(read, Err(StorageError::Corrupt(_))), "{read:?}");
        assert_eq!(ids(&durable).await, (vec![], vec![known[0].id()]));
    }
    // Its entries are removed one by one, as if it were there.
    durable.commit(remove(&known[1..])).await.unwrap();
    let durable = reopened(durable, &name).await;
    assert_eq!(ids(&durable).await, (vec![], vec![known[0].id()]));
    durable.commit(remove(&known[..1])).await.unwrap();
    assert_eq!(durable.usage().await.unwrap().entries, 0);
    discard(durable, &name).await;
}

#[wasm_bindgen_test]
async fn what_is_damaged_in_durable_packs_is_named_and_nothing_else_is_lost() {
    let name = new_name();
    let durable = open(&name).await;
    let known = sorted(100);
    durable.commit(put_all(&known)).await.unwrap();
    let values = stored(&name).await;
    let place = |id: &[u8]| known.iter().position(|entry| entry.id().0[..] == *id).unwrap();
    let second = place(&values[1].0);
    // In the first pack, an entry is damaged; the second one is cut off.
    let mut flipped = values[0].1.clone();
    let damaged = flipped.windows(32).position(|part| part == known[5].id().0).unwrap();
    flipped[damaged + 60] ^= 1;
    write(&name, "entries", &array(&values[0].0), &array(&flipped)).await;
    write(&name, "entries", &array(&values[1].0), &array(&values[1].1[..2000])).await;
    for entry in [&known[5], &known[second], &known[second + 3]] {
        let read = durable.read_payload(&entry.id(), 0, 9).await;
        assert!(matches!(read, Err(StorageError::Corrupt(_))), "{read:?}");
    }

    let durable = reopened(durable, &name).await;
    let (whole, named) = ids(&durable).await;
    // What was in the second is not known any more but for the key.
    assert_eq!(named, [known[5].id(), known[second].id()]);
    let third = values.get(2).map_or(100, |(key, _)| place(key));
    let expected = known.iter().enumerate().filter(|(at, _)| *at != 5 && !(second..third).contains(at));
    assert_eq!(whole, expected.map(|(_, entry)| entry.id()).collect::<Vec<_>>());
    durable.commit(batch(named.into_iter().map(Change::Remove).collect())).await.unwrap();
    // They come again.
    durable.commit(put_all(&known[second..third])).await.unwrap();
    durable.commit(put_all(&known[5..6])).await.unwrap();
    let durable = reopened(durable, &name).await;
    assert_eq!(loaded(&durable).await, known.iter().map(|entry| (entry.id(), 9)).collect());
    let (payloads, ..) = state(&durable, &known).await;
    assert!(payloads.values().all(|payload| payload == PAYLOAD));
    discard(durable, &name).await;
}
