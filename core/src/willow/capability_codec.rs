//! Read capabilities relative to an interest that both peers know, and to the key they are shown for.
//!
//! `EncodeMcCapabilityRelativePrivateInterest` of the Willow encodings spec. Nothing of the namespace, the subspace and the
//! path of the interest is written, nor the receiver: the other side has a session with it. Which interest to take is the
//! business of overlap detection (the less specific of the pair), unknown here.

use std::sync::Arc;

use willow25::{
    authorisation::raw::{AccessMode, CommunalGenesis, Delegation, Genesis, OwnedGenesis},
    groupings::private_context::PrivateInterest,
    prelude::{Area, ReadCapability, SubspaceId},
};

use super::{
    area_codec::{decode_private_area, encode_private_area},
    cap_cache::{CapCache, MAX_DELEGATIONS, delegation_count},
    codec::{DecodeError, Reader, Writer},
};

/// Why a read capability cannot be shown or accepted. One variant per rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CapabilityError {
    /// The bytes are no capability relative to this interest, or the chain does not hold for this receiver.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The capability is for another namespace than the interest.
    #[error("the capability is for another namespace")]
    OtherNamespace,
    /// The capability grants something outside of the interest, which it would have to show.
    #[error("the capability grants an area outside of the interest")]
    OutsideInterest,
    /// In a communal namespace every interest has a subspace, that of the capability's first user.
    #[error("a communal capability relative to an interest in another subspace")]
    OtherSubspace,
    /// The capability is for another receiver.
    #[error("the capability is for another receiver")]
    OtherReceiver,
}

/// Writes `capability` relative to `interest` and its own receiver.
///
/// Communal: `count:c64(8) (private area, user, signature)*`; owned: `count:c64(8) [user if count > 0] initial
/// authorisation (private area, user, signature)*`; in both the last without its user.
///
/// # Errors
/// If the capability cannot be encoded relative to that interest. Nothing is written then.
pub fn encode_read_capability(w: &mut Writer, capability: &ReadCapability, interest: &PrivateInterest) -> Result<(), CapabilityError> {
    if capability.granted_namespace() != interest.namespace() {
        return Err(CapabilityError::OtherNamespace);
    }
    if !interest.includes_area(&capability.granted_area()) {
        return Err(CapabilityError::OutsideInterest);
    }
    if !capability.is_owned() && interest.subspace() != Some(capability.genesis().user_key()) {
        return Err(CapabilityError::OtherSubspace);
    }
    let delegations = capability.delegations();
    let count = delegations.len();
    w.c64_standalone(count as u64);
    if let Genesis::Owned(genesis) = capability.genesis() {
        if count > 0 {
            w.bytes(genesis.user_key.as_bytes());
        }
        w.encode(&genesis.initial_authorisation);
    }
    let initial = initial_area(interest);
    let mut outer = &initial;
    for (i, delegation) in delegations.iter().enumerate() {
        encode_private_area(w, &delegation.area, outer, interest);
        if i + 1 < count {
            w.bytes(delegation.user.as_bytes());
        }
        w.encode(&delegation.signature);
        outer = &delegation.area;
    }
    Ok(())
}

/// Reads what [`encode_read_capability`] writes, for the receiver `receiver`; verified unless it was met before.
///
/// # Errors
/// If the bytes are no canonic, valid read capability for that receiver which grants an area inside `interest`, with at most
/// [`MAX_DELEGATIONS`] delegations and the one to the receiver.
pub fn decode_read_capability(
    r: &mut Reader<'_>,
    interest: &PrivateInterest,
    receiver: &SubspaceId,
    cache: &mut CapCache,
) -> Result<Arc<ReadCapability>, CapabilityError> {
    let count = delegation_count(r.c64_standalone()?, MAX_DELEGATIONS + 1)?;
    let access_mode = AccessMode::Read;
    let namespace_key = interest.namespace().clone();
    let genesis = if namespace_key.is_communal() {
        let user_key = interest.subspace().ok_or(CapabilityError::OtherSubspace)?.clone();
        if count == 0 && user_key != *receiver {
            return Err(CapabilityError::OtherReceiver);
        }
        Genesis::Communal(CommunalGenesis { access_mode, namespace_key, user_key })
    } else {
        let user_key = if count > 0 { cache.keys().subspace(&r.array()?) } else { receiver.clone() };
        let initial_authorisation = r.array::<64>()?.into();
        Genesis::Owned(OwnedGenesis { access_mode, namespace_key, user_key, initial_authorisation })
    };
    let mut delegations: Vec<Delegation> = Vec::new();
    let initial = initial_area(interest);
    for i in 0..count {
        let outer = delegations.last().map_or(&initial, |delegation| &delegation.area);
        let area = decode_private_area(r, outer, interest, cache.keys())?;
        let user = if i + 1 < count { cache.keys().subspace(&r.array()?) } else { receiver.clone() };
        delegations.push(Delegation::new(area, user, r.array::<64>()?.into()));
    }
    let capability = cache.read_capability(genesis, delegations)?;
    if interest.includes_area(&capability.granted_area()) { Ok(capability) } else { Err(CapabilityError::OutsideInterest) }
}

/// What the first delegated area is written relative to.
fn initial_area(interest: &PrivateInterest) -> Area {
    interest.subspace().map_or_else(Area::full, |subspace| Area::new_subspace_area(subspace.clone()))
}

#[cfg(test)]
#[path = "capability_codec_tests.rs"]
mod tests;
