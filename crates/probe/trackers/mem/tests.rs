use std::{os::fd::AsRawFd, ptr::null_mut};

use crate::tests::{child::forked, *};

const EINVAL: u64 = libc::EINVAL as u64;
const PAGE: usize = 4096;
const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;
const READ_EXEC: i32 = libc::PROT_READ | libc::PROT_EXEC;
const PRIVATE: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;

/// Maps fresh memory.
fn map(size: usize, protection: i32) -> *mut libc::c_void {
    // SAFETY: the kernel chooses the place, nothing that is in use is replaced.
    unsafe { libc::mmap(null_mut(), size, protection, PRIVATE, -1, 0) }
}

#[test]
fn writable_and_executable_at_once_is_told_once_for_a_process() {
    let mut rig = Rig::start("mem");
    let child = forked(|| {
        for _ in 0..5 {
            map(3 * PAGE, READ_WRITE | libc::PROT_EXEC);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let event = rig.expect("the mapping", |e| is(e, "executable") && of(e, pid));
    assert_eq!(shown(&event, "memory.operation"), "mmap");
    assert_eq!(shown(&event, "memory.kind"), "writable_executable");
    assert_eq!(shown(&event, "memory.protection"), "PROT_READ|PROT_WRITE|PROT_EXEC");
    assert_eq!(number(&event, "memory.size"), 3 * PAGE as u64);
    assert!(number(&event, "memory.address") > PAGE as u64 && text(&event, "file.path").is_empty());
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 1);
    assert!(rig.counters().aggregated >= 4);
}

#[test]
fn memory_that_becomes_executable_is_reported_each_time_on_request() {
    let mut rig = Rig::start_with("mem", settings(), &[("repeats", "true")]);
    let child = forked(|| {
        for _ in 0..3 {
            let memory = map(2 * PAGE, READ_WRITE);
            // SAFETY: the memory was just mapped, and nobody else uses it.
            unsafe { libc::mprotect(memory, PAGE, READ_EXEC) };
        }
        0
    });
    let pid = child.pid();
    child.go();
    let event = rig.expect("the change", |e| is(e, "executable") && of(e, pid));
    assert_eq!(shown(&event, "memory.operation"), "mprotect");
    assert_eq!(shown(&event, "memory.kind"), "made_executable");
    assert_eq!(shown(&event, "memory.protection"), "PROT_READ|PROT_EXEC");
    assert_eq!(number(&event, "memory.size"), PAGE as u64);
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 3);
}

#[test]
fn each_kind_is_reported_for_a_process() {
    let mut rig = Rig::start("mem");
    let child = forked(|| {
        map(PAGE, READ_WRITE | libc::PROT_EXEC);
        let memory = map(PAGE, READ_WRITE);
        // SAFETY: the memory was just mapped, and nobody else uses it.
        unsafe { libc::mprotect(memory, PAGE, READ_EXEC) }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    for kind in ["writable_executable", "made_executable"] {
        rig.expect(kind, |e| is(e, "executable") && of(e, pid) && shown(e, "memory.kind") == kind);
    }
}

#[test]
fn ordinary_memory_is_not_reported() {
    let mut rig = Rig::start("mem");
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let descriptor = file.as_raw_fd();
    let child = forked(|| {
        let memory = map(PAGE, READ_WRITE);
        // SAFETY: fresh mappings only, and nobody else uses what was just mapped.
        unsafe {
            libc::mprotect(memory, PAGE, libc::PROT_READ);
            libc::mmap(null_mut(), PAGE, READ_EXEC, libc::MAP_PRIVATE, descriptor, 0);
            libc::syscall(libc::SYS_memfd_create, c"last".as_ptr(), 0);
        }
        0
    });
    let pid = child.pid();
    child.go();
    rig.expect("what came last", |e| is(e, "memfd") && of(e, pid));
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 1);
}

#[test]
fn a_file_in_memory_only_and_running_code_from_it() {
    let mut rig = Rig::start("mem");
    let child = forked(|| {
        // SAFETY: the name ends with NUL; the kernel chooses where to map.
        unsafe {
            let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
            let file = libc::syscall(libc::SYS_memfd_create, c"pay load".as_ptr(), flags) as i32;
            libc::ftruncate(file, PAGE as i64);
            libc::mmap(null_mut(), PAGE, READ_EXEC, libc::MAP_PRIVATE, file, 0);
            libc::syscall(libc::SYS_memfd_create, c"bad".as_ptr(), 0x8000_0000u32);
            file
        }
    });
    let pid = child.pid();
    let descriptor = child.go();
    let made = rig.expect("memfd_create", |e| is(e, "memfd") && of(e, pid) && text(e, "file.name") == "pay load");
    assert_eq!(shown(&made, "memory.operation"), "memfd_create");
    assert_eq!(shown(&made, "file.memfd.flags"), "MFD_CLOEXEC|MFD_ALLOW_SEALING");
    assert_eq!(number(&made, "file.descriptor"), descriptor as u64);
    let mapped = rig.expect("its mapping", |e| is(e, "executable") && of(e, pid));
    assert_eq!(shown(&mapped, "memory.kind"), "executable_memfd");
    assert!(text(&mapped, "file.path").starts_with("memfd:pay load"), "{}", text(&mapped, "file.path"));
    let refused = rig.expect("the bad flags", |e| is(e, "memfd") && of(e, pid) && number(e, "error.type") == EINVAL);
    assert_eq!(number(&refused, "file.descriptor"), u64::from(u32::MAX));
}

#[test]
fn other_processes_memory_read_and_written() {
    let mut rig = Rig::start("mem");
    let target = Shell::waiting("exit 0");
    let bytes = [0u8; 16];
    let child = forked(|| {
        let local = libc::iovec { iov_base: bytes.as_ptr() as *mut _, iov_len: 16 };
        let remote = libc::iovec { iov_base: bytes.as_ptr() as *mut _, iov_len: 16 };
        // SAFETY: what the target has at that address is for the kernel to check; in the child nobody needs the bytes.
        unsafe {
            libc::process_vm_readv(target.pid() as i32, &local, 1, &remote, 1, 0);
            libc::process_vm_writev(libc::getpid(), &local, 1, &remote, 1, 0);
            libc::process_vm_readv(0x3f_fff0, &local, 1, &remote, 1, 0);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let access = |rig: &mut Rig, target: u32| {
        rig.expect("access", |e| is(e, "access") && of(e, pid) && number(e, "process.target.pid") == u64::from(target))
    };
    let read = access(&mut rig, target.pid());
    assert_eq!(shown(&read, "memory.operation"), "process_vm_readv");
    assert_eq!(text(&read, "process.target.executable.name"), "sh");
    assert!(!read.get("process.target.other_cgroup").is_truthy());
    let written = access(&mut rig, pid);
    assert_eq!(
        (shown(&written, "memory.operation").as_str(), number(&written, "memory.size")),
        ("process_vm_writev", 16)
    );
    let missing = access(&mut rig, 0);
    assert_eq!(number(&missing, "error.type"), libc::ESRCH as u64);
    target.go();
}

#[test]
fn page_faults_handled_in_user_space() {
    let mut rig = Rig::start("mem");
    let child = forked(|| {
        // SAFETY: takes no pointers.
        unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | 1) };
        0
    });
    let pid = child.pid();
    child.go();
    let event = rig.expect("userfaultfd", |e| is(e, "userfault") && of(e, pid));
    assert_eq!(shown(&event, "memory.userfault.flags"), "UFFD_USER_MODE_ONLY|O_CLOEXEC");
}

/// Has a child map code of a file, and gives the events of it.
fn mapped(rig: &mut Rig, path: &std::path::Path) -> Vec<Event> {
    let file = std::fs::File::open(path).unwrap();
    let descriptor = file.as_raw_fd();
    let child = forked(|| {
        // SAFETY: fresh mappings only, and nobody else uses what was just mapped.
        unsafe {
            libc::mmap(null_mut(), PAGE, READ_EXEC, libc::MAP_PRIVATE, descriptor, 0);
            libc::syscall(libc::SYS_memfd_create, c"last".as_ptr(), 0);
        }
        0
    });
    let pid = child.pid();
    child.go();
    rig.expect("what came last", |e| is(e, "memfd") && of(e, pid));
    rig.all().iter().filter(|e| is(e, "library") && of(e, pid)).cloned().collect()
}

#[test]
fn code_of_a_file_that_was_brought_is_told_and_that_of_others_is_not() {
    let mut rig = Rig::start("mem");
    let mount = crate::tests::tmpfs::Tmpfs::new();
    let path = mount.path().join("library.so");
    std::fs::copy("/bin/true", &path).unwrap();
    let events = mapped(&mut rig, &path);
    let [event] = events.as_slice() else { panic!("{} events", events.len()) };
    assert_eq!(text(event, "file.path"), path.to_str().unwrap());
    assert_eq!(shown(event, "file.file_system"), "tmpfs");
    assert!(!event.get("file.unlinked").is_truthy() && !event.get("file.writable_layer").is_truthy());
    assert_eq!(mapped(&mut rig, std::path::Path::new("/bin/true")).len(), 0);
    // Its name is removed while it is mapped.
    let open = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let again = format!("/proc/self/fd/{}", open.as_raw_fd());
    let events = mapped(&mut rig, std::path::Path::new(&again));
    assert!(events.len() == 1 && events[0].get("file.unlinked").is_truthy());
}
