//! Which receivers get what of an incident, and what becomes of it when the agent starts again.

use super::*;
use crate::sink::format::tests::incident;

fn of(uid: &str, severity: Severity, is_open: bool) -> Arc<Incident> {
    Arc::new(Incident { uid: uid.into(), severity, is_open, ..incident() })
}

/// Each incident in these requests, with what became of it.
fn changes(web: Web) -> Vec<(String, String)> {
    let change = |taken: &web::Taken| {
        let event: Json = serde_json::from_slice(&taken.body).unwrap();
        let uid = event["unmapped"]["incident"]["uid"].as_str().unwrap().to_owned();
        (uid, event["unmapped"]["change"].as_str().unwrap().to_owned())
    };
    web.kill().iter().map(change).collect()
}

fn expected(changes: &[(&str, &str)]) -> Vec<(String, String)> {
    changes.iter().map(|(uid, change)| ((*uid).to_owned(), (*change).to_owned())).collect()
}

#[test]
fn each_receiver_gets_what_it_is_to_have() {
    let (all, severe, findings) = (Web::start(), Web::start(), Web::start());
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("alerts");
    let config = format!(
        "deliver = 'incidents'\nfile = {file:?}\nheartbeat = 'off'\n[webhook.all]\nurl = '{}'\n\
         [webhook.severe]\nurl = '{}'\nseverity = 'high'\n[webhook.findings]\nurl = '{}'\ndeliver = 'findings'",
        all.url(),
        severe.url(),
        findings.url()
    );
    let mut sinks = start(&store, &config).unwrap();
    sinks.send(&finding(1));
    sinks.send_incidents(&[of("a", Severity::Medium, true), of("b", Severity::Low, true)]);
    sinks.send_incidents(&[of("a", Severity::Medium, true)]);
    sinks.send_incidents(&[of("b", Severity::Low, false), of("a", Severity::Critical, true)]);
    sinks.send_incidents(&[of("a", Severity::Critical, false)]);
    sinks.finish(LONG);
    assert_eq!(uids(&findings.kill()), [1]);
    let crossing = [("a", "opened"), ("a", "closed")];
    assert_eq!(changes(severe), expected(&crossing));
    let story = [("a", "opened"), ("b", "opened"), ("b", "closed"), ("a", "escalated"), ("a", "closed")];
    assert_eq!(changes(all), expected(&story));
    let text = fs::read_to_string(&file).unwrap();
    let classes: Vec<_> = text.lines().map(|l| serde_json::from_str::<Json>(l).unwrap()["class_uid"].clone()).collect();
    assert_eq!(classes, [2005, 2005, 2005, 2005, 2005]);
}

#[test]
fn what_was_open_is_closed_after_a_restart_for_those_who_had_it() {
    let store = tempfile::tempdir().unwrap();
    let (had, new) = (Web::start(), Web::start());
    let config = |more: &str| format!("deliver = 'incidents'\n[webhook.had]\nurl = '{}'\n{more}", had.url());
    let mut sinks = start(&store, &config("severity = 'high'")).unwrap();
    sinks.send_incidents(&[
        of("a", Severity::High, true),
        of("mild", Severity::Low, true),
        of("gone", Severity::High, true),
    ]);
    let stored = sinks.take_unsaved();
    assert_eq!(sinks.take_unsaved(), BTreeMap::new(), "it is stored already");
    sinks.finish(LONG);

    // Another receiver is added, and the minimum is lowered: neither had the mild one.
    let more = format!("[webhook.new]\nurl = '{}'", new.url());
    let mut sinks = start(&store, &config(&more)).unwrap();
    let ended = |uid: &str| (uid != "gone").then(|| of(uid, Severity::High, false));
    sinks.restore(&stored, ended);
    assert_eq!(sinks.take_unsaved(), BTreeMap::from([("webhook.had".to_owned(), "{}".to_owned())]));
    sinks.finish(LONG);
    assert_eq!(changes(had), expected(&[("a", "opened"), ("gone", "opened"), ("a", "closed")]));
    assert_eq!(changes(new), []);
}

#[test]
fn what_goes_on_after_a_restart_is_not_sent_again_and_what_became_part_of_it_is_closed() {
    let store = tempfile::tempdir().unwrap();
    let had = Web::start();
    let config = format!("deliver = 'incidents'\n[webhook.had]\nurl = '{}'", had.url());
    let mut sinks = start(&store, &config).unwrap();
    sinks.send_incidents(&[of("a", Severity::High, true), of("b", Severity::High, true)]);
    let stored = sinks.take_unsaved();
    sinks.finish(LONG);
    let mut sinks = start(&store, &config).unwrap();
    // The agent was killed before it could say that one is part of the other.
    sinks.restore(&stored, |_| Some(of("a", Severity::High, true)));
    sinks.send_incidents(&[of("a", Severity::High, true), of("a", Severity::High, false)]);
    assert_eq!(sinks.take_unsaved(), BTreeMap::from([("webhook.had".to_owned(), "{}".to_owned())]));
    sinks.finish(LONG);
    let bodies = had.bodies();
    let last: Json = serde_json::from_slice(&bodies[2]).unwrap();
    assert_eq!(last["unmapped"]["incident"]["merged_into"], "a", "{last:#}");
    assert_eq!(changes(had), expected(&[("a", "opened"), ("b", "opened"), ("b", "closed"), ("a", "closed")]));
}

#[test]
fn what_a_stuck_place_has_no_room_for_is_made_up_for() {
    let gate = Gate::default();
    let wanted = Wanted { deliver: Deliver::Incidents, least: Severity::Informational };
    let stuck = Sink::direct("stuck", wanted, gate.clone()).unwrap();
    let counters = Arc::clone(&stuck.counters);
    let mut sinks = Sinks { sinks: vec![stuck] };
    let all: Vec<_> = (0..queue::QUEUE + 100).map(|n| n.to_string()).collect();
    // Each is opened, and closed before the next one, so that few are open.
    for uid in &all[..all.len() / 2] {
        sinks.send_incidents(&[of(uid, Severity::High, true)]);
        sinks.send_incidents(&[of(uid, Severity::High, false)]);
    }
    assert!(sinks.metrics()["stuck"].waiting as usize >= queue::QUEUE);
    *gate.0.0.lock().unwrap() = true;
    gate.0.1.notify_all();
    eventually("the rest", || {
        sinks.send_incidents(&[]);
        counters.all_delivered() as usize == all.len()
    });
    assert_eq!(sinks.dropped()["stuck"], 0);
    sinks.finish(LONG);
}
