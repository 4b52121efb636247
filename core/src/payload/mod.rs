//! Verifiable payload streams.
