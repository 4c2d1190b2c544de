//! Habits: what is known is counted in the kernel, and whatever differs is reported.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{child::forked, *};
use crate::{ContainerVerdict, HabitCount, Subscription};

const WORKLOAD: u64 = 0x1122_3344_5566_7788;

/// A collector with the tracker of processes and another, for which this process's cgroup is of a workload.
pub(super) struct Habits {
    pub(super) rig: Rig,
    directory: tempfile::TempDir,
}

impl Habits {
    pub(super) fn of(tracker: &'static str, events: &[&str]) -> Self {
        let (output, received) = unbounded();
        let objects = vec![builtin_named("process"), builtin_named(tracker)];
        let collector = Collector::new(settings(), objects, output).unwrap();
        let start = |subscription| Start { filters_containers: true, urgent: true, subscription, ..Start::default() };
        collector.start("process", start(Subscription::All)).unwrap();
        collector.start(tracker, start(Subscription::only(events.iter().copied()))).unwrap();
        let this = Self {
            rig: Rig { collector, tracker, events: received, seen: Vec::new() },
            directory: tempfile::tempdir().unwrap(),
        };
        this.workload(WORKLOAD);
        this
    }

    fn workload(&self, workload: u64) {
        self.rig
            .collector
            .set_container_filter(cgroup(), Some(ContainerVerdict::Collect { workload, container: 0 }))
            .unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(name)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, "x").unwrap();
        path
    }

    /// A program of this test's own: the same as `/bin/sh`.
    fn program(&self) -> PathBuf {
        let path = self.path("program");
        std::fs::copy("/bin/sh", &path).unwrap();
        path
    }

    /// The habit of the event that is reported because of `act`, of that kind and about that file.
    fn habit(&mut self, what: &str, act: impl FnOnce() -> u32, is_it: impl Fn(&Event) -> bool) -> u64 {
        let pid = act();
        let event = self.rig.expect(what, |e| of(e, pid) && is_it(e));
        event.get("_habit").as_u64().unwrap()
    }

    /// Whether nothing that fits is reported of what `act` did.
    fn is_silent(&mut self, act: impl FnOnce() -> u32, is_it: impl Fn(&Event) -> bool) -> bool {
        let pid = act();
        !self.rig.all().iter().any(|e| of(e, pid) && is_it(e))
    }

    fn counts(&self) -> Vec<HabitCount> {
        self.rig.collector.habit_counts().unwrap()
    }

    /// Stops everything: what was seen is accounted for.
    pub(super) fn finish(mut self) {
        self.rig.all();
        self.rig.collector.stop(self.rig.tracker).unwrap();
        self.rig.all();
        let counters = self.rig.counters();
        assert_eq!(counters.unaccounted(), 0, "{counters:?}");
    }
}

/// The cgroup of this process.
fn cgroup() -> u64 {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let path = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap();
    let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(|root| format!("{root}{path}"));
    root.iter().find_map(|place| std::fs::metadata(place).ok()).unwrap().ino()
}

/// Runs a script by a program, with a name that stands for all arguments. Its pid.
fn run(program: &Path, script: &str) -> u32 {
    let mut child = Command::new(program).arg("-c").arg(script).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    child.wait().unwrap();
    pid
}

fn opens(path: &Path) -> impl Fn(&Event) -> bool + use<> {
    let path = path.to_str().unwrap().to_owned();
    move |e| is(e, "open") && text(e, "file.path") == path
}

#[test]
fn a_habit_is_counted_and_not_told() {
    let mut habits = Habits::of("open", &["open"]);
    let (program, file, other) = (habits.program(), habits.file("file"), habits.file("other"));
    let script = format!(": < {}; : < {}", file.display(), other.display());
    let act = || run(&program, &script);
    let counted = |habits: &Habits| habits.counts().iter().map(|c| (c.habit, c.count)).collect::<Vec<_>>();
    let habit = habits.habit("the first", act, opens(&file));
    assert_ne!(habit, 0);
    assert_eq!(habits.habit("the same again", act, opens(&file)), habit);
    assert_ne!(habits.habit("another file", act, opens(&other)), habit);

    habits.rig.collector.habituate(habit).unwrap();
    habits.rig.collector.habituate(habit).unwrap();
    assert_eq!(habits.rig.collector.habits(), 1);
    let before = habits.rig.counters().aggregated;
    let pid = act();
    habits.rig.expect("the other", |e| of(e, pid) && opens(&other)(e));
    assert!(!habits.rig.all().iter().any(|e| of(e, pid) && opens(&file)(e)));
    assert_eq!(habits.rig.counters().aggregated, before + 1);
    act();
    let now = crate::clock::realtime_ns;
    let asked = now();
    let counts = habits.counts();
    assert_eq!(counts.iter().map(|c| (c.habit, c.count)).collect::<Vec<_>>(), [(habit, 2)]);
    assert!((asked..=now()).contains(&counts[0].last_ns));
    assert_eq!(habits.counts(), []);

    act();
    habits.rig.collector.end_habit(habit).unwrap();
    assert_eq!(counted(&habits), [(habit, 1)]);
    assert_eq!(habits.habit("reported again", act, opens(&file)), habit);
    habits.rig.collector.end_habit(habit).unwrap();
    assert_eq!(counted(&habits), []);

    habits.rig.collector.habituate(habit).unwrap();
    assert!(habits.is_silent(act, opens(&file)));
    habits.rig.collector.renew_habits().unwrap();
    assert_eq!(counted(&habits), [(habit, 1)]);
    assert_eq!(habits.rig.collector.habits(), 0);
    assert_eq!(habits.habit("reported after all were voided", act, opens(&file)), habit);
    habits.finish();
}

#[test]
fn whoever_else_does_it_is_told() {
    let mut habits = Habits::of("open", &["open"]);
    let (program, file) = (habits.program(), habits.file("file"));
    let script = format!(": < {}", file.display());
    let act = || run(&program, &script);
    let habit = habits.habit("the first", act, opens(&file));
    habits.rig.collector.habituate(habit).unwrap();
    assert!(habits.is_silent(act, opens(&file)));

    let other = habits.habit("other arguments", || run(&program, &format!("{script}; :")), opens(&file));
    assert_ne!(other, habit);
    // The shell runs it as its child, and so it has another parent.
    let within = format!("{} -c '{script}'; :", program.display());
    let below = {
        let pid = run(&program, &within);
        let is_child = |e: &Event| opens(&file)(e) && number(e, "process.parent_pid") == u64::from(pid);
        habits.rig.expect("the child's", is_child).get("_habit").as_u64().unwrap()
    };
    assert!(below != habit && below != 0);
    let renamed = habits.path("renamed");
    std::fs::hard_link(&program, &renamed).unwrap();
    assert_ne!(habits.habit("by another name", || run(&renamed, &script), opens(&file)), habit);
    let user = || {
        let mut command = Command::new(&program);
        std::os::unix::process::CommandExt::uid(&mut command, 65_534);
        let mut child = command.arg("-c").arg(&script).spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        pid
    };
    for (path, mode) in [(habits.directory.path().to_owned(), 0o755), (file.clone(), 0o644)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    assert_ne!(habits.habit("by another user", user, opens(&file)), habit);
    habits.workload(WORKLOAD + 1);
    assert_ne!(habits.habit("of another workload", act, opens(&file)), habit);
    habits.workload(0);
    assert_eq!(habits.habit("of no workload", act, opens(&file)), 0);
    habits.finish();
}

/// Writes to a file.
fn append(path: &Path) {
    changing(path, || std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"y").unwrap());
}

/// Changes a file until its times say so: the clock that kernels take them from goes by ticks, which may be longer than all that
/// was done to the file before.
fn changing(path: &Path, change: impl Fn()) {
    let times = || std::fs::metadata(path).map(|found| (found.ctime(), found.ctime_nsec())).unwrap();
    let before = times();
    while times() == before {
        change();
    }
}

#[test]
fn what_has_changed_is_another_object() {
    let mut habits = Habits::of("open", &["open"]);
    let program = habits.program();
    std::fs::create_dir(habits.path("in")).unwrap();
    let file = habits.file("in/file");
    let read = format!(": < {}", file.display());
    let act = || run(&program, &read);
    let learn = |habits: &mut Habits, what: &str| {
        let habit = habits.habit(what, act, opens(&file));
        habits.rig.collector.habituate(habit).unwrap();
        assert!(habits.is_silent(act, opens(&file)), "{what}");
        habit
    };
    let first = learn(&mut habits, "the first");
    append(&file);
    let second = learn(&mut habits, "what was written to");
    changing(&file, || {
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "x").unwrap();
    });
    let third = learn(&mut habits, "what was replaced");
    assert!(first != second && second != third);

    // By another path it is opened by other arguments, but for what is relative.
    std::fs::create_dir(habits.path("beside")).unwrap();
    let [inside, beside] = ["in", "beside"].map(|directory| {
        let mut command = Command::new(&program);
        command.args(["-c", ": < ../in/file"]).current_dir(habits.path(directory));
        let from = || {
            let mut child = command.spawn().unwrap();
            child.wait().unwrap();
            child.id()
        };
        habits.habit("a relative path", from, opens(&file))
    });
    assert!(inside != 0 && beside != 0 && inside != beside);

    // A file below a directory that gets another name is another, and back again the same.
    let moved = habits.path("moved");
    std::fs::rename(habits.path("in"), &moved).unwrap();
    let there = moved.join("file");
    std::os::unix::fs::symlink(&moved, habits.path("in")).unwrap();
    assert_ne!(habits.habit("where it was moved to", act, opens(&there)), third);

    // The program is another one, too, when its file changes.
    std::fs::remove_file(habits.path("in")).unwrap();
    std::fs::rename(&moved, habits.path("in")).unwrap();
    assert!(habits.is_silent(act, opens(&file)), "back again");
    append(&program);
    habits.habit("by a program that was changed", act, opens(&file));
    habits.finish();
}

#[test]
fn what_is_written_may_change_and_how_it_is_opened_may_not() {
    let mut habits = Habits::of("open", &["open"]);
    let (program, file) = (habits.program(), habits.file("log"));
    let write = format!("echo x >> {}", file.display());
    let act = || run(&program, &write);
    let habit = habits.habit("the first", act, opens(&file));
    habits.rig.collector.habituate(habit).unwrap();
    assert!(habits.is_silent(act, opens(&file)));
    // The same program with the same arguments, and a file that is not there any more.
    std::fs::remove_file(&file).unwrap();
    assert_ne!(habits.habit("where it is created", act, opens(&file)), habit);
    habits.finish();
}

#[test]
fn all_of_it_is_told_to_whoever_wants_everything() {
    let mut habits = Habits::of("open", &["open"]);
    let (program, file) = (habits.program(), habits.file("file"));
    let script = format!(": < {}", file.display());
    let act = || run(&program, &script);
    let habit = habits.habit("the first", act, opens(&file));
    habits.rig.collector.habituate(habit).unwrap();
    assert!(habits.is_silent(act, opens(&file)));
    habits.rig.collector.set_subscription("open", Subscription::All).unwrap();
    assert_eq!(habits.habit("as all is wanted", act, opens(&file)), habit, "a recording has it");
    habits.rig.collector.set_subscription("open", Subscription::only(["open"])).unwrap();
    assert!(habits.is_silent(act, opens(&file)));
    habits.finish();
}

#[test]
fn without_the_tracker_of_processes_there_are_no_habits() {
    let mut habits = Habits::of("open", &["open"]);
    let (program, file) = (habits.program(), habits.file("file"));
    let script = format!(": < {}", file.display());
    let act = || run(&program, &script);
    let habit = habits.habit("the first", act, opens(&file));
    habits.rig.collector.habituate(habit).unwrap();
    let process = ["process".to_owned()];
    habits.rig.collector.pause(&process).unwrap();
    assert_eq!(habits.habit("as processes are not watched", act, opens(&file)), 0);
    habits.rig.collector.resume(&process).unwrap();
    let other = habits.habit("below a process that was there before", act, opens(&file));
    assert!(other != 0 && other != habit);
    assert_eq!(habits.habit("below the same", act, opens(&file)), other);
    habits.rig.collector.stop("process").unwrap();
    assert_eq!(habits.habit("as it is stopped", act, opens(&file)), 0);
    habits.finish();
}

#[test]
fn arguments_that_are_cut_are_nobody_elses() {
    let mut habits = Habits::of("open", &["open"]);
    let (program, file) = (habits.program(), habits.file("file"));
    let script = format!(": < {}; : {}", file.display(), "x".repeat(3000));
    let act = || run(&program, &script);
    let first = habits.habit("the first", act, opens(&file));
    assert_ne!(habits.habit("the same again", act, opens(&file)), first);
    habits.finish();
}

#[test]
fn connections_are_habits_by_peer_and_by_port() {
    let mut habits = Habits::of("tcp", &["connect", "accept"]);
    let [listener, other] = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let [to, elsewhere] = [&listener, &other].map(|l| l.local_addr().unwrap());
    let connected = |to: std::net::SocketAddr| {
        let child = forked(|| i32::from(TcpStream::connect(to).is_err()));
        let pid = child.pid();
        assert_eq!(child.go(), 0);
        pid
    };
    let is_to = |to: std::net::SocketAddr| {
        move |e: &Event| is(e, "connect") && number(e, "network.peer.port") == u64::from(to.port())
    };
    let habit = habits.habit("the first", || connected(to), is_to(to));
    assert_eq!(habits.habit("the same again", || connected(to), is_to(to)), habit);
    habits.rig.collector.habituate(habit).unwrap();
    assert!(habits.is_silent(|| connected(to), is_to(to)));
    assert_ne!(habits.habit("to another port", || connected(elsewhere), is_to(elsewhere)), habit);
    drop(listener);
    let refused = || {
        let child = forked(|| i32::from(TcpStream::connect(to).is_ok()));
        let pid = child.pid();
        child.go();
        pid
    };
    assert_ne!(habits.habit("what is refused", refused, is_to(to)), habit);
    assert_eq!(habits.counts().iter().map(|c| (c.habit, c.count)).collect::<Vec<_>>(), [(habit, 1)]);
    habits.finish();
}

#[test]
fn what_is_accepted_is_a_habit_of_who_listens() {
    let mut habits = Habits::of("tcp", &["accept", "listen"]);
    let ports = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let [port, other] = ports.map(|to| to.port());
    let script = format!(
        "import socket, time; s = [socket.create_server(('127.0.0.1', p)) for p in ({port}, {other})]; time.sleep(600)"
    );
    let mut server = Command::new("python3").arg("-c").arg(script).spawn().unwrap();
    let pid = server.id();
    let listens = |e: &Event| is(e, "listen") && of(e, pid) && number(e, "network.local.port") == u64::from(other);
    assert_ne!(habits.rig.expect("that it listens", listens).get("_habit").as_u64(), Some(0));
    let accepted = |port: u16| move |e: &Event| is(e, "accept") && number(e, "network.local.port") == u64::from(port);
    let connect = |to| {
        drop(TcpStream::connect(to).unwrap());
        pid
    };
    let habit = habits.habit("the first", || connect(ports[0]), accepted(port));
    assert_ne!(habit, 0);
    assert_ne!(habits.habit("at another port", || connect(ports[1]), accepted(other)), habit);
    habits.rig.collector.habituate(habit).unwrap();
    let reported = habits.rig.all().iter().filter(|e| accepted(port)(e)).count();
    (0..3).for_each(|_| _ = connect(ports[0]));
    assert_eq!(habits.rig.all().iter().filter(|e| accepted(port)(e)).count(), reported);
    assert_eq!(habits.counts().iter().map(|c| (c.habit, c.count)).collect::<Vec<_>>(), [(habit, 3)]);
    server.kill().unwrap();
    server.wait().unwrap();
    habits.finish();
}
