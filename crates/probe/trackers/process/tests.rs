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
fn the_times_of_a_programs_file_are_told() {
    use std::os::unix::fs::MetadataExt;
    let mut rig = Rig::start("process");
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    std::fs::copy("/bin/true", &program).unwrap();
    let long_ago = std::time::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    std::fs::File::open(&program).unwrap().set_modified(long_ago).unwrap();
    let mut child = std::process::Command::new(&program).spawn().unwrap();
    child.wait().unwrap();
    let exec = rig.expect("exec", |e| is(e, "exec") && of(e, child.id()));
    let file = std::fs::metadata(&program).unwrap();
    assert_eq!(number(&exec, "_file_modified"), 1_000_000_000_123_456_789);
    assert_eq!(number(&exec, "_file_changed"), (file.ctime() * 1_000_000_000 + file.ctime_nsec()) as u64);
}

#[test]
fn who_leads_a_group_or_a_session_is_told() {
    use std::os::unix::process::CommandExt;
    let mut rig = Rig::start("process");
    let session = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(3).unwrap().parse::<u64>().unwrap()
    };
    let mut run = |mut command: Command| {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let exec = rig.expect("exec", |e| is(e, "exec") && of(e, child.id()));
        let session = session(child.id());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(number(&exec, "_session_leader"), session);
        (exec.get("process.leads_group").is_truthy(), session == u64::from(child.id()))
    };
    let mut alone = Command::new("/bin/cat");
    alone.process_group(0);
    assert_eq!(run(alone), (true, false));
    assert_eq!(run(Command::new("/bin/cat")), (false, false));
    // `script` gives its child a session of its own.
    let shell = Shell::waiting("script -qec 'exec /bin/echo led' /dev/null");
    shell.go();
    let led = rig.expect("exec in a new session", |e| is(e, "exec") && args(e).last().unwrap() == "led");
    assert!(led.get("process.leads_group").is_truthy());
    assert_ne!(number(&led, "_session_leader"), session(std::process::id()));
}

#[test]
fn a_process_is_told_by_its_number_in_its_namespace_too() {
    let mut rig = Rig::start("process");
    // Its first child is the first process of a new pid namespace.
    let child = crate::tests::child::forked(|| {
        let arguments = [c"/bin/true".as_ptr(), std::ptr::null()];
        // SAFETY: plain system calls; the arguments end with NULL.
        unsafe {
            libc::unshare(libc::CLONE_NEWPID);
            match libc::fork() {
                0 => libc::execv(arguments[0], arguments.as_ptr()),
                first => libc::waitpid(first, std::ptr::null_mut(), 0),
            }
        }
    });
    let pid = child.pid();
    child.go();
    let fork = rig.expect("fork", |e| is(e, "fork") && of(e, pid));
    assert_eq!(number(&fork, "_child_namespace_pid"), 1);
    let exec = rig.expect("exec", |e| is(e, "exec") && of(e, number(&fork, "process.child.pid") as u32));
    assert_eq!(number(&exec, "process.namespace_pid"), 1);
    // On the host there is no other number.
    let shell = Shell::waiting("/bin/true; :");
    let pid = shell.pid();
    shell.go();
    let fork = rig.expect("fork on the host", |e| is(e, "fork") && of(e, pid));
    let child = number(&fork, "process.child.pid");
    assert_eq!(number(&fork, "_child_namespace_pid"), child);
    let exec = rig.expect("exec on the host", |e| is(e, "exec") && of(e, child as u32));
    assert!(!exec.get("process.namespace_pid").is_truthy());
}

#[test]
fn the_user_who_logged_in_is_told_where_the_kernel_keeps_it() {
    let mut rig = Rig::start("process");
    let mut exec_of = |login: &str| {
        let shell = Shell::waiting(&format!("echo {login} > /proc/self/loginuid; exec /bin/sleep 0"));
        let pid = shell.pid();
        shell.go();
        rig.expect("exec of sleep", |e| is(e, "exec") && of(e, pid) && text(e, "process.executable.name") == "sleep")
    };
    if std::path::Path::new("/proc/self/loginuid").exists() {
        assert_eq!(number(&exec_of("1234"), "process.login_user.id"), 1234);
    }
    assert!(!exec_of("4294967295").get("process.login_user.id").is_truthy());
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

/// Runs a program and gives its exec.
fn exec_of(rig: &mut Rig, path: &std::path::Path) -> Event {
    let mut child = Command::new(path).spawn().unwrap();
    child.wait().unwrap();
    rig.expect("exec", |e| is(e, "exec") && of(e, child.id()))
}

#[test]
fn a_program_at_any_depth_has_its_whole_path() {
    let mut rig = Rig::start("process");
    let dir = tempfile::tempdir().unwrap();
    for depth in [3, 60, 1900] {
        let folder = dir.path().join(vec!["a"; depth].join("/"));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        std::fs::copy("/bin/true", &program).unwrap();
        let exec = exec_of(&mut rig, &program);
        assert_eq!(text(&exec, "process.executable.path"), program.to_str().unwrap());
        assert_eq!(text(&exec, "process.executable.as_called"), program.to_str().unwrap());
        assert_eq!(exec.get("process.executable.path_truncated"), Value::Absent);
    }
}

#[test]
fn a_path_that_is_too_long_for_a_record_is_marked_as_cut() {
    let mut rig = Rig::start("process");
    let dir = tempfile::tempdir().unwrap();
    let before = std::env::current_dir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    for _ in 0..90 {
        let name = "n".repeat(200);
        std::fs::create_dir(&name).unwrap();
        std::env::set_current_dir(&name).unwrap();
    }
    std::fs::copy("/bin/true", "program").unwrap();
    let exec = exec_of(&mut rig, std::path::Path::new("./program"));
    std::env::set_current_dir(before).unwrap();
    let path = text(&exec, "process.executable.path");
    assert!(path.starts_with("…/nnn") && path.ends_with("nnn/program") && path.len() > 8192, "{}", path.len());
    assert_eq!(exec.get("process.executable.path_truncated"), Value::Bool(true));
    assert_eq!(exec.get("process.working_directory_truncated"), Value::Bool(true));
    assert_eq!(text(&exec, "process.executable.as_called"), "./program");
}

#[test]
fn arguments_of_4096_bytes_are_whole() {
    let mut rig = Rig::start("process");
    for (length, is_cut) in [(4096, false), (4100, true)] {
        let argument = "x".repeat(length - "/bin/true".len() - 2);
        let mut child = Command::new("/bin/true").arg(&argument).spawn().unwrap();
        child.wait().unwrap();
        let exec = rig.expect("exec", |e| is(e, "exec") && of(e, child.id()));
        assert_eq!(number(&exec, "process.command_args_size"), length as u64);
        assert_eq!(exec.get("process.command_args_truncated").is_truthy(), is_cut);
        assert_eq!(args(&exec)[1] == argument, !is_cut);
    }
}

#[test]
fn a_program_that_has_no_name_is_told_from_one_that_has() {
    use std::os::{fd::AsRawFd, unix::fs::OpenOptionsExt};
    let mut rig = Rig::start("process");
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join("named");
    std::fs::copy("/bin/true", &named).unwrap();
    let exec = exec_of(&mut rig, &named);
    assert!(!exec.get("process.executable.unlinked").is_truthy());
    // Deleted, but for the descriptor.
    let open = std::fs::File::open(&named).unwrap();
    std::fs::remove_file(&named).unwrap();
    let by_descriptor = |file: &std::fs::File| std::path::PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let exec = exec_of(&mut rig, &by_descriptor(&open));
    assert!(exec.get("process.executable.unlinked").is_truthy() && !exec.get("process.executable.memfd").is_truthy());
    // Never with a name. What is open for writing cannot be run.
    let mut options = std::fs::File::options();
    options.read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o755);
    let Ok(mut nameless) = options.open(dir.path()) else { return };
    std::io::copy(&mut std::fs::File::open("/bin/true").unwrap(), &mut nameless).unwrap();
    let again = std::fs::File::open(by_descriptor(&nameless)).unwrap();
    drop(nameless);
    let exec = exec_of(&mut rig, &by_descriptor(&again));
    assert!(exec.get("process.executable.unlinked").is_truthy() && !exec.get("process.executable.memfd").is_truthy());
}

#[test]
fn the_file_system_and_the_mount_of_a_program_are_told() {
    let mut rig = Rig::start("process");
    let mount = crate::tests::tmpfs::Tmpfs::new();
    let program = mount.path().join("program");
    std::fs::copy("/bin/true", &program).unwrap();
    let exec = exec_of(&mut rig, &program);
    assert_eq!(shown(&exec, "process.executable.file_system"), "tmpfs");
    assert!(exec.get("process.executable.writable_mount").is_truthy());
    mount.make_read_only();
    let exec = exec_of(&mut rig, &program);
    assert!(!exec.get("process.executable.writable_mount").is_truthy());
    let exec = exec_of(&mut rig, std::path::Path::new("/bin/true"));
    assert!(!exec.get("process.executable.writable_mount").is_truthy());
}
