//! Time that went by while events came, whatever their clock did.

/// The longest that two events may lie apart and all the time between them count as looked at. More is a clock that
/// jumped or a machine that slept, and counts as this much. Nanoseconds.
const LONGEST_STEP_NS: u64 = 3_600_000_000_000;
/// Events of several CPUs come a little out of order; a clock that goes back by more than this was set. Nanoseconds.
const DISORDER_NS: u64 = 10_000_000_000;

/// Time that went by.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last_ns: Option<u64>,
    pub(super) elapsed_ns: u64,
}

impl Clock {
    pub(super) fn advance(&mut self, now_ns: u64) {
        let last = self.last_ns.unwrap_or(now_ns);
        if now_ns >= last {
            self.elapsed_ns = self.elapsed_ns.saturating_add((now_ns - last).min(LONGEST_STEP_NS));
        } else if last - now_ns < DISORDER_NS {
            return;
        }
        self.last_ns = Some(now_ns);
    }

    /// The latest moment that it knows of, nanoseconds since the Unix epoch.
    pub(super) fn now_ns(&self) -> u64 {
        self.last_ns.unwrap_or(0)
    }
}
