//! Whose events are collected, and which of them a stream follows.

use ethogram_model::Event;
use serde::{Deserialize, Serialize};

use crate::containers::table::Lookup;

/// The container filter: whose events are collected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Those of the host, too.
    pub host: bool,
    /// Only those of these containers, by name or id; empty means all.
    pub containers: Vec<String>,
}

impl Selection {
    /// As [`super::Consumer::collects`].
    pub fn collects(&self, lookup: &Lookup) -> Option<bool> {
        match lookup {
            Lookup::Container(_) if self.containers.is_empty() => Some(true),
            Lookup::Container(c) if c.name.is_some() => Some(self.containers.iter().any(|w| c.answers_to(w))),
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
