//! What a workload usually does, and what it never did: events and time in, findings out.
//!
//! [`subject`] says who did it: which containers are the same workload, and how programs are called. [`channels`] are what is
//! learnt of a workload, one kind each: the first is its behaviour, who did what to what. [`learning`] says how far that is, and
//! how much surprise is ordinary. A [`profile`] is both of one workload, and the [`model`] learns profiles and judges events by
//! them. [`rules`] say what is known to be bad, [`incidents`] which findings are one deed, [`reduction`] which alerts of a stream tell something new, [`provenance`] which
//! processes of a foreign stream of events stand out, and [`Health`] what the agent itself could not see. Nothing here knows a
//! tracker: trackers declare their behaviours.
#![forbid(unsafe_code)]

pub mod accepted;
pub mod channels;
pub mod detector;
mod health;
pub mod incidents;
pub mod learning;
pub mod model;
pub mod profile;
pub mod provenance;
pub mod reduction;
pub mod rules;
mod settings;
pub mod subject;
mod uid;
mod update;

pub use accepted::{Acceptance, Acceptances, Candidate, TooWide, Width};
pub use channels::behaviour::{
    Behaviour,
    read::{guarded_path, is_ordinary},
};
pub use detector::{Decision, Detector};
pub use health::{Fault, Health, Impairment};
pub use incidents::{Budget, IncidentCounters, Incidents, Trail};
pub use learning::{LearningState, Seen};
pub use model::{HabitChange, HabitCount, MAX_HABITS, Model, ModelCounters, UnknownVersion};
pub use profile::{
    Profile,
    diff::ProfileDiff,
    file::{FileProblem, FileProblems, MAX_FILE_BYTES},
    view::{ProfileOverview, ProfileTree, render_profile, render_tree, short},
};
pub use settings::Settings;
pub use subject::workload::Workload;
pub use update::FindingUpdate;
