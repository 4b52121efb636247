//! What Osier is measured against and what is counted rather than timed, in a module built as the shipped one is.

#![cfg(target_arch = "wasm32")]

mod difference;
mod signatures;

pub use difference::{Cost, difference};
pub use signatures::Signatures;

use wasm_bindgen::prelude::*;

/// Bytes of the module's heap.
#[wasm_bindgen]
pub fn heap_bytes() -> f64 {
    let memory: js_sys::WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: js_sys::ArrayBuffer = memory.buffer().unchecked_into();
    f64::from(buffer.byte_length())
}
