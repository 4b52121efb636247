//! Tests of `token_codec`: against willow25's encoder, and for all bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use ufotofu::{codec_prelude::RelativeEncodable, prelude::IntoConsumer as _};
use willow25::{authorisation::PriorAuthedEntryEntryPair, defaults::default_authorised_entry, prelude::TimeRange};

use super::*;
use crate::willow::{
    SignedEntry,
    codec::ready,
    test_values::{path, signed, user},
};

/// A variety of authorised entries: both kinds, several chains with common beginnings.
fn examples() -> Vec<SignedEntry> {
    let mut examples = Vec::new();
    for owned in [true, false] {
        for chain in [&[1][..], &[1, 2], &[1, 2, 3], &[1, 2, 4, 5], &[1, 6], &[7], &[7, 1, 2, 3, 4, 5]] {
            examples.push(signed(owned, chain, &[b"a", b"b", b"c", b"d", b"e"], 9, b"x"));
        }
    }
    examples.push(signed(true, &[1, 2, 3], &[b"a", b"other"], 9, b"x"));
    examples
}

fn written(value: &SignedEntry, prior: Option<&WriteCapability>) -> Vec<u8> {
    let mut w = Writer::new();
    encode_token(&mut w, &value.capability, &value.signature, prior, &value.entry);
    w.into_bytes()
}

fn decode(bytes: &[u8], prior: Option<&Arc<WriteCapability>>, entry: &Entry) -> Result<Token, DecodeError> {
    let mut r = Reader::new(bytes);
    let token = decode_token(&mut r, prior, entry, &mut CapCache::new())?;
    r.finish()?;
    Ok(token)
}

#[test]
fn tokens_agree_with_willow25_and_round_trip() {
    let examples = examples();
    for prior in examples.iter().map(Some).chain([None]) {
        for value in &examples {
            let bytes = written(value, prior.map(|prior| &*prior.capability));
            let authorised = value.authorised();
            let pair = PriorAuthedEntryEntryPair::new(
                prior.map_or_else(default_authorised_entry, |prior| prior.authorised()),
                value.entry.clone(),
            );
            let mut theirs = Vec::new();
            ready(authorised.authorisation_token().relative_encode(&pair, &mut (&mut theirs).into_consumer())).unwrap().unwrap();
            assert_eq!(bytes, theirs);
            let token = decode(&bytes, prior.map(|prior| &prior.capability), &value.entry).unwrap();
            assert_eq!((token.capability, token.signature), (Arc::clone(&value.capability), value.signature));
        }
    }
}

#[test]
fn a_token_with_the_capability_of_the_one_before_by_hand() {
    let before = signed(true, &[1, 2], &[b"a"], 1, b"");
    let value = signed(true, &[1, 2], &[b"a"], 2, b"");
    // Owned (1); one more than the one shared delegation, 2, in three bits (010); one delegation in four bits (0001).
    let expected = [&[0b1010_0001][..], &value.signature].concat();
    assert_eq!(written(&value, Some(&before.capability)), expected);
    // Nothing is verified, hashed or copied for it.
    let mut cache = CapCache::new();
    let token = decode_token(&mut Reader::new(&expected), Some(&before.capability), &value.entry, &mut cache).unwrap();
    assert!(Arc::ptr_eq(&token.capability, &before.capability));
    assert_eq!(cache.chains_verified(), 0);
}

#[test]
fn a_capability_that_comes_again_is_verified_once() {
    let (a, b) = (signed(true, &[1, 2], &[b"a"], 1, b""), signed(true, &[1, 3], &[b"a"], 1, b""));
    let mut cache = CapCache::new();
    let mut prior = Arc::clone(&a.capability);
    for value in [&b, &a, &b, &a, &b] {
        let bytes = written(value, Some(&prior));
        prior = decode_token(&mut Reader::new(&bytes), Some(&prior), &value.entry, &mut cache).unwrap().capability;
    }
    assert_eq!(cache.chains_verified(), 2);
}

#[test]
fn a_capability_that_does_not_grant_the_entry_is_refused() {
    let value = signed(true, &[1, 2, 3], &[b"a", b"b"], 9, b"");
    let mut other = value.entry.clone();
    let bytes = written(&value, Some(&value.capability));
    assert!(decode(&bytes, Some(&value.capability), &other).is_ok());
    other = Entry::prefilled_builder(&other).subspace_id(user(77).0).build();
    assert_eq!(decode(&bytes, Some(&value.capability), &other), Err(DecodeError::NotGranted));
    // Outside of its times.
    let mut limited = WriteCapability::clone(&signed(true, &[1], &[b"a"], 9, b"").capability);
    limited.delegate(&user(1).1, Area::new(None, path(&[]), TimeRange::new_closed(0.into(), 5.into())), user(2).0);
    let limited = Arc::new(limited);
    assert_eq!(
        decode(&written(&value, Some(&value.capability)), Some(&limited), &value.entry),
        Err(DecodeError::Invalid("more shared delegations than there are"))
    );
    assert_eq!(decode(&[&[0b1010_0001][..], &[0; 64]].concat(), Some(&limited), &value.entry), Err(DecodeError::NotGranted));
}

#[test]
fn tokens_on_which_willow25_panics_are_refused() {
    // Two delegations whose first area has a path that has nothing to do with the entry's: the second would be encoded
    // relative to an area that is not related to it.
    let value = signed(true, &[1, 2, 3], &[b"a", b"b"], 9, b"");
    let mut w = Writer::new();
    w.u8(0b1000_0010);
    w.bytes(user(1).0.as_bytes());
    w.bytes(&[1; 64]);
    // Any subspace, all times; two components of /a/b are shared, then /x: the area's path is /a/b/x.
    w.bytes(&[0b1110_0000, 0, 2, 0x11, b'x']);
    w.bytes(user(2).0.as_bytes());
    w.bytes(&[1; 64]);
    // The next one: nothing shared.
    w.bytes(&[0b0110_0000, 0, 0]);
    w.bytes(&[1; 200]);
    assert!(decode(w.as_bytes(), None, &value.entry).is_err());
}

#[test]
fn wasteful_tokens_are_refused() {
    let value = signed(true, &[1, 2], &[b"a"], 9, b"");
    // As after a communal one, although the one before has the same origin.
    let spelled = written(&value, None);
    assert_eq!(decode(&spelled, Some(&value.capability), &value.entry), Err(DecodeError::NotCanonic));
    // No delegation shared (1), although the first is the same.
    let shared = written(&value, Some(&value.capability));
    let other = signed(true, &[1], &[b"a"], 9, b"");
    let mut unshared = written(&value, Some(&other.capability));
    assert_eq!(unshared[0], 0b1001_0001);
    assert_eq!(decode(&unshared, Some(&value.capability), &value.entry), Err(DecodeError::NotCanonic));
    unshared[0] = shared[0];
    assert_eq!(
        decode(&unshared, Some(&other.capability), &value.entry),
        Err(DecodeError::Invalid("more shared delegations than there are"))
    );
    // A communal one that shares with an owned one, or not with a communal one.
    let communal = signed(false, &[1], &[b"a"], 9, b"");
    assert_eq!(decode(&written(&communal, None), Some(&value.capability), &communal.entry), Err(DecodeError::NotCanonic));
    assert_eq!(decode(&written(&communal, Some(&value.capability)), None, &communal.entry), Err(DecodeError::NotCanonic));
    // An owned one that shares with a communal one; seventeen delegations.
    assert!(matches!(decode(&shared, Some(&communal.capability), &value.entry), Err(DecodeError::Invalid(_))));
    assert_eq!(decode(&[0b1000_1100, 17], None, &value.entry), Err(DecodeError::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn other_bytes_are_refused_or_written_the_same(
        value in 0_usize..15, prior in 0_usize..16, bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), header: u8
    ) {
        let examples = examples();
        let value = &examples[value];
        let prior = examples.get(prior).map(|prior| &prior.capability);
        let bytes = written(value, prior.map(|prior| &**prior));
        prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())], prior, &value.entry), Err(DecodeError::Truncated));
        let mut flipped = bytes.clone();
        let at = bit.index(bytes.len() * 8);
        flipped[at / 8] ^= 1 << (at % 8);
        let mut headed = bytes;
        headed[0] = header;
        for bytes in [flipped, headed] {
            let mut r = Reader::new(&bytes);
            if let Ok(token) = decode_token(&mut r, prior, &value.entry, &mut CapCache::new()) {
                let mut w = Writer::new();
                encode_token(&mut w, &token.capability, &token.signature, prior.map(|prior| &**prior), &value.entry);
                prop_assert_eq!(w.as_bytes(), &bytes[..bytes.len() - r.remaining()]);
            }
        }
    }
}

#[test]
fn five_thousand_entries_of_one_author_cost_no_keys_and_no_chains() {
    use crate::willow::{
        entry_codec::{decode_entry_rel_entry, encode_entry_rel_entry},
        test_values::{entry, namespace, write_capability},
    };

    let (ns, subspace) = (namespace(true, 0).0, user(9).0);
    let capability = write_capability(true, &[1, 2, 3], &path(&[b"notes"]), &subspace);
    let first = signed(true, &[1, 2, 3], &[b"notes"], 9, b"");
    let mut w = Writer::new();
    let mut before = first.entry.clone();
    for number in 0..5000_u64 {
        let value = entry(&ns, &subspace, path(&[b"notes", &number.to_be_bytes()]), 1000 + number, b"");
        encode_entry_rel_entry(&mut w, &value, &before);
        encode_token(&mut w, &capability, &[0; 64], Some(&capability), &value);
        before = value;
    }
    let bytes = w.into_bytes();
    let mut cache = CapCache::new();
    let (mut r, mut before, mut prior) = (Reader::new(&bytes), first.entry.clone(), Arc::clone(&first.capability));
    for _ in 0..5000 {
        let value = decode_entry_rel_entry(&mut r, &before, cache.keys()).unwrap();
        let token = decode_token(&mut r, Some(&prior), &value, &mut cache).unwrap();
        assert!(Arc::ptr_eq(&token.capability, &first.capability));
        prior = token.capability;
        before = value;
    }
    assert!(r.is_empty());
    assert_eq!(cache.chains_verified(), 0);
}
