//! What is the same again, later or elsewhere, and what is alike.

use super::*;

const DAY: u64 = 24 * 3_600;

/// Somebody starts a shell that reads a file in a container, and it is over.
fn visit(judge: &mut Judge, place: &Place, pid: u32, at_s: u64, files: &[&str], severity: Severity) -> Arc<Incident> {
    let shell = place.run(&[], pid, "/bin/sh", at_s);
    for file in files {
        judge.find(place, &shell, at_s, ("read", file), severity);
    }
    judge.incidents.advance(START + at_s * SECOND + CLOSE_NS);
    judge.collect();
    let mut all: Vec<_> = judge.seen.values().filter(|incident| incident.steps[0].pid == pid).cloned().collect();
    all.remove(0)
}

#[test]
fn the_same_again_is_a_recurrence_and_is_news_after_a_day_of_quiet_or_when_it_is_worse() {
    let (web, shop, mut judge) = (Place::new(7, "web"), Place::new(8, "shop"), Judge::default());
    let files = ["/srv/one", "/srv/two"];
    let first = visit(&mut judge, &web, 100, 0, &files, Severity::Medium);
    assert!(first.is_news() && first.recurrence_of.is_none());
    let again = visit(&mut judge, &web, 101, 7_200, &files[..1], Severity::Medium);
    assert_eq!(again.recurrence_of.as_ref().map(|again| &*again.of), Some(&*first.uid));
    assert!(!again.is_news());
    let elsewhere = visit(&mut judge, &shop, 102, 10_000, &files, Severity::Medium);
    assert!(!elsewhere.is_news());
    let update = judge.incidents.take_updates().pop().unwrap();
    let recurrences = update.recurrences.unwrap();
    assert_eq!(
        (&*update.uid, recurrences.count, &recurrences.places[..]),
        (&*first.uid, 2, &["web".into(), "shop".to_owned()][..])
    );
    assert!(recurrences.first_seen_ns < recurrences.last_seen_ns);
    let worse = visit(&mut judge, &web, 103, 20_000, &files, Severity::High);
    assert!(worse.is_news() && worse.recurrence_of.is_some());
    let same = visit(&mut judge, &web, 104, 30_000, &files, Severity::High);
    assert!(!same.is_news(), "people heard of it");
    let after_quiet = visit(&mut judge, &web, 105, 30_000 + 2 * DAY, &files, Severity::Medium);
    assert!(after_quiet.is_news());
    assert_eq!(judge.incidents.counters().repeated, 5);
}

#[test]
fn what_does_more_than_the_earlier_one_is_an_incident_of_its_own() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    visit(&mut judge, &web, 100, 0, &["/srv/one"], Severity::Medium);
    let more = visit(&mut judge, &web, 101, 7_200, &["/srv/one", "/etc/passwd"], Severity::Medium);
    assert!(more.is_news() && more.recurrence_of.is_none(), "{more:#?}");
    let updates = judge.incidents.take_updates();
    assert!(updates.iter().all(|update| update.recurrences.is_none()), "{updates:?}");
}

#[test]
fn a_finding_that_goes_on_long_after_its_incident_is_the_same_again() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let first = visit(&mut judge, &web, 100, 0, &["/srv/one"], Severity::Medium);
    let mut go_on = |at_s: u64| {
        let uid = first.parts[0].findings[0].clone();
        let last_seen_ns = START + at_s * SECOND;
        judge.incidents.go_on(&crate::FindingUpdate { uid, count: 2, last_seen_ns, evidence: Vec::new() });
        judge.incidents.take_updates()
    };
    assert_eq!(go_on(60), [], "it is the same deed");
    let updates = go_on(7_200);
    assert_eq!(updates[0].recurrences.as_ref().map(|again| again.count), Some(1));
    assert_eq!(go_on(7_210), []);
}

#[test]
fn what_is_alike_in_many_containers_is_one_cluster() {
    let mut judge = Judge::default();
    let files = ["/opt/agent/state/a", "/opt/agent/state/b", "/var/log/agent/main.log"];
    for n in 0..14_u64 {
        let place = Place::new(20 + n, &format!("c{n}"));
        // Each has a file of its own besides.
        let own = format!("/opt/agent/hosts/{}", char::from(b'a' + n as u8));
        let all: Vec<&str> = files.into_iter().chain([&*own]).collect();
        visit(&mut judge, &place, 100 + n as u32, n * 10, &all, Severity::Medium);
    }
    let update = judge.incidents.take_updates().into_iter().filter_map(|update| update.cluster).next_back().unwrap();
    assert_eq!((update.incidents, update.containers), (14, 14));
    let other = visit(&mut judge, &Place::new(7, "web"), 900, 1_000, &["/etc/shadow"], Severity::High);
    assert_eq!(other.cluster, None);
    // Two deeds of one workload stay two.
    let near = visit(&mut judge, &Place::new(7, "web"), 901, 2_000, &["/etc/shadow-"], Severity::High);
    assert_eq!((near.cluster.clone(), near.recurrence_of.clone()), (None, None));
}

#[test]
fn what_is_known_is_bounded_and_its_noisiest_workload_gives_way() {
    let (web, shop, mut judge) = (Place::new(7, "web"), Place::new(8, "shop"), Judge::default());
    let first = visit(&mut judge, &shop, 50, 0, &["/srv/first"], Severity::Medium);
    for n in 0..1_000_u32 {
        let path = format!("/{}/f", (0..4).map(|at| char::from(b'a' + (n >> (at * 3) & 7) as u8)).collect::<String>());
        visit(&mut judge, &web, 100 + n, 60 + u64::from(n), &[&path], Severity::Medium);
    }
    assert!(judge.incidents.graph_bytes() < 1 << 20);
    let again = visit(&mut judge, &shop, 5_000, 9_000, &["/srv/first"], Severity::Medium);
    assert_eq!(again.recurrence_of.as_ref().unwrap().of, first.uid);
}

#[test]
fn what_was_stored_is_known_again() {
    let (web, mut before, mut after) = (Place::new(7, "web"), Judge::default(), Judge::default());
    let first = visit(&mut before, &web, 100, 0, &["/srv/one"], Severity::Medium);
    after.incidents.restore(&first, None);
    let again = visit(&mut after, &web, 101, 7_200, &["/srv/one"], Severity::Medium);
    assert_eq!(again.recurrence_of.as_ref().unwrap().of, first.uid);
}
