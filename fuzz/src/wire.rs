//! Target: frames, Hello, Control and Data messages.

use osier_core::{
    Generation, Role,
    sync::{Channel, ControlMessage, FrameReader, HandleKind, Hello, Limits, frame::encode_frame},
    willow::EntryId,
};

use super::{input::Input, values::user};

/// `bytes`: kind, then bytes of a stream or a message.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.byte() % 3 {
        0 => frames(&mut input),
        1 => hello(input.rest()),
        _ => control(input.rest()),
    }
}

/// However a stream is cut, the frames are the same, and encoding them gives its bytes.
fn frames(input: &mut Input<'_>) {
    let piece = 1 + input.below(300);
    let bytes = input.rest();
    let read = |piece: usize| {
        let (mut reader, mut frames) = (FrameReader::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            reader.push(piece);
            loop {
                match reader.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Err(error)),
                }
            }
        }
        (frames, Ok(reader.pending().to_vec()))
    };
    let (frames, end) = read(bytes.len().max(1));
    assert_eq!((frames.clone(), end.clone()), read(piece));
    let mut written = Vec::new();
    frames.iter().for_each(|(channel, message)| encode_frame(&mut written, *channel, message));
    assert!(bytes.starts_with(&written));
    if let Ok(pending) = end {
        assert_eq!(bytes, [written, pending].concat());
    }
}

fn hello(bytes: &[u8]) {
    for role in [Role::Alfie, Role::Betty] {
        if let Ok(hello) = Hello::verify(bytes, role, &[7; 32]) {
            assert!(hello.max_payload_power < 64 && hello.limits.overlap_handles > 0);
        }
    }
    let mut reader = FrameReader::default();
    reader.push(bytes);
    if let Ok(Some(hello)) = reader.next_hello() {
        assert_eq!(
            bytes.len(),
            hello.len()
                + reader.pending().len()
                + if hello.len() < 252 {
                    1
                } else if hello.len() < 256 {
                    2
                } else {
                    3
                }
        );
    }
}

fn control(bytes: &[u8]) {
    if let Ok(message) = ControlMessage::decode(bytes) {
        assert_eq!(message.encode(), bytes, "two encodings of one message");
    }
}

/// One of each message.
pub fn control_messages() -> Vec<ControlMessage> {
    let announce = |enumeration| ControlMessage::AnnounceOverlap { sender: 0, receiver: 300, authentication: [5; 32], enumeration };
    let free = |kind, mine| ControlMessage::HandleFree { kind, mine, handle: 2, references: 70_000 };
    vec![
        announce(None),
        announce(Some(vec![1, 2, 3])),
        ControlMessage::SetEagerness { eager: true, sender: 1, receiver: 0 },
        free(HandleKind::Overlap, true),
        free(HandleKind::Capability, false),
        free(HandleKind::PayloadRequest, true),
        ControlMessage::OverlapSettled { hashes: 1, announcements: 252, capabilities: 1 << 20, bound: u64::MAX },
        ControlMessage::Decline { announcement: 0 },
        ControlMessage::Consumed { bytes: 32_768 },
        ControlMessage::Ping { nonce: 1 << 40 },
        ControlMessage::Pong { nonce: 0 },
        ControlMessage::Stored { count: 2 },
        ControlMessage::NotStored { count: 1 },
        ControlMessage::PayloadStored { entry: EntryId([7; 32]) },
    ]
}

/// A stream of frames, a Hello, and one of each message.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut stream = vec![0, 3];
    let mut seeds = Vec::new();
    for message in control_messages() {
        encode_frame(&mut stream, Channel::Control, &message.encode());
        seeds.push([&[2][..], &message.encode()].concat());
    }
    encode_frame(&mut stream, Channel::Data, &[1; 300]);
    seeds.push(stream);
    let (receiver, secret) = user(1);
    let generation = Generation { instance: [1; 16], counter: 2 };
    let hello = Hello { max_payload_power: 14, limits: Limits::default(), generation, receiver };
    seeds.push([&[1][..], &hello.sign(Role::Alfie, &[7; 32], &secret)].concat());
    seeds
}
