use super::*;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

struct Net(Reducer);

impl Net {
    /// A network that has been seen for three days, with `kind` of alert on `elsewhere`.
    fn known() -> Self {
        let mut net = Self(Reducer::new(Limits::default()));
        for hour in 0..72 {
            net.alert(hour * HOUR, "routine", "server");
            if hour == 30 {
                net.alert(hour * HOUR, "login: user", "elsewhere");
            }
        }
        net
    }

    /// One alert. The kind is what stands before the colon of the name.
    fn alert(&mut self, time_ms: i64, name: &str, host: &str) -> Decision {
        let short = name.split(':').next().unwrap_or(name);
        self.0.step(&Alert {
            time_ms: Some(time_ms),
            name: name.as_bytes(),
            short: short.as_bytes(),
            host: host.as_bytes(),
            ip: b"",
        })
    }

    fn reason(&mut self, time_ms: i64, name: &str, host: &str) -> Option<Reason> {
        match self.alert(time_ms, name, host) {
            Decision::Kept { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

#[test]
fn a_kind_never_seen_anywhere_is_kept_even_at_first_and_its_repetition_is_not() {
    let mut net = Net(Reducer::new(Limits::default()));
    assert_eq!(net.reason(0, "scan", "a"), Some(Reason::FirstOnNetwork));
    assert_eq!(net.reason(1_000, "scan", "a"), None);
    assert_eq!(net.reason(2_000, "scan", "b"), None);
}

#[test]
fn a_rare_kind_on_another_host_is_kept_and_a_common_one_is_not() {
    let mut net = Net::known();
    assert_eq!(net.reason(3 * DAY, "login: user", "mail"), Some(Reason::NewOnHost));
    assert_eq!(net.reason(3 * DAY, "routine", "mail"), None);
}

#[test]
fn while_the_network_is_learned_a_known_kind_on_another_host_is_usual() {
    let mut net = Net(Reducer::new(Limits::default()));
    net.alert(0, "login", "a");
    assert_eq!(net.reason(DAY - 1, "login", "b"), None);
    assert_eq!(net.reason(DAY, "login", "c"), Some(Reason::NewOnHost));
}

#[test]
fn what_is_very_rare_is_kept_alone_and_what_is_somewhat_rare_only_in_company() {
    let very = |net: &mut Net| net.reason(5 * DAY, "login: user", "elsewhere");
    assert_eq!(very(&mut Net::known()), Some(Reason::Rare));

    // Six hours of it in five days: too often to be kept alone.
    let somewhat = || {
        let mut net = Net::known();
        for day in 0..3 {
            net.alert(3 * DAY + day * DAY / 2, "restart: stop", "share");
            net.alert(3 * DAY + day * DAY / 2, "restart: start", "share");
            net.alert(3 * DAY + day * DAY / 2 + 2 * HOUR, "restart: stop", "share");
            net.alert(3 * DAY + day * DAY / 2 + 2 * HOUR, "restart: start", "share");
        }
        net
    };
    let now = 4 * DAY + 12 * HOUR;
    assert_eq!(somewhat().reason(now, "restart: stop", "share"), None);
    let mut together = somewhat();
    together.alert(now, "restart: stop", "share");
    assert_eq!(together.reason(now + 2_000, "restart: start", "share"), Some(Reason::Rare));
    let mut apart = somewhat();
    apart.alert(now, "restart: stop", "share");
    assert_eq!(apart.reason(now + 4_000, "restart: start", "share"), None);
    let mut elsewhere = somewhat();
    elsewhere.alert(now, "login: user", "elsewhere");
    assert_eq!(elsewhere.reason(now, "restart: start", "share"), None);
}

#[test]
fn many_of_one_rare_name_at_once_are_company_and_few_are_not() {
    let mut net = Net::known();
    for time in 0..6 {
        net.alert(3 * DAY + time * 4 * HOUR, "lookup", "dns");
    }
    let now = 4 * DAY + 6 * HOUR;
    let kept: Vec<_> = (0..8).map(|_| net.reason(now, "lookup", "dns")).collect();
    assert_eq!(kept.iter().position(|reason| *reason == Some(Reason::Rare)), Some(5));
    assert_eq!(kept.iter().flatten().count(), 1);
}

#[test]
fn one_kind_on_one_host_is_kept_once_a_minute() {
    let mut net = Net::known();
    assert!(net.reason(3 * DAY, "login: root", "mail").is_some());
    assert_eq!(net.reason(3 * DAY + 59_999, "login: admin", "mail"), None);
    assert_eq!(net.reason(3 * DAY + 60_000, "login: guest", "mail"), Some(Reason::NewOnHost));
}

/// Six new things on one host within seconds.
fn attack(net: &mut Net, time_ms: i64) {
    for (at, name) in ["s1", "s2", "s3", "s4", "s5", "s6"].into_iter().enumerate() {
        assert_eq!(net.reason(time_ms + at as i64, name, "web"), Some(Reason::FirstOnNetwork));
    }
}

#[test]
fn during_a_surge_the_somewhat_rare_is_kept_and_the_common_is_not() {
    let prepared = || {
        let mut net = Net::known();
        for hour in 0..6 {
            net.alert(3 * DAY + hour * 4 * HOUR, "cpu", "monitor");
        }
        net
    };
    let now = 4 * DAY;
    assert_eq!(prepared().reason(now, "cpu", "monitor"), None);
    let mut surge = prepared();
    attack(&mut surge, now);
    assert_eq!(surge.reason(now + HOUR / 2, "cpu", "monitor"), Some(Reason::Surge));
    assert_eq!(surge.reason(now + HOUR / 2, "routine", "server"), None);
    let mut after = prepared();
    attack(&mut after, now);
    assert_eq!(after.reason(now + HOUR + 6, "cpu", "monitor"), None);
}

#[test]
fn a_burst_is_told_at_each_doubling_during_a_surge_and_only_if_it_is_a_record() {
    let mut net = Net::known();
    attack(&mut net, 3 * DAY);
    let kept: Vec<usize> = (2..=100).filter(|_| net.reason(3 * DAY + 10, "s1", "web") == Some(Reason::Burst)).collect();
    assert_eq!(kept, [8, 16, 32, 64]);

    let mut usual = Net::known();
    for _ in 0..100 {
        usual.alert(3 * DAY - 5 * HOUR, "s0", "web");
    }
    attack(&mut usual, 3 * DAY);
    for _ in 0..100 {
        assert_ne!(usual.reason(3 * DAY + 10, "s0", "web"), Some(Reason::Burst));
    }
}

#[test]
fn the_growth_of_something_rare_makes_a_surge_and_that_of_something_common_does_not() {
    let bursts = |name: &str, host: &str| {
        let mut net = Net::known();
        net.alert(72 * HOUR, name, host);
        (0..5_000).filter(|_| net.reason(72 * HOUR + 1, name, host) == Some(Reason::Burst)).count()
    };
    // Signs at 64, 128, 256, 512 and 1,024: from then on there is a surge, and 2,048 and 4,096 are told too.
    assert_eq!(bursts("login: user", "elsewhere"), 3);
    assert_eq!(bursts("routine", "server"), 0);
}

#[test]
fn without_a_surge_only_a_flood_is_a_burst() {
    let mut net = Net::known();
    let bursts = (0..40_000).filter(|_| net.reason(3 * DAY, "routine", "server") == Some(Reason::Burst)).count();
    assert_eq!(bursts, 2);
}

#[test]
fn an_attack_is_joined_and_what_is_unconnected_is_not_in_it() {
    let mut net = Net::known();
    let Decision::Kept { place: before, .. } = net.alert(3 * DAY, "odd", "mail") else { panic!("not kept") };
    attack(&mut net, 3 * DAY + HOUR);
    let places: Vec<Place> = (0..200)
        .filter_map(|_| match net.alert(3 * DAY + HOUR + 10, "s6", "web") {
            Decision::Kept { place, .. } => Some(place),
            _ => None,
        })
        .collect();
    assert!(places.len() > 3 && places.iter().all(|place| place.surge == Some(0)));
    assert!(places.iter().all(|place| place.incident != before.incident));
    assert_eq!(before.surge, None);
}

#[test]
fn empty_fields_have_stand_ins() {
    let mut reducer = Reducer::new(Limits::default());
    let alert = Alert { time_ms: None, name: b"a", short: b"", host: b"", ip: b"10.0.0.1" };
    assert!(matches!(reducer.step(&alert), Decision::Kept { .. }));
    let same = Alert { short: b"a", host: b"10.0.0.1", ip: b"", ..alert };
    assert_eq!(reducer.step(&same), Decision::Usual);
    reducer.step(&Alert { time_ms: None, name: b"", short: b"", host: b"", ip: b"" });
    assert_eq!(reducer.counts().alerts, 3);
}

#[test]
fn a_flood_of_distinct_names_is_bounded_in_memory_and_in_what_is_kept() {
    let limits = Limits { table_size: 1_000, ..Limits::default() };
    let mut reducer = Reducer::new(limits);
    let long = "x".repeat(500);
    for step in 0..20_000_i64 {
        let name = format!("{step}{long}");
        let host = format!("host{}", step % 7_000);
        reducer.step(&Alert {
            time_ms: Some(3 * DAY + step),
            name: name.as_bytes(),
            short: name.as_bytes(),
            host: host.as_bytes(),
            ip: b"",
        });
    }
    let counts = reducer.counts();
    assert!(counts.kept <= 610, "{counts:?}");
    assert!(counts.over_budget > 19_000 && counts.forgotten > 19_000, "{counts:?}");
    assert!(counts.incidents < 60, "{counts:?}");
}

#[test]
fn one_host_cannot_use_up_what_others_need() {
    let mut net = Net::known();
    for step in 0..10_000 {
        net.alert(3 * DAY + step, &format!("flood{step}"), "loud");
    }
    assert!(net.0.counts().over_budget > 9_000);
    assert_eq!(net.reason(3 * DAY + 10_000, "quiet", "other"), Some(Reason::FirstOnNetwork));
}

#[test]
fn the_same_alerts_give_the_same_decisions() {
    let run = || {
        let mut reducer = Reducer::new(Limits { table_size: 64, ..Limits::default() });
        let mut state = 1_u64;
        (0..50_000_i64)
            .map(|step| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let name = format!("n{}", state >> 56);
                let host = format!("h{}", state >> 60);
                let short = format!("s{}", (state >> 56) / 4);
                reducer.step(&Alert {
                    time_ms: Some(step * 9_000),
                    name: name.as_bytes(),
                    short: short.as_bytes(),
                    host: host.as_bytes(),
                    ip: b"",
                })
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn times_that_go_backwards_are_counted_and_lose_nothing() {
    let mut net = Net::known();
    assert!(net.reason(0, "new kind", "server").is_some());
    assert_eq!(net.0.counts().clock.jumps, 1);
    assert!(net.reason(3_600, "other new kind", "server").is_some());
}
