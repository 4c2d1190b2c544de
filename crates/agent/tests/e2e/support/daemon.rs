//! A Docker daemon of a test's own, which can be restarted without the others' noticing.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{IMAGE, Process, eventually, run, save_image, seconds, ticking};

/// The files and folders of a daemon's own.
const OPTIONS: [(&str, &str); 4] =
    [("--config-file", "daemon.json"), ("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")];
/// Its namespaces, where it uses the machine's containerd.
const NAMESPACES: [&str; 2] = ["eg-docker", "eg-docker-plugins"];
const MACHINES_CONTAINERD: &str = "/run/containerd/containerd.sock";

/// A daemon whose containers outlive it, with the test's image. Dropping it removes them.
pub(crate) struct Daemon {
    folder: TempDir,
    process: Option<Process>,
    /// A runtime beside its own, by its name: a script in the daemon's folder.
    runtime: Option<&'static str>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), process: None, runtime: None }.begin()
    }

    /// One that has another runtime, too.
    pub(crate) fn start_with_runtime(name: &'static str, script: &str) -> Self {
        let daemon = Self { folder: tempfile::tempdir().unwrap(), process: None, runtime: Some(name) };
        let path = daemon.folder.path().join(name);
        fs::write(&path, script).unwrap();
        run(&["chmod", "755", path.to_str().unwrap()]);
        daemon.begin()
    }

    fn begin(mut self) -> Self {
        let daemon = &mut self;
        daemon.resume();
        let archive = daemon.folder.path().join("image.tar");
        save_image(&archive);
        daemon.docker(&["load", "--input", archive.to_str().unwrap()]);
        self
    }

    /// Ends the daemon, and not its containers.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM);
            process.wait(seconds(20));
        }
    }

    /// Starts it again.
    pub(crate) fn resume(&mut self) {
        // In a network namespace of its own: a daemon without a bridge removes the one that it finds, which is the
        // machine's own daemon's.
        let mut command = Command::new("unshare");
        command.args(["--net", "dockerd", "--live-restore", "--bridge", "none"]);
        command.args(["--iptables=false", "--ip-forward=false"]);
        // Should it share the machine's containerd, it does so under names of its own.
        let [namespace, plugins] = NAMESPACES;
        command.args(["--containerd-namespace", namespace, "--containerd-plugins-namespace", plugins]);
        // The machine's own settings are not for this one.
        fs::write(self.folder.path().join("daemon.json"), "{}").unwrap();
        for (option, name) in OPTIONS {
            command.arg(option).arg(self.folder.path().join(name));
        }
        if let Some(name) = self.runtime {
            command.arg("--add-runtime").arg(format!("{name}={}", self.folder.path().join(name).display()));
        }
        command.arg("--host").arg(self.host());
        self.process = Some(Process::spawn(command));
        eventually("the second dockerd to answer", seconds(30), || {
            let ended = self.process.as_mut().and_then(Process::has_ended);
            assert!(ended.is_none(), "the second dockerd ended by itself: {ended:?}");
            let mut docker = Command::new("docker");
            docker.args(["--host", &self.host(), "version"]).stdout(Stdio::null()).stderr(Stdio::null());
            docker.status().unwrap().success().then_some(())
        });
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// Starts a container that runs a program again and again. Returns its id.
    pub(crate) fn run_ticking(&self, name: &str, mark: &str) -> String {
        let line = ["run", "--detach", "--network", "none", "--name", name, "--label", "ethogram.test=1", IMAGE];
        self.docker(&[&line[..], &["sh", "-c", &ticking(mark)]].concat())
    }

    /// Starts a container with these options and this command.
    pub(crate) fn run(&self, options: &[&str], command: &[&str]) {
        self.docker(&[options, &["--label", "ethogram.test=1", IMAGE], command].concat());
    }

    /// Runs a command in a container.
    pub(crate) fn exec(&self, container: &str, command: &[&str]) {
        self.docker(&[&["exec", container], command].concat());
    }

    fn docker(&self, rest: &[&str]) -> String {
        run(&[&["docker", "--host", &self.host()], rest].concat())
    }

    fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.process.is_none() {
            self.resume();
        }
        let ids = self.docker(&["ps", "--all", "--quiet"]);
        let ids: Vec<&str> = ids.lines().collect();
        if !ids.is_empty() {
            self.docker(&[&["rm", "--force"], &ids[..]].concat());
        }
        self.stop();
        // For the sake of the containers it leaves running, it leaves its folder mounted.
        _ = Command::new("umount").arg(self.folder.path().join("data")).stderr(Stdio::null()).status();
        if Path::new(MACHINES_CONTAINERD).exists() {
            let mut ctr = Command::new("ctr");
            ctr.args(["--address", MACHINES_CONTAINERD, "namespaces", "remove"]).args(NAMESPACES);
            _ = ctr.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}
