//! Tests of `path_codec`: by hand, and against willow25.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use ufotofu::{codec_prelude::RelativeEncodable, prelude::IntoConsumer as _};
use willow25::paths::{path_extends_path::CodecPathExtendsPath, private_context::PrivatePathContext};

use super::*;
use crate::willow::{
    codec::{encode, ready},
    test_values::{path, paths},
};

fn by_willow25<R, T: RelativeEncodable<R>>(value: &T, reference: &R) -> Vec<u8> {
    let mut bytes = Vec::new();
    ready(value.relative_encode(reference, &mut (&mut bytes).into_consumer())).unwrap().unwrap();
    bytes
}

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    write(&mut w);
    w.into_bytes()
}

#[test]
fn a_path_by_hand() {
    // /hi/there: 2 + 5 = 7 bytes in 2 components, tags of 4 bits each: 0111 0010 = 0x72. Then 2 "hi", and "there", the
    // last, without its length.
    assert_eq!(written(|w| encode_path(w, &path(&[b"hi", b"there"]))), b"\x72\x02hithere");
    // Relative to /hi/you: 1 shared component, then 5 bytes in 1 component: 0101 0001 = 0x51.
    assert_eq!(written(|w| encode_path_rel_path(w, &path(&[b"hi", b"there"]), &path(&[b"hi", b"you"]))), b"\x01\x51there");
    assert_eq!(written(|w| encode_path(w, &Path::new())), [0]);
    // Twelve bytes do not fit in four bits, of which the four largest name widths: 1100 means one byte follows.
    assert_eq!(written(|w| encode_path(w, &path(&[b"twelve bytes"]))), b"\xc1\x0ctwelve bytes");
}

#[test]
fn limits_and_lies_are_refused() {
    let decode = |bytes: &[u8]| decode_path(&mut Reader::new(bytes));
    // A length of 5 in no component.
    assert_eq!(decode(&[0x50]), Err(DecodeError::Invalid("a path length without components")));
    // 65,535 bytes in one component: 1101 0001, ff ff.
    assert_eq!(decode(&[0xd1, 0xff, 0xff]), Err(DecodeError::TooLarge));
    // 65,535 empty components: 0000 1101.
    assert_eq!(decode(&[0x0d, 0xff, 0xff]), Err(DecodeError::TooLarge));
    // 4096 components of which none is there: refused before anything is allocated for them.
    assert_eq!(decode(&[0x0d, 0x10, 0x00]), Err(DecodeError::Truncated));
    // Components of 3 bytes in a path of 2.
    assert_eq!(decode(b"\x22\x03abc"), Err(DecodeError::Invalid("components longer than their path")));
    // Full length is fine.
    let longest = path(&[&[7; 4096]]);
    assert_eq!(decode(&written(|w| encode_path(w, &longest))), Ok(longest.clone()));
    let deepest = path(&vec![&[][..]; 4096]);
    assert_eq!(decode(&written(|w| encode_path(w, &deepest))), Ok(deepest.clone()));
    // One component more than allowed, relative to a path that is full.
    assert_eq!(decode_path_extends_path(&mut Reader::new(&[0x01]), &deepest), Err(DecodeError::TooLarge));
    assert_eq!(decode_path_extends_path(&mut Reader::new(&[0x11, 1]), &longest), Err(DecodeError::TooLarge));
}

#[test]
fn sharing_less_than_possible_is_not_canonic() {
    let reference = path(&[b"a", b"b"]);
    // No shared component, then /a: it should have been shared.
    assert_eq!(decode_path_rel_path(&mut Reader::new(b"\x00\x11a"), &reference), Err(DecodeError::NotCanonic));
    assert_eq!(
        decode_path_rel_path(&mut Reader::new(b"\x03\x00"), &reference),
        Err(DecodeError::Invalid("more shared components than there are"))
    );
    // Seven private components of a private path that has two.
    assert!(decode_private_path(&mut Reader::new(&[7]), &Path::new(), &reference).is_err());
    assert!(decode_private_path(&mut Reader::new(&[0]), &path(&[b"z"]), &reference).is_err());
    assert!(decode_private_path(&mut Reader::new(&[0]), &path(&[b"a"]), &reference).is_err());
}

proptest! {
    #[test]
    fn paths_agree_with_willow25_and_round_trip(value in paths(), reference in paths()) {
        let absolute = written(|w| encode_path(w, &value));
        prop_assert_eq!(&absolute, &encode(&value));
        prop_assert_eq!(decode_path(&mut Reader::new(&absolute)), Ok(value.clone()));

        let relative = written(|w| encode_path_rel_path(w, &value, &reference));
        prop_assert_eq!(&relative, &by_willow25(&value, &reference));
        prop_assert_eq!(decode_path_rel_path(&mut Reader::new(&relative), &reference), Ok(value));
    }

    #[test]
    fn suffixes_agree_with_willow25_and_round_trip(prefix in paths(), suffix in paths(), private in paths()) {
        let value = prefix.append_path(&suffix).unwrap();
        let bytes = written(|w| encode_path_extends_path(w, &value, &prefix));
        prop_assert_eq!(&bytes, &by_willow25(&CodecPathExtendsPath(value.clone()), &prefix));
        prop_assert_eq!(decode_path_extends_path(&mut Reader::new(&bytes), &prefix), Ok(value.clone()));

        // A path private to both: either inside the value, or beyond it.
        for private in [value.create_prefix(value.component_count() / 2).unwrap(), value.append_path(&private).unwrap()] {
            let bytes = written(|w| encode_private_path(w, &value, &prefix, &private));
            let context = PrivatePathContext::new(private.clone(), prefix.clone()).unwrap();
            prop_assert_eq!(&bytes, &by_willow25(&value, &context));
            prop_assert_eq!(decode_private_path(&mut Reader::new(&bytes), &prefix, &private), Ok(value.clone()));
        }
    }

    #[test]
    fn what_can_be_read_is_what_would_be_written(bytes in proptest::collection::vec(0_u8..6, 0..12), reference in paths()) {
        let mut r = Reader::new(&bytes);
        if let Ok(value) = decode_path(&mut r) {
            prop_assert_eq!(&written(|w| encode_path(w, &value))[..], &bytes[..bytes.len() - r.remaining()]);
        }
        let mut r = Reader::new(&bytes);
        if let Ok(value) = decode_path_rel_path(&mut r, &reference) {
            prop_assert_eq!(&written(|w| encode_path_rel_path(w, &value, &reference))[..], &bytes[..bytes.len() - r.remaining()]);
        }
        let prefix = reference.create_prefix(reference.component_count() / 2).unwrap();
        let mut r = Reader::new(&bytes);
        if let Ok(value) = decode_private_path(&mut r, &prefix, &reference) {
            prop_assert_eq!(&written(|w| encode_private_path(w, &value, &prefix, &reference))[..], &bytes[..bytes.len() - r.remaining()]);
        }
    }
}
