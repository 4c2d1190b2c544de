//! From which score on new behaviour of a workload raises an alert: so that what is normal there leads to so many alerts a day.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use super::Bits;

/// What surprises less than this raises no alert, however few there are.
const LEAST: i32 = 4;
/// Half bits that are counted; whatever scores more counts as this much.
const MOST: i32 = 63;
const DAY_NS: u128 = 24 * 3_600_000_000_000;
/// Fixed point of rates.
const ONE: u128 = 1 << 16;
/// So many news, or so long without, say enough of a workload to judge it by itself.
const ENOUGH: u64 = 16;
const ENOUGH_NS: u64 = 24 * 3_600_000_000_000;
/// Alike news of a profile at which all are halved, with the time in which they came.
const MANY: u32 = 4_096;

/// What of a workload was new and normal: by this is known how much surprise is ordinary.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    /// Scores in half bits, and how often.
    #[serde(
        default,
        rename = "normal_news",
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "numbered_by_texts"
    )]
    scores: BTreeMap<i32, u32>,
    /// Scores in half bits of what would have been incidents of it, and how often.
    #[serde(
        default,
        rename = "normal_incidents",
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "numbered_by_texts"
    )]
    incidents: BTreeMap<i32, u32>,
    /// In which time, nanoseconds that the agent has watched.
    #[serde(default, rename = "normal_news_ns")]
    watched_ns: u64,
}

/// The keys of JSON are texts, and stay so where a struct is a part of another's table.
fn numbered_by_texts<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<i32, u32>, D::Error> {
    let texts = BTreeMap::<String, u32>::deserialize(from)?;
    texts.into_iter().map(|(key, count)| Ok((key.parse().map_err(D::Error::custom)?, count))).collect()
}

impl Calibration {
    /// Something new of that score was normal.
    pub(crate) fn note(&mut self, score: Bits) {
        let count = self.scores.entry(score.halves().clamp(0, MOST)).or_default();
        *count = count.saturating_add(1);
        if *count > MANY {
            self.halve();
        }
    }

    /// What would have been an incident scores so much now, and scored so much before where it was one already.
    pub(crate) fn note_incident(&mut self, before: Option<Bits>, now: Bits) {
        if let Some(before) = before.and_then(|before| self.incidents.get_mut(&before.halves().clamp(0, MOST))) {
            *before = before.saturating_sub(1);
        }
        let count = self.incidents.entry(now.halves().clamp(0, MOST)).or_default();
        *count = count.saturating_add(1);
        if *count > MANY {
            self.halve();
        }
    }

    fn halve(&mut self) {
        self.scores.values_mut().chain(self.incidents.values_mut()).for_each(|count| *count /= 2);
        self.watched_ns /= 2;
    }

    /// The agent has watched for so much longer.
    pub(super) fn watch(&mut self, ns: u64) {
        self.watched_ns = self.watched_ns.saturating_add(ns);
    }
}

/// How many news a day there are from each score on, in fixed point.
type Rates = [u128; MOST as usize + 1];

/// From which score on what is new raises an alert, for each workload by what is normal there: others do not move it.
#[derive(Debug, Clone)]
pub(crate) struct Thresholds {
    per_day: u32,
    /// Profiles that are judged: each has an equal share of a host's incidents.
    judged: u32,
    /// Of a workload of which not enough is known: by the median of those that are judged.
    common: Bits,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::new(std::iter::empty(), 0)
    }
}

impl Thresholds {
    /// `profiles` are those that are judged: what is still learnt moves nothing.
    pub(crate) fn new<'p>(profiles: impl Iterator<Item = &'p Calibration>, per_day: u32) -> Self {
        // Those without news come first in each order.
        let (mut none, mut known) = (0, Vec::new());
        for profile in profiles {
            match profile.scores.is_empty() {
                true => none += 1,
                false => known.push(profile.rates()),
            }
        }
        let middle = (none + known.len()).saturating_sub(1) / 2;
        let mut median = [0; MOST as usize + 1];
        for (score, rate) in median.iter_mut().enumerate().filter(|_| middle >= none) {
            let mut all: Vec<u128> = known.iter().filter_map(|rates| rates.get(score)).copied().collect();
            all.sort_unstable();
            *rate = all.get(middle - none).copied().unwrap_or(0);
        }
        let judged = u32::try_from(none + known.len()).unwrap_or(u32::MAX);
        Self { per_day, judged, common: lowest(&median, allowed(per_day)) }
    }

    /// Where not enough is known of a workload.
    pub(crate) fn common(&self) -> Bits {
        self.common
    }

    /// Of a workload: the lowest score at which its normal behaviour leads to no more than so many alerts a day.
    pub(crate) fn of(&self, profile: &Calibration) -> Bits {
        let own = lowest(&profile.rates(), allowed(self.per_day));
        if profile.says_enough() { own } else { own.max(self.common) }
    }

    /// Of a workload: the lowest score at which its normal life leads to no more incidents a day than its share.
    pub(crate) fn of_incidents(&self, profile: &Calibration) -> Bits {
        let share = allowed(self.per_day) / u128::from(self.judged.max(1));
        lowest(&rates_of(&profile.incidents, profile.watched_ns), share)
    }
}

impl Calibration {
    fn says_enough(&self) -> bool {
        self.watched_ns >= ENOUGH_NS || self.scores.values().map(|count| u64::from(*count)).sum::<u64>() >= ENOUGH
    }

    fn rates(&self) -> Rates {
        rates_of(&self.scores, self.watched_ns)
    }
}

/// Each with the lower bound of its rate, one standard deviation of a Poisson count and one alert below what was seen: few events
/// in a short time say little.
fn rates_of(scores: &BTreeMap<i32, u32>, watched_ns: u64) -> Rates {
    let mut rates = [0; MOST as usize + 1];
    if scores.is_empty() {
        return rates;
    }
    let mut above = 0_u128;
    for (half_bits, rate) in (0..MOST + 1).zip(&mut rates).rev() {
        above += scores.get(&half_bits).map_or(0, |count| u128::from(*count));
        let sure = (above * ONE).saturating_sub(ONE + (above * ONE * ONE).isqrt());
        *rate = sure * DAY_NS / u128::from(watched_ns.max(1));
    }
    rates
}

/// So many a day, in fixed point.
fn allowed(per_day: u32) -> u128 {
    u128::from(per_day) * ONE
}

/// The lowest score from which on there are no more than so many a day.
fn lowest(rates: &Rates, allowed: u128) -> Bits {
    let lowest = (0..=MOST).zip(rates).find(|(half_bits, rate)| *half_bits >= LEAST && **rate <= allowed);
    Bits::half(lowest.map_or(MOST, |(half_bits, _)| half_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(days: u64, news: &[(i32, u32)]) -> Calibration {
        let mut profile = Calibration::default();
        for (bits, times) in news {
            (0..*times).for_each(|_| profile.note(Bits::whole(*bits)));
        }
        profile.watched_ns = days * DAY_NS as u64;
        profile
    }

    /// Of the first, in the company of the others.
    fn raised_from(profiles: &[Calibration], alerts_per_day: u32) -> f64 {
        let thresholds = Thresholds::new(profiles.iter(), alerts_per_day);
        profiles.first().map_or(thresholds.common(), |profile| thresholds.of(profile)).tenths()
    }

    #[test]
    fn without_news_everything_is_raised() {
        assert_eq!(raised_from(&[], 1), 2.0);
        assert_eq!(raised_from(&[profile(1, &[])], 1), 2.0);
        assert_eq!(raised_from(&[profile(10, &[(9, 2)])], 1), 2.0, "two in ten days");
    }

    #[test]
    fn what_is_normal_every_hour_raises_nothing_and_what_surprises_more_is() {
        let restless = profile(10, &[(3, 500), (5, 240), (9, 3)]);
        assert_eq!(raised_from(std::slice::from_ref(&restless), 1), 5.5);
        assert_eq!(raised_from(std::slice::from_ref(&restless), 25), 3.5);
        assert_eq!(raised_from(std::slice::from_ref(&restless), 100), 2.0);
    }

    #[test]
    fn a_noisy_workload_moves_no_other() {
        let (quiet, noisy) = (profile(10, &[(3, 20)]), profile(1, &[(9, 3_000), (30, 2_400)]));
        let alone = raised_from(std::slice::from_ref(&quiet), 1);
        assert_eq!(alone, 3.5);
        assert_eq!(raised_from(&[quiet.clone(), noisy.clone()], 1), alone);
        assert!(raised_from(&[noisy.clone(), quiet.clone()], 1) > 30.0);
        // One that is new goes by what is usual for most, which no single one decides.
        let new = profile(0, &[]);
        let calm = || profile(10, &[(2, 30)]);
        assert_eq!(raised_from(&[new.clone(), calm(), calm(), noisy.clone()], 1), 2.5);
        assert!(raised_from(&[new, noisy.clone(), noisy.clone(), noisy, calm()], 1) > 30.0);
    }

    #[test]
    fn a_few_news_in_a_short_time_say_little() {
        let mut short = profile(0, &[(6, 2)]);
        short.watched_ns = 10_000_000_000;
        assert_eq!(raised_from(std::slice::from_ref(&short), 1), 2.0);
        (0..20).for_each(|_| short.note(Bits::whole(6)));
        assert_eq!(raised_from(std::slice::from_ref(&short), 1), 6.5);
    }

    #[test]
    fn incidents_of_normal_life_move_the_threshold_of_their_workload_within_its_share() {
        let mut busy = profile(10, &[]);
        let half = |n: i32| Bits::half(n);
        (0..100).for_each(|_| busy.note_incident(None, half(8)));
        // Each went on, and scored more.
        (0..100).for_each(|_| busy.note_incident(Some(half(8)), half(12)));
        let of =
            |all: &[&Calibration], per_day| Thresholds::new(all.iter().copied(), per_day).of_incidents(&busy).tenths();
        assert_eq!(of(&[&busy], 1), 6.5);
        assert_eq!(of(&[&busy], 100), 2.0, "so many are allowed");
        let calm = profile(10, &[]);
        assert_eq!(of(&[&busy, &calm, &calm, &calm], 10), 6.5, "ten a day are for all of them");
        assert_eq!(Thresholds::new([&busy, &calm].into_iter(), 1).of_incidents(&calm).tenths(), 2.0);
    }

    #[test]
    fn it_is_stored_as_a_part_of_what_holds_it() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Whole {
            #[serde(flatten)]
            part: Calibration,
        }
        let whole = Whole { part: profile(1, &[(3, 2), (9, 1)]) };
        let stored = r#"{"normal_news":{"6":2,"18":1},"normal_news_ns":86400000000000}"#;
        assert_eq!(serde_json::to_string(&whole).unwrap(), stored);
        assert_eq!(serde_json::from_str::<Whole>(stored).unwrap(), whole);
        assert_eq!(serde_json::from_str::<Whole>("{}").unwrap().part, Calibration::default());
        assert!(serde_json::from_str::<Whole>(r#"{"normal_news":{"x":2}}"#).is_err());
    }

    #[test]
    fn counts_fade_and_end() {
        let mut long = profile(100, &[(4, 20_000)]);
        assert!(long.scores.values().sum::<u32>() <= MANY);
        long.watched_ns = u64::MAX;
        Thresholds::new([&long].into_iter(), u32::MAX).of(&long);
    }
}
