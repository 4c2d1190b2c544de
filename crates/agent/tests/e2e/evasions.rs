//! Ways to do something unseen, each beside its nearest harmless neighbour: `tests/evasions` has a script for each, and
//! docs/evasions.md lists them.

#[path = "../evasions/script.rs"]
mod script;

use std::{
    collections::{BTreeMap, BTreeSet},
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

/// What a script ends with where this kernel has nothing of the kind.
const IMPOSSIBLE: i32 = 77;

/// A script, and a container of its own that is a workload of its own.
struct Trial {
    script: Script,
    container: Container,
    /// Who floods meanwhile.
    beside: Option<Container>,
    /// Why none of its parts is played any more.
    ended: Option<Ended>,
}

/// Why a script goes no further.
enum Ended {
    /// This part could not be played, with why.
    Broken(String),
    /// It says that this kernel has nothing of the kind.
    Impossible,
}

impl Trial {
    fn new(script: Script, programs: &Path, server: &Server) -> Self {
        let container = start(&script, &script.name, programs);
        let beside = script.has_flood.then(|| start(&script, &format!("{}-beside", script.name), programs));
        let mut trial = Self { script, container, beside, ended: None };
        // Then at once: its profile is learnt since it was started.
        server.await_container(&trial.container.name);
        trial.play("learn");
        trial
    }

    /// Runs a part of the script, or what is started from outside in its place.
    fn play(&mut self, part: &str) {
        if self.ended.is_some() {
            return;
        }
        let started = self.script.started_from_outside.get(part);
        let done = match started {
            Some(command) => self.container.exec(&command.iter().map(String::as_str).collect::<Vec<_>>()),
            None => self.container.exec(&["sh", &self.path(), part]),
        };
        let broken = || Ended::Broken(format!("{part}: {}", String::from_utf8_lossy(&done.stderr).trim()));
        self.ended = match done.status.code() {
            Some(0) => None,
            _ if started.is_some() => None,
            Some(IMPOSSIBLE) => Some(Ended::Impossible),
            _ => Some(broken()),
        };
    }

    fn evade(&mut self) {
        if let (Some(beside), None) = (&self.beside, &self.ended) {
            run(&["docker", "exec", "--detach", &beside.name, "sh", &self.path(), "flood"]);
        }
        self.play("evade");
    }

    fn path(&self) -> String {
        format!("/evasions/{}.sh", self.script.name)
    }

    /// Its alerts, but for those that were raised before.
    fn alerts(&self, server: &Server, before: &BTreeSet<String>) -> Vec<Value> {
        let alerts = server.http.get(&format!("/v1/alerts?container={}", self.container.name));
        let alerts = alerts.as_array().unwrap().iter();
        alerts.filter(|alert| !before.contains(&uid(alert))).cloned().collect()
    }

    fn is_found(&self, server: &Server, before: &BTreeSet<String>) -> bool {
        let alerts = self.alerts(server, before);
        alerts.iter().filter(|alert| self.script.finds.contains(&found_by(alert))).count() >= self.script.times
    }
}

fn uid(alert: &Value) -> String {
    alert["finding_info"]["uid"].to_string()
}

/// What found it, and what it says.
fn message(alert: &Value) -> String {
    format!("{}: {}", found_by(alert), alert["message"].as_str().unwrap_or_default())
}

/// Scripts by their names, each with what went otherwise than it should.
type Wrong = BTreeMap<String, Vec<String>>;

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
    let mut trials = with_each(scripts(), |script| Trial::new(script, programs.path(), &server));
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
    let before = trials.iter().flat_map(|trial| trial.alerts(&server, &BTreeSet::new())).map(|a| uid(&a)).collect();

    with_each(&mut trials, |trial| trial.play("control"));
    // With this one's alert, all that came before has been judged.
    last.exec(&["/act/xmrig"]);
    eventually("the alert of what is last", PROMPT, || {
        let of_last = |a: &Value| a["evidences"][0]["container"]["name"] == last.name.as_str();
        server.stored_alerts().iter().any(|a| of_last(a) && found_by(a) == "Mining Program Run").then_some(())
    });
    let alerts = |trial: &Trial| trial.alerts(&server, &before).iter().map(message).collect::<Vec<_>>();
    let named = |trial: &Trial| (trial.script.name.clone(), alerts(trial));
    let alarmed: Wrong = trials.iter().map(named).filter(|(_, alerts)| !alerts.is_empty()).collect();
    with_each(&mut trials, Trial::evade);
    let begin = Instant::now();
    let is_missed = |trial: &&Trial| trial.ended.is_none() && !trial.is_found(&server, &before);
    let mut missed: Vec<_> = trials.iter().filter(is_missed).collect();
    while !missed.is_empty() && begin.elapsed() < PROMPT * patience() {
        thread::sleep(Duration::from_millis(100));
        missed.retain(is_missed);
    }
    let missed: Wrong = missed.into_iter().map(named).collect();
    let broken = |trial: &Trial| match &trial.ended {
        Some(Ended::Broken(why)) => Some((trial.script.name.clone(), vec![why.clone()])),
        _ => None,
    };
    let broken: Wrong = trials.iter().filter_map(broken).collect();
    let all = [&broken, &missed, &alarmed];
    for trial in &trials {
        let is_wrong = all.iter().any(|wrong| wrong.contains_key(&trial.script.name));
        report(&trial.script, trial.ended.is_none() && !is_wrong);
    }
    assert!(
        all.iter().all(|wrong| wrong.is_empty()),
        "could not be played: {broken:#?}\nnot found: {missed:#?}\nalerts of what is harmless: {alarmed:#?}"
    );
}

/// For `script/kernels/evasions`, which keeps what is found in other kernels.
fn report(script: &Script, is_found: bool) {
    println!("@@ {} {}", if is_found { "found" } else { "missed" }, script.name);
}

/// Runs a part of a script on the host.
fn play_on_host(
    script: &Script,
    part: &str,
    server: &Server,
    container: &Container,
    runtime: &Path,
    programs: &Path,
) -> Result<(), String> {
    let path = format!("{}/tests/evasions/host/{}.sh", env!("CARGO_MANIFEST_DIR"), script.name);
    let done = Command::new("sh")
        .args([&path, part])
        .env("AGENT", server.process.pid().to_string())
        .env("CONTAINER", &container.name)
        .env("RUNTIME", runtime)
        .env("ACT", programs.join("act"))
        .output()
        .unwrap();
    let why = || format!("could not be played: {part}: {}", String::from_utf8_lossy(&done.stderr).trim());
    done.status.success().then_some(()).ok_or_else(why)
}

#[test]
fn what_is_done_to_the_agent_is_found_and_its_neighbour_is_not() {
    let programs = programs();
    let folder = tempfile::tempdir().unwrap();
    // Who writes into the kernel's tables writes into those of all agents.
    let (to_all, to_one): (Vec<_>, Vec<_>) = scripts_of_host().into_iter().partition(|script| script.is_alone);
    let attack = |script: &Script| {
        // A server each: the same is raised once an hour.
        let runtime = folder.path().join(format!("{}.sock", script.name));
        symlink("/var/run/docker.sock", &runtime).unwrap();
        let server = Server::start(&Settings { docker_socket: runtime.clone(), ..Settings::default() });
        let container = start(script, &script.name, programs.path());
        server.await_container(&container.name);
        let found = || -> Vec<_> {
            let all = server.http.get("/v1/alerts");
            let by_it = |alert: &&Value| script.finds.contains(&found_by(alert));
            all.as_array().unwrap().iter().filter(by_it).map(message).collect()
        };
        let play = |part| play_on_host(script, part, &server, &container, &runtime, programs.path());
        play("control")?;
        // It is looked for every five seconds; what goes on meanwhile does not matter.
        thread::sleep(LOOKED_FOR);
        let alarms = found();
        if !alarms.is_empty() {
            return Err(format!("alerts of what is harmless: {alarms:?}"));
        }
        play("evade")?;
        let begin = Instant::now();
        while found().is_empty() {
            if begin.elapsed() > PROMPT * 2 * patience() {
                return Err("not found".to_owned());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    };
    let wrong_of = |script: Script| {
        let done = attack(&script);
        report(&script, done.is_ok());
        done.err().map(|why| format!("{}: {why}", script.name))
    };
    let mut wrong = with_each(to_one, wrong_of);
    wrong.extend(to_all.into_iter().map(wrong_of));
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
