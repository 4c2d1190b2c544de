use crate::tests::*;

#[test]
fn exec_tells_what_runs_with_which_arguments_and_where() {
    let mut rig = Rig::start("process");
    let shell = Shell::waiting("cd /usr; /bin/echo one 'two  words' ''");
    let parent = shell.pid();
    shell.go();
    let exec = rig.expect("exec of echo", |e| is(e, "exec") && number(e, "process.parent_pid") == u64::from(parent));
    assert_eq!(text(&exec, "process.executable.path"), "/usr/bin/echo");
    assert_eq!(text(&exec, "process.executable.as_called"), "/bin/echo");
    assert_eq!(text(&exec, "process.executable.name"), "echo");
    assert_eq!(text(&exec, "process.working_directory"), "/usr");
    assert_eq!(args(&exec), ["/bin/echo", "one", "two  words", ""]);
    assert!(!exec.get("process.command_args_truncated").is_truthy());
    assert!(!exec.get("process.executable.memfd").is_truthy());
}

#[test]
fn a_program_at_a_terminal_is_told_from_one_without() {
    let mut rig = Rig::start("process");
    let shell = Shell::waiting("/bin/echo without; script -qec '/bin/echo with' /dev/null");
    shell.go();
    let mut echo = |arg: &str| {
        rig.expect(arg, |e| is(e, "exec") && text(e, "process.executable.name") == "echo" && args(e).last().unwrap() == arg)
    };
    assert!(text(&echo("with"), "process.tty.name").starts_with("pts"));
    assert_eq!(text(&echo("without"), "process.tty.name"), "");
}

#[test]
fn long_arguments_are_cut_and_marked() {
    let mut rig = Rig::start_with("process", settings(), &[("max_args", "64")]);
    let shell = Shell::waiting("/bin/true aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    let parent = shell.pid();
    shell.go();
    let exec = rig.expect("exec of true", |e| is(e, "exec") && number(e, "process.parent_pid") == u64::from(parent));
    assert!(exec.get("process.command_args_truncated").is_truthy());
    assert!(number(&exec, "process.command_args_size") > 90);
    assert_eq!(args(&exec).concat().len() + 1, 64);
}

#[test]
fn arguments_can_be_left_out_and_the_environment_only_be_asked_for() {
    for (args, environment) in [("false", "false"), ("true", "true")] {
        let params = [("args", args), ("environment", environment)];
        let mut rig = Rig::start_with("process", settings(), &params);
        let shell = Shell::waiting("export ETHOGRAM_TEST='a b'; /bin/echo one");
        let parent = shell.pid();
        shell.go();
        let exec = rig.expect("exec of echo", |e| is(e, "exec") && number(e, "process.parent_pid") == u64::from(parent));
        assert_eq!(number(&exec, "process.command_args_size"), 14);
        assert!(!exec.get("process.command_args_truncated").is_truthy());
        assert_eq!(exec.get("process.command_args").is_truthy(), args == "true");
        match exec.get("process.environment_variables") {
            Value::List(all) => assert!(environment == "true" && all.iter().any(|v| v.as_ref() == b"ETHOGRAM_TEST=a b")),
            other => assert!(environment == "false", "{other:?}"),
        }
        assert!(!exec.get("process.environment_variables_truncated").is_truthy() || environment == "true");
    }
}

#[test]
fn a_large_environment_is_cut_and_marked() {
    let mut rig = Rig::start_with("process", settings(), &[("environment", "true"), ("max_args", "4095")]);
    let long = |n| "x".repeat(n);
    let mut child = std::process::Command::new("/bin/true");
    child.env_clear().env("LARGE", long(3000)).arg(long(5000));
    let mut child = child.spawn().unwrap();
    child.wait().unwrap();
    let exec = rig.expect("exec of true", |e| is(e, "exec") && of(e, child.id()));
    assert!(exec.get("process.environment_variables_truncated").is_truthy());
    let Value::List(variables) = exec.get("process.environment_variables") else { panic!("no environment") };
    assert_eq!(variables.iter().map(|v| v.len()).sum::<usize>(), 2047);
    assert_eq!(args(&exec).concat().len(), 4094);
}

#[test]
fn a_script_is_told_with_its_interpreter() {
    use std::os::unix::fs::PermissionsExt;
    let mut rig = Rig::start("process");
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let shell = Shell::waiting(&format!("cd {}; ./script; /bin/true", dir.path().display()));
    let parent = shell.pid();
    shell.go();
    let mut exec = |name: &str| {
        rig.expect(name, |e| {
            is(e, "exec") && number(e, "process.parent_pid") == u64::from(parent) && text(e, "process.executable.name") == name
        })
    };
    let run = exec("script");
    assert_eq!(text(&run, "process.script.path"), script.to_str().unwrap());
    assert_eq!(text(&run, "process.executable.as_called"), "./script");
    let interpreter = std::fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(text(&run, "process.executable.path"), interpreter.to_str().unwrap());
    assert!(text(&exec("true"), "process.script.path").is_empty());
}

#[test]
fn threads_are_told_on_request() {
    for threads in ["true", "false"] {
        let mut rig = Rig::start_with("process", settings(), &[("threads", threads)]);
        let child = crate::tests::child::forked(|| {
            let flags = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;
            let mut stack = [0u64; 512];
            // SAFETY: the thread has a stack of its own, which is there until it ends the process.
            unsafe {
                let top = stack.as_mut_ptr().add(stack.len()).cast();
                libc::clone(end_process, top, flags, std::ptr::null_mut());
                libc::pause()
            }
        });
        let pid = child.pid();
        child.go();
        rig.expect("exit", |e| is(e, "exit") && of(e, pid));
        if threads == "true" {
            let thread = rig.expect("the thread", |e| is(e, "thread") && of(e, pid));
            assert_ne!(number(&thread, "thread.child.id"), u64::from(pid));
        } else {
            assert!(!rig.all().iter().any(|e| is(e, "thread")));
        }
    }
}

extern "C" fn end_process(_: *mut libc::c_void) -> i32 {
    // SAFETY: a plain system call.
    unsafe { libc::syscall(libc::SYS_exit_group, 0) as i32 }
}

#[test]
fn fork_and_exit_tell_child_code_signal_and_duration() {
    let mut rig = Rig::start("process");
    let shell = Shell::waiting("(exit 7); sh -c 'kill -9 $$'; exit 3");
    let pid = shell.pid();
    assert_eq!(shell.go().code(), Some(3));
    rig.expect("fork", |e| is(e, "fork") && of(e, pid));
    let exit = rig.expect("exit of the subshell", |e| is(e, "exit") && number(e, "process.exit.code") == 7);
    assert_eq!(number(&exit, "process.parent_pid"), u64::from(pid));
    let killed = rig.expect("the killed one", |e| is(e, "exit") && number(e, "process.parent_pid") == u64::from(pid) && number(e, "process.exit.signal") == 9);
    assert!(number(&killed, "process.duration") > 0);
    let last = rig.expect("exit of the shell", |e| is(e, "exit") && of(e, pid));
    assert_eq!(number(&last, "process.exit.code"), 3);
}

#[test]
fn whoever_acts_is_told_with_its_capabilities() {
    let mut rig = Rig::start("process");
    let nobody = crate::tests::child::forked(|| {
        // SAFETY: plain system calls.
        unsafe { i32::from(libc::setresuid(65534, 65534, 65534) != 0) }
    });
    let root = Shell::waiting(":");
    let pids = [root.pid(), nobody.pid()];
    assert_eq!((root.go().code(), nobody.go()), (Some(0), 0));
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    for (field, line) in [("_capabilities_effective", "CapEff:\t"), ("_capabilities_permitted", "CapPrm:\t")] {
        let own = own.lines().find_map(|l| l.strip_prefix(line)).unwrap();
        let [root, nobody] = pids.map(|pid| rig.expect("exit", |e| is(e, "exit") && of(e, pid)));
        assert_eq!(number(&root, field), u64::from_str_radix(own, 16).unwrap());
        let names = root.schema.field(field).unwrap().name_of(number(&root, field));
        assert!(names.starts_with("CAP_CHOWN|CAP_DAC_OVERRIDE|") && names.ends_with("|CAP_CHECKPOINT_RESTORE"), "{names}");
        assert!(!nobody.get(field).is_truthy());
    }
}

#[test]
fn a_thread_is_no_process_and_a_builtin_no_exec() {
    let shell = Shell::waiting(": ; true");
    let mut rig = Rig::start("process");
    let pid = shell.pid();
    shell.go();
    rig.expect("exit of the shell", |e| is(e, "exit") && of(e, pid));
    assert!(!rig.all().iter().any(|e| of(e, pid) && (is(e, "fork") || is(e, "exec"))));
}

#[test]
fn a_program_in_memory_only_is_told_apart() {
    use std::{io::Write, os::fd::AsRawFd, process::Command};
    let mut rig = Rig::start("process");
    let fd = rustix::fs::memfd_create("ghost", rustix::fs::MemfdFlags::empty()).unwrap();
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let mut file = std::fs::File::from(fd);
    file.write_all(&std::fs::read("/bin/true").unwrap()).unwrap();
    let pid = {
        let mut child = Command::new(path).spawn().unwrap();
        child.wait().unwrap();
        child.id()
    };
    let exec = rig.expect("exec of a memfd", |e| is(e, "exec") && of(e, pid));
    assert!(exec.get("process.executable.memfd").is_truthy());
    assert_eq!(text(&exec, "process.executable.path"), "memfd:ghost");
}
