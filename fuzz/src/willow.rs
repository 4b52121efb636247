//! Target: every decoder of `osier_core::willow`, relative to values that the peer chooses among. What decodes must encode to the
//! very same bytes, for each value has one encoding only.

use osier_core::willow::{
    Area, CapCache, Entry, Grouping, KeyCache, Keylike, Namespaced, PrivateInterest, Reader, SignedEntry, SubspaceId, UnverifiedEntry,
    Writer,
    area_codec::{decode_area_in_area, decode_private_area, encode_area_in_area, encode_private_area},
    cap_cache::{encode_read_capability_absolute, encode_write_capability},
    capability_codec::{decode_read_capability, encode_read_capability},
    entry_codec::{
        decode_entry, decode_entry_in_range, decode_entry_rel_entry, encode_entry, encode_entry_in_range, encode_entry_rel_entry,
    },
    enumeration::{EnumerationCapability, decode_enumeration_capability, encode_enumeration_capability},
    path_codec::{
        decode_path, decode_path_extends_path, decode_path_rel_path, decode_private_path, encode_path, encode_path_extends_path,
        encode_path_rel_path, encode_private_path,
    },
    range_codec::{decode_range_rel_range, encode_range_rel_range},
    token_codec::{decode_token, encode_token},
    verify_batch, verify_one,
};

use super::{
    input::Input,
    values::{areas, examples, namespace, path, ranges, read_capability, user},
};

/// What is decoded. The first byte of an input.
const KINDS: u8 = 16;

/// `bytes`: kind, first reference, second reference, encoding.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (kind, first, second) = (input.byte() % KINDS, input.byte(), input.byte());
    let bytes = input.rest();
    match kind {
        0..=3 => paths(kind, pick(first), pick(second), bytes),
        4 | 5 => area(kind, first, pick(second), bytes),
        6..=9 => entries(kind, pick(first), first, bytes),
        10 => token(pick(first), pick(second), second, bytes),
        11 => read(first, second, bytes),
        12 => enumeration(first, bytes),
        13 => authorised(bytes),
        14 => same(bytes, |r| CapCache::new().decode_write_capability(r), |w, value| encode_write_capability(w, value)),
        _ => same(bytes, |r| CapCache::new().decode_read_capability(r), |w, value| encode_read_capability_absolute(w, value)),
    }
}

fn pick(number: u8) -> &'static SignedEntry {
    &examples()[usize::from(number) % examples().len()]
}

/// What decodes must encode to the same bytes.
fn same<T, E>(bytes: &[u8], decode: impl FnOnce(&mut Reader<'_>) -> Result<T, E>, encode: impl FnOnce(&mut Writer, &T)) {
    let mut reader = Reader::new(bytes);
    if let Ok(value) = decode(&mut reader) {
        let mut writer = Writer::new();
        encode(&mut writer, &value);
        assert_eq!(writer.as_bytes(), &bytes[..bytes.len() - reader.remaining()], "two encodings of one value");
    }
}

fn paths(kind: u8, first: &SignedEntry, second: &SignedEntry, bytes: &[u8]) {
    let (path, other) = (first.entry.path(), second.entry.path());
    match kind {
        0 => same(bytes, decode_path, encode_path),
        1 => same(bytes, |r| decode_path_rel_path(r, path), |w, value| encode_path_rel_path(w, value, path)),
        2 => same(bytes, |r| decode_path_extends_path(r, path), |w, value| encode_path_extends_path(w, value, path)),
        _ => same(bytes, |r| decode_private_path(r, path, other), |w, value| encode_private_path(w, value, path, other)),
    }
}

fn area(kind: u8, outer: u8, private: &SignedEntry, bytes: &[u8]) {
    let (keys, outer) = (&mut KeyCache::new(), &areas()[usize::from(outer) % areas().len()]);
    if kind == 4 {
        return same(bytes, |r| decode_area_in_area(r, outer, keys), |w, value| encode_area_in_area(w, value, outer));
    }
    let private = interest_of(&private.entry);
    same(bytes, |r| decode_private_area(r, outer, &private, keys), |w, value| encode_private_area(w, value, outer, &private));
}

fn interest_of(entry: &Entry) -> PrivateInterest {
    PrivateInterest::new(entry.namespace_id().clone(), Some(entry.subspace_id().clone()), entry.path().clone())
}

fn entries(kind: u8, reference: &SignedEntry, range: u8, bytes: &[u8]) {
    let (keys, reference) = (&mut KeyCache::new(), &reference.entry);
    let range = &ranges()[usize::from(range) % ranges().len()];
    match kind {
        6 => same(bytes, |r| decode_entry(r, keys), encode_entry),
        7 => same(bytes, |r| decode_entry_rel_entry(r, reference, keys), |w, value| encode_entry_rel_entry(w, value, reference)),
        8 => {
            let namespace = reference.namespace_id();
            let decode = |r: &mut Reader<'_>| decode_entry_in_range(r, namespace, range, keys);
            same(bytes, decode, |w, value| encode_entry_in_range(w, value, range));
        }
        _ => same(bytes, |r| decode_range_rel_range(r, range, keys), |w, value| encode_range_rel_range(w, value, range)),
    }
}

fn token(entry: &SignedEntry, prior: &SignedEntry, without: u8, bytes: &[u8]) {
    let entry = &entry.entry;
    let prior = (without < 128).then_some(&prior.capability);
    let decode = |r: &mut Reader<'_>| {
        let token = decode_token(r, prior, entry, &mut CapCache::new())?;
        assert!(token.capability.includes(entry));
        Ok::<_, osier_core::willow::DecodeError>(token)
    };
    same(bytes, decode, |w, value| encode_token(w, &value.capability, &value.signature, prior.map(|prior| &**prior), entry));
}

/// The interests that a read capability is shown relative to.
fn interests() -> Vec<PrivateInterest> {
    let interest =
        |owned, subspace: Option<u8>, path| PrivateInterest::new(namespace(owned).0, subspace.map(|number| user(number).0), path);
    vec![
        interest(true, None, path(&[])),
        interest(true, None, path(&[b"a"])),
        interest(true, Some(9), path(&[b"a"])),
        interest(false, Some(1), path(&[])),
        interest(false, Some(1), path(&[b"a", b"b"])),
        interest(false, None, path(&[b"a"])),
    ]
}

fn read(number: u8, receiver: u8, bytes: &[u8]) {
    let interests = interests();
    let interest = &interests[usize::from(number) % interests.len()];
    let receiver = user(receiver).0;
    let decode = |r: &mut Reader<'_>| {
        let capability = decode_read_capability(r, interest, &receiver, &mut CapCache::new())?;
        assert_eq!(capability.receiver(), &receiver);
        assert_eq!(capability.granted_namespace(), interest.namespace());
        assert!(interest.includes_area(&capability.granted_area()));
        Ok::<_, osier_core::willow::CapabilityError>(capability)
    };
    same(bytes, decode, |w, value| encode_read_capability(w, value, interest).unwrap());
}

fn enumeration(receiver: u8, bytes: &[u8]) {
    let (namespace, receiver) = (namespace(true).0, user(receiver).0);
    let decode = |r: &mut Reader<'_>| decode_enumeration_capability(r, &namespace, &receiver, &mut KeyCache::new());
    same(bytes, decode, encode_enumeration_capability);
}

/// A whole entry: alone and in a batch its signature is judged alike, and one that holds is written as it was read.
fn authorised(bytes: &[u8]) {
    let Ok(entry) = SignedEntry::from_bytes(bytes, &mut CapCache::new()) else { return };
    let good = UnverifiedEntry::clone(&examples()[0]);
    let alone = verify_one(entry.clone());
    let mut batch = vec![good; 9];
    batch.insert(4, entry);
    let batch = verify_batch(batch);
    assert_eq!(batch.len(), 10);
    for (at, result) in batch.into_iter().enumerate() {
        if at == 4 { assert_eq!(result, alone) } else { assert!(result.is_ok()) }
    }
    if let Ok(entry) = alone {
        assert_eq!(entry.to_bytes(), bytes);
    }
}

/// Every kind with valid bytes.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let mut seed = |kind: u8, first: usize, second: usize, write: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        writer.bytes(&[kind, first as u8, second as u8]);
        write(&mut writer);
        seeds.push(writer.into_bytes());
    };
    let examples = examples();
    for (i, one) in examples.iter().enumerate() {
        seed(0, 0, 0, &|w| encode_path(w, one.entry.path()));
        seed(6, 0, 0, &|w| encode_entry(w, &one.entry));
        seed(13, 0, 0, &|w| w.bytes(&one.to_bytes()));
        seed(14, 0, 0, &|w| encode_write_capability(w, &one.capability));
        for (j, other) in examples.iter().enumerate() {
            seed(1, j, 0, &|w| encode_path_rel_path(w, one.entry.path(), other.entry.path()));
            seed(7, j, 0, &|w| encode_entry_rel_entry(w, &one.entry, &other.entry));
            seed(10, i, j, &|w| encode_token(w, &one.capability, &one.signature, Some(&other.capability), &one.entry));
        }
        for (j, range) in ranges().iter().enumerate().filter(|(_, range)| range.includes(&one.entry)) {
            // The first reference chooses the range and the namespace.
            seed(8, j, 0, &|w| encode_entry_in_range(w, &one.entry, range));
        }
    }
    for (i, area) in areas().iter().enumerate() {
        for (j, outer) in areas().iter().enumerate().filter(|(_, outer)| outer.includes_grouping(area)) {
            seed(4, j, 0, &|w| encode_area_in_area(w, area, outer));
            seed(5, j, 2, &|w| encode_private_area(w, area, outer, &interest_of(&examples[2].entry)));
        }
        for (j, range) in ranges().iter().enumerate() {
            seed(9, j, 0, &|w| encode_range_rel_range(w, &ranges()[i], range));
        }
    }
    capability_seeds(&mut seed);
    seeds
}

/// Takes a seed: kind, both references, and what writes the encoding.
type Take<'a> = dyn FnMut(u8, usize, usize, &dyn Fn(&mut Writer)) + 'a;

fn capability_seeds(seed: &mut Take<'_>) {
    for (i, interest) in interests().iter().enumerate() {
        let owned = interest.namespace().is_owned();
        let subspace: SubspaceId = interest.subspace().cloned().unwrap_or_else(|| user(if owned { 9 } else { 1 }).0);
        for chain in [&[1][..], &[1, 2], &[1, 2, 3, 4, 5]] {
            let capability = read_capability(owned, chain, &path(&[b"a", b"b", b"c"]), &subspace);
            let receiver = usize::from(*chain.last().unwrap());
            if encode_read_capability(&mut Writer::new(), &capability, interest).is_ok() {
                seed(11, i, receiver, &|w| encode_read_capability(w, &capability, interest).unwrap());
            }
            seed(15, 0, 0, &|w| encode_read_capability_absolute(w, &capability));
        }
    }
    let mut capability = EnumerationCapability::new(&namespace(true).1, user(1).0).unwrap();
    seed(12, 1, 0, &|w| encode_enumeration_capability(w, &capability));
    for number in 1..4 {
        capability = capability.delegate(&user(number).1, user(number + 1).0).unwrap();
        seed(12, usize::from(number) + 1, 0, &|w| encode_enumeration_capability(w, &capability));
    }
    let area: Area = Area::full();
    seed(4, 0, 0, &|w| encode_area_in_area(w, &area, &area));
}
