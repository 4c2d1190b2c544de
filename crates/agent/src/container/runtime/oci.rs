//! The few fields of an OCI runtime specification that say what a container runs, and how privileged it is.

use std::collections::{BTreeMap, BTreeSet};

use ethogram_model::Mount;
use serde::{Deserialize, de::IgnoredAny};

/// Capabilities that all kernels have that we run on. Runtimes that are older than the kernel leave out newer ones.
const ALL_CAPABILITIES: usize = 38;

/// Bytes of the path of a cgroup, and slices that one is nested in.
const MAX_PATH: usize = 1024;
const MAX_SLICES: usize = 16;

/// A container's `config.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spec {
    process: Option<Process>,
    annotations: Option<BTreeMap<String, String>>,
    linux: Option<Linux>,
    mounts: Option<Vec<MountPoint>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Process {
    args: Option<Vec<String>>,
    capabilities: Option<Capabilities>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    bounding: Option<BTreeSet<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Linux {
    cgroups_path: Option<String>,
    seccomp: Option<IgnoredAny>,
    masked_paths: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MountPoint {
    destination: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    options: Option<Vec<String>>,
}

impl Spec {
    /// Entrypoint and arguments, not bounded yet.
    pub(super) fn take_command(&mut self) -> Vec<String> {
        self.process.as_mut().and_then(|p| p.args.take()).unwrap_or_default()
    }

    /// What the runtime noted of it.
    pub(super) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// The path of its cgroup in a hierarchy: as it is, or put together as systemd nests `SLICE:PREFIX:NAME`.
    pub(super) fn cgroup(&self) -> Option<String> {
        let path = self.linux.as_ref()?.cgroups_path.as_deref().filter(|path| path.len() <= MAX_PATH)?;
        if path.starts_with('/') {
            return Some(path.to_owned());
        }
        let mut parts = path.splitn(3, ':');
        let (slice, prefix, name) = (parts.next()?.strip_suffix(".slice")?, parts.next()?, parts.next()?);
        // What is called `-.slice` is the root.
        let slice = if slice == "-" { "" } else { slice };
        let mut cgroup = String::new();
        let ends = slice.match_indices('-').map(|(at, _)| at).chain([slice.len()]).filter(|end| *end > 0);
        for part in ends.take(MAX_SLICES).filter_map(|end| slice.get(..end)) {
            cgroup.push_str(&format!("/{part}.slice"));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}-") };
        Some(format!("{cgroup}/{prefix}{name}.scope"))
    }

    /// Whether it is as `--privileged` makes it, which the specification has no word for: all capabilities, no seccomp
    /// filter, and nothing of procfs hidden. None where it does not say which capabilities there are.
    pub(super) fn is_privileged(&self) -> Option<bool> {
        let bounding = self.process.as_ref()?.capabilities.as_ref()?.bounding.as_ref();
        let has_all = bounding.is_some_and(|all| all.len() >= ALL_CAPABILITIES);
        let hides =
            |linux: &Linux| linux.seccomp.is_some() || linux.masked_paths.as_ref().is_some_and(|m| !m.is_empty());
        Some(has_all && !self.linux.as_ref().is_some_and(hides))
    }

    /// The places of the host and the volumes in it, not bounded yet; not what the kernel itself makes, as procfs.
    pub(super) fn take_mounts(&mut self) -> impl Iterator<Item = Mount> + use<> {
        self.mounts.take().unwrap_or_default().into_iter().filter_map(MountPoint::bind)
    }
}

impl MountPoint {
    fn bind(self) -> Option<Mount> {
        let options = self.options.unwrap_or_default();
        let has = |name: &str| options.iter().any(|o| o == name);
        if self.kind != "bind" && !has("bind") && !has("rbind") {
            return None;
        }
        let kinds = ["private", "shared", "slave", "unbindable"];
        let propagation = options.iter().find(|o| kinds.contains(&o.strip_prefix('r').unwrap_or(o)));
        Some(Mount {
            propagation: propagation.cloned().unwrap_or_default(),
            writable: !has("ro"),
            mode: options.join(","),
            source: self.source,
            destination: self.destination,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As containerd and Podman write it, shortened; `process` and `linux` are filled in.
    fn spec(capabilities: usize, linux: &str) -> Spec {
        let capabilities: Vec<_> = (0..capabilities).map(|n| format!(r#""CAP_{n}""#)).collect();
        let json = r#"{"ociVersion":"1.2.0","process":{"user":{"uid":0,"gid":0},"args":["sleep","100"],"cwd":"/",
            "capabilities":{"bounding":[CAPS],"effective":[CAPS],"permitted":[CAPS]}},"root":{"path":"rootfs"},"mounts":[
            {"destination":"/proc","type":"proc","source":"proc","options":["nosuid","noexec","nodev"]},
            {"destination":"/run","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755"]},
            {"destination":"/data","type":"bind","source":"/srv","options":["ro","rprivate","rbind"]},
            {"destination":"/dev/shm","type":"bind","source":"/var/lib/shm","options":["bind","rslave","nosuid"]},
            {"destination":"/none","source":"/opt","options":["rbind"]},{"destination":"/empty"}],"linux":LINUX}"#;
        serde_json::from_str(&json.replace("CAPS", &capabilities.join(",")).replace("LINUX", linux)).unwrap()
    }

    #[test]
    fn privileged_is_what_lacks_nothing_and_hides_nothing() {
        for (capabilities, linux, privileged) in [
            (40, r#"{"seccomp":null,"maskedPaths":null}"#, true),
            (41, "null", true),
            (14, r#"{"maskedPaths":["/proc/kcore"]}"#, false),
            (40, r#"{"maskedPaths":["/proc/kcore"]}"#, false),
            (40, r#"{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO"}}"#, false),
            (37, "{}", false),
        ] {
            assert_eq!(spec(capabilities, linux).is_privileged(), Some(privileged), "{capabilities} {linux}");
        }
        assert_eq!(serde_json::from_str::<Spec>(r#"{"process":{}}"#).unwrap().is_privileged(), None);
        assert_eq!(
            serde_json::from_str::<Spec>(r#"{"process":{"capabilities":{}}}"#).unwrap().is_privileged(),
            Some(false)
        );
    }

    #[test]
    fn its_cgroup_is_where_systemd_or_the_runtime_makes_it() {
        for (path, cgroup) in [
            ("/default/web", Some("/default/web")),
            ("system.slice:docker:ab", Some("/system.slice/docker-ab.scope")),
            (
                "kubepods-besteffort-pod1.slice:cri-containerd:ab",
                Some(
                    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-ab.scope",
                ),
            ),
            ("-.slice::ab", Some("/ab.scope")),
            ("web", None),
            ("a.slice:b", None),
        ] {
            let spec: Spec = serde_json::from_value(serde_json::json!({"linux": {"cgroupsPath": path}})).unwrap();
            assert_eq!(spec.cgroup().as_deref(), cgroup, "{path}");
        }
        assert_eq!(Spec::default().cgroup(), None);
    }

    #[test]
    fn what_is_bound_into_it_is_listed_and_what_the_kernel_makes_is_not() {
        let mut spec = spec(14, "{}");
        let mounts: Vec<_> = spec.take_mounts().collect();
        let shown = |m: &Mount| format!("{} {} {} {} {}", m.source, m.destination, m.mode, m.writable, m.propagation);
        assert_eq!(
            mounts.iter().map(shown).collect::<Vec<_>>(),
            [
                "/srv /data ro,rprivate,rbind false rprivate",
                "/var/lib/shm /dev/shm bind,rslave,nosuid true rslave",
                "/opt /none rbind true ",
            ]
        );
        assert_eq!(spec.take_command(), ["sleep", "100"]);
    }
}
