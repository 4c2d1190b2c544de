//! Policies from a container's first instruction on, before it is known, and none before that.

use super::*;

/// A directory that a process can have as its root: what programs need is mounted there.
struct Root {
    folder: TempDir,
    mounts: Vec<(CString, CString)>,
}

/// What a child ends with whose root could not be prepared.
const NOT_PREPARED: i32 = 91;

/// How much of a container a process has.
#[derive(Clone, Copy)]
enum Of {
    /// Namespaces for its pids and mounts, and a root.
    Container,
    /// What a service of the host may have.
    Mounts,
    /// What a runtime begins with.
    Namespaces,
}

impl Root {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut mounts = Vec::new();
        for name in ["usr", "lib", "lib64", "bin"] {
            let (of_host, here) = (Path::new("/").join(name), folder.path().join(name));
            match fs::symlink_metadata(&of_host) {
                Ok(found) if found.is_symlink() => {
                    std::os::unix::fs::symlink(fs::read_link(&of_host).unwrap(), &here).unwrap();
                }
                Ok(found) if found.is_dir() => {
                    fs::create_dir(&here).unwrap();
                    mounts.push((text(&of_host), text(&here)));
                }
                _ => {}
            }
        }
        Self { folder, mounts }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn below(&self, name: &str) -> Matcher {
        below(&self.folder(name))
    }

    /// Runs the program of a folder in a cgroup, by a process that has so much of a container.
    fn run(&self, cgroup: &Cgroup, of: Of, name: &str) -> (i32, bool) {
        let outside = Marker::of(&self.folder(name));
        let inside = Marker {
            path: CString::new(format!("/{name}/marker")).unwrap(),
            mark_path: CString::new(format!("/{name}/ran")).unwrap(),
            mark: outside.mark.clone(),
        };
        let code = self.does(cgroup, of, || match of {
            Of::Namespaces => outside.exec(),
            Of::Container | Of::Mounts => inside.exec(),
        });
        (code, fs::remove_file(&outside.mark).is_ok())
    }

    /// Has a child of this process do something in a cgroup, with so much of a container. See [`forked`].
    fn does(&self, cgroup: &Cgroup, of: Of, what: impl FnOnce() -> i32) -> i32 {
        let root = text(self.folder.path());
        cgroup.run(|| {
            let pids = if matches!(of, Of::Mounts) { 0 } else { libc::CLONE_NEWPID };
            // SAFETY: all strings end with NUL, and the child of the child does what the child may do.
            unsafe {
                if libc::unshare(libc::CLONE_NEWNS | pids) != 0 {
                    return 90;
                }
                let private = libc::MS_PRIVATE | libc::MS_REC;
                libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null());
                for (from, to) in &self.mounts {
                    if libc::mount(from.as_ptr(), to.as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null()) != 0 {
                        return NOT_PREPARED;
                    }
                }
                if pids != 0 {
                    let (child, mut status) = (libc::fork(), 0);
                    if child != 0 {
                        libc::waitpid(child, &raw mut status, 0);
                        return if libc::WIFEXITED(status) {
                            libc::WEXITSTATUS(status)
                        } else {
                            128 + libc::WTERMSIG(status)
                        };
                    }
                }
                if !matches!(of, Of::Namespaces)
                    && (libc::chroot(root.as_ptr()) != 0 || libc::chdir(c"/".as_ptr()) != 0)
                {
                    libc::_exit(92);
                }
                libc::_exit(what())
            }
        })
    }
}

fn fails_closed(policy: Policy) -> Policy {
    Policy { fail_closed: true, ..policy }
}

#[test]
fn a_policy_that_fails_closed_holds_in_containers_that_are_not_known() {
    let root = Root::new();
    for name in ["forbidden", "later", "allowed"] {
        Marker::program(&root.folder(name));
    }
    let kill = |name| policy(PolicyOperation::Exec, root.below(name), Ruling::Kill);
    let enforcer = Enforcer::start(&[fails_closed(kill("forbidden")), kill("later")], None, false).unwrap();
    assert_eq!(enforcer.refusal(0), None, "every kernel kills for an exec");
    let (unknown, other) = (Cgroup::new("unknown"), Cgroup::new("unknown-other"));
    assert_eq!(root.run(&unknown, Of::Mounts, "forbidden"), RAN, "a service with mounts and a root of its own");
    assert_eq!(root.run(&other, Of::Namespaces, "forbidden"), RAN, "namespaces alone, with the host's root");
    assert_eq!(Marker::of(&root.folder("forbidden")).run(&unknown), RAN, "a process of the host");

    assert_eq!(root.run(&unknown, Of::Container, "forbidden"), KILLED);
    assert_eq!(root.run(&unknown, Of::Container, "later"), RAN, "it does not fail closed");
    assert_eq!(root.run(&unknown, Of::Container, "allowed"), RAN, "another path");
    assert_eq!(root.run(&unknown, Of::Namespaces, "forbidden"), KILLED, "back in the host's root");
    let nested = Cgroup::at(&unknown.0, "nested");
    assert_eq!(root.run(&nested, Of::Namespaces, "forbidden"), KILLED, "in a cgroup of its own, too");

    enforcer.assign(unknown.id(), 0).unwrap();
    assert_eq!(root.run(&unknown, Of::Container, "forbidden"), RAN, "it is known, and no policy holds for it");
    assert_eq!(root.run(&nested, Of::Container, "forbidden"), RAN, "nor for what is below");
    assert_eq!(root.run(&other, Of::Container, "forbidden"), KILLED, "its neighbour is not");
    enforcer.assign(unknown.id(), 2).unwrap();
    assert_eq!(root.run(&unknown, Of::Container, "forbidden"), RAN, "another policy holds");
    assert_eq!(root.run(&unknown, Of::Container, "later"), KILLED);
    enforcer.forget(unknown.id()).unwrap();
    assert_eq!(root.run(&unknown, Of::Container, "forbidden"), KILLED, "it is not known any more");
    drop(enforcer);
    assert_eq!(root.run(&unknown, Of::Container, "forbidden"), RAN, "afterwards");
}

#[test]
fn policies_hold_from_the_first_program_on_and_not_for_what_prepares_it() {
    let root = Root::new();
    ["forbidden", "allowed"].iter().for_each(|name| _ = Marker::program(&root.folder(name)));
    let policies = [policy(PolicyOperation::Exec, root.below("forbidden"), Ruling::Kill)];
    let enforcer = Enforcer::start(&policies, None, false).unwrap();
    let (subject, neighbour) = (Cgroup::new("first"), Cgroup::new("first-neighbour"));
    [&subject, &neighbour].iter().for_each(|cgroup| enforcer.assign(cgroup.id(), 1).unwrap());
    assert_eq!(root.run(&subject, Of::Namespaces, "forbidden"), RAN, "a hook of its runtime");
    assert_eq!(root.run(&subject, Of::Container, "forbidden"), KILLED, "the first program");
    assert_eq!(root.run(&subject, Of::Container, "allowed"), RAN, "another path");
    assert_eq!(root.run(&subject, Of::Namespaces, "forbidden"), KILLED, "it has begun");
    assert_eq!(root.run(&neighbour, Of::Namespaces, "forbidden"), RAN, "its neighbour has not");
    let next = Enforcer::start(&policies, None, false).unwrap();
    next.inherit(&enforcer).unwrap();
    drop(enforcer);
    [&subject, &neighbour].iter().for_each(|cgroup| next.assign(cgroup.id(), 1).unwrap());
    assert_eq!(root.run(&subject, Of::Namespaces, "forbidden"), KILLED, "the next policies know it");
    assert_eq!(root.run(&neighbour, Of::Namespaces, "forbidden"), RAN);
    next.begin(neighbour.id()).unwrap();
    assert_eq!(root.run(&neighbour, Of::Namespaces, "forbidden"), KILLED, "it was said to have begun");
}

#[test]
fn a_runtime_mounts_and_writes_until_the_container_begins() {
    let root = Root::new();
    Marker::program(&root.folder("allowed"));
    fs::create_dir(root.folder("at")).unwrap();
    let policies = [
        fails_closed(policy(PolicyOperation::Mount, Matcher::Any, Ruling::Deny)),
        fails_closed(policy(PolicyOperation::Write, root.below("at"), Ruling::Deny)),
    ];
    let enforcer = Enforcer::start(&policies, None, false).unwrap();
    if let Some(reason) = enforcer.refusal(0) {
        return eprintln!("skipped, as this kernel cannot: {reason}");
    }
    let [no_mounts, no_writes, unknown] = ["mounts", "writes", "unknown"].map(Cgroup::new);
    enforcer.assign(no_mounts.id(), 1).unwrap();
    enforcer.assign(no_writes.id(), 2).unwrap();
    let (at, file) = (c"/at".to_owned(), c"/at/file".to_owned());
    let writes = || open(&file, libc::O_WRONLY | libc::O_CREAT);
    let mounts = |cgroup: &Cgroup, of| root.does(cgroup, of, || mount(&at));
    for cgroup in [&no_mounts, &no_writes, &unknown] {
        assert_eq!(root.does(cgroup, Of::Container, writes), 0, "its runtime writes");
        assert_eq!(mounts(cgroup, Of::Container), 0, "its runtime mounts");
        assert_eq!(root.run(cgroup, Of::Container, "allowed"), RAN);
    }
    for cgroup in [&no_writes, &unknown] {
        assert_eq!(root.does(cgroup, Of::Container, writes), libc::EPERM, "it has begun");
    }
    assert_eq!(mounts(&no_writes, Of::Container), 0, "another policy");
    assert_eq!(mounts(&unknown, Of::Container), libc::EPERM, "it has begun");
    assert_eq!(
        mounts(&no_mounts, Of::Container),
        NOT_PREPARED,
        "what this test mounts to begin with is refused already"
    );
    assert_eq!(mounts(&unknown, Of::Mounts), 0, "a service with mounts and a root of its own");
}
