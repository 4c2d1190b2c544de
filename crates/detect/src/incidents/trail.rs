//! What is stored of an incident besides its story: by that the next start of the agent goes on with it.

use ethogram_model::Incident;
use serde::{Deserialize, Serialize};

use super::{deed::CLOSE_NS, graph::Connections, known::Shape};

/// What is known again of an incident after a restart of the agent: what it is, for one that comes again; and as long as it is
/// open what it did, by which what goes on is part of it. It is bounded as that is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trail {
    /// Of which incident.
    pub uid: String,
    pub(super) shape: Shape,
    /// None where nothing comes to it any more. Programs are those of one boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<Connections>,
}

impl Trail {
    /// What is left of it where nothing comes to the incident any more: it is over, or the host was started again.
    #[must_use]
    pub fn ended(self) -> Self {
        Self { connections: None, ..self }
    }

    /// Whether its incident is open for an agent that starts now.
    pub fn goes_on(&self, incident: &Incident, now_ns: u64) -> bool {
        incident.is_open && self.connections.is_some() && now_ns.saturating_sub(incident.last_seen_ns) < CLOSE_NS
    }
}
