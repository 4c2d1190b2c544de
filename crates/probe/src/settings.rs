//! How trackers are to run.

use std::{collections::BTreeMap, time::Duration};

use crate::tables::{shared::cgroup_controller, subscription::Subscription};

/// How this host is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of the ring of a busy tracker, others have an eighth; rounded up to a power of two of pages.
    pub ring_bytes: u32,
    /// In which hierarchy of cgroup v1 containers are identified; none means version 2.
    pub controller: Option<Controller>,
    /// That hierarchy's id, as in `/proc/self/cgroup`.
    pub hierarchy: u32,
    /// Attach points that are not to be used: kinds (`fexit`, `kretprobe.multi`, `sys_exit`), or single ones
    /// (`fexit/vfs_read`).
    pub avoid: Vec<String>,
}

/// A controller of cgroup v1 whose hierarchy identifies containers: every runtime puts every container there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// `memory`
    Memory,
    /// `pids`
    Pids,
    /// `cpu`
    Cpu,
}

impl Controller {
    /// Best first.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Pids, Self::Cpu];

    /// As the kernel calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
        }
    }

    /// As programs are given it.
    pub(crate) fn number(controller: Option<Self>) -> u32 {
        match controller {
            None => cgroup_controller::CONTROLLER_NONE,
            Some(Self::Memory) => cgroup_controller::CONTROLLER_MEMORY,
            Some(Self::Pids) => cgroup_controller::CONTROLLER_PIDS,
            Some(Self::Cpu) => cgroup_controller::CONTROLLER_CPU,
        }
    }
}

/// How a tracker is to be started.
#[derive(Debug, Clone)]
pub struct Start {
    /// Values of its parameters.
    pub params: BTreeMap<String, String>,
    /// Whether the container filter decides by cgroup.
    pub filters_containers: bool,
    /// Whether its records are read at once, and not a tenth of a second later.
    pub urgent: bool,
    /// How often its samples are read.
    pub interval: Duration,
    /// Which of its events are subscribed to.
    pub subscription: Subscription,
    /// Whether programs with high overhead are attached, even where not all events are subscribed to.
    pub high_overhead: bool,
}

impl Default for Start {
    fn default() -> Self {
        let (params, interval) = (BTreeMap::new(), Duration::from_secs(3));
        Self {
            params,
            filters_containers: false,
            urgent: false,
            interval,
            subscription: Subscription::All,
            high_overhead: false,
        }
    }
}
