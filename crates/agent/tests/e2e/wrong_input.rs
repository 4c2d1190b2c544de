//! Whatever is wrong gets one line that says what, and what would be right; and nothing is left half started.

use std::{fs, net::TcpListener, os::unix::net::UnixListener, path::Path};

use super::support::{Container, Process, Server, Settings, ethogram, free_port, seconds};

/// Runs the binary, which must refuse in one line that holds all of these words.
fn expect_refusal(args: &[&str], words: &[&str]) {
    let mut process = Process::spawn(ethogram(args));
    let status = process.wait(seconds(15));
    let stderr = process.stderr();
    assert!(matches!(status.code(), Some(1 | 2)), "{args:?} ended with {status:?} and said {stderr:#?}");
    assert!(process.stdout().is_empty(), "{args:?}: stdout carries data only");
    assert_eq!(stderr.len(), 1, "{args:?}: one line is wanted, not {stderr:#?}");
    assert!(words.iter().all(|w| stderr[0].contains(w)), "{args:?}: {words:?} are wanted in {:?}", stderr[0]);
}

/// A configuration that takes nothing from the machine, with these lines added.
fn config(folder: &Path, lines: &str) -> String {
    let path = folder.join("ethogram.toml");
    let base = [
        ("[api]", format!("socket = {:?}", folder.join("api.sock"))),
        ("[metrics]", format!("listen = \"127.0.0.1:{}\"", free_port())),
        ("[store]", format!("path = {:?}", folder.join("store"))),
    ];
    let base = base.iter().filter(|(section, _)| !lines.contains(section));
    let text = base.map(|(section, line)| format!("{section}\n{line}\n")).collect::<String>() + lines;
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn trackers_and_parameters() {
    expect_refusal(&["run", "proces"], &["proces", "process"]);
    expect_refusal(&["run", "process", "--set", "max_arg=3"], &["max_arg", "max_args"]);
    expect_refusal(&["run", "process", "--set", "max_args=many"], &["max_args", "many"]);
    expect_refusal(&["run", "open", "--set", "reads=maybe"], &["reads", "maybe"]);
    expect_refusal(&["run", "process", "--set", "max_args=99999999999"], &["max_args"]);
    expect_refusal(&["run", "/absent.bpf.o"], &["/absent.bpf.o"]);
    expect_refusal(&["run", "process", "--set", "max_args"], &["max_args"]);
    expect_refusal(&["run", "process", "--duration", "soon"], &["soon"]);
    expect_refusal(&["run", "process", "-o", "xml"], &["xml", "json"]);
    expect_refusal(&["run"], &["TRACKER"]);
}

#[test]
fn containers() {
    let there = Container::idle("there");
    let wrong = there.name.replace("there", "ther");
    let mut process = Process::spawn(ethogram(["run", "process", "--container", &wrong, "--wait", "1s"]));
    assert!(matches!(process.wait(seconds(15)).code(), Some(1 | 2)));
    assert!(process.stdout().is_empty());
    // It was waited for, since it may start later, and events were collected meanwhile: both are said before.
    let last = process.stderr().pop().unwrap();
    assert!(last.contains(&wrong) && last.contains(&there.name), "{last}");
    // Ending before the wait is over is no success either.
    let mut process = Process::spawn(ethogram(["run", "process", "--container", &wrong, "--duration", "500ms"]));
    assert!(matches!(process.wait(seconds(15)).code(), Some(1 | 2)));
    assert!(process.stderr().pop().unwrap().contains(&wrong));
}

#[test]
fn output_files() {
    expect_refusal(&["run", "process", "--output-file", "/proc/version/x"], &["/proc/version/x"]);
}

#[test]
fn configurations() {
    let folder = tempfile::tempdir().unwrap();
    let at = |lines: &str| config(folder.path(), lines);
    let refuse = |lines: &str, words: &[&str]| expect_refusal(&["server", "--config", &at(lines)], words);
    refuse("[behaviour]\nlearning_perod = \"1h\"\n", &["learning_perod", "learning_period"]);
    refuse("[behavior]\nlearning_period = \"1h\"\n", &["behavior", "behaviour"]);
    refuse("[behaviour]\nlearning_period = \"soon\"\n", &["learning_period", "soon"]);
    refuse("[metrics]\nlisten = 8528\n", &["metrics", "listen"]);
    refuse("[behaviour\n", &["ethogram.toml"]);
    refuse("[alerts.webhook.siem]\nurl = \"siem\"\n", &["alerts.webhook.siem.url", "URL"]);
    refuse("[alerts]\ndeliver = \"all\"\n", &["alerts.deliver", "all", "incidents", "findings"]);
    refuse(
        "[alerts.syslog.x]\naddress = \"udp://127.0.0.1:514\"\ndeliver = \"incident\"\n",
        &["alerts.syslog.x.deliver", "incidents"],
    );
    refuse("[alerts.otlp.x]\nendpiont = \"http://a/\"\n", &["alerts.otlp.x", "endpoint"]);
    expect_refusal(&["server", "--config", "/absent/ethogram.toml"], &["/absent/ethogram.toml"]);
    let a_folder = folder.path().to_str().unwrap();
    expect_refusal(&["server", "--config", a_folder], &[a_folder]);
}

#[test]
fn receivers_of_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |lines: &str| config(folder.path(), lines);
    let lines = "[alerts.webhook.siem]\nurl = \"http://127.0.0.1:1/\"\ntoken_file = \"/absent/token\"\n";
    expect_refusal(&["server", "--config", &at(lines)], &["alerts.webhook.siem", "/absent/token"]);
    assert!(!folder.path().join("api.sock").exists(), "nothing is left half started");
    let lines = "[triage]\nurl = \"http://127.0.0.1:1/\"\nmodel = \"x\"\ntoken_file = \"/absent/token\"\n";
    expect_refusal(&["server", "--config", &at(lines)], &["[triage]", "/absent/token"]);
    let lines = "[alerts]\nfile = \"/absent/alerts\"\n";
    expect_refusal(&["server", "--config", &at(lines)], &["/absent/alerts", "[alerts]"]);
}

#[test]
fn ports_sockets_and_stores() {
    let folder = tempfile::tempdir().unwrap();
    let at = |lines: &str| config(folder.path(), lines);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let lines = format!("[metrics]\nlisten = \"{port}\"\n");
    expect_refusal(&["server", "--config", &at(&lines)], &[&port]);
    assert!(!folder.path().join("api.sock").exists(), "nothing is left half started");

    let socket = folder.path().join("taken.sock");
    let _other = UnixListener::bind(&socket).unwrap();
    let lines = format!("[api]\nsocket = {socket:?}\n");
    expect_refusal(&["server", "--config", &at(&lines)], &["taken.sock"]);
    assert!(socket.exists(), "another's socket is left alone");

    // Root may write anywhere, but nothing can be below a file.
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let lines = format!("[store]\npath = {:?}\n", file.join("store"));
    expect_refusal(&["server", "--config", &at(&lines)], &["file/store"]);
}

#[test]
fn a_second_server_is_refused_and_the_first_goes_on() {
    let first = Server::start(&Settings::default());
    let config = first.folder().join("ethogram.toml");
    expect_refusal(&["server", "--config", config.to_str().unwrap()], &[]);
    assert_eq!(first.http.get("/healthz"), "ok\n");
}

#[test]
fn commands_without_a_server_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    for command in [&["alerts"][..], &["profile", "list"]] {
        let args: Vec<&str> = command.iter().copied().chain(["--config", &config]).collect();
        expect_refusal(&args, &["api.sock"]);
    }
}
