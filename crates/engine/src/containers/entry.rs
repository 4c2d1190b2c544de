//! One container of the table: how sure it is, and what is known of it.

use std::{collections::BTreeMap, sync::Arc};

use ethogram_model::Container;

use super::{
    cgroup::CgroupContainer,
    runtime::{ResolveRequest, RuntimeContainer},
};
use crate::share::Share;

/// What stands for the runtime of a container that no runtime has confirmed.
pub const UNCONFIRMED: &str = "unknown";
/// The label that has the path of such a container's cgroup.
const PATH_LABEL: &str = "cgroup.path";
/// Bytes of that path.
const MAX_PATH: usize = 1024;

/// Where a cgroup's directory comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// The user that it or a cgroup above it belongs to; zero where all are root's.
    pub owner: u32,
    /// The outermost cgroup of the container that made it; zero where that was the host, and where that was not seen.
    pub maker: u64,
}

impl Origin {
    /// Whose share of the tables it takes; none where it is the host's own.
    pub(super) fn share(self) -> Option<Share> {
        match self {
            Self { owner: 0, maker: 0 } => None,
            Self { owner: 0, maker } => Some(Share::Container(maker)),
            Self { owner, .. } => Some(Share::User(owner)),
        }
    }
}

/// A cgroup that came is a container's outermost one, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The container as far as it is known; none while it is a candidate.
    pub container: Option<Arc<Container>>,
    /// What to ask the resolver: also of a container that the runtime reported before its cgroup came, as it is by the request that the
    /// container's files are followed.
    pub request: Option<ResolveRequest>,
}

/// A container, or what may be one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) container: Arc<Container>,
    pub(super) request: ResolveRequest,
    pub(super) standing: Standing,
    /// Whether its place says nothing: the directory is another's than the host's, or its name is no runtime's.
    pub(super) is_doubtful: bool,
    /// Whether its name is only an id, in the cgroup of a service.
    pub(super) is_weak: bool,
    /// Whether a runtime has said that it has it, and where.
    pub(super) is_bound: bool,
    /// Whether `container.cgroup_id` is the outermost cgroup, and not the first nested one that was seen.
    pub(super) outermost_seen: bool,
    /// Cgroups that refer to it.
    pub(super) members: u32,
    /// Whose share it takes as long as no runtime has confirmed it.
    pub(super) share: Share,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Container,
    /// Waits for the runtime's word.
    Candidate,
    /// The runtime does not know it. It may yet: a runtime that was away may come back.
    Host,
    /// Its name is that of a container, no runtime has one there, and it is not the host's own either.
    Unconfirmed,
}

impl Entry {
    /// A container that is there only now, or another cgroup of one that is known.
    pub(super) fn arrival(&self, is_new: bool) -> Arrival {
        let container = (self.standing == Standing::Container).then(|| Arc::clone(&self.container));
        let request = (is_new || !self.container.is_resolved()).then(|| self.request.clone());
        Arrival { container, request }
    }

    /// Whether that is the path of its outermost cgroup, or of one in it.
    pub(super) fn has(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.request.cgroup.as_str());
        !self.request.cgroup.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// No runtime has such a container there. Where its place was all that spoke for it, it goes by its cgroup alone.
    pub(super) fn turn_down(&mut self) {
        let is_only_named = self.request.candidate_in.is_some() || self.is_weak;
        self.is_bound = false;
        self.standing = if is_only_named { Standing::Host } else { Standing::Unconfirmed };
        if !is_only_named {
            self.container = Arc::new(unconfirmed(self.container.cgroup_id, &self.request.cgroup));
        }
    }

    /// The runtime has it, and says this of it.
    pub(super) fn describe(&mut self, info: RuntimeContainer) {
        let known = match self.standing {
            Standing::Unconfirmed => &bare(&self.request, self.container.cgroup_id),
            _ => &*self.container,
        };
        self.container = Arc::new(described(known, info));
        self.standing = Standing::Container;
        self.is_bound = true;
    }
}

/// A container of which nothing but its cgroup is known.
pub(super) fn bare(request: &ResolveRequest, cgroup_id: u64) -> Container {
    let (id, runtime) = (request.id.clone(), request.hint.as_str().to_owned());
    Container { id, cgroup_id, runtime, ..Container::default() }
}

/// What runs in a cgroup that may be a container's, though none is known there. Nothing in it but a label is text that who made
/// the cgroup has chosen.
pub(crate) fn unconfirmed(cgroup_id: u64, path: &str) -> Container {
    let name = format!("cgroup-{cgroup_id}");
    let end = (0..=MAX_PATH.min(path.len())).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0);
    let path = path.get(..end).filter(|path| !path.is_empty());
    Container {
        id: name.clone(),
        cgroup_id,
        runtime: UNCONFIRMED.to_owned(),
        name: Some(name),
        labels: path.map(|path| BTreeMap::from([(PATH_LABEL.to_owned(), path.to_owned())])).unwrap_or_default(),
        ..Container::default()
    }
}

pub(super) fn request(found: &CgroupContainer<'_>, origin: Origin) -> ResolveRequest {
    ResolveRequest {
        id: found.id.to_owned(),
        hint: found.hint,
        candidate_in: found.candidate_in.map(str::to_owned),
        cgroup: found.outermost.to_owned(),
        share: origin.share(),
    }
}

/// A container with all that its runtime answered.
pub(super) fn described(known: &Container, info: RuntimeContainer) -> Container {
    Container {
        id: known.id.clone(),
        cgroup_id: known.cgroup_id,
        runtime: info.runtime.as_str().to_owned(),
        name: Some(info.name),
        image: info.image,
        command: info.command,
        labels: info.labels,
        pod: info.pod,
        privileged: info.privileged,
        mounts: info.mounts,
        started_ns: info.started_ns,
        // They are read once it runs, and may come later than the rest.
        users: info.users.or_else(|| known.users.clone()),
    }
}
