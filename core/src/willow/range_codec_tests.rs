//! Tests of `range_codec`.
