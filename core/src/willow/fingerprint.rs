//! What reconciliation compares: ids of entries, and keyed, order-independent fingerprints of sets of them.
//!
//! An [`EntryId`] is the hash of an entry's encoding; neither its authorisation token nor the bytes held of its payload are
//! part of it. Within one session an id becomes a [`Sum`] under that session's [`FingerprintKey`]; a set of entries is the
//! sum of its members modulo 2^256 with their number. Nobody can choose entries so that two different sets have equal
//! sums without knowing the key, and no entry made before the session knew it (PROTOCOL.md, "Fingerprint").
//!
//! Must not know where entries are stored or which ranges are compared.

use std::fmt;

use willow25::prelude::Entry;

use super::{codec::Writer, entry_codec};

/// The context string under which a session secret becomes a fingerprint key.
const KEY_CONTEXT: &str = "osier 2025-11 reconciliation fingerprint";

/// Names an entry: BLAKE3 of its absolute encoding, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub [u8; 32]);

impl EntryId {
    /// The id of `entry`.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        let mut writer = Writer::with_capacity(entry_codec::LIKELY_LEN);
        entry_codec::encode_entry(&mut writer, entry);
        Self::of_encoding(writer.as_bytes())
    }

    /// The id of the entry whose absolute encoding is `bytes`.
    #[must_use]
    pub fn of_encoding(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(5).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key under which one session turns entry ids into summands. Both sides derive it from the session secret.
#[derive(Clone)]
pub struct FingerprintKey([u8; 32]);

impl FingerprintKey {
    /// The key of the session with this secret.
    #[must_use]
    pub fn from_session_secret(secret: &[u8; 32]) -> Self {
        Self(blake3::derive_key(KEY_CONTEXT, secret))
    }

    /// What the entry with this id adds to a sum.
    #[must_use]
    pub fn singleton(&self, id: &EntryId) -> Sum {
        Sum::from_le_bytes(blake3::keyed_hash(&self.0, &id.0).as_bytes())
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey(…)")
    }
}

/// A number modulo 2^256, as four limbs, the least significant first.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Sum([u64; 4]);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self([0; 4]);

    /// The number with these bytes, the least significant first.
    #[must_use]
    pub fn from_le_bytes(bytes: &[u8; 32]) -> Self {
        let (limbs, _) = bytes.as_chunks::<8>();
        let mut sum = [0; 4];
        for (limb, bytes) in sum.iter_mut().zip(limbs) {
            *limb = u64::from_le_bytes(*bytes);
        }
        Self(sum)
    }

    /// The bytes of the number, the least significant first.
    #[must_use]
    pub fn to_le_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *chunk = limb.to_le_bytes();
        }
        bytes
    }

    /// `self + other` modulo 2^256.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // `a.add(b)` reads like `a.sub(b)`; operators would hide the modulus.
    pub fn add(self, other: Self) -> Self {
        let mut carry = false;
        let mut sum = [0; 4];
        for ((limb, a), b) in sum.iter_mut().zip(self.0).zip(other.0) {
            let (partial, first) = a.overflowing_add(b);
            let (total, second) = partial.overflowing_add(u64::from(carry));
            *limb = total;
            carry = first || second;
        }
        Self(sum)
    }

    /// `self - other` modulo 2^256.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn sub(self, other: Self) -> Self {
        let mut borrow = false;
        let mut difference = [0; 4];
        for ((limb, a), b) in difference.iter_mut().zip(self.0).zip(other.0) {
            let (partial, first) = a.overflowing_sub(b);
            let (total, second) = partial.overflowing_sub(u64::from(borrow));
            *limb = total;
            borrow = first || second;
        }
        Self(difference)
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

/// A set of entries in short: how many, and the sum of their singletons under a session's key.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Hash)]
pub struct Summary {
    /// How many entries.
    pub count: u64,
    /// The sum of their singletons.
    pub sum: Sum,
}

impl Summary {
    /// The empty set.
    pub const EMPTY: Self = Self { count: 0, sum: Sum::ZERO };

    /// This set with one more entry, whose singleton is given.
    #[must_use]
    pub fn with(self, singleton: Sum) -> Self {
        Self { count: self.count.saturating_add(1), sum: self.sum.add(singleton) }
    }

    /// The union of two disjoint sets.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), sum: self.sum.add(other.sum) }
    }

    /// What is left when a subset is taken away.
    #[must_use]
    pub fn minus(self, subset: Self) -> Self {
        Self { count: self.count.saturating_sub(subset.count), sum: self.sum.sub(subset.sum) }
    }

    /// What goes over the wire: 32 zero bytes for the empty set, otherwise BLAKE3 of the count (8 bytes, big-endian) and
    /// the sum (32 bytes, least significant first).
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        if self.count == 0 {
            return Fingerprint::EMPTY;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.count.to_be_bytes());
        hasher.update(&self.sum.to_le_bytes());
        Fingerprint(*hasher.finalize().as_bytes())
    }
}

/// A set of entries as it is compared over the wire, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of the empty set, and of no other.
    pub const EMPTY: Self = Self([0; 32]);
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(5).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
#[path = "fingerprint_tests.rs"]
mod tests;
