//! Drops of ours against those of `willow25`, its store and its codec, both ways.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use bab_rs::generic::storage::verifiable_streaming::SliceStreamingOptions;
use ufotofu::{
    prelude::{IntoConsumer as _, IntoProducer as _},
    producer::clone_from_slice,
};
use willow25::{
    authorisation::PossiblyAuthorisedEntry,
    drop_format::{DropDecoder, DropEncoder, DropSliceMetadata, export_drop, import_drop},
    prelude::AuthorisedEntry,
    storage::{MemoryStore, PayloadPrefixStore as _, Store as _},
};

use super::super::record::{Prior, encode_record, part_length};
use super::*;
use crate::willow::{
    AuthorisationToken, Coordinatelike as _, Entry, Writer,
    test_values::{namespace, signed, user},
};

/// The result of a future that wakes nobody but itself.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    for _ in 0..1_000_000 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
    panic!("the future does not get on");
}

/// Entries of several authors with delegations, and payloads of all the lengths where something changes.
fn examples(owned: bool) -> Vec<(SignedEntry, Vec<u8>)> {
    let mut examples = Vec::new();
    let mut add = |chain: &[u8], components: &[&[u8]], time, payload: Vec<u8>| {
        examples.push((signed(owned, chain, components, time, &payload), payload));
    };
    for (number, length) in
        [0, 1, 63, 1023, 1024, 1025, 2048, 16_384, 16_385, 65_536, 300_000, 1 << 20, (1 << 20) + 1, 1_700_000].into_iter().enumerate()
    {
        let name = format!("{length}");
        add(&[1], &[b"lengths", name.as_bytes()], [0, 3, 252, 253, 70_000, u64::MAX][number % 6], bytes(length));
    }
    for chain in [&[2][..], &[3, 4], &[3, 4, 5], &[3, 6]] {
        let name = format!("{chain:?}");
        add(chain, &[b"chains", name.as_bytes()], 1 << 40, bytes(chain.len() * 100));
    }
    add(&[1], &[b"", b"", b"\0"], 9, b"of an odd path".to_vec());
    examples
}

/// A store of theirs with these entries.
fn theirs(examples: &[(SignedEntry, Vec<u8>)]) -> MemoryStore {
    let mut store = MemoryStore::new();
    for (number, (signed, payload)) in examples.iter().enumerate() {
        let (entry, capability) = (&signed.entry, &signed.capability);
        let secret = (1..10).map(user).find(|(id, _)| id == capability.receiver()).unwrap().1;
        let made = run(store.create_entry(
            entry.namespace_id(),
            entry.subspace_id(),
            entry.path(),
            entry.timestamp(),
            &mut clone_from_slice(payload),
            payload.len() as u64,
            capability,
            &secret,
        ));
        assert_eq!(made.unwrap().unwrap().entry(), entry, "{number}");
    }
    store
}

/// Everything in a store of theirs, in their order.
fn listed(store: &mut MemoryStore, namespace: &NamespaceId) -> Vec<AuthorisedEntry> {
    let mut entries = Vec::new();
    run(store.get_area(namespace, &Area::full(), &mut (&mut entries).into_consumer())).unwrap();
    entries
}

/// What the function of theirs makes of these entries of a store of theirs.
fn their_drop(store: &mut MemoryStore, entries: Vec<AuthorisedEntry>) -> Vec<u8> {
    let mut drop = Vec::new();
    let mut encoder = DropEncoder::new((&mut drop).into_consumer());
    run(export_drop(store, &mut entries.into_producer(), &mut encoder)).unwrap();
    std::mem::drop(encoder);
    drop
}

fn sorted(mut entries: Vec<(SignedEntry, Option<Vec<u8>>)>) -> Vec<(SignedEntry, Option<Vec<u8>>)> {
    entries.sort_by(|(a, _), (b, _)| (a.entry.subspace_id(), a.entry.path()).cmp(&(b.entry.subspace_id(), b.entry.path())));
    entries
}

fn expected(examples: &[(SignedEntry, Vec<u8>)]) -> Vec<(SignedEntry, Option<Vec<u8>>)> {
    sorted(examples.iter().map(|(entry, payload)| (entry.clone(), Some(payload.clone()))).collect())
}

#[test]
fn their_drops_are_read() {
    for owned in [true, false] {
        let examples = examples(owned);
        let mut store = theirs(&examples);
        let entries = listed(&mut store, &namespace(owned, 0).0);
        let drop = their_drop(&mut store, entries);
        for piece in [usize::MAX, 65_536, 1000, 7] {
            let (found, end) = read(&drop, piece);
            assert_eq!(end, Ok(DropProgress { entries: examples.len() as u64, without_payload: 0, bytes: drop.len() as u64 }));
            assert_eq!(sorted(found), expected(&examples));
        }
    }
}

#[test]
fn ours_are_read_by_them() {
    for owned in [true, false] {
        let examples = examples(owned);
        let namespace = namespace(owned, 0).0;
        let (store, backend) = store(&examples);
        let (drop, progress) = written(&store, &backend, &namespace, &Area::full());
        assert_eq!(progress, DropProgress { entries: examples.len() as u64, without_payload: 0, bytes: drop.len() as u64 });

        let mut theirs = MemoryStore::new();
        run(import_drop(&mut theirs, &mut DropDecoder::new(clone_from_slice(&drop)), false)).unwrap();
        let entries = listed(&mut theirs, &namespace);
        assert_eq!(entries.len(), examples.len());
        for (signed, payload) in &examples {
            let entry = &signed.entry;
            assert!(entries.contains(&signed.authorised()));
            let mut found = Vec::new();
            let mut consumer = (&mut found).into_consumer();
            run(theirs.get_payload_slice(&namespace, entry, None, 0, payload.len() as u64, &mut consumer)).unwrap();
            std::mem::drop(consumer);
            assert_eq!(found, *payload);
        }
    }
}

#[test]
fn drops_are_the_same_bytes_where_the_order_is() {
    let examples = examples(true);
    let namespace = namespace(true, 0).0;
    let (store, backend) = store(&examples);
    let order = store.entries(&namespace, &Area::full()).map(|entry| entry.signed().authorised()).collect();
    assert!(their_drop(&mut theirs(&examples), order) == written(&store, &backend, &namespace, &Area::full()).0);
}

/// The part of a payload that is in a store of theirs.
fn with_part(signed: &SignedEntry, payload: &[u8], chunks: u64) -> MemoryStore {
    let namespace = signed.entry.namespace_id();
    let mut whole = theirs(&[(signed.clone(), payload.to_vec())]);
    let mut stream = Vec::new();
    let options = SliceStreamingOptions::default();
    let mut consumer = (&mut stream).into_consumer();
    run(whole.get_verifiable_stream(namespace, &signed.entry, None, 0, u64::MAX, options, &mut consumer)).unwrap();
    drop(consumer);
    // What is verified before the stream breaks off is kept.
    for end in (0..stream.len()).step_by(64) {
        let mut part = MemoryStore::new();
        assert!(run(part.insert_entry(signed.authorised())).unwrap());
        let broken = run(part.append_to_payload_prefix(namespace, &signed.entry, &mut clone_from_slice(&stream[..end]), options));
        assert!(broken.is_err());
        if run(part.length_of_payload_prefix(namespace, &signed.entry, None)).unwrap() == chunks * 1024 {
            return part;
        }
    }
    panic!("no part of {chunks} chunks")
}

/// Why parts are neither written nor kept here. If this fails, `willow25` has learnt something.
#[test]
fn their_parts_are_read_by_nobody() {
    let payload = bytes(5000);
    let signed = signed(true, &[1], &[b"a"], 9, &payload);
    let drop = their_drop(&mut with_part(&signed, &payload, 3), vec![signed.authorised()]);
    let mut store = MemoryStore::new();
    assert!(run(import_drop(&mut store, &mut DropDecoder::new(clone_from_slice(&drop)), false)).is_err());
    assert!(matches!(read(&drop, usize::MAX), (_, Err(_))));
}

/// A part as the format has it ends their import, and is read over here.
#[test]
fn a_proper_part_is_not_written() {
    let payload = bytes(5000);
    let signed = signed(true, &[1], &[b"a"], 9, &payload);
    let mut writer = Writer::new();
    encode_record(&mut writer, &signed.entry, &signed.capability, &signed.signature, false, &Prior::default());
    let mut drop = writer.into_bytes();
    drop[0] |= 0b10;
    drop.push(3);
    let options = SliceStreamingOptions { k: 64, ..SliceStreamingOptions::default() };
    let mut whole = theirs(&[(signed.clone(), payload)]);
    let mut consumer = (&mut drop).into_consumer();
    run(whole.get_verifiable_stream(signed.entry.namespace_id(), &signed.entry, None, 0, 3, options, &mut consumer)).unwrap();
    std::mem::drop(consumer);
    drop.push(0);
    let mut store = MemoryStore::new();
    assert!(run(import_drop(&mut store, &mut DropDecoder::new(clone_from_slice(&drop)), false)).is_err());
    assert_eq!(read(&drop, 100).1, Ok(DropProgress { entries: 1, without_payload: 1, bytes: drop.len() as u64 }));
}

#[test]
fn parts_end_where_their_codec_says() {
    let signed = signed(true, &[1], &[b"a"], 9, b"");
    for length in (0..70).flat_map(|chunks| [chunks * 1024, chunks * 1024 + 1]).chain([u64::MAX, u64::MAX - 1023, 1 << 40, (1 << 40) + 1]) {
        let entry = Entry::prefilled_builder(&signed.entry).payload_length(length).build();
        let token = AuthorisationToken::new((*signed.capability).clone(), signed.signature.into());
        // SAFETY: nobody takes it for authorised here.
        #[allow(unsafe_code)]
        let entry = unsafe { PossiblyAuthorisedEntry::new(entry, token).into_authorised_entry_unchecked() };
        let total = length.div_ceil(1024);
        for chunks in (0..=total.min(70)).chain([total / 2, total.saturating_sub(1), total]) {
            let theirs = DropSliceMetadata::new(entry.clone(), 0, chunks, 0, false).unwrap();
            let expected = (chunks > 0 && chunks < total).then(|| theirs.expected_bytes());
            assert_eq!(part_length(chunks, length), expected, "{chunks} of {total} chunks");
        }
    }
}
