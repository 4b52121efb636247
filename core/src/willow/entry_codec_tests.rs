//! Tests of `entry_codec`.
