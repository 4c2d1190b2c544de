//! What policies refuse leaves nothing behind, and what is next to it goes on.

mod cut;
mod exact;
mod first;
mod paths;

use std::{
    ffi::CString,
    fs,
    net::{TcpListener, UdpSocket},
    os::{fd::AsRawFd, unix::fs::MetadataExt, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use ethogram_model::schema::PolicyOperation;
use tempfile::TempDir;

use super::{child::forked, patience};
use crate::{Controller, Enforcement, Enforcer, Matcher, NetworkCut, Policy, Ruling, kernel::cgroup};

/// A cgroup of a test's own, removed when it is dropped.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(name: &str) -> Self {
        let root = cgroup::root().unwrap();
        Self::at(&fs::read_link(format!("/proc/self/fd/{}", root.as_raw_fd())).unwrap(), name)
    }

    fn at(hierarchy: &Path, name: &str) -> Self {
        let path = hierarchy.join(format!("ethogram-test-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn id(&self) -> u64 {
        fs::metadata(&self.0).unwrap().ino()
    }

    /// Has a child of this process do something in it. Gives what it returns: see [`forked`].
    fn run(&self, what: impl FnOnce() -> i32) -> i32 {
        let child = forked(what);
        fs::write(self.0.join("cgroup.procs"), child.pid().to_string()).unwrap();
        child.go()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = std::time::Instant::now() + patience();
        while fs::remove_dir(&self.0).is_err() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// The error's number of a call that failed; zero of one that did not.
fn errno(result: libc::c_long) -> i32 {
    // SAFETY: the pointer is to this thread's own number.
    if result < 0 { unsafe { *libc::__errno_location() } } else { 0 }
}

fn text(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

fn policy(operation: PolicyOperation, matcher: Matcher, ruling: Ruling) -> Policy {
    Policy { operation, matchers: vec![matcher], ruling, exact: false, fail_closed: false }
}

/// One that stands for a rule.
fn exact(operation: PolicyOperation, matchers: &[Matcher], ruling: Ruling) -> Policy {
    Policy { operation, matchers: matchers.to_vec(), ruling, exact: true, fail_closed: false }
}

/// Policies that hold for one of two cgroups. None where this kernel takes none of them.
struct Rig {
    enforcer: Enforcer,
    subject: Cgroup,
    neighbour: Cgroup,
}

impl Rig {
    fn start(name: &str, policies: &[Policy]) -> Option<Self> {
        let enforcer = Enforcer::start(policies, None, false).unwrap();
        if let Some(reason) = enforcer.refusal(0) {
            eprintln!("skipped, as this kernel cannot: {reason}");
            assert!(
                crate::kernel::abilities::refusal("lsm").is_some(),
                "a kernel with LSM programs takes all of ours: {reason}"
            );
            return None;
        }
        let (subject, neighbour) = (Cgroup::new(name), Cgroup::new(&format!("{name}-neighbour")));
        enforcer.assign(subject.id(), (1 << policies.len()) - 1).unwrap();
        enforcer.begin(subject.id()).unwrap();
        Some(Self { enforcer, subject, neighbour })
    }

    /// Waits for what a policy led to.
    fn expect(&self, what: &str, wanted: impl Fn(&Enforcement) -> bool) -> Enforcement {
        let mut watch = self.enforcer.watch().unwrap().unwrap();
        let deadline = std::time::Instant::now() + patience();
        loop {
            if let Some(found) = watch.take().into_iter().find(|e| wanted(e)) {
                return found;
            }
            assert!(std::time::Instant::now() < deadline, "nothing was reported of it: {what}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// A program that leaves a mark when it runs.
struct Marker {
    path: CString,
    mark_path: CString,
    mark: PathBuf,
}

impl Marker {
    fn program(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::copy("/usr/bin/touch", folder.join("marker")).unwrap();
        Self::of(folder)
    }

    fn script(folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("marker"), "#!/bin/sh\n: > \"$1\"\n").unwrap();
        Self::of(folder)
    }

    fn of(folder: &Path) -> Self {
        let (program, mark) = (folder.join("marker"), folder.join("ran"));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { path: text(&program), mark_path: text(&mark), mark }
    }

    /// Runs it in a cgroup: how that ended, and whether it left its mark, which is removed.
    fn run(&self, cgroup: &Cgroup) -> (i32, bool) {
        let code = cgroup.run(|| self.exec());
        (code, fs::remove_file(&self.mark).is_ok())
    }

    fn exec(&self) -> i32 {
        let argv = [self.path.as_ptr(), self.mark_path.as_ptr(), std::ptr::null()];
        // SAFETY: both arrays end with a null pointer and outlive the call.
        errno(unsafe { libc::execve(self.path.as_ptr(), argv.as_ptr(), [std::ptr::null()].as_ptr()) }.into())
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn folders() -> (TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (forbidden, allowed) = (root.path().join("forbidden"), root.path().join("allowed"));
    [&forbidden, &allowed].iter().for_each(|folder| fs::create_dir(folder).unwrap());
    (root, forbidden, allowed)
}

fn below(folder: &Path) -> Matcher {
    Matcher::Below(folder.to_str().unwrap().into())
}

const REFUSED: (i32, bool) = (libc::EPERM, false);
const KILLED: (i32, bool) = (128 + libc::SIGKILL, false);
const RAN: (i32, bool) = (0, true);

#[test]
fn what_is_refused_to_run_does_not_run() {
    let (_root, forbidden, allowed) = folders();
    let exact = Matcher::Path(allowed.join("one/marker").to_str().unwrap().into());
    let policies = [
        policy(PolicyOperation::Exec, below(&forbidden), Ruling::Deny),
        policy(PolicyOperation::Exec, exact, Ruling::Deny),
    ];
    let Some(rig) = Rig::start("exec", &policies) else { return };
    let (deep, one) = (Marker::program(&forbidden.join("deep/er")), Marker::program(&allowed.join("one")));
    let (script, other) = (Marker::script(&forbidden), Marker::program(&allowed.join("other")));
    for refused in [&deep, &one, &script] {
        assert_eq!(refused.run(&rig.subject), REFUSED, "{}", refused.path());
    }
    let reported = rig.expect("the refusal", |e| e.policies == 1);
    assert_eq!((reported.object.as_str(), reported.killed), (deep.path(), false));
    assert_eq!(reported.event.get("_cgroup").as_u64(), Some(rig.subject.id()));
    eprintln!("refused after {:?}", reported.took);

    assert_eq!(other.run(&rig.subject), RAN, "another path");
    assert_eq!(deep.run(&rig.neighbour), RAN, "another cgroup");
    assert_eq!(rig.enforcer.hits(), [2, 1]);
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    assert_eq!(deep.run(&subject), RAN, "afterwards");
}

#[test]
fn nobody_gets_away_by_nesting() {
    let (_root, forbidden, _) = folders();
    let Some(rig) = Rig::start("nesting", &[policy(PolicyOperation::Exec, below(&forbidden), Ruling::Deny)]) else {
        return;
    };
    // Deeper than paths are looked at, and in a cgroup below that of the container.
    let deep = Marker::program(&forbidden.join("a/".repeat(100)));
    assert_eq!(deep.run(&rig.subject), REFUSED);
    let marker = Marker::script(&forbidden);
    let nested = Cgroup::at(&rig.subject.0, "nested");
    assert_eq!(marker.run(&nested), REFUSED);
    // Another root of its own changes nothing about where the file is.
    let root = text(&forbidden);
    let inside = Marker { path: c"/marker".into(), mark_path: c"/ran".into(), mark: marker.mark.clone() };
    let chrooted = rig.subject.run(|| {
        // SAFETY: the path is a string that ends with NUL.
        let moved = errno(unsafe { libc::chroot(root.as_ptr()) }.into());
        if moved == 0 { inside.exec() } else { moved }
    });
    assert_eq!(chrooted, libc::EPERM);
}

fn open(path: &CString, flags: i32) -> i32 {
    // SAFETY: the path is a string that ends with NUL.
    errno(unsafe { libc::open(path.as_ptr(), flags, 0o600) }.into())
}

#[test]
fn what_is_refused_to_be_written_is_neither_made_nor_changed() {
    let (_root, forbidden, allowed) = folders();
    let Some(rig) = Rig::start("write", &[policy(PolicyOperation::Write, below(&forbidden), Ruling::Deny)]) else {
        return;
    };
    let (new, old) = (forbidden.join("new"), forbidden.join("old"));
    fs::write(&old, "as it was").unwrap();
    let (new_path, old_path, other) = (text(&new), text(&old), text(&allowed.join("other")));
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    assert_eq!(rig.subject.run(|| open(&new_path, flags)), libc::EPERM);
    assert!(!new.exists(), "it was made");
    assert_eq!(rig.subject.run(|| open(&old_path, flags)), libc::EPERM);
    assert_eq!(rig.subject.run(|| open(&old_path, libc::O_RDWR)), libc::EPERM);
    // SAFETY: the path is a string that ends with NUL.
    assert_eq!(rig.subject.run(|| errno(unsafe { libc::truncate(old_path.as_ptr(), 2) }.into())), libc::EPERM);
    assert_eq!(fs::read_to_string(&old).unwrap(), "as it was");
    assert_eq!(rig.expect("the refusal", |e| e.object == old_path.to_str().unwrap()).policies, 1);

    assert_eq!(rig.subject.run(|| open(&old_path, libc::O_RDONLY)), 0, "reading");
    assert_eq!(rig.subject.run(|| open(&other, flags)), 0, "another path");
    assert_eq!((rig.neighbour.run(|| open(&new_path, flags)), new.exists()), (0, true), "another cgroup");
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    assert_eq!((subject.run(|| open(&old_path, flags)), fs::read(&old).unwrap().len()), (0, 0), "afterwards");
}

fn address(port: u16) -> libc::sockaddr_in {
    let ip = libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) };
    libc::sockaddr_in { sin_family: libc::AF_INET as u16, sin_port: port.to_be(), sin_addr: ip, sin_zero: [0; 8] }
}

fn connect(to: libc::sockaddr_in) -> i32 {
    let size = size_of_val(&to) as u32;
    // SAFETY: the address is of the size that is given, and outlives the calls.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        errno(libc::connect(socket, (&raw const to).cast(), size).into())
    }
}

fn send(to: libc::sockaddr_in) -> i32 {
    let size = size_of_val(&to) as u32;
    // SAFETY: the address and the byte are of the sizes that are given, and outlive the calls.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
        errno(libc::sendto(socket, c"x".as_ptr().cast(), 1, 0, (&raw const to).cast(), size) as libc::c_long)
    }
}

#[test]
fn whom_it_may_not_connect_to_sees_nothing() {
    let (forbidden, allowed) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let peer = |port| Matcher::Peer { address: "127.0.0.0".parse().unwrap(), bits: 8, port: Some(port) };
    let (port, udp) = (forbidden.local_addr().unwrap().port(), datagrams.local_addr().unwrap().port());
    let policies = [port, udp].map(|port| policy(PolicyOperation::Connect, peer(port), Ruling::Deny));
    let Some(rig) = Rig::start("connect", &policies) else { return };
    assert_eq!(rig.subject.run(|| connect(address(port))), libc::EPERM);
    assert_eq!(rig.subject.run(|| send(address(udp))), libc::EPERM);
    let family = libc::sockaddr_in { sin_family: libc::AF_UNSPEC as u16, ..address(udp) };
    assert_eq!(rig.subject.run(|| send(family)), libc::EPERM, "without a family it is the same");
    forbidden.set_nonblocking(true).unwrap();
    datagrams.set_nonblocking(true).unwrap();
    assert!(forbidden.accept().is_err() && datagrams.recv(&mut [0]).is_err(), "the peer saw it");
    assert_eq!(rig.expect("the refusal", |e| e.policies == 1).object, format!("127.0.0.1:{port}"));

    assert_eq!(rig.subject.run(|| connect(address(allowed.local_addr().unwrap().port()))), 0, "another port");
    assert_eq!(rig.neighbour.run(|| connect(address(port))), 0, "another cgroup");
    assert_eq!(rig.neighbour.run(|| send(address(udp))), 0, "another cgroup");
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    assert_eq!((subject.run(|| connect(address(port))), subject.run(|| send(address(udp)))), (0, 0), "afterwards");
}

fn mount(at: &CString) -> i32 {
    let kind = c"tmpfs".as_ptr();
    // SAFETY: all strings end with NUL.
    errno(unsafe { libc::mount(kind, at.as_ptr(), kind, 0, std::ptr::null()) }.into())
}

#[test]
fn what_is_refused_to_be_mounted_is_not_there() {
    let (_root, forbidden, _) = folders();
    let Some(rig) = Rig::start("mount", &[policy(PolicyOperation::Mount, Matcher::Any, Ruling::Deny)]) else { return };
    let at = text(&forbidden);
    let is_mounted = || fs::read_to_string("/proc/self/mountinfo").unwrap().contains(at.to_str().unwrap());
    assert_eq!((rig.subject.run(|| mount(&at)), is_mounted()), (libc::EPERM, false));
    rig.expect("the refusal", |e| e.policies == 1);
    assert_eq!((rig.neighbour.run(|| mount(&at)), is_mounted()), (0, true), "another cgroup");
    // SAFETY: the path is a string that ends with NUL.
    assert_eq!(unsafe { libc::umount(at.as_ptr()) }, 0);
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    assert_eq!((subject.run(|| mount(&at)), is_mounted()), (0, true), "afterwards");
    // SAFETY: the path is a string that ends with NUL.
    assert_eq!(unsafe { libc::umount(at.as_ptr()) }, 0);
}

fn seize(pid: u32) -> i32 {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the call takes no memory of ours.
    let result = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid as libc::pid_t, none, none) };
    errno(result)
}

#[test]
fn what_is_refused_to_be_traced_is_not() {
    let Some(rig) = Rig::start("ptrace", &[policy(PolicyOperation::Ptrace, Matcher::Any, Ruling::Deny)]) else {
        return;
    };
    let target = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    struct Kill(std::process::Child);
    impl Drop for Kill {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let (pid, _kill) = (target.id(), Kill(target));
    let by = |cgroup: &Cgroup| cgroup.run(|| seize(pid));
    assert_eq!(by(&rig.subject), libc::EPERM);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("TracerPid:\t0\n"), "{status}");
    // SAFETY: the call takes no memory of ours.
    let trace_me = || errno(unsafe { libc::ptrace(libc::PTRACE_TRACEME) });
    assert_eq!(rig.subject.run(trace_me), libc::EPERM);
    // To look at others in /proc is no tracing.
    let exe = CString::new(format!("/proc/{pid}/environ")).unwrap();
    assert_eq!(rig.subject.run(|| open(&exe, libc::O_RDONLY)), 0, "reading");
    rig.expect("the refusal", |e| e.policies == 1);
    assert_eq!((by(&rig.neighbour), rig.neighbour.run(trace_me)), (0, 0), "another cgroup");
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    assert_eq!(by(&subject), 0, "afterwards");
}

fn load_module() -> i32 {
    // As long as the header that the kernel looks for first.
    let (image, options) = ([b'x'; 128], c"");
    // SAFETY: the image is of the size that is given, and the options end with NUL.
    errno(unsafe { libc::syscall(libc::SYS_init_module, image.as_ptr(), image.len(), options.as_ptr()) })
}

#[test]
fn what_is_refused_to_be_loaded_is_not_even_read() {
    let Some(rig) = Rig::start("module", &[policy(PolicyOperation::Module, Matcher::Any, Ruling::Deny)]) else {
        return;
    };
    let (_root, forbidden, _) = folders();
    let file = forbidden.join("module.ko");
    fs::write(&file, [b'x'; 128]).unwrap();
    let file = text(&file);
    let load_file = || {
        // SAFETY: both strings end with NUL, and the descriptor was just opened.
        unsafe {
            let opened = libc::open(file.as_ptr(), libc::O_RDONLY);
            errno(libc::syscall(libc::SYS_finit_module, opened, c"".as_ptr(), 0))
        }
    };
    let modules = || fs::read_to_string("/proc/modules").unwrap_or_default();
    let before = modules();
    assert_eq!((rig.subject.run(load_module), rig.subject.run(load_file)), (libc::EPERM, libc::EPERM));
    assert_eq!(modules(), before);
    rig.expect("the refusal", |e| e.policies == 1);
    // The neighbour gets as far as the kernel's look at the image.
    let looked_at = |code: i32| assert!(![0, libc::EPERM].contains(&code), "{code}");
    looked_at(rig.neighbour.run(load_module));
    looked_at(rig.neighbour.run(load_file));
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    looked_at(subject.run(load_module));
}

/// Makes a map of one number, as `bpf(BPF_MAP_CREATE)` does.
fn make_map() -> i32 {
    // Kind (2: array), bytes of a key, bytes of a value, entries.
    let attributes = [2u32, 4, 4, 1];
    // SAFETY: the attributes are of the size that is reported.
    errno(unsafe { libc::syscall(libc::SYS_bpf, 0, attributes.as_ptr(), size_of_val(&attributes)) })
}

/// Loads a program that does nothing, as `bpf(BPF_PROG_LOAD)` does.
fn load_program() -> i32 {
    let instructions = [0xb7u64, 0x95];
    let license = c"GPL";
    // Kind (1: socket filter), number of instructions, where they are, where the license is.
    let attributes = [1u64 | 2 << 32, instructions.as_ptr() as u64, license.as_ptr() as u64];
    // SAFETY: the attributes are of the size that is given, and what they point at outlives the call.
    errno(unsafe { libc::syscall(libc::SYS_bpf, 5, attributes.as_ptr(), size_of_val(&attributes)) })
}

#[test]
fn what_is_refused_to_call_bpf_has_nothing_in_the_kernel() {
    let Some(rig) = Rig::start("bpf", &[policy(PolicyOperation::Bpf, Matcher::Any, Ruling::Deny)]) else { return };
    assert_eq!((rig.subject.run(make_map), rig.subject.run(load_program)), (libc::EPERM, libc::EPERM));
    rig.expect("the refusal", |e| e.policies == 1);
    assert_eq!((rig.neighbour.run(make_map), rig.neighbour.run(load_program)), (0, 0), "another cgroup");
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    assert_eq!((subject.run(make_map), subject.run(load_program)), (0, 0), "afterwards");
}

#[test]
fn where_nothing_is_refused_who_runs_it_is_killed_before_it_does_anything() {
    let (_root, forbidden, allowed) = folders();
    let Some(rig) = Rig::start("kill", &[policy(PolicyOperation::Exec, below(&forbidden), Ruling::Kill)]) else {
        panic!("every kernel kills for an exec")
    };
    let (marker, other) = (Marker::program(&forbidden), Marker::program(&allowed));
    assert_eq!(marker.run(&rig.subject), KILLED);
    let reported = rig.expect("the kill", |e| e.killed);
    assert_eq!((reported.policies, reported.object.as_str()), (1, marker.path()));
    eprintln!("killed after {:?}", reported.took);
    assert_eq!(other.run(&rig.subject), RAN, "another path");
    assert_eq!(marker.run(&rig.neighbour), RAN, "another cgroup");
    let Rig { enforcer, subject, .. } = rig;
    drop(enforcer);
    assert_eq!(marker.run(&subject), RAN, "afterwards");
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let (_root, forbidden, allowed) = folders();
    let policies = [policy(PolicyOperation::Exec, below(&forbidden), Ruling::Kill)];
    let (enforcer, subject) = (Enforcer::start(&policies, None, true).unwrap(), Cgroup::new("dry"));
    enforcer.assign(subject.id(), 1).unwrap();
    enforcer.begin(subject.id()).unwrap();
    let (marker, other) = (Marker::program(&forbidden), Marker::program(&allowed));
    assert_eq!((marker.run(&subject), other.run(&subject)), (RAN, RAN));
    assert_eq!(enforcer.hits(), [1]);
}

#[test]
fn containers_are_told_apart_by_a_hierarchy_of_version_1_too() {
    let memory = Path::new("/sys/fs/cgroup/memory");
    if !memory.join("cgroup.procs").exists() {
        return;
    }
    let (_root, forbidden, _) = folders();
    let enforcer = Enforcer::start(
        &[policy(PolicyOperation::Exec, below(&forbidden), Ruling::Kill)],
        Some(Controller::Memory),
        false,
    )
    .unwrap();
    let (subject, neighbour) = (Cgroup::at(memory, "kill-1"), Cgroup::at(memory, "kill-1-neighbour"));
    let nested = Cgroup::at(&subject.0, "nested");
    enforcer.assign(subject.id(), 1).unwrap();
    enforcer.begin(subject.id()).unwrap();
    let marker = Marker::program(&forbidden);
    assert_eq!((marker.run(&subject), marker.run(&nested)), (KILLED, KILLED));
    assert_eq!(marker.run(&neighbour), RAN);
    enforcer.assign(subject.id(), 0).unwrap();
    assert_eq!(marker.run(&subject), RAN, "it holds no more");
}
