//! In which container and process an event happened.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

/// Who did it. Each part is absent until it is known, and on the host there is no container.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The container, found by cgroup id.
    pub container: Option<Arc<Container>>,
    /// The process, found by pid and start time.
    pub process: Option<Arc<Process>>,
}

/// A container, as its cgroup and, later, its runtime tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The runtime's full id.
    pub id: String,
    /// The id of its outermost cgroup.
    pub cgroup_id: u64,
    /// `docker`, `containerd`, `cri-o` or `podman`.
    pub runtime: String,
    /// The name, once the runtime has told it.
    pub name: Option<String>,
    /// The image, once the runtime has told it.
    pub image: Option<Image>,
    /// Entrypoint and arguments, as configured.
    pub command: Vec<String>,
    /// Labels, at most [`Container::MAX_LABELS`].
    pub labels: BTreeMap<String, String>,
    /// The Kubernetes pod it belongs to.
    pub pod: Option<Pod>,
}

impl Container {
    /// Labels kept of a container; further ones are left out.
    pub const MAX_LABELS: usize = 64;

    /// The first twelve characters of its id, as runtimes print it.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// Its name, or its short id until the name is known.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.short_id())
    }

    /// Whether `wanted` is its name, its id, or at least four characters of the start of its id.
    pub fn answers_to(&self, wanted: &str) -> bool {
        self.name.as_deref() == Some(wanted) || self.id == wanted || (wanted.len() >= 4 && self.id.starts_with(wanted))
    }

    /// Whether the runtime has told all that a finding and a profile need.
    pub fn is_resolved(&self) -> bool {
        self.name.is_some() && self.image.is_some()
    }
}

/// A container's image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As the user wrote it: `nginx:1.27`.
    pub name: String,
    /// `sha256:...`: the same for the same content, whatever the tag.
    pub digest: String,
}

/// A Kubernetes pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// The pod's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

/// A process. Its identity on this boot is its pid and its start time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Thread group id, in the host's pid namespace.
    pub pid: u32,
    /// When it started, nanoseconds since boot.
    pub start_ns: u64,
    /// The parent's pid, in the host's pid namespace.
    pub parent_pid: u32,
    /// Real user id.
    pub user_id: u32,
    /// What it runs.
    pub exec: Arc<Exec>,
    /// What ran the processes above it, nearest first, at most [`Process::MAX_ANCESTORS`].
    pub ancestors: Vec<Arc<Exec>>,
}

impl Process {
    /// Ancestors kept of a process.
    pub const MAX_ANCESTORS: usize = 8;
}

/// A program as it was started: shared by a process and the children it forks without another exec.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// The pid that called exec.
    pub pid: u32,
    /// Resolved path, as the process itself sees it.
    pub path: String,
    /// The name by which it was called, at most fifteen bytes: tells a multi-call binary's applets apart.
    pub name: String,
    /// Arguments, secrets masked.
    pub args: Vec<String>,
    /// The cgroup id of the container in which exec was called; zero on the host.
    pub container_cgroup: u64,
}
