//! Which containers' events are collected, by cgroup.

use super::{
    shared::{self, container_verdicts, table},
    written::Written,
};
use crate::Error;

/// What the container filter does with a cgroup's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerVerdict {
    /// They pass. What stands for the cgroup's workload is part of the key of its habits; zero where it has none, and
    /// so no habits.
    Collect {
        /// What stands for the workload.
        workload: u64,
        /// The outermost cgroup of the container that it is in; zero for none.
        container: u64,
    },
    /// They are counted as filtered, in the kernel.
    Filter {
        /// As above.
        container: u64,
    },
    /// The agent decides about each of them. It is a cgroup of this container.
    Undecided(u64),
}

impl From<ContainerVerdict> for shared::ContainerVerdict {
    fn from(verdict: ContainerVerdict) -> Self {
        let (verdict, workload, container) = match verdict {
            ContainerVerdict::Collect { workload, container } => {
                (container_verdicts::CONTAINER_COLLECTED, workload, container)
            }
            ContainerVerdict::Filter { container } => (container_verdicts::CONTAINER_FILTERED, 0, container),
            ContainerVerdict::Undecided(container) => (container_verdicts::CONTAINER_UNDECIDED, 0, container),
        };
        Self { verdict, workload, container, ..Self::default() }
    }
}

/// The table of verdicts.
#[derive(Debug)]
pub(crate) struct ContainerFilter {
    pub(super) table: Written,
}

impl ContainerFilter {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { table: Written::new(table::CONTAINER_FILTER.make()?) })
    }

    /// Sets the verdict on a cgroup; `None` leaves the decision to the agent.
    pub(crate) fn set(&self, cgroup: u64, verdict: Option<ContainerVerdict>) -> Result<(), Error> {
        let key = cgroup.to_ne_bytes();
        let done = match verdict {
            Some(verdict) => self.table.put(&key, &shared::ContainerVerdict::from(verdict).to_bytes()),
            None => self.table.remove(&key),
        };
        done.map_err(|source| Error::Kernel {
            doing: format!("setting the container filter for cgroup {cgroup}"),
            source,
        })
    }
}
