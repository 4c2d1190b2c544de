//! A rule may hold for another event of a habit only because of what is not in the habit's key.

use std::sync::Arc;

use ethogram_model::{Event, EventSchema};

use super::{
    support::{event, right, rule},
    trackers::trackers,
};
use crate::rules::{access::Access, habit::OfHabit};

const SERVER: [(&str, &str); 6] = [
    ("process.executable.path", "/usr/sbin/nginx"),
    ("process.command_args", "nginx"),
    ("process.ancestors", "/init"),
    ("process.user.id", "33"),
    ("user.name", "www"),
    ("container.image.name", "nginx:1"),
];

fn of(kind: &str, fields: &[(&'static str, &'static str)]) -> Event {
    event(kind, &[SERVER.as_slice(), fields].concat())
}

fn open() -> Event {
    of(
        "open.open",
        &[
            ("file.path", "/var/log/access.log"),
            ("file.open.flags", "O_WRONLY"),
            ("file.open.write", "true"),
            ("file.type", "regular"),
        ],
    )
}

fn connect() -> Event {
    let ends = [("network.peer.address", "10.0.0.7"), ("network.peer.port", "5432"), ("network.local.port", "40001")];
    of("tcp.connect", &ends)
}

fn accept() -> Event {
    let ends = [("network.peer.address", "10.0.0.7"), ("network.peer.port", "40001"), ("network.local.port", "80")];
    of("tcp.accept", &ends)
}

/// Whether it may hold for others of the habit, though it does not for this one.
fn may(condition: &str, event: &Event) -> bool {
    let mut rules = right(&rule(condition));
    assert!(rules.matching(event).is_empty(), "{condition}");
    rules.may_match_habit(event)
}

#[test]
fn what_a_habit_tells_is_known() {
    let never = [
        "evt.type = open and fd.name startswith /etc/",
        "evt.type = open and fd.directory = /etc",
        "evt.type = open and fd.filename = shadow",
        "evt.type = open and fd.typechar = d",
        "evt.type = open and fd.nameraw contains ..",
        "evt.type = open and evt.is_open_read = true",
        "evt.type = open and evt.is_open_create = true",
        "evt.type = open and evt.arg.flags contains O_TRUNC",
        "evt.type = open and proc.name = sh",
        "evt.type = open and proc.exepath startswith /tmp/",
        "evt.type = open and proc.cmdline contains evil",
        "evt.type = open and proc.args contains evil",
        "evt.type = open and proc.pname = sh",
        "evt.type = open and proc.pcmdline contains evil",
        "evt.type = open and proc.aname in (sh, bash)",
        "evt.type = open and proc.aname[2] = sh",
        "evt.type = open and proc.acmdline[1] contains evil",
        "evt.type = open and proc.is_exe_upper_layer = true",
        "evt.type = open and user.uid = 0",
        "evt.type = open and user.name = root",
        "evt.type = open and container.id = host",
        "evt.type = open and not container.id != host",
        "evt.type = open and container.image.repository = other",
        "evt.type = open and evt.failed = true",
        // Whatever else it asks.
        "evt.type = open and proc.pid = 1 and fd.name startswith /etc/",
        "evt.type = open and container.id != host and proc.tty != 0 and proc.name = sh",
    ];
    never.iter().for_each(|condition| assert!(!may(condition, &open()), "{condition}"));
    let never = [
        "evt.type = connect and fd.sport = 22",
        "evt.type = connect and fd.rport = 22",
        "evt.type = connect and fd.sip = 169.254.169.254",
        "evt.type = connect and fd.snet in (127.0.0.0/8)",
        "evt.type = connect and fd.l4proto = udp",
        "evt.type = connect and fd.is_server = true",
    ];
    never.iter().for_each(|condition| assert!(!may(condition, &connect()), "{condition}"));
    let never = ["evt.type in (accept, accept4) and fd.sport = 22", "evt.type = accept and fd.lport in (23, 24)"];
    never.iter().for_each(|condition| assert!(!may(condition, &accept()), "{condition}"));
}

#[test]
fn what_it_does_not_tell_may_be_anything() {
    let may_be = [
        "evt.type = open and proc.pid = 1",
        "evt.type = open and proc.tty != 0",
        "evt.type = open and proc.duration < 5",
        "evt.type = open and proc.cwd = /tmp",
        "evt.type = open and proc.sname = sshd",
        "evt.type = open and proc.env contains LD_PRELOAD",
        "evt.type = open and user.loginuid = 1000",
        "evt.type = open and container.id = abc",
        "evt.type = open and container.id in (host, abc)",
        "evt.type = open and container.name = db",
        "evt.type = open and container.label[a] = b",
        "evt.type = open and k8s.pod.name = other",
        "evt.type = open and evt.rawtime = 0",
        "evt.type = open and fd.name startswith /var and proc.pid = 1",
        "evt.type = open and (fd.name startswith /etc or proc.pid = 1)",
        "evt.type = open and not (fd.name startswith /var and proc.pid != 1)",
    ];
    may_be.iter().for_each(|condition| assert!(may(condition, &open()), "{condition}"));
    let may_be = ["evt.type = connect and fd.lport = 22", "evt.type = connect and fd.port = 22"];
    may_be.iter().for_each(|condition| assert!(may(condition, &connect()), "{condition}"));
    let may_be = ["evt.type = accept and fd.cip = 8.8.8.8", "evt.type = accept and fd.cport = 22"];
    may_be.iter().for_each(|condition| assert!(may(condition, &accept()), "{condition}"));
    assert!(may("evt.type = connect and fd.sip.name = evil.example", &connect()), "names are learnt later");
}

#[test]
fn a_rule_that_holds_may_hold_again() {
    let mut rules = right(&rule("evt.type = open and proc.name = nginx and fd.name startswith /var"));
    assert!(rules.may_match_habit(&open()));
    assert!(!rules.may_match_habit(&connect()));
}

#[test]
fn what_started_a_container_is_known_by_its_programs_only() {
    let mut event = open();
    let process = Arc::make_mut(event.context.process.as_mut().unwrap());
    process.ancestors = process
        .ancestors
        .iter()
        .map(|exec| Arc::new(ethogram_model::Exec { container_cgroup: 0, ..(**exec).clone() }))
        .collect();
    for condition in ["proc.pcmdline contains evil", "proc.acmdline contains evil", "proc.pexe = /tmp/x"] {
        assert!(may(&format!("evt.type = open and {condition}"), &event), "{condition}");
    }
    for condition in ["proc.pname = sh", "proc.aname in (sh, bash)", "proc.aexepath startswith /tmp/"] {
        assert!(!may(&format!("evt.type = open and {condition}"), &event), "{condition}");
    }
}

#[test]
fn of_whom_nothing_is_known_anything_may_be() {
    let mut rules = right(&rule("evt.type = open and fd.name startswith /etc/"));
    assert!(!rules.may_match_habit(&open()));
    for forget in [|e: &mut Event| e.context.process = None, |e: &mut Event| e.context.container = None] {
        let mut event = open();
        forget(&mut event);
        assert!(rules.may_match_habit(&event));
    }
}

#[test]
fn a_field_is_known_where_its_tag_says_so() {
    for event in trackers().iter().flat_map(|t| &t.events) {
        for (at, field) in event.fields.iter().enumerate() {
            let known = OfHabit::of(&Access::Field(at), event) == OfHabit::Yes;
            assert_eq!(known, field.habit_key, "{}.{}: {}", event.tracker, event.name, field.name);
        }
    }
}

#[test]
fn a_recording_without_tags_is_judged_as_it_was() {
    for event in trackers().iter().flat_map(|t| &t.events) {
        let mut old = EventSchema::clone(event);
        old.fields.iter_mut().for_each(|field| field.habit_key = false);
        let is_habitual = event.fields.iter().any(|f| f.habit_key && !f.header);
        for at in (0..old.fields.len()).filter(|_| is_habitual) {
            let [then, now] = [&old, &**event].map(|schema| OfHabit::of(&Access::Field(at), schema));
            assert_eq!(then, now, "{}.{}: {}", event.tracker, event.name, event.fields[at].name);
        }
    }
}
