//! `cargo xtask docs`: the API of the npm package and the guides as pages, in `target/docs`. A warning is an error.

use crate::process::{Outcome, program, run};
use crate::setup;
use crate::workspace::{root, target};

/// `cargo xtask docs`.
pub fn command(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(format!("docs takes no arguments, not `{argument}`").into());
    }
    setup::npm_packages()?;
    let pages = target().join("docs");
    let mut typedoc = program(root().join("node_modules/.bin/typedoc"));
    run(typedoc.args(["--options", "docs/typedoc.json", "--out"]).arg(&pages).current_dir(root()))?;
    println!("docs: {}", pages.join("index.html").display());
    Ok(())
}
