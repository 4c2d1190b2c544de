//! `/metrics`, as Prometheus sees it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::support::{Container, Process, Server, Settings, eventually, free_port, seconds};

fn scrape(server: &Server, accept: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--fail", "--noproxy", "*", "--max-time", "10", "--header", &format!("accept: {accept}")]);
    let got = curl.arg(format!("http://127.0.0.1:{}/metrics", server.metrics_port)).output().unwrap();
    assert!(got.status.success());
    String::from_utf8(got.stdout).unwrap()
}

/// The same without a process, whose own events would be on their way.
fn scrape_quietly(server: &Server) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.metrics_port)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}

/// The samples of a family, added up by tracker.
fn by_tracker(page: &str, family: &str, tracker: &str) -> u64 {
    let label = format!("tracker=\"{tracker}\"");
    let of = page.lines().filter(|l| l.starts_with(&format!("{family}{{")) && l.contains(&label));
    of.map(|l| l.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

#[test]
fn every_event_is_accounted_for() {
    let web = Container::web("account");
    let server = Server::start(&Settings::default());
    server.await_container(&web.name);
    let mut everything = server.http.curl();
    everything.args(["--no-buffer", "--max-time", "120", "--output", "/dev/null", "http://ethogram/v1/events"]);
    let _followed = Process::spawn(everything);
    eventually("files to be wanted", seconds(20), || {
        let page = scrape(&server, "text/plain");
        page.contains("ethogram_tracker_state{tracker=\"files\",state=\"running\"} 1").then_some(())
    });
    web.load(100);
    for tracker in ["process", "open", "files", "tcp"] {
        // Events on their way are in seen only: with the container gone quiet, the sum must come out.
        eventually(&format!("the sum of {tracker}"), seconds(20), || {
            let page = scrape_quietly(&server);
            let of = |name: &str| by_tracker(&page, &format!("ethogram_events_{name}_total"), tracker);
            let sum: u64 = ["delivered", "aggregated", "filtered", "dropped"].map(of).iter().sum();
            (of("seen") > 0 && of("seen") == sum).then_some(())
        });
    }
}

#[test]
fn promtool_accepts_them() {
    let web = Container::web("promtool");
    let server = Server::start(&Settings::default());
    server.await_container(&web.name);
    web.load(5);
    let page = scrape(&server, "text/plain");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is needed: script/test unpacks it");
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}\n{page}");
    for label in ["pid=", "path=", "container_id=", &web.id()[..12]] {
        assert!(!page.contains(label), "labels are bounded: {label}");
    }
    let open = scrape(&server, "application/openmetrics-text; version=1.0.0");
    assert!(open.ends_with("# EOF\n"), "{open}");
}

#[test]
fn prometheus_scrapes_them() {
    let server = Server::start(&Settings::default());
    let folder = tempfile::tempdir().unwrap();
    let (port, config) = (free_port(), folder.path().join("prometheus.yml"));
    let target = format!("127.0.0.1:{}", server.metrics_port);
    let text = format!(
        "scrape_configs:\n- job_name: ethogram\n  scrape_interval: 1s\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("prometheus");
    command.arg("--config.file").arg(&config).arg("--storage.tsdb.path").arg(folder.path().join("data"));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=warn");
    let prometheus = Process::spawn(command);
    let query = |what: &str| -> Option<Value> {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--noproxy",
            "*",
            "--max-time",
            "5",
            "--get",
            "--data-urlencode",
            &format!("query={what}"),
        ]);
        let got = curl.arg(format!("http://127.0.0.1:{port}/api/v1/query")).output().unwrap();
        serde_json::from_slice::<Value>(&got.stdout).ok()?["data"]["result"].get(0).cloned()
    };
    eventually("a scrape", seconds(30), || query("up == 1"));
    eventually("what it scraped", seconds(10), || {
        query("ethogram_tracker_state{tracker=\"process\",state=\"running\"} == 1")
    });
    eventually("the standard metrics", seconds(10), || query("process_resident_memory_bytes{job=\"ethogram\"}"));
    drop(prometheus);
}
