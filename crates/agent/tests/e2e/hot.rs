//! Trackers are started and stopped while everything else goes on.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use super::support::{Container, Process, Server, Settings, eventually, seconds};

const DEFAULT: [&str; 16] = [
    "bpf", "cred", "dns", "fd", "files", "fs", "io_uring", "mem", "module", "mount", "net", "oom", "open", "process",
    "ptrace", "tcp",
];

/// Those of them that profiles are learnt from.
const LEARNT: [&str; 9] = ["fs", "io_uring", "mem", "mount", "net", "open", "process", "ptrace", "tcp"];

/// They and one more, in the order of [`DEFAULT`].
fn learnt_and(name: &str) -> Vec<&str> {
    DEFAULT.into_iter().filter(|one| LEARNT.contains(one) || *one == name).collect()
}

fn tracker(server: &Server, name: &str) -> Value {
    let all = server.http.get("/v1/trackers");
    all.as_array().unwrap().iter().find(|t| t["name"] == name).unwrap_or_else(|| panic!("no {name} in {all}")).clone()
}

/// What the server holds open, by kind: `anon_inode:bpf-prog`, `socket`, ...
fn descriptors(server: &Server) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", server.process.pid())).unwrap().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let kind = target.to_string_lossy().split(":[").next().unwrap_or_default().to_owned();
        // Connections come and go with the questions.
        if kind != "socket" {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    kinds
}

/// Follows events until it is dropped.
fn follow(server: &Server, query: &str) -> Process {
    let mut curl = server.http.curl();
    curl.args(["--no-buffer", "--max-time", "120"]).arg(format!("http://ethogram/v1/events{query}"));
    Process::spawn(curl)
}

#[test]
fn a_default_tracker_runs_while_somebody_wants_it() {
    let server = Server::start(&Settings::default());
    let running =
        || DEFAULT.into_iter().filter(|name| tracker(&server, name)["state"] == "running").collect::<Vec<_>>();
    let await_running = |wanted: &[&str]| {
        eventually(&format!("{wanted:?} to run, and no others"), seconds(20), || (running() == wanted).then_some(()))
    };
    assert_eq!(running(), LEARNT);
    for name in DEFAULT {
        let tracker = tracker(&server, name);
        assert_eq!(tracker["default"], true);
        if !LEARNT.contains(&name) {
            assert_eq!((&tracker["state"], &tracker["counters"]["seen"]), (&"idle".into(), &0.into()), "{tracker}");
        }
    }
    let (rights, everything) = (follow(&server, "?tracker=cred"), follow(&server, ""));
    await_running(&DEFAULT);
    drop(everything);
    await_running(&learnt_and("cred"));
    drop(rights);
    await_running(&LEARNT);
    // Who asks for one by its name wants it, too.
    server.http.expect("POST", "/v1/trackers", Some(&json!({ "name": "oom" })), 201);
    await_running(&learnt_and("oom"));
    let (status, _) = server.http.ask("GET", "/v1/events?tracker=opne", None).unwrap();
    assert_eq!(status, 404);
}

#[test]
fn reads_of_ordinary_files_end_in_the_kernel_until_somebody_follows() {
    let server = Server::start(&Settings::default());
    let container = Container::idle("ordinary");
    server.await_container(&container.name);
    let filtered = || tracker(&server, "open")["counters"]["filtered"]["ordinary"].as_u64().unwrap();
    let before = filtered();
    eventually("the ordinary file to be known", seconds(20), || {
        container.exec(&["cat", "/www/index.html"]);
        (filtered() > before + 5).then_some(())
    });
    let stream = follow(&server, "?tracker=open");
    eventually("the file in the stream", seconds(20), || {
        container.exec(&["cat", "/www/index.html"]);
        stream.stdout().iter().any(|(_, line)| line.contains("/www/index.html")).then_some(())
    });
}

#[test]
fn starting_and_stopping_leaks_nothing() {
    let server = Server::start(&Settings::default());
    let round = || {
        for name in DEFAULT {
            server.http.expect("DELETE", &format!("/v1/trackers/{name}"), None, 200);
            assert_eq!(tracker(&server, name)["state"], "stopped");
        }
        for name in DEFAULT {
            server.http.expect("POST", "/v1/trackers", Some(&json!({ "name": name })), 201);
            assert_eq!(tracker(&server, name)["state"], "running");
        }
    };
    round();
    let before = descriptors(&server);
    for _ in 0..3 {
        round();
    }
    eventually(&format!("the descriptors to be as before: {before:?}"), seconds(10), || {
        (descriptors(&server) == before).then_some(())
    });
}

#[test]
fn a_stopped_tracker_is_silent_and_the_others_lose_and_repeat_nothing() {
    let server = Server::start(&Settings::default());
    let container = Container::idle("hot");
    server.await_container(&container.name);
    let stream = follow(&server, &format!("?tracker=process&container={}", container.name));
    let marked = |mark: &str| {
        let lines = stream.stdout();
        let of = |line: &str| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|e| e["event"] == "exec" && e["process"]["command_args"][1] == mark)
        };
        lines.iter().filter(|(_, line)| of(line)).count()
    };
    eventually("the stream to begin", seconds(20), || {
        container.exec(&["true", "begin"]);
        (marked("begin") > 0).then_some(())
    });
    for round in 0..10 {
        container.exec(&["true", &format!("{round}-a")]);
        server.http.expect("DELETE", "/v1/trackers/files", None, 200);
        container.exec(&["true", &format!("{round}-b")]);
        server.http.expect("POST", "/v1/trackers", Some(&json!({ "name": "files" })), 201);
    }
    eventually("the last exec", seconds(10), || (marked("9-b") > 0).then_some(()));
    for round in 0..10 {
        for part in ["a", "b"] {
            assert_eq!(marked(&format!("{round}-{part}")), 1, "round {round}{part}: neither lost nor repeated");
        }
    }

    server.http.expect("DELETE", "/v1/trackers/open", None, 200);
    let seen = tracker(&server, "open")["counters"]["seen"].clone();
    container.exec(&["cat", "/www/index.html"]);
    assert_eq!(tracker(&server, "open")["counters"]["seen"], seen, "a stopped tracker sees nothing");
    server.http.expect("POST", "/v1/trackers", Some(&json!({ "name": "open" })), 201);
    eventually("the started tracker to see again", seconds(10), || {
        container.exec(&["cat", "/www/index.html"]);
        (tracker(&server, "open")["counters"]["seen"].as_u64() > seen.as_u64()).then_some(())
    });
}

#[test]
fn a_paused_tracker_is_silent_and_goes_on_where_it_was() {
    let server = Server::start(&Settings::default());
    let container = Container::idle("pause");
    server.await_container(&container.name);
    let opens = || tracker(&server, "open")["counters"]["seen"].as_u64().unwrap();
    let open = || drop(container.exec(&["cat", "/www/index.html"]));
    eventually("the first open", seconds(10), || {
        open();
        (opens() > 0).then_some(())
    });
    let all: Vec<_> = DEFAULT.into_iter().filter(|name| *name != "process").collect();
    let all = json!(all);
    for _ in 0..10 {
        assert_eq!(server.http.expect("POST", "/v1/pause", Some(&json!({})), 200), all);
        assert_eq!(tracker(&server, "open")["state"], "paused");
        assert_eq!(tracker(&server, "process")["state"], "running", "processes are identified all the time");
        let before = opens();
        open();
        assert_eq!(opens(), before, "what is paused sees nothing");
        assert_eq!(server.http.expect("POST", "/v1/resume", Some(&json!({})), 200), all);
        open();
        assert!(opens() > before, "what is resumed sees, and keeps its counts");
    }
}

#[test]
fn what_cannot_run_says_why_and_the_rest_runs() {
    let avoid = vec!["fentry", "fexit", "kprobe", "kretprobe", "kprobe.multi", "kretprobe.multi", "sys_exit"];
    let server = Server::start(&Settings { avoid, ..Settings::default() });
    let open = tracker(&server, "open");
    assert_eq!(open["state"], "refused");
    let reason = open["reason"].as_str().unwrap();
    assert!(reason.contains("'sys_exit' is to be avoided"), "{reason}");
    assert_eq!(tracker(&server, "tcp")["state"], "running");
    let table = String::from_utf8(server.ethogram(&["trackers"]).stdout).unwrap();
    assert!(table.contains(&format!("open: {reason}")), "{table}");
    assert!(table.contains("idle: loaded, and attached with"), "{table}");
}

#[test]
fn wrong_requests_are_problems() {
    let server = Server::start(&Settings::default());
    let problem = |method: &str, path: &str, body: Option<Value>, status: u16, words: &[&str]| {
        let problem = server.http.expect(method, path, body.as_ref(), status);
        assert_eq!(problem["status"], status, "{problem}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(words.iter().all(|w| detail.contains(w)), "{words:?} in {problem}");
    };
    problem("POST", "/v1/trackers", Some(json!({ "name": "fils" })), 404, &["fils", "files"]);
    problem("POST", "/v1/trackers", Some(json!({ "name": "open" })), 409, &["open"]);
    problem("DELETE", "/v1/trackers/fils", None, 404, &["fils", "files"]);
    problem("POST", "/v1/pause", Some(json!({ "trackers": ["cgroup"] })), 409, &["cgroup"]);
    problem("POST", "/v1/resume", Some(json!({ "trackers": ["fils"] })), 404, &["fils", "files"]);
    server.http.expect("DELETE", "/v1/trackers/process", None, 200);
    let unknown = json!({ "name": "process", "params": { "max_arg": 1 } });
    problem("POST", "/v1/trackers", Some(unknown), 422, &["max_arg", "max_args"]);
    assert_eq!(tracker(&server, "process")["state"], "stopped", "nothing is half started");
    let known = json!({ "name": "process", "params": { "max_args": 128 } });
    server.http.expect("POST", "/v1/trackers", Some(&known), 201);
    problem("GET", "/v1/nothing", None, 404, &["/v1/nothing"]);
}
