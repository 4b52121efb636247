//! See `osier_fuzz::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| osier_fuzz::wire::run(bytes));
