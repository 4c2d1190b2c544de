//! Containers for the tests, from an image that is made here of busybox alone.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output, Stdio, id},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

/// The image. Its tag changes with its contents.
pub(crate) const IMAGE: &str = "ethogram-test:1";
const LABEL: &str = "ethogram.test=1";
const APPLETS: &str =
    "cat chmod cp dd env false head httpd id ln ls mkdir mv nc rm sh sleep tail touch true uname wget";
const FOLDERS: [&str; 7] = ["bin", "data", "etc", "root", "srv", "tmp", "www"];

/// A container, removed when it is dropped.
pub(crate) struct Container {
    pub(crate) name: String,
}

impl Container {
    /// Makes one that is not started yet.
    pub(crate) fn create(word: &str, options: &[&str], command: &[&str]) -> Self {
        make_image();
        Self::create_from(IMAGE, word, options, command)
    }

    /// The same from another image.
    pub(crate) fn create_from(image: &str, word: &str, options: &[&str], command: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("eg-{word}-{}-{}", id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Named first: were anything below to panic, dropping it removes the container.
        let container = Self { name };
        let fixed = ["create", "--label", LABEL, "--name", &container.name];
        docker(fixed.iter().chain(options).chain(&[image]).chain(command));
        container
    }

    pub(crate) fn start(&self) {
        docker(["start", &self.name]);
    }

    pub(crate) fn run(word: &str, command: &[&str]) -> Self {
        let container = Self::create(word, &[], command);
        container.start();
        container
    }

    /// One that serves /www on port 80.
    pub(crate) fn web(word: &str) -> Self {
        Self::run(word, &["httpd", "-f", "-p", "80", "-h", "/www"])
    }

    /// One that does nothing.
    pub(crate) fn idle(word: &str) -> Self {
        Self::run(word, &["sleep", "100000"])
    }

    /// One whose own process runs a program again and again, whose argument is `mark`.
    pub(crate) fn ticking(word: &str, mark: &str) -> Self {
        Self::run(word, &["sh", "-c", &ticking(mark)])
    }

    /// Gives it another name.
    pub(crate) fn rename(&mut self, name: &str) {
        docker(["rename", &self.name, name]);
        self.name = name.to_owned();
    }

    /// Runs a command in it, whatever its exit code.
    pub(crate) fn exec(&self, command: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.args(["exec", &self.name]).args(command).stdin(Stdio::null());
        docker.output().unwrap()
    }

    /// Runs a shell line in it.
    pub(crate) fn sh(&self, line: &str) -> Output {
        self.exec(&["sh", "-c", line])
    }

    /// Its address on Docker's bridge.
    pub(crate) fn address(&self) -> String {
        self.inspect("{{.NetworkSettings.IPAddress}}")
    }

    pub(crate) fn id(&self) -> String {
        self.inspect("{{.Id}}")
    }

    /// The host's number for its first process.
    pub(crate) fn pid(&self) -> u32 {
        self.inspect("{{.State.Pid}}").parse().unwrap()
    }

    /// The digest of its image.
    pub(crate) fn digest(&self) -> String {
        self.inspect("{{.Image}}")
    }

    fn inspect(&self, format: &str) -> String {
        docker(["inspect", "--format", format, &self.name]).trim().to_owned()
    }

    pub(crate) fn pause(&self) {
        docker(["pause", &self.name]);
    }

    pub(crate) fn unpause(&self) {
        docker(["unpause", &self.name]);
    }

    pub(crate) fn restart(&self) {
        docker(["restart", "--time", "0", &self.name]);
    }

    /// Fetches its page from the host, that many times.
    pub(crate) fn load(&self, requests: usize) {
        let url = format!("http://{}/index.html", self.address());
        for _ in 0..requests {
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--fail",
                "--max-time",
                "5",
                "--retry",
                "20",
                "--retry-connrefused",
                "--retry-delay",
                "1",
            ]);
            let got = curl.args(["--noproxy", "*", &url]).output().unwrap();
            assert!(got.status.success(), "{url} does not answer: {}", String::from_utf8_lossy(&got.stderr));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut docker = Command::new("docker");
        docker
            .args(["rm", "--force", "--volumes", &self.name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _ = docker.status();
    }
}

/// A shell line that runs a program again and again, whose argument is `mark`.
pub(crate) fn ticking(mark: &str) -> String {
    format!("while :; do /bin/true {mark}; sleep 1; done")
}

/// The image as an archive, for another runtime to take in.
pub(crate) fn save_image(to: &Path) {
    make_image();
    docker(["save", "--output", to.to_str().unwrap(), IMAGE]);
}

/// Runs docker, which must succeed, and gives its output.
fn docker<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> String {
    let mut command = Command::new("docker");
    command.args(args.into_iter().map(|a| a.as_ref().to_owned())).stdin(Stdio::null());
    let output = command.output().expect("docker is needed: script/test installs it");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error} (script/test starts the daemon)");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes it where it is not there, once: containers may be made side by side.
fn make_image() {
    static MADE: Once = Once::new();
    MADE.call_once(make_image_now);
}

fn make_image_now() {
    let mut inspect = Command::new("docker");
    inspect.args(["image", "inspect", IMAGE]).stdout(Stdio::null()).stderr(Stdio::null());
    if inspect.status().expect("docker is needed: script/test installs it").success() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fill(root.path());
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--directory"]).arg(root.path()).arg(".").stdout(Stdio::piped());
    let mut tar = tar.spawn().unwrap();
    let mut import = Command::new("docker");
    let label = format!("LABEL {LABEL}");
    import
        .args(["import", "--change", &label, "--change", "ENV PATH=/bin", "-", IMAGE])
        .stdin(tar.stdout.take().unwrap());
    let import = import.output().unwrap();
    // First, as tar has nobody who reads where this failed.
    assert!(import.status.success(), "docker import: {}", String::from_utf8_lossy(&import.stderr));
    assert!(tar.wait().unwrap().success());
}

fn fill(root: &Path) {
    for folder in FOLDERS {
        fs::create_dir(root.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is needed: script/test installs it");
    for applet in APPLETS.split(' ') {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
    fs::write(root.join("etc/passwd"), passwd).unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n").unwrap();
    fs::write(root.join("etc/shadow"), "root:*:19000:0:99999:7:::\n").unwrap();
    fs::write(root.join("www/index.html"), "<h1>hello</h1>\n").unwrap();
    fs::write(root.join("www/big"), vec![b'x'; 1 << 20]).unwrap();
    symlink("../etc/passwd", root.join("www/link")).unwrap();
}
