//! What one step of the engine leads to, as data. The caller applies it: live, a thread of the agent; in a replay,
//! the command that prints.

use std::sync::Arc;

use ethogram_detect::{Acceptances, FindingUpdate, HabitChange, Profile, Trail};
use ethogram_model::{Container, Event, EventSchema, Incident, IncidentUpdate, Report};

use crate::containers::runtime::Ask;

/// What one step leads to. Empty after most events, and then nothing was allocated for it.
#[derive(Debug, Default)]
pub struct Effects {
    /// What the kernel side is to filter and to count, in this order.
    pub kernel: Vec<KernelChange>,
    /// What became of the step's events, by kind of event. Only where the events come from the kernel.
    pub outcomes: Vec<Outcome>,
    /// What the container runtimes are to be asked.
    pub asks: Vec<Ask>,
    /// Events that a stream follows, with their context.
    pub events: Vec<Event>,
    /// Rows of a table came among them: they belong together.
    pub has_rows: bool,
    /// What is new for people, such as findings.
    pub reports: Vec<Report>,
    /// How earlier findings went on.
    pub updates: Vec<FindingUpdate>,
    /// Incidents that are new, went on or ended.
    pub incidents: Vec<Arc<Incident>>,
    /// How incidents went on that were reported before, by what was the same or alike.
    pub incident_updates: Vec<IncidentUpdate>,
    /// Containers that came with their cgroup, of which mostly no more is known, and those that a runtime answered about.
    pub containers: Vec<Arc<Container>>,
    /// The allowlist, where it changed.
    pub accepted: Option<Box<Acceptances>>,
    /// What is to be stored now, beside the findings.
    pub save: Option<Box<Save>>,
}

/// A change of what the kernel side collects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelChange {
    /// The container filter's verdict on a cgroup; none where it has to ask again.
    Filter {
        /// The cgroup's id.
        cgroup: u64,
        /// Whether its events are collected.
        verdict: Option<ContainerVerdict>,
    },
    /// Events about this object are of no use.
    Ordinary(u64),
    /// What was said of objects does not hold any more.
    RenewOrdinary,
    /// A habit begins or ends.
    Habit(HabitChange),
}

/// The container filter's verdict on a cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerVerdict {
    /// Its events are collected.
    Collect {
        /// What stands for its workload; zero where that is not known.
        workload: u64,
        /// The outermost cgroup of its container; zero for the host.
        container: u64,
    },
    /// They are not.
    Filter {
        /// As above.
        container: u64,
    },
    /// Nothing is said of them yet, but that it is a cgroup of this container.
    Undecided(u64),
}

/// How many events of a kind were delivered and how many were filtered.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The kind of event.
    pub schema: Arc<EventSchema>,
    /// Those that a consumer took.
    pub delivered: u64,
    /// Those that it did not want.
    pub filtered: u64,
}

/// What is to be stored.
#[derive(Debug, Default)]
pub struct Save {
    /// Profiles that changed, by workload; none where it was forgotten.
    pub profiles: Vec<(String, Option<Profile>)>,
    /// Changes of the allowlist, by id; none where an entry was removed.
    pub accepted: ethogram_detect::accepted::Changes,
    /// By what the next start goes on with incidents that are open.
    pub trails: Vec<Trail>,
}

impl Effects {
    /// Whether there is nothing to apply.
    pub fn is_empty(&self) -> bool {
        self.kernel.is_empty()
            && self.outcomes.is_empty()
            && self.asks.is_empty()
            && self.events.is_empty()
            && self.reports.is_empty()
            && self.updates.is_empty()
            && self.incidents.is_empty()
            && self.incident_updates.is_empty()
            && self.containers.is_empty()
            && self.accepted.is_none()
            && self.save.is_none()
    }
}
