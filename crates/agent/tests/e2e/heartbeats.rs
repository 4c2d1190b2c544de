//! Receivers notice that the agent works, and that it does not.

use rustix::process::Signal;
use serde_json::Value;

use super::{
    sinks::{active, alertmanager},
    support::{Container, Receiver, Server, Settings, eventually, free_port, seconds},
};

fn start(receivers: String) -> Server {
    Server::start(&Settings { receivers, ..Settings::default() })
}

/// A server that sends heartbeats each second, and who gets them.
fn beating() -> (Server, Receiver) {
    let port = free_port();
    let receiver = Receiver::listen(port);
    (start(format!("[alerts.webhook.siem]\nurl = \"http://127.0.0.1:{port}/in\"\nheartbeat = \"1s\"\n")), receiver)
}

fn await_more(receiver: &Receiver, more: usize) -> Vec<Value> {
    let wanted = receiver.taken().len() + more;
    eventually("heartbeats", seconds(30), || Some(receiver.taken()).filter(|taken| taken.len() >= wanted))
}

#[test]
fn a_webhook_gets_heartbeats_while_the_agent_runs_and_none_while_it_is_stopped() {
    let web = Container::web("beating");
    let ((server, receiver), (_other, others)) = (beating(), beating());
    server.await_container(&web.name);
    let taken = await_more(&receiver, 3);
    let last = taken.last().unwrap();
    assert_eq!((&last["class_uid"], &last["activity_name"]), (&6002.into(), &"Heartbeat".into()));
    assert_eq!(last["device"]["hostname"], *rustix::system::uname().nodename().to_string_lossy());
    let count = |name: &str| last["unmapped"][name].as_u64().unwrap();
    assert!(count("containers") >= 1 && count("trackers") > 5 && count("events") > 0, "{last:#}");
    assert!(last["start_time"].as_u64() <= last["time"].as_u64());

    server.process.signal(Signal::STOP);
    // What was on its way arrives.
    await_more(&others, 1);
    let before = receiver.taken().len();
    await_more(&others, 3);
    assert_eq!(receiver.taken().len(), before, "it is stopped");
    server.process.signal(Signal::CONT);
    await_more(&receiver, 2);

    let alerts = server.http.get("/v1/alerts");
    let is_one = |a: &Value| a["class_uid"] != 2004 || a.to_string().contains("agent.heartbeat");
    assert!(!alerts.as_array().unwrap().iter().any(is_one), "{alerts:#}");
    eventually("alerts alone to be counted", seconds(10), || {
        let (_, metrics) = server.http.ask("GET", "/metrics", None)?;
        let alerts = receiver.taken().iter().filter(|taken| taken["class_uid"] == 2004).count();
        let count = format!("ethogram_alerts_delivered_total{{sink=\"webhook.siem\"}} {alerts}");
        metrics.as_str().unwrap().lines().any(|line| line == count).then_some(())
    });
}

#[test]
fn a_webhook_gets_none_where_they_are_off() {
    let (port, quiet) = (free_port(), free_port());
    let (receiver, none) = (Receiver::listen(port), Receiver::listen(quiet));
    let receivers = format!(
        "[alerts.webhook.a]\nurl = \"http://127.0.0.1:{port}/\"\nheartbeat = \"1s\"\n\
         [alerts.webhook.b]\nurl = \"http://127.0.0.1:{quiet}/\"\n"
    );
    let alerts = "heartbeat = \"off\"";
    let _server = Server::start(&Settings { alerts, receivers, ..Settings::default() });
    await_more(&receiver, 3);
    let heartbeats = none.taken().iter().filter(|taken| taken["class_uid"] == 6002).count();
    assert_eq!(heartbeats, 0);
}

#[test]
fn an_alertmanager_has_an_alert_for_as_long_as_the_agent_runs() {
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let _alertmanager = alertmanager(folder.path(), port);
    let url = format!("http://127.0.0.1:{port}");
    let server = start(format!("[alerts.alertmanager.local]\nurl = {url:?}\nheartbeat = \"1s\"\n"));
    let is_one = |alert: &Value| alert["labels"]["alertname"] == "agent.heartbeat";
    let heartbeat = || active(&url)?.into_iter().find(is_one);
    let first = eventually("the alert", seconds(30), heartbeat);
    assert_eq!(first["labels"]["instance"], *rustix::system::uname().nodename().to_string_lossy());
    let ends: String = first["endsAt"].as_str().unwrap().into();
    eventually("it to be renewed", seconds(30), || heartbeat().filter(|alert| alert["endsAt"].as_str() > Some(&ends)));
    server.process.signal(Signal::KILL);
    eventually("it to be resolved", seconds(30), || (!active(&url)?.iter().any(is_one)).then_some(()));
}
