//! Everything ends somewhere, and says so.

use ethogram_detect::{Model, Settings};
use ethogram_model::Severity;

use crate::{stopwatch::Stopwatch, support::*};

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

/// A program's name without anything that varies.
fn program(n: u64) -> String {
    let letters = n.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect::<String>();
    format!("/tmp/{letters}/cat")
}

#[test]
fn findings_of_a_workload_are_folded_and_counted() {
    let (mut model, web) = (Model::new(Settings { max_alerts: 10, ..settings() }), web());
    judge(&mut model, web_server(&web, 0));
    model.advance(START + LATER);
    let findings = judge(&mut model, (0..30).map(|i| web.write("/bin/sh", &format!("/srv/d{i}/f"), LATER)));
    assert_eq!(findings.len(), 11);
    assert_eq!(
        (findings[10].title.as_str(), findings[10].object.as_str()),
        ("web: other programs wrote more files", "*")
    );
    assert_eq!(model.counters().untold, 19);
    let updates = model.take_updates();
    assert_eq!((updates.len(), updates[0].count, &updates[0].uid), (1, 20, &findings[10].uid));
}

#[test]
fn what_is_severe_is_raised_whatever_there_is_already_and_folds_at_last() {
    let (mut model, web) = (Model::new(Settings { max_alerts: 10, ..settings() }), web());
    judge(&mut model, web_server(&web, 0));
    model.advance(START + LATER);
    judge(&mut model, (0..30).map(|i| web.write(&program(i), &format!("/srv/d{i}/f"), LATER)));
    let severe = judge(&mut model, (0..1_100).map(|i| web.read(&program(i), &format!("/tmp/k{i}.key"), LATER)));
    assert!(severe.iter().all(|finding| finding.severity == Severity::High));
    assert_eq!(severe.len(), 10);
    let last = severe.last().unwrap();
    assert_eq!((last.object.as_str(), last.title.as_str()), ("*", "web: other programs read more files"));
    assert_eq!(model.take_updates().iter().find(|update| update.uid == last.uid).unwrap().count, 1_091);
    // Another operation has one of its own, and another workload is not touched.
    assert_eq!(judge(&mut model, [web.write("/bin/x", "/etc/ld.so.preload", LATER)])[0].severity, Severity::High);
}

#[test]
fn after_a_day_of_quiet_the_same_is_raised_again() {
    let (mut model, web) = learnt();
    let steal = |at| web.read("/bin/cat", "/etc/shadow", at);
    let first = judge(&mut model, [steal(LATER)]).remove(0);
    assert_eq!(judge(&mut model, [steal(LATER + 23 * HOUR), steal(LATER + 46 * HOUR)]), [], "it goes on");
    let again = judge(&mut model, [steal(LATER + 70 * HOUR)]).remove(0);
    assert_ne!(again.uid, first.uid);
    assert_eq!((again.count, again.title.as_str()), (1, first.title.as_str()));
    assert_eq!(judge(&mut model, [steal(LATER + 71 * HOUR)]), []);
    let updates = model.take_updates();
    let count = |uid: &str| updates.iter().find(|update| update.uid == uid).map(|update| update.count);
    assert_eq!((count(&first.uid), count(&again.uid)), (Some(3), Some(2)));
}

#[test]
fn another_user_or_parent_is_raised_again_and_then_goes_on() {
    let (mut model, web) = learnt();
    let steal = |user: u32, parent: &str| {
        let mut event = web.execute(parent, "/bin/cat", LATER);
        let mut process = std::sync::Arc::unwrap_or_clone(event.context.process.take().unwrap());
        process.user_id = user;
        web.write_as(Some(process), "/etc/passwd", LATER)
    };
    for (user, parent, new) in [
        (0, "/bin/sh", 1),
        (0, "/bin/sh", 0),
        (33, "/bin/sh", 1),
        (0, "/bin/python3", 1),
        (33, "/bin/sh", 0),
        (0, "/bin/sh", 0),
    ] {
        assert_eq!(judge(&mut model, [steal(user, parent)]).len(), new, "{user} {parent}");
    }
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
fn what_does_not_fit_is_judged_by_a_sketch_and_says_so() {
    let (mut model, web) = (Model::new(Settings { max_entries: 10, ..settings() }), web());
    let restless = judge(&mut model, (0..100).map(|i| web.execute("/bin/sh", &format!("/opt/tool{i}"), 0)));
    assert_eq!((model.counters().learnt, model.counters().overflowed), (12, 88));
    assert_eq!(restless.len(), 1);
    assert_eq!(restless[0].title, "web: the workload is too restless to be judged exactly (operation execute)");
    assert_eq!((restless[0].analytic.as_str(), restless[0].severity), ("behaviour.restless", Severity::Low));
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, (0..100).map(|i| web.execute("/bin/sh", &format!("/opt/tool{i}"), LATER))), []);
    let uid = model.profile_of(&web.container).unwrap();
    assert!(ethogram_detect::render_profile(model.profile(&uid).unwrap()).contains("judged by a sketch"));
    // What is severe is raised, and what is the first of its kind; also by the agent that comes next.
    let implant = |at| with_byte(web.execute("/bin/sh", "/tmp/implant", at), 16);
    let mut next = Model::new(Settings { max_entries: 10, ..settings() });
    next.restore(model.take_last().remove(0).1).unwrap();
    for model in [&mut model, &mut next] {
        assert_eq!(judge(model, [implant(LATER)])[0].severity, Severity::High);
        assert_eq!(judge(model, [web.connect("/opt/tool5", "203.0.113.7", 443, LATER)])[0].severity, Severity::High);
    }
    // Another version is not judged by the sketch of this one.
    let mut other = container("web", 9, "ffee");
    std::sync::Arc::make_mut(&mut other.container).image.as_mut().unwrap().name = "web:2".into();
    judge(&mut model, [other.write("/bin/a", "/srv/a", LATER)]);
    let uid = model.profile_of(&other.container).unwrap();
    assert!(!ethogram_detect::render_profile(model.profile(&uid).unwrap()).contains("judged by a sketch"));
}

#[test]
fn filling_a_profile_with_links_hides_no_program() {
    let (mut model, web) = (model(), web());
    judge(&mut model, web_server(&web, 0));
    let link = |i: u64| {
        let letters = i.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect::<String>();
        web.execute("/bin/sh", &format!("x{letters}@/bin/busybox"), i * LEARNING / 6_000)
    };
    judge(&mut model, (0..5_300).map(link));
    model.advance(START + LATER);
    let found = judge(&mut model, [with_byte(web.execute("/bin/sh", "/tmp/implant", LATER), 16)]);
    assert_eq!(found.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::High]);
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
        let begun = Stopwatch::start();
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
        // Far more than it takes: what grew with all that came before would take longer.
        assert!(per_event < std::time::Duration::from_millis(2), "{n}: {per_event:?}");
    }
}

#[test]
fn ten_thousand_containers_in_an_hour_are_bounded() {
    let times = if cfg!(debug_assertions) { 1_500 } else { 10_000_u64 };
    let mut model = model();
    let begun = Stopwatch::start();
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
