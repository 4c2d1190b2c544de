//! Surges: many things at once that were never seen before.

use std::collections::VecDeque;

use super::limits::Limits;

/// New things are remembered up to this many, which bounds the memory.
const REMEMBERED: usize = 4_096;

/// Counts new things, and says while more of them come than is usual.
#[derive(Debug, Default)]
pub(crate) struct Surge {
    recent: VecDeque<i64>,
    total: u64,
    until_ms: Option<i64>,
}

impl Surge {
    /// Counts one new thing. `learned` is false while the network is new itself.
    pub(crate) fn see_new(&mut self, now_ms: i64, learned: bool, limits: &Limits) {
        while self.recent.front().is_some_and(|&time| time < now_ms.saturating_sub(limits.surge_window_ms)) {
            self.recent.pop_front();
        }
        let usual = per_window(self.total, now_ms, limits);
        self.recent.push_back(now_ms);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
        self.total = self.total.saturating_add(1);
        let many = (limits.surge_ratio * usual).clamp(limits.surge_count as f64, REMEMBERED as f64);
        if learned && self.recent.len() as f64 >= many {
            self.until_ms = Some(now_ms.saturating_add(limits.surge_lasts_ms));
        }
    }

    /// Whether a surge lasts.
    pub(crate) fn lasts(&self, now_ms: i64) -> bool {
        self.until_ms.is_some_and(|until| now_ms <= until)
    }
}

/// How many of `total` fall into one window on average.
fn per_window(total: u64, elapsed_ms: i64, limits: &Limits) -> f64 {
    total as f64 / elapsed_ms.max(3_600_000) as f64 * limits.surge_window_ms as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn five_new_things_in_ten_minutes_are_a_surge_and_four_are_not() {
        let (mut surge, limits) = (Surge::default(), Limits::default());
        for second in 0..4 {
            surge.see_new(3 * DAY + second * 1_000, true, &limits);
        }
        assert!(!surge.lasts(3 * DAY + 4_000));
        surge.see_new(3 * DAY + 4_000, true, &limits);
        assert!(surge.lasts(3 * DAY + 4_000));
        assert!(!surge.lasts(3 * DAY + 4_001 + limits.surge_lasts_ms));
    }

    #[test]
    fn what_is_spread_over_hours_is_none() {
        let (mut surge, limits) = (Surge::default(), Limits::default());
        for hour in 0..24 {
            surge.see_new(3 * DAY + hour * 3_600_000, true, &limits);
        }
        assert!(!surge.lasts(4 * DAY));
    }

    #[test]
    fn a_network_where_much_is_new_all_the_time_needs_more() {
        let (mut surge, limits) = (Surge::default(), Limits::default());
        for minute in 0..2 * 1_440 {
            surge.see_new(minute * 60_000, true, &limits);
        }
        assert!(!surge.lasts(2 * DAY));
    }

    #[test]
    fn there_is_none_while_the_network_is_being_learned() {
        let (mut surge, limits) = (Surge::default(), Limits::default());
        for _ in 0..1_000 {
            surge.see_new(DAY / 2, false, &limits);
        }
        assert!(!surge.lasts(DAY / 2));
    }

    #[test]
    fn a_flood_of_new_things_is_remembered_within_bounds() {
        let (mut surge, limits) = (Surge::default(), Limits::default());
        for _ in 0..100_000 {
            surge.see_new(0, true, &limits);
        }
        assert_eq!(surge.recent.len(), REMEMBERED);
    }
}
