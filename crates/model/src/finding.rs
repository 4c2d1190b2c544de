//! What detection found, as it is kept and shown.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Container, Process};

/// How grave a finding is. The numbers are OCSF's `severity_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Informational = 1,
    /// Unusual.
    Low = 2,
    /// Unusual, and of use to an attacker.
    Medium = 3,
    /// Likely an attack.
    High = 4,
    /// An attack.
    Critical = 5,
}

impl Severity {
    /// The name in OCSF.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "Informational",
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
            Self::Critical => "Critical",
        }
    }
}

/// One story worth telling: it is updated when it goes on, never repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The same for the same behaviour of the same workload.
    pub uid: String,
    /// One line for people.
    pub title: String,
    /// What found it: `behaviour.execute`, ...
    pub analytic: String,
    /// How grave.
    pub severity: Severity,
    /// How sure, 0 to 100.
    pub confidence: u8,
    /// Why: what was seen, and what had been usual.
    pub reason: String,
    /// The workload whose profile did not hold it.
    pub workload: String,
    /// The operation: `execute`, `write`, ...
    pub operation: String,
    /// What it was done with: the executable.
    pub executable: String,
    /// What it was done to.
    pub object: String,
    /// What that workload had done of the same kind, most frequent first, a few.
    pub usual: Vec<String>,
    /// The container that showed it first.
    pub container: Arc<Container>,
    /// The process that showed it first.
    pub process: Option<Arc<Process>>,
    /// The first events that showed it, as `run -o json` prints them, at most [`Finding::MAX_EVIDENCE`].
    pub evidence: Vec<serde_json::Value>,
    /// How often it was seen.
    pub count: u64,
    /// Nanoseconds since the Unix epoch.
    pub first_seen_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
}

impl Finding {
    /// Evidence events kept of a finding.
    pub const MAX_EVIDENCE: usize = 4;
}
