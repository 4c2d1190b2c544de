//! `ethogram run`: what was done in a container, and nothing else.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Container, IMAGE, Process, ethogram, eventually, seconds};

/// `ethogram run` on one or more containers, as JSON lines.
struct Run {
    process: Process,
}

impl Run {
    fn start(tracker: &str, containers: &[&Container], more: &[&str]) -> Self {
        let named = containers.iter().flat_map(|c| ["--container", c.name.as_str()]);
        let fixed = ["run", tracker, "-o", "json", "--interval", "500ms"];
        let args: Vec<&str> = fixed.into_iter().chain(named).chain(more.iter().copied()).collect();
        Self { process: Process::spawn(ethogram(args)) }
    }

    /// Does something in a container until it is reported: from then on, all is.
    fn await_first(&self, container: &Container) {
        eventually("the first event", seconds(20), || {
            container.exec(&["cat", "/etc/group"]);
            container.exec(&["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:1/"]);
            thread::sleep(Duration::from_millis(200));
            (!self.events().is_empty()).then_some(())
        });
    }

    fn events(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
        self.process.stdout().iter().map(|(_, line)| parse(line)).collect()
    }

    fn expect(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(what, seconds(5), || self.events().into_iter().find(|e| is_it(e)))
    }

    /// Ends it with Ctrl-C and gives all events; all are of these containers, and all are accounted for.
    fn finish(mut self, containers: &[&Container]) -> Vec<Value> {
        self.process.signal(Signal::INT);
        let status = self.process.wait(seconds(10));
        assert!(status.success(), "Ctrl-C is a clean end: {status:?}");
        let events = self.events();
        for event in &events {
            let name = event["container"]["name"].as_str().unwrap_or_default();
            assert!(containers.iter().any(|c| c.name == name), "not of {:?}: {event}", names(containers));
            assert_eq!(event["container"]["image"]["name"], IMAGE, "{event}");
            assert!(event["time"].as_str().unwrap().ends_with('Z') && event["tracker"].is_string(), "{event}");
            assert!(event["process"]["pid"].as_u64() > Some(0), "{event}");
        }
        expect_account(&self.process);
        events
    }
}

fn names<'c>(containers: &[&'c Container]) -> Vec<&'c str> {
    containers.iter().map(|c| c.name.as_str()).collect()
}

/// The last line on stderr: seen is the sum of the rest.
fn expect_account(process: &Process) {
    let stderr = process.stderr();
    let last = stderr.last().expect("a last line on stderr");
    let of = |word: &str| number_beside(last, word).unwrap_or_else(|| panic!("no {word} in {last:?}"));
    let rest = ["delivered", "aggregated", "filtered", "dropped"].map(of);
    assert_eq!(of("seen"), rest.iter().sum::<u64>(), "{last}");
    assert!(of("seen") > 0, "{last}");
    assert_eq!(of("dropped"), 0, "{last}");
}

/// The number before or after a word: `seen 12`, `12 seen`, `seen=12`.
fn number_beside(line: &str, word: &str) -> Option<u64> {
    let words: Vec<&str> = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let at = words.iter().position(|w| *w == word)?;
    let number = |i: Option<usize>| words.get(i?).and_then(|w| w.parse().ok());
    // Whichever side the line's first number is on.
    let first = words.iter().position(|w| w.parse::<u64>().is_ok())?;
    let seen = words.iter().position(|w| *w == "seen")?;
    if first > seen { number(Some(at + 1)) } else { number(at.checked_sub(1)) }
}

/// A container that does the same all the time, and must not be seen.
fn noisy_neighbour() -> Container {
    let noise =
        "while :; do cat /www/index.html; touch /data/noise; wget -q -O /dev/null http://127.0.0.1:1/; sleep 0.1; done";
    Container::run("neighbour", &["sh", "-c", noise])
}

#[test]
fn process_shows_what_ran() {
    let (watched, _neighbour) = (Container::idle("process"), noisy_neighbour());
    let run = Run::start("process", &[&watched], &[]);
    run.await_first(&watched);
    let with_args = |args: &[&str]| {
        let args = serde_json::json!(args);
        run.expect("the exec", move |e| e["event"] == "exec" && e["process"]["command_args"] == args)
    };
    let args = ["cat", "/www/index.html", "", "two words"];
    watched.exec(&args);
    let exec = with_args(&args);
    assert_eq!(exec["tracker"], "process");
    assert_eq!(exec["process"]["executable"]["path"], "/bin/busybox");
    assert_eq!(exec["process"]["executable"]["name"], "cat");
    assert_eq!(exec["process"]["user"]["id"], 0);
    assert!(exec["process"]["parent_pid"].as_u64() > Some(1));
    assert_eq!(exec["container"]["id"], watched.id());
    watched.sh("cd /tmp && cat inside; exit 3");
    assert_eq!(with_args(&["cat", "inside"])["process"]["working_directory"], "/tmp");
    run.expect("the exit of the shell", |e| e["event"] == "exit" && e["process"]["exit"]["code"] == 3);

    // From the image, and then a copy in the writable layer.
    watched.sh("cp /bin/busybox /data/mine; /data/mine true");
    let copy =
        run.expect("the copy's exec", |e| e["event"] == "exec" && e["process"]["executable"]["path"] == "/data/mine");
    assert_eq!(copy["process"]["executable"]["writable_layer"], true);
    assert_eq!(exec["process"]["executable"]["writable_layer"], false);
    let killed = |e: &Value| e["event"] == "exit" && e["process"]["exit"]["signal"] == "SIGKILL";
    watched.sh("sh -c 'kill -9 $$'");
    run.expect("the killed shell", killed);
    run.finish(&[&watched]);
}

#[test]
fn long_arguments_are_cut_with_a_mark() {
    let watched = Container::idle("args");
    let run = Run::start("process", &[&watched], &["--set", "max_args=64"]);
    run.await_first(&watched);
    watched.exec(&["true", &"x".repeat(500)]);
    let cut = run.expect("the long exec", |e| e["event"] == "exec" && e["process"]["executable"]["name"] == "true");
    assert_eq!(cut["process"]["command_args_truncated"], true, "{cut}");
    watched.exec(&["false", "short"]);
    let whole = run.expect("the short exec", |e| e["event"] == "exec" && e["process"]["executable"]["name"] == "false");
    assert_eq!(whole["process"]["command_args_truncated"], false, "{whole}");
    run.finish(&[&watched]);
}

#[test]
fn open_shows_resolved_paths_and_failures() {
    let (watched, _neighbour) = (Container::idle("open"), noisy_neighbour());
    let run = Run::start("open", &[&watched], &[]);
    run.await_first(&watched);
    let opened = |path: &'static str| move |e: &Value| e["event"] == "open" && e["file"]["path"] == path;
    watched.exec(&["cat", "/tmp/../www/./link"]);
    let by_link = |e: &Value| opened("/etc/passwd")(e) && e["file"]["requested_path"] == "/tmp/../www/link";
    let read = run.expect("the link's target", by_link);
    assert_eq!((&read["file"]["open"]["write"], &read["file"]["created"]), (&false.into(), &false.into()), "{read}");
    watched.sh("cd /data && echo x > made");
    let made = run.expect("the new file", opened("/data/made"));
    assert_eq!((&made["file"]["open"]["write"], &made["file"]["created"]), (&true.into(), &true.into()), "{made}");
    assert!(made["file"]["open"]["flags"].as_str().unwrap().contains("O_CREAT"), "{made}");
    watched.exec(&["cat", "/absent"]);
    run.expect("the failures", |e| e["error"]["type"] == "ENOENT" && e["file"]["open"]["failures"].as_u64() >= Some(1));
    run.expect("the failure", |e| {
        e["event"] == "failed" && e["file"]["path"] == "/absent" && e["error"]["type"] == "ENOENT"
    });
    let events = run.finish(&[&watched]);
    assert!(!events.iter().any(opened("/absent")), "a failed open is no open");
}

#[test]
fn files_counts_reads_and_writes() {
    let (watched, _neighbour) = (Container::idle("files"), noisy_neighbour());
    let run = Run::start("files", &[&watched], &[]);
    run.await_first(&watched);
    watched.exec(&["dd", "if=/www/big", "of=/data/copy", "bs=4096", "count=20"]);
    // An interval may end in between: rows add up.
    let expect = |path: &str, wanted: [u64; 4]| {
        eventually(&format!("{wanted:?} of {path}"), seconds(5), || {
            let rows: Vec<Value> = run.events().into_iter().filter(|e| e["file"]["path"] == path).collect();
            let sum = |name: &str| rows.iter().map(|e| e["file"][name].as_u64().unwrap()).sum();
            let sums: [u64; 4] = ["reads", "writes", "read_bytes", "write_bytes"].map(sum);
            (sums == wanted).then(|| rows.last().cloned().unwrap())
        })
    };
    let read = expect("/www/big", [20, 0, 81920, 0]);
    assert_eq!(read["process"]["executable"]["name"], "dd");
    assert_eq!(read["file"]["type"], "regular");
    expect("/data/copy", [0, 20, 0, 81920]);
    run.finish(&[&watched]);
}

#[test]
fn tcp_shows_both_ends() {
    let (client, web, _neighbour) = (Container::idle("client"), Container::web("tcp"), noisy_neighbour());
    let address = web.address();
    let run = Run::start("tcp", &[&client, &web], &[]);
    run.await_first(&client);
    let got = client.exec(&["wget", "-q", "-O", "-", &format!("http://{address}/big")]);
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    let connect = run.expect("the connection", |e| {
        e["event"] == "connect"
            && e["container"]["name"] == client.name.as_str()
            && e["network"]["peer"]["address"] == address.as_str()
    });
    assert_eq!(connect["network"]["peer"]["port"], 80);
    assert_eq!(connect["network"]["connection"]["established"], true);
    assert!(connect["network"]["connection"]["latency"].as_u64() > Some(0), "{connect}");
    let accept = run.expect("its other end", |e| e["event"] == "accept" && e["container"]["name"] == web.name.as_str());
    assert_eq!(accept["network"]["local"]["port"], 80);
    assert_eq!(accept["network"]["peer"]["address"], client.address());
    let received = |e: &Value| e["network"]["connection"]["received_bytes"].as_u64() > Some(1 << 20);
    let close = run
        .expect("the end", |e| e["event"] == "close" && e["container"]["name"] == client.name.as_str() && received(e));
    assert!(close["network"]["connection"]["duration"].as_u64() > Some(0), "{close}");

    client.exec(&["wget", "-q", "-O", "-", &format!("http://{address}:9/")]);
    let refused =
        run.expect("the refused connection", |e| e["event"] == "connect" && e["network"]["peer"]["port"] == 9);
    assert_eq!(refused["error"]["type"], "ECONNREFUSED", "{refused}");
    client.sh("nc -l -p 4711 & sleep 0.3; kill $!");
    run.expect("the listener", |e| e["event"] == "listen" && e["network"]["local"]["port"] == 4711);
    run.finish(&[&client, &web]);
}

#[test]
fn tcp_knows_ipv6() {
    let options = ["--sysctl", "net.ipv6.conf.all.disable_ipv6=0", "--sysctl", "net.ipv6.conf.lo.disable_ipv6=0"];
    let web = Container::create("ipv6", &options, &["httpd", "-f", "-p", "[::]:80", "-h", "/www"]);
    web.start();
    let run = Run::start("tcp", &[&web], &[]);
    run.await_first(&web);
    let got = web.exec(&["wget", "-q", "-O", "-", "http://[::1]:80/index.html"]);
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    for event in ["connect", "accept", "close"] {
        run.expect(event, |e| e["event"] == event && e["network"]["peer"]["address"] == "::1");
    }
    run.finish(&[&web]);
}

#[test]
fn a_container_that_starts_later_is_seen_from_its_first_instruction() {
    let later = Container::create("later", &[], &["sh", "-c", "cat /www/index.html; sleep 100000"]);
    let other = Container::idle("earlier");
    let run = Run::start("process", &[&later, &other], &[]);
    run.await_first(&other);
    later.start();
    let of_later = |e: &Value| e["event"] == "exec" && e["container"]["name"] == later.name.as_str();
    let first = run.expect("its entrypoint", |e| of_later(e) && e["process"]["executable"]["name"] == "sh");
    assert_eq!(first["process"]["command_args"][0], "sh");
    run.expect("its first command", |e| of_later(e) && e["process"]["command_args"][0] == "cat");
    run.finish(&[&later, &other]);
}

#[test]
fn csv_is_a_table_for_spreadsheets() {
    let watched = Container::idle("csv");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.csv");
    let args = ["run", "process", "-o", "csv", "--container", &watched.name, "--output-file", file.to_str().unwrap()];
    let mut process = Process::spawn(ethogram(args));
    let rows = eventually("two rows", seconds(20), || {
        watched.exec(&["cat", "a,b \"c\"", "line\nbreak"]);
        fs::read_to_string(&file).ok().filter(|text| text.lines().count() > 2)
    });
    assert!(rows.starts_with("time,"), "{rows}");
    process.signal(Signal::INT);
    assert!(process.wait(seconds(10)).success());
    assert!(process.stdout().is_empty(), "with --output-file nothing goes to stdout");
    expect_account(&process);

    let mut reader = csv::Reader::from_path(&file).unwrap();
    let header = reader.headers().unwrap().clone();
    let column =
        |name: &str| header.iter().position(|h| h == name).unwrap_or_else(|| panic!("no {name} in {header:?}"));
    let (args, name, pid) = (column("process.command_args"), column("container.name"), column("process.pid"));
    // A row of another length would be an error of the reader's.
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert!(rows.iter().all(|r| r[name] == watched.name && r[pid].parse::<u32>().is_ok()));
    assert!(rows.iter().any(|r| r[args].contains("a,b")), "{rows:?}");
}

#[test]
fn a_table_fits_its_columns_and_ends_by_itself() {
    let watched = Container::idle("table");
    let begin = Instant::now();
    let mut process = Process::spawn(ethogram(["run", "process", "--container", &watched.name, "--duration", "4s"]));
    while begin.elapsed() < seconds(4) && process.has_ended().is_none() {
        watched.exec(&["cat", "/www/index.html"]);
    }
    assert!(process.wait(seconds(10)).success());
    let lines: Vec<String> = process.stdout().into_iter().map(|(_, line)| line).collect();
    assert!(lines.len() > 2, "{lines:#?}");
    assert!(lines.iter().any(|l| l.contains(&watched.name) && l.contains("cat")), "{lines:#?}");
    let longest = lines.iter().map(|l| l.chars().count()).max();
    assert!(longest <= Some(120), "longer than 120 columns: {lines:#?}");
    expect_account(&process);
}

#[test]
fn control_characters_of_a_container_do_not_reach_the_terminal() {
    let watched = Container::idle("escape");
    let mut process = Process::spawn(ethogram(["run", "process", "--container", &watched.name, "--duration", "4s"]));
    while process.has_ended().is_none() {
        watched.exec(&["cat", "\u{1b}[31mred\r\u{202e}"]);
    }
    process.wait(seconds(10));
    let all: String = process.stdout().into_iter().map(|(_, line)| line).collect();
    assert!(all.contains("red"), "{all}");
    assert!(!all.contains(['\u{1b}', '\r', '\u{202e}']), "{all:?}");
}

#[test]
fn on_the_host_there_is_no_container() {
    let mut process = Process::spawn(ethogram(["run", "process", "-o", "json", "--duration", "4s"]));
    let marker = format!("marker-{}", std::process::id());
    while process.has_ended().is_none() {
        let _ = Command::new("true").arg(&marker).status();
        thread::sleep(Duration::from_millis(100));
    }
    process.wait(seconds(10));
    let lines = process.stdout();
    let (_, line) = lines.iter().find(|(_, l)| l.contains(&marker)).expect("the host's own process");
    let event: Value = serde_json::from_str(line).unwrap();
    assert!(event.get("container").is_none(), "{event}");
}

#[test]
fn a_container_that_gets_the_name_later_is_followed_then_and_under_the_next_name() {
    let mut container = Container::idle("before");
    let new = format!("{}-new", container.name);
    let mut run = Run::start("open", &[], &["--container", &new, "--wait", "60s"]);
    let reads = |run: &Run, container: &Container, file: &str| {
        eventually("the read", seconds(20), || {
            container.exec(&["cat", file]);
            run.events().iter().any(|event| event["file"]["path"] == file).then_some(())
        });
    };
    // By then it is known under its first name, and its events are left out.
    Run::start("open", &[&container], &[]).await_first(&container);
    assert!(run.events().is_empty());
    container.rename(&new);
    reads(&run, &container, "/etc/passwd");
    container.rename(&format!("{new}-2"));
    eventually("an event under its third name", seconds(20), || {
        container.exec(&["cat", "/etc/group"]);
        let is_it = |event: &Value| event["container"]["name"] == container.name.as_str();
        run.events().iter().any(is_it).then_some(())
    });
    run.process.signal(Signal::INT);
    run.process.wait(seconds(10));
}
