//! Users, secrets and capabilities: changed on disk first, in memory then.
//!
//! The wallet is one note of the storage, beside the endpoint's secret and the time of the last start.

use osier_core::wallet::Wallet;

use super::{
    Error, SecretKey,
    inner::Inner,
    storage::{Notes, Storage},
};
use crate::platform;

/// Notes whose names begin with `secret/` are kept apart from data, see [`backend`](crate::backend).
const WALLET: &str = "secret/wallet";
const ENDPOINT: &str = "secret/endpoint";
const STARTED: &str = "started";

/// Who a node is.
pub(super) struct Identity {
    /// The secret of its endpoint.
    pub(super) secret_key: [u8; 32],
    /// When it started, in Unix milliseconds; always later than the times before.
    pub(super) started: u64,
}

/// The wallet that was kept, or an empty one.
pub(super) fn from_notes(notes: &Notes) -> Result<Wallet, Error> {
    match notes.get(WALLET) {
        Some(bytes) => Wallet::from_bytes(bytes).map_err(|error| Error::Storage { reason: error.to_string() }),
        None => Ok(Wallet::new()),
    }
}

/// Who the node is from now on.
pub(super) async fn identity(storage: &Storage, notes: &Notes, wanted: SecretKey) -> Result<Identity, Error> {
    let before = notes.get(STARTED).and_then(|bytes| bytes.as_slice().try_into().ok()).map_or(0, u64::from_be_bytes);
    let started = (platform::unix_micros() / 1000).max(before.saturating_add(1));
    storage.keep(|| Ok(((), Some((STARTED, started.to_be_bytes().to_vec())))), |()| {}).await?;
    let kept: Option<[u8; 32]> = notes.get(ENDPOINT).and_then(|bytes| bytes.as_slice().try_into().ok());
    let secret_key = match (wanted, kept) {
        (SecretKey::Given(key), _) | (SecretKey::Stored, Some(key)) => key,
        (SecretKey::Ephemeral, _) => platform::random(),
        (SecretKey::Stored, None) => {
            let fresh: [u8; 32] = platform::random();
            storage.keep(|| Ok((fresh, Some((ENDPOINT, fresh.to_vec())))), |_| {}).await?
        }
    };
    Ok(Identity { secret_key, started })
}

impl Inner {
    /// Changes the wallet; once this returns, the change is kept.
    pub(super) async fn change_wallet<T>(&self, change: impl FnOnce(&mut Wallet) -> Result<T, Error>) -> Result<T, Error> {
        let made = || {
            let before = self.wallet.borrow();
            let mut wallet = before.clone();
            let answer = change(&mut wallet)?;
            let bytes = wallet.to_bytes();
            let note = (bytes != before.to_bytes()).then_some((WALLET, bytes));
            Ok(((answer, wallet), note))
        };
        let (answer, _) = self.storage.keep(made, |(_, wallet)| *self.wallet.borrow_mut() = wallet.clone()).await?;
        Ok(answer)
    }
}
