//! `ethogram server`, with folders of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{Http, IMAGE, Process, ethogram, eventually, free_port, seconds};

/// What a server of the tests is given.
pub(crate) struct Settings {
    pub(crate) learning_period: Duration,
    pub(crate) docker_socket: PathBuf,
    /// Empty: containerd is not asked.
    pub(crate) containerd_socket: PathBuf,
    /// Whether events outside containers are collected as well.
    pub(crate) host: bool,
    /// Kinds of attach points to do without.
    pub(crate) avoid: Vec<&'static str>,
    /// Trackers of which every program is attached.
    pub(crate) high_overhead: Vec<&'static str>,
    /// The section `[response]`, as it is written.
    pub(crate) response: String,
    /// Whether all is recorded, into [`Server::recording`].
    pub(crate) record: bool,
    /// Whether it judges by the rules that ship. Tests of behaviour do without.
    pub(crate) shipped_rules: bool,
    /// Further files of rules.
    pub(crate) rules: Vec<PathBuf>,
    /// Whether nothing is learnt.
    pub(crate) locked: bool,
    /// Files of profiles.
    pub(crate) profiles: Vec<PathBuf>,
    /// The section `[alerts]`, as it is written.
    pub(crate) alerts: &'static str,
    /// Sections of the configuration with receivers of alerts.
    pub(crate) receivers: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            learning_period: seconds(24 * 60 * 60),
            docker_socket: "/var/run/docker.sock".into(),
            containerd_socket: PathBuf::new(),
            host: false,
            avoid: Vec::new(),
            high_overhead: Vec::new(),
            response: String::new(),
            record: false,
            shipped_rules: false,
            rules: Vec::new(),
            locked: false,
            profiles: Vec::new(),
            alerts: "deliver = \"findings\"",
            receivers: String::new(),
        }
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) http: Http,
    pub(crate) metrics_port: u16,
    folder: TempDir,
}

/// An alert as the server printed it, and when.
#[derive(Clone)]
pub(crate) struct Alert {
    pub(crate) at: Instant,
    pub(crate) json: Value,
}

impl Alert {
    pub(crate) fn uid(&self) -> &str {
        self.json["finding_info"]["uid"].as_str().unwrap()
    }

    pub(crate) fn operation(&self) -> &str {
        self.json["unmapped"]["behaviour"]["operation"].as_str().unwrap()
    }

    pub(crate) fn object(&self) -> &str {
        self.json["unmapped"]["behaviour"]["object"].as_str().unwrap()
    }

    /// Raised for the first time; otherwise it is an update of an earlier one.
    pub(crate) fn is_new(&self) -> bool {
        self.json["activity_name"] == "Create"
    }

    pub(crate) fn container(&self) -> &str {
        self.json["evidences"][0]["container"]["name"].as_str().unwrap()
    }
}

impl Server {
    pub(crate) fn start(settings: &Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metrics_port = free_port();
        let at = |name: &str| folder.path().join(name);
        let config = format!(
            "[behaviour]\nlearning_period = \"{}ms\"\nprofiles = {:?}\n[trackers]\nhigh_overhead = {:?}\n[collection]\nhost = {}\navoid = {:?}\n\
             [runtimes]\ndocker_socket = {:?}\ncontainerd_socket = {:?}\n\
             [rules]\nshipped = {}\nfiles = {:?}\n\
             [api]\nsocket = {:?}\n[metrics]\nlisten = \"127.0.0.1:{metrics_port}\"\n[store]\npath = {:?}\n[alerts]\n{}\n{}\n\
             [response]\n{}\n",
            settings.learning_period.as_millis(),
            settings.profiles,
            settings.high_overhead,
            settings.host,
            settings.avoid,
            settings.docker_socket,
            settings.containerd_socket,
            settings.shipped_rules,
            settings.rules,
            at("api.sock"),
            at("store"),
            settings.alerts,
            settings.receivers,
            settings.response,
        );
        fs::write(at("ethogram.toml"), config).unwrap();
        let http = Http { socket: at("api.sock") };
        let recording = at("recording");
        let mut more = if settings.record { vec!["--record", recording.to_str().unwrap()] } else { Vec::new() };
        more.extend(settings.locked.then_some("--locked"));
        let server = Self { process: spawn(&at("ethogram.toml"), &more), http, metrics_port, folder };
        server.await_ready()
    }

    fn await_ready(mut self) -> Self {
        eventually("the server to answer", seconds(30), || {
            let ended = self.process.has_ended();
            assert!(ended.is_none(), "the server ended by itself: {ended:?}\n{}", self.process.stderr().join("\n"));
            self.http.ask("GET", "/healthz", None).filter(|(status, _)| *status == 200)
        });
        self
    }

    /// Ends it as `kill -9` does, and starts it again on the same folders.
    pub(crate) fn kill_and_restart(mut self, between: impl FnOnce(&Path)) -> Self {
        self.kill();
        between(self.folder.path());
        self.restart()
    }

    /// Ends it as `kill -9` does, and starts one on the same folders that records.
    pub(crate) fn kill_and_record(mut self) -> Self {
        self.kill();
        let recording = self.recording();
        self.start_again(&["--record", recording.to_str().unwrap()])
    }

    /// Starts one that has ended again, on the same folders.
    pub(crate) fn restart(self) -> Self {
        self.start_again(&[])
    }

    fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait(seconds(10));
    }

    fn start_again(mut self, more: &[&str]) -> Self {
        self.process = spawn(&self.folder.path().join("ethogram.toml"), more);
        self.await_ready()
    }

    /// What a server that records has recorded so far.
    pub(crate) fn recording(&self) -> PathBuf {
        self.folder.path().join("recording")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Alerts of the tests' containers on stdout so far, each once: what goes on is an update of the same uid.
    pub(crate) fn alerts(&self) -> Vec<Alert> {
        let mut alerts: Vec<Alert> = Vec::new();
        for (at, line) in self.process.stdout() {
            let json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("no JSON on stdout ({e}): {line}"));
            let alert = Alert { at, json };
            if is_ours(&alert.json) && !alerts.iter().any(|a| a.uid() == alert.uid()) {
                alerts.push(alert);
            }
        }
        alerts
    }

    /// A command of the binary that talks to this server.
    pub(crate) fn ethogram(&self, args: &[&str]) -> std::process::Output {
        let config = self.folder.path().join("ethogram.toml");
        ethogram(args).arg("--config").arg(config).output().unwrap()
    }

    /// The alerts of the tests' containers, as the API has them.
    pub(crate) fn stored_alerts(&self) -> Vec<Value> {
        self.http.get("/v1/alerts").as_array().unwrap().iter().filter(|a| is_ours(a)).cloned().collect()
    }

    /// The profiles of the tests' containers.
    pub(crate) fn profiles(&self) -> Vec<Value> {
        let all = self.http.get("/v1/profiles");
        all.as_array().unwrap().iter().filter(|p| p["image"] == IMAGE).cloned().collect()
    }

    /// Waits until all that is known of the tests' containers is learnt.
    pub(crate) fn await_judging(&self, timeout: Duration) {
        eventually("the profiles to be learnt", timeout, || {
            let profiles = self.profiles();
            (!profiles.is_empty() && profiles.iter().all(|p| p["state"] != "learning")).then_some(())
        });
    }

    /// Waits until the container is known by name.
    pub(crate) fn await_container(&self, name: &str) -> Value {
        eventually(&format!("container {name} to be known"), seconds(10), || {
            let containers = self.http.get("/v1/containers");
            containers.as_array().unwrap().iter().find(|c| c["name"] == name).cloned()
        })
    }
}

/// The rule of an alert, or what found it.
pub(crate) fn found_by(alert: &Value) -> String {
    let rule = alert["unmapped"]["rule"]["name"].as_str();
    rule.or(alert["finding_info"]["analytic"]["name"].as_str()).unwrap_or_default().to_owned()
}

/// A developer's machine may run other containers.
fn is_ours(alert: &Value) -> bool {
    alert["evidences"][0]["container"]["image"]["name"] == IMAGE
}

fn spawn(config: &Path, more: &[&str]) -> Process {
    let args = ["server", "--config", config.to_str().unwrap()];
    Process::spawn(ethogram(args.iter().chain(more).copied()))
}
