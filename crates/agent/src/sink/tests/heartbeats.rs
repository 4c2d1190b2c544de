//! Who gets heartbeats, and what becomes of those that do not arrive.

use super::*;
use crate::sink::format::tests::beat;

fn heartbeat(time_ns: u64) -> Heartbeat {
    Heartbeat { time_ns, ..beat() }
}

fn delivered(sinks: &Sinks) -> u64 {
    sinks.metrics().values().map(|m| m.delivered + m.retries + m.waiting + m.dropped.values().sum::<u64>()).sum()
}

#[test]
fn each_receiver_that_can_take_one_gets_it_and_it_is_counted_nowhere() {
    let (web, falco, syslog) = (Web::start(), Web::start(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("alerts");
    let config = format!(
        "severity = 'critical'\nfile = {file:?}\n[webhook.siem]\nurl = '{0}'\n[webhook.quiet]\nurl = '{0}'\nheartbeat = 'off'\n\
         [webhook.sidekick]\nurl = '{1}'\nformat = 'falco'\n[alertmanager.a]\nurl = '{0}'\n[otlp.a]\nendpoint = '{0}'\n\
         [syslog.a]\naddress = 'udp://{2}'",
        web.url(),
        falco.url(),
        syslog.local_addr().unwrap()
    );
    let mut sinks = start(&store, &config).unwrap();
    assert!(sinks.next_heartbeat().unwrap() <= Instant::now());
    sinks.beat(heartbeat(1));
    let next = sinks.next_heartbeat().unwrap();
    assert!(next > Instant::now() + Duration::from_secs(4 * 60), "the next one is due in five minutes");
    sinks.beat(heartbeat(2));
    let mut buffer = [0; 8192];
    let n = syslog.recv(&mut buffer).unwrap();
    assert!(String::from_utf8_lossy(&buffer[..n]).contains(" agent.heartbeat [ethogram@32473 "));
    eventually("a line", || !fs::read_to_string(&file).unwrap().is_empty());
    eventually("all others", || web.requests() >= 3);
    assert_eq!(delivered(&sinks), 0, "{:?}", sinks.metrics());
    sinks.finish(LONG);
    let mut heads: Vec<_> = web.kill().iter().map(|t| t.head.lines().next().unwrap().to_owned()).collect();
    heads.sort();
    assert_eq!(heads, ["POST /in HTTP/1.1", "POST /in/api/v2/alerts HTTP/1.1", "POST /in/v1/logs HTTP/1.1"]);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1, "one was due, and not two");
    assert!(falco.kill().is_empty(), "it takes everything for an alert");
}

#[test]
fn where_it_is_off_those_that_ask_for_it_have_their_own() {
    let (web, store) = (Web::start(), tempfile::tempdir().unwrap());
    let receivers = format!("[webhook.a]\nurl = '{0}'\n[alertmanager.b]\nurl = '{0}'\n", web.url());
    let sinks = start(&store, &format!("heartbeat = 'off'\n{receivers}")).unwrap();
    assert_eq!(sinks.next_heartbeat(), None);
    sinks.finish(LONG);
    let sidekick = format!("[webhook.c]\nurl = '{}'\nformat = 'falco'\nheartbeat = '1h'", web.url());
    let mut sinks = start(&store, &format!("heartbeat = 'off'\n{receivers}{sidekick}")).unwrap();
    sinks.beat(heartbeat(1));
    eventually("the one", || web.requests() == 1);
    sinks.finish(LONG);
    let taken = web.kill();
    assert_eq!(serde_json::from_slice::<Json>(&taken[0].body).unwrap()["rule"], "agent.heartbeat");
    assert_eq!(taken.len(), 1);
}

#[test]
fn none_waits_for_a_receiver_that_is_away_and_alerts_do() {
    let (web, store) = (Web::start(), tempfile::tempdir().unwrap());
    let (address, config) = (web.address(), format!("[webhook.siem]\nurl = {:?}\nheartbeat = '1h'", web.url()));
    web.kill();
    let mut sinks = start(&store, &config).unwrap();
    let beat = |sinks: &mut Sinks, time_ns| {
        sinks.sinks[0].beat(&Arc::new(heartbeat(time_ns)), Instant::now() + Duration::from_secs(2 * 3600 * time_ns));
    };
    sinks.send(&finding(7));
    eventually("an attempt", || sinks.metrics()["webhook.siem"].retries > 0);
    (1..=5).for_each(|n| beat(&mut sinks, n));
    assert_eq!(sinks.metrics()["webhook.siem"].waiting, 1, "the alert");
    let web = Web::back_at(address);
    eventually("the alert and the newest heartbeat", || web.requests() == 2);
    beat(&mut sinks, 6);
    eventually("the next heartbeat", || web.requests() == 3);
    sinks.finish(LONG);
    let taken: Vec<Json> = web.kill().iter().map(|t| serde_json::from_slice(&t.body).unwrap()).collect();
    assert_eq!(taken[0]["finding_info"]["uid"], "7", "what waits goes first");
    let lost: Vec<_> = taken[1..].iter().map(|t| t["unmapped"]["events_lost_since"].clone()).collect();
    assert_eq!(lost, [7, 0], "counted from the last that arrived");
    assert_eq!(taken.len(), 3);
}

#[test]
fn an_alertmanager_gets_an_alert_that_ends_where_no_other_comes() {
    let (web, store) = (Web::start(), tempfile::tempdir().unwrap());
    let config = format!("[alertmanager.a]\nurl = {:?}\nheartbeat = '1m'", web.url());
    let mut sinks = start(&store, &config).unwrap();
    sinks.beat(heartbeat(1));
    eventually("the alert", || web.requests() == 1);
    sinks.finish(LONG);
    let alert = serde_json::from_slice::<Json>(&web.kill()[0].body).unwrap().as_array().unwrap()[0].clone();
    let ends: jiff::Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
    let left = Duration::try_from(ends.duration_since(jiff::Timestamp::now())).unwrap();
    assert!((120..=180).contains(&left.as_secs()), "one may be missed: {left:?}");
    assert_eq!((&alert["labels"]["severity"], &alert["labels"]["uid"]), (&"none".into(), &Json::Null));
}
