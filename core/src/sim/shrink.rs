//! From a script with a finding to a short one with a finding of the same kind (delta debugging).

use super::{Kind, Options, Script, run_caught};

/// The shortest script that was found by leaving out steps, and what it takes to begin with.
#[must_use]
pub fn shrink(script: &Script, options: &Options) -> Script {
    let Some(finding) = run_caught(script, options).finding else { return script.clone() };
    let fails = |script: &Script| is_found(script, options, finding.kind);
    let mut best = script.clone();
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        let mut smaller = false;
        while from < best.steps.len() {
            let mut candidate = best.clone();
            candidate.steps.drain(from..(from + size).min(best.steps.len()));
            if fails(&candidate) {
                best = candidate;
                smaller = true;
            } else {
                from += size;
            }
        }
        if size > 1 || !smaller {
            size /= 2;
        }
    }
    simplify(best, fails)
}

fn is_found(script: &Script, options: &Options, kind: Kind) -> bool {
    run_caught(script, options).finding.is_some_and(|finding| finding.kind == kind)
}

/// Leaves out what nodes have and hold.
fn simplify(mut best: Script, fails: impl Fn(&Script) -> bool) -> Script {
    for node in 0..best.nodes.len() {
        let simpler: [fn(&mut super::NodePlan); 4] =
            [|node| node.writes.clear(), |node| node.handler = None, |node| node.room = None, |node| node.holds.truncate(1)];
        for change in simpler {
            let mut candidate = best.clone();
            change(&mut candidate.nodes[node]);
            if candidate != best && fails(&candidate) {
                best = candidate;
            }
        }
    }
    best
}
