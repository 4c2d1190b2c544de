//! A cgroup's network, cut.

use super::*;

#[test]
fn what_is_cut_off_sends_and_gets_nothing_but_on_loopback() {
    let cgroup = Cgroup::new("cut");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let nowhere = libc::in_addr { s_addr: u32::from_ne_bytes([192, 0, 2, 1]) };
    let away = || send(libc::sockaddr_in { sin_addr: nowhere, ..address(9) });
    // A machine without a network has no way to send to anybody else.
    let has_network = cgroup.run(away) == 0;
    let cut_off = if has_network { libc::EPERM } else { cgroup.run(away) };
    let connected = cgroup.run(away);
    let mut cut = NetworkCut::attach(&cgroup.0).unwrap();
    assert_eq!((cgroup.run(|| connect(address(port))), cgroup.run(away)), (0, cut_off));

    let bpffs = BpfFs::mount();
    let folder = bpffs.0.path().join("cut");
    cut.pin(&folder).unwrap();
    drop(cut);
    assert!(NetworkCut::is_pinned(&folder));
    assert_eq!(cgroup.run(away), cut_off, "it outlives its maker");
    NetworkCut::unpin(&folder).unwrap();
    assert!(!NetworkCut::is_pinned(&folder) && !folder.exists());
    assert_eq!(cgroup.run(away), connected, "afterwards");
    NetworkCut::unpin(&folder).unwrap();
    drop(NetworkCut::attach(&cgroup.0).unwrap());
    assert_eq!(cgroup.run(away), connected, "unpinned, it ends with its maker");
}

/// A BPF file system of a test's own.
struct BpfFs(TempDir);

impl BpfFs {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = text(folder.path());
        // SAFETY: all strings end with NUL.
        let mounted = unsafe { libc::mount(c"bpf".as_ptr(), at.as_ptr(), c"bpf".as_ptr(), 0, std::ptr::null()) };
        assert_eq!(errno(mounted.into()), 0);
        Self(folder)
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        // SAFETY: the string ends with NUL.
        unsafe { libc::umount(text(self.0.path()).as_ptr()) };
    }
}
