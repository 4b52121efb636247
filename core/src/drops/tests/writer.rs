//! What a drop has in it, what it costs to write it, and what happens when the store changes meanwhile.

use std::collections::VecDeque;

use willow25::prelude::{Path, TimeRange};

use super::*;
use crate::{
    store::fixture::{Author, namespace, path},
    willow::EntryId,
};

struct World {
    store: Store,
    backend: MemoryBackend,
    author: Author,
}

impl World {
    fn new() -> Self {
        Self { store: Store::new(), backend: MemoryBackend::new(), author: Author::new(&namespace(2), 1) }
    }

    fn write(&mut self, components: &[&str], time: u64, payload: &[u8]) -> EntryId {
        let incoming = self.author.writes(&path(components), time, payload);
        let id = incoming.entry.id;
        let plan = self.store.plan(vec![incoming]);
        ready(self.store.commit(&self.backend, plan)).unwrap().unwrap();
        id
    }

    fn answer(&self, writer: &mut DropWriter, output: DropWriterOutput) {
        let DropWriterOutput::ReadPayload { read, entry, offset, len } = output else { panic!("{output:?} is no read") };
        writer.handle_payload(read, ready(self.backend.read_payload(&entry, offset, len)).unwrap().unwrap());
    }

    fn drop_of(&self, area: &Area) -> Vec<(Path, Option<usize>)> {
        let (drop, _) = written(&self.store, &self.backend, &namespace(2), area);
        let (found, end) = read(&drop, 10_000);
        end.unwrap();
        found.into_iter().map(|(entry, payload)| (entry.entry.path().clone(), payload.map(|payload| payload.len()))).collect()
    }
}

#[test]
fn a_drop_has_an_area_in_order() {
    let mut world = World::new();
    for (components, time) in [(&["b", "x"][..], 1), (&["a"], 5), (&["b", "c", "d"], 3), (&["b", "c"], 2)] {
        world.write(components, time, b"payload");
    }
    let below = |components: &[&str], times| Area::new(None, path(components), times);
    let paths = |area: &Area| world.drop_of(area).into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(paths(&Area::full()), [path(&["a"]), path(&["b", "c"]), path(&["b", "c", "d"]), path(&["b", "x"])]);
    assert_eq!(paths(&below(&["b", "c"], TimeRange::full())), [path(&["b", "c"]), path(&["b", "c", "d"])]);
    assert_eq!(paths(&below(&["b"], TimeRange::new_open(3.into()))), [path(&["b", "c", "d"])]);
    assert_eq!(paths(&below(&["z"], TimeRange::full())), [] as [Path; 0]);
}

#[test]
fn a_payload_that_is_not_all_here_is_left_out() {
    let author = Author::new(&namespace(2), 1);
    let entry = |name, payload: &[u8]| author.entry(&path(&[name]), 1, payload);
    let content = [
        (entry("all", b"payload"), b"payload".to_vec()),
        (entry("empty", b""), vec![]),
        (entry("none", b"payload"), vec![]),
        (entry("part", b"payload"), b"pay".to_vec()),
    ];
    let (store, backend) = store(&content);
    let (drop, progress) = written(&store, &backend, &namespace(2), &Area::full());
    assert_eq!(progress, DropProgress { entries: 4, without_payload: 2, bytes: drop.len() as u64 });
    let (found, end) = read(&drop, 10_000);
    assert_eq!(end.unwrap(), progress);
    let payloads: Vec<_> = found.into_iter().map(|(_, payload)| payload).collect();
    assert_eq!(payloads, [Some(b"payload".to_vec()), Some(vec![]), None, None]);

    // Nothing is read in vain.
    let mut writer = DropWriter::new(namespace(2), &Area::full());
    assert!(matches!(writer.poll(&store), Ok(Some(DropWriterOutput::ReadPayload { entry, .. })) if entry == content[0].0.id));
    assert_eq!(writer.poll(&store), Ok(None));
}

/// However much there is, little is kept and little is asked for before somebody takes what is there.
#[test]
fn pieces_and_reads_are_bounded() {
    let mut world = World::new();
    for number in 0..150 {
        world.write(&["short", &format!("{number:03}")], 1, &bytes(60_000));
    }
    world.write(&["z"], 1, &bytes(3_000_000));
    let mut writer = DropWriter::new(namespace(2), &Area::full());
    let (mut open, mut most, mut pieces) = (VecDeque::new(), 0, Vec::new());
    loop {
        match writer.poll(&world.store).unwrap() {
            Some(DropWriterOutput::Bytes(bytes)) => pieces.push(bytes.len()),
            Some(DropWriterOutput::Done) => break,
            Some(read) => {
                open.push_back(read);
                let lengths = open.iter().map(|read| if let DropWriterOutput::ReadPayload { len, .. } = read { *len } else { 0 });
                assert!(lengths.clone().all(|len| len <= SEGMENT));
                most = most.max(lengths.sum());
            }
            // Nothing is answered before everything waits for it.
            None => world.answer(&mut writer, open.pop_front().unwrap()),
        }
    }
    assert!(most > 1_000_000 && most <= 3 << 19, "{most} bytes under way");
    let (last, pieces) = pieces.split_last().unwrap();
    assert!(pieces.iter().all(|&piece| piece == 64 * 1024) && *last <= 64 * 1024);
    assert_eq!(writer.progress().entries, 151);
}

#[test]
fn what_is_removed_meanwhile_is_left_out() {
    let mut world = World::new();
    let ids: Vec<_> = ["a", "b", "c"].iter().map(|name| world.write(&[name], 1, &bytes(50_000))).collect();
    let mut writer = DropWriter::new(namespace(2), &Area::full());
    let reads: Vec<_> = (0..3).map(|_| writer.poll(&world.store).unwrap().unwrap()).collect();
    assert_eq!(writer.poll(&world.store), Ok(None));
    // The second is pruned after it was listed and before it was read.
    world.write(&["b"], 2, b"newer");
    for read in reads {
        world.answer(&mut writer, read);
    }
    let mut drop = Vec::new();
    while let Some(output) = writer.poll(&world.store).unwrap() {
        match output {
            DropWriterOutput::Bytes(bytes) => drop.extend(bytes),
            DropWriterOutput::Done => break,
            DropWriterOutput::ReadPayload { .. } => panic!("everything was read"),
        }
    }
    let (found, end) = read(&drop, 1000);
    assert_eq!(end.unwrap(), DropProgress { entries: 2, without_payload: 0, bytes: drop.len() as u64 });
    assert_eq!(found.iter().map(|(entry, _)| entry.id).collect::<Vec<_>>(), [ids[0], ids[2]]);
}

/// A long payload that goes before its turn is no fault; one that goes while it is written is.
#[test]
fn a_long_payload_must_stay_while_it_is_written() {
    for early in [true, false] {
        let mut world = World::new();
        world.write(&["a"], 1, b"first");
        let long = world.write(&["b"], 1, &bytes(2_000_000));
        let mut writer = DropWriter::new(namespace(2), &Area::full());
        let mut removed = false;
        let mut reads = 0;
        let end = loop {
            match writer.poll(&world.store) {
                Ok(Some(DropWriterOutput::Done)) => break Ok(writer.progress().entries),
                Ok(Some(DropWriterOutput::Bytes(_))) => {}
                Ok(Some(read)) => {
                    reads += 1;
                    if !removed && reads == if early { 1 } else { 4 } {
                        let plan = world.store.plan_forget(&namespace(2), &Area::new(None, path(&["b"]), TimeRange::full()));
                        ready(world.store.commit(&world.backend, plan)).unwrap().unwrap();
                        removed = true;
                    }
                    world.answer(&mut writer, read);
                }
                Ok(None) => panic!("nothing is under way"),
                Err(error) => {
                    assert_eq!(writer.poll(&world.store), Err(error));
                    break Err(error);
                }
            }
        };
        assert_eq!(end, if early { Ok(1) } else { Err(DropWriteError::PayloadGone { entry: long, length: 2_000_000 }) });
    }
}

/// Storage that gives other bytes than it was given: the drop has no payload that is not its entry's.
#[test]
fn damage_does_not_get_into_a_drop() {
    let mut world = World::new();
    world.write(&["a"], 1, b"short");
    let damaged = |world: &World| {
        let mut writer = DropWriter::new(namespace(2), &Area::full());
        let mut drop = Vec::new();
        loop {
            match writer.poll(&world.store) {
                Ok(Some(DropWriterOutput::ReadPayload { read, len, .. })) => {
                    writer.handle_payload(read, vec![9; usize::try_from(len).unwrap()])
                }
                Ok(Some(DropWriterOutput::Bytes(bytes))) => drop.extend(bytes),
                Ok(Some(DropWriterOutput::Done)) => return Ok((drop, writer.progress())),
                Ok(None) => panic!("nothing is under way"),
                Err(error) => return Err(error),
            }
        }
    };
    let (drop, progress) = damaged(&world).unwrap();
    assert_eq!((progress.entries, progress.without_payload), (1, 1));
    read(&drop, 100).1.unwrap();
    let entry = world.write(&["b"], 1, &bytes(2_000_000));
    assert_eq!(damaged(&world), Err(DropWriteError::WrongPayload { entry }));
}

/// The first entry is relative to Willow'25's default one.
#[test]
fn the_first_entry_may_be_by_the_default_user() {
    use crate::willow::{SubspaceId, WriteCapability};
    let (namespace, user): (NamespaceId, SubspaceId) =
        (willow25::defaults::default_namespace_id(), willow25::defaults::default_subspace_id());
    let secret = willow25::defaults::default_subspace_secret();
    let entry = crate::willow::test_values::entry(&namespace, &user, path(&["a"]), 7, b"payload");
    let capability = std::sync::Arc::new(WriteCapability::new_communal(namespace.clone(), user));
    let signed = SignedEntry::sign(entry, capability, &secret).unwrap();
    let (store, backend) = store(&[(signed.clone(), b"payload".to_vec())]);
    let (drop, _) = written(&store, &backend, &namespace, &Area::full());
    assert_eq!(read(&drop, 10).0, [(signed, Some(b"payload".to_vec()))]);
}
