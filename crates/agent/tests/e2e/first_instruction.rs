//! Policies that hold from a container's first instruction on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::support::{Container, Server, Settings, eventually, seconds};

/// A folder with a program, at the same place on the host and in containers.
struct Programs(TempDir);

impl Programs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::copy("/bin/busybox", folder.path().join("sh")).unwrap();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn program(&self) -> PathBuf {
        self.path().join("sh")
    }

    /// Makes a container whose first program is from here.
    fn container(&self, word: &str) -> Container {
        let (folder, program) = (self.path().display(), self.program().display().to_string());
        Container::create(word, &["--volume", &format!("{folder}:{folder}:ro")], &[&program, "-c", "echo ran"])
    }

    /// One that does something else, and in which programs from here can be run.
    fn idle(&self, word: &str) -> Container {
        let folder = self.path().display();
        let container = Container::create(word, &["--volume", &format!("{folder}:{folder}:ro")], &["sleep", "100000"]);
        container.start();
        container
    }

    fn policy(&self, more: &str) -> String {
        let folder = self.path().display();
        format!(
            "[[response.policy]]\nname = '{folder}'\noperation = 'exec'\npath = '{folder}/*'\ndo = 'kill'\n{more}\n"
        )
    }

    /// Whether the program runs in a container that runs already.
    fn runs_in(&self, container: &Container) -> bool {
        container.exec(&[self.program().to_str().unwrap(), "-c", "exit 7"]).status.code() == Some(7)
    }
}

/// Starts a container: how its first program ended, and whether it did anything.
fn start(container: &Container) -> (Option<i32>, bool) {
    let mut docker = Command::new("docker");
    docker.args(["start", "--attach", &container.name]).stdin(Stdio::null());
    let output = docker.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).contains("ran"))
}

const RAN: (Option<i32>, bool) = (Some(0), true);
const KILLED: (Option<i32>, bool) = (Some(137), false);

#[test]
fn what_fails_closed_kills_the_first_program_of_a_container_and_no_other() {
    let (closed, open) = (Programs::new(), Programs::new());
    let config = format!(
        "mode = 'enforce'\n{}{}",
        closed.policy("container = 'eg-meant*'\nfail_closed = true"),
        open.policy("container = 'eg-meant*'")
    );
    let server = Server::start(&Settings { response: config, ..Settings::default() });
    assert_eq!(server.http.get("/v1/policies")[0]["state"], "enforced");
    for _ in 0..3 {
        assert_eq!(start(&closed.container("meant")), KILLED);
    }
    assert_eq!(start(&open.container("neighbour")), RAN, "another container, which is not known yet");
    let on_host = Command::new(closed.program()).args(["-c", "exit 7"]).status().unwrap();
    assert_eq!(on_host.code(), Some(7), "a process of the host");

    // The exact set takes its place.
    let (meant, neighbour) = (open.idle("meant"), closed.idle("known"));
    [&meant, &neighbour].iter().for_each(|c| _ = server.await_container(&c.name));
    eventually("the neighbour to be known", seconds(10), || closed.runs_in(&neighbour).then_some(()));
    eventually("the policy to hold", seconds(10), || (!open.runs_in(&meant)).then_some(()));
    assert!(closed.runs_in(&neighbour), "its neighbour stays known");

    drop(server);
    assert_eq!(start(&closed.container("meant")), RAN, "policies end with the agent");
}

#[test]
fn what_needs_no_name_holds_as_soon_as_the_cgroup_is_there() {
    let (forbidden, other) = (Programs::new(), Programs::new());
    let config = format!("mode = 'enforce'\n{}{}", forbidden.policy(""), other.policy("container = 'eg-nobody'"));
    let server = Server::start(&Settings { response: config, ..Settings::default() });
    // The agent hears of the cgroup while its runtime prepares it, and mostly comes first.
    eventually("the first program to be killed", seconds(60), || {
        (start(&forbidden.container("early")) == KILLED).then_some(())
    });
    assert_eq!(start(&other.container("early-other")), RAN, "another path");
    drop(server);
    assert_eq!(start(&forbidden.container("early")), RAN, "policies end with the agent");
}

#[test]
fn mounts_that_are_denied_from_the_start_keep_no_container_from_starting() {
    let config = "mode = 'enforce'\n[[response.policy]]\nname = 'no mounts'\noperation = 'mount'\ndo = 'deny'\n\
                  fail_closed = true";
    let server = Server::start(&Settings { response: config.into(), ..Settings::default() });
    let status = server.http.get("/v1/policies");
    if status[0]["state"] != "enforced" {
        return eprintln!("skipped, as this kernel cannot: {}", status[0]["reason"]);
    }
    let container = Container::create("starts", &["--privileged"], &["sh", "-c", "echo ran"]);
    assert_eq!(start(&container), RAN);
}
