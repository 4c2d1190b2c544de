//! What goes on after the agent was started again.

use super::*;
use crate::Trail;

/// A process that was started so many seconds after boot, as an agent knows it that saw the start.
fn started(process: &Process, start_s: u64) -> Process {
    let start_ns = start_s * SECOND + 1_234_567;
    let exec = Arc::new(Exec { start_ns, ..Exec::clone(&process.exec) });
    Process { start_ns, exec, ..process.clone() }
}

/// The same as an agent knows it that finds it running, without those above that are gone.
fn found(process: &Process, ancestors: Vec<Arc<Exec>>) -> Process {
    let start_ns = process.start_ns / 10_000_000 * 10_000_000;
    let exec = Arc::new(Exec { start_ns, called_ns: 0, pid: process.pid, ..Exec::clone(&process.exec) });
    Process { start_ns, exec, ancestors, ..process.clone() }
}

/// Starts the agent again at that time. Gives what was stored, read again.
fn restart(judge: &mut Judge, at_s: u64) -> (Judge, Vec<Trail>) {
    judge.collect();
    let trails = judge.incidents.take_trails(usize::MAX);
    let json = serde_json::to_string(&trails).unwrap();
    let trails: Vec<Trail> = serde_json::from_str(&json).unwrap();
    let mut next = Judge::default();
    for incident in judge.seen.values() {
        let trail = trails.iter().find(|trail| trail.uid == incident.uid);
        let trail = trail.filter(|trail| trail.goes_on(incident, START + at_s * SECOND));
        let incident = Arc::new(Incident { is_open: trail.is_some(), ..Incident::clone(incident) });
        next.incidents.restore(&incident, trail);
        next.seen.insert(incident.uid.clone(), incident);
    }
    assert!(next.incidents.take_changed().is_empty(), "nothing happened to them");
    (next, trails)
}

#[test]
fn what_an_attacker_s_shell_does_after_a_restart_is_the_same_deed() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    for enters in [true, false] {
        let shell = if enters { web.enter(100, "/bin/sh", 0) } else { web.run(&[], 200, "/bin/sh", 0) };
        let shell = started(&shell, 50);
        judge.find(&web, &shell, 1, ("execute", "/bin/sh"), Severity::High);
        let (mut after, _) = restart(&mut judge, 60);
        let before = after.open().iter().find(|incident| incident.steps[0].pid == shell.pid).unwrap().clone();
        let shell = found(&shell, shell.ancestors.clone());
        // Itself, a program that it starts, and what it becomes.
        judge = after;
        judge.find(&web, &shell, 61, ("read", "/etc/shadow"), Severity::High);
        judge.find(&web, &web.run(&[&shell.exec], 101, "/bin/cat", 400), 400, ("read", "/etc/gshadow"), Severity::High);
        let becomes = Exec { start_ns: shell.start_ns + 7, ..exec(7, shell.pid, "/bin/nc", START + 500 * SECOND) };
        let becomes = Process { exec: becomes.into(), ..shell.clone() };
        judge.find(&web, &becomes, 500, ("connect", "203.0.113.9:443"), Severity::High);
        let after = &judge.open().into_iter().find(|incident| incident.uid == before.uid).unwrap();
        assert_eq!((before.findings, after.findings, after.parts.len()), (1, 4, 4), "{after:#?}");
        let steps: Vec<_> = after.steps.iter().map(|step| (&*step.program, step.parent)).collect();
        assert_eq!(steps, [("/bin/sh", None), ("/bin/cat", Some(0)), ("/bin/nc", None)]);
        assert!(after.bits > before.bits);
    }
    assert_eq!(judge.open().len(), 2);
}

#[test]
fn another_process_of_that_pid_and_one_beside_it_are_others() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = started(&web.run(&[], 100, "/bin/sh", 0), 50);
    judge.find(&web, &shell, 1, ("execute", "/bin/sh"), Severity::High);
    let (mut judge, _) = restart(&mut judge, 60);
    let other = found(&started(&shell, 51), shell.ancestors.clone());
    judge.find(&web, &other, 61, ("read", "/etc/shadow"), Severity::High);
    let beside = found(&started(&web.run(&[], 101, "/bin/sh", 0), 50), shell.ancestors.clone());
    judge.find(&web, &beside, 120, ("read", "/etc/gshadow"), Severity::High);
    let elsewhere = Place::new(8, "shop");
    let same_pid = found(&started(&elsewhere.run(&[], 100, "/bin/sh", 0), 50), shell.ancestors.clone());
    judge.find(&elsewhere, &same_pid, 200, ("read", "/etc/shadow"), Severity::High);
    assert_eq!(judge.open().iter().map(|incident| incident.findings).collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn a_child_without_a_program_of_its_own_is_known_where_its_parent_is_gone() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let shell = started(&web.run(&[], 100, "/usr/bin/perl", 0), 50);
    judge.find(&web, &shell, 1, ("execute", "/usr/bin/perl"), Severity::High);
    let child = Process { pid: 150, start_ns: 55 * SECOND, ..shell.clone() };
    judge.find(&web, &child, 2, ("connect", "203.0.113.9:443"), Severity::High);
    let (mut judge, _) = restart(&mut judge, 60);
    let child = found(&child, vec![Arc::clone(&web.init), runtime()]);
    judge.find(&web, &child, 600, ("read", "/etc/shadow"), Severity::High);
    let open = judge.open();
    assert_eq!((open.len(), open[0].findings), (1, 3), "{open:#?}");
}

#[test]
fn who_runs_a_file_that_was_dropped_before_a_restart_goes_on_and_elsewhere_does_not() {
    let (web, shop, mut judge) = (Place::new(7, "web"), Place::new(8, "shop"), Judge::default());
    let shell = started(&web.enter(100, "/bin/sh", 0), 50);
    judge.find(&web, &shell, 1, ("execute", "/bin/sh"), Severity::High);
    judge.observe(&web.event(&shell, 2, ObjectKind::Path, "/tmp/dropped"));
    let (mut judge, trails) = restart(&mut judge, 60);
    assert_eq!(trails.len(), 1);
    judge.find(&web, &web.enter(300, "/tmp/dropped", 900), 900, ("execute", "/tmp/dropped"), Severity::High);
    judge.find(&shop, &shop.enter(400, "/tmp/dropped", 901), 901, ("execute", "/tmp/dropped"), Severity::High);
    let open = judge.open();
    assert_eq!((open.len(), open[0].findings, open[0].links[0].kind), (2, 2, LinkKind::File));
    // And over one more restart, with what that counts for.
    let (mut judge, _) = restart(&mut judge, 1_000);
    let before = judge.open()[0].bits;
    judge.find(&web, &web.enter(500, "/tmp/dropped", 1_100), 1_100, ("read", "/etc/shadow"), Severity::High);
    let open = judge.open();
    assert!(open[0].findings == 3 && open[0].bits >= before, "{before} bits, and then {}", open[0].bits);
}

#[test]
fn what_was_over_stays_over_and_what_is_open_ends_after_a_while() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let close_s = CLOSE_NS / SECOND;
    let shell = started(&web.run(&[], 100, "/bin/sh", 0), 50);
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
    let (mut late, _) = restart(&mut judge, close_s);
    late.find(&web, &found(&shell, shell.ancestors.clone()), close_s, ("read", "/etc/shadow"), Severity::High);
    assert_eq!((late.incidents.open(), late.seen.len()), (1, 2), "the agent was away for too long");

    let mut judge = Judge::default();
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
    judge.incidents.advance(START + CLOSE_NS);
    let (mut closed, trails) = restart(&mut judge, close_s - 1);
    assert!(trails.is_empty() && closed.incidents.open() == 0);
    closed.find(&web, &found(&shell, shell.ancestors.clone()), 90, ("read", "/etc/shadow"), Severity::High);
    assert_eq!(closed.seen.len(), 2);

    let mut judge = Judge::default();
    judge.find(&web, &shell, 0, ("execute", "/bin/sh"), Severity::High);
    let (mut open, _) = restart(&mut judge, 60);
    open.incidents.advance(START + CLOSE_NS);
    let ended = open.incidents.take_changed();
    assert_eq!((ended.len(), ended[0].is_open), (1, false));
    assert!(open.incidents.open.graph.is_empty());
}

#[test]
fn a_recurrence_that_goes_on_is_counted_once() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let first = started(&web.run(&[], 100, "/bin/sh", 0), 50);
    judge.find(&web, &first, 0, ("read", "/srv/one"), Severity::Medium);
    judge.incidents.advance(START + CLOSE_NS);
    judge.collect();
    let again = started(&web.run(&[], 200, "/bin/sh", 7_200), 7_250);
    judge.find(&web, &again, 7_200, ("read", "/srv/one"), Severity::Medium);
    let update = judge.incidents.take_updates().pop().unwrap();
    let of = judge.seen.get_mut(&update.uid).unwrap();
    Arc::make_mut(of).update(update);
    let (mut judge, _) = restart(&mut judge, 7_260);
    let again = found(&again, again.ancestors.clone());
    judge.find(&web, &again, 7_300, ("read", "/srv/one"), Severity::Medium);
    let open = judge.open();
    assert_eq!((open.len(), open[0].recurrence_of.is_some()), (1, true));
    let counts = judge.incidents.take_updates().into_iter().filter_map(|update| update.recurrences);
    assert!(counts.map(|again| again.count).all(|count| count == 1));
    assert_eq!(judge.incidents.counters().repeated, 0, "that was before");
}

#[test]
fn what_is_stored_is_bounded_and_nothing_of_it_is_trusted() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    for pid in 0..300_u32 {
        let shell = started(&web.run(&[], 1_000 + pid, "/bin/sh", 0), 50);
        judge.find(&web, &shell, u64::from(pid), ("execute", "/bin/sh"), Severity::High);
        judge.observe(&web.event(&shell, 1, ObjectKind::Path, &format!("/tmp/{}", "x".repeat(4_000))));
    }
    let shell = started(&web.run(&[], 9_000, "/bin/sh", 0), 50);
    judge.find(&web, &shell, 400, ("execute", "/bin/sh"), Severity::High);
    for n in 0..1_000 {
        judge.observe(&web.event(&shell, 400, ObjectKind::Path, &format!("/tmp/{n}/{}", "x".repeat(4_000))));
    }
    assert_eq!(judge.incidents.take_trails(16).len(), 16);
    let (mut after, trails) = restart(&mut judge, 410);
    assert!(trails.iter().all(|trail| serde_json::to_string(trail).unwrap().len() < 64 << 10));
    assert!(after.incidents.open() <= MAX_OPEN && after.incidents.graph_bytes() <= 6 << 20);
    // Many more than there can be, of steps that there are not.
    let uid = after.open()[0].uid.clone();
    let programs: Vec<_> = (0..10_000)
        .map(|pid| {
            serde_json::json!([
                { "cgroup": 7, "pid": pid, "started": 5_000, "called_ns": 1 }, "whole", usize::MAX
            ])
        })
        .collect();
    let trail = serde_json::json!({
        "uid": uid, "shape": { "findings": [1], "is_cut": false },
        "connections": { "programs": programs, "files": [], "hops": [] },
    });
    let trail: Trail = serde_json::from_value(trail).unwrap();
    let mut incidents = Incidents::default();
    incidents.restore(&after.open()[0], Some(&trail));
    assert!(incidents.graph_bytes() < 256 << 10, "{}", incidents.graph_bytes());
    let shell = found(&started(&web.run(&[], 5, "/bin/sh", 0), 50), vec![Arc::clone(&web.init), runtime()]);
    let finding = finding(&web, &shell, 420, ("read", "/etc/shadow"), Severity::High);
    incidents.take(&finding, None, Some(10), Budget::default());
    assert_eq!((incidents.open(), incidents.take_changed()[0].findings), (1, 2));
}

#[test]
fn what_is_one_line_of_many_objects_is_known_when_it_comes_again() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let files: Vec<String> = (0..12).map(|n| format!("/srv/x/{}", char::from(b'a' + n))).collect();
    let visit = |judge: &mut Judge, pid: u32, at_s: u64, files: &[String]| {
        let shell = started(&web.run(&[], pid, "/bin/sh", at_s), at_s + 50);
        files.iter().for_each(|file| judge.find(&web, &shell, at_s, ("write", file), Severity::Medium));
        judge.collect();
        judge.seen.values().find(|incident| incident.steps[0].pid == pid).unwrap().clone()
    };
    let first = visit(&mut judge, 100, 0, &files);
    assert_eq!(first.parts[0].objects, 12);
    // It is over when the agent starts again.
    let (mut judge, trails) = restart(&mut judge, 60);
    let ended = trails[0].clone().ended();
    let over = Incident { is_open: false, ..Incident::clone(&first) };
    let mut restored = Judge::default();
    restored.incidents.restore(&over, Some(&ended));
    let again = visit(&mut restored, 200, 7_200, &files);
    assert_eq!(again.recurrence_of.as_ref().map(|again| &again.of), Some(&first.uid));
    let more = visit(&mut restored, 300, 9_000, &[&files[..], &["/srv/x/other".to_owned()]].concat());
    assert_eq!(more.recurrence_of, None, "it did something else");
    // An open one is known, too.
    let again = visit(&mut judge, 200, 70, &files[..3]);
    assert_eq!(again.recurrence_of.as_ref().map(|again| &again.of), Some(&first.uid));
}
