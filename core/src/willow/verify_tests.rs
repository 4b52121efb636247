//! Tests of `verify`: one rule, alone and in batches, also for signatures made to tell the two apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use curve25519_dalek::{
    constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION},
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
};
use proptest::prelude::*;
use willow25::prelude::{SubspaceId, WriteCapability};

use super::*;
use crate::willow::{
    Token,
    test_values::{entry, namespace, path, signed, user},
};

fn unverified(signed: &SignedEntry) -> UnverifiedEntry {
    UnverifiedEntry::clone(signed)
}

/// SHA-512 of R ‖ A ‖ message as a scalar, through what the verifier computes it with: a batch item is public, its k is not.
fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    use sha2::{Digest as _, Sha512};
    Scalar::from_bytes_mod_order_wide(&Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize().into())
}

/// An entry in a communal namespace with a signature by `secret` whose R has `torsion` added, and whose key has `key_torsion`.
fn torsioned(number: u64, torsion: usize, key_torsion: usize) -> UnverifiedEntry {
    let secret = Scalar::from(1_234_567_u64 + number % 3);
    let nonce = Scalar::from(7_654_321_u64 + number);
    let key = (ED25519_BASEPOINT_POINT * secret + EIGHT_TORSION[key_torsion]).compress().to_bytes();
    let r = (ED25519_BASEPOINT_POINT * nonce + EIGHT_TORSION[torsion]).compress().to_bytes();
    let (ns, _) = namespace(false, 0);
    let subspace = SubspaceId::from_bytes(&key);
    let capability = Arc::new(WriteCapability::new_communal(ns.clone(), subspace.clone()));
    let entry = entry(&ns, &subspace, path(&[b"a"]), number, b"");
    let mut message = Writer::new();
    encode_entry(&mut message, &entry);
    let s = nonce + challenge(&r, &key, message.as_bytes()) * secret;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(s.as_bytes());
    UnverifiedEntry::new(entry, Token { capability, signature })
}

#[test]
fn torsioned_signatures_are_judged_the_same_alone_and_in_batches() {
    // Of each kind many, since the rule of others accepts them in batches about every other time.
    let entries: Vec<_> =
        (0..400_u64).map(|i| torsioned(i, usize::try_from(i % 8).unwrap(), usize::try_from(i / 8 % 8).unwrap())).collect();
    let alone: Vec<_> = entries.iter().cloned().map(verify_one).collect();
    assert_eq!(verify_batch(entries.clone()), alone);
    for chunk in entries.chunks(37) {
        assert!(verify_batch(chunk.to_vec()).iter().all(Result::is_ok));
    }
    // The rule is the cofactored one: all of them pass. willow25's strict one refuses what has torsion in R.
    assert!(alone.iter().all(Result::is_ok));
    let strict = |entry: &UnverifiedEntry| {
        let signed = verify_one(entry.clone()).unwrap().authorised();
        signed.authorisation_token().does_authorise(signed.entry())
    };
    assert!(strict(&torsioned(1, 0, 0)));
    assert!(!strict(&torsioned(1, 4, 0)));
}

#[test]
fn keys_of_small_order_are_refused_in_every_encoding() {
    // All encodings that decompress to points of small order: y below 2^255 of the eight, with p added where that fits,
    // and either sign.
    let mut encodings = Vec::new();
    for point in EIGHT_TORSION {
        let y = point.compress().to_bytes();
        for sign in [0, 0x80] {
            let mut with_sign = y;
            with_sign[31] = (y[31] & 0x7f) | sign;
            encodings.push(with_sign);
            // y + p = y + 2^255 - 19 fits below 2^255 iff y < 19.
            if y[1..31] == [0; 30] && y[31] & 0x7f == 0 && y[0] < 19 {
                let mut beyond = near_p(y[0] + 0xed);
                beyond[31] |= sign;
                encodings.push(beyond);
            }
        }
    }
    let mut found = 0;
    for encoding in encodings {
        assert!(is_weak(&encoding), "{encoding:?}");
        let point: Option<EdwardsPoint> = CompressedEdwardsY(encoding).decompress();
        assert!(point.is_none_or(|point| point.is_small_order()));
        found += u32::from(point.is_some());
    }
    assert!(found >= 14, "{found}");
    for weak in WEAK_KEYS {
        assert!(CompressedEdwardsY(weak).decompress().unwrap().is_small_order());
    }
    assert!(!is_weak(user(1).0.as_bytes()));
    assert!(!is_weak(&near_p(0xef)));
}

#[test]
fn nobody_signs_for_a_weak_key() {
    // With a key of order 1 the signature R = identity, s = 0 holds for every message by the equation alone.
    let mut identity = [0; 32];
    identity[0] = 1;
    let (ns, _) = namespace(false, 0);
    let subspace = SubspaceId::from_bytes(&identity);
    let mut signature = [0; 64];
    signature[0] = 1;
    let capability = Arc::new(WriteCapability::new_communal(ns.clone(), subspace.clone()));
    let forged = UnverifiedEntry::new(entry(&ns, &subspace, path(&[b"a"]), 1, b""), Token { capability, signature });
    let key = VerificationKey::try_from(identity).unwrap();
    assert!(key.verify(&Signature::from_bytes(&signature), b"anything").is_ok());
    assert!(!is_signed_by(&identity, b"anything", &signature));
    assert_eq!(verify_one(forged.clone()), Err(InvalidToken::WeakKey));
    let honest = signed(true, &[1], &[b"a"], 1, b"");
    assert_eq!(verify_batch(vec![forged, unverified(&honest)]), [Err(InvalidToken::WeakKey), Ok(honest)]);
}

#[test]
fn an_entry_that_the_capability_does_not_include_is_refused() {
    let (a, b) = (signed(true, &[1, 2, 3], &[b"a"], 1, b""), signed(true, &[1, 2, 3], &[b"b"], 1, b""));
    let mixed = UnverifiedEntry::new(a.entry.clone(), Token { capability: Arc::clone(&b.capability), signature: a.signature });
    assert_eq!(verify_one(mixed), Err(InvalidToken::NotGranted));
}

#[test]
fn ids_are_those_of_the_entries_whatever_was_claimed() {
    let honest = signed(true, &[1], &[b"a"], 1, b"");
    let mut claimed = unverified(&honest);
    claimed.id = EntryId([0; 32]);
    assert_eq!(verify_one(claimed.clone()), Ok(honest.clone()));
    assert_eq!(verify_batch(vec![claimed]), [Ok(honest)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_batch_finds_exactly_the_bad_ones(count in 0_usize..120, bad in proptest::collection::btree_set(0_usize..120, 0..10)) {
        let good: Vec<_> = (0..count).map(|i| signed(i % 2 == 0, &[(i % 3) as u8], &[b"a"], i as u64, b"")).collect();
        let entries = good.iter().enumerate().map(|(i, signed)| {
            let mut entry = unverified(signed);
            if bad.contains(&i) {
                entry.signature[i % 64] ^= 1 << (i % 8);
            }
            entry
        });
        for (i, result) in verify_batch(entries.collect()).into_iter().enumerate() {
            let expected = if bad.contains(&i) { Err(InvalidToken::BadSignature) } else { Ok(good[i].clone()) };
            prop_assert_eq!(result, expected);
        }
    }
}
