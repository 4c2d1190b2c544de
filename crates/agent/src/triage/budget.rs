//! How many requests are made in an hour, and for whom.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const HOUR: Duration = Duration::from_hours(1);

/// The requests of the last hour. A workload has half of them at most: one that is attacked, or is the attacker's, leaves
/// some to the others.
pub(super) struct Budget {
    per_hour: usize,
    made: VecDeque<(Instant, String)>,
}

impl Budget {
    pub(super) fn new(per_hour: u32) -> Self {
        Self { per_hour: per_hour as usize, made: VecDeque::new() }
    }

    /// Whether a request may be made for that workload. It counts then.
    pub(super) fn take(&mut self, workload: &str, now: Instant) -> bool {
        while self.made.front().is_some_and(|(at, _)| now.duration_since(*at) >= HOUR) {
            self.made.pop_front();
        }
        if self.made.len() >= self.per_hour || self.used_by(workload) >= self.per_hour.div_ceil(2) {
            return false;
        }
        self.made.push_back((now, workload.to_owned()));
        true
    }

    /// How many were made for it.
    pub(super) fn used_by(&self, workload: &str) -> usize {
        self.made.iter().filter(|(_, of)| of == workload).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_leaves_half_to_others_and_all_comes_back_after_an_hour() {
        let (mut budget, now) = (Budget::new(5), Instant::now());
        let taken = |budget: &mut Budget, workload, now| (0..9).filter(|_| budget.take(workload, now)).count();
        assert_eq!(taken(&mut budget, "noisy", now), 3);
        assert_eq!(taken(&mut budget, "quiet", now), 2);
        assert_eq!(taken(&mut budget, "third", now + HOUR / 2), 0);
        assert_eq!(taken(&mut budget, "third", now + HOUR), 3);
        assert_eq!(taken(&mut Budget::new(1), "only", now), 1);
    }
}
