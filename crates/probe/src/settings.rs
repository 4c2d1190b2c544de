//! How trackers are to run.

use std::{collections::BTreeMap, time::Duration};

use crate::tables::subscription::Subscription;

/// How this host is.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of the ring of a busy tracker, others have an eighth; rounded up to a power of two of pages.
    pub ring_bytes: u32,
    /// Where containers are identified: 0 in cgroup v2, else in a hierarchy of v1: 1 memory, 2 pids, 3 cpu.
    pub controller: u32,
    /// That hierarchy's id, as in `/proc/self/cgroup`.
    pub hierarchy: u32,
    /// Attach points that are not to be used: kinds (`fexit`, `kretprobe.multi`, `sys_exit`), or single ones
    /// (`fexit/vfs_read`).
    pub avoid: Vec<String>,
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
