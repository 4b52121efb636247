//! Tests of `capability_codec`.
