//! Processes with an open alert, and all that they run: nothing is learnt from them.

use std::collections::{BTreeMap, VecDeque};

use ethogram_model::{Event, Exec, Finding, Process, Severity};

use crate::{Acceptance, subject::program::label};

/// Programs under an alert that are remembered; beyond, the oldest of the workload with most are forgotten.
const MAX: usize = 1_024;
/// How long an alert keeps its program from being learnt from, unless it is accepted. Nanoseconds.
const OPEN_NS: u64 = 24 * 3_600_000_000_000;

/// The programs that led to alerts, as they were run: with them all that they run and fork.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    suspects: VecDeque<Suspect>,
}

#[derive(Debug)]
struct Suspect {
    /// Of the container; zero on the host.
    cgroup: u64,
    /// The pid that called exec, and what it ran then.
    pid: u32,
    program: String,
    analytic: String,
    workload: String,
    executable: String,
    object: String,
    since_ns: u64,
}

impl Suspect {
    fn is(&self, exec: &Exec) -> bool {
        self.pid == exec.pid && self.cgroup == exec.container_cgroup && self.program == label(exec)
    }
}

impl Quarantine {
    /// A finding is open: nothing is learnt from its process. Below medium severity it is part of ordinary life.
    pub(crate) fn suspect(&mut self, finding: &Finding) {
        let Some(process) = &finding.process else { return };
        if finding.severity < Severity::Medium || self.suspects.iter().any(|s| s.is(&process.exec)) {
            return;
        }
        if self.suspects.len() >= MAX {
            self.forget_one();
        }
        self.suspects.push_back(Suspect {
            cgroup: process.exec.container_cgroup,
            pid: process.exec.pid,
            program: label(&process.exec).into_owned(),
            analytic: finding.analytic.clone(),
            workload: finding.workload.clone(),
            executable: finding.executable.clone(),
            object: finding.object.clone(),
            since_ns: finding.first_seen_ns,
        });
    }

    /// Many alerts of one workload release none of another.
    fn forget_one(&mut self) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.suspects.iter().for_each(|s| *counts.entry(&s.workload).or_default() += 1);
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(workload, _)| workload);
        let oldest = self.suspects.iter().position(|s| Some(&*s.workload) == most);
        oldest.map(|place| self.suspects.remove(place));
    }

    /// Whether the process that did it, or one that it comes from, has an open alert.
    pub(crate) fn holds(&self, event: &Event) -> bool {
        if self.suspects.is_empty() {
            return false;
        }
        let Some(Process { exec, ancestors, .. }) = event.context.process.as_deref() else { return false };
        std::iter::once(exec).chain(ancestors).any(|exec| self.suspects.iter().any(|s| s.is(exec)))
    }

    /// A person said that it is normal.
    pub(crate) fn release(&mut self, accepted: &Acceptance) {
        self.suspects.retain(|s| !accepted.is_about(&s.analytic, &s.workload, &s.executable, &s.object));
    }

    /// The profile of a workload was approved, or begins anew.
    pub(crate) fn release_workload(&mut self, workload: &str) {
        self.suspects.retain(|s| s.workload != workload);
    }

    /// Time goes by.
    pub(crate) fn expire(&mut self, now_ns: u64) {
        self.suspects.retain(|s| now_ns.saturating_sub(s.since_ns) < OPEN_NS);
    }
}
