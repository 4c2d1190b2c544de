//! Time that went by while events came, whatever their clock did.

/// The longest that two events may lie apart and all the time between them count as observed. More is a clock that
/// jumped or a machine that slept, and counts as this much. Nanoseconds.
const LONGEST_STEP_NS: u64 = 3_600_000_000_000;
/// Events of several CPUs come a little out of order; a clock that goes back by more than this was set. Nanoseconds.
const DISORDER_NS: u64 = 10_000_000_000;

/// Time that went by.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last_ns: Option<u64>,
    pub(crate) elapsed_ns: u64,
    /// When, of the time that went by, it was last set forward, or woke up.
    jumped_ns: Option<u64>,
}

impl Clock {
    pub(crate) fn advance(&mut self, now_ns: u64) {
        let last = self.last_ns.unwrap_or(now_ns);
        if now_ns >= last {
            let step = now_ns - last;
            self.elapsed_ns = self.elapsed_ns.saturating_add(step.min(LONGEST_STEP_NS));
            if step > LONGEST_STEP_NS {
                self.jumped_ns = Some(self.elapsed_ns);
            }
        } else if last - now_ns < DISORDER_NS {
            return;
        }
        self.last_ns = Some(now_ns);
    }

    /// Whether moments that lie so far back say that so much time went by: since it jumped, the agent has watched for as long.
    pub(crate) fn is_steady_for(&self, ns: u64) -> bool {
        self.jumped_ns.is_none_or(|jumped_ns| self.elapsed_ns - jumped_ns >= ns)
    }

    /// The latest moment that it knows of, nanoseconds since the Unix epoch.
    pub(crate) fn now_ns(&self) -> u64 {
        self.last_ns.unwrap_or(0)
    }
}
