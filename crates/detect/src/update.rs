//! How findings go on.

/// How a finding went on. The numbers are totals: a missed update loses nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingUpdate {
    /// Of which finding.
    pub uid: String,
    /// How often it was seen by now.
    pub count: u64,
    /// When last, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
    /// Evidence to append, so that it has [`ethogram_model::Finding::MAX_EVIDENCE`] at most.
    pub evidence: Vec<serde_json::Value>,
}
