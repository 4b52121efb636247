//! Tests of `codec`: against hand-computed bytes and against the crate `compact_u64`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use compact_u64::{cu64_encode, write_tag};
use proptest::prelude::*;
use willow25::prelude::{Path, PayloadDigest, Timestamp};

use super::*;

fn written(value: u64, bits: Range<u8>) -> (u8, Vec<u8>) {
    let mut writer = Writer::new();
    writer.c64(value, bits.clone());
    (tag(value, &bits), writer.into_bytes())
}

#[test]
fn bits_are_counted_from_the_most_significant() {
    assert_eq!(flag(0, true), 0b1000_0000);
    assert_eq!(flag(7, true), 0b0000_0001);
    assert_eq!(flag(3, false), 0);
    assert!(is_set(0b0010_0000, 2));
    assert!(!is_set(0b1101_1111, 2));
    // Bits 3 and 4 of 0b000_11_000 hold 0b11.
    assert_eq!(field(0b0001_1000, &(3..5)), 0b11);
    assert_eq!(put_field(&(3..5), 0b10), 0b0001_0000);
    assert_eq!(put_field(&(0..8), 0xff), 0xff);
    assert_eq!(field(0xff, &(0..8)), 0xff);
}

#[test]
fn compact_integers_by_hand() {
    // Two bits hold 2^2 = 4 tags, all of which name a width: 00 → 1 byte, 01 → 2, 10 → 4, 11 → 8.
    assert_eq!(written(0, 3..5), (0b0000_0000, vec![0]));
    assert_eq!(written(255, 3..5), (0b0000_0000, vec![255]));
    // 256 = 0x0100.
    assert_eq!(written(256, 3..5), (0b0000_1000, vec![1, 0]));
    assert_eq!(written(65_536, 3..5), (0b0001_0000, vec![0, 1, 0, 0]));
    assert_eq!(written(1 << 32, 3..5), (0b0001_1000, vec![0, 0, 0, 1, 0, 0, 0, 0]));
    // Three bits hold 8 tags; the four largest name widths, so 0..=3 are values themselves.
    assert_eq!(written(3, 5..8), (0b0000_0011, vec![]));
    assert_eq!(written(4, 5..8), (0b0000_0100, vec![4]));
    // Eight bits: 0..=251 inline, 252 → 1 byte, 253 → 2, 254 → 4, 255 → 8.
    let mut writer = Writer::new();
    for value in [251, 252, 256] {
        writer.c64_standalone(value);
    }
    assert_eq!(writer.as_bytes(), [251, 252, 252, 253, 1, 0]);
    assert_eq!((writer.len(), writer.is_empty()), (6, false));
}

#[test]
fn wasteful_integers_are_refused() {
    // The tag says two bytes for a value that fits in one.
    assert_eq!(Reader::new(&[0, 7]).c64(0b0100_0000, 0..2), Err(DecodeError::NotCanonic));
    assert_eq!(Reader::new(&[252, 251]).c64_standalone(), Err(DecodeError::NotCanonic));
    assert_eq!(Reader::new(&[255, 0, 0, 0, 1]).c64_standalone(), Err(DecodeError::Truncated));
    assert_eq!(Reader::new(&[]).c64_standalone(), Err(DecodeError::Truncated));
}

#[test]
fn a_reader_never_goes_beyond_the_end() {
    let mut reader = Reader::new(&[1, 2, 3]);
    assert_eq!(reader.take(2).unwrap(), [1, 2]);
    assert_eq!(reader.array::<2>(), Err(DecodeError::Truncated));
    assert_eq!(reader.take_u64(u64::MAX), Err(DecodeError::Truncated));
    assert_eq!(reader.finish(), Err(DecodeError::TrailingBytes));
    assert_eq!((reader.remaining(), reader.rest()), (1, &[3][..]));
    assert_eq!(reader.u8(), Ok(3));
    assert_eq!(reader.u8(), Err(DecodeError::Truncated));
    assert!(reader.is_empty());
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn willow25_values_round_trip_and_refuse_other_bytes() {
    let path = Path::from_slices(&[b"notes", b"", b"today"]).unwrap();
    let bytes = encode(&path);
    assert_eq!(decode::<Path>(&bytes), Ok(path));
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(decode::<Path>(&longer), Err(DecodeError::TrailingBytes));
    assert_eq!(decode::<Path>(bytes.split_last().unwrap().1), Err(DecodeError::Truncated));
    // Total length 0xd (two bytes follow) that would fit in the tag.
    assert_eq!(decode::<Path>(&[0xd0, 0, 0]), Err(DecodeError::Invalid("the encoding is not valid")));
    let digest = PayloadDigest::from_payload(b"x");
    assert_eq!(decode::<PayloadDigest>(&encode(&digest)), Ok(digest));
    let _: Timestamp = 3.into();
}

proptest! {
    #[test]
    fn compact_integers_agree_with_the_crate(value: u64, shift in 0_u32..64, start in 0_u8..7, width in 2_u8..=8) {
        let value = value >> shift;
        prop_assume!(start + width <= 8);
        let bits = start..start + width;
        let mut header = 0;
        write_tag(&mut header, width, start, value);
        let mut bytes = Vec::new();
        ready(cu64_encode(value, width, &mut (&mut bytes).into_consumer())).unwrap().unwrap();
        prop_assert_eq!(written(value, bits.clone()), (header, bytes.clone()));
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.c64(header, bits), Ok(value));
        prop_assert!(reader.is_empty());
    }

    #[test]
    fn any_readable_integer_is_written_the_same(bytes: [u8; 9]) {
        let mut reader = Reader::new(&bytes);
        if let Ok(value) = reader.c64_standalone() {
            let mut writer = Writer::new();
            writer.c64_standalone(value);
            prop_assert_eq!(writer.as_bytes(), &bytes[..bytes.len() - reader.remaining()]);
        }
    }
}
