//! What goes out to people and to other systems.

use std::sync::Arc;

use crate::{Finding, Severity};

/// A report: what is raised, sent, stored and shown. A further kind is a further variant, and the compiler then names
/// every place that has to say what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// One judgement of a rule or of the behaviour model.
    Finding(Arc<Finding>),
}

impl Report {
    /// The same for the same finding group.
    pub fn uid(&self) -> &str {
        match self {
            Self::Finding(finding) => &finding.uid,
        }
    }

    /// How severe it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Finding(finding) => finding.severity,
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
