//! Sender and receiver against each other: any pieces, any slices, any wrong byte, resuming anywhere.

use proptest::prelude::*;
use willow25::entry::PayloadDigest;

use super::super::*;

/// Bytes without a short period.
pub fn payload(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

pub fn hashed(bytes: &[u8]) -> HashedPayload {
    let mut hasher = PayloadHasher::new();
    hasher.push(bytes);
    hasher.finish()
}

/// Serves a slice, pushing pieces of the sizes in `pieces`, over and over.
pub fn send(bytes: &[u8], slice: Slice, resume: bool, pieces: &[usize]) -> (HashedPayload, Vec<u8>) {
    let hashed = hashed(bytes);
    let stream = serve(bytes, &hashed.outboard, slice, resume, pieces);
    (hashed, stream)
}

fn serve(bytes: &[u8], outboard: &Outboard, slice: Slice, resume: bool, pieces: &[usize]) -> Vec<u8> {
    let mut sender = PayloadSender::new(outboard, slice, resume).unwrap();
    let mut stream = sender.take();
    let mut pieces = pieces.iter().cycle();
    while let Some((offset, len)) = sender.wants() {
        let len = (*pieces.next().unwrap()).min(usize::try_from(len).unwrap());
        let offset = usize::try_from(offset).unwrap();
        sender.push(&bytes[offset..offset + len]).unwrap();
        stream.extend(sender.take());
    }
    assert_eq!(sender.push(b"x"), Err(TooManyBytes { pushed: 1, wanted: 0 }));
    stream
}

/// Pushes a stream in pieces; returns what was verified.
fn receive(receiver: &mut PayloadReceiver, mut stream: &[u8], pieces: &[usize]) -> Result<Vec<u8>, PayloadError> {
    let mut received = Vec::new();
    let mut pieces = pieces.iter().cycle();
    while !stream.is_empty() {
        let (now, later) = stream.split_at((*pieces.next().unwrap()).min(stream.len()));
        receiver.push(now)?;
        stream = later;
        while let Some((offset, bytes)) = receiver.poll_verified() {
            assert_eq!(offset, receiver.expected().start() + received.len() as u64);
            received.extend(bytes);
        }
    }
    receiver.finish()?;
    Ok(received)
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![
        prop::sample::select(vec![0, 1, 1023, 1024, 1025, 16383, 16384, 16385, 32767, 32768, 32769, 49152, 65536, 65537, 131_072]),
        0usize..200_000,
    ]
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1usize..100, 1usize..2000, 1usize..50_000, Just(GROUP_SIZE), Just(64)], 1..6)
        // A piece of a byte or two alone would make the tests slow.
        .prop_map(|mut pieces| {
            pieces.push(40_000);
            pieces
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hashing_in_pieces_is_hashing_at_once(length in lengths(), sizes in pieces()) {
        let bytes = payload(length);
        let mut hasher = PayloadHasher::new();
        let (mut rest, mut sizes) = (&bytes[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            hasher.push(now);
            rest = later;
        }
        let result = hasher.finish();
        prop_assert_eq!(&result.digest, &PayloadDigest::from_payload(&bytes));
        prop_assert_eq!(&result, &hashed(&bytes));
        prop_assert_eq!(result.outboard.available(), length as u64);
        prop_assert!(result.outboard.is_complete());
        prop_assert_eq!(Outboard::from_bytes(&result.outboard.to_bytes()), Ok(result.outboard));
    }

    #[test]
    fn a_whole_payload_arrives_with_its_outboard(length in lengths(), sent in pieces(), got in pieces()) {
        let bytes = payload(length);
        let whole = Slice::whole(length as u64);
        let (hashed, stream) = send(&bytes, whole, false, &sent);
        let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, whole);
        let received = receive(&mut receiver, &stream, &got).unwrap();
        prop_assert!(received == bytes);
        prop_assert_eq!(receiver.into_outboard().unwrap(), hashed.outboard);
    }

    #[test]
    fn any_slice_arrives(length in 1usize..200_000, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>(), sent in pieces(), got in pieces()) {
        let bytes = payload(length);
        let (a, b) = (a.index(length), b.index(length));
        let slice = Slice::new(a.min(b) as u64, a.abs_diff(b) as u64 + 1, length as u64).unwrap();
        let (hashed, stream) = send(&bytes, slice, false, &sent);
        let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, slice);
        let received = receive(&mut receiver, &stream, &got).unwrap();
        let expected = receiver.expected();
        prop_assert!(expected.start() == slice.start() && expected.end() >= slice.end());
        prop_assert!(received == bytes[expected.start() as usize..expected.end() as usize]);
        prop_assert_eq!(receiver.outboard().is_some(), slice.start() == 0);
    }

    #[test]
    fn any_wrong_byte_is_noticed_and_never_comes_out(length in 1usize..120_000, at in any::<prop::sample::Index>(), bit in 0u8..8, got in pieces()) {
        let bytes = payload(length);
        let whole = Slice::whole(length as u64);
        let (hashed, mut stream) = send(&bytes, whole, false, &[100_000]);
        let at = at.index(stream.len());
        stream[at] ^= 1 << bit;
        let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, whole);
        let mut received = Vec::new();
        let mut pushed = 0;
        let mut sizes = got.iter().cycle();
        let error = loop {
            prop_assert!(pushed < stream.len(), "not noticed");
            let now = (*sizes.next().unwrap()).min(stream.len() - pushed);
            let result = receiver.push(&stream[pushed..pushed + now]);
            pushed += now;
            while let Some((_, bytes)) = receiver.poll_verified() {
                received.extend(bytes);
            }
            if let Err(error) = result {
                break error;
            }
            prop_assert!(pushed < at + GROUP_SIZE + 1, "noticed later than with the group");
        };
        let noticed = matches!(error, PayloadError::WrongBytes { .. });
        prop_assert!(noticed, "{error:?}");
        prop_assert!(received == bytes[..received.len()]);
        prop_assert_eq!(receiver.push(&[]), Err(error), "an error stays");
        prop_assert_eq!(receiver.finish(), Err(error));
    }

    #[test]
    fn a_transfer_resumes_at_any_verified_prefix(length in 1usize..200_000, cut in any::<prop::sample::Index>(), got in pieces()) {
        let bytes = payload(length);
        let whole = Slice::whole(length as u64);
        let (hashed, stream) = send(&bytes, whole, false, &[100_000]);
        let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, whole);
        receiver.push(&stream[..cut.index(stream.len())]).unwrap();
        let first = receiver.poll_verified().map_or(Vec::new(), |(_, bytes)| bytes);
        if !receiver.is_complete() {
            prop_assert_eq!(receiver.finish(), Err(PayloadError::Truncated { verified: first.len() as u64, end: length as u64 }));
        }
        let stored = receiver.into_outboard().unwrap();
        prop_assert_eq!(stored.available(), first.len() as u64);
        prop_assert_eq!(stored.digest(), hashed.digest.clone(), "a partial outboard proves the digest");
        prop_assert_eq!(&hashed.outboard.truncated(stored.available()), &stored);
        let stored = Outboard::from_bytes(&stored.to_bytes()).unwrap();

        let mut second = PayloadReceiver::resume(stored.clone(), u64::MAX).unwrap();
        let slice = second.expected();
        prop_assert_eq!((slice.start(), slice.end()), (first.len() as u64, length as u64));
        let resumed = serve(&bytes, &hashed.outboard, slice, true, &[100_000]);
        prop_assert!(resumed.len() <= stream.len() - first.len());
        let rest = receive(&mut second, &resumed, &got).unwrap();
        prop_assert!([first, rest].concat() == bytes);
        prop_assert_eq!(second.into_outboard().unwrap(), hashed.outboard);
    }

    #[test]
    fn a_partial_holder_serves_what_it_can_prove(groups in 2usize..14, have in 1usize..13, from in any::<prop::sample::Index>(), tail in 1usize..GROUP_SIZE) {
        let have = have.min(groups - 1);
        let bytes = payload(groups * GROUP_SIZE - tail);
        let hashed = hashed(&bytes);
        let available = (have * GROUP_SIZE) as u64;
        // Somewhere within the next group, which may be a short one.
        let partial = hashed.outboard.truncated((available + 77).min(hashed.length - 1));
        prop_assert_eq!(partial.available(), available);
        prop_assert!(!partial.is_complete());
        let start = from.index(have * GROUP_SIZE) as u64;
        let slice = Slice::new(start, available - start, hashed.length).unwrap();
        let stream = serve(&bytes, &partial, slice, false, &[100_000]);
        prop_assert!(stream == serve(&bytes, &hashed.outboard, slice, false, &[100_000]));
        let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, slice);
        prop_assert!(receive(&mut receiver, &stream, &[5000]).unwrap() == bytes[start as usize..have * GROUP_SIZE]);
        let beyond = Slice::new(start, available - start + 1, hashed.length).unwrap();
        let refused = SliceError::BeyondEnd { start, len: available - start + 1, length: available };
        prop_assert_eq!(PayloadSender::new(&partial, beyond, false).unwrap_err(), refused);
    }

    #[test]
    fn outboards_from_any_bytes_have_a_sound_shape(bytes in prop::collection::vec(any::<u8>(), 0..200), length in any::<u64>(), groups in 0u64..8) {
        let headed = [&length.to_be_bytes()[..], &groups.to_be_bytes(), &bytes].concat();
        for bytes in [&bytes, &headed] {
            if let Ok(outboard) = Outboard::from_bytes(bytes) {
                prop_assert_eq!(&outboard.to_bytes(), bytes);
                prop_assert!(outboard.available() <= outboard.length());
                let _ = outboard.digest();
            }
        }
    }
}

#[test]
fn a_claimed_length_costs_nothing() {
    let digest = PayloadDigest::from([7; 32]);
    for length in [1 << 60, u64::MAX] {
        let mut receiver = PayloadReceiver::slice(&digest, length, Slice::whole(length));
        assert_eq!(receiver.push(&[0; 63]), Ok(()));
        assert_eq!(receiver.push(&[0]), Err(PayloadError::WrongBytes { offset: 0 }));
        let slice = Slice::new(length - 1, 1, length).unwrap();
        let mut receiver = PayloadReceiver::slice(&digest, length, slice);
        assert!(receiver.push(&[1; 100_000]).is_err());
        assert_eq!(Outboard::empty(&digest, length).available(), 0);
        assert!(PayloadSender::new(&Outboard::empty(&digest, length), slice, false).is_err());
    }
}

#[test]
fn a_stream_that_is_too_long_or_too_short_is_an_error() {
    let bytes = payload(40_000);
    let whole = Slice::whole(40_000);
    let (hashed, stream) = send(&bytes, whole, false, &[40_000]);
    let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, whole);
    receiver.push(&stream).unwrap();
    assert_eq!(receiver.push(&[0]), Err(PayloadError::BeyondEnd));
    let mut receiver = PayloadReceiver::slice(&hashed.digest, hashed.length, whole);
    receiver.push(&stream[..stream.len() - 1]).unwrap();
    assert_eq!(receiver.finish(), Err(PayloadError::Truncated { verified: 32_768, end: 40_000 }));
}

#[test]
fn the_empty_payload_is_verified_too() {
    let empty = hashed(&[]);
    let mut receiver = PayloadReceiver::slice(&empty.digest, 0, Slice::whole(0));
    assert_eq!(receiver.finish(), Ok(()));
    assert_eq!(receiver.into_outboard(), Some(empty.outboard));
    let mut wrong = PayloadReceiver::slice(&PayloadDigest::from([0; 32]), 0, Slice::whole(0));
    assert_eq!(wrong.finish(), Err(PayloadError::WrongBytes { offset: 0 }));
}

#[test]
fn small_payloads_need_no_hashing_for_their_outboard() {
    for length in [0, 1, GROUP_SIZE] {
        let hashed = hashed(&payload(length));
        assert_eq!(Outboard::of_small(&hashed.digest, length as u64), Some(hashed.outboard));
    }
    assert_eq!(Outboard::of_small(&PayloadDigest::from([0; 32]), GROUP_SIZE as u64 + 1), None);
}

#[test]
fn ranges_are_checked() {
    assert_eq!(Slice::new(5, 6, 10), Err(SliceError::BeyondEnd { start: 5, len: 6, length: 10 }));
    assert_eq!(Slice::new(u64::MAX, 2, u64::MAX), Err(SliceError::BeyondEnd { start: u64::MAX, len: 2, length: u64::MAX }));
    assert_eq!(Slice::new(5, 0, 10), Err(SliceError::Empty { length: 10 }));
    assert_eq!(Slice::new(0, 0, 0), Ok(Slice::whole(0)));
    let outboard = hashed(&payload(50_000)).outboard;
    let slice = Slice::new(1024, 10, 50_000).unwrap();
    assert_eq!(PayloadSender::new(&outboard, slice, true).unwrap_err(), SliceError::Unaligned { start: 1024 });
}
