//! The `hellojohn` binary.

fn main() {}
