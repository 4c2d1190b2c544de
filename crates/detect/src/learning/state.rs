//! How far a profile is, in one word.

use serde::{Deserialize, Serialize};

/// How far a profile is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LearningState {
    /// It is being learnt, and what is new raises no alert; with a predecessor, only what is of high severity.
    #[default]
    Learning,
    /// It judges, but the agent saw only part of what the workload does: no start of any of its containers, or events
    /// were lost. What the next start brings is learnt, unless it is of high severity.
    Partial,
    /// It judges.
    Stable,
    /// It judges, but much that is new has come lately (drift): the workload has changed. Approve it, or reset it.
    Drifted,
}

impl LearningState {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::Partial => "partial",
            Self::Stable => "stable",
            Self::Drifted => "drifted",
        }
    }
}
