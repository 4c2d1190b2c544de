//! What the kernel did by policies: its records, and which findings it has already acted on.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use ethogram_model::{Container, Finding, render::rfc3339};
use ethogram_probe::Enforcement;

use super::{
    decide::{Planned, rule_of},
    journal::Journal,
    record::{By, Outcome, ResponseRecord, Target},
};
use crate::config::Act;

/// How long what is repeated is counted in one record.
const REPEATS: Duration = Duration::from_secs(10);
/// Records that count repetitions at a time; what comes beyond has records of its own.
const MAX_REPEATED: usize = 1024;
/// How many acts of the kernel are remembered until their findings come.
const MAX_RECENT: usize = 1024;

/// An act of the kernel: by which rule, what was done, and to which process.
#[derive(PartialEq, Eq)]
struct KernelAct {
    rule: String,
    act: Act,
    pid: Option<u32>,
    start_ns: Option<u64>,
}

/// What the kernel did lately.
#[derive(Default)]
pub(super) struct Enforced {
    /// With the numbers of the records.
    recent: VecDeque<(KernelAct, u64)>,
    /// What the kernel denies again and again: by policy and cgroup, since when, and its record.
    repeated: HashMap<(String, u64), (Instant, ResponseRecord)>,
}

impl Enforced {
    /// Whether repetitions are counted that are to be written.
    pub(super) fn is_counting(&self) -> bool {
        !self.repeated.is_empty()
    }

    /// Whether the kernel has already done what a finding leads to. Its record then names the finding.
    pub(super) fn has_done(&self, finding: &Finding, planned: &Planned, journal: &mut Journal) -> bool {
        let Target { pid, start_ns, .. } = planned.target;
        let act = KernelAct { rule: rule_of(finding).to_owned(), act: planned.act, pid, start_ns };
        let Some((_, id)) = self.recent.iter().rev().find(|(known, _)| *known == act) else { return false };
        let known = journal.audit().get(*id).cloned();
        if let Some(record) = known.filter(|record| record.finding.is_none()) {
            journal.write(&ResponseRecord { finding: Some(finding.uid.clone()), ..record });
        }
        true
    }

    /// Records what the kernel did by a policy. A denial is often repeated at once, and then counted.
    pub(super) fn record<'a>(
        &mut self,
        enforcement: &Enforcement,
        policy: &str,
        dry_run: bool,
        container_of: impl FnOnce(u64, u32) -> Option<&'a Container>,
        journal: &mut Journal,
    ) {
        let action = if enforcement.killed { Act::Kill } else { Act::Deny };
        let outcome = if dry_run { Outcome::DryRun } else { Outcome::Done };
        journal.audit().count(action.name(), outcome.name(), 1);
        let number = |field: &str| enforcement.event.get(field).as_u64().unwrap_or(0);
        let key = (policy.to_owned(), number("_cgroup"));
        if let Some((_, record)) = self.repeated.get_mut(&key).filter(|_| !enforcement.killed) {
            record.count += 1;
            return;
        }
        let pid = number("process.pid") as u32;
        let container = container_of(key.1, pid);
        let record = ResponseRecord {
            id: journal.audit().next_id(),
            time: rfc3339(enforcement.event.time_ns),
            action,
            dry_run,
            outcome,
            reason: None,
            rule: policy.to_owned(),
            finding: None,
            target: target(enforcement, key.1, pid, container),
            by: By::Kernel,
            latency_ns: u64::try_from(enforcement.took.as_nanos()).unwrap_or(u64::MAX),
            count: 1,
            until: None,
            undone: None,
        };
        journal.write(&record);
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        let Target { pid, start_ns, .. } = record.target;
        self.recent.push_back((KernelAct { rule: record.rule.clone(), act: action, pid, start_ns }, record.id));
        if !enforcement.killed && self.repeated.len() < MAX_REPEATED {
            self.repeated.insert(key, (Instant::now(), record));
        }
    }

    /// Writes the counts of what was repeated for long enough, and counts anew.
    pub(super) fn flush_due(&mut self, now: Instant, journal: &mut Journal) {
        self.flush(|since| now.saturating_duration_since(since) >= REPEATS, journal);
    }

    /// Writes all counts.
    pub(super) fn flush_all(&mut self, journal: &mut Journal) {
        self.flush(|_| true, journal);
    }

    fn flush(&mut self, is_due: impl Fn(Instant) -> bool, journal: &mut Journal) {
        let due = self.repeated.extract_if(|_, (since, _)| is_due(*since));
        for (_, (_, record)) in due.filter(|(_, (_, record))| record.count > 1) {
            journal.write(&record);
        }
    }
}

fn target(enforcement: &Enforcement, cgroup: u64, pid: u32, container: Option<&Container>) -> Target {
    let field = |name: &str| enforcement.event.get(name);
    Target {
        container_id: container.map(|c| c.id.clone()),
        container: container.map(|c| c.display_name().to_owned()),
        image: container.and_then(|c| c.image.as_ref()).map(|i| i.name.clone()),
        cgroup_id: Some(container.map_or(cgroup, |c| c.cgroup_id)),
        pid: Some(pid),
        start_ns: Some(field("_process_start").as_u64().unwrap_or(0)),
        executable: Some(field("process.executable.name").to_text().into_owned()),
        object: Some(enforcement.object.clone()).filter(|o| !o.is_empty()),
    }
}
