#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use ethogram_model::EventSchema;

use super::*;

static EVENTS: LazyLock<Vec<Arc<EventSchema>>> = LazyLock::new(|| {
    let trackers = ethogram_probe::builtin().unwrap();
    trackers.iter().find(|t| &*t.schema.name == "process").unwrap().schema.events.clone()
});

/// An event of the tracker `process`: numbers and texts of its fixed part, and what lies in its tail.
struct Made {
    event: Event,
}

impl Made {
    fn new(name: &str, pid: u32) -> Self {
        let schema = Arc::clone(EVENTS.iter().find(|e| &*e.name == name).unwrap());
        let record = vec![0; schema.size].into();
        let mut made = Self { event: Event { schema, time_ns: 0, record, context: Default::default() } };
        for absent in ["process.login_user.id", "process.namespace_pid"] {
            if made.event.schema.field(absent).is_some() {
                made = made.with(absent, u32::MAX);
            }
        }
        made.with("process.pid", pid).with("_process_start", pid * TICK_NS as u32)
    }

    fn with(self, field: &str, number: u32) -> Self {
        self.bytes(field, &number.to_le_bytes())
    }

    fn at(mut self, time_ns: u64) -> Self {
        self.event.time_ns = time_ns;
        self
    }

    fn text(self, field: &str, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn tail(mut self, field: &str, tail: &[u8]) -> Self {
        let reference = [self.event.record.len() as u16, tail.len() as u16].map(u16::to_le_bytes).concat();
        self.event.record = [&self.event.record, tail].concat().into();
        self.bytes(field, &reference)
    }

    fn bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        let field = self.event.schema.field(name).unwrap();
        let n = bytes.len().min(field.size);
        self.event.record[field.offset..field.offset + n].copy_from_slice(&bytes[..n]);
        self
    }

    fn take(self, processes: &mut Processes) -> Arc<Process> {
        self.take_in(0, processes)
    }

    /// In the cgroup of a container.
    fn take_in(self, container: u64, processes: &mut Processes) -> Arc<Process> {
        let subject = self.event.header();
        match &*self.event.schema.name {
            "fork" => {
                processes.on_fork(&self.event, &subject, container);
                let pid = self.event.get("process.child.pid").as_u64().unwrap() as u32;
                Arc::clone(&processes.by_pid[&pid])
            }
            _ => {
                processes.on_exec(&self.event, &subject, container);
                processes.get(&subject).unwrap()
            }
        }
    }
}

fn fork(parent: u32, child: u32) -> Made {
    Made::new("fork", parent).with("process.child.pid", child).with("_child_start", child * TICK_NS as u32)
}

#[test]
fn an_exec_says_what_its_process_is() {
    let mut processes = Processes::default();
    let process = Made::new("exec", 7)
        .with("process.group.id", 44)
        .with("process.login_user.id", 1000)
        .with("process.namespace_pid", 1)
        .with("_session_leader", 7)
        .with("process.leads_group", 1)
        .with("process.executable.writable_layer", 1)
        .with("_file_modified", 5)
        .with("_file_changed", 6)
        .text("process.tty.name", "pts0")
        .tail("process.working_directory", b"srv\0/\0")
        .tail("process.environment_variables", b"A=1\0B=2\0")
        .take(&mut processes);
    assert_eq!((process.group_id, process.login_user_id, process.namespace_pid), (44, Some(1000), 1));
    assert!(process.is_group_leader);
    assert_eq!(process.session_leader.as_ref(), Some(&process.exec), "it leads itself");
    let exec = &process.exec;
    assert_eq!((exec.working_directory.as_str(), exec.terminal.as_str()), ("/srv", "pts0"));
    assert_eq!(exec.environment, ["A=1", "B=2"]);
    assert_eq!((exec.file_modified_ns, exec.file_changed_ns), (5, 6));
    assert!(exec.in_writable_layer && !exec.in_memory);
}

#[test]
fn what_an_exec_does_not_say_is_absent() {
    let mut processes = Processes::default();
    let process = Made::new("exec", 7).take(&mut processes);
    assert_eq!((process.login_user_id, process.namespace_pid), (None, 7), "the host's number is its own");
    assert_eq!(process.session_leader, None);
    assert!(!process.is_group_leader && process.exec.environment.is_empty() && process.exec.terminal.is_empty());
    // A recording of an older agent has no such field.
    let mut old = Made::new("exec", 8);
    let mut schema = EventSchema::clone(&old.event.schema);
    schema.fields.retain(|f| !matches!(f.name.as_str(), "process.namespace_pid" | "process.login_user.id"));
    old.event.schema = Arc::new(schema);
    let process = old.take(&mut processes);
    assert_eq!((process.login_user_id, process.namespace_pid), (None, 0));
}

#[test]
fn a_child_is_what_its_parent_is_but_leads_nobody() {
    let mut processes = Processes::default();
    let shell = Made::new("exec", 7)
        .with("process.group.id", 44)
        .with("process.login_user.id", 1000)
        .with("_session_leader", 7)
        .with("process.leads_group", 1)
        .take(&mut processes);
    let child = fork(7, 8).with("_child_namespace_pid", 2).take(&mut processes);
    assert_eq!((child.group_id, child.login_user_id, child.namespace_pid), (44, Some(1000), 2));
    assert_eq!(child.session_leader, shell.session_leader);
    assert!(!child.is_group_leader);
    assert_eq!((child.pid, child.parent_pid), (8, 7));
}

#[test]
fn a_leader_of_a_session_is_remembered_after_its_end() {
    let mut processes = Processes::default();
    let leader = Made::new("exec", 7).with("_session_leader", 7).take(&mut processes);
    fork(7, 8).take(&mut processes);
    processes.by_pid.remove(&7);
    let led = Made::new("exec", 8).with("_session_leader", 7).take(&mut processes);
    assert_eq!(led.session_leader.as_ref(), Some(&leader.exec));
    // Another process's session leader, which was not seen.
    let other = Made::new("exec", 9).with("_session_leader", 5).take(&mut processes);
    assert_eq!(other.session_leader, None);
}

#[test]
fn processes_found_know_their_sessions_leader() {
    let mut processes = Processes::default();
    let found = |pid: u32, session| {
        let process = Process { pid, start_ns: u64::from(pid) * TICK_NS, ..Process::default() };
        FoundProcess { process, exec: Exec { pid, ..Exec::default() }, cgroup: 0, session, answers: None }
    };
    processes.adopt(vec![found(3, 3), found(4, 3), found(5, 2)], |_| 0);
    let leader = |pid: u32| processes.by_pid[&pid].session_leader.as_ref().map(|e| e.pid);
    assert_eq!([leader(3), leader(4), leader(5)], [Some(3), Some(3), None]);
}

const CONTAINER: u64 = 77;
const HOST_MOUNTS: u32 = 1;
const CONTAINER_MOUNTS: u32 = 2;

/// A runtime's shim on the host, and its child, which is in the container's cgroup already.
fn entering() -> Processes {
    let mut processes = Processes::default();
    Made::new("exec", 7).with("_mount_namespace", HOST_MOUNTS).take(&mut processes);
    fork(7, 8).take(&mut processes);
    processes
}

fn run(mounts: u32, path: &[u8]) -> Made {
    Made::new("exec", 8).with("_mount_namespace", mounts).tail("process.executable.path", path)
}

#[test]
fn a_runtime_on_its_way_in_is_known_by_where_it_is() {
    for path in [&b"runc\0bin\0usr\0/\0"[..], b"memfd:x\0", b"anything\0/\0"] {
        let mut processes = entering();
        let init = run(HOST_MOUNTS, path).take_in(CONTAINER, &mut processes);
        assert_eq!(init.exec.container_cgroup, 0, "{}", init.exec.path);
        let program = run(CONTAINER_MOUNTS, b"sh\0bin\0/\0").take_in(CONTAINER, &mut processes);
        assert_eq!(program.exec.container_cgroup, CONTAINER);
        assert_eq!(program.ancestors.first().unwrap().container_cgroup, 0, "it comes from outside");
    }
}

#[test]
fn no_text_makes_a_programs_behaviour_the_runtimes() {
    // A path that was cut, a memfd, one without any name, and the runtime's own names.
    for path in [&b"b\0a\0\x01\0"[..], b"memfd:runc_cloned:/proc/self/exe\0", b"", b"runc\0bin\0usr\0/\0", b"exe\0/\0"]
    {
        let mut processes = entering();
        let made = run(CONTAINER_MOUNTS, path)
            .tail("process.command_args", b"runc\0init\0")
            .text("process.executable.name", "runc");
        let program = made.take_in(CONTAINER, &mut processes);
        assert_eq!(program.exec.container_cgroup, CONTAINER, "{}", program.exec.path);
        let child = fork(8, 9).take_in(CONTAINER, &mut processes);
        assert_eq!(child.exec.container_cgroup, CONTAINER, "and neither its children's");
    }
    // From inside, the host's mounts are no excuse.
    let mut processes = entering();
    run(CONTAINER_MOUNTS, b"sh\0/\0").take_in(CONTAINER, &mut processes);
    assert_eq!(run(HOST_MOUNTS, b"sh\0/\0").take_in(CONTAINER, &mut processes).exec.container_cgroup, CONTAINER);
}

#[test]
fn an_unknown_parents_child_belongs_to_the_container() {
    let mut processes = Processes::default();
    let child = fork(7, 8).take_in(CONTAINER, &mut processes);
    assert_eq!(child.exec.container_cgroup, CONTAINER);
    assert!(child.exec.path.is_empty());
    assert_eq!(run(HOST_MOUNTS, b"x\0/\0").take_in(CONTAINER, &mut processes).exec.container_cgroup, CONTAINER);
    let alone = Made::new("exec", 9).with("_mount_namespace", HOST_MOUNTS).take_in(CONTAINER, &mut processes);
    assert_eq!(alone.exec.container_cgroup, CONTAINER);
}

#[test]
fn who_is_on_his_way_in_for_long_has_arrived() {
    let mut processes = entering();
    run(HOST_MOUNTS, b"runc\0/\0").at(1).take_in(CONTAINER, &mut processes);
    // The exec of the container's program is lost, and it forks again and again.
    let late = 1 + WAY_IN_NS;
    fork(8, 9).at(late).take_in(CONTAINER, &mut processes);
    let judged = |pid: u32, time_ns: u64, container: u64| {
        let event = Made::new("exit", pid).at(time_ns).event;
        processes.judged(&event, &event.header(), container).unwrap().exec.container_cgroup
    };
    assert_eq!([judged(8, late, CONTAINER), judged(9, late, CONTAINER)], [0, 0], "it is on its way");
    assert_eq!([judged(8, late + 1, CONTAINER), judged(9, late + 1, CONTAINER)], [CONTAINER; 2]);
    assert_eq!(judged(7, 1 << 60, 0), 0, "on the host it may go on for ever");
    // What is seen to run then is still what comes from outside, and so the start.
    let program = run(CONTAINER_MOUNTS, b"sh\0/\0").at(late + 2).take_in(CONTAINER, &mut processes);
    assert!(program.exec.is_entrypoint);
}

/// From a runtime on the host to the workers of a service, each with the container in which it happens and the second.
fn trace() -> Vec<(Made, u64)> {
    let exec = |pid: u32, mounts: u32, path: &[u8]| {
        Made::new("exec", pid).with("_mount_namespace", mounts).tail("process.executable.path", path)
    };
    let events = [
        (exec(7, HOST_MOUNTS, b"shim\0/\0"), 0),
        (fork(7, 8), 0),
        (exec(8, HOST_MOUNTS, b"runc\0/\0"), 0),
        (exec(8, HOST_MOUNTS, b"runc\0/\0"), CONTAINER),
        (exec(8, CONTAINER_MOUNTS, b"sh\0/\0"), CONTAINER),
        (fork(8, 9), CONTAINER),
        (exec(9, CONTAINER_MOUNTS, b"service\0/\0"), CONTAINER),
        (fork(9, 10), CONTAINER),
        (fork(10, 11), CONTAINER),
        (exec(11, CONTAINER_MOUNTS, b"worker\0/\0"), CONTAINER),
    ];
    let second = |(index, (made, container)): (usize, (Made, u64))| (made.at(1 + index as u64), container);
    events.into_iter().enumerate().map(second).collect()
}

#[test]
fn no_event_that_is_lost_makes_what_a_container_does_anothers() {
    let whose = |lost: &[usize]| {
        let mut processes = Processes::default();
        for (index, (made, container)) in trace().into_iter().enumerate() {
            if !lost.contains(&index) {
                made.take_in(container, &mut processes);
            }
        }
        [8, 9, 10, 11].map(|pid| {
            let event = Made::new("exit", pid).at(100 + WAY_IN_NS).event;
            // Of whom nothing is known is the container's.
            processes.judged(&event, &event.header(), CONTAINER).map_or(CONTAINER, |p| p.exec.container_cgroup)
        })
    };
    let all = trace().len();
    for one in 0..all {
        for other in 0..all {
            assert_eq!(whose(&[one, other]), [CONTAINER; 4], "without {one} and {other}");
        }
    }
}

#[test]
fn the_first_program_of_a_container_is_its_start_whatever_it_is() {
    let mut processes = entering();
    run(HOST_MOUNTS, b"runc\0/\0").take_in(CONTAINER, &mut processes);
    let script = run(CONTAINER_MOUNTS, b"sh\0bin\0/\0").take_in(CONTAINER, &mut processes);
    assert!(script.exec.is_entrypoint);
    assert_eq!(script.replaced, None);
    // What it becomes, and what it starts, is not: the script started it.
    let service = run(CONTAINER_MOUNTS, b"nginx\0/\0").take_in(CONTAINER, &mut processes);
    assert!(!service.exec.is_entrypoint && service.exec.is_in_init);
    assert_eq!(service.replaced.as_ref(), Some(&script.exec));
    let worker = fork(8, 10).take_in(CONTAINER, &mut processes);
    assert_eq!(worker.replaced, service.replaced, "a fork is what its parent is");
    // Neither is what enters later.
    fork(7, 9).take(&mut processes);
    let entered = Made::new("exec", 9).with("_mount_namespace", CONTAINER_MOUNTS).with("process.namespace_pid", 12);
    let entered = entered.take_in(CONTAINER, &mut processes);
    assert!(!entered.exec.is_entrypoint && !entered.exec.is_in_init);
    // One that was there before the agent has begun; but the leader of its pid namespace is its start in any case.
    let mut processes = entering();
    processes.begin(CONTAINER);
    assert!(!run(CONTAINER_MOUNTS, b"sh\0/\0").take_in(CONTAINER, &mut processes).exec.is_entrypoint);
    let mut processes = entering();
    processes.begin(CONTAINER);
    let init = run(CONTAINER_MOUNTS, b"tini\0/\0").with("process.namespace_pid", 1);
    assert!(init.take_in(CONTAINER, &mut processes).exec.is_entrypoint);
}

#[test]
fn what_a_visitor_runs_is_told_from_what_a_service_runs() {
    let mut processes = Processes::default();
    for (made, container) in trace() {
        made.take_in(container, &mut processes);
    }
    let run = |pid: u32, path: &[u8]| {
        Made::new("exec", pid).with("_mount_namespace", CONTAINER_MOUNTS).tail("process.executable.path", path)
    };
    let entry = |processes: &Processes, pid: u32| processes.by_pid[&pid].exec.entry;
    for pid in [8, 9, 10, 11] {
        assert_eq!(entry(&processes, pid), Entry::Service, "{pid}");
    }
    // `docker exec`, a program that it starts, and what that becomes.
    fork(7, 20).take(&mut processes);
    Made::new("exec", 20)
        .with("_mount_namespace", HOST_MOUNTS)
        .tail("process.executable.path", b"runc\0/\0")
        .take_in(CONTAINER, &mut processes);
    run(20, b"sh\0bin\0/\0").take_in(CONTAINER, &mut processes);
    fork(20, 21).take_in(CONTAINER, &mut processes);
    run(21, b"env\0bin\0/\0").take_in(CONTAINER, &mut processes);
    let becomes = run(21, b"id\0bin\0/\0").take_in(CONTAINER, &mut processes);
    assert_eq!([entry(&processes, 20), becomes.exec.entry], [Entry::Outside; 2]);
    // A login below the service, and not the server's own parts; but a program of that name that somebody brought serves nobody.
    fork(9, 30).take_in(CONTAINER, &mut processes);
    run(30, b"sshd\0sbin\0usr\0/\0").take_in(CONTAINER, &mut processes);
    fork(30, 31).take_in(CONTAINER, &mut processes);
    run(31, b"sshd-session\0libexec\0usr\0/\0").take_in(CONTAINER, &mut processes);
    assert_eq!([entry(&processes, 30), entry(&processes, 31)], [Entry::Service; 2]);
    fork(31, 32).take_in(CONTAINER, &mut processes);
    run(32, b"bash\0bin\0/\0").take_in(CONTAINER, &mut processes);
    fork(32, 33).take_in(CONTAINER, &mut processes);
    run(33, b"id\0bin\0/\0").take_in(CONTAINER, &mut processes);
    assert_eq!([entry(&processes, 32), entry(&processes, 33)], [Entry::Login; 2]);
    fork(9, 40).take_in(CONTAINER, &mut processes);
    run(40, b"sshd\0tmp\0/\0").take_in(CONTAINER, &mut processes);
    fork(40, 41).take_in(CONTAINER, &mut processes);
    run(41, b"bash\0bin\0/\0").take_in(CONTAINER, &mut processes);
    assert_eq!(entry(&processes, 41), Entry::Service);
}

#[test]
fn who_types_into_a_container_when_the_agent_starts_came_from_outside() {
    let mut processes = Processes::default();
    let found = |pid: u32, parent_pid: u32, namespace_pid: u32, terminal: &str, cgroup: u64| FoundProcess {
        process: Process { pid, start_ns: 1, parent_pid, namespace_pid, ..Process::default() },
        exec: Exec { pid, terminal: terminal.into(), ..Exec::default() },
        cgroup,
        session: 0,
        answers: None,
    };
    let all = vec![
        found(7, 1, 7, "", 0),
        found(8, 7, 1, "pts0", CONTAINER),
        found(9, 7, 12, "", CONTAINER),
        found(10, 7, 10, "pts0", CONTAINER),
        found(20, 7, 13, "pts1", CONTAINER),
        found(21, 20, 14, "", CONTAINER),
    ];
    processes.adopt(all, |cgroup| cgroup);
    let entry = |pid: u32| processes.by_pid[&pid].exec.entry;
    // What the container began with, one of which that is not known, and one without a pid namespace of its own.
    assert_eq!([8, 9, 10].map(entry), [Entry::Service; 3]);
    assert_eq!([20, 21].map(entry), [Entry::Outside; 2]);
}

#[test]
fn on_the_host_only_the_systems_runtime_runs_from_memory() {
    let copy = |path: &'static [u8], user: u32, mounts: u32| {
        let mut processes = Processes::default();
        let from = Made::new("exec", 7).with("_mount_namespace", HOST_MOUNTS).tail("process.executable.path", path);
        from.take(&mut processes);
        let memfd = Made::new("exec", 7).with("_mount_namespace", mounts).with("process.executable.memfd", 1);
        memfd
            .with("process.user.id", user)
            .tail("process.executable.path", b"memfd:x\0")
            .take(&mut processes)
            .exec
            .is_runtime
    };
    assert!(copy(b"runc\0sbin\0usr\0/\0", 0, HOST_MOUNTS));
    assert!(!copy(b"runcx\0sbin\0usr\0/\0", 0, HOST_MOUNTS), "it is only called like it");
    assert!(!copy(b"runc\0tmp\0/\0", 0, HOST_MOUNTS), "others can write there");
    assert!(!copy(b"runc\0sbin\0usr\0/\0", 1000, HOST_MOUNTS));
    assert!(!copy(b"runc\0sbin\0usr\0/\0", 0, CONTAINER_MOUNTS));
}

#[test]
fn many_arguments_are_kept_as_few() {
    let run = |count: usize| {
        let args: Vec<_> = (0..count).flat_map(|n| format!("{n}\0").into_bytes()).collect();
        Made::new("exec", 7).tail("process.command_args", &args).take(&mut Processes::default()).exec.args.clone()
    };
    assert_eq!(run(MOST_ARGS).last().unwrap(), "63");
    let many = run(900);
    assert_eq!((many.len(), many[62].as_str()), (MOST_ARGS, "62"));
    assert!(many[63].starts_with("63 64 ") && many[63].ends_with(" 899"));
}

#[test]
fn a_fork_bomb_forgets_its_own_newest_processes_and_no_others() {
    let of = |pid: u32, container_cgroup: u64, user_id: u32| Process {
        pid,
        start_ns: u64::from(pid) * TICK_NS,
        user_id,
        exec: Arc::new(Exec { container_cgroup, ..Exec::default() }),
        ..Process::default()
    };
    for (container, user) in [(7, 0), (0, 1000)] {
        let mut processes = Processes::default();
        (1..=100).for_each(|pid| processes.insert(of(pid, 0, 0)));
        (101..=200).for_each(|pid| processes.insert(of(pid, 5, 0)));
        (201..=100_000).for_each(|pid| processes.insert(of(pid, container, user)));
        (100_001..=100_100).for_each(|pid| processes.insert(of(pid, 6, 0)));
        assert!(processes.by_pid.len() <= Processes::LIMIT && processes.refused() > 30_000);
        let others = (1..=200).chain(100_001..=100_100);
        assert_eq!(others.filter(|pid| !processes.by_pid.contains_key(pid)).count(), 0);
        assert!(processes.by_pid.contains_key(&201), "what began it is still known");
    }
}
