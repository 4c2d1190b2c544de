//! Policies that stand for a rule.

use super::*;

#[test]
fn what_stands_for_a_rule_kills_only_who_the_rule_would_find() {
    let (_root, forbidden, allowed) = folders();
    let one = Matcher::Path(allowed.join("one/marker").to_str().unwrap().into());
    let policies = [exact(PolicyOperation::Exec, &[below(&forbidden), one], Ruling::Kill)];
    let Some(rig) = Rig::start("exact-kill", &policies) else { panic!("every kernel kills for an exec") };
    let (marker, one) = (Marker::program(&forbidden), Marker::program(&allowed.join("one")));
    assert_eq!((marker.run(&rig.subject), one.run(&rig.subject)), (KILLED, KILLED));
    let reported = rig.expect("the kill", |e| e.killed);
    assert_eq!((reported.policies, reported.object.as_str()), (1, marker.path()));
    // What runs is its interpreter, and a path that is too long to be looked at is no rule's.
    for runs in [Marker::script(&forbidden.join("script")), Marker::program(&forbidden.join("a/".repeat(100)))] {
        assert_eq!(runs.run(&rig.subject), RAN, "{}", runs.path());
    }
    assert_eq!(Marker::program(&allowed).run(&rig.subject), RAN, "another path");
    assert_eq!(marker.run(&rig.neighbour), RAN, "another cgroup");
    assert_eq!(rig.enforcer.hits(), [2]);
}

#[test]
fn what_a_runtime_brings_along_is_nobodys_rule() {
    let (_root, forbidden, _) = folders();
    let policies = [exact(PolicyOperation::Exec, &[below(&forbidden)], Ruling::Kill)];
    let Some(rig) = Rig::start("exact-runtime", &policies) else { panic!("every kernel kills for an exec") };
    let marker = Marker::program(&forbidden);
    let file = fs::File::open(forbidden.join("marker")).unwrap();
    // As a runtime does: it is in a mount namespace of the container's already, and runs a file of the host's.
    let from_outside = rig.subject.run(|| {
        let argv = [marker.path.as_ptr(), marker.mark_path.as_ptr(), std::ptr::null()];
        // SAFETY: the arrays end with a null pointer and outlive the calls.
        unsafe {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return 99;
            }
            errno(libc::fexecve(file.as_raw_fd(), argv.as_ptr(), [std::ptr::null()].as_ptr()).into())
        }
    });
    assert_eq!((from_outside, fs::remove_file(&marker.mark).is_ok()), RAN);
    assert_eq!(marker.run(&rig.subject), KILLED, "its neighbour: the file of the namespace itself");
}

#[test]
fn who_connects_against_a_rule_is_killed_and_no_other() {
    let (forbidden, allowed) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (port, other) = (forbidden.local_addr().unwrap().port(), allowed.local_addr().unwrap().port());
    let peer = Matcher::Peer { address: "127.0.0.0".parse().unwrap(), bits: 8, port: Some(port) };
    let policies = [exact(PolicyOperation::Connect, &[peer], Ruling::Kill)];
    let Some(rig) = Rig::start("exact-connect", &policies) else { panic!("every kernel kills for a connection") };
    assert_eq!(rig.subject.run(|| connect(address(port))), KILLED.0);
    let reported = rig.expect("the kill", |e| e.killed);
    assert_eq!(reported.object, format!("127.0.0.1:{port}"));
    eprintln!("killed after {:?}", reported.took);
    assert_eq!(rig.subject.run(|| connect(address(other))), 0, "another port");
    assert_eq!(rig.subject.run(|| send(address(port))), 0, "a datagram is no connection");
    assert_eq!(rig.neighbour.run(|| connect(address(port))), 0, "another cgroup");
}

#[test]
fn what_stands_for_a_rule_refuses_only_what_the_rule_would_find() {
    let (root, forbidden, allowed) = folders();
    let policies = [
        exact(PolicyOperation::Exec, &[below(&forbidden)], Ruling::Deny),
        exact(PolicyOperation::Write, &[below(&forbidden)], Ruling::Deny),
        exact(PolicyOperation::Mount, &[Matcher::Any], Ruling::Deny),
    ];
    let Some(rig) = Rig::start("exact-deny", &policies) else { return };
    let (program, script) = (Marker::program(&forbidden), Marker::script(&allowed.join("script")));
    let moved = Marker { path: text(&forbidden.join("script")), ..script };
    fs::rename(allowed.join("script/marker"), forbidden.join("script")).unwrap();
    assert_eq!(program.run(&rig.subject), REFUSED);
    assert_eq!(moved.run(&rig.subject), RAN, "what runs is its interpreter");
    assert_eq!(program.run(&rig.neighbour), RAN, "another cgroup");

    let (old, new, other) = (forbidden.join("old"), text(&forbidden.join("new")), text(&allowed.join("other")));
    fs::write(&old, "as it was").unwrap();
    let (old_path, flags) = (text(&old), libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC);
    assert_eq!(rig.subject.run(|| open(&old_path, flags)), libc::EPERM);
    assert_eq!(fs::read_to_string(&old).unwrap(), "as it was");
    assert_eq!(rig.subject.run(|| open(&new, flags)), libc::EPERM);
    assert_eq!(rig.subject.run(|| open(&old_path, libc::O_RDONLY)), 0, "reading");
    assert_eq!(rig.subject.run(|| open(&other, flags)), 0, "another path");
    // SAFETY: the path is a string that ends with NUL.
    let truncated = rig.subject.run(|| errno(unsafe { libc::truncate(old_path.as_ptr(), 2) }.into()));
    assert_eq!(truncated, 0, "no file is opened");
    // For whom another directory is the root, rules see another path.
    let (above, seen) = (text(root.path()), c"/forbidden/old");
    let chrooted = rig.subject.run(|| {
        // SAFETY: the path is a string that ends with NUL.
        let moved = errno(unsafe { libc::chroot(above.as_ptr()) }.into());
        if moved == 0 { open(&seen.to_owned(), flags) } else { moved }
    });
    assert_eq!(chrooted, 0);
    let at = text(&allowed);
    assert_eq!(rig.subject.run(|| mount(&at)), libc::EPERM);
}
