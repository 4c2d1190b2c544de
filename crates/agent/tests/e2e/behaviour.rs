//! A workload is learnt, then left alone, then leaves its behaviour.

use std::{
    collections::BTreeSet,
    env, fs, thread,
    time::{Duration, Instant},
};

use super::support::{Alert, Container, Server, Settings, eventually, run, seconds};

const LEARNING: Duration = seconds(20);
/// How soon an alert is there after its cause.
const PROMPT: Duration = seconds(2);
/// How long after an alert no second one may come.
const SETTLED: Duration = Duration::from_millis(1500);

/// How long a learnt container must be silent under load: `ETHOGRAM_TEST_SILENCE=120` makes it two minutes.
fn silence() -> Duration {
    seconds(env::var("ETHOGRAM_TEST_SILENCE").map_or(20, |s| s.parse().expect("ETHOGRAM_TEST_SILENCE: seconds")))
}

/// What alerts there were, so that new ones can be recognised.
struct Watch<'a> {
    server: &'a Server,
    known: BTreeSet<String>,
}

impl<'a> Watch<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, known: server.alerts().iter().map(|a| a.uid().to_owned()).collect() }
    }

    fn new_alerts(&self) -> Vec<Alert> {
        self.server.alerts().into_iter().filter(|a| !self.known.contains(a.uid())).collect()
    }

    /// Causes something, and expects exactly one alert of it, in time.
    fn expect_one(&mut self, container: &Container, operation: &str, object: &str, cause: impl FnOnce()) {
        let begin = Instant::now();
        cause();
        eventually(&format!("an alert: {operation} {object}"), PROMPT + SETTLED, || {
            (!self.new_alerts().is_empty()).then_some(())
        });
        thread::sleep(SETTLED);
        let alerts = self.new_alerts();
        let titles: Vec<_> = alerts.iter().map(|a| &a.json["finding_info"]["title"]).collect();
        // What a shell is given from outside is new by itself, where it does more than to run.
        let (wanted, others): (Vec<_>, Vec<_>) = alerts.iter().partition(|a| a.operation() == operation);
        assert_eq!(wanted.len(), 1, "exactly one alert for {operation} {object}: {titles:#?}");
        assert!(others.iter().all(|a| a.operation() == "execute" && a.object().contains("sh")), "{titles:#?}");
        self.known.extend(others.iter().map(|a| a.uid().to_owned()));
        let alert = wanted[0];
        assert!(alert.object().contains(object), "{object} is not in {}", alert.json);
        assert_eq!(alert.container(), container.name, "{}", alert.json);
        let after = alert.at - begin;
        assert!(after < PROMPT, "the alert for {operation} {object} came after {after:?}");
        self.known.insert(alert.uid().to_owned());
    }

    fn expect_none(&self, why: &str) {
        let titles: Vec<_> = self.new_alerts().iter().map(|a| a.json.to_string()).collect();
        assert!(titles.is_empty(), "{why}: {titles:#?}");
    }
}

#[test]
fn a_learnt_container_is_silent_until_it_does_something_new() {
    let peer = Container::idle("peer");
    let server = Server::start(&Settings { learning_period: LEARNING, ..Settings::default() });
    let web = Container::web("web");
    server.await_container(&web.name);
    let learnt_by = Instant::now() + LEARNING;
    while Instant::now() < learnt_by {
        web.load(5);
    }
    // A peer that was there before the server, and did nothing, is a workload as well.
    server.await_judging(LEARNING + seconds(15));

    let mut watch = Watch::new(&server);
    watch.expect_none("learning raises no alert");
    let silent_until = Instant::now() + silence();
    while Instant::now() < silent_until {
        web.load(20);
    }
    watch.expect_none("a learnt container under load is silent");

    watch.expect_one(&web, "execute", "sh", || drop(web.sh(":")));
    watch.expect_one(&web, "write", "/srv/dropped", || drop(web.sh("echo x > /srv/dropped")));
    watch.expect_one(&web, "execute", "wget", || drop(web.exec(&["wget", "--help"])));
    let unknown_peer = peer.address();
    watch.expect_one(&web, "connect", &unknown_peer, || {
        drop(web.exec(&["wget", "-q", "-O", "-", &format!("http://{unknown_peer}:7/")]));
    });

    // Again the same: counted, not reported again.
    web.sh("echo x > /srv/dropped");
    eventually("the alert to count its repetition", seconds(12), || {
        let is_write = |a: &serde_json::Value| a["unmapped"]["behaviour"]["operation"] == "write";
        server.stored_alerts().into_iter().find(|a| is_write(a) && a["count"].as_u64() >= Some(2))
    });
    watch.expect_none("a repetition is no new alert");

    let later = Container::web("later");
    server.await_container(&later.name);
    later.load(50);
    thread::sleep(SETTLED);
    watch.expect_none("a later container of the same image inherits the profile");
    watch.expect_one(&later, "write", "/root/dropped", || drop(later.sh("echo x > /root/dropped")));

    commands_show_it(&server, &web);
}

#[test]
fn a_container_from_before_is_learnt_without_any_traffic() {
    let web = Container::web("before");
    let server = Server::start(&Settings { learning_period: seconds(6), ..Settings::default() });
    server.await_container(&web.name);
    server.await_judging(seconds(20));
    let mut watch = Watch::new(&server);
    web.load(20);
    thread::sleep(SETTLED);
    watch.expect_none("it does what it was there for");
    watch.expect_one(&web, "execute", "sh", || drop(web.sh(":")));
}

/// A container's start is its first program, whatever that is: a script that becomes the service, or an init of the runtime's.
#[test]
fn what_comes_with_a_start_is_learnt_whatever_starts() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("start.sh");
    let lines =
        "#!/bin/sh\nmkdir -p /srv/run\necho x >/srv/run/conf\nid >/srv/run/id\nchmod 600 /srv/run/conf\nexec \"$@\"\n";
    fs::write(&script, lines).unwrap();
    run(&["chmod", "755", folder.path().to_str().unwrap(), script.to_str().unwrap()]);
    let volume = format!("{}:/start:ro", folder.path().display());
    let httpd = ["httpd", "-f", "-p", "80", "-h", "/www"];
    let entrypoint = |word, options: &[&str]| {
        let options: Vec<_> = ["--volume", &volume].iter().chain(options).copied().collect();
        let container = Container::create(word, &options, &[&["/start/start.sh"][..], &httpd].concat());
        container.start();
        container
    };
    let containers =
        [entrypoint("script", &[]), entrypoint("init", &["--init", "--label", "com.docker.compose.project=init"])];
    let server = Server::start(&Settings { learning_period: seconds(6), ..Settings::default() });
    containers.iter().for_each(|container| _ = server.await_container(&container.name));
    server.await_judging(seconds(20));
    let mut watch = Watch::new(&server);
    containers.iter().for_each(Container::restart);
    for container in &containers {
        container.load(5);
    }
    // It starts as it always does: with this one's alert, the only one, all that came before has been judged.
    let [script, _] = &containers;
    watch.expect_one(script, "execute", "sh", || drop(script.sh(":")));
}

/// What the alerts say, and that the commands show them and the profile.
fn commands_show_it(server: &Server, web: &Container) {
    for alert in server.stored_alerts() {
        assert_eq!(alert["class_uid"], 2004);
        assert!(alert["severity_id"].is_u64() && alert["confidence_score"].is_u64(), "{alert}");
        assert!(!alert["evidences"][0]["data"]["events"].as_array().unwrap().is_empty(), "no evidence: {alert}");
    }
    let text = |args: &[&str]| {
        let output = server.ethogram(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = text(&["alerts"]);
    assert!(shown.contains(&web.name) && shown.contains("/srv/dropped"), "{shown}");
    let json = text(&["alerts", "-o", "json"]);
    assert!(!json.trim().is_empty());
    let list = text(&["profile", "list"]);
    assert!(list.contains("ethogram-test"), "{list}");
    let of_web = |p: &&serde_json::Value| p["workload"].as_str().is_some_and(|w| w.contains("httpd"));
    let profiles = server.profiles();
    let profile = profiles.iter().find(of_web).unwrap_or_else(|| panic!("no profile of httpd: {profiles:?}"));
    let show = text(&["profile", "show", profile["id"].as_str().unwrap()]);
    assert!(show.contains("httpd") && show.contains("80"), "{show}");
    assert!(text(&["trackers"]).contains("process"));
    assert!(text(&["doctor", "--all"]).contains("BTF"));
}
