//! What became of incidents that were to be triaged.

use std::time::Duration;

use parking_lot::Mutex;

use crate::metrics::TriageMetrics;

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The model answered as it should.
    Ok,
    /// It had answered about one of the same shape.
    Cached,
    /// Too slow.
    Timeout,
    /// No connection, or none that speaks HTTP.
    Unreachable,
    /// Another status than success.
    Refused,
    /// Longer than an answer may be.
    TooLong,
    /// No completion, or one whose text is not JSON.
    Nonsense,
    /// Another answer than the schema allows.
    Schema,
    /// The requests of the hour had been made.
    OverBudget,
    /// There was no room for it to wait.
    Dropped,
    /// The incident had become another meanwhile.
    Outdated,
}

impl Outcome {
    const ALL: [Self; 11] = [
        Self::Ok,
        Self::Cached,
        Self::Timeout,
        Self::Unreachable,
        Self::Refused,
        Self::TooLong,
        Self::Nonsense,
        Self::Schema,
        Self::OverBudget,
        Self::Dropped,
        Self::Outdated,
    ];

    /// The label of a metric.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cached => "cached",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::TooLong => "too_long",
            Self::Nonsense => "nonsense",
            Self::Schema => "schema",
            Self::OverBudget => "over_budget",
            Self::Dropped => "dropped",
            Self::Outdated => "outdated",
        }
    }
}

/// Counts them.
pub(crate) struct Counters(Mutex<TriageMetrics>);

impl Default for Counters {
    fn default() -> Self {
        let requests = Outcome::ALL.iter().map(|outcome| (outcome.name(), 0)).collect();
        Self(Mutex::new(TriageMetrics { requests, seconds: 0.0 }))
    }
}

impl Counters {
    pub(super) fn count(&self, outcome: Outcome) {
        *self.0.lock().requests.entry(outcome.name()).or_default() += 1;
    }

    /// A request took so long, however it ended.
    pub(super) fn took(&self, time: Duration) {
        self.0.lock().seconds += time.as_secs_f64();
    }

    /// All of it so far.
    pub(crate) fn metrics(&self) -> TriageMetrics {
        self.0.lock().clone()
    }
}
