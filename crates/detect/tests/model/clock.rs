//! Learning ends when a workload was looked at for long enough, and stays ended.

use ethogram_detect::{LearningState, Model, Profile, Settings};

use crate::support::*;

fn writes_are_told(model: &mut Model, web: &Sandbox, path: &str, at: u64) -> bool {
    !model.judge(&web.write("/bin/sh", path, at)).is_empty()
}

#[test]
fn learning_ends_after_its_period() {
    let (mut model, web) = (model(), web());
    assert!(!writes_are_told(&mut model, &web, "/srv/a", 0));
    assert!(!writes_are_told(&mut model, &web, "/srv/b", LEARNING / 2));
    assert!(writes_are_told(&mut model, &web, "/srv/c", LEARNING));
    assert!(!writes_are_told(&mut model, &web, "/srv/b", LEARNING));
}

#[test]
fn learning_goes_on_until_two_windows_bring_nothing_new() {
    let (mut model, web) = (model(), web());
    assert!(!writes_are_told(&mut model, &web, "/srv/a", 0));
    assert!(!writes_are_told(&mut model, &web, "/srv/b", LEARNING - 1));
    assert!(!writes_are_told(&mut model, &web, "/srv/a", LEARNING + WINDOW));
    assert_eq!(model.profiles()[0].state, LearningState::Learning);
    assert!(writes_are_told(&mut model, &web, "/srv/c", LEARNING + 2 * WINDOW));
}

#[test]
fn one_in_a_thousand_may_be_new_in_a_quiet_window() {
    for (seen, state) in [(900, LearningState::Learning), (1_100, LearningState::Partial)] {
        let (mut model, web) = (model(), web());
        writes_are_told(&mut model, &web, "/srv/a", 0);
        for i in 0..seen {
            writes_are_told(&mut model, &web, "/srv/a", LEARNING - 2 * WINDOW + i * WINDOW / 2_000);
        }
        assert!(!writes_are_told(&mut model, &web, "/srv/b", LEARNING - WINDOW - 1));
        model.advance(START + LEARNING);
        assert_eq!(model.profiles()[0].state, state, "{seen}");
    }
}

#[test]
fn what_never_is_quiet_is_judged_in_the_end() {
    let (mut model, web) = (model(), web());
    let reported = (0..50_u64).find(|i| writes_are_told(&mut model, &web, &format!("/srv/d{i}/f"), i * WINDOW));
    // By then something new in this place is no surprise.
    assert_eq!(reported, None);
    assert_eq!(model.profiles()[0].state, LearningState::Partial);
    assert!(model.counters().unsurprising > 0);
    assert!(writes_are_told(&mut model, &web, "/etc/passwd", 100 * WINDOW));
}

#[test]
fn while_events_are_lost_nothing_is_known_to_be_quiet() {
    let (mut model, web) = (model(), web());
    assert!(!writes_are_told(&mut model, &web, "/srv/a", 0));
    for second in 1..LEARNING / SECOND + 5 {
        model.advance(START + second * SECOND);
        model.note_loss();
    }
    assert_eq!(model.profiles()[0].state, LearningState::Learning);
    model.advance(START + LEARNING + 20 * SECOND);
    assert_eq!(model.profiles()[0].state, LearningState::Partial);
}

#[test]
fn without_a_period_all_is_told() {
    let mut model = Model::new(Settings { learning_period_ns: 0, ..settings() });
    assert!(writes_are_told(&mut model, &web(), "/srv/a", 0));
}

#[test]
fn a_clock_set_forward_does_not_end_learning() {
    let mut model = Model::new(Settings { learning_period_ns: 24 * HOUR, ..settings() });
    let web = web();
    assert!(!writes_are_told(&mut model, &web, "/srv/a", 0));
    assert!(!writes_are_told(&mut model, &web, "/srv/b", 20 * 365 * 24 * HOUR));
    assert!(!writes_are_told(&mut model, &web, "/srv/c", u64::MAX - START));
}

#[test]
fn a_clock_set_back_neither_stops_nor_restarts_learning() {
    let (mut model, web) = (model(), web());
    assert!(!writes_are_told(&mut model, &web, "/srv/a", HOUR));
    assert!(!writes_are_told(&mut model, &web, "/srv/b", 0));
    assert!(!writes_are_told(&mut model, &web, "/srv/c", LEARNING / 2));
    assert!(writes_are_told(&mut model, &web, "/srv/d", LEARNING));
    assert!(writes_are_told(&mut model, &web, "/srv/e", 0), "what is learnt stays learnt");
}

#[test]
fn events_out_of_order_do_not_make_time_pass() {
    let (mut model, web) = (model(), web());
    for i in 0..10_000 {
        let at = SECOND + if i % 2 == 0 { 0 } else { 50_000_000 };
        assert!(!writes_are_told(&mut model, &web, &format!("/srv/a{}", i % 3), at));
    }
    assert_eq!(model.profiles()[0].learnt_ns, 50_000_000);
}

#[test]
fn quiet_hours_count_when_time_is_told() {
    let mut model = Model::new(Settings { learning_period_ns: 24 * HOUR, ..settings() });
    let web = web();
    assert!(!writes_are_told(&mut model, &web, "/srv/a", 0));
    (1..=48).for_each(|half| model.advance(START + half * HOUR / 2));
    assert_eq!(model.profiles()[0].state, LearningState::Partial);
    assert!(writes_are_told(&mut model, &web, "/srv/b", 24 * HOUR));
}

#[test]
fn time_in_which_nobody_looked_does_not_count() {
    let (mut first, web) = (model(), web());
    writes_are_told(&mut first, &web, "/srv/a", 0);
    first.advance(START + LEARNING / 2);
    let stored = first.take_dirty().remove(0).1;

    let mut second = model();
    second.restore(stored).unwrap();
    assert!(!writes_are_told(&mut second, &web, "/srv/b", 1_000 * LEARNING));
    assert!(!writes_are_told(&mut second, &web, "/srv/c", 1_000 * LEARNING + LEARNING / 4));
    assert!(writes_are_told(&mut second, &web, "/srv/d", 1_000 * LEARNING + LEARNING / 2));
}

#[test]
fn a_stored_profile_judges_at_once_and_repeats_nothing() {
    let (mut first, web) = learnt();
    assert!(writes_are_told(&mut first, &web, "/srv/a", HOUR));
    let text = serde_json::to_string(&first.take_dirty().remove(0).1).unwrap();
    assert_eq!(first.take_dirty(), [], "nothing changed");

    let mut second = model();
    second.restore(serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!(judge(&mut second, web_server(&web, 7_200)), []);
    assert!(!writes_are_told(&mut second, &web, "/srv/a", 2 * HOUR));
    assert_eq!(second.take_updates()[0].count, 2);
    assert!(writes_are_told(&mut second, &web, "/srv/b", 2 * HOUR));
}

#[test]
fn profiles_of_another_form_are_refused_by_name() {
    let (mut first, _) = learnt();
    let mut stored: Profile = first.take_dirty().remove(0).1;
    stored.version = 99;
    let error = model().restore(stored).unwrap_err();
    assert!(error.to_string().starts_with("profile of web:1@sha256:aabbccddeeff"), "{error}");
}

#[test]
fn what_changed_is_stored_at_once_and_counts_within_seconds() {
    let (mut model, web) = learnt();
    assert_eq!(model.take_dirty().len(), 1);
    judge(&mut model, web_server(&web, 31));
    model.take_dirty();
    judge(&mut model, web_server(&web, 33));
    assert_eq!(model.take_dirty().len(), 0);
    assert_eq!(model.take_last().len(), 1, "at the end nothing waits");
    assert_eq!(model.take_last().len(), 0);
    judge(&mut model, web_server(&web, 120));
    assert_eq!(model.take_dirty().len(), 1);
    assert!(writes_are_told(&mut model, &web, "/srv/a", 130 * SECOND));
    assert_eq!(model.take_dirty().len(), 1);
}

#[test]
fn it_does_not_matter_how_often_anybody_looks() {
    let reported = |is_looked_at: bool| {
        let (mut model, web) = (model(), web());
        judge(&mut model, web_server(&web, 0));
        for tick in 0..50 {
            model.advance(START + tick * SECOND);
            if is_looked_at {
                model.profiles();
            }
        }
        let finding = model.judge(&web.write("/bin/sh", "/srv/a", 60 * SECOND)).remove(0);
        (finding.reason, model.profiles().remove(0).learnt_ns)
    };
    let (reason, learnt_ns) = reported(true);
    assert_eq!(reported(false), (reason, learnt_ns));
    assert_eq!(learnt_ns, LEARNING);
}

#[test]
fn years_that_a_clock_jumps_are_one_step_and_end_no_windows() {
    let year = 365 * 24 * HOUR;
    let mut model = Model::new(Settings { learning_period_ns: 24 * HOUR, ..settings() });
    let web = web();
    assert!(!writes_are_told(&mut model, &web, "/srv/a", 0));
    for jump in 1..=10 {
        model.advance(START + jump * year);
    }
    assert_eq!(model.profiles()[0].learnt_ns, 10 * HOUR, "an hour each");
    assert_eq!(model.profiles()[0].state, LearningState::Learning);
    for jump in (1..=10).rev() {
        model.advance(START + jump * year);
    }
    assert_eq!(model.profiles()[0].learnt_ns, 10 * HOUR, "going back is no time");
    // Time goes on from where the clock was set to; nothing of what was seen is taken for old.
    (1..=48).for_each(|half| model.advance(START + year + half * HOUR / 2));
    assert_ne!(model.profiles()[0].state, LearningState::Learning);
    assert!(!writes_are_told(&mut model, &web, "/srv/a", year + 24 * HOUR));
}

#[test]
fn the_last_moment_there_is_stops_nothing() {
    let (mut model, web) = learnt();
    model.advance(u64::MAX);
    model.advance(0);
    model.advance(u64::MAX - 1);
    assert!(writes_are_told(&mut model, &web, "/srv/a", HOUR));
    assert_eq!(judge(&mut model, web_server(&web, 2 * HOUR / SECOND)), []);
}
