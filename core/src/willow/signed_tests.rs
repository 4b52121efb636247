//! Tests of `signed`.
