//! A 3d range relative to another one: `3dRangeRel3dRange` of the Willow encodings spec.
//!
//! The relation leaves choices open; the one code allowed here takes equal ends before explicit ones, the start before
//! the end, and the shorter difference, the start winning ties. An end of the path range is written iff the *value's*
//! is not open. Knows nothing of what ranges are for.

use willow25::prelude::{Path, PathRange, Range3d, SubspaceId, SubspaceRange, TimeRange, Timestamp};

use super::{
    codec::{DecodeError, Reader, Writer, field, flag, is_set, put_field, tag},
    entry_codec::offset,
    keys::KeyCache,
    path_codec::{decode_path_rel_path, encode_path_rel_path, shared_components},
};

/// How an end of the subspace range is written.
const OPEN: u8 = 0b00;
const REFERENCE_START: u8 = 0b01;
const REFERENCE_END: u8 = 0b10;
const EXPLICIT: u8 = 0b11;

/// How a time is written: from which end of the reference, in which direction, how far.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RelativeTime {
    from_start: bool,
    add: bool,
    difference: u64,
}

impl RelativeTime {
    fn of(time: Timestamp, reference: &TimeRange) -> Self {
        let time = u64::from(time);
        let start = u64::from(*reference.start());
        let (from_start, base) = match reference.end().map(|end| u64::from(*end)) {
            Some(end) if time.abs_diff(end) < time.abs_diff(start) => (false, end),
            _ => (true, start),
        };
        Self { from_start, add: time >= base, difference: time.abs_diff(base) }
    }

    /// Four header bits from `at` on: `from_start | add | difference:c64(2)`.
    fn header(self, at: u8) -> u8 {
        flag(at, self.from_start) | flag(at + 1, self.add) | tag(self.difference, &(at + 2..at + 4))
    }

    fn decode(r: &mut Reader<'_>, header: u8, at: u8, reference: &TimeRange) -> Result<Timestamp, DecodeError> {
        let how = Self { from_start: is_set(header, at), add: is_set(header, at + 1), difference: r.c64(header, at + 2..at + 4)? };
        let base = if how.from_start { Some(reference.start()) } else { reference.end() };
        let time = offset((*base.ok_or(DecodeError::NotCanonic)?).into(), how.difference, how.add)?.into();
        if Self::of(time, reference) == how { Ok(time) } else { Err(DecodeError::NotCanonic) }
    }
}

/// Writes `range` relative to `reference`.
///
/// `[ss_start:2 | ss_end:2 | path_start_rel_start | path_end==open | path_end_rel_start | time_end==open]`
/// `[time_start_rel_start | add | diff:c64(2) | time_end_rel_start | add | diff:c64(2)]`
/// `[ss_start] [ss_end] path_start [path_end] start_diff [end_diff]`; the bits of an open end are 0.
pub fn encode_range_rel_range(w: &mut Writer, range: &Range3d, reference: &Range3d) {
    let subspaces = (range.subspaces().start(), range.subspaces().end());
    let codes = (subspace_code(subspaces.0, reference), subspaces.1.map_or(OPEN, |end| subspace_code(end, reference)));
    let paths = (range.paths().start(), range.paths().end());
    let start_rel_start = is_nearer_start(paths.0, reference.paths());
    let end_rel_start = paths.1.is_some_and(|end| is_nearer_start(end, reference.paths()));
    let start_time = RelativeTime::of(*range.times().start(), reference.times());
    let end_time = range.times().end().map(|end| RelativeTime::of(*end, reference.times()));

    w.u8(put_field(&(0..2), codes.0)
        | put_field(&(2..4), codes.1)
        | flag(4, start_rel_start)
        | flag(5, paths.1.is_none())
        | flag(6, end_rel_start)
        | flag(7, end_time.is_none()));
    w.u8(start_time.header(0) | end_time.map_or(0, |end| end.header(4)));
    if codes.0 == EXPLICIT {
        w.bytes(subspaces.0.as_bytes());
    }
    if let (EXPLICIT, Some(end)) = (codes.1, subspaces.1) {
        w.bytes(end.as_bytes());
    }
    encode_path_rel_path(w, paths.0, end_of(reference.paths(), start_rel_start));
    if let Some(end) = paths.1 {
        encode_path_rel_path(w, end, end_of(reference.paths(), end_rel_start));
    }
    w.c64(start_time.difference, 2..4);
    if let Some(end) = end_time {
        w.c64(end.difference, 6..8);
    }
}

/// Reads what [`encode_range_rel_range`] writes.
///
/// # Errors
/// If the bytes are no canonic, non-empty range relative to `reference`.
pub fn decode_range_rel_range(r: &mut Reader<'_>, reference: &Range3d, keys: &mut KeyCache) -> Result<Range3d, DecodeError> {
    let header = r.u8()?;
    let times_header = r.u8()?;
    let codes = (field(header, &(0..2)), field(header, &(2..4)));
    if codes.0 == OPEN {
        return Err(DecodeError::Invalid("a range of subspaces without a start"));
    }
    let subspaces = (decode_subspace(r, codes.0, reference, keys)?, decode_subspace(r, codes.1, reference, keys)?);
    let path_start = decode_bound(r, is_set(header, 4), reference.paths())?;
    let path_end = match (is_set(header, 5), is_set(header, 6)) {
        (true, true) => return Err(DecodeError::NotCanonic),
        (true, false) => None,
        (false, rel_start) => Some(decode_bound(r, rel_start, reference.paths())?),
    };
    let time_start = RelativeTime::decode(r, times_header, 0, reference.times())?;
    let time_end = match is_set(header, 7) {
        true if field(times_header, &(4..8)) != 0 => return Err(DecodeError::NotCanonic),
        true => None,
        false => Some(RelativeTime::decode(r, times_header, 4, reference.times())?),
    };

    let empty = |_| DecodeError::Invalid("an empty range");
    let start = subspaces.0.ok_or(DecodeError::Invalid("a range of subspaces without a start"))?;
    let subspaces = SubspaceRange::try_new(start, subspaces.1).map_err(empty)?;
    let paths = PathRange::try_new(path_start, path_end).map_err(empty)?;
    let times = TimeRange::try_new(time_start, time_end).map_err(empty)?;
    Ok(Range3d::new(subspaces, paths, times))
}

/// Which code stands for `subspace`.
fn subspace_code(subspace: &SubspaceId, reference: &Range3d) -> u8 {
    if subspace == reference.subspaces().start() {
        REFERENCE_START
    } else if Some(subspace) == reference.subspaces().end() {
        REFERENCE_END
    } else {
        EXPLICIT
    }
}

fn decode_subspace(r: &mut Reader<'_>, code: u8, reference: &Range3d, keys: &mut KeyCache) -> Result<Option<SubspaceId>, DecodeError> {
    match code {
        OPEN => Ok(None),
        REFERENCE_START => Ok(Some(reference.subspaces().start().clone())),
        REFERENCE_END => reference.subspaces().end().cloned().ok_or(DecodeError::Invalid("the end of an open range")).map(Some),
        _ => {
            let bytes = r.array()?;
            let known = |id: &SubspaceId| *id.as_bytes() == bytes;
            if known(reference.subspaces().start()) || reference.subspaces().end().is_some_and(known) {
                return Err(DecodeError::NotCanonic);
            }
            Ok(Some(keys.subspace(&bytes)))
        }
    }
}

/// Whether `path` has at least as many components in common with the start of `reference` as with its end.
fn is_nearer_start(path: &Path, reference: &PathRange) -> bool {
    reference.end().is_none_or(|end| shared_components(path, reference.start()) >= shared_components(path, end))
}

/// The start of `range`, or its end if it has one.
fn end_of(range: &PathRange, start: bool) -> &Path {
    if start { range.start() } else { range.end().unwrap_or(range.start()) }
}

fn decode_bound(r: &mut Reader<'_>, rel_start: bool, reference: &PathRange) -> Result<Path, DecodeError> {
    if !rel_start && reference.is_open() {
        return Err(DecodeError::NotCanonic);
    }
    let path = decode_path_rel_path(r, end_of(reference, rel_start))?;
    if is_nearer_start(&path, reference) == rel_start { Ok(path) } else { Err(DecodeError::NotCanonic) }
}

#[cfg(test)]
#[path = "range_codec_tests.rs"]
mod tests;
