//! Whether the agent was stopped, or the clock set under it, as the engine's thread sees it.

use std::time::Duration;

use ethogram_detect::{Fault, Impairment};

/// From which delay on of what was due the agent was not running.
const STALLED: Duration = Duration::from_secs(3);
/// From which step on a clock was set. What keeps it right slews it, or steps it by less.
const CLOCK_STEP_NS: u64 = 5_000_000_000;

/// What a delay of what was due says of the agent, where it says something.
pub(super) fn stalled(delay: Duration, now_ns: u64) -> Option<Impairment> {
    (delay >= STALLED).then(|| Impairment {
        fault: Fault::Tampered,
        cause: "stalled".into(),
        what: "did not run: it was stopped, or the machine was too busy".into(),
        unjudged: "what happened meanwhile, where the kernel's buffers were full".into(),
        concerned: Vec::new(),
        loses_events: true,
        count: 0,
        from_ns: now_ns.saturating_sub(u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)),
        until_ns: now_ns,
    })
}

/// Whether the clock was set, by how far it is from the time since boot.
pub(super) struct Clock {
    offset_ns: u64,
}

impl Clock {
    pub(super) fn new(now_ns: u64, since_boot_ns: u64) -> Self {
        Self { offset_ns: now_ns.wrapping_sub(since_boot_ns) }
    }

    pub(super) fn check(&mut self, now_ns: u64, since_boot_ns: u64) -> Option<Impairment> {
        let before = std::mem::replace(&mut self.offset_ns, now_ns.wrapping_sub(since_boot_ns));
        let step_ns = before.abs_diff(self.offset_ns);
        (step_ns >= CLOCK_STEP_NS).then(|| Impairment {
            fault: Fault::Tampered,
            cause: "clock".into(),
            what: format!("saw the clock set by {} s", step_ns / 1_000_000_000),
            unjudged: "nothing, but times before and after do not fit together".into(),
            concerned: Vec::new(),
            loses_events: false,
            count: 0,
            from_ns: now_ns,
            until_ns: now_ns,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_comes_late_by_seconds_says_that_the_agent_did_not_run() {
        assert_eq!(stalled(Duration::from_millis(900), 10 * SECOND), None, "busy machines are that slow");
        let found = stalled(Duration::from_secs(4), 10 * SECOND).unwrap();
        assert_eq!((found.fault, found.from_ns, found.until_ns), (Fault::Tampered, 6 * SECOND, 10 * SECOND));
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_drifts_is_not() {
        let mut clock = Clock::new(1000 * SECOND, 10 * SECOND);
        assert_eq!(clock.check(1010 * SECOND + 1, 20 * SECOND), None);
        assert!(clock.check(5000 * SECOND, 21 * SECOND).is_some());
        assert_eq!(clock.check(5001 * SECOND, 22 * SECOND), None);
        assert!(clock.check(4000 * SECOND, 23 * SECOND).is_some(), "backwards, too");
    }
}
