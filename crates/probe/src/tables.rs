//! The kernel's tables that all trackers share and the agent owns.

pub(crate) mod container_filter;
pub(crate) mod habits;
pub(crate) mod shared;
pub(crate) mod subscription;

use libbpf_rs::MapHandle;

use self::{
    container_filter::ContainerFilter,
    habits::Habits,
    shared::{Table, table},
    subscription::Subscriptions,
};
use crate::Error;

/// All of them.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) container_filter: ContainerFilter,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) habits: Habits,
    /// What each process runs: the tracker that keeps lineages writes it.
    programs: MapHandle,
}

impl Tables {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self {
            container_filter: ContainerFilter::new()?,
            subscriptions: Subscriptions::new()?,
            habits: Habits::new()?,
            programs: table::PROGRAMS.make()?,
        })
    }

    /// The table that objects call so, and what it is.
    pub(crate) fn find(&self, name: &str) -> Option<(Table, &MapHandle)> {
        let subscriptions = &self.subscriptions;
        let all = [
            (table::CONTAINER_FILTER, &self.container_filter.map),
            (table::SUBSCRIPTION, &subscriptions.map),
            (table::RELEVANCE, &subscriptions.relevance),
            (table::ORDINARY, &subscriptions.ordinary),
            (table::HABITS, &self.habits.map),
            (table::PROGRAMS, &self.programs),
        ];
        all.into_iter().find(|(table, _)| table.name == name)
    }
}
