//! One finding for one group: the same rule, workload, user and lineage.

mod groups;
mod key;

use std::sync::Arc;

use ethogram_model::{Container, Event, Finding, Severity, evidence};
use rustc_hash::FxHashMap;

use crate::{Acceptance, Acceptances, Workload, update::FindingUpdate};
use groups::{Group, Groups};

/// Groups of one rule and workload that are found one by one; what follows is one more group, that of all others. What is severe
/// has more room.
const EACH: usize = 64;
const EACH_SEVERE: usize = 256;
/// Containers whose workload is remembered; beyond, all are looked up anew.
const MAX_CONTAINERS: usize = 4_096;
/// How the host is called where workloads are.
pub(super) const HOST: &str = "host";

/// A match of a rule.
#[derive(Clone, Copy)]
pub(super) struct Match<'a> {
    pub(super) rule: &'a Arc<str>,
    pub(super) severity: Severity,
    pub(super) workload: &'a Arc<str>,
    pub(super) object: &'a str,
    pub(super) event: &'a Event,
}

/// All finding groups: what repeats one is counted there (deduplication).
#[derive(Debug, Default)]
pub(super) struct FindingGroups {
    groups: Groups,
    /// The object that was accepted of a group: others begin one of their own.
    accepted: FxHashMap<String, String>,
    workloads: FxHashMap<u64, (Arc<Container>, Arc<str>)>,
    updates: FxHashMap<String, FindingUpdate>,
}

/// What came of a match.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dedup {
    /// It begins a group of this uid; of all others where there are many already.
    New { uid: String, is_many: bool },
    /// It repeats one.
    Repeat,
}

impl FindingGroups {
    /// A match of a rule. After a day of quiet it is new again.
    pub(super) fn add(&mut self, found: Match<'_>) -> Dedup {
        let Match { rule, severity, workload, event, .. } = found;
        self.groups.expire(event.time_ns);
        let mut key = key::of(rule, workload, event.context.process.as_deref(), event);
        let object = crate::accepted::pattern(found.object);
        while self.accepted.get(&key).is_some_and(|accepted| *accepted != object) {
            key = key::beside(&key);
        }
        let each = if severity >= Severity::High { EACH_SEVERE } else { EACH };
        let is_many = !self.groups.holds(&key) && self.groups.count(workload, rule) >= each;
        if is_many {
            key = key::of_others(rule, workload);
        }
        if let Some(group) = self.groups.get_mut(&key).filter(|group| !group.is_over(event.time_ns)) {
            group.count += 1;
            group.last_seen_ns = group.last_seen_ns.max(Some(event.time_ns));
            let (uid, count) = (group.uid.clone(), group.count);
            let update = self.updates.entry(uid.clone()).or_insert_with(|| FindingUpdate {
                uid,
                count,
                last_seen_ns: event.time_ns,
                evidence: Vec::new(),
            });
            (update.count, update.last_seen_ns) = (count, update.last_seen_ns.max(event.time_ns));
            if count <= Finding::MAX_EVIDENCE as u64 {
                update.evidence.push(evidence::of(event));
            }
            return Dedup::Repeat;
        }
        let uid = key::uid(&key, event.time_ns);
        let (rule, workload) = (Arc::clone(rule), Arc::clone(workload));
        let last_seen_ns = Some(event.time_ns);
        self.groups.insert(key, Group { uid: uid.clone(), rule, workload, count: 1, last_seen_ns });
        Dedup::New { uid, is_many }
    }

    /// Goes on with a group of which only this is known.
    pub(super) fn restore(&mut self, uid: String, count: u64) {
        let (rule, workload, last_seen_ns) = (Arc::default(), Arc::default(), None);
        self.groups.restore(key::of_uid(&uid), Group { uid, rule, workload, count, last_seen_ns });
    }

    /// Goes on with the group of a finding that was reported before the agent started.
    pub(super) fn restore_finding(&mut self, finding: &Finding) {
        let Some(rule) = &finding.rule else { return };
        let group = Group {
            uid: finding.uid.clone(),
            rule: rule.name.as_str().into(),
            workload: finding.workload.as_str().into(),
            count: finding.count,
            last_seen_ns: Some(finding.last_seen_ns),
        };
        self.groups.restore(key::of_uid(&finding.uid), group);
    }

    /// A finding's object is accepted: it alone goes on in that group.
    pub(super) fn accept(&mut self, acceptance: &Acceptance) {
        let is_of_rule = acceptance.analytic.starts_with("rule.") && self.accepted.len() < Acceptances::MAX;
        if let Some(object) = acceptance.object.as_ref().filter(|_| is_of_rule) {
            self.accepted.insert(key::of_uid(&acceptance.finding), object.clone());
        }
    }

    /// Groups that were forgotten since there were too many.
    pub(super) fn forgotten(&self) -> u64 {
        self.groups.forgotten
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
