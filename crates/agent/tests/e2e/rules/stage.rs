//! A server that judges by rules, and a container in which things are done.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Container, Server, Settings, eventually, run, seconds};

/// What makes a rule fire, and what is nearest to that and does not: lines for a shell in the container.
#[derive(Clone, Copy)]
pub(crate) struct Act {
    pub(crate) rule: &'static str,
    pub(crate) bad: &'static str,
    pub(crate) good: &'static str,
}

pub(crate) const fn act(rule: &'static str, bad: &'static str, good: &'static str) -> Act {
    Act { rule, bad, good }
}

/// Fires wherever it is not itself under test: with its alert, all that came before has been judged.
const LAST: [(&str, &str); 2] = [("Mining Program Run", "/act/xmrig"), ("Attack Tool Run", "/act/nuclei")];

/// All that the runtime can be made to give, on machines whose own bounds lack some of it.
const CAPABILITIES: [&str; 10] = [
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_TIME",
    "NET_ADMIN",
    "NET_RAW",
    "MKNOD",
    "SYSLOG",
    "DAC_READ_SEARCH",
];

/// Programs that the image lacks.
const NAMES: [&str; 38] = [
    "apt-get",
    "chattr",
    "chisel",
    "cron",
    "curl",
    "debugfs",
    "dpkg",
    "gcc",
    "grep",
    "httpd",
    "kubectl",
    "linpeas.sh",
    "lsattr",
    "lsns",
    "make",
    "ncat",
    "nginx",
    "nmap",
    "nsenter",
    "nuclei",
    "pkill",
    "postgres",
    "prometheus",
    "psql",
    "python3",
    "redis-server",
    "scp",
    "server",
    "shred",
    "ssh",
    "sshd",
    "strace",
    "tor",
    "useradd",
    "visudo",
    "worker",
    "xmllint",
    "xmrig",
];

/// Those of them that rules excuse, where programs of the system are.
const EXCUSED: [&str; 2] = ["dpkg", "make"];

/// A folder with `act` and all that it is called.
pub(crate) fn programs() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/rules/act.c");
    let program = folder.path().join("act");
    run(&["gcc", "-O1", "-static", "-Wall", "-Werror", "-o", program.to_str().unwrap(), source]);
    for name in NAMES {
        let path = folder.path().join(name);
        // What rules excuse is known by its own file.
        match EXCUSED.contains(&name) {
            true => fs::hard_link(&program, path).unwrap(),
            false => symlink("act", path).unwrap(),
        }
    }
    // The container's users are others.
    run(&["chmod", "755", folder.path().to_str().unwrap()]);
    folder
}

/// A server and a container.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) container: Container,
    _programs: TempDir,
}

impl Stage {
    /// With the rules that ship.
    pub(crate) fn new(word: &str, options: &[&str]) -> Self {
        Self::with(word, options, &Settings { shipped_rules: true, high_overhead: vec!["dns"], ..Settings::default() })
    }

    pub(crate) fn with(word: &str, options: &[&str], settings: &Settings) -> Self {
        let programs = programs();
        let server = Server::start(settings);
        let container = container(word, programs.path(), options);
        server.await_container(&container.name);
        Self { server, container, _programs: programs }
    }

    /// Runs a line that must succeed in the container.
    pub(crate) fn play(&self, line: &str) {
        let done = self.container.sh(line);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{line}\n{}: {said}", done.status);
    }

    /// Runs a line in the container that goes on.
    pub(crate) fn play_on(&self, line: &str) {
        run(&["docker", "exec", "--detach", &self.container.name, "sh", "-c", line]);
    }

    /// Runs a line in the container, in a terminal.
    pub(crate) fn play_with_terminal(&self, line: &str) {
        run(&["docker", "exec", "--tty", &self.container.name, "sh", "-c", line]);
    }

    /// Does what is harmless, of which no alert may come, and then what is not, of which each must have its alert.
    pub(crate) fn perform(&self, acts: &[Act]) {
        let last = LAST.into_iter().find(|(rule, _)| acts.iter().all(|act| act.rule != *rule)).unwrap();
        self.perform_before(acts, last);
    }

    /// The same, where something else is the last of what is harmless: a rule and its line.
    pub(crate) fn perform_before(&self, acts: &[Act], (last, line): (&str, &str)) {
        acts.iter().for_each(|act| self.play(act.good));
        self.play(line);
        self.await_alert(last);
        let alerts = self.alerts();
        let silent = |alert: &&Value| acts.iter().any(|act| act.rule != last && is_of(alert, act.rule));
        let wrong: Vec<_> = alerts.iter().filter(silent).map(|a| &a["unmapped"]["rule"]["output"]).collect();
        assert!(wrong.is_empty(), "alerts of what is harmless: {wrong:#?}");
        acts.iter().for_each(|act| self.play(act.bad));
        let begin = Instant::now();
        loop {
            let alerts = self.alerts();
            let missing: Vec<_> =
                acts.iter().map(|act| act.rule).filter(|rule| !alerts.iter().any(|a| is_of(a, rule))).collect();
            if missing.is_empty() {
                return;
            }
            assert!(begin.elapsed() < seconds(10), "no alerts of {missing:#?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits for the alert of a rule.
    pub(crate) fn await_alert(&self, rule: &str) -> Value {
        eventually(&format!("an alert of '{rule}'"), seconds(10), || {
            self.alerts().into_iter().find(|alert| is_of(alert, rule))
        })
    }

    /// The alerts of the container.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let is_ours = |alert: &Value| alert["evidences"][0]["container"]["name"] == self.container.name.as_str();
        self.server.stored_alerts().into_iter().filter(is_ours).collect()
    }
}

pub(crate) fn is_of(alert: &Value, rule: &str) -> bool {
    alert["unmapped"]["rule"]["name"] == rule
}

/// A container that may do nearly everything and reaches nobody.
fn container(word: &str, programs: &Path, options: &[&str]) -> Container {
    let mount = format!("{}:/act:ro", programs.display());
    // The same among the programs of the system.
    let of_system = format!("{}:/opt/act:ro", programs.display());
    let mut all = vec![
        "--volume",
        &mount,
        "--volume",
        &of_system,
        "--env",
        "PATH=/bin:/act",
        "--network",
        "none",
        "--tmpfs",
        "/tmp:exec",
    ];
    for option in ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"] {
        all.extend(["--security-opt", option]);
    }
    for capability in &CAPABILITIES {
        all.extend(["--cap-add", capability]);
    }
    all.extend(["--device-cgroup-rule", "b 7:* r"]);
    all.extend(options);
    let container = Container::create(word, &all, &["sleep", "100000"]);
    container.start();
    container
}

/// The folder with data that is not part of the repository, where there is one.
pub(crate) fn data(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ETHOGRAM_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let path = folder.join(what);
    fs::metadata(&path).is_ok().then_some(path)
}
