//! Ranks the processes of a stream of events by how anomalous they are, and groups them into incidents along a bounded
//! provenance graph. The same events give the same result; time is the events' own.

pub mod calibrate;
mod detector;
mod event;
mod evidence;
mod graph;
mod grubbs;
mod incident;
mod lineage;
mod model;
mod name;
mod stakes;
#[cfg(test)]
mod tests;
mod tree;

pub use detector::{Config, Detector, Ranked, Report};
pub use event::{Act, Event, Op};
pub use evidence::Reason;
pub use incident::{Grouping, Incident};
