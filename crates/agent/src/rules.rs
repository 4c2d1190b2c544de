//! Rule files: where they are, and when they change.

mod files;

#[cfg(test)]
mod tests;

pub(crate) use files::{Mark, Origin, RuleFiles};
