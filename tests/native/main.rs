//! Native nodes against a real relay on loopback. Nothing here depends on how long something takes: events are awaited, and the only clock
//! is a generous limit on each wait.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod accept;
mod data;
mod drops;
mod failures;
mod harness;
mod hostile;
mod intents;
mod lasting;
mod mistakes;
mod payloads;
mod quotas;
mod reconnect;
mod relay_status;
mod resume;
mod spaces;
mod storage;
mod storage_versions;
mod sync;
mod unheld;
