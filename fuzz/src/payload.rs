//! Target: payload streams. Whatever comes in, what comes out is the payload, byte for byte and in order, and no more is kept than
//! was received.

use std::sync::OnceLock;

use osier_core::{
    payload::{GROUP_SIZE, HashedPayload, Outboard, PayloadHasher, PayloadReceiver, PayloadRequest, PayloadSender, PayloadStatus, Slice},
    willow::PayloadDigest,
};

use super::{
    input::Input,
    values::{namespace, path, user},
};

/// `bytes`: kind, then a stream's parameters and changes, or messages.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.byte() % 4 {
        0 => changed_stream(&mut input),
        1 => any_stream(&mut input),
        2 => messages(input.rest()),
        _ => outboard(input.rest()),
    }
}

/// A payload of several groups, and one that ends with a group.
fn payloads() -> &'static [(Vec<u8>, HashedPayload)] {
    static PAYLOADS: OnceLock<Vec<(Vec<u8>, HashedPayload)>> = OnceLock::new();
    PAYLOADS.get_or_init(|| {
        let payload = |length: usize| {
            let bytes: Vec<u8> = (0..length).map(|at| (at * 7 + at / 251) as u8).collect();
            let mut hasher = PayloadHasher::new();
            hasher.push(&bytes);
            (bytes, hasher.finish())
        };
        [0, 1, 1025, GROUP_SIZE, GROUP_SIZE + 1, 5 * GROUP_SIZE, 11 * GROUP_SIZE + 77].map(payload).into()
    })
}

/// A true stream, in pieces, with some of its bytes changed.
fn changed_stream(input: &mut Input<'_>) {
    let (payload, hashed) = input.pick(payloads());
    let Some((mut receiver, stream)) = stream_of(input, payload, hashed) else { return };
    let mut stream = stream.unwrap_or_default();
    let changed = !input.once_in(4);
    if changed {
        input.change(&mut stream);
    }
    let mut failed = false;
    let mut received = receiver.expected().start();
    let mut rest = &stream[..];
    while !rest.is_empty() && !failed {
        let size = 1 + input.below(200) * 300;
        let (piece, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        failed = receiver.push(piece).is_err();
        while let Some((offset, bytes)) = receiver.poll_verified() {
            assert_eq!(offset, received);
            let offset = usize::try_from(offset).unwrap();
            assert_eq!(bytes, &payload[offset..offset + bytes.len()], "verified bytes that are not the payload's");
            received += bytes.len() as u64;
        }
    }
    let done = receiver.finish().is_ok();
    assert!(!(failed && done), "a stream that failed is complete");
    assert!(changed || done, "a true stream is refused");
    assert!(!done || received == receiver.expected().end());
    if let Some(outboard) = receiver.outboard() {
        assert_eq!(outboard.digest(), hashed.digest);
        assert!(outboard.available() >= received.min(payload.len() as u64) / GROUP_SIZE as u64 * GROUP_SIZE as u64);
    }
}

/// The receiver and the stream of a slice or of what follows a prefix; a partial holder's status is minded.
fn stream_of(input: &mut Input<'_>, payload: &[u8], hashed: &HashedPayload) -> Option<(PayloadReceiver, Option<Vec<u8>>)> {
    let length = payload.len() as u64;
    let mut any = |end: u64| u64::from(u16::from_be_bytes([input.byte(), input.byte()])) * 3 % (end + 1);
    let (held, resumes, start) = (any(length + 20_000), any(1) == 1, any(length));
    let (slice, receiver) = if resumes {
        let receiver = PayloadReceiver::resume(hashed.outboard.truncated(start), start + any(length - start))?;
        (receiver.expected(), receiver)
    } else {
        let slice = Slice::new(start, any(length - start), length).ok()?;
        (slice, PayloadReceiver::slice(&hashed.digest, length, slice))
    };
    let request = PayloadRequest {
        namespace: namespace(true).0,
        subspace: user(1).0,
        path: path(&[]),
        digest: hashed.digest.clone(),
        length,
        sender: 0,
        receiver: 0,
        slice,
        resume: resumes && slice.start() > 0,
    };
    assert_eq!(PayloadRequest::decode(&request.encode()).as_ref(), Ok(&request));
    let (status, sender) = PayloadSender::open(&hashed.outboard.truncated(held), &request).unwrap();
    let mut receiver = receiver;
    if let PayloadStatus::Partial { available } = status {
        assert_eq!(receiver.limit(available), sender.is_some());
    }
    let mut stream = Vec::new();
    let mut sender = sender?;
    while let Some((offset, len)) = sender.wants() {
        let from = usize::try_from(offset).unwrap();
        sender.push(&payload[from..from + usize::try_from(len.min(10_000)).unwrap()]).unwrap();
        stream.extend(sender.take());
    }
    stream.extend(sender.take());
    Some((receiver, Some(stream)))
}

/// Any digest, any length, any bytes.
fn any_stream(input: &mut Input<'_>) {
    let digest = PayloadDigest::from([input.byte(); 32]);
    let (length, start, len, limit) = (input.number(), input.number(), input.number(), input.number());
    let Ok(slice) = Slice::new(start, len, length) else { return };
    let mut receiver = PayloadReceiver::slice(&digest, length, slice);
    if input.byte() % 2 == 1 && !receiver.limit(limit) {
        return;
    }
    while !input.is_empty() && receiver.push(input.take(700)).is_ok() {
        // No digest of equal bytes is known to have a payload.
        assert_eq!(receiver.poll_verified(), None);
    }
    assert!(receiver.finish().is_err());
}

/// What is read is written the same.
fn messages(bytes: &[u8]) {
    if let Ok(request) = PayloadRequest::decode(bytes) {
        assert_eq!(request.encode(), bytes);
        let outboard = Outboard::empty(&request.digest, request.length);
        let opened = PayloadSender::open(&outboard, &request).map(|(status, sender)| (status, sender.is_some()));
        assert_eq!(opened, Ok((PayloadStatus::NotFound, false)));
    }
    if let Ok(Some((status, used))) = PayloadStatus::decode_prefix(bytes) {
        assert_eq!(status.encode(), &bytes[..used]);
    }
}

/// A stored outboard that is damaged is refused, or has another digest, or is the same.
fn outboard(bytes: &[u8]) {
    let Ok(outboard) = Outboard::from_bytes(bytes) else { return };
    assert_eq!(outboard.to_bytes(), bytes);
    let _ = outboard.digest();
    assert!(outboard.available() <= outboard.length());
    let half = outboard.truncated(outboard.available() / 2);
    assert!(half.available() <= outboard.available());
    if let Some(mut receiver) = PayloadReceiver::resume(half, u64::MAX) {
        assert!(receiver.push(&[0; 5000]).is_err() || !receiver.is_complete());
    }
}

/// True streams of all payloads, messages, outboards.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for number in 0..payloads().len() as u8 {
        for held in [0xff, 0x10] {
            for resumes in [0, 1] {
                for start in [0, 0x40] {
                    seeds.push(vec![0, number, held, held, 0, resumes, start, 1, 0xff, 0xff, 0, 3, 1, 100, 7]);
                }
            }
        }
        let (_, hashed) = &payloads()[usize::from(number)];
        seeds.push([&[3][..], &hashed.outboard.to_bytes()].concat());
        seeds.push([&[3][..], &hashed.outboard.truncated(GROUP_SIZE as u64).to_bytes()].concat());
        let request = PayloadRequest {
            namespace: namespace(true).0,
            subspace: user(1).0,
            path: path(&[b"a", b"b"]),
            digest: hashed.digest.clone(),
            length: hashed.length,
            sender: u64::from(number) * 40,
            receiver: 1 << number,
            slice: Slice::whole(hashed.length),
            resume: false,
        };
        seeds.push([&[2][..], &request.encode()].concat());
    }
    seeds.push([&[1, 0, 255, 0, 0, 255, 0, 0, 0][..], &[9; 3000]].concat());
    seeds.extend([PayloadStatus::Ok, PayloadStatus::Partial { available: 70_000 }].map(|status| [&[2][..], &status.encode()].concat()));
    seeds
}
