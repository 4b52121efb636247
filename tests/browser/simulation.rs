//! Simulations of many nodes: in wasm as natively.

use osier_core::sim::{Options, Script, run, traces};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn simulations_leave_the_same_traces_as_natively() {
    assert_eq!(traces().count(), 8);
    for (seed, hash) in traces() {
        let report = run(&Script::from_seed(seed), &Options::default());
        assert_eq!((report.finding, report.hash), (None, hash), "seed {seed}");
    }
}
