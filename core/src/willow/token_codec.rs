//! Authorisation tokens relative to the entry they authorise and the one authorised before it.
//!
//! `EncodeMcAuthorisationTokenRelative…` of the Willow encodings spec, byte for byte as willow25 writes it. willow25's own
//! decoder verifies every chain anew and can panic on what a peer sends; this one does neither. A token that shares its
//! capability with the one before it costs three bytes and a signature, and no verification at all.
//!
//! Decoding proves that the capability is valid and grants the entry; whether the *signature* holds is the business of
//! [`verify`](super::verify).

use std::sync::Arc;

use willow25::{
    authorisation::raw::{AccessMode, CommunalGenesis, Delegation, Genesis, OwnedGenesis},
    groupings::private_context::PrivateInterest,
    prelude::{Area, Entry, Keylike as _, Namespaced as _, WriteCapability},
};

use super::{
    area_codec::{decode_private_area, encode_private_area},
    cap_cache::{CapCache, MAX_DELEGATIONS, delegation_count},
    codec::{DecodeError, Reader, Writer, encode, flag, is_set, tag},
    keys::KeyCache,
};

/// What authorises an entry: a valid capability, and a signature by its receiver that may not be checked yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// The capability, whose chain is valid.
    pub capability: Arc<WriteCapability>,
    /// The signature over the entry's absolute encoding.
    pub signature: [u8; 64],
}

/// Writes the token for `entry`, which `capability` must include, relative to the capability of the entry before it.
///
/// Without one before it: relative to willow25's default authorised entry, whose capability is communal and undelegated.
///
/// `[owned | shared:c64(3) | count:c64(4)] shared count [user, initial authorisation] (private area, user, signature)*
/// signature`; shared is one more than the number of delegations in common, 0 for another kind or origin.
pub fn encode_token(w: &mut Writer, capability: &WriteCapability, signature: &[u8; 64], prior: Option<&WriteCapability>, entry: &Entry) {
    let shared = shared_plus_one(capability, prior);
    let count = capability.delegations().len() as u64;
    w.u8(flag(0, capability.is_owned()) | tag(shared, &(1..4)) | tag(count, &(4..8)));
    w.c64(shared, 1..4);
    w.c64(count, 4..8);
    if let (Genesis::Owned(genesis), 0) = (capability.genesis(), shared) {
        w.bytes(genesis.user_key.as_bytes());
        w.encode(&genesis.initial_authorisation);
    }
    let skip = usize::try_from(shared.saturating_sub(1)).unwrap_or(usize::MAX);
    if capability.delegations().len() > skip {
        let private = interest_of(entry);
        let initial = Area::new_subspace_area(entry.subspace_id().clone());
        let mut outer = &initial;
        for delegation in capability.delegations().iter().skip(skip) {
            encode_private_area(w, &delegation.area, outer, &private);
            w.bytes(delegation.user.as_bytes());
            w.encode(&delegation.signature);
            outer = &delegation.area;
        }
    }
    w.bytes(signature);
}

/// Reads what [`encode_token`] writes.
///
/// # Errors
/// If the bytes are no canonic token; [`DecodeError::InvalidCapability`] if the chain of its capability does not hold,
/// [`DecodeError::NotGranted`] if the capability does not include `entry`.
pub fn decode_token(
    r: &mut Reader<'_>,
    prior: Option<&Arc<WriteCapability>>,
    entry: &Entry,
    cache: &mut CapCache,
) -> Result<Token, DecodeError> {
    let capability = decode_capability(r, prior, entry, cache)?;
    if !capability.includes(entry) {
        return Err(DecodeError::NotGranted);
    }
    Ok(Token { capability, signature: r.array()? })
}

fn decode_capability(
    r: &mut Reader<'_>,
    prior: Option<&Arc<WriteCapability>>,
    entry: &Entry,
    cache: &mut CapCache,
) -> Result<Arc<WriteCapability>, DecodeError> {
    let header = r.u8()?;
    let shared = r.c64(header, 1..4)?;
    let count = delegation_count(r.c64(header, 4..8)?, MAX_DELEGATIONS)?;
    let genesis = decode_genesis(r, is_set(header, 0), shared, prior, entry, cache.keys())?;
    let theirs = prior.map_or(&[][..], |prior| prior.delegations());
    let skip = delegation_count(shared.saturating_sub(1), count.min(theirs.len()))
        .map_err(|_| DecodeError::Invalid("more shared delegations than there are"))?;
    if let Some(prior) = prior
        && skip == count
        && skip == theirs.len()
        && genesis == *prior.genesis()
    {
        return Ok(Arc::clone(prior));
    }
    let mut delegations: Vec<Delegation> = theirs.iter().take(skip).cloned().collect();
    decode_delegations(r, count - skip, entry, cache.keys(), &mut delegations)?;
    if shared > 0 && delegations.get(skip).is_some_and(|ours| theirs.get(skip) == Some(ours)) {
        return Err(DecodeError::NotCanonic);
    }
    cache.write_capability(genesis, delegations)
}

fn decode_genesis(
    r: &mut Reader<'_>,
    owned: bool,
    shared: u64,
    prior: Option<&Arc<WriteCapability>>,
    entry: &Entry,
    keys: &mut KeyCache,
) -> Result<Genesis, DecodeError> {
    let access_mode = AccessMode::Write;
    let namespace_key = entry.namespace_id().clone();
    let prior = prior.map(|prior| prior.genesis());
    let prior_owned = prior.and_then(|prior| match prior {
        Genesis::Owned(genesis) => Some(genesis),
        Genesis::Communal(_) => None,
    });
    match (owned, shared, prior_owned) {
        (false, 0, None) | (false, 1.., Some(_)) => Err(DecodeError::NotCanonic),
        (false, ..) => {
            let user_key = entry.subspace_id().clone();
            Ok(Genesis::Communal(CommunalGenesis { access_mode, namespace_key, user_key }))
        }
        (true, 0, theirs) => {
            let user_key = keys.subspace(&r.array()?);
            let initial_authorisation = r.array::<64>()?.into();
            if theirs.is_some_and(|theirs| theirs.user_key == user_key && theirs.initial_authorisation == initial_authorisation) {
                return Err(DecodeError::NotCanonic);
            }
            Ok(Genesis::Owned(OwnedGenesis { access_mode, namespace_key, user_key, initial_authorisation }))
        }
        (true, _, None) => Err(DecodeError::Invalid("an owned capability that shares with a communal one")),
        (true, _, Some(theirs)) => {
            let (user_key, initial_authorisation) = (theirs.user_key.clone(), theirs.initial_authorisation.clone());
            Ok(Genesis::Owned(OwnedGenesis { access_mode, namespace_key, user_key, initial_authorisation }))
        }
    }
}

fn decode_delegations(
    r: &mut Reader<'_>,
    count: usize,
    entry: &Entry,
    keys: &mut KeyCache,
    delegations: &mut Vec<Delegation>,
) -> Result<(), DecodeError> {
    if count == 0 {
        return Ok(());
    }
    let private = interest_of(entry);
    let mut outer = Area::new_subspace_area(entry.subspace_id().clone());
    for _ in 0..count {
        let area = decode_private_area(r, &outer, &private, keys)?;
        let user = keys.subspace(&r.array()?);
        outer = area.clone();
        delegations.push(Delegation::new(area, user, r.array::<64>()?.into()));
    }
    Ok(())
}

/// One more than the number of delegations that `capability` shares with `prior`; 0 if they are of different kinds or start
/// from different owned geneses.
fn shared_plus_one(capability: &WriteCapability, prior: Option<&WriteCapability>) -> u64 {
    let theirs = prior.map_or(&[][..], WriteCapability::delegations);
    let comparable = match (capability.genesis(), prior.map(WriteCapability::genesis)) {
        (Genesis::Communal(_), None | Some(Genesis::Communal(_))) => true,
        (Genesis::Owned(ours), Some(Genesis::Owned(theirs))) => {
            ours.user_key == theirs.user_key && ours.initial_authorisation == theirs.initial_authorisation
        }
        _ => false,
    };
    let common = capability.delegations().iter().zip(theirs).take_while(|(a, b)| a == b).count();
    if comparable { common as u64 + 1 } else { 0 }
}

/// The interest that exactly the entry's subspace and path are.
fn interest_of(entry: &Entry) -> PrivateInterest {
    PrivateInterest::new(entry.namespace_id().clone(), Some(entry.subspace_id().clone()), entry.path().clone())
}

/// The bytes of a signature of willow25's.
pub(crate) fn signature_bytes(signature: &willow25::prelude::SubspaceSignature) -> [u8; 64] {
    let mut bytes = [0; 64];
    for (byte, encoded) in bytes.iter_mut().zip(encode(signature)) {
        *byte = encoded;
    }
    bytes
}

#[cfg(test)]
#[path = "token_codec_tests.rs"]
mod tests;
