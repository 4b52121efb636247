//! Verifiable payload streams: WILLIAM3's Merkle tree, computed, sent and received in pieces.
//!
//! A payload's digest is the root of a Merkle tree over chunks of 1024 bytes (Bab, instantiated as WILLIAM3). A payload
//! stream is a Bab slice stream with *k-grouping*, k = 4: the labels of subtrees of at most 16 chunks are left out, so 16 KiB
//! are verified at once and labels add 0.4 % instead of 6 % to what travels. Nothing below 16 KiB is ever stored or
//! sent, so a sender hashes nothing and an outboard takes 32 bytes per 16 KiB.
//!
//! | type | what it is |
//! |---|---|
//! | [`PayloadHasher`] | payload bytes → digest, length, [`Outboard`] |
//! | [`Outboard`] | the labels beside a verified prefix: serves it, resumes after it |
//! | [`PayloadSender`] | outboard and payload bytes → stream |
//! | [`PayloadReceiver`] | stream → verified payload bytes and outboard |
//! | [`PayloadRequest`], [`PayloadStatus`] | the messages at the head of a payload stream |
//!
//! Pure: no I/O, no clock. Must not know who asks, whether they may, or where payloads are kept.

mod hasher;
mod message;
mod outboard;
mod receiver;
mod sender;
mod slice;
mod tree;
mod william3;

#[cfg(test)]
mod tests;

pub use hasher::{HashedPayload, PayloadHasher};
pub use message::{PayloadRequest, PayloadStatus};
pub use outboard::{Outboard, OutboardError};
pub use receiver::{PayloadError, PayloadReceiver};
pub use sender::{PayloadSender, TooManyBytes};
pub use slice::{Slice, SliceError};

/// The bytes in a chunk, a leaf of the Merkle tree.
pub const CHUNK_SIZE: usize = 1024;

/// The bytes that are verified at once: a group of 16 chunks. Only the last group of a payload is shorter.
pub const GROUP_SIZE: usize = 16 * CHUNK_SIZE;
