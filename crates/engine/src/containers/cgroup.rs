//! Reads a container out of a cgroup's path.
//!
//! Runtimes give a container's cgroup a name made of its id. With 64 hexadecimal digits, and a prefix that only one
//! runtime uses, that is a container where the directory is the host's own. containerd's own clients choose ids freely (`/default/web`): such a cgroup is
//! only a candidate until containerd says that it has that container.

use super::runtime::Runtime;

/// What a cgroup's path says of the container it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupContainer<'a> {
    /// The container's id.
    pub id: &'a str,
    /// The runtime to ask first.
    pub hint: Runtime,
    /// Set for a candidate: the containerd namespace that would have to know `id`.
    pub candidate_in: Option<&'a str>,
    /// Whether a runtime has to confirm it: the name is only an id, in the cgroup of a service.
    pub is_weak: bool,
    /// The path of the container's outermost cgroup: the path itself, or the start of it.
    pub outermost: &'a str,
}

/// What stands before the id in the name of a container's cgroup.
const PREFIXES: [(&str, Runtime); 6] = [
    ("docker", Runtime::Docker),
    ("cri-containerd", Runtime::Containerd),
    ("nerdctl", Runtime::Containerd),
    ("crio", Runtime::CriO),
    ("libpod", Runtime::Podman),
    ("libpod-payload", Runtime::Podman),
];

/// Cgroups at the top below which `/<namespace>/<id>` is never one of containerd's.
const NOT_NAMESPACES: [&str; 6] = ["docker", "kubepods", "libpod_parent", "machine", "system", "user"];

/// The container a cgroup belongs to, outermost first: what runs inside a container belongs to that container, be it
/// another container. `path` is absolute within its hierarchy, as the kernel reports it.
pub fn parse(path: &str) -> Option<CgroupContainer<'_>> {
    let mut parent = "";
    let mut in_kubepods = false;
    for (start, name) in components(path) {
        let outermost = path.get(..start + name.len())?;
        let by_prefix = prefixed(name);
        if let Some((hint, id)) = by_prefix.or_else(|| bare(name, parent, in_kubepods)) {
            let is_weak = by_prefix.is_none() && (parent.ends_with(".service") || parent.ends_with(".scope"));
            return Some(CgroupContainer { id, hint, candidate_in: None, is_weak, outermost });
        }
        in_kubepods |= name.starts_with("kubepods");
        parent = name;
    }
    candidate(path)
}

/// The names in a path, each with where it starts.
fn components(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    path.split('/').filter_map(move |name| {
        let at = start;
        start += name.len() + 1;
        (!name.is_empty()).then_some((at, name))
    })
}

/// `docker-<id>.scope` as systemd names it, `crio-<id>` without systemd, and `<slice>:cri-containerd:<id>`, which
/// comes of a runtime without systemd being given a name for systemd.
fn prefixed(name: &str) -> Option<(Runtime, &str)> {
    let (prefix, id) = match name.rsplit_once(':') {
        Some((before, id)) => (before.rsplit_once(':')?.1, id),
        None => name.strip_suffix(".scope").unwrap_or(name).rsplit_once('-')?,
    };
    let (_, runtime) = PREFIXES.iter().find(|(known, _)| *known == prefix)?;
    is_full_id(id).then_some((*runtime, id))
}

/// A cgroup named just by the id.
fn bare<'a>(name: &'a str, parent: &str, in_kubepods: bool) -> Option<(Runtime, &'a str)> {
    // Podman names a pod's cgroup that way; the pod's containers are below it.
    if !is_full_id(name) || parent == "libpod_parent" {
        return None;
    }
    let containerd = in_kubepods || matches!(parent, "k8s.io" | "default");
    Some((if containerd { Runtime::Containerd } else { Runtime::Docker }, name))
}

/// `/<namespace>/<id>`, as containerd's own clients name them.
fn candidate(path: &str) -> Option<CgroupContainer<'_>> {
    let mut parts = components(path);
    let (_, namespace) = parts.next()?;
    let (start, id) = parts.next()?;
    let named_by_systemd = |name: &str| {
        [".slice", ".service", ".scope", ".mount", ".socket", ".swap"].iter().any(|suffix| name.ends_with(suffix))
    };
    let possible = is_identifier(namespace)
        && is_identifier(id)
        && !NOT_NAMESPACES.contains(&namespace)
        && !named_by_systemd(namespace)
        && !named_by_systemd(id);
    possible.then_some(CgroupContainer {
        id,
        hint: Runtime::Containerd,
        candidate_in: Some(namespace),
        is_weak: false,
        outermost: path.get(..start + id.len())?,
    })
}

/// The id as Docker, Podman, CRI-O and the kubelet's containerd make it.
fn is_full_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What containerd accepts as the name of a namespace or container.
pub fn is_identifier(text: &str) -> bool {
    let alphanumeric = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 76
        && alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(b))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    const ID: &str = "97ca8c4b43552c7ea2dd5f5087a801d4fc4294230864437bfe354728b1fe8219";
    const INNER: &str = "6d1cb54f247d05a21ac37e6ae70103aa039b60a40e10c2274bdc4daa18071fdd";

    #[test]
    fn every_runtimes_names_are_read() {
        let cases = [
            ("/docker/{ID}", Runtime::Docker),
            ("/system.slice/docker-{ID}.scope", Runtime::Docker),
            ("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{ID}.scope", Runtime::Docker),
            ("/actions_job/{ID}", Runtime::Docker),
            ("/ecs/0f9d8c7b6a5949388271605f4e3d2c1b/{ID}", Runtime::Docker),
            ("/system.slice:docker:{ID}", Runtime::Docker),
            ("/kubepods/besteffort/pod5b1b0b3c-9d0c-4b1e-8b1e-0c0c5b1b0b3c/{ID}", Runtime::Containerd),
            ("/kubepods/pod5b1b0b3c-9d0c-4b1e-8b1e-0c0c5b1b0b3c/{ID}", Runtime::Containerd),
            (
                "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5b1b_0b3c.slice/cri-containerd-{ID}.scope",
                Runtime::Containerd,
            ),
            (
                "/system.slice/containerd.service/kubepods-besteffort-pod5b1b_0b3c.slice:cri-containerd:{ID}",
                Runtime::Containerd,
            ),
            ("/k8s.io/{ID}", Runtime::Containerd),
            ("/default/{ID}", Runtime::Containerd),
            ("/system.slice/nerdctl-{ID}.scope", Runtime::Containerd),
            ("/kubepods.slice/kubepods-pod5b1b_0b3c.slice/crio-{ID}.scope", Runtime::CriO),
            ("/kubepods/burstable/pod5b1b0b3c/crio-{ID}", Runtime::CriO),
            ("/machine.slice/libpod-{ID}.scope", Runtime::Podman),
            ("/libpod_parent/libpod-{ID}", Runtime::Podman),
            ("/libpod_parent/{INNER}/libpod-{ID}", Runtime::Podman),
            ("/machine.slice/machine-libpod_pod_{INNER}.slice/libpod-{ID}.scope", Runtime::Podman),
            ("/system.slice/web.service/libpod-payload-{ID}", Runtime::Podman),
        ];
        for (pattern, runtime) in cases {
            let path = pattern.replace("{ID}", ID).replace("{INNER}", INNER);
            let found = parse(&path).unwrap_or_else(|| panic!("no container in {path}"));
            assert_eq!((found.id, found.hint, found.candidate_in), (ID, runtime, None), "{path}");
            assert_eq!(found.outermost, path);
        }
    }

    #[test]
    fn what_is_nested_belongs_to_the_outermost_container() {
        for (outer, inner) in [
            ("/docker/{ID}", "/docker/{INNER}"),
            ("/docker/{ID}", "/kubelet.slice/kubelet-kubepods.slice/cri-containerd-{INNER}.scope"),
            ("/docker/{ID}", "/default/web"),
            ("/machine.slice/libpod-{ID}.scope", "/container"),
            ("/system.slice/docker-{ID}.scope", "/init.scope"),
        ] {
            let outer = outer.replace("{ID}", ID);
            let path = format!("{outer}{}", inner.replace("{INNER}", INNER));
            let found = parse(&path).unwrap();
            assert_eq!((found.id, found.outermost), (ID, outer.as_str()), "{path}");
        }
    }

    #[test]
    fn what_is_no_container_is_none() {
        let short = &ID[..63];
        for path in [
            "/",
            "",
            "//",
            "/docker",
            "/default",
            "/docker/buildkit",
            "/docker/buildkit/r2w8xk1yqz5n0v3jm7h4t6c9p",
            "/system.slice/docker.service",
            "/system.slice/containerd.service",
            "/system.slice/cri-containerd-notes.service",
            "/user.slice",
            "/user.slice/user-1000.slice/session-3.scope",
            "/init.scope",
            "/kubepods",
            "/kubepods/besteffort",
            "/kubepods/besteffort/pod5b1b0b3c-9d0c-4b1e-8b1e-0c0c5b1b0b3c",
            "/kubepods.slice/kubepods-burstable.slice",
            "/libpod_parent",
            "/libpod_parent/conmon",
            "/machine.slice/machine-qemu.scope",
            &format!("/machine.slice/libpod-conmon-{ID}.scope"),
            &format!("/libpod_parent/libpod-conmon-{ID}"),
            &format!("/libpod_parent/{ID}"),
            &format!("/machine.slice/machine-libpod_pod_{ID}.slice"),
            &format!("/kubepods.slice/crio-conmon-{ID}.scope"),
            &format!("/system.slice/docker-{short}.scope"),
            &format!("/docker/{short}g"),
            &format!("/docker/{}", ID.to_uppercase()),
            &format!("/system.slice/run-{ID}.scope"),
            "/default/-web",
            "/default/a b",
            "/default/ü",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn free_names_are_candidates() {
        for (path, namespace, id, outermost) in [
            ("/default/my-container", "default", "my-container", "/default/my-container"),
            ("/k8s.io/a1", "k8s.io", "a1", "/k8s.io/a1"),
            ("/team_1/web.2/nested/deep", "team_1", "web.2", "/team_1/web.2"),
        ] {
            let found = parse(path).unwrap();
            assert_eq!((found.candidate_in, found.id, found.outermost), (Some(namespace), id, outermost), "{path}");
            assert_eq!(found.hint, Runtime::Containerd);
        }
    }

    #[test]
    fn mangled_paths_are_read_without_panic() {
        let path = format!("/é/:{ID}/a:docker:{ID}.scope/libpod-é.scope/crio-{INNER}.scope/default/x");
        for cut in 0..path.len() {
            for part in [path.get(cut..), path.get(..cut)].into_iter().flatten() {
                if let Some(found) = parse(part) {
                    assert!(part.starts_with(found.outermost) && found.outermost.contains(found.id), "{part}");
                }
            }
        }
    }
}
