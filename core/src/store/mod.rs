//! The entry store.
