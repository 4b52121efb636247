//! Osier: a Willow node for the browser, and natively the same.

pub mod net;
pub mod node;
pub mod platform;

#[cfg(target_arch = "wasm32")]
pub mod js;
