//! What keeps the agent from seeing all is an alert.

use std::{thread, time::Duration};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Container, Server, Settings, eventually, seconds};

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
    // What else this machine does may fill the kernel's buffers meanwhile.
    let tampered = || -> Vec<Value> {
        let all = of_agent(&server);
        all.into_iter().filter(|a| a["finding_info"]["analytic"]["name"] == "agent.tampered").collect()
    };
    // A moment is what a busy machine takes.
    stop_for(&server, seconds(1));
    assert_eq!(tampered(), [] as [Value; 0]);
    stop_for(&server, seconds(5));
    let alerts = eventually("an alert of the agent's", seconds(5), || Some(tampered()).filter(|a| !a.is_empty()));
    let [alert] = &alerts[..] else { panic!("one stop is one alert: {alerts:#?}") };
    assert_eq!(alert["count"], 1, "the short one is none");
    assert!(alert["message"].as_str().unwrap().contains("did not run"), "{alert}");
    let shown = server.ethogram(&["alerts"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("The agent did not run"), "{shown:?}");
}

#[test]
fn who_floods_while_events_are_lost_is_named_and_a_neighbour_is_not() {
    let (flooding, quiet) = (Container::web("flooding"), Container::web("quiet"));
    let server = Server::start(&Settings::default());
    server.await_container(&flooding.name);
    server.await_container(&quiet.name);
    let overwhelmed = || -> Vec<Value> {
        let all = of_agent(&server);
        all.into_iter().filter(|a| a["finding_info"]["analytic"]["name"] == "agent.overwhelmed").collect()
    };
    assert_eq!(overwhelmed(), [] as [Value; 0]);
    server.process.signal(Signal::STOP);
    flooding.sh("n=0; while [ $n -lt 30000 ]; do : > /srv/file-of-a-flood-$n; n=$((n + 1)); done");
    quiet.sh("echo x > /srv/one");
    server.process.signal(Signal::CONT);
    let found = eventually("a loss with a name", seconds(30), || {
        overwhelmed().into_iter().find(|a| a["message"].as_str().unwrap().contains("Concerned: "))
    });
    let (reason, concerned) =
        (found["message"].as_str().unwrap(), &found["evidences"][0]["data"]["events"][0]["concerned"]);
    assert!(reason.contains(&format!("of {} (", flooding.name)) && !reason.contains(&quiet.name), "{reason}");
    assert!(concerned[0].as_str().unwrap().starts_with(&flooding.name), "{concerned}");
}
