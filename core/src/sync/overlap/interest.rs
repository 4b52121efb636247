//! Salted hashes of private interests, and which of them a node has to compare.
//!
//! An interest is (namespace, subspace or any, path): what an area of interest is without its times. Pure functions; nothing here
//! knows of messages or handles.

use bab_rs::{William3Digest, batch_hash};

use crate::{
    Role,
    willow::{NamespaceId, Path, PrivateInterest, SubspaceId, Writer},
};

/// How many path components are considered when looking for less specific interests of the peer. It bounds the hashes that one
/// interest costs. A longer path is still found by a peer with the equal one.
pub const MAX_COMPONENTS: usize = 32;

/// The salted hash of an interest: 32 bytes.
pub(super) type InterestHash = [u8; 32];

/// The salt that `role` uses: the session secret for Alfie, its bitwise NOT for Betty.
pub(super) fn salt(role: Role, session_secret: &[u8; 32]) -> [u8; 32] {
    match role {
        Role::Alfie => *session_secret,
        Role::Betty => session_secret.map(|byte| !byte),
    }
}

/// `sync_h`: WILLIAM3(any(1 byte, 1 iff the subspace is any) ‖ salt ‖ namespace ‖ [subspace unless any] ‖ path).
///
/// **Decision.** The subspace is included iff it is *not* any; the condition in the specification is inverted.
pub(super) fn hash(salt: &[u8; 32], interest: &PrivateInterest) -> InterestHash {
    hash_parts(salt, interest.namespace(), interest.subspace(), interest.path())
}

fn hash_parts(salt: &[u8; 32], namespace: &NamespaceId, subspace: Option<&SubspaceId>, path: &Path) -> InterestHash {
    let mut writer = Writer::with_capacity(128);
    writer.u8(u8::from(subspace.is_none()));
    writer.bytes(salt);
    writer.bytes(namespace.as_bytes());
    if let Some(subspace) = subspace {
        writer.bytes(subspace.as_bytes());
    }
    writer.encode(path);
    let mut digest = William3Digest::default();
    batch_hash(writer.as_bytes(), &mut digest);
    digest.into_bytes()
}

/// One hash by which an own interest can meet one of the peer's, computed with the peer's salt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) hash: InterestHash,
    /// How many components of the own interest's path the hash covers.
    pub(super) components: usize,
    /// Whether the own subspace was replaced by any.
    pub(super) relaxed: bool,
}

/// Every hash to compare with the peer's: the interest and its path prefixes, and the same with any subspace if it has one.
pub(super) fn candidates(peer_salt: &[u8; 32], interest: &PrivateInterest) -> Vec<Candidate> {
    let path = interest.path();
    let whole = path.component_count();
    let prefixes = (0..=whole.min(MAX_COMPONENTS)).chain((whole > MAX_COMPONENTS).then_some(whole));
    let mut candidates = Vec::new();
    for components in prefixes {
        let Some(prefix) = path.create_prefix(components) else { continue };
        let hash = hash_parts(peer_salt, interest.namespace(), interest.subspace(), &prefix);
        candidates.push(Candidate { hash, components, relaxed: false });
        if interest.subspace().is_some() {
            let hash = hash_parts(peer_salt, interest.namespace(), None, &prefix);
            candidates.push(Candidate { hash, components, relaxed: true });
        }
    }
    candidates
}

/// How an own interest and one of the peer's meet, as the side sees it whose path is the longer one or equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// Equal, or mine has a subspace where the peer's has any, at the same path: show capabilities at once.
    Show,
    /// The peer's interest has a subspace where mine has any, at the same path: the peer shows at once.
    Await,
    /// Mine is more specific by its path: announce.
    Announce,
    /// {any, path} against {subspace, strict prefix of path}.
    Awkward,
}

impl Candidate {
    /// What equality with a hash of the peer means, `None` if neither side is interested in what is equal.
    pub(super) fn meeting(&self, own: &PrivateInterest, peer_interested: bool) -> Option<Meeting> {
        let same_path = self.components == own.path().component_count();
        match (self.relaxed, peer_interested) {
            (true, false) => None,
            (_, true) => Some(if same_path { Meeting::Show } else { Meeting::Announce }),
            (false, false) => Some(if same_path { Meeting::Await } else { Meeting::Awkward }),
        }
    }

    /// The interest that the hash is of.
    pub(super) fn interest(&self, own: &PrivateInterest) -> Option<PrivateInterest> {
        let subspace = if self.relaxed { None } else { own.subspace().cloned() };
        Some(PrivateInterest::new(own.namespace().clone(), subspace, own.path().create_prefix(self.components)?))
    }
}
