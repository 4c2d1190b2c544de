//! Whose events are collected, and which of them a stream follows.

use std::collections::HashSet;

use ethogram_model::Event;
use serde::{Deserialize, Serialize};

use crate::containers::table::Lookup;

/// The container filter: whose events are collected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerFilter {
    /// Those of the host, too.
    pub host: bool,
    /// Only those of these containers, by name or id; empty means all.
    pub containers: Vec<String>,
    /// Those that have had one of these names: another name does not make another container.
    #[serde(skip)]
    pub(crate) met: HashSet<String>,
}

/// Containers of which it is remembered that they were selected.
const MAX_MET: usize = 4096;

impl ContainerFilter {
    /// Of these containers, by name or id, where there are any; and of the host, where that is said.
    pub fn new(host: bool, containers: Vec<String>) -> Self {
        Self { host, containers, met: HashSet::new() }
    }

    /// As [`super::Consumer::collects`].
    pub fn collects(&mut self, lookup: &Lookup) -> Option<bool> {
        match lookup {
            // What is not known to be the host's is not taken for it.
            Lookup::Container(_) | Lookup::Unknown if self.containers.is_empty() => Some(true),
            Lookup::Container(c) if c.name.is_some() => {
                if self.met.contains(&c.id) {
                    return Some(true);
                }
                let is_selected = self.containers.iter().any(|wanted| c.answers_to(wanted));
                if is_selected && self.met.len() < MAX_MET {
                    self.met.insert(c.id.clone());
                }
                Some(is_selected)
            }
            Lookup::Container(_) => None,
            Lookup::Host | Lookup::Unknown if self.host => Some(true),
            Lookup::Host => Some(false),
            Lookup::Unknown => None,
        }
    }
}

/// Which events a subscription is for.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Only those of these trackers, by name; empty means all.
    pub trackers: Vec<String>,
    /// Only those of these containers, by name or id; empty means all.
    pub containers: Vec<String>,
}

impl EventFilter {
    /// Whether an event passes.
    pub fn passes(&self, event: &Event) -> bool {
        let of_tracker = || self.trackers.iter().any(|tracker| **tracker == *event.schema.tracker);
        let of_container = || {
            let container = event.context.container.as_ref();
            container.is_some_and(|c| self.containers.iter().any(|wanted| c.answers_to(wanted)))
        };
        (self.trackers.is_empty() || of_tracker()) && (self.containers.is_empty() || of_container())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ethogram_model::Container;

    use super::*;

    fn named(id: &str, name: Option<&str>) -> Lookup {
        let (id, name) = (id.to_owned(), name.map(str::to_owned));
        Lookup::Container(Arc::new(Container { id, name, ..Container::default() }))
    }

    #[test]
    fn a_container_that_was_selected_stays_so_under_another_name() {
        let mut container_filter = ContainerFilter::new(false, vec!["new".into()]);
        assert_eq!(container_filter.collects(&named("a", None)), None);
        assert_eq!(container_filter.collects(&named("a", Some("old"))), Some(false));
        assert_eq!(container_filter.collects(&named("a", Some("new"))), Some(true));
        assert_eq!(container_filter.collects(&named("a", Some("third"))), Some(true));
        assert_eq!(container_filter.collects(&named("b", Some("third"))), Some(false));
    }

    #[test]
    fn what_is_not_known_to_be_the_hosts_is_judged_where_all_containers_are() {
        for (mut container_filter, collects) in [
            (ContainerFilter::default(), Some(true)),
            (ContainerFilter::new(true, Vec::new()), Some(true)),
            (ContainerFilter::new(false, vec!["web".into()]), None),
        ] {
            assert_eq!(container_filter.collects(&Lookup::Unknown), collects, "{container_filter:?}");
        }
        assert_eq!(ContainerFilter::default().collects(&Lookup::Host), Some(false));
    }
}
