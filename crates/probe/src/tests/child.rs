//! A child process that does system calls exactly, without a program of its own.

use std::{
    fs::File,
    io::Write,
    os::fd::{AsRawFd, FromRawFd},
};

/// A forked child that waits for a signal to go, so that tests can name its pid beforehand.
pub(crate) struct Forked {
    pid: libc::pid_t,
    go: Option<File>,
}

/// Forks a child that will do `what` and exit with the code that it returns. Other threads of the test do not exist in
/// the child and may hold locks: `what` must do system calls only (`libc::…`), and neither allocate nor panic.
pub(crate) fn forked(what: impl FnOnce() -> i32) -> Forked {
    let mut ends = [0; 2];
    // SAFETY: the array has room for both descriptors, which are then ours alone.
    let (waits, go) = unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1]))
    };
    // SAFETY: the child does nothing but system calls, see above, and never returns from here.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "fork failed: {}", std::io::Error::last_os_error());
    if pid == 0 {
        let mut byte = 0u8;
        // SAFETY: the descriptor is open, the buffer is one byte long, and _exit never returns.
        unsafe {
            libc::read(waits.as_raw_fd(), (&raw mut byte).cast(), 1);
            libc::_exit(what());
        }
    }
    Forked { pid, go: Some(go) }
}

impl Forked {
    pub(crate) fn pid(&self) -> u32 {
        self.pid as u32
    }

    /// Lets it go on, waits for its end, and gives its exit code; 128 and the signal's number if one ended it.
    pub(crate) fn go(mut self) -> i32 {
        if let Some(mut go) = self.go.take() {
            go.write_all(b"!").unwrap();
        }
        self.wait()
    }

    fn wait(&self) -> i32 {
        let mut status = 0;
        // SAFETY: it is our own child, waited for once: by `go` or by `drop`, not both.
        unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) }
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if self.go.is_some() {
            // SAFETY: it is our own child and was not waited for yet.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            self.wait();
        }
    }
}

/// Operations of io_uring.
pub(crate) const IO_URING_OPENAT: u8 = 18;
pub(crate) const IO_URING_UNLINKAT: u8 = 36;

/// Does something to a path through io_uring, and by no system call of that name. False where this kernel allows no
/// io_uring. For [`forked`].
pub(crate) fn by_io_uring(operation: u8, path: &std::ffi::CStr, flags: i32) -> bool {
    const ENTER_GETEVENTS: u32 = 1;
    const SUBMISSIONS: i64 = 0x1000_0000;
    // struct io_uring_params: the offsets of the submission ring's tail and array are its 12th and 17th number.
    let mut params = [0u32; 30];
    // SAFETY: the kernel fills the params, which are as long as it expects, and maps a page or more of each ring;
    // offsets are those that it gave. Everything ends with the child.
    unsafe {
        let ring = libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) as i32;
        if ring < 0 {
            return false;
        }
        let map = |at| {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
            libc::mmap(std::ptr::null_mut(), 4096, access, kind, ring, at).cast::<u8>()
        };
        let (submissions, entries) = (map(0), map(SUBMISSIONS));
        if submissions == libc::MAP_FAILED.cast() || entries == libc::MAP_FAILED.cast() {
            return false;
        }
        entries.write_bytes(0, 64);
        entries.write(operation);
        entries.add(4).cast::<i32>().write(libc::AT_FDCWD);
        entries.add(16).cast::<u64>().write(path.as_ptr() as u64);
        entries.add(28).cast::<i32>().write(flags);
        submissions.add(params[16] as usize).cast::<u32>().write(0);
        submissions.add(params[11] as usize).cast::<u32>().write_volatile(1);
        let none = std::ptr::null::<u8>();
        let done = libc::syscall(libc::SYS_io_uring_enter, ring, 1, 1, ENTER_GETEVENTS, none, 0);
        done == 1
    }
}
