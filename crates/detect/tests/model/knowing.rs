//! When a profile knows its workload, and how much what it does not know says.

use std::sync::Arc;

use ethogram_detect::{Acceptance, Decision, Detector, LearningState, Model, Settings, Width};
use ethogram_model::{Event, Exec, Finding, Severity};

use crate::support::*;

const LATER: u64 = 60 * SECOND;
const HTTPD: &str = "httpd@/bin/busybox";

/// The start of a container, as its configuration says.
fn start(of: &Sandbox, at: u64) -> Event {
    let mut process = of.process("/bin/httpd");
    let exec = Arc::make_mut(&mut process.exec);
    exec.args.clone_from(&of.container.command);
    of.execute_as(process, at)
}

fn version(cgroup: u64, digest: &str) -> Sandbox {
    let mut sandbox = container("web", cgroup, digest);
    Arc::make_mut(&mut sandbox.container).image.as_mut().unwrap().name = format!("web:{digest}");
    sandbox
}

fn accept(finding: &Finding) -> Decision {
    Decision::Accept(Box::new(Acceptance::of(finding, Width::default(), None, START + LATER, None).unwrap()))
}

fn state(model: &mut Model, of: &Sandbox) -> LearningState {
    let uid = model.profile_of(&of.container).unwrap();
    model.profiles().into_iter().find(|p| p.uid == uid).unwrap().state
}

fn one(findings: Vec<Finding>) -> Finding {
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.into_iter().next().unwrap()
}

#[test]
fn a_profile_whose_start_was_seen_is_stable() {
    let (mut model, web) = (model(), web());
    judge(&mut model, [start(&web, 0)]);
    assert_eq!(state(&mut model, &web), LearningState::Learning);
    model.advance(START + LEARNING);
    assert_eq!(state(&mut model, &web), LearningState::Stable);
}

#[test]
fn what_the_first_start_brings_is_learnt_unless_it_is_severe() {
    let (mut model, web) = learnt();
    assert_eq!(state(&mut model, &web), LearningState::Partial);
    judge(&mut model, [start(&web, LATER)]);
    assert_eq!(state(&mut model, &web), LearningState::Stable);
    assert_eq!(judge(&mut model, [web.write("/bin/httpd", "/var/log/start", LATER + SECOND)]), []);
    let severe = one(judge(&mut model, [web.write("/bin/httpd", "/etc/passwd", LATER + SECOND)]));
    assert_eq!(severe.severity, Severity::High);
    // What came from outside, or goes beyond the own network, is not what the start brings.
    assert_eq!(judge(&mut model, [web.connect("/bin/httpd", "203.0.113.9", 443, LATER + SECOND)]).len(), 1);
    assert_eq!(judge(&mut model, [web.execute_from_outside("/bin/nc", LATER + SECOND)]).len(), 1);
    assert_eq!(judge(&mut model, [start(&web, 2 * LATER)]), []);
    one(judge(&mut model, [web.write("/bin/httpd", "/var/log/second", 2 * LATER + SECOND)]));
}

#[test]
fn a_list_of_processes_that_looks_at_environments_is_mild_and_an_impostor_is_not() {
    let of = |by: &str, path: &str| {
        let (mut model, web) = learnt();
        judge(&mut model, [web.read(by, path, LATER)]).into_iter().map(|finding| finding.severity).max()
    };
    assert!(of("/bin/ps", "/proc/12/environ") < Some(Severity::Medium));
    for (by, path) in [
        ("/tmp/ps", "/proc/12/environ"),
        ("/bin/cat", "/proc/12/environ"),
        ("/bin/ps", "/etc/shadow"),
        ("/bin/ps", "/srv/proc/12/environ/id_rsa"),
    ] {
        assert_eq!(of(by, path), Some(Severity::High), "{by} {path}");
    }
}

#[test]
fn another_version_of_the_image_begins_with_what_the_last_one_did() {
    let (mut model, web) = learnt();
    let second = version(8, "00000000000000ff");
    assert_eq!(judge(&mut model, web_server(&second, 60)), []);
    assert_eq!(state(&mut model, &second), LearningState::Learning);
    assert_eq!(model.counters().learnt, 8, "all of it was known");
    // What changed is learnt, severity high raises an alert.
    assert_eq!(judge(&mut model, [second.write("/www/cgi-bin/count", "/var/lib/count/extra", LATER)]), []);
    let severe = one(judge(&mut model, [second.read("/bin/cat", "/etc/shadow", LATER)]));
    assert!(severe.reason.contains("never did in 25 s of learning"), "{}", severe.reason);
    // What a program of it never did at all is reported as well, and prolongs nothing.
    let calls_home = one(judge(&mut model, [second.connect(HTTPD, "203.0.113.9", 443, LATER + LEARNING / 2 - SECOND)]));
    assert_eq!(calls_home.severity, Severity::High);
    model.advance(START + LATER + LEARNING / 2 + WINDOW);
    assert_eq!(state(&mut model, &second), LearningState::Partial);
    let late = 4 * LATER;
    one(judge(&mut model, [second.write("/www/cgi-bin/count", "/var/lib/count/late", late)]));
    assert_eq!(judge(&mut model, [second.write("/www/cgi-bin/count", "/var/lib/count/extra", late)]), []);
    one(judge(&mut model, [web.write("/www/cgi-bin/count", "/var/lib/count/extra", late)]));
}

#[test]
fn a_version_begins_with_what_all_versions_do() {
    let (mut model, _) = learnt();
    let (second, third) = (version(8, "00000000000000ff"), version(9, "00000000000000fe"));
    judge(&mut model, [second.write("/www/cgi-bin/count", "/var/lib/count/extra", LATER)]);
    assert_eq!(state(&mut model, &second), LearningState::Learning);
    judge(&mut model, [third.write("/www/cgi-bin/count", "/var/lib/count/extra", LATER)]);
    let uid = model.profile_of(&third.container).unwrap();
    let third = model.profile(&uid).unwrap();
    assert_eq!(third.entries(), 9);
    assert!(
        third.lifecycle.predecessor.is_some(),
        "a version that still learns does not take the place of one that judges"
    );
}

#[test]
fn other_owners_commands_and_images_are_no_versions() {
    let (mut model, _) = learnt();
    type Change = fn(&mut ethogram_model::Container);
    let changes: [Change; 3] = [
        |c| c.command.push("-v".into()),
        |c| c.image.as_mut().unwrap().name = "webserver:1".into(),
        |c| c.image.as_mut().unwrap().name = "registry:5000/web".into(),
    ];
    for (i, change) in (20..).zip(changes) {
        let mut other = container("x", i, &format!("{i:016x}"));
        change(Arc::make_mut(&mut other.container));
        judge(&mut model, [other.listen(HTTPD, 80, LATER)]);
        let uid = model.profile_of(&other.container).unwrap();
        assert_eq!(model.profile(&uid).unwrap().entries(), 1);
    }
}

#[test]
fn short_lived_containers_pool_what_they_show() {
    let mut model = model();
    for job in 0..20 {
        let container = container("job", 100 + job, "aabbccddeeff0011");
        judge(&mut model, [start(&container, job * SECOND), container.write("/bin/job", "/var/lib/out", job * SECOND)]);
    }
    model.advance(START + LATER);
    let tree = model.profiles().remove(0);
    assert_eq!((tree.state, tree.entries), (LearningState::Stable, 2));
    let profile = model.describe(&tree.uid).unwrap();
    let written = &profile.operations.iter().find(|o| o.operation == "write").unwrap().executables[0].objects[0];
    assert_eq!(written.count, 20);
    assert!((17..=23).contains(&written.containers), "{}", written.containers);
}

#[test]
fn much_that_is_new_is_drift_until_it_is_quiet_again() {
    let (mut model, web) = learnt();
    judge(&mut model, (0..20).map(|i| web.execute(HTTPD, &format!("/opt/tool{i}"), LATER)));
    model.advance(START + LATER + 2 * WINDOW);
    assert_eq!(state(&mut model, &web), LearningState::Drifted);
    model.advance(START + LATER + 6 * WINDOW);
    assert_eq!(state(&mut model, &web), LearningState::Partial);
}

#[test]
fn what_is_not_seen_for_long_is_forgotten() {
    let day = 24 * HOUR;
    let mut model = Model::new(Settings { learning_period_ns: day, forget_after_ns: 30 * day, ..Settings::default() });
    let web = web();
    judge(&mut model, [web.write("/bin/a", "/srv/old", 0), web.write("/bin/a", "/srv/kept", 0)]);
    for hour in 1..40 * 24 {
        judge(&mut model, [web.write("/bin/a", "/srv/kept", hour * HOUR)]);
    }
    assert_eq!((model.profiles()[0].entries, model.counters().forgotten), (1, 1));
    one(judge(&mut model, [web.write("/bin/a", "/srv/old", 40 * day)]));
}

#[test]
fn one_more_file_of_a_programs_own_folder_is_learnt_and_what_can_be_run_there_is_raised() {
    let (mut model, web) = (model(), web());
    for window in 0..10 {
        for name in ["base/1", "wal/2", "global/3", "stat/4", "commit/5"] {
            judge(&mut model, [web.write("/bin/db", &format!("/srv/db/{name}"), window * WINDOW)]);
        }
        judge(&mut model, [web.write("/bin/db", "/srv/state", window * WINDOW)]);
    }
    model.advance(START + 2 * LEARNING);
    let db = |path: &str| web.write("/bin/db", path, LATER);
    assert_eq!(judge(&mut model, [db("/srv/db/control"), db("/srv/db/subtrans/0"), db("/srv/db/wal/tmp")]), []);
    assert_eq!(judge(&mut model, [db("/srv/db/control")]), [], "it is known by now");
    one(judge(&mut model, [db("/srv/db/wal/shell.php")]));
    one(judge(&mut model, [db("/srv/db/.hidden")]));
    one(judge(&mut model, [db("/srv/README")]));
    one(judge(&mut model, [web.write("/bin/sh", "/srv/db/other", LATER)]));
}

#[test]
fn what_is_new_where_there_is_often_something_new_surprises_nobody_and_beside_it_does() {
    let (mut model, web) = (model(), web());
    for window in 0..10 {
        judge(
            &mut model,
            [
                // A database makes a folder for each of its bases, and rewrites its state.
                web.write("/bin/db", &format!("/srv/data/{}/base", letters(window)), window * WINDOW),
                web.write("/bin/db", "/srv/state/now", window * WINDOW + 1),
            ],
        );
    }
    model.advance(START + 2 * LEARNING);
    assert_eq!(judge(&mut model, [web.write("/bin/db", "/srv/data/another/base", LATER)]), []);
    let beside = one(judge(&mut model, [web.write("/bin/db", "/srv/state/another", LATER)]));
    let score = beside.score.unwrap();
    assert_eq!(score.parts[0].what, "something new to write came to /srv/state in 0 of 10 windows");
    // Another program has no folder of its own there.
    one(judge(&mut model, [web.write("/bin/sh", "/srv/data/third/base", LATER)]));
}

/// A name without a number.
fn letters(n: u64) -> String {
    ["ash", "birch", "cedar", "elm", "fir", "holly", "larch", "maple", "oak", "pine"][n as usize % 10].into()
}

#[test]
fn a_score_says_what_it_is_made_of() {
    let mut model = model();
    let boxes: Vec<_> = (0..4).map(|i| version(30 + i, &format!("{i}{i}"))).collect();
    let (web, others) = boxes.split_first().unwrap();
    let mut others = others.to_vec();
    for (i, other) in others.iter_mut().enumerate() {
        Arc::make_mut(&mut other.container).command.push(format!("--other-{}", ["a", "b", "c"][i]));
    }
    for window in 0..10 {
        judge(
            &mut model,
            [
                web.write("/bin/a", "/srv/log", window * WINDOW),
                web.write("/bin/b", &format!("/srv/{window}/x"), window * WINDOW),
            ],
        );
        judge(&mut model, others.iter().map(|o| o.write("/bin/a", "/srv/common", window * WINDOW)));
    }
    model.advance(START + 2 * LEARNING);
    let score = |model: &mut Model, event| one(judge(model, [event])).score.unwrap();
    let rare = score(&mut model, web.write("/bin/a", "/srv/rare", LATER));
    let sum: f64 = rare.parts.iter().map(|p| p.bits).sum();
    assert!((sum - rare.bits).abs() < 0.3, "{rare:?}");
    let texts: Vec<&str> = rare.parts.iter().map(|p| &*p.what).collect();
    assert_eq!(
        texts,
        ["something new to write came to /srv in 0 of 10 windows", "0 of 3 other workloads show it", "medium severity"]
    );
    let common = score(&mut model, web.write("/bin/a", "/srv/common", LATER));
    assert!(common.bits < rare.bits && common.parts[1].what.starts_with("3 of 3"), "{common:?}");
    let stranger = score(&mut model, web.write("/bin/c", "/srv/rare", LATER));
    assert!(stranger.parts[0].what.starts_with("another executable was new to write"), "{stranger:?}");
    let kind = score(&mut model, web.listen("/bin/a", 4444, LATER));
    assert!(kind.parts[0].what.starts_with("another kind of operation was new"), "{kind:?}");
    // The restless one surprises less than any of these.
    model.advance(START + 2 * LATER);
    let restless = judge(&mut model, [web.write("/bin/b", "/srv/11/x", 2 * LATER)]);
    assert!(restless.iter().all(|f| f.score.as_ref().unwrap().bits < common.bits), "{restless:?}");
}

#[test]
fn normal_news_raise_what_has_to_be_said_before_anything_is_told() {
    // A day of learning, and a file of another name in another place each hour for a week.
    let day = 24 * HOUR;
    let mut model = Model::new(Settings { learning_period_ns: day, ..Settings::default() });
    let web = web();
    let mut reported = 0;
    for hour in 0..7 * 24 {
        let job = [
            web.write("/bin/job", &format!("/var/lib/j{hour}/{}", ["a", "b", "c"][hour as usize % 3]), hour * HOUR),
            web.connect("/bin/job", "10.0.0.5", 5432, hour * HOUR),
        ];
        reported += judge(&mut model, job).len();
    }
    assert!(reported <= 3, "{reported} alerts in a week");
    assert!(model.threshold() >= 2.0);
    one(judge(&mut model, [web.connect("/bin/job", "203.0.113.9", 4444, 7 * day)]));
    one(judge(&mut model, [web.execute("/bin/job", "/bin/nc", 7 * day)]));
}

fn suspect_of(web: &Sandbox, pid: u32) -> ethogram_model::Process {
    let mut process = web.process("/bin/sh");
    Arc::make_mut(&mut process.exec).pid = pid;
    process.pid = pid;
    process
}

#[test]
fn nothing_is_learnt_from_who_is_under_an_open_alert() {
    let (mut model, web) = (model(), web());
    judge(&mut model, web_server(&web, 0));
    let mut detector = Detector { model, ..Detector::default() };
    detector.advance(START + LATER);
    // A file of low severity, so that it would be learnt after the first start, and a severe act before it.
    let first = one(detector.judge(&web.write_as(Some(suspect_of(&web, 50)), "/etc/passwd", LATER)));
    detector.judge(&start(&web, LATER));
    let step = |at| {
        let mut child = suspect_of(&web, 51);
        child.ancestors.insert(0, Arc::clone(&suspect_of(&web, 50).exec));
        Arc::make_mut(&mut child.exec).args.push("child".into());
        web.write_as(Some(child), "/srv/tools/x", at)
    };
    assert_eq!(detector.judge(&step(LATER + SECOND)), []);
    assert_eq!(detector.model.counters().withheld, 1);
    detector.decide(accept(&first));
    assert_eq!(detector.judge(&step(LATER + 2 * SECOND)), []);
    assert_eq!(detector.model.counters().withheld, 1);
    assert_eq!(detector.judge(&step(4 * LATER)), [], "it is learnt by now");
}

#[test]
fn many_alerts_of_one_workload_release_no_suspect_of_another() {
    // So many are remembered.
    for (of, withheld) in [("flood", 1), ("web", 0)] {
        let (mut model, web) = (model(), web());
        judge(&mut model, web_server(&web, 0));
        let mut detector = Detector { model, ..Detector::default() };
        detector.advance(START + LATER);
        let first = one(detector.judge(&web.write_as(Some(suspect_of(&web, 50)), "/etc/passwd", LATER)));
        let workload = if of == "web" { first.workload.clone() } else { of.to_owned() };
        for pid in 1_000..3_000 {
            let process = Some(suspect_of(&web, pid).into());
            detector.model.restore_alert(&Finding { process, workload: workload.clone(), ..first.clone() });
        }
        detector.judge(&start(&web, LATER));
        detector.judge(&web.write_as(Some(suspect_of(&web, 50)), "/srv/tools/x", LATER + SECOND));
        assert_eq!(detector.model.counters().withheld, withheld, "alerts of {of}");
    }
}

#[test]
fn an_accepted_read_of_one_key_is_of_that_key() {
    let (model, web) = learnt();
    let mut detector = Detector { model, ..Detector::default() };
    let read = |path: &str, at| web.read("/bin/cat", path, at);
    let first = one(detector.judge(&read("/app/tls.key", LATER)));
    detector.decide(accept(&first));
    assert_eq!(detector.judge(&read("/app/tls.key", LATER + SECOND)), []);
    assert_eq!(detector.take_updates(), [], "what is accepted does not go on");
    one(detector.judge(&read("/etc/shadow", LATER + SECOND)));
    one(detector.judge(&read("/app/root.key", LATER + SECOND)));
    one(detector.judge(&web.read("/bin/dog", "/app/tls.key", LATER + SECOND)));
    let listed: Vec<_> = detector.accepted.list().collect();
    assert_eq!((listed[0].matched, listed[0].last_object.as_deref()), (1, Some("/app/tls.key")));
}

#[test]
fn a_noisy_workload_does_not_move_the_threshold_of_a_quiet_one() {
    let raised = |is_noisy: bool| {
        let (mut model, web) = learnt();
        let mut ci = container("ci", 8, "0123456789abcdef");
        Arc::make_mut(&mut ci.container).image.as_mut().unwrap().name = "ci:1".into();
        let noise = |i: u64| {
            let at = 30 * SECOND + i * SECOND / 20;
            // Of high severity, too, and of the kind that scores most.
            [
                ci.execute("/bin/sh", &format!("/opt/tool{i}"), at),
                ci.connect(&format!("/opt/tool{i}"), &format!("198.51.{}.7", i % 250), 443, at),
                ci.read("/bin/sh", &format!("/srv/{i}.key"), at),
            ]
        };
        if is_noisy {
            judge(&mut model, (0..500).flat_map(noise));
        }
        model.advance(START + LATER);
        let uid = model.profile_of(&web.container).unwrap();
        let threshold = model.describe(&uid).unwrap().threshold.unwrap();
        let new = judge(&mut model, [web.write("/www/cgi-bin/count", "/srv/new/x", LATER)]);
        let own = model.profile_of(&ci.container).map(|uid| model.describe(&uid).unwrap().threshold.unwrap());
        (threshold, new.len(), own)
    };
    let (alone, beside) = (raised(false), raised(true));
    assert_eq!((alone.0, alone.1), (2.0, 1));
    assert_eq!((beside.0, beside.1), (2.0, 1));
    let own = beside.2.unwrap();
    assert!(own > 2.0 && own < 10.0, "its own is for what it does, and not for what is severe: {own}");
}

#[test]
fn what_people_decide_of_a_profile() {
    let (mut model, web) = learnt();
    let uid = model.profile_of(&web.container).unwrap();
    let event = |at| web.execute(HTTPD, "/usr/bin/curl", at);
    one(judge(&mut model, [event(LATER)]));
    assert!(model.approve(&uid) && !model.approve("nobody"));
    assert_eq!(state(&mut model, &web), LearningState::Stable);
    assert_eq!(model.profile(&uid).unwrap().alerts(), 0);
    assert_eq!(judge(&mut model, [event(2 * LATER)]), [], "what was reported is right, too");
    one(judge(&mut model, [web.listen(HTTPD, 8081, 2 * LATER)]));
    judge(&mut model, [start(&web, 2 * LATER)]);
    one(judge(&mut model, [web.write("/bin/a", "/tmp/new", 2 * LATER)]));
    assert!(model.reset(&uid) && !model.reset(&uid));
    assert_eq!(model.take_evicted(), std::slice::from_ref(&uid));
    assert_eq!(judge(&mut model, [event(3 * LATER)]), []);
    assert_eq!(state(&mut model, &web), LearningState::Learning);
}

#[test]
fn profiles_of_the_first_version_are_understood() {
    let stored = r#"{"version":1,"workload":{"uid":"u","name":"web","image":"web:1","digest":"sha256:00","command":[],"owner":null},
        "since_ns":1,"last_seen_ns":2,"learnt_ns":20000000000,"is_stable":true,"observations":7,
        "operations":{"write":{"unjudged":"nothing","executables":{"/bin/a":{"paths":{"/srv/x":{"count":3,"first_seen_ns":1,"last_seen_ns":2}}}}}},
        "alerted":{"write":{"/bin/a":{"/etc/x":{"uid":"f","seen":{"count":1,"first_seen_ns":1,"last_seen_ns":1}}}}}}"#;
    let mut model = model();
    model.restore(serde_json::from_str(stored).unwrap()).unwrap();
    let brief = model.profiles().remove(0);
    assert_eq!((brief.state, brief.entries, brief.observations, brief.alerts), (LearningState::Partial, 1, 7, 1));
}

#[test]
fn locked_nothing_is_learnt() {
    let (mut learnt, web) = learnt();
    let profile = learnt.take_last().remove(0).1;
    let mut model = Model::new(Settings { is_locked: true, ..settings() });
    model.restore(profile).unwrap();
    assert_eq!(judge(&mut model, web_server(&web, 60)), []);
    one(judge(&mut model, [web.write("/bin/a", "/tmp/new", LATER)]));
    let other = version(77, "1234");
    let mut other = other;
    Arc::make_mut(&mut other.container).image.as_mut().unwrap().name = "db:1".into();
    let unknown =
        one(judge(&mut model, [other.listen("/bin/db", 5432, LATER), other.write("/bin/db", "/srv/x", LATER)]));
    assert_eq!(unknown.title, "web: a workload without a profile runs");
    let _: &Exec = &unknown.process.unwrap().exec;
}
