//! Enumeration capabilities: proof that one may learn the subspaces of an owned namespace, at whatever path.
//!
//! Meadowcap's `McEnumerationCapability`, which willow25 lacks. A session shows one where two interests overlap awkwardly.
//! Signatures are checked by [`verify`](super::verify)'s one rule. Knows nothing of interests and overlaps.

use signature::Signer as _;
use willow25::prelude::{NamespaceId, NamespaceSecret, NamespaceSignature, SubspaceId, SubspaceSecret};

use super::{
    cap_cache::{MAX_DELEGATIONS, delegation_count},
    codec::{DecodeError, Reader, Writer, encode},
    keys::KeyCache,
    token_codec::signature_bytes,
    verify::is_signed_by,
};

/// What precedes the user's key where the namespace signs.
const LABEL: u8 = 0x04;

/// A valid enumeration capability.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EnumerationCapability {
    namespace: NamespaceId,
    user: SubspaceId,
    initial_authorisation: [u8; 64],
    delegations: Vec<(SubspaceId, [u8; 64])>,
}

/// Why a capability cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EnumerationError {
    /// Communal namespaces have no enumeration capabilities.
    #[error("a communal namespace has no enumeration capabilities")]
    Communal,
    /// Only the receiver of a capability can delegate it.
    #[error("the secret is not that of the capability's receiver")]
    WrongSecret,
}

impl EnumerationCapability {
    /// A capability from the owner of a namespace for `user`.
    ///
    /// # Errors
    /// [`EnumerationError::Communal`] if the namespace is.
    pub fn new(namespace: &NamespaceSecret, user: SubspaceId) -> Result<Self, EnumerationError> {
        let id = namespace.corresponding_namespace_id();
        if id.is_communal() {
            return Err(EnumerationError::Communal);
        }
        let signature: NamespaceSignature = namespace.sign(&initial_message(&user));
        let mut initial_authorisation = [0; 64];
        for (byte, encoded) in initial_authorisation.iter_mut().zip(encode(&signature)) {
            *byte = encoded;
        }
        Ok(Self { namespace: id, user, initial_authorisation, delegations: Vec::new() })
    }

    /// The capability passed on to `new_user` by its receiver.
    ///
    /// # Errors
    /// [`EnumerationError::WrongSecret`] if `secret` is not the receiver's.
    pub fn delegate(&self, secret: &SubspaceSecret, new_user: SubspaceId) -> Result<Self, EnumerationError> {
        if secret.corresponding_subspace_id() != *self.receiver() {
            return Err(EnumerationError::WrongSecret);
        }
        let signature = signature_bytes(&secret.sign(&handover(self.last_signature(), &new_user)));
        let mut delegated = self.clone();
        delegated.delegations.push((new_user, signature));
        Ok(delegated)
    }

    /// Whom it is for.
    #[must_use]
    pub fn receiver(&self) -> &SubspaceId {
        self.delegations.last().map_or(&self.user, |(user, _)| user)
    }

    /// Which namespace it is about.
    #[must_use]
    pub const fn granted_namespace(&self) -> &NamespaceId {
        &self.namespace
    }

    fn last_signature(&self) -> &[u8; 64] {
        self.delegations.last().map_or(&self.initial_authorisation, |(_, signature)| signature)
    }

    fn is_valid(&self) -> bool {
        if self.namespace.is_communal()
            || !is_signed_by(self.namespace.as_bytes(), &initial_message(&self.user), &self.initial_authorisation)
        {
            return false;
        }
        let (mut signer, mut before) = (&self.user, &self.initial_authorisation);
        for (user, signature) in &self.delegations {
            if !is_signed_by(signer.as_bytes(), &handover(before, user), signature) {
                return false;
            }
            (signer, before) = (user, signature);
        }
        true
    }
}

fn initial_message(user: &SubspaceId) -> [u8; 33] {
    let mut message = [LABEL; 33];
    for (byte, key) in message.iter_mut().skip(1).zip(user.as_bytes()) {
        *byte = *key;
    }
    message
}

fn handover(before: &[u8; 64], new_user: &SubspaceId) -> Vec<u8> {
    [&before[..], &new_user.as_bytes()[..]].concat()
}

/// Writes `capability` relative to its namespace and receiver, which the reader must know.
///
/// `count:c64(8)` initial authorisation `[user if count > 0] (user signature)*`, the last without its user.
pub fn encode_enumeration_capability(w: &mut Writer, capability: &EnumerationCapability) {
    let count = capability.delegations.len();
    w.c64_standalone(count as u64);
    w.bytes(&capability.initial_authorisation);
    if count > 0 {
        w.bytes(capability.user.as_bytes());
    }
    for (i, (user, signature)) in capability.delegations.iter().enumerate() {
        if i + 1 < count {
            w.bytes(user.as_bytes());
        }
        w.bytes(signature);
    }
}

/// Reads what [`encode_enumeration_capability`] writes, and verifies it.
///
/// # Errors
/// [`DecodeError::InvalidCapability`] if the chain does not hold, which includes another receiver; others if the bytes are no
/// canonic enumeration capability or have more than [`MAX_DELEGATIONS`] and one.
pub fn decode_enumeration_capability(
    r: &mut Reader<'_>,
    namespace: &NamespaceId,
    receiver: &SubspaceId,
    keys: &mut KeyCache,
) -> Result<EnumerationCapability, DecodeError> {
    let count = delegation_count(r.c64_standalone()?, MAX_DELEGATIONS + 1)?;
    let initial_authorisation = r.array()?;
    let user = if count > 0 { keys.subspace(&r.array()?) } else { receiver.clone() };
    let mut delegations = Vec::new();
    for i in 0..count {
        let user = if i + 1 < count { keys.subspace(&r.array()?) } else { receiver.clone() };
        delegations.push((user, r.array()?));
    }
    let capability = EnumerationCapability { namespace: namespace.clone(), user, initial_authorisation, delegations };
    if capability.is_valid() { Ok(capability) } else { Err(DecodeError::InvalidCapability) }
}

#[cfg(test)]
#[path = "enumeration_tests.rs"]
mod tests;
