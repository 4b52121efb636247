//! The shape of a payload's Merkle tree above its groups: pure arithmetic on numbers, no labels and no bytes.
//!
//! A *group* is a subtree of 16 chunks, 16 KiB (the last one may be shorter). Labels inside a group never travel and are
//! never stored (Bab's k-grouping with k = 4). All numbers are u64 and may come from a remote claim; nothing here
//! allocates or loops in proportion to them.

use super::GROUP_SIZE;

const GROUP: u64 = GROUP_SIZE as u64;

/// A node of the tree over groups: the groups `start..end`, at least one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    pub start: u64,
    pub end: u64,
}

impl Node {
    /// The root of the tree of a payload of `length` bytes.
    pub fn root(length: u64) -> Self {
        Self { start: 0, end: group_count(length) }
    }

    /// Whether this is a single group.
    pub fn is_group(self) -> bool {
        self.end - self.start <= 1
    }

    /// The two children of an inner node: the left one holds the largest power of two below the number of groups.
    pub fn children(self) -> (Self, Self) {
        let middle = self.start + (self.end - self.start).next_power_of_two() / 2;
        (Self { start: self.start, end: middle }, Self { start: middle, end: self.end })
    }

    /// The height above the groups: 0 for a group.
    pub fn level(self) -> u32 {
        (self.end - self.start).next_power_of_two().trailing_zeros()
    }

    /// Where its bytes start in a payload.
    pub fn byte_start(self) -> u64 {
        self.start.saturating_mul(GROUP)
    }

    /// How many bytes of a payload of `length` bytes it covers.
    pub fn byte_len(self, length: u64) -> u64 {
        self.end.saturating_mul(GROUP).min(length).saturating_sub(self.byte_start())
    }
}

/// A range of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Groups {
    pub start: u64,
    pub end: u64,
}

/// The number of groups of a payload; one for the empty payload.
pub fn group_count(length: u64) -> u64 {
    length.div_ceil(GROUP).max(1)
}

/// The number of groups that a verified prefix of `available` bytes contains in full.
pub fn groups_in_prefix(available: u64, length: u64) -> u64 {
    if available >= length { group_count(length) } else { available / GROUP }
}

/// The largest subtrees that lie wholly at or after group `from`, in order: together they cover `from..` exactly.
///
/// They are what a reader that has consumed the groups before `from` still waits for, so a stream that resumes there
/// starts with them (Bab's optimal left skip). At most one per level.
pub fn rest_after(from: u64, length: u64) -> impl Iterator<Item = Node> {
    let count = group_count(length);
    let mut next = from;
    std::iter::from_fn(move || {
        (next < count).then(|| {
            let start = next;
            // Group 0 opens the whole tree; any other one opens the subtree that its trailing zeros allow.
            let span = if start == 0 { count } else { 1 << start.trailing_zeros() };
            next = start.saturating_add(span).min(count);
            Node { start, end: next }
        })
    })
}
