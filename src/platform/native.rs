//! Natively: a thread for each node, tokio for tasks.

use std::future::Future;

use super::StorageEstimate;

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the node could not be started: {0}")]
pub struct StartError(#[from] std::io::Error);

/// Runs a node's future where it will stay: on a new thread with a runtime of its own.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<(), StartError>
where
    F: Future<Output = ()> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("osier".into()).spawn(move || {
        tokio::task::LocalSet::new().block_on(&runtime, make());
    })?;
    Ok(())
}

pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    tokio::task::spawn_local(future);
}

/// How much storage is used, and may be used: not known.
#[allow(clippy::unused_async, reason = "a browser has to be asked")]
pub async fn storage_estimate() -> Option<StorageEstimate> {
    None
}

/// Whether what is stored stays until it is removed: files do.
#[allow(clippy::unused_async, reason = "a browser has to be asked")]
pub async fn persisted() -> bool {
    true
}

/// Asks that what is stored may stay until it is removed, and says whether it does.
pub async fn request_persistence() -> bool {
    persisted().await
}
