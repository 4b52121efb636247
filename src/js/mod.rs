//! The WebAssembly surface: what `pkg/lib/*.js` calls, one file per class.
//!
//! Thin conversions over [`crate::node`] and nothing else: arguments are checked here, so that a mistake is named by its argument; what a
//! method does is the node's business. Errors leave as plain objects `{ code, message, argument?, detail? }`, of which the package makes
//! its `WillowError`. Every method clones the node's handle before it awaits, so that no borrow of a JavaScript object outlives a call.

mod accept;
mod arguments;
mod drops;
mod error;
mod events;
mod fetch;
mod intent;
mod node;
mod output;
mod writer;

pub use drops::{RawExport, RawImport};
pub use events::RawEvents;
pub use fetch::RawFetch;
pub use intent::{RawIncoming, RawIntent};
pub use node::RawNode;
pub use writer::RawWriter;

use std::future::Future;

use js_sys::Promise;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::node::Error;

/// A promise of what `work` yields.
fn promise<T: Into<JsValue>>(work: impl Future<Output = Result<T, Error>> + 'static) -> Promise {
    wasm_bindgen_futures::future_to_promise(async move { work.await.map(Into::into).map_err(|error| error::to_js(&error)) })
}

/// Runs once when the module is loaded: a panic, which ends the module, says where on the console.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| web_sys::console::error_1(&info.to_string().into())));
}
