//! Container runtimes that are not there, talk nonsense, hang or come back.

use std::{
    io::Write,
    os::unix::net::UnixListener,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::support::{Container, Daemon, Events, Proxy, Server, Settings, eventually, mark, seconds};

/// A server whose Docker is that socket.
fn server_on(socket: &Path) -> Server {
    Server::start(&Settings { docker_socket: socket.to_owned(), ..Settings::default() })
}

/// The container is known by its id alone, and its events are collected.
fn expect_anonymous(server: &Server, container: &Container) {
    let id = container.id();
    eventually("the container to be known by its cgroup", seconds(10), || {
        let all = server.http.get("/v1/containers");
        all.as_array().unwrap().iter().find(|c| c["id"] == id.as_str()).cloned()
    });
    let delivered = || {
        let trackers = server.http.get("/v1/trackers");
        let process = trackers.as_array().unwrap().iter().find(|t| t["name"] == "process").cloned().unwrap();
        process["counters"]["delivered"].as_u64().unwrap()
    };
    let before = delivered();
    eventually("its events", seconds(10), || {
        container.exec(&["true"]);
        (delivered() > before).then_some(())
    });
}

#[test]
fn one_that_is_absent() {
    let container = Container::idle("alone");
    let folder = tempfile::tempdir().unwrap();
    expect_anonymous(&server_on(&folder.path().join("absent.sock")), &container);
}

#[test]
fn one_that_talks_nonsense() {
    let container = Container::idle("nonsense");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("nonsense.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.write_all(b"\x00\xffHTTP/9.9 hello\r\n\r\n[{\"Id\": 7, \x1b[31m");
        }
    });
    let server = server_on(&socket);
    expect_anonymous(&server, &container);
    let message = eventually("a message that names the socket", seconds(15), || {
        server.process.stderr().into_iter().find(|l| l.contains("nonsense.sock"))
    });
    assert!(!message.contains("\u{1b}[31m"), "what it said is escaped: {message:?}");
}

#[test]
fn one_that_hangs() {
    let container = Container::idle("hang");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("hang.sock");
    // It never accepts: connections are made, and stay without an answer.
    let _listener = UnixListener::bind(&socket).unwrap();
    let begin = Instant::now();
    let server = server_on(&socket);
    assert!(begin.elapsed() < seconds(10), "a runtime that hangs does not hold up the start");
    expect_anonymous(&server, &container);
    eventually("a message that names the socket", seconds(30), || {
        server.process.stderr().into_iter().find(|l| l.contains("hang.sock"))
    });
}

#[test]
fn one_that_comes_later() {
    let container = Container::idle("proxied");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let server = server_on(&socket);
    expect_anonymous(&server, &container);
    std::os::unix::fs::symlink("/var/run/docker.sock", &socket).unwrap();
    eventually("its name, from the runtime that has come", Duration::from_secs(60), || {
        let all = server.http.get("/v1/containers");
        all.as_array().unwrap().iter().find(|c| c["name"] == container.name.as_str()).cloned()
    });
}

#[test]
fn one_that_is_restarted_around_its_containers() {
    let (kept_mark, later_mark) = (mark("kept"), mark("later"));
    let mut daemon = Daemon::start();
    let kept = daemon.run_ticking("eg-kept", &kept_mark);
    let server = Server::start(&Settings { docker_socket: daemon.socket(), host: true, ..Settings::default() });
    server.await_container("eg-kept");
    let events = Events::of(&server);
    let expect = |event: &Value, id: &str, name: &str| {
        assert_eq!(event["container"]["id"], id, "{event}");
        assert_eq!(event["container"]["name"], name, "{event}");
    };
    expect(&events.next(&kept_mark), &kept, "eg-kept");
    daemon.stop();
    expect(&events.after(&kept_mark), &kept, "eg-kept");
    daemon.resume();
    expect(&events.after(&kept_mark), &kept, "eg-kept");
    let later = daemon.run_ticking("eg-later", &later_mark);
    let first = eventually("its first program", seconds(10), || events.execs(&later_mark).into_iter().next());
    expect(&first, &later, "eg-later");
    events.expect_none_on_host();
    let all = server.http.get("/v1/containers");
    let same = all.as_array().unwrap().iter().filter(|c| c["id"] == kept.as_str()).count();
    assert_eq!(same, 1, "it was the same one all the time: {all}");
}

#[test]
fn one_whose_socket_goes_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    let proxy = Proxy::start(&socket, "/var/run/docker.sock");
    let before = Container::idle("before");
    let server = Server::start(&Settings { docker_socket: socket.clone(), host: true, ..Settings::default() });
    server.await_container(&before.name);
    let events = Events::of(&server);
    events.expect_exec_in(&before);

    drop(proxy);
    events.expect_exec_in(&before);
    let meanwhile = Container::idle("meanwhile");
    expect_anonymous(&server, &meanwhile);
    let all = server.http.get("/v1/containers");
    assert!(!all.to_string().contains(&meanwhile.name), "no runtime was there to name it: {all}");

    let _proxy = Proxy::start(&socket, "/var/run/docker.sock");
    eventually("the name of what came meanwhile", seconds(60), || {
        let all = server.http.get("/v1/containers");
        all.as_array().unwrap().iter().find(|c| c["name"] == meanwhile.name.as_str()).cloned()
    });
    let after = Container::idle("after");
    server.await_container(&after.name);
    for container in [&before, &meanwhile, &after] {
        events.expect_exec_in(container);
    }
    events.expect_none_on_host();
}

#[test]
fn pauses_and_nested_commands_belong_to_the_container() {
    let container = Container::idle("paused");
    let server = server_on(Path::new("/var/run/docker.sock"));
    let known = server.await_container(&container.name);
    assert_eq!(known["id"], container.id());
    assert_eq!(known["runtime"], "docker");
    container.pause();
    container.unpause();
    server.await_container(&container.name);
    let name = container.name.clone();
    drop(container);
    eventually("the container to be gone", seconds(10), || {
        let all = server.http.get("/v1/containers");
        (!all.as_array().unwrap().iter().any(|c| c["name"] == name.as_str())).then_some(())
    });
}
