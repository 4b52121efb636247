//! What the crate `willow25` lacks, and the Willow types that the rest of the core uses.
//!
//! | module | what it is |
//! |---|---|
//! | [`codec`] | reading and writing bytes, compact integers, errors |
//! | [`path_codec`], [`area_codec`], [`entry_codec`], [`range_codec`] | paths, areas, entries and 3d ranges, absolute and relative |
//! | [`token_codec`] | authorisation tokens relative to the one before |
//! | [`capability_codec`], [`enumeration`] | read and enumeration capabilities as a session shows them |
//! | [`cap_cache`], [`keys`] | capabilities verified once, ids built once |
//! | [`signed`], [`verify`] | authorised entries, and the one rule for signatures |
//! | [`fingerprint`] | entry ids and keyed fingerprints of sets |
//! | [`time`] | Willow'25 timestamps from and to Unix time |
//!
//! All of it is pure and synchronous. Bytes of a peer are read by these decoders only: they are canonic, they never panic,
//! and they allocate no more than a small multiple of what was received. Nothing here knows of stores, sessions or peers.

pub mod area_codec;
pub mod cap_cache;
pub mod capability_codec;
pub mod codec;
pub mod entry_codec;
pub mod enumeration;
pub mod fingerprint;
pub mod keys;
pub mod path_codec;
pub mod range_codec;
pub mod signed;
pub mod time;
pub mod token_codec;
pub mod verify;

pub use cap_cache::{CapCache, MAX_DELEGATIONS};
pub use capability_codec::CapabilityError;
pub use codec::{DecodeError, Reader, Writer};
pub use enumeration::{EnumerationCapability, EnumerationError};
pub use fingerprint::{EntryId, Fingerprint, FingerprintKey, Sum, Summary};
pub use keys::KeyCache;
pub use signed::{SignError, SignedEntry, UnverifiedEntry};
pub use token_codec::Token;
pub use verify::{InvalidToken, verify_batch, verify_one};

pub use willow25::{
    authorisation::raw,
    groupings::private_context::PrivateInterest,
    prelude::{
        Area, AreaOfInterest, AuthorisationToken, AuthorisedEntry, Component, Coordinatelike, Entry, Entrylike, EntrylikeExt, Grouping,
        Keylike, NamespaceId, NamespaceSecret, Namespaced, Path, PathRange, PayloadDigest, Range3d, ReadCapability, SubspaceId,
        SubspaceRange, SubspaceSecret, SubspaceSignature, TimeRange, Timestamp, WillowRange, WriteCapability,
    },
};

#[cfg(test)]
pub(crate) mod test_values;
