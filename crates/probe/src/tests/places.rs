//! A file is what it is where it lies, however its path is spelt: by renamed folders, mounts and changed roots.

use std::{
    ffi::{CStr, CString},
    fs,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use ethogram_model::FileIdentity;

use super::{child::forked, *};
use crate::Subscription;

fn c(path: &Path) -> CString {
    CString::new(path.to_str().unwrap()).unwrap()
}

fn opens(path: &CStr, flags: libc::c_int) -> bool {
    // SAFETY: the path ends with NUL and outlives the call; the descriptor ends with the child.
    unsafe { libc::open(path.as_ptr(), flags) >= 0 }
}

/// A folder `a` with a file `f`, and a tracker that leaves out ordinary files.
struct Places {
    rig: Rig,
    folder: tempfile::TempDir,
}

impl Places {
    fn new() -> Self {
        let rig = Rig::start("open");
        rig.collector.set_subscription("open", Subscription::only(["open"])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/f"), "x").unwrap();
        Self { rig, folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(path)
    }

    /// The event of an open by a child that does `before` first.
    fn opened_after(&mut self, path: &Path, flags: libc::c_int, before: impl FnOnce() -> bool) -> Event {
        let path = c(path);
        let child = forked(|| i32::from(!(before() && opens(&path, flags))));
        let pid = child.pid();
        assert_eq!(child.go(), 0, "{path:?}: {}", std::io::Error::last_os_error());
        self.rig.expect("the open", |e| is(e, "open") && of(e, pid))
    }

    fn opened(&mut self, path: &Path, flags: libc::c_int) -> Event {
        self.opened_after(path, flags, || true)
    }
}

fn object(event: &Event) -> u64 {
    event.get("_object").as_u64().unwrap()
}

/// A mount, or a change of one, with these flags.
fn mount(from: &CStr, to: &CStr, kind: &CStr, flags: libc::c_ulong) -> bool {
    // SAFETY: the texts end with NUL and outlive the call, and no kind of file system here takes options.
    unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) == 0 }
}

/// Gives the process mounts of its own, of which others get none.
fn mounts_of_its_own() -> bool {
    // SAFETY: it takes a number, and changes this process alone.
    let is_own = unsafe { libc::unshare(libc::CLONE_NEWNS) } == 0;
    is_own && mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE)
}

#[test]
fn a_file_is_another_once_a_folder_above_it_is_renamed() {
    let mut places = Places::new();
    let (file, renamed, above) = (places.at("a/b/f"), places.at("a/c/f"), places.at("d/c/f"));
    let first = object(&places.opened(&file, libc::O_RDONLY));
    assert_ne!(first, 0);
    places.rig.collector.set_ordinary(first).unwrap();
    // A rename elsewhere, and of a file in the same folder, change nothing.
    fs::write(places.at("a/b/g"), "x").unwrap();
    fs::rename(places.at("a/b/g"), places.at("a/b/h")).unwrap();
    let before = places.rig.counters().filtered["ordinary"];
    let file_c = c(&file);
    assert_eq!(forked(|| i32::from(!opens(&file_c, libc::O_RDONLY))).go(), 0);
    assert_eq!(places.rig.counters().filtered["ordinary"], before + 1);

    fs::rename(places.at("a/b"), places.at("a/c")).unwrap();
    let in_renamed = object(&places.opened(&renamed, libc::O_RDONLY));
    places.rig.collector.set_ordinary(in_renamed).unwrap();
    fs::rename(places.at("a"), places.at("d")).unwrap();
    let in_other = object(&places.opened(&above, libc::O_RDONLY));
    let linked = places.at("d/c/l");
    fs::hard_link(&above, &linked).unwrap();
    let linked = object(&places.opened(&linked, libc::O_RDONLY));
    let all = std::collections::BTreeSet::from([first, in_renamed, in_other, linked]);
    assert_eq!(all.len(), 4);
    // Where it was, it is ordinary again.
    fs::rename(places.at("d"), places.at("a")).unwrap();
    fs::rename(places.at("a/c"), places.at("a/b")).unwrap();
    let before = places.rig.counters().filtered["ordinary"];
    assert_eq!(forked(|| i32::from(!opens(&file_c, libc::O_RDONLY))).go(), 0);
    assert_eq!(places.rig.counters().filtered["ordinary"], before + 1);
}

#[test]
fn a_file_is_another_by_a_mount_or_a_changed_root() {
    let mut places = Places::new();
    fs::create_dir(places.at("m")).unwrap();
    let (folder, to, root) = (c(&places.at("a/b")), c(&places.at("m")), c(&places.at("a/b")));
    let file = places.at("a/b/f");
    let first = places.opened(&file, libc::O_RDONLY);
    let bound = places.opened_after(&places.at("m/f"), libc::O_RDONLY, || {
        mounts_of_its_own() && mount(&folder, &to, c"none", libc::MS_BIND)
    });
    // SAFETY: the path ends with NUL; only the child's root is changed.
    let changed = places.opened_after(Path::new("/f"), libc::O_RDONLY, || unsafe { libc::chroot(root.as_ptr()) } == 0);
    assert_eq!(text(&first, "file.real_path"), "");
    // From the root of its file system on, which may be that of the folder for temporary files.
    let real = text(&bound, "file.real_path");
    assert!(file.ends_with(real.trim_start_matches('/')) && real.ends_with("/a/b/f"), "{real}");
    let path = real.as_str();
    assert_eq!((text(&bound, "file.path"), text(&bound, "file.real_path")), (text_of(&places.at("m/f")), path.into()));
    assert_eq!((text(&changed, "file.path"), text(&changed, "file.real_path")), ("/f".into(), path.into()));
    let all = std::collections::BTreeSet::from([&first, &bound, &changed].map(object));
    assert_eq!(all.len(), 3);

    // A file system of its own lies nowhere else.
    let own = places.opened_after(&places.at("m/f"), libc::O_RDONLY | libc::O_CREAT, || {
        mounts_of_its_own() && mount(c"none", &to, c"tmpfs", 0)
    });
    assert_eq!((text(&own, "file.path"), text(&own, "file.real_path")), (text_of(&places.at("m/f")), String::new()));
    assert!(!own.get("file.host").is_truthy());
}

#[test]
fn a_file_is_the_same_by_any_of_its_names() {
    let mut places = Places::new();
    let (file, other) = (places.at("a/b/f"), places.at("a/b/other"));
    let first = places.opened(&file, libc::O_RDONLY).file().unwrap();
    assert_eq!((first.names, first.id.inode), (1, fs::metadata(&file).unwrap().ino()));
    fs::hard_link(&file, &other).unwrap();
    let linked = places.opened(&other, libc::O_RDONLY).file().unwrap();
    assert_eq!(linked, FileIdentity { names: 2, ..first });
    fs::remove_file(&file).unwrap();
    assert_eq!(places.opened(&other, libc::O_RDONLY).file(), Some(first));
    // Another file, also where it gets the number of one that is gone.
    fs::write(&file, "x").unwrap();
    assert_ne!(places.opened(&file, libc::O_RDONLY).file(), Some(first));
    fs::remove_file(&other).unwrap();
    fs::write(&other, "x").unwrap();
    assert_ne!(places.opened(&other, libc::O_RDONLY).file(), Some(first));
    assert_eq!(places.opened(&places.at("a"), libc::O_RDONLY).file(), None, "a folder");
}

#[test]
fn a_change_is_told_where_it_lies_where_the_kernel_allows() {
    let mut rig = Rig::start("fs");
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().canonicalize().unwrap().join(path);
    fs::create_dir(at("m")).unwrap();
    let moved_after = |rig: &mut Rig, before: &dyn Fn() -> bool| {
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/f"), "x").unwrap();
        let [from, to] = [c(&at("m/b/f")), c(&at("m/b/g"))];
        // SAFETY: both paths end with NUL and outlive the call.
        let child = forked(|| i32::from(!(before() && unsafe { libc::rename(from.as_ptr(), to.as_ptr()) } == 0)));
        let pid = child.pid();
        assert_eq!(child.go(), 0, "{}", std::io::Error::last_os_error());
        rig.expect("the renaming", |e| is(e, "rename") && of(e, pid))
    };
    let [bound, to, made, within] = ["a", "m", "m/b", "m/b/f"].map(|path| c(&at(path)));
    let inode = |path: &str| fs::metadata(at(path)).unwrap().ino();
    let event = moved_after(&mut rig, &|| mounts_of_its_own() && mount(&bound, &to, c"none", libc::MS_BIND));
    assert_eq!(text(&event, "file.path"), text_of(&at("m/b/f")));
    let is_seen = !event.get("file.path_unresolved").is_truthy();
    let real = [text(&event, "file.real_path"), text(&event, "file.new_real_path")];
    if is_seen {
        assert!(real[0].ends_with("/a/b/f") && real[1].ends_with("/a/b/g"), "{real:?}");
        assert_eq!(event.file().unwrap().id.inode, inode("a/b/g"));
    } else {
        assert_eq!((real, event.file()), ([String::new(), String::new()], None));
    }
    // A file system of its own lies nowhere else.
    let own = moved_after(&mut rig, &|| {
        // SAFETY: both paths end with NUL and outlive the calls.
        let make = || unsafe { libc::mkdir(made.as_ptr(), 0o700) == 0 && libc::mknod(within.as_ptr(), 0o600, 0) == 0 };
        mounts_of_its_own() && mount(c"none", &to, c"tmpfs", 0) && make()
    });
    assert_eq!((text(&own, "file.real_path"), text(&own, "file.new_real_path")), (String::new(), String::new()));
    assert!(!own.get("file.host").is_truthy());
}

fn text_of(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_is_opened_only_as_a_place_is_not_read() {
    let mut places = Places::new();
    let file = places.at("a/b/f");
    let place = places.opened(&file, libc::O_PATH);
    assert!(!place.get("file.open.read").is_truthy() && !place.get("file.open.write").is_truthy());
    // That it is ordinary as a place says nothing of what is read.
    places.rig.collector.set_ordinary(object(&place)).unwrap();
    let read = places.opened(&file, libc::O_RDONLY);
    assert!(read.get("file.open.read").is_truthy());
    let both = places.opened(&file, libc::O_RDWR);
    assert!(both.get("file.open.read").is_truthy() && both.get("file.open.write").is_truthy());
    let written = places.opened(&file, libc::O_WRONLY);
    assert!(!written.get("file.open.read").is_truthy() && written.get("file.open.write").is_truthy());
}

#[test]
fn a_file_that_is_opened_by_a_handle_has_its_path() {
    let mut places = Places::new();
    let (file, name) = (places.at("a/b/f"), c(&places.at("a/b/f")));
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let (mut mount_id, handle_at) = (0, handle.as_mut_ptr());
    // SAFETY: the handle has room for as many bytes as its first number says, after two numbers.
    let named = unsafe {
        libc::syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, name.as_ptr(), handle_at, &raw mut mount_id, 0)
    };
    if named != 0 {
        // This file system has no handles.
        return;
    }
    let folder = fs::File::open(places.at("a")).unwrap();
    let folder = folder.as_raw_fd();
    let child = forked(|| {
        // SAFETY: the handle is as the kernel wrote it, and outlives the call.
        i32::from(unsafe { libc::syscall(libc::SYS_open_by_handle_at, folder, handle.as_ptr(), libc::O_RDONLY) } < 0)
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let path = text_of(&file);
    let event = places.rig.expect("the open", |e| is(e, "open") && of(e, pid) && text(e, "file.path") == path);
    assert_eq!(text(&event, "file.requested_path"), "");
    assert!(event.get("file.open.read").is_truthy());
}

#[test]
fn a_file_that_is_taken_from_another_process_has_its_path() {
    let mut places = Places::new();
    let held = fs::File::open(places.at("a/b/f")).unwrap();
    let (pipe, _end) = std::io::pipe().unwrap();
    let numbers = [pipe.as_raw_fd(), held.as_raw_fd()];
    let own = std::process::id();
    let child = forked(|| {
        // SAFETY: system calls on numbers alone.
        unsafe {
            let whose = libc::syscall(libc::SYS_pidfd_open, own, 0);
            let taken = numbers.map(|number| libc::syscall(libc::SYS_pidfd_getfd, whose, number, 0));
            i32::from(taken.iter().any(|number| *number < 0))
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let path = text_of(&places.at("a/b/f"));
    let event = places.rig.expect("the open", |e| is(e, "open") && of(e, pid) && text(e, "file.path") == path);
    assert!(event.get("file.open.read").is_truthy());
    let opens = places.rig.all().iter().filter(|e| is(e, "open") && of(e, pid)).count();
    assert_eq!(opens, 1, "a pipe is no file");
}
