//! Paths as bytes: absolute, relative to any path, relative to a prefix, and relative to a prefix with part of it private.
//!
//! Encodings of the Willow encodings spec: `encode_path`, `path_rel_path`, `path_extends_path` and
//! `EncodePrivatePathExtendsPath`. willow25 has the same, asynchronous and partly without canonic decoders; the tests hold
//! them against each other. Knows nothing of entries or areas.

use willow25::prelude::{MCC, MPL, Path, PathBuilder};

use super::codec::{DecodeError, Reader, Writer, tag};

/// Writes `path` absolutely.
pub fn encode_path(w: &mut Writer, path: &Path) {
    encode_suffix(w, path, 0);
}

/// Reads what [`encode_path`] writes.
///
/// # Errors
/// If the bytes are no canonic path within Willow'25's limits.
pub fn decode_path(r: &mut Reader<'_>) -> Result<Path, DecodeError> {
    decode_suffix(r, &Path::new(), 0)
}

/// Writes `path` relative to `reference`.
pub fn encode_path_rel_path(w: &mut Writer, path: &Path, reference: &Path) {
    let shared = shared_components(path, reference);
    w.c64_standalone(shared as u64);
    encode_suffix(w, path, shared);
}

/// Reads what [`encode_path_rel_path`] writes.
///
/// # Errors
/// If the bytes are no canonic path relative to `reference`.
pub fn decode_path_rel_path(r: &mut Reader<'_>, reference: &Path) -> Result<Path, DecodeError> {
    let shared = r.c64_standalone()?;
    let shared = usize::try_from(shared).map_err(|_| DecodeError::Invalid("more shared components than there are"))?;
    if shared > reference.component_count() {
        return Err(DecodeError::Invalid("more shared components than there are"));
    }
    let path = decode_suffix(r, reference, shared)?;
    match (path.component(shared), reference.component(shared)) {
        (Some(ours), Some(theirs)) if ours == theirs => Err(DecodeError::NotCanonic),
        _ => Ok(path),
    }
}

/// Writes `path`, which `prefix` is a prefix of, relative to it.
pub fn encode_path_extends_path(w: &mut Writer, path: &Path, prefix: &Path) {
    encode_suffix(w, path, prefix.component_count());
}

/// Reads what [`encode_path_extends_path`] writes.
///
/// # Errors
/// If the bytes are no canonic path.
pub fn decode_path_extends_path(r: &mut Reader<'_>, prefix: &Path) -> Result<Path, DecodeError> {
    decode_suffix(r, prefix, prefix.component_count())
}

/// Writes `path`, which `prefix` is a prefix of and which is related to `private`, so that no component of `private`
/// shows. `private` and `prefix` must be related as well.
pub fn encode_private_path(w: &mut Writer, path: &Path, prefix: &Path, private: &Path) {
    if private.component_count() <= prefix.component_count() {
        return encode_path_extends_path(w, path, prefix);
    }
    let shared = shared_components(path, private);
    w.c64_standalone(shared as u64);
    if shared == private.component_count() {
        encode_path_extends_path(w, path, private);
    }
}

/// Reads what [`encode_private_path`] writes.
///
/// # Errors
/// If the bytes are no canonic path that extends `prefix`, or if `prefix` and `private` are not related.
pub fn decode_private_path(r: &mut Reader<'_>, prefix: &Path, private: &Path) -> Result<Path, DecodeError> {
    if !prefix.is_related_to(private) {
        return Err(DecodeError::Invalid("the private path is not related to the path it is encoded in"));
    }
    if private.component_count() <= prefix.component_count() {
        return decode_path_extends_path(r, prefix);
    }
    let shared = usize::try_from(r.c64_standalone()?).map_err(|_| DecodeError::Invalid("more private components than there are"))?;
    if shared < prefix.component_count() {
        return Err(DecodeError::Invalid("the path does not extend the path it is encoded in"));
    }
    if shared == private.component_count() {
        return decode_path_extends_path(r, private);
    }
    private.create_prefix(shared).ok_or(DecodeError::Invalid("more private components than there are"))
}

/// How many components `a` and `b` have in common, from the first.
pub(crate) fn shared_components(a: &Path, b: &Path) -> usize {
    a.components().zip(b.components()).take_while(|(a, b)| a == b).count()
}

/// Writes the components of `path` from number `skip` on: their total length, their number, then each with its length,
/// which the last one goes without.
fn encode_suffix(w: &mut Writer, path: &Path, skip: usize) {
    let count = path.component_count().saturating_sub(skip);
    let length: usize = path.components().skip(skip).map(|component| component.as_bytes().len()).sum();
    w.u8(tag(length as u64, &(0..4)) | tag(count as u64, &(4..8)));
    w.c64(length as u64, 0..4);
    w.c64(count as u64, 4..8);
    for (i, component) in path.components().skip(skip).enumerate() {
        if i + 1 != count {
            w.c64_standalone(component.as_bytes().len() as u64);
        }
        w.bytes(component.as_bytes());
    }
}

/// Reads what [`encode_suffix`] writes, and puts it after the first `keep` components of `reference`, which must have them.
fn decode_suffix(r: &mut Reader<'_>, reference: &Path, keep: usize) -> Result<Path, DecodeError> {
    let header = r.u8()?;
    let length = usize::try_from(r.c64(header, 0..4)?).map_err(|_| DecodeError::TooLarge)?;
    let count = usize::try_from(r.c64(header, 4..8)?).map_err(|_| DecodeError::TooLarge)?;
    let total = reference.total_length_of_prefix(keep).checked_add(length).filter(|total| *total <= MPL).ok_or(DecodeError::TooLarge)?;
    let components = keep.checked_add(count).filter(|count| *count <= MCC).ok_or(DecodeError::TooLarge)?;
    if count == 0 {
        return match length {
            0 => reference.create_prefix(keep).ok_or(DecodeError::Invalid("more shared components than there are")),
            _ => Err(DecodeError::Invalid("a path length without components")),
        };
    }
    // Every component but the last costs a byte for its length, so what is allocated here is paid for by bytes received.
    if length.saturating_add(count - 1) > r.remaining() {
        return Err(DecodeError::Truncated);
    }
    let mut builder = PathBuilder::new_from_prefix(total, components, reference, keep).map_err(|_| DecodeError::TooLarge)?;
    let mut left = length;
    for _ in 1..count {
        let component = r.c64_standalone()?;
        left = usize::try_from(component)
            .ok()
            .and_then(|component| left.checked_sub(component))
            .ok_or(DecodeError::Invalid("components longer than their path"))?;
        builder.append_slice(r.take_u64(component)?).map_err(|_| DecodeError::TooLarge)?;
    }
    builder.append_slice(r.take(left)?).map_err(|_| DecodeError::TooLarge)?;
    Ok(builder.build())
}

#[cfg(test)]
#[path = "path_codec_tests.rs"]
mod tests;
