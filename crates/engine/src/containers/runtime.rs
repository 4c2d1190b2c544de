//! The words between the engine and the container runtimes: what is asked, and what they answer.

use std::{collections::BTreeMap, fmt, sync::Arc};

use ethogram_model::{FileId, Image, Mount, Pod, Users};
use serde::{Deserialize, Serialize};

use crate::share::Share;

/// The runtimes known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// Docker Engine.
    Docker,
    /// containerd, be it for Kubernetes or its own clients.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
}

impl Runtime {
    /// As [`ethogram_model::Container::runtime`] has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a runtime says about one container. Its strings are bounded, but the container's author chose them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeContainer {
    /// Who says it.
    pub runtime: Runtime,
    /// containerd's namespace; ids are unique only within it.
    pub namespace: Option<String>,
    /// The full id.
    pub id: String,
    /// The name, or the id where it has none.
    pub name: String,
    /// The image, where it was made from one.
    pub image: Option<Image>,
    /// Entrypoint and arguments.
    pub command: Vec<String>,
    /// At most [`ethogram_model::Container::MAX_LABELS`] labels.
    pub labels: BTreeMap<String, String>,
    /// The Kubernetes pod.
    pub pod: Option<Pod>,
    /// Whether it does nothing but hold a pod's namespaces.
    pub sandbox: bool,
    /// Whether it runs with all privileges.
    #[serde(default)]
    pub privileged: Option<bool>,
    /// At most [`ethogram_model::Container::MAX_MOUNTS`] places of the host, and volumes.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// When it was started, nanoseconds since the Unix epoch; none before that, and where the runtime does not say.
    #[serde(default)]
    pub started_ns: Option<u64>,
    /// The names in its own files, once they were read: no runtime knows them.
    #[serde(default)]
    pub users: Option<Arc<Users>>,
    /// The path of the cgroup that the runtime has it in, in the hierarchy that containers are identified in.
    #[serde(default)]
    pub cgroup: Option<String>,
    /// Its first process, where the runtime says it.
    #[serde(skip)]
    pub pid: Option<u32>,
}

/// A container that the engine asks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveRequest {
    /// Its id.
    pub id: String,
    /// The runtime to ask first.
    pub hint: Runtime,
    /// For a candidate, the containerd namespace that would have to know it. No other runtime is queried then.
    pub candidate_in: Option<String>,
    /// The path of its outermost cgroup, which its processes are found in; empty where that is not known.
    #[serde(default)]
    pub cgroup: String,
    /// Whose share its cgroup takes, where it is not the host's own.
    #[serde(skip)]
    pub share: Option<Share>,
}

impl ResolveRequest {
    /// Whether its cgroup is not the host's own: only a runtime can say then that it is a container's.
    pub fn is_foreign(&self) -> bool {
        self.share.is_some()
    }

    /// What distinguishes it from others: the id, and for a candidate, whose id is unique only there, its namespace.
    pub fn key(&self) -> String {
        match &self.candidate_in {
            Some(namespace) => candidate_key(namespace, &self.id),
            None => self.id.clone(),
        }
    }
}

/// The [`ResolveRequest::key`] of a candidate. A namespace has no slash, a full id neither.
pub fn candidate_key(namespace: &str, id: &str) -> String {
    format!("{namespace}/{id}")
}

/// A guarded file that has more names than the guarded one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkedFile {
    /// The guarded one.
    pub path: String,
    /// Which file it is.
    #[serde(flatten)]
    pub id: FileId,
}

impl LinkedFile {
    /// Files kept of a container; further ones are left out.
    pub const MAX: usize = 64;
}

/// What the engine asks of the resolver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Find out about a container.
    Resolve(ResolveRequest),
    /// Its cgroup went: an answer is of no use any more.
    Forget(ResolveRequest),
}

/// What the resolver answers to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// What a runtime says of a container, asked for or not.
    Known(Box<RuntimeContainer>),
    /// No runtime knows it, or none that might answers. A later relist may still find it.
    Unknown(ResolveRequest),
    /// The files have changed that name the users in a container.
    Users {
        /// The path of its outermost cgroup.
        cgroup: String,
        /// What they say by now.
        users: Arc<Users>,
    },
    /// Which guarded files have several names.
    Linked {
        /// The path of the container's outermost cgroup; empty for the host.
        cgroup: String,
        /// All of them, at most [`LinkedFile::MAX`].
        files: Vec<LinkedFile>,
    },
}
