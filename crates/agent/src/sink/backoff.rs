//! How long to wait before the next attempt.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

/// The shortest wait.
const FIRST: Duration = Duration::from_millis(500);
/// The longest, unless the receiver asks for more.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest that a receiver can ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(60 * 60);

/// Waits that double, with a random part so that not all agents come back at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait: at least what the receiver asked for.
    pub(super) fn next(&mut self, asked_for: Option<Duration>) -> Duration {
        let longest = FIRST.saturating_mul(2 << self.attempts.min(16)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        let wait = longest.div_f64(2.0).mul_f64(1.0 + random());
        wait.max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR))
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }
}

/// From 0 to 1. Each hasher of the standard library has keys of its own.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_differ() {
        for _ in 0..100 {
            let mut backoff = Backoff::default();
            for longest in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
                let (wait, longest) = (backoff.next(None), Duration::from_secs(longest));
                assert!(wait >= longest / 2 && wait <= longest, "{wait:?} of {longest:?}");
            }
            backoff.reset();
            assert!(backoff.next(None) <= Duration::from_secs(1));
        }
        let waits: std::collections::HashSet<_> = (0..10).map(|_| Backoff::default().next(None)).collect();
        assert!(waits.len() > 1);
    }

    #[test]
    fn a_receiver_may_ask_for_more_within_bounds() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(backoff.next(Some(Duration::from_secs(1 << 40))), LONGEST_ASKED_FOR);
        assert!(backoff.next(Some(Duration::ZERO)) >= Duration::from_secs(2));
    }
}
