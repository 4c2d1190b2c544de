//! Who did it: gives each event its container and its process, and holds it until the container has a name.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use ethogram_model::{Container, Event, Header, Users, schema::Role};
use rustc_hash::FxHashMap;

use crate::{
    FoundProcess,
    concerned::{self, Concerned, Tally},
    containers::{
        entry::{self, Arrival, Origin, UNCONFIRMED},
        runtime::{Ask, Resolution, ResolveRequest},
        services::Services,
        table::{Change, ContainerTable, Lookup},
        walk::Walk,
    },
    processes::Processes,
    share::Share,
};

/// How long an event waits for its container's name.
const PATIENCE_NS: u64 = 2_000_000_000;
/// Events that may wait; beyond, those of the cgroup that has most of them go on without a name.
const MAX_HELD: usize = 16_384;
/// How many go on then at least.
const MADE_ROOM: u32 = 256;
/// Requests remembered so that they can be called off; beyond, all are forgotten, and the resolver gives them up itself.
const MAX_ASKED: usize = 16_384;

/// What is known of containers and processes.
pub struct Identity {
    /// Which container each cgroup belongs to.
    pub containers: ContainerTable,
    services: Services,
    /// What users and groups are called on the host.
    pub host_users: Option<Arc<Users>>,
    processes: Processes,
    /// The trackers that keep these tables, by name.
    roles: FxHashMap<Arc<str>, Role>,
    /// What was found so far by the walk at hand.
    walk: Walk,
    held: VecDeque<Held>,
    /// How many events of each cgroup wait: none may overtake another.
    waiting: FxHashMap<u64, u32>,
    asked: FxHashMap<u64, ResolveRequest>,
    /// Outermost cgroups of containers that came since the last [`Identity::take_arrived`].
    arrived: Vec<u64>,
    /// Containers that came with their cgroup since the last [`Identity::take_created`].
    created: Vec<Arc<Container>>,
    nameless: u64,
    /// Of which cgroups, since the last [`Identity::take_concerned`].
    nameless_of: Tally<u64>,
}

struct Held {
    event: Event,
    cgroup: u64,
    due_ns: u64,
}

/// An event that is ready to go on, and where it belongs.
pub struct Identified {
    /// The event, with its context.
    pub event: Event,
    /// The id of its cgroup.
    pub cgroup: u64,
    /// Where that cgroup belongs.
    pub lookup: Lookup,
}

impl Identity {
    /// Nothing known yet. `roles` names the trackers that report cgroups and processes.
    pub fn new(roles: impl IntoIterator<Item = (Arc<str>, Role)>) -> Self {
        Self {
            containers: ContainerTable::default(),
            services: Services::default(),
            host_users: None,
            processes: Processes::default(),
            roles: roles.into_iter().collect(),
            walk: Walk::default(),
            held: VecDeque::new(),
            waiting: FxHashMap::default(),
            asked: FxHashMap::default(),
            arrived: Vec::new(),
            created: Vec::new(),
            nameless: 0,
            nameless_of: Tally::default(),
        }
    }

    /// Learns from an event, and gives it its context. Events that are ready are added to `ready`, in order.
    pub fn take(&mut self, mut event: Event, ready: &mut Vec<Identified>, asks: &mut Vec<Ask>) {
        let subject = event.header();
        let role = self.roles.get(&event.schema.tracker).copied();
        if role == Some(Role::Containers) {
            self.learn_cgroup(&event, &subject, asks);
        }
        let lookup = self.containers.lookup(subject.cgroup);
        let container = self.containers.outermost(subject.cgroup, &lookup);
        if role == Some(Role::Lineage) {
            self.learn_process(&event, &subject, container);
        }
        event.context.process = self.processes.judged(&event, &subject, container);
        if role == Some(Role::Lineage) && &*event.schema.name == "exit" {
            self.processes.on_exit(&subject, event.time_ns);
        }
        if is_settled(&lookup) && !self.waiting.contains_key(&subject.cgroup) {
            ready.push(self.finished(event, subject.cgroup, lookup));
            return;
        }
        let due_ns = event.time_ns.saturating_add(PATIENCE_NS);
        *self.waiting.entry(subject.cgroup).or_default() += 1;
        self.held.push_back(Held { event, cgroup: subject.cgroup, due_ns });
        if self.held.len() > MAX_HELD {
            self.release_some(ready);
        }
    }

    /// Takes in what the resolver found out, and releases what waited for it.
    pub fn on_resolution(&mut self, resolution: Resolution, ready: &mut Vec<Identified>) -> Option<Change> {
        let change = self.containers.on_resolution(resolution);
        self.release(ready, 0);
        change
    }

    /// Takes in some of the cgroups that a walk of the hierarchy found.
    pub fn on_cgroups(&mut self, some: Vec<(u64, String)>) {
        let room = Walk::LIMIT.saturating_sub(self.walk.cgroups.len());
        self.walk.cut |= some.len() > room;
        self.walk.cgroups.extend(some.into_iter().take(room));
    }

    /// Takes in to which users some of the cgroups belong that the walk at hand found.
    pub fn on_owners(&mut self, some: Vec<(u64, u32)>) {
        let room = Walk::LIMIT.saturating_sub(self.walk.owners.len());
        self.walk.owners.extend(some.into_iter().take(room));
    }

    /// The walk that began at `started_ns` is complete.
    pub fn on_walk(&mut self, cut: bool, started_ns: u64, now_ns: u64, asks: &mut Vec<Ask>) {
        let mut walk = std::mem::take(&mut self.walk);
        walk.cut |= cut;
        self.services.on_walk(&walk.cgroups, !walk.cut);
        let arrivals = self.containers.on_walk(&walk, started_ns, now_ns);
        self.arrived.extend(arrivals.iter().filter_map(|arrival| Some(arrival.container.as_ref()?.cgroup_id)));
        asks.extend(arrivals.into_iter().filter_map(|arrival| arrival.request).map(Ask::Resolve));
    }

    /// The outermost cgroups of containers that came since the last call.
    pub(crate) fn take_arrived(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.arrived.drain(..)
    }

    /// Containers that came with their cgroup since the last call.
    pub(crate) fn take_created(&mut self) -> impl Iterator<Item = Arc<Container>> + '_ {
        self.created.drain(..)
    }

    /// Releases what has waited long enough.
    pub fn on_tick(&mut self, now_ns: u64, ready: &mut Vec<Identified>) {
        self.release(ready, now_ns);
        self.containers.expire(now_ns);
    }

    /// Releases everything, as at the end.
    pub fn finish(&mut self, ready: &mut Vec<Identified>) {
        self.release(ready, u64::MAX);
    }

    /// Takes in processes that were there already.
    pub fn adopt(&mut self, found: Vec<FoundProcess>) {
        let containers = &mut self.containers;
        self.processes.adopt(found, |cgroup| {
            let lookup = containers.lookup(cgroup);
            containers.outermost(cgroup, &lookup)
        });
    }

    /// What was identified, and what could not be.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        let containers = self.containers.counters();
        BTreeMap::from([
            ("containers_seen", containers.containers_seen),
            ("cgroups_evicted", containers.evicted),
            ("cgroups_refused", containers.refused),
            ("cgroups_unknown", containers.unknown_lookups),
            ("events_nameless", self.nameless),
            ("processes_refused", self.processes.refused()),
        ])
    }

    /// Who had no room in the tables, or no name in time, since the last call. It changes no result.
    pub fn take_concerned(&mut self) -> Concerned {
        let mut nameless: BTreeMap<u64, u64> = BTreeMap::new();
        for (cgroup, count) in self.nameless_of.take() {
            // A container has many cgroups.
            let outermost = self.containers.described(cgroup).map_or(cgroup, |container| container.cgroup_id);
            *nameless.entry(outermost).or_default() += count;
        }
        let (processes, cgroups) = (self.processes.take_crowded(), self.containers.take_crowded());
        let named = |(share, count): (Share, u64)| (self.name(&share), count);
        let processes = processes.into_iter().map(named).collect();
        let nameless = nameless.into_iter().map(|(cgroup, count)| named((Share::Container(cgroup), count))).collect();
        let cgroups = cgroups.into_iter().map(|(share, n)| (share.clone(), (self.name(&share), n))).collect();
        Concerned { cgroups, processes, nameless, ..Concerned::default() }
    }

    /// Whose a share is, for people: a container by its name and workload, where they are known.
    pub fn name(&self, share: &Share) -> String {
        let container = match share {
            Share::Container(cgroup) => self.container_name(*cgroup),
            _ => None,
        };
        container.unwrap_or_else(|| share.to_string())
    }

    /// What the container is called that a cgroup is in; none where it is known to be in none.
    pub fn container_name(&self, cgroup: u64) -> Option<String> {
        self.containers.described(cgroup).map(concerned::name)
    }

    fn learn_cgroup(&mut self, event: &Event, subject: &Header, asks: &mut Vec<Ask>) {
        let Some(id) = event.get("cgroup.id").as_u64() else { return };
        match &*event.schema.name {
            "remove" => {
                self.containers.on_cgroup_removed(id, event.time_ns);
                self.services.on_removed(id);
                self.processes.on_cgroup_removed(id);
                if let Some(request) = self.asked.remove(&id) {
                    asks.push(Ask::Forget(request));
                }
            }
            _ => {
                let path = event.get("cgroup.path");
                self.services.on_cgroup(id, &path.to_text());
                let origin = self.origin(event, subject);
                let arrival = self.containers.on_cgroup_created(id, &path.to_text(), origin, event.time_ns);
                let container = arrival.as_ref().and_then(|arrival| arrival.container.as_ref());
                self.arrived.extend(container.map(|container| container.cgroup_id));
                if &*event.schema.name == "create" {
                    self.created.extend(container.cloned());
                }
                if let Some(Arrival { request: Some(request), .. }) = arrival {
                    if self.asked.len() >= MAX_ASKED {
                        self.asked.clear();
                    }
                    self.asked.insert(id, request.clone());
                    asks.push(Ask::Resolve(request));
                }
            }
        }
    }

    /// Where the directory comes from that an event tells of. One that is only entered was there before.
    fn origin(&mut self, event: &Event, subject: &Header) -> Origin {
        // Recordings of older agents do not say it.
        let owner = event.schema.field("cgroup.owner.id").and_then(|f| event.value(f).as_u64()).unwrap_or(0);
        let maker = match &*event.schema.name {
            "create" => {
                let lookup = self.containers.lookup(subject.cgroup);
                self.containers.outermost(subject.cgroup, &lookup)
            }
            _ => 0,
        };
        Origin { owner: owner as u32, maker }
    }

    fn learn_process(&mut self, event: &Event, subject: &Header, container: u64) {
        match &*event.schema.name {
            "fork" => self.processes.on_fork(event, subject, container),
            "exec" => self.processes.on_exec(event, subject, container),
            _ => {}
        }
    }

    /// Releases, in order, what is resolved by now or has waited until `now_ns`.
    fn release(&mut self, ready: &mut Vec<Identified>, now_ns: u64) {
        if self.held.is_empty() {
            return;
        }
        let mut kept = VecDeque::with_capacity(self.held.len());
        for held in std::mem::take(&mut self.held) {
            let lookup = self.containers.lookup(held.cgroup);
            let resolved = is_settled(&lookup);
            if resolved || held.due_ns <= now_ns {
                // Where it goes on without, the runtime did not answer in time.
                self.nameless += u64::from(!resolved);
                if !resolved {
                    self.nameless_of.add(held.cgroup, 1);
                }
                self.no_longer_waits(held.cgroup);
                ready.push(self.finished(held.event, held.cgroup, lookup));
            } else {
                kept.push_back(held);
            }
        }
        self.held = kept;
    }

    /// Makes room: those of the cgroup of which most wait go on without a name, and where all have few, the oldest.
    fn release_some(&mut self, ready: &mut Vec<Identified>) {
        let largest = self.waiting.iter().max_by_key(|(cgroup, n)| (**n, **cgroup)).filter(|(_, n)| **n > MADE_ROOM);
        let flooding = largest.map(|(cgroup, _)| *cgroup);
        let mut released = 0;
        for held in std::mem::take(&mut self.held) {
            let goes = flooding.map_or(released < MADE_ROOM, |cgroup| held.cgroup == cgroup);
            if !goes {
                self.held.push_back(held);
                continue;
            }
            released += 1;
            self.nameless += 1;
            self.nameless_of.add(held.cgroup, 1);
            let lookup = self.containers.lookup(held.cgroup);
            self.no_longer_waits(held.cgroup);
            ready.push(self.finished(held.event, held.cgroup, lookup));
        }
    }

    fn no_longer_waits(&mut self, cgroup: u64) {
        if let Some(n) = self.waiting.get_mut(&cgroup) {
            *n -= 1;
            if *n == 0 {
                self.waiting.remove(&cgroup);
            }
        }
    }

    /// The event with its container, and the names of the users there.
    fn finished(&self, mut event: Event, cgroup: u64, lookup: Lookup) -> Identified {
        event.context.users = match &lookup {
            Lookup::Container(container) => container.users.clone(),
            Lookup::Host => self.host_users.clone(),
            Lookup::Unknown => None,
        };
        match &lookup {
            Lookup::Container(container) => event.context.container = Some(Arc::clone(container)),
            Lookup::Host => event.context.service = Some(self.services.of(cgroup)),
            // It is judged, as what may run in a container.
            Lookup::Unknown => event.context.container = Some(Arc::new(entry::unconfirmed(cgroup, ""))),
        }
        Identified { event, cgroup, lookup }
    }
}

/// Whether more need not be known of a cgroup before its events go on.
fn is_settled(lookup: &Lookup) -> bool {
    match lookup {
        Lookup::Host => true,
        Lookup::Container(container) => container.is_resolved() || container.runtime == UNCONFIRMED,
        Lookup::Unknown => false,
    }
}
