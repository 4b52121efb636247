//! Seeds that are played in every test run.

use super::*;

#[test]
fn first_seeds() {
    for seed in 0..200 {
        let script = Script::from_seed(seed);
        let report = run_caught(&script, &Options::default());
        if let Some(finding) = report.finding {
            let short = shrink(&script, &Options::default());
            let trace = run_caught(&short, &Options { trace: true, ..Options::default() });
            panic!("{finding:?}\n{short}\n{}", trace.lines.join("\n"));
        }
    }
}
