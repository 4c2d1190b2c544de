//! How often one thing was seen: in hours, so that a thousand alerts at once are not often.

/// What is remembered about one thing, for example one name of alert on one host.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sightings {
    last_ms: i64,
    hour_ms: i64,
    hours: u32,
    size: u64,
    record: u64,
}

/// What one sighting is, compared with the past.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting {
    /// The thing was not seen for longer than the gap: an episode begins.
    pub(crate) begins: bool,
    /// The thing was never seen before.
    pub(crate) first: bool,
    /// Hours in which it was seen before this one.
    pub(crate) hours: u32,
    /// Sightings in this episode, with this one.
    pub(crate) size: u64,
    /// The episode is larger than each before it.
    pub(crate) record: bool,
}

impl Sighting {
    /// The thing was never seen before this hour.
    pub(crate) fn is_new(&self) -> bool {
        self.hours == 0
    }

    /// Hours a day in which it was seen so far. Half an hour and a day are added, so that a thing without a past has a
    /// rate, and a short past has no extreme one.
    pub(crate) fn rate(&self, elapsed_days: f64) -> f64 {
        (f64::from(self.hours) + 0.5) / (elapsed_days + 1.0)
    }
}

impl Sightings {
    /// Counts one sighting. `gap_ms` ends an episode, and is also the length of what is called an hour here.
    pub(crate) fn see(&mut self, now_ms: i64, gap_ms: i64) -> Sighting {
        let first = self.hours == 0;
        let begins = first || now_ms.saturating_sub(self.last_ms) > gap_ms;
        if begins {
            self.record = self.record.max(self.size);
            self.size = 0;
        }
        if begins || now_ms.saturating_sub(self.hour_ms) > gap_ms {
            self.hour_ms = now_ms;
            self.hours = self.hours.saturating_add(1);
        }
        self.size = self.size.saturating_add(1);
        self.last_ms = now_ms;
        Sighting { begins, first, hours: self.hours - 1, size: self.size, record: self.size > self.record }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_longer_than_the_gap_begins_an_episode_and_one_as_long_does_not() {
        let mut sightings = Sightings::default();
        assert!(sightings.see(0, 100).begins);
        assert!(!sightings.see(100, 100).begins);
        let next = sightings.see(201, 100);
        assert!(next.begins && !next.first);
        assert_eq!((next.hours, next.size), (1, 1));
    }

    #[test]
    fn what_never_pauses_is_one_episode_but_no_rare_thing() {
        let mut sightings = Sightings::default();
        let mut last = sightings.see(0, 100);
        for time in 1..1_000 {
            last = sightings.see(time, 100);
            assert!(!last.begins);
        }
        assert_eq!(last.hours, 9);
    }

    #[test]
    fn a_record_is_only_what_exceeds_every_episode_before() {
        let mut sightings = Sightings::default();
        for time in 0..4 {
            sightings.see(time, 100);
        }
        for time in 1000..1004 {
            assert!(!sightings.see(time, 100).record);
        }
        assert!(sightings.see(1004, 100).record);
    }

    #[test]
    fn the_rate_falls_with_time_and_rises_with_hours() {
        let once = Sighting { begins: true, first: true, hours: 0, size: 1, record: true };
        let often = Sighting { hours: 9, ..once };
        assert!((once.rate(0.0) - 0.5).abs() < 1e-9);
        assert!(once.rate(4.0) < once.rate(1.0));
        assert!(often.rate(4.0) > once.rate(4.0));
    }
}
