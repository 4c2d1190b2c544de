//! The state of a tracker.

use std::{collections::BTreeMap, sync::Arc};

use ethogram_model::TrackerSchema;

use crate::Counters;

/// A tracker as it stands.
#[derive(Debug, Clone)]
pub struct TrackerStatus {
    /// What it sends, counts and takes.
    pub schema: Arc<TrackerSchema>,
    /// Whether it runs.
    pub state: TrackerState,
    /// Its programs. Empty until it was started once.
    pub programs: Vec<ProgramStatus>,
    /// The parameters that were set when it started.
    pub params: BTreeMap<String, String>,
    /// Where its events went, over all its starts.
    pub counters: Counters,
}

/// Whether a tracker runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackerState {
    /// Its programs are attached.
    Running,
    /// It is started, and its events have no subscriber: its programs are attached as soon as they have one.
    Idle,
    /// It is started, and its programs are detached until it is resumed.
    Paused,
    /// It was not started, or was stopped.
    Stopped,
    /// This kernel or these privileges cannot run it, with the reason.
    Refused(String),
}

/// One program of a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramStatus {
    /// Its name in C.
    pub name: String,
    /// Where it attaches: `tp_btf/sched_process_exec`.
    pub attach: String,
    /// Whether it is used.
    pub state: ProgramState,
}

/// Whether a program is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramState {
    /// It is attached.
    Attached,
    /// It would be, if what it is for had a subscriber.
    Idle,
    /// It is attached only while all events of its tracker are subscribed to: the overhead that it has.
    Withheld(String),
    /// A better one of the same choice is attached.
    Unneeded,
    /// The kernel refused it, with the reason.
    Refused(String),
}
