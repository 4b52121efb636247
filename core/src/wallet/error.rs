//! Why the wallet refuses. One variant per rule, each naming what was wrong.

use super::secret::SecretError;
use super::text::Hex;
use super::ticket::TicketError;
use crate::willow::MAX_DELEGATIONS;

/// Why the wallet refuses: in each case the caller's argument, nothing has changed.
/// Users and namespaces are named by the bytes of their ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WalletError {
    /// The secret of this user is not here.
    #[error("no such user here: {}", Hex(.0))]
    NoSuchUser([u8; 32]),
    /// Nothing is known of this namespace here.
    #[error("no such namespace here: {}", Hex(.0))]
    NoSuchNamespace([u8; 32]),
    /// There is no secret of this namespace here: it is communal, or somebody else's.
    #[error("the secret of the namespace is not here: {}", Hex(.0))]
    NoNamespaceSecret([u8; 32]),
    /// No capability lets the user write at the path.
    #[error("the user {} holds no capability to write there", Hex(.0))]
    MayNotWrite([u8; 32]),
    /// No single capability of the user (or of any) covers what should be shared.
    #[error("no capability covers the area that should be shared")]
    MayNotShare,
    /// The capability that should be shared was passed on too often already.
    #[error("a capability can be passed on {MAX_DELEGATIONS} times at most")]
    TooManyDelegations,
    /// The source of randomness yields no key of the wanted kind.
    #[error("the source of randomness does not yield a usable key")]
    Randomness,
    /// The text is no secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The ticket cannot be used.
    #[error(transparent)]
    Ticket(#[from] TicketError),
}
