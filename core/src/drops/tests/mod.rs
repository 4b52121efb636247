#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exchange;
mod reader;
mod writer;

use willow25::prelude::Area;

use super::*;
use crate::{
    store::{Backend, Incoming, MemoryBackend, Origin, Store},
    willow::{Entrylike as _, Keylike as _, NamespaceId, Namespaced as _, SignedEntry, codec::ready},
};

/// Bytes that differ from place to place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// A store with these entries, each with so much of its payload.
fn store(entries: &[(SignedEntry, Vec<u8>)]) -> (Store, MemoryBackend) {
    let (mut store, backend) = (Store::new(), MemoryBackend::new());
    let incoming = entries.iter().map(|(entry, payload)| {
        let whole = payload.len() as u64 == entry.entry.payload_length();
        Incoming { entry: entry.clone(), payload: whole.then(|| payload.clone()), origin: Origin::Local }
    });
    let plan = store.plan(incoming.collect());
    ready(store.commit(&backend, plan)).unwrap().unwrap();
    for (entry, payload) in entries {
        let (entry, id) = (&entry.entry, entry.id);
        let plan = store.plan_payload((entry.namespace_id(), entry.subspace_id(), entry.path()), &id, 0, payload.clone(), Origin::Local);
        ready(store.commit(&backend, plan)).unwrap().unwrap();
    }
    (store, backend)
}

/// The drop of a namespace's area, and how far that was.
fn written(store: &Store, backend: &MemoryBackend, namespace: &NamespaceId, area: &Area) -> (Vec<u8>, DropProgress) {
    let (mut writer, mut drop) = (DropWriter::new(namespace.clone(), area), Vec::new());
    loop {
        match writer.poll(store).unwrap() {
            Some(DropWriterOutput::ReadPayload { read, entry, offset, len }) => {
                writer.handle_payload(read, ready(backend.read_payload(&entry, offset, len)).unwrap().unwrap());
            }
            Some(DropWriterOutput::Bytes(bytes)) => drop.extend(bytes),
            Some(DropWriterOutput::Done) => return (drop, writer.progress()),
            None => panic!("the writer waits for nothing"),
        }
    }
}

/// Entries with their payloads, where those are there.
type Content = Vec<(SignedEntry, Option<Vec<u8>>)>;

/// What is in a drop that is handed in in pieces of this length, long payloads put together; and the fault that ends it.
fn read(drop: &[u8], piece: usize) -> (Content, Result<DropProgress, DropError>) {
    let (mut reader, mut pieces, mut found, mut unverified) = (DropReader::new(), drop.chunks(piece), Vec::new(), Vec::new());
    loop {
        match reader.poll() {
            Ok(Some(DropOutput::Entries(entries))) => {
                assert!(unverified.is_empty());
                found.extend(entries.into_iter().map(|Dropped { entry, payload }| match payload {
                    DroppedPayload::Whole(bytes) => (entry, Some(bytes)),
                    DroppedPayload::Missing | DroppedPayload::Follows => (entry, None),
                }));
            }
            Ok(Some(DropOutput::Unverified { offset, bytes })) => {
                assert_eq!(offset, unverified.len() as u64);
                unverified.extend(bytes);
            }
            Ok(Some(DropOutput::Verified(outboard))) => {
                let (entry, payload) = found.last_mut().unwrap();
                assert_eq!((outboard.digest(), outboard.is_complete()), (entry.entry.payload_digest().clone(), true));
                *payload = Some(std::mem::take(&mut unverified));
            }
            Ok(Some(DropOutput::Done)) => {
                assert_eq!(reader.poll(), Ok(None));
                return (found, Ok(reader.progress()));
            }
            Ok(None) => match pieces.next() {
                Some(piece) => reader.handle_bytes(piece.to_vec()),
                None => reader.handle_end(),
            },
            Err(error) => {
                assert_eq!(reader.poll(), Err(error));
                return (found, Err(error));
            }
        }
    }
}
