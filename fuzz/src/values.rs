//! Keys from small numbers, and what can be made with them.

use std::sync::{Arc, OnceLock};

use osier_core::willow::{
    Area, Entry, NamespaceId, NamespaceSecret, Path, Range3d, ReadCapability, SignedEntry, SubspaceId, SubspaceSecret, TimeRange,
    WriteCapability,
};

/// The user of a number.
pub fn user(number: u8) -> (SubspaceId, SubspaceSecret) {
    let secret = SubspaceSecret::from_bytes(&[number.wrapping_add(1); 32]);
    (secret.corresponding_subspace_id(), secret)
}

/// An owned or a communal namespace.
pub fn namespace(owned: bool) -> (NamespaceId, NamespaceSecret) {
    let secrets = (0..=255).map(|seed| NamespaceSecret::from_bytes(&[seed; 32]));
    let secret = { secrets }.find(|secret| secret.corresponding_namespace_id().is_owned() == owned).unwrap();
    (secret.corresponding_namespace_id(), secret)
}

/// A path of these components.
pub fn path(components: &[&[u8]]) -> Path {
    Path::from_slices(components).unwrap()
}

/// A write capability of the last of `chain`; the areas get ever smaller along `path`.
pub fn write_capability(owned: bool, chain: &[u8], path: &Path, subspace: &SubspaceId) -> WriteCapability {
    let (namespace_id, secret) = namespace(owned);
    let (first, mut signer) = user(chain[0]);
    let mut capability =
        if owned { WriteCapability::new_owned(&secret, first) } else { WriteCapability::new_communal(namespace_id, first) };
    for (i, next) in chain.iter().enumerate().skip(1) {
        let (next, next_secret) = user(*next);
        capability.delegate(&signer, smaller(i, owned, &capability.granted_area(), path, subspace), next);
        signer = next_secret;
    }
    capability
}

/// A read capability, likewise.
pub fn read_capability(owned: bool, chain: &[u8], path: &Path, subspace: &SubspaceId) -> ReadCapability {
    let (namespace_id, secret) = namespace(owned);
    let (first, mut signer) = user(chain[0]);
    let mut capability = if owned { ReadCapability::new_owned(&secret, first) } else { ReadCapability::new_communal(namespace_id, first) };
    for (i, next) in chain.iter().enumerate().skip(1) {
        let (next, next_secret) = user(*next);
        capability.delegate(&signer, smaller(i, owned, &capability.granted_area(), path, subspace), next);
        signer = next_secret;
    }
    capability
}

fn smaller(step: usize, owned: bool, granted: &Area, path: &Path, subspace: &SubspaceId) -> Area {
    let within = if owned && step == 1 { None } else { Some(subspace.clone()) };
    let prefix = path.create_prefix((step - 1).min(path.component_count())).unwrap();
    let times = if step.is_multiple_of(3) { TimeRange::new_closed((step as u64).into(), 1000.into()) } else { *granted.times() };
    Area::new(within, prefix, times)
}

/// An entry of the last of `chain`, signed.
pub fn signed(owned: bool, chain: &[u8], components: &[&[u8]], time: u64, payload: &[u8]) -> SignedEntry {
    let subspace = if owned { user(9).0 } else { user(chain[0]).0 };
    let path = path(components);
    let capability = write_capability(owned, chain, &path, &subspace);
    let entry = Entry::builder().namespace_id(namespace(owned).0).subspace_id(subspace).path(path).timestamp(time).payload(payload).build();
    SignedEntry::sign(entry, Arc::new(capability), &user(*chain.last().unwrap()).1).unwrap()
}

/// A few entries that differ in every way.
pub fn examples() -> &'static [SignedEntry] {
    static EXAMPLES: OnceLock<Vec<SignedEntry>> = OnceLock::new();
    EXAMPLES.get_or_init(|| {
        vec![
            signed(false, &[1], &[b"a", b"b"], 9, b"x"),
            signed(true, &[1], &[], 0, b""),
            signed(true, &[1, 2, 3], &[b"a", b"b", b"c"], 70_000, b"longer than the others"),
            signed(true, &[1, 2, 4, 5], &[b"a", b"", b"\0\x01", b"d"], 500, b"y"),
            signed(false, &[1, 6], &[b"a", b"bc"], u64::MAX, b"x"),
            signed(false, &[7, 1, 2], &[&b"a"[..]; 300], 1 << 40, &[7; 3000]),
        ]
    })
}

/// A few areas, of which some contain others.
pub fn areas() -> Vec<Area> {
    let times = TimeRange::new_closed(5.into(), 600.into());
    vec![
        Area::full(),
        Area::new(Some(user(9).0), path(&[b"a"]), TimeRange::full()),
        Area::new(Some(user(9).0), path(&[b"a", b"b"]), times),
        Area::new(None, path(&[b"a"]), times),
        Area::new(Some(user(1).0), Path::new(), TimeRange::new_open(7.into())),
    ]
}

/// A few ranges.
pub fn ranges() -> Vec<Range3d> {
    areas().into_iter().map(Range3d::from).collect()
}
