//! What a workload usually does, and what it never did: events and time in, findings out.
//!
//! [`behaviour`] reads from an event what was done, by which executable, to what. [`behaviour::normalise`] takes the accidental out
//! of names. [`workload`] says which containers are the same. A [`profile`] holds what a workload did, and the [`model`]
//! learns profiles and judges events by them. Nothing here knows a tracker: trackers declare their behaviours.
#![forbid(unsafe_code)]

pub mod accepted;
pub mod behaviour;
pub mod detector;
pub mod model;
mod names;
pub mod profile;
pub mod rules;
mod uid;
pub mod workload;

pub use accepted::{Acceptance, Acceptances};
pub use behaviour::{Behaviour, is_ordinary};
pub use detector::{Decision, Detector};
pub use model::{Counters, FindingUpdate, HabitChange, HabitCount, MAX_HABITS, Model, Settings, UnknownVersion};
pub use profile::diff::ProfileDiff;
pub use profile::file::{FileProblem, FileProblems, MAX_FILE_BYTES};
pub use profile::view::{ProfileSummary, ProfileTree, render_profile, render_tree, short};
pub use profile::{Profile, Seen, State, Unjudged};
pub use workload::Workload;
