//! Grubbs' one-sided test for outliers, repeated.

/// Values needed before the test says anything.
pub(super) const LEAST: usize = 8;

/// How many of the values (greatest first) are outliers above the rest, by repeated tests at
/// significance 0.01 (NodLink's). None where there are fewer than eight.
pub(super) fn outliers(descending: &[f64]) -> usize {
    let mut rest = descending;
    let mut count = 0;
    while rest.len() >= LEAST {
        let n = rest.len() as f64;
        let mean = rest.iter().sum::<f64>() / n;
        let variance = rest.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let Some((first, others)) = rest.split_first() else {
            break;
        };
        if variance <= 0.0 || (first - mean) / variance.sqrt() <= critical(n) {
            break;
        }
        count += 1;
        rest = others;
    }
    count
}

/// The test's critical value for `n` values: `(n-1)/sqrt n * sqrt(t²/(n-2+t²))` with t the
/// quantile of Student's distribution at 0.01/n with n-2 degrees of freedom.
fn critical(n: f64) -> f64 {
    let t = student(1.0 - 0.01 / n, n - 2.0);
    (n - 1.0) / n.sqrt() * (t * t / (n - 2.0 + t * t)).sqrt()
}

/// Quantile of Student's distribution, by the expansion of Cornish and Fisher around the normal
/// one (within 2 % for six degrees and more at the probabilities used here).
fn student(p: f64, degrees: f64) -> f64 {
    let z = normal(p);
    let (z3, z5, z7) = (z.powi(3), z.powi(5), z.powi(7));
    z + (z3 + z) / (4.0 * degrees)
        + (5.0 * z5 + 16.0 * z3 + 3.0 * z) / (96.0 * degrees.powi(2))
        + (3.0 * z7 + 19.0 * z5 + 17.0 * z3 - 15.0 * z) / (384.0 * degrees.powi(3))
}

/// Upper quantile of the normal distribution (Abramowitz and Stegun 26.2.23, p over one half).
fn normal(p: f64) -> f64 {
    let t = (-2.0 * (1.0 - p).ln()).sqrt();
    t - (2.515_517 + 0.802_853 * t + 0.010_328 * t * t)
        / (1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_need_eight_values_and_distance() {
        assert_eq!(outliers(&[100.0, 1.0, 1.1, 0.9]), 0);
        assert_eq!(outliers(&[100.0, 1.2, 1.1, 1.0, 1.0, 0.9, 0.9, 0.8, 0.8]), 1);
        assert_eq!(outliers(&[1.3, 1.2, 1.1, 1.0, 1.0, 0.9, 0.9, 0.8, 0.8]), 0);
        assert_eq!(outliers(&[1.0; 20]), 0);
    }

    #[test]
    fn critical_values_are_those_of_the_tables() {
        assert!((critical(10.0) - 2.41).abs() < 0.06, "{}", critical(10.0));
        assert!((critical(20.0) - 2.88).abs() < 0.06, "{}", critical(20.0));
    }
}
