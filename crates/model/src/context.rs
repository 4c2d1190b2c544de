//! In which container and process an event happened.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::Answers;

/// Who did it. Each part is absent until it is known, and on the host there is no container.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The container, found by cgroup id.
    pub container: Option<Arc<Container>>,
    /// The service of the host, found by cgroup id; none where a container did it, or services are not identified.
    pub service: Option<Arc<str>>,
    /// The process, found by pid and start time.
    pub process: Option<Arc<Process>>,
    /// What users and groups are called where it happened: in the container, or on the host.
    pub users: Option<Arc<Users>>,
    /// What tests of rules gave of the event's own arguments before secrets were masked in them.
    pub answers: Option<Arc<Answers>>,
}

/// What the numbers of users and groups are called, each at most [`Users::MAX`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// Names of users, by id.
    pub users: BTreeMap<u32, String>,
    /// Names of groups, by id.
    pub groups: BTreeMap<u32, String>,
}

impl Users {
    /// Names kept of either; further ones are left out.
    pub const MAX: usize = 1_024;
}

/// A container, as its cgroup and, later, its runtime show it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// The runtime's full id.
    pub id: String,
    /// The id of its outermost cgroup.
    pub cgroup_id: u64,
    /// `docker`, `containerd`, `cri-o` or `podman`.
    pub runtime: String,
    /// The name, once the runtime has reported it.
    pub name: Option<String>,
    /// The image, once the runtime has reported it.
    pub image: Option<Image>,
    /// Entrypoint and arguments, as configured.
    pub command: Vec<String>,
    /// Labels, at most [`Container::MAX_LABELS`].
    pub labels: BTreeMap<String, String>,
    /// The Kubernetes pod it belongs to.
    pub pod: Option<Pod>,
    /// Whether it runs with all privileges, once the runtime has reported it.
    #[serde(default)]
    pub privileged: Option<bool>,
    /// What of the host is mounted into it, at most [`Container::MAX_MOUNTS`].
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// When it was started, nanoseconds since the Unix epoch, once the runtime has reported it.
    #[serde(default)]
    pub started_ns: Option<u64>,
    /// What its `/etc/passwd` and `/etc/group` say, once they were read. For events, and not for every finding again.
    #[serde(skip)]
    pub users: Option<Arc<Users>>,
}

/// A place of the host, or a volume, in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is on the host.
    pub source: String,
    /// Where it is in the container.
    pub destination: String,
    /// Options, as the runtime reports them.
    pub mode: String,
    /// Whether the container may write there.
    pub writable: bool,
    /// How mounts below it are shared: `rprivate`, ...
    pub propagation: String,
}

impl Container {
    /// Mounts kept of a container; further ones are left out.
    pub const MAX_MOUNTS: usize = 64;
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

    /// Whether `given` is its name, its id, or at least four characters of the start of its id.
    pub fn answers_to(&self, given: &str) -> bool {
        Self::is_meant(&self.id, self.name.as_deref(), given)
    }

    /// The same of a container with that id and name.
    pub fn is_meant(id: &str, name: Option<&str>, given: &str) -> bool {
        name == Some(given) || id == given || (given.len() >= 4 && id.starts_with(given))
    }

    /// Whether the runtime has reported all that a finding and a profile need.
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

impl Image {
    /// Its name's repository and tag. A colon before a slash is a port's. Without tag and digest it is `latest`, as
    /// runtimes take it; an id in the place of a name has neither.
    pub fn repository_and_tag(&self) -> (Option<&str>, Option<&str>) {
        let (name, digest) =
            self.name.split_once('@').map_or((self.name.as_str(), None), |(name, digest)| (name, Some(digest)));
        if name.is_empty() || self.is_id(name) {
            return (None, None);
        }
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (Some(repository), Some(tag)),
            _ => (Some(name), digest.is_none().then_some("latest")),
        }
    }

    /// Whether a name is an image's id, whole or shortened.
    fn is_id(&self, name: &str) -> bool {
        /// Digits of an id as it is shown.
        const SHOWN: usize = 12;
        let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let own = self.digest.split_once(':').map_or("", |(_, digits)| digits);
        let is_own = name.len() >= 4 && own.starts_with(name);
        name.strip_prefix("sha256:").is_some_and(is_hex) || (is_hex(name) && (name.len() >= SHOWN || is_own))
    }
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Thread group id, in the host's pid namespace.
    pub pid: u32,
    /// When it started, nanoseconds since boot.
    pub start_ns: u64,
    /// The parent's pid, in the host's pid namespace.
    pub parent_pid: u32,
    /// Real user id.
    pub user_id: u32,
    /// Real group id.
    #[serde(default)]
    pub group_id: u32,
    /// The user who logged in, as the audit system keeps it; none for services.
    #[serde(default)]
    pub login_user_id: Option<u32>,
    /// Its pid in its own pid namespace; zero where that is not known.
    #[serde(default)]
    pub namespace_pid: u32,
    /// Whether it leads its process group, as what is typed into a shell does.
    #[serde(default)]
    pub is_group_leader: bool,
    /// What leads its session, where that is known.
    #[serde(default)]
    pub session_leader: Option<Arc<Exec>>,
    /// What it runs.
    pub exec: Arc<Exec>,
    /// What it ran before in its container, where it came in from outside: a script that becomes the service, for example.
    #[serde(default)]
    pub replaced: Option<Arc<Exec>>,
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
    /// The name by which it was called, at most fifteen bytes: it distinguishes the applets of a multi-call binary.
    pub name: String,
    /// Arguments, secrets masked.
    pub args: Vec<String>,
    /// The cgroup id of the container in which exec was called; zero on the host.
    pub container_cgroup: u64,
    /// Whether it is the first program of its container: what the runtime has put there, be it a script, an init or a wrapper.
    #[serde(default)]
    pub is_entrypoint: bool,
    /// Whether it runs in the process that the container was started with: its first program, or what that became.
    #[serde(default)]
    pub is_in_init: bool,
    /// Whether it is the container runtime's own: on its way into a container, or, on the host, the copy of itself in memory that it
    /// runs from.
    #[serde(default)]
    pub is_runtime: bool,
    /// The inode of the mount namespace in which exec was called; zero where that is not known.
    #[serde(default)]
    pub mount_namespace: u32,
    /// The current directory at exec.
    #[serde(default)]
    pub working_directory: String,
    /// The controlling terminal at exec; empty where there was none.
    #[serde(default)]
    pub terminal: String,
    /// Environment variables as `NAME=value`, secrets masked, where they are collected.
    #[serde(default)]
    pub environment: Vec<String>,
    /// Whether its file was written in the container and is not from the image.
    #[serde(default)]
    pub in_writable_layer: bool,
    /// Whether its file exists in memory only.
    #[serde(default)]
    pub in_memory: bool,
    /// Whether its file has no name: it was deleted, or made without one.
    #[serde(default)]
    pub is_unlinked: bool,
    /// Whether its file lies on a mount that can be written to, other than that of the root folder.
    #[serde(default)]
    pub is_on_writable_mount: bool,
    /// The file system that its file lies on: `overlay`, `tmpfs`; empty where that is not known.
    #[serde(default)]
    pub file_system: String,
    /// Whether `path` is cut.
    #[serde(default)]
    pub is_path_cut: bool,
    /// Whether `args` are cut.
    #[serde(default)]
    pub are_args_cut: bool,
    /// The script that it runs, where it is an interpreter that was given one; links not resolved.
    #[serde(default)]
    pub script: String,
    /// When its file's content changed last, nanoseconds since the Unix epoch; zero where that is not known.
    #[serde(default)]
    pub file_modified_ns: u64,
    /// When its file's content or attributes changed last, nanoseconds since the Unix epoch; zero where that is not known.
    #[serde(default)]
    pub file_changed_ns: u64,
    /// When it called exec, nanoseconds since the Unix epoch; zero where that was not seen. For judging alone.
    #[serde(skip)]
    pub called_ns: u64,
    /// When the process that called exec was started, nanoseconds since boot, to the tick where procfs says it; zero where that is
    /// not known. With the pid it is the same process for as long as that runs. For judging alone.
    #[serde(skip)]
    pub start_ns: u64,
    /// By which way it came into its container. For judging alone.
    #[serde(skip)]
    pub entry: Entry,
    /// What profiles call it as one that acts. For judging alone.
    #[serde(skip)]
    pub actor: ActorName,
    /// What tests of rules gave of its arguments and variables before secrets were masked in them. For judging alone.
    #[serde(skip)]
    pub answers: Option<Arc<Answers>>,
}

/// What a program is called as one that acts, found out once and not for each event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ActorName {
    /// Not found out.
    #[default]
    Unknown,
    /// As its path.
    Path,
    /// Otherwise.
    Other(Box<str>),
}

/// By which way a program came into its container, with all that it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Entry {
    /// It is part of what the container was started with, or nothing else is known of it.
    #[default]
    Service,
    /// It was started from outside: `docker exec`, a health check.
    Outside,
    /// A server for logins started it for a user.
    Login,
}

impl Exec {
    /// Whether its start was seen, and with that whether it is what its container was started with. Recordings of older agents
    /// do not say.
    pub fn was_seen_to_start(&self) -> bool {
        self.called_ns != 0 && self.mount_namespace != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_a_repository_and_a_tag_unless_they_are_named_by_id() {
        let id = "225a5be960a2c0f1e2d3b4a5968778695a4b3c2d1e0f112233445566778899aa";
        for (name, wanted) in [
            ("nginx:1.27", (Some("nginx"), Some("1.27"))),
            ("nginx", (Some("nginx"), Some("latest"))),
            ("host:5000/a/b", (Some("host:5000/a/b"), Some("latest"))),
            ("host:5000/a/b:2", (Some("host:5000/a/b"), Some("2"))),
            ("nginx@sha256:225a5be960a2", (Some("nginx"), None)),
            ("nginx:1@sha256:225a5be960a2", (Some("nginx"), Some("1"))),
            ("sha256:225a5be960a2", (None, None)),
            (id, (None, None)),
            ("225a5be960a2", (None, None)),
            ("225a5", (None, None)),
            ("cafe", (Some("cafe"), Some("latest"))),
            ("", (None, None)),
        ] {
            let image = Image { name: name.into(), digest: format!("sha256:{id}") };
            assert_eq!(image.repository_and_tag(), wanted, "{name}");
        }
    }
}
