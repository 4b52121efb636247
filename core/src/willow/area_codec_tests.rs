//! Tests of `area_codec`.
