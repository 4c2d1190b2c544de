//! One tracker, as the collector keeps it.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::{
    Counters, Start, TrackerObject, TrackerState, TrackerStatus,
    counters::{KernelCounters, Outcome},
    object::attach::Attached,
};

/// A tracker, whether or not it runs.
pub(crate) struct Tracker {
    pub(crate) object: TrackerObject,
    pub(crate) start: Start,
    pub(crate) running: Option<Running>,
    pub(crate) refused: Option<String>,
    /// Its place in the tables.
    pub(crate) place: u32,
    /// The kernel's counts of its earlier starts.
    pub(crate) before: Counters,
    pub(crate) outcome: Arc<Outcome>,
}

/// What a tracker has in the kernel while it runs.
pub(crate) struct Running {
    pub(crate) id: u64,
    /// Field order is drop order: programs are detached before their maps go.
    pub(crate) attached: Attached,
    pub(crate) counters: KernelCounters,
    pub(crate) object: libbpf_rs::Object,
}

impl Tracker {
    /// One that does not run yet.
    pub(crate) fn shared(object: TrackerObject, place: u32) -> Arc<Mutex<Self>> {
        let (start, before, outcome) = (Start::default(), Counters::default(), Arc::default());
        Arc::new(Mutex::new(Self { object, start, running: None, refused: None, place, before, outcome }))
    }

    /// Events that were dropped so far, but for those that no program ran for.
    pub(crate) fn dropped(&self) -> u64 {
        let now = self.running.as_ref().map_or(0, |running| running.counters.dropped());
        self.before.dropped_total() + now + self.outcome.malformed()
    }

    pub(crate) fn status(&self) -> TrackerStatus {
        let mut counters = self.before.clone();
        let (mut programs, mut params) = (Vec::new(), BTreeMap::new());
        let state = match (&self.running, &self.refused) {
            (Some(running), _) => {
                let attached = &running.attached;
                counters += &running.counters.read(attached.missed());
                (programs, params) = (attached.status(), self.start.params.clone());
                match (attached.is_paused(), attached.is_idle()) {
                    (true, _) => TrackerState::Paused,
                    (_, true) => TrackerState::Idle,
                    _ => TrackerState::Running,
                }
            }
            (None, Some(reason)) => TrackerState::Refused(reason.clone()),
            (None, None) => TrackerState::Stopped,
        };
        self.outcome.add_to(&mut counters);
        TrackerStatus { schema: Arc::clone(&self.object.schema), state, programs, params, counters }
    }
}
