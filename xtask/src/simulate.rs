//! `cargo xtask simulate`: many nodes on one virtual clock and network, by the thousand. The last line is one JSON object.

use crate::process::{Outcome, run};
use crate::workspace::cargo;

/// `cargo xtask simulate [--runs N] [--seed S]`.
pub fn command(arguments: &[String]) -> Outcome {
    let simulate = ["run", "--quiet", "--package", "osier-core", "--features", "sim", "--example", "simulate", "--"];
    // A simulation computes for long: what it runs is optimised, unlike in the tests.
    run(cargo().args(["--config", "profile.dev.opt-level=2"]).args(simulate).args(arguments))
}
