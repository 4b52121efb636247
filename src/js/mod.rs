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
mod payload;
mod texts;

pub use drops::{RawExport, RawImport};
pub use events::RawEvents;
pub use fetch::RawFetch;
pub use intent::{RawIncoming, RawIntent};
pub use node::RawNode;
pub use payload::RawWriter;

use std::{cell::RefCell, future::Future};

use js_sys::{Function, Promise};
use tokio::sync::mpsc;
use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use self::output::ToJs;
use crate::node::Error;

/// A promise of what `work` yields.
fn promise<T: Into<JsValue>>(work: impl Future<Output = Result<T, Error>> + 'static) -> Promise {
    wasm_bindgen_futures::future_to_promise(async move { work.await.map(Into::into).map_err(|error| error::to_js(&error)) })
}

/// Calls `function`, if there is one, with what comes through a channel, to its end. The node's callbacks may be called on another thread in
/// general; a JavaScript function may not. So they meet there. What the function throws is its own business.
async fn report<T: ToJs>(mut values: mpsc::UnboundedReceiver<T>, function: Option<Function>) {
    while let Some(value) = values.recv().await {
        if let Some(function) = &function {
            let _ = function.call1(&JsValue::UNDEFINED, &value.to_js());
        }
    }
}

thread_local! {
    /// Who hears of a panic.
    static PANICKED: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Runs once when the module is loaded: a panic, which ends the module, says where on the console.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| {
        let message = JsValue::from(info.to_string());
        web_sys::console::error_1(&message);
        tell_panicked(&message);
    }));
}

/// Has a function called with the message of a panic, after which nothing of this module answers any more.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(told: Function) {
    PANICKED.with_borrow_mut(|panicked| *panicked = Some(told));
}

/// Not with what a panicking function may still have borrowed: it is taken out.
fn tell_panicked(message: &JsValue) {
    let told = PANICKED.with(|panicked| panicked.try_borrow_mut().ok()?.take());
    if let Some(told) = told {
        // There is nobody else to tell.
        let _ = told.call1(&JsValue::UNDEFINED, message);
    }
}
