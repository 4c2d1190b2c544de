//! What a server knows outlives it.

use std::fs;

use ethogram_agent::store::{Contents, Store};
use ethogram_detect::{LearningState, Profile};
use rustix::process::Signal;

use super::support::{Container, Server, Settings, eventually, seconds};

/// A server that has learnt a container, and raised an alert.
fn server_with_an_alert(web: &Container) -> Server {
    let server = Server::start(&Settings { learning_period: seconds(4), ..Settings::default() });
    server.await_container(&web.name);
    web.load(20);
    server.await_judging(seconds(30));
    web.sh("echo x > /srv/dropped");
    eventually("an alert", seconds(5), || server.alerts().iter().find(|a| a.operation() == "write").cloned());
    server
}

fn uids(server: &Server) -> Vec<String> {
    let uid = |a: &serde_json::Value| a["finding_info"]["uid"].as_str().unwrap().to_owned();
    let mut uids: Vec<String> = server.stored_alerts().iter().map(uid).collect();
    uids.sort();
    uids
}

#[test]
fn a_kill_loses_ten_seconds_at_most() {
    let web = Container::web("kept");
    let server = server_with_an_alert(&web);
    let (before, profiles) = (uids(&server), server.profiles());
    eventually("all of it in the store", seconds(11), || {
        let stored = as_of_now(&server);
        let is_learnt =
            |text: &String| serde_json::from_str(text).is_ok_and(|p: Profile| p.state() != LearningState::Learning);
        let has_all = stored.profiles.len() >= profiles.len() && stored.alerts.len() >= before.len();
        (has_all && stored.profiles.values().all(is_learnt)).then_some(())
    });
    let server = server.kill_and_restart(|_| ());
    assert_eq!(uids(&server), before, "the alerts are still there");
    let after = server.profiles();
    assert_eq!(after.len(), profiles.len());
    assert!(after.iter().all(|p| p["state"] != "learning"), "what was learnt is not learnt again: {after:?}");
    web.load(5);
    web.sh("echo x > /srv/dropped");
    web.sh("echo x > /root/other");
    let new = eventually("an alert of the new server", seconds(5), || {
        server.alerts().into_iter().find(|a| a.object().contains("/root/other"))
    });
    assert_eq!(new.container(), web.name);
    assert!(
        server.alerts().iter().all(|a| !a.is_new() || !before.contains(&a.uid().to_owned())),
        "what raised an alert raises no second one"
    );
}

/// What the store would give if the server ended now: its file is copied as it is.
pub(crate) fn as_of_now(server: &Server) -> Contents {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(server.folder().join("store")).unwrap().flatten() {
        if entry.path().extension().is_some_and(|e| e == "redb") {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    Store::open(copy.path()).unwrap().contents
}

#[test]
fn a_kill_right_after_an_alert_loses_neither_it_nor_what_it_was_judged_by() {
    let web = Container::web("silenced");
    let server = server_with_an_alert(&web);
    let before = uids(&server);
    eventually("the alert in the store", seconds(2), || {
        let stored = as_of_now(&server).alerts;
        before.iter().all(|uid| stored.iter().any(|alert| *alert.uid == **uid)).then_some(())
    });
    let server = server.kill_and_restart(|_| ());
    assert_eq!(uids(&server), before, "the alert is still there");
    web.sh("echo x > /root/other");
    eventually("an alert of the new server", seconds(5), || {
        server.alerts().into_iter().find(|a| a.object().contains("/root/other"))
    });
}

#[test]
fn a_clean_end_loses_nothing() {
    let web = Container::web("ended");
    let mut server = server_with_an_alert(&web);
    let before = uids(&server);
    server.process.signal(Signal::TERM);
    assert!(server.process.wait(seconds(10)).success());
    assert!(!server.folder().join("api.sock").exists(), "the socket is removed");
    let server = server.restart();
    assert_eq!(uids(&server), before);
}

#[test]
fn a_damaged_store_is_set_aside() {
    let web = Container::web("damaged");
    let server = server_with_an_alert(&web);
    let mut damaged = Vec::new();
    let server = server.kill_and_restart(|folder| {
        for entry in fs::read_dir(folder.join("store")).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            if metadata.is_file() && metadata.len() > 0 {
                fs::write(entry.path(), b"this is no store any more").unwrap();
                damaged.push(entry.path());
            }
        }
    });
    assert!(!damaged.is_empty());
    let messages = server.process.stderr();
    let is_of_it = |line: &&String| line.contains("store") && (line.contains("WARN") || line.contains("ERROR"));
    let of_it: Vec<_> = messages.iter().filter(is_of_it).collect();
    assert_eq!(of_it.len(), 1, "one clear message: {messages:#?}");
    let kept = fs::read_dir(server.folder().join("store")).unwrap().flatten();
    let intact = kept.filter(|e| fs::read(e.path()).is_ok_and(|b| b == b"this is no store any more")).count();
    assert_eq!(intact, damaged.len(), "the damaged file is kept, under another name");
    assert!(uids(&server).is_empty());
}
