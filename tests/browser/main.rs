//! Tests in a real browser, over a real relay: nodes in one page, and the surface that the npm package calls.
//!
//! The relay's URL comes at compile time: a page cannot start processes. Which kind of page or worker runs the tests is chosen by
//! `WASM_BINDGEN_USE_BROWSER`, `…_DEDICATED_WORKER` or `…_SHARED_WORKER`.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod accept;
mod raw;
mod reconnect;
mod resume;
mod simulation;
mod storage;
mod storage_damage;
mod storage_failures;
mod storage_packs;
mod storage_trouble;
mod support;
mod surface;
mod sync;
mod trouble;
