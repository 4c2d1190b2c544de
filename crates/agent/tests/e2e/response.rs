//! What is done about findings: nothing unless it is configured, nothing to protected containers, and undone in time.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Container, Server, Settings, eventually, seconds};

/// How soon something is done after its cause.
const PROMPT: Duration = seconds(5);

/// A server that has learnt what `containers` do, and then responds.
fn server(response: &str, containers: &[&Container]) -> Server {
    let response = response.to_owned();
    let server = Server::start(&Settings { learning_period: seconds(3), response, ..Settings::default() });
    for container in containers {
        server.await_container(&container.name);
    }
    server.await_judging(seconds(30));
    server
}

/// Does something that the container had never done: only `behaviour.write` is acted upon below.
fn misbehave(container: &Container, file: &str) {
    container.sh(&format!("echo x > /srv/{file}"));
}

fn responses(server: &Server) -> Vec<Value> {
    server.http.get("/v1/responses").as_array().unwrap().clone()
}

/// The first response of that kind that is no longer under way.
fn await_response(server: &Server, action: &str) -> Value {
    eventually(&format!("the response {action}"), PROMPT, || {
        responses(server).into_iter().find(|r| r["action"] == action && r["outcome"] != "started")
    })
}

fn await_undone(server: &Server, id: &Value, why: &str) {
    let undone = eventually("the response to be undone", seconds(10), || {
        let all = responses(server);
        all.iter().find(|r| r["id"] == *id).map(|r| r["undone"].clone()).filter(|u| !u.is_null())
    });
    assert_eq!(undone["why"], why);
}

/// A container that writes to a file again and again, and the file as the host sees it.
fn counting(word: &str) -> (Container, PathBuf) {
    let container = Container::run(word, &["sh", "-c", "while :; do echo x >> /data/ticks; sleep 0.1; done"]);
    let file = PathBuf::from(format!("/proc/{}/root/data/ticks", container.pid()));
    (container, file)
}

fn length(file: &PathBuf) -> u64 {
    fs::metadata(file).map_or(0, |m| m.len())
}

fn goes_on(file: &PathBuf) -> bool {
    let before = length(file);
    thread::sleep(Duration::from_millis(600));
    length(file) > before
}

/// Whether a container's page can be fetched from the host.
fn answers(address: &str) -> bool {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--max-time", "1", "--noproxy", "*", "--output", "/dev/null"]);
    curl.arg(format!("http://{address}/index.html")).status().unwrap().success()
}

#[test]
fn without_being_asked_nothing_is_done_and_dry_run_only_records_it() {
    let (container, ticks) = counting("dry");
    let off = server("[[response.action]]\nrule = '*'\ndo = 'kill-container'", &[&container]);
    misbehave(&container, "off");
    eventually("an alert", PROMPT, || off.alerts().iter().find(|a| a.operation() == "write").cloned());
    assert!(goes_on(&ticks) && responses(&off).is_empty(), "nothing is done");
    drop(off);

    let actions = ["kill", "kill-container", "freeze", "cut-network"]
        .map(|act| format!("[[response.action]]\nrule = 'behaviour.write'\ndo = '{act}'\n"));
    let dry = server(&format!("mode = 'dry-run'\n{}", actions.concat()), &[&container]);
    misbehave(&container, "dry");
    for action in ["kill", "kill-container", "freeze", "cut-network"] {
        let record = await_response(&dry, action);
        assert_eq!((&record["outcome"], &record["dry_run"]), (&Value::from("dry-run"), &Value::from(true)), "{record}");
        assert_eq!(record["target"]["container"], container.name);
        assert!(record["latency_ns"].as_u64() > Some(0) && record["finding"].is_string(), "{record}");
    }
    assert!(goes_on(&ticks), "it is only said what would be done");
    let shown = String::from_utf8(dry.ethogram(&["responses"]).stdout).unwrap();
    assert!(shown.contains("kill-container dry-run") && shown.contains(&container.name), "{shown}");
    let metrics = dry.http.get("/metrics");
    assert!(metrics.as_str().unwrap().contains("ethogram_responses_total{action=\"freeze\",outcome=\"dry-run\"} 1"));
}

#[test]
fn the_process_is_killed_and_no_other() {
    let (container, ticks) = counting("kill");
    let (protected, _) = counting("spared");
    let config = format!(
        "mode = 'enforce'\nprotect = ['{}']\n[[response.action]]\nrule = 'behaviour.write'\ndo = 'kill'",
        protected.name
    );
    let server = server(&config, &[&container, &protected]);
    let stays = |container: &Container, file: &str| {
        let mut docker = Command::new("docker");
        let line = format!("echo x > /srv/{file}; sleep 8; exit 7");
        docker.args(["exec", &container.name, "sh", "-c", &line]).stdin(Stdio::null()).stdout(Stdio::null());
        docker.stderr(Stdio::null()).spawn().unwrap()
    };
    let mut left_alone = stays(&protected, "spared");
    let record = await_response(&server, "kill");
    assert_eq!((&record["outcome"], &record["by"]), (&Value::from("protected"), &Value::from("user")), "{record}");
    assert!(record["reason"].as_str().unwrap().contains(&protected.name), "{record}");

    let mut killed = stays(&container, "killed");
    let record = eventually("the kill", PROMPT, || responses(&server).into_iter().find(|r| r["outcome"] == "done"));
    assert_eq!(record["target"]["container"], container.name);
    eprintln!("killed after {} ms", record["latency_ns"].as_u64().unwrap() / 1_000_000);
    assert_eq!(killed.wait().unwrap().code(), Some(137), "it was killed");
    assert!(goes_on(&ticks), "the container goes on");
    assert_eq!(left_alone.wait().unwrap().code(), Some(7), "the protected one was not touched");
}

#[test]
fn a_container_is_killed_with_all_that_is_in_it() {
    let (container, ticks) = counting("killed");
    let (neighbour, others) = counting("lives");
    let config = "mode = 'enforce'\n[[response.action]]\nrule = 'behaviour.write'\ndo = 'kill-container'";
    let server = server(config, &[&container, &neighbour]);
    misbehave(&container, "all");
    let record = await_response(&server, "kill-container");
    assert_eq!(record["outcome"], "done", "{record}");
    eprintln!("container killed after {} ms", record["latency_ns"].as_u64().unwrap() / 1_000_000);
    eventually("its processes to end", PROMPT, || (!ticks.exists()).then_some(()));
    assert!(goes_on(&others), "its neighbour goes on");
}

/// A configuration that freezes, with another key.
fn freeze(key: &str) -> String {
    format!("mode = 'enforce'\n{key}\n[[response.action]]\nrule = 'behaviour.write'\ndo = 'freeze'")
}

#[test]
fn a_frozen_container_goes_on_after_the_limit() {
    let (container, ticks) = counting("frozen");
    let server = server(&freeze("limit = '4s'"), &[&container]);
    misbehave(&container, "frozen");
    let record = await_response(&server, "freeze");
    assert_eq!(record["outcome"], "done", "{record}");
    assert!(record["until"].is_string() && !goes_on(&ticks), "it is frozen");
    await_undone(&server, &record["id"], "limit");
    assert!(goes_on(&ticks), "it goes on");
}

#[test]
fn what_goes_on_is_undone_when_the_agent_ends_or_by_the_next_one() {
    let (container, ticks) = counting("exit");
    let mut first = server(&freeze(""), &[&container]);
    misbehave(&container, "exit");
    assert_eq!(await_response(&first, "freeze")["outcome"], "done");
    assert!(!goes_on(&ticks));
    first.process.signal(Signal::TERM);
    assert!(first.process.wait(seconds(10)).success());
    assert!(goes_on(&ticks), "the end of the agent undoes it");

    let second = first.restart();
    misbehave(&container, "restart");
    let record = eventually("another freeze", PROMPT, || {
        let is_new = |r: &Value| r["outcome"] == "done" && r["undone"].is_null();
        responses(&second).into_iter().find(is_new)
    });
    assert!(!goes_on(&ticks));
    let third = second.kill_and_restart(|_| assert!(!goes_on(&ticks), "nobody is there to undo it"));
    await_undone(&third, &record["id"], "restart");
    assert!(goes_on(&ticks), "the next agent undoes it");
}

#[test]
fn a_container_that_is_cut_off_reaches_nobody_until_it_is_undone() {
    let (web, neighbour) = (Container::web("cut"), Container::web("uncut"));
    let config = "mode = 'enforce'\n[[response.action]]\nrule = 'behaviour.write'\ndo = 'cut-network'";
    let server = server(config, &[&web, &neighbour]);
    let (address, other) = (web.address(), neighbour.address());
    // Whether anybody answers on port 80 there.
    let fetches = |from: &Container, to: &str| !from.sh(&format!("echo GET / | nc -w 2 {to} 80")).stdout.is_empty();
    assert!(answers(&address) && fetches(&web, &other));
    misbehave(&web, "cut");
    let record = await_response(&server, "cut-network");
    assert_eq!(record["outcome"], "done", "{record}");
    eprintln!("cut after {} ms", record["latency_ns"].as_u64().unwrap() / 1_000_000);
    assert!(!answers(&address), "nobody reaches it");
    assert!(!fetches(&web, &other), "it reaches nobody");
    assert!(fetches(&web, "127.0.0.1"), "but itself");
    assert!(answers(&other), "its neighbour is not cut off");

    let id = record["id"].to_string();
    let undone = server.ethogram(&["responses", "--undo", &id, "-o", "json"]);
    assert!(undone.status.success(), "{}", String::from_utf8_lossy(&undone.stderr));
    let undone: Value = serde_json::from_slice(&undone.stdout).unwrap();
    assert_eq!(undone[0]["undone"]["why"], "request");
    assert!(answers(&address) && fetches(&web, &other), "it is connected again");
    server.http.expect("DELETE", &format!("/v1/responses/{id}"), None, 409);
    server.http.expect("DELETE", "/v1/responses/77", None, 404);
}

#[test]
fn the_kernel_kills_who_runs_what_a_policy_forbids_and_no_other() {
    let (container, protected) = (Container::idle("policy"), Container::idle("policy-spared"));
    let config = format!(
        "mode = 'enforce'\nprotect = ['{}']\n\
         [[response.policy]]\nname = 'nothing from /tmp'\noperation = 'exec'\npath = '/tmp/*'\ndo = 'kill'\n\
         [[response.policy]]\nname = 'no mounts'\noperation = 'mount'\ncontainer = 'nobody'\ndo = 'deny'",
        protected.name
    );
    let server = Server::start(&Settings { response: config, ..Settings::default() });
    [&container, &protected].iter().for_each(|c| _ = server.await_container(&c.name));
    let status = server.http.get("/v1/policies");
    assert_eq!(status[0]["state"], "enforced", "{status}");
    // Whether this kernel can refuse mounts, it says itself, and the doctor says the same.
    let can = status[1]["state"] == "enforced";
    assert_eq!(status[1]["reason"].is_string(), !can, "{status}");
    let doctor = String::from_utf8(server.ethogram(&["doctor"]).stdout).unwrap();
    assert_eq!(doctor.contains("policy 'no mounts' is not enforced"), !can, "{doctor}");

    let run = |container: &Container, folder: &str| {
        let line = format!("cp /bin/busybox {folder}/sh && {folder}/sh -c 'echo ran'");
        let output = container.sh(&line);
        (output.status.code(), String::from_utf8(output.stdout).unwrap().contains("ran"))
    };
    // A policy holds as soon as the server has heard of the container.
    let killed = eventually("the kill", PROMPT, || Some(run(&container, "/tmp")).filter(|r| !r.1));
    assert_eq!(killed.0, Some(137));
    assert_eq!(run(&container, "/srv"), (Some(0), true), "another path");
    assert_eq!(run(&protected, "/tmp"), (Some(0), true), "a protected container");
    let record = await_response(&server, "kill");
    assert_eq!(
        (&record["by"], &record["rule"]),
        (&Value::from("kernel"), &Value::from("nothing from /tmp")),
        "{record}"
    );
    assert_eq!(record["target"]["container"], container.name);
    assert_eq!(record["target"]["object"], "/tmp/sh");
    let latency = record["latency_ns"].as_u64().unwrap();
    eprintln!("killed by the kernel after {} us", latency / 1000);
    assert!(latency < 10_000_000, "{record}");
    assert!(server.http.get("/v1/policies")[0]["hits"].as_u64() >= Some(1));
}

/// A rule on programs below a folder, with more to its condition.
fn rule_below(folder: &str, more: &str) -> String {
    format!(
        "- rule: Runs from a folder\n  desc: A program of a folder ran.\n  condition: >\n    evt.type in (execve, execveat) and \
         container.id != host\n    and proc.exepath startswith {folder}/{more}\n  output: \"%proc.exepath\"\n  priority: \
         WARNING\n"
    )
}

/// How a program that is copied to a folder ends in a container.
fn run_from(container: &Container, folder: &str) -> Option<i32> {
    container.sh(&format!("mkdir -p {folder} && cp /bin/busybox {folder}/sh && {folder}/sh -c 'exit 7'")).status.code()
}

fn policy_of_rule(server: &Server) -> Value {
    server.http.get("/v1/policies")[0].clone()
}

/// Waits until a program from a folder ends so.
fn await_end(container: &Container, folder: &str, code: i32) {
    eventually(&format!("a program from {folder} to end with {code}"), seconds(20), || {
        (run_from(container, folder) == Some(code)).then_some(())
    });
}

#[test]
fn what_a_rule_leads_to_is_done_by_the_kernel_where_it_can_decide_the_rule() {
    let (container, protected) = (Container::idle("rule-kill"), Container::idle("rule-spared"));
    let rules = tempfile::tempdir().unwrap();
    let file = rules.path().join("rules.yaml");
    fs::write(&file, rule_below("/tmp", "")).unwrap();
    let response = format!(
        "mode = 'enforce'\nprotect = ['{}']\n[[response.action]]\nrule = 'Runs from*'\ndo = 'kill'",
        protected.name
    );
    let server = Server::start(&Settings { response, rules: vec![file.clone()], ..Settings::default() });
    [&container, &protected].iter().for_each(|c| _ = server.await_container(&c.name));
    let status = policy_of_rule(&server);
    assert_eq!((&status["name"], &status["of_rule"]), (&"Runs from a folder".into(), &true.into()), "{status}");
    assert_eq!((&status["state"], status.get("reason")), (&"enforced".into(), None), "{status}");

    await_end(&container, "/tmp", 137);
    assert_eq!(run_from(&container, "/srv"), Some(7), "another path");
    assert_eq!(run_from(&protected, "/tmp"), Some(7), "a protected container");
    // The alert fires as ever; it and the kernel's record name each other, and nothing is done twice.
    let record = eventually("the record with its alert", PROMPT, || {
        responses(&server).into_iter().find(|r| r["by"] == "kernel" && r["finding"].is_string())
    });
    assert_eq!((&record["rule"], &record["action"]), (&"Runs from a folder".into(), &"kill".into()), "{record}");
    assert_eq!((&record["outcome"], &record["target"]["object"]), (&"done".into(), &"/tmp/sh".into()), "{record}");
    eprintln!("killed by the kernel after {} us", record["latency_ns"].as_u64().unwrap() / 1000);
    let alerts = server.stored_alerts();
    assert!(alerts.iter().any(|a| a["finding_info"]["uid"] == record["finding"]), "{record}");
    let of_container = |r: &&Value| r["target"]["container"] == container.name && r["by"] == "user";
    assert_eq!(responses(&server).iter().find(of_container), None, "nothing is done twice");

    // Other rules, another folder.
    fs::write(&file, rule_below("/opt", "")).unwrap();
    server.http.expect("POST", "/v1/rules", None, 200);
    await_end(&container, "/opt", 137);
    await_end(&container, "/tmp", 7);

    // What the kernel cannot decide, the agent does.
    fs::write(&file, rule_below("/opt", " and proc.args contains exit")).unwrap();
    server.http.expect("POST", "/v1/rules", None, 200);
    let status =
        eventually("the agent to decide", PROMPT, || Some(policy_of_rule(&server)).filter(|s| s["state"] == "user"));
    assert!(status["reason"].as_str().unwrap().contains("proc.args contains exit"), "{status}");
    let shown = String::from_utf8(server.ethogram(&["responses", "--policies"]).stdout).unwrap();
    assert!(shown.contains("kill") && shown.contains("user") && shown.contains("proc.args contains exit"), "{shown}");
}

#[test]
fn what_is_accepted_is_not_killed_for_by_the_kernel_either() {
    let container = Container::idle("rule-accepted");
    let rules = tempfile::tempdir().unwrap();
    let file = rules.path().join("rules.yaml");
    fs::write(&file, rule_below("/tmp", "")).unwrap();
    let response = "mode = 'enforce'\n[[response.action]]\ntag = 'none'\ndo = 'kill'\n[[response.action]]\nrule = 'Runs from*'\n\
                    do = 'kill'";
    let server = Server::start(&Settings { response: response.into(), rules: vec![file], ..Settings::default() });
    server.await_container(&container.name);
    await_end(&container, "/tmp", 137);
    let alert = eventually("the alert", PROMPT, || server.stored_alerts().into_iter().next());
    let uid = alert["finding_info"]["uid"].as_str().unwrap();
    let accepted = server.ethogram(&["alerts", "accept", uid]);
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    await_end(&container, "/tmp", 7);
}
