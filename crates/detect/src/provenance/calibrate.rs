//! The threshold calibrated on ordinary life: the last quarter of training is judged by what the
//! first three quarters taught.

use super::grubbs;

/// Share of training that teaches; the rest is held out.
const TEACH: f64 = 0.75;
/// Shortest time held out that says anything, in microseconds.
const LEAST: u64 = 3_000_000_000;
/// Incidents of ordinary life allowed in what is held out: one, and one more every eight hours.
const EVERY: u64 = 8 * 3_600_000_000;
/// Bits the threshold lies above the first incident that is one too many.
const MARGIN: f64 = 1.0;

/// When to begin judging what is held out of a training from `first` to `until` (microseconds);
/// nothing where too little would be held out.
pub fn split(first: u64, until: u64) -> Option<u64> {
    let length = until.checked_sub(first)?;
    let taught = (length as f64 * TEACH) as u64;
    (length - taught >= LEAST).then_some(first + taught)
}

/// The threshold that keeps what is held out within its budget, at least `default`: `scores` are
/// those of all groups found there (greatest first), `held` is its length in microseconds.
pub fn threshold(scores: &[f64], held: u64, default: f64, most: f64) -> f64 {
    // A deed in training, such as an installation, stands out from the noise and is none.
    let allowed = usize::try_from(1 + held / EVERY).unwrap_or(usize::MAX).max(grubbs::outliers(scores));
    scores.get(allowed).map_or(default, |s| (s + MARGIN).clamp(default, most.max(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_host_keeps_the_default_and_a_noisy_one_raises_it_within_bounds() {
        assert_eq!(threshold(&[15.0, 9.0], LEAST, 20.0, 36.0), 20.0);
        assert_eq!(threshold(&[80.0], LEAST, 20.0, 36.0), 20.0, "one severe incident is no noise");
        assert_eq!(threshold(&[80.0, 25.0, 8.0], LEAST, 20.0, 36.0), 26.0);
        assert_eq!(threshold(&[80.0, 75.0, 8.0], LEAST, 20.0, 36.0), 36.0);
        let deeds = [90.0, 80.0, 6.0, 5.5, 5.2, 5.1, 5.0, 4.9, 4.8, 4.7, 4.5, 4.2];
        assert_eq!(threshold(&deeds[1..], LEAST, 20.0, 36.0), 20.0);
        assert_eq!(threshold(&[80.0, 75.0, 8.0], 2 * EVERY, 20.0, 36.0), 20.0);
    }

    #[test]
    fn short_or_senseless_training_is_not_split() {
        assert_eq!(split(0, 3_600_000_000), None);
        assert_eq!(split(10, 5), None);
        assert_eq!(split(0, 4 * 3_600_000_000), Some(3 * 3_600_000_000));
    }
}
