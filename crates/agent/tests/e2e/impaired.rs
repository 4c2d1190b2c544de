//! What keeps the agent from seeing all is an alert.

use std::{thread, time::Duration};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Server, Settings, eventually, seconds};

fn of_agent(server: &Server) -> Vec<Value> {
    let all = server.http.get("/v1/alerts");
    all.as_array().unwrap().iter().filter(|a| a["unmapped"]["workload"] == "agent").cloned().collect()
}

/// Stops the server for so long, and waits until it answers again.
fn stop_for(server: &Server, time: Duration) {
    server.process.signal(Signal::STOP);
    thread::sleep(time);
    server.process.signal(Signal::CONT);
    server.http.get("/healthz");
}

#[test]
fn an_agent_that_was_stopped_says_so_when_it_goes_on() {
    let server = Server::start(&Settings::default());
    // A moment is what a busy machine takes.
    stop_for(&server, seconds(1));
    assert_eq!(of_agent(&server), [] as [Value; 0]);
    stop_for(&server, seconds(5));
    let alerts =
        eventually("an alert of the agent's", seconds(5), || Some(of_agent(&server)).filter(|a| !a.is_empty()));
    let [alert] = &alerts[..] else { panic!("one stop is one alert: {alerts:#?}") };
    assert_eq!(alert["count"], 1, "the short one is none");
    assert_eq!(alert["finding_info"]["analytic"]["name"], "agent.tampered");
    assert!(alert["message"].as_str().unwrap().contains("did not run"), "{alert}");
    let shown = server.ethogram(&["alerts"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("The agent did not run"), "{shown:?}");
}
