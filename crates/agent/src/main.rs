//! The `ethogram` binary.

fn main() {}
