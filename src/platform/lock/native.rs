//! Natively: no lock at all.

use super::{Lock, Taken};

/// Being the owner.
#[derive(Debug)]
pub struct OwnerLock(());

impl OwnerLock {
    /// Resolves once somebody else has taken it: never.
    pub fn stolen(&self) -> impl Future<Output = ()> + use<> {
        std::future::pending()
    }

    /// Lets go.
    #[allow(clippy::unused_async, reason = "in a browser this waits")]
    pub async fn release(self) {}
}

#[allow(clippy::unused_async, reason = "in a browser this waits")]
pub(super) async fn acquire(_name: &str, _lock: Lock) -> Result<OwnerLock, Taken> {
    Ok(OwnerLock(()))
}
