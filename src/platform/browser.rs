//! In a browser: the one thread that a page or worker has.

use std::future::Future;

/// Why a node could not be started: it always can be.
#[derive(Debug, thiserror::Error)]
pub enum StartError {}

/// Runs a node's future, on this thread.
///
/// # Errors
/// Never.
pub fn start<F>(make: impl FnOnce() -> F + Send + 'static) -> Result<(), StartError>
where
    F: Future<Output = ()> + 'static,
{
    spawn(make());
    Ok(())
}

pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(future);
}
