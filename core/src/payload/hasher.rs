//! Hashing a payload that comes in pieces: digest, length and outboard in one pass.

use willow25::entry::PayloadDigest;

use super::GROUP_SIZE;
use super::outboard::Outboard;
use super::william3::{self, Label};

/// Takes the bytes of a payload in pieces of any size.
///
/// Holds at most one group (16 KiB) and the outboard so far.
#[derive(Debug, Default)]
pub struct PayloadHasher {
    length: u64,
    groups: Vec<Label>,
    /// The last group: hashed only when it is known whether another one follows.
    pending: Vec<u8>,
}

/// What is known of a payload once all of it was hashed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HashedPayload {
    /// The WILLIAM3 digest.
    pub digest: PayloadDigest,
    /// The length in bytes.
    pub length: u64,
    /// What is needed to serve the payload. Complete.
    pub outboard: Outboard,
}

impl PayloadHasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of the payload.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        while !bytes.is_empty() {
            if self.pending.len() == GROUP_SIZE {
                self.groups.push(william3::group_label(&self.pending, false));
                self.pending.clear();
            }
            if self.pending.is_empty() {
                // Whole groups that others follow are hashed where they are.
                while bytes.len() > GROUP_SIZE {
                    let (group, rest) = bytes.split_at(GROUP_SIZE);
                    self.groups.push(william3::group_label(group, false));
                    bytes = rest;
                }
            }
            let (now, later) = bytes.split_at(bytes.len().min(GROUP_SIZE - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
        }
    }

    /// How many bytes were pushed.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// All bytes were pushed.
    #[must_use]
    pub fn finish(mut self) -> HashedPayload {
        let is_root = self.groups.is_empty();
        self.groups.push(william3::group_label(&self.pending, is_root));
        let outboard = Outboard::complete(self.length, self.groups);
        HashedPayload { digest: outboard.digest(), length: self.length, outboard }
    }
}
