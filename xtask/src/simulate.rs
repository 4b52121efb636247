//! `cargo xtask simulate`: many nodes on one virtual clock and network, by the thousand. The last line is one JSON object.

use crate::process::{Outcome, run};
use crate::workspace::cargo;

/// `cargo xtask simulate [--runs N] [--seed S]`.
pub fn command(arguments: &[String]) -> Outcome {
    let simulate = ["run", "--quiet", "--package", "osier-core", "--features", "sim", "--example", "simulate", "--"];
    run(cargo().args(simulate).args(arguments))
}
