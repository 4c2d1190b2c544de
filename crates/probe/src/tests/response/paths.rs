//! Other ways to the result that a policy on a path refuses.

use super::*;

/// The error's number of a call on paths.
fn call(
    call: unsafe extern "C" fn(*const libc::c_char, *const libc::c_char) -> i32,
    one: &CString,
    two: &CString,
) -> i32 {
    // SAFETY: both paths are strings that end with NUL.
    errno(unsafe { call(one.as_ptr(), two.as_ptr()) }.into())
}

fn on(path: &CString, call: impl Fn(*const libc::c_char) -> i32) -> i32 {
    errno(call(path.as_ptr()).into())
}

#[test]
fn what_may_not_be_written_is_not_replaced_linked_or_taken_away() {
    let (root, forbidden, allowed) = folders();
    let Some(rig) = Rig::start("paths", &[policy(PolicyOperation::Write, below(&forbidden), Ruling::Deny)]) else {
        return;
    };
    let (old, new, mine) = (forbidden.join("old"), forbidden.join("new"), allowed.join("mine"));
    let folder = forbidden.join("folder");
    fs::write(&old, "as it was").unwrap();
    fs::write(&mine, "mine").unwrap();
    fs::create_dir(&folder).unwrap();
    let [old_path, new_path, mine_path, folder_path] = [&old, &new, &mine, &folder].map(|path| text(path));
    let (elsewhere, whole) = (text(&allowed.join("elsewhere")), text(&forbidden));
    // SAFETY: all paths are strings that end with NUL.
    let ways: [(&str, &dyn Fn() -> i32); 13] = unsafe {
        [
            ("a file moved there", &|| call(libc::rename, &mine_path, &new_path)),
            ("another file moved onto it", &|| call(libc::rename, &mine_path, &old_path)),
            ("it moved away", &|| call(libc::rename, &old_path, &elsewhere)),
            ("a link there", &|| call(libc::link, &mine_path, &new_path)),
            ("another name of it", &|| call(libc::link, &old_path, &elsewhere)),
            ("a symbolic link there", &|| call(libc::symlink, &mine_path, &new_path)),
            ("a directory there", &|| on(&new_path, |path| libc::mkdir(path, 0o700))),
            ("it removed", &|| on(&old_path, |path| libc::unlink(path))),
            ("a directory removed", &|| on(&folder_path, |path| libc::rmdir(path))),
            ("its mode", &|| on(&old_path, |path| libc::chmod(path, 0o777))),
            ("its mode, by its descriptor", &|| {
                on(&old_path, |path| libc::fchmod(libc::open(path, libc::O_RDONLY), 0o777))
            }),
            ("the directory itself moved", &|| call(libc::rename, &whole, &elsewhere)),
            ("a file without a name given one", &|| {
                let at = c"/proc/self/fd/1000";
                let opened = on(&text(&allowed), |path| {
                    let made = libc::open(path, libc::O_TMPFILE | libc::O_RDWR, 0o600);
                    libc::dup2(made, 1000)
                });
                assert_eq!(opened, 0);
                let follow = libc::AT_SYMLINK_FOLLOW;
                on(&new_path, |path| libc::linkat(libc::AT_FDCWD, at.as_ptr(), libc::AT_FDCWD, path, follow))
            }),
        ]
    };
    for (what, way) in ways {
        assert_eq!(rig.subject.run(way), libc::EPERM, "{what}");
    }
    assert_eq!((fs::read_to_string(&old).unwrap().as_str(), new.exists()), ("as it was", false));
    assert_eq!((fs::metadata(&old).unwrap().nlink(), folder.exists()), (1, true));
    rig.expect("the move", |e| e.object == new_path.to_str().unwrap());

    // What is beside it, and above it another name.
    let beside = text(&allowed.join("beside"));
    assert_eq!(rig.subject.run(|| call(libc::rename, &mine_path, &beside)), 0, "elsewhere");
    assert_eq!(rig.subject.run(|| call(libc::link, &beside, &mine_path)), 0, "a link elsewhere");
    let (above, away) = (text(root.path()), text(&root.path().with_extension("away")));
    assert_eq!(rig.subject.run(|| call(libc::rename, &above, &away)), libc::EPERM, "what is above it moved");
    assert_eq!(rig.neighbour.run(|| call(libc::rename, &old_path, &elsewhere)), 0, "another cgroup");
}

#[test]
fn an_owner_is_changed_only_where_it_may_be_written() {
    let (_root, forbidden, allowed) = folders();
    let Some(rig) = Rig::start("owner", &[policy(PolicyOperation::Write, below(&forbidden), Ruling::Deny)]) else {
        return;
    };
    let own = |folder: &Path| {
        let path = folder.join("file");
        fs::write(&path, "").unwrap();
        let name = text(&path);
        // SAFETY: the path is a string that ends with NUL.
        let code = rig.subject.run(|| on(&name, |path| unsafe { libc::chown(path, 7, 7) }));
        (code, fs::metadata(&path).unwrap().uid())
    };
    // Kernels before 6.1 attach no program to what has such arguments.
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let is_old = ["5.", "6.0"].iter().any(|old| release.starts_with(old));
    assert_eq!(own(&forbidden), if is_old { (0, 7) } else { (libc::EPERM, 0) });
    assert_eq!(own(&allowed), (0, 7));
}

#[test]
fn a_program_that_may_not_run_runs_by_no_other_way() {
    let (root, forbidden, allowed) = folders();
    let marker = Marker::program(&allowed.join("one"));
    let exact = Matcher::Path(marker.path().into());
    let policies = [
        policy(PolicyOperation::Exec, exact, Ruling::Deny),
        policy(PolicyOperation::Exec, below(&forbidden), Ruling::Deny),
    ];
    let Some(rig) = Rig::start("code", &policies) else { return };
    let other = Marker::program(&allowed.join("other"));
    let named = text(&allowed.join("named"));
    assert_eq!(rig.subject.run(|| call(libc::link, &marker.path, &named)), libc::EPERM, "another name");
    assert_eq!(rig.subject.run(|| call(libc::rename, &marker.path, &named)), libc::EPERM, "moved");
    let (one, two) = (text(&allowed.join("one")), text(&allowed.join("two")));
    assert_eq!(rig.subject.run(|| call(libc::rename, &one, &two)), libc::EPERM, "with its directory");
    let (whole, elsewhere) = (text(&forbidden), text(&root.path().join("elsewhere")));
    assert_eq!(rig.subject.run(|| call(libc::rename, &whole, &elsewhere)), libc::EPERM, "with all that lies there");

    let map = |path: &CString, protection: i32, later: i32| {
        // SAFETY: the path ends with NUL, and the memory is the kernel's to choose.
        unsafe {
            let file = libc::open(path.as_ptr(), libc::O_RDONLY);
            let at = libc::mmap(std::ptr::null_mut(), 4096, protection, libc::MAP_PRIVATE, file, 0);
            if at == libc::MAP_FAILED { errno(-1) } else { errno(libc::mprotect(at, 4096, later).into()) }
        }
    };
    let (read, code) = (libc::PROT_READ, libc::PROT_READ | libc::PROT_EXEC);
    let inside = Marker::program(&forbidden.join("deep"));
    for program in [&marker, &inside] {
        assert_eq!(rig.subject.run(|| map(&program.path, code, code)), libc::EPERM, "mapped as code");
        assert_eq!(rig.subject.run(|| map(&program.path, read, code)), libc::EPERM, "made code later");
        assert_eq!(rig.subject.run(|| map(&program.path, read, read)), 0, "read");
        assert_eq!(rig.neighbour.run(|| map(&program.path, code, code)), 0, "another cgroup");
    }
    assert_eq!(rig.subject.run(|| map(&other.path, code, code)), 0, "another program");
    assert_eq!(other.run(&rig.subject), RAN);
    // What moves within the directory is as forbidden as before.
    let (from, to) = (inside.path.clone(), text(&forbidden.join("deep/renamed")));
    assert_eq!(rig.subject.run(|| call(libc::rename, &from, &to)), 0, "moved within");
    assert_eq!(rig.subject.run(|| call(libc::rename, &other.path, &named)), 0, "another program moved");
}
