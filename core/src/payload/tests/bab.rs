//! Equality with `bab_rs`: digests, labels through digests, and whole slice streams.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use bab_rs::William3Digest;
use bab_rs::generic::storage::{backend_memory, units::optimal_left_skip, verifiable_streaming::SliceStreamingOptions};
use bab_rs::storage::SingleSliceStore;
use proptest::prelude::*;
use ufotofu::prelude::*;

use super::super::*;
use super::streams::{payload, send};

/// Futures over memory never wait.
fn ready<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future over memory waits"),
    }
}

/// The stream that `bab_rs` makes for these chunks with groups of 16 chunks.
fn reference(bytes: &[u8], first_chunk: u64, chunks: u64, left_skip: u8) -> Vec<u8> {
    let mut keys = backend_memory::KeyState::new();
    let mut options = SliceStreamingOptions { k: 4, left_skip, ..SliceStreamingOptions::default() };
    options.right_skip = 0;
    ready(async {
        let mut source = ufotofu::producer::clone_from_slice(bytes);
        let (mut store, digest) =
            SingleSliceStore::<backend_memory::InMemoryBackend<u8>>::create_and_initialise(&mut keys, 0, bytes.len() as u64, &mut source)
                .await
                .unwrap();
        let mut expected = William3Digest::default();
        bab_rs::batch_hash(bytes, &mut expected);
        assert_eq!(William3Digest::from(digest), expected);
        let mut stream = Vec::new().into_consumer();
        store.get_verifiable_stream(&mut stream, first_chunk, chunks, options).await.unwrap();
        stream.into()
    })
}

const CHUNKS_PER_GROUP: u64 = (GROUP_SIZE / CHUNK_SIZE) as u64;

/// Compares our stream for the groups that hold `start..start + len` with the reference.
fn compare(bytes: &[u8], start: u64, len: u64, resume: bool) {
    let length = bytes.len() as u64;
    let chunk_count = length.div_ceil(CHUNK_SIZE as u64).max(1);
    let first = start / GROUP_SIZE as u64 * CHUNKS_PER_GROUP;
    let end = (start + len).div_ceil(GROUP_SIZE as u64).max(1) * CHUNKS_PER_GROUP;
    let left_skip = if resume && first > 0 { optimal_left_skip(chunk_count, first - 1, first) } else { 0 };
    let expected = reference(bytes, first, end.min(chunk_count) - first, left_skip);
    let (_, stream) = send(bytes, Slice::new(start, len, length).unwrap(), resume, &[GROUP_SIZE]);
    assert!(stream == expected, "{length} bytes, {len} from {start}, resume {resume}: {} bytes for {}", stream.len(), expected.len());
}

#[test]
fn digests_are_those_of_bab_rs_around_every_border() {
    for length in [0, 1, 63, 64, 65, 1023, 1024, 1025, 2047, 2048, 2049, 3073, 16383, 16384, 16385, 17408, 32768, 32769, 50_000, 200_000] {
        let bytes = payload(length);
        let mut expected = William3Digest::default();
        bab_rs::batch_hash(&bytes, &mut expected);
        let mut hasher = PayloadHasher::new();
        hasher.push(&bytes);
        assert_eq!(hasher.finish().digest.as_bytes(), expected.as_bytes(), "{length} bytes");
    }
}

#[test]
fn whole_streams_are_the_grouped_slice_streams_of_bab_rs() {
    // Not for the empty payload: bab_rs 0.8.1 writes a chunk of zeros for it.
    for length in [1, 1024, 1025, 16384, 16385, 32768, 32769, 49152, 65536, 65537, 100_000] {
        compare(&payload(length), 0, length as u64, false);
    }
}

#[test]
fn every_aligned_slice_of_seven_groups_is_that_of_bab_rs() {
    let bytes = payload(7 * GROUP_SIZE - 100);
    let length = bytes.len() as u64;
    for first in 0..7 {
        for end in first + 1..=7 {
            let start = first * GROUP_SIZE as u64;
            let len = (end * GROUP_SIZE as u64).min(length) - start;
            compare(&bytes, start, len, false);
            compare(&bytes, start, len, true);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn slices_are_those_of_bab_rs(length in 1usize..200_000, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let bytes = payload(length);
        let (a, b) = (a.index(length) as u64, b.index(length) as u64);
        let (start, end) = (a.min(b), a.max(b) + 1);
        compare(&bytes, start, end - start, false);
        let aligned = start - start % GROUP_SIZE as u64;
        compare(&bytes, aligned, end - aligned, true);
    }
}
