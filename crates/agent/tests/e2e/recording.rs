//! What was recorded gives the same result again, elsewhere and without privileges.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, id},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::support::{Container, Process, Server, Settings, ethogram, eventually, seconds};

/// An unprivileged user, with a copy of the binary and of a recording.
struct Unprivileged {
    folder: TempDir,
}

impl Unprivileged {
    fn with(recording: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(folder.path(), 0o777);
        for (from, to, bits) in
            [(Path::new(env!("CARGO_BIN_EXE_ethogram")), "ethogram", 0o755), (recording, "r", 0o644)]
        {
            let to = folder.path().join(to);
            fs::copy(from, &to).unwrap();
            mode(&to, bits);
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replay(&self, args: &[&str]) -> Output {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set", "-all", "--"]);
        command.arg(self.path("ethogram")).args(["replay", "r"]).args(args).current_dir(self.folder.path());
        command.output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A container of a workload of this test's own.
fn web(word: &str) -> Container {
    let project = format!("com.docker.compose.project=eg-recording-{}", id());
    let labels = ["--label", project.as_str(), "--label", "com.docker.compose.service=web"];
    let container = Container::create(word, &labels, &["httpd", "-f", "-p", "80", "-h", "/www"]);
    container.start();
    container
}

/// The profile of that workload as the API has it, once it does not change any more.
fn settled_profile(server: &Server) -> String {
    let profile = || {
        let of_this = format!("eg-recording-{}/web", id());
        let is_of_this = |p: &&Value| p["workload"].as_str().is_some_and(|w| w.contains(&of_this));
        let id = server.profiles().iter().find(is_of_this).map(|p| p["id"].as_str().unwrap().to_owned());
        server.http.get(&format!("/v1/profiles/{}", id.expect("a profile")))
    };
    let mut last = (profile(), Instant::now());
    eventually("the profile to settle", seconds(60), || {
        let now = profile();
        if now != last.0 {
            last = (now, Instant::now());
        }
        thread::sleep(Duration::from_millis(200));
        // Reads and writes are reported every three seconds.
        (last.1.elapsed() > seconds(4)).then(|| last.0.to_string())
    })
}

#[test]
fn a_recorded_server_replays_to_the_byte() {
    let first = web("recorded");
    let settings = Settings { learning_period: seconds(5), record: true, ..Settings::default() };
    let mut server = Server::start(&settings);
    let mut follow = ethogram(["incidents", "--follow", "-o", "json"]);
    follow.arg("--socket").arg(&server.http.socket);
    let incidents = Process::spawn(follow);
    server.await_container(&first.name);
    first.load(20);
    server.await_judging(seconds(40));
    first.sh("echo x > /srv/dropped");
    first.sh("echo x > /srv/dropped");
    // One that comes while it is judged, and one that does only what was learnt.
    let (later, calm) = (web("later"), web("calm"));
    later.exec(&["wget", "--help"]);
    calm.load(20);
    for object in ["/srv/dropped", "wget"] {
        eventually(&format!("an alert of {object}"), seconds(10), || {
            server.alerts().iter().any(|a| a.object().contains(object)).then_some(())
        });
    }
    let profile = settled_profile(&server);
    let incidents = || -> String { incidents.stdout().into_iter().map(|(_, line)| line + "\n").collect() };
    eventually("the incidents", seconds(10), || incidents().contains(&later.name).then_some(()));
    server.process.signal(Signal::TERM);
    assert!(server.process.wait(seconds(20)).success());
    let live: String = server.process.stdout().into_iter().map(|(_, line)| line + "\n").collect();
    assert_eq!(fs::metadata(server.recording()).unwrap().permissions().mode() & 0o777, 0o600);

    let user = Unprivileged::with(&server.recording());
    let replayed = user.replay(&["--profiles", "profiles"]);
    assert!(replayed.status.success(), "{}", text(&replayed.stderr));
    assert_eq!(text(&replayed.stdout), live, "the same alerts, to the byte");
    assert_eq!(text(&user.replay(&["-o", "incidents"]).stdout), incidents(), "the same incidents, to the byte");
    assert!(live.contains(&later.name) && !live.contains(&calm.name), "{live}");
    assert!(!text(&replayed.stderr).contains("missing"), "{}", text(&replayed.stderr));
    let profiles = fs::read_to_string(user.path("profiles")).unwrap();
    assert!(profiles.lines().any(|line| line == profile), "{profile} is not in {profiles}");
    assert_eq!(user.replay(&[]).stdout, replayed.stdout, "and once more");
    // This server had no rules.
    assert_eq!(user.replay(&["--only", "behaviour"]).stdout, replayed.stdout);
    assert_eq!(text(&user.replay(&["--only", "rules"]).stdout), "");
    let cost = ethogram(["profile", "cost", "-o", "json", "--recording", server.recording().to_str().unwrap()]);
    let cost: Value = serde_json::from_slice(&{ cost }.output().unwrap().stdout).unwrap();
    assert!(cost["events_per_second"].as_f64() > Some(0.0) && cost["new_ns"].as_f64() > Some(0.0), "{cost}");

    // It makes no difference whether what is usual is counted or judged again and again.
    for habituation in [true, false] {
        let config = format!("[behaviour]\nlearning_period = \"5s\"\nhabituation = {habituation}\n");
        fs::write(user.path("config.toml"), config).unwrap();
        let again = user.replay(&["--config", "config.toml", "--only", "behaviour"]);
        assert_eq!(text(&again.stdout), text(&user.replay(&["--only", "behaviour"]).stdout), "{habituation}");
    }

    let bytes = fs::read(user.path("r")).unwrap();
    fs::write(user.path("r"), &bytes[..bytes.len() * 2 / 3]).unwrap();
    let cut = user.replay(&[]);
    assert_eq!(cut.status.code(), Some(1));
    assert!(text(&cut.stderr).contains("r is damaged at byte "), "{}", text(&cut.stderr));
    assert!(live.starts_with(&text(&cut.stdout)), "what was before the damage is given");
}

#[test]
fn a_recording_of_one_container_has_that_one_only_and_can_be_read_meanwhile() {
    let (wanted, other) = (Container::idle("wanted"), Container::idle("other"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r");
    let args = ["record", file.to_str().unwrap(), "--container", &wanted.name];
    let mut recorder = Process::spawn(ethogram(args));
    let replay = |more: &[&str]| ethogram(["replay", file.to_str().unwrap()].iter().chain(more)).output().unwrap();
    let has = |word: &str| text(&replay(&["-o", "json"]).stdout).contains(word);
    eventually("the first event in the file", seconds(30), || {
        wanted.exec(&["true", "first-mark"]);
        has("first-mark").then_some(())
    });
    other.exec(&["true", "other-mark"]);
    wanted.exec(&["true", "last-mark", "--password=hunter2"]);
    eventually("the last event in the file", seconds(10), || has("last-mark").then_some(()));
    assert_eq!(replay(&[]).status.code(), Some(1), "its end is missing yet");

    recorder.signal(Signal::INT);
    assert!(recorder.wait(seconds(20)).success());
    let said = recorder.stderr().join("\n");
    assert!(said.contains("recorded ") && !said.contains("lost"), "{said}");
    let json = replay(&["-o", "json"]);
    assert!(json.status.success(), "{}", text(&json.stderr));
    let json = text(&json.stdout);
    assert!(json.contains("last-mark") && json.contains("--password=*******"), "{json}");
    assert!(!json.contains("other-mark") && !json.contains("hunter2"));
    let events: Vec<Value> = json.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    for event in &events {
        assert_eq!(event["container"]["name"], wanted.name, "{event}");
    }

    let of_process = events.iter().filter(|e| e["tracker"] == "process").count();
    let csv = text(&replay(&["-o", "csv", "--tracker", "process", "--container", &wanted.name]).stdout);
    assert_eq!(csv.lines().count(), of_process + 1, "one line each and a header");
    let table = folder.path().join("r.parquet");
    let parquet = ["-o", "parquet", "--output-file", table.to_str().unwrap()];
    assert!(replay(&parquet).status.success());
    assert!(fs::read(table).unwrap().starts_with(b"PAR1"));

    for (args, code, reported) in [
        (vec!["record", file.to_str().unwrap(), "--duration", "1s"], 1, "is there already"),
        (vec!["replay", "/etc/passwd"], 2, "is no recording"),
        (vec!["replay", file.to_str().unwrap(), "-o", "parquet"], 2, "--output-file"),
        (vec!["replay", file.to_str().unwrap(), "-o", "json", "--tracker", "proces"], 2, "did you mean process?"),
    ] {
        let refused = ethogram(args.iter().copied()).output().unwrap();
        assert_eq!(refused.status.code(), Some(code), "{args:?}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(reported), "{args:?}: {}", text(&refused.stderr));
    }
}
