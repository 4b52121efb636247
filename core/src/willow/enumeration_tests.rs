//! Tests of `enumeration`.
