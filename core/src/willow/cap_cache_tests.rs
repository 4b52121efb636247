//! Tests of `cap_cache`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use willow25::prelude::TimeRange;

use super::*;
use crate::willow::{
    codec::encode,
    test_values::{namespace, path, user, write_capability},
};

fn absolute(capability: &WriteCapability) -> Vec<u8> {
    let mut w = Writer::new();
    encode_write_capability(&mut w, capability);
    w.into_bytes()
}

fn decode(cache: &mut CapCache, bytes: &[u8]) -> Result<Arc<WriteCapability>, DecodeError> {
    let mut r = Reader::new(bytes);
    let capability = cache.decode_write_capability(&mut r)?;
    r.finish()?;
    Ok(capability)
}

#[test]
fn capabilities_agree_with_willow25_and_are_verified_once() {
    for owned in [true, false] {
        let mut cache = CapCache::new();
        for (n, chain) in [&[1][..], &[1, 2], &[1, 2, 3, 4, 5]].into_iter().enumerate() {
            let capability = write_capability(owned, chain, &path(&[b"a", b"b"]), &user(1).0);
            let bytes = absolute(&capability);
            assert_eq!(bytes, encode(&*capability));
            let first = decode(&mut cache, &bytes).unwrap();
            assert_eq!(first, capability);
            assert!(Arc::ptr_eq(&first, &decode(&mut cache, &bytes).unwrap()));
            assert!(Arc::ptr_eq(&first, &cache.intern_write(&capability)));
            assert_eq!(cache.chains_verified(), n as u64 + 1);
        }
    }
}

#[test]
fn an_owned_capability_by_hand() {
    let capability = write_capability(true, &[1], &path(&[]), &user(1).0);
    let bytes = absolute(&capability);
    // Owned (1), write (1), no delegations in six bits (000000). Namespace, user, and the namespace's signature over
    // 0x03 ‖ user: 1 + 32 + 32 + 64 = 129 bytes.
    assert_eq!((bytes[0], bytes.len()), (0b1100_0000, 129));
    assert_eq!(bytes[1..33], *namespace(true, 0).0.as_bytes());
    assert_eq!(bytes[33..65], *user(1).0.as_bytes());
    let message = [&[3][..], user(1).0.as_bytes()].concat();
    let signature = bytes[65..].try_into().unwrap();
    assert!(crate::willow::verify::is_signed_by(namespace(true, 0).0.as_bytes(), &message, signature));
}

#[test]
fn chains_that_do_not_hold_are_refused_and_not_remembered() {
    let mut cache = CapCache::new();
    let mut bytes = absolute(&write_capability(true, &[1, 2], &path(&[b"a"]), &user(1).0));
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    for _ in 0..2 {
        assert_eq!(decode(&mut cache, &bytes), Err(DecodeError::InvalidCapability));
    }
    bytes[last] ^= 1;
    assert!(decode(&mut cache, &bytes).is_ok());
    // A read capability does not write.
    let (_, secret) = namespace(true, 0);
    let read = ReadCapability::new_owned(&secret, user(1).0);
    let mut w = Writer::new();
    encode_read_capability_absolute(&mut w, &read);
    assert!(matches!(decode(&mut cache, w.as_bytes()), Err(DecodeError::Invalid(_))));
    assert_eq!(*cache.decode_read_capability(&mut Reader::new(w.as_bytes())).unwrap(), read);
    let write = absolute(&write_capability(true, &[1], &path(&[]), &user(1).0));
    assert!(cache.decode_read_capability(&mut Reader::new(&write)).is_err());
}

#[test]
fn seventeen_delegations_are_too_many() {
    let chain: Vec<u8> = (0..18).collect();
    let mut cache = CapCache::new();
    let bytes = absolute(&write_capability(true, &chain[..17], &path(&[]), &user(1).0));
    assert_eq!(decode(&mut cache, &bytes).unwrap().delegations().len(), MAX_DELEGATIONS);
    let bytes = absolute(&write_capability(true, &chain, &path(&[]), &user(1).0));
    assert_eq!(decode(&mut cache, &bytes), Err(DecodeError::TooLarge));
    // So is any number that is only claimed.
    let mut claims = bytes[..130].to_vec();
    claims[0] = 0b1111_1111;
    claims[129] = 255;
    claims.extend([255; 7]);
    assert_eq!(decode(&mut cache, &claims), Err(DecodeError::TooLarge));
}

#[test]
fn the_oldest_are_forgotten_first() {
    let mut interner = Interner::<u32>::default();
    let bytes = |i: u32| [&i.to_le_bytes()[..], &[0; 2000]].concat();
    for i in 0..2000 {
        assert_eq!(*interner.get_or_insert(&bytes(i), || Ok(i)).unwrap(), i);
        assert!(interner.bytes <= CAPACITY_BYTES && interner.known.len() <= CAPACITY && interner.order.len() == interner.known.len());
    }
    assert_eq!(*interner.get_or_insert(&bytes(1999), || Err(DecodeError::Truncated)).unwrap(), 1999);
    assert_eq!(interner.get_or_insert(&bytes(0), || Err(DecodeError::Truncated)), Err(DecodeError::Truncated));
}

#[test]
fn areas_may_be_restricted_in_time() {
    let mut capability = WriteCapability::clone(&write_capability(true, &[1], &path(&[]), &user(1).0));
    let area = Area::new(None, path(&[b"x"]), TimeRange::new_closed(5.into(), 9.into()));
    capability.delegate(&user(1).1, area.clone(), user(2).0);
    let decoded = decode(&mut CapCache::new(), &encode(&capability)).unwrap();
    assert_eq!(decoded.granted_area(), area);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bytes_that_differ_in_a_bit_are_refused(owned: bool, length in 1_u8..4, bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let chain: Vec<u8> = (1..=length).collect();
        let bytes = absolute(&write_capability(owned, &chain, &path(&[b"a"]), &user(1).0));
        let mut cache = CapCache::new();
        prop_assert_eq!(decode(&mut cache, &bytes[..cut.index(bytes.len())]), Err(DecodeError::Truncated));
        let mut flipped = bytes.clone();
        let at = bit.index(bytes.len() * 8);
        flipped[at / 8] ^= 1 << (at % 8);
        // An undelegated communal capability is its namespace and its user: others are as good.
        if let Ok(other) = decode(&mut cache, &flipped) {
            prop_assert!(!owned && length == 1);
            prop_assert_eq!(absolute(&other), flipped);
        }
    }
}
