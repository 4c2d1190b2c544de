//! Rules of Sigma: what they hit, what they miss, and what is said of those that cannot fire.

use ethogram_model::{Event, Priority};

use super::support::{cannot_fire, event, load, load_files, problems, right};
use crate::rules::RuleState;

/// A rule with this log source and detection.
fn rule(logsource: &str, detection: &str) -> String {
    let indented: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    format!("title: T\nlogsource: {logsource}\ndetection:\n{indented}level: high\n")
}

const STARTED: &str = "{product: linux, category: process_creation}";
const FILES: &str = "{product: linux, category: file_event}";
const CONNECTIONS: &str = "{product: linux, category: network_connection}";
const AUDIT: &str = "{product: linux, service: auditd}";

fn selection(fields: &str) -> String {
    let fields: String = fields.lines().map(|line| format!("  {line}\n")).collect();
    format!("selection:\n{fields}condition: selection")
}

/// Whether a detection hits an event.
fn hits(logsource: &str, detection: &str, event: &Event) -> bool {
    !right(&rule(logsource, detection)).matching(event).is_empty()
}

fn exec(fields: &[(&str, &str)]) -> Event {
    event("process.exec", fields)
}

fn bash() -> Event {
    exec(&[
        ("process.executable.path", "/usr/bin/Bash"),
        ("process.executable.name", "bash"),
        ("process.command_args", "/bin/bash -c id>/tmp/x --n=7"),
        ("process.working_directory", "/var/tmp"),
        ("process.ancestors", "/usr/sbin/sshd /sbin/init"),
        ("process.user.id", "0"),
        ("process.pid", "42"),
        ("user.name", "root"),
    ])
}

#[test]
fn programs_by_all_their_fields() {
    let right = [
        "Image: /usr/bin/bash",
        "Image|endswith: /bash",
        "CommandLine: '/bin/bash -c id>/tmp/x --n=7'",
        "CommandLine|startswith: '/bin/bash -C'",
        "CurrentDirectory: /var/tmp",
        "CurrentDirectory|endswith: /tmp",
        "OriginalFileName: bash",
        "ProcessId: 42",
        "User: root",
        "ParentImage: /usr/sbin/sshd",
        "ParentCommandLine: sshd",
        "Image: ['/bin/zsh', '/usr/bin/bash']",
        "Image|endswith: /bash\nUser: root",
    ];
    for fields in right {
        assert!(hits(STARTED, &selection(fields), &bash()), "{fields}");
    }
    let wrong = [
        "Image: /usr/bin/bash2",
        "Image|endswith: bin",
        "CommandLine|startswith: bash",
        "CurrentDirectory: /var",
        "ProcessId: 43",
        "User: roo",
        "ParentImage: /sbin/init",
        "Image: ['/bin/zsh', '/bin/bash']",
        "Image|endswith: /bash\nUser: nobody",
    ];
    for fields in wrong {
        assert!(!hits(STARTED, &selection(fields), &bash()), "{fields}");
    }
    assert!(!hits(STARTED, &selection("Image|contains: a"), &event("open.open", &[("file.path", "/a")])));
}

#[test]
fn every_modifier() {
    let right = [
        "CommandLine|contains: ID>",
        "CommandLine|contains|all: ['-c', tmp]",
        "CommandLine|contains: [nothing, tmp]",
        "CommandLine|re: 'id>.tmp'",
        "CommandLine|re: '^/bin/ba(sh|lls) -c'",
        "CommandLine|re|i: 'BASH -c'",
        "CommandLine|re|i|m|s: 'BASH.*n=7$'",
        "CommandLine|windash|contains: ' /c '",
        "CommandLine|cased|contains: '-c'",
        "Image|cased: /usr/bin/Bash",
        "CommandLine|exists: true",
        "ProcessId|gt: 41",
        "ProcessId|gte: 42",
        "ProcessId|lt: 43",
        "ProcessId|lte: 42",
        "ProcessId|neq: 7",
        "Image|neq: /bin/sh",
        "Image|endswith|fieldref: OriginalFileName",
        "User|fieldref: User",
        "Image: /usr/*/b?sh",
        "Image: '*'",
        "CommandLine|contains: 'c id*tmp'",
    ];
    for fields in right {
        assert!(hits(STARTED, &selection(fields), &bash()), "{fields}");
    }
    let wrong = [
        "CommandLine|contains|all: ['-c', var]",
        "CommandLine|re: 'BASH'",
        "CommandLine|re: '^bash'",
        "CommandLine|windash|contains: ' /d '",
        "CommandLine|cased|contains: '-C'",
        "Image|cased: /usr/bin/bash",
        "CommandLine|exists: false",
        "ProcessId|gt: 42",
        "ProcessId|lt: 42",
        "ProcessId|neq: 42",
        "Image|fieldref: OriginalFileName",
        "Image|startswith|fieldref: OriginalFileName",
        "Image: /usr/bin/b?",
        r"CommandLine|contains: 'id\*tmp'",
        "User: null",
    ];
    for fields in wrong {
        assert!(!hits(STARTED, &selection(fields), &bash()), "{fields}");
    }
}

#[test]
fn encoded_commands() {
    let command = "echo L2Jpbi9iYXNo|base64 -d|sh";
    let event = exec(&[("process.executable.path", "/bin/sh"), ("process.command_args", command)]);
    assert!(hits(STARTED, &selection("CommandLine|base64|contains: /bin/bash"), &event));
    assert!(hits(STARTED, &selection("CommandLine|base64offset|contains: bin/bash"), &event));
    assert!(!hits(STARTED, &selection("CommandLine|base64offset|contains: bin/dash"), &event));
}

#[test]
fn wildcards_stand_for_themselves_behind_a_backslash() {
    let event = exec(&[("process.executable.path", "/bin/rm"), ("process.command_args", r"rm /var/log/* \x")]);
    assert!(hits(STARTED, &selection(r"CommandLine|endswith: 'log/\* \x'"), &event));
    assert!(hits(STARTED, &selection(r"CommandLine|contains: '\\x'"), &event));
    let event = exec(&[("process.executable.path", "/bin/rm"), ("process.command_args", "rm /var/log/syslog")]);
    assert!(!hits(STARTED, &selection(r"CommandLine|endswith: 'log/\*'"), &event));
    assert!(hits(STARTED, &selection("CommandLine|endswith: 'log/*'"), &event));
}

#[test]
fn an_absent_field_is_null() {
    let event = exec(&[("process.executable.path", "/bin/sh")]);
    assert!(hits(STARTED, &selection("ParentImage: null"), &event));
    assert!(hits(STARTED, &selection("ParentImage|exists: false"), &event));
    assert!(!hits(STARTED, &selection("ParentImage: null"), &bash()));
    assert!(!hits(STARTED, &selection("ParentImage: /x"), &event));
    assert!(hits(STARTED, "selection:\n  ParentImage: /x\ncondition: not selection", &event));
}

#[test]
fn conditions() {
    let named = "sel_a:\n  Image|endswith: /bash\nsel_b:\n  User: root\nsel_c:\n  User: nobody\nfilter:\n  - Image: /a\n  - ProcessId: 42\n    User: root\n";
    let right = [
        "sel_a",
        "sel_a and sel_b",
        "sel_a and (sel_c or sel_b)",
        "not sel_c",
        "1 of sel_*",
        "any of sel_*",
        "2 of sel_*",
        "1 of them",
        "not all of them",
        "filter",
        "sel_c or sel_a and sel_b",
        "not (sel_a and sel_c) and not sel_c",
        "all of sel_a",
    ];
    let wrong = ["sel_c", "sel_a and sel_c", "all of sel_*", "3 of sel_*", "sel_a and not filter", "not 1 of them"];
    for (conditions, wanted) in [(&right[..], true), (&wrong[..], false)] {
        for condition in conditions {
            let loaded = load(&rule(STARTED, &format!("{named}condition: {condition}")));
            assert!(!loaded.has_errors(), "{:?}", loaded.problems);
            let mut rules = crate::rules::Rules::new(std::sync::Arc::new(loaded.set));
            assert_eq!(!rules.matching(&bash()).is_empty(), wanted, "{condition}");
        }
    }
    let several = format!("{named}condition:\n  - sel_c and filter\n  - sel_a and sel_b");
    assert!(hits(STARTED, &several, &bash()));
    let several = format!("{named}condition:\n  - sel_c and filter\n  - sel_a and sel_c\n  - not sel_b");
    assert!(!hits(STARTED, &several, &bash()));
}

#[test]
fn files_that_come_to_be() {
    let cron = selection("TargetFilename|startswith: /etc/cron\nImage|endswith: /sh");
    let by = ("process.executable.path", "/bin/sh");
    let path = ("file.path", "/etc/cron.d/job");
    let other = ("file.path", "/tmp/job");
    assert!(hits(FILES, &cron, &event("open.open", &[by, path, ("file.open.write", "true")])));
    assert!(hits(FILES, &cron, &event("open.open", &[by, path, ("file.created", "true")])));
    assert!(hits(FILES, &cron, &event("fs.mkdir", &[by, path])));
    assert!(hits(FILES, &cron, &event("fs.rename", &[by, other, ("file.new_path", "/etc/cron.d/job")])));
    assert!(!hits(FILES, &cron, &event("open.open", &[by, path])), "it is only read");
    assert!(!hits(FILES, &cron, &event("open.open", &[by, other, ("file.open.write", "true")])));
    assert!(!hits(FILES, &cron, &event("fs.rename", &[by, path, ("file.new_path", "/tmp/job")])), "it leaves");
    assert!(!hits(FILES, &cron, &event("fs.chmod", &[by, path])));
    let unless = "selection:\n  Image|endswith: /sh\nfilter:\n  TargetFilename|startswith: /tmp/\ncondition: selection and not filter";
    assert!(hits(FILES, unless, &event("fs.rename", &[by, other, ("file.new_path", "/etc/cron.d/job")])));
    assert!(!hits(FILES, unless, &event("fs.rename", &[by, path, ("file.new_path", "/tmp/job")])));
}

#[test]
fn connections() {
    let connect = event(
        "tcp.connect",
        &[
            ("process.executable.path", "/usr/bin/nc"),
            ("network.peer.address", "10.1.2.3"),
            ("network.peer.port", "4444"),
            ("network.local.address", "172.17.0.2"),
            ("network.local.port", "55000"),
        ],
    );
    let right = [
        "DestinationIp: 10.1.2.3",
        "DestinationIp|cidr: 10.0.0.0/8",
        "DestinationIp|cidr: [192.168.0.0/16, 10.1.0.0/16]",
        "DestinationIp|startswith: ['192.168.', '10.']",
        "DestinationIp: 10.1.*",
        "DestinationPort: 4444",
        "DestinationPort: ['4443', 4444]",
        "DestinationPort|gte: 4444",
        "SourceIp: 172.17.0.2",
        "SourcePort: 55000",
        "Initiated: 'true'",
        "Protocol: TCP",
        "Image|endswith: /nc",
    ];
    for fields in right {
        assert!(hits(CONNECTIONS, &selection(fields), &connect), "{fields}");
    }
    let wrong = [
        "DestinationIp: 10.1.2.4",
        "DestinationIp|cidr: 10.2.0.0/16",
        "DestinationIp|startswith: '11.'",
        "DestinationPort: 55000",
        "Initiated: false",
        "Protocol: udp",
        "DestinationHostname: example.org",
    ];
    for fields in wrong {
        assert!(!hits(CONNECTIONS, &selection(fields), &connect), "{fields}");
    }
    let accept = event("tcp.accept", &[("network.peer.address", "10.1.2.3"), ("network.local.port", "80")]);
    assert!(hits(CONNECTIONS, &selection("Initiated: false\nSourceIp: 10.1.2.3\nDestinationPort: 80"), &accept));
    assert!(!hits(CONNECTIONS, &selection("Initiated: true"), &accept));
    let datagram = event("net.peer", &[("network.peer.address", "10.1.2.3")]);
    assert!(hits(CONNECTIONS, &selection("Protocol: udp\nDestinationIp: 10.1.2.3"), &datagram));
}

#[test]
fn what_the_audit_system_records() {
    let started = exec(&[
        ("process.executable.path", "/usr/bin/useradd"),
        ("process.command_args", "useradd -o -u 0 eve"),
        ("process.user.id", "0"),
    ]);
    let right = [
        "type: EXECVE\na0: useradd\na1: -o\na3: 0",
        "type: EXECVE\na4|contains: ev",
        "type: SYSCALL\nsyscall: execve\nexe|endswith: /useradd",
        "type: SYSCALL\nsyscall: 59",
        "SYSCALL: EXECVE",
        "type: PROCTITLE\nproctitle|contains: '-u 0'",
        "type: [EXECVE, SYSCALL]\ncomm: useradd",
        "success: yes",
        "uid: 0",
        "auid: 4294967295",
    ];
    for fields in right {
        assert!(hits(AUDIT, &selection(fields), &started), "{fields}");
    }
    let wrong = [
        "type: EXECVE\na0: -o",
        "type: EXECVE\na9: x",
        "type: PATH",
        "type: SYSCALL\nsyscall: [openat, 257]",
        "success: no",
        "uid: 1000",
    ];
    for fields in wrong {
        assert!(!hits(AUDIT, &selection(fields), &started), "{fields}");
    }
    let path = selection("type: PATH\nname: /etc/shadow");
    assert!(hits(AUDIT, &path, &event("open.open", &[("file.path", "/etc/shadow")])));
    assert!(hits(AUDIT, &path, &event("fs.rename", &[("file.path", "/tmp/x"), ("file.new_path", "/etc/shadow")])));
    assert!(!hits(AUDIT, &path, &event("fs.mkdir", &[("file.path", "/etc")])));
    let module = selection("type: SYSCALL\nsyscall: [init_module, finit_module]");
    assert!(hits(AUDIT, &module, &event("module.request", &[("module.request", "init_module")])));
    assert!(!hits(AUDIT, &module, &event("module.request", &[("module.request", "delete_module")])));
}

#[test]
fn what_a_rule_says_of_itself() {
    let text = "title: Odd shell\nid: 6f1c0a4e\nstatus: experimental\ndescription: A shell.\nlogsource: {category: process_creation, product: linux}\n\
        detection:\n  s:\n    Image|endswith: /bash\n  condition: s\nfalsepositives: [Unknown, People at work]\n\
        level: critical\ntags: [attack.t1059.004, attack.execution, attack.privilege-escalation, attack.s0154, cve.2024-1]\n";
    let mut rules = right(text);
    let info = rules.set().rules().remove(0);
    assert_eq!((&*info.name, info.priority, info.line), ("Odd shell", Priority::Critical, 1));
    assert_eq!(info.desc, "A shell. May be harmless: People at work.");
    let tags =
        ["T1059.004", "mitre_execution", "mitre_privilege_escalation", "attack.s0154", "cve.2024-1", "sigma:6f1c0a4e"];
    assert_eq!(info.tags, tags);
    assert_eq!((info.state, info.events), (RuleState::Armed, vec!["process.exec".to_owned()]));
    let finding = rules.judge(&bash(), &mut crate::Acceptances::default()).remove(0);
    let rule = finding.rule.unwrap();
    assert!(rule.output.starts_with("Odd shell (process=/usr/bin/Bash command=/bin/bash -c"), "{}", rule.output);
    assert!(
        rule.because.iter().any(|b| b.starts_with("tolower(proc.exepath) endswith \"/bash\": ")),
        "{:?}",
        rule.because
    );
    for status in ["deprecated", "unsupported"] {
        let loaded = load(&text.replace("experimental", status));
        assert_eq!(loaded.set.rules()[0].state, RuleState::Disabled);
    }
}

#[test]
fn several_documents_beside_other_rules() {
    let one = rule(STARTED, &selection("Image: /a"));
    let two = one.replace("title: T", "title: T\nid: '2'");
    let three = one.replace("title: T", "title: T\nid: '3'");
    let falco = "- rule: F\n  desc: d\n  output: o\n  priority: INFO\n  condition: evt.type = execve\n";
    let change = "- rule: T\n  enabled: false\n";
    let loaded = load_files(&[&format!("{two}---\n{three}---\n{falco}"), change]);
    assert_eq!(problems(&loaded), <[String; 0]>::default());
    let states: Vec<_> = loaded.set.rules().into_iter().map(|r| (r.name.to_string(), r.state)).collect();
    let wanted = [("T", RuleState::Disabled), ("T (3)", RuleState::Armed), ("F", RuleState::Armed)];
    assert_eq!(states, wanted.map(|(name, state)| (name.to_owned(), state)));
    // The same rule again takes its own place.
    assert_eq!(load(&format!("{two}---\n{two}")).set.len(), 1);
}

#[test]
fn what_cannot_be_had_is_named() {
    let of = |logsource: &str, detection: &str| cannot_fire(&rule(logsource, detection));
    let cases = [
        (STARTED, selection("Hashes|contains: MD5"), "there is no field 'Hashes' here"),
        (STARTED, selection("ParentImge: x"), "there is no field 'ParentImge' here: did you mean ParentImage?"),
        (STARTED, selection("Image|expand: '%x%'"), "'Image|expand': 'expand' needs values that are not in the rule"),
        (STARTED, selection("ProcessId|hour: 3"), "'ProcessId|hour': parts of a time are not compared"),
        (STARTED, selection("CommandLine|wide: x"), "'CommandLine': the texts of events have no zeros"),
        (STARTED, selection("CommandLine|re: '(?=x)y'"), "proc.exeline: no usable pattern: look-around"),
        (STARTED, selection("CommandLine|cidr: 10.0.0.0/8"), "'CommandLine': only addresses are in networks"),
        (STARTED, selection("CommandLine|gt: 4"), "'CommandLine': only numbers are less or greater"),
        (STARTED, selection("ProcessId: x"), "proc.pid: 'x' is no number"),
        (STARTED, selection("ProcessId|startswith: 4"), "'ProcessId': numbers are compared as a whole"),
        (STARTED, selection("Image|fieldref: ProcessId"), "'Image': the two fields are not of a kind"),
        (STARTED, "keywords:\n  - a\n  - b\ncondition: keywords".into(), "keywords: events here are fields"),
        (STARTED, "s:\n  Image: x\ncondition: s | count() > 5".into(), "'|': events are judged one by one"),
        (STARTED, "s:\n  Image: x\ntimeframe: 5m\ncondition: s".into(), "'timeframe': events are judged one by one"),
        (CONNECTIONS, selection("DestinationIp|endswith: '.1'"), "'DestinationIp': of an address only the beginning"),
        (CONNECTIONS, selection("DestinationIp|startswith: '10'"), "'DestinationIp': '10' is no beginning"),
        (CONNECTIONS, selection("DestinationIp: here"), "fd.sip: 'here' is no address"),
        (CONNECTIONS, selection("DestinationIp|cidr: 1.2.3.4/77"), "fd.snet: '1.2.3.4/77' is no network"),
        (CONNECTIONS, selection("Initiated: maybe"), "'Initiated': 'maybe' is neither true nor false"),
        (AUDIT, selection("type: USER_AUTH"), "'type': there are no audit records of the type 'USER_AUTH' here"),
        (AUDIT, selection("type: SYSCALL\na0: 0x1"), "'a0': the numbers that a system call was given"),
        (AUDIT, selection("key: x"), "'key': the rules of the audit system"),
        (AUDIT, selection("syscall: io_setup"), "no tracker sees io_setup"),
        ("{product: windows, category: process_creation}", selection("Image: x"), "no events of the product 'windows'"),
        ("{product: linux, service: sshd}", selection("Image: x"), "the log of 'sshd' is not read"),
        ("{category: file_evnt}", selection("Image: x"), "did you mean file_event?"),
    ];
    for (logsource, detection, wanted) in cases {
        let (info, why, said) = of(logsource, &detection);
        assert!(why.contains(wanted), "{detection}: {why}");
        if !wanted.starts_with("no tracker") {
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].contains("warning: the rule cannot fire: ") && said[0].contains(wanted), "{said:?}");
        }
        assert!(info.events.is_empty());
    }
    let (.., said) = of(STARTED, &selection("Image: x\nHashes: y"));
    assert_eq!(said, ["0.yaml:6:5: warning: the rule cannot fire: there is no field 'Hashes' here"]);
    let (.., said) = cannot_fire("title: C\ncorrelation:\n  type: event_count\n  rules: [a]\n");
    assert_eq!(said, ["0.yaml:3:3: warning: the rule cannot fire: correlation: events are judged one by one"]);
}

#[test]
fn what_is_wrong_is_an_error() {
    let error = |text: &str| {
        let loaded = load(text);
        assert!(loaded.has_errors(), "{text}");
        problems(&loaded).remove(0)
    };
    let cases = [
        (rule(STARTED, "s:\n  Image: x\ncondition: s and"), "0.yaml:6:19: error: expected"),
        (rule(STARTED, "s:\n  Image: x\ncondition: selection"), "there is no detection 'selection'"),
        (rule(STARTED, "sel:\n  Image: x\ncondition: 1 of filter*"), "no detection is called like 'filter*'"),
        (rule(STARTED, "s:\n  Image: x\ncondition: 2 of s*"), "'2 of s*': there are only 1"),
        (rule(STARTED, "s:\n  Image: x"), "the detection has no condition"),
        (
            rule(STARTED, &selection("Image|contain: x")),
            "0.yaml:5:5: error: there is no modifier 'contain': did you mean contains?",
        ),
        (rule(STARTED, &selection("Image: {a: b}")), "a value of 'Image' is a text or a number, not a mapping"),
        (rule(STARTED, &selection("Image: []")), "'Image' has no value"),
        (rule(STARTED, &selection("Image: x")).replace("high", "hot"), "'hot' is no level"),
        (rule(STARTED, &selection("Image: x")).replace("title: T\n", ""), "a rule of Sigma has a title"),
        ("title: T\nlogsource: {category: process_creation}\n".into(), "the rule 'T' has no detection"),
    ];
    for (text, wanted) in cases {
        let said = error(&text);
        assert!(said.contains(wanted), "{text}: {said}");
    }
}

#[test]
fn what_is_not_used_is_said() {
    let loaded = load(&rule(STARTED, "s:\n  Image: x\nfilter:\n  User: y\ncondition: s"));
    assert_eq!(problems(&loaded), ["0.yaml:6:3: warning: the detection 'filter' is not used"]);
}

/// Of many detections some, which would be more than memory holds.
#[test]
fn what_grows_too_long_is_refused() {
    let many: String = (0..60).map(|n| format!("s{n}:\n  Image: /bin/{n}\n")).collect();
    let (_, why, _) = cannot_fire(&rule(STARTED, &format!("{many}condition: 30 of s*")));
    assert!(why.contains("bytes here: split the rule"), "{why}");
    let values: String = (0..500).map(|n| format!("  - /bin/{n}\n")).collect();
    let names = vec!["s"; 700].join(" or ");
    let (_, why, _) = cannot_fire(&rule(STARTED, &format!("s:\n  Image|contains:\n{values}condition: {names}")));
    assert!(why.contains("bytes here: split the rule"), "{why}");
    let large = rule(STARTED, &format!("s:\n  Image|contains:\n{values}condition: {}", ["s"; 5].join(" or ")));
    let all: String = (0..80).map(|n| large.replace("title: T", &format!("title: T{n}")) + "---\n").collect();
    let said = problems(&load(&all));
    assert!(said.iter().any(|p| p.contains("would take more than 4194304 bytes")), "{:?}", said.first());
    let deep = format!("{}s{}", "(".repeat(150), ")".repeat(150));
    let loaded = load(&rule(STARTED, &format!("s:\n  Image: x\ncondition: {deep}")));
    assert!(problems(&loaded).iter().any(|p| p.contains("nest") || p.contains("deeper")), "{:?}", loaded.problems);
}
