//! Requests and statuses as bytes, and the answer to a request.

use proptest::prelude::*;
use willow25::entry::{NamespaceId, PayloadDigest, SubspaceId};
use willow25::paths::Path;

use super::super::*;
use super::streams::{hashed, payload};
use crate::willow::DecodeError;

fn request(length: u64, slice: Slice, resume: bool) -> PayloadRequest {
    PayloadRequest {
        namespace: NamespaceId::from_bytes(&[1; 32]),
        subspace: SubspaceId::from_bytes(&[2; 32]),
        path: Path::from_slices(&[b"files", b"a.bin"]).unwrap(),
        digest: PayloadDigest::from([3; 32]),
        length,
        sender: 5,
        receiver: 300,
        slice,
        resume,
    }
}

#[test]
fn the_layout_of_a_request() {
    // resume 0, to_end 1, sender 5: the largest value that a tag of 3 bits writes itself is 3, so 100 (one byte follows);
    // receiver 300: 101 (two bytes). 0b0110_0101. length 100: 4 bits hold up to 11, so 1100 (one byte); start 7: 0111.
    let bytes = request(100, Slice::new(7, 93, 100).unwrap(), false).encode();
    assert_eq!(bytes[..6], [0b0110_0101, 0b1100_0111, 5, 1, 44, 100]);
    // namespace, subspace, digest, and the path: [total length c64(4) 10 | components c64(4) 2] [length of the first: 5] …
    assert_eq!(bytes[6..102], [[1; 32], [2; 32], [3; 32]].concat());
    assert_eq!(bytes[102..], [&[0b1010_0010, 5][..], b"filesa.bin"].concat()[..]);
}

#[test]
fn a_request_has_one_encoding() {
    let bytes = request(100, Slice::new(7, 93, 100).unwrap(), false).encode();
    // The same slice with its length written out.
    let mut explicit = bytes.clone();
    explicit[0] &= 0b1011_1111;
    explicit.insert(6, 93);
    assert_eq!(PayloadRequest::decode(&explicit), Err(DecodeError::NotCanonic));
    let mut trailing = bytes.clone();
    trailing.push(0);
    assert_eq!(PayloadRequest::decode(&trailing), Err(DecodeError::TrailingBytes));
    for len in 0..bytes.len() {
        assert_eq!(PayloadRequest::decode(&bytes[..len]), Err(DecodeError::Truncated));
    }
    assert_eq!(PayloadRequest::decode(&vec![0; PayloadRequest::MAX_LEN + 1]), Err(DecodeError::TooLarge));
}

#[test]
fn requests_for_what_is_no_slice_are_refused() {
    let bytes = request(100, Slice::new(7, 93, 100).unwrap(), false).encode();
    let mut after = bytes.clone();
    after[5] = 12; // length 12 is written as one byte: start 7 is within
    assert!(PayloadRequest::decode(&after).is_ok());
    let mut resumed = bytes;
    resumed[0] |= 0b1000_0000;
    assert!(matches!(PayloadRequest::decode(&resumed), Err(DecodeError::Invalid(_))), "byte 7 is no place to resume");
    let whole = request(100, Slice::whole(100), true);
    assert!(matches!(PayloadRequest::decode(&whole.encode()), Err(DecodeError::Invalid(_))), "nothing to resume after");
    let empty = request(11, Slice::whole(11), false).encode();
    let mut start_after = empty;
    start_after[1] = 0b0011_0111; // length 3, start 7
    assert!(matches!(PayloadRequest::decode(&start_after), Err(DecodeError::Invalid(_))));
}

#[test]
fn the_layout_of_a_status() {
    // c64(6): up to 59 in the tag itself; 16384 takes two bytes, tag 111101.
    let cases = [
        (PayloadStatus::Ok, vec![0]),
        (PayloadStatus::NotFound, vec![0b0100_0000]),
        (PayloadStatus::NotAuthorised, vec![0b1000_0000]),
        (PayloadStatus::Partial { available: 16_384 }, vec![0b1111_1101, 0x40, 0]),
    ];
    for (status, bytes) in cases {
        assert_eq!(status.encode(), bytes);
        for len in 0..bytes.len() {
            assert_eq!(PayloadStatus::decode_prefix(&bytes[..len]), Ok(None));
        }
        let followed = [&bytes[..], b"stream"].concat();
        assert_eq!(PayloadStatus::decode_prefix(&followed), Ok(Some((status, bytes.len()))));
    }
    assert_eq!(PayloadStatus::decode_prefix(&[1]), Err(DecodeError::NotCanonic));
    assert_eq!(PayloadStatus::decode_prefix(&[0b1111_1100, 5]), Err(DecodeError::NotCanonic));
}

#[test]
fn a_request_is_answered_with_what_is_here() {
    let bytes = payload(100_000);
    let hashed = hashed(&bytes);
    let answer = |outboard: &Outboard, slice| PayloadSender::open(outboard, &request(100_000, slice, false)).unwrap();
    let whole = Slice::whole(100_000);
    let (status, sender) = answer(&hashed.outboard, whole);
    assert_eq!((status, sender.unwrap().wants()), (PayloadStatus::Ok, Some((0, 100_000))));
    let half = hashed.outboard.truncated(50_000);
    let (status, sender) = answer(&half, whole);
    assert_eq!((status, sender.unwrap().wants()), (PayloadStatus::Partial { available: 49_152 }, Some((0, 49_152))));
    let (status, sender) = answer(&half, Slice::new(60_000, 10, 100_000).unwrap());
    assert_eq!((status, sender.is_none()), (PayloadStatus::Partial { available: 49_152 }, true));
    let (status, sender) = answer(&Outboard::empty(&hashed.digest, 100_000), whole);
    assert_eq!((status, sender.is_none()), (PayloadStatus::NotFound, true));
    let (status, _) = answer(&hashed.outboard.clone(), Slice::new(0, 1, 100_000).unwrap());
    assert_eq!(status, PayloadStatus::Ok);
    let other_length = request(99_999, Slice::whole(99_999), false);
    assert_eq!(PayloadSender::open(&hashed.outboard, &other_length).unwrap().0, PayloadStatus::NotFound);
    let empty = super::streams::hashed(&[]);
    let (status, sender) = PayloadSender::open(&empty.outboard, &request(0, Slice::whole(0), false)).unwrap();
    assert_eq!((status, sender.unwrap().wants()), (PayloadStatus::Ok, None));
}

#[test]
fn a_part_from_a_partial_holder_and_the_rest_from_another() {
    let bytes = payload(100_000);
    let hashed = hashed(&bytes);
    let half = hashed.outboard.truncated(50_000);
    let mut receiver = PayloadReceiver::resume(Outboard::empty(&hashed.digest, 100_000), u64::MAX).unwrap();
    let (status, sender) = PayloadSender::open(&half, &request(100_000, receiver.expected(), false)).unwrap();
    let PayloadStatus::Partial { available } = status else { panic!("{status:?}") };
    assert!(receiver.limit(available));
    let mut sender = sender.unwrap();
    while let Some((offset, len)) = sender.wants() {
        sender.push(&bytes[offset as usize..][..len as usize]).unwrap();
    }
    receiver.push(&sender.take()).unwrap();
    assert_eq!(receiver.finish(), Ok(()));
    assert_eq!(receiver.poll_verified(), Some((0, bytes[..49_152].to_vec())));
    let stored = receiver.into_outboard().unwrap();
    assert_eq!(stored, half);

    let mut receiver = PayloadReceiver::resume(stored, u64::MAX).unwrap();
    assert!(!receiver.limit(49_152), "the other one has no more either");
    let (status, sender) = PayloadSender::open(&hashed.outboard, &request(100_000, receiver.expected(), true)).unwrap();
    assert_eq!(status, PayloadStatus::Ok);
    let mut sender = sender.unwrap();
    sender.push(&bytes[49_152..]).unwrap();
    receiver.push(&sender.take()).unwrap();
    assert_eq!(receiver.finish(), Ok(()));
    assert_eq!(receiver.into_outboard(), Some(hashed.outboard.clone()));
    assert!(PayloadReceiver::resume(hashed.outboard, u64::MAX).is_none(), "nothing is missing");
}

proptest! {
    #[test]
    fn requests_round_trip(
        length in prop_oneof![0u64..100, any::<u64>()],
        a in any::<u64>(),
        b in any::<u64>(),
        sender in any::<u64>(),
        receiver in 0u64..9,
        path in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..4),
        resume in any::<bool>(),
    ) {
        let within = |n: u64| if length == 0 { 0 } else { n % length };
        let mut start = within(a).min(within(b));
        if resume {
            start -= start % GROUP_SIZE as u64;
        }
        let end = (within(a).max(within(b)) + 1).min(length);
        let slice = Slice::new(start, end - start, length).unwrap();
        let slices: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
        let request = PayloadRequest { sender, receiver, path: Path::from_slices(&slices).unwrap(), ..request(length, slice, resume && start > 0) };
        prop_assert_eq!(PayloadRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn any_bytes_are_decoded_without_panic_and_canonic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(request) = PayloadRequest::decode(&bytes) {
            prop_assert_eq!(request.encode(), bytes.clone());
        }
        if let Ok(Some((status, used))) = PayloadStatus::decode_prefix(&bytes) {
            prop_assert_eq!(&status.encode()[..], &bytes[..used]);
        }
    }
}
