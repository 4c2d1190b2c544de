//! How many alerts may be kept: a number at once, and then one more in each period.

/// What is left of one budget. It is full at first and fills again with time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Budget {
    spent: u32,
    since_ms: i64,
}

impl Budget {
    /// Whether one more may be kept, of at most `most` at once, where one becomes free each `period_ms`.
    pub(crate) fn allows(&mut self, now_ms: i64, (most, period_ms): (u32, i64)) -> bool {
        let period_ms = period_ms.max(1);
        let freed = now_ms.saturating_sub(self.since_ms).max(0) / period_ms;
        self.since_ms = self.since_ms.saturating_add(freed * period_ms);
        self.spent = self.spent.saturating_sub(u32::try_from(freed).unwrap_or(u32::MAX));
        self.spent < most
    }

    /// Takes one.
    pub(crate) fn spend(&mut self) {
        self.spent = self.spent.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time() {
        let (mut budget, limit) = (Budget::default(), (2, 100));
        for _ in 0..2 {
            assert!(budget.allows(0, limit));
            budget.spend();
        }
        assert!(!budget.allows(99, limit));
        assert!(budget.allows(100, limit));
        budget.spend();
        assert!(!budget.allows(199, limit));
        assert!(budget.allows(1_000_000, limit));
    }
}
