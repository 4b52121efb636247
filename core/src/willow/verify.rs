//! Whether signatures hold: one rule, alone or in batches.
//!
//! The rule: Ed25519 by ZIP 215 (cofactored, as `ed25519-zebra` has it, whose single and batch verification agree by
//! construction), and the key is not of small order. Peers that accepted different signatures would never become equal,
//! so nothing else in Osier checks the signature of an entry.
//!
//! Batches need numbers that who made the signatures could not foresee. They are derived from everything in the batch, so
//! that no randomness is needed here: to aim at them is to find a preimage.

use ed25519_zebra::{Signature, VerificationKey, VerificationKeyBytes, batch};
use rand_core::{CryptoRng, RngCore};

use super::{
    codec::Writer,
    entry_codec::{LIKELY_LEN, encode_entry},
    fingerprint::EntryId,
    signed::{SignedEntry, UnverifiedEntry},
};

/// Why an entry is not authorised. One variant per rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidToken {
    /// The capability does not include the entry.
    #[error("the capability does not include the entry")]
    NotGranted,
    /// The receiver of the capability is a key of small order, for which anybody can sign.
    #[error("the key of the signature is of small order")]
    WeakKey,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    BadSignature,
}

/// Below this many, a failed batch is checked one by one.
const SMALL_BATCH: usize = 8;

/// Whether `signature` is one over `message` by `key`, by the one rule.
#[must_use]
pub fn is_signed_by(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    !is_weak(key) && VerificationKey::try_from(*key).is_ok_and(|key| key.verify(&Signature::from_bytes(signature), message).is_ok())
}

/// Verifies one entry.
///
/// # Errors
/// Which rule the token breaks.
pub fn verify_one(entry: UnverifiedEntry) -> Result<SignedEntry, InvalidToken> {
    let (entry, item) = check(entry)?;
    item.verify_single().map_err(|_| InvalidToken::BadSignature)?;
    Ok(SignedEntry::proven(entry))
}

/// Verifies many entries at once, which costs a fraction of one by one, least of all for many by few authors. The results
/// are those of [`verify_one`], in the same order.
#[must_use]
pub fn verify_batch(entries: Vec<UnverifiedEntry>) -> Vec<Result<SignedEntry, InvalidToken>> {
    let mut results = Vec::with_capacity(entries.len());
    let mut items = Vec::with_capacity(entries.len());
    for entry in entries {
        results.push(check(entry).map(|(entry, item)| {
            items.push(Queued { item, digest: transcript_of(&entry) });
            SignedEntry::proven(entry)
        }));
    }
    let mut verdicts = vec![true; items.len()];
    judge(&items, &mut verdicts);
    let mut verdicts = verdicts.into_iter();
    for result in &mut results {
        if result.is_ok() && verdicts.next() != Some(true) {
            *result = Err(InvalidToken::BadSignature);
        }
    }
    results
}

/// What needs no signature; makes the rest ready for it, and the id of the entry true.
fn check(mut entry: UnverifiedEntry) -> Result<(UnverifiedEntry, batch::Item), InvalidToken> {
    if !entry.capability.includes(&entry.entry) {
        return Err(InvalidToken::NotGranted);
    }
    let key = *entry.capability.receiver().as_bytes();
    if is_weak(&key) {
        return Err(InvalidToken::WeakKey);
    }
    let mut message = Writer::with_capacity(LIKELY_LEN);
    encode_entry(&mut message, &entry.entry);
    entry.id = EntryId::of_encoding(message.as_bytes());
    let item = batch::Item::from((VerificationKeyBytes::from(key), Signature::from_bytes(&entry.signature), message.as_bytes()));
    Ok((entry, item))
}

/// A signature of a batch, and a digest of all that it is about.
struct Queued {
    item: batch::Item,
    digest: [u8; 32],
}

fn transcript_of(entry: &UnverifiedEntry) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(entry.capability.receiver().as_bytes());
    hasher.update(&entry.signature);
    hasher.update(&entry.id.0);
    *hasher.finalize().as_bytes()
}

/// Finds those of `items` whose signatures do not hold: all at once, by halves where that fails, in the end one by one.
fn judge(items: &[Queued], verdicts: &mut [bool]) {
    if items.len() <= SMALL_BATCH {
        for (queued, verdict) in items.iter().zip(verdicts) {
            *verdict = queued.item.clone().verify_single().is_ok();
        }
        return;
    }
    if holds(items) {
        return;
    }
    let middle = items.len() / 2;
    let (first, second) = items.split_at(middle);
    let (first_verdicts, second_verdicts) = verdicts.split_at_mut(middle);
    judge(first, first_verdicts);
    judge(second, second_verdicts);
}

fn holds(items: &[Queued]) -> bool {
    let mut verifier = batch::Verifier::new();
    let mut hasher = blake3::Hasher::new_derive_key("osier 2025-11 batch verification");
    for queued in items {
        hasher.update(&queued.digest);
        verifier.queue(queued.item.clone());
    }
    verifier.verify(Derived(hasher.finalize_xof())).is_ok()
}

/// Numbers derived from a batch.
struct Derived(blake3::OutputReader);

impl RngCore for Derived {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        self.0.fill(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill(dest);
        Ok(())
    }
}

impl CryptoRng for Derived {}

/// Whether `key` encodes, canonically or not, a point of small order.
#[must_use]
pub fn is_weak(key: &[u8; 32]) -> bool {
    let (last, rest) = (key[31] & 0x7f, &key[..31]);
    WEAK_KEYS.iter().any(|weak| weak[31] == last && weak[..31] == *rest)
}

/// The y coordinates, in all their encodings below 2^255, of the points of small order; their sign is ignored. With p =
/// 2^255 - 19: 0, 1, the two of order 8, p - 1, and beyond canonic p (= 0) and p + 1 (= 1).
const WEAK_KEYS: [[u8; 32]; 7] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    near_p(0xec),
    near_p(0xed),
    near_p(0xee),
];

/// p + `lowest` - 0xed, little-endian.
const fn near_p(lowest: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = lowest;
    bytes[31] = 0x7f;
    bytes
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
