//! Tests of `cap_cache`.
