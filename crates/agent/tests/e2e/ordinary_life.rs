//! Ordinary life gives no alert: services of the usual kinds are learnt, are started again, and do what they always do. Beside
//! each is the nearest deed that has an alert. `tests/ordinary` has a script for each.

mod script;
mod service;

use std::time::Duration;

use script::Script;
use serde_json::Value;
use service::{Service, image};

use super::support::{Container, Server, Settings, eventually, found_by, seconds, with_each};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ordinary");
const LEARNING: Duration = seconds(20);
/// Of whose workloads these are.
const PROJECT: &str = "ordinary";

/// Waits until each workload is learnt.
fn await_judging(server: &Server, workloads: usize) {
    let is_ours = |profile: &&Value| profile["workload"].as_str().unwrap().contains(&format!("({PROJECT}/"));
    eventually("the profiles to be learnt", LEARNING * 6, || {
        let all = server.http.get("/v1/profiles");
        let ours: Vec<_> = all.as_array().unwrap().iter().filter(is_ours).collect();
        (ours.len() == workloads && ours.iter().all(|p| p["state"] != "learning")).then_some(())
    });
}

/// With the alert of this program, all that came before has been judged.
fn await_all_before(server: &Server, program: &str, rule: &str) {
    let last = Container::idle("last");
    server.await_container(&last.name);
    last.sh(&format!("ln -s /bin/true /srv/{program}; /srv/{program}"));
    eventually("the alert of what is last", seconds(20), || {
        let all = server.http.get(&format!("/v1/alerts?container={}", last.name));
        all.as_array().unwrap().iter().any(|a| found_by(a) == rule).then_some(())
    });
}

#[test]
fn it_is_quiet_and_what_is_nearest_is_told() {
    let image = image();
    let start = |script: Script, name| {
        let service = Service::start(script, name, &image);
        (0..2).for_each(|_| service.play("deed"));
        if service.script.is_restarted {
            service.restart();
        }
        service
    };
    // The agent comes when some run already, and before the others.
    let before: Vec<_> = Script::all().into_iter().filter(|script| !script.has_long_start).collect();
    let mut services = with_each(before, |script| start(script.clone(), format!("{}-before", script.name)));
    let server = Server::start(&Settings { learning_period: LEARNING, shipped_rules: true, ..Settings::default() });
    with_each(&services, |service| (0..2).for_each(|_| service.play("deed")));
    services.extend(with_each(Script::all(), |script| start(script.clone(), script.name)));
    await_judging(&server, services.len());

    with_each(&mut services, |service| {
        service.play("deed");
        service.deploy();
        service.play("deed");
        service.restart();
        service.play("deed");
    });
    await_all_before(&server, "xmrig", "Mining Program Run");
    let alerts = |service: &Service| (service.name.clone(), service.alerts(&server));
    let wrong: Vec<_> = services.iter().map(alerts).filter(|(_, alerts)| !alerts.is_empty()).collect();
    with_each(&services, |service| service.play("misdeed"));
    await_all_before(&server, "nuclei", "Attack Tool Run");
    let told = services.iter().map(|s| (&s.script, alerts(s)));
    let is_right = |script: &Script, all: &[(String, String)]| {
        all.len() <= script.most && all.iter().any(|(by, _)| script.told.contains(by))
    };
    let not_right: Vec<_> = told.filter(|(script, (_, all))| !is_right(script, all)).map(|(_, told)| told).collect();
    assert!(
        wrong.is_empty() && not_right.is_empty(),
        "alerts of what is ordinary: {wrong:#?}\nnot told, or too often: {not_right:#?}"
    );
}
