//! The kernel side: trackers, the loader that starts and stops them, and the thread that reads their rings.
//!
//! A tracker is a folder in `trackers/`. Its C, compiled by the build, says in its BTF what it sends;
//! [`Collector`] loads it, chooses the attach points that this kernel has, and hands out [`ethogram_model::Event`]s.
//! This is the only crate with unsafe code: each block says why it is sound.

mod clock;
mod collector;
mod counters;
mod error;
#[cfg(not(fuzzing))]
mod hook;
#[cfg(fuzzing)]
pub mod hook;
mod kernel;
mod manifest;
mod memory;
mod object;
mod read;
mod response;
mod settings;
mod status;
mod tables;
mod tracker;

pub use collector::Collector;
pub use counters::{Counters, Outcome};
pub use error::Error;
pub use kernel::check_kernel;
pub use manifest::{Alternative, Choice, Manifest};
pub use memory::{give_back_memory, limit_arenas};
pub use object::{
    TrackerObject,
    builtin::{builtin, find},
    plan::Program,
};
pub use response::{Enforcement, Enforcer, Matcher, NetworkCut, Policy, Ruling, Watch};
pub use settings::{Controller, Settings, Start};
pub use status::{ProgramState, ProgramStatus, TrackerState, TrackerStatus};
pub use tables::{ChangedTable, container_filter::ContainerVerdict, habits::HabitCount, subscription::Subscription};

/// What the reader hands out at once: events in the order of their times.
pub type Batch = Vec<ethogram_model::Event>;

#[cfg(test)]
mod tests;
