//! `cargo xtask bench [MEASURE…]`: Osier against its baselines, in one page and one run.

use crate::build::{self, Module};
use crate::demo::{node_script, osier};
use crate::process::{Outcome, program, run};
use crate::relay::Relay;
use crate::serve::site_mounts;
use crate::server::{Mount, Server};
use crate::setup;
use crate::workspace::{root, target};

/// `cargo xtask bench [MEASURE…]`: the named measures (`P1`, …), or all of them.
pub fn command(measures: &[String]) -> Outcome {
    if let Some(option) = measures.iter().find(|measure| measure.starts_with('-')) {
        return Err(format!("bench takes names of measures, no options like `{option}`").into());
    }
    setup::npm_packages()?;
    let browser = setup::chromium()?;
    let modules = target().join("bench");
    Module { package: "bench-iroh", library: "bench_iroh", folder: modules.join("iroh"), file: modules.join("iroh.wasm") }.build()?;
    Module { package: "bench-core", library: "bench_core", folder: modules.join("core"), file: modules.join("core.wasm") }.build()?;
    build::site()?;
    let osier = osier()?;
    let relay = Relay::start(&osier, 0)?;
    let mut mounts =
        vec![Mount { path: "/bench/", folder: root().join("bench/pages") }, Mount { path: "/modules/", folder: modules.clone() }];
    mounts.extend(site_mounts());
    let server = Server::start(0, mounts)?;
    let mut script = node_script(program("node"), &root().join("bench/run.mjs"), &server, &osier, &browser.browser)?;
    run(script.args(measures).env("OSIER_RELAY", relay.url()).env("OSIER_MODULES", modules))
}
