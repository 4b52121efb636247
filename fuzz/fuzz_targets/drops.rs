//! See `osier_fuzz::drops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| osier_fuzz::drops::run(bytes));
