#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const SECRET: [u8; 32] = [3; 32];

fn key(seed: u8) -> SubspaceSecret {
    SubspaceSecret::from_bytes(&[seed; 32])
}

fn hello() -> Hello {
    Hello {
        max_payload_power: 63,
        limits: Limits { overlap_handles: 1, capability_handles: 0x0102, unanswered_ranges: u64::MAX },
        generation: Generation { instance: [5; 16], counter: 6 },
        receiver: key(1).corresponding_subspace_id(),
    }
}

fn signed_bytes() -> Vec<u8> {
    hello().sign(Role::Alfie, &SECRET, &key(1))
}

/// Signs changed fields again, so that only the value is wrong.
fn resigned(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = signed_bytes();
    change(&mut bytes);
    bytes.truncate(SIGNED);
    let signature = SigningKey::from([1; 32]).sign(&signed(Role::Alfie, &SECRET, &bytes));
    bytes.extend(signature.to_bytes());
    bytes
}

#[test]
fn the_layout_is_as_documented() {
    let bytes = signed_bytes();
    assert_eq!(bytes.len(), 146);
    assert_eq!(bytes[..2], [1, 63]);
    assert_eq!(bytes[2..10], [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(bytes[10..18], [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(bytes[18..26], [0xff; 8]);
    assert_eq!(bytes[26..42], [5; 16]);
    assert_eq!(bytes[42..50], [0, 0, 0, 0, 0, 0, 0, 6]);
    assert_eq!(bytes[50..82], *key(1).corresponding_subspace_id().as_bytes());
}

#[test]
fn a_hello_comes_back() {
    assert_eq!(Hello::verify(&signed_bytes(), Role::Alfie, &SECRET), Ok(hello()));
}

#[test]
fn it_is_bound_to_role_connection_and_key() {
    let bytes = signed_bytes();
    assert_eq!(Hello::verify(&bytes, Role::Betty, &SECRET), Err(HelloError::Signature));
    assert_eq!(Hello::verify(&bytes, Role::Alfie, &[4; 32]), Err(HelloError::Signature));
    let other = key(2).corresponding_subspace_id();
    let mut bytes = signed_bytes();
    bytes[50..82].copy_from_slice(other.as_bytes());
    assert_eq!(Hello::verify(&bytes, Role::Alfie, &SECRET), Err(HelloError::Signature));
}

#[test]
fn a_receiver_key_of_small_order_is_refused() {
    // The neutral element as key, with R = neutral and s = 0, satisfies the equation for every message.
    let mut bytes = signed_bytes();
    let mut neutral = [0; 32];
    neutral[0] = 1;
    bytes[50..82].copy_from_slice(&neutral);
    bytes[82..114].copy_from_slice(&neutral);
    bytes[114..].fill(0);
    assert_eq!(Hello::verify(&bytes, Role::Alfie, &SECRET), Err(HelloError::Signature));
}

#[test]
fn another_version_is_told_whatever_follows() {
    assert_eq!(Hello::verify(&[2], Role::Alfie, &SECRET), Err(HelloError::Version { version: 2 }));
    assert_eq!(Hello::verify(&[0; 500], Role::Alfie, &SECRET), Err(HelloError::Version { version: 0 }));
}

#[test]
fn values_out_of_bounds_are_told_apart() {
    let verify = |bytes: Vec<u8>| Hello::verify(&bytes, Role::Alfie, &SECRET);
    assert_eq!(verify(resigned(|bytes| bytes[1] = 64)), Err(HelloError::BadValue("maximum payload power")));
    assert_eq!(verify(resigned(|bytes| bytes[2..10].fill(0))), Err(HelloError::BadValue("limit of handles")));
    assert_eq!(verify(resigned(|bytes| bytes[10..18].fill(0))), Err(HelloError::BadValue("limit of handles")));
    assert_eq!(verify(resigned(|bytes| bytes[18..26].fill(0))), Err(HelloError::BadValue("limit of unanswered ranges")));
}

#[test]
fn every_error_has_its_own_code() {
    let errors =
        [HelloError::Undecodable { length: 0 }, HelloError::Version { version: 0 }, HelloError::BadValue(""), HelloError::Signature];
    let codes: std::collections::BTreeSet<_> = errors.iter().map(HelloError::code).collect();
    assert_eq!(codes.len(), errors.len());
}

proptest! {
    #[test]
    fn another_length_is_undecodable(length in 0_usize..300) {
        prop_assume!(length != 146);
        let mut bytes = signed_bytes();
        bytes.resize(length, 0);
        prop_assert_eq!(Hello::verify(&bytes, Role::Alfie, &SECRET), Err(HelloError::Undecodable { length }));
    }

    #[test]
    fn any_change_is_noticed(position in 0_usize..146, bit in 0_u8..8) {
        let mut bytes = signed_bytes();
        bytes[position] ^= 1 << bit;
        prop_assert!(Hello::verify(&bytes, Role::Alfie, &SECRET).is_err());
    }
}
