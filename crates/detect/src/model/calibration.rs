//! From which score on new behaviour is told: so that what is normal leads to so many alerts a day on this host.

use crate::profile::{Bits, Profile};

/// What surprises less than this is not told, however little there is to tell.
const LEAST: i32 = 4;
/// Half bits that are looked at; whatever scores more counts as this much.
const MOST: i32 = 63;
const DAY_NS: u128 = 24 * 3_600_000_000_000;
/// Fixed point of rates.
const ONE: u128 = 1 << 16;
/// Alike news of a profile at which all are halved, with the time in which they came.
const MANY: u32 = 4_096;

/// Notes in a profile that something new of that score was normal.
pub(super) fn note(profile: &mut Profile, score: Bits) {
    let count = profile.normal_news.entry(score.halves().clamp(0, MOST)).or_default();
    *count = count.saturating_add(1);
    if *count > MANY {
        profile.normal_news.values_mut().for_each(|count| *count /= 2);
        profile.normal_news_ns /= 2;
    }
}

/// The score from which on what is new is told: the lowest at which the normal behaviour that profiles were tested with
/// leads to no more than so many alerts a day. Each profile counts with the lower bound of its rate, one standard deviation
/// of a Poisson count and one alert below what it saw: few events in a short time say little.
pub(super) fn threshold<'p>(profiles: impl Iterator<Item = &'p Profile>, alerts_per_day: u32) -> Bits {
    let mut rates = [0_u128; MOST as usize + 1];
    for profile in profiles.filter(|p| !p.normal_news.is_empty()) {
        let mut above = 0_u128;
        for (half_bits, rate) in (0..MOST + 1).zip(&mut rates).rev() {
            above += profile.normal_news.get(&half_bits).map_or(0, |count| u128::from(*count));
            let sure = (above * ONE).saturating_sub(ONE + (above * ONE * ONE).isqrt());
            *rate += sure * DAY_NS / u128::from(profile.normal_news_ns.max(1));
        }
    }
    let allowed = u128::from(alerts_per_day) * ONE;
    let lowest = (0..=MOST).zip(rates).find(|(half_bits, rate)| *half_bits >= LEAST && *rate <= allowed);
    Bits::half(lowest.map_or(MOST, |(half_bits, _)| half_bits))
}

#[cfg(test)]
mod tests {
    use ethogram_model::{Container, Image};

    use super::*;
    use crate::Workload;

    fn profile(days: u64, news: &[(i32, u32)]) -> Profile {
        let image = Some(Image { name: "web:1".into(), digest: "sha256:00".into() });
        let workload = Workload::of(&Container { image, ..Container::default() });
        let mut profile = Profile::new(workload.unwrap_or_else(|| unreachable!()), 0);
        for (bits, times) in news {
            (0..*times).for_each(|_| note(&mut profile, Bits::whole(*bits)));
        }
        profile.normal_news_ns = days * DAY_NS as u64;
        profile
    }

    fn told_from(profiles: &[Profile], alerts_per_day: u32) -> f64 {
        threshold(profiles.iter(), alerts_per_day).tenths()
    }

    #[test]
    fn without_news_everything_is_told() {
        assert_eq!(told_from(&[], 1), 2.0);
        assert_eq!(told_from(&[profile(1, &[])], 1), 2.0);
        assert_eq!(told_from(&[profile(10, &[(9, 2)])], 1), 2.0, "two in ten days");
    }

    #[test]
    fn what_is_normal_every_hour_is_not_told_and_what_surprises_more_is() {
        let restless = profile(10, &[(3, 500), (5, 240), (9, 3)]);
        assert_eq!(told_from(std::slice::from_ref(&restless), 1), 5.5);
        assert_eq!(told_from(std::slice::from_ref(&restless), 25), 3.5);
        assert_eq!(told_from(std::slice::from_ref(&restless), 100), 2.0);
        let more = [restless, profile(10, &[(6, 100)])];
        assert_eq!(told_from(&more, 1), 6.5);
    }

    #[test]
    fn a_few_news_in_a_short_time_say_little() {
        let mut short = profile(0, &[(6, 2)]);
        short.normal_news_ns = 10_000_000_000;
        assert_eq!(told_from(std::slice::from_ref(&short), 1), 2.0);
        (0..20).for_each(|_| note(&mut short, Bits::whole(6)));
        assert_eq!(told_from(std::slice::from_ref(&short), 1), 6.5);
    }

    #[test]
    fn counts_fade_and_end() {
        let mut long = profile(100, &[(4, 20_000)]);
        assert!(long.normal_news.values().sum::<u32>() <= MANY);
        long.normal_news_ns = u64::MAX;
        threshold([long].iter(), u32::MAX);
    }
}
