use std::{ptr::null_mut, sync::atomic};

use crate::tests::{child::forked, *};

const NOP: u8 = 0;
const OPENAT: u8 = 18;
const CLAMP: u32 = 1 << 4;

/// Offsets in `struct io_uring_params`, in 32-bit words.
const FLAGS: usize = 2;
const TAIL: usize = 11;
const ARRAY: usize = 16;

const ENTRIES: u32 = 8;
const REQUEST_BYTES: usize = 64;
const SQES_OFFSET: i64 = 0x1000_0000;

/// Makes a ring and gives each operation to it, one after another. System calls and its own memory only.
fn ring(operations: &[u8], path: &std::ffi::CStr) -> i32 {
    let mut params = [0u32; 30];
    params[FLAGS] = CLAMP;
    // SAFETY: the kernel fills the parameters; the rings are mapped as large as it says, and used by nobody else.
    unsafe {
        let fd = libc::syscall(libc::SYS_io_uring_setup, ENTRIES, params.as_mut_ptr()) as i32;
        if fd < 0 {
            return 1;
        }
        let both = libc::PROT_READ | libc::PROT_WRITE;
        let ring = libc::mmap(null_mut(), 4096, both, libc::MAP_SHARED, fd, 0).cast::<u8>();
        let requests = libc::mmap(null_mut(), 4096, both, libc::MAP_SHARED, fd, SQES_OFFSET).cast::<u8>();
        for (index, operation) in operations.iter().enumerate() {
            let request = requests.add(index * REQUEST_BYTES);
            request.write(*operation);
            request.add(4).cast::<i32>().write(libc::AT_FDCWD);
            request.add(16).cast::<u64>().write(path.as_ptr() as u64);
            ring.add(params[ARRAY] as usize).cast::<u32>().add(index).write(index as u32);
            ring.add(params[TAIL] as usize).cast::<u32>().write(index as u32 + 1);
            atomic::fence(atomic::Ordering::SeqCst);
            libc::syscall(libc::SYS_io_uring_enter, fd, 1, 1, 1, null_mut::<u8>(), 0);
        }
        libc::syscall(libc::SYS_io_uring_register, fd, 8u32, null_mut::<u8>(), 0); // a probe with nowhere to answer
    }
    0
}

#[test]
fn what_is_done_through_a_ring_is_counted_and_what_it_hides_told_once() {
    let mut rig = Rig::start("io_uring");
    let child = forked(|| ring(&[NOP, OPENAT, OPENAT, NOP, NOP], c"/etc/hostname"));
    let pid = child.pid();
    assert_eq!(child.go(), 0, "no io_uring here");
    let made = rig.expect("the ring", |e| is(e, "setup") && of(e, pid));
    assert_eq!(number(&made, "io_uring.entries"), u64::from(ENTRIES));
    assert_eq!(shown(&made, "io_uring.setup.flags"), "IORING_SETUP_CLAMP");
    assert_eq!(shown(&made, "io_uring.submission"), "calls");
    let registered = rig.expect("register", |e| is(e, "register") && of(e, pid));
    assert_eq!(shown(&registered, "io_uring.register"), "IORING_REGISTER_PROBE");
    assert!(number(&registered, "error.type") < 4096);
    let hidden = rig.expect("the open", |e| is(e, "hidden") && of(e, pid));
    assert_eq!(shown(&hidden, "io_uring.operation"), "OPENAT");
    rig.expect("counts", |e| is(e, "operations") && of(e, pid));
    let all = rig.all();
    assert_eq!(all.iter().filter(|e| is(e, "hidden") && of(e, pid)).count(), 1);
    let total = |operation: &str| {
        let rows = all.iter().filter(|e| of(e, pid) && is(e, "operations"));
        rows.filter(|e| shown(e, "io_uring.operation") == operation)
            .map(|e| number(e, "io_uring.requests"))
            .sum::<u64>()
    };
    assert_eq!((total("NOP"), total("OPENAT")), (3, 2));
}

#[test]
fn a_ring_that_does_nothing_else_hides_nothing() {
    let mut rig = Rig::start("io_uring");
    let child = forked(|| ring(&[NOP], c""));
    let pid = child.pid();
    assert_eq!(child.go(), 0, "no io_uring here");
    rig.expect("counts", |e| is(e, "operations") && of(e, pid));
    assert!(!rig.all().iter().any(|e| is(e, "hidden") && of(e, pid)));
}
