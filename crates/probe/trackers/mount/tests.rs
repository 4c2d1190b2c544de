use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path, ptr::null};

use ethogram_model::Event;

use crate::{
    ProgramState,
    tests::{child::forked, *},
};

const EPERM: u64 = 1;
const EACCES: u64 = 13;
const EINVAL: u64 = 22;
/// A forked child's answer where a machine's first root, which some tests run in, cannot be changed for another.
const ROOT_STAYS: i32 = 102;
const ENOSYS: i32 = 38;
const NOBODY: u32 = 65534;

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A directory with directories `a` and `b`, and `link`, a symbolic link to `a`.
fn places() -> (tempfile::TempDir, [std::path::PathBuf; 3]) {
    let dir = tempfile::tempdir().unwrap();
    let places = ["a", "b", "link"].map(|name| dir.path().join(name));
    std::fs::create_dir(&places[0]).unwrap();
    std::fs::create_dir(&places[1]).unwrap();
    std::os::unix::fs::symlink("a", &places[2]).unwrap();
    (dir, places)
}

/// Leaves the mounts of everybody else alone. For forked children.
unsafe fn in_own_mounts() -> bool {
    // SAFETY: the texts end with NUL, the others may be missing.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(null(), c"/".as_ptr(), null(), libc::MS_PRIVATE | libc::MS_REC, null()) == 0
    }
}

fn flags(event: &Event, field: &str) -> String {
    let Some(field) = event.schema.field(field) else { return String::new() };
    event.value(field).as_u64().map(|n| field.name_of(n)).unwrap_or_default()
}

#[test]
fn mounts_of_the_old_calls_are_told_with_what_they_were() {
    let mut rig = Rig::start("mount");
    let (_dir, [a, b, link]) = places();
    let paths = [&a, &b, &link].map(|p| c(p));
    let child = forked(|| {
        let [a, b, link] = paths.each_ref().map(|p| p.as_ptr());
        // SAFETY: all texts end with NUL and live until the child ends, the others may be missing.
        unsafe {
            if !in_own_mounts() {
                return 100;
            }
            let done = [
                libc::mount(c"none".as_ptr(), link, c"tmpfs".as_ptr(), libc::MS_NOSUID, null()),
                libc::mount(a, b, null(), libc::MS_BIND, null()),
                libc::mount(null(), b, null(), libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY, null()),
                libc::umount2(b, libc::MNT_DETACH),
                libc::mount(a, b, null(), libc::MS_MOVE, null()),
            ];
            done.iter().position(|result| *result != 0).map_or(0, |first| first as i32 + 1)
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0, "that many calls went until one failed");
    rig.expect("the last", |e| of(e, pid) && flags(e, "mount.operation") == "move");
    let all: Vec<Event> = rig.all().iter().filter(|e| of(e, pid)).cloned().collect();
    let reported: Vec<_> = all.iter().map(|e| (&*e.schema.name, text(e, "file.path"))).collect();
    let resolved = rig.programs().iter().any(|p| p.name.starts_with("sb_mount_") && p.state == ProgramState::Attached);
    let at = |path| shown(if resolved { &a } else { path });
    let expected = [
        ("mount", "/".to_owned()),
        ("mount", at(&link)),
        ("mount", shown(&b)),
        ("mount", shown(&b)),
        ("unmount", shown(&b)),
        ("mount", shown(&b)),
    ];
    assert_eq!(reported, expected);
    assert_eq!(text(&all[1], "file.requested_path"), if resolved { shown(&link) } else { String::new() });
    assert!(all.iter().all(|e| e.get("file.path_unresolved").is_truthy() != resolved));
    assert!(all.iter().all(|e| e.get("error.type") == Value::Absent));
    let operations: Vec<_> = all.iter().filter(|e| is(e, "mount")).map(|e| flags(e, "mount.operation")).collect();
    assert_eq!(operations, ["propagation", "new", "bind", "remount", "move"]);
    assert_eq!(flags(&all[0], "mount.flags"), "MS_REC|MS_PRIVATE");
    assert_eq!((text(&all[1], "mount.type"), text(&all[1], "mount.source")), ("tmpfs".into(), "none".into()));
    assert_eq!(flags(&all[1], "mount.flags"), "MS_NOSUID");
    assert_eq!(text(&all[2], "mount.source_path"), shown(&a));
    assert_eq!(flags(&all[3], "mount.flags"), "MS_RDONLY|MS_REMOUNT|MS_BIND");
    assert_eq!(flags(&all[4], "mount.unmount.flags"), "MNT_DETACH");
    assert_eq!(text(&all[5], "mount.source_path"), shown(&a));
}

#[test]
fn mounts_of_the_new_calls_are_told_too() {
    const SET_STRING: u32 = 1;
    const CREATE: u32 = 6;
    const FROM_DESCRIPTOR: u32 = 4;
    const CLONE: u32 = 1;
    let mut rig = Rig::start("mount");
    let (_dir, [a, ..]) = places();
    let path = c(&a);
    let child = forked(|| {
        let a = path.as_ptr();
        let (none, at) = (null::<libc::c_char>(), libc::AT_FDCWD);
        let empty = c"".as_ptr();
        // SAFETY: all texts end with NUL and live until the child ends, as does the struct of the size that is said.
        unsafe {
            if !in_own_mounts() {
                return 100;
            }
            let context = libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), 0);
            let (key, value) = (c"size".as_ptr(), c"1M".as_ptr());
            let set = libc::syscall(libc::SYS_fsconfig, context, SET_STRING, key, value, 0);
            let create = libc::syscall(libc::SYS_fsconfig, context, CREATE, none, none, 0);
            let mount = libc::syscall(libc::SYS_fsmount, context, 0, 0);
            let attach = libc::syscall(libc::SYS_move_mount, mount, empty, at, a, FROM_DESCRIPTOR);
            let tree = libc::syscall(libc::SYS_open_tree, at, a, CLONE);
            let other = libc::syscall(libc::SYS_open_tree, at, a, 0);
            let attributes = [1u64, 0, 0, 0];
            let changed = libc::syscall(libc::SYS_mount_setattr, at, a, 0, attributes.as_ptr(), 32);
            let is_old = changed < 0 && *libc::__errno_location() == ENOSYS;
            let root = libc::mount(a, a, none, libc::MS_BIND, null()) + libc::chdir(a);
            let pivot = libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr());
            let all = [context, set, create, mount, attach, tree, other, root.into()];
            match all.iter().position(|result| *result < 0) {
                Some(first) => first as i32 + 1,
                None if !is_old && changed != 0 => 101,
                None if pivot != 0 => ROOT_STAYS,
                None => 0,
            }
        }
    });
    let pid = child.pid();
    let outcome = child.go();
    assert!([0, ROOT_STAYS].contains(&outcome), "{outcome} calls went until one failed");
    let pivot = rig.expect("the last", |e| of(e, pid) && is(e, "pivot_root"));
    let mut all: Vec<Event> = rig.all().iter().filter(|e| of(e, pid)).cloned().collect();
    // A call that came with 5.12: before, there is nothing that a probe could be on. A hook on all calls sees it fail.
    let knows_setattr = std::fs::read_to_string("/proc/kallsyms").unwrap().contains("_sys_mount_setattr");
    if !knows_setattr {
        all.retain(|e| !is(e, "setattr"));
    }
    let reported: Vec<_> = all.iter().map(|e| (&*e.schema.name, flags(e, "mount.operation"))).collect();
    let expected = [
        ("mount", "propagation"),
        ("prepare", "fsopen"),
        ("prepare", "fsconfig"),
        ("prepare", "fsconfig"),
        ("prepare", "fsmount"),
        ("mount", "attach"),
        ("prepare", "open_tree"),
        ("setattr", ""),
        ("mount", "bind"),
        ("pivot_root", ""),
    ];
    let expected = expected.into_iter().filter(|(name, _)| knows_setattr || *name != "setattr");
    let expected: Vec<_> = expected.map(|(name, operation)| (name, operation.to_owned())).collect();
    assert_eq!(reported, expected);
    assert_eq!(text(&all[1], "mount.type"), "tmpfs");
    assert_eq!((text(&all[2], "mount.option.name"), text(&all[2], "mount.option.value")), ("size".into(), "1M".into()));
    for event in &all[5..all.len() - 1] {
        assert_eq!(text(event, "file.path"), shown(&a));
    }
    if let Some(changed) = all.iter().find(|e| is(e, "setattr")) {
        assert_eq!(flags(changed, "mount.attributes.set"), "MOUNT_ATTR_RDONLY");
    }
    assert_eq!(pivot.get("error.type").as_u64(), (outcome == ROOT_STAYS).then_some(EINVAL));
    // Where it is asked for by `.`, it is by now the root.
    assert!(["/", &shown(&a)].contains(&&*text(&pivot, "file.path")));
}

#[test]
fn refusals_are_told_and_looking_at_mounts_is_not() {
    let mut rig = Rig::start("mount");
    let (_dir, [a, ..]) = places();
    let path = c(&a);
    let child = forked(|| {
        // SAFETY: all texts end with NUL and live until the child ends, and the struct is as long as it has to be.
        unsafe {
            let mut about: libc::statfs = std::mem::zeroed();
            libc::statfs(path.as_ptr(), &raw mut about);
            libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), 0);
            libc::setuid(NOBODY);
            libc::mount(c"none".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr(), 0, null());
        }
        0
    });
    let pid = child.pid();
    child.go();
    let refused = rig.expect("the refusal", |e| of(e, pid) && [EPERM, EACCES].contains(&number(e, "error.type")));
    assert_eq!((text(&refused, "file.path"), text(&refused, "mount.type")), ("/tmp".to_owned(), "tmpfs".to_owned()));
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 1);
    rig.collector.stop("mount").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}
