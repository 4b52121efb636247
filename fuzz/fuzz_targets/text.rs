//! See `osier_fuzz::text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| osier_fuzz::text::run(bytes));
