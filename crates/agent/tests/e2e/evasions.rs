//! Ways to do something unseen, each beside its nearest harmless neighbour: `tests/evasions` has a script for each, and
//! docs/evasions.md lists them.

#[path = "../evasions/script.rs"]
mod script;

use std::{
    collections::BTreeSet,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use script::{Script, scripts, scripts_of_host};
use serde_json::Value;

use super::{
    rules::stage::programs,
    support::{Container, Server, Settings, eventually, found_by, patience, run, seconds, with_each},
};

const LEARNING: Duration = seconds(30);
/// How soon the alert of an evasion is there.
const PROMPT: Duration = seconds(20);
/// How long it takes that the agent looks for what keeps it from seeing.
const LOOKED_FOR: Duration = seconds(6);

/// A script, and a container of its own that is a workload of its own.
struct Trial {
    script: Script,
    container: Container,
    /// Who floods meanwhile.
    beside: Option<Container>,
}

impl Trial {
    fn new(script: Script, programs: &Path, server: &Server) -> Self {
        let container = start(&script, &script.name, programs);
        let beside = script.has_flood.then(|| start(&script, &format!("{}-beside", script.name), programs));
        let trial = Self { script, container, beside };
        // Then at once: its profile is learnt since it was started.
        server.await_container(&trial.container.name);
        trial.play("learn");
        trial
    }

    /// Runs a part of the script, or what is started from outside in its place.
    fn play(&self, part: &str) {
        let started = self.script.started_from_outside.get(part);
        let done = match started {
            Some(command) => self.container.exec(&command.iter().map(String::as_str).collect::<Vec<_>>()),
            None => self.container.exec(&["sh", &self.path(), part]),
        };
        let is_fine = done.status.success() || started.is_some();
        assert!(is_fine, "{} {part}: {}", self.script.name, String::from_utf8_lossy(&done.stderr));
    }

    fn evade(&self) {
        if let Some(beside) = &self.beside {
            run(&["docker", "exec", "--detach", &beside.name, "sh", &self.path(), "flood"]);
        }
        self.play("evade");
    }

    fn path(&self) -> String {
        format!("/evasions/{}.sh", self.script.name)
    }

    /// Its alerts, each with what found it.
    fn alerts(&self, server: &Server) -> Vec<(String, String)> {
        let alerts = server.http.get(&format!("/v1/alerts?container={}", self.container.name));
        let found = |alert: &Value| (alert["finding_info"]["uid"].to_string(), found_by(alert));
        alerts.as_array().unwrap().iter().map(found).collect()
    }

    /// What found its alerts, but for those that were raised before.
    fn found(&self, server: &Server, before: &BTreeSet<String>) -> Vec<String> {
        let alerts = self.alerts(server).into_iter();
        alerts.filter(|(uid, _)| !before.contains(uid)).map(|(_, by)| by).collect()
    }

    fn is_found(&self, server: &Server, before: &BTreeSet<String>) -> bool {
        self.found(server, before).iter().filter(|by| self.script.finds.contains(by)).count() >= self.script.times
    }
}

/// A container in which parts of a script are run.
fn start(script: &Script, service: &str, programs: &Path) -> Container {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evasions:/evasions:ro");
    let act = format!("{}:/act:ro", programs.display());
    let mut options = vec!["--volume", folder, "--volume", &act, "--env", "PATH=/bin:/act", "--network", "none"];
    options.extend(["--tmpfs", "/tmp:exec"]);
    options.extend(script.options.iter().map(String::as_str));
    // Another service is another workload.
    let service = format!("com.docker.compose.service={service}");
    options.extend(["--label", "com.docker.compose.project=evasions", "--label", &service]);
    let container = Container::create("evasion", &options, &["sleep", "100000"]);
    container.start();
    container
}

#[test]
fn each_is_found_and_its_neighbour_is_not() {
    let programs = programs();
    let settings = Settings { learning_period: LEARNING, shipped_rules: true, ..Settings::default() };
    let server = Server::start(&settings);
    let trials = with_each(scripts(), |script| Trial::new(script, programs.path(), &server));
    let last = Container::create(
        "last",
        &["--volume", &format!("{}:/act:ro", programs.path().display())],
        &["sleep", "99999"],
    );
    last.start();
    server.await_container(&last.name);
    // What was learnt is judged by when each of the profiles is.
    eventually("the profiles to be learnt", LEARNING * 10, || {
        let profiles = server.profiles();
        (profiles.len() > trials.len() && profiles.iter().all(|p| p["state"] != "learning")).then_some(())
    });
    // Rules judge what is learnt, too.
    let before = trials.iter().flat_map(|trial| trial.alerts(&server)).map(|(uid, _)| uid).collect();

    with_each(&trials, |trial| trial.play("control"));
    // With this one's alert, all that came before has been judged.
    last.exec(&["/act/xmrig"]);
    eventually("the alert of what is last", PROMPT, || {
        let of_last = |a: &Value| a["evidences"][0]["container"]["name"] == last.name.as_str();
        server.stored_alerts().iter().any(|a| of_last(a) && found_by(a) == "Mining Program Run").then_some(())
    });
    let wrong: Vec<_> = trials
        .iter()
        .map(|trial| (&trial.script.name, trial.found(&server, &before)))
        .filter(|(_, found)| !found.is_empty())
        .collect();
    with_each(&trials, Trial::evade);
    let (begin, mut missing) = (Instant::now(), trials.iter().collect::<Vec<_>>());
    loop {
        missing.retain(|trial| !trial.is_found(&server, &before));
        let missed: Vec<_> = missing.iter().map(|trial| (&trial.script.name, trial.found(&server, &before))).collect();
        if missed.is_empty() || begin.elapsed() > PROMPT * patience() {
            for trial in &trials {
                let is_missed = missed.iter().chain(&wrong).any(|(name, _)| **name == trial.script.name);
                report(&trial.script, !is_missed);
            }
            assert!(
                missed.is_empty() && wrong.is_empty(),
                "not found: {missed:#?}\nalerts of what is harmless: {wrong:#?}"
            );
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// For `script/kernels/evasions`, which keeps what is found in other kernels.
fn report(script: &Script, is_found: bool) {
    println!("@@ {} {}", if is_found { "found" } else { "missed" }, script.name);
}

/// Runs a part of a script on the host.
fn play_on_host(script: &Script, part: &str, server: &Server, container: &Container, runtime: &Path, programs: &Path) {
    let path = format!("{}/tests/evasions/host/{}.sh", env!("CARGO_MANIFEST_DIR"), script.name);
    let done = Command::new("sh")
        .args([&path, part])
        .env("AGENT", server.process.pid().to_string())
        .env("CONTAINER", &container.name)
        .env("RUNTIME", runtime)
        .env("ACT", programs.join("act"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{} {part}: {}", script.name, String::from_utf8_lossy(&done.stderr));
}

#[test]
fn what_is_done_to_the_agent_is_found_and_its_neighbour_is_not() {
    let programs = programs();
    let folder = tempfile::tempdir().unwrap();
    // Who writes into the kernel's tables writes into those of all agents.
    let (to_all, to_one): (Vec<_>, Vec<_>) = scripts_of_host().into_iter().partition(|script| script.is_alone);
    let attack = |script: Script| {
        // A server each: the same is raised once an hour.
        let runtime = folder.path().join(format!("{}.sock", script.name));
        symlink("/var/run/docker.sock", &runtime).unwrap();
        let server = Server::start(&Settings { docker_socket: runtime.clone(), ..Settings::default() });
        let container = start(&script, &script.name, programs.path());
        server.await_container(&container.name);
        let found = || -> Vec<_> {
            let all = server.http.get("/v1/alerts");
            all.as_array().unwrap().iter().map(found_by).filter(|by| script.finds.contains(by)).collect()
        };
        play_on_host(&script, "control", &server, &container, &runtime, programs.path());
        // It is looked for every five seconds; what goes on meanwhile does not matter.
        thread::sleep(LOOKED_FOR);
        assert_eq!(found(), [] as [String; 0], "{}: alerts of what is harmless", script.name);
        play_on_host(&script, "evade", &server, &container, &runtime, programs.path());
        eventually(&format!("{} to be found", script.name), PROMPT * 2, || (!found().is_empty()).then_some(()));
        report(&script, true);
    };
    with_each(to_one, attack);
    to_all.into_iter().for_each(attack);
}
