//! Ranks the processes of a stream of events by how anomalous they are, and groups them into incidents along a bounded
//! provenance graph. The same events give the same result; time is the events' own.

pub mod calibrate;
mod event;
mod evidence;
mod graph;
mod grubbs;
mod incident;
mod lineage;
mod model;
mod name;
mod ranker;
mod stakes;
#[cfg(test)]
mod tests;
mod tree;

pub use event::{Act, Event, Op};
pub use evidence::Reason;
pub use incident::{Grouping, Incident};
pub use ranker::{Config, Ranked, Ranker, Report};
