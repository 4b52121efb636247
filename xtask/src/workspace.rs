//! Where things are: the repository, the target folder and what is made below it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::program;

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Cargo's target folder, which also holds everything that xtask makes.
pub fn target() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The site: the files of `www/`, and the unpacked npm package in `osier/`.
pub fn site() -> PathBuf {
    target().join("site")
}

/// The extension, as a browser loads it: the files of `www/extension/`, and the unpacked npm package in `osier/`.
pub fn extension() -> PathBuf {
    target().join("extension")
}

/// The native program `osier`, once it is built.
pub fn native_program() -> PathBuf {
    target().join("debug").join(format!("osier{}", env::consts::EXE_SUFFIX))
}

/// The cargo that runs xtask, in the root of the repository.
pub fn cargo() -> Command {
    let mut command = program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}
