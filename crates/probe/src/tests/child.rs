//! A child process that does system calls exactly, without a program of its own.

use std::{
    fs::File,
    io::Write,
    os::fd::{AsRawFd, FromRawFd},
};

/// A forked child that waits until it is told to go, so that tests can name its pid beforehand.
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
