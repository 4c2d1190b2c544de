mod heartbeats;
mod incidents;
mod web;

use std::{
    fs,
    io::{self, Write},
    net::UdpSocket,
    sync::{Condvar, Mutex},
    thread,
};

use serde_json::Value as Json;
use tempfile::TempDir;

pub(super) use self::web::{OK, Web};
use super::{format::tests::behaviour, *};

const LONG: Duration = Duration::from_secs(30);

fn finding(n: usize) -> Report {
    Finding { uid: n.to_string(), reason: "a line\nbreak".into(), ..behaviour() }.into()
}

/// All findings.
const WANTED: Wanted = Wanted { deliver: Deliver::Findings, least: Severity::Informational };

/// Sinks as a configuration has them, which get findings where it does not say what.
fn start(store: &TempDir, config: &str) -> Result<Sinks, SinkError> {
    let deliver = if config.contains("deliver = ") { "" } else { "deliver = 'findings'\n" };
    let alerts: Alerts = toml::from_str(&format!("stdout = false\n{deliver}{config}")).unwrap();
    Sinks::start(&alerts, store.path(), &Earlier::default())
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn uids(taken: &[web::Taken]) -> Vec<usize> {
    let uid = |t: &web::Taken| {
        serde_json::from_slice::<Json>(&t.body).unwrap()["finding_info"]["uid"].as_str().unwrap().parse()
    };
    taken.iter().map(|t| uid(t).unwrap()).collect()
}

/// A place that takes nothing until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn alerts_are_appended_to_the_file_one_a_line() {
    let store = tempfile::tempdir().unwrap();
    let path = store.path().join("alerts.jsonl");
    for n in 0..2 {
        let sinks = start(&store, &format!("file = {path:?}")).unwrap();
        sinks.send(&finding(n));
        sinks.finish(LONG);
    }
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<Json> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["class_uid"], &lines[1]["finding_info"]["uid"]), (&2004.into(), &"1".into()));
}

#[test]
fn a_stuck_place_counts_what_it_misses_and_hinders_no_other() {
    let gate = Gate::default();
    let stuck = Sink::direct("stuck", WANTED, gate.clone()).unwrap();
    let store = tempfile::tempdir().unwrap();
    let path = store.path().join("a");
    let mut sinks = start(&store, &format!("file = {path:?}")).unwrap();
    sinks.sinks.insert(0, stuck);
    let sent = queue::QUEUE + 100;
    (0..sent).for_each(|n| {
        sinks.send(&finding(n));
        thread::sleep(Duration::from_micros(100));
    });
    // One may be in the hands of the thread.
    assert!((99..=100).contains(&sinks.dropped()["stuck"]), "{:?}", sinks.dropped());
    assert_eq!(sinks.metrics()["stuck"].waiting as usize, queue::QUEUE);
    eventually("the other", || fs::read_to_string(&path).unwrap().lines().count() == sent);
    assert_eq!(sinks.dropped()["file"], 0);
    *gate.0.0.lock().unwrap() = true;
    gate.0.1.notify_all();
    sinks.finish(LONG);
}

#[test]
fn a_place_that_fails_is_counted() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let sink = Sink::direct("full", WANTED, full).unwrap();
    let counters = Arc::clone(&sink.counters);
    let sinks = Sinks { sinks: vec![sink] };
    (0..3).for_each(|n| sinks.send(&finding(n)));
    sinks.finish(LONG);
    assert_eq!(counters.all_dropped()["not_written"], 3);
}

#[test]
fn what_cannot_be_used_is_named() {
    let store = tempfile::tempdir().unwrap();
    let error = |config: &str| start(&store, config).err().unwrap().to_string();
    let text = error("file = '/nonexistent/alerts'");
    assert!(text.starts_with("cannot write alerts to /nonexistent/alerts: No such file"), "{text}");
    let text = error("[webhook.siem]\nurl = 'http://a/'\ntoken_file = '/nonexistent/token'");
    assert!(
        text.starts_with("configuration, [alerts.webhook.siem]: token_file /nonexistent/token: No such file"),
        "{text}"
    );
    let text = error("[otlp.a]\nendpoint = 'https://a/'\nca_file = '/dev/null'");
    assert!(text.starts_with("configuration, [alerts.otlp.a]: /dev/null: it holds no certificate"), "{text}");
    fs::create_dir(store.path().join("spool")).unwrap();
    fs::write(store.path().join("spool/otlp.b"), "").unwrap();
    let text = error("[otlp.b]\nendpoint = 'http://a/'");
    assert!(text.starts_with("cannot keep alerts that wait in "), "{text}");
}

#[test]
fn an_outage_loses_nothing_and_repeats_nothing() {
    let store = tempfile::tempdir().unwrap();
    let web = Web::start();
    let (address, config) = (web.address(), format!("[webhook.siem]\nurl = {:?}", web.url()));
    // It is not there when the first alerts come.
    assert!(web.kill().is_empty());
    let sinks = start(&store, &config).unwrap();
    (0..50).for_each(|n| sinks.send(&finding(n)));
    eventually("an attempt", || sinks.metrics()["webhook.siem"].retries > 0);
    let web = Web::back_at(address);
    eventually("the first alerts", || web.requests() == 50);

    // It is killed in the middle of a flood.
    let killing = thread::spawn(move || {
        eventually("some of the flood", || web.requests() >= 150);
        web.kill()
    });
    (50..550).for_each(|n| {
        sinks.send(&finding(n));
        thread::sleep(Duration::from_micros(200));
    });
    let flood = killing.join().unwrap();
    let mut all = uids(&flood);
    assert!(all.len() < 550, "it was killed too late");

    // The agent is started again meanwhile, while alerts come and the receiver is away.
    sinks.finish(Duration::from_secs(2));
    let sinks = start(&store, &config).unwrap();
    assert_eq!(sinks.metrics()["webhook.siem"].waiting as usize, 550 - all.len());
    (550..600).for_each(|n| sinks.send(&finding(n)));
    let web = Web::back_at(address);
    eventually("the rest", || all.len() + web.requests() >= 600);
    sinks.finish(LONG);
    all.extend(uids(&web.kill()));
    assert_eq!(all, (0..600).collect::<Vec<_>>(), "everything once, in order");

    let sinks = start(&store, &config).unwrap();
    assert_eq!(sinks.metrics()["webhook.siem"].waiting, 0);
}

#[test]
fn what_passes_is_tried_again_and_what_does_not_is_not() {
    let answer = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 3\r\n\r\nno\n");
    let answers = ["500 Internal Server Error", "429 Too Many Requests\r\nretry-after: 1", "400 Bad Request"];
    let answers: Vec<String> = answers.iter().map(|a| answer(a)).collect();
    let web = Web::answering(move |n| answers.get(n).cloned().unwrap_or_else(|| OK.to_owned()));
    let store = tempfile::tempdir().unwrap();
    let sinks = start(&store, &format!("[webhook.siem]\nurl = {:?}", web.url())).unwrap();
    let begin = Instant::now();
    (0..3).for_each(|n| sinks.send(&finding(n)));
    eventually("all three", || web.requests() == 5);
    assert!(begin.elapsed() > Duration::from_millis(1500), "it waits between attempts");
    eventually("their counts", || sinks.metrics()["webhook.siem"].waiting == 0);
    let metrics = &sinks.metrics()["webhook.siem"];
    assert_eq!((metrics.delivered, metrics.retries, metrics.dropped["refused"]), (2, 2, 1));
    sinks.finish(LONG);
    assert_eq!(uids(&web.kill()), [1, 2]);
}

#[test]
fn a_receiver_that_never_answers_times_out_and_hinders_no_other() {
    let web = Web::answering(|n| if n < 2 { String::new() } else { OK.to_owned() });
    let store = tempfile::tempdir().unwrap();
    let path = store.path().join("a");
    let mut sinks = start(&store, &format!("file = {path:?}")).unwrap();
    let client = Client::new(&web.url(), &config::Http::default()).unwrap().with_timeout(Duration::from_millis(300));
    let spool = Spool::open(&store.path().join("spool/stuck"), 1 << 20).unwrap();
    let encode = |report: &Report| ocsf::from_report(report).to_string().into_bytes();
    sinks.sinks.insert(0, Sink::spooled("stuck", WANTED, spool, encode, Webhook(client), None).unwrap());
    let begin = Instant::now();
    sinks.send(&finding(1));
    eventually("the other", || fs::read_to_string(&path).unwrap().lines().count() == 1);
    assert!(begin.elapsed() < Duration::from_millis(300));
    eventually("the third attempt", || sinks.metrics()["stuck"].delivered == 1);
    assert_eq!(sinks.metrics()["stuck"].retries, 2);
    assert_eq!(uids(&web.kill()), [1]);
}

#[test]
fn a_receiver_gets_what_it_asked_for() {
    let web = Web::start();
    let store = tempfile::tempdir().unwrap();
    let token = store.path().join("token");
    fs::write(&token, "first\n").unwrap();
    let config = format!(
        "severity = 'low'\n[webhook.sidekick]\nurl = {:?}\nformat = 'falco'\ntoken_file = {token:?}\nseverity = 'high'\n\
         headers = {{ X-Scope = 'me' }}",
        web.url()
    );
    let sinks = start(&store, &config).unwrap();
    let of = |severity| Report::from(Finding { severity, ..behaviour() });
    for severity in [Severity::Informational, Severity::Medium, Severity::High] {
        sinks.send(&of(severity));
    }
    eventually("the first", || web.requests() == 1);
    fs::write(&token, "second").unwrap();
    sinks.send(&of(Severity::Critical));
    sinks.finish(LONG);
    let taken = web.kill();
    let body = |n: usize| serde_json::from_slice::<Json>(&taken[n].body).unwrap();
    assert_eq!((body(0)["priority"].as_str(), body(1)["priority"].as_str()), (Some("Error"), Some("Critical")));
    for (request, token) in taken.iter().zip(["first", "second"]) {
        for line in ["POST /in HTTP/1.1", "content-type: application/json", "x-scope: me", "host: 127.0.0.1"] {
            assert!(request.head.contains(line), "{line} is not in {}", request.head);
        }
        assert!(request.head.contains(&format!("authorization: Bearer {token}\r\n")), "{}", request.head);
    }
    assert_eq!(taken.len(), 2);
}

#[test]
fn a_collector_and_a_syslog_server_get_alerts() {
    let (web, syslog) = (Web::start(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let store = tempfile::tempdir().unwrap();
    let config = format!(
        "[otlp.a]\nendpoint = 'http://{}'\n[alertmanager.a]\nurl = 'http://{0}/'\n[syslog.a]\naddress = 'udp://{}'",
        web.address(),
        syslog.local_addr().unwrap()
    );
    let sinks = start(&store, &config).unwrap();
    sinks.send(&finding(1));
    let mut buffer = [0; 8192];
    let n = syslog.recv(&mut buffer).unwrap();
    assert!(buffer[..n].starts_with(b"<131>1 2026-01-01T00:00:00.123456Z "));
    sinks.finish(LONG);
    let mut heads: Vec<_> = web.kill().iter().map(|t| t.head.lines().next().unwrap().to_owned()).collect();
    heads.sort();
    assert_eq!(heads, ["POST /api/v2/alerts HTTP/1.1", "POST /v1/logs HTTP/1.1"]);
}
