//! Rule files change, break, and are mended while the server runs; what people accept raises no alert again.

use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use serde_json::{Value, json};

use super::support::{Container, Server, Settings, eventually, seconds};

const PATIENCE: Duration = seconds(20);

/// A rule on commands whose arguments have a word, by its name.
fn rule(name: &str, word: &str) -> String {
    format!(
        "- rule: {name}\n  desc: A word was said.\n  condition: >\n    evt.type = execve and container.id != host\n    \
         and proc.args contains {word}\n  output: \"%proc.cmdline\"\n  priority: WARNING\n"
    )
}

/// A folder as a ConfigMap shows it: the files are links into `..data`, which is a link to the version that counts.
fn publish(folder: &Path, version: &str, text: &str) {
    fs::create_dir(folder.join(version)).unwrap();
    fs::write(folder.join(version).join("rules.yaml"), text).unwrap();
    symlink(version, folder.join("..new")).unwrap();
    fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    if !folder.join("rules.yaml").exists() {
        symlink("..data/rules.yaml", folder.join("rules.yaml")).unwrap();
    }
}

fn await_rule(server: &Server, name: &str) {
    eventually(&format!("the rule '{name}' to be in force"), PATIENCE, || {
        let status = server.http.get("/v1/rules");
        status["rules"].as_array().unwrap().iter().any(|r| r["name"] == name && r["state"] == "armed").then_some(())
    });
}

fn alert_of(server: &Server, rule: &str) -> Option<Value> {
    server.stored_alerts().into_iter().find(|a| a["unmapped"]["rule"]["name"] == rule)
}

fn await_alert(server: &Server, rule: &str) -> Value {
    eventually(&format!("an alert of '{rule}'"), PATIENCE, || alert_of(server, rule))
}

fn await_count(server: &Server, rule: &str, count: u64) {
    eventually(&format!("{count} of '{rule}'"), PATIENCE, || {
        let now = alert_of(server, rule).map_or(0, |a| a["count"].as_u64().unwrap());
        assert!(now <= count, "{now} of '{rule}'");
        (now == count).then_some(())
    });
}

#[test]
fn files_are_read_again_when_they_change_and_one_that_is_broken_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), "v1", &rule("First word", "abracadabra"));
    let server = Server::start(&Settings { rules: vec![folder.path().into()], ..Settings::default() });
    let container = Container::idle("rules");
    server.await_container(&container.name);
    container.sh(": abracadabra");
    let alert = await_alert(&server, "First word");
    let because = alert["unmapped"]["rule"]["because"].to_string();
    assert!(because.contains("proc.args contains abracadabra"), "{because}");

    publish(folder.path(), "v2", &rule("Second word", "hocuspocus"));
    await_rule(&server, "Second word");
    container.sh(": abracadabra; : hocuspocus");
    await_alert(&server, "Second word");
    await_count(&server, "First word", 1);

    publish(folder.path(), "v3", "- rule: Third word\n  condition: proc.nme = x\n");
    eventually("the error to be reported", PATIENCE, || {
        let status = server.http.get("/v1/rules");
        (status["outdated"] == true).then_some(())
    });
    let problem = server.http.expect("POST", "/v1/rules", None, 422);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("rules.yaml:1:9: error: the rule 'Third word' has no output"), "{detail}");
    container.sh(": hocuspocus, again");
    await_count(&server, "Second word", 2);

    publish(folder.path(), "v4", &rule("Fourth word", "simsalabim"));
    let status = server.http.expect("POST", "/v1/rules", None, 200);
    assert_eq!((&status["outdated"], &status["rules"][0]["name"]), (&json!(false), &json!("Fourth word")));
}

#[test]
fn reloading_under_load_loses_no_event() {
    const FILES: u64 = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("written.yaml");
    let text = "- rule: File written\n  desc: A file was written.\n  condition: >\n    evt.type = openat and container.id != host \
                and evt.is_open_write = true and fd.name startswith /tmp/load\n  output: \"%fd.name\"\n  priority: NOTICE\n";
    fs::write(&file, text).unwrap();
    let server = Server::start(&Settings { rules: vec![file.clone()], ..Settings::default() });
    let container = Container::idle("reload");
    server.await_container(&container.name);
    let load = format!("i=0; while [ $i -lt {FILES} ]; do : > /tmp/load$i; i=$((i+1)); done");
    std::thread::scope(|threads| {
        let load = threads.spawn(|| container.sh(&load));
        let mut reloads = 0;
        while !load.is_finished() || reloads < 5 {
            fs::write(&file, format!("{text}# {reloads}\n")).unwrap();
            server.http.expect("POST", "/v1/rules", None, 200);
            reloads += 1;
        }
    });
    await_count(&server, "File written", FILES);
    let rules = server.http.get("/v1/rules");
    assert_eq!(rules["rules"][0]["matched"], FILES, "{rules}");
}

#[test]
fn what_is_accepted_is_not_told_again_until_it_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, rule("Word", "abracadabra")).unwrap();
    let server = Server::start(&Settings { rules: vec![file], ..Settings::default() });
    let container = Container::idle("accept");
    server.await_container(&container.name);
    container.sh(": abracadabra");
    let uid = await_alert(&server, "Word")["finding_info"]["uid"].as_str().unwrap().to_owned();
    let command = |args: &[&str]| {
        let output = server.ethogram(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let accepted = command(&["alerts", "accept", &uid, "--for", "30d", "--reason", "known", "-o", "json"]);
    assert_eq!((&accepted[0]["analytic"], &accepted[0]["reason"]), (&json!("rule.word"), &json!("known")));
    container.sh(": abracadabra");
    // Another executable does not share it.
    container.exec(&["busybox", "echo", "abracadabra"]);
    eventually("the other executable's alert", PATIENCE, || {
        (server.stored_alerts().iter().filter(|a| a["unmapped"]["rule"]["name"] == "Word").count() == 2).then_some(())
    });
    let listed = command(&["alerts", "accepted", "-o", "json"]);
    assert_eq!(listed[0]["matched"], 1, "{listed}");
    let of_uid = || server.stored_alerts().into_iter().find(|a| a["finding_info"]["uid"] == uid.as_str()).unwrap();
    assert_eq!(of_uid()["count"], 1);

    let id = listed[0]["id"].as_str().unwrap().to_owned();
    command(&["alerts", "revoke", &id, "-o", "json"]);
    container.sh(": abracadabra");
    eventually("it to be counted again", PATIENCE, || (of_uid()["count"] == 2).then_some(()));
    assert_eq!(command(&["alerts", "accepted", "-o", "json"]), json!([]));
}

#[test]
fn a_recording_gives_the_same_alerts_again_also_where_the_rules_changed_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, rule("Before", "abracadabra")).unwrap();
    let mut server = Server::start(&Settings { rules: vec![file.clone()], record: true, ..Settings::default() });
    let container = Container::idle("replayed");
    server.await_container(&container.name);
    container.sh(": abracadabra");
    await_alert(&server, "Before");
    fs::write(&file, rule("After", "abracadabra")).unwrap();
    server.http.expect("POST", "/v1/rules", None, 200);
    container.sh(": abracadabra");
    await_alert(&server, "After");
    let live = eventually("both to be printed", PATIENCE, || {
        let printed: Vec<_> = server.alerts().iter().map(|a| a.uid().to_owned()).collect();
        (printed.len() == 2).then_some(printed)
    });
    let recording = server.recording();
    let copy = folder.path().join("recording");
    server.process.signal(rustix::process::Signal::TERM);
    server.process.wait(seconds(20));
    fs::copy(recording, &copy).unwrap();
    let output = super::support::ethogram(["replay", copy.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let again: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["finding_info"]["uid"].as_str().unwrap().to_owned())
        .collect();
    assert!(again.ends_with(&live), "live {live:?}, replayed {again:?}");
}

/// A file that did not change is read again only where somebody says so.
#[test]
fn a_hangup_has_the_rules_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, rule("Word", "abracadabra")).unwrap();
    let server = Server::start(&Settings { rules: vec![file], ..Settings::default() });
    let loaded = || server.process.stderr().iter().filter(|line| line.contains("1 rules are in force")).count();
    let before = loaded();
    server.process.signal(rustix::process::Signal::HUP);
    eventually("the rules to be loaded again", PATIENCE, || (loaded() > before).then_some(()));
    assert_eq!(server.http.get("/v1/rules")["rules"][0]["name"], "Word");
}
