//! What each operator and transformer does, and what is not there.

use ethogram_model::Event;

use super::support::{event, holds, load, problems, right, rule};

fn open() -> Event {
    event(
        "open.open",
        &[
            ("process.executable.path", "/usr/bin/cat"),
            ("process.command_args", "cat -n L2V0Yy9wYXNzd2Q="),
            ("process.ancestors", "/bin/bash /usr/sbin/sshd /sbin/init"),
            ("process.pid", "42"),
            ("file.path", "/etc/Passwd"),
            ("file.open.flags", "O_RDWR|O_CREAT"),
            ("file.open.write", "true"),
        ],
    )
}

fn connect() -> Event {
    event("tcp.connect", &[("network.peer.address", "10.1.2.3"), ("network.peer.port", "443")])
}

fn all(event: &Event, right: &[&str], wrong: &[&str]) {
    for condition in right {
        assert!(holds(&format!("evt.type exists and {condition}"), event), "{condition}");
    }
    for condition in wrong {
        assert!(!holds(&format!("evt.type exists and {condition}"), event), "{condition}");
    }
}

#[test]
fn texts() {
    let right = [
        "proc.name = cat",
        "proc.name == cat",
        "proc.name != dog",
        "proc.name in (cat, dog)",
        "proc.name contains a",
        "proc.name icontains CA",
        "proc.name startswith ca",
        "proc.name endswith at",
        "proc.name bcontains 6174",
        "proc.name bstartswith 6361",
        "proc.name glob 'c?t'",
        "proc.name glob '[a-d]*'",
        "proc.name glob '@(cat|dog)'",
        "proc.name iglob 'C*'",
        "proc.name regex 'c.t'",
        "fd.name pmatch (/etc, /var)",
        "fd.name pmatch (/)",
        "fd.name = /etc/Passwd",
        "proc.exepath exists",
    ];
    let wrong = [
        "proc.name = ca",
        "proc.name != cat",
        "proc.name in (ca, at)",
        "proc.name contains A",
        "proc.name icontains x",
        "proc.name startswith at",
        "proc.name endswith ca",
        "proc.name bcontains 6175",
        "proc.name bstartswith 61",
        "proc.name glob 'c?'",
        "proc.name glob '[!a-d]*'",
        "proc.name iglob 'D*'",
        "proc.name regex 'a'",
        "fd.name pmatch (/et, /etc/Pass)",
        "proc.sname exists",
    ];
    all(&open(), &right, &wrong);
}

#[test]
fn numbers_flags_and_several_texts() {
    let right = [
        "proc.pid = 42",
        "proc.pid = 0x2a",
        "proc.pid < 43",
        "proc.pid <= 42",
        "proc.pid > 41",
        "proc.pid >= 42",
        "proc.pid in (1, 42)",
        "evt.is_open_write = true",
        "evt.is_open_write in (true, false)",
        "evt.arg.flags contains O_CREAT",
        "proc.aname = sshd",
        "proc.aname in (nothing, init)",
        "proc.aname[2] = sshd",
        "proc.aname intersects (sshd, x)",
        "proc.args[0] = -n",
    ];
    let wrong = [
        "proc.pid = 41",
        "proc.pid < 42",
        "proc.pid > 42",
        "proc.pid in (1, 2)",
        "evt.is_open_write = false",
        "evt.arg.flags contains O_TRUNC",
        "proc.aname = cat",
        "proc.aname[1] = sshd",
        "proc.args[7] exists",
    ];
    all(&open(), &right, &wrong);
}

#[test]
fn addresses() {
    let right = [
        "fd.sip = 10.1.2.3",
        "fd.sip in (10.1.2.3, 10.1.2.4)",
        "fd.sip = '::1' or fd.sip != 10.1.2.4",
        "fd.snet = 10.0.0.0/8",
        "fd.snet in (192.168.0.0/16, 10.1.0.0/16)",
        "fd.sport = 443",
        "fd.sport in (80, 443)",
    ];
    all(&connect(), &right, &["fd.sip = 10.1.2.4", "fd.snet = 10.2.0.0/16", "fd.sport = 80", "fd.sip = '::ffff:0:1'"]);
}

#[test]
fn transformers_and_other_fields() {
    let right = [
        "tolower(fd.name) = /etc/passwd",
        "toupper(proc.name) = CAT",
        "b64(proc.args[1]) = /etc/passwd",
        "basename(fd.name) = Passwd",
        "tolower(basename(fd.name)) = passwd",
        "len(proc.name) = 3",
        "len(proc.name) > 2",
        "proc.name = val(proc.name)",
        "proc.exepath endswith val(proc.name)",
        "proc.exepath contains val(proc.name)",
        "tolower(proc.name) = tolower(proc.exe)",
        "proc.pid >= val(proc.pid)",
    ];
    let wrong = [
        "tolower(fd.name) = /etc/Passwd",
        "b64(proc.name) = x",
        "len(proc.name) = 4",
        "proc.name = val(proc.exepath)",
        "proc.exepath startswith val(proc.name)",
        "proc.pid > val(proc.pid)",
    ];
    all(&open(), &right, &wrong);
}

/// A comparison with what is not there is false, also `!=`; so `not x = y` is then true.
#[test]
fn what_is_absent() {
    let right = [
        "not proc.sname = x",
        "not proc.sname != x",
        "not proc.sname exists",
        "not fd.sip = 1.2.3.4",
        "not proc.sname in (x)",
        "not fd.sport > 0",
        "not proc.name = val(proc.sname)",
        "not proc.name != val(proc.sname)",
    ];
    let wrong = [
        "proc.sname = x",
        "proc.sname != x",
        "proc.sname = ''",
        "proc.sname contains ''",
        "fd.sip != 1.2.3.4",
        "fd.sport >= 0",
        "tolower(proc.sname) != x",
        "proc.name != val(proc.sname)",
        "proc.sname = val(proc.sname)",
    ];
    all(&open(), &right, &wrong);
}

#[test]
fn and_binds_more_than_or() {
    let right = [
        "(proc.pid = 42 or proc.pid = 1 and proc.pid = 2)",
        "not not proc.pid = 42",
        "not (proc.pid = 1 or proc.pid = 2)",
        "(not proc.pid = 1 and proc.pid = 42)",
    ];
    all(&open(), &right, &["(proc.pid = 42 or proc.pid = 1) and proc.pid = 2", "not (proc.pid = 42)"]);
}

#[test]
fn macros_lists_and_lists_of_lists() {
    let text = format!(
        "- list: a\n  items: [cat, 'dog']\n- list: b\n  items: [a, cow]\n- macro: m\n  condition: proc.name in (b)\n{}",
        rule("evt.type = open and m and not proc.name in (\"b\", horse)")
    );
    assert_eq!(right(&text).matching(&open()).len(), 1);
}

#[test]
fn what_does_not_fit_is_said() {
    let cases = [
        ("evt.type = open and proc.pid contains 4", "proc.pid: 'contains' does not compare a number"),
        ("evt.type = open and proc.pid = x", "proc.pid: 'x' is no number"),
        ("evt.type = open and fd.sip = x", "fd.sip: 'x' is no address"),
        ("evt.type = open and fd.snet = 1.2.3.4/33", "fd.snet: '1.2.3.4/33' is no network"),
        ("evt.type = open and evt.is_open_write = x", "'x' is neither true nor false"),
        ("evt.type = open and proc.name bcontains xyz", "'xyz' is not bytes in hexadecimal"),
        ("evt.type = open and tolower(proc.pid) = 4", "proc.pid is a number, which no transformer changes"),
        ("evt.type = open and proc.pid = val(proc.name)", "this compares a number with a text"),
        ("evt.type = open and proc.name[1] = x", "proc.name takes no argument"),
        ("evt.type = open and nothing", "there is no macro 'nothing'"),
        ("evt.type = open and", "expected a field, a macro or '(', but here it ends"),
        ("evt.type = open)", "a ')' that closes nothing"),
        ("evt.type = open and proc.name = 'x", "a text that begins with ' and does not end"),
        ("evt.type = open proc.name = x", "expected 'and' or 'or' before 'proc.name'"),
        ("evt.type = open and proc.name regex '('", "proc.name: "),
    ];
    for (condition, wanted) in cases {
        let loaded = load(&rule(condition));
        assert!(loaded.has_errors(), "{condition}");
        let said = problems(&loaded);
        assert!(said.iter().any(|p| p.contains(wanted)), "{condition}: {said:?}");
    }
}
