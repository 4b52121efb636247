//! Seeds that are played in every test run, and proofs that the checks bite.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::peers::Rule;

/// How many seeds every test run plays.
const SEEDS: u64 = 3_000;
/// How many pairs of a situation and an input they reach at least, in a hundred of those that there can be. They reach 58.
const REACHED: usize = 55;

fn broken(rule: Rule) -> Options {
    Options { broken: Some(rule), ..Options::default() }
}

/// Plays seeds on two threads; the first finding.
fn play(seeds: u64) -> (Option<(u64, Finding)>, Coverage) {
    let next = AtomicU64::new(0);
    let play = || {
        let mut coverage = Coverage::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (None, coverage);
            }
            let report = run_caught(&Script::from_seed(seed), &Options::default());
            coverage.add(&report.coverage);
            if let Some(finding) = report.finding {
                next.store(seeds, Ordering::Relaxed);
                return (Some((seed, finding)), coverage);
            }
        }
    };
    let [(a, mut coverage), (b, other)] =
        std::thread::scope(|scope| [scope.spawn(play), scope.spawn(play)].map(|thread| thread.join().unwrap()));
    coverage.add(&other);
    (a.or(b), coverage)
}

#[test]
fn thousands_of_stories_end_well() {
    let (found, coverage) = play(SEEDS);
    if let Some((seed, finding)) = found {
        let short = shrink(&Script::from_seed(seed), &Options::default());
        let trace = run_caught(&short, &Options { trace: true, ..Options::default() }).lines;
        panic!("{}\n{short}\n{finding:?}\nreplay: cargo xtask simulate --seed {seed}", trace.join("\n"));
    }
    let (possible, reached) = (coverage.pairs().count(), coverage.pairs().filter(|(_, _, count)| *count > 0).count());
    assert!(reached * 100 > possible * REACHED, "{reached} of {possible} pairs of a situation and an input");
}

/// `noticed.txt` tells for each rule a seed with which a simulation notices that every manager breaks it, or why none does; the others are
/// missed by the tests of the managers. If scripts have changed since, another seed may do.
#[test]
fn every_broken_rule_is_noticed() {
    let table: Vec<(&str, &str)> = include_str!("../noticed.txt").lines().filter_map(|line| line.split_once(" | ")).collect();
    assert_eq!(table.len(), Rule::ALL.len() + Mistake::ALL.len());
    let notices = |options: &Options, seed: u64| run_caught(&Script::from_seed(seed), options).finding.is_some();
    let rules = Rule::ALL.iter().map(|&rule| (format!("{rule:?}"), broken(rule), rule.text()));
    let mistake = |&mistake: &Mistake| (format!("{mistake:?}"), Options { mistake: Some(mistake), ..Options::default() }, "");
    for ((rule, options, text), (name, seed)) in rules.chain(Mistake::ALL.iter().map(mistake)).zip(table) {
        assert_eq!(rule, name, "in the order of the rules and mistakes");
        match seed.parse() {
            Ok(seed) => {
                assert!(notices(&options, seed) || (0..2_000).any(|seed| notices(&options, seed)), "nobody misses {rule}: {text}")
            }
            Err(_) => assert!(seed.starts_with("unnoticed: "), "{rule}"),
        }
    }
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    let trace = |seed: u64| run(&Script::from_seed(seed), &Options::default()).hash;
    let now: String = traces().map(|(seed, _)| format!("{seed} {:016x}\n", trace(seed))).collect();
    assert!(now == TRACES, "the traces are now:\n{now}");
    for (seed, hash) in traces() {
        assert_eq!(trace(seed), hash, "the second time");
    }
    assert_ne!(trace(1), trace(2));
}

#[test]
fn telling_the_trace_changes_nothing() {
    let script = Script::from_seed(7);
    let told = run(&script, &Options { trace: true, ..Options::default() });
    assert_eq!(told.hash, run(&script, &Options::default()).hash);
    assert!(told.lines.len() > 10);
}

#[test]
fn a_finding_shrinks_to_a_short_script() {
    let options = broken(Rule::DialDeadline);
    let script =
        (0..).map(Script::from_seed).find(|script| script.steps.len() > 15 && run_caught(script, &options).finding.is_some()).unwrap();
    let short = shrink(&script, &options);
    assert!(short.steps.len() < 4, "{short}");
    assert!(run_caught(&short, &options).finding.is_some());
    assert_eq!(run_caught(&short, &Options::default()).finding, None);
}
