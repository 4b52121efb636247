//! Entries as bytes: absolute (what is hashed and signed), relative to another entry, and inside a 3d range.
//!
//! Encodings of the Willow encodings spec: `encode_entry`, `EncodeEntryRelativeEntry`,
//! `EncodeEntryInNamespace3dRange`. Where the relation leaves a choice, the one code allowed here is the shorter
//! difference, the start winning ties; decoders refuse any other. Knows nothing of authorisation.

use willow25::prelude::{
    Coordinatelike as _, Entry, Entrylike as _, Keylike as _, NamespaceId, Namespaced as _, Path, PayloadDigest, Range3d, SubspaceId,
    Timestamp,
};

use super::{
    codec::{DecodeError, Reader, Writer, flag, is_set, tag},
    keys::KeyCache,
    path_codec::{decode_path, decode_path_rel_path, encode_path, encode_path_rel_path, shared_components},
};

/// Room for the absolute encoding of an entry with a path of usual length.
pub(crate) const LIKELY_LEN: usize = 192;

/// Writes `entry` absolutely: namespace, subspace, path, timestamp, payload length, payload digest.
pub fn encode_entry(w: &mut Writer, entry: &Entry) {
    w.bytes(entry.namespace_id().as_bytes());
    w.bytes(entry.subspace_id().as_bytes());
    encode_path(w, entry.path());
    w.c64_standalone(entry.timestamp().into());
    w.c64_standalone(entry.payload_length());
    w.bytes(entry.payload_digest().as_bytes());
}

/// Reads what [`encode_entry`] writes; ids that `keys` knows are not built again.
///
/// # Errors
/// If the bytes are no canonic entry.
pub fn decode_entry(r: &mut Reader<'_>, keys: &mut KeyCache) -> Result<Entry, DecodeError> {
    let namespace = keys.namespace(&r.array()?);
    let subspace = keys.subspace(&r.array()?);
    let path = decode_path(r)?;
    let timestamp = r.c64_standalone()?;
    let length = r.c64_standalone()?;
    Ok(entry(namespace, subspace, path, timestamp, length, r.array()?))
}

/// Writes `entry` relative to `reference`.
///
/// `[ns≠ | ss≠ | t > ref.t | |Δt|:c64(2) | len:c64(3)] [ns] [ss] Δt len path_rel_path digest`
pub fn encode_entry_rel_entry(w: &mut Writer, entry: &Entry, reference: &Entry) {
    let other_namespace = entry.namespace_id() != reference.namespace_id();
    let other_subspace = entry.subspace_id() != reference.subspace_id();
    let (time, reference_time) = (u64::from(entry.timestamp()), u64::from(reference.timestamp()));
    let difference = time.abs_diff(reference_time);
    w.u8(flag(0, other_namespace)
        | flag(1, other_subspace)
        | flag(2, time > reference_time)
        | tag(difference, &(3..5))
        | tag(entry.payload_length(), &(5..8)));
    if other_namespace {
        w.bytes(entry.namespace_id().as_bytes());
    }
    if other_subspace {
        w.bytes(entry.subspace_id().as_bytes());
    }
    w.c64(difference, 3..5);
    w.c64(entry.payload_length(), 5..8);
    encode_path_rel_path(w, entry.path(), reference.path());
    w.bytes(entry.payload_digest().as_bytes());
}

/// Reads what [`encode_entry_rel_entry`] writes.
///
/// # Errors
/// If the bytes are no canonic entry relative to `reference`.
pub fn decode_entry_rel_entry(r: &mut Reader<'_>, reference: &Entry, keys: &mut KeyCache) -> Result<Entry, DecodeError> {
    let header = r.u8()?;
    let namespace = match is_set(header, 0) {
        true => different(r.array()?, reference.namespace_id().as_bytes()).map(|bytes| keys.namespace(&bytes))?,
        false => reference.namespace_id().clone(),
    };
    let subspace = match is_set(header, 1) {
        true => different(r.array()?, reference.subspace_id().as_bytes()).map(|bytes| keys.subspace(&bytes))?,
        false => reference.subspace_id().clone(),
    };
    let difference = r.c64(header, 3..5)?;
    let later = is_set(header, 2);
    if later && difference == 0 {
        return Err(DecodeError::NotCanonic);
    }
    let timestamp = offset(reference.timestamp().into(), difference, later)?;
    let length = r.c64(header, 5..8)?;
    let path = decode_path_rel_path(r, reference.path())?;
    Ok(entry(namespace, subspace, path, timestamp, length, r.array()?))
}

/// How an entry is written inside a range: relative to which ends of it.
#[derive(PartialEq, Eq)]
struct InRange {
    path_rel_start: bool,
    time_rel_start: bool,
    difference: u64,
}

impl InRange {
    fn of(path: &Path, time: u64, range: &Range3d) -> Self {
        let path_rel_start =
            range.paths().end().is_none_or(|end| shared_components(path, range.paths().start()) >= shared_components(path, end));
        let from_start = time.saturating_sub((*range.times().start()).into());
        let to_end = range.times().end().map(|end| u64::from(*end).saturating_sub(time));
        match to_end {
            Some(to_end) if to_end < from_start => Self { path_rel_start, time_rel_start: false, difference: to_end },
            _ => Self { path_rel_start, time_rel_start: true, difference: from_start },
        }
    }
}

/// Writes `entry`, which must be in `range` of its namespace, relative to that.
///
/// `[ss≠range.ss.start | path_rel_start | time_rel_start | Δt:c64(2) | len:c64(3)] [ss] path_rel_path Δt len digest`
pub fn encode_entry_in_range(w: &mut Writer, entry: &Entry, range: &Range3d) {
    let other_subspace = entry.subspace_id() != range.subspaces().start();
    let how = InRange::of(entry.path(), entry.timestamp().into(), range);
    w.u8(flag(0, other_subspace)
        | flag(1, how.path_rel_start)
        | flag(2, how.time_rel_start)
        | tag(how.difference, &(3..5))
        | tag(entry.payload_length(), &(5..8)));
    if other_subspace {
        w.bytes(entry.subspace_id().as_bytes());
    }
    let start = range.paths().start();
    let reference = if how.path_rel_start { start } else { range.paths().end().unwrap_or(start) };
    encode_path_rel_path(w, entry.path(), reference);
    w.c64(how.difference, 3..5);
    w.c64(entry.payload_length(), 5..8);
    w.bytes(entry.payload_digest().as_bytes());
}

/// Reads what [`encode_entry_in_range`] writes, for an entry of `namespace`.
///
/// # Errors
/// If the bytes are no canonic entry relative to `range`; [`DecodeError::OutsideRange`] if the entry is not in it.
pub fn decode_entry_in_range(
    r: &mut Reader<'_>,
    namespace: &NamespaceId,
    range: &Range3d,
    keys: &mut KeyCache,
) -> Result<Entry, DecodeError> {
    let header = r.u8()?;
    let start = range.subspaces().start();
    let subspace = match is_set(header, 0) {
        true => different(r.array()?, start.as_bytes()).map(|bytes| keys.subspace(&bytes))?,
        false => start.clone(),
    };
    let (path_rel_start, time_rel_start) = (is_set(header, 1), is_set(header, 2));
    let reference = if path_rel_start { Some(range.paths().start()) } else { range.paths().end() };
    let path = decode_path_rel_path(r, reference.ok_or(DecodeError::NotCanonic)?)?;
    let difference = r.c64(header, 3..5)?;
    let reference = if time_rel_start { Some(range.times().start()) } else { range.times().end() };
    let timestamp = offset((*reference.ok_or(DecodeError::NotCanonic)?).into(), difference, time_rel_start)?;
    let length = r.c64(header, 5..8)?;
    let digest = r.array()?;
    if !(range.subspaces().includes_value(&subspace)
        && range.paths().includes_value(&path)
        && range.times().includes_value(&Timestamp::from(timestamp)))
    {
        return Err(DecodeError::OutsideRange);
    }
    if InRange::of(&path, timestamp, range) != (InRange { path_rel_start, time_rel_start, difference }) {
        return Err(DecodeError::NotCanonic);
    }
    Ok(entry(namespace.clone(), subspace, path, timestamp, length, digest))
}

/// `bytes`, which are only written out when they differ from those of the reference.
pub(crate) fn different(bytes: [u8; 32], reference: &[u8; 32]) -> Result<[u8; 32], DecodeError> {
    if bytes == *reference { Err(DecodeError::NotCanonic) } else { Ok(bytes) }
}

/// `base` plus or minus `difference`.
pub(crate) fn offset(base: u64, difference: u64, add: bool) -> Result<u64, DecodeError> {
    let moved = if add { base.checked_add(difference) } else { base.checked_sub(difference) };
    moved.ok_or(DecodeError::Invalid("a time outside of what 64 bits hold"))
}

fn entry(namespace: NamespaceId, subspace: SubspaceId, path: Path, timestamp: u64, length: u64, digest: [u8; 32]) -> Entry {
    Entry::builder()
        .namespace_id(namespace)
        .subspace_id(subspace)
        .path(path)
        .timestamp(timestamp)
        .payload_length(length)
        .payload_digest(PayloadDigest::from(digest))
        .build()
}

#[cfg(test)]
#[path = "entry_codec_tests.rs"]
mod tests;
