//! How findings go on.

/// After so long without it, the same is a finding of its own again. Nanoseconds.
pub(crate) const QUIET_NS: u64 = 24 * 3_600_000_000_000;

/// The object of a finding that stands for everything else that an executable with many findings does, or a workload with many.
pub(crate) const OTHERS: &str = "*";
/// The same for all that is of high severity.
pub(crate) const SEVERE_OTHERS: &str = "**";

/// Whether a finding's object stands for many.
pub(crate) fn is_many(object: &str) -> bool {
    object == OTHERS || object == SEVERE_OTHERS
}

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
