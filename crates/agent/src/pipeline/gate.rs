//! What is told back to the kernel side: which cgroups and objects are wanted, and what became of each event.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Weak},
};

use ethogram_detect::{HabitChange, Workload};
use ethogram_model::{Container, Event};
use ethogram_probe::{Collector, Outcome, Verdict};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::container::table::Lookup;

/// Cgroups whose verdict is remembered; the kernel's own table has as many.
const MAX_DECIDED: usize = 32_768;
/// Ordinary objects that are remembered until they come a second time.
const MAX_MET: usize = 32_768;
/// How long the kernel is not to report an object that was ordinary. What lies at a place may change.
const VERDICT_NS: u64 = 60_000_000_000;

/// The way back to the kernel side.
pub(crate) struct Gate {
    collector: Arc<Collector>,
    outcomes: FxHashMap<Arc<str>, Arc<Outcome>>,
    /// What the kernel was told.
    decided: FxHashMap<u64, Decided>,
    /// Makes numbers of workloads that nobody can foresee.
    numbers: RandomState,
    /// Ordinary objects met once. Most never come again: telling the kernel of each would cost more than it spares.
    met: FxHashSet<u64>,
    renewed_ns: u64,
}

/// What the kernel was told of a cgroup, and by what was known of its container: of what is held, nothing else gets the place.
struct Decided {
    wanted: bool,
    container: Option<Weak<Container>>,
}

impl Decided {
    fn is(&self, wanted: bool, container: Option<&Arc<Container>>) -> bool {
        let known = self.container.as_ref().map_or(std::ptr::null(), Weak::as_ptr);
        self.wanted == wanted && known == container.map_or(std::ptr::null(), Arc::as_ptr)
    }
}

impl Gate {
    pub(crate) fn new(collector: Arc<Collector>) -> Self {
        let outcomes = collector.status().into_iter().filter_map(|s| {
            let name = Arc::clone(&s.schema.name);
            collector.outcome(&name).map(|outcome| (name, outcome))
        });
        let (decided, met) = (FxHashMap::default(), FxHashSet::default());
        let numbers = RandomState::new();
        Self { outcomes: outcomes.collect(), collector, decided, numbers, met, renewed_ns: 0 }
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
        let container = match lookup {
            Lookup::Container(container) => Some(container),
            Lookup::Host => None,
            Lookup::Unknown => return,
        };
        if self.decided.get(&cgroup).is_some_and(|decided| decided.is(wanted, container)) {
            return;
        }
        if self.decided.len() >= MAX_DECIDED {
            for cgroup in std::mem::take(&mut self.decided).into_keys() {
                _ = self.collector.set_gate(cgroup, None);
            }
        }
        let workload = container.map_or(0, |container| self.workload(container));
        let verdict = if wanted { Verdict::Wanted(workload) } else { Verdict::Unwanted };
        // Where the table is full, the agent goes on filtering by itself.
        if self.collector.set_gate(cgroup, Some(verdict)).is_ok() {
            self.decided.insert(cgroup, Decided { wanted, container: container.map(Arc::downgrade) });
        }
    }

    /// What the event is about, as the kernel has it. None where the kernel would not ask.
    pub(super) fn object_of(event: &Event) -> Option<u64> {
        event.get("_object").as_u64().filter(|object| *object != 0)
    }

    /// An event was of no interest because of this object.
    pub(super) fn on_ordinary(&mut self, object: u64) {
        if !self.met.insert(object) {
            // Where it cannot be told, the event comes again.
            _ = self.collector.set_ordinary(object);
        } else if self.met.len() > MAX_MET {
            self.met.clear();
        }
    }

    /// Tells the kernel what to count and not to report.
    pub(super) fn change_habits(&mut self, changes: &[HabitChange]) {
        for change in changes {
            let done = match change {
                // Where there is no room, it is reported all the same.
                HabitChange::Begin(habit) => self.collector.habituate(*habit).or(Ok(())),
                HabitChange::End(habit) => self.collector.end_habit(*habit),
                HabitChange::EndAll => self.collector.renew_habits(),
            };
            if let Err(error) = done {
                tracing::warn!("{error}; what it concerns may go on being counted for some minutes");
            }
        }
    }

    /// Verdicts on objects end.
    pub(super) fn on_tick(&mut self, now_ns: u64) {
        if now_ns.abs_diff(self.renewed_ns) >= VERDICT_NS {
            self.renewed_ns = now_ns;
            self.renew();
        }
    }

    /// Voids all verdicts on objects.
    pub(super) fn renew(&mut self) {
        self.met.clear();
        if let Err(error) = self.collector.renew_verdicts() {
            tracing::warn!("{error}; verdicts on files go on for another minute");
        }
    }

    /// What was said of a cgroup does not hold any more.
    pub(super) fn forget(&mut self, cgroup: u64) {
        if self.decided.remove(&cgroup).is_some() {
            _ = self.collector.set_gate(cgroup, None);
        }
    }

    /// What stands for a container's workload in the kernel, zero where that is not known. Containers of which rules may say
    /// different things have different ones.
    fn workload(&self, container: &Container) -> u64 {
        let Some(workload) = Workload::of(container) else { return 0 };
        let image = container.image.as_ref().map(|image| image.name.as_str());
        let namespace = container.pod.as_ref().map(|pod| pod.namespace.as_str());
        self.numbers.hash_one((workload.uid, &container.runtime, image, namespace, container.privileged)).max(1)
    }
}
