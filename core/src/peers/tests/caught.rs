//! Every rule is missed when it is broken: `caught.txt` tells where. So no test of the manager passes by accident.
//!
//! A row is `rule | where it is caught`: the numbered mistakes, other tests of one machine, the exploration of two, random worlds. To
//! change the table on purpose, run this test and read what it prints.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bench::with_broken;
use super::exhaustive::{BOTH, Budget, SIMPLE, Scenario, explore};
use super::{codes, mistakes, random, reconnect, rules};
use crate::Mode;
use crate::peers::{AcceptPolicy, Rule};

/// Small enough to be explored once for each rule.
const SMALL: Scenario = Scenario { max_states: 3_000, ..SIMPLE };
const NONE: Budget = SIMPLE.budget;
const SCENARIOS: [Scenario; 5] = [
    Scenario { slow_reports: true, ..SMALL },
    Scenario { accept: AcceptPolicy::AskHandler, ..SMALL },
    Scenario { submit: [BOTH, &[Mode::Once]], ..SMALL },
    Scenario { budget: Budget { losses: 1, ..NONE }, ..SMALL },
    Scenario { budget: Budget { reloads: 1, ..NONE }, ..SMALL },
];

/// Without its rule, this fails.
fn fails(act: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(act)).is_err()
}

/// Where the tests fail: the numbered mistakes and the kinds of tests, and the names of those of one machine.
fn where_caught() -> (Vec<String>, Vec<&'static str>) {
    let failing = |tests: &[(&'static str, fn())]| tests.iter().filter(|(_, test)| fails(test)).map(|(name, _)| *name).collect::<Vec<_>>();
    let names = [mistakes::TESTS, rules::TESTS, reconnect::TESTS, codes::TESTS].map(failing).concat();
    let numbers: BTreeSet<_> = names.iter().filter_map(|name| name.strip_prefix("mistake_")?.get(..2)).collect();
    let mut places: Vec<String> = numbers.into_iter().map(|number| format!("mistake {number}")).collect();
    let places_of_all = [
        ("one machine", names.iter().any(|name| !name.starts_with("mistake_"))),
        ("exploration", SCENARIOS.iter().any(|scenario| fails(|| _ = explore(scenario, |_| {})))),
        ("random worlds", (0..16).any(|seed| fails(|| random::of_seed(seed, |_| {})))),
    ];
    places.extend(places_of_all.into_iter().filter(|place| place.1).map(|place| place.0.to_owned()));
    (places, names)
}

#[test]
fn every_broken_rule_is_caught() {
    assert_eq!(where_caught(), (vec![], vec![]), "with every rule kept");
    let mut table = String::new();
    let mut missing: BTreeSet<_> = mistakes::TESTS.iter().map(|(name, _)| *name).collect();
    for &rule in Rule::ALL {
        let (places, names) = with_broken(rule, where_caught);
        assert!(!places.is_empty(), "nobody misses {rule:?}: {}", rule.text());
        writeln!(table, "{rule:?} | {}", places.join(", ")).unwrap();
        missing.retain(|name| !names.contains(name));
    }
    assert_eq!(missing, BTreeSet::new(), "these pass without any rule");
    assert!(table == include_str!("caught.txt"), "the table is now:\n{table}");
}
