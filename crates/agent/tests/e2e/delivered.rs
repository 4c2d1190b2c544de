//! Receivers get an incident when it opens, when it escalates and when it is over, and nothing between.

use std::{
    io::Write,
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Stdio},
};

use ethogram_model::Incident;
use redb::{ReadableTable, TableDefinition};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    sinks::{active, alertmanager},
    support::{Container, Receiver, Server, Settings, eventually, free_port, seconds},
};

/// A shell that was started from outside, and runs what it is given.
struct Intruder(Child);

impl Intruder {
    fn enter(container: &Container) -> Self {
        let mut docker = Command::new("docker");
        docker.args(["exec", "--interactive", &container.name, "sh"]).stdin(Stdio::piped());
        Self(docker.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn run(&mut self, line: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Intruder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// What a webhook got of the incidents of a container: what became of it, and how severe it is. All are one incident.
fn story(receiver: &Receiver, container: &Container) -> Vec<(String, u64)> {
    let taken = receiver.taken();
    let of_it = |event: &&Value| {
        assert_ne!(event["class_uid"], 2004, "findings are not sent: {event}");
        event["class_uid"] == 2005 && event.to_string().contains(&container.name)
    };
    let ours: Vec<&Value> = taken.iter().filter(of_it).collect();
    for event in &ours {
        assert_eq!(event["metadata"]["correlation_uid"], ours[0]["metadata"]["correlation_uid"], "{event}");
    }
    let change = |event: &&Value| {
        (event["unmapped"]["change"].as_str().unwrap().to_owned(), event["severity_id"].as_u64().unwrap())
    };
    ours.iter().map(change).collect()
}

/// Lets the incidents in a server's store be an hour older.
fn age_incidents(folder: &Path) {
    const INCIDENTS: TableDefinition<'_, (u64, &str), &str> = TableDefinition::new("incidents");
    let database = redb::Database::open(folder.join("store/ethogram.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(INCIDENTS).unwrap();
        let entry = |entry: Result<_, redb::StorageError>| {
            let (key, json): (redb::AccessGuard<'_, (u64, &str)>, redb::AccessGuard<'_, &str>) = entry.unwrap();
            let mut incident: Incident = serde_json::from_str(json.value()).unwrap();
            incident.last_seen_ns -= 3_600_000_000_000;
            (key.value().0, incident)
        };
        let all: Vec<(u64, Incident)> = table.iter().unwrap().map(entry).collect();
        for (at, incident) in all {
            table.insert((at, &*incident.uid), &*serde_json::to_string(&incident).unwrap()).unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// The alerts of a container that are active in an Alertmanager.
fn active_of(url: &str, container: &Container) -> Option<Vec<Value>> {
    let is_of_it = |alert: &Value| alert["labels"]["container"] == container.name.as_str();
    Some(active(url)?.into_iter().filter(is_of_it).collect())
}

#[test]
fn an_incident_is_sent_when_it_opens_escalates_and_is_over_and_a_neighbour_is_not() {
    let (port, falco, at, folder) = (free_port(), free_port(), free_port(), tempfile::tempdir().unwrap());
    let _alertmanager = alertmanager(folder.path(), at);
    let (siem, sidekick) = (Receiver::listen(port), Receiver::listen(falco));
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_nonblocking(true).unwrap();
    let url = format!("http://127.0.0.1:{at}");
    let receivers = format!(
        "[alerts.webhook.siem]\nurl = \"http://127.0.0.1:{port}/\"\n\
         [alerts.webhook.sidekick]\nurl = \"http://127.0.0.1:{falco}/\"\nformat = \"falco\"\n\
         [alerts.alertmanager.local]\nurl = {url:?}\n[alerts.syslog.local]\naddress = \"udp://{}\"\n",
        syslog.local_addr().unwrap()
    );
    let (web, calm) = (Container::web("intruded"), Container::web("calm"));
    let settings =
        Settings { learning_period: seconds(4), shipped_rules: true, alerts: "", receivers, ..Settings::default() };
    let mut server = Server::start(&settings);
    server.await_container(&web.name);
    server.await_container(&calm.name);
    web.load(20);
    calm.load(20);
    server.await_judging(seconds(30));

    // Several findings are one incident, which opens once.
    let mut intruder = Intruder::enter(&web);
    intruder.run("id; echo x >/srv/first");
    let kept = || -> Option<Value> {
        let all = server.http.get(&format!("/v1/incidents?container={}", web.name));
        all.as_array().unwrap().first().map(|incident| incident["unmapped"]["incident"].clone())
    };
    let has_parts = |incident: &Value| incident["parts"].as_array().is_some_and(|parts| parts.len() >= 2);
    eventually("an incident of several parts", seconds(20), || kept().filter(has_parts));
    let sent = || story(&siem, &web);
    eventually("it to be sent", seconds(20), || Some(sent()).filter(|sent| !sent.is_empty()));
    let only = |alerts: Vec<Value>| -> Option<Value> {
        assert!(alerts.len() <= 1, "an incident is one alert: {alerts:#?}");
        alerts.into_iter().next()
    };
    let first = eventually("it in Alertmanager", seconds(20), || only(active_of(&url, &web)?));
    assert_eq!(first["labels"]["alertname"], "Incident", "{first:#}");
    let mild = sent().last().unwrap().1;

    // It goes on, and is worse.
    intruder.run("cat /etc/shadow; cp /bin/busybox /tmp/dropped; /tmp/dropped id");
    let worse = eventually("an escalation", seconds(20), || sent().last().filter(|(_, of)| *of > mild).cloned());
    assert_eq!(worse.0, "escalated", "{:?}", sent());
    calm.load(20);
    eventually("one alert of the new severity", seconds(20), || {
        let (alert, incident) = (only(active_of(&url, &web)?)?, kept()?);
        let (now, was) = (alert["labels"]["severity"].as_str()?, first["labels"]["severity"].as_str()?);
        let is_of_it = incident["severity"].as_str()? == now && alert["labels"]["uid"] == incident["uid"];
        (now != was && is_of_it).then_some(())
    });

    // What is open when the server starts again goes on: by the same process, as the same incident.
    let parts = kept().unwrap()["findings"].as_u64().unwrap();
    server.process.signal(Signal::TERM);
    assert!(server.process.wait(seconds(20)).success());
    let mut server = server.restart();
    server.await_container(&web.name);
    let kept = || -> Option<Value> {
        let all = server.http.get(&format!("/v1/incidents?container={}", web.name));
        let all = all.as_array().unwrap();
        assert_eq!(all.len(), 1, "{all:#?}");
        Some(all[0]["unmapped"]["incident"].clone())
    };
    intruder.run("echo x >/root/second; cat /etc/group >/root/third");
    let is_more = |incident: &Value| incident["findings"].as_u64().is_some_and(|findings| findings > parts);
    let incident = eventually("it to go on", seconds(20), || kept().filter(is_more));
    assert_eq!((&incident["is_open"], &first["labels"]["uid"]), (&true.into(), &incident["uid"]));
    assert!(sent().iter().all(|(change, _)| change != "closed"), "{:?}", sent());

    // What was open when the agent was stopped for longer is over.
    drop(intruder);
    server.process.signal(Signal::TERM);
    assert!(server.process.wait(seconds(20)).success());
    age_incidents(server.folder());
    let _server = server.restart();
    eventually("its end", seconds(20), || sent().last().filter(|(change, _)| change == "closed").map(drop));
    eventually("it to be resolved", seconds(20), || active_of(&url, &web)?.is_empty().then_some(()));

    let sent = sent();
    let (changes, severities): (Vec<&str>, Vec<u64>) = sent.iter().map(|(change, of)| (change.as_str(), *of)).unzip();
    assert_eq!((changes[0], changes[changes.len() - 1]), ("opened", "closed"), "{sent:?}");
    assert!(changes[1..changes.len() - 1].iter().all(|change| *change == "escalated"), "{sent:?}");
    assert!(severities[..severities.len() - 1].is_sorted_by(|a, b| a < b), "only what is worse is sent: {sent:?}");
    let fields: Vec<Value> = sidekick.taken().iter().map(|alert| alert["output_fields"].clone()).collect();
    let ours: Vec<&Value> = fields.iter().filter(|f| f["container.name"] == web.name.as_str()).collect();
    assert_eq!(ours.iter().map(|f| f["ethogram.status"].as_str().unwrap()).collect::<Vec<_>>(), changes);
    assert!(ours.last().unwrap()["ethogram.parts"].as_array().unwrap().len() >= 3, "{ours:#?}");
    let mut messages = Vec::new();
    let mut buffer = [0; 65_536];
    while let Ok(bytes) = syslog.recv(&mut buffer) {
        messages.push(String::from_utf8_lossy(&buffer[..bytes]).into_owned());
    }
    let of_it = messages.iter().filter(|m| m.contains(" incident [") && m.contains(&web.name));
    assert_eq!(of_it.count(), changes.len(), "{messages:#?}");
    assert_eq!(story(&siem, &calm), [], "it did nothing");
}
