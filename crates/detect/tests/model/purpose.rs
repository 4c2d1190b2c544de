//! What programs of the system are there for.

use std::sync::Arc;

use ethogram_detect::Model;
use ethogram_model::{Event, Exec, Severity};

use crate::support::{SECOND, START, Sandbox, exec, judge, learnt, model, web};

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

const HAPROXY: &str = "/usr/sbin/haproxy";

/// A model that has learnt a server with a key.
fn server(by: &str, key: &str) -> (Model, Sandbox) {
    let (mut model, web) = (model(), web());
    judge(&mut model, [web.read(by, key, 0), web.listen(by, 443, 1)]);
    model.advance(START + LATER);
    (model, web)
}

fn read_later(by: &str, known: &str, key: &str) -> Option<Severity> {
    let (mut model, web) = server(by, known);
    judge(&mut model, [web.read(by, key, LATER)]).into_iter().map(|finding| finding.severity).max()
}

#[test]
fn a_renewed_key_beside_the_one_that_a_server_has_is_mild() {
    for (known, key) in [
        ("/etc/ssl/private/shop.key", "/etc/ssl/private/shop-new.key"),
        ("/etc/haproxy/tls/shop.key", "/etc/haproxy/tls/shop.new.key"),
    ] {
        assert!(read_later(HAPROXY, known, key) <= Some(Severity::Medium), "{known} {key}");
    }
}

#[test]
fn all_else_that_a_server_reads_is_as_grave_as_it_was() {
    let tls = "/etc/ssl/private/shop.key";
    for (by, known, key) in [
        (HAPROXY, tls, "/etc/shadow"),
        (HAPROXY, tls, "/etc/haproxy/other.key"),
        (HAPROXY, tls, "/root/.aws/credentials"),
        (HAPROXY, "/etc/shadow", "/etc/shadow-"),
        (HAPROXY, "/home/u/.ssh/id_rsa", "/home/u/.ssh/id_ed25519"),
        (HAPROXY, "/home/u/.ssh/a.key", "/home/u/.ssh/b.key"),
        (HAPROXY, "/home/u/a.key", "/home/u/b.key"),
        (HAPROXY, "/etc/kubernetes/pki/a.key", "/etc/kubernetes/pki/ca.key"),
        (HAPROXY, "/run/secrets/a.key", "/run/secrets/b.key"),
        ("/tmp/haproxy", tls, "/etc/ssl/private/new.key"),
        ("/usr/bin/python3.11", tls, "/etc/ssl/private/new.key"),
        ("nc@/bin/busybox", tls, "/etc/ssl/private/new.key"),
    ] {
        assert_eq!(read_later(by, known, key), Some(Severity::High), "{by} {known} {key}");
    }

    let (mut model, web) = server(HAPROXY, tls);
    let new = "/etc/ssl/private/new.key";
    let mut changed = web.read(HAPROXY, new, LATER);
    let process = Arc::make_mut(changed.context.process.as_mut().unwrap());
    Arc::make_mut(&mut process.exec).in_writable_layer = true;
    let foreign = web.read("/usr/bin/cat", new, LATER);
    for event in [changed, foreign] {
        assert_eq!(judge(&mut model, [event])[0].severity, Severity::High);
    }
    // What serves nobody is no server.
    let (mut model, web) = (self::model(), self::web());
    judge(&mut model, [web.read("/usr/bin/openssl", tls, 0), web.listen(HAPROXY, 443, 1)]);
    model.advance(START + LATER);
    assert_eq!(judge(&mut model, [web.read("/usr/bin/openssl", new, LATER)])[0].severity, Severity::High);
}
