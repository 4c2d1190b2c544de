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
