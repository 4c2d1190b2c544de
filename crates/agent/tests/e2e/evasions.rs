//! Ways to do something unseen, each beside its nearest harmless neighbour: `tests/evasions` has a script for each, and
//! docs/evasions.md lists them.

#[path = "../evasions/script.rs"]
mod script;

use std::{
    collections::BTreeMap,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use script::{Script, scripts};
use serde_json::Value;

use super::{
    rules::stage::programs,
    support::{Container, Server, Settings, eventually, seconds},
};

const LEARNING: Duration = seconds(8);
/// How soon the alert of an evasion is there.
const PROMPT: Duration = seconds(20);

/// A script, and a container of its own that is a workload of its own.
struct Trial {
    script: Script,
    container: Container,
}

impl Trial {
    fn new(script: Script, programs: &Path) -> Self {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evasions:/evasions:ro");
        let act = format!("{}:/act:ro", programs.display());
        let mut options = vec!["--volume", folder, "--volume", &act, "--env", "PATH=/bin:/act", "--network", "none"];
        options.extend(["--tmpfs", "/tmp:exec"]);
        options.extend(script.options.iter().map(String::as_str));
        // Another service is another workload.
        let service = format!("com.docker.compose.service={}", script.name);
        options.extend(["--label", "com.docker.compose.project=evasions", "--label", &service]);
        let container = Container::create("evasion", &options, &["sleep", "100000"]);
        container.start();
        let trial = Self { script, container };
        // At once: its profile is learnt from here on.
        trial.play("learn");
        trial
    }

    /// Runs a part of the script, or what is started from outside in its place.
    fn play(&self, part: &str) {
        let started = self.script.started_from_outside.get(part);
        let done = match started {
            Some(command) => self.container.exec(&command.iter().map(String::as_str).collect::<Vec<_>>()),
            None => self.container.exec(&["sh", &format!("/evasions/{}.sh", self.script.name), part]),
        };
        let is_fine = done.status.success() || started.is_some();
        assert!(is_fine, "{} {part}: {}", self.script.name, String::from_utf8_lossy(&done.stderr));
    }

    fn alerts(&self, all: &[Value]) -> Vec<String> {
        let is_ours = |alert: &&Value| alert["evidences"][0]["container"]["name"] == self.container.name.as_str();
        all.iter().filter(is_ours).map(found_by).collect()
    }
}

/// The rule of an alert, or what found it.
fn found_by(alert: &Value) -> String {
    let rule = alert["unmapped"]["rule"]["name"].as_str();
    rule.or(alert["finding_info"]["analytic"]["name"].as_str()).unwrap_or_default().to_owned()
}

#[test]
fn each_is_found_and_its_neighbour_is_not() {
    let programs = programs();
    let all = scripts();
    let settings = Settings { learning_period: LEARNING, shipped_rules: true, ..Settings::default() };
    let server = Server::start(&settings);
    let trials: Vec<_> = all.into_iter().map(|script| Trial::new(script, programs.path())).collect();
    let last = Container::create(
        "last",
        &["--volume", &format!("{}:/act:ro", programs.path().display())],
        &["sleep", "99999"],
    );
    last.start();
    trials.iter().for_each(|trial| _ = server.await_container(&trial.container.name));
    server.await_container(&last.name);
    // What was learnt is judged by when each of the profiles is.
    eventually("the profiles to be learnt", LEARNING * 10, || {
        let profiles = server.profiles();
        (profiles.len() > trials.len() && profiles.iter().all(|p| p["state"] != "learning")).then_some(())
    });
    let before: BTreeMap<String, usize> = {
        let alerts = server.stored_alerts();
        trials.iter().map(|trial| (trial.container.name.clone(), trial.alerts(&alerts).len())).collect()
    };

    trials.iter().for_each(|trial| trial.play("control"));
    // With this one's alert, all that came before has been judged.
    last.exec(&["/act/xmrig"]);
    eventually("the alert of what is last", PROMPT, || {
        let of_last = |a: &Value| a["evidences"][0]["container"]["name"] == last.name.as_str();
        server.stored_alerts().iter().any(|a| of_last(a) && found_by(a) == "Mining Program Run").then_some(())
    });
    let alerts = server.stored_alerts();
    let wrong: Vec<_> = trials
        .iter()
        .filter(|trial| trial.alerts(&alerts).len() > before[&trial.container.name])
        .map(|trial| (&trial.script.name, trial.alerts(&alerts)))
        .collect();
    assert!(wrong.is_empty(), "alerts of what is harmless: {wrong:#?}");

    trials.iter().for_each(|trial| trial.play("evade"));
    let begin = Instant::now();
    loop {
        let alerts = server.stored_alerts();
        let is_missed = |trial: &&Trial| !trial.alerts(&alerts).iter().any(|by| trial.script.finds.contains(by));
        let missed: Vec<_> =
            trials.iter().filter(is_missed).map(|trial| (&trial.script.name, trial.alerts(&alerts))).collect();
        if missed.is_empty() {
            return;
        }
        assert!(begin.elapsed() < PROMPT, "not found: {missed:#?}");
        thread::sleep(Duration::from_millis(100));
    }
}
