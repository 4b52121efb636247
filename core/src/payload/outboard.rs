//! What a holder of payload bytes keeps beside them to prove them: the labels of its groups, and of what it lacks.
//!
//! 32 bytes per 16 KiB of payload (0.2 %); the labels above the groups are computed from these when a stream is served.
//! Knows nothing of streams.

use willow25::entry::PayloadDigest;

use super::GROUP_SIZE;
use super::tree::{self, Node};
use super::william3::{self, Label};

/// The labels that go with a verified prefix of a payload: enough to serve the prefix, and to resume after it.
///
/// Complete when the whole payload is verified. The bytes themselves are elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outboard {
    length: u64,
    /// Labels of the verified groups, from the first.
    groups: Vec<Label>,
    /// Labels of the largest subtrees after the verified groups, in order: those of `tree::rest_after`.
    rest: Vec<Label>,
}

/// Bytes that are no stored outboard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("these bytes are not an outboard")]
pub struct OutboardError;

impl Outboard {
    /// Of a payload of which nothing is here yet.
    #[must_use]
    pub fn empty(digest: &PayloadDigest, length: u64) -> Self {
        Self { length, groups: Vec::new(), rest: vec![*digest.as_bytes()] }
    }

    /// Of a payload that is here and small enough (at most [`GROUP_SIZE`] bytes) to need no labels but its digest.
    #[must_use]
    pub fn of_small(digest: &PayloadDigest, length: u64) -> Option<Self> {
        (length <= GROUP_SIZE as u64).then(|| Self { length, groups: vec![*digest.as_bytes()], rest: Vec::new() })
    }

    pub(super) fn complete(length: u64, groups: Vec<Label>) -> Self {
        Self { length, groups, rest: Vec::new() }
    }

    /// The length of the whole payload in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes of the payload, from its start, are verified: a multiple of [`GROUP_SIZE`], or the length.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.group_count().saturating_mul(GROUP_SIZE as u64).min(self.length)
    }

    /// Whether the whole payload is verified.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.rest.is_empty()
    }

    /// The digest of the payload that these labels belong to.
    ///
    /// After reading an outboard from storage, compare it with the digest of the entry. O(groups).
    #[must_use]
    pub fn digest(&self) -> PayloadDigest {
        PayloadDigest::from(Labels::new(self).get(Node::root(self.length)))
    }

    /// The outboard of a shorter prefix: the first `available` bytes, rounded down to whole groups.
    ///
    /// For a holder that finds fewer bytes in its storage than it has labels for.
    #[must_use]
    pub fn truncated(&self, available: u64) -> Self {
        let keep = tree::groups_in_prefix(available, self.length);
        if keep >= self.group_count() {
            return self.clone();
        }
        let labels = Labels::new(self);
        let groups = self.groups.iter().take(usize::try_from(keep).unwrap_or(usize::MAX)).copied().collect();
        Self { length: self.length, groups, rest: tree::rest_after(keep, self.length).map(|node| labels.get(node)).collect() }
    }

    /// For storage: length ‖ verified groups (8 bytes each, big-endian) ‖ labels (32 bytes each).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 + 32 * (self.groups.len() + self.rest.len()));
        bytes.extend_from_slice(&self.length.to_be_bytes());
        bytes.extend_from_slice(&self.group_count().to_be_bytes());
        for label in self.groups.iter().chain(&self.rest) {
            bytes.extend_from_slice(label);
        }
        bytes
    }

    /// The inverse of [`to_bytes`](Self::to_bytes). Checks the shape, not the labels: see [`digest`](Self::digest).
    ///
    /// # Errors
    /// [`OutboardError`] if the number of labels is not the one that the length and the number of groups ask for.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OutboardError> {
        let (length, bytes) = bytes.split_first_chunk().ok_or(OutboardError)?;
        let (count, bytes) = bytes.split_first_chunk().ok_or(OutboardError)?;
        let (length, count) = (u64::from_be_bytes(*length), u64::from_be_bytes(*count));
        let (labels, []) = bytes.as_chunks::<32>() else { return Err(OutboardError) };
        if count > tree::group_count(length) {
            return Err(OutboardError);
        }
        let (groups, rest) = usize::try_from(count).ok().and_then(|count| labels.split_at_checked(count)).ok_or(OutboardError)?;
        if rest.len() != tree::rest_after(count, length).count() {
            return Err(OutboardError);
        }
        Ok(Self { length, groups: groups.to_vec(), rest: rest.to_vec() })
    }

    /// The number of verified groups.
    pub(super) fn group_count(&self) -> u64 {
        self.groups.len() as u64
    }

    /// The subtrees after the verified groups, with their labels.
    pub(super) fn rest(&self) -> impl Iterator<Item = (Node, Label)> {
        tree::rest_after(self.group_count(), self.length).zip(self.rest.iter().copied())
    }

    /// Adds the next verified group; `rest` are the labels of the largest subtrees after it, in order.
    pub(super) fn push(&mut self, label: Label, rest: impl Iterator<Item = Label>) {
        self.groups.push(label);
        self.rest.clear();
        self.rest.extend(rest);
    }
}

/// All labels above the verified groups of an outboard, level by level, computed once.
#[derive(Debug)]
pub(super) struct Labels {
    /// `levels[k][i]`: the node over the groups from `i · 2^k`, for every one that starts with a verified group.
    levels: Vec<Vec<Label>>,
    rest: Vec<(Node, Label)>,
}

impl Labels {
    pub(super) fn new(outboard: &Outboard) -> Self {
        let root = Node::root(outboard.length);
        let mut labels = Self { levels: vec![outboard.groups.clone()], rest: outboard.rest().collect() };
        if outboard.groups.is_empty() {
            return labels;
        }
        for level in 1..=root.level() {
            let below = labels.levels.last().map_or(0, Vec::len);
            let this = (0..below.div_ceil(2))
                .map(|i| {
                    let start = (i as u64) << level;
                    let node = Node { start, end: start.saturating_add(1 << level).min(root.end) };
                    if node.level() < level {
                        // Too short for two children on this level: the same node as one level below.
                        return labels.get(node);
                    }
                    let (left, right) = node.children();
                    william3::inner_label(&labels.get(left), &labels.get(right), node.byte_len(outboard.length), node == root)
                })
                .collect();
            labels.levels.push(this);
        }
        labels
    }

    /// The label of a node that starts with a verified group, or of one of the largest subtrees after them.
    ///
    /// Any other node has no label here; it reads as zeros, which nothing verifies against.
    pub(super) fn get(&self, node: Node) -> Label {
        let level = usize::try_from(node.level()).ok().and_then(|level| self.levels.get(level));
        let index = usize::try_from(node.start >> node.level()).ok();
        level
            .zip(index)
            .and_then(|(labels, index)| labels.get(index))
            .or_else(|| self.rest.iter().find(|(rest, _)| *rest == node).map(|(_, label)| label))
            .copied()
            .unwrap_or_default()
    }
}
