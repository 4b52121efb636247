//! The native Osier node.
fn main() {}
