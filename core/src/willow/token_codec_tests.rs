//! Tests of `token_codec`.
