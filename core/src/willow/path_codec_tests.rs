//! Tests of `path_codec`.
