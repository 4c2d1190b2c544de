//! Windows of the time in which the agent observed a workload: whether it has become quiet, or has changed.

use serde::{Deserialize, Serialize};

/// What happened within a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(super) number: u64,
    /// Behaviours seen.
    pub(super) seen: u64,
    /// Of these, such as the profile did not hold.
    pub(super) new: u64,
    /// Whether events were lost.
    pub(super) lossy: bool,
}

/// Windows of a learning period.
pub(crate) const WINDOWS: u64 = 10;
/// Of so many behaviours, one may be new in a quiet window.
const SEEN_FOR_ONE_NEW: u64 = 1_000;
/// New behaviours within a window that make a judged workload one that has changed, and of how many seen one is.
const DRIFT: (u64, u64) = (16, 100);

/// A window is never shorter, nanoseconds.
const SHORTEST_NS: u64 = 100_000_000;

/// How long windows are, nanoseconds.
pub(crate) fn window_ns(learning_period_ns: u64) -> u64 {
    learning_period_ns.div_ceil(WINDOWS).max(SHORTEST_NS)
}

impl Window {
    pub(super) fn is_quiet(&self) -> bool {
        !self.lossy && (self.new == 0 || self.new.saturating_mul(SEEN_FOR_ONE_NEW) < self.seen)
    }

    pub(super) fn is_drift(&self) -> bool {
        self.new >= DRIFT.0 && self.new.saturating_mul(DRIFT.1) > self.seen
    }
}
