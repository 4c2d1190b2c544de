//! Falco's official rules, as they are: each of its stable ones is made to fire in a real container, and its nearest
//! harmless neighbour is shown to be silent.
//!
//! The files are not part of the repository: `ETHOGRAM_TEST_DATA` names the folder that has them as `falco-rules/`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    rules::stage::{Act, Stage, act, data, is_of, programs},
    support::{Daemon, Server, Settings, ethogram, eventually, seconds},
};

const ACTS: &[Act] = &[
    act(
        "Directory traversal monitored file read",
        "cd /data && act run /bin/cat ../../etc/passwd ../data/../etc/group",
        "cd /data && act run /bin/cat ../etc/passwd",
    ),
    act(
        "Directory traversal monitored file read",
        "cd /data && act run /bin/cat ../../etc/../etc/absent; true",
        "cd /data && act run /bin/cat ../etc/absent ../../data/absent; true",
    ),
    act(
        "Read sensitive file trusted after startup",
        "/act/httpd later 6 /etc/shadow",
        "/act/httpd later 6 /etc/passwd",
    ),
    act("Read sensitive file untrusted", "/bin/cat /etc/shadow", "/bin/cat /etc/passwd"),
    act("Run shell untrusted", "/act/httpd run sh -c true", "/act/worker run sh -c true"),
    act(
        "System user interactive",
        "/act/sshd run /bin/busybox su -s /bin/sh nobody -c /bin/true",
        "/act/sshd run /bin/true",
    ),
    act(
        "Contact K8S API Server From Container",
        "act ask 1 kubernetes.default.svc.cluster.local && act connect 10.96.0.1 443",
        "act connect 203.0.113.7 443",
    ),
    act(
        "Netcat Remote Code Execution in Container",
        "timeout 1 /bin/nc 127.0.0.1 9 -e /bin/true; true",
        "timeout 1 /bin/nc 127.0.0.1 9; true",
    ),
    act(
        "Search Private Keys or Passwords",
        "/act/grep -r 'BEGIN RSA PRIVATE' /etc",
        "/act/grep -r 'BEGIN CERTIFICATE' /etc",
    ),
    act(
        "Clear Log Activities",
        "mkdir -p /var/log && echo x >> /var/log/syslog && : > /var/log/syslog",
        "mkdir -p /var/log && echo x >> /var/log/syslog",
    ),
    act("Remove Bulk Data from Disk", "/act/shred /data/x", "/act/worker /data/x"),
    act("Create Symlink Over Sensitive Files", "ln -s /etc/shadow /data/s", "ln -s /etc/group /data/t"),
    act("Create Hardlink Over Sensitive Files", "ln /etc/shadow /etc/u", "ln /etc/group /etc/v"),
    act("Packet socket created in container", "act packets", "act connect 203.0.113.7 443"),
    act(
        "Redirect STDOUT/STDIN to Network Connection in Container",
        "act stdio 203.0.113.7 443",
        "act connect 203.0.113.7 443",
    ),
    act("Linux Kernel Module Injection Detected", "act insert", "cat /proc/version"),
    act(
        "Detect release_agent File Container Escapes",
        "mkdir -p /tmp/cg && mount -t cgroup -o pids cgroup /tmp/cg && : >> /tmp/cg/release_agent && umount /tmp/cg",
        ": > /tmp/release_agents",
    ),
    act("PTRACE attached to process", "act trace attach", "act run true"),
    act("PTRACE anti-debug attempt", "act trace me", "act run true"),
    act("Find AWS Credentials", "/act/grep -r aws_secret_access_key /etc", "/act/grep -r region /etc"),
    act(
        "Execution from /dev/shm",
        "mount -o remount,exec /dev/shm && cp /act/act /dev/shm/x && /dev/shm/x",
        "/bin/ls /dev/shm",
    ),
    act("Drop and execute new binary in container", "cp /act/act /data/dropped && /data/dropped", "/act/act"),
    act(
        "Disallowed SSH Connection Non Standard Port",
        "/act/ssh connect 203.0.113.7 443",
        "act connect 203.0.113.7 443",
    ),
    act("Fileless execution via memfd_create", "act memory-file run; true", "act memory-file make"),
];

const TERMINAL: &str = "Terminal shell in container";
const PRIVILEGED: &str = "Debugfs Launched in Privileged Container";

fn official() -> Option<PathBuf> {
    let file = data("falco-rules/falco_rules.yaml");
    if file.is_none() {
        println!("skipped: Falco's rules are not here, see ETHOGRAM_TEST_DATA");
    }
    file
}

fn settings(file: &Path) -> Settings {
    Settings { rules: vec![file.to_owned()], high_overhead: vec!["dns"], ..Settings::default() }
}

/// All of the stable ones that are on can fire, and each is acted out below.
#[test]
fn every_stable_rule_is_acted_out() {
    let Some(file) = official() else { return };
    let checked = ethogram(["rules", "--output", "json", "check", file.to_str().unwrap()]).output().unwrap();
    let checked: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let mut stable = BTreeSet::new();
    for rule in checked["rules"].as_array().unwrap() {
        let tags = rule["tags"].as_array().unwrap();
        if rule["state"] != "disabled" && tags.iter().any(|tag| tag == "maturity_stable") {
            assert_eq!(rule["state"], "armed", "{rule}");
            stable.insert(rule["name"].as_str().unwrap());
        }
    }
    let acted: BTreeSet<&str> = ACTS.iter().map(|act| act.rule).chain([TERMINAL, PRIVILEGED]).collect();
    assert_eq!(stable, acted);
}

#[test]
fn stable_rules_fire_and_their_neighbours_do_not() {
    let Some(file) = official() else { return };
    let stage = Stage::with("falco", &[], &settings(&file));
    stage.play("ip address add 203.0.113.7/32 dev lo && ip address add 10.96.0.1/32 dev lo");
    stage.play_on("act serve 203.0.113.7 443");
    stage.play_on("act serve 10.96.0.1 443");
    stage.play_on("act answer 10.96.0.1");
    stage.perform_before(ACTS, ("Remove Bulk Data from Disk", "/act/shred /data/last"));
    assert!(!stage.alerts().iter().any(|alert| is_of(alert, TERMINAL)));
    stage.play_with_terminal("true");
    stage.await_alert(TERMINAL);
}

/// A runtime for machines that do not have all capabilities themselves: it asks for one less.
const BOUNDED: &str = r#"#!/bin/sh
for word; do
	case $before in
	--bundle) sed -i 's/"CAP_SYS_RESOURCE",//g' "$word/config.json" ;;
	--process) sed -i 's/"CAP_SYS_RESOURCE",//g' "$word" ;;
	esac
	before=$word
done
exec runc "$@"
"#;

#[test]
fn privileged_containers_are_told_apart() {
    let Some(file) = official() else { return };
    let daemon = Daemon::start_with_runtime("bounded", BOUNDED);
    let programs = programs();
    let server = Server::start(&Settings { docker_socket: daemon.socket(), ..settings(&file) });
    let mount = format!("{}:/act:ro", programs.path().display());
    let run = |name: &str, options: &[&str]| {
        let fixed =
            ["run", "--detach", "--runtime", "bounded", "--network", "none", "--volume", &mount, "--name", name];
        daemon.run(&[&fixed[..], options].concat(), &["sleep", "100000"]);
        server.await_container(name);
        daemon.exec(name, &["/act/debugfs"]);
    };
    run("eg-ordinary", &[]);
    run("eg-privileged", &["--privileged"]);
    let alert = eventually("the alert", seconds(10), || {
        server.stored_alerts().into_iter().find(|alert| is_of(alert, PRIVILEGED))
    });
    assert_eq!(alert["evidences"][0]["container"]["name"], "eg-privileged");
    assert_eq!(server.stored_alerts().iter().filter(|alert| is_of(alert, PRIVILEGED)).count(), 1);
}
