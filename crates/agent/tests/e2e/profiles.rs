//! Profiles as files: learnt, reviewed, given back, and judged by where nothing is learnt.

use std::{fs, path::Path, process::Output};

use serde_json::Value;

use super::support::{Container, Server, Settings, eventually, seconds};

fn text(output: &Output) -> String {
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{reported}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Alerts of a container since it was started, by operation and object.
fn alerts(server: &Server, container: &Container) -> Vec<(String, String)> {
    let of_it = |a: &super::support::Alert| a.container() == container.name;
    let reported = server.alerts().into_iter().filter(of_it);
    reported.map(|a| (a.operation().to_owned(), a.object().to_owned())).collect()
}

#[test]
fn a_profile_is_reviewed_given_back_and_judged_by() {
    let server = Server::start(&Settings { learning_period: seconds(4), ..Settings::default() });
    let web = Container::web("profile");
    server.await_container(&web.name);
    web.load(20);
    server.await_judging(seconds(30));
    let file = server.folder().join("web.toml");
    let path = file.to_str().unwrap();
    let profile = |args: &[&str]| server.ethogram(&[&["profile"], args].concat());

    // It is written, and the same as what is there.
    text(&profile(&["export", &web.name, "--output-file", path]));
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("httpd") && written.contains("\"80\"") && written.contains("[listen]"), "{written}");
    assert_eq!(text(&profile(&["diff", path, &web.name])), "");
    let shown = text(&profile(&["show", &web.name]));
    assert!(shown.lines().count() < 50 && shown.contains("on which ports") && shown.contains("(httpd)"), "{shown}");

    // Learnt anew, given back: it judges at once.
    text(&profile(&["reset", &web.name]));
    let taken = text(&profile(&["import", path]));
    assert!(taken.contains("stable, approved"), "{taken}");
    web.load(5);
    assert!(alerts(&server, &web).is_empty());
    web.sh("echo x > /srv/dropped");
    let reported = eventually("an alert of what is not in the file", seconds(5), || {
        alerts(&server, &web).into_iter().find(|(operation, _)| operation == "write")
    });
    assert_eq!(reported.1, "/srv/dropped");

    // That was right: it is approved, and a reviewer sees it.
    text(&profile(&["approve", &web.name]));
    let differ = profile(&["diff", path, &web.name]);
    assert_eq!(differ.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&differ.stdout).contains("+   /srv/dropped"), "{differ:?}");
    assert!(differ.stderr.is_empty(), "{differ:?}");

    // Another image's, and what is none.
    fs::write(&file, written.replacen("digest = \"sha256:", "digest = \"sha256:00", 1)).unwrap();
    let refused = profile(&["import", path]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--any-digest"), "{refused:?}");
    text(&profile(&["import", path, "--any-digest"]));
    fs::write(&file, &written[..written.len() / 2]).unwrap();
    let refused = profile(&["import", path]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("web.toml, line"), "{refused:?}");

    locked(&written, server.folder());
}

/// A server that learns nothing judges by the file, and raises an alert for a workload that has none.
fn locked(profile: &str, folder: &Path) {
    let file = folder.join("shipped.toml");
    fs::write(&file, profile).unwrap();
    let server = Server::start(&Settings { locked: true, profiles: vec![file], ..Settings::default() });
    let (web, other) = (Container::web("locked"), Container::idle("stranger"));
    server.await_container(&web.name);
    server.await_container(&other.name);
    web.load(5);
    let reported =
        eventually("an alert of a workload without a profile", seconds(5), || alerts(&server, &other).first().cloned());
    assert_eq!(reported.0, "run");
    web.sh("echo x > /srv/other");
    eventually("an alert of what is not in the file", seconds(5), || {
        alerts(&server, &web).into_iter().find(|(_, object)| object == "/srv/other")
    });
    other.sh("echo x > /srv/other");
    eventually("the workload without a profile to go on", seconds(12), || {
        let is_told_of = |a: &Value| a["unmapped"]["behaviour"]["operation"] == "run" && a["count"].as_u64() >= Some(3);
        server.stored_alerts().into_iter().find(is_told_of)
    });
    assert_eq!(alerts(&server, &other).len(), 1, "one alert");
    let operations: Vec<String> = alerts(&server, &web).into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(operations, ["execute", "write"], "and nothing of what the file has");
}
