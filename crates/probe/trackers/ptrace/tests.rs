use crate::tests::{child::forked, *};

fn request(event: &ethogram_model::Event) -> String {
    event.schema.field("ptrace.request").unwrap().name_of(number(event, "ptrace.request"))
}

/// Attaches to a process, waits until it stands, reads and writes one of its registers and lets it go.
fn tamper(target: i32) -> i32 {
    // SAFETY: plain system calls; the register at offset 0 is read and written back, into a number of ours.
    unsafe {
        if libc::ptrace(libc::PTRACE_ATTACH, target, 0, 0) != 0 {
            return 1;
        }
        // One that has only just begun to run its program stops for that first, and the stop that was asked for is
        // still to come: let go now, it would stay stopped.
        let mut status = 0;
        while libc::waitpid(target, &raw mut status, libc::__WALL) == target && libc::WSTOPSIG(status) != libc::SIGSTOP {
            libc::ptrace(libc::PTRACE_CONT, target, 0, 0);
        }
        let mut set = [0u64; 64];
        let mut part = libc::iovec { iov_base: set.as_mut_ptr().cast(), iov_len: size_of_val(&set) };
        libc::ptrace(libc::PTRACE_GETREGSET, target, 1, &raw mut part);
        libc::ptrace(libc::PTRACE_SETREGSET, target, 1, &raw mut part);
        libc::ptrace(libc::PTRACE_DETACH, target, 0, 0) as i32
    }
}

#[test]
fn whom_a_process_traces_is_told_and_reading_only_on_request() {
    for (all, expected) in [("false", vec!["ATTACH", "SETREGSET"]), ("true", vec!["ATTACH", "GETREGSET", "SETREGSET", "DETACH"])] {
        let mut rig = Rig::start_with("ptrace", settings(), &[("all_requests", all)]);
        let other = Shell::waiting(":");
        let target = other.pid();
        let child = forked(|| tamper(target as i32));
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        let attached = rig.expect("attaching", |e| of(e, pid) && request(e) == "PTRACE_ATTACH");
        assert_eq!(number(&attached, "ptrace.target.pid"), u64::from(target));
        assert_eq!(text(&attached, "ptrace.target.name"), "sh");
        assert!(attached.get("ptrace.target.cgroup.id").is_truthy());
        assert!(!attached.get("ptrace.target.other_cgroup").is_truthy());
        let written = rig.expect("writing", |e| of(e, pid) && request(e) == "PTRACE_SETREGSET");
        assert_eq!(number(&written, "ptrace.target.pid"), u64::from(target));
        assert_eq!(number(&written, "ptrace.address"), 1);
        let mut requests: Vec<_> = rig.all().iter().filter(|e| of(e, pid)).map(request).collect();
        requests.retain(|r| r != "PTRACE_CONT"); // see above
        requests.dedup();
        assert_eq!(requests, expected.iter().map(|r| format!("PTRACE_{r}")).collect::<Vec<_>>());
        other.go();
    }
}

#[test]
fn a_refused_attempt_is_told_with_whom_it_meant() {
    let mut rig = Rig::start("ptrace");
    let child = forked(|| {
        // SAFETY: plain system calls.
        unsafe {
            libc::syscall(libc::SYS_setuid, 65_534);
            libc::ptrace(libc::PTRACE_ATTACH, libc::getppid(), 0, 0) as i32 + 1
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let refused = rig.expect("the refusal", |e| of(e, pid));
    assert_eq!((number(&refused, "error.type"), request(&refused).as_str()), (1, "PTRACE_ATTACH"));
    assert_eq!(number(&refused, "ptrace.requested.pid"), u64::from(std::process::id()));
    assert!(!refused.get("ptrace.target.pid").is_truthy());
}

#[test]
fn who_lets_itself_be_traced_is_the_target() {
    let mut rig = Rig::start("ptrace");
    let child = forked(|| {
        // SAFETY: a plain system call.
        unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) as i32 }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let event = rig.expect("the request", |e| of(e, pid));
    assert_eq!(request(&event), "PTRACE_TRACEME");
    assert_eq!(number(&event, "ptrace.target.pid"), u64::from(pid));
    assert_eq!(number(&event, "process.parent_pid"), u64::from(std::process::id()));
}
