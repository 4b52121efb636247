//! In a browser: the one thread that a page or worker has.

use std::future::Future;

use js_sys::{Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::StorageManager;

use super::StorageEstimate;

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

/// How much storage this origin uses, and may use. `None` where the browser does not say.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate, and NaN becomes 0")]
pub async fn storage_estimate() -> Option<StorageEstimate> {
    let estimate: web_sys::StorageEstimate = JsFuture::from(storage()?.estimate().ok()?).await.ok()?.unchecked_into();
    Some(StorageEstimate { usage: estimate.get_usage()? as u64, quota: estimate.get_quota()? as u64 })
}

/// Whether what is stored stays until the user removes it. Otherwise the browser may remove it when room is short, or when the site was
/// not visited for some time.
pub async fn persisted() -> bool {
    agreed(storage().and_then(|storage| storage.persisted().ok())).await
}

/// Asks the browser, which may ask the user, that what is stored may stay until the user removes it, and says whether it does. Workers
/// cannot ask.
pub async fn request_persistence() -> bool {
    agreed(storage().and_then(|storage| storage.persist().ok())).await
}

async fn agreed(answer: Option<Promise>) -> bool {
    match answer {
        Some(answer) => JsFuture::from(answer).await.is_ok_and(|answer| answer.is_truthy()),
        None => false,
    }
}

/// `navigator.storage`, in pages and workers alike.
fn storage() -> Option<StorageManager> {
    Some(global(&["navigator", "storage"])?.unchecked_into())
}

/// What is found from the global object on, property by property; `None` where this browser, page or worker does not have it.
pub(crate) fn global(path: &[&str]) -> Option<JsValue> {
    path.iter()
        .try_fold(js_sys::global().into(), |object: JsValue, &name| Reflect::get(&object, &name.into()).ok().filter(JsValue::is_truthy))
}
