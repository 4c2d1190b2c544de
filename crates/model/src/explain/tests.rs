use super::*;
use crate::{ScorePart, Step};

const AT: u64 = 1_767_268_800_000_000_000;

fn part(what: &str, analytic: &str, operation: &str, object: &str, severity: Severity) -> Part {
    Part {
        step: Some(0),
        what: what.into(),
        why: format!("{what}; never seen in 24 h of learning"),
        analytic: analytic.into(),
        severity,
        confidence: 80,
        operation: operation.into(),
        executable: "/bin/sh".into(),
        object: object.into(),
        objects: 1,
        surprise: 2.0,
        techniques: Vec::new(),
        findings: vec!["f".into()],
        first_seen_ns: AT,
        last_seen_ns: AT,
    }
}

fn step(program: &str, pid: u32) -> Step {
    let (container, program) = ("web".to_owned(), program.to_owned());
    Step { parent: None, container, pid, program, args: String::new(), is_service: false, started_ns: AT }
}

fn incident(origin: Origin) -> Incident {
    Incident {
        title: "web: /bin/sh: /bin/cat read /etc/shadow".into(),
        severity: Severity::High,
        confidence: 80,
        bits: 11.0,
        reasons: vec![
            ScorePart { bits: 8.0, what: "its worst part is of high severity".into() },
            ScorePart { bits: -4.0, what: "it was started from outside the container".into() },
        ],
        containers: vec!["web".into()],
        workloads: vec!["shop/web".into()],
        steps: vec![step("/bin/sh", 41), step("/tmp/.x", 42)],
        parts: vec![part("/bin/cat read /etc/shadow", "behaviour.read", "read", "/etc/shadow", Severity::High)],
        links: vec![Link { kind: LinkKind::File, from: 0, to: 1, by: "/tmp/.x".into() }],
        findings: 1,
        ..Incident::begun("3f1c72272e07bb01".into(), origin, AT)
    }
}

fn text(incident: &Incident) -> String {
    Explanation::of(incident).text()
}

#[test]
fn what_was_entered_from_outside_is_explained() {
    let wanted = "\
web: /bin/sh: /bin/cat read /etc/shadow
Severity High, 11.0 bits, findings: 1, in \"web\"; more may come to it.

What happened
- From outside, \"/bin/sh\" was started in \"web\": so do `docker exec`, `kubectl exec` and health checks.
- 12:00:00 /bin/cat read /etc/shadow (high)

Why that is unusual
- never seen in 24 h of learning

What speaks for an attack
- its worst part is of high severity (+8.0 bits)
- \"/bin/sh\" wrote \"/tmp/.x\", which was then run

What speaks for ordinary life
- it was started from outside the container (-4.0 bits)
- those who run the container start programs in it: is it known who did, and why?
- no rule knows any of it as bad: it is only new to the workload
- it is one thing alone: nothing came before or after it

What to look at next
- its story, with who started whom
    $ ethogram incidents show 3f1c7227
- all alerts of the container
    $ ethogram alerts --container web
- what the workload usually does
    $ ethogram profile show web
- what runs in it now (or the same of another runtime)
    $ docker top web
- which files differ from the image, without going in
    $ docker diff web
- whose the file is and since when, without going in
    $ docker cp web:/etc/shadow - | tar -tv
- which of its programs still run
    $ ps -o pid,ppid,user,lstart,args -p 41,42
- if it turns out to be normal
    $ ethogram incidents accept 3f1c7227 --for 30d
";
    assert_eq!(text(&incident(Origin::Entered)), wanted);
}

#[test]
fn each_origin_has_its_own_words() {
    for (origin, words) in [
        (Origin::Entered, "From outside, \"/bin/sh\" was started in \"web\""),
        (Origin::Child, "A service in \"web\" started \"/bin/sh\""),
        (Origin::Login, "A server for logins in \"web\" started \"/bin/sh\""),
        (Origin::Job, "A scheduler in \"web\" started \"/bin/sh\""),
        (Origin::Service, "did it itself; no program was started"),
        (Origin::Start, "It belongs to the start of \"web\""),
        (Origin::Agent, "It concerns the agent itself"),
        (Origin::Unknown, "It is not known which program"),
    ] {
        let text = text(&incident(origin));
        assert!(text.contains(words), "{text}");
        assert_eq!(text.contains("ethogram doctor"), origin == Origin::Agent, "{text}");
    }
    let child = Incident { severity: Severity::Low, ..incident(Origin::Child) };
    assert!(!text(&child).contains("a hole in it"), "what is mild is no hole");
}

#[test]
fn what_a_rule_knows_is_not_said_to_be_only_new() {
    let only_new = "no rule knows any of it as bad";
    assert!(text(&incident(Origin::Child)).contains(only_new));
    let mut known = incident(Origin::Child);
    known.parts.push(part("a shell", "rule.shell", "execute", "/bin/sh", Severity::Medium));
    assert!(!text(&known).contains(only_new));
    assert!(!text(&known).contains("one thing alone"));
}

#[test]
fn why_it_is_unusual_is_said_without_what_was_seen_and_without_numbers() {
    let what = "sh -c 'cat x; touch y; score 9' was started";
    let of = |why: &str| reason(&Part { why: why.into(), ..part(what, "", "", "", Severity::Low) }).into_owned();
    let why =
        format!("{what}, which this workload never did in 4 s of learning; usual: id; score 3.0 bits, threshold 2.0");
    assert_eq!(of(&why), "this workload never did that in 4 s of learning; usual: id");
    assert_eq!(of("fd.name in (/etc/shadow)"), "fd.name in (/etc/shadow)");
    assert_eq!(of(what), "");
}

#[test]
fn on_the_host_files_are_listed_there() {
    let host = Incident { containers: vec!["host".into()], is_open: false, ..incident(Origin::Child) };
    let text = text(&host);
    assert!(text.contains("    $ ls -ld /etc/shadow\n") && !text.contains("docker"), "{text}");
    assert!(!text.contains("$ ps "), "pids of what is over are others' by now: {text}");
}

#[test]
fn a_name_that_a_shell_would_take_for_more_is_in_no_command() {
    for name in ["web; rm -rf /", "$(id)", "`id`", "-v", "a b", "web\n    $ id", "x'y", "a\u{202e}b", "", "web|sh", "~"]
    {
        let mut hostile = incident(Origin::Child);
        hostile.containers = vec![name.into()];
        hostile.parts.push(part(name, "behaviour.read", "read", &format!("/tmp/{name}"), Severity::High));
        hostile.parts.push(part("x", "behaviour.read", "read", "/srv/../etc/x", Severity::High));
        hostile.steps[0].program = name.into();
        hostile.title = name.into();
        let explanation = Explanation::of(&hostile);
        for (command, _) in &explanation.next {
            let plain = |c: char| c.is_ascii_alphanumeric() || " /._-,:|=+@".contains(c);
            assert!(command.chars().all(plain) && !command.contains(".."), "{command}");
            assert!(name.is_empty() || name == "-v" || !command.contains(name), "{command}");
        }
        let text = explanation.text();
        assert!(!text.contains('\u{202e}') && !text.contains("docker"), "{text}");
        let commands = text.lines().filter(|line| line.starts_with(COMMAND)).count();
        assert_eq!(commands, explanation.next.len(), "no line of a name is one: {text}");
    }
}

#[test]
fn whatever_there_is_has_an_end() {
    let mut long = incident(Origin::Child);
    let huge = "x/".repeat(100_000);
    long.title.clone_from(&huge);
    long.parts = (0..64).map(|n| part(&format!("{n}{huge}"), &huge, "read", &huge, Severity::High)).collect();
    long.containers = vec![huge; 64];
    let text = text(&long);
    assert!(text.len() < 16 << 10 && text.lines().count() < 80, "{}", text.len());
    let empty = Explanation::of(&Incident::begun(String::new(), Origin::Unknown, AT)).text();
    assert!(empty.contains("It is not known which program in the host began it."), "{empty}");
}
