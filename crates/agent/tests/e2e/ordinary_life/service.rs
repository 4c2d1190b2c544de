//! A service in a container, and the image that all of them share.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::OFlags;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    FOLDER, PROJECT,
    script::{Naming, Script},
};
use crate::support::{CleanUp, Container, IMAGE, Server, found_by, run, seconds};

const PATIENCE: Duration = seconds(30);

/// A service that does what its script has, in one container after the other.
pub(super) struct Service {
    pub(super) script: Script,
    /// Its name as a workload.
    pub(super) name: String,
    image: String,
    /// Two pipes: of deeds to do, and of those that are done.
    orders: TempDir,
    next: File,
    done: File,
    /// The last one runs.
    containers: Vec<Container>,
    /// Removes an image of its own when no container needs it any more.
    _clean_up: CleanUp,
}

impl Service {
    pub(super) fn start(script: Script, name: String, image: &str) -> Self {
        let orders = tempfile::tempdir().unwrap();
        let pipe = |name: &str| {
            let path = orders.path().join(name);
            run(&["mkfifo", "--mode", "666", path.to_str().unwrap()]);
            let mut options = File::options();
            options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            run(&["chmod", "666", path.to_str().unwrap()]);
            options.open(path).unwrap()
        };
        let (next, done) = (pipe("next"), pipe("done"));
        run(&["chmod", "755", orders.path().to_str().unwrap()]);
        let mut clean_up = CleanUp::default();
        let image = match script.image {
            Naming::Name | Naming::Id => image.to_owned(),
            Naming::None => without_name(image, &mut clean_up),
        };
        let containers = Vec::new();
        let mut service = Self { script, name, image, orders, next, done, containers, _clean_up: clean_up };
        service.deploy();
        service
    }

    /// Starts a container in place of the one that runs.
    pub(super) fn deploy(&mut self) {
        if let Some(before) = self.containers.last() {
            run(&["docker", "rm", "--force", &before.name]);
            if self.script.image == Naming::Id {
                self.image = run(&["docker", "image", "inspect", "--format", "{{.Id}}", &self.image]);
            }
        }
        let folder = format!("{FOLDER}:/ordinary:ro");
        let orders = format!("{}:/orders:ro", self.orders.path().display());
        let owner = [("project", PROJECT), ("service", &self.name)].map(|(k, v)| format!("com.docker.compose.{k}={v}"));
        let mut options = vec!["--network", "none", "--volume", &folder, "--volume", &orders];
        owner.iter().for_each(|label| options.extend(["--label", label]));
        options.extend(self.script.options.iter().map(String::as_str));
        let command: Vec<_> = self.script.command.iter().map(String::as_str).collect();
        let container = Container::create_from(&self.image, &self.script.name, &options, &command);
        container.start();
        self.containers.push(container);
        self.expect("ready");
    }

    pub(super) fn restart(&self) {
        self.container().restart();
        self.expect("ready");
    }

    fn container(&self) -> &Container {
        self.containers.last().unwrap()
    }

    /// Has it do something.
    pub(super) fn play(&self, deed: &str) {
        (&self.next).write_all(format!("{deed}\n").as_bytes()).unwrap();
        self.expect(deed);
    }

    /// Waits until it says this.
    fn expect(&self, word: &str) {
        let (begin, mut said) = (Instant::now(), String::new());
        while !said.contains(&format!("{word}\n")) {
            let mut buffer = [0; 100];
            if let Ok(length) = (&self.done).read(&mut buffer) {
                said += &String::from_utf8_lossy(&buffer[..length]);
            }
            let is_fine = begin.elapsed() < PATIENCE && !said.contains("failed");
            assert!(is_fine, "{} is to say {word}, and said {said:?}\n{}", self.name, self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        let container = &self.container().name;
        run(&["sh", "-c", &format!("docker logs --tail 20 {container} 2>&1")])
    }

    /// Its alerts so far, but for those that are noted: what found each, and what it says.
    pub(super) fn alerts(&self, server: &Server) -> Vec<(String, String)> {
        let of = |container: &Container| server.http.get(&format!("/v1/alerts?container={}", container.name));
        let all: Vec<_> = self.containers.iter().flat_map(|c| of(c).as_array().unwrap().clone()).collect();
        let shown = |alert: &Value| {
            let output = alert["unmapped"]["rule"]["output"].as_str();
            let severity = alert["severity"].as_str().unwrap();
            let title = output.or(alert["finding_info"]["title"].as_str()).unwrap();
            (found_by(alert), format!("{severity}: {title}"))
        };
        all.iter().map(shown).filter(|(by, _)| !self.script.noted.contains(by)).collect()
    }
}

/// The image with Debian's programs, made where it is not there.
pub(super) fn image() -> String {
    let script = format!("{FOLDER}/image");
    let tag = run(&["sha256sum", &script])[..12].to_owned();
    let image = format!("{}-debian:{tag}", IMAGE.split(':').next().unwrap());
    if run(&["docker", "images", "--quiet", &image]).is_empty() {
        run(&[&script, &image]);
    }
    image
}

/// The same image as one that has no name.
fn without_name(image: &str, clean_up: &mut CleanUp) -> String {
    let container = run(&["docker", "create", "--label", "ethogram.test=1", image, "true"]);
    let id = run(&["docker", "commit", &container]);
    run(&["docker", "rm", &container]);
    clean_up.with(&["docker", "rmi", &id]);
    id
}
