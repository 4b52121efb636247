#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn frames(bytes: &[u8], piece: usize) -> Result<Vec<(Channel, Vec<u8>)>, FrameError> {
    let (mut reader, mut frames) = (FrameReader::default(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        reader.push(piece);
        while let Some(frame) = reader.next()? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

#[test]
fn a_short_frame_is_channel_length_message() {
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, Channel::Capability, b"ab");
    assert_eq!(bytes, [4, 2, b'a', b'b']);
}

#[test]
fn lengths_around_every_width_of_the_encoding_come_back() {
    for length in [0, 1, 0xfb, 0xfc, 0xff, 0x100, 0xffff, MAX_FRAME] {
        let message = vec![7; length];
        let mut bytes = Vec::new();
        encode_frame(&mut bytes, Channel::Data, &message);
        assert_eq!(frames(&bytes, 1000).unwrap(), [(Channel::Data, message)], "{length}");
    }
}

#[test]
fn a_frame_that_claims_too_much_is_refused_by_its_header_alone() {
    // 0xfe: four bytes of length follow; 0x00010001 is one more than allowed.
    assert_eq!(frames(&[0, 0xfe, 0, 1, 0, 1], 1), Err(FrameError::TooLong { length: 65537, limit: 65536 }));
    assert_eq!(
        frames(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 1),
        Err(FrameError::TooLong { length: u64::MAX, limit: 65536 })
    );
}

#[test]
fn a_claimed_length_reserves_no_memory() {
    let mut reader = FrameReader::default();
    reader.push(&[2, 0xfe, 0, 1, 0, 0, 1, 2, 3]);
    assert_eq!(reader.next(), Ok(None));
    assert!(reader.buffer.capacity() < 100, "{}", reader.buffer.capacity());
}

#[test]
fn what_was_given_out_is_forgotten() {
    let (mut reader, mut bytes) = (FrameReader::default(), Vec::new());
    encode_frame(&mut bytes, Channel::Data, &[1; 1000]);
    for _ in 0..1000 {
        reader.push(&bytes);
        assert!(reader.next().unwrap().is_some());
    }
    assert!(reader.buffer.capacity() < 10_000, "{}", reader.buffer.capacity());
}

#[test]
fn an_unknown_channel_is_refused() {
    for channel in 5..=u8::MAX {
        assert_eq!(frames(&[channel], 1), Err(FrameError::UnknownChannel(channel)));
    }
}

#[test]
fn lengths_that_are_longer_than_needed_are_refused() {
    for bytes in [&[0, 0xfc, 0xfb][..], &[0, 0xfd, 0, 0xff], &[0, 0xfe, 0, 0, 0xff, 0xff], &[0, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(frames(bytes, 1), Err(FrameError::NotCanonic), "{bytes:?}");
    }
}

#[test]
fn a_hello_comes_without_channel_and_what_follows_is_left() {
    let mut bytes = encode_hello_frame(&[9; 300]);
    encode_frame(&mut bytes, Channel::Control, b"x");
    let mut reader = FrameReader::default();
    reader.push(&bytes[..20]);
    assert_eq!(reader.next_hello(), Ok(None));
    reader.push(&bytes[20..]);
    assert_eq!(reader.next_hello(), Ok(Some(vec![9; 300])));
    assert_eq!(reader.pending(), [0, 1, b'x']);
    assert_eq!(reader.next(), Ok(Some((Channel::Control, b"x".to_vec()))));
}

#[test]
fn a_hello_is_shorter_than_other_frames() {
    let mut reader = FrameReader::default();
    reader.push(&[0xfd, 4, 1]);
    assert_eq!(reader.next_hello(), Err(FrameError::TooLong { length: 1025, limit: 1024 }));
}

proptest! {
    #[test]
    fn frames_come_back_however_the_stream_is_cut(
        messages in prop::collection::vec((0_u8..5, prop::collection::vec(any::<u8>(), 0..700)), 0..8),
        piece in 1_usize..900,
    ) {
        let messages: Vec<_> = messages.into_iter().map(|(channel, message)| (Channel::from_byte(channel).unwrap(), message)).collect();
        let mut bytes = Vec::new();
        for (channel, message) in &messages {
            encode_frame(&mut bytes, *channel, message);
        }
        prop_assert_eq!(frames(&bytes, piece).unwrap(), messages);
    }

    #[test]
    fn any_bytes_give_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50) {
        if let Ok(frames) = frames(&bytes, piece) {
            let mut again = Vec::new();
            for (channel, message) in frames {
                encode_frame(&mut again, channel, &message);
            }
            prop_assert!(bytes.starts_with(&again));
        }
    }
}
