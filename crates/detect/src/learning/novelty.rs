//! How surprising it is that something new turns up in one place of a profile.

use serde::{Deserialize, Serialize};

/// Information in bits, exact to 1/256. Whole numbers, as the same run must give the same scores on every machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bits(i32);

impl Bits {
    const ONE: i32 = 256;

    /// So many whole bits.
    pub const fn whole(bits: i32) -> Self {
        Self(bits * Self::ONE)
    }

    /// So many halves of a bit.
    pub const fn half(halves: i32) -> Self {
        Self(halves * Self::ONE / 2)
    }

    /// The information of something that is so in `part` of `all` cases: -log2(part / all). Both at least one.
    pub fn of(part: u64, all: u64) -> Self {
        Self(log2(all.max(1)) - log2(part.max(1)))
    }

    /// So many bits, rounded down.
    pub(crate) fn of_float(bits: f64) -> Self {
        Self((bits.clamp(0.0, 1_000.0) * f64::from(Self::ONE)) as i32)
    }

    /// Rounded to tenths.
    pub fn tenths(self) -> f64 {
        f64::from((self.0 * 10 + self.0.signum() * Self::ONE / 2) / Self::ONE) / 10.0
    }

    /// Half bits, rounded down.
    pub fn halves(self) -> i32 {
        self.0.div_euclid(Self::ONE / 2)
    }
}

impl std::ops::Add for Bits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Bits {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |a, b| a + b)
    }
}

/// Base-2 logarithm in 1/256, rounded down: the digits come from squaring what is left, in fixed point.
fn log2(n: u64) -> i32 {
    let whole = n.max(1).ilog2();
    // One to two, with 31 binary places.
    let mut left = if whole <= 31 { n.max(1) << (31 - whole) } else { n >> (whole - 31) };
    let mut digits = 0;
    for _ in 0..8 {
        left = (left * left) >> 31;
        digits <<= 1;
        if left >> 32 != 0 {
            digits |= 1;
            left >>= 1;
        }
    }
    whole as i32 * Bits::ONE + digits
}

/// In how many windows of time something happened in one place of a profile, and in how many of these something new.
/// Windows and not events are what is counted: a thousand requests to one peer are no thousand chances of another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Novelty {
    /// Windows in which anything happened here.
    #[serde(default)]
    active: u32,
    /// Windows after the first in which something new did.
    #[serde(default)]
    novel: u32,
    /// The number of the last window of each, from one.
    #[serde(default)]
    last_active: u64,
    #[serde(default)]
    last_novel: u64,
}

/// Windows from which all is halved, so that what was long ago fades.
const MANY_WINDOWS: u32 = 2_048;

impl Novelty {
    /// Something happened here in that window.
    pub(crate) fn touch(&mut self, window: u64) {
        let window = window.saturating_add(1);
        if window > self.last_active {
            self.last_active = window;
            self.active += 1;
            if self.active > MANY_WINDOWS {
                self.active /= 2;
                self.novel = self.novel.div_ceil(2);
            }
        }
    }

    /// Something new did. In the first window everything is new, which means nothing.
    pub(crate) fn add(&mut self, window: u64) {
        self.touch(window);
        let window = window.saturating_add(1);
        if self.active > 1 && window > self.last_novel {
            self.last_novel = window;
            self.novel += 1;
        }
    }

    /// Windows in which anything happened here, and those in which something new did.
    pub fn windows(&self) -> (u32, u32) {
        (self.active, self.novel)
    }

    /// How surprising something new is here: the estimate of Krichevsky and Trofimov, "The performance of
    /// universal encoding", 1981, which is (n + 1/2) / (windows + 1).
    pub fn surprise(&self) -> Bits {
        Bits::of(2 * u64::from(self.novel) + 1, 2 * u64::from(self.active) + 2)
    }

    /// Of two places that become one.
    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            active: self.active.max(other.active),
            novel: self.novel.max(other.novel),
            last_active: self.last_active.max(other.last_active),
            last_novel: self.last_novel.max(other.last_novel),
        }
    }

    /// The same for what is of another kind than all that was new.
    pub(crate) fn without_news(self) -> Self {
        Self { novel: 0, ..self }
    }

    /// The same for a profile that begins with this one: its windows count from the beginning.
    pub(crate) fn of_another(self) -> Self {
        Self { last_active: 0, last_novel: 0, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right() {
        for n in [1_u64, 2, 3, 5, 7, 100, 1_000_003, u64::from(u32::MAX), u64::MAX / 3] {
            let (got, exact) = (f64::from(log2(n)) / 256.0, (n as f64).log2());
            assert!((exact - got).abs() < 0.02, "{n}: {got}, {exact}");
        }
        assert_eq!(Bits::of(1, 4), Bits::whole(2));
        assert_eq!((Bits::of(1, 3).tenths(), Bits::of(3, 1).tenths()), (1.6, -1.6));
        assert_eq!((Bits::whole(3).halves(), Bits::of(2, 1).halves()), (6, -2));
    }

    #[test]
    fn a_place_that_never_brings_news_surprises_more_with_time_and_a_restless_one_never() {
        let (mut quiet, mut restless) = (Novelty::default(), Novelty::default());
        let mut before = Bits::default();
        for window in 0..100 {
            quiet.touch(window);
            quiet.touch(window);
            restless.add(window);
            assert!(quiet.surprise() > before);
            before = quiet.surprise();
        }
        assert!(quiet.surprise() > Bits::whole(7) && restless.surprise() < Bits::whole(1));
        assert_eq!((quiet.windows(), restless.windows()), ((100, 0), (100, 99)));
    }

    #[test]
    fn time_that_goes_back_changes_nothing() {
        let mut place = Novelty::default();
        place.touch(5);
        place.touch(3);
        assert_eq!(place.windows(), (1, 0));
        (0..10_000).for_each(|window| place.add(window));
        assert!(place.windows().0 <= MANY_WINDOWS);
    }
}
