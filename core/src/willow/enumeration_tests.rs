//! Tests of `enumeration`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::willow::test_values::{namespace, user};

fn chain(users: &[u8]) -> EnumerationCapability {
    let mut capability = EnumerationCapability::new(&namespace(true, 0).1, user(users[0]).0).unwrap();
    for pair in users.windows(2) {
        capability = capability.delegate(&user(pair[0]).1, user(pair[1]).0).unwrap();
    }
    capability
}

fn written(capability: &EnumerationCapability) -> Vec<u8> {
    let mut w = Writer::new();
    encode_enumeration_capability(&mut w, capability);
    w.into_bytes()
}

fn decode(bytes: &[u8], namespace: &NamespaceId, receiver: u8) -> Result<EnumerationCapability, DecodeError> {
    let mut r = Reader::new(bytes);
    let capability = decode_enumeration_capability(&mut r, namespace, &user(receiver).0, &mut KeyCache::new())?;
    r.finish()?;
    Ok(capability)
}

#[test]
fn they_round_trip_and_hold_for_their_receiver_only() {
    let id = namespace(true, 0).0;
    for users in [&[1][..], &[1, 2], &[1, 2, 3, 4]] {
        let capability = chain(users);
        let receiver = *users.last().unwrap();
        assert_eq!((capability.receiver(), capability.granted_namespace()), (&user(receiver).0, &id));
        let bytes = written(&capability);
        // The count, the initial authorisation, and for each delegation a key (the first user instead of the receiver) and
        // a signature: 1 + 64 + n (32 + 64).
        assert_eq!(bytes.len(), 65 + (users.len() - 1) * 96);
        assert_eq!(decode(&bytes, &id, receiver).as_ref(), Ok(&capability));
        assert_eq!(decode(&bytes, &id, 200), Err(DecodeError::InvalidCapability));
        assert_eq!(decode(&bytes, &namespace(true, 1).0, receiver), Err(DecodeError::InvalidCapability));
        assert_eq!(decode(&bytes, &namespace(false, 0).0, receiver), Err(DecodeError::InvalidCapability));
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end], &id, receiver), Err(DecodeError::Truncated));
            let mut flipped = bytes.clone();
            flipped[end] ^= 1 << (end % 8);
            assert!(decode(&flipped, &id, receiver).is_err());
        }
    }
}

#[test]
fn only_owners_make_them_and_only_receivers_pass_them_on() {
    assert_eq!(EnumerationCapability::new(&namespace(false, 0).1, user(1).0), Err(EnumerationError::Communal));
    assert_eq!(chain(&[1]).delegate(&user(2).1, user(3).0), Err(EnumerationError::WrongSecret));
    assert_eq!(decode(&[18], &namespace(true, 0).0, 1), Err(DecodeError::TooLarge));
}
