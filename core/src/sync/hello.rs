//! Hello: the first frame in both directions of a session stream.
//!
//! It carries the version, the sender's limits, its [`Generation`] and the receiver key of this session, and is signed by that key
//! over `label ‖ role ‖ session_secret ‖ the rest`. The session secret binds it to this very connection. How the bytes travel and
//! what is decided by the generation is not known here.
//!
//! Layout, 146 bytes: `version(1) ‖ max_payload_power(1) ‖ overlap_handles(8) ‖ capability_handles(8) ‖ unanswered_ranges(8) ‖
//! instance(16) ‖ counter(8) ‖ receiver(32) ‖ signature(64)`, numbers big-endian. The version comes first and is checked first, so
//! that any later layout is refused as a version and not as garbage.

use ed25519_zebra::SigningKey;

use crate::{
    Generation, Role,
    willow::{SubspaceId, SubspaceSecret, verify::is_signed_by},
};

/// The version of the protocol that this node speaks.
pub const VERSION: u8 = 1;
/// The greatest maximum payload power: payloads of up to 2^63 bytes.
pub const MAX_PAYLOAD_POWER: u8 = 63;

const LABEL: &[u8] = b"osier hello 1\0";
const SIGNED: usize = 82;
const LENGTH: usize = SIGNED + 64;

/// How much of each thing a node lets its peer have at a time in one session. What a peer allows beyond that is not made use of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Live overlap handles (hashes of interests), at least 1.
    pub overlap_handles: u64,
    /// Live read capability handles, at least 1.
    pub capability_handles: u64,
    /// Ranges that ask for an answer and have none yet, at least 1.
    pub unanswered_ranges: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { overlap_handles: 1024, capability_handles: 128, unanswered_ranges: 1024 }
    }
}

/// What a node says of itself at the start of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// Payloads of up to 2^this bytes may come unsolicited, 0..=63.
    pub max_payload_power: u8,
    /// What the sender allows its peer.
    pub limits: Limits,
    /// Which start of the sender, and which of its connections.
    pub generation: Generation,
    /// The sender's receiver key: every read capability that it shows in this session has this receiver.
    pub receiver: SubspaceId,
}

/// A Hello that is not accepted. The connection closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HelloError {
    /// Not as long as a Hello of this version is.
    #[error("a Hello of {length} bytes")]
    Undecodable {
        /// Its length.
        length: usize,
    },
    /// A version that this node does not speak.
    #[error("protocol version {version} is not supported")]
    Version {
        /// The peer's version.
        version: u8,
    },
    /// A value that is out of its bounds.
    #[error("a Hello with a bad {0}")]
    BadValue(&'static str),
    /// Not signed by its receiver key for this role and this connection.
    #[error("a Hello with a wrong signature")]
    Signature,
}

impl HelloError {
    /// A stable name of the rule, for events and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Undecodable { .. } => "helloUndecodable",
            Self::Version { .. } => "helloVersion",
            Self::BadValue(_) => "helloBadValue",
            Self::Signature => "helloSignature",
        }
    }
}

impl Hello {
    /// The bytes of this Hello as sent by `role` on the connection of `session_secret`, signed by `secret`, whose public key must
    /// be [`Hello::receiver`].
    #[must_use]
    pub fn sign(&self, role: Role, session_secret: &[u8; 32], secret: &SubspaceSecret) -> Vec<u8> {
        debug_assert_eq!(secret.corresponding_subspace_id(), self.receiver);
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.extend([VERSION, self.max_payload_power]);
        for limit in [self.limits.overlap_handles, self.limits.capability_handles, self.limits.unanswered_ranges] {
            bytes.extend(limit.to_be_bytes());
        }
        bytes.extend(self.generation.instance);
        bytes.extend(self.generation.counter.to_be_bytes());
        bytes.extend(self.receiver.as_bytes());
        let signature = SigningKey::from(*secret.as_bytes()).sign(&signed(role, session_secret, &bytes));
        bytes.extend(signature.to_bytes());
        bytes
    }

    /// Decodes and checks the Hello that `role` sent on the connection of `session_secret`.
    ///
    /// # Errors
    /// [`HelloError`], one variant per rule; the version is looked at first.
    pub fn verify(bytes: &[u8], role: Role, session_secret: &[u8; 32]) -> Result<Self, HelloError> {
        let undecodable = HelloError::Undecodable { length: bytes.len() };
        match bytes.first() {
            None => return Err(undecodable),
            Some(&VERSION) => {}
            Some(&version) => return Err(HelloError::Version { version }),
        }
        if bytes.len() != LENGTH {
            return Err(undecodable);
        }
        let mut fields = Fields(bytes);
        let [_, max_payload_power] = fields.take().ok_or(undecodable)?;
        let limits = Limits {
            overlap_handles: fields.number().ok_or(undecodable)?,
            capability_handles: fields.number().ok_or(undecodable)?,
            unanswered_ranges: fields.number().ok_or(undecodable)?,
        };
        let generation = Generation { instance: fields.take().ok_or(undecodable)?, counter: fields.number().ok_or(undecodable)? };
        let receiver: [u8; 32] = fields.take().ok_or(undecodable)?;
        let signature: [u8; 64] = fields.take().ok_or(undecodable)?;
        if max_payload_power > MAX_PAYLOAD_POWER {
            return Err(HelloError::BadValue("maximum payload power"));
        }
        if limits.overlap_handles == 0 || limits.capability_handles == 0 {
            return Err(HelloError::BadValue("limit of handles"));
        }
        if limits.unanswered_ranges == 0 {
            return Err(HelloError::BadValue("limit of unanswered ranges"));
        }
        let rest = bytes.get(..SIGNED).ok_or(undecodable)?;
        if !is_signed_by(&receiver, &signed(role, session_secret, rest), &signature) {
            return Err(HelloError::Signature);
        }
        Ok(Self { max_payload_power, limits, generation, receiver: SubspaceId::from_bytes(&receiver) })
    }
}

/// What is signed: `label ‖ role ‖ session_secret ‖ the rest of the Hello`.
fn signed(role: Role, session_secret: &[u8; 32], rest: &[u8]) -> Vec<u8> {
    let role = match role {
        Role::Alfie => 0_u8,
        Role::Betty => 1,
    };
    [LABEL, &[role], session_secret, rest].concat()
}

/// Fields of fixed width, from the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests;
