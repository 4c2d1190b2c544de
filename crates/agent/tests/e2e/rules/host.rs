//! The few rules that hold outside containers, too; and that a container's start is no alert there.

use std::process::Command;

use serde_json::Value;

use super::stage::{is_of, programs};
use crate::support::{Container, Server, Settings, eventually, seconds};

const ACTS: [(&str, &[&str]); 4] = [
    ("Mining Program Run", &["xmrig"]),
    ("Mining Options Used", &["worker", "-o", "stratum+tcp://127.0.0.1:3333"]),
    ("Program Run From Memory", &["act", "memory-file", "run"]),
    ("Watching Programs Switched Off", &["pkill", "eg-none-of-rsyslogd"]),
];

#[test]
fn host() {
    let server = Server::start(&Settings { host: true, shipped_rules: true, ..Settings::default() });
    let on_host = || -> Vec<Value> {
        let all = server.http.get("/v1/alerts");
        all.as_array().unwrap().iter().filter(|a| a["evidences"][0].get("container").is_none()).cloned().collect()
    };
    let container = Container::web("host");
    container.load(10);
    assert!(container.sh("cat /etc/passwd; true").status.success());
    container.restart();
    assert!(container.exec(&["id"]).status.success());
    let programs = programs();
    let before = on_host();
    assert!(ACTS.iter().all(|(rule, _)| !before.iter().any(|alert| is_of(alert, rule))), "{before:#?}");
    for (_, line) in ACTS {
        let done = Command::new(programs.path().join(line[0])).args(&line[1..]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    for (rule, _) in ACTS {
        eventually(&format!("an alert of '{rule}'"), seconds(10), || on_host().into_iter().find(|a| is_of(a, rule)));
    }
    // All that came before has been judged: neither the runtime's work nor anything in the container was worth an alert.
    let rules: Vec<_> = server.stored_alerts().iter().map(|alert| alert["unmapped"]["rule"]["name"].clone()).collect();
    assert!(rules.is_empty(), "{rules:?}");
}
