//! Every rule of a drop, broken one at a time; what is not trusted; and bytes that are anything.

use proptest::prelude::*;

use super::{
    super::record::{Prior, encode_record},
    *,
};
use crate::{
    payload::GROUP_SIZE,
    willow::{DecodeError, InvalidToken, Writer, codec::put_field, test_values},
};

/// A drop in the making.
#[derive(Default)]
struct Maker {
    writer: Writer,
    prior: Prior,
}

impl Maker {
    /// Adds an entry, with `kind` of its payload and these bytes behind it; the bytes before this entry.
    fn entry(&mut self, entry: &SignedEntry, kind: u8, follows: &[u8]) -> u64 {
        let at = self.writer.len();
        encode_record(&mut self.writer, &entry.entry, &entry.capability, &entry.signature, false, &self.prior);
        self.prior.set(entry.entry.clone(), entry.capability.clone());
        let mut bytes = std::mem::take(&mut self.writer).into_bytes();
        bytes[at] |= put_field(&(6..8), kind);
        self.writer.bytes(&bytes);
        self.writer.bytes(follows);
        at as u64
    }

    fn end(mut self) -> Vec<u8> {
        self.writer.u8(0);
        self.writer.into_bytes()
    }
}

fn example(number: u8, payload: &[u8]) -> SignedEntry {
    test_values::signed(true, &[1, 2], &[b"a", &[number]], 9, payload)
}

/// A drop of entries with short payloads.
fn examples(count: u8) -> (Vec<SignedEntry>, Maker, Vec<u64>) {
    let mut maker = Maker::default();
    let (entries, places) = (0..count)
        .map(|number| {
            let payload = vec![number; 100];
            let entry = example(number, &payload);
            let at = maker.entry(&entry, 0b01, &payload);
            (entry, at)
        })
        .unzip();
    (entries, maker, places)
}

/// The entries before a drop's fault, and the fault.
fn fault(drop: &[u8]) -> (usize, DropError) {
    let faults = [usize::MAX, 100, 1].map(|piece| {
        let (found, end) = read(drop, piece);
        (found.len(), end.unwrap_err())
    });
    assert!(faults.iter().all(|fault| *fault == faults[0]), "{faults:?}");
    faults[0]
}

#[test]
fn an_empty_drop_is_one_byte() {
    assert_eq!(read(&[0], 1), (vec![], Ok(DropProgress { bytes: 1, ..DropProgress::default() })));
    assert_eq!(fault(&[]), (0, DropError::Truncated { bytes: 0 }));
}

#[test]
fn a_drop_that_is_cut_short_gives_what_is_whole() {
    let (entries, maker, places) = examples(4);
    let drop = maker.end();
    for end in 0..drop.len() {
        let (found, fault) = read(&drop[..end], 50);
        assert_eq!(fault, Err(DropError::Truncated { bytes: end as u64 }));
        let whole = places.iter().skip(1).filter(|&&place| place <= end as u64).count() + usize::from(end == drop.len() - 1);
        assert_eq!(found.len(), whole);
        assert!(found.iter().map(|(entry, _)| entry).eq(&entries[..whole]));
    }
}

#[test]
fn nothing_may_follow_the_end() {
    let (_, maker, _) = examples(2);
    let mut drop = maker.end();
    let at = drop.len() as u64;
    drop.push(0);
    assert_eq!(fault(&drop), (2, DropError::TrailingBytes { at }));
}

#[test]
fn what_is_no_entry_ends_it() {
    for first in [1, 0x3f, 0x80, 0xc0, 0xff] {
        let (_, mut maker, _) = examples(3);
        let at = maker.writer.len() as u64;
        maker.writer.u8(first);
        assert_eq!(fault(&maker.end()), (3, DropError::NoEntry { at }));
    }
}

#[test]
fn what_is_not_canonic_ends_it() {
    let (entries, mut maker, _) = examples(2);
    let at = maker.writer.len() as u64;
    // The namespace spelled out, though it is that of the entry before.
    maker.writer.u8(0b0110_0101);
    maker.writer.bytes(entries[0].entry.namespace_id().as_bytes());
    assert_eq!(fault(&maker.end()), (2, DropError::Undecodable { at, reason: DecodeError::NotCanonic }));
}

/// A path cannot be longer than paths are, nor an entry than its parts: what is kept of one that goes on and on is bounded.
#[test]
fn an_entry_that_does_not_end_ends_it() {
    for filling in 0..=255_u8 {
        for start in [&[0b0100_0101][..], &[0b0100_0101, 0, 0xfc, 0xff]] {
            let (_, mut maker, _) = examples(1);
            let at = maker.writer.len() as u64;
            maker.writer.bytes(start);
            maker.writer.bytes(&[filling; 32 * 1024]);
            let (_, error) = read(&maker.writer.into_bytes(), 1000);
            assert!(matches!(error, Err(DropError::Undecodable { at: place, reason }) if place == at && reason != DecodeError::Truncated));
        }
    }
}

#[test]
fn slices_end_it() {
    let (_, mut maker, _) = examples(1);
    let at = maker.entry(&example(9, b"payload"), 0b11, b"whatever follows");
    assert_eq!(fault(&maker.end()), (1, DropError::Slices { at }));
}

#[test]
fn parts_are_read_over() {
    let (mut entries, mut maker, _) = examples(1);
    let payload = bytes(5 * 1024);
    let entry = example(7, &payload);
    // Three chunks of five: the labels of the fourth, beside the third, and of the fifth.
    let part: Vec<u8> = [&[3][..], &[7; 3 * 1024 + 64]].concat();
    maker.entry(&entry, 0b10, &part);
    maker.entry(&example(8, b"x"), 0b01, b"x");
    let drop = maker.end();
    entries.extend([entry, example(8, b"x")]);
    for piece in [usize::MAX, 1000, 1] {
        let (found, end) = read(&drop, piece);
        assert_eq!(end, Ok(DropProgress { entries: 3, without_payload: 1, bytes: drop.len() as u64 }));
        assert_eq!(found.iter().map(|(_, payload)| payload.as_ref().map(Vec::len)).collect::<Vec<_>>(), [Some(100), None, Some(1)]);
        assert!(found.iter().map(|(entry, _)| entry).eq(&entries));
    }
}

#[test]
fn a_part_is_neither_nothing_nor_everything() {
    for chunks in [0, 5, 6, 200] {
        let (_, mut maker, _) = examples(1);
        let at = maker.entry(&example(7, &bytes(5 * 1024)), 0b10, &[chunks]);
        assert_eq!(fault(&maker.end()), (1, DropError::NoPart { at, chunks: chunks.into() }));
    }
}

#[test]
fn a_payload_may_be_left_out() {
    let mut maker = Maker::default();
    maker.entry(&example(1, b"payload"), 0b00, b"");
    maker.entry(&example(2, b""), 0b00, b"");
    let (found, end) = read(&maker.end(), 10);
    assert_eq!((found.len(), end.unwrap().without_payload), (2, 1));
    assert!(found.iter().all(|(_, payload)| payload.is_none()));
}

#[test]
fn a_wrong_payload_ends_it_wherever_it_is_wrong() {
    for length in [1, 1024, GROUP_SIZE, 100_000, (1 << 20) + 1, 1_500_000] {
        let mut payload = bytes(length);
        let entry = example(200, &payload);
        for wrong in [0, length / 2, length - 1] {
            let (_, mut maker, _) = examples(2);
            payload[wrong] ^= 1;
            let at = maker.entry(&entry, 0b01, &payload);
            payload[wrong] ^= 1;
            let drop = maker.end();
            let (found, end) = read(&drop, 60_000);
            assert_eq!(end, Err(DropError::WrongPayload { at }));
            // The entry of a long one came before its payload, and stands without.
            assert_eq!(found.len(), if length > 1 << 20 { 3 } else { 2 });
            assert!(found.iter().skip(2).all(|(_, payload)| payload.is_none()));
        }
    }
}

#[test]
fn a_token_that_does_not_hold_ends_it_and_what_came_before_stands() {
    for long in [false, true] {
        let (entries, mut maker, _) = examples(5);
        let payload = if long { bytes(2_000_000) } else { b"payload".to_vec() };
        let entry = example(100, &payload);
        let at = maker.writer.len();
        maker.entry(&entry, 0b01, b"");
        // The signature is the last of the entry.
        let mut bytes = std::mem::take(&mut maker.writer).into_bytes();
        *bytes.last_mut().unwrap() ^= 1;
        maker.writer.bytes(&bytes);
        maker.writer.bytes(&payload);
        maker.entry(&example(101, b"x"), 0b01, b"x");
        let (found, end) = read(&maker.end(), 5000);
        assert_eq!(end, Err(DropError::InvalidToken { at: at as u64, reason: InvalidToken::BadSignature }));
        assert!(found.iter().map(|(entry, _)| entry).eq(&entries), "{} entries", found.len());
    }
}

#[test]
fn a_token_for_something_else_ends_it() {
    // Signed by another user than the capability's receiver.
    let (_, mut maker, _) = examples(2);
    let at = maker.writer.len() as u64;
    let (granted, stolen) = (example(9, b"x"), test_values::signed(true, &[5], &[b"a", b"stolen"], 9, b"x"));
    encode_record(&mut maker.writer, &stolen.entry, &granted.capability, &stolen.signature, true, &maker.prior);
    maker.writer.bytes(b"x");
    assert_eq!(fault(&maker.end()), (2, DropError::InvalidToken { at, reason: InvalidToken::BadSignature }));

    // By the receiver, of a capability for later times.
    let (_, mut maker, _) = examples(2);
    let late = test_values::signed(true, &[1, 2, 3, 5], &[b"a", b"b"], 9, b"x");
    let early = test_values::signed(true, &[5], &[b"a", b"b"], 2, b"x");
    encode_record(&mut maker.writer, &early.entry, &late.capability, &early.signature, true, &maker.prior);
    let (_, error) = fault(&maker.end());
    assert_eq!(error, DropError::InvalidToken { at, reason: InvalidToken::NotGranted });
}

#[test]
fn a_chain_that_does_not_hold_ends_it() {
    let (_, mut maker, _) = examples(2);
    let entry = test_values::signed(true, &[1, 2], &[b"a", b"b"], 9, b"x");
    let at = maker.writer.len();
    // Relative to nothing, the token spells out the user, the initial authorisation and the delegation.
    encode_record(&mut maker.writer, &entry.entry, &entry.capability, &entry.signature, false, &Prior::default());
    let mut bytes = maker.writer.into_bytes();
    let end = bytes.len();
    // The last byte of the delegation's signature.
    bytes[end - 65] ^= 1;
    let mut drop = bytes.split_off(at);
    drop.push(0);
    assert_eq!(fault(&drop), (0, DropError::InvalidCapability { at: 0 }));
}

#[test]
fn the_first_fault_is_told_though_it_is_found_late() {
    let (entries, mut maker, _) = examples(3);
    let mut forged = example(100, b"").into_parts();
    forged.1.signature[63] ^= 1;
    let at = maker.writer.len() as u64;
    encode_record(&mut maker.writer, &forged.0, &forged.1.capability, &forged.1.signature, true, &maker.prior);
    maker.writer.u8(0xff);
    let (found, end) = read(&maker.end(), 5000);
    assert_eq!(end, Err(DropError::InvalidToken { at, reason: InvalidToken::BadSignature }));
    assert!(found.iter().map(|(entry, _)| entry).eq(&entries));
}

/// However much is claimed, only what came is kept.
#[test]
fn a_claim_takes_no_memory() {
    let entry = test_values::signed(true, &[1], &[b"a"], 9, b"payload");
    let claims = SignedEntry::sign(
        crate::willow::Entry::prefilled_builder(&entry.entry).payload_length(u64::MAX).build(),
        entry.capability.clone(),
        &test_values::user(1).1,
    )
    .unwrap();
    let mut maker = Maker::default();
    maker.entry(&claims, 0b01, &[7; 300_000]);
    let (found, end) = read(&maker.writer.into_bytes(), 1000);
    assert_eq!((found.len(), matches!(end, Err(DropError::Truncated { .. }))), (1, true));
    // A part of very many chunks, likewise.
    let mut maker = Maker::default();
    maker.entry(&claims, 0b10, &[&[0xff, 0, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &[7; 3000]].concat());
    let (found, end) = read(&maker.writer.into_bytes(), 1000);
    assert_eq!((found.len(), matches!(end, Err(DropError::Truncated { .. }))), (1, true));
}

#[test]
fn long_payloads_come_in_segments_and_entries_in_batches() {
    let mut maker = Maker::default();
    for number in 0..600_u32 {
        let name = number.to_be_bytes();
        maker.entry(&test_values::signed(true, &[1], &[b"many", &name], 9, b""), 0b01, b"");
    }
    let payload = bytes(1_500_000);
    maker.entry(&example(1, &payload), 0b01, &payload);
    let mut reader = DropReader::new();
    reader.handle_bytes(maker.end());
    reader.handle_end();
    let (mut batches, mut segments) = (Vec::new(), Vec::new());
    while let Some(output) = reader.poll().unwrap() {
        match output {
            DropOutput::Entries(entries) => batches.push(entries.len()),
            DropOutput::Unverified { offset, bytes } => segments.push((offset, bytes.len() as u64)),
            DropOutput::Verified(_) | DropOutput::Done => {}
        }
    }
    assert_eq!(batches, [256, 256, 89]);
    let expected: Vec<_> = (0..6).map(|number| (number * SEGMENT, SEGMENT.min(1_500_000 - number * SEGMENT))).collect();
    assert_eq!(segments, expected);
}

/// A drop of all kinds of entries, and what is in it.
fn mixed() -> (Vec<u8>, Content) {
    let mut maker = Maker::default();
    let mut content = Vec::new();
    for (number, length) in [0, 5, 2000, 40, 70, 3].into_iter().enumerate() {
        let payload = bytes(length);
        let owned = number < 3;
        let entry = test_values::signed(owned, if number % 2 == 0 { &[1] } else { &[1, 2] }, &[b"mixed", &[number as u8]], 9, &payload);
        let whole = number != 3;
        maker.entry(&entry, u8::from(whole), if whole { &payload } else { b"" });
        content.push((entry, whole.then_some(payload)));
    }
    (maker.end(), content)
}

proptest! {
    #[test]
    fn changed_bytes_never_make_another_entry(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..4),
        piece in 1_usize..3000,
    ) {
        let (drop, content) = mixed();
        let mut changed = drop.clone();
        for (place, byte, kind) in changes {
            let at = place.index(changed.len().max(1));
            match kind {
                0 if at < changed.len() => changed[at] ^= 1 << (byte % 8),
                1 => changed.insert(at, byte),
                2 => changed.truncate(at),
                _ => std::mem::drop(changed.drain(at..(at + usize::from(byte)).min(changed.len()))),
            }
        }
        let (found, end) = read(&changed, piece);
        for (entry, payload) in &found {
            let (_, known) = content.iter().find(|(known, _)| known == entry).expect("an entry that nobody has signed");
            prop_assert!(payload.is_none() || known.is_none() || payload == known);
        }
        prop_assert!(changed != drop || end.is_ok());
        prop_assert_eq!(read(&changed, usize::MAX), (found, end));
    }

    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..40) {
        let (found, end) = read(&bytes, piece);
        prop_assert!(found.is_empty());
        prop_assert!(end.is_err() || bytes == [0]);
    }
}
