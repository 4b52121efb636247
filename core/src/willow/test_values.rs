//! Values for the tests of this module: keys from small numbers, capabilities, and strategies.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use willow25::prelude::*;

use super::SignedEntry;

pub fn user(seed: u8) -> (SubspaceId, SubspaceSecret) {
    let secret = SubspaceSecret::from_bytes(&[seed.wrapping_add(1); 32]);
    (secret.corresponding_subspace_id(), secret)
}

/// The `nth` namespace that is owned, or communal.
pub fn namespace(owned: bool, nth: u8) -> (NamespaceId, NamespaceSecret) {
    let mut found = (0_u8..=255)
        .map(|seed| NamespaceSecret::from_bytes(&[seed; 32]))
        .filter(|secret| secret.corresponding_namespace_id().is_owned() == owned);
    let secret = found.nth(usize::from(nth)).unwrap();
    (secret.corresponding_namespace_id(), secret)
}

pub fn path(components: &[&[u8]]) -> Path {
    Path::from_slices(components).unwrap()
}

pub fn entry(namespace: &NamespaceId, subspace: &SubspaceId, path: Path, time: u64, payload: &[u8]) -> Entry {
    Entry::builder().namespace_id(namespace.clone()).subspace_id(subspace.clone()).path(path).timestamp(time).payload(payload).build()
}

/// Paths of few short components over few letters, so that shared prefixes are common.
pub fn paths() -> impl Strategy<Value = Path> {
    vec(vec(prop_oneof![Just(0_u8), Just(b'a'), Just(255)], 0..3), 0..5)
        .prop_map(|components| Path::from_slices(&components.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap())
}

/// Times that are small, large, or anything.
pub fn times() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..300, (u64::MAX - 300)..=u64::MAX, any::<u64>()]
}

/// Lengths of all widths.
pub fn lengths() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| value >> shift)
}

pub fn entries() -> impl Strategy<Value = Entry> {
    (0_u8..2, 0_u8..3, paths(), times(), lengths(), any::<u8>()).prop_map(|(ns, ss, path, time, length, digest)| {
        Entry::builder()
            .namespace_id(namespace(true, ns).0)
            .subspace_id(user(ss).0)
            .path(path)
            .timestamp(time)
            .payload_length(length)
            .payload_digest([digest; 32].into())
            .build()
    })
}

fn range<T: PartialOrd + Clone>(a: T, b: T, open: bool) -> WillowRange<T> {
    let (start, end) = if a <= b { (a, b) } else { (b, a) };
    if open {
        WillowRange::new_open(start)
    } else {
        WillowRange::try_new_closed(start.clone(), end).unwrap_or(WillowRange::new_open(start))
    }
}

pub fn time_ranges() -> impl Strategy<Value = TimeRange> {
    (times(), times(), any::<bool>()).prop_map(|(a, b, open)| range(a.into(), b.into(), open))
}

pub fn ranges() -> impl Strategy<Value = Range3d> {
    let subspaces = (0_u8..4, 0_u8..4, any::<bool>()).prop_map(|(a, b, open)| range(user(a).0, user(b).0, open));
    let paths = (paths(), paths(), any::<bool>()).prop_map(|(a, b, open)| range(a, b, open));
    (subspaces, paths, time_ranges()).prop_map(|(subspaces, paths, times)| Range3d::new(subspaces, paths, times))
}

/// A write capability for `secrets`' last user, delegated along them; the areas get ever smaller along `path`.
pub fn write_capability(owned: bool, chain: &[u8], path: &Path, subspace: &SubspaceId) -> Arc<WriteCapability> {
    let (namespace_id, secret) = namespace(owned, 0);
    let (first, mut signer) = user(*chain.first().unwrap());
    let mut capability =
        if owned { WriteCapability::new_owned(&secret, first) } else { WriteCapability::new_communal(namespace_id, first) };
    for (i, next) in chain.iter().enumerate().skip(1) {
        let (next, next_secret) = user(*next);
        let within = if owned && i == 1 { None } else { Some(subspace.clone()) };
        let prefix = path.create_prefix((i - 1).min(path.component_count())).unwrap();
        let times = match i % 3 {
            0 => TimeRange::new_open((i as u64).into()),
            _ => *capability.granted_area().times(),
        };
        capability.delegate(&signer, Area::new(within, prefix, times), next);
        signer = next_secret;
    }
    Arc::new(capability)
}

/// An entry of the last of `chain`, signed.
pub fn signed(owned: bool, chain: &[u8], components: &[&[u8]], time: u64, payload: &[u8]) -> SignedEntry {
    let (namespace_id, _) = namespace(owned, 0);
    let subspace = if owned { user(9).0 } else { user(*chain.first().unwrap()).0 };
    let path = path(components);
    let capability = write_capability(owned, chain, &path, &subspace);
    let (_, secret) = user(*chain.last().unwrap());
    SignedEntry::sign(entry(&namespace_id, &subspace, path, time, payload), capability, &secret).unwrap()
}
