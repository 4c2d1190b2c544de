use std::{ffi::CString, os::unix::ffi::OsStrExt, path::Path};

use ethogram_model::Event;

use crate::{
    ProgramState,
    tests::{
        child::{IO_URING_UNLINKAT, by_io_uring, forked},
        *,
    },
};

const EACCES: u64 = 13;
const ENOENT: u64 = 2;
const NOBODY: u32 = 65534;

fn c(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Whether this kernel lets the tracker see what the paths were resolved to.
fn sees_resolved(rig: &Rig) -> bool {
    rig.programs().iter().any(|p| p.name.starts_with("unlink_") && p.state == ProgramState::Attached)
}

#[test]
fn every_change_is_told_once_with_what_it_was() {
    let mut rig = Rig::start("fs");
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (a, b, hard, soft, made, device) = (at("a"), at("b"), at("hard"), at("soft"), at("made"), at("device"));
    std::fs::write(&a, "content").unwrap();
    let paths = [&a, &b, &hard, &soft, &made, &device].map(|p| c(p));
    let child = forked(|| {
        let [a, b, hard, soft, made, device] = paths.each_ref().map(|p| p.as_ptr());
        let name = c"trusted.ethogram".as_ptr();
        // SAFETY: all texts end with NUL and live until the child ends.
        unsafe {
            let file = libc::open(a, libc::O_RDWR);
            let done = [
                libc::mkdir(made, 0o750),
                libc::mknod(device, libc::S_IFCHR | 0o600, libc::makedev(1, 3)),
                libc::rename(a, b),
                libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, b, libc::AT_FDCWD, a, libc::RENAME_NOREPLACE) as i32,
                libc::link(a, hard),
                libc::symlink(c"no/such/target".as_ptr(), soft),
                libc::chmod(a, 0o4755),
                libc::fchmod(file, 0o640),
                libc::chown(a, 1, u32::MAX),
                libc::lchown(soft, 2, 3),
                libc::truncate(a, 5),
                libc::ftruncate(file, 3),
                libc::setxattr(a, name, b"x".as_ptr().cast(), 1, 0),
                libc::fremovexattr(file, name),
                libc::unlink(hard),
                libc::unlinkat(libc::AT_FDCWD, made, libc::AT_REMOVEDIR),
            ];
            done.iter().position(|result| *result != 0).map_or(0, |first| first as i32 + 1)
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0, "that many calls went until one failed");
    rig.expect("the last", |e| is(e, "remove") && of(e, pid) && e.get("file.directory").is_truthy());
    let all: Vec<Event> = rig.all().iter().filter(|e| of(e, pid)).cloned().collect();
    let reported: Vec<_> = all.iter().map(|e| (e.schema.name.to_string(), text(e, "file.path"))).collect();
    let expected = [
        ("mkdir", &made),
        ("mknod", &device),
        ("rename", &a),
        ("rename", &b),
        ("link", &hard),
        ("symlink", &soft),
        ("chmod", &a),
        ("chmod", &a),
        ("chown", &a),
        ("chown", &soft),
        ("truncate", &a),
        ("truncate", &a),
        ("setxattr", &a),
        ("setxattr", &a),
        ("remove", &hard),
        ("remove", &made),
    ];
    assert_eq!(reported, expected.map(|(name, path)| (name.to_owned(), shown(path))));
    assert!(all.iter().all(|e| e.get("error.type") == Value::Absent && e.get("file.requested_path") == Value::Absent));
    assert_eq!(number(&all[0], "file.mode"), 0o750);
    assert_eq!((number(&all[1], "file.device.major"), number(&all[1], "file.device.minor")), (1, 3));
    assert_eq!((number(&all[1], "file.type"), number(&all[1], "file.mode")), (0o020_000, 0o600));
    assert_eq!((text(&all[2], "file.new_path"), text(&all[3], "file.new_path")), (shown(&b), shown(&a)));
    assert_eq!((all[2].get("file.rename.flags"), number(&all[3], "file.rename.flags")), (Value::Absent, 1));
    assert_eq!(text(&all[4], "file.link.target_path"), shown(&a));
    assert_eq!(text(&all[5], "file.symbolic_link.target_path"), "no/such/target");
    assert_eq!((number(&all[6], "file.mode"), number(&all[7], "file.mode")), (0o4755, 0o640));
    assert_eq!((all[8].get("file.owner.id"), all[8].get("file.group.id")), (Value::Signed(1), Value::Signed(-1)));
    assert_eq!((all[9].get("file.owner.id"), all[9].get("file.group.id")), (Value::Signed(2), Value::Signed(3)));
    assert_eq!((number(&all[10], "file.size"), number(&all[11], "file.size")), (5, 3));
    let attribute = |e: &Event| (text(e, "file.attribute.name"), e.get("file.attribute.removed").is_truthy());
    assert_eq!(attribute(&all[12]), ("trusted.ethogram".to_owned(), false));
    assert_eq!(attribute(&all[13]), ("trusted.ethogram".to_owned(), true));
    assert!(!all[14].get("file.directory").is_truthy());
}

#[test]
fn a_path_through_a_link_is_told_as_resolved_and_as_asked_for_where_the_kernel_allows() {
    let mut rig = Rig::start("fs");
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("file"), "").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    let shell = Shell::waiting(&format!("cd {}; mv link/file link/../link/moved", dir.path().display()));
    let pid = shell.pid();
    // The shell's child does it.
    shell.go();
    let rename = rig.expect("the renaming", |e| is(e, "rename") && number(e, "process.parent_pid") == u64::from(pid));
    if sees_resolved(&rig) {
        assert_eq!(text(&rename, "file.path"), shown(&real.join("file")));
        assert_eq!(text(&rename, "file.new_path"), shown(&real.join("moved")));
        assert_eq!(text(&rename, "file.requested_path"), shown(&link.join("file")));
        assert_eq!(text(&rename, "file.new_requested_path"), shown(&link.join("../link/moved")));
    } else {
        assert_eq!(text(&rename, "file.path"), shown(&link.join("file")));
        assert_eq!(text(&rename, "file.new_path"), shown(&link.join("moved")));
        assert_eq!(rename.get("file.requested_path"), Value::Absent);
    }
    assert_eq!(rename.get("file.path_unresolved").is_truthy(), !sees_resolved(&rig));
}

#[test]
fn refusals_are_told_and_other_failures_on_request_only() {
    for (failures, expected) in [("false", 0), ("true", 1)] {
        let mut rig = Rig::start_with("fs", settings(), &[("failures", failures)]);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let (file, missing) = (c(&file), c(&dir.path().join("missing")));
        let child = forked(|| {
            // SAFETY: the texts end with NUL and live until the child ends.
            unsafe {
                libc::unlink(missing.as_ptr());
                libc::setuid(NOBODY);
                libc::unlink(file.as_ptr());
            }
            0
        });
        let pid = child.pid();
        child.go();
        let refused = rig.expect("the refusal", |e| of(e, pid) && number(e, "error.type") == EACCES);
        assert_eq!(text(&refused, "file.path").as_bytes(), file.as_bytes());
        assert!(is(&refused, "remove"));
        let missed = rig.all().iter().filter(|e| of(e, pid) && number(e, "error.type") == ENOENT).count();
        assert_eq!(missed, expected);
        assert!(expected == 1 || rig.counters().filtered["parameter"] > 0);
        rig.collector.stop("fs").unwrap();
        assert_eq!(rig.counters().unaccounted(), 0);
    }
}

#[test]
fn opening_reading_and_writing_change_no_name() {
    let mut rig = Rig::start("fs");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file").display().to_string();
    let shell = Shell::waiting(&format!("echo x > {path}; read y < {path}; echo z >> {path}; cd {path}/.. ; test -w {path}"));
    let pid = shell.pid();
    shell.go();
    let last = Shell::waiting(&format!("exec rm {path}"));
    let remover = last.pid();
    last.go();
    rig.expect("the removal", |e| is(e, "remove") && of(e, remover));
    assert!(!rig.all().iter().any(|e| of(e, pid)));
}

#[test]
fn what_io_uring_removes_is_told_where_the_kernel_allows() {
    let mut rig = Rig::start("fs");
    let dir = tempfile::tempdir().unwrap();
    let (file, other) = (dir.path().join("file"), dir.path().join("other"));
    std::fs::write(&file, "").unwrap();
    std::fs::write(&other, "").unwrap();
    let (path, last) = (c(&file), c(&other));
    let child = forked(|| {
        by_io_uring(IO_URING_UNLINKAT, &path, 0);
        // SAFETY: the text ends with NUL and lives until the child ends.
        unsafe { libc::unlink(last.as_ptr()) }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    // Kernels before 5.11 have no such operation, and some allow no io_uring at all.
    let done = !file.exists();
    rig.expect("the last removal", |e| of(e, pid) && text(e, "file.path") == shown(&other));
    let removed: Vec<_> = rig.all().iter().filter(|e| of(e, pid) && text(e, "file.path") == shown(&file)).cloned().collect();
    assert_eq!(removed.len(), usize::from(done && sees_resolved(&rig)));
    assert!(removed.iter().all(|e| is(e, "remove") && e.get("file.io_uring").is_truthy()));
}
