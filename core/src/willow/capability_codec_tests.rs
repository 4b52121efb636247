//! Tests of `capability_codec`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use willow25::prelude::{NamespaceId, Path, TimeRange};

use super::*;
use crate::willow::{
    cap_cache::encode_read_capability_absolute,
    test_values::{namespace, path, user},
};

/// A read capability of the last of `chain`, with the subspace (if any) and path to which its last delegation restricts it.
fn read(owned: bool, chain: &[u8], subspace: Option<u8>, path: &Path) -> ReadCapability {
    let (namespace_id, secret) = namespace(owned, 0);
    let (first, mut signer) = user(chain[0]);
    let mut capability = if owned { ReadCapability::new_owned(&secret, first) } else { ReadCapability::new_communal(namespace_id, first) };
    for (i, next) in chain.iter().enumerate().skip(1) {
        let (next, next_secret) = user(*next);
        let last = i + 1 == chain.len();
        let within = if owned && !last { None } else { subspace.map(|seed| user(seed).0) };
        let prefix = path.create_prefix(if last { path.component_count() } else { (i - 1).min(path.component_count()) }).unwrap();
        let times = if i % 2 == 0 { TimeRange::new_open(7.into()) } else { *capability.granted_area().times() };
        capability.delegate(&signer, Area::new(within, prefix, times), next);
        signer = next_secret;
    }
    capability
}

fn interest(namespace: &NamespaceId, subspace: Option<u8>, path: &Path) -> PrivateInterest {
    PrivateInterest::new(namespace.clone(), subspace.map(|seed| user(seed).0), path.clone())
}

fn written(capability: &ReadCapability, interest: &PrivateInterest) -> Result<Vec<u8>, CapabilityError> {
    let mut w = Writer::new();
    encode_read_capability(&mut w, capability, interest)?;
    Ok(w.into_bytes())
}

fn decode(bytes: &[u8], interest: &PrivateInterest, receiver: u8) -> Result<ReadCapability, CapabilityError> {
    let mut r = Reader::new(bytes);
    let capability = decode_read_capability(&mut r, interest, &user(receiver).0, &mut CapCache::new())?;
    r.finish()?;
    Ok(ReadCapability::clone(&capability))
}

#[test]
fn capabilities_round_trip_relative_to_every_less_specific_interest() {
    let full = path(&[b"a", b"b", b"c"]);
    for owned in [true, false] {
        for chain in [&[1][..], &[1, 2], &[1, 2, 3], &[1, 2, 3, 4, 5, 6]] {
            let subspace = if owned { Some(9) } else { Some(1) };
            let capability = read(owned, chain, subspace, &full);
            let granted = capability.granted_area();
            for prefix in granted.path().all_prefixes() {
                for subspace in [subspace, None] {
                    let interest = interest(capability.granted_namespace(), subspace, &prefix);
                    let bytes = written(&capability, &interest);
                    if !owned && subspace.is_none() {
                        assert_eq!(bytes, Err(CapabilityError::OtherSubspace));
                    } else if owned && chain.len() == 1 && subspace.is_some() {
                        assert_eq!(bytes, Err(CapabilityError::OutsideInterest));
                    } else {
                        let decoded = decode(&bytes.unwrap(), &interest, *chain.last().unwrap());
                        assert_eq!(decoded.as_ref(), Ok(&capability));
                    }
                }
            }
        }
    }
}

#[test]
fn a_communal_capability_by_hand() {
    let capability = read(false, &[1, 2], Some(1), &path(&[b"a", b"b"]));
    let interest = interest(capability.granted_namespace(), Some(1), &path(&[b"a"]));
    let bytes = written(&capability, &interest).unwrap();
    // One delegation. Its area: the same subspace (0), not any (0), the start from the start (1), the end open (0), no
    // difference in one byte (00), no second (00): 0010 0000, 0. The path: of the private one, 1 component, which is all of
    // it; beyond it one component of one byte, 0x11 "b". No key, as it is the receiver's. The signature, 64 bytes.
    assert_eq!(bytes[..6], [1, 0b0010_0000, 0, 1, 0x11, b'b']);
    assert_eq!(bytes.len(), 6 + 64);
}

#[test]
fn an_owned_capability_by_hand_shows_nothing_that_is_known() {
    let capability = read(true, &[1], None, &Path::new());
    let interest = interest(capability.granted_namespace(), None, &Path::new());
    let bytes = written(&capability, &interest).unwrap();
    // No delegations, and then no user: it is the receiver. The initial authorisation, 64 bytes.
    assert_eq!((bytes[0], bytes.len()), (0, 65));
    let delegated = read(true, &[1, 2], Some(9), &path(&[b"secret", b"place"]));
    let interest = PrivateInterest::new(delegated.granted_namespace().clone(), Some(user(9).0), path(&[b"secret", b"place"]));
    let bytes = written(&delegated, &interest).unwrap();
    let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    assert!(!shows(b"secret") && !shows(b"place") && !shows(user(9).0.as_bytes()) && !shows(user(2).0.as_bytes()));
    assert!(!shows(delegated.granted_namespace().as_bytes()));
}

#[test]
fn capabilities_for_others_are_refused() {
    let capability = read(true, &[1, 2], Some(9), &path(&[b"a", b"b"]));
    let within = interest(capability.granted_namespace(), Some(9), &path(&[b"a"]));
    let bytes = written(&capability, &within).unwrap();
    assert!(decode(&bytes, &within, 2).is_ok());
    // Another receiver, another namespace, another path: the chain of signatures does not hold for them.
    assert_eq!(decode(&bytes, &within, 3), Err(CapabilityError::Decode(DecodeError::InvalidCapability)));
    let elsewhere = interest(&namespace(true, 1).0, Some(9), &path(&[b"a"]));
    assert_eq!(decode(&bytes, &elsewhere, 2), Err(CapabilityError::Decode(DecodeError::InvalidCapability)));
    let other_path = interest(capability.granted_namespace(), Some(9), &path(&[b"z"]));
    assert_eq!(decode(&bytes, &other_path, 2), Err(CapabilityError::Decode(DecodeError::InvalidCapability)));
    assert_eq!(written(&capability, &other_path), Err(CapabilityError::OutsideInterest));
    assert_eq!(written(&capability, &elsewhere), Err(CapabilityError::OtherNamespace));
    // An undelegated communal one is for the subspace itself.
    let communal = read(false, &[1], Some(1), &Path::new());
    let own = interest(communal.granted_namespace(), Some(1), &Path::new());
    let bytes = written(&communal, &own).unwrap();
    assert_eq!(bytes, [0]);
    assert_eq!(decode(&bytes, &own, 1), Ok(communal.clone()));
    assert_eq!(decode(&bytes, &own, 2), Err(CapabilityError::OtherReceiver));
    assert_eq!(decode(&bytes, &interest(communal.granted_namespace(), None, &Path::new()), 1), Err(CapabilityError::OtherSubspace));
}

#[test]
fn a_capability_for_more_than_the_interest_is_refused() {
    // Written relative to /a, then read relative to /a/b: it grants more.
    let capability = read(true, &[1, 2], None, &path(&[b"a"]));
    let narrow = interest(capability.granted_namespace(), None, &path(&[b"a", b"b"]));
    assert_eq!(written(&capability, &narrow), Err(CapabilityError::OutsideInterest));
    let mut w = Writer::new();
    // By hand: what the encoder refuses to write. Of the private path /a/b one component, /a.
    w.c64_standalone(1);
    w.bytes(user(1).0.as_bytes());
    let mut absolute = Writer::new();
    encode_read_capability_absolute(&mut absolute, &capability);
    w.bytes(&absolute.as_bytes()[65..129]);
    w.bytes(&[0b0110_0000, 0, 1]);
    w.bytes(&absolute.as_bytes()[absolute.len() - 64..]);
    assert_eq!(decode(w.as_bytes(), &narrow, 2), Err(CapabilityError::OutsideInterest));
}

#[test]
fn the_delegation_to_the_session_is_not_counted() {
    let chain: Vec<u8> = (0..19).collect();
    let longest = read(true, &chain[..18], Some(9), &Path::new());
    let interest = interest(longest.granted_namespace(), None, &Path::new());
    assert_eq!(longest.delegations().len(), MAX_DELEGATIONS + 1);
    assert_eq!(decode(&written(&longest, &interest).unwrap(), &interest, 17), Ok(longest));
    let too_long = read(true, &chain, Some(9), &Path::new());
    assert_eq!(decode(&written(&too_long, &interest).unwrap(), &interest, 18), Err(CapabilityError::Decode(DecodeError::TooLarge)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn bytes_that_differ_in_a_bit_are_refused(owned: bool, length in 2_u8..5, bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let chain: Vec<u8> = (1..=length).collect();
        let capability = read(owned, &chain, Some(if owned { 9 } else { 1 }), &path(&[b"a", b"b"]));
        let interest = interest(capability.granted_namespace(), capability.granted_area().subspace().map(|_| if owned { 9 } else { 1 }), &path(&[b"a"]));
        let bytes = written(&capability, &interest).unwrap();
        prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())], &interest, length), Err(CapabilityError::Decode(DecodeError::Truncated)));
        let mut flipped = bytes;
        let at = bit.index(flipped.len() * 8);
        flipped[at / 8] ^= 1 << (at % 8);
        prop_assert!(decode(&flipped, &interest, length).is_err());
    }
}
