//! Which container each cgroup belongs to. The engine's thread owns it: no lock, no clock, no I/O.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use ethogram_model::Container;
use rustc_hash::FxHashMap;

use super::{
    cgroup::{self, CgroupContainer},
    runtime::{Resolution, ResolveRequest, RuntimeContainer, candidate_key},
    walk::Walk,
};

/// The cgroups of the hierarchy, and the containers they make up.
#[derive(Debug)]
pub struct ContainerTable {
    cgroups: FxHashMap<u64, Slot>,
    containers: FxHashMap<Key, Entry>,
    /// The newest container of each [`ResolveRequest::key`]: a restarted one keeps its id and gets a new cgroup.
    by_name: FxHashMap<String, Key>,
    /// Removed cgroups in the order they went, and when.
    leaving: VecDeque<(u64, u64)>,
    /// What runtimes reported about containers whose cgroup is not there yet.
    early: VecDeque<RuntimeContainer>,
    next_key: u64,
    limits: Limits,
    counters: TableCounters,
}

type Key = u64;

/// How much the table keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Cgroups, those just removed included. About 50 bytes each.
    pub cgroups: usize,
    /// Containers and candidates, those just removed included. About a kilobyte each with their labels.
    pub containers: usize,
    /// How long a removed cgroup still resolves, nanoseconds: events that were on the way belong to it.
    pub grace_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cgroups: Walk::LIMIT, containers: 8192, grace_ns: 5_000_000_000 }
    }
}

/// What happened in the table so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableCounters {
    /// Containers that came.
    pub containers_seen: u64,
    /// Removed cgroups forgotten before their grace was over, to make room.
    pub evicted: u64,
    /// Cgroups not taken up because there was no room.
    pub refused: u64,
    /// Lookups of a cgroup that is not known, or not known yet to be a container's.
    pub unknown_lookups: u64,
}

/// Where a cgroup belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// To no container.
    Host,
    /// To this container.
    Container(Arc<Container>),
    /// The cgroup was never seen, or its runtime was not heard yet on whether it is a container's.
    Unknown,
}

/// A cgroup that came is a container's outermost one, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The container as far as it is known; none while it is a candidate.
    pub container: Option<Arc<Container>>,
    /// What to ask the resolver; none where the runtime has reported all already.
    pub request: Option<ResolveRequest>,
}

/// What a runtime's word changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The container as it is known now.
    pub container: Arc<Container>,
    /// Whether its cgroup was only a candidate until now.
    pub is_new: bool,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    container: Option<Key>,
    created_ns: u64,
    removed_ns: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    container: Arc<Container>,
    request: ResolveRequest,
    standing: Standing,
    /// Whether `container.cgroup_id` is the outermost cgroup, and not the first nested one that was seen.
    outermost_seen: bool,
    /// Cgroups that refer to it.
    members: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Container,
    /// Waits for the runtime's word.
    Candidate,
    /// The runtime does not know it. It may yet: a runtime that was away may come back.
    Host,
}

impl Default for ContainerTable {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl ContainerTable {
    /// What is kept of containers that have no cgroup yet.
    const MAX_EARLY: usize = 64;

    /// An empty table.
    pub fn new(limits: Limits) -> Self {
        Self {
            cgroups: FxHashMap::default(),
            containers: FxHashMap::default(),
            by_name: FxHashMap::default(),
            leaving: VecDeque::new(),
            early: VecDeque::new(),
            next_key: 0,
            limits,
            counters: TableCounters::default(),
        }
    }

    /// A cgroup came, or was found to be there. Telling it twice does nothing. The answer is there where it is the
    /// outermost one of a container or candidate.
    pub fn on_cgroup_created(&mut self, id: u64, path: &str, now_ns: u64) -> Option<Arrival> {
        self.expire(now_ns);
        let found = cgroup::parse(path);
        if let Some(slot) = self.cgroups.get(&id).copied() {
            if slot.removed_ns.is_none() && self.is_same(slot, found.as_ref()) {
                return None;
            }
            self.forget(id);
        }
        if !self.make_room() {
            return None;
        }
        let mut slot = Slot { container: None, created_ns: now_ns, removed_ns: None };
        let mut arrival = None;
        if let Some(found) = found {
            let is_outermost = found.outermost == path;
            let request = request(&found);
            let current =
                self.by_name.get(&request.key()).copied().filter(|key| !is_outermost || !self.has_outermost(*key));
            let key = match current {
                Some(key) => key,
                None => self.add(id, request, is_outermost)?,
            };
            slot.container = Some(key);
            if let Some(entry) = self.containers.get_mut(&key) {
                entry.members += 1;
                if is_outermost && !entry.outermost_seen {
                    entry.outermost_seen = true;
                    Arc::make_mut(&mut entry.container).cgroup_id = id;
                }
                // A nested cgroup of a container not seen before makes it known as well.
                arrival = (current.is_none() || is_outermost).then(|| entry.arrival());
            }
        }
        self.cgroups.insert(id, slot);
        arrival
    }

    /// A cgroup went. The answer is there where a container went with it, which still resolves for the time of grace.
    pub fn on_cgroup_removed(&mut self, id: u64, now_ns: u64) -> Option<Arc<Container>> {
        self.expire(now_ns);
        let slot = self.cgroups.get_mut(&id).filter(|slot| slot.removed_ns.is_none())?;
        slot.removed_ns = Some(now_ns);
        let key = slot.container;
        self.leaving.push_back((id, now_ns));
        let entry = self.containers.get(&key?)?;
        (entry.standing == Standing::Container && entry.container.cgroup_id == id).then(|| entry.container.clone())
    }

    /// Takes in what a walk of the hierarchy found, whose beginning was at `started_ns`: at the start, and later to make
    /// up for lost events. What came since it began is left as it is.
    pub fn on_walk(&mut self, walk: &Walk, started_ns: u64, now_ns: u64) -> Vec<Arrival> {
        let arrivals = walk.cgroups.iter().filter_map(|(id, path)| self.on_cgroup_created(*id, path, now_ns)).collect();
        if !walk.cut {
            let there: HashSet<u64> = walk.cgroups.iter().map(|(id, _)| *id).collect();
            let is_gone = |(id, slot): (&u64, &Slot)| {
                (slot.removed_ns.is_none() && slot.created_ns < started_ns && !there.contains(id)).then_some(*id)
            };
            for id in self.cgroups.iter().filter_map(is_gone).collect::<Vec<_>>() {
                self.on_cgroup_removed(id, now_ns);
            }
        }
        arrivals
    }

    /// Takes in what the resolver found out.
    pub fn on_resolution(&mut self, resolution: Resolution) -> Option<Change> {
        match resolution {
            Resolution::Known(info) => self.on_runtime(*info),
            Resolution::Unknown(request) => {
                self.on_unknown(&request);
                None
            }
        }
    }

    /// A runtime reported a container. Returns the change, where there was one.
    pub fn on_runtime(&mut self, info: RuntimeContainer) -> Option<Change> {
        let as_candidate = info.namespace.as_ref().map(|namespace| candidate_key(namespace, &info.id));
        let key = self.by_name.get(&info.id).or_else(|| self.by_name.get(&as_candidate?)).copied();
        let Some(entry) = key.and_then(|key| self.containers.get_mut(&key)) else {
            self.keep_early(info);
            return None;
        };
        let is_new = entry.standing != Standing::Container;
        entry.standing = Standing::Container;
        let described = described(&entry.container, info);
        if is_new {
            self.counters.containers_seen += 1;
        } else if *entry.container == described {
            return None;
        }
        entry.container = Arc::new(described);
        Some(Change { container: entry.container.clone(), is_new })
    }

    /// The runtimes know no such container. Where only its cgroup's place made it one, it is the host's.
    pub fn on_unknown(&mut self, request: &ResolveRequest) {
        let entry = self.by_name.get(&request.key()).and_then(|key| self.containers.get_mut(key));
        if let Some(entry) = entry.filter(|e| e.standing == Standing::Candidate) {
            entry.standing = Standing::Host;
        }
    }

    /// Where a cgroup belongs.
    pub fn lookup(&mut self, cgroup_id: u64) -> Lookup {
        let Some(slot) = self.cgroups.get(&cgroup_id) else {
            self.counters.unknown_lookups += 1;
            return Lookup::Unknown;
        };
        let Some(entry) = slot.container.and_then(|key| self.containers.get(&key)) else { return Lookup::Host };
        match entry.standing {
            Standing::Container => Lookup::Container(entry.container.clone()),
            Standing::Host => Lookup::Host,
            Standing::Candidate => {
                self.counters.unknown_lookups += 1;
                Lookup::Unknown
            }
        }
    }

    /// The outermost cgroup of the container that a cgroup is in, by what `lookup` said of it; zero on the host. Where that is not
    /// decided yet, it is that of what may be a container: should the runtime know it, its processes are inside.
    pub fn outermost(&self, cgroup_id: u64, lookup: &Lookup) -> u64 {
        match lookup {
            Lookup::Container(container) => container.cgroup_id,
            Lookup::Host => 0,
            Lookup::Unknown => {
                let key = self.cgroups.get(&cgroup_id).and_then(|slot| slot.container);
                key.and_then(|key| self.containers.get(&key)).map_or(cgroup_id, |entry| entry.container.cgroup_id)
            }
        }
    }

    /// The containers whose outermost cgroup is there, in no order.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.containers.values().filter(|e| e.standing == Standing::Container && self.is_alive(e)).map(|e| &e.container)
    }

    /// Forgets what was removed longer ago than the time of grace.
    pub fn expire(&mut self, now_ns: u64) {
        while let Some((id, removed_ns)) = self.leaving.front().copied() {
            if now_ns.saturating_sub(removed_ns) < self.limits.grace_ns {
                break;
            }
            self.forget_next_leaving(id, removed_ns);
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> TableCounters {
        self.counters
    }

    fn is_alive(&self, entry: &Entry) -> bool {
        self.cgroups.get(&entry.container.cgroup_id).is_some_and(|slot| slot.removed_ns.is_none())
    }

    fn has_outermost(&self, key: Key) -> bool {
        self.containers.get(&key).is_some_and(|entry| entry.outermost_seen)
    }

    /// Whether a cgroup's new path leads to the container that it is in already.
    fn is_same(&self, slot: Slot, found: Option<&CgroupContainer<'_>>) -> bool {
        let known = slot.container.and_then(|key| self.containers.get(&key)).map(|entry| entry.request.key());
        known == found.map(|f| request(f).key())
    }

    fn add(&mut self, cgroup_id: u64, request: ResolveRequest, outermost_seen: bool) -> Option<Key> {
        if self.containers.len() >= self.limits.containers {
            self.counters.refused += 1;
            return None;
        }
        let name = request.key();
        let mut standing = Standing::Candidate;
        let mut container = Container {
            id: request.id.clone(),
            cgroup_id,
            runtime: request.hint.as_str().to_owned(),
            ..Container::default()
        };
        if request.candidate_in.is_none() {
            standing = Standing::Container;
            // A restarted container keeps what is known of it. A candidate does not: its id may be another's now.
            if let Some(before) = self.by_name.get(&name).and_then(|key| self.containers.get(key)) {
                container = Container { cgroup_id, ..Container::clone(&before.container) };
            } else if let Some(info) = self.take_early(&name) {
                container = described(&container, info);
            }
            self.counters.containers_seen += 1;
        }
        let key = self.next_key;
        self.next_key += 1;
        self.by_name.insert(name, key);
        let entry = Entry { container: Arc::new(container), request, standing, outermost_seen, members: 0 };
        self.containers.insert(key, entry);
        Some(key)
    }

    fn keep_early(&mut self, info: RuntimeContainer) {
        self.early.retain(|known| known.id != info.id || known.namespace != info.namespace);
        if self.early.len() >= Self::MAX_EARLY {
            self.early.pop_front();
        }
        self.early.push_back(info);
    }

    fn take_early(&mut self, id: &str) -> Option<RuntimeContainer> {
        let position = self.early.iter().position(|info| info.id == id)?;
        self.early.remove(position)
    }

    /// Whether there is room for one more cgroup; one that is about to be forgotten anyway makes some.
    fn make_room(&mut self) -> bool {
        while self.cgroups.len() >= self.limits.cgroups {
            let Some((id, removed_ns)) = self.leaving.front().copied() else {
                self.counters.refused += 1;
                return false;
            };
            self.forget_next_leaving(id, removed_ns);
            self.counters.evicted += 1;
        }
        true
    }

    fn forget_next_leaving(&mut self, id: u64, removed_ns: u64) {
        self.leaving.pop_front();
        // The kernel may have given the id to another cgroup since.
        if self.cgroups.get(&id).is_some_and(|slot| slot.removed_ns == Some(removed_ns)) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: u64) {
        let Some(key) = self.cgroups.remove(&id).and_then(|slot| slot.container) else { return };
        let Some(entry) = self.containers.get_mut(&key) else { return };
        entry.members = entry.members.saturating_sub(1);
        if entry.members > 0 {
            return;
        }
        let name = entry.request.key();
        self.containers.remove(&key);
        if self.by_name.get(&name) == Some(&key) {
            self.by_name.remove(&name);
        }
    }
}

impl Entry {
    fn arrival(&self) -> Arrival {
        let container = (self.standing == Standing::Container).then(|| self.container.clone());
        let request = (!self.container.is_resolved()).then(|| self.request.clone());
        Arrival { container, request }
    }
}

fn request(found: &CgroupContainer<'_>) -> ResolveRequest {
    ResolveRequest {
        id: found.id.to_owned(),
        hint: found.hint,
        candidate_in: found.candidate_in.map(str::to_owned),
        cgroup: found.outermost.to_owned(),
    }
}

/// A container with all that its runtime answered.
fn described(known: &Container, info: RuntimeContainer) -> Container {
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

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
