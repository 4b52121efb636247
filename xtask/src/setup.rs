//! Installing what is missing, one line each. Every command calls the pieces that it needs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::engine::{DEFAULT, Engine};
use crate::lockfile::version_of;
use crate::process::{Outcome, capture, find_program, program, run};
use crate::workspace::{cargo, root, target};

/// The target triple of the browser.
pub const WASM: &str = "wasm32-unknown-unknown";

/// Names under which systems install Firefox.
const FIREFOX: &[&str] = &["firefox-esr", "firefox"];

/// Names under which systems install Chromium.
const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// `cargo xtask setup`: everything at once.
pub fn command(arguments: &[String]) -> Outcome {
    if let Some(argument) = arguments.first() {
        return Err(format!("setup takes no arguments, not `{argument}`").into());
    }
    everything(DEFAULT)?;
    println!("setup: everything is there");
    Ok(())
}

/// Begins to install everything, beside what the caller does meanwhile: downloads wait for the network, builds for disks. Whoever needs a
/// piece waits for it, and hears then if it cannot be had.
pub fn begin(engines: &[Engine]) {
    let engines = engines.to_vec();
    std::thread::spawn(move || {
        // Told again when the piece is needed.
        let _ = everything(&engines);
    });
}

/// What is downloaded first, then what is built.
fn everything(engines: &[Engine]) -> Outcome {
    chromium()?;
    wasm_target()?;
    npm_packages()?;
    wasm_bindgen()?;
    wasm_pack()?;
    engines.iter().try_for_each(|engine| engine.browser().map(drop))
}

/// Held by who installs something: two at once would get into each other's way.
static INSTALLING: Mutex<()> = Mutex::new(());

fn installing() -> MutexGuard<'static, ()> {
    INSTALLING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The standard library for wasm, and clang, which compiles ring for it.
pub fn wasm_target() -> Outcome {
    let turn = installing();
    let sysroot = capture(program("rustc").args(["--print", "sysroot"]).current_dir(root()))?;
    if !Path::new(sysroot.trim()).join("lib/rustlib").join(WASM).is_dir() {
        println!("setup: adding the target {WASM} with rustup");
        run(program("rustup").args(["target", "add", WASM]).current_dir(root()))?;
    }
    drop(turn);
    system_packages(&[(&["clang"], "clang")])
}

/// The folder that holds `wasm-bindgen` and its test runner, of the version in Cargo.lock.
pub fn wasm_bindgen() -> Outcome<PathBuf> {
    cargo_tool("wasm-bindgen-cli", &version_of("wasm-bindgen")?, &["wasm-bindgen", "wasm-bindgen-test-runner"])
}

/// The program `wasm-pack`.
pub fn wasm_pack() -> Outcome<PathBuf> {
    Ok(cargo_tool("wasm-pack", "0.15.1", &["wasm-pack"])?.join("wasm-pack"))
}

/// A browser, and what drives it.
pub struct Browser {
    /// The browser. WebKit's driver knows its own.
    pub browser: PathBuf,
    /// Its WebDriver.
    pub driver: PathBuf,
}

/// Chromium and chromedriver of the system.
pub fn chromium() -> Outcome<Browser> {
    system_packages(&[(CHROMIUM, "chromium"), (&["chromedriver"], "chromium-driver")])?;
    installed(CHROMIUM, find_program(&["chromedriver"]))
}

/// Firefox of the system, and geckodriver.
pub fn firefox() -> Outcome<Browser> {
    system_packages(&[(FIREFOX, "firefox-esr")])?;
    installed(FIREFOX, Some(cargo_tool("geckodriver", "0.37.1", &["geckodriver"])?.join("geckodriver")))
}

/// WebKitGTK of the system, its driver, and a screen for it.
pub fn webkit() -> Outcome<Browser> {
    const DRIVER: &[&str] = &["WebKitWebDriver"];
    system_packages(&[(DRIVER, "webkit2gtk-driver"), (&["xvfb-run"], "xvfb"), (&["xauth"], "xauth")])?;
    installed(DRIVER, find_program(DRIVER))
}

fn installed(names: &[&str], driver: Option<PathBuf>) -> Outcome<Browser> {
    match (find_program(names), driver) {
        (Some(browser), Some(driver)) => Ok(Browser { browser, driver }),
        _ => Err(format!("{} or its driver is not on PATH even after installing it", names[0]).into()),
    }
}

/// The npm packages of package-lock.json, in `node_modules/`.
pub fn npm_packages() -> Outcome {
    node()?;
    let _turn = installing();
    let wanted = locked_versions(&root().join("package-lock.json"))?;
    let there = locked_versions(&root().join("node_modules/.package-lock.json")).unwrap_or_default();
    if wanted.iter().all(|package| there.contains(package)) {
        return Ok(());
    }
    println!("setup: installing npm packages");
    run(program("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(root()))
}

/// Node.js of a version that playwright and the test runner need.
pub fn node() -> Outcome {
    system_packages(&[(&["node"], "nodejs"), (&["npm"], "npm")])?;
    let version = capture(program("node").arg("--version"))?;
    match version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= 20 => Ok(()),
        _ => Err(format!("Node.js 20 or later is needed, this is {}", version.trim()).into()),
    }
}

/// Installs, with apt, the packages whose programs are missing: pairs of (names of the program, package).
fn system_packages(needs: &[(&[&str], &str)]) -> Outcome {
    let _turn = installing();
    let missing: Vec<&str> = needs.iter().filter(|(programs, _)| find_program(programs).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if find_program(&["apt-get"]).is_none() || !is_root()? {
        return Err(format!("missing: {list}. Install it (on Debian as root: `apt-get install {list}`) and run this again").into());
    }
    println!("setup: installing {list} with apt-get");
    run(program("apt-get").args(["update", "-qq"]))?;
    run(program("apt-get")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}

fn is_root() -> Outcome<bool> {
    Ok(capture(program("id").arg("-u"))?.trim() == "0")
}

/// The folder with `programs`, all of exactly `version`: from PATH, from target/tools, or installed there.
fn cargo_tool(package: &str, version: &str, programs: &[&str]) -> Outcome<PathBuf> {
    let _turn = installing();
    let tools = target().join("tools");
    let on_path = find_program(&programs[..1]).and_then(|program| program.parent().map(Path::to_owned));
    for folder in on_path.into_iter().chain([tools.join("bin")]) {
        if programs.iter().all(|program| has_version(&folder.join(program), version)) {
            return Ok(folder);
        }
    }
    println!("setup: installing {package} {version} with cargo, a few minutes");
    // Without --locked: the lock file in a package can name releases that are gone. Not optimised, for they run for seconds and would be
    // built for minutes, and in one folder, for they have much in common.
    run(cargo()
        .args(["install", "--quiet", package, "--version", version, "--root"])
        .arg(&tools)
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
        .env("CARGO_PROFILE_RELEASE_LTO", "off"))?;
    Ok(tools.join("bin"))
}

fn has_version(tool: &Path, version: &str) -> bool {
    let Ok(output) = program(tool).arg("--version").output() else { return false };
    String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == version)
}

/// (name, version) of every package in a lock file of npm, but for those that a system may do without: builds for other systems.
fn locked_versions(file: &Path) -> Outcome<Vec<(String, String)>> {
    let lock: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let Some(packages) = lock["packages"].as_object() else { return Err(format!("{} lists no packages", file.display()).into()) };
    let named = packages.iter().filter(|(name, package)| !name.is_empty() && package["optional"] != true);
    Ok(named.map(|(name, package)| (name.clone(), package["version"].as_str().unwrap_or_default().to_owned())).collect())
}
