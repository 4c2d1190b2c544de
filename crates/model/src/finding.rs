//! What detection found, as it is kept and shown.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Container, Process};

/// The severity of a finding. The numbers are OCSF's `severity_id`.
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

    /// One step lower, as far as there is one.
    pub fn one_lower(self) -> Self {
        match self {
            Self::Critical => Self::High,
            Self::High => Self::Medium,
            Self::Medium => Self::Low,
            Self::Low | Self::Informational => Self::Informational,
        }
    }
}

/// How urgent the author of a rule holds a match of it, as syslog has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// The system is unusable.
    Emergency,
    /// Act at once.
    Alert,
    /// Critical.
    Critical,
    /// An error.
    Error,
    /// A warning.
    Warning,
    /// Normal, but significant.
    Notice,
    /// Worth knowing.
    #[default]
    Informational,
    /// For debugging.
    Debug,
}

impl Priority {
    /// All, the most urgent first.
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    /// As Falco writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "Emergency",
            Self::Alert => "Alert",
            Self::Critical => "Critical",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Notice => "Notice",
            Self::Informational => "Informational",
            Self::Debug => "Debug",
        }
    }

    /// The severity that belongs to it.
    pub fn severity(self) -> Severity {
        match self {
            Self::Emergency | Self::Alert | Self::Critical => Severity::Critical,
            Self::Error => Severity::High,
            Self::Warning => Severity::Medium,
            Self::Notice => Severity::Low,
            Self::Informational | Self::Debug => Severity::Informational,
        }
    }
}

impl From<Severity> for Priority {
    /// What a rule of that severity would have.
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Critical,
            Severity::High => Self::Error,
            Severity::Medium => Self::Warning,
            Severity::Low => Self::Notice,
            Severity::Informational => Self::Informational,
        }
    }
}

/// The rule that a finding comes from, and why it holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleMatch {
    /// The rule's name.
    pub name: String,
    /// How urgent its author holds it.
    pub priority: Priority,
    /// Its output with this event's values.
    pub output: String,
    /// The values of the fields in its output, by the fields' names.
    pub fields: BTreeMap<String, serde_json::Value>,
    /// The tests of its condition that decided, with the values that they saw: `proc.name in (shell_binaries): bash`.
    pub because: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The file that it stands in, and the line.
    pub source: String,
    /// What to do next, where its author says so.
    pub next: Option<String>,
    /// What the workload's profile says of this behaviour, where it was asked: known to it, or new.
    pub profile: Option<String>,
}

/// How much a new behaviour says, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Information in bits: the more, the less it is ordinary life.
    pub bits: f64,
    /// The threshold: from this score on it raises an alert. It is calibrated on normal behaviour, to the budget of
    /// alerts.
    pub threshold: f64,
    /// What it is made of: their sum is the score.
    pub parts: Vec<ScorePart>,
}

/// A part of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScorePart {
    /// How much it adds.
    pub bits: f64,
    /// What was new, and how often that had been so.
    pub what: String,
}

/// One judgement worth reporting: it is updated when it goes on, never repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The same for the same behaviour of the same workload.
    pub uid: String,
    /// One line for people.
    pub title: String,
    /// What found it: `behaviour.execute`, `rule.terminal_shell_in_container`, ...
    pub analytic: String,
    /// The severity.
    pub severity: Severity,
    /// How sure, 0 to 100.
    pub confidence: u8,
    /// Why: what was seen, and what had been usual.
    pub reason: String,
    /// The workload that showed it; `host` where no container did.
    pub workload: String,
    /// The operation: `execute`, `write`, ...
    pub operation: String,
    /// What it was done with: the executable.
    pub executable: String,
    /// What it was done to.
    pub object: String,
    /// What that workload had done of the same kind, most frequent first, a few.
    pub usual: Vec<String>,
    /// The container that showed it first; none where the host did.
    pub container: Option<Arc<Container>>,
    /// The process that showed it first.
    pub process: Option<Arc<Process>>,
    /// The first events that showed it, as `run -o json` prints them, at most [`Finding::MAX_EVIDENCE`].
    pub evidence: Vec<serde_json::Value>,
    /// The rule that found it, where a rule did.
    #[serde(default)]
    pub rule: Option<RuleMatch>,
    /// How much it says, where the workload's profile found it.
    #[serde(default)]
    pub score: Option<Score>,
    /// ATT&CK techniques: `T1611`.
    #[serde(default)]
    pub techniques: Vec<String>,
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

    /// What the container is called that showed it, or `host`.
    pub fn place(&self) -> &str {
        self.container.as_deref().map_or("host", Container::display_name)
    }
}
