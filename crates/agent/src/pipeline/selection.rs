//! Whose events are wanted.

use serde::{Deserialize, Serialize};

use crate::container::table::Lookup;

/// Whose events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Selection {
    /// Those of the host, too.
    pub(crate) host: bool,
    /// Only those of these containers, by name or id; empty means all.
    pub(crate) containers: Vec<String>,
}

impl Selection {
    /// As [`super::Consumer::wants`].
    pub(crate) fn wants(&self, lookup: &Lookup) -> Option<bool> {
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
