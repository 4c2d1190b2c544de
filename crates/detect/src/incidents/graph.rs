//! What connects what one program does with what another does: programs that started each other, files that one wrote and
//! another runs, connections between containers. Only what belongs to an open incident is kept.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};

use super::lineage::ExecId;

/// An open incident.
pub(super) type Id = u64;

/// Entries of each kind that are kept of one incident; further ones do not connect.
const MAX_PER_INCIDENT: usize = 256;
/// Bytes of paths that are stored of one incident.
const MAX_STORED_PATHS: usize = 16 << 10;
/// Addresses of containers that are known.
const MAX_ADDRESSES: usize = 4_096;
/// Containers that an incident reaches at the same time: where there are more, it looks for something.
const MAX_REACHED: usize = 3;
/// Containers that have shown the same address, the latest: each has a network of its own, and may say so of any address.
const MAX_OWNERS: usize = 4;

/// A step of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) incident: Id,
    /// Its place among the incident's steps.
    pub(super) step: usize,
}

/// A program that belongs to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) node: Node,
    pub(super) holds: Holds,
    /// What started it, where that is known.
    pub(super) parent: Option<ExecId>,
}

/// How far what a program does belongs to its incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Holds {
    /// All of it: it was started for it.
    Whole,
    /// What it does as long as the incident is warm: it is a service that also does other things.
    AsService,
    /// What it does and starts as long as it is not settled: it becomes a service.
    AsStart,
    /// What it does in the moment in which it started the incident's first program.
    AsStarter,
}

/// A connection of an incident into another container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) node: Node,
    pub(super) address: IpAddr,
    pub(super) time_ns: u64,
}

/// What an incident has done that may connect it with what comes, as it is stored: each with its place among the steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Connections {
    programs: Vec<(ExecId, Holds, usize)>,
    /// By container and path.
    files: Vec<(u64, String, usize)>,
    /// By the container to which the connection was made.
    hops: Vec<(u64, IpAddr, u64, usize)>,
}

/// What open incidents have done that may connect them with what comes.
#[derive(Debug, Default)]
pub(super) struct Graph {
    programs: BTreeMap<ExecId, Member>,
    /// By container and path.
    files: BTreeMap<(u64, Box<str>), Node>,
    /// By the container to which the connection was made.
    hops: BTreeMap<u64, VecDeque<Hop>>,
    /// Whose an address is, by container.
    addresses: BTreeMap<IpAddr, VecDeque<u64>>,
    counts: BTreeMap<Id, usize>,
    /// The incidents that have more than what is stored of them.
    unsaved: BTreeSet<Id>,
    /// Bytes of the files' paths.
    path_bytes: usize,
    /// Entries for which there was no room.
    pub(super) refused: u64,
}

impl Graph {
    /// Whether nothing belongs to any incident.
    pub(super) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// What it takes, roughly, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.path_bytes
            + self.files.len() * 96
            + self.programs.len() * 96
            + self.hops.values().map(|hops| 64 + hops.len() * 56).sum::<usize>()
            + self.addresses.len() * 96
    }

    fn has_room(&mut self, incident: Id) -> bool {
        let count = self.counts.entry(incident).or_default();
        let has_room = *count < MAX_PER_INCIDENT;
        *count += usize::from(has_room);
        self.refused += u64::from(!has_room);
        self.unsaved.insert(incident);
        has_room
    }

    /// Those that have more than what is stored of them, the oldest first, at most so many.
    pub(super) fn take_unsaved(&mut self, most: usize) -> Vec<Id> {
        let taken: Vec<Id> = self.unsaved.iter().take(most).copied().collect();
        taken.iter().for_each(|id| _ = self.unsaved.remove(id));
        taken
    }

    /// An incident is not stored as it is now.
    pub(super) fn touch(&mut self, incident: Id) {
        self.unsaved.insert(incident);
    }

    /// What an incident has done, as it is stored.
    pub(super) fn connections(&self, incident: Id) -> Connections {
        let is_of_it = |node: &Node| node.incident == incident;
        let programs = self.programs.iter().filter(|(_, member)| is_of_it(&member.node));
        let files = self.files.iter().filter(|(_, node)| is_of_it(node));
        let mut room = MAX_STORED_PATHS;
        let files = files.filter(|((_, path), _)| {
            let left = room.checked_sub(path.len());
            room = left.unwrap_or(room);
            left.is_some()
        });
        let hops = self.hops.iter().flat_map(|(to, hops)| hops.iter().map(move |hop| (*to, hop)));
        let hops = hops.filter(|(_, hop)| is_of_it(&hop.node));
        Connections {
            programs: programs.map(|(exec, member)| (*exec, member.holds, member.node.step)).collect(),
            files: files.map(|((container, path), node)| (*container, path.to_string(), node.step)).collect(),
            hops: hops.map(|(to, hop)| (to, hop.address, hop.time_ns, hop.node.step)).collect(),
        }
    }

    /// Goes on with what is stored of an incident of so many steps. Its programs are found running, if they are; of those that
    /// ran in the same process one after the other that is the last.
    pub(super) fn restore(&mut self, incident: Id, steps: usize, stored: &Connections) {
        let node = |step: usize| Node { incident, step: step.min(steps.saturating_sub(1)) };
        for (exec, holds, step) in &stored.programs {
            if let Some(exec) = exec.as_found() {
                self.add_program(exec, Member { node: node(*step), holds: *holds, parent: None });
            }
        }
        stored.files.iter().for_each(|(container, path, step)| self.wrote(*container, path, node(*step)));
        for (to, address, time_ns, step) in &stored.hops {
            if self.has_room(incident) {
                let hop = Hop { node: node(*step), address: *address, time_ns: *time_ns };
                self.hops.entry(*to).or_default().push_back(hop);
            }
        }
    }

    pub(super) fn member(&self, exec: ExecId) -> Option<Member> {
        self.programs.get(&exec).copied()
    }

    /// What the same process ran before it ran this: a shell becomes the last program of its script.
    pub(super) fn member_before(&self, exec: ExecId, parent: Option<ExecId>) -> Option<(ExecId, Member)> {
        let (before, member) = self.programs.range(..exec).next_back()?;
        let is_same = before.is_of_same_process(exec) && (exec.is_certain() || member.parent == parent);
        is_same.then_some((*before, *member))
    }

    /// A program belongs to an incident. A service may belong to a later one as well, which goes before.
    pub(super) fn add_program(&mut self, exec: ExecId, member: Member) {
        if self.programs.contains_key(&exec) || self.has_room(member.node.incident) {
            self.programs.insert(exec, member);
        }
    }

    pub(super) fn wrote(&mut self, container: u64, path: &str, node: Node) {
        let key = (container, path.into());
        if self.files.contains_key(&key) || self.has_room(node.incident) {
            let is_new = self.files.insert(key, node).is_none();
            self.path_bytes += if is_new { path.len() } else { 0 };
        }
    }

    /// What wrote a file.
    pub(super) fn writer(&self, container: u64, path: &str) -> Option<Node> {
        if self.files.is_empty() || path.is_empty() {
            return None;
        }
        self.files.get(&(container, Box::from(path))).copied()
    }

    /// A container has that address.
    pub(super) fn has_address(&mut self, container: u64, address: IpAddr) {
        if self.addresses.len() >= MAX_ADDRESSES && !self.addresses.contains_key(&address) {
            self.refused += 1;
            return;
        }
        let owners = self.addresses.entry(address).or_default();
        if !owners.contains(&container) {
            if owners.len() >= MAX_OWNERS {
                owners.pop_front();
            }
            owners.push_back(container);
        }
    }

    /// An incident connected to an address, from that container.
    pub(super) fn connected(&mut self, from: u64, hop: Hop) {
        let owners: Vec<u64> = self.addresses.get(&hop.address).into_iter().flatten().copied().collect();
        // An address that it has itself leads to itself, also where others have it.
        if owners.contains(&from) {
            return;
        }
        for to in owners {
            let hops = self.hops.entry(to).or_default();
            if let Some(known) = hops.iter_mut().find(|known| known.node == hop.node) {
                *known = hop;
            } else if self.has_room(hop.node.incident) {
                self.hops.entry(to).or_default().push_back(hop);
            }
        }
    }

    /// The latest connection of an incident to a container, no older than that.
    pub(super) fn hop_into(&self, container: u64, since_ns: u64) -> Option<Hop> {
        let recent = self.hops.get(&container)?.iter().filter(|hop| hop.time_ns >= since_ns);
        // Who looks at all of them is led to none of them in particular.
        let reaches = |incident| {
            let is_of_it = |hop: &&Hop| hop.node.incident == incident && hop.time_ns >= since_ns;
            self.hops.values().filter(|hops| hops.iter().any(|hop| is_of_it(&hop))).count()
        };
        recent.filter(|hop| reaches(hop.node.incident) <= MAX_REACHED).max_by_key(|hop| hop.time_ns).copied()
    }

    /// One incident becomes part of another, whose steps its own follow.
    pub(super) fn merge(&mut self, from: Id, into: Id, steps_before: usize) {
        let moved = |node: &mut Node| {
            if node.incident == from {
                *node = Node { incident: into, step: node.step + steps_before };
            }
        };
        self.programs.values_mut().for_each(|member| moved(&mut member.node));
        self.files.values_mut().for_each(moved);
        self.hops.values_mut().flatten().for_each(|hop| moved(&mut hop.node));
        self.unsaved.remove(&from);
        self.unsaved.insert(into);
        let count = self.counts.remove(&from).unwrap_or(0);
        *self.counts.entry(into).or_default() += count;
    }

    /// An incident is closed.
    pub(super) fn forget(&mut self, incident: Id) {
        self.programs.retain(|_, member| member.node.incident != incident);
        self.files.retain(|_, node| node.incident != incident);
        self.path_bytes = self.files.keys().map(|(_, path)| path.len()).sum();
        self.hops.retain(|_, hops| {
            hops.retain(|hop| hop.node.incident != incident);
            !hops.is_empty()
        });
        self.counts.remove(&incident);
        self.unsaved.remove(&incident);
    }
}
