use crate::{
    ProgramState,
    tests::{
        child::{IO_URING_OPENAT, by_io_uring, forked},
        *,
    },
};

const ENOTDIR: u64 = 20;

#[test]
fn paths_are_those_of_the_file_that_was_opened() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    std::fs::write(&real, "x").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let shell = Shell::waiting(&format!("cd {}; : < ../$(basename $PWD)/./link", dir.path().display()));
    let pid = shell.pid();
    shell.go();
    let open = rig.expect("the open through a link", |e| is(e, "open") && of(e, pid) && text(e, "file.path").ends_with("/real"));
    assert_eq!(text(&open, "file.path"), real.to_str().unwrap());
    assert!(!open.get("file.open.write").is_truthy() && !open.get("file.created").is_truthy());
}

#[test]
fn creating_is_told_from_writing() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("new");
    let path = file.to_str().unwrap().to_owned();
    let shell = Shell::waiting(&format!("echo x > {path}; echo y >> {path}"));
    let pid = shell.pid();
    shell.go();
    let created = rig.expect("creation", |e| is(e, "open") && of(e, pid) && e.get("file.created").is_truthy());
    assert_eq!(text(&created, "file.path"), path);
    let again = rig.expect("writing", |e| is(e, "open") && of(e, pid) && text(e, "file.path") == path && !e.get("file.created").is_truthy());
    assert!(again.get("file.open.write").is_truthy());
    assert_eq!(number(&again, "file.open.flags") & 0o2000, 0o2000, "O_APPEND");
}

#[test]
fn the_path_as_asked_for_is_told_where_it_is_another() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let path = |name: &str| format!("{}/{name}", root.display());
    std::fs::create_dir_all(path("srv/www")).unwrap();
    std::fs::write(path("secret"), "x").unwrap();
    std::os::unix::fs::symlink("srv/www", path("current")).unwrap();
    let c = |text: &str| std::ffi::CString::new(text).unwrap();
    let [within, through, plain] = [c(&path("current")), c("../../secret"), c("secret")];
    let [absolute, link, directory] = [c(&path("secret")), c("../../also"), c(&path(""))];
    std::os::unix::fs::symlink("secret", path("also")).unwrap();
    let child = forked(|| {
        // SAFETY: the texts end with NUL.
        unsafe {
            libc::chdir(within.as_ptr());
            libc::open(through.as_ptr(), libc::O_RDONLY);
            let directory = libc::open(directory.as_ptr(), libc::O_PATH);
            libc::openat(directory, plain.as_ptr(), libc::O_RDONLY | libc::O_NOFOLLOW);
            libc::open(absolute.as_ptr(), libc::O_RDWR);
            libc::open(link.as_ptr(), libc::O_WRONLY);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let mut requested = |flags: i32| {
        let is_it = |e: &ethogram_model::Event| {
            is(e, "open") && of(e, pid) && number(e, "file.open.flags") == flags as u64 && text(e, "file.path") == path("secret")
        };
        text(&rig.expect("the open", is_it), "file.requested_path")
    };
    assert_eq!(requested(libc::O_RDONLY | libc::O_NOFOLLOW), "", "joined with its directory, it is the same");
    assert_eq!(requested(libc::O_RDWR), "");
    assert_eq!(requested(libc::O_RDONLY), path("srv/www/../../secret"), "it is seen to go up");
    assert_eq!(requested(libc::O_WRONLY), path("srv/www/../../also"));
}

#[test]
fn permissions_are_those_asked_for_where_a_file_is_created() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let path = std::ffi::CString::new(dir.path().join("new").to_str().unwrap()).unwrap();
    let child = forked(|| {
        // SAFETY: the text ends with NUL.
        unsafe {
            libc::umask(0o777);
            libc::open(path.as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o4751);
            libc::open(path.as_ptr(), libc::O_CREAT | libc::O_RDONLY, 0o4751);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let mut opened = |access: u64| {
        let is_it = |e: &ethogram_model::Event| is(e, "open") && of(e, pid) && number(e, "file.open.flags") & 3 == access;
        rig.expect("the open", is_it)
    };
    assert_eq!(shown(&opened(1), "file.mode"), "4751");
    assert_eq!(shown(&opened(0), "file.mode"), "", "it was there");
}

#[test]
fn opens_that_fail_are_told_one_by_one_where_they_are_wanted() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let path = |name: &str| std::ffi::CString::new(root.join(name).to_str().unwrap()).unwrap();
    let (secret, there, base) = (path("secret"), path("there"), path(""));
    for file in ["secret", "there"] {
        std::fs::write(root.join(file), "x").unwrap();
    }
    std::fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(root.join("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let fail = || {
        let child = forked(|| {
            // SAFETY: the texts end with NUL.
            unsafe {
                libc::chdir(base.as_ptr());
                libc::setresuid(65534, 65534, 65534);
                libc::open(secret.as_ptr(), libc::O_RDONLY);
                libc::open(c"./absent".as_ptr(), libc::O_WRONLY | libc::O_APPEND | libc::O_CLOEXEC);
                libc::open(there.as_ptr(), libc::O_RDONLY)
            };
            0
        });
        let pid = child.pid();
        child.go();
        pid
    };
    let pid = fail();
    let mut failed = |name: &str| {
        let is_it = |e: &ethogram_model::Event| {
            is(e, "failed") && of(e, pid) && text(e, "file.path") == root.join(name).to_str().unwrap()
        };
        rig.expect(name, is_it)
    };
    assert_eq!(shown(&failed("secret"), "error.type"), "EACCES");
    let absent = failed("absent");
    assert_eq!(shown(&absent, "error.type"), "ENOENT");
    assert_eq!(number(&absent, "file.open.flags"), (libc::O_WRONLY | libc::O_APPEND) as u64);
    let opened = root.join("there");
    rig.expect("the open that succeeds", |e| is(e, "open") && of(e, pid) && text(e, "file.path") == opened.to_str().unwrap());
    assert_eq!(rig.all().iter().filter(|e| is(e, "failed") && of(e, pid)).count(), 2);

    let only = crate::Subscription::only(["open"]);
    rig.collector.set_subscription("open", only).unwrap();
    let pid = fail();
    rig.expect("the open", |e| is(e, "open") && of(e, pid) && text(e, "file.path") == opened.to_str().unwrap());
    assert!(!rig.all().iter().any(|e| is(e, "failed") && of(e, pid)));
    rig.collector.stop("open").unwrap();
    assert_eq!(rig.counters().unaccounted(), 0);
}

#[test]
fn failures_are_counted_by_reason_and_never_reported_as_opens() {
    let mut rig = Rig::start("open");
    // Failures are counted by program: this one has a name of its own.
    let dir = tempfile::tempdir().unwrap();
    let name = format!("sh-{}", std::process::id());
    std::os::unix::fs::symlink("/bin/sh", dir.path().join(&name)).unwrap();
    let script = "for i in 1 2 3; do true < /etc/hostname/there; done";
    let status = std::process::Command::new(dir.path().join(&name)).arg("-c").arg(script).status().unwrap();
    assert!(!status.success());
    let failed = |e: &ethogram_model::Event| {
        is(e, "failure") && text(e, "process.executable.name") == name && number(e, "error.type") == ENOTDIR
    };
    rig.expect("failures", failed);
    let all = rig.all();
    assert!(!all.iter().any(|e| is(e, "open") && text(e, "file.path").ends_with("/etc/hostname/there")));
    let total: u64 = all.iter().filter(|e| failed(e)).map(|e| number(e, "file.open.failures")).sum();
    assert_eq!(total, 3);
}

#[test]
fn reads_can_be_left_out() {
    let mut rig = Rig::start_with("open", settings(), &[("reads", "false")]);
    let shell = Shell::waiting(": < /etc/hostname; : > /dev/null");
    let pid = shell.pid();
    shell.go();
    rig.expect("the open for writing", |e| is(e, "open") && of(e, pid) && text(e, "file.path") == "/dev/null");
    assert!(!rig.all().iter().any(|e| text(e, "file.path") == "/etc/hostname"));
    assert!(rig.counters().filtered["parameter"] > 0);
}

#[test]
fn every_call_that_opens_is_reported() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| std::ffi::CString::new(dir.path().join(name).to_str().unwrap()).unwrap();
    let (one, two, three) = (path("one"), path("two"), path("three"));
    let how = [libc::O_CREAT as u64 | libc::O_RDWR as u64, 0o600, 0];
    let child = forked(|| {
        // SAFETY: the texts end with NUL and the struct is as long as said.
        unsafe {
            libc::creat(one.as_ptr(), 0o600);
            libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, two.as_ptr(), how.as_ptr(), 24);
            libc::open(three.as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o600);
        }
        0
    });
    let pid = child.pid();
    child.go();
    for (name, access) in [("one", 1), ("two", 2), ("three", 1)] {
        let made = rig.expect(name, |e| is(e, "open") && of(e, pid) && text(e, "file.path").ends_with(name));
        assert!(made.get("file.created").is_truthy());
        assert_eq!(number(&made, "file.open.flags") & 3, access, "{name}");
    }
    assert_eq!(rig.all().iter().filter(|e| is(e, "open") && of(e, pid)).count(), 3);
}

#[test]
fn what_io_uring_opens_is_reported_where_the_kernel_allows() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let (file, last) = (dir.path().join("file"), dir.path().join("last"));
    let paths = [&file, &last].map(|p| std::ffi::CString::new(p.to_str().unwrap()).unwrap());
    let child = forked(|| {
        by_io_uring(IO_URING_OPENAT, &paths[0], libc::O_CREAT | libc::O_WRONLY);
        // SAFETY: the text ends with NUL.
        unsafe { libc::creat(paths[1].as_ptr(), 0o600) };
        0
    });
    let pid = child.pid();
    child.go();
    rig.expect("the last open", |e| is(e, "open") && of(e, pid) && text(e, "file.path").ends_with("/last"));
    let is_seen = rig.programs().iter().any(|p| !["opened", "without_path"].contains(&p.name.as_str()) && p.state == ProgramState::Attached);
    let opened: Vec<_> = rig.all().iter().filter(|e| of(e, pid) && text(e, "file.path").ends_with("/file")).cloned().collect();
    assert_eq!(opened.len(), usize::from(is_seen && file.exists()));
    assert!(opened.iter().all(|e| e.get("file.created").is_truthy() && number(e, "file.open.flags") == 0o101));
    assert!(!rig.all().iter().any(|e| is(e, "failure") && of(e, pid)));
}

#[test]
fn running_a_program_is_no_open_of_it() {
    let mut rig = Rig::start("open");
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    std::fs::copy("/bin/sh", &program).unwrap();
    let shell = Shell::waiting(&format!("exec {} -c ': < /dev/null'", program.display()));
    let pid = shell.pid();
    shell.go();
    rig.expect("what it opens itself", |e| is(e, "open") && of(e, pid) && text(e, "file.path") == "/dev/null");
    assert!(!rig.all().iter().any(|e| of(e, pid) && text(e, "file.path").ends_with("/program")));
}
