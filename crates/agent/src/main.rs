//! x
#[allow(dead_code)]
mod container;
mod http;
fn main() {}
