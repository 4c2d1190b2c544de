//! Programs that run containers: what they are called, and how they look on their way into a container.

use crate::Exec;

/// What they are called. Shims have more after a hyphen: `containerd-shim-runc-v2`.
const PROGRAMS: [&str; 11] = [
    "dockerd",
    "containerd",
    "containerd-shim",
    "runc",
    "crun",
    "youki",
    "runsc",
    "conmon",
    "podman",
    "crio",
    "kubelet",
];
/// Those that become a container's program themselves, as `runc init`; `exe` is what a copy of one calls itself.
const ENTERING: [&str; 5] = ["runc", "crun", "runsc", "youki", "exe"];

/// Whether a program that is called so runs containers. A container can hold a file of any name: only one that was started
/// outside of it is a runtime.
pub fn is_runtime(name: &str) -> bool {
    PROGRAMS.iter().any(|known| name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
}

/// Whether this is a runtime before it becomes the container's program: it runs itself, or a sealed copy of itself, as
/// `runc init`, in the container's cgroup already. Only what comes from outside can be that.
pub fn is_entering(exec: &Exec) -> bool {
    let name = exec.path.rsplit('/').next().unwrap_or_default();
    exec.args.get(1).is_some_and(|argument| argument == "init")
        && (ENTERING.contains(&name) || exec.path.starts_with("memfd:runc_cloned:"))
}

/// Whether a thread of that name is such a runtime.
pub fn is_entering_thread(name: &str) -> bool {
    name.starts_with("runc:[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtimes_and_their_shims_are_known_by_their_names() {
        for name in ["runc", "containerd-shim", "containerd-shim-runc-v2", "podman"] {
            assert!(is_runtime(name), "{name}");
        }
        for name in ["", "runcx", "run", "sh", "nginx"] {
            assert!(!is_runtime(name), "{name}");
        }
    }

    #[test]
    fn a_runtime_enters_as_init_only() {
        let exec = |path: &str, args: &[&str]| Exec {
            path: path.into(),
            args: args.iter().map(|a| (*a).into()).collect(),
            ..Exec::default()
        };
        for path in ["/usr/bin/runc", "/usr/bin/crun", "memfd:runc_cloned:/proc/self/exe", "/proc/self/exe"] {
            assert!(is_entering(&exec(path, &["runc", "init"])), "{path}");
            assert!(!is_entering(&exec(path, &["runc", "run"])), "{path}");
            assert!(!is_entering(&exec(path, &[])), "{path}");
        }
        assert!(!is_entering(&exec("/sbin/openrc", &["openrc", "init"])));
        assert!(is_entering_thread("runc:[2:INIT]") && !is_entering_thread("runc"));
    }
}
