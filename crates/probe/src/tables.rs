//! The kernel's tables that all trackers share and the agent owns.

pub(crate) mod container_filter;
pub(crate) mod habits;
pub(crate) mod hash;
pub(crate) mod host_trees;
pub(crate) mod shared;
pub(crate) mod subscription;
mod written;

use libbpf_rs::MapHandle;

use self::{
    container_filter::ContainerFilter,
    habits::Habits,
    host_trees::HostTrees,
    shared::{Table, table},
    subscription::Subscriptions,
};
use crate::Error;

/// A table that another process had changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedTable {
    /// What it is called in the kernel.
    pub name: &'static str,
    /// How many of its entries were changed.
    pub entries: u64,
    /// The cgroups that these entries are about, where they are about cgroups.
    pub cgroups: Vec<u64>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) container_filter: ContainerFilter,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) habits: Habits,
    pub(crate) host_trees: HostTrees,
    /// What each process runs: the tracker that keeps lineages writes it.
    programs: MapHandle,
    /// Which processes have left their container's cgroup: the trackers of cgroups and processes write it.
    strays: MapHandle,
}

impl Tables {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            container_filter: ContainerFilter::new()?,
            subscriptions: Subscriptions::new()?,
            habits: Habits::new()?,
            host_trees: HostTrees::new()?,
            programs: table::PROGRAMS.make()?,
            strays: table::STRAYS.make()?,
        })
    }

    /// Writes back what others have changed in tables that the agent alone writes, and gives what that was.
    pub(crate) fn restore(&self) -> Result<Vec<ChangedTable>, Error> {
        let all = [
            (table::CONTAINER_FILTER, &self.container_filter.table),
            (table::SUBSCRIPTION, &self.subscriptions.map),
            (table::RELEVANCE, &self.subscriptions.relevance),
        ];
        let mut changed = Vec::new();
        for (table, written) in all {
            let doing = || format!("reading the map '{}'", table.name);
            let entries = written.restore().map_err(|source| Error::Kernel { doing: doing(), source })?;
            if !entries.is_empty() {
                let is_of_cgroups = table.name == table::CONTAINER_FILTER.name;
                let cgroups = entries.iter().filter(|_| is_of_cgroups).filter_map(|key| key[..].try_into().ok());
                let cgroups = cgroups.map(u64::from_ne_bytes).collect();
                changed.push(ChangedTable { name: table.name, entries: entries.len() as u64, cgroups });
            }
        }
        Ok(changed)
    }

    /// The table that objects call so, and what it is.
    pub(crate) fn find(&self, name: &str) -> Option<(Table, &MapHandle)> {
        let subscriptions = &self.subscriptions;
        let all = [
            (table::CONTAINER_FILTER, &self.container_filter.table.map),
            (table::SUBSCRIPTION, &subscriptions.map.map),
            (table::RELEVANCE, &subscriptions.relevance.map),
            (table::ORDINARY, &subscriptions.ordinary),
            (table::HABITS, &self.habits.map),
            (table::HOST_TREES, &self.host_trees.map),
            (table::PROGRAMS, &self.programs),
            (table::STRAYS, &self.strays),
        ];
        all.into_iter().find(|(table, _)| table.name == name)
    }
}
