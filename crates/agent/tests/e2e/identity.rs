//! Who did it: each event carries the container that caused it, and what is no container's carries none.

use std::process::{Command, id};

use super::support::{
    Cgroup, Container, Events, IMAGE, Process, Server, Settings, eventually, expect_in, expect_nowhere, mark, seconds,
    ticking,
};

/// A server that collects what is outside containers as well: how else to see that it carries none.
fn server() -> Server {
    Server::start(&Settings { host: true, ..Settings::default() })
}

/// A process outside all containers that runs a program again and again.
fn ticking_on_host(mark: &str) -> Process {
    let mut shell = Command::new("sh");
    shell.args(["-c", &ticking(mark)]);
    Process::spawn(shell)
}

#[test]
fn containers_that_were_there_before_are_known() {
    let (first_mark, second_mark, host_mark) = (mark("first"), mark("second"), mark("outside"));
    let first = Container::ticking("first", &first_mark);
    let second = Container::ticking("second", &second_mark);
    let created = Container::create("created", &[], &["sleep", "1"]);
    let _on_host = ticking_on_host(&host_mark);
    let server = server();
    for container in [&first, &second] {
        let known = server.await_container(&container.name);
        assert_eq!(known["id"], container.id());
        assert_eq!(known["runtime"], "docker");
        assert_eq!(known["image"]["name"], IMAGE);
        assert_eq!(known["image"]["digest"], container.digest());
        assert_eq!(known["labels"]["ethogram.test"], "1");
    }
    // One of them by the start of its id, with what runs in it and in no other.
    let shown = server.http.get(&format!("/v1/containers/{}", &first.id()[..12]));
    assert_eq!(shown["name"], first.name.as_str());
    assert!(shown["cgroup"].as_str().unwrap().contains(&first.id()), "{shown}");
    assert_eq!((&shown["frozen"], &shown["processes"][0]["namespace_pid"]), (&false.into(), &1.into()), "{shown}");
    let args = |process: &serde_json::Value| process["args"].to_string();
    let processes = shown["processes"].as_array().unwrap();
    assert!(args(&processes[0]).contains(&first_mark), "{shown}");
    assert!(!processes.iter().any(|process| args(process).contains(&second_mark)), "{shown}");
    let all = server.http.get("/v1/containers");
    assert!(!all.to_string().contains(&created.name), "one that was never started is not there: {all}");

    let events = Events::of(&server);
    expect_in(&events.next(&first_mark), &first);
    expect_in(&events.next(&second_mark), &second);
    expect_nowhere(&events.next(&host_mark));

    created.start();
    server.await_container(&created.name);
}

#[test]
fn a_users_name_is_the_one_that_its_container_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let passwd = folder.path().join("passwd");
    std::fs::write(&passwd, "alice:x:1234:1234::/:/bin/sh\n").unwrap();
    let volume = format!("{}:/etc/passwd:ro", passwd.display());
    let (early_mark, late_mark, nameless_mark, host_mark) =
        (mark("early"), mark("late"), mark("nameless"), mark("host"));
    let as_1234 = |mark: &str, options: &[&str]| {
        let options = [&["--user", "1234"], options].concat();
        let container = Container::create("user", &options, &["sh", "-c", &ticking(mark)]);
        container.start();
        container
    };
    let alice = ["--volume", &volume];
    let _early = as_1234(&early_mark, &alice);
    // The image knows no such user.
    let _nameless = as_1234(&nameless_mark, &[]);
    let _on_host = ticking_on_host(&host_mark);
    let server = server();
    let events = Events::of(&server);
    let _late = as_1234(&late_mark, &alice);
    let user = |mark: &str| events.after(mark)["process"]["user"].clone();
    for mark in [&early_mark, &late_mark] {
        let alice = eventually("alice's name", seconds(10), || Some(user(mark)).filter(|u| u["name"].is_string()));
        assert_eq!((&alice["id"], &alice["name"]), (&1234.into(), &"alice".into()));
    }
    assert_eq!(user(&host_mark)["name"], "root");
    let nameless = user(&nameless_mark);
    assert_eq!((&nameless["id"], &nameless["name"]), (&1234.into(), &serde_json::Value::Null));
}

#[test]
fn a_user_that_is_made_later_has_its_name_then() {
    let mark = mark("later");
    let container = Container::create("later", &["--user", "4242"], &["sh", "-c", &ticking(&mark)]);
    container.start();
    let server = server();
    let events = Events::of(&server);
    let user = || events.after(&mark)["process"]["user"].clone();
    assert_eq!(user()["name"], serde_json::Value::Null);
    // As an entrypoint does that is given a user's number.
    for (line, name) in [("neo:x:4242:4242::/:/bin/sh", "neo"), ("trinity:x:4242:4242::/:/bin/sh", "trinity")] {
        let passwd = format!("/proc/{}/root/etc/passwd", container.pid());
        std::fs::write(passwd, format!("root:x:0:0::/:/bin/sh\n{line}\n")).unwrap();
        eventually("the name that was made", seconds(20), || (user()["name"] == name).then_some(()));
    }
}

#[test]
fn a_nested_cgroup_belongs_to_its_container() {
    let (early_mark, late_mark, host_mark) = (mark("early"), mark("late"), mark("outside"));
    let early = Container::ticking("early", &early_mark);
    let late = Container::ticking("late", &late_mark);
    let on_host = ticking_on_host(&host_mark);
    // This one is there before the server, the others are made while it runs.
    let in_early = Cgroup::below(early.pid(), "sub");
    in_early.take_in(early.pid());

    let server = server();
    server.await_container(&early.name);
    server.await_container(&late.name);
    let events = Events::of(&server);
    expect_in(&events.next(&early_mark), &early);

    let in_late = Cgroup::below(late.pid(), "sub");
    in_late.take_in(late.pid());
    expect_in(&events.after(&late_mark), &late);
    let deeper = Cgroup::below(late.pid(), "deeper");
    deeper.take_in(late.pid());
    expect_in(&events.after(&late_mark), &late);
    events.expect_exec_in(&late);

    // Nested as deep, and named as containers of containerd may be, but no container.
    let nobodys = Cgroup::at_top(&format!("eg-nested-{}/sub", id()));
    nobodys.take_in(on_host.pid());
    expect_nowhere(&events.after(&host_mark));

    // Cgroups go after the processes in them.
    drop((early, late, on_host));
    drop((deeper, in_late, in_early, nobodys));
}

#[test]
fn a_container_stays_itself_through_exec_pause_and_restart() {
    let (before_mark, after_mark) = (mark("before"), mark("after"));
    let before = Container::ticking("before", &before_mark);
    let server = Server::start(&Settings { learning_period: seconds(8), host: true, ..Settings::default() });
    let after = Container::ticking("after", &after_mark);
    let events = Events::of(&server);
    let both = [(&before, &before_mark), (&after, &after_mark)];
    for (container, _) in both {
        server.await_container(&container.name);
        events.expect_exec_in(container);
    }
    server.await_judging(seconds(30));

    for (container, mark) in both {
        container.pause();
        container.unpause();
        expect_in(&events.after(mark), container);
        events.expect_exec_in(container);
    }
    after.restart();
    expect_in(&events.after(&after_mark), &after);
    events.expect_exec_in(&after);
    events.expect_none_on_host();

    // New behaviour raises an alert: so the silence before it was not one of a server that does not judge.
    for (container, _) in both {
        container.exec(&["/bin/uname"]);
    }
    eventually("an alert of each", seconds(10), || (server.alerts().len() >= both.len()).then_some(()));
    for (container, _) in both {
        let alerts = server.alerts();
        let of_it: Vec<_> = alerts.iter().filter(|a| a.container() == container.name).map(|a| &a.json).collect();
        assert_eq!(of_it.len(), 1, "one alert of {}: {of_it:#?}", container.name);
        assert!(of_it[0].to_string().contains("uname"), "{}", of_it[0]);
    }

    // Its start was not watched, but it is the one that the container is configured for: no news.
    before.restart();
    expect_in(&events.after(&before_mark), &before);
    events.expect_exec_in(&before);
    assert_eq!(server.alerts().iter().filter(|a| a.container() == before.name).count(), 1);
    events.expect_none_on_host();
    for (container, _) in both {
        let all = server.http.get("/v1/containers");
        let same = all.as_array().unwrap().iter().filter(|c| c["id"] == container.id()).count();
        assert_eq!(same, 1, "a restarted one has a new cgroup, and is still one container: {all}");
    }
}
