//! Tests of `fingerprint`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;
use crate::willow::{codec::encode, test_values::entries};

fn number(limbs: [u64; 4]) -> Sum {
    Sum(limbs)
}

#[test]
fn sums_carry_and_borrow_by_hand() {
    // 2^64 - 1 + 1 = 2^64: the lowest limb is 0, the next 1.
    assert_eq!(number([u64::MAX, 0, 0, 0]).add(number([1, 0, 0, 0])), number([0, 1, 0, 0]));
    // 2^256 - 1 + 1 = 0 modulo 2^256, through all limbs.
    assert_eq!(number([u64::MAX; 4]).add(number([1, 0, 0, 0])), Sum::ZERO);
    assert_eq!(Sum::ZERO.sub(number([1, 0, 0, 0])), number([u64::MAX; 4]));
    // A carry into a limb that is full already: (2^128 - 1) + (2^128 - 1) = 2^129 - 2.
    assert_eq!(number([u64::MAX, u64::MAX, 0, 0]).add(number([u64::MAX, u64::MAX, 0, 0])), number([u64::MAX - 1, u64::MAX, 1, 0]));
}

#[test]
fn only_the_empty_set_has_the_empty_fingerprint() {
    assert_eq!(Summary::EMPTY.fingerprint(), Fingerprint([0; 32]));
    // One entry whose singleton happened to be zero is not empty: the count is hashed as well.
    let one = Summary { count: 1, sum: Sum::ZERO };
    assert_eq!(one.fingerprint().0, *blake3::hash(&[&1_u64.to_be_bytes()[..], &[0; 32]].concat()).as_bytes());
    assert_ne!(one.fingerprint(), Summary { count: 2, sum: Sum::ZERO }.fingerprint());
}

#[test]
fn sessions_have_different_keys() {
    let id = EntryId([7; 32]);
    let (a, b) = (FingerprintKey::from_session_secret(&[1; 32]), FingerprintKey::from_session_secret(&[2; 32]));
    assert_ne!(a.singleton(&id), b.singleton(&id));
    assert_eq!(a.singleton(&id), a.clone().singleton(&id));
    assert_eq!(format!("{a:?}"), "FingerprintKey(…)");
}

proptest! {
    #[test]
    fn addition_is_a_group(a: [u64; 4], b: [u64; 4], c: [u64; 4]) {
        let (a, b, c) = (Sum(a), Sum(b), Sum(c));
        prop_assert_eq!(a.add(b), b.add(a));
        prop_assert_eq!(a.add(b).add(c), a.add(b.add(c)));
        prop_assert_eq!(a.add(b).sub(b), a);
        prop_assert_eq!(a.sub(a), Sum::ZERO);
        prop_assert_eq!(Sum::from_le_bytes(&a.to_le_bytes()), a);
    }

    #[test]
    fn an_id_is_the_hash_of_willow25s_encoding(entry in entries()) {
        prop_assert_eq!(EntryId::of(&entry).0, *blake3::hash(&encode(&entry)).as_bytes());
    }

    #[test]
    fn a_summary_does_not_depend_on_order(ids in proptest::collection::vec(any::<[u8; 32]>(), 0..8), split in 0_usize..8) {
        let key = FingerprintKey::from_session_secret(&[3; 32]);
        let of = |ids: &[[u8; 32]]| ids.iter().fold(Summary::EMPTY, |set, id| set.with(key.singleton(&EntryId(*id))));
        let (first, second) = ids.split_at(split.min(ids.len()));
        let whole = of(&ids);
        prop_assert_eq!(of(second).plus(of(first)), whole);
        prop_assert_eq!(whole.minus(of(first)), of(second));
        prop_assert_eq!(whole.fingerprint() == Fingerprint::EMPTY, ids.is_empty());
    }
}
