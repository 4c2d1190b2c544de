//! What a service does all day is counted in the kernel, and what it never did is still reported.

use std::{fs, time::Duration};

use serde_json::Value;

use super::support::{Container, Server, Settings, eventually, seconds};

const LEARNING: Duration = seconds(12);
const PATIENCE: Duration = seconds(30);
/// A service that writes its log, reads a key, and does what it is told by a file.
const SERVICE: &str = "echo k > /srv/server.key; echo run > /srv/order; \
                       while :; do echo x >> /srv/log; read k < /srv/server.key; read order < /srv/order; \
                       [ $order = misbehave ] && echo x >> /srv/new; /bin/usleep 50000; done";

fn counter(server: &Server, tracker: &str, which: &str) -> u64 {
    let all = server.http.get("/v1/trackers");
    let tracker = all.as_array().unwrap().iter().find(|t| t["name"] == tracker).unwrap();
    tracker["counters"][which].as_u64().unwrap()
}

fn alert(server: &Server, operation: &str, object: &str) -> Option<Value> {
    server.stored_alerts().into_iter().find(|a| {
        let behaviour = &a["unmapped"]["behaviour"];
        behaviour["operation"] == operation && behaviour["object"].as_str().is_some_and(|o| o.contains(object))
    })
}

fn await_alert(server: &Server, operation: &str, object: &str, what: &str) {
    eventually(what, PATIENCE, || alert(server, operation, object));
}

/// How often the profile has seen the log written.
fn written(server: &Server) -> u64 {
    let profiles = server.profiles();
    let mut look: Vec<Value> =
        profiles.iter().map(|p| server.http.get(&format!("/v1/profiles/{}", p["id"].as_str().unwrap()))).collect();
    let mut count = 0;
    while let Some(value) = look.pop() {
        match value {
            Value::Array(all) => look.extend(all),
            Value::Object(all) if all.values().any(|v| v == "/srv/log") => {
                count += all.get("count").and_then(Value::as_u64).unwrap_or(0);
            }
            Value::Object(all) => look.extend(all.into_iter().map(|(_, v)| v)),
            _ => {}
        }
    }
    count
}

/// Waits until the kernel counts more than it sends, as long as nobody is there but the service.
fn await_habits(server: &Server) {
    let now = || (counter(server, "open", "aggregated"), counter(server, "open", "delivered"));
    let mut before = now();
    eventually("the service's habits to be counted in the kernel", seconds(60), || {
        let after = now();
        let (counted, delivered) = (after.0 - before.0, after.1 - before.1);
        if counted + delivered < 50 {
            return None;
        }
        before = after;
        (delivered < counted / 5).then_some(())
    });
}

#[test]
fn what_a_service_does_all_day_is_counted_in_the_kernel_and_what_it_never_did_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rule = |path: &str| {
        format!(
            "- rule: Log written\n  desc: A log was written.\n  condition: >\n    evt.type = open and fd.name = {path}\n    \
             and container.id != host\n  output: \"%fd.name\"\n  priority: WARNING\n"
        )
    };
    fs::write(folder.path().join("rules.yaml"), rule("/srv/nothing")).unwrap();
    let rules = vec![folder.path().into()];
    let server = Server::start(&Settings { learning_period: LEARNING, rules, ..Settings::default() });
    let service = Container::run("habits", &["sh", "-c", SERVICE]);
    server.await_container(&service.name);
    server.await_judging(LEARNING * 4);
    await_habits(&server);
    let before = written(&server);
    eventually("the profile to count what the kernel counts", seconds(60), || {
        (written(&server) > before + 20).then_some(())
    });
    assert!(alert(&server, "write", "/srv").is_none());

    // A program that the service runs all the time, written over.
    service.sh("cp /bin/busybox /tmp/b; mv /tmp/b /bin/usleep");
    await_alert(&server, "execute", "/bin/usleep (written)", "an alert of a program that was written over");
    // The same program on another object.
    service.sh("echo misbehave > /srv/order");
    await_alert(&server, "write", "/srv/new", "an alert of what the service never wrote");
    service.sh("echo run > /srv/order");
    // Another program on the same objects.
    service.exec(&["cp", "/www/index.html", "/srv/server.key"]);
    await_alert(&server, "write", "/srv/server.key", "an alert of who overwrites what is only read");

    // As long as an alert is open, what its process does is sent. Somebody says that it is normal: it is a habit again.
    for alert in server.stored_alerts() {
        let uid = alert["finding_info"]["uid"].as_str().unwrap().to_owned();
        let accepted = server.ethogram(&["alerts", "accept", &uid]);
        assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    }
    await_habits(&server);
    // A rule that tests it has it reported again.
    fs::write(folder.path().join("rules.yaml"), rule("/srv/log")).unwrap();
    eventually("an alert of the rule", PATIENCE, || {
        server.stored_alerts().into_iter().find(|a| a["unmapped"]["rule"]["name"] == "Log written")
    });
}
