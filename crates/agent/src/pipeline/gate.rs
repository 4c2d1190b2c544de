//! What is told back to the kernel side: which cgroups are wanted, and what became of each event.

use std::sync::Arc;

use ethogram_model::Event;
use ethogram_probe::{Collector, Outcome, Verdict};
use rustc_hash::FxHashMap;

use crate::container::table::Lookup;

/// Cgroups whose verdict is remembered; the kernel's own table has as many.
const MAX_DECIDED: usize = 32_768;

/// The way back to the kernel side.
pub(crate) struct Gate {
    collector: Arc<Collector>,
    outcomes: FxHashMap<Arc<str>, Arc<Outcome>>,
    /// What the kernel was told.
    decided: FxHashMap<u64, bool>,
}

impl Gate {
    pub(crate) fn new(collector: Arc<Collector>) -> Self {
        let outcomes = collector.status().into_iter().filter_map(|s| {
            let name = Arc::clone(&s.schema.name);
            collector.outcome(&name).map(|outcome| (name, outcome))
        });
        Self { outcomes: outcomes.collect(), collector, decided: FxHashMap::default() }
    }

    /// Counts what becomes of another tracker's events from now on.
    pub(crate) fn add_tracker(&mut self, name: Arc<str>, outcome: Arc<Outcome>) {
        self.outcomes.insert(name, outcome);
    }

    /// Counts what became of an event.
    pub(super) fn count(&self, event: &Event, taken: bool) {
        let Some(outcome) = self.outcomes.get(&event.schema.tracker) else { return };
        if taken {
            outcome.delivered(event.schema.sample);
        } else {
            outcome.filtered(event.schema.sample);
        }
    }

    /// Tells the kernel, so that the next such event costs less.
    pub(super) fn decide(&mut self, cgroup: u64, wanted: bool, lookup: &Lookup) {
        if self.decided.get(&cgroup) == Some(&wanted) || *lookup == Lookup::Unknown {
            return;
        }
        if self.decided.len() >= MAX_DECIDED {
            for cgroup in std::mem::take(&mut self.decided).into_keys() {
                _ = self.collector.set_gate(cgroup, None);
            }
        }
        let verdict = if wanted { Verdict::Wanted } else { Verdict::Unwanted };
        // Where the table is full, the agent goes on filtering by itself.
        if self.collector.set_gate(cgroup, Some(verdict)).is_ok() {
            self.decided.insert(cgroup, wanted);
        }
    }

    /// What was said of a cgroup does not hold any more.
    pub(super) fn forget(&mut self, cgroup: u64) {
        if self.decided.remove(&cgroup).is_some() {
            _ = self.collector.set_gate(cgroup, None);
        }
    }
}
