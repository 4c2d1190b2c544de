//! A clock made of the alerts' own times, which only goes forward.

use serde::Serialize;

/// A step back up to this long is disorder between senders; a longer one is a clock that was set.
const DISORDER_MS: i64 = 3_600_000;
/// A step forward counts at most this long: 31 days. One wrong time must not age everything.
const LONGEST_STEP_MS: i64 = 31 * 86_400_000;

/// How often the times of the alerts were not in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ClockCounts {
    /// Alerts up to an hour older than one before them. They count as being of the same time.
    pub late: u64,
    /// Steps of more than an hour back, or more than 31 days forward. Time goes on from there.
    pub jumps: u64,
}

/// Turns the times of alerts into milliseconds since the first one.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    previous_ms: Option<i64>,
    now_ms: i64,
    counts: ClockCounts,
}

impl Clock {
    /// Time passed since the first alert. An alert without a time is of the time of the one before.
    pub(crate) fn advance(&mut self, time_ms: Option<i64>) -> i64 {
        let Some(time_ms) = time_ms else { return self.now_ms };
        let step = time_ms.saturating_sub(self.previous_ms.unwrap_or(time_ms));
        if (-DISORDER_MS..0).contains(&step) {
            self.counts.late += 1;
            return self.now_ms;
        }
        if !(0..=LONGEST_STEP_MS).contains(&step) {
            self.counts.jumps += 1;
        }
        self.previous_ms = Some(time_ms);
        self.now_ms = self.now_ms.saturating_add(step.clamp(0, LONGEST_STEP_MS));
        self.now_ms
    }

    /// What was not in order.
    pub(crate) fn counts(&self) -> ClockCounts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_order_pass_unchanged() {
        let mut clock = Clock::default();
        assert_eq!(clock.advance(Some(5_000)), 0);
        assert_eq!(clock.advance(Some(6_000)), 1_000);
        assert_eq!(clock.advance(None), 1_000);
        assert_eq!(clock.counts(), ClockCounts::default());
    }

    #[test]
    fn disorder_does_not_make_time_pass_twice() {
        let mut clock = Clock::default();
        clock.advance(Some(10_000));
        for _ in 0..100 {
            clock.advance(Some(9_000));
            clock.advance(Some(10_000));
        }
        assert_eq!(clock.advance(Some(10_500)), 500);
        assert_eq!(clock.counts(), ClockCounts { late: 100, jumps: 0 });
    }

    #[test]
    fn one_wrong_time_far_ahead_does_not_stop_the_clock() {
        let mut clock = Clock::default();
        clock.advance(Some(0));
        let far = clock.advance(Some(i64::MAX));
        assert_eq!(far, LONGEST_STEP_MS);
        assert_eq!(clock.advance(Some(1_000)), far);
        assert_eq!(clock.advance(Some(2_000)), far + 1_000);
        assert_eq!(clock.counts(), ClockCounts { late: 0, jumps: 2 });
    }
}
