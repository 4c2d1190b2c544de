//! What the running agent has left itself.

use std::fs;

use serde_json::json;

use super::support::{Container, Server, Settings};

/// `CapEff` and the like of a thread, by their names in procfs.
fn capabilities(status: &str, set: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t"));
    u64::from_str_radix(line.unwrap(), 16).unwrap()
}

#[test]
fn every_thread_has_only_what_is_needed_and_trackers_still_come_and_go() {
    const KILL: u64 = 1 << 5;
    const SETPCAP: u64 = 1 << 8;
    const SYS_MODULE: u64 = 1 << 16;
    const SYS_ADMIN: u64 = 1 << 21;
    const BPF: u64 = 1 << 39;
    let web = Container::web("sandbox");
    let server = Server::start(&Settings { shipped_rules: true, ..Settings::default() });
    server.await_container(&web.name);
    server.http.expect("POST", "/v1/trackers", Some(&json!({ "name": "signal" })), 201);
    server.http.expect("DELETE", "/v1/trackers/signal", None, 200);
    server.http.expect("POST", "/v1/trackers", Some(&json!({ "name": "signal" })), 201);
    let tasks = fs::read_dir(format!("/proc/{}/task", server.process.pid())).unwrap();
    let statuses: Vec<String> =
        tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("status")).ok()).collect();
    assert!(statuses.len() > 5, "{}", statuses.len());
    for status in statuses {
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            let held = capabilities(&status, set);
            assert_eq!(held & (SYS_MODULE | SYS_ADMIN | SETPCAP), 0, "{set} of {status}");
            assert_eq!(held & (KILL | BPF), KILL | BPF, "{set} of {status}");
        }
        assert_eq!(capabilities(&status, "CapInh") | capabilities(&status, "CapAmb"), 0, "{status}");
        assert!(status.contains("\nNoNewPrivs:\t1\n") && status.contains("\nSeccomp:\t2\n"), "{status}");
    }
}
