//! Entries with what authorises them, before and after their signature was checked.
//!
//! The two are different types, so that nothing unverified can be taken for verified. Capabilities are shared, because
//! thousands of entries have the same. Knows nothing of stores and sessions.

use std::{ops::Deref, sync::Arc};

use signature::Signer as _;
use willow25::{
    authorisation::PossiblyAuthorisedEntry,
    prelude::{AuthorisationToken, AuthorisedEntry, Entry, SubspaceSecret, WriteCapability},
};

use super::{
    cap_cache::{CapCache, MAX_DELEGATIONS, encode_write_capability},
    codec::{DecodeError, Reader, Writer},
    entry_codec::{LIKELY_LEN, decode_entry, encode_entry},
    fingerprint::EntryId,
    token_codec::{Token, signature_bytes},
};

/// An entry with a valid capability and a signature that was not checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnverifiedEntry {
    /// The entry.
    pub entry: Entry,
    /// The capability, whose chain is valid.
    pub capability: Arc<WriteCapability>,
    /// The signature over the entry's absolute encoding, by the receiver of the capability.
    pub signature: [u8; 64],
    /// The id of the entry.
    pub id: EntryId,
}

impl UnverifiedEntry {
    /// An entry and its token.
    #[must_use]
    pub fn new(entry: Entry, token: Token) -> Self {
        let id = EntryId::of(&entry);
        Self { entry, capability: token.capability, signature: token.signature, id }
    }
}

/// An authorised entry: its capability is valid and includes it, its signature holds. Reads like an [`UnverifiedEntry`];
/// made only by [`verify`](super::verify) and by [`SignedEntry::sign`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedEntry(UnverifiedEntry);

impl Deref for SignedEntry {
    type Target = UnverifiedEntry;

    fn deref(&self) -> &UnverifiedEntry {
        &self.0
    }
}

/// Why an entry cannot be signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignError {
    /// The capability does not include the entry.
    #[error("the capability does not include the entry")]
    NotGranted,
    /// The secret is not that of the capability's receiver.
    #[error("the secret is not that of the capability's receiver")]
    WrongSecret,
    /// The capability has more delegations than peers accept.
    #[error("the capability has more than {MAX_DELEGATIONS} delegations, which no peer accepts")]
    TooManyDelegations,
}

impl SignedEntry {
    /// An entry whose signature was found to hold: by `verify`, or before it came into the store.
    pub(crate) const fn proven(entry: UnverifiedEntry) -> Self {
        Self(entry)
    }

    /// Signs an entry of one's own.
    ///
    /// # Errors
    /// If `capability` does not include `entry` or has too many delegations, or if `secret` is not its receiver's.
    pub fn sign(entry: Entry, capability: Arc<WriteCapability>, secret: &SubspaceSecret) -> Result<Self, SignError> {
        if secret.corresponding_subspace_id() != *capability.receiver() {
            return Err(SignError::WrongSecret);
        }
        if !capability.includes(&entry) {
            return Err(SignError::NotGranted);
        }
        if capability.delegations().len() > MAX_DELEGATIONS {
            return Err(SignError::TooManyDelegations);
        }
        let mut message = Writer::with_capacity(LIKELY_LEN);
        encode_entry(&mut message, &entry);
        let signature = signature_bytes(&secret.sign(message.as_bytes()));
        let id = EntryId::of_encoding(message.as_bytes());
        Ok(Self(UnverifiedEntry { entry, capability, signature, id }))
    }

    /// The entry with its token, absolutely: entry ‖ capability ‖ signature.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(2 * LIKELY_LEN);
        encode_entry(&mut w, &self.entry);
        encode_write_capability(&mut w, &self.capability);
        w.bytes(&self.signature);
        w.into_bytes()
    }

    /// Reads what [`Self::to_bytes`] writes, from the whole of `bytes`.
    ///
    /// # Errors
    /// If the bytes are no canonic entry with a canonic, valid capability that includes it, and a signature.
    pub fn from_bytes(bytes: &[u8], cache: &mut CapCache) -> Result<UnverifiedEntry, DecodeError> {
        let mut r = Reader::new(bytes);
        let entry = decode_entry(&mut r, cache.keys())?;
        let capability = cache.decode_write_capability(&mut r)?;
        let signature = r.array()?;
        r.finish()?;
        if !capability.includes(&entry) {
            return Err(DecodeError::NotGranted);
        }
        Ok(UnverifiedEntry::new(entry, Token { capability, signature }))
    }

    /// The same as willow25 has it.
    #[must_use]
    #[allow(unsafe_code)]
    pub fn authorised(&self) -> AuthorisedEntry {
        let token = AuthorisationToken::new(WriteCapability::clone(&self.capability), self.signature.into());
        let entry = PossiblyAuthorisedEntry::new(self.entry.clone(), token);
        // SAFETY: a `SignedEntry` is made only after its capability and signature were verified.
        unsafe { entry.into_authorised_entry_unchecked() }
    }

    /// The entry and its token.
    #[must_use]
    pub fn into_parts(self) -> (Entry, Token) {
        (self.0.entry, Token { capability: self.0.capability, signature: self.0.signature })
    }
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
