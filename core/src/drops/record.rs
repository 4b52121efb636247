//! Entries as a drop has them, without their payloads; see the [module](super). Pure functions over bytes.

use std::{ops::Range, sync::Arc};

use willow25::{
    defaults::{default_namespace_id, default_subspace_id},
    prelude::{Coordinatelike as _, Entry, Entrylike as _, Keylike as _, Namespaced as _, Path, PayloadDigest, WriteCapability},
};

use crate::{
    payload::CHUNK_SIZE,
    willow::{
        CapCache, DecodeError, Reader, Token, UnverifiedEntry, Writer,
        codec::{field, flag, is_set, put_field, tag},
        entry_codec::different,
        path_codec::{decode_path_rel_path, encode_path_rel_path},
        token_codec::{decode_token, encode_token},
    },
};

/// The first byte of an entry has these in front; the end is a byte 0.
pub(super) const ENTRY: u8 = 0b01;
pub(super) const KIND: Range<u8> = 0..2;
pub(super) const END: u8 = 0;

const NAMESPACE: u8 = 2;
const SUBSPACE: u8 = 3;
const TIME: Range<u8> = 4..6;
const PAYLOAD: Range<u8> = 6..8;

/// What the next entry is encoded relative to.
#[derive(Debug, Default)]
pub(super) struct Prior(Option<(Entry, Arc<WriteCapability>)>);

impl Prior {
    /// Goes on behind this entry.
    pub(super) fn set(&mut self, entry: Entry, capability: Arc<WriteCapability>) {
        self.0 = Some((entry, capability));
    }

    fn capability(&self) -> Option<&Arc<WriteCapability>> {
        self.0.as_ref().map(|(_, capability)| capability)
    }
}

/// What of a payload follows its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follows {
    Nothing,
    Whole,
    /// So many chunks from the first.
    Part(u64),
    Slices,
}

/// Writes an entry and whether its whole payload follows.
pub(super) fn encode_record(w: &mut Writer, entry: &Entry, capability: &WriteCapability, signature: &[u8; 64], whole: bool, prior: &Prior) {
    let (namespace, subspace) = match &prior.0 {
        Some((prior, _)) => (prior.namespace_id() != entry.namespace_id(), prior.subspace_id() != entry.subspace_id()),
        None => (default_namespace_id() != *entry.namespace_id(), default_subspace_id() != *entry.subspace_id()),
    };
    let time = u64::from(entry.timestamp());
    w.u8(put_field(&KIND, ENTRY)
        | flag(NAMESPACE, namespace)
        | flag(SUBSPACE, subspace)
        | tag(time, &TIME)
        | put_field(&PAYLOAD, u8::from(whole)));
    if namespace {
        w.bytes(entry.namespace_id().as_bytes());
    }
    if subspace {
        w.bytes(entry.subspace_id().as_bytes());
    }
    let above = Path::default();
    encode_path_rel_path(w, entry.path(), prior.0.as_ref().map_or(&above, |(prior, _)| prior.path()));
    w.c64(time, TIME);
    w.c64_standalone(entry.payload_length());
    w.bytes(entry.payload_digest().as_bytes());
    encode_token(w, capability, signature, prior.capability().map(AsRef::as_ref), entry);
}

/// Reads an entry and what of its payload follows. The capability is verified, the signature is not.
pub(super) fn decode_record(r: &mut Reader<'_>, prior: &Prior, cache: &mut CapCache) -> Result<(UnverifiedEntry, Follows), DecodeError> {
    let header = r.u8()?;
    let (namespace, subspace, path) = match &prior.0 {
        Some((prior, _)) => (prior.namespace_id().clone(), prior.subspace_id().clone(), prior.path().clone()),
        None => (default_namespace_id(), default_subspace_id(), Path::default()),
    };
    let namespace = match is_set(header, NAMESPACE) {
        true => different(r.array()?, namespace.as_bytes()).map(|bytes| cache.keys().namespace(&bytes))?,
        false => namespace,
    };
    let subspace = match is_set(header, SUBSPACE) {
        true => different(r.array()?, subspace.as_bytes()).map(|bytes| cache.keys().subspace(&bytes))?,
        false => subspace,
    };
    let path = decode_path_rel_path(r, &path)?;
    let time = r.c64(header, TIME)?;
    let length = r.c64_standalone()?;
    let entry = Entry::builder()
        .namespace_id(namespace)
        .subspace_id(subspace)
        .path(path)
        .timestamp(time)
        .payload_length(length)
        .payload_digest(PayloadDigest::from(r.array()?))
        .build();
    let Token { capability, signature } = decode_token(r, prior.capability(), &entry, cache)?;
    let follows = match field(header, &PAYLOAD) {
        0b00 => Follows::Nothing,
        0b01 => Follows::Whole,
        0b10 => Follows::Part(r.c64_standalone()?),
        _ => Follows::Slices,
    };
    Ok((UnverifiedEntry::new(entry, Token { capability, signature }), follows))
}

/// How many bytes the stream of the first `chunks` chunks of a payload takes: the chunks and the labels beside the path to the last one,
/// which is all that k = 64 leaves. `None` if they are none or all chunks.
pub(super) fn part_length(chunks: u64, payload_length: u64) -> Option<u64> {
    let mut rest = payload_length.div_ceil(CHUNK_SIZE as u64);
    if chunks >= rest {
        return None;
    }
    let (mut last, mut labels) = (chunks.checked_sub(1)?, 0_u64);
    while rest > 1 {
        let left = rest.next_power_of_two() / 2;
        if last < left {
            labels += 1;
            rest = left;
        } else {
            last -= left;
            rest -= left;
        }
    }
    Some((chunks * CHUNK_SIZE as u64).saturating_add(labels * 32))
}
