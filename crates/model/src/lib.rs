//! The words all parts of Ethogram share.
//!
//! A [`schema`] says what a tracker's records look like, an [`event::Event`] is one such record with the
//! [`context`] in which it happened, and a [`finding::Finding`] is what detection makes of it.
//! Nothing here does I/O, reads a clock or is unsafe.
#![forbid(unsafe_code)]

pub mod answers;
pub mod build;
pub mod context;
pub mod event;
pub mod evidence;
mod example;
pub mod explain;
pub mod finding;
pub mod glob;
pub mod heartbeat;
pub mod incident;
pub mod incident_graph;
pub mod nearest;
pub mod ocsf;
pub mod relevance;
pub mod render;
pub mod report;
pub mod runtime;
pub mod schema;
pub mod script;
mod stored;
pub mod triage;
pub mod value;
pub mod vocabulary;

pub use answers::{Answer, Answers};
pub use context::{ActorName, Container, Context, Entry, Exec, Image, Mount, Pod, Process, Users};
pub use event::{Event, FileId, FileIdentity, Header};
pub use finding::{Finding, Priority, RuleMatch, Score, ScorePart, Severity};
pub use heartbeat::Heartbeat;
pub use incident::{
    Cluster, Incident, IncidentUpdate, Link, LinkKind, Origin, Part, Place, Recurrence, Recurrences, Step,
};
pub use incident_graph::{Edge as IncidentEdge, IncidentGraph, Node as IncidentNode, NodeKind};
pub use relevance::FieldTest;
pub use report::{IncidentChange, IncidentReport, Report};
pub use schema::layout;
pub use schema::{BehaviourSpec, BehaviourWords, EventSchema, Field, FieldKind, ObjectKind, Param, TrackerSchema};
pub use stored::StoredFinding;
pub use triage::{AnnotatedIncident, Triage, Verdict};
pub use value::Value;
