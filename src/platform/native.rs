//! Natively: a thread for each node, tokio for tasks.

use std::future::Future;

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
