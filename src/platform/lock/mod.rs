//! One owner at a time for what has a name: a database, the key of an endpoint.
//!
//! In a browser the owner holds a Web Lock, which all tabs and workers of an origin share, and which ends with the page that holds it.
//! Natively this locks nothing: there the storage locks its files. It must not know what is owned.

use std::time::Duration;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
use native as face;

#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
use browser as face;

pub use face::OwnerLock;

/// What to do when there is an owner already, in another tab or process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Wait until it is let go, at most so long.
    Wait(Duration),
    /// Give up at once.
    Fail,
    /// Take it away from its owner.
    Steal,
}

impl Default for Lock {
    fn default() -> Self {
        Self::Wait(Duration::from_secs(15))
    }
}

/// There is another owner, who keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("it is owned elsewhere")]
pub struct Taken;

/// Becomes the owner of what has this name, until the returned lock is dropped or stolen. Dropping the future gives up.
///
/// Where a browser has no Web Locks, everybody becomes the owner: whoever needs more than good manners checks for himself.
///
/// # Errors
/// [`Taken`].
pub async fn acquire(name: &str, lock: Lock) -> Result<OwnerLock, Taken> {
    face::acquire(name, lock).await
}
