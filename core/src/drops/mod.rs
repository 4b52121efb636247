//! Drops: entries with their payloads as one string of bytes, to be carried by whatever means there are, and kept as a backup.
//!
//! The Willow drop format as the crate `willow25` has it, byte for byte; streaming both ways, and sans-IO: [`DropWriter`] gives bytes out
//! and asks for payload bytes, [`DropReader`] takes bytes in pieces of any size and gives verified entries out. It knows the store
//! as the place where entries are listed, and neither sessions nor peers.
//!
//! # The format
//!
//! A drop is entries one after another and a last byte 0:
//!
//! ```text
//! [01 | ns≠ | ss≠ | time:c64(2) | payload(2)] [namespace] [subspace] path time length:c64(8) digest token [payload]
//! ```
//!
//! - Everything is relative to the entry before it; before the first comes Willow'25's default entry with its default token.
//! - `namespace` and `subspace` are there if they differ (`ns≠`, `ss≠`). `path` is `path_rel_path`, `token` is relative to the entry before
//!   and to this entry. The timestamp, the payload's length and its digest are absolute.
//! - `payload` says what of the payload follows: `01` all of it, also if it is empty; `00` nothing; `10` its first chunks, `11` slices of it.
//!   What follows is a Bab slice stream with k-grouping, k = 64: the labels that lie inside of the slice are left out, all of them. So the stream
//!   of a whole payload is the payload, and **nothing of it can be verified before its last byte**.
//!
//! # Decisions
//!
//! - *What is written.* Entries in the order of (subspace, path), each with the whole of its payload (`01`) or nothing of it (`00`), where it
//!   is not all here. A part (`10`) would be lost on the reader: `willow25` 0.7.9 writes no length of it and so cannot read its own, and fails on
//!   import when one of a proper length comes.
//! - *What is read.* `10` is read over: the entry is taken, its payload left to peers. `11` is refused: `willow25` writes no headers of
//!   slices, and reads them by a rule that is not Bab's, so nobody can say where one ends. What is not canonic is refused, as in a session.
//! - *Payloads.* One of at most [`WHOLE_MAX`] bytes is kept in memory until its last byte, verified, and given out with its entry. A longer one
//!   is given out as it comes, as [`DropOutput::Unverified`]: for the store to keep it **staged**
//!   ([`Store::plan_stage`](crate::store::Store::plan_stage)), where it is on the disk and yet not there, until [`DropOutput::Verified`] proves
//!   it. So memory is bounded, each byte is written once, and no byte is ever available that was not verified.
//! - *Faults.* The first one ends the drop. What came before it stands: each entry is proven by its own signature, each payload by its digest.

mod error;
mod reader;
mod record;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{DropError, DropWriteError};
pub use reader::{DropOutput, DropReader, Dropped, DroppedPayload};
pub use writer::{DropWriter, DropWriterOutput, ReadId};

/// The longest payload in bytes that is verified in memory and comes with its entry.
pub const WHOLE_MAX: u64 = 1 << 20;

/// How many bytes of a payload are asked for, or given out, at once.
pub const SEGMENT: u64 = 256 * 1024;

/// How far a drop has been written or read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DropProgress {
    /// Entries, with what of their payloads belongs to them.
    pub entries: u64,
    /// Entries among them that have a payload which does not come with them, or only in part.
    pub without_payload: u64,
    /// Bytes of the drop.
    pub bytes: u64,
}
