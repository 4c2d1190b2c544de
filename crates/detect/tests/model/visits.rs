//! What people and their tools do in a container, beside what its service does.

use std::sync::Arc;

use ethogram_detect::{Model, Profile, Settings};
use ethogram_model::{Entry, Event, Exec, Finding, Process, Severity};

use crate::support::*;

const LATER: u64 = 60 * SECOND;
const SH: &str = "sh@/bin/dash";

/// A program that came into the container so.
fn came(entry: Entry, web: &Sandbox, program: &str) -> Process {
    let mut process = web.process(program);
    Arc::make_mut(&mut process.exec).entry = entry;
    process
}

/// A shell that came in so runs a program.
fn runs(entry: Entry, web: &Sandbox, program: &str, at: u64) -> Event {
    let mut process = came(entry, web, program);
    process.ancestors.insert(0, Arc::new(Exec { entry, ..Exec::clone(&exec(web.container.cgroup_id, SH)) }));
    web.execute_as(process, at)
}

/// What a model says of one event that was learnt from others.
fn after(learnt: &[Event], event: Event) -> Vec<Finding> {
    let mut model = model();
    assert_eq!(judge(&mut model, learnt.to_vec()), []);
    model.advance(START + 30 * SECOND);
    model.judge(&event)
}

#[test]
fn what_people_run_teaches_nothing_of_the_service() {
    use Entry::{Login, Outside, Service};
    let web = web();
    for (teacher, pupil, is_news) in [
        (Outside, Service, true),
        (Login, Service, true),
        (Outside, Login, true),
        (Login, Outside, true),
        (Outside, Outside, false),
        (Login, Login, false),
        (Service, Service, false),
        // Who looks after a service may do what it does.
        (Service, Outside, false),
        (Service, Login, false),
    ] {
        let learnt = [web.execute_from_outside("/bin/httpd", 0), runs(teacher, &web, "/usr/bin/id", SECOND)];
        let findings = after(&learnt, runs(pupil, &web, "/usr/bin/id", LATER));
        assert_eq!(findings.len(), usize::from(is_news), "{teacher:?} {pupil:?} {findings:#?}");
        let written = [web.write_as(Some(came(teacher, &web, SH)), "/srv/notes", SECOND)];
        let findings = after(&written, web.write_as(Some(came(pupil, &web, SH)), "/srv/notes", LATER));
        assert_eq!(findings.len(), usize::from(is_news), "{teacher:?} {pupil:?} {findings:#?}");
    }
}

#[test]
fn a_finding_names_the_program_and_not_who_started_it() {
    let web = web();
    let learnt = [web.execute_from_outside("/bin/httpd", 0), runs(Entry::Outside, &web, "/usr/bin/id", SECOND)];
    for entry in [Entry::Service, Entry::Outside, Entry::Login] {
        let findings = after(&learnt, runs(entry, &web, "/usr/bin/nc", LATER));
        assert_eq!(findings[0].title, "web: /bin/dash (sh) ran /usr/bin/nc");
        assert_eq!(findings[0].executable, "/bin/dash (sh)");
    }
}

#[test]
fn what_both_did_is_known_of_both_and_what_one_raised_is_raised_of_the_other() {
    let (mut model, web) = (model(), web());
    let both = |program: &str, at| [Entry::Service, Entry::Outside].map(|entry| runs(entry, &web, program, at));
    judge(&mut model, both("/usr/bin/curl", 0));
    model.advance(START + 30 * SECOND);
    assert_eq!(judge(&mut model, both("/usr/bin/curl", LATER)), []);
    let [by_service, from_outside] = both("/usr/bin/nc", LATER);
    let findings = judge(&mut model, [from_outside.clone(), by_service, from_outside]);
    assert_eq!(findings.len(), 2, "{findings:#?}");
    assert_ne!(findings[0].uid, findings[1].uid);
}

#[test]
fn a_health_check_is_learnt_and_stays_quiet() {
    let (mut model, web) = (model(), web());
    let check = |at| [web.execute_from_outside(SH, at), runs(Entry::Outside, &web, "/usr/bin/curl", at)];
    judge(&mut model, check(0));
    model.advance(START + 30 * SECOND);
    assert_eq!(judge(&mut model, (0..10).flat_map(|n| check(LATER + n * SECOND))), []);
    assert_eq!(model.judge(&runs(Entry::Service, &web, "/usr/bin/curl", LATER + 11 * SECOND)).len(), 1);
}

#[test]
fn a_profile_that_does_not_tell_them_apart_goes_on_in_quiet_and_forgets_it_of_the_service() {
    let settings = Settings { forget_after_ns: 600 * SECOND, ..settings() };
    let mut model = Model::new(settings);
    let web = web();
    // As agents learnt it to whom a shell was a shell.
    judge(&mut model, [web.execute_from_outside("/bin/httpd", 0), runs(Entry::Service, &web, "/usr/bin/id", SECOND)]);
    model.advance(START + 30 * SECOND);
    let minutes = |from: u64, to: u64| (from..to).map(|n| runs(Entry::Outside, &web, "/usr/bin/id", n * LATER));
    assert_eq!(judge(&mut model, minutes(1, 5)), []);
    let mut as_before = Model::new(Settings { forget_after_ns: 600 * SECOND, ..crate::support::settings() });
    let (uid, profile) = model.take_last().pop().unwrap();
    as_before.restore(profile).unwrap();
    assert_eq!(as_before.judge(&runs(Entry::Service, &web, "/usr/bin/id", 6 * LATER)), [], "it may be the service's");
    assert_eq!(judge(&mut model, minutes(5, 20)), []);
    let held: Vec<String> = model.profile(&uid).unwrap().to_file().lines().map(str::to_owned).collect();
    assert!(held.iter().any(|line| line.starts_with("\"(outside) /bin/dash (sh)\"")), "{held:#?}");
    let findings = model.judge(&runs(Entry::Service, &web, "/usr/bin/id", 21 * LATER));
    assert_eq!(findings.len(), 1, "only people ran it since");
}

#[test]
fn a_written_profile_is_judged_as_it_is_written() {
    let web = web();
    let mut learner = model();
    judge(&mut learner, [web.execute_from_outside("/bin/httpd", 0), runs(Entry::Service, &web, "/usr/bin/id", 0)]);
    let (_, profile) = learner.take_last().pop().unwrap();
    let of = |text: &str| {
        let mut model = model();
        model.import(Profile::from_file(text, START).unwrap());
        model
    };
    let text = profile.to_file();
    let found = |text: &str, entry| of(text).judge(&runs(entry, &web, "/usr/bin/id", LATER)).len();
    assert_eq!([Entry::Service, Entry::Outside, Entry::Login].map(|entry| found(&text, entry)), [0, 0, 0]);
    let of_people = text.replace("\"/bin/dash (sh)\"", "\"(outside) /bin/dash (sh)\"");
    assert_ne!(text, of_people);
    assert_eq!([Entry::Service, Entry::Outside, Entry::Login].map(|entry| found(&of_people, entry)), [1, 0, 1]);
    // It learns nothing of what it excuses.
    let mut model = of(&text);
    let event = runs(Entry::Outside, &web, "/usr/bin/id", LATER);
    assert_eq!(model.judge(&event), []);
    let uid = model.workloads().next().unwrap().uid.clone();
    assert_eq!(model.profile(&uid).unwrap().to_file(), text);
}

#[test]
fn what_people_do_is_no_excuse_for_a_service_that_never_did_anything_like_it() {
    let web = web();
    let httpd = "/bin/httpd";
    let learnt = [
        web.execute_from_outside(httpd, 0),
        web.listen(httpd, 80, SECOND),
        runs(Entry::Outside, &web, "/usr/bin/id", SECOND),
    ];
    let findings = after(&learnt, web.execute(httpd, "/usr/bin/id", LATER));
    assert_eq!(findings[0].severity, Severity::High, "{findings:#?}");
}
