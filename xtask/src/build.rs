//! `cargo xtask build`: from Rust to what is shipped. Three steps, each on the last one's result:
//! the wasm module (`pkg/osier.wasm`) with its glue (`pkg/generated/`), the npm package (`target/package/`), the site (`target/site/`) with the
//! extension (`target/extension/`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::process::{Outcome, capture, program, run};
use crate::setup;
use crate::workspace::{cargo, extension as extension_folder, root, site as site_folder, target};

/// What rustc's wasm32-unknown-unknown may use, so that `wasm-opt` accepts it. Every engine of the last years has all of it.
const WASM_FEATURES: &[&str] = &[
    "--enable-bulk-memory",
    "--enable-bulk-memory-opt",
    "--enable-call-indirect-overlong",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// `cargo xtask build`.
pub fn command(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(format!("build takes no arguments, not `{argument}`").into());
    }
    site()?;
    print!("{}", sizes()?);
    println!("package: {}", tarball()?.display());
    println!("site:    {}", site_folder().display());
    println!("extension: {}", extension_folder().display());
    Ok(())
}

/// A wasm module that a crate of this workspace becomes.
pub struct Module {
    /// The cargo package.
    pub package: &'static str,
    /// The name of its library target, which is also that of the glue.
    pub library: &'static str,
    /// Where the glue goes.
    pub folder: PathBuf,
    /// The finished module. The glue does not know where it is.
    pub file: PathBuf,
}

impl Module {
    /// The module of the npm package.
    pub fn shipped() -> Self {
        let package = root().join("pkg");
        Self { package: "osier", library: "osier", folder: package.join("generated"), file: package.join("osier.wasm") }
    }

    /// Compiles, binds and shrinks the module, unless nothing has changed.
    pub fn build(&self) -> Outcome {
        setup::wasm_target()?;
        run(cargo().args(["build", "--release", "--lib", "--target", setup::WASM, "--package", self.package]))?;
        let compiled = target().join(setup::WASM).join("release").join(format!("{}.wasm", self.library));
        if is_newer(&self.file, &compiled) {
            return Ok(());
        }
        let bindgen = setup::wasm_bindgen()?.join("wasm-bindgen");
        let bound = target().join("bindgen").join(self.library);
        let options = ["--target", "web", "--omit-default-module-path", "--out-name", self.library, "--out-dir"];
        run(program(bindgen).args(options).arg(&bound).arg(&compiled))?;
        self.shrink(&bound)
    }

    /// Moves what wasm-bindgen made to its place, the module last, so that an interrupted build is repeated.
    fn shrink(&self, bound: &Path) -> Outcome {
        setup::npm_packages()?;
        clear(&self.folder)?;
        let (module, small) = (format!("{}_bg.wasm", self.library), bound.join("small.wasm"));
        let optimiser = root().join("node_modules/.bin/wasm-opt");
        let options = ["-Oz", "--strip-debug", "--strip-producers", "--strip-target-features"];
        run(program(optimiser).args(options).args(WASM_FEATURES).arg(bound.join(&module)).arg("-o").arg(&small))?;
        for entry in fs::read_dir(bound)? {
            let file = entry?.path();
            if let Some(name) = file.file_name().filter(|name| *name != "small.wasm" && *name != module.as_str()) {
                fs::copy(&file, self.folder.join(name))?;
            }
        }
        fs::rename(&small, &self.file)?;
        Ok(())
    }
}

/// Builds the npm package as npm packs it, and returns the tarball.
pub fn package() -> Outcome<PathBuf> {
    Module::shipped().build()?;
    setup::node()?;
    clear(&package_folder())?;
    let contents = package_folder().join("osier");
    copy_tree(&root().join("pkg"), &contents)?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(root().join(licence), contents.join(licence))?;
    }
    run(node("inline.mjs").arg(contents.join("osier.wasm")).arg(contents.join("generated/inline.js")))?;
    run(node("worker.mjs").arg(contents.join("lib/host/entry.js")).arg(contents.join("worker.js")))?;
    let pack = ["pack", "--loglevel=error", "--pack-destination"];
    capture(program("npm").args(pack).arg(package_folder()).current_dir(contents))?;
    tarball()
}

/// Whether this process has built the site. Held by who builds it: it has one folder.
static BUILT: Mutex<bool> = Mutex::new(false);

/// Builds the site and the extension, with the package as it comes out of its tarball. Once: what is built for tests meanwhile would have cargo build it again,
/// since the module's file bears no hash.
pub fn site() -> Outcome {
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if *built {
        return Ok(());
    }
    let tarball = package()?;
    let folder = site_folder();
    clear(&folder)?;
    copy_tree(&root().join("www"), &folder)?;
    let unpacked = folder.join("osier");
    clear(&unpacked)?;
    run(program("tar").args(["--strip-components=1", "-xzf"]).arg(tarball).arg("-C").arg(&unpacked))?;
    extension(&unpacked)?;
    *built = true;
    Ok(())
}

/// Puts the extension together: its own files, what it shares with the notebook, and the package, since an extension imports nothing from elsewhere.
fn extension(package: &Path) -> Outcome {
    let folder = extension_folder();
    clear(&folder)?;
    fs::remove_dir_all(site_folder().join("extension"))?;
    copy_tree(&root().join("www/extension"), &folder)?;
    copy_tree(package, &folder.join("osier"))?;
    fs::create_dir(folder.join("lib"))?;
    for shared in ["style.css", "lib/dom.js"] {
        fs::copy(root().join("www").join(shared), folder.join(shared))?;
    }
    Ok(())
}

/// A table of what the package weighs: raw, gzip and brotli, each at its highest level.
fn sizes() -> Outcome<String> {
    capture(node("sizes.mjs").arg(package_folder().join("osier")))
}

/// A script of xtask/node.
fn node(script: &str) -> Command {
    let mut command = program("node");
    command.arg(root().join("xtask/node").join(script));
    command
}

fn package_folder() -> PathBuf {
    target().join("package")
}

/// What npm packed.
pub fn tarball() -> Outcome<PathBuf> {
    let files = fs::read_dir(package_folder())?.filter_map(Result::ok).map(|entry| entry.path());
    files.into_iter().find(|file| file.extension().is_some_and(|it| it == "tgz")).ok_or_else(|| "npm pack made no tarball".into())
}

/// An empty folder, whatever was there.
fn clear(folder: &Path) -> Outcome {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

fn copy_tree(from: &Path, to: &Path) -> Outcome {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn is_newer(made: &Path, source: &Path) -> bool {
    let changed = |file: &Path| -> Option<SystemTime> { fs::metadata(file).ok()?.modified().ok() };
    match (changed(made), changed(source)) {
        (Some(made), Some(source)) => made > source,
        _ => false,
    }
}
