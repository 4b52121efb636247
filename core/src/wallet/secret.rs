//! Secrets of users and namespaces as text, to carry them to another device. Whoever reads the text is that user.

use willow25::entry::{NamespaceSecret, SubspaceSecret};

use super::text::{self, TextError};

const VERSION: u32 = 1;
const USER: &str = "osieruser";
const NAMESPACE: &str = "osiernamespace";
const MAX_TEXT: usize = 256;

/// A secret that was read from text.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Of a user.
    User(SubspaceSecret),
    /// Of an owned namespace.
    Namespace(NamespaceSecret),
}

/// What is wrong with the text of a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SecretError {
    /// It is something else.
    #[error("the text is no secret: it should start with {USER}{VERSION}- or {NAMESPACE}{VERSION}-")]
    NotASecret,
    /// It comes from another version of the software.
    #[error("the secret has version {0}, only version {VERSION} is supported")]
    UnsupportedVersion(u32),
    /// It has a character or a length that no secret has.
    #[error("the text of the secret is malformed")]
    Malformed,
    /// A character was changed or lost.
    #[error("the checksum of the secret is wrong: a part is missing or changed")]
    BadChecksum,
    /// The secret of a communal namespace: it gives no rights.
    #[error("the secret is of a communal namespace, which has no owner")]
    Communal,
}

impl Secret {
    /// The text: `osieruser1-…` or `osiernamespace1-…`.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::User(secret) => text::encode(USER, VERSION, secret.as_bytes()),
            Self::Namespace(secret) => text::encode(NAMESPACE, VERSION, secret.as_bytes()),
        }
    }

    /// The inverse of [`to_text`](Self::to_text); white space around it does not matter.
    ///
    /// # Errors
    /// [`SecretError`], all but one variant; the wallet adds the last.
    pub fn from_text(secret: &str) -> Result<Self, SecretError> {
        let is_user = secret.trim().starts_with(USER);
        let word = if is_user { USER } else { NAMESPACE };
        let content = text::decode(word, VERSION, secret, MAX_TEXT).map_err(|error| match error {
            TextError::OtherWord => SecretError::NotASecret,
            TextError::UnsupportedVersion(version) => SecretError::UnsupportedVersion(version),
            TextError::Malformed => SecretError::Malformed,
            TextError::Checksum => SecretError::BadChecksum,
        })?;
        let bytes: &[u8; 32] = content.as_slice().try_into().map_err(|_| SecretError::Malformed)?;
        Ok(if is_user { Self::User(SubspaceSecret::from_bytes(bytes)) } else { Self::Namespace(NamespaceSecret::from_bytes(bytes)) })
    }
}

/// Does not show the secret.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User(_) => "Secret::User(..)",
            Self::Namespace(_) => "Secret::Namespace(..)",
        })
    }
}
