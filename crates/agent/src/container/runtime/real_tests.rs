//! Against the runtimes of this machine. Each test is skipped, with its reason, where its runtime is not there.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use ethogram_engine::containers::{
    runtime::{Ask, Resolution, ResolveRequest},
    table::{ContainerTable, Lookup},
};
use tokio::sync::mpsc;

use super::*;
use crate::{
    config::RuntimeSettings,
    container::{hierarchy::Hierarchy, membership::Membership, resolver},
};

/// Where containerd listens that nothing but these tests need have started: its own socket, or Docker's.
const CONTAINERD_SOCKETS: [&str; 2] = ["/run/containerd/containerd.sock", "/var/run/docker/containerd/containerd.sock"];

/// A command line to remove what a test made, run however the test ends.
struct CleanUp(Vec<Vec<String>>);

impl CleanUp {
    fn after(&mut self, line: &[&str]) {
        self.0.push(line.iter().map(|s| (*s).to_owned()).collect());
    }
}

impl Drop for CleanUp {
    fn drop(&mut self) {
        for line in self.0.iter().rev() {
            let _ = Command::new(&line[0]).args(&line[1..]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

fn run(line: &[&str]) -> String {
    let out = Command::new(line[0]).args(&line[1..]).output().unwrap();
    assert!(out.status.success(), "{}: {}", line.join(" "), String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// Why a test that needs these programs cannot run here.
fn missing(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("needs root".into());
    }
    if !Path::new("/bin/busybox").exists() {
        return Some("needs /bin/busybox".into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let absent = programs.iter().find(|p| !std::env::split_paths(&path).any(|dir| dir.join(p).exists()))?;
    Some(format!("needs {absent}"))
}

/// An archive of a root file system that has nothing but busybox, and a user.
fn root_archive(directory: &Path) -> PathBuf {
    let archive = directory.join("root.tar");
    fs::create_dir(directory.join("etc")).unwrap();
    fs::write(directory.join("etc/passwd"), "alice:x:1234:1234::/:/bin/sh\n").unwrap();
    run(&["tar", "-C", "/", "-cf", archive.to_str().unwrap(), "bin/busybox"]);
    run(&["tar", "-C", directory.to_str().unwrap(), "-rf", archive.to_str().unwrap(), "etc/passwd"]);
    archive
}

/// A name of its own for each test run.
fn unique(what: &str) -> String {
    format!("ethogram-test-{what}-{}", std::process::id())
}

/// The cgroups there are now, in a table, as the engine would have it.
fn walked() -> (ContainerTable, Hierarchy) {
    let hierarchy = Hierarchy::detect().unwrap();
    let mut table = ContainerTable::default();
    table.on_walk(&hierarchy.walk().unwrap(), 0, 0);
    (table, hierarchy)
}

fn membership(pid: &str) -> Membership {
    if pid == "self" { Membership::own() } else { Membership::of_pid(pid.parse().unwrap()) }.unwrap()
}

/// The path of the cgroup of that process.
fn cgroup_path(pid: &str, hierarchy: &Hierarchy) -> String {
    membership(pid).path_in(hierarchy).unwrap().to_owned()
}

/// The id of that cgroup.
fn cgroup_of(pid: &str, hierarchy: &Hierarchy) -> u64 {
    membership(pid).id_in(hierarchy).unwrap()
}

/// Has the resolver resolve every container and candidate for the table until that process's is named, and its users.
async fn named(table: &mut ContainerTable, settings: &RuntimeSettings, ask_for: &ResolveRequest, pid: &str) {
    let (ask, asks) = mpsc::channel(8);
    let (sender, mut resolutions) = mpsc::channel(8);
    let runtimes = Arc::new(Runtimes::new(settings));
    let hierarchy = Hierarchy::detect().unwrap();
    let (cgroup_id, cgroup) = (cgroup_of(pid, &hierarchy), cgroup_path(pid, &hierarchy));
    tokio::spawn(resolver::run(runtimes, asks, hierarchy, move |resolution: Resolution| {
        sender.try_send(resolution).is_ok()
    }));
    ask.send(Ask::Resolve(ResolveRequest { cgroup, ..ask_for.clone() })).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !matches!(table.lookup(cgroup_id), Lookup::Container(c) if c.is_resolved() && c.users.is_some()) {
        let left = deadline.saturating_duration_since(Instant::now());
        let resolution = tokio::time::timeout(left, resolutions.recv()).await.unwrap().unwrap();
        table.on_resolution(resolution);
    }
}

/// What these tests mount.
fn bind(mode: &str, propagation: &str) -> Mount {
    Mount {
        source: "/proc/sys".into(),
        destination: "/data".into(),
        mode: mode.into(),
        writable: false,
        propagation: propagation.into(),
    }
}

fn now_ns() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64
}

fn request(id: &str, hint: Runtime, candidate_in: Option<&str>) -> ResolveRequest {
    let (candidate_in, cgroup) = (candidate_in.map(str::to_owned), String::new());
    ResolveRequest { id: id.into(), hint, candidate_in, cgroup, share: None }
}

fn found(table: &mut ContainerTable, cgroup_id: u64) -> Arc<Container> {
    match table.lookup(cgroup_id) {
        Lookup::Container(container) => container,
        other => panic!("{cgroup_id} is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_tells_of_a_running_container() {
    let settings = RuntimeSettings::default();
    if let Some(reason) = missing(&["docker", "tar"]) {
        return skip(&reason);
    }
    if !settings.docker_socket.exists() {
        return skip("Docker does not run");
    }
    let directory = tempfile::tempdir().unwrap();
    let (name, image) = (unique("docker"), format!("{}:1", unique("docker")));
    let mut clean_up = CleanUp(Vec::new());
    let digest = run(&["docker", "import", root_archive(directory.path()).to_str().unwrap(), &image]);
    clean_up.after(&["docker", "rmi", "-f", &image]);
    let mut line = vec!["docker", "run", "-d", "--name", &name, "--label", "ethogram.test=1", "--network", "none"];
    line.extend(["-v", "/proc/sys:/data:ro", "--entrypoint", "/bin/busybox", &image, "sleep", "600"]);
    clean_up.after(&["docker", "rm", "-f", &name]);
    let before = now_ns();
    let id = run(&line);
    let pid = run(&["docker", "inspect", "-f", "{{.State.Pid}}", &name]);

    let (mut table, hierarchy) = walked();
    let cgroup_id = cgroup_of(&pid, &hierarchy);
    assert_eq!(found(&mut table, cgroup_id).id, id, "before any runtime was asked");
    named(&mut table, &settings, &request(&id, Runtime::Docker, None), &pid).await;
    let container = found(&mut table, cgroup_id);
    assert_eq!((container.name.as_deref(), container.cgroup_id), (Some(name.as_str()), cgroup_id));
    assert_eq!(container.image, Some(Image { name: image.clone(), digest }));
    assert_eq!(container.command, ["/bin/busybox", "sleep", "600"]);
    assert_eq!(container.labels["ethogram.test"], "1");
    assert_eq!(container.privileged, Some(false));
    assert_eq!(container.mounts, [bind("ro", "rprivate")]);
    assert_eq!(container.users.as_ref().unwrap().users, BTreeMap::from([(1234, "alice".into())]));
    assert!(container.started_ns > Some(before) && container.started_ns < Some(now_ns()));
    let own = table.lookup(cgroup_of("self", &hierarchy));
    assert!(!matches!(own, Lookup::Container(c) if c.id == id), "this test does not run in it");

    let runtimes = Runtimes::new(&settings);
    assert_eq!(runtimes.find(&name).await.unwrap().id, id);
    assert_eq!(runtimes.find(&id[..12]).await.unwrap().name, name);
    let message = runtimes.find(&name[..name.len() - 1]).await.unwrap_err().to_string();
    assert!(message.contains(&name), "{message}");

    // Its events report a container that is created and not started yet.
    let docker = runtimes.docker().unwrap();
    let mut events = docker.events().await.unwrap();
    let second = unique("docker-created");
    clean_up.after(&["docker", "rm", "-f", &second]);
    let created = run(&["docker", "create", "--name", &second, "--label", "ethogram.test=1", &image, "/bin/busybox"]);
    let seen = async { while events.next().await.unwrap().unwrap() != created {} };
    tokio::time::timeout(Duration::from_secs(10), seen).await.unwrap();
    assert_eq!(docker.inspect(&created).await.unwrap().unwrap().name, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn containerd_tells_of_a_container_with_a_free_name() {
    if let Some(reason) = missing(&["ctr", "docker", "tar"]) {
        return skip(&reason);
    }
    let Some(socket) = CONTAINERD_SOCKETS.into_iter().find(|s| Path::new(s).exists()) else {
        return skip("containerd does not run");
    };
    let settings = RuntimeSettings { containerd_socket: socket.into(), ..RuntimeSettings::default() };
    let directory = tempfile::tempdir().unwrap();
    let (name, image) = (unique("containerd"), format!("{}:1", unique("containerd")));
    let mut clean_up = CleanUp(Vec::new());
    // Docker turns the archive into an image.
    run(&["docker", "import", root_archive(directory.path()).to_str().unwrap(), &image]);
    clean_up.after(&["docker", "rmi", "-f", &image]);
    let saved = directory.path().join("image.tar");
    run(&["docker", "save", &image, "-o", saved.to_str().unwrap()]);
    let namespace = "ethogram-test";
    let ctr = ["ctr", "-a", socket, "-n", namespace];
    let with = |rest: &[&'static str]| [&ctr[..], rest].concat();
    // The runtime leaves the namespace's empty cgroup behind in every hierarchy.
    clean_up.after(&["sh", "-c", &format!("rmdir /sys/fs/cgroup/{namespace} /sys/fs/cgroup/*/{namespace}")]);
    clean_up.after(&["ctr", "-a", socket, "namespace", "rm", namespace]);
    run(&[&with(&["image", "import"])[..], &[saved.to_str().unwrap()]].concat());
    let full_image = format!("docker.io/library/{image}");
    clean_up.after(&[&with(&["image", "rm", "--sync"])[..], &[&full_image]].concat());
    let labels = ["--label", "io.kubernetes.pod.name=p", "--label", "io.kubernetes.pod.namespace=n"];
    clean_up.after(&[&with(&["container", "rm"])[..], &[&name]].concat());
    clean_up.after(&[&with(&["task", "rm", "-f"])[..], &[&name]].concat());
    let mount = ["--privileged", "--mount", "type=bind,src=/proc/sys,dst=/data,options=rbind:ro"];
    let command = [full_image.as_str(), &name, "/bin/busybox", "sleep", "600"];
    run(&[&with(&["run", "-d", "--label", "ethogram.test=1"])[..], &labels, &mount, &command].concat());
    let tasks = run(&with(&["task", "ls"]));
    let pid = tasks.lines().find(|l| l.contains(&name)).unwrap().split_whitespace().nth(1).unwrap();

    let (mut table, hierarchy) = walked();
    let cgroup_id = cgroup_of(pid, &hierarchy);
    assert_eq!(table.lookup(cgroup_id), Lookup::Unknown, "a candidate");
    named(&mut table, &settings, &request(&name, Runtime::Containerd, Some(namespace)), pid).await;
    let container = found(&mut table, cgroup_id);
    assert_eq!((container.id.as_str(), container.name.as_deref()), (name.as_str(), Some("p")));
    assert_eq!(container.command, ["/bin/busybox", "sleep", "600"]);
    assert_eq!(container.labels["ethogram.test"], "1");
    assert_eq!(container.pod, Some(Pod { name: "p".into(), namespace: "n".into() }));
    assert_eq!((container.privileged, &container.mounts[..]), (Some(true), &[bind("rbind,ro", "")][..]));
    assert_eq!(container.users.as_ref().unwrap().users, BTreeMap::from([(1234, "alice".into())]));
    let digest = container.image.clone().unwrap().digest;
    assert!(run(&with(&["image", "ls"])).lines().any(|l| l.contains(&full_image) && l.contains(&digest)), "{digest}");

    let runtimes = Runtimes::new(&settings);
    assert_eq!(runtimes.find(&name).await.unwrap().namespace.as_deref(), Some(namespace));
    let elsewhere = request(&name, Runtime::Containerd, Some("default"));
    assert!(matches!(runtimes.ask(&elsewhere).await, Answer::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn podmans_files_tell_of_a_running_container() {
    if let Some(reason) = missing(&["podman", "runc", "tar"]) {
        return skip(&reason);
    }
    let directory = tempfile::tempdir().unwrap();
    let (name, image) = (unique("podman"), format!("localhost/{}:1", unique("podman")));
    let mut clean_up = CleanUp(Vec::new());
    let digest = run(&["podman", "import", root_archive(directory.path()).to_str().unwrap(), &image]);
    clean_up.after(&["podman", "rmi", "-f", &image]);
    clean_up.after(&["podman", "rm", "-f", "-t", "0", &name]);
    let mut line = vec!["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "-d", "--name", &name];
    line.extend(["--ulimit", "nofile=20000:20000", "--ulimit", "nproc=10000:10000", "--network", "none"]);
    line.extend(["-v", "/proc/sys:/data:ro", "--label", "ethogram.test=1", &image, "/bin/busybox", "sleep", "600"]);
    let id = run(&line);
    let pid = run(&["podman", "inspect", "-f", "{{.State.Pid}}", &name]);

    let (mut table, hierarchy) = walked();
    let cgroup_id = cgroup_of(&pid, &hierarchy);
    assert_eq!(found(&mut table, cgroup_id).id, id, "before any runtime was asked");
    let settings = RuntimeSettings::default();
    named(&mut table, &settings, &request(&id, Runtime::Podman, None), &pid).await;
    let container = found(&mut table, cgroup_id);
    assert_eq!((container.runtime.as_str(), container.name.as_deref()), ("podman", Some(name.as_str())));
    assert_eq!(container.image, Some(Image { name: image.clone(), digest }));
    assert_eq!(container.command, ["/bin/busybox", "sleep", "600"]);
    assert_eq!(container.privileged, Some(false));
    assert!(container.mounts.contains(&bind("ro,rprivate,rbind", "rprivate")), "{:?}", container.mounts);
    assert_eq!(container.users.as_ref().unwrap().users, BTreeMap::from([(1234, "alice".into())]));
    assert_eq!(Runtimes::new(&settings).find(&name).await.unwrap().id, id);
}
