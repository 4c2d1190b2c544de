//! How often, when and by how many containers something was seen.

use serde::{Deserialize, Serialize};

/// How often and when something was seen. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// First.
    pub first_seen_ns: u64,
    /// Last.
    pub last_seen_ns: u64,
    /// Which containers showed it: a bit for each, by a hash of its id, so that those of two places can be united.
    #[serde(default, skip_serializing_if = "is_zero")]
    shown_by: u64,
    /// Whether none but the main process of its program was seen to do it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_of_main_alone: bool,
    /// What is not yet counted, see [`Seen::flush_counts`].
    #[serde(skip)]
    pending: u64,
    #[serde(skip)]
    pending_last_ns: u64,
}

pub(super) fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Seen {
    /// Seen once.
    pub fn at(time_ns: u64) -> Self {
        Self { count: 1, first_seen_ns: time_ns, last_seen_ns: time_ns, ..Self::default() }
    }

    /// Seen once, in a container.
    pub(crate) fn shown(time_ns: u64, container: u64) -> Self {
        Self { shown_by: bit_of(container), ..Self::at(time_ns) }
    }

    /// The same, where none but the main process of its program was seen to do it, or others may have.
    pub(crate) fn of_main_alone(self, is_of_main_alone: bool) -> Self {
        Self { is_of_main_alone, ..self }
    }

    /// Takes over what else was seen.
    pub fn add(&mut self, other: Self) {
        let (pending, pending_last_ns) =
            (self.pending + other.pending, self.pending_last_ns.max(other.pending_last_ns));
        let shown_by = self.shown_by | other.shown_by;
        let is_of_main_alone = other.is_of_main_alone && (self.is_of_main_alone || *self == Self::default());
        if self.count == 0 {
            *self = other;
        } else if other.count > 0 {
            self.count = self.count.saturating_add(other.count);
            self.first_seen_ns = self.first_seen_ns.min(other.first_seen_ns);
            self.last_seen_ns = self.last_seen_ns.max(other.last_seen_ns);
        }
        (self.pending, self.pending_last_ns, self.shown_by) = (pending, pending_last_ns, shown_by);
        self.is_of_main_alone = is_of_main_alone;
    }

    /// In how many containers it was seen. Exact for a few, an estimate for many, 266 at most: linear counting over 64
    /// bits, Whang et al., "A linear-time probabilistic counting algorithm for database applications", TODS 1990.
    pub fn containers(&self) -> u32 {
        match self.shown_by.count_zeros() {
            0 => 266,
            zeros => (64.0 * (64.0 / f64::from(zeros)).ln()).round() as u32,
        }
    }

    /// Notes that it was seen again, by so many times up to a moment, to be counted later. What events are judged by
    /// changes only at set times then: whether they came one by one or were counted in the kernel makes no difference.
    pub(crate) fn note(&mut self, times: u64, last_ns: u64) {
        self.pending = self.pending.saturating_add(times);
        self.pending_last_ns = self.pending_last_ns.max(last_ns);
    }

    /// The same in a container.
    pub(crate) fn note_in(&mut self, container: u64, time_ns: u64) {
        self.note(1, time_ns);
        self.shown_by |= bit_of(container);
    }

    /// Counts what was noted. How much that was.
    pub(crate) fn flush_counts(&mut self) -> u64 {
        let times = std::mem::take(&mut self.pending);
        if times > 0 {
            if self.count == 0 {
                self.first_seen_ns = self.pending_last_ns;
            }
            self.count = self.count.saturating_add(times);
            self.last_seen_ns = self.last_seen_ns.max(self.pending_last_ns);
        }
        times
    }

    /// With all that was noted: what people are shown.
    pub(crate) fn up_to_now(mut self) -> Self {
        self.flush_counts();
        self
    }
}

/// Ids follow one another, and counting needs what looks like chance: the finalizer of Steele et al., "Fast splittable
/// pseudorandom number generators", OOPSLA 2014.
fn bit_of(container: u64) -> u64 {
    let mixed = (container ^ container >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    1 << (mixed >> 58)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_distinguished_and_united() {
        let few = |range: std::ops::Range<u64>| {
            let mut seen = Seen::default();
            range.for_each(|container| seen.add(Seen::shown(1, container)));
            seen
        };
        assert_eq!((few(0..0).containers(), few(7..8).containers(), few(7..9).containers()), (0, 1, 2));
        assert!((8..=12).contains(&few(100..110).containers()), "{}", few(100..110).containers());
        let (mut one, other) = (few(1..4), few(2..5));
        one.add(other);
        assert_eq!(one.containers(), few(1..5).containers());
        assert_eq!(few(0..100_000).containers(), 266);
    }

    #[test]
    fn what_is_noted_counts_when_it_is_flushed() {
        let mut seen = Seen::at(5);
        seen.note(3, 9);
        seen.note_in(7, 8);
        assert_eq!((seen.count, seen.last_seen_ns), (1, 5));
        assert_eq!((seen.up_to_now().count, seen.containers()), (5, 1));
        assert_eq!((seen.flush_counts(), seen.flush_counts()), (4, 0));
        assert_eq!((seen.count, seen.first_seen_ns, seen.last_seen_ns), (5, 5, 9));
    }
}
