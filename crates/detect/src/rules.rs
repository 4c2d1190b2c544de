//! Rules: what is known to be bad, in Falco's language.
//!
//! Files become a [`RuleSet`]: conditions are read, checked against the trackers' schemas, and compiled for each kind of
//! event. [`Rules`] holds the set that is in force and judges events by it. A match is reported once for each group: the
//! same rule, workload and lineage.

mod access;
mod asked;
mod compile;
mod condition;
mod decidable;
mod dedup;
mod definitions;
mod document;
mod evaluate;
mod examples;
mod facts;
mod field;
mod file;
mod habit;
mod judge;
mod output;
mod prepared;
mod problem;
mod read;
mod relevance;
mod required;
mod set;
mod subject;
mod test;
mod trust;
mod value;
mod yaml;

#[cfg(test)]
mod tests;

pub use decidable::{Alternative, Decidable, Target};
pub use dedup::workload_of;
pub use examples::{Outcome, check_examples};
pub use file::File;
pub use judge::{Cost, Rules};
pub use problem::{Level, Problem};
pub use set::{Loaded, RuleInfo, RuleSet, RuleState};
