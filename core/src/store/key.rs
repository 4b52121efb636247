//! Keys of the index: paths as byte strings whose order is the path order, and the bounds of a query over them.
//!
//! It knows nothing of entries or blocks.
//!
//! A path becomes the concatenation of its components, each followed by the terminator `00`. Inside a component `00` is written
//! `01 01` and `01` is written `01 02`. So comparing keys compares paths component by component, and *is a path prefix of* becomes
//! *is a byte prefix of*: the keys below a path are one contiguous range.

use willow25::prelude::{Area, Path, Range3d, SubspaceId, Timestamp};

/// The key of a path; see the module.
pub(crate) fn path_key(path: &Path) -> Box<[u8]> {
    let mut key = Vec::with_capacity(path.total_length() + path.component_count());
    for component in path.components() {
        for &byte in component.as_bytes() {
            match byte {
                0 | 1 => key.extend([1, byte + 1]),
                _ => key.push(byte),
            }
        }
        key.push(0);
    }
    key.into_boxed_slice()
}

/// The path of a key, `None` for bytes that are no key.
pub(crate) fn key_path(key: &[u8]) -> Option<Path> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut ends = Vec::new();
    let mut rest = key.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            0 => ends.push(bytes.len()),
            1 => bytes.push(rest.next().filter(|next| matches!(next, 1 | 2))? - 1),
            _ => bytes.push(byte),
        }
    }
    if key.last().is_some_and(|&last| last != 0) {
        return None;
    }
    let mut start = 0;
    let mut components = ends.iter().map(|&end| &bytes[std::mem::replace(&mut start, end)..end]);
    Path::from_slices_iter(bytes.len(), &mut components).ok()
}

/// The part of `key` that is also the beginning of `other`, cut back to whole components.
pub(crate) fn common_prefix<'a>(key: &'a [u8], other: &[u8]) -> &'a [u8] {
    // Pieces are compared at once: keys of thousands of bytes may have all but the end in common.
    const PIECE: usize = 64;
    let pieces = key.chunks_exact(PIECE).zip(other.chunks_exact(PIECE)).take_while(|(a, b)| a == b).count() * PIECE;
    let same = pieces + key[pieces..].iter().zip(&other[pieces..]).take_while(|(a, b)| a == b).count();
    let end = key[..same].iter().rposition(|&byte| byte == 0).map_or(0, |last| last + 1);
    &key[..end]
}

/// The least subspace id after this one, `None` after the last.
fn next_subspace(id: &[u8; 32]) -> Option<[u8; 32]> {
    let mut next = *id;
    for byte in next.iter_mut().rev() {
        let (sum, carry) = byte.overflowing_add(1);
        *byte = sum;
        if !carry {
            return Some(next);
        }
    }
    None
}

/// What a query covers: an [`Area`] or a [`Range3d`], prepared for the index. Made with `From`; queries take `impl Into<Bounds>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub(crate) subspace_start: [u8; 32],
    pub(crate) subspace_end: Option<[u8; 32]>,
    pub(crate) path_start: Box<[u8]>,
    pub(crate) path_end: Option<Box<[u8]>>,
    pub(crate) time_start: u64,
    pub(crate) time_end: Option<u64>,
}

impl From<&Range3d> for Bounds {
    fn from(range: &Range3d) -> Self {
        Self {
            subspace_start: range.subspaces().start().to_bytes(),
            subspace_end: range.subspaces().end().map(SubspaceId::to_bytes),
            path_start: path_key(range.paths().start()),
            path_end: range.paths().end().map(path_key),
            time_start: u64::from(*range.times().start()),
            time_end: range.times().end().copied().map(u64::from),
        }
    }
}

impl From<&Area> for Bounds {
    fn from(area: &Area) -> Self {
        let path_start = path_key(area.path());
        // Every key below the path begins with `path_start`, whose last byte is the terminator 00.
        let path_end = path_start.split_last().map(|(_, parent)| [parent, &[1]].concat().into_boxed_slice());
        Self {
            subspace_start: area.subspace().map_or([0; 32], SubspaceId::to_bytes),
            subspace_end: area.subspace().and_then(|id| next_subspace(id.as_bytes())),
            path_start,
            path_end,
            time_start: u64::from(*area.times().start()),
            time_end: area.times().end().copied().map(u64::from),
        }
    }
}

impl From<&Bounds> for Bounds {
    fn from(bounds: &Bounds) -> Self {
        bounds.clone()
    }
}

impl Bounds {
    /// All entries not newer than this.
    pub(crate) fn until(time: u64) -> Self {
        let time_end = time.checked_add(1);
        Self { subspace_start: [0; 32], subspace_end: None, path_start: [].into(), path_end: None, time_start: 0, time_end }
    }

    /// Whether every path is covered, so that what is covered is contiguous in the index.
    pub(crate) fn all_paths(&self) -> bool {
        self.path_start.is_empty() && self.path_end.is_none()
    }

    /// Whether every timestamp is covered.
    pub(crate) fn all_times(&self) -> bool {
        self.time_start == 0 && self.time_end.is_none()
    }

    /// Whether this timestamp is covered.
    pub(crate) fn includes_time(&self, time: u64) -> bool {
        self.time_start <= time && self.time_end.is_none_or(|end| time < end)
    }

    /// Whether an entry with these coordinates is covered.
    pub(crate) fn includes(&self, subspace: &[u8; 32], key: &[u8], time: u64) -> bool {
        self.includes_time(time)
            && self.subspace_start <= *subspace
            && self.subspace_end.is_none_or(|end| *subspace < end)
            && *self.path_start <= *key
            && self.path_end.as_ref().is_none_or(|end| *key < **end)
    }

    /// Whether some coordinates are covered by both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        fn before<T: Ord + ?Sized>(start: &T, end: Option<&T>) -> bool {
            end.is_none_or(|end| start < end)
        }
        before(&self.subspace_start, other.subspace_end.as_ref())
            && before(&other.subspace_start, self.subspace_end.as_ref())
            && before(&*self.path_start, other.path_end.as_deref())
            && before(&*other.path_start, self.path_end.as_deref())
            && before(&self.time_start, other.time_end.as_ref())
            && before(&other.time_start, self.time_end.as_ref())
    }
}

/// A place in the order (subspace, path) of a namespace, to go on from. It stays meaningful whatever is inserted or removed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    pub(crate) subspace: [u8; 32],
    pub(crate) key: Box<[u8]>,
}

impl Cursor {
    /// The place of the entry, real or not, at this subspace and path.
    #[must_use]
    pub fn at(subspace: &SubspaceId, path: &Path) -> Self {
        Self { subspace: subspace.to_bytes(), key: path_key(path) }
    }
}

/// The timestamp as a number, TAI microseconds.
pub(crate) fn micros(timestamp: Timestamp) -> u64 {
    u64::from(timestamp)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = Path> {
        proptest::collection::vec(proptest::collection::vec(prop_oneof![0u8..4, 254u8..=255], 0..3), 0..4)
            .prop_map(|parts| Path::from_slices(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap())
    }

    proptest! {
        #[test]
        fn keys_order_as_paths_and_prefixes_as_path_prefixes(a in path(), b in path()) {
            let (key_a, key_b) = (path_key(&a), path_key(&b));
            prop_assert_eq!(key_a.cmp(&key_b), a.cmp(&b));
            prop_assert_eq!(key_b.starts_with(&key_a), a.is_prefix_of(&b));
            prop_assert_eq!(key_path(common_prefix(&key_a, &key_b)).unwrap(), a.longest_common_prefix(&b));
            prop_assert_eq!(key_path(&key_a).unwrap(), a);
        }

        #[test]
        fn bounds_of_an_area_and_of_its_range_cover_the_same(a in path(), b in path(), any in any::<bool>(), last in prop_oneof![Just(0u8), Just(7), Just(255)]) {
            let id = SubspaceId::from_bytes(&[last; 32]);
            let area = Area::new((!any).then(|| id.clone()), a, willow25::groupings::TimeRange::new_closed(3.into(), 9.into()));
            let bounds = Bounds::from(&area);
            for time in [2, 3, 8, 9] {
                for subspace in [[0; 32], [last; 32], [8; 32]] {
                    let coordinates = (SubspaceId::from_bytes(&subspace), b.clone(), Timestamp::from(time));
                    prop_assert_eq!(bounds.includes(&subspace, &path_key(&b), time), willow25::groupings::Grouping::includes(&area, &coordinates));
                }
            }
        }
    }

    #[test]
    fn bytes_that_are_no_key_have_no_path() {
        for bad in [&b"a"[..], &[1, 0], &[1, 3, 0], &[1], &[0, 1]] {
            assert_eq!(key_path(bad), None, "{bad:?}");
        }
    }
}
