//! What became of the last calls to a runtime: one that fails is left alone for a while, and complained about rarely.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ethogram_model::render::escape;
use parking_lot::Mutex;

use super::{Runtime, RuntimeError, bounded};

/// How long a runtime is left alone after its first failure; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Failed calls in a row from which on it does not answer.
const FAILING: u32 = 3;
/// Between two warnings about one runtime.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);

/// The health of one runtime. Only I/O tasks share it.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    alone_until: Option<Instant>,
    warned: Option<Instant>,
}

impl Health {
    /// Whether it is worth asking.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.0.lock().alone_until.is_none_or(|until| now >= until)
    }

    /// Whether its last calls did not all fail.
    pub(super) fn is_well(&self) -> bool {
        self.0.lock().failures < FAILING
    }

    /// It answered.
    pub(super) fn answered(&self) {
        let mut state = self.0.lock();
        state.failures = 0;
        state.alone_until = None;
    }

    /// It did not. Returns whether that is to be warned of.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.0.lock();
        let pause = FIRST_PAUSE.saturating_mul(1 << state.failures.min(16)).min(LONGEST_PAUSE);
        state.failures = state.failures.saturating_add(1);
        state.alone_until = Some(now + pause);
        let warn = state.warned.is_none_or(|last| now.duration_since(last) >= BETWEEN_WARNINGS);
        if warn {
            state.warned = Some(now);
        }
        warn
    }

    /// As [`Health::failed`], and warns.
    pub(super) fn complain(&self, runtime: Runtime, place: &Path, error: &RuntimeError) {
        if self.failed(Instant::now()) {
            let error = bounded(escape(&error.to_string()).into_owned(), 512);
            tracing::warn!(
                runtime = %runtime,
                place = %place.display(),
                "{runtime} does not answer properly, its containers have no names for now: {error}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_runtime_is_left_alone_longer_each_time_and_warned_of_once_a_minute() {
        let health = Health::default();
        let start = Instant::now();
        assert!(health.may_ask(start));
        assert!(health.failed(start));
        assert!(!health.may_ask(start + FIRST_PAUSE / 2) && health.may_ask(start + FIRST_PAUSE));
        for _ in 0..40 {
            assert!(!health.failed(start + FIRST_PAUSE));
        }
        assert!(!health.may_ask(start + LONGEST_PAUSE) && health.may_ask(start + FIRST_PAUSE + LONGEST_PAUSE));
        assert!(health.failed(start + BETWEEN_WARNINGS));
    }

    #[test]
    fn one_answer_makes_it_healthy() {
        let health = Health::default();
        let start = Instant::now();
        health.failed(start);
        health.answered();
        assert!(health.may_ask(start));
    }
}
