//! The kernel side: trackers, the loader that starts and stops them, and the thread that reads their rings.
//!
//! A tracker is a folder in `trackers/`. Its C, compiled by the build, says in its BTF what it sends;
//! [`Collector`] loads it, chooses the attach points that this kernel has, and hands out [`ethogram_model::Event`]s.
//! This is the only crate with unsafe code: each block says why it is sound.

mod abilities;
mod attach;
mod builtin;
mod cgroup;
mod collector;
mod counters;
mod dispatcher;
mod error;
mod habits;
mod hook;
mod interest;
mod kernel;
mod kernel_types;
mod layout;
mod manifest;
mod memory;
mod missed;
mod object;
mod params;
mod plan;
mod reader;
mod response;
mod sample;
mod schema;
mod status;
mod syscalls;
mod tracker;

pub use builtin::{Program, TrackerObject, builtin, find};
pub use collector::{Collector, Settings, Start, Verdict};
pub use counters::{Counters, Outcome};
pub use error::Error;
pub use habits::HabitCount;
pub use interest::Demand;
pub use kernel::check_kernel;
pub use manifest::{Choice, Manifest, Way};
pub use memory::give_back_memory;
pub use response::{Enforcement, Enforcer, Matcher, NetworkCut, Operation, Policy, Ruling, Watch};
pub use status::{ProgramState, ProgramStatus, State, TrackerStatus};

/// What the reader hands out at once: events in the order of their times.
pub type Batch = Vec<ethogram_model::Event>;

#[cfg(test)]
mod tests;
