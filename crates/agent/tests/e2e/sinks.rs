//! Alerts reach their receivers, whichever of them goes away meanwhile.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::Value;

use super::support::{Container, Process, Receiver, Server, Settings, eventually, find, free_port, seconds};

/// A server with these receivers that has learnt a container.
fn judging(web: &Container, receivers: String) -> Server {
    let server = Server::start(&Settings { learning_period: seconds(4), receivers, ..Settings::default() });
    server.await_container(&web.name);
    web.load(20);
    server.await_judging(seconds(30));
    server
}

/// An Alertmanager that notifies nobody.
pub(crate) fn alertmanager(folder: &Path, port: u16) -> Process {
    let config = folder.join("alertmanager.yml");
    fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n").unwrap();
    let program = find("prometheus-alertmanager").expect("Alertmanager is needed: script/test unpacks it");
    // Debian's wants its templates below /usr/share, wherever it was unpacked itself.
    let share = program.parent().unwrap().join("../share");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /usr/share && exec \"$@\""]).arg(share).arg(program);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.path={}", folder.join("data").display()));
    command
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--cluster.listen-address=", "--log.level=warn"]);
    Process::spawn(command)
}

/// The alerts that are active in an Alertmanager, if it answers.
pub(crate) fn active(url: &str) -> Option<Vec<Value>> {
    let mut ask = Command::new("curl");
    ask.args(["--silent", "--noproxy", "*", "--max-time", "5", &format!("{url}/api/v2/alerts")]);
    serde_json::from_slice(&ask.output().unwrap().stdout).ok()
}

#[test]
fn an_alertmanager_shows_an_alert_as_active() {
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let _alertmanager = alertmanager(folder.path(), port);
    let web = Container::web("alerting");
    let url = format!("http://127.0.0.1:{port}");
    let server = judging(&web, format!("[alerts.alertmanager.local]\nurl = {url:?}\nresolve_after = \"2h\"\n"));
    web.sh("echo x > /srv/dropped");
    let alert = eventually("the alert in Alertmanager", seconds(20), || {
        let alerts = active(&url)?;
        // The command that writes it names it, too, and is another alert.
        let is_it = |a: &&Value| {
            a["labels"]["alertname"] == "behaviour.write"
                && a["annotations"]["object"].as_str().is_some_and(|o| o.contains("/srv/dropped"))
        };
        alerts.iter().find(is_it).cloned()
    });
    assert_eq!(
        (&alert["status"]["state"], &alert["labels"]["container"]),
        (&"active".into(), &web.name.as_str().into())
    );
    let uid = alert["labels"]["uid"].as_str().unwrap();
    let reported = server.alerts().into_iter().find(|a| a.uid() == uid).unwrap();
    assert!(reported.object().contains("/srv/dropped"), "{}", reported.object());
    for name in alert["labels"].as_object().unwrap().keys() {
        let known = ["alertname", "severity", "workload", "container", "namespace", "pod", "uid"];
        assert!(known.contains(&name.as_str()), "{name} is no label of ours");
    }
}

#[test]
fn what_a_receiver_missed_arrives_once_though_the_agent_was_killed() {
    let (port, web) = (free_port(), Container::web("missed"));
    let receivers = format!("[alerts.webhook.siem]\nurl = \"http://127.0.0.1:{port}/in\"\nformat = \"falco\"\n");
    let server = judging(&web, receivers);
    for n in 0..5 {
        web.sh(&format!("echo x > /srv/dropped-{n}-file"));
    }
    let alerts = eventually("an alert", seconds(10), || Some(server.alerts()).filter(|a| !a.is_empty()));
    std::thread::sleep(seconds(2));
    let mut reported: BTreeSet<String> = server.alerts().iter().map(|a| a.uid().to_owned()).collect();
    assert!(reported.len() >= alerts.len());
    let server = server.kill_and_restart(|_| ());
    web.sh("echo x > /root/after");
    eventually("an alert after the kill", seconds(10), || {
        server.alerts().iter().find(|a| a.object().contains("/root/after")).map(|_| ())
    });
    let receiver = Receiver::listen(port);
    reported.extend(server.alerts().iter().map(|a| a.uid().to_owned()));
    let uid = |alert: &Value| alert["output_fields"]["ethogram.uid"].as_str().unwrap().to_owned();
    let ours = || -> Vec<String> {
        let taken = receiver.taken();
        taken.iter().filter(|a| a["output_fields"]["container.name"] == web.name.as_str()).map(uid).collect()
    };
    eventually("all that was reported", seconds(70), || (ours().len() >= reported.len()).then_some(()));
    std::thread::sleep(seconds(2));
    let ours = ours();
    assert_eq!(ours.iter().cloned().collect::<BTreeSet<_>>(), reported);
    assert_eq!(ours.len(), reported.len(), "each once");
}
