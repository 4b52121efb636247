//! Simulations by the thousand: `simulate [--runs N] [--seed S] [--threads T]`.
//!
//! Without `--runs` one seed is played: what is wrong with it is shrunk to a short script and told with its trace. The last line is one
//! JSON object; the exit code is 1 if anything was found.
#![allow(missing_docs)]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use osier_core::sim::{Coverage, Finding, Kind, Options, Script, run_caught, shrink};

/// What many runs came to.
#[derive(Default)]
struct Totals {
    runs: u64,
    steps: u64,
    found: Vec<(u64, Finding)>,
    coverage: Coverage,
}

struct Arguments {
    runs: Option<u64>,
    seed: u64,
    threads: u64,
}

fn arguments() -> Option<Arguments> {
    let mut arguments = Arguments { runs: None, seed: 0, threads: 2 };
    let mut rest = std::env::args().skip(1);
    while let Some(name) = rest.next() {
        let value = rest.next()?.parse().ok()?;
        match name.as_str() {
            "--runs" => arguments.runs = Some(value),
            "--seed" => arguments.seed = value,
            "--threads" => arguments.threads = value.max(1),
            _ => return None,
        }
    }
    Some(arguments)
}

/// Plays seeds from a shared counter, so that both cores are busy to the end.
fn play(next: &AtomicU64, end: u64) -> Totals {
    let mut totals = Totals::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return totals;
        }
        let report = run_caught(&Script::from_seed(seed), &Options::default());
        totals.runs += 1;
        totals.steps += report.steps;
        totals.coverage.add(&report.coverage);
        if let Some(finding) = report.finding {
            println!("seed {seed}: {:?}: {}", finding.kind, shorten(&finding.text));
            totals.found.push((seed, finding));
        }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(400).collect()
}

fn play_all(arguments: &Arguments) -> Totals {
    let next = AtomicU64::new(arguments.seed);
    let end = arguments.seed.saturating_add(arguments.runs.unwrap_or(1));
    let parts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..arguments.threads).map(|_| scope.spawn(|| play(&next, end))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    let mut totals = Totals::default();
    for part in parts {
        totals.runs += part.runs;
        totals.steps += part.steps;
        totals.coverage.add(&part.coverage);
        totals.found.extend(part.found);
    }
    totals.found.sort_by_key(|(seed, _)| *seed);
    totals
}

/// The shortest script that shows what is wrong with a seed, and its trace.
fn explain(seed: u64) {
    let short = shrink(&Script::from_seed(seed), &Options::default());
    let report = run_caught(&short, &Options { trace: true });
    let lines = &report.lines;
    println!("\n{}", lines[lines.len().saturating_sub(400)..].join("\n"));
    println!("\n{short}");
    if let Some(finding) = report.finding {
        println!("{:?}: {}", finding.kind, finding.text);
    }
    println!("replay: cargo xtask simulate --seed {seed}");
}

fn main() -> ExitCode {
    let Some(arguments) = arguments() else {
        eprintln!("simulate [--runs N] [--seed S] [--threads T]");
        return ExitCode::FAILURE;
    };
    let started = seconds_now();
    let totals = play_all(&arguments);
    let seconds = seconds_now() - started;
    if let Some((seed, _)) = totals.found.first() {
        explain(*seed);
    }
    if arguments.runs.is_some_and(|runs| runs > 100) {
        tell_coverage(&totals.coverage);
    }
    let count = |kind| totals.found.iter().filter(|(_, finding)| finding.kind == kind).count();
    println!(
        r#"{{"runs":{},"steps":{},"stuck":{},"double":{},"leaked":{},"diverged":{},"seconds":{seconds:.1}}}"#,
        totals.runs,
        totals.steps,
        count(Kind::Stuck),
        count(Kind::Double),
        count(Kind::Leaked),
        count(Kind::Diverged),
    );
    if totals.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_coverage(coverage: &Coverage) {
    let unreached: Vec<_> = coverage.pairs().filter(|(_, _, count)| *count == 0).collect();
    println!("{} of {} pairs of situation and input were reached", coverage.pairs().count() - unreached.len(), coverage.pairs().count());
    for (situation, input, _) in unreached {
        println!("  not reached: {situation} | {input}");
    }
}

/// Seconds on a clock that only goes forward.
#[allow(clippy::disallowed_types)]
fn seconds_now() -> f64 {
    use std::{sync::OnceLock, time::Instant};
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_secs_f64()
}
