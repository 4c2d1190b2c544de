//! Which container each cgroup belongs to. The engine's thread owns it: no lock, no clock, no I/O.
//!
//! A cgroup's path says which container it may be. What it is, the runtime's answer and the directory's owner decide: see
//! [`super::entry`]. Where a table is full, who has the largest share of it gives way.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    sync::Arc,
};

use ethogram_model::{Container, Users};
use rustc_hash::FxHashMap;

use super::{
    cgroup::{self, CgroupContainer},
    entry::{self, Arrival, Entry, Origin, Standing, described},
    runtime::{Resolution, ResolveRequest, RuntimeContainer, candidate_key},
    walk::Walk,
};
use crate::share::{Share, Shares};

/// The cgroups of the hierarchy, and the containers they make up.
#[derive(Debug)]
pub struct ContainerTable {
    cgroups: FxHashMap<u64, Slot>,
    containers: FxHashMap<Key, Entry>,
    /// The containers of each [`ResolveRequest::key`]: a restarted one keeps its id and gets a new cgroup.
    by_name: FxHashMap<String, BTreeSet<Key>>,
    /// The newest container of each path of an outermost cgroup.
    by_path: FxHashMap<String, Key>,
    /// What each share holds of the cgroups, and of the containers that no runtime has confirmed.
    cgroup_shares: Shares<u64>,
    container_shares: Shares<Key>,
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
    /// Containers and candidates, those just removed included. About two kilobytes each with their labels.
    pub containers: usize,
    /// How long a removed cgroup still resolves, nanoseconds: events that were on the way belong to it.
    pub grace_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cgroups: Walk::LIMIT, containers: 16_384, grace_ns: 5_000_000_000 }
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
    /// The cgroup was never seen or had no room, or its runtime has not said yet whether it is a container's.
    Unknown,
}

/// What a runtime's word changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The container as it is known now.
    pub container: Arc<Container>,
    /// Whether its cgroup was only a candidate until now.
    pub is_new: bool,
}

#[derive(Debug, Clone)]
struct Slot {
    container: Option<Key>,
    created_ns: u64,
    removed_ns: Option<u64>,
    share: Share,
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
            by_path: FxHashMap::default(),
            cgroup_shares: Shares::default(),
            container_shares: Shares::default(),
            leaving: VecDeque::new(),
            early: VecDeque::new(),
            next_key: 0,
            limits,
            counters: TableCounters::default(),
        }
    }

    /// A cgroup came, or was found to be there. Telling it twice does nothing. The answer is there where it is the
    /// outermost one of a container or candidate.
    pub fn on_cgroup_created(&mut self, id: u64, path: &str, origin: Origin, now_ns: u64) -> Option<Arrival> {
        self.expire(now_ns);
        let found = cgroup::parse(path);
        if let Some(slot) = self.cgroups.get(&id) {
            if slot.removed_ns.is_none() && self.is_same(slot, found.as_ref()) {
                return None;
            }
            self.forget(id);
        }
        let share = origin.share().unwrap_or_else(|| {
            let parent = || path.rsplit_once('/').map_or("", |(parent, _)| parent);
            Share::Below(found.as_ref().map_or_else(parent, |found| found.outermost).into())
        });
        if !self.make_room(&share) {
            return None;
        }
        let mut slot = Slot { container: None, created_ns: now_ns, removed_ns: None, share: share.clone() };
        let mut arrival = None;
        if let Some(found) = found {
            let is_outermost = found.outermost == path;
            let at_path = self.by_path.get(found.outermost).copied();
            let current = at_path.filter(|key| !is_outermost || !self.has_outermost(*key));
            let key = match current {
                Some(key) => key,
                None => self.add(id, &found, origin, is_outermost)?,
            };
            slot.container = Some(key);
            if let Some(entry) = self.containers.get_mut(&key) {
                entry.members += 1;
                if is_outermost && !entry.outermost_seen {
                    entry.outermost_seen = true;
                    Arc::make_mut(&mut entry.container).cgroup_id = id;
                }
                // A nested cgroup of a container not seen before makes it known as well.
                arrival = (current.is_none() || is_outermost).then(|| entry.arrival(current.is_none()));
            }
        }
        self.cgroup_shares.insert(&share, id);
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
        let mut arrivals = Vec::new();
        for (id, path) in &walk.cgroups {
            let origin = Origin { owner: walk.owners.get(id).copied().unwrap_or(0), maker: 0 };
            arrivals.extend(self.on_cgroup_created(*id, path, origin, now_ns));
        }
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
            Resolution::Users { cgroup, users } => self.on_users(&cgroup, users),
            // It changes nothing of the container.
            Resolution::Linked { .. } => None,
        }
    }

    /// A runtime reported a container. Returns the change, where there was one.
    pub fn on_runtime(&mut self, info: RuntimeContainer) -> Option<Change> {
        let as_candidate = info.namespace.as_ref().map(|namespace| candidate_key(namespace, &info.id));
        let names = [Some(&info.id), as_candidate.as_ref()];
        let named = names.into_iter().flatten().filter_map(|name| self.by_name.get(name));
        let keys: Vec<Key> = named.flatten().copied().collect();
        let bound = self.bound(&keys, info.cgroup.as_deref());
        // Others that only bear its name are not that container.
        for key in keys.iter().filter(|key| Some(**key) != bound) {
            let is_said = info.cgroup.is_some() && self.is_there(*key);
            if let Some(entry) = self.containers.get_mut(key)
                && entry.standing != Standing::Unconfirmed
                && (entry.is_doubtful || is_said)
            {
                entry.turn_down();
            }
        }
        let Some(key) = bound else {
            self.keep_early(info);
            return None;
        };
        let entry = self.containers.get_mut(&key)?;
        let is_new = entry.standing != Standing::Container;
        if !entry.is_bound {
            self.container_shares.remove(&entry.share, key);
        }
        let before = Arc::clone(&entry.container);
        entry.describe(info);
        if is_new {
            self.counters.containers_seen += 1;
        } else if entry.container == before {
            // What others hold goes on being the same.
            entry.container = before;
            return None;
        }
        Some(Change { container: Arc::clone(&entry.container), is_new })
    }

    /// The id of the container's outermost cgroup that has this path.
    pub fn at(&self, cgroup: &str) -> Option<u64> {
        Some(self.containers.get(self.by_path.get(cgroup)?)?.container.cgroup_id)
    }

    /// Its users have other names by now. Returns the change, where there was one.
    fn on_users(&mut self, cgroup: &str, users: Arc<Users>) -> Option<Change> {
        let entry = self.by_path.get(cgroup).and_then(|key| self.containers.get_mut(key))?;
        if entry.standing != Standing::Container || entry.container.users.as_ref() == Some(&users) {
            return None;
        }
        entry.container = Arc::new(Container { users: Some(users), ..Container::clone(&entry.container) });
        Some(Change { container: Arc::clone(&entry.container), is_new: false })
    }

    /// Which of the containers that bear its name is the one of which a runtime says that it is in that cgroup.
    fn bound(&self, keys: &[Key], cgroup: Option<&str>) -> Option<Key> {
        let all = || keys.iter().filter_map(|key| Some((*key, self.containers.get(key)?)));
        let is_there = |entry: &Entry| self.is_alive(entry);
        let at_its_place = all().filter(|(_, entry)| cgroup.is_some_and(|path| entry.has(path)));
        let best = at_its_place.max_by_key(|(key, entry)| (is_there(entry), *key));
        // A directory of the host's own is believed where the runtime does not say, or its first process has moved away.
        let of_the_host = || all().filter(|(_, entry)| !entry.is_doubtful);
        let best = best.or_else(|| of_the_host().max_by_key(|(key, entry)| (is_there(entry), entry.is_bound, *key)));
        best.map(|(key, _)| key)
    }

    /// The runtimes know no such container. Where only its cgroup's place made it one, it is the host's.
    pub fn on_unknown(&mut self, request: &ResolveRequest) {
        let key = match self.by_path.get(&request.cgroup) {
            Some(key) => Some(*key),
            // Recordings of older agents do not say which cgroup it was.
            None => self.by_name.get(&request.key()).and_then(|keys| keys.last().copied()),
        };
        let entry = key.and_then(|key| self.containers.get_mut(&key)).filter(|e| e.request.key() == request.key());
        if let Some(entry) = entry.filter(|e| e.standing == Standing::Candidate) {
            entry.turn_down();
        }
    }

    /// Where a cgroup belongs.
    pub fn lookup(&mut self, cgroup_id: u64) -> Lookup {
        let Some(slot) = self.cgroups.get(&cgroup_id) else {
            self.counters.unknown_lookups += 1;
            return Lookup::Unknown;
        };
        let Some(key) = slot.container else { return Lookup::Host };
        // One that had to make room is not the host's for that.
        let Some(entry) = self.containers.get(&key) else {
            self.counters.unknown_lookups += 1;
            return Lookup::Unknown;
        };
        match entry.standing {
            Standing::Container | Standing::Unconfirmed => Lookup::Container(entry.container.clone()),
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

    /// What is known of what a cgroup is in, be it a container or what may be one.
    pub(crate) fn described(&self, cgroup_id: u64) -> Option<&Container> {
        let entry = self.containers.get(&self.cgroups.get(&cgroup_id)?.container?)?;
        (entry.standing != Standing::Host).then(|| &*entry.container)
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

    /// Who was refused or had to make room since the last call, and how often.
    pub fn take_crowded(&mut self) -> BTreeMap<Share, u64> {
        let mut crowded = self.cgroup_shares.take_crowded();
        for (share, count) in self.container_shares.take_crowded() {
            *crowded.entry(share).or_default() += count;
        }
        crowded
    }

    fn is_alive(&self, entry: &Entry) -> bool {
        self.cgroups.get(&entry.container.cgroup_id).is_some_and(|slot| slot.removed_ns.is_none())
    }

    fn is_there(&self, key: Key) -> bool {
        self.containers.get(&key).is_some_and(|entry| self.is_alive(entry))
    }

    fn has_outermost(&self, key: Key) -> bool {
        self.containers.get(&key).is_some_and(|entry| entry.outermost_seen)
    }

    /// Whether a cgroup's new path leads to the container that it is in already.
    fn is_same(&self, slot: &Slot, found: Option<&CgroupContainer<'_>>) -> bool {
        let known = slot.container.and_then(|key| self.containers.get(&key)).map(|e| e.request.cgroup.as_str());
        // One whose container had to make room tries anew.
        known == found.map(|found| found.outermost) && known.is_some() == slot.container.is_some()
    }

    fn add(&mut self, id: u64, found: &CgroupContainer<'_>, origin: Origin, outermost_seen: bool) -> Option<Key> {
        let parent = found.outermost.rsplit_once('/').map_or("", |(parent, _)| parent);
        let share = origin.share().unwrap_or_else(|| Share::Below(parent.into()));
        while self.containers.len() >= self.limits.containers {
            let Some((_, key)) = self.container_shares.give_way(&share) else {
                self.counters.refused += 1;
                return None;
            };
            self.remove(key);
            self.counters.refused += 1;
        }
        let request = entry::request(found, origin);
        let name = request.key();
        let is_doubtful = request.is_foreign() || found.is_weak;
        let (mut standing, mut is_bound) = (Standing::Candidate, false);
        let mut container = entry::bare(&request, id);
        if request.candidate_in.is_none() && !is_doubtful {
            standing = Standing::Container;
            // A restarted container keeps what is known of it. A candidate does not: its id may be another's now.
            let before = self.by_path.get(found.outermost).and_then(|key| self.containers.get(key));
            if let Some(before) = before.filter(|e| e.standing == Standing::Container && e.request.key() == name) {
                is_bound = before.is_bound;
                container = Container { cgroup_id: id, ..Container::clone(&before.container) };
            } else if let Some(info) = self.take_early(&name, found.outermost) {
                is_bound = true;
                container = described(&container, info);
            }
            self.counters.containers_seen += 1;
        }
        let key = self.next_key;
        self.next_key += 1;
        self.by_name.entry(name).or_default().insert(key);
        self.by_path.insert(found.outermost.to_owned(), key);
        if !is_bound {
            self.container_shares.insert(&share, key);
        }
        let (container, is_weak) = (Arc::new(container), found.is_weak);
        let entry =
            Entry { container, request, standing, is_doubtful, is_weak, is_bound, outermost_seen, members: 0, share };
        self.containers.insert(key, entry);
        Some(key)
    }

    /// Forgets a container. Its cgroups belong to none that is known then.
    fn remove(&mut self, key: Key) {
        let Some(entry) = self.containers.remove(&key) else { return };
        self.container_shares.remove(&entry.share, key);
        let name = entry.request.key();
        if let Some(keys) = self.by_name.get_mut(&name) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_name.remove(&name);
            }
        }
        if self.by_path.get(&entry.request.cgroup) == Some(&key) {
            self.by_path.remove(&entry.request.cgroup);
        }
    }

    fn keep_early(&mut self, info: RuntimeContainer) {
        self.early.retain(|known| known.id != info.id || known.namespace != info.namespace);
        if self.early.len() >= Self::MAX_EARLY {
            self.early.pop_front();
        }
        self.early.push_back(info);
    }

    fn take_early(&mut self, id: &str, path: &str) -> Option<RuntimeContainer> {
        let is_it = |info: &RuntimeContainer| info.id == id && info.cgroup.as_deref().is_none_or(|c| c == path);
        let position = self.early.iter().position(is_it)?;
        self.early.remove(position)
    }

    /// Whether there is room for one more cgroup; one that is about to be forgotten anyway makes some, then the largest share.
    fn make_room(&mut self, share: &Share) -> bool {
        while self.cgroups.len() >= self.limits.cgroups {
            if let Some((id, removed_ns)) = self.leaving.front().copied() {
                self.forget_next_leaving(id, removed_ns);
                self.counters.evicted += 1;
                continue;
            }
            self.counters.refused += 1;
            let Some((_, id)) = self.cgroup_shares.give_way(share) else { return false };
            self.forget(id);
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
        let Some(slot) = self.cgroups.remove(&id) else { return };
        self.cgroup_shares.remove(&slot.share, id);
        let Some(key) = slot.container else { return };
        let Some(entry) = self.containers.get_mut(&key) else { return };
        entry.members = entry.members.saturating_sub(1);
        if entry.members == 0 {
            self.remove(key);
        }
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
