//! Programs that run containers: what they are called.

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
/// Whether a program that is called so runs containers. A container can hold a file of any name: only one that was started
/// outside of it is a runtime.
pub fn is_runtime(name: &str) -> bool {
    PROGRAMS.iter().any(|known| name.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
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
}
