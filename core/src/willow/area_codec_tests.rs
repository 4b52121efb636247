//! Tests of `area_codec`: by hand, and against willow25.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use ufotofu::{
    codec_prelude::{RelativeDecodableCanonic, RelativeEncodable},
    prelude::IntoConsumer as _,
    producer::clone_from_slice,
};
use willow25::{groupings::private_context::PrivateAreaContext, prelude::Path};

use super::*;
use crate::willow::{
    codec::ready,
    test_values::{namespace, path, paths, time_ranges, user},
};

fn by_willow25<R>(value: &Area, reference: &R) -> Vec<u8>
where
    Area: RelativeEncodable<R>,
{
    let mut bytes = Vec::new();
    ready(value.relative_encode(reference, &mut (&mut bytes).into_consumer())).unwrap().unwrap();
    bytes
}

fn open(area: &Area, outer: &Area) -> Vec<u8> {
    let mut w = Writer::new();
    encode_area_in_area(&mut w, area, outer);
    w.into_bytes()
}

fn private(area: &Area, outer: &Area, interest: &PrivateInterest) -> Vec<u8> {
    let mut w = Writer::new();
    encode_private_area(&mut w, area, outer, interest);
    w.into_bytes()
}

/// An area, one inside it, and the rest of a path to be private.
fn areas() -> impl Strategy<Value = (Area, Area, Path)> {
    let times = (time_ranges(), time_ranges()).prop_map(|(outer, other)| (outer, outer.intersection_willow_range(&other).unwrap_or(outer)));
    let subspaces =
        prop_oneof![Just((None, None)), (0_u8..3).prop_map(|ss| (None, Some(ss))), (0_u8..3).prop_map(|ss| (Some(ss), Some(ss)))];
    (subspaces, paths(), paths(), paths(), times).prop_map(|(subspaces, prefix, suffix, rest, times)| {
        let subspace = |seed: Option<u8>| seed.map(|seed| user(seed).0);
        let inner = prefix.append_path(&suffix).unwrap();
        let outer = Area::new(subspace(subspaces.0), prefix, times.0);
        (outer, Area::new(subspace(subspaces.1), inner.clone(), times.1), inner.append_path(&rest).unwrap())
    })
}

fn interest(path: &Path) -> PrivateInterest {
    PrivateInterest::new(namespace(true, 0).0, None, path.clone())
}

#[test]
fn areas_by_hand() {
    let subspace = user(0).0;
    let outer = Area::new(None, path(&[b"a"]), TimeRange::new_closed(100.into(), 200.into()));
    let area = Area::new(Some(subspace.clone()), path(&[b"a", b"b"]), TimeRange::new_closed(110.into(), 190.into()));
    // Another subspace (1), not open (0); 110 is 10 after the start (1), 190 is 10 before the end (0), both in one byte (00
    // 00): 1010 0000. The subspace, 10, 10, and one component of one byte, 0x11 "b".
    assert_eq!(open(&area, &outer), [&[0b1010_0000][..], subspace.as_bytes(), &[10, 10, 0x11, b'b']].concat());
    // Privately, for who knows /a/b: another subspace (1), not any (0), from start (1), from end (0). The path: two
    // components of the private one, which is all of it, and nothing beyond it.
    let expected = [&[0b1010_0000][..], subspace.as_bytes(), &[10, 10, 2, 0]].concat();
    assert_eq!(private(&area, &outer, &interest(&path(&[b"a", b"b"]))), expected);
    // In the middle the open encoding counts from the end, the private one from the start.
    let middle = Area::new(None, path(&[b"a"]), TimeRange::new_closed(150.into(), 200.into()));
    assert_eq!(open(&middle, &outer)[0], 0b0000_0000);
    assert_eq!(private(&middle, &outer, &interest(&Path::new()))[0], 0b0110_0000);
}

#[test]
fn areas_outside_are_refused() {
    let mut keys = KeyCache::new();
    let outer = Area::new(Some(user(0).0), Path::new(), TimeRange::new_closed(100.into(), 200.into()));
    // Starts 101 after 100, ends 0 before 200: empty at 201..200. Starts at 100, is open.
    for bytes in [&[0b0010_0000, 101, 0, 0][..], &[0b0110_0000, 0, 0]] {
        assert!(matches!(decode_area_in_area(&mut Reader::new(bytes), &outer, &mut keys), Err(DecodeError::Invalid(_))));
    }
    // Another subspace than the only one.
    let other = [&[0b1010_0000][..], user(1).0.as_bytes(), &[0, 0, 0]].concat();
    assert!(matches!(decode_area_in_area(&mut Reader::new(&other), &outer, &mut keys), Err(DecodeError::Invalid(_))));
    let private = decode_private_area(&mut Reader::new(&other), &outer, &interest(&Path::new()), &mut keys);
    assert!(matches!(private, Err(DecodeError::Invalid(_))));
    // An outer area that has nothing to do with the interest, on which willow25's token decoder panics.
    let elsewhere = Area::new(None, path(&[b"x"]), TimeRange::full());
    let private = decode_private_area(&mut Reader::new(&[0b0110_0000, 0, 0]), &elsewhere, &interest(&path(&[b"y"])), &mut keys);
    assert!(matches!(private, Err(DecodeError::Invalid(_))));
}

proptest! {
    #[test]
    fn areas_agree_with_willow25_and_round_trip((outer, area, _) in areas()) {
        let bytes = open(&area, &outer);
        prop_assert_eq!(&bytes, &by_willow25(&area, &outer));
        prop_assert_eq!(decode_area_in_area(&mut Reader::new(&bytes), &outer, &mut KeyCache::new()), Ok(area));
        for end in 0..bytes.len() {
            let cut = decode_area_in_area(&mut Reader::new(&bytes[..end]), &outer, &mut KeyCache::new());
            prop_assert_eq!(cut, Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn private_areas_agree_with_willow25_and_round_trip((outer, area, rest) in areas()) {
        for known in [rest.clone(), area.path().clone(), outer.path().clone(), Path::new()] {
            let interest = interest(&known);
            let bytes = private(&area, &outer, &interest);
            let context = PrivateAreaContext::new(interest.clone(), outer.clone()).unwrap();
            prop_assert_eq!(&bytes, &by_willow25(&area, &context));
            prop_assert_eq!(decode_private_area(&mut Reader::new(&bytes), &outer, &interest, &mut KeyCache::new()), Ok(area.clone()));
        }
    }

    #[test]
    fn any_subspace_in_a_concrete_one_goes_only_privately((outer, area, rest) in areas()) {
        let outer = Area::new(Some(user(5).0), outer.path().clone(), *outer.times());
        let area = Area::new(None, area.path().clone(), *area.times());
        let interest = interest(&rest);
        let bytes = private(&area, &outer, &interest);
        prop_assert_eq!(&bytes, &by_willow25(&area, &PrivateAreaContext::new(interest.clone(), outer.clone()).unwrap()));
        prop_assert_eq!(decode_private_area(&mut Reader::new(&bytes), &outer, &interest, &mut KeyCache::new()), Ok(area));
    }

    #[test]
    fn what_can_be_read_is_what_would_be_written((outer, area, rest) in areas(), header: u8, bit in any::<prop::sample::Index>()) {
        let mut bytes = open(&area, &outer);
        let at = bit.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let mut headed = open(&area, &outer);
        headed[0] = header;
        for bytes in [bytes, headed] {
            let mut r = Reader::new(&bytes);
            let ours = decode_area_in_area(&mut r, &outer, &mut KeyCache::new());
            if let Ok(ours) = &ours {
                prop_assert_eq!(&open(ours, &outer)[..], &bytes[..bytes.len() - r.remaining()]);
            }
            let theirs = ready(Area::relative_decode_canonic(&outer, &mut clone_from_slice(&bytes))).unwrap();
            prop_assert_eq!(ours.ok(), theirs.ok());
        }
        let interest = interest(&rest);
        let mut bytes = private(&area, &outer, &interest);
        let at = bit.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let mut headed = private(&area, &outer, &interest);
        headed[0] = header;
        for bytes in [bytes, headed] {
            let mut r = Reader::new(&bytes);
            if let Ok(other) = decode_private_area(&mut r, &outer, &interest, &mut KeyCache::new()) {
                prop_assert_eq!(&private(&other, &outer, &interest)[..], &bytes[..bytes.len() - r.remaining()]);
            }
        }
    }
}
