//! See `osier_fuzz::overlap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| osier_fuzz::overlap::run(bytes));
