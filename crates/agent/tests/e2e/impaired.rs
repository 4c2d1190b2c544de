//! What keeps the agent from seeing all is an alert.

use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Server, Settings, eventually, seconds};

fn of_agent(server: &Server) -> Vec<Value> {
    let all = server.http.get("/v1/alerts");
    all.as_array().unwrap().iter().filter(|a| a["unmapped"]["workload"] == "agent").cloned().collect()
}

#[test]
fn an_agent_that_was_stopped_says_so_when_it_goes_on() {
    let server = Server::start(&Settings::default());
    server.process.signal(Signal::STOP);
    thread::sleep(seconds(1));
    server.process.signal(Signal::CONT);
    server.http.get("/v1/alerts");
    thread::sleep(seconds(2));
    assert_eq!(of_agent(&server), [] as [Value; 0], "a moment is what a busy machine takes");
    server.process.signal(Signal::STOP);
    thread::sleep(seconds(5));
    server.process.signal(Signal::CONT);
    let alert = eventually("an alert of the agent's", seconds(3), || of_agent(&server).pop());
    assert_eq!(alert["finding_info"]["analytic"]["name"], "agent.tampered");
    assert!(alert["message"].as_str().unwrap().contains("did not run"), "{alert}");
    let shown = server.ethogram(&["alerts"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("The agent did not run"), "{shown:?}");
}
