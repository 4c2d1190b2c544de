//! What is usual is counted where it comes from, and nothing else changes by that.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use ethogram_detect::{Detector, FindingUpdate, HabitChange, HabitCount, Model, Settings};
use ethogram_model::{Event, Finding};
use proptest::prelude::*;

use crate::support::*;

const LATER: u64 = 60 * SECOND;

/// What was judged by a learnt web server's profile will be.
fn detector(habituation: bool) -> (Detector, Sandbox) {
    let (mut model, web) = (Model::new(Settings { habituation, ..settings() }), web());
    judge(&mut model, web_server(&web, 0));
    model.advance(START + LATER);
    (Detector { model, ..Detector::default() }, web)
}

fn usual(web: &Sandbox, at: u64) -> Event {
    with_habit(web.connect("/www/cgi-bin/count", "10.0.0.5", 5432, at), 42)
}

fn connects(detector: &mut Detector, web: &Sandbox) -> u64 {
    let uid = detector.model.profile_of(&web.container).unwrap();
    let tree = detector.model.describe(&uid).unwrap();
    let connect = tree.operations.iter().find(|o| o.operation == "connect").unwrap();
    connect.executables.iter().flat_map(|e| &e.objects).find(|o| o.pattern == "10.0.0.5:5432").unwrap().count
}

#[test]
fn what_is_usual_becomes_a_habit_when_it_comes_again_and_ends_in_time() {
    let (mut detector, web) = detector(true);
    assert_eq!(detector.judge(&usual(&web, LATER)), []);
    assert_eq!(detector.take_habit_changes(), []);
    assert_eq!(detector.judge(&usual(&web, LATER)), []);
    assert_eq!(detector.take_habit_changes(), [HabitChange::Begin(42)]);
    assert_eq!(detector.model.habits(), 1);

    // The kernel counts from here on.
    detector.count_habits(&[HabitCount { habit: 42, count: 1_000, last_ns: START + LATER + SECOND }]);
    detector.judge(&usual(&web, LATER + SECOND));
    detector.advance(START + LATER + 10 * SECOND);
    assert_eq!(
        connects(&mut detector, &web),
        1_004,
        "one learnt, three judged or counted here, and what the kernel counted"
    );
    assert_eq!(detector.model.counters().habitual, 1_001);

    detector.advance(START + LATER + 601 * SECOND);
    assert_eq!(detector.take_habit_changes(), [HabitChange::End(42)]);
    detector.count_habits(&[HabitCount { habit: 42, count: 5, last_ns: START + LATER + 601 * SECOND }]);
    detector.advance(START + LATER + 610 * SECOND);
    assert_eq!(connects(&mut detector, &web), 1_009, "what it had counted until then is not lost");
}

#[test]
fn what_is_new_learnt_or_without_a_key_is_no_habit() {
    let (mut detector, web) = detector(true);
    let new = with_habit(web.connect("/www/cgi-bin/count", "203.0.113.9", 4444, LATER), 43);
    assert_eq!(detector.judge(&new).len(), 1);
    for _ in 0..3 {
        detector.judge(&new);
        detector.judge(&web.connect("/www/cgi-bin/count", "10.0.0.5", 5432, LATER));
    }
    let learning = container("db", 9, "00");
    (0..3).for_each(|i| drop(detector.judge(&with_habit(learning.listen("/bin/db", 5432, LATER + i), 44))));
    assert_eq!(detector.take_habit_changes(), []);
}

#[test]
fn an_alert_of_the_workload_ends_its_habits() {
    let (mut detector, web) = detector(true);
    (0..2).for_each(|_| drop(detector.judge(&usual(&web, LATER))));
    detector.take_habit_changes();
    assert_eq!(detector.judge(&web.read("/bin/cat", "/etc/shadow", LATER + SECOND)).len(), 1);
    assert_eq!(detector.take_habit_changes(), [HabitChange::End(42)]);
    // The process that led to it is not counted silently any more, others are again.
    let reader = with_habit(web.connect("/bin/cat", "10.0.0.5", 5432, LATER), 45);
    (0..4).for_each(|_| drop(detector.judge(&reader)));
    (0..8).for_each(|i| drop(detector.judge(&usual(&web, LATER + (10 + i) * SECOND))));
    assert_eq!(detector.take_habit_changes(), [HabitChange::Begin(42)]);
}

#[test]
fn decisions_end_all_habits() {
    let (mut detector, web) = detector(true);
    (0..2).for_each(|_| drop(detector.judge(&usual(&web, LATER))));
    detector.take_habit_changes();
    detector.decide(ethogram_detect::Decision::Revoke("x".into()));
    assert_eq!(detector.take_habit_changes(), [HabitChange::EndAll]);
    detector.decide(ethogram_detect::Decision::Revoke("x".into()));
    assert_eq!(detector.take_habit_changes(), [], "there was none left");
}

/// What is usual, so often that it is a habit, by another key each time; `kernel` has what is in the kernel's table.
fn habituate(detector: &mut Detector, web: &Sandbox, keys: std::ops::Range<u64>, kernel: &mut HashSet<u64>) {
    for key in keys {
        let event = with_habit(web.connect("/www/cgi-bin/count", "10.0.0.5", 5432, LATER + key), key);
        (0..2).for_each(|_| drop(detector.judge(&event)));
        for change in detector.take_habit_changes() {
            match change {
                HabitChange::Begin(habit) => assert!(kernel.insert(habit)),
                HabitChange::End(habit) => assert!(kernel.remove(&habit)),
                HabitChange::EndAll => panic!("all ended"),
            }
            assert!(kernel.len() <= ethogram_detect::MAX_HABITS);
        }
    }
}

#[test]
fn habits_are_bounded_and_those_idle_for_longest_end() {
    let (mut detector, web) = detector(true);
    let (most, mut kernel) = (ethogram_detect::MAX_HABITS as u64, HashSet::new());
    habituate(&mut detector, &web, 1..most + 1, &mut kernel);
    assert_eq!(kernel.len() as u64, most, "who is alone may have all");
    habituate(&mut detector, &web, most + 1..most + 2, &mut kernel);
    assert_eq!(kernel.len() as u64, most - most / 8 + 1);
    assert!(!kernel.contains(&(most / 8)) && kernel.contains(&(most / 8 + 1)));
}

#[test]
fn a_flood_of_habits_of_one_workload_ends_none_of_another() {
    let (mut model, web) = (Model::new(Settings { habituation: true, ..settings() }), web());
    let mut other = container("other", 9, "ffee");
    Arc::make_mut(&mut other.container).image.as_mut().unwrap().name = "other:1".into();
    for sandbox in [&web, &other] {
        judge(&mut model, web_server(sandbox, 0));
    }
    model.advance(START + LATER);
    let mut detector = Detector { model, ..Detector::default() };
    let mut kernel = HashSet::new();
    habituate(&mut detector, &other, 1..101, &mut kernel);
    assert_eq!(kernel.len(), 100);
    habituate(&mut detector, &web, 1_000..101_000, &mut kernel);
    assert!((1..101).all(|key| kernel.contains(&key)), "the other's, though they were idle for longest");
    assert!(kernel.contains(&100_999) && kernel.len() > ethogram_detect::MAX_HABITS / 8 * 7);
    // Who needs as much has as much.
    habituate(&mut detector, &other, 200_000..230_000, &mut kernel);
    let of_web = kernel.iter().filter(|key| **key < 200_000).count();
    assert!(of_web > ethogram_detect::MAX_HABITS / 8 * 3, "{of_web}");
}

/// Something that the web server may do, usual or not, with the key that it would have.
fn any_event() -> impl Strategy<Value = (u8, u8, u8, u64)> {
    (0..4_u8, 0..3_u8, 0..6_u8, 0..400_u64)
}

fn event_of(web: &Sandbox, (what, by, object, at): (u8, u8, u8, u64)) -> Event {
    let by_name = ["/www/cgi-bin/count", "wget@/bin/busybox", "/bin/sh"][usize::from(by)];
    let at = LATER + at * SECOND / 2;
    let event = match what {
        0 => web.write(
            by_name,
            ["/var/lib/count/total", "/tmp/tmp.b9ZqX1", "/srv/a", "/srv/b", "/etc/passwd", "/tmp/x"]
                [usize::from(object)],
            at,
        ),
        1 => web.connect(
            by_name,
            ["10.0.0.5", "127.0.0.1", "10.0.0.6", "10.0.0.7", "10.0.0.8", "192.0.2.1"][usize::from(object)],
            [5432, 80][usize::from(object % 2)],
            at,
        ),
        2 => web.accept("httpd@/bin/busybox", 80 + u16::from(object / 3), at),
        _ => web.read(
            by_name,
            ["/etc/shadow", "/srv/x", "/run/secrets/db", "/srv/y", "/srv/z", "/root/.ssh/id_rsa"][usize::from(object)],
            at,
        ),
    };
    let key = BuildHasherDefault::<DefaultHasher>::default().hash_one((
        what,
        by * u8::from(what != 2),
        object / (1 + 2 * u8::from(what == 2)),
    ));
    with_habit(event, key)
}

/// All that comes of a run.
type Outcome = (Vec<Finding>, Vec<FindingUpdate>, Vec<String>, u64);

fn run(habituation: bool, events: &[(u8, u8, u8, u64)]) -> Outcome {
    let (mut detector, web) = detector(habituation);
    let (mut findings, mut updates) = (Vec::new(), Vec::new());
    for event in events {
        findings.extend(detector.judge(&event_of(&web, *event)));
        updates.extend(detector.take_updates());
    }
    detector.advance(START + LATER + HOUR);
    let profiles = detector.model.take_last().into_iter().map(|(_, p)| serde_json::to_string(&p).unwrap());
    (findings, updates, profiles.collect(), detector.model.counters().habitual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn findings_and_profiles_are_the_same_with_habits_and_without(mut events in proptest::collection::vec(any_event(), 1..400)) {
        events.sort_by_key(|e| e.3);
        let (with, without) = (run(true, &events), run(false, &events));
        prop_assert_eq!(without.3, 0);
        prop_assert_eq!(with.0, without.0);
        prop_assert_eq!(with.1, without.1);
        prop_assert_eq!(with.2, without.2);
    }
}

#[test]
fn habits_are_what_most_of_a_steady_run_becomes() {
    let events: Vec<_> = (0..400_u64).map(|at| ((at % 3) as u8, 0, 0, at)).collect();
    let (findings, _, _, habitual) = run(true, &events);
    assert_eq!(findings, []);
    assert!(habitual > 350, "{habitual}");
}
