//! What nobody would do who is in his right mind: loops, floods, and clocks that jump.

use super::*;

#[test]
fn a_loop_of_files_that_are_written_and_run_is_one_incident_and_bounded() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let mut process = web.run(&[], 100, "/bin/sh", 0);
    judge.find(&web, &process, 0, ("execute", "/bin/sh"), Severity::High);
    for n in 0..5_000_u32 {
        let next = format!("/tmp/f{}", n % 100);
        let at_s = 1 + u64::from(n) / 100;
        judge.observe(&web.event(&process, at_s, ObjectKind::Path, &next));
        // It is started by the service, so that nothing but the file connects it.
        process = web.run(&[], 101 + n, &next, at_s);
        judge.find(&web, &process, at_s, ("execute", &next), Severity::High);
    }
    let open = judge.open();
    assert!(open.len() <= MAX_OPEN, "{}", open.len());
    assert!(open[0].findings > 100 && open[0].steps.len() <= Incident::MAX_STEPS, "{}", open[0].findings);
    assert!(open.iter().all(|incident| incident.links.len() <= Incident::MAX_LINKS));
    assert!(judge.incidents.graph_bytes() < 4 << 20, "{}", judge.incidents.graph_bytes());
    assert!(judge.incidents.counters().refused > 0, "what had no room is counted");
}

#[test]
fn a_program_that_makes_a_million_files_takes_its_own_room_only() {
    let (web, store, mut judge) = (Place::new(7, "web"), Place::new(8, "store"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 0);
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
    for n in 0..100_000 {
        judge.observe(&web.event(&shell, 1, ObjectKind::Path, &format!("/srv/{n}")));
    }
    assert!(judge.incidents.graph_bytes() < 1 << 20);
    // The neighbour's connects as ever.
    let other = store.run(&[], 200, "/bin/sh", 2);
    judge.find(&store, &other, 2, ("execute", "/bin/sh"), Severity::High);
    judge.observe(&store.event(&other, 3, ObjectKind::Path, "/tmp/.x"));
    judge.find(&store, &store.run(&[], 300, "/tmp/.x", 60), 60, ("execute", "/tmp/.x"), Severity::High);
    assert_eq!(judge.open().len(), 2);
}

#[test]
fn clocks_that_jump_close_nothing_too_early_and_leave_nothing_open_for_ever() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = web.run(&[], 100, "/bin/sh", 3_600);
    judge.find(&web, &shell, 3_600, ("execute", "/bin/sh"), Severity::High);
    // An hour back: the same deed goes on.
    judge.find(&web, &shell, 10, ("read", "/etc/shadow"), Severity::High);
    judge.incidents.advance(START);
    let open = judge.open();
    assert_eq!((open.len(), open[0].findings), (1, 2));
    assert!(open[0].first_seen_ns <= open[0].last_seen_ns);
    // To the end of all times, and back to their beginning.
    judge.incidents.advance(u64::MAX);
    judge.collect();
    assert_eq!(judge.incidents.open(), 0);
    judge.incidents.advance(0);
    let late = web.run(&[], 400, "/bin/sh", 0);
    let finding = finding(&web, &late, 0, ("read", "/etc/gshadow"), Severity::High);
    for time_ns in [0, u64::MAX, START] {
        let jumped = Finding { first_seen_ns: time_ns, last_seen_ns: time_ns, ..finding.clone() };
        judge.incidents.take(&jumped, None, Some(10), Budget::default());
    }
    judge.collect();
    assert!(judge.incidents.open() >= 1);
}

#[test]
fn without_room_the_weakest_of_who_has_most_becomes_a_summary_and_then_goes() {
    let (web, store) = (Place::new(7, "web"), Place::new(8, "store"));
    let settings = crate::Settings { incident_bytes: 1 << 16, ..crate::Settings::default() };
    let mut judge = Judge { incidents: Incidents::new(&settings), ..Judge::default() };
    let shell = store.run(&[], 100, "/bin/sh", 0);
    judge.find(&store, &shell, 0, ("read", "/etc/shadow"), Severity::High);
    let flood = |judge: &mut Judge, pid, severity| {
        let process = web.run(&[], pid, "/bin/sh", 1);
        for n in 0..40 {
            judge.find(&web, &process, 1, ("write", &format!("/d{n}/{}", "x".repeat(200))), severity);
        }
    };
    flood(&mut judge, 200, Severity::Medium);
    assert_eq!(judge.incidents.counters().summarized, 0, "there is room");
    (201..204).for_each(|pid| flood(&mut judge, pid, Severity::Medium));
    let counters = judge.incidents.counters();
    assert!(counters.summarized > 0 && counters.evicted == 0, "{counters:?}");
    let cut: Vec<_> = judge.open().into_iter().filter(|incident| incident.unlisted > 0).collect();
    assert!(
        cut.iter().all(|incident| incident.findings == incident.unlisted + incident.parts.len() as u64),
        "{cut:#?}"
    );
    (300..400).for_each(|pid| flood(&mut judge, pid, Severity::Medium));
    assert!(judge.incidents.counters().evicted > 0 && judge.incidents.open.bytes() <= 1 << 16);
    assert!(judge.open().iter().any(|incident| incident.workloads == ["store"]), "the neighbour's stays as it is");
}
