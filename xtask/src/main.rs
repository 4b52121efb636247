//! Set-up, build, serve, demo, test and bench of Osier: the same commands for people and for CI.
//!
//! One module per command, and below them the pieces they share: `workspace` (where things are), `process` (running
//! programs), `setup` (installing what is missing), `engine` (browsers that run tests), `server` (static files), `relay` (a relay of our own).
//! It knows nothing of Osier's code except the names of its packages and files.

// The rules about clocks and threads are for code that runs in a browser.
#![allow(clippy::disallowed_types)]

mod bench;
mod build;
mod counts;
mod demo;
mod docs;
mod engine;
mod layers;
mod lockfile;
mod process;
mod relay;
mod serve;
mod server;
mod setup;
mod simulate;
mod test;
mod workspace;

use std::process::ExitCode;

use process::Outcome;

const USAGE: &str = "\
cargo xtask COMMAND

  setup                 install what the other commands need (they do so by themselves)
  build                 the wasm module, the npm package (pkg/, target/package), the site (target/site), the extension (target/extension)
  serve [--port N]      serve the site
  demo [--port N]       relay and site; prints links to open; Ctrl-C ends it
  demo --headless       two browser pages and a native peer sync this repository; the last line is one JSON object
  test [--engines all|NAME,…] [FILTER…]  every layer, in Chromium or in these of chromium, firefox, webkit; with filters only tests whose names contain one
  docs                  the API and the guides as pages (target/docs)
  layers                check which module may use which
  simulate [--runs N] [--seed S]  many nodes on a virtual network; one seed is explained; the last line is one JSON object
  bench [MEASURE…]      measures against their baselines, all or those named (P1, …); the last line is one JSON object";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Outcome {
    let Some((command, rest)) = arguments.split_first() else { return Err(USAGE.into()) };
    match command.as_str() {
        "setup" => setup::command(rest),
        "build" => build::command(rest),
        "serve" => serve::command(rest),
        "demo" => demo::command(rest),
        "test" => test::command(rest),
        "simulate" => simulate::command(rest),
        "bench" => bench::command(rest),
        "docs" => docs::command(rest),
        "layers" => layers::command(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("unknown command `{other}`\n\n{USAGE}").into()),
    }
}
