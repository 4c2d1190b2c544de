//! What is one finding, and for how long.

use ethogram_model::{Event, Finding};

use super::support::{event, right};
use crate::{Acceptance, Acceptances, accepted::Width, rules::Rules};

const HOUR: u64 = 3_600_000_000_000;
const START: u64 = 1_000_000 * HOUR;

fn open(by: &str, user: u32, container: &str, path: &str, at: u64) -> Event {
    let user = user.to_string();
    let fields = [
        ("process.executable.path", by),
        ("process.command_args", by),
        ("process.user.id", user.as_str()),
        ("container.name", container),
        ("file.path", path),
    ];
    let mut event = event("open.open", &fields);
    event.time_ns = START + at;
    // Without an image, a container is a workload by its name.
    if let Some(container) = event.context.container.as_mut() {
        std::sync::Arc::make_mut(container).image = None;
    }
    event
}

fn rules(priority: &str) -> Rules {
    right(&format!(
        "- rule: Keys\n  desc: d\n  output: o\n  priority: {priority}\n  condition: evt.type = open and fd.name endswith .key\n"
    ))
}

fn judge(rules: &mut Rules, events: impl IntoIterator<Item = Event>) -> Vec<Finding> {
    let mut accepted = Acceptances::default();
    events.into_iter().flat_map(|event| rules.judge(&event, &mut accepted)).collect()
}

#[test]
fn an_accepted_object_is_that_object() {
    let (mut rules, mut accepted) = (rules("WARNING"), Acceptances::default());
    let read = |path| open("/bin/cat", 0, "shop", path, 0);
    let first = rules.judge(&read("/app/tls.key"), &mut accepted).remove(0);
    let acceptance = Acceptance::of(&first, Width::default(), None, 0, None).unwrap();
    rules.accept(&acceptance);
    accepted.accept(acceptance);
    assert_eq!(rules.judge(&read("/app/tls.key"), &mut accepted), []);
    let other = rules.judge(&read("/app/root.key"), &mut accepted).remove(0);
    assert_ne!(other.uid, first.uid);
    assert_eq!(other.object, "/app/root.key");
    assert_eq!(rules.judge(&read("/app/third.key"), &mut accepted), [], "it goes on with the other");
    // That one is accepted, too: a third is a finding again.
    let acceptance = Acceptance::of(&other, Width::default(), None, 0, None).unwrap();
    rules.accept(&acceptance);
    accepted.accept(acceptance);
    let third = rules.judge(&read("/app/third.key"), &mut accepted).remove(0);
    assert!(third.uid != first.uid && third.uid != other.uid);
    let counts: Vec<_> = accepted.list().map(|a| a.matched).collect();
    assert_eq!(counts.iter().sum::<u64>(), 1, "{counts:?}");
}

#[test]
fn after_a_day_of_quiet_the_same_is_new() {
    let mut rules = rules("WARNING");
    let read = |at| open("/bin/cat", 0, "shop", "/app/tls.key", at);
    let first = judge(&mut rules, [read(0)]).remove(0);
    assert_eq!(judge(&mut rules, [read(23 * HOUR), read(46 * HOUR)]), [], "it goes on");
    let again = judge(&mut rules, [read(70 * HOUR)]).remove(0);
    assert_ne!(again.uid, first.uid);
    assert_eq!((again.count, again.first_seen_ns), (1, START + 70 * HOUR));
    assert_eq!(judge(&mut rules, [read(71 * HOUR)]), []);
    assert_eq!(rules.take_updates().iter().map(|u| u.count).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn it_goes_on_after_a_start_and_is_new_after_a_day_of_quiet() {
    let read = |at| open("/bin/cat", 0, "shop", "/app/tls.key", at);
    let first = judge(&mut rules("WARNING"), [read(0)]).remove(0);
    for (at, is_new) in [(HOUR, false), (25 * HOUR, true)] {
        let mut rules = rules("WARNING");
        rules.restore(first.uid.clone(), 1);
        rules.restore_finding(&first);
        assert_eq!(judge(&mut rules, [read(at)]).len(), usize::from(is_new));
    }
}

#[test]
fn another_user_is_another_finding() {
    let mut rules = rules("WARNING");
    assert_eq!(judge(&mut rules, [open("/bin/cat", 0, "shop", "/app/tls.key", 0)]).len(), 1);
    assert_eq!(judge(&mut rules, [open("/bin/cat", 33, "shop", "/app/tls.key", 0)]).len(), 1);
    assert_eq!(judge(&mut rules, [open("/bin/cat", 33, "shop", "/app/tls.key", 1)]), []);
}

#[test]
fn jobs_in_numbered_folders_are_one_finding() {
    let mut rules = rules("WARNING");
    let job =
        |program: &str, n: u32| open(&format!("/srv/_work/{}_{n}/{program}", 4_711 + 7 * n), 0, "ci", "/x.key", 0);
    assert_eq!(judge(&mut rules, (0..50).map(|n| job("build", n))).len(), 1);
    assert_eq!(rules.take_updates()[0].count, 50);
    assert_eq!(judge(&mut rules, [job("deploy", 0)]).len(), 1);
}

/// A program's name without anything that varies.
fn program(n: u32) -> String {
    let letters = n.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect::<String>();
    format!("/tmp/n{letters}/cat")
}

#[test]
fn a_flood_is_folded_and_told_as_many() {
    for (priority, each) in [("WARNING", 64), ("ERROR", 256)] {
        let mut rules = rules(priority);
        let flood = judge(&mut rules, (0..2_000).map(|n| open(&program(n), 0, "shop", "/app/tls.key", u64::from(n))));
        assert_eq!(flood.len(), each + 1, "{priority}");
        let many = &flood[each];
        assert_eq!((many.title.as_str(), many.object.as_str()), ("shop: Keys, and others like it", "*"));
        let updates = rules.take_updates();
        let update = updates.iter().find(|update| update.uid == many.uid).unwrap();
        assert_eq!(update.count, 2_000 - each as u64);
        // The first go on by themselves, and another workload is as it was.
        assert_eq!(judge(&mut rules, [open(&program(0), 0, "shop", "/app/tls.key", HOUR)]), []);
        assert_eq!(rules.take_updates()[0].uid, flood[0].uid);
        assert_eq!(judge(&mut rules, [open("/bin/cat", 0, "web", "/app/tls.key", HOUR)])[0].object, "/app/tls.key");
    }
}
