//! A file system in memory, for as long as a test needs it.

use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path, ptr::null};

pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.mount(0);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn make_read_only(&self) {
        self.mount(libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY);
    }

    fn target(&self) -> CString {
        CString::new(self.0.path().as_os_str().as_bytes()).unwrap()
    }

    fn mount(&self, flags: libc::c_ulong) {
        let kind = c"tmpfs".as_ptr();
        // SAFETY: all texts end with NUL, and the options are none.
        let done = unsafe { libc::mount(kind, self.target().as_ptr(), kind, flags, null()) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // SAFETY: the text ends with NUL.
        unsafe { libc::umount2(self.target().as_ptr(), libc::MNT_DETACH) };
    }
}
