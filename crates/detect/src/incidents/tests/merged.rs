//! What turns out to be one deed, and how the others are found that were reported before.

use super::*;

/// A shell each, as incidents of their own.
fn shells(judge: &mut Judge, web: &Place, pids: &[u32]) -> Vec<Process> {
    let begin = |pid: &u32| {
        let shell = web.run(&[], *pid, "/bin/sh", u64::from(*pid));
        judge.find(web, &shell, u64::from(*pid), ("execute", "/bin/sh"), Severity::High);
        shell
    };
    pids.iter().map(begin).collect()
}

/// One runs what the other wrote.
fn connect(judge: &mut Judge, web: &Place, from: &Process, to: &Process, at_s: u64) {
    let path = format!("/tmp/{}-{}", from.pid, to.pid);
    judge.observe(&web.event(from, at_s, ObjectKind::Path, &path));
    let run = web.run(&[&to.exec], to.pid + 1, &path, at_s + 1);
    judge.find(web, &run, at_s + 1, ("execute", &path), Severity::High);
}

#[test]
fn the_whole_names_those_that_became_part_of_it_and_those_say_so() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let all = shells(&mut judge, &web, &[100, 200, 300]);
    let [first, second, third] = &judge.open()[..] else { panic!("three are open") };
    let uids = [first, second, third].map(|incident| incident.uid.clone());
    connect(&mut judge, &web, &all[1], &all[2], 400);
    let open = judge.open();
    assert_eq!((open.len(), &open[1].merged), (2, &vec![uids[2].clone()]));
    assert!(open[0].merged.is_empty(), "a neighbour");
    connect(&mut judge, &web, &all[0], &all[1], 500);
    let open = judge.open();
    assert_eq!((open.len(), &open[0].uid), (1, &uids[0]));
    assert_eq!(open[0].merged, [uids[1].clone(), uids[2].clone()]);
    assert_eq!(judge.seen[&uids[2]].merged_into.as_ref(), Some(&uids[1]));
    assert_eq!(judge.seen[&uids[1]].merged_into.as_ref(), Some(&uids[0]));
}

#[test]
fn so_many_are_named_and_no_more() {
    let (web, mut judge) = (Place::new(7, "web"), Judge::default());
    let pids: Vec<u32> = (0..100).map(|n| 100 + 10 * n).collect();
    let all = shells(&mut judge, &web, &pids);
    for other in &all[1..] {
        connect(&mut judge, &web, &all[0], other, 2_000);
    }
    assert!(judge.incidents.counters().merged > Incident::MAX_MERGED as u64);
    assert_eq!(judge.open()[0].merged.len(), Incident::MAX_MERGED);
}
