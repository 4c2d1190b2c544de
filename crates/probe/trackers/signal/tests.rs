use crate::tests::{child::forked, *};

fn name(event: &ethogram_model::Event, field: &str) -> String {
    event.schema.field(field).unwrap().name_of(number(event, field))
}

#[test]
fn who_sent_what_to_whom_is_told() {
    let mut rig = Rig::start("signal");
    let target = forked(|| 0);
    let shell = Shell::waiting(&format!("kill -USR1 {}", target.pid()));
    let (pid, to) = (shell.pid(), target.pid());
    shell.go();
    let sent = rig.expect("the signal", |e| of(e, pid) && number(e, "signal.target.pid") == u64::from(to));
    assert_eq!(number(&sent, "signal.name"), 10);
    let own_name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
    assert_eq!(text(&sent, "signal.target.name"), own_name.trim_end());
    assert_eq!(name(&sent, "signal.code"), "SI_USER");
    assert_eq!(name(&sent, "signal.outcome"), "delivered");
    assert!(!sent.get("signal.by_kernel").is_truthy() && !sent.get("signal.target.other_cgroup").is_truthy());
    assert!(!rig.all().iter().any(|e| number(e, "signal.name") == 17), "SIGCHLD is left out");
}

#[test]
fn what_a_process_sends_to_itself_is_told_on_request() {
    for own in ["false", "true"] {
        let mut rig = Rig::start_with("signal", settings(), &[("own", own), ("children", "true")]);
        let child = forked(|| {
            // SAFETY: a plain system call.
            unsafe { libc::kill(libc::getpid(), libc::SIGURG) }
        });
        let pid = child.pid();
        child.go();
        // The kernel signals the child's end to its parent: of that signal, the target is the one.
        let me = u64::from(std::process::id());
        assert!(!rig.all().iter().any(|e| number(e, "process.pid") == me), "the agent's own");
        let reported = rig.all().iter().any(|e| of(e, pid) && number(e, "signal.name") == libc::SIGURG as u64);
        assert_eq!(reported, own == "true");
    }
}

#[test]
fn signals_of_the_kernel_are_told_of_who_gets_them() {
    let fault = || {
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: it is to fault: nothing is allowed with this page of ours.
        unsafe {
            let page: *mut u8 = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_NONE, kind, -1, 0).cast();
            page.write_volatile(1);
        }
        0
    };
    for kernel in ["true", "false"] {
        let mut rig = Rig::start_with("signal", settings(), &[("kernel", kernel)]);
        let child = forked(fault);
        let pid = child.pid();
        assert_eq!(child.go(), 128 + libc::SIGSEGV);
        let reported = rig.all().iter().find(|e| of(e, pid) && number(e, "signal.name") == 11).cloned();
        assert_eq!(reported.is_some(), kernel == "true");
        if let Some(event) = reported {
            assert!(event.get("signal.by_kernel").is_truthy());
            assert_eq!(number(&event, "signal.target.pid"), u64::from(pid));
        }
    }
}

#[test]
fn one_signal_can_be_watched_alone() {
    let mut rig = Rig::start_with("signal", settings(), &[("only", "12")]);
    let target = forked(|| 0);
    let shell = Shell::waiting(&format!("kill -URG {0}; kill -USR2 {0}", target.pid()));
    let pid = shell.pid();
    shell.go();
    rig.expect("the signal", |e| of(e, pid) && number(e, "signal.name") == 12);
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 1);
    assert!(rig.counters().filtered["parameter"] > 0);
}
