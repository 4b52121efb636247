//! See `osier_fuzz::willow`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| osier_fuzz::willow::run(bytes));
