//! Tests of `range_codec`: by hand, and for all bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::willow::test_values::{path, ranges, user};

fn relative(range: &Range3d, reference: &Range3d) -> Vec<u8> {
    let mut w = Writer::new();
    encode_range_rel_range(&mut w, range, reference);
    w.into_bytes()
}

fn decode(bytes: &[u8], reference: &Range3d) -> Result<Range3d, DecodeError> {
    let mut r = Reader::new(bytes);
    let range = decode_range_rel_range(&mut r, reference, &mut KeyCache::new())?;
    r.finish()?;
    Ok(range)
}

#[test]
fn the_full_range_relative_to_itself_by_hand() {
    // Subspaces from the reference's start (01) to open (00); the path start relative to the start (1), the path end open
    // (1), its bit 0, the time end open (1): 0100 1101. Times: from the start (1), add (1), 0 in one byte (00); the end's
    // bits 0: 1100 0000. Then the path start: 0 shared, no components; the difference 0.
    assert_eq!(relative(&Range3d::full(), &Range3d::full()), [0b0100_1101, 0b1100_0000, 0, 0, 0]);
}

#[test]
fn a_closed_range_by_hand() {
    let (mut low, mut high) = (user(0).0, user(1).0);
    if low > high {
        (low, high) = (high, low);
    }
    let reference = Range3d::new(
        SubspaceRange::new_open(high.clone()),
        PathRange::new_closed(path(&[b"a"]), path(&[b"b", b"c"])),
        TimeRange::new_closed(1000.into(), 2000.into()),
    );
    let range = Range3d::new(
        SubspaceRange::new_closed(low.clone(), high.clone()),
        PathRange::new_closed(path(&[b"a", b"x"]), path(&[b"b", b"d"])),
        TimeRange::new_closed(700.into(), 2002.into()),
    );
    // Subspaces: the start explicit (11), the end the reference's start (01). /a/x is nearer to /a (1), the end not open
    // (0), /b/d nearer to /b/c (0), the time end not open (0): 1101 1000. Times: 700 is 300 before 1000 and 1300 before
    // 2000: from start (1), subtract (0), 300 in two bytes (01); 2002 is 2 after 2000: from end (0), add (1), one byte (00):
    // 1001 0100. Then low; /a/x: 1 shared, 0x11 "x"; /b/d: 1 shared, 0x11 "d"; 300 = 0x012c; 2.
    let expected = [&[0b1101_1000, 0b1001_0100][..], low.as_bytes(), b"\x01\x11x\x01\x11d\x01\x2c\x02"].concat();
    assert_eq!(relative(&range, &reference), expected);
    assert_eq!(decode(&expected, &reference), Ok(range));
}

#[test]
fn impossible_ranges_are_refused() {
    let full = Range3d::full();
    // No start of subspaces (00).
    assert_eq!(decode(&[0b0000_1101, 0b1100_0000, 0, 0, 0], &full), Err(DecodeError::Invalid("a range of subspaces without a start")));
    // From the end (10) of an open range.
    assert_eq!(decode(&[0b1000_1101, 0b1100_0000, 0, 0, 0], &full), Err(DecodeError::Invalid("the end of an open range")));
    // From the start to the start: empty.
    assert_eq!(decode(&[0b0101_1101, 0b1100_0000, 0, 0, 0], &full), Err(DecodeError::Invalid("an empty range")));
    // Bits of an open end that are not 0: of the path, of the time.
    assert_eq!(decode(&[0b0100_1111, 0b1100_0000, 0, 0, 0], &full), Err(DecodeError::NotCanonic));
    assert_eq!(decode(&[0b0100_1101, 0b1100_1000, 0, 0, 0], &full), Err(DecodeError::NotCanonic));
    // Relative to the end of an open range of paths, of times.
    assert_eq!(decode(&[0b0100_0101, 0b1100_0000, 0, 0, 0], &full), Err(DecodeError::NotCanonic));
    assert_eq!(decode(&[0b0100_1101, 0b0100_0000, 0, 0, 0], &full), Err(DecodeError::NotCanonic));
    // 0 subtracted instead of added; 1 subtracted from 0.
    assert_eq!(decode(&[0b0100_1101, 0b1000_0000, 0, 0, 0], &full), Err(DecodeError::NotCanonic));
    assert_eq!(decode(&[0b0100_1101, 0b1000_0000, 0, 0, 1], &full), Err(DecodeError::Invalid("a time outside of what 64 bits hold")));
    // The reference's start spelled out.
    let spelled = [&[0b1100_1101, 0b1100_0000][..], &[0; 32], &[0, 0, 0]].concat();
    assert_eq!(decode(&spelled, &full), Err(DecodeError::NotCanonic));
}

proptest! {
    #[test]
    fn ranges_round_trip(range in ranges(), reference in ranges()) {
        let bytes = relative(&range, &reference);
        prop_assert_eq!(decode(&bytes, &reference), Ok(range));
        for end in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..end], &reference), Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn what_can_be_read_is_what_would_be_written(
        range in ranges(), reference in ranges(), first: u8, second: u8, bit in any::<prop::sample::Index>()
    ) {
        let mut flipped = relative(&range, &reference);
        let at = bit.index(flipped.len() * 8);
        flipped[at / 8] ^= 1 << (at % 8);
        let mut headers = relative(&range, &reference);
        (headers[0], headers[1]) = (first, second);
        for bytes in [flipped, headers] {
            let mut r = Reader::new(&bytes);
            if let Ok(other) = decode_range_rel_range(&mut r, &reference, &mut KeyCache::new()) {
                prop_assert_eq!(&relative(&other, &reference)[..], &bytes[..bytes.len() - r.remaining()]);
            }
        }
    }
}
