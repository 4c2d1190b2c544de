//! Open incidents, and what joins a finding to one of them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use ethogram_model::{Event, Finding, Incident, Link, LinkKind, ObjectKind, Origin, Process, Severity, Value};

use super::{
    IncidentCounters,
    deed::{CLOSE_NS, Deed},
    graph::{Graph, Holds, Hop, Id, Member, Node},
    known::Shape,
    lineage::{ExecId, Lineage},
    score::Flow,
    trail::Trail,
};
use crate::{channels::behaviour::Behaviour, learning::Bits};

/// Incidents open at once; beyond, the coldest of the workload with most is closed.
pub(super) const MAX_OPEN: usize = 256;
/// Bytes of open incidents and what connects them.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// So many of them at once.
const AT_ONCE: usize = 16;
/// How long after a connection into a container what happens there may come of it. Nanoseconds.
const HOP_NS: u64 = 10_000_000_000;

/// All incidents that are open.
#[derive(Debug)]
pub(super) struct Joining {
    /// Bytes that all of it may take.
    max_bytes: usize,
    open: BTreeMap<Id, Deed>,
    pub(super) graph: Graph,
    next: Id,
    /// Those that ended since they were last taken.
    ended: Vec<(Incident, Shape)>,
    counters: IncidentCounters,
}

impl Default for Joining {
    fn default() -> Self {
        Self::new(MAX_BYTES)
    }
}

impl Joining {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            open: BTreeMap::new(),
            graph: Graph::default(),
            next: 0,
            ended: Vec::new(),
            counters: IncidentCounters::default(),
        }
    }

    /// A finding was raised by an event; by none where the agent itself is concerned. `init` is the pid of what the event's
    /// container was started with, where that is known; from `medium_bits` on one that begins is of medium severity.
    pub(super) fn take(&mut self, finding: &Finding, event: Option<&Event>, init: Option<u32>, medium_bits: f64) -> Id {
        let now_ns = event.map_or(finding.last_seen_ns, |event| event.time_ns);
        let process = event.and_then(|event| event.context.process.as_deref()).or(finding.process.as_deref());
        let container = finding.container.as_deref();
        let mut lineage = process.map(|process| Lineage::of(process, container, init, now_ns));
        let cgroup = container.map_or(0, |container| container.cgroup_id);
        let mut found = match &mut lineage {
            Some(lineage) if !lineage.chain().is_empty() => self.connected(lineage, cgroup, now_ns),
            _ => self.alike(finding, now_ns).into_iter().collect(),
        };
        let id = match found.first() {
            Some(first) => first.node.incident,
            None => self.begin(finding, lineage.as_ref(), medium_bits),
        };
        for at in 1..found.len() {
            self.merge(id, &mut found, at);
        }
        self.add(id, finding, process, lineage.as_ref(), &found);
        if let Some(event) = event {
            self.learn_address(event);
            self.note(event, true);
        }
        self.make_room(now_ns);
        id
    }

    /// Goes on with one that was open when the agent stopped.
    pub(super) fn restore(&mut self, incident: &Incident, trail: &Trail) {
        let Some(connections) = &trail.connections else { return };
        let id = self.next;
        self.next += 1;
        self.open.insert(id, Deed::restored(incident, trail.shape.clone()));
        self.graph.restore(id, incident.steps.len(), connections);
        self.make_room(incident.last_seen_ns);
    }

    /// What is to be stored of those that are open besides, where that changed; at most so many, the oldest first.
    pub(super) fn take_trails(&mut self, most: usize) -> Vec<Trail> {
        let unsaved = self.graph.take_unsaved(most);
        let trail = |id: Id| {
            let Deed { incident, shape, .. } = self.open.get(&id)?;
            let connections = Some(self.graph.connections(id));
            Some(Trail { uid: incident.uid.clone(), shape: shape.clone(), connections })
        };
        unsaved.into_iter().filter_map(trail).collect()
    }

    /// One that is open.
    pub(super) fn incident(&self, id: Id) -> Option<&Incident> {
        self.open.get(&id).map(|deed| &deed.incident)
    }

    /// What connects a finding's process with open incidents, the oldest first; each incident once.
    fn connected(&self, lineage: &mut Lineage<'_>, cgroup: u64, now_ns: u64) -> Vec<Connection> {
        if self.graph.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<Connection> = Vec::new();
        let mut add = |node: Node, why: Why| {
            if found.iter().all(|known| known.node.incident != node.incident) {
                found.push(Connection { node, why });
            }
        };
        // Who was started for an incident belongs to it, however long that runs.
        let whole = lineage.above().map(|exec| ExecId::of(exec)).find_map(|exec| {
            let member = self.graph.member(exec).filter(|member| member.holds == Holds::Whole)?;
            Some((exec, member))
        });
        if let Some((exec, member)) = whole {
            lineage.begin_at(exec);
            add(member.node, Why::Lineage);
        }
        // A shell becomes the last program of its script, and its parent stays the same.
        let parents = lineage.above().next().into_iter().chain(lineage.chain().iter().copied());
        let parents: Vec<_> = parents.map(|exec| ExecId::of(exec)).collect();
        let offset = usize::from(parents.len() > lineage.chain().len());
        for (at, exec) in lineage.chain().iter().enumerate() {
            let parent = (at + offset).checked_sub(1).and_then(|parent| parents.get(parent)).copied();
            if let Some((_, member)) = self.graph.member_before(ExecId::of(exec), parent)
                && member.holds == Holds::Whole
            {
                add(member.node, Why::Lineage);
            }
        }
        for exec in lineage.chain().iter().rev() {
            let member = self.graph.member(ExecId::of(exec));
            if let Some(member) = member.filter(|member| self.still_holds(*member, lineage.origin, now_ns)) {
                let is_by_time = member.holds == Holds::AsStarter;
                add(member.node, if is_by_time { Why::Time } else { Why::Lineage });
            }
        }
        // A service that an attacker holds starts programs, too: what it starts right then.
        if let Some(member) = lineage.above().next().and_then(|above| self.graph.member(ExecId::of(above)))
            && member.holds == Holds::AsService
            && self.open.get(&member.node.incident).is_some_and(|deed| deed.is_recent(now_ns))
        {
            add(member.node, Why::Time);
        }
        for exec in lineage.chain() {
            for path in [exec.path.as_str(), exec.script.as_str()] {
                if let Some(writer) = self.graph.writer(cgroup, path) {
                    add(writer, Why::File(path.to_owned()));
                }
            }
        }
        // What is started from outside comes over no connection.
        let hop = self.graph.hop_into(cgroup, now_ns.saturating_sub(HOP_NS));
        if let Some(hop) = hop.filter(|_| lineage.origin != Origin::Entered) {
            add(hop.node, Why::Hop(hop.address));
        }
        found.sort_by_key(|connection| connection.node.incident);
        found
    }

    fn begin(&mut self, finding: &Finding, lineage: Option<&Lineage<'_>>, medium_bits: f64) -> Id {
        let id = self.next;
        self.next += 1;
        self.counters.begun += 1;
        self.open.insert(id, Deed::new(finding, lineage, medium_bits));
        id
    }

    /// An incident of the same kind, where it is not known what did it: that keeps a flood of them one incident.
    fn alike(&self, finding: &Finding, now_ns: u64) -> Option<Connection> {
        let is_alike = |deed: &Deed| {
            let Incident { origin, parts, workloads, .. } = &deed.incident;
            match origin {
                Origin::Agent => parts.iter().any(|part| part.analytic == finding.analytic),
                Origin::Unknown => workloads.contains(&finding.workload) && deed.is_warm(now_ns),
                _ => false,
            }
        };
        let (id, _) = self.open.iter().find(|(_, deed)| is_alike(deed))?;
        Some(Connection { node: Node { incident: *id, step: 0 }, why: Why::Lineage })
    }

    /// Another incident turns out to be the same deed: it becomes part of this one.
    fn merge(&mut self, into: Id, found: &mut [Connection], at: usize) {
        let Some(from) = found.get(at).map(|connection| connection.node.incident).filter(|from| *from != into) else {
            return;
        };
        let (Some(mut other), Some(deed)) = (self.open.remove(&from), self.open.get_mut(&into)) else { return };
        let before = deed.incident.steps.len();
        self.counters.merged += 1;
        self.graph.merge(from, into, before);
        for connection in found.iter_mut().filter(|connection| connection.node.incident == from) {
            connection.node = Node { incident: into, step: connection.node.step + before };
        }
        // Who follows it is told that it is over: it goes on as part of the other.
        if other.was_reported {
            other.incident.is_open = false;
            other.incident.merged_into = Some(deed.incident.uid.clone());
            self.ended.push((other.incident.clone(), Shape::default()));
        }
        deed.merge(other);
    }

    fn add(
        &mut self,
        id: Id,
        finding: &Finding,
        process: Option<&Process>,
        lineage: Option<&Lineage<'_>>,
        found: &[Connection],
    ) {
        let Self { open, graph, .. } = self;
        let Some(deed) = open.get_mut(&id) else { return };
        let mut step = None;
        let mut parent = lineage.and_then(|lineage| lineage.above().next()).map(|above| ExecId::of(above));
        for (at, exec) in lineage.iter().flat_map(|lineage| lineage.chain().iter().enumerate()) {
            let known = graph.member(ExecId::of(exec)).filter(|member| member.node.incident == id);
            let holds = match lineage.map(|lineage| lineage.origin) {
                // What was started for it is no service, however long it runs.
                _ if known.is_some_and(|member| member.holds == Holds::Whole) => Holds::Whole,
                Some(Origin::Service) if at == 0 => Holds::AsService,
                Some(Origin::Start) => Holds::AsStart,
                _ => Holds::Whole,
            };
            // When one was started that was there before the agent, only a stored step knows.
            let known = known.filter(|member| exec.called_ns == 0 && member.holds != Holds::AsStarter);
            let place = known.map(|member| member.node.step).filter(|place| deed.has_step(*place, exec));
            let place = place.unwrap_or_else(|| deed.step(exec, finding.place(), step, holds == Holds::AsService));
            let member = Member { node: Node { incident: id, step: place }, holds, parent };
            graph.add_program(ExecId::of(exec), member);
            (step, parent) = (Some(place), Some(ExecId::of(exec)));
            // A child that runs its parent's program is all of it that may be left.
            if let Some(child) = process.filter(|process| Arc::ptr_eq(&process.exec, exec)).and_then(ExecId::of_child) {
                graph.add_program(child, member);
            }
        }
        graph.touch(id);
        // What it does itself right then belongs to it, too.
        if let Some(lineage) = lineage.filter(|lineage| lineage.origin.is_by_a_service())
            && let Some(above) = lineage.above().next().map(|above| ExecId::of(above))
            && graph.member(above).is_none()
        {
            let node = Node { incident: id, step: 0 };
            graph.add_program(above, Member { node, holds: Holds::AsStarter, parent: None });
        }
        deed.add(finding, step);
        let Some(to) = step else { return };
        for Connection { node, why } in found {
            let (kind, by) = match why {
                Why::Lineage => continue,
                Why::Time => (LinkKind::Time, String::new()),
                Why::File(path) => (LinkKind::File, path.clone()),
                Why::Hop(address) => (LinkKind::Connection, address.to_string()),
            };
            let from = node.step.min(deed.incident.steps.len().saturating_sub(1));
            if from != to {
                deed.link(Link { kind, from, to, by }, Flow::of(kind));
            }
        }
    }

    /// Takes from an event what may connect an open incident with what comes: what it writes, and to whom it connects. Cheap
    /// where none is open.
    pub(super) fn observe(&mut self, event: &Event) {
        self.learn_address(event);
        if !self.graph.is_empty() {
            self.note(event, false);
        }
    }

    /// Of what a service does, only what was found belongs to an incident: it serves others meanwhile.
    fn note(&mut self, event: &Event, is_found: bool) {
        let Some(process) = event.context.process.as_deref() else { return };
        let Some(node) = self.node_of(process, is_found, event.time_ns) else { return };
        let cgroup = event.context.container.as_ref().map_or(0, |container| container.cgroup_id);
        for behaviour in Behaviour::of(event) {
            match behaviour.kind {
                ObjectKind::Path | ObjectKind::GuardedPath => {
                    // As it is called, and as profiles call it: where it is moved, that is its new name.
                    let path = event.schema.layout().file_path.map(|place| event.value_at(place));
                    if let Some(Value::Text(path)) = path {
                        self.graph.wrote(cgroup, &String::from_utf8_lossy(&path), node);
                    }
                    self.graph.wrote(cgroup, &behaviour.object, node);
                }
                ObjectKind::Peer => {
                    if let Some(address) = peer(event) {
                        self.graph.connected(cgroup, Hop { node, address, time_ns: event.time_ns });
                    }
                }
                _ => {}
            }
        }
    }

    /// The step that a process is, or comes from.
    fn node_of(&self, process: &Process, is_found: bool, now_ns: u64) -> Option<Node> {
        let chain = std::iter::once(&process.exec).chain(&process.replaced).chain(&process.ancestors);
        let members = chain.filter_map(|exec| self.graph.member(ExecId::of(exec)));
        let mut holding = members.filter(|member| match member.holds {
            Holds::Whole => true,
            _ => is_found && self.still_holds(*member, Origin::Unknown, now_ns),
        });
        holding.next().map(|member| member.node)
    }

    /// Whether what a program does, which comes from there, still belongs to its incident.
    fn still_holds(&self, member: Member, origin: Origin, now_ns: u64) -> bool {
        let deed = self.open.get(&member.node.incident);
        deed.is_some_and(|deed| match member.holds {
            Holds::Whole => true,
            Holds::AsService => deed.is_warm(now_ns) || deed.is_recent(now_ns),
            Holds::AsStart => origin == Origin::Start || deed.is_recent(now_ns),
            Holds::AsStarter => deed.is_recent(now_ns),
        })
    }

    fn learn_address(&mut self, event: &Event) {
        let Some(place) = event.schema.layout().local_address else { return };
        let Some(container) = &event.context.container else { return };
        let Value::Ip(address) = event.value_at(place) else { return };
        let address = address.to_canonical();
        if !address.is_loopback() && !address.is_unspecified() {
            self.graph.has_address(container.cgroup_id, address);
        }
    }

    /// Time goes by: what had no new part for long is closed.
    pub(super) fn advance(&mut self, now_ns: u64) {
        let is_over = |deed: &Deed| now_ns.saturating_sub(deed.incident.last_seen_ns) >= CLOSE_NS;
        let over: Vec<Id> = self.open.iter().filter(|(_, deed)| is_over(deed)).map(|(id, _)| *id).collect();
        self.counters.closed += over.len() as u64;
        over.into_iter().for_each(|id| self.close(id));
    }

    fn close(&mut self, id: Id) {
        let Some(mut deed) = self.open.remove(&id) else { return };
        self.graph.forget(id);
        deed.incident.is_open = false;
        self.ended.push((deed.incident, deed.shape));
    }

    /// Where there is too much, incidents of the workload with most become summaries and then go, the weakest first; a severe
    /// one goes after all that are milder.
    fn make_room(&mut self, now_ns: u64) {
        while self.bytes() > self.max_bytes {
            let mut bytes_of: BTreeMap<&str, usize> = BTreeMap::new();
            self.open.values().for_each(|deed| *bytes_of.entry(owner(deed)).or_default() += deed.bytes);
            let most = bytes_of.into_iter().max_by_key(|(_, bytes)| *bytes).map(|(owner, _)| owner.to_owned());
            let theirs = self.open.iter().filter(|(_, deed)| Some(owner(deed)) == most.as_deref());
            let key = |deed: &Deed| (deed.is_summary(), deed.incident.severity, Bits::of_float(deed.energy(now_ns)));
            let Some(id) = theirs.min_by_key(|(_, deed)| key(deed)).map(|(id, _)| *id) else { return };
            match self.open.get_mut(&id).filter(|deed| !deed.is_summary()) {
                Some(deed) => {
                    deed.summarize();
                    self.counters.summarized += 1;
                }
                None => {
                    self.counters.evicted += 1;
                    self.close(id);
                }
            }
        }
        if self.open.len() <= MAX_OPEN {
            return;
        }
        let mut by_owner: BTreeMap<&str, Vec<Id>> = BTreeMap::new();
        self.open.iter().for_each(|(id, deed)| by_owner.entry(owner(deed)).or_default().push(*id));
        let Some(mut theirs) = by_owner.into_values().max_by_key(Vec::len) else { return };
        let key = |id: &Id| self.open.get(id).map(|deed| (deed.incident.severity, deed.incident.last_seen_ns));
        theirs.sort_by_key(key);
        theirs.truncate(theirs.len().min(AT_ONCE));
        self.counters.evicted += theirs.len() as u64;
        theirs.into_iter().for_each(|id| self.close(id));
    }

    /// Incidents that are new, went on or ended since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<(Incident, Shape)> {
        let mut changed = std::mem::take(&mut self.ended);
        for deed in self.open.values_mut().filter(|deed| deed.is_dirty) {
            (deed.is_dirty, deed.was_reported) = (false, true);
            changed.push((deed.incident.clone(), deed.shape.clone()));
        }
        changed
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// The same by the name of their severity.
    pub(super) fn open_by_severity(&self) -> BTreeMap<&'static str, u64> {
        let mut counts: BTreeMap<_, _> = ["informational", "low", "medium", "high", "critical"].map(|s| (s, 0)).into();
        for deed in self.open.values() {
            let name = match deed.incident.severity {
                Severity::Informational => "informational",
                Severity::Low => "low",
                Severity::Medium => "medium",
                Severity::High => "high",
                Severity::Critical => "critical",
            };
            *counts.entry(name).or_default() += 1;
        }
        counts
    }

    /// Bytes that the graph and the incidents take, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.graph.bytes() + self.open.values().map(|deed| deed.bytes).sum::<usize>()
    }

    /// What became of them so far.
    pub(super) fn counters(&self) -> IncidentCounters {
        IncidentCounters { refused: self.graph.refused, ..self.counters }
    }
}

/// Whose it is.
fn owner(deed: &Deed) -> &str {
    deed.incident.workloads.first().map_or("", String::as_str)
}

/// What connects a finding with an incident.
struct Connection {
    node: Node,
    why: Why,
}

enum Why {
    /// It comes from one of its programs.
    Lineage,
    /// A service of it started it right then.
    Time,
    /// It runs a file that the incident wrote.
    File(String),
    /// The incident connected to it.
    Hop(IpAddr),
}

/// The address to which an event's process connected.
fn peer(event: &Event) -> Option<IpAddr> {
    let (address, _) = event.schema.layout().peer?;
    match event.value_at(address) {
        Value::Ip(address) => Some(address.to_canonical()),
        _ => None,
    }
}
