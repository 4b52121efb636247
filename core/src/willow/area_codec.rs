//! Areas relative to an area that contains them, openly (in capabilities and handovers) and privately (in what a session
//! shows of a capability).
//!
//! Encodings of the Willow encodings spec: `area_in_area` and `EncodePrivateAreaAlmostInArea`, byte for byte as willow25
//! writes them. Knows nothing of capabilities.

use willow25::{
    groupings::private_context::PrivateInterest,
    prelude::{Area, Grouping as _, SubspaceId, TimeRange, Timestamp},
};

use super::{
    codec::{DecodeError, Reader, Writer, flag, is_set, tag},
    entry_codec::offset,
    keys::KeyCache,
    path_codec::{decode_path_extends_path, decode_private_path, encode_path_extends_path, encode_private_path},
};

/// The ends of a time range relative to those of a range around it: whether from its start, and how far.
struct RelativeTimes {
    start: (bool, u64),
    /// `None` if the end is open.
    end: Option<(bool, u64)>,
}

impl RelativeTimes {
    /// `start_wins_ties`: the two encodings differ in what they do when both differences are equal.
    fn of(times: &TimeRange, outer: &TimeRange, start_wins_ties: bool) -> Self {
        let outer_start = u64::from(*outer.start());
        let relative = |time: &Timestamp| {
            let time = u64::from(*time);
            let from_start = time.saturating_sub(outer_start);
            match outer.end().map(|end| u64::from(*end).saturating_sub(time)) {
                Some(to_end) if to_end < from_start || (to_end == from_start && !start_wins_ties) => (false, to_end),
                _ => (true, from_start),
            }
        };
        Self { start: relative(times.start()), end: times.end().map(relative) }
    }

    /// Bits 2 to 7 of the header, from_start of the start at bit 2, of the end at bit 3.
    fn header(&self) -> u8 {
        let end = self.end.unwrap_or((false, 0));
        flag(2, self.start.0) | flag(3, end.0) | tag(self.start.1, &(4..6)) | tag(end.1, &(6..8))
    }

    fn encode(&self, w: &mut Writer) {
        w.c64(self.start.1, 4..6);
        if let Some(end) = self.end {
            w.c64(end.1, 6..8);
        }
    }
}

/// Reads the times that [`RelativeTimes`] writes.
fn decode_times(r: &mut Reader<'_>, header: u8, open: bool, outer: &TimeRange) -> Result<TimeRange, DecodeError> {
    let absolute = |difference: u64, from_start: bool| -> Result<Timestamp, DecodeError> {
        let base = if from_start { Some(outer.start()) } else { outer.end() };
        let base = base.ok_or(DecodeError::Invalid("a time relative to the end of an open range"))?;
        Ok(offset((*base).into(), difference, from_start)?.into())
    };
    let start = absolute(r.c64(header, 4..6)?, is_set(header, 2))?;
    let end = if open { None } else { Some(absolute(r.c64(header, 6..8)?, is_set(header, 3))?) };
    TimeRange::try_new(start, end).map_err(|_| DecodeError::Invalid("an empty range of times"))
}

/// The header of [`encode_area_in_area`] and the times to write.
fn open_header(area: &Area, outer: &Area) -> (u8, RelativeTimes) {
    let times = RelativeTimes::of(area.times(), outer.times(), false);
    (flag(0, area.subspace() != outer.subspace()) | flag(1, area.times().is_open()) | times.header(), times)
}

/// Writes `area` relative to `outer`, which must contain it.
pub fn encode_area_in_area(w: &mut Writer, area: &Area, outer: &Area) {
    let (header, times) = open_header(area, outer);
    w.u8(header);
    if let (Some(subspace), None) = (area.subspace(), outer.subspace()) {
        w.bytes(subspace.as_bytes());
    }
    times.encode(w);
    encode_path_extends_path(w, area.path(), outer.path());
}

/// Reads what [`encode_area_in_area`] writes.
///
/// # Errors
/// If the bytes are no canonic area inside `outer`.
pub fn decode_area_in_area(r: &mut Reader<'_>, outer: &Area, keys: &mut KeyCache) -> Result<Area, DecodeError> {
    let header = r.u8()?;
    let subspace = if is_set(header, 0) { Some(keys.subspace(&r.array()?)) } else { outer.subspace().cloned() };
    let times = decode_times(r, header, is_set(header, 1), outer.times())?;
    let path = decode_path_extends_path(r, outer.path())?;
    let area = Area::new(subspace, path, times);
    if !outer.includes_grouping(&area) {
        return Err(DecodeError::Invalid("an area outside of the one it is encoded in"));
    }
    if open_header(&area, outer).0 == header { Ok(area) } else { Err(DecodeError::NotCanonic) }
}

/// The header of [`encode_private_area`] and the times to write.
fn private_header(area: &Area, outer: &Area) -> (u8, RelativeTimes) {
    let times = RelativeTimes::of(area.times(), outer.times(), true);
    (flag(0, area.subspace() != outer.subspace()) | flag(1, area.subspace().is_none()) | times.header(), times)
}

/// Whether `outer` would contain `area` if the two had the same subspace, which they must have unless one has any.
fn almost_includes(outer: &Area, area: &Area) -> bool {
    let subspaces: (Option<&SubspaceId>, Option<&SubspaceId>) = (outer.subspace(), area.subspace());
    !matches!(subspaces, (Some(a), Some(b)) if a != b)
        && outer.path().is_prefix_of(area.path())
        && outer.times().includes_willow_range(area.times())
}

/// Writes `area` relative to `outer`, which must almost contain it, without showing what of its path is in `private`.
/// The path of `private` must be related to both.
pub fn encode_private_area(w: &mut Writer, area: &Area, outer: &Area, private: &PrivateInterest) {
    let (header, times) = private_header(area, outer);
    w.u8(header);
    if let Some(subspace) = area.subspace().filter(|subspace| Some(*subspace) != outer.subspace()) {
        w.bytes(subspace.as_bytes());
    }
    times.encode(w);
    encode_private_path(w, area.path(), outer.path(), private.path());
}

/// Reads what [`encode_private_area`] writes.
///
/// # Errors
/// If the bytes are no canonic area that `outer` almost contains, or if `outer` is not related to `private`.
pub fn decode_private_area(r: &mut Reader<'_>, outer: &Area, private: &PrivateInterest, keys: &mut KeyCache) -> Result<Area, DecodeError> {
    let header = r.u8()?;
    let subspace = match (is_set(header, 0), is_set(header, 1)) {
        (_, true) => None,
        (true, false) => Some(keys.subspace(&r.array()?)),
        (false, false) => outer.subspace().cloned(),
    };
    let open = outer.times().is_open() && !is_set(header, 3);
    let times = decode_times(r, header, open, outer.times())?;
    let path = decode_private_path(r, outer.path(), private.path())?;
    let area = Area::new(subspace, path, times);
    if !almost_includes(outer, &area) {
        return Err(DecodeError::Invalid("an area outside of the one it is encoded in"));
    }
    if private_header(&area, outer).0 == header { Ok(area) } else { Err(DecodeError::NotCanonic) }
}

#[cfg(test)]
#[path = "area_codec_tests.rs"]
mod tests;
