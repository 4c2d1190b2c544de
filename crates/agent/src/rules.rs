//! Rule files: where they are, and when they change.

mod files;

pub(crate) use files::{Mark, Origin, RuleFiles};
