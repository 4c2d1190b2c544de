//! An event without a subscription costs nothing, and all of it comes with the first subscription.

use std::collections::BTreeSet;

use ethogram_model::FieldTest;

use super::{child::forked, *};
use crate::{ProgramState, Subscription};

fn only(events: &[&str]) -> Subscription {
    Subscription::only(events.iter().copied())
}

fn state(rig: &Rig) -> TrackerState {
    rig.collector.status().into_iter().find(|s| &*s.schema.name == rig.tracker).unwrap().state
}

/// Opens files in a child of its own, which nothing else does. Returns its pid.
fn opened(paths: &[&std::path::Path], flags: libc::c_int) -> u32 {
    let paths: Vec<_> = paths.iter().map(|p| std::ffi::CString::new(p.to_str().unwrap()).unwrap()).collect();
    let child = forked(|| {
        // SAFETY: the texts end with NUL.
        i32::from(paths.iter().any(|path| unsafe { libc::open(path.as_ptr(), flags) } < 0))
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    pid
}

#[test]
fn a_tracker_that_nobody_wants_is_attached_to_nothing() {
    let mut rig = Rig::start("files");
    rig.collector.set_subscription("files", only(&[])).unwrap();
    assert_eq!(state(&rig), TrackerState::Idle);
    assert!(!rig.programs().iter().any(|p| p.state == ProgramState::Attached));
    let seen = rig.counters().seen;
    let write = || Shell::waiting("for i in 1 2 3; do echo x > $(mktemp -u); done");
    write().go();
    assert_eq!(rig.counters().seen, seen);

    rig.collector.set_subscription("files", Subscription::All).unwrap();
    assert_eq!(state(&rig), TrackerState::Running);
    let shell = write();
    let pid = shell.pid();
    shell.go();
    rig.expect("a use of a file", |e| is(e, "use") && of(e, pid));

    rig.collector.set_subscription("files", only(&["use"])).unwrap();
    assert_eq!(state(&rig), TrackerState::Running);
    rig.collector.set_subscription("files", only(&[])).unwrap();
    assert_eq!(state(&rig), TrackerState::Idle);
    // Paused, it stays so whatever the subscriptions.
    rig.collector.pause(&["files".into()]).unwrap();
    rig.collector.set_subscription("files", Subscription::All).unwrap();
    assert_eq!(state(&rig), TrackerState::Paused);
    rig.collector.resume(&["files".into()]).unwrap();
    assert_eq!(state(&rig), TrackerState::Running);
    let shell = write();
    let pid = shell.pid();
    shell.go();
    rig.expect("a use of a file after the pause", |e| is(e, "use") && of(e, pid));
    rig.collector.stop("files").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn programs_that_serve_nobody_are_detached_alone() {
    let mut rig = Rig::start("tcp");
    rig.collector.set_subscription("tcp", only(&["connect"])).unwrap();
    assert_eq!(state(&rig), TrackerState::Running);
    let state_of = |name: &str| rig.programs().into_iter().find(|p| p.name == name).unwrap().state;
    assert_eq!(state_of("tcp_send_reset"), ProgramState::Idle);
    assert_eq!(state_of("inet_sock_set_state"), ProgramState::Attached);
    let connected = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let child = forked(|| i32::from(std::net::TcpStream::connect(to).is_err()));
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        pid
    };
    let pid = connected();
    rig.expect("the connect", |e| is(e, "connect") && of(e, pid));
    assert!(!rig.all().iter().any(|e| is(e, "close") && of(e, pid)));
    assert!(rig.counters().filtered["unwanted"] > 0);
    rig.collector.set_subscription("tcp", Subscription::All).unwrap();
    let pid = connected();
    rig.expect("the close", |e| is(e, "close") && of(e, pid));
    rig.collector.stop("tcp").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn a_file_that_is_ordinary_is_told_no_more_and_others_are() {
    let mut rig = Rig::start("open");
    rig.collector.set_subscription("open", only(&["open"])).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [ordinary, other] = ["ordinary", "other"].map(|name| directory.path().join(name));
    [&ordinary, &other].into_iter().for_each(|path| std::fs::write(path, "x").unwrap());
    let link = directory.path().join("link");
    std::fs::hard_link(&ordinary, &link).unwrap();
    let object = |event: &Event| event.get("_object").as_u64().unwrap();
    let at = |path: &std::path::Path, pid: u32| {
        let path = path.to_str().unwrap().to_owned();
        move |e: &Event| is(e, "open") && of(e, pid) && text(e, "file.path") == path
    };

    let pid = opened(&[&ordinary], libc::O_RDONLY);
    let first = object(&rig.expect("the first open", at(&ordinary, pid)));
    assert_ne!(first, 0);
    let pid = opened(&[&ordinary], libc::O_RDONLY);
    assert_eq!(object(&rig.expect("the same from another process", at(&ordinary, pid))), first);

    rig.collector.set_ordinary(first).unwrap();
    let before = rig.counters().filtered["ordinary"];
    let pid = opened(&[&ordinary, &other, &link], libc::O_RDONLY);
    let unlike = object(&rig.expect("another file", at(&other, pid)));
    let linked = object(&rig.expect("another name", at(&link, pid)));
    assert!(first != unlike && first != linked && unlike != linked);
    assert!(!rig.all().iter().any(at(&ordinary, pid)));
    assert!(rig.counters().filtered["ordinary"] > before);
    let pid = opened(&[&ordinary], libc::O_WRONLY);
    rig.expect("the file opened for writing", at(&ordinary, pid));

    // A subscription to everything.
    rig.collector.set_subscription("open", Subscription::All).unwrap();
    let pid = opened(&[&ordinary], libc::O_RDONLY);
    assert_eq!(object(&rig.expect("the ordinary one", at(&ordinary, pid))), 0);
    rig.collector.set_subscription("open", only(&["open"])).unwrap();
    let pid = opened(&[&ordinary, &other], libc::O_RDONLY);
    rig.expect("the other one", at(&other, pid));
    assert!(!rig.all().iter().any(at(&ordinary, pid)));

    rig.collector.renew_verdicts().unwrap();
    let pid = opened(&[&ordinary], libc::O_RDONLY);
    rig.expect("what has no verdict any more", at(&ordinary, pid));
    // Renamed, it is another.
    rig.collector.set_ordinary(first).unwrap();
    std::fs::rename(&ordinary, directory.path().join("id_rsa")).unwrap();
    let pid = opened(&[&directory.path().join("id_rsa")], libc::O_RDONLY);
    rig.expect("the file by its new name", at(&directory.path().join("id_rsa"), pid));
    rig.collector.stop("open").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn what_does_not_pass_the_tests_of_its_fields_stays_in_the_kernel() {
    const NOBODY: u32 = 65_534;
    let mut rig = Rig::start("fs");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("program");
    std::fs::write(&file, "x").unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    std::os::unix::fs::chown(&file, Some(NOBODY), None).unwrap();
    let path = std::ffi::CString::new(file.to_str().unwrap()).unwrap();
    let changed = |user: u32, modes: &[u32]| {
        let child = forked(|| {
            // SAFETY: plain system calls.
            let changed = unsafe {
                libc::syscall(libc::SYS_setuid, user) == 0 && modes.iter().all(|m| libc::chmod(path.as_ptr(), *m) == 0)
            };
            i32::from(!changed)
        });
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        pid
    };
    let wants = |rig: &mut Rig, tests: &[FieldTest]| {
        let subscription = Subscription::Only([("chmod".to_owned(), tests.to_vec())].into());
        rig.collector.set_subscription("fs", subscription).unwrap();
    };
    let reported = |rig: &mut Rig, pid: u32| {
        let of_pid = |e: &&Event| is(e, "chmod") && of(e, pid);
        rig.all().iter().filter(of_pid).map(|e| number(e, "file.mode")).collect::<Vec<_>>()
    };
    let last = |mode: u64, pid: u32| move |e: &Event| is(e, "chmod") && of(e, pid) && number(e, "file.mode") == mode;

    wants(&mut rig, &[FieldTest::any_of("file.mode", 0o6000)]);
    let pid = changed(0, &[0o755, 0o700, 0o4755, 0o644, 0o2755]);
    rig.expect("the last", last(0o2755, pid));
    assert_eq!(reported(&mut rig, pid), [0o4755, 0o2755]);
    wants(&mut rig, &[FieldTest::zero("process.user.id"), FieldTest::any_of("file.mode", 0o6000)]);
    let nobody = changed(NOBODY, &[0o4755]);
    let root = changed(0, &[0o755, 0o4755]);
    rig.expect("root's", last(0o4755, root));
    assert_eq!((reported(&mut rig, nobody).len(), reported(&mut rig, root)), (0, vec![0o4755]));
    wants(&mut rig, &[FieldTest::not_zero("process.user.id")]);
    let root = changed(0, &[0o4755]);
    let nobody = changed(NOBODY, &[0o755]);
    rig.expect("nobody's", last(0o755, nobody));
    assert_eq!(reported(&mut rig, root).len(), 0);
    assert!(rig.counters().filtered["unwanted"] >= 5);

    rig.collector.set_subscription("fs", Subscription::All).unwrap();
    let pid = changed(0, &[0o755]);
    rig.expect("any, as all is wanted", last(0o755, pid));
    rig.collector.stop("fs").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn a_path_without_a_file_can_be_ordinary_too() {
    let mut rig = Rig::start("open");
    rig.collector.set_subscription("open", only(&["failed"])).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let paths = ["absent", "absenT", "absent/", "a"].map(|name| directory.path().join(name));
    let long = directory.path().join("x".repeat(600));
    let tried = |paths: &[&std::path::Path]| {
        let child = forked(|| {
            paths.iter().for_each(|path| drop(std::fs::File::open(path).unwrap_err()));
            0
        });
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        pid
    };
    let at = |path: &std::path::Path, pid: u32| {
        let path = path.to_str().unwrap().trim_end_matches('/').to_owned();
        move |e: &Event| is(e, "failed") && of(e, pid) && text(e, "file.path") == path
    };
    let object = |event: &Event| event.get("_object").as_u64().unwrap();
    let pid = tried(&[&paths[0], &paths[1], &paths[3], &long]);
    let objects = [0, 1, 3].map(|i| object(&rig.expect("a failure", at(&paths[i], pid))));
    assert_eq!(objects.iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(object(&rig.expect("a long path", |e| is(e, "failed") && of(e, pid) && object(e) == 0)), 0);
    let again = tried(&[&paths[0]]);
    assert_eq!(object(&rig.expect("the same path", at(&paths[0], again))), objects[0]);

    rig.collector.set_ordinary(objects[0]).unwrap();
    let before = rig.counters().filtered["ordinary"];
    let pid = tried(&[&paths[0], &paths[2], &paths[1]]);
    rig.expect("another path", at(&paths[1], pid));
    assert_eq!(rig.all().iter().filter(|e| of(e, pid) && at(&paths[0], pid)(e)).count(), 1, "the one with a slash");
    assert!(rig.counters().filtered["ordinary"] > before);
    rig.collector.stop("open").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn what_was_remembered_before_nobody_looked_is_forgotten() {
    const NOBODY: libc::c_long = 65_534;
    let previous = |rig: &mut Rig, between: fn(&Rig)| {
        let child = forked(|| {
            // SAFETY: a plain system call.
            i32::from(unsafe { libc::syscall(libc::SYS_setuid, NOBODY) } != 0)
        });
        between(rig);
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        number(&rig.expect("the new user", |e| is(e, "user") && of(e, pid)), "process.previous.real_user.id")
    };
    let mut rig = Rig::start("cred");
    assert_eq!(previous(&mut rig, |_| ()), 0);
    let unseen = previous(&mut rig, |rig| {
        rig.collector.set_subscription("cred", only(&[])).unwrap();
        rig.collector.set_subscription("cred", Subscription::All).unwrap();
    });
    assert_eq!(unseen, u64::MAX, "it may have changed meanwhile");
}
