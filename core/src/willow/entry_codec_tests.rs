//! Tests of `entry_codec`: by hand, against willow25, and for all bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use willow25::prelude::{Grouping as _, PathRange, SubspaceRange, TimeRange, WillowRange};

use super::*;
use crate::willow::{
    codec::encode,
    test_values::{entries, entry as make, namespace, path, ranges, user},
};

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    write(&mut w);
    w.into_bytes()
}

fn relative(value: &Entry, reference: &Entry) -> Vec<u8> {
    written(|w| encode_entry_rel_entry(w, value, reference))
}

#[test]
fn an_entry_relative_to_another_by_hand() {
    let (ns, ss) = (namespace(true, 0).0, user(0).0);
    let reference = make(&ns, &ss, path(&[b"a", b"b"]), 1000, b"");
    let value = make(&ns, &ss, path(&[b"a", b"c"]), 1300, b"xy");
    // Same namespace, same subspace, later: 0 0 1. Δt = 300 = 0x012c needs two bytes: 01. Length 2 fits in its three bits:
    // 010. Header 00101010 = 0x2a. Then Δt, nothing for the length, the path (1 shared, 1 byte in 1 component: 0x11, "c"),
    // the digest.
    let expected = [&[0x2a, 0x01, 0x2c, 1, 0x11, b'c'][..], value.payload_digest().as_bytes()].concat();
    assert_eq!(relative(&value, &reference), expected);
    // The other way round: earlier, 0 0 0 01 000; length 0.
    assert_eq!(relative(&reference, &value)[..3], [0b0000_1000, 0x01, 0x2c]);
    // The same again: Δt = 0 takes a byte, because two bits hold no values.
    assert_eq!(relative(&value, &value)[..3], [0b0000_0010, 0, 2]);
}

#[test]
fn an_entry_in_a_range_by_hand() {
    let (ns, ss) = (namespace(true, 0).0, user(0).0);
    let range = Range3d::new(
        SubspaceRange::new_open(ss.clone()),
        PathRange::new_closed(path(&[b"a"]), path(&[b"b", b"c"])),
        TimeRange::new_closed(100.into(), 1000.into()),
    );
    let value = make(&ns, &ss, path(&[b"b", b"a"]), 998, &[7; 9]);
    // The subspace is the start: 0. /b/a has nothing in common with /a and one component with /b/c: 0. 998 is 898 after
    // the start and 2 before the end: 0, Δt = 2 in one byte: 00. Length 9 takes a byte: 100. Header 00000100 = 0x04. The
    // path: 1 shared, 0x11 "a". Then 2, 9 and the digest.
    let expected = [&[0x04, 1, 0x11, b'a', 2, 9][..], value.payload_digest().as_bytes()].concat();
    assert_eq!(written(|w| encode_entry_in_range(w, &value, &range)), expected);
    // In an open range everything is relative to its start: 1 1 in bits 1 and 2.
    let open = Range3d::full();
    let bytes = written(|w| encode_entry_in_range(w, &value, &open));
    assert_eq!(bytes[0] & 0b1110_0000, 0b1110_0000);
}

#[test]
fn entries_outside_of_the_range_are_told_apart() {
    let (ns, ss) = (namespace(true, 0).0, user(0).0);
    let wide = Range3d::new(SubspaceRange::new_open(ss.clone()), PathRange::full(), TimeRange::full());
    let narrow = Range3d::new(SubspaceRange::new_open(ss.clone()), PathRange::full(), TimeRange::new_open(0.into()));
    let tight =
        Range3d::new(SubspaceRange::new_open(ss.clone()), PathRange::new_open(Path::new()), TimeRange::new_closed(0.into(), 5.into()));
    let value = make(&ns, &ss, path(&[b"a"]), 9, b"");
    let bytes = written(|w| encode_entry_in_range(w, &value, &wide));
    let decode = |range: &Range3d| decode_entry_in_range(&mut Reader::new(&bytes), &ns, range, &mut KeyCache::new());
    assert_eq!(decode(&narrow), Ok(value));
    assert_eq!(decode(&tight), Err(DecodeError::OutsideRange));
}

#[test]
fn wasteful_entries_are_refused() {
    let (ns, ss) = (namespace(true, 0).0, user(0).0);
    let reference = make(&ns, &ss, Path::new(), 10, b"");
    let decode = |bytes: &[u8]| decode_entry_rel_entry(&mut Reader::new(bytes), &reference, &mut KeyCache::new());
    let bytes = relative(&reference, &reference);
    assert_eq!(decode(&bytes), Ok(reference.clone()));
    let mut later = bytes.clone();
    later[0] |= 0b0010_0000;
    assert_eq!(decode(&later), Err(DecodeError::NotCanonic));
    // The namespace spelled out although it is the same.
    let spelled = [&[bytes[0] | 0b1000_0000][..], ns.as_bytes(), &bytes[1..]].concat();
    assert_eq!(decode(&spelled), Err(DecodeError::NotCanonic));
    let spelled = [&[bytes[0] | 0b0100_0000][..], ss.as_bytes(), &bytes[1..]].concat();
    assert_eq!(decode(&spelled), Err(DecodeError::NotCanonic));
    // Earlier than time begins: Δt = 11 below 10.
    let mut before = bytes;
    before[1] = 11;
    assert_eq!(decode(&before), Err(DecodeError::Invalid("a time outside of what 64 bits hold")));
}

/// `value`, moved into `range`.
fn moved_into(value: &Entry, range: &Range3d) -> Entry {
    fn pick<T: PartialOrd + Clone>(value: &T, range: &WillowRange<T>) -> T {
        if range.includes_value(value) { value.clone() } else { range.start().clone() }
    }
    Entry::prefilled_builder(value)
        .subspace_id(pick(value.subspace_id(), range.subspaces()))
        .path(pick(value.path(), range.paths()))
        .timestamp(pick(&value.timestamp(), range.times()))
        .build()
}

proptest! {
    #[test]
    fn absolute_entries_agree_with_willow25_and_round_trip(value in entries(), bit in any::<prop::sample::Index>()) {
        let mut bytes = written(|w| encode_entry(w, &value));
        prop_assert_eq!(&bytes, &encode(&value));
        prop_assert_eq!(decode_entry(&mut Reader::new(&bytes), &mut KeyCache::new()), Ok(value));
        let at = bit.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let mut r = Reader::new(&bytes);
        if let Ok(other) = decode_entry(&mut r, &mut KeyCache::new()) {
            prop_assert_eq!(&written(|w| encode_entry(w, &other))[..], &bytes[..bytes.len() - r.remaining()]);
        }
    }

    #[test]
    fn relative_entries_round_trip(value in entries(), reference in entries()) {
        let bytes = relative(&value, &reference);
        let mut r = Reader::new(&bytes);
        prop_assert_eq!(decode_entry_rel_entry(&mut r, &reference, &mut KeyCache::new()), Ok(value));
        prop_assert!(r.is_empty());
        for end in 0..bytes.len() {
            prop_assert_eq!(decode_entry_rel_entry(&mut Reader::new(&bytes[..end]), &reference, &mut KeyCache::new()), Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn what_can_be_read_relative_to_an_entry_is_what_would_be_written(
        value in entries(), reference in entries(), bit in any::<prop::sample::Index>()
    ) {
        let mut bytes = relative(&value, &reference);
        let at = bit.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let mut r = Reader::new(&bytes);
        if let Ok(other) = decode_entry_rel_entry(&mut r, &reference, &mut KeyCache::new()) {
            prop_assert_eq!(&relative(&other, &reference)[..], &bytes[..bytes.len() - r.remaining()]);
        }
    }

    #[test]
    fn entries_in_ranges_round_trip(value in entries(), range in ranges()) {
        let value = moved_into(&value, &range);
        prop_assert!(range.includes(&value));
        let bytes = written(|w| encode_entry_in_range(w, &value, &range));
        let mut r = Reader::new(&bytes);
        prop_assert_eq!(decode_entry_in_range(&mut r, value.namespace_id(), &range, &mut KeyCache::new()), Ok(value.clone()));
        prop_assert!(r.is_empty());
        for end in 0..bytes.len() {
            let cut = decode_entry_in_range(&mut Reader::new(&bytes[..end]), value.namespace_id(), &range, &mut KeyCache::new());
            prop_assert_eq!(cut, Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn what_can_be_read_in_a_range_is_what_would_be_written(
        value in entries(), range in ranges(), bit in any::<prop::sample::Index>()
    ) {
        let value = moved_into(&value, &range);
        let mut bytes = written(|w| encode_entry_in_range(w, &value, &range));
        let at = bit.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let mut r = Reader::new(&bytes);
        if let Ok(other) = decode_entry_in_range(&mut r, value.namespace_id(), &range, &mut KeyCache::new()) {
            prop_assert!(range.includes(&other));
            prop_assert_eq!(&written(|w| encode_entry_in_range(w, &other, &range))[..], &bytes[..bytes.len() - r.remaining()]);
        }
    }
}
