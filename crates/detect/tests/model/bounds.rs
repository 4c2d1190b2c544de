//! Everything ends somewhere, and says so.
#![allow(clippy::disallowed_types, reason = "how long it takes is what is tested")]

use ethogram_detect::{Model, Settings};
use ethogram_model::Severity;

use crate::support::*;

const LATER: u64 = 60 * SECOND;

#[test]
fn an_executable_that_does_many_new_things_gives_few_findings() {
    let (mut model, web) = learnt();
    let findings = judge(&mut model, (0..1_000).map(|i| web.write("/usr/bin/apt", &format!("/srv/d{i}/f"), LATER)));
    assert_eq!(findings.len(), 17);
    assert_eq!(findings[16].object, "*");
    assert_eq!(findings[16].title, "web: /usr/bin/apt wrote more files");
    let updates = model.take_updates();
    assert_eq!((updates.len(), updates[0].count), (1, 984));

    // Severity high raises an alert all the same, and so does what others do.
    let severe = judge(&mut model, [web.write("/usr/bin/apt", "/etc/ld.so.preload", LATER)]);
    assert_eq!(severe[0].severity, Severity::High);
    assert_eq!(judge(&mut model, [web.write("/bin/sh", "/srv/d1/f", LATER)]).len(), 1);
}

#[test]
fn findings_of_a_workload_end_and_are_counted() {
    let (mut model, web) = (Model::new(Settings { max_alerts: 10, ..settings() }), web());
    judge(&mut model, web_server(&web, 0));
    model.advance(START + LATER);
    let findings = judge(&mut model, (0..30).map(|i| web.write("/bin/sh", &format!("/etc/f{i}"), LATER)));
    assert_eq!(findings.len(), 10);
    assert_eq!(model.counters().untold, 20);
}

#[test]
fn alerts_do_not_make_anything_usual() {
    let (mut model, web) = (model(), web());
    judge(&mut model, ("abc").chars().map(|c| web.write("/bin/sh", &format!("/tmp/{c}"), 0)));
    model.advance(START + LATER);
    assert_eq!(
        judge(&mut model, ("defghi").chars().map(|c| web.write("/bin/sh", &format!("/tmp/{c}"), LATER))).len(),
        6
    );
    assert_eq!(model.profiles()[0].entries, 3);
}

#[test]
fn a_full_profile_gives_up_names_and_stays_quiet() {
    let (mut model, web) = (Model::new(Settings { max_entries: 100, ..settings() }), web());
    let wild = |at: u64, times: u64| {
        let web = web.clone();
        (0..times).map(move |i| web.write("/bin/builder", &format!("/d{}/f{i}", i % 50), at))
    };
    assert_eq!(judge(&mut model, wild(0, 2_000)), []);
    assert_eq!(judge(&mut model, [web.write("/bin/builder", "/etc/generated", SECOND)]), []);
    assert!(model.profiles()[0].entries <= 125, "{:?}", model.profiles());
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, wild(LATER, 2_000)), []);
    assert_eq!(judge(&mut model, [web.write("/bin/builder", "/etc/passwd", LATER)]).len(), 1);
    assert_eq!(judge(&mut model, [web.write("/bin/builder", "/etc/generated", LATER)]), []);
}

#[test]
fn what_cannot_be_learnt_is_not_judged_and_says_so() {
    let (mut model, web) = (Model::new(Settings { max_entries: 10, ..settings() }), web());
    judge(&mut model, (0..100).map(|i| web.execute("/bin/sh", &format!("/opt/tool{i}"), 0)));
    assert_eq!((model.counters().learnt, model.counters().overflowed), (12, 1));
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [web.execute("/bin/sh", "/opt/tool99", LATER)]), []);
    let uid = model.profile_of(&web.container).unwrap();
    assert!(ethogram_detect::render_profile(model.profile(&uid).unwrap()).contains("not judged"));
}

#[test]
fn the_profile_unseen_for_longest_makes_room() {
    let mut model = Model::new(Settings { max_profiles: 2, ..settings() });
    let boxes: Vec<_> = (0..3).map(|i| container("c", 10 + i, &format!("{i}{i}"))).collect();
    judge(&mut model, [boxes[0].write("/bin/a", "/srv/a", 0), boxes[1].write("/bin/a", "/srv/a", 1)]);
    judge(&mut model, [boxes[0].write("/bin/a", "/srv/a", 2)]);
    model.advance(START + WINDOW);
    judge(&mut model, [boxes[2].write("/bin/a", "/srv/a", WINDOW + 1)]);
    assert_eq!(model.profiles().len(), 2);
    assert_eq!(model.counters().evicted, 1);
    assert_eq!(model.profile_of(&boxes[1].container), None);
    assert_eq!(model.take_evicted().len(), 1);
    // It comes back, and is not removed from the store a moment later.
    judge(&mut model, [boxes[1].write("/bin/a", "/srv/a", WINDOW + 4)]);
    judge(&mut model, [boxes[0].write("/bin/a", "/srv/a", WINDOW + 5)]);
    let evicted = model.take_evicted();
    assert_eq!(evicted.len(), 1, "{evicted:?}");
    assert!(boxes.iter().all(|b| model.profile_of(&b.container).is_none_or(|uid| !evicted.contains(&uid))));
}

#[test]
fn what_is_learnt_is_not_evicted_by_what_is_started() {
    let mut model = Model::new(Settings { max_profiles: 4, ..settings() });
    let web = web();
    judge(&mut model, web_server(&web, 0));
    model.advance(START + LATER);
    for i in 0..100 {
        let mut young = container("c", 10 + i, "aabbccddeeff0011");
        std::sync::Arc::make_mut(&mut young.container).command = vec![format!("c{i}x")];
        judge(&mut model, [young.write("/bin/a", "/srv/a", LATER + i)]);
    }
    assert!(model.profile_of(&web.container).is_some());
    assert_eq!((model.profiles().len(), model.counters().evicted), (4, 97));
}

#[test]
fn a_million_distinct_files_cost_little_and_are_bounded() {
    // In an optimised build all million of them, else as many as are quick.
    let times = if cfg!(debug_assertions) { 20_000 } else { 1_000_000_u64 };
    let places: [&dyn Fn(u64) -> String; 4] = [
        &|i| format!("/srv/data/d{}/f{i}x", i % 1_000),
        &|i| format!("/opt/p{i}q/file"),
        &|i| format!("/etc/conf/c{i}q"),
        &|i| format!("/srv/{}/{}/{}/f{i}q", i % 7, i % 11, i % 13),
    ];
    for (n, path) in places.iter().enumerate() {
        let (mut model, web) = (model(), web());
        let begun = std::time::Instant::now();
        for i in 0..times {
            model.judge(&web.write("/bin/builder", &path(i), i * LEARNING / times));
        }
        let per_event = begun.elapsed() / u32::try_from(times).unwrap();
        let uid = model.profile_of(&web.container).unwrap();
        let profile = model.profile(&uid).unwrap();
        let (entries, bytes, stored) =
            (profile.entries(), profile.bytes(), serde_json::to_string(profile).unwrap().len());
        println!("place {n}: {per_event:?} an event; {entries} patterns, {bytes} bytes, {stored} stored");
        assert!(
            entries <= 5_120 && bytes <= (1 << 20) + (1 << 18) && stored < 4 << 20,
            "{n}: {entries} {bytes} {stored}"
        );
        // Far more than it takes, as others use the machine, too: what grew with all that came before would take longer.
        assert!(per_event < std::time::Duration::from_millis(2), "{n}: {per_event:?}");
    }
}

#[test]
fn ten_thousand_containers_in_an_hour_are_bounded() {
    let times = if cfg!(debug_assertions) { 1_500 } else { 10_000_u64 };
    let mut model = model();
    let begun = std::time::Instant::now();
    for i in 0..times {
        let one = container("c", 10 + i, &format!("{i:016x}"));
        let at = i * HOUR / times;
        judge(&mut model, web_server(&one, at / SECOND));
        assert!(model.take_evicted().len() <= 1_024);
        model.take_dirty();
    }
    println!("{times} containers: {:?}", begun.elapsed());
    assert_eq!(model.profiles().len(), 1_024);
    assert_eq!(model.counters().evicted, times - 1_024);
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}
