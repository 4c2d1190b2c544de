//! What programs of the system are there for.

use std::sync::Arc;

use ethogram_model::{Event, Exec, Severity};

use crate::support::{SECOND, Sandbox, exec, judge, learnt};

const LATER: u64 = 60 * SECOND;

fn severity(event: impl Fn(&Sandbox) -> Event) -> Option<Severity> {
    let (mut model, web) = learnt();
    judge(&mut model, [event(&web)]).into_iter().map(|finding| finding.severity).max()
}

#[test]
fn what_a_program_is_there_to_read_is_mild_and_all_else_that_it_reads_is_not() {
    let read = |by: &str, path: &str| severity(|web| web.read(by, path, LATER));
    for (by, path) in [
        ("/usr/bin/sudo", "/etc/sudoers.d/anna"),
        ("/usr/sbin/sshd", "/etc/ssh/ssh_host_ed25519_key"),
        ("/usr/bin/passwd", "/etc/shadow"),
    ] {
        assert!(read(by, path) < Some(Severity::Medium), "{by} {path}");
    }
    for (by, path) in [
        ("/usr/bin/sudo", "/root/.ssh/id_rsa"),
        ("/usr/bin/cat", "/etc/sudoers"),
        ("/usr/sbin/nginx", "/etc/ssh/ssh_host_ed25519_key"),
        ("/tmp/sudo", "/etc/sudoers"),
        ("/home/u/passwd", "/etc/shadow"),
    ] {
        assert_eq!(read(by, path), Some(Severity::High), "{by} {path}");
    }
}

#[test]
fn a_helper_beside_its_program_is_mild_and_a_shell_or_what_was_brought_there_is_not() {
    let run = |parent: &str, program: &str| severity(|web| web.execute(parent, program, LATER));
    assert!(run("/usr/lib/postfix/sbin/master", "/usr/lib/postfix/sbin/scache") < Some(Severity::Medium));
    for (parent, program) in [
        ("/usr/lib/postfix/sbin/master", "/usr/bin/curl"),
        ("/usr/bin/vi", "/usr/bin/curl"),
        ("/opt/app/bin/server", "/opt/app/bin/bash"),
        ("/srv/app/server", "/srv/app/helper"),
    ] {
        assert!(run(parent, program) >= Some(Severity::Medium), "{parent} {program}");
    }
    let brought = severity(|web| {
        let mut process = web.process("/usr/lib/postfix/sbin/anvil");
        Arc::make_mut(&mut process.exec).in_writable_layer = true;
        process.ancestors.insert(0, exec(web.container.cgroup_id, "/usr/lib/postfix/sbin/master"));
        web.execute_as(process, LATER)
    });
    assert!(brought >= Some(Severity::Medium), "{brought:?}");
}

#[test]
fn what_people_set_up_from_outside_is_less_than_the_same_by_a_service() {
    let from_outside = |program: &str, path: &str| {
        severity(|web| {
            let shell = Exec { terminal: "pts0".into(), ..Exec::clone(&exec(web.container.cgroup_id, "/bin/bash")) };
            let mut process = web.process(program);
            process.ancestors.insert(0, Arc::new(shell));
            web.write_as(Some(process), path, LATER)
        })
    };
    assert_eq!(from_outside("/usr/sbin/postconf", "/etc/postfix/main.cf"), Some(Severity::Medium));
    assert_eq!(from_outside("/usr/bin/dpkg", "/usr/bin/curl"), Some(Severity::Medium));
    // What decides who may do what, what was brought, and a service's own hand are no setup.
    assert_eq!(from_outside("/usr/bin/tee", "/etc/pam.d/su"), Some(Severity::High));
    assert_eq!(from_outside("/tmp/postconf", "/etc/postfix/main.cf"), Some(Severity::High));
    assert_eq!(severity(|web| web.write("/usr/sbin/nginx", "/etc/postfix/main.cf", LATER)), Some(Severity::High));
}
