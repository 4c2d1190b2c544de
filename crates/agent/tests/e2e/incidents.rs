//! Findings of one deed are one incident, and those of another are another.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::Value;

use super::{
    persistence::as_of_now,
    support::{Container, Process, Server, Settings, ethogram, eventually, seconds},
};

fn story(incident: &Value) -> &Value {
    &incident["unmapped"]["incident"]
}

/// The incidents in which something was done to one of these objects, each with its objects.
fn about(server: &Server, container: &Container, objects: &[&str]) -> Vec<(String, BTreeSet<String>)> {
    let all = server.http.get(&format!("/v1/incidents?container={}", container.name));
    let objects_of = |incident: &Value| -> BTreeSet<String> {
        let parts = story(incident)["parts"].as_array().unwrap();
        parts.iter().map(|part| part["what"].as_str().unwrap().to_owned()).collect()
    };
    let found =
        all.as_array().unwrap().iter().map(|one| (story(one)["uid"].as_str().unwrap().to_owned(), objects_of(one)));
    found.filter(|(_, what)| what.iter().any(|w| objects.iter().any(|object| w.contains(object)))).collect()
}

#[test]
fn each_deed_is_one_and_is_told_from_its_beginning() {
    let web = Container::web("deeds");
    let server = Server::start(&Settings { learning_period: seconds(4), shipped_rules: true, ..Settings::default() });
    server.await_container(&web.name);
    web.load(20);
    server.await_judging(seconds(30));
    // Two who do much the same at the same time, and one of them leaves a file.
    web.sh("cat /etc/shadow; cp /bin/busybox /tmp/dropped; cp /bin/busybox /tmp/kept");
    web.sh("id; echo key >/root/.ssh_key; cat /etc/passwd");
    let first = eventually("the first incident", seconds(20), || about(&server, &web, &["/etc/shadow"]).pop());
    let second = eventually("the second incident", seconds(20), || about(&server, &web, &["ssh_key"]).pop());
    assert_ne!(first.0, second.0);
    // What runs the file later goes on with what left it there.
    web.exec(&["/tmp/dropped", "id"]);
    let is_linked = |one: &&Value| story(one)["links"].as_array().unwrap().iter().any(|link| link["kind"] == "file");
    let incident = eventually("the file to be run", seconds(20), || {
        let all = server.http.get(&format!("/v1/incidents?container={}", web.name));
        all.as_array().unwrap().iter().find(is_linked).cloned()
    });
    let later = story(&incident)["uid"].as_str().unwrap().to_owned();
    assert_eq!((&later, &incident["class_uid"]), (&first.0, &2005.into()), "{incident:#}");
    assert!(incident["severity_id"].as_u64().unwrap() >= 4, "{incident:#}");

    // As a person sees it.
    let shown =
        ethogram(["incidents", "show", later.as_str()]).arg("--socket").arg(&server.http.socket).output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && text.lines().count() <= 40, "{text}");
    let (begin, way) = (text.find("/etc/shadow").unwrap(), text.find("which it wrote before: /tmp/dropped").unwrap());
    assert!(begin < way && text.contains("!!!"), "{text}");
    let listed = ethogram(["incidents", "--open"]).arg("--socket").arg(&server.http.socket).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&later[..8]) && listed.contains(&second.0[..8]), "{listed}");

    // It is normal, says a person: the same deed again is none.
    let accept = ethogram(["incidents", "accept", second.0.as_str(), "--for", "30d", "--reason", "a drill"]);
    let accept = { accept }.arg("--socket").arg(&server.http.socket).output().unwrap();
    assert!(accept.status.success(), "{}", String::from_utf8_lossy(&accept.stderr));
    let accepted = server.http.get("/v1/accepted");
    let objects: Vec<&str> = accepted.as_array().unwrap().iter().filter_map(|one| one["object"].as_str()).collect();
    assert!(objects.contains(&"/root/.ssh_key") && !objects.contains(&"/etc/shadow"), "{objects:?}");

    // It outlives the server, and is open again: what it left goes on with it, and what somebody else does is no part of it.
    let is_stored = || as_of_now(&server).trails.contains_key(&later).then_some(());
    eventually("what it did in the store", seconds(10), is_stored);
    let mut server = server.kill_and_record();
    let mut follow = ethogram(["incidents", "--follow", "-o", "json"]);
    follow.arg("--socket").arg(&server.http.socket);
    let follow = Process::spawn(follow);
    assert_ne!(server.http.get(&format!("/v1/incidents/{later}"))["activity_name"], "Close");
    server.await_container(&web.name);
    web.exec(&["/tmp/kept", "id"]);
    web.sh("echo key >/root/.other_key; cat /etc/group");
    let other = eventually("the neighbour", seconds(20), || about(&server, &web, &["other_key"]).pop());
    assert!(other.0 != later && other.0 != second.0, "{other:?}");
    let kept = eventually("what was kept to be run", seconds(20), || about(&server, &web, &["/tmp/kept"]).pop());
    assert_eq!(kept.0, later);

    // A recording that begins with it gives the same again, to the byte.
    let followed = || -> String { follow.stdout().into_iter().map(|(_, line)| line + "\n").collect() };
    eventually("the neighbour to be followed", seconds(10), || followed().contains(&other.0).then_some(()));
    server.process.signal(Signal::TERM);
    assert!(server.process.wait(seconds(20)).success());
    let replay = ethogram(["replay", "-o", "incidents", server.recording().to_str().unwrap()]).output().unwrap();
    let replayed = String::from_utf8(replay.stdout).unwrap();
    assert!(replayed.contains(&later) && replayed.contains(&other.0), "{replayed}");
    // Who begins to follow is shown first what is open.
    assert!(followed().ends_with(&replayed), "{}\nreplayed:\n{replayed}", followed());
}
