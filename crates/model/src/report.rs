//! What goes out to people and to other systems.

use std::sync::Arc;

use crate::{Finding, Incident, Severity};

/// A report: what is raised, sent, stored and shown. A further kind is a further variant, and the compiler then names
/// every place that has to say what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// One judgement of a rule or of the behaviour model.
    Finding(Arc<Finding>),
    /// An incident, and why it is sent now.
    Incident(IncidentReport),
}

/// An incident as it is sent to a receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentReport {
    /// As it is now.
    pub incident: Arc<Incident>,
    /// Why it is sent.
    pub change: IncidentChange,
    /// When it changed. Nanoseconds since the Unix epoch.
    pub at_ns: u64,
}

/// What became of an incident, as a receiver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentChange {
    /// It is new to the receiver.
    Opened,
    /// It is more severe than in what was sent before.
    Escalated {
        /// The severity in what was sent before.
        from: Severity,
    },
    /// It is over, or goes on as part of another.
    Closed {
        /// The severity in what was sent before.
        from: Severity,
    },
}

impl Report {
    /// The same for the same finding group, and for the same incident.
    pub fn uid(&self) -> &str {
        match self {
            Self::Finding(finding) => &finding.uid,
            Self::Incident(report) => &report.incident.uid,
        }
    }

    /// How severe it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Finding(finding) => finding.severity,
            Self::Incident(report) => report.incident.severity,
        }
    }
}

impl IncidentReport {
    /// One sentence for people: what became of it, and what it is.
    pub fn sentence(&self) -> String {
        let Incident { title, severity, merged_into, .. } = &*self.incident;
        let lower = |severity: Severity| severity.name().to_lowercase();
        match (self.change, merged_into) {
            (IncidentChange::Opened, _) => format!("Incident of {} severity: {title}", lower(*severity)),
            (IncidentChange::Escalated { from }, _) => {
                format!("Incident is of {} severity now, not {}: {title}", lower(*severity), lower(from))
            }
            (IncidentChange::Closed { .. }, Some(other)) => {
                format!("Incident goes on as part of incident {other}: {title}")
            }
            (IncidentChange::Closed { .. }, None) => format!("Incident is over: {title}"),
        }
    }
}

impl IncidentChange {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated { .. } => "escalated",
            Self::Closed { .. } => "closed",
        }
    }

    /// The severity that the receiver knew; none where the incident is new to it.
    pub fn known_severity(self) -> Option<Severity> {
        match self {
            Self::Opened => None,
            Self::Escalated { from } | Self::Closed { from } => Some(from),
        }
    }

    /// The number in OCSF of what happened to it.
    pub fn activity(self) -> (u8, &'static str) {
        match self {
            Self::Opened => (1, "Create"),
            Self::Escalated { .. } => (2, "Update"),
            Self::Closed { .. } => (3, "Close"),
        }
    }
}

impl From<Arc<Finding>> for Report {
    fn from(finding: Arc<Finding>) -> Self {
        Self::Finding(finding)
    }
}

impl From<Finding> for Report {
    fn from(finding: Finding) -> Self {
        Self::Finding(Arc::new(finding))
    }
}

impl From<IncidentReport> for Report {
    fn from(report: IncidentReport) -> Self {
        Self::Incident(report)
    }
}
