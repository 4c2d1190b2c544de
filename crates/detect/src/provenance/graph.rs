//! The provenance graph: processes with their lineage and the other ties between them, bounded.

use std::collections::{BTreeMap, VecDeque};

use super::evidence::Evidence;

/// Children and other ties kept per process, each.
const TIES: usize = 256;
/// Files of code whose writers are remembered.
const WRITERS: usize = 16_384;
/// Energy kept from one window to the next (NodLink's epsilon).
const EPSILON: f64 = 0.8;
/// Length of a window for energy in microseconds. NodLink's 10 s serve a cache before a database;
/// nothing lies behind this graph, so processes fade slowly.
const WINDOW: f64 = 600e6;

/// One process.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// Its image as the source writes it, in lower case.
    pub image: Box<str>,
    /// The generalised image.
    pub image_id: u64,
    /// When it was first seen since it is judged, in microseconds.
    pub first: u64,
    /// When it was last seen, in microseconds.
    pub last: u64,
    /// Whether it was seen before judging began.
    pub old: bool,
    /// Whether it was seen since judging began.
    pub judged: bool,
    /// Its parent, once known.
    pub parent: Option<u32>,
    /// Its children, in order of being known.
    pub children: Vec<u32>,
    /// How many children it started.
    pub started: u32,
    /// Processes tied otherwise: by a file one wrote and the other ran, or by access to memory.
    pub ties: Vec<u32>,
    /// What speaks against it.
    pub evidence: Evidence,
}

impl Process {
    /// A process of this image.
    pub(super) fn new(image: &str, image_id: u64, last: u64) -> Self {
        Process {
            image: image.into(),
            image_id,
            first: last,
            last,
            old: false,
            judged: false,
            parent: None,
            children: Vec::new(),
            started: 0,
            ties: Vec::new(),
            evidence: Evidence::default(),
        }
    }

    /// Its score, faded by the time since it was last seen; as a logarithm.
    fn energy(&self, now: u64) -> f64 {
        let age = now.saturating_sub(self.last) as f64 / WINDOW;
        (self.evidence.score() + 0.01).ln() + age * EPSILON.ln()
    }
}

/// The graph.
pub(super) struct Graph {
    processes: BTreeMap<u32, Process>,
    limit: usize,
    writers: BTreeMap<u64, u32>,
    order: VecDeque<u64>,
    retired: Vec<(u32, f64)>,
    /// Processes that left for want of room.
    pub evicted: u64,
}

impl Graph {
    /// An empty graph of at most `limit` processes.
    pub(super) fn new(limit: usize) -> Self {
        Graph {
            processes: BTreeMap::new(),
            limit: limit.max(16),
            writers: BTreeMap::new(),
            order: VecDeque::new(),
            retired: Vec::new(),
            evicted: 0,
        }
    }

    /// The process of this number.
    pub(super) fn get(&self, number: u32) -> Option<&Process> {
        self.processes.get(&number)
    }

    /// The process of this number, to change.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Process> {
        self.processes.get_mut(&number)
    }

    /// All processes by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Process)> {
        self.processes.iter().map(|(n, p)| (*n, p))
    }

    /// Changes every process.
    pub(super) fn update(&mut self, mut change: impl FnMut(&mut Process)) {
        self.processes.values_mut().for_each(&mut change);
    }

    /// Adds a process; those of least energy leave if there is no room.
    pub(super) fn insert(&mut self, number: u32, process: Process) {
        if self.processes.len() >= self.limit {
            self.evict(process.last);
        }
        self.processes.insert(number, process);
    }

    fn evict(&mut self, now: u64) {
        let mut weakest: Vec<(f64, u32)> = self.processes.iter().map(|(n, p)| (p.energy(now), *n)).collect();
        weakest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, number) in weakest.into_iter().take(self.limit / 8 + 1) {
            if let Some(p) = self.processes.remove(&number) {
                self.evicted += 1;
                if p.judged {
                    self.retired.push((number, p.evidence.score()));
                }
            }
        }
    }

    /// Judged processes that left since the last call, with their scores. The caller keeps or
    /// drops them; the graph does not.
    pub(super) fn take_retired(&mut self) -> Vec<(u32, f64)> {
        std::mem::take(&mut self.retired)
    }

    /// Makes `child` the child of `parent`. False where it is known already or cannot be.
    pub(super) fn adopt(&mut self, parent: u32, child: u32) -> bool {
        if parent == child || !self.processes.contains_key(&parent) {
            return false;
        }
        match self.processes.get_mut(&child) {
            Some(c) if c.parent.is_none() => c.parent = Some(parent),
            _ => return false,
        }
        if let Some(p) = self.processes.get_mut(&parent)
            && p.children.len() < TIES
        {
            p.children.push(child);
        }
        true
    }

    /// Ties two processes.
    pub(super) fn tie(&mut self, one: u32, other: u32) {
        if one == other || !self.processes.contains_key(&one) || !self.processes.contains_key(&other) {
            return;
        }
        for (a, b) in [(one, other), (other, one)] {
            if let Some(p) = self.processes.get_mut(&a)
                && p.ties.len() < TIES
                && !p.ties.contains(&b)
            {
                p.ties.push(b);
            }
        }
    }

    /// Remembers who wrote a file of code (by the hash of its path).
    pub(super) fn wrote(&mut self, file: u64, writer: u32) {
        if self.writers.insert(file, writer).is_none() {
            self.order.push_back(file);
            if self.order.len() > WRITERS
                && let Some(oldest) = self.order.pop_front()
            {
                self.writers.remove(&oldest);
            }
        }
    }

    /// Who wrote a file last.
    pub(super) fn writer(&self, file: u64) -> Option<u32> {
        self.writers.get(&file).copied()
    }

    /// Forgets who wrote what, as judging begins.
    pub(super) fn forget_writers(&mut self) {
        self.writers.clear();
        self.order.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Op;
    use super::*;

    #[test]
    fn a_flood_of_processes_is_bounded_and_the_unusual_stay() {
        let mut g = Graph::new(100);
        let mut bad = Process::new("c:\\x.exe", 1, 0);
        bad.judged = true;
        bad.evidence.add(Op::Image, 12.0, 1, "x");
        g.insert(0, bad);
        for i in 1..10_000 {
            let mut p = Process::new("c:\\y.exe", 2, u64::from(i));
            p.judged = true;
            g.insert(i, p);
        }
        assert!(g.iter().count() <= 100);
        assert!(g.get(0).is_some());
        assert_eq!(g.take_retired().len() as u64, g.evicted);
    }

    #[test]
    fn nobody_is_his_own_parent_and_the_first_parent_stays() {
        let mut g = Graph::new(100);
        for i in 0..3 {
            g.insert(i, Process::new("a", 1, 0));
        }
        assert!(!g.adopt(1, 1));
        assert!(g.adopt(0, 1));
        assert!(!g.adopt(2, 1));
        assert!(!g.adopt(9, 2));
        assert_eq!(g.get(1).unwrap().parent, Some(0));
    }

    #[test]
    fn writers_of_files_are_bounded() {
        let mut g = Graph::new(100);
        for i in 0..100_000u64 {
            g.wrote(i, 1);
        }
        assert_eq!(g.writers.len(), WRITERS);
        assert_eq!(g.writer(99_999), Some(1));
        assert_eq!(g.writer(1), None);
    }
}
