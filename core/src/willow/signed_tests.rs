//! Tests of `signed`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::willow::{
    InvalidToken,
    codec::encode,
    test_values::{entry, namespace, path, signed, user, write_capability},
    verify_one,
};

#[test]
fn what_is_signed_is_accepted_by_willow25() {
    for owned in [true, false] {
        let value = signed(owned, &[1, 2, 3], &[b"a", b"b"], 9, b"payload");
        let authorised = value.authorised();
        assert!(authorised.authorisation_token().does_authorise(authorised.entry()));
        assert_eq!(value.id, EntryId::of(&value.entry));
    }
}

#[test]
fn bytes_are_entry_capability_signature() {
    let value = signed(true, &[1, 2], &[b"a"], 9, b"payload");
    let expected = [encode(&value.entry), encode(&*value.capability), value.signature.to_vec()].concat();
    assert_eq!(value.to_bytes(), expected);
    let mut cache = CapCache::new();
    let read = SignedEntry::from_bytes(&expected, &mut cache).unwrap();
    assert_eq!(verify_one(read), Ok(value));
}

#[test]
fn one_signs_only_what_one_may() {
    let (ns, _) = namespace(true, 0);
    let capability = write_capability(true, &[1, 2, 3], &path(&[b"a"]), &user(9).0);
    let make = |subspace: u8, at: &[&[u8]]| entry(&ns, &user(subspace).0, path(at), 99, b"");
    assert!(SignedEntry::sign(make(9, &[b"a"]), Arc::clone(&capability), &user(3).1).is_ok());
    assert_eq!(SignedEntry::sign(make(9, &[b"a"]), Arc::clone(&capability), &user(2).1), Err(SignError::WrongSecret));
    assert_eq!(SignedEntry::sign(make(9, &[b"b"]), Arc::clone(&capability), &user(3).1), Err(SignError::NotGranted));
    assert_eq!(SignedEntry::sign(make(8, &[b"a"]), capability, &user(3).1), Err(SignError::NotGranted));
    let long = write_capability(true, &(0..18).collect::<Vec<_>>(), &path(&[]), &user(9).0);
    assert_eq!(SignedEntry::sign(make(9, &[b"a"]), long, &user(17).1), Err(SignError::TooManyDelegations));
}

#[test]
fn an_entry_under_the_capability_for_another_is_refused() {
    let (a, b) = (signed(true, &[1, 2, 3], &[b"a"], 9, b""), signed(true, &[1, 2, 3], &[b"b"], 9, b""));
    let bytes = [encode(&a.entry), encode(&*b.capability), b.signature.to_vec()].concat();
    assert_eq!(SignedEntry::from_bytes(&bytes, &mut CapCache::new()), Err(DecodeError::NotGranted));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_flipped_bit_never_passes(owned: bool, bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let bytes = signed(owned, &[1, 2], &[b"a", b"b"], 9, b"payload").to_bytes();
        let mut cache = CapCache::new();
        prop_assert_eq!(SignedEntry::from_bytes(&bytes[..cut.index(bytes.len())], &mut cache), Err(DecodeError::Truncated));
        let mut flipped = bytes;
        let at = bit.index(flipped.len() * 8);
        flipped[at / 8] ^= 1 << (at % 8);
        if let Ok(entry) = SignedEntry::from_bytes(&flipped, &mut cache) {
            prop_assert_eq!(verify_one(entry), Err(InvalidToken::BadSignature));
        }
    }
}
