//! Containers of containerd's own clients and of Podman.

use std::{path::Path, process::id};

use serde_json::Value;

use super::support::{
    Cgroup, CleanUp, Events, Process, Server, Settings, eventually, expect_nowhere, is_installed, mark, run,
    save_image, seconds, ticking,
};

/// The test's image, as containerd has it.
const FULL_IMAGE: &str = "docker.io/library/ethogram-test:1";
/// Where a containerd may listen: its own socket, or that of Docker's.
const CONTAINERD: [&str; 2] = ["/run/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock"];

fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// The image in a namespace of containerd, and containers of it, all of them removed when it is dropped.
struct Namespace {
    name: &'static str,
    socket: &'static str,
    clean_up: CleanUp,
}

impl Namespace {
    fn new(socket: &'static str, name: &'static str) -> Self {
        let mut namespace = Self { name, socket, clean_up: CleanUp::default() };
        let there = run(&["ctr", "--address", socket, "namespaces", "list", "--quiet"]);
        if !there.lines().any(|line| line == name) {
            // The runtime leaves the namespace's empty cgroup behind in every hierarchy.
            let remove = format!("rmdir /sys/fs/cgroup/{name} /sys/fs/cgroup/*/{name}");
            namespace.clean_up.with(&["sh", "-c", &remove]);
            namespace.clean_up.with(&["ctr", "--address", socket, "namespaces", "remove", name]);
        }
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("image.tar");
        save_image(&archive);
        namespace.undo(&["images", "remove", "--sync", FULL_IMAGE]);
        namespace.ctr(&["images", "import", archive.to_str().unwrap()]);
        namespace
    }

    fn line<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        [&["ctr", "--address", self.socket, "--namespace", self.name], rest].concat()
    }

    fn ctr(&self, rest: &[&str]) -> String {
        run(&self.line(rest))
    }

    fn undo(&mut self, rest: &[&str]) {
        let line: Vec<String> = self.line(rest).into_iter().map(str::to_owned).collect();
        self.clean_up.with(&line.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Starts a container there that runs a program again and again. Returns its id.
    fn start(&mut self, word: &str, labels: &[&str], mark: &str) -> String {
        let name = format!("eg-{word}-{}", id());
        self.undo(&["containers", "remove", &name]);
        self.undo(&["tasks", "remove", "--force", &name]);
        let line = ["run", "--detach", "--label", "ethogram.test=1"];
        let command = [FULL_IMAGE, &name, "/bin/sh", "-c", &ticking(mark)];
        self.ctr(&[&line[..], labels, &command].concat());
        name
    }

    fn digest(&self) -> String {
        let images = self.ctr(&["images", "list"]);
        let line = images.lines().find(|line| line.starts_with(FULL_IMAGE)).unwrap();
        line.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap().to_owned()
    }
}

fn expect(event: &Value, id: &str, name: &str, image: &str) {
    assert_eq!(event["container"]["id"], id, "{event}");
    assert_eq!(event["container"]["name"], name, "{event}");
    assert_eq!(event["container"]["image"]["name"], image, "{event}");
}

#[test]
fn containerd_names_containers_of_all_its_namespaces() {
    if !is_installed("ctr") {
        return skip("needs ctr, which comes with containerd");
    }
    let Some(socket) = CONTAINERD.into_iter().find(|socket| Path::new(socket).exists()) else {
        return skip("no containerd listens");
    };
    let (early_mark, late_mark, host_mark) = (mark("early"), mark("late"), mark("outside"));
    let mut default = Namespace::new(socket, "default");
    let early = default.start("early", &[], &early_mark);

    let server = Server::start(&Settings { containerd_socket: socket.into(), host: true, ..Settings::default() });
    let known = server.await_container(&early);
    assert_eq!((&known["id"], &known["runtime"]), (&early.as_str().into(), &"containerd".into()), "{known}");
    assert_eq!(known["image"]["name"], FULL_IMAGE);
    assert_eq!(known["image"]["digest"], default.digest());
    let events = Events::of(&server);
    expect(&events.next(&early_mark), &early, &early, FULL_IMAGE);

    let mut kubernetes = Namespace::new(socket, "k8s.io");
    let labels =
        ["io.kubernetes.pod.name=shop", "io.kubernetes.pod.namespace=prod", "io.kubernetes.container.name=web"];
    let labels = labels.map(|label| ["--label", label]).concat();
    let late = kubernetes.start("late", &labels, &late_mark);
    let first = eventually("its first program", seconds(10), || events.execs(&late_mark).into_iter().next());
    expect(&first, &late, "web", FULL_IMAGE);
    assert_eq!(first["k8s"]["pod"]["name"], "shop", "{first}");
    assert_eq!(first["k8s"]["namespace"]["name"], "prod", "{first}");
    assert_eq!(server.await_container("web")["id"], late);

    // Named as one of containerd's, but it knows of none.
    let nobodys = Cgroup::at_top(&format!("default/eg-nobody-{}", id()));
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &ticking(&host_mark)]);
    let on_host = Process::spawn(shell);
    nobodys.take_in(on_host.pid());
    expect_nowhere(&events.after(&host_mark));
    let all = server.http.get("/v1/containers");
    assert!(!all.to_string().contains("eg-nobody"), "{all}");
    drop(on_host);
}

#[test]
fn podman_names_its_containers() {
    if !is_installed("podman") || !is_installed("runc") {
        return skip("needs podman and runc");
    }
    let mut clean_up = CleanUp::default();
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.tar");
    save_image(&archive);
    // Which name an image without a registry gets depends on Podman's version.
    let loaded = run(&["podman", "load", "--input", archive.to_str().unwrap()]);
    let image = loaded.rsplit(' ').next().unwrap();
    clean_up.with(&["podman", "rmi", "--force", image]);
    let digest = run(&["podman", "image", "inspect", "--format", "sha256:{{.Id}}", image]);
    let mut start = |word: &str, mark: &str| {
        let name = format!("eg-{word}-{}", id());
        clean_up.with(&["podman", "rm", "--force", "--time", "0", &name]);
        let podman = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "--detach"];
        let limits = ["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=10000:10000", "--network", "none"];
        let command = ["--label", "ethogram.test=1", "--name", &name, image, "/bin/sh", "-c", &ticking(mark)];
        let id = run(&[&podman[..], &limits, &command].concat());
        (name, id)
    };
    let (early_mark, late_mark) = (mark("early"), mark("late"));
    let (early, early_id) = start("early", &early_mark);

    let server = Server::start(&Settings { host: true, ..Settings::default() });
    let known = server.await_container(&early);
    assert_eq!((&known["id"], &known["runtime"]), (&early_id.as_str().into(), &"podman".into()), "{known}");
    assert_eq!(known["image"]["name"], image);
    assert_eq!(known["image"]["digest"], digest);
    let events = Events::of(&server);
    expect(&events.next(&early_mark), &early_id, &early, image);

    let (late, late_id) = start("late", &late_mark);
    let first = eventually("its first program", seconds(10), || events.execs(&late_mark).into_iter().next());
    expect(&first, &late_id, &late, image);
    server.await_container(&late);
    events.expect_none_on_host();
}
