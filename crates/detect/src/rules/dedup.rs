//! One finding for one group: the same rule, workload and lineage.

use std::{collections::VecDeque, sync::Arc};

use ethogram_model::{Container, Event, Process, render};
use rustc_hash::FxHashMap;

use crate::{Workload, subject::program::label, uid, update::FindingUpdate};

/// Finding groups kept; beyond, the oldest are forgotten, and found anew when they go on.
const MAX_GROUPS: usize = 16_384;
/// Containers whose workload is remembered; beyond, all are looked up anew.
const MAX_CONTAINERS: usize = 4_096;
/// How the host is called where workloads are.
pub(super) const HOST: &str = "host";

/// All finding groups: what repeats one is counted there (deduplication).
#[derive(Debug, Default)]
pub(super) struct FindingGroups {
    counts: FxHashMap<String, u64>,
    order: VecDeque<String>,
    workloads: FxHashMap<u64, (Arc<Container>, Arc<str>)>,
    updates: FxHashMap<String, FindingUpdate>,
    pub(super) forgotten: u64,
}

/// What came of a match.
pub(super) enum Dedup {
    /// It begins a group of this uid.
    New(String),
    /// It repeats one.
    Repeat,
}

impl FindingGroups {
    /// A match of a rule.
    pub(super) fn add(&mut self, rule: &str, workload: &str, event: &Event) -> Dedup {
        let uid = key(rule, workload, event.context.process.as_deref(), event);
        if let Some(count) = self.counts.get_mut(&uid) {
            *count += 1;
            let count = *count;
            let update = self.updates.entry(uid.clone()).or_insert_with(|| FindingUpdate {
                uid,
                count,
                last_seen_ns: event.time_ns,
                evidence: Vec::new(),
            });
            (update.count, update.last_seen_ns) = (count, update.last_seen_ns.max(event.time_ns));
            if count <= ethogram_model::Finding::MAX_EVIDENCE as u64 {
                update.evidence.push(render::to_json(event));
            }
            return Dedup::Repeat;
        }
        if self.order.len() >= MAX_GROUPS
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
            self.forgotten += 1;
        }
        self.counts.insert(uid.clone(), 1);
        self.order.push_back(uid.clone());
        Dedup::New(uid)
    }

    /// Goes on with a group that was found before the agent started.
    pub(super) fn restore(&mut self, uid: String, count: u64) {
        if self.order.len() < MAX_GROUPS && self.counts.insert(uid.clone(), count).is_none() {
            self.order.push_back(uid);
        }
    }

    pub(super) fn take_updates(&mut self) -> Vec<FindingUpdate> {
        let mut updates: Vec<_> = std::mem::take(&mut self.updates).into_values().collect();
        updates.sort_by(|a, b| a.uid.cmp(&b.uid));
        updates
    }

    /// The name of the workload that an event is of.
    pub(super) fn workload(&mut self, event: &Event) -> Arc<str> {
        let Some(container) = &event.context.container else { return HOST.into() };
        if let Some((known, name)) = self.workloads.get(&container.cgroup_id)
            && Arc::ptr_eq(known, container)
        {
            return Arc::clone(name);
        }
        let name: Arc<str> = workload_of(container).into();
        if self.workloads.len() >= MAX_CONTAINERS {
            self.workloads.clear();
        }
        self.workloads.insert(container.cgroup_id, (Arc::clone(container), Arc::clone(&name)));
        name
    }
}

/// How the workload of a container is called in findings.
pub fn workload_of(container: &Container) -> String {
    Workload::of(container).map_or_else(|| container.display_name().to_owned(), |workload| workload.name)
}

/// The lineage is what ran, from the process up to the container's first.
fn key(rule: &str, workload: &str, process: Option<&Process>, event: &Event) -> String {
    let mut parts = vec![rule.to_owned(), workload.to_owned()];
    match process {
        Some(process) => {
            parts.push(label(&process.exec).into_owned());
            let inside = process.exec.container_cgroup;
            let above = process.ancestors.iter().take_while(|exec| exec.container_cgroup == inside);
            parts.extend(above.map(|exec| label(exec).into_owned()));
        }
        None => parts.push(event.thread_name().to_text().into_owned()),
    }
    uid::of(parts.iter().map(String::as_str))
}
