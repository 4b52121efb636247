//! Capabilities by the hash of their encoding: each chain is verified once, each capability exists once.
//!
//! Also the only reader and writer of capabilities in full (`encode_mc_capability` of the Willow encodings spec, byte for
//! byte as willow25). A chain is verified by willow25's own check, never in a batch, so there is one rule for it. Knows
//! nothing of sessions; bounded in number and in bytes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use willow25::{
    authorisation::raw::{
        AccessMode, CommunalGenesis, Delegation, Genesis, OwnedGenesis, PossiblyValidReadCapability, PossiblyValidWriteCapability,
    },
    prelude::{Area, ReadCapability, WriteCapability},
};

use super::{
    area_codec::{decode_area_in_area, encode_area_in_area},
    codec::{DecodeError, Reader, Writer, flag, is_set, tag},
    keys::KeyCache,
};

/// How many delegations a capability that a peer shows may have, not counting the one to a session's receiver key.
pub const MAX_DELEGATIONS: usize = 16;

/// How many capabilities of each kind are kept, and how many bytes their encodings may have in total.
const CAPACITY: usize = 1024;
const CAPACITY_BYTES: usize = 1 << 20;

/// Capabilities and ids that were met before.
#[derive(Clone, Debug, Default)]
pub struct CapCache {
    keys: KeyCache,
    write: Interner<WriteCapability>,
    read: Interner<ReadCapability>,
    verified: u64,
}

impl CapCache {
    /// A cache that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The ids met before.
    pub fn keys(&mut self) -> &mut KeyCache {
        &mut self.keys
    }

    /// How many chains were verified so far, for tests and measurements.
    #[must_use]
    pub const fn chains_verified(&self) -> u64 {
        self.verified
    }

    /// The shared form of a capability of one's own, which is valid by its type.
    pub fn intern_write(&mut self, capability: &WriteCapability) -> Arc<WriteCapability> {
        let bytes = encoding(capability.genesis(), capability.delegations());
        self.write.get_or_insert(&bytes, || Ok(capability.clone())).unwrap_or_else(|_| Arc::new(capability.clone()))
    }

    /// The write capability with these parts, verified unless it was met before.
    pub(crate) fn write_capability(&mut self, genesis: Genesis, delegations: Vec<Delegation>) -> Result<Arc<WriteCapability>, DecodeError> {
        let bytes = encoding(&genesis, &delegations);
        self.write_from(&bytes, genesis, delegations)
    }

    fn write_from(&mut self, bytes: &[u8], genesis: Genesis, delegations: Vec<Delegation>) -> Result<Arc<WriteCapability>, DecodeError> {
        let verified = &mut self.verified;
        self.write.get_or_insert(bytes, || {
            let mut raw = match genesis {
                Genesis::Communal(genesis) => PossiblyValidWriteCapability::new_communal(genesis.namespace_key, genesis.user_key),
                Genesis::Owned(genesis) => {
                    PossiblyValidWriteCapability::new_owned(genesis.namespace_key, genesis.user_key, genesis.initial_authorisation)
                }
            };
            for delegation in delegations {
                raw.try_append_delegation(delegation).map_err(|_| DecodeError::InvalidCapability)?;
            }
            *verified += 1;
            raw.into_write_capability().map_err(|_| DecodeError::InvalidCapability)
        })
    }

    /// The read capability with these parts, verified unless it was met before.
    pub(crate) fn read_capability(&mut self, genesis: Genesis, delegations: Vec<Delegation>) -> Result<Arc<ReadCapability>, DecodeError> {
        let bytes = encoding(&genesis, &delegations);
        let verified = &mut self.verified;
        self.read.get_or_insert(&bytes, || {
            let mut raw = match genesis {
                Genesis::Communal(genesis) => PossiblyValidReadCapability::new_communal(genesis.namespace_key, genesis.user_key),
                Genesis::Owned(genesis) => {
                    PossiblyValidReadCapability::new_owned(genesis.namespace_key, genesis.user_key, genesis.initial_authorisation)
                }
            };
            for delegation in delegations {
                raw.try_append_delegation(delegation).map_err(|_| DecodeError::InvalidCapability)?;
            }
            *verified += 1;
            raw.into_read_capability().map_err(|_| DecodeError::InvalidCapability)
        })
    }

    /// Reads a write capability in full, verified unless it was met before.
    ///
    /// # Errors
    /// If the bytes are no canonic, valid write capability, or if it has more than [`MAX_DELEGATIONS`].
    pub fn decode_write_capability(&mut self, r: &mut Reader<'_>) -> Result<Arc<WriteCapability>, DecodeError> {
        let bytes = r.rest();
        let (genesis, delegations) = decode_parts(r, &mut self.keys, MAX_DELEGATIONS)?;
        let (bytes, _) = bytes.split_at(bytes.len() - r.remaining());
        match genesis.access_mode() {
            AccessMode::Write => self.write_from(bytes, genesis, delegations),
            AccessMode::Read => Err(DecodeError::Invalid("a read capability in the place of a write capability")),
        }
    }

    /// Reads a read capability in full, verified unless it was met before.
    ///
    /// # Errors
    /// If the bytes are no canonic, valid read capability, or if it has more than [`MAX_DELEGATIONS`] and one.
    pub fn decode_read_capability(&mut self, r: &mut Reader<'_>) -> Result<Arc<ReadCapability>, DecodeError> {
        let (genesis, delegations) = decode_parts(r, &mut self.keys, MAX_DELEGATIONS + 1)?;
        match genesis.access_mode() {
            AccessMode::Read => self.read_capability(genesis, delegations),
            AccessMode::Write => Err(DecodeError::Invalid("a write capability in the place of a read capability")),
        }
    }
}

/// Writes a write capability in full.
pub fn encode_write_capability(w: &mut Writer, capability: &WriteCapability) {
    encode_parts(w, capability.genesis(), capability.delegations());
}

/// Writes a read capability in full.
pub fn encode_read_capability_absolute(w: &mut Writer, capability: &ReadCapability) {
    encode_parts(w, capability.genesis(), capability.delegations());
}

/// The area that a genesis grants.
pub(crate) fn initial_area(genesis: &Genesis) -> Area {
    match genesis {
        Genesis::Communal(genesis) => Area::new_subspace_area(genesis.user_key.clone()),
        Genesis::Owned(_) => Area::full(),
    }
}

fn encoding(genesis: &Genesis, delegations: &[Delegation]) -> Vec<u8> {
    let mut w = Writer::with_capacity(160 + delegations.len() * 128);
    encode_parts(&mut w, genesis, delegations);
    w.into_bytes()
}

/// `[owned | write | count:c64(6)] namespace user [initial authorisation] count (area_in_area user signature)*`
fn encode_parts(w: &mut Writer, genesis: &Genesis, delegations: &[Delegation]) {
    let count = delegations.len() as u64;
    w.u8(flag(0, genesis.is_owned()) | flag(1, genesis.access_mode() == AccessMode::Write) | tag(count, &(2..8)));
    w.bytes(genesis.namespace_key().as_bytes());
    w.bytes(genesis.user_key().as_bytes());
    if let Genesis::Owned(genesis) = genesis {
        w.encode(&genesis.initial_authorisation);
    }
    w.c64(count, 2..8);
    let initial = initial_area(genesis);
    let mut outer = &initial;
    for delegation in delegations {
        encode_area_in_area(w, &delegation.area, outer);
        w.bytes(delegation.user.as_bytes());
        w.encode(&delegation.signature);
        outer = &delegation.area;
    }
}

/// Reads what [`encode_parts`] writes; verifies nothing.
fn decode_parts(r: &mut Reader<'_>, keys: &mut KeyCache, limit: usize) -> Result<(Genesis, Vec<Delegation>), DecodeError> {
    let header = r.u8()?;
    let access_mode = if is_set(header, 1) { AccessMode::Write } else { AccessMode::Read };
    let namespace_key = keys.namespace(&r.array()?);
    let user_key = keys.subspace(&r.array()?);
    let genesis = match is_set(header, 0) {
        true => {
            let initial_authorisation = r.array::<64>()?.into();
            Genesis::Owned(OwnedGenesis { access_mode, namespace_key, user_key, initial_authorisation })
        }
        false => Genesis::Communal(CommunalGenesis { access_mode, namespace_key, user_key }),
    };
    let count = delegation_count(r.c64(header, 2..8)?, limit)?;
    let mut delegations: Vec<Delegation> = Vec::new();
    let initial = initial_area(&genesis);
    for _ in 0..count {
        let outer = delegations.last().map_or(&initial, |delegation| &delegation.area);
        let area = decode_area_in_area(r, outer, keys)?;
        let user = keys.subspace(&r.array()?);
        delegations.push(Delegation::new(area, user, r.array::<64>()?.into()));
    }
    Ok((genesis, delegations))
}

/// A number of delegations from a peer, if it is within `limit`.
pub(crate) fn delegation_count(count: u64, limit: usize) -> Result<usize, DecodeError> {
    usize::try_from(count).ok().filter(|count| *count <= limit).ok_or(DecodeError::TooLarge)
}

/// Values by the hash of their encoding, the oldest forgotten first.
#[derive(Clone, Debug)]
struct Interner<T> {
    known: BTreeMap<[u8; 32], (Arc<T>, usize)>,
    order: VecDeque<[u8; 32]>,
    bytes: usize,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<T> Interner<T> {
    fn get_or_insert(&mut self, encoding: &[u8], make: impl FnOnce() -> Result<T, DecodeError>) -> Result<Arc<T>, DecodeError> {
        let hash = *blake3::hash(encoding).as_bytes();
        if let Some((value, _)) = self.known.get(&hash) {
            return Ok(Arc::clone(value));
        }
        let value = Arc::new(make()?);
        while self.known.len() >= CAPACITY || self.bytes.saturating_add(encoding.len()) > CAPACITY_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some((_, bytes)) = self.known.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(bytes);
            }
        }
        self.known.insert(hash, (Arc::clone(&value), encoding.len()));
        self.order.push_back(hash);
        self.bytes = self.bytes.saturating_add(encoding.len());
        Ok(value)
    }
}

#[cfg(test)]
#[path = "cap_cache_tests.rs"]
mod tests;
