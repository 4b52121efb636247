//! Confidential Sync.
