use std::{fs, path::PathBuf, ptr, thread, time::Duration};

use crate::tests::{child::forked, *};

const LIMIT: u64 = 16 << 20;

/// A cgroup with a limit of memory, removed when it is dropped.
struct Limited(PathBuf);

impl Limited {
    fn new() -> Self {
        let version_1 = PathBuf::from("/sys/fs/cgroup/memory");
        let (root, limit) = if version_1.exists() {
            (version_1, "memory.limit_in_bytes")
        } else {
            let root = PathBuf::from("/sys/fs/cgroup");
            fs::write(root.join("cgroup.subtree_control"), "+memory").unwrap();
            (root, "memory.max")
        };
        let path = root.join(format!("ethogram-test-oom-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let cgroup = Self(path);
        fs::write(cgroup.0.join(limit), LIMIT.to_string()).unwrap();
        cgroup
    }

    fn take_in(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(50)); // until the kernel has forgotten who was in it
        }
        eprintln!("cannot remove {}", self.0.display());
    }
}

/// Takes that much memory, and gives it back by ending.
fn take(bytes: usize) -> i32 {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: what is written lies in the mapping that was just made.
    unsafe {
        let memory: *mut u8 = libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0).cast();
        for page in (0..bytes).step_by(4096) {
            memory.add(page).write_volatile(1);
        }
    }
    0
}

#[test]
fn who_was_killed_for_want_of_memory_is_told_and_for_which_limit() {
    let mut rig = Rig::start("oom");
    let cgroup = Limited::new();
    let modest = forked(|| take(LIMIT as usize / 4));
    let greedy = forked(|| take(LIMIT as usize * 4));
    let (modest_pid, pid) = (modest.pid(), greedy.pid());
    cgroup.take_in(modest_pid);
    cgroup.take_in(pid);
    assert_eq!(modest.go(), 0);
    assert_eq!(greedy.go(), 128 + libc::SIGKILL);
    let kill = rig.expect("the killing", |e| is(e, "kill") && of(e, pid));
    assert!(kill.get("oom.cgroup_limit").is_truthy());
    assert_eq!(number(&kill, "oom.limit.size"), LIMIT);
    assert_eq!(number(&kill, "oom.trigger.pid"), u64::from(pid));
    let anonymous = number(&kill, "oom.anonymous.size");
    // More than the limit: what it shares with its parent is charged to that one.
    assert!((LIMIT / 2..3 * LIMIT).contains(&anonymous), "{anonymous}");
    assert!(number(&kill, "oom.virtual.size") > 4 * LIMIT);
    assert_eq!(text(&kill, "process.executable.name"), fs::read_to_string("/proc/thread-self/comm").unwrap().trim_end());
    assert!(!rig.all().iter().any(|e| of(e, modest_pid)));
}

#[test]
fn who_is_killed_by_another_is_no_victim_of_memory() {
    let mut rig = Rig::start("oom");
    let child = forked(|| {
        // SAFETY: a plain system call.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 128 + libc::SIGKILL);
    assert!(!rig.all().iter().any(|e| of(e, pid)));
}
