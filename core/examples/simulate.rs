//! Simulations by the thousand: `simulate [--runs N] [--seed S] [--threads T] [--broken RULE] [--mistake MISTAKE]`.
//!
//! Without `--runs` one seed is played. The first seed with which something is wrong is shrunk to a short script and told with its trace.
//! The last line is one JSON object; the exit code is 1 if anything was found. With `--broken` every peer manager breaks a rule;
//! `--broken all` tells for each rule and mistake which of the seeds notices first.
#![allow(missing_docs)]

use std::{
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use osier_core::{
    peers::Rule,
    sim::{Coverage, Finding, Kind, Mistake, Options, Script, run_caught, shrink, why_unreached},
};

/// What many runs came to.
#[derive(Default)]
struct Totals {
    runs: u64,
    steps: u64,
    found: Vec<(u64, Finding)>,
    /// Of the last trace.
    hash: u64,
    coverage: Coverage,
}

#[derive(Clone, Default)]
struct Arguments {
    runs: Option<u64>,
    seed: u64,
    threads: u64,
    broken: Option<Rule>,
    mistake: Option<Mistake>,
    all_broken: bool,
}

impl Arguments {
    fn read() -> Option<Self> {
        let mut arguments = Self { threads: 2, ..Self::default() };
        let mut rest = std::env::args().skip(1);
        while let Some(name) = rest.next() {
            let value = rest.next()?;
            match name.as_str() {
                "--runs" => arguments.runs = Some(value.parse().ok()?),
                "--seed" => arguments.seed = value.parse().ok()?,
                "--threads" => arguments.threads = value.parse::<u64>().ok()?.max(1),
                "--broken" if value == "all" => arguments.all_broken = true,
                "--broken" => arguments.broken = Some(*Rule::ALL.iter().find(|rule| format!("{rule:?}") == value)?),
                "--mistake" => arguments.mistake = Some(*Mistake::ALL.iter().find(|mistake| format!("{mistake:?}") == value)?),
                _ => return None,
            }
        }
        Some(arguments)
    }

    fn options(&self) -> Options {
        Options { broken: self.broken, mistake: self.mistake, ..Options::default() }
    }
}

/// Plays seeds from a shared counter, so that both cores are busy to the end.
fn play(next: &AtomicU64, end: u64, options: &Options) -> Totals {
    let mut totals = Totals::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return totals;
        }
        let report = run_caught(&Script::from_seed(seed), options);
        totals.runs += 1;
        totals.steps += report.steps;
        totals.coverage.add(&report.coverage);
        totals.hash = report.hash;
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
        let threads: Vec<_> = (0..arguments.threads).map(|_| scope.spawn(|| play(&next, end, &arguments.options()))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect::<Vec<_>>()
    });
    let mut totals = Totals::default();
    for part in parts {
        totals.runs += part.runs;
        totals.hash |= part.hash;
        totals.steps += part.steps;
        totals.coverage.add(&part.coverage);
        totals.found.extend(part.found);
    }
    totals.found.sort_by_key(|(seed, _)| *seed);
    totals
}

/// The shortest script that shows what is wrong with a seed, and its trace.
fn explain(seed: u64, options: &Options) {
    let short = shrink(&Script::from_seed(seed), options);
    let report = run_caught(&short, &Options { trace: true, ..options.clone() });
    let lines = &report.lines;
    println!("\n{}", lines[lines.len().saturating_sub(400)..].join("\n"));
    println!("\n{short}");
    if let Some(finding) = report.finding {
        println!("{:?}: {}", finding.kind, finding.text);
    }
    println!("replay: cargo xtask simulate --seed {seed}");
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else {
        eprintln!("simulate [--runs N] [--seed S] [--threads T] [--broken RULE] [--mistake MISTAKE]");
        return ExitCode::FAILURE;
    };
    if arguments.all_broken {
        return break_all(&arguments);
    }
    let started = seconds_now();
    let totals = play_all(&arguments);
    let seconds = seconds_now() - started;
    if let Some((seed, _)) = totals.found.first() {
        explain(*seed, &arguments.options());
    }
    match arguments.runs {
        None => println!("trace {:016x}", totals.hash),
        Some(_) => tell_coverage(&totals.coverage),
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

/// For each rule, the first seed that notices when it is broken.
fn break_all(arguments: &Arguments) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let mut unnoticed = 0;
    let rule = |&rule: &Rule| (format!("{rule:?}"), Options { broken: Some(rule), ..Options::default() });
    let mistake = |&mistake: &Mistake| (format!("{mistake:?}"), Options { mistake: Some(mistake), ..Options::default() });
    for (rule, options) in Rule::ALL.iter().map(rule).chain(Mistake::ALL.iter().map(mistake)) {
        let seeds = arguments.seed..arguments.seed.saturating_add(arguments.runs.unwrap_or(100));
        let first = seeds.clone().find_map(|seed| Some((seed, run_caught(&Script::from_seed(seed), &options).finding?)));
        match first {
            Some((seed, finding)) => println!("{rule}: seed {seed}: {:?}: {}", finding.kind, shorten(&finding.text)),
            None => {
                unnoticed += 1;
                println!("{rule}: NOT NOTICED");
            }
        }
    }
    println!("{unnoticed} of {} rules can be broken unnoticed", Rule::ALL.len() + Mistake::ALL.len());
    if unnoticed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_coverage(coverage: &Coverage) {
    let unreached: Vec<_> = coverage.pairs().filter(|(_, _, count)| *count == 0).collect();
    let possible = coverage.pairs().count();
    println!("{} of {possible} pairs of a situation and an input were reached; the others took no seed there:", possible - unreached.len());
    for (situation, input, _) in unreached {
        println!("  not reached: {situation} | {input}: {}", why_unreached(situation, input));
    }
}

/// Seconds on a clock that only goes forward.
#[allow(clippy::disallowed_types)]
fn seconds_now() -> f64 {
    use std::{sync::OnceLock, time::Instant};
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed().as_secs_f64()
}
