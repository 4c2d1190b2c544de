use std::{ffi::CString, os::unix::process::CommandExt, process::Command};

use crate::tests::{child::forked, *};

const EPERM: u64 = 1;
const NOBODY: u32 = 65_534;

/// Whether a flag or a member of a set is there, by its name.
fn has(event: &ethogram_model::Event, field: &str, name: &str) -> bool {
    let schema = event.schema.field(field).unwrap();
    schema.name_of(number(event, field)).split('|').any(|n| n == name)
}

fn name(event: &ethogram_model::Event, field: &str) -> String {
    event.schema.field(field).unwrap().name_of(number(event, field))
}

#[test]
fn users_and_groups_change_with_what_they_were_before() {
    let mut rig = Rig::start("cred");
    let child = forked(|| {
        // SAFETY: plain system calls, not libc's, which would also change the threads that do not exist here.
        unsafe {
            libc::syscall(libc::SYS_setuid, 0); // what it is already
            libc::syscall(libc::SYS_setresgid, -1, NOBODY, -1);
            libc::syscall(libc::SYS_setuid, NOBODY);
            libc::syscall(libc::SYS_setresuid, 0, 0, 0)
        };
        0
    });
    let pid = child.pid();
    child.go();
    let dropped = rig.expect("the new user", |e| is(e, "user") && of(e, pid) && number(e, "error.type") == u64::MAX);
    assert_eq!(name(&dropped, "process.credentials.call"), "setuid");
    for id in ["real", "effective", "saved"] {
        assert_eq!(number(&dropped, &format!("process.{id}_user.id")), u64::from(NOBODY), "{id}");
        assert_eq!(number(&dropped, &format!("process.previous.{id}_user.id")), 0, "{id}");
    }
    let group = rig.expect("the new group", |e| is(e, "group") && of(e, pid));
    assert_eq!(name(&group, "process.credentials.call"), "setresgid");
    assert_eq!(number(&group, "process.effective_group.id"), u64::from(NOBODY));
    assert_eq!(number(&group, "process.previous.effective_group.id"), 0);
    assert_eq!(number(&group, "process.real_group.id"), 0);
    assert!(!group.get("process.previous.real_group.id").is_truthy());
    let refused = rig.expect("the way back", |e| is(e, "user") && of(e, pid) && number(e, "error.type") == EPERM);
    for id in ["real", "effective", "saved"] {
        assert_eq!(number(&refused, &format!("process.requested.{id}_user.id")), 0, "{id}");
    }
    assert_eq!(number(&refused, "process.real_user.id"), u64::from(NOBODY));
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 3, "what changes nothing is no change");
    assert!(rig.counters().filtered["parameter"] > 0);
}

#[test]
fn groups_change_by_the_same_rules() {
    let mut rig = Rig::start("cred");
    let child = forked(|| {
        // SAFETY: plain system calls.
        unsafe {
            libc::syscall(libc::SYS_setgid, NOBODY);
            libc::syscall(libc::SYS_setuid, NOBODY);
            libc::syscall(libc::SYS_setresgid, 0, 0, 0);
        }
        0
    });
    let pid = child.pid();
    child.go();
    let dropped = rig.expect("the new group", |e| is(e, "group") && of(e, pid) && number(e, "error.type") == u64::MAX);
    let refused = rig.expect("the way back", |e| is(e, "group") && of(e, pid) && number(e, "error.type") == EPERM);
    for id in ["real", "effective", "saved"] {
        assert_eq!(number(&dropped, &format!("process.{id}_group.id")), u64::from(NOBODY), "{id}");
        assert_eq!(number(&dropped, &format!("process.previous.{id}_group.id")), 0, "{id}");
        assert_eq!(number(&refused, &format!("process.requested.{id}_group.id")), 0, "{id}");
    }
}

#[test]
fn ids_for_files_only_are_told_apart() {
    let mut rig = Rig::start("cred");
    let child = forked(|| {
        // SAFETY: plain system calls.
        unsafe {
            libc::syscall(libc::SYS_setfsgid, NOBODY);
            libc::syscall(libc::SYS_setfsuid, NOBODY);
            libc::syscall(libc::SYS_setfsuid, -1); // only asks
        }
        0
    });
    let pid = child.pid();
    child.go();
    for kind in ["user", "group"] {
        let event = rig.expect(kind, |e| is(e, kind) && of(e, pid));
        assert_eq!(number(&event, &format!("process.filesystem_{kind}.id")), u64::from(NOBODY));
        assert_eq!(number(&event, &format!("process.effective_{kind}.id")), 0);
    }
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 2);
}

#[test]
fn groups_given_up_are_counted() {
    let mut rig = Rig::start("cred");
    let child = forked(|| {
        // SAFETY: the lists are as long as said.
        unsafe {
            libc::syscall(libc::SYS_setgroups, 2, [7u32, 9].as_ptr());
            libc::syscall(libc::SYS_setuid, NOBODY);
            libc::syscall(libc::SYS_setgroups, 1, [0u32].as_ptr());
        }
        0
    });
    let pid = child.pid();
    child.go();
    let groups = rig.expect("the groups", |e| is(e, "groups") && of(e, pid) && !e.get("error.type").is_truthy());
    let refused = rig.expect("the refusal", |e| is(e, "groups") && of(e, pid) && e.get("error.type").is_truthy());
    assert_eq!((number(&refused, "error.type"), number(&refused, "process.supplementary_groups.first.id")), (EPERM, 0));
    assert_eq!(number(&groups, "process.supplementary_groups.count"), 2);
    assert_eq!(number(&groups, "process.supplementary_groups.first.id"), 7);
}

#[test]
fn capabilities_are_told_by_name() {
    let mut rig = Rig::start("cred");
    let child = forked(|| {
        let header = [0x2008_0522u32, 0];
        // Effective: CAP_SETUID; permitted: CAP_SETUID and CAP_NET_ADMIN; inheritable: none. Then the higher ones.
        let kept = [1u32 << 7, 1 << 7 | 1 << 12, 0, 0, 0, 0];
        let raised = [1u32 << 7 | 1 << 12, 1 << 7 | 1 << 12, 1 << 7, 0, 0, 0];
        // SAFETY: both structs are as version 3 of the call wants them.
        unsafe {
            libc::syscall(libc::SYS_capset, header.as_ptr(), kept.as_ptr());
            libc::syscall(libc::SYS_capset, header.as_ptr(), kept.as_ptr()); // again: changes nothing
            libc::syscall(libc::SYS_capset, header.as_ptr(), [!0u32; 6].as_ptr());
            libc::syscall(libc::SYS_capset, header.as_ptr(), raised.as_ptr());
        }
        0
    });
    let pid = child.pid();
    child.go();
    let lost = rig.expect("the loss", |e| is(e, "capabilities") && of(e, pid) && e.get("process.capabilities.lost").is_truthy());
    assert_eq!(name(&lost, "process.capabilities.effective"), "CAP_SETUID");
    assert_eq!(name(&lost, "process.capabilities.permitted"), "CAP_SETUID|CAP_NET_ADMIN");
    assert!(!lost.get("process.capabilities.gained").is_truthy());
    assert!(has(&lost, "process.capabilities.lost", "CAP_SYS_ADMIN"));
    assert!(has(&lost, "process.capabilities.lost", "CAP_BPF"), "beyond 32 bits");
    assert!(!has(&lost, "process.capabilities.lost", "CAP_SETUID"));
    let refused = rig.expect("the refusal", |e| is(e, "capabilities") && of(e, pid) && e.get("error.type").is_truthy());
    assert_eq!(number(&refused, "error.type"), EPERM);
    let gained = rig.expect("the gain", |e| of(e, pid) && e.get("process.capabilities.gained").is_truthy());
    assert_eq!(name(&gained, "process.capabilities.gained"), "CAP_NET_ADMIN");
    assert_eq!(name(&gained, "process.capabilities.inheritable"), "CAP_SETUID");
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 3);
}

#[test]
fn a_set_id_file_raises_who_runs_it_and_an_ordinary_one_does_not() {
    use std::os::unix::fs::PermissionsExt;
    let mut rig = Rig::start("cred");
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |file: &str, mode| {
        let path = dir.path().join(file);
        std::fs::copy("/bin/true", &path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut child = Command::new(&path).arg0("true").uid(NOBODY).gid(NOBODY).spawn().unwrap();
        child.wait().unwrap();
        child.id()
    };
    let (plain, raised) = (run("plain", 0o755), run("raised", 0o6755));
    let exec = rig.expect("the exec of the set-id file", |e| is(e, "exec") && of(e, raised));
    assert_eq!(text(&exec, "process.executable.path"), dir.path().join("raised").to_str().unwrap());
    assert_eq!(number(&exec, "process.effective_user.id"), 0);
    assert_eq!(number(&exec, "process.previous.effective_user.id"), u64::from(NOBODY));
    assert_eq!(number(&exec, "process.effective_group.id"), 0);
    assert_eq!(number(&exec, "process.previous.effective_group.id"), u64::from(NOBODY));
    assert_eq!(number(&exec, "process.user.id"), u64::from(NOBODY), "the real one stays");
    assert!(has(&exec, "process.capabilities.permitted", "CAP_SYS_ADMIN"));
    assert!(!rig.all().iter().any(|e| is(e, "exec") && of(e, plain)));
}

#[test]
fn namespaces_made_and_entered_are_told_by_kind() {
    let mut rig = Rig::start("cred");
    let child = forked(|| {
        // SAFETY: plain system calls; the text ends with NUL; the child of clone does nothing but exit.
        unsafe {
            libc::unshare(libc::CLONE_FILES | libc::CLONE_FS); // no namespace
            let before = libc::open(c"/proc/self/ns/uts".as_ptr(), libc::O_RDONLY);
            libc::unshare(libc::CLONE_NEWUTS | libc::CLONE_NEWNS);
            libc::setns(before, 0);
            let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWIPC | libc::SIGCHLD;
            let grandchild = libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0);
            if grandchild == 0 {
                libc::_exit(0);
            }
            libc::waitpid(grandchild as i32, std::ptr::null_mut(), 0);
            if libc::fork() == 0 {
                libc::_exit(0); // shares everything
            }
            libc::waitpid(-1, std::ptr::null_mut(), 0);
            libc::setns(-1, libc::CLONE_NEWNET)
        };
        0
    });
    let pid = child.pid();
    child.go();
    let mut operation = |operation: &str, failed: bool| {
        rig.expect(operation, |e| {
            is(e, "namespace")
                && of(e, pid)
                && name(e, "namespace.operation") == operation
                && e.get("error.type").is_truthy() == failed
        })
    };
    assert_eq!(name(&operation("unshare", false), "namespace.types"), "CLONE_NEWNS|CLONE_NEWUTS");
    let entered = operation("setns", false);
    assert_eq!(name(&entered, "namespace.types"), "CLONE_NEWUTS");
    let own = std::fs::read_link("/proc/self/ns/uts").unwrap().to_str().unwrap().to_owned();
    assert_eq!(format!("uts:[{}]", number(&entered, "namespace.id")), own);
    let cloned = operation("clone", false);
    assert_eq!(name(&cloned, "namespace.types"), "CLONE_NEWIPC|CLONE_NEWUSER");
    assert!(cloned.get("namespace.target.pid").is_truthy() && cloned.get("namespace.id").is_truthy());
    let refused = operation("setns", true);
    assert_eq!((name(&refused, "namespace.types").as_str(), number(&refused, "error.type")), ("CLONE_NEWNET", 9));
    assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), 4);
}

#[test]
fn whose_namespaces_are_entered_is_told_of_a_pidfd() {
    let mut rig = Rig::start("cred");
    let other = Shell::waiting(":");
    let target = other.pid();
    let child = forked(|| {
        // SAFETY: plain system calls.
        unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, target, 0) as i32;
            libc::setns(fd, libc::CLONE_NEWUTS)
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let entered = rig.expect("setns", |e| is(e, "namespace") && of(e, pid));
    assert_eq!(number(&entered, "namespace.target.pid"), u64::from(target));
    assert_eq!(name(&entered, "namespace.types"), "CLONE_NEWUTS");
    other.go();
}

#[test]
fn a_new_root_is_told_as_asked_and_as_resolved() {
    let mut rig = Rig::start("cred");
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let path = |p: &std::path::Path| CString::new(p.to_str().unwrap()).unwrap();
    let (there, missing) = (path(&link), path(&dir.path().join("missing")));
    let child = forked(|| {
        // SAFETY: the texts end with NUL.
        unsafe {
            libc::chroot(missing.as_ptr());
            libc::chdir(c"/".as_ptr());
            libc::chroot(there.as_ptr())
        }
    });
    let pid = child.pid();
    assert_eq!(child.go(), 0);
    let done = rig.expect("chroot", |e| is(e, "chroot") && of(e, pid) && !e.get("error.type").is_truthy());
    assert_eq!(text(&done, "file.path"), real.to_str().unwrap());
    assert_eq!(text(&done, "file.requested_path"), link.to_str().unwrap());
    let failed = rig.expect("chroot to nowhere", |e| is(e, "chroot") && of(e, pid) && number(e, "error.type") == 2);
    assert!(text(&failed, "file.path").is_empty() && text(&failed, "file.requested_path").ends_with("/missing"));
}

#[test]
fn only_settings_that_matter_are_told() {
    let set = || {
        // SAFETY: plain system calls, with a text that ends with NUL.
        unsafe {
            libc::prctl(libc::PR_GET_DUMPABLE);
            libc::prctl(libc::PR_SET_NAME, c"other".as_ptr());
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            libc::prctl(libc::PR_CAP_AMBIENT, 2, 12, 0, 0); // PR_CAP_AMBIENT_RAISE
            libc::prctl(libc::PR_CAP_AMBIENT, 1, 12, 0, 0); // PR_CAP_AMBIENT_IS_SET only asks
            libc::syscall(libc::SYS_seccomp, 1, 0, std::ptr::null::<u8>()); // a filter that is not there
        }
        0
    };
    for (names, expected) in [("false", 4), ("true", 5)] {
        let mut rig = Rig::start_with("cred", settings(), &[("names", names)]);
        let child = forked(set);
        let pid = child.pid();
        child.go();
        let mut option = |option: &str| {
            rig.expect(option, |e| is(e, "prctl") && of(e, pid) && name(e, "process.control.option") == option)
        };
        assert_eq!(number(&option("PR_SET_DUMPABLE"), "process.control.value"), 0);
        assert_eq!(number(&option("PR_SET_NO_NEW_PRIVS"), "process.control.value"), 1);
        assert_eq!(name(&option("PR_CAP_AMBIENT"), "process.control.capability"), "CAP_NET_ADMIN");
        let refused = option("PR_SET_SECCOMP");
        assert!(refused.get("error.type").is_truthy());
        assert_eq!(rig.all().iter().filter(|e| of(e, pid)).count(), expected);
        let renamed = rig.all().iter().any(|e| of(e, pid) && name(e, "process.control.option") == "PR_SET_NAME");
        assert_eq!(renamed, names == "true");
    }
}

#[test]
fn keys_are_told_by_type_and_description_and_never_by_content() {
    let mut rig = Rig::start("cred");
    let child = forked(|| {
        // SAFETY: texts end with NUL and the payload is as long as said; -2 is the process's own keyring.
        unsafe {
            let (kind, what) = (c"user".as_ptr(), c"ethogram:test".as_ptr());
            let key = libc::syscall(libc::SYS_add_key, kind, what, c"secret".as_ptr(), 6, -2);
            libc::syscall(libc::SYS_keyctl, 3, key);
            libc::syscall(libc::SYS_keyctl, 11, 0x7fff_fff0); // there is no such key
        }
        0
    });
    let pid = child.pid();
    child.go();
    let added = rig.expect("the key", |e| is(e, "key") && of(e, pid) && name(e, "key.operation") == "add_key");
    let revoked = rig.expect("its end", |e| is(e, "key") && of(e, pid) && name(e, "key.operation") == "KEYCTL_REVOKE");
    let refused = rig.expect("the refusal", |e| of(e, pid) && name(e, "key.operation") == "KEYCTL_READ");
    assert!(refused.get("error.type").is_truthy());
    assert_eq!((text(&added, "key.type").as_str(), text(&added, "key.description").as_str()), ("user", "ethogram:test"));
    assert!(!render::to_json(&added).to_string().contains("secret"));
    // A sandbox or a kernel without keys refuses both.
    if !added.get("error.type").is_truthy() {
        assert_eq!(number(&added, "key.id"), number(&revoked, "key.id"));
    }
}
