use std::collections::BTreeSet;

use ethogram_model::{Event, Value};

use crate::tests::{child::forked, *};

fn total(events: &[Event], pid: u32, call: &str, field: &str) -> u64 {
    let rows = events.iter().filter(|e| is(e, "calls") && of(e, pid) && shown(e, "system_call.name") == call);
    rows.map(|e| number(e, field)).sum()
}

#[test]
fn calls_are_counted_exactly_with_their_errors_and_their_time() {
    let mut rig = Rig::start("syscall");
    let child = forked(|| {
        let pause = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        // SAFETY: the struct is one's own, and the other calls take no pointers that the kernel would follow.
        unsafe {
            for _ in 0..7 {
                libc::syscall(libc::SYS_getppid);
            }
            for _ in 0..3 {
                libc::syscall(libc::SYS_close, -1);
            }
            libc::syscall(libc::SYS_nanosleep, &pause, std::ptr::null_mut::<u8>());
        }
        0
    });
    let pid = child.pid();
    child.go();
    rig.expect("its end", |e| is(e, "calls") && of(e, pid) && shown(e, "system_call.name") == "exit_group");
    let all = rig.all();
    assert_eq!(total(all, pid, "getppid", "system_call.count"), 7);
    assert_eq!(total(all, pid, "getppid", "system_call.errors"), 0);
    assert_eq!(total(all, pid, "close", "system_call.errors"), 3);
    assert_eq!(total(all, pid, "exit_group", "system_call.count"), 1);
    for field in ["system_call.duration.sum", "system_call.duration.max"] {
        assert!(total(all, pid, "nanosleep", field) >= 20_000_000, "{field}");
        assert!(total(all, pid, "getppid", field) < 1_000_000_000, "{field}");
    }
    assert_eq!(total(all, pid, "getuid", "system_call.count"), 0);
}

/// All calls used in the cgroup of a process that has a row.
fn profile(events: &[Event], cgroup: u64) -> BTreeSet<String> {
    let rows = events.iter().filter(|e| is(e, "profile") && number(e, "_in_cgroup") == cgroup);
    // Each row has all up to then.
    let Some(last) = rows.max_by_key(|e| e.record.iter().map(|b| usize::from(*b == 1)).sum::<usize>()) else {
        return BTreeSet::new();
    };
    let Value::List(names) = last.get("system_call.names") else { panic!("not a list") };
    names.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect()
}

/// A cgroup of its own, in whichever hierarchy the tests look at.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn new() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let root = mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>()).find(|w| w.get(2) == Some(&"cgroup2"))?[1];
        let path = std::path::Path::new(root).join(format!("ethogram-calls-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Some(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        _ = std::fs::remove_dir(&self.0);
    }
}

#[test]
fn what_a_cgroup_has_used_is_told_completely() {
    let Some(cgroup) = Cgroup::new() else { return };
    let id = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&cgroup.0).unwrap());
    let mut rig = Rig::start_with("syscall", settings(), &[("by_container", "true")]);
    let run = |what: fn()| {
        let child = forked(|| {
            what();
            0
        });
        std::fs::write(cgroup.0.join("cgroup.procs"), child.pid().to_string()).unwrap();
        child.go();
    };
    // SAFETY: none of the calls takes a pointer.
    run(|| unsafe { _ = libc::syscall(libc::SYS_getpgid, 0) });
    rig.expect("the first calls", |e| is(e, "profile") && number(e, "_in_cgroup") == id);
    // SAFETY: the same.
    run(|| unsafe { _ = libc::syscall(libc::SYS_getpriority, 0, 0) });
    let known = |rig: &mut Rig| profile(rig.all(), id);
    let deadline = std::time::Instant::now() + patience();
    while !known(&mut rig).contains("getpriority") {
        assert!(std::time::Instant::now() < deadline, "known: {:?}", known(&mut rig));
        std::thread::yield_now();
    }
    let expected = ["exit_group", "getpgid", "getpriority"].map(str::to_owned);
    let used = known(&mut rig);
    assert!(expected.iter().all(|name| used.contains(name)), "{used:?}");
    // The child's reading of the word to go was under way when it came here.
    assert!(used.iter().all(|name| expected.contains(name) || name == "read"), "{used:?}");
    let rows = rig.all().iter().filter(|e| is(e, "calls") && number(e, "_in_cgroup") == id);
    assert!(rows.clone().all(|e| number(e, "_process") == 0));
    assert_eq!(
        rows.filter(|e| shown(e, "system_call.name") == "exit_group")
            .map(|e| number(e, "system_call.count"))
            .sum::<u64>(),
        2
    );
}
