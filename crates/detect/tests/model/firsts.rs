//! What a service never did in a way that says more than one more of its kind.

use std::sync::Arc;

use ethogram_model::{Entry, Event, Exec, Finding, Process, Severity};

use crate::support::*;

const LATER: u64 = 60 * SECOND;
const NODE: &str = "/usr/bin/node";
const SH: &str = "sh@/bin/dash";
const KEY: &str = "/etc/ssl/private/web.key";

/// A server in an interpreter that runs a helper, and is learnt; then another version of it.
fn next_version_of(helper: &str) -> (ethogram_detect::Model, Sandbox) {
    let (mut model, web) = (model(), web());
    let life = |web: &Sandbox, at: u64| {
        [web.execute_from_outside(NODE, at), web.listen(NODE, 80, at), web.execute(NODE, helper, at)]
    };
    judge(&mut model, life(&web, 0));
    model.advance(START + 30 * SECOND);
    let second = container("web", 8, "00000000000000ff");
    assert_eq!(judge(&mut model, life(&second, LATER)), []);
    (model, second)
}

fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}

#[test]
fn the_first_shell_of_a_server_is_grave_while_its_next_version_is_learnt() {
    let of = |helper: &str, program: &str, by: &str| {
        let (mut model, second) = next_version_of(helper);
        let findings = judge(&mut model, [second.execute(by, program, LATER + SECOND)]);
        assert!(findings.iter().all(|finding| finding.reason.contains("it never ran a shell before")), "{findings:#?}");
        worst(&findings)
    };
    assert_eq!(of("/usr/bin/gzip", SH, NODE), Some(Severity::High));
    // Another helper, one more shell, and the shell of a shell are what a version may bring.
    assert_eq!(of("/usr/bin/gzip", "/usr/bin/xz", NODE), None);
    assert_eq!(of("bash@/bin/bash", SH, NODE), None);
    assert_eq!(of("/usr/bin/gzip", SH, "bash@/bin/bash"), None);
    // So is a script that happens to be one of a shell.
    assert_eq!(of("/usr/bin/gzip", "rotate@/bin/dash", NODE), None);
}

#[test]
fn an_interpreter_that_serves_is_a_service_and_one_that_does_not_is_none() {
    let of = |serves: bool, severity: Option<Severity>| {
        let (mut model, web) = (model(), web());
        let port = if serves { 80 } else { 0 };
        judge(&mut model, [web.execute_from_outside(NODE, 0), web.listen(NODE, port, 0), web.write(NODE, "/srv/a", 0)]);
        model.advance(START + 30 * SECOND);
        let second = container("web", 8, "00000000000000ff");
        judge(&mut model, [second.execute_from_outside(NODE, LATER)]);
        let findings = judge(&mut model, [second.execute(NODE, "/usr/bin/gzip", LATER + SECOND)]);
        assert_eq!(worst(&findings), severity, "{findings:#?}");
    };
    of(true, Some(Severity::High));
    of(false, None);
}

#[test]
fn people_that_enter_run_their_first_shell_without_a_fuss() {
    let (mut model, second) = next_version_of("/usr/bin/gzip");
    let mut process = second.process(SH);
    Arc::make_mut(&mut process.exec).entry = Entry::Outside;
    process.ancestors.insert(0, Arc::new(Exec { entry: Entry::Outside, ..Exec::clone(&exec(8, NODE)) }));
    Arc::make_mut(&mut process.exec).terminal = "pts0".into();
    assert_eq!(judge(&mut model, [second.execute_as(process, LATER + SECOND)]), []);
}

/// The main process of a server, and one that it has forked.
fn server(web: &Sandbox, program: &str) -> [Process; 2] {
    let mut main = web.process(program);
    let exec = Arc::make_mut(&mut main.exec);
    (exec.pid, exec.called_ns, exec.mount_namespace) = (10, START, 1);
    (exec.is_entrypoint, exec.is_in_init) = (true, true);
    let forked = Process { pid: 11, parent_pid: 10, ..main.clone() };
    [main, forked]
}

/// A process whose parent is that one by now reads a file.
fn reads(web: &Sandbox, process: &Process, parent: u16, path: &str, at: u64) -> Event {
    with_parent(web.read_as(Some(process.clone()), path, at), parent)
}

#[test]
fn what_only_the_main_process_read_is_news_of_one_that_it_forked() {
    let web = web();
    let [main, forked] = server(&web, "/usr/sbin/nginx");
    let after = |learnt: &[Event], event: Event| {
        let mut model = model();
        assert_eq!(judge(&mut model, learnt.to_vec()), []);
        model.advance(START + 30 * SECOND);
        model.judge(&event)
    };
    let by_main = |at| reads(&web, &main, 1, KEY, at);
    let by_forked = |at| reads(&web, &forked, 10, KEY, at);
    let findings = after(&[by_main(0)], by_forked(LATER));
    assert_eq!(worst(&findings), Some(Severity::High));
    assert!(findings[0].reason.contains("only the program's main process read it"), "{}", findings[0].reason);
    for (learnt, event) in [
        (vec![by_main(0)], by_main(LATER)),
        (vec![by_main(0), by_forked(SECOND)], by_forked(LATER)),
        (vec![by_forked(0)], by_forked(LATER)),
        (vec![by_forked(0)], by_main(LATER)),
        // One that went to the background is a main process itself.
        (vec![by_main(0)], reads(&web, &forked, 1, KEY, LATER)),
    ] {
        assert_eq!(after(&learnt, event), []);
    }
    // Nothing is known of one that was there before the agent.
    let mut found = main.clone();
    Arc::make_mut(&mut found.exec).called_ns = 0;
    assert_eq!(after(&[reads(&web, &found, 1, KEY, 0)], by_forked(LATER)), []);
}

#[test]
fn what_a_profile_knew_before_it_knows_of_all_processes() {
    let web = web();
    let [main, forked] = server(&web, "/usr/sbin/nginx");
    let mut learner = model();
    judge(&mut learner, [reads(&web, &main, 1, KEY, 0)]);
    learner.advance(START + 30 * SECOND);
    let (uid, profile) = learner.take_last().pop().unwrap();
    let judged = |profile| {
        let mut model = model();
        model.restore(profile).unwrap();
        judge(&mut model, [reads(&web, &main, 1, KEY, LATER), reads(&web, &forked, 10, KEY, LATER)]).len()
    };
    assert_eq!(judged(profile.clone()), 1);
    // As it was stored by agents that did not ask.
    let stored = serde_json::to_string(&profile).unwrap();
    let before = stored.replace(",\"is_of_main_alone\":true", "");
    assert_ne!(stored, before);
    assert_eq!(judged(serde_json::from_str(&before).unwrap()), 0);
    // And as somebody wrote it.
    let mut model = learner;
    model.import(ethogram_detect::Profile::from_file(&profile.to_file(), START).unwrap());
    assert_eq!(judge(&mut model, [reads(&web, &forked, 10, KEY, LATER)]), [], "{uid}");
}

#[test]
fn a_server_reads_its_key_with_the_first_start_and_nothing_else_does() {
    let start = |program: &str, reader: fn([Process; 2]) -> (Process, u16), path: &str| {
        let (mut model, web) = (model(), web());
        judge(&mut model, [web.listen(program, 80, 0)]);
        model.advance(START + 30 * SECOND);
        let [main, forked] = server(&web, program);
        let mut begin = main.clone();
        Arc::make_mut(&mut begin.exec).args = web.container.command.clone();
        assert_eq!(judge(&mut model, [web.execute_as(begin, LATER)]), []);
        let (process, parent) = reader([main, forked]);
        worst(&judge(&mut model, [reads(&web, &process, parent, path, LATER + SECOND)]))
    };
    let main: fn([Process; 2]) -> (Process, u16) = |[main, _]| (main, 1);
    assert_eq!(start("/usr/sbin/nginx", main, KEY), None);
    assert_eq!(start("/usr/sbin/nginx", |[_, forked]| (forked, 10), KEY), Some(Severity::High));
    assert_eq!(start("/usr/sbin/nginx", main, "/root/.ssh/id_rsa"), Some(Severity::High));
    assert_eq!(start("/usr/bin/python3", main, KEY), Some(Severity::High));
}
