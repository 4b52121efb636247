//! `cargo xtask test [--engines LIST] [FILTER…]`: every layer, one after the other, whatever became of the ones before.
//! The last line is `N passed, N failed`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::counts::Counts;
use crate::demo::node_script;
use crate::engine::{DEFAULT, Engine};
use crate::process::{Outcome, path_with, program, run, run_and_read, run_and_read_errors};
use crate::relay::Relay;
use crate::serve::test_mounts;
use crate::server::Server;
use crate::workspace::{cargo, native_program, root, target};
use crate::{build, layers, setup};

/// The packages whose tests run natively.
const NATIVE: &[&str] = &["osier-core", "osier", "osier-cli", "xtask"];

/// The port of the relay that browser tests use. It is fixed because its URL is compiled into them.
const RELAY_PORT: u16 = 33440;

/// A check of the source.
type Check = fn() -> Outcome<Counts>;

/// Those that there are. They have no tests to select.
const CHECKS: &[(&str, Check)] = &[("layers", check_layers), ("format", check_format), ("clippy", check_clippy)];

/// `cargo xtask test [--engines LIST] [FILTER…]`.
pub fn command(arguments: &[String]) -> Outcome {
    let (engines, filters) = match arguments {
        [option, value, filters @ ..] if option == "--engines" => (Engine::list(value)?, filters),
        filters => (DEFAULT.to_vec(), filters),
    };
    if let Some(option) = filters.iter().find(|filter| filter.starts_with('-')) {
        return Err(format!("test takes `--engines LIST` first and then names of tests, no options like `{option}`").into());
    }
    let mut report = Report::new(filters);
    if filters.is_empty() {
        setup::begin(&engines);
        for (name, check) in CHECKS {
            report.add(name, check);
        }
    }
    report.add("native", || native(filters));
    for engine in &engines {
        report.add(&format!("browser, {}", engine.name()), || browser(*engine, filters));
    }
    report.add("end to end", || end_to_end(filters));
    for engine in &engines {
        report.add(&format!("package, {}", engine.name()), || package(*engine, filters));
    }
    conclude(&report.lines, report.total)
}

/// What became of the layers.
struct Report {
    lines: Vec<String>,
    total: Counts,
    /// Whether a layer may run nothing.
    is_selection: bool,
}

impl Report {
    fn new(filters: &[String]) -> Self {
        Self { lines: Vec::new(), total: Counts::default(), is_selection: !filters.is_empty() }
    }

    fn add(&mut self, name: &str, layer: impl FnOnce() -> Outcome<Counts>) {
        let started = Instant::now();
        let mut counts = layer().unwrap_or_else(|failure| {
            eprintln!("{name}: {failure}");
            Counts::one(false)
        });
        if counts.is_empty() && !self.is_selection {
            eprintln!("{name}: ran nothing");
            counts = Counts::one(false);
        }
        self.lines.push(format!("{name:18} {:4} passed, {} failed, {} s", counts.passed, counts.failed, started.elapsed().as_secs()));
        self.total += counts;
    }
}

fn conclude(report: &[String], total: Counts) -> Outcome {
    println!("\n{}", report.join("\n"));
    let verdict = format!("{} passed, {} failed", total.passed, total.failed);
    println!("{verdict}");
    match (total.is_empty(), total.failed) {
        (true, _) => Err("no test has such a name".into()),
        (false, 0) => Ok(()),
        (false, _) => Err("some tests failed".into()),
    }
}

fn check_layers() -> Outcome<Counts> {
    layers::command(&[])?;
    Ok(Counts::one(true))
}

fn check_format() -> Outcome<Counts> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Counts::one(true))
}

/// Builds what the native layer runs, and hears what clippy has to say of it.
fn check_clippy() -> Outcome<Counts> {
    linted(native_tests("test").args(["--quiet", "--no-run"]))
}

/// Makes clippy the compiler of our own crates for whatever cargo `command` is or runs. `cargo clippy` would compile every dependency for
/// itself; this way what is linted is what runs.
fn linting(command: &mut Command) -> &mut Command {
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver")
}

/// The same for the tests of the browser, which are compiled with the URL of their relay.
fn linting_for_browser(command: &mut Command) -> &mut Command {
    linting(command).env("OSIER_TEST_RELAY", Relay::url_at(RELAY_PORT))
}

/// One check: no compiler warns in `build`. An error if nothing is built.
fn linted(build: &mut Command) -> Outcome<Counts> {
    let (said, success) = run_and_read_errors(build)?;
    if !success {
        return Err("the tests cannot be built".into());
    }
    Ok(Counts::one(!said.lines().any(|line| line.starts_with("warning"))))
}

fn native_tests(subcommand: &str) -> Command {
    let mut command = cargo();
    linting(&mut command).arg(subcommand).args(NATIVE.iter().flat_map(|package| ["--package", package]));
    command
}

fn native(filters: &[String]) -> Outcome<Counts> {
    begin_browser();
    let (output, success) = run_and_read(native_tests("test").arg("--no-fail-fast").arg("--").args(filters))?;
    Ok(Counts::of_libtest(&output).with_exit(success))
}

/// The tests for the browser.
fn wasm_tests() -> Command {
    let mut command = cargo();
    linting_for_browser(&mut command).args([
        "build",
        "--quiet",
        "--release",
        "--target",
        setup::WASM,
        "--package",
        "osier",
        "--test",
        "browser",
    ]);
    command
}

/// Begins to build what the browser runs, beside the native tests, which mostly wait.
fn begin_browser() {
    std::thread::spawn(|| {
        // Told again when it is needed.
        let _ = build::site();
        let _ = wasm_tests().stderr(Stdio::null()).status();
    });
}

/// The native program, built together with the native tests: alone, its dependencies would have other features, and compile again.
fn osier() -> Outcome<PathBuf> {
    run(native_tests("build").args(["--quiet", "--bins", "--tests"]))?;
    Ok(native_program())
}

/// The tests in the browser. They are built for all engines at once.
fn browser(engine: Engine, filters: &[String]) -> Outcome<Counts> {
    setup::wasm_target()?;
    let runner = setup::wasm_bindgen()?;
    let _relay = Relay::start(&osier()?, RELAY_PORT)?;
    let mut counts = Counts::default();
    if filters.is_empty() {
        counts += linted(&mut wasm_tests())?;
    }
    for selection in selections(filters) {
        let mut command = in_browser(engine, &runner)?;
        command.args(selection);
        // With no mode chosen the runner runs nothing, and passes.
        command.env("WASM_BINDGEN_USE_BROWSER", "1").env("WASM_BINDGEN_TEST_TIMEOUT", "600");
        let (output, success) = run_and_read(linting_for_browser(&mut command).current_dir(root()))?;
        counts += Counts::of_libtest(&output).with_exit(success);
    }
    Ok(counts)
}

/// What runs the browser's tests in an engine, up to their names: `wasm-pack test`, as anybody would, and cargo itself where wasm-pack does not
/// know the driver.
fn in_browser(engine: Engine, runner: &Path) -> Outcome<Command> {
    if engine == Engine::Chromium {
        let mut command = engine.command(setup::wasm_pack()?)?;
        command.args(["test", "--headless", "--chrome", "--release"]).arg("--chromedriver").arg(engine.browser()?.driver);
        command.args([".", "--test", "browser", "--"]).env("PATH", path_with(runner)?);
        return Ok(command);
    }
    let mut command = engine.command(cargo().get_program())?;
    command.args(["test", "--release", "--target", setup::WASM, "--package", "osier", "--test", "browser", "--"]);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner.join("wasm-bindgen-test-runner"));
    Ok(command)
}

/// The runner in the browser knows one filter at a time: a run for each, without what the runs before selected.
fn selections(filters: &[String]) -> Vec<Vec<String>> {
    if filters.is_empty() {
        return vec![Vec::new()];
    }
    let selection = |index: usize| {
        let skipped = filters[..index].iter().flat_map(|filter| ["--skip".to_owned(), filter.clone()]);
        std::iter::once(filters[index].clone()).chain(skipped).collect()
    };
    (0..filters.len()).map(selection).collect()
}

/// The package as an app has it, in Chromium and in apps with bundlers.
fn end_to_end(filters: &[String]) -> Outcome<Counts> {
    setup::npm_packages()?;
    node_tests(program("node"), &["tests/e2e", "tests/package"], filters)
}

/// What an app does with the package, in an engine.
fn package(engine: Engine, filters: &[String]) -> Outcome<Counts> {
    setup::npm_packages()?;
    node_tests(engine.command("node")?, &["tests/engines"], filters)
}

/// Has `node` run the tests in these folders.
fn node_tests(node: Command, folders: &[&str], filters: &[String]) -> Outcome<Counts> {
    let browser = setup::chromium()?;
    build::site()?;
    let osier = osier()?;
    let server = Server::start(0, test_mounts())?;
    let summary = target().join("end-to-end.tap");
    let mut command = node_script(node, "--test".as_ref(), &server, &osier, &browser.browser)?;
    command.args([
        "--test-concurrency=3",
        "--test-timeout=600000",
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=tap",
    ]);
    command.arg("--test-reporter-destination").arg(&summary);
    command.args(filters.iter().map(|filter| format!("--test-name-pattern={}", escape_pattern(filter))));
    let success = run(command.args(test_files(folders)?)).is_ok();
    Ok(Counts::of_tap(&fs::read_to_string(&summary)?).with_exit(success))
}

fn test_files(folders: &[&str]) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(root().join(folder))? {
            files.push(entry?.path());
        }
    }
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    Ok(files)
}

/// `text` as a regular expression of JavaScript that matches just it.
fn escape_pattern(text: &str) -> String {
    let special = |character: char| r"\^$.|?*+()[]{}/".contains(character);
    text.chars().flat_map(|character| special(character).then_some('\\').into_iter().chain([character])).collect()
}

#[cfg(test)]
mod tests {
    use super::{escape_pattern, selections};

    #[test]
    fn each_filter_has_a_run_without_the_tests_of_earlier_ones() {
        let runs = selections(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(runs, [vec!["a"], vec!["b", "--skip", "a"]]);
        assert_eq!(selections(&[]), [Vec::<String>::new()]);
    }

    #[test]
    fn patterns_match_the_text_only() {
        assert_eq!(escape_pattern("a.b (c)"), r"a\.b \(c\)");
    }
}
