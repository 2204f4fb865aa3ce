//! Homeroom.
fn main() {}
