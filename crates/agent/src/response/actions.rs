//! Acting on processes and containers, and undoing it.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use ethogram_probe::NetworkCut;

use super::{
    cgroups::Cgroups,
    policies::Policies,
    processes,
    record::{Refused, ResponseRecord},
    status::PolicyStatus,
};
use crate::config::Act;

/// Where cuts are pinned that are to outlive the agent.
const PINS: &str = "/sys/fs/bpf/ethogram";

/// What acts, with the cuts that are in place.
pub(super) struct Actions {
    pub(super) cgroups: Cgroups,
    policies: Arc<Policies>,
    cuts: HashMap<u64, NetworkCut>,
    /// Whether cuts are to outlive the agent.
    pins_cuts: bool,
}

impl Actions {
    pub(super) fn new(cgroups: Cgroups, policies: Arc<Policies>, pins_cuts: bool) -> Self {
        Self { cgroups, policies, cuts: HashMap::new(), pins_cuts }
    }

    /// Does what a record says, at once. `done` is called at the moment when it takes effect.
    pub(super) fn act(&mut self, record: &mut ResponseRecord, done: &mut dyn FnMut()) -> Result<(), Refused> {
        match record.action {
            Act::Kill => match (record.target.pid, record.target.start_ns) {
                (Some(pid), Some(start_ns)) => processes::kill(pid, start_ns, done),
                _ => Err(Refused::Failed("the finding does not say which process it was".into())),
            },
            Act::KillContainer => self.cgroups.find(cgroup(record))?.kill(done),
            Act::Freeze => {
                self.cgroups.find(cgroup(record))?.freeze()?;
                done();
                Ok(())
            }
            Act::CutNetwork => self.cut(record, done),
            Act::Deny => {
                // What was denied is no finding: whatever comes here has happened.
                let of_rule = |s: &PolicyStatus| s.of_rule && s.action == Act::Deny && s.name == record.rule;
                let reason = self.policies.status().into_iter().find(of_rule).and_then(|s| s.reason);
                let reason = reason.unwrap_or_else(|| "the kernel did not know the container yet".into());
                Err(Refused::Failed(format!("it had happened before it could be denied: {reason}")))
            }
        }
    }

    fn cut(&mut self, record: &mut ResponseRecord, done: &mut dyn FnMut()) -> Result<(), Refused> {
        let directory = self.cgroups.find(cgroup(record))?.unified.ok_or_else(|| {
            Refused::Failed(
                "the container has no cgroup of version 2 of its own, to which programs could attach".into(),
            )
        })?;
        let mut cut = NetworkCut::attach(&directory).map_err(|e| Refused::Failed(e.to_string()))?;
        done();
        if self.pins_cuts
            && let Err(error) = cut.pin(&pins(record))
        {
            record.reason = Some(format!("it ends with the agent: {error}; mount a BPF file system on /sys/fs/bpf"));
        }
        self.cuts.insert(record.id, cut);
        Ok(())
    }

    /// Undoes what a record says. Gives whether there was something to undo: the container may have ended.
    pub(super) fn undo(&mut self, record: &ResponseRecord) -> Result<bool, String> {
        if record.action == Act::CutNetwork {
            drop(self.cuts.remove(&record.id));
            NetworkCut::unpin(&pins(record)).map_err(|e| format!("removing {}: {e}", pins(record).display()))?;
            return Ok(true);
        }
        match self.cgroups.find(cgroup(record)) {
            // After a restart of the machine, another cgroup may have its number.
            Ok(place)
                if place.main.to_string_lossy().contains(record.target.container_id.as_deref().unwrap_or("/")) =>
            {
                place.thaw().map(|()| true).map_err(|refused| match refused {
                    Refused::Failed(why) => why,
                    Refused::Gone(why) | Refused::Unneeded(why) => why.into(),
                })
            }
            Ok(_) | Err(Refused::Gone(_) | Refused::Unneeded(_)) => Ok(false),
            Err(Refused::Failed(error)) => Err(error),
        }
    }

    /// Whether the container of a record can be acted on.
    pub(super) fn find(&self, record: &ResponseRecord) -> Result<(), Refused> {
        self.cgroups.find(cgroup(record)).map(drop)
    }

    /// Whether what a record says is still in place once the agent that did it has ended.
    pub(super) fn outlived(record: &ResponseRecord) -> bool {
        record.action != Act::CutNetwork || NetworkCut::is_pinned(&pins(record))
    }

    /// Whether the container of a record still has a cgroup.
    pub(super) fn has_target(&self, record: &ResponseRecord) -> bool {
        self.cgroups.has(cgroup(record))
    }
}

fn cgroup(record: &ResponseRecord) -> u64 {
    record.target.cgroup_id.unwrap_or(0)
}

/// A cgroup's number is the host's, as the names below this folder are.
fn pins(record: &ResponseRecord) -> PathBuf {
    PathBuf::from(format!("{PINS}/cut-{}", cgroup(record)))
}
