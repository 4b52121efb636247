//! The peer manager.
