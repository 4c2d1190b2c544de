//! Incidents: hopsets grown from the most anomalous processes along the graph, merged where they
//! overlap, scored, and kept above a threshold.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Trust;
use super::graph::Graph;
use super::model::Model;
use super::stakes;

/// Constants of the grouping.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// Bits from which a process starts a hopset.
    pub terminal: f64,
    /// Bits a process needs to be taken in against the flow (a parent, a sibling).
    pub against_flow: f64,
    /// Bits an incident needs at least; with much training twice the bits of one process in all.
    pub threshold: f64,
    /// Most bits of threshold that calibration and training may ask for.
    pub threshold_most: f64,
    /// Most bits that trusted programs together add by being new.
    pub trusted_most: f64,
    /// How far from a severe incident (twice the threshold) half the threshold is enough, in
    /// microseconds: an intrusion on a host makes what else is odd there then likelier part of it.
    pub vicinity: u64,
    /// Loss of importance per hop (NodLink's alpha).
    pub alpha: f64,
    /// Weight of the anomaly score against the fan-out (NodLink's beta and gamma).
    pub beta: f64,
    /// See `beta`.
    pub gamma: f64,
    /// Most processes a terminal takes in (NodLink's theta).
    pub theta: usize,
    /// Most processes a terminal's hopset has with all that descends from it.
    pub closure: usize,
    /// Most incidents reported.
    pub most: usize,
}

impl Default for Grouping {
    fn default() -> Self {
        Grouping {
            terminal: 8.0,
            against_flow: 2.0,
            threshold: 20.0,
            threshold_most: 36.0,
            trusted_most: 8.0,
            vicinity: 1_800_000_000,
            alpha: 0.9,
            beta: 100.0,
            gamma: 1.0,
            theta: 10,
            closure: 64,
            most: 30,
        }
    }
}

/// Different images a parent must have started while learning to be a hub.
const HUB_KINDS: u32 = 5;
/// Children an unsuspicious process may start before it counts as a hub.
const HUB_CHILDREN: u32 = 32;
/// Bits below which a process is unsuspicious enough to be a hub.
const HUB_BITS: f64 = 6.0;

/// Connected processes that are anomalous together.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Bits.
    pub score: f64,
    /// Members, most anomalous first.
    pub processes: Vec<u32>,
}

/// What grouping came to.
pub(super) struct Groups {
    /// All judged processes with their scores, by number.
    pub scores: Vec<(u32, f64)>,
    /// Incidents, most anomalous first.
    pub incidents: Vec<Incident>,
    /// Groups below the threshold.
    pub below: Vec<Incident>,
}

/// Whether a process ties what hangs on it no more than the host itself does: what was there
/// before judging began and starts many different things, or a usual process that starts very many.
pub(super) fn is_hub(graph: &Graph, model: &Model, process: u32) -> bool {
    let Some(p) = graph.get(process) else {
        return true;
    };
    if p.image.is_empty() || !p.image.contains(['\\', '/']) {
        return true;
    }
    // An interpreter is the tool of who drives it, not a part of the host.
    if stakes::of_tool(&p.image) > 0.0 {
        return false;
    }
    let usual = p.old || (model.known(p.image_id) > 0 && p.evidence.score() < HUB_BITS);
    usual && (model.kinds_of_children(p.image_id) >= HUB_KINDS || p.started >= HUB_CHILDREN)
}

/// Groups the judged processes.
pub(super) fn group(graph: &Graph, model: &Model, c: &Grouping) -> Groups {
    let own: BTreeMap<u32, f64> =
        graph.iter().filter(|(_, p)| p.judged || !p.old).map(|(n, p)| (n, p.evidence.score())).collect();
    let hubs: BTreeSet<u32> = own.keys().copied().filter(|&n| is_hub(graph, model, n)).collect();
    let mut terminals: Vec<(u32, f64)> = own.iter().filter(|(_, s)| **s >= c.terminal).map(|(n, s)| (*n, *s)).collect();
    terminals.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));

    // Hopsets, merged where they overlap.
    let mut group_of: BTreeMap<u32, usize> = BTreeMap::new();
    let mut groups: Vec<BTreeSet<u32>> = Vec::new();
    for &(terminal, _) in &terminals {
        let hopset = grow(graph, &own, &hubs, terminal, c);
        let touched: BTreeSet<usize> = hopset.iter().filter_map(|n| group_of.get(n).copied()).collect();
        let target = touched.first().copied().unwrap_or_else(|| {
            groups.push(BTreeSet::new());
            groups.len() - 1
        });
        let mut members = hopset;
        for &t in touched.iter().skip(1) {
            if let Some(g) = groups.get_mut(t) {
                members.append(g);
            }
        }
        for &m in &members {
            group_of.insert(m, target);
        }
        if let Some(g) = groups.get_mut(target) {
            g.append(&mut members);
        }
    }

    let mut found: Vec<Incident> =
        alike(graph, groups).into_iter().map(|members| rate(graph, &own, members, c)).collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.processes.cmp(&b.processes)));
    let threshold = threshold(model, c);
    let spans: Vec<(u64, u64)> =
        found.iter().take_while(|i| i.score >= 2.0 * threshold).map(|i| span(graph, &i.processes)).collect();
    let near = |i: &Incident| {
        let (from, to) = span(graph, &i.processes);
        spans.iter().any(|s| from <= s.1.saturating_add(c.vicinity) && s.0 <= to.saturating_add(c.vicinity))
    };
    let (mut kept, mut below): (Vec<Incident>, Vec<Incident>) =
        found.into_iter().partition(|i| i.score >= threshold || i.score >= threshold / 2.0 && near(i));
    below.splice(0..0, kept.split_off(kept.len().min(c.most)));
    let found = kept;

    // The rank of a process: its own bits, and what its incident weighs.
    let weight: BTreeMap<u32, f64> =
        found.iter().chain(&below).flat_map(|i| i.processes.iter().map(move |&p| (p, i.score))).collect();
    let scores = own.iter().map(|(&n, &s)| (n, s + weight.get(&n).map_or(0.0, |w| w / 2.0))).collect();
    Groups { scores, incidents: found, below }
}

/// Grows a hopset from a terminal: what descends from it, ran what it wrote or was entered by it
/// belongs to it; parents and siblings only as far as they are anomalous too.
fn grow(graph: &Graph, own: &BTreeMap<u32, f64>, hubs: &BTreeSet<u32>, terminal: u32, c: &Grouping) -> BTreeSet<u32> {
    let score = |n: u32| own.get(&n).copied().unwrap_or(0.0);
    let mut members = BTreeSet::new();
    let mut reached = Vec::new();
    // Candidates with hops to the terminal and whether they are reached along the flow.
    let mut open: BTreeMap<u32, (u32, bool)> = BTreeMap::from([(terminal, (0, true))]);
    while members.len() < c.theta {
        let importance = |n: u32, hops: u32| {
            let fan = graph.get(n).map_or(0.0, |p| p.children.len() as f64 / 2.0);
            c.alpha.powi(hops as i32) * (c.beta * score(n) + c.gamma * fan)
        };
        let Some((next, (hops, along))) = open
            .iter()
            .map(|(n, h)| (*n, *h))
            .max_by(|a, b| importance(a.0, a.1.0).total_cmp(&importance(b.0, b.1.0)).then(b.0.cmp(&a.0)))
        else {
            break;
        };
        open.remove(&next);
        members.insert(next);
        if along {
            reached.push(next);
        }
        let Some(p) = graph.get(next) else { continue };
        let mut offer = |n: u32, along: bool| {
            if !members.contains(&n) && own.contains_key(&n) {
                let entry = open.entry(n).or_insert((hops + 1, along));
                entry.1 |= along;
            }
        };
        if !hubs.contains(&next) {
            for &child in &p.children {
                if along || score(child) >= c.against_flow {
                    offer(child, along);
                }
            }
            for &other in &p.ties {
                if !hubs.contains(&other) {
                    offer(other, along);
                }
            }
        }
        if let Some(parent) = p.parent.filter(|&q| leads_up(graph, own, hubs, q, c)) {
            offer(parent, score(parent) >= c.terminal);
        }
    }
    // The way back to where it began, however long.
    let mut climb: Vec<u32> = members.iter().copied().collect();
    while let Some(n) = climb.pop() {
        if let Some(parent) = graph.get(n).and_then(|p| p.parent)
            && members.len() < c.closure
            && leads_up(graph, own, hubs, parent, c)
            && members.insert(parent)
        {
            climb.push(parent);
        }
    }
    // What an anomalous member started belongs to it, however usual: a console, a helper.
    reached.extend(members.iter().copied().filter(|&n| score(n) >= c.terminal / 2.0));
    let mut closing: Vec<u32> = reached.into_iter().filter(|n| !hubs.contains(n)).collect();
    let mut closed: BTreeSet<u32> = BTreeSet::new();
    while let Some(n) = closing.pop() {
        if !closed.insert(n) {
            continue;
        }
        for &child in graph.get(n).map_or(&[][..], |p| &p.children) {
            if own.contains_key(&child) && (members.len() < c.closure || members.contains(&child)) {
                members.insert(child);
                if !hubs.contains(&child) {
                    closing.push(child);
                }
            }
        }
    }
    members
}

/// Whether a parent is taken in for its child's sake: no hub, and unusual itself or a new process
/// of a program that intrusions use.
fn leads_up(graph: &Graph, own: &BTreeMap<u32, f64>, hubs: &BTreeSet<u32>, parent: u32, c: &Grouping) -> bool {
    let Some(score) = own.get(&parent) else {
        return false;
    };
    !hubs.contains(&parent)
        && (*score >= c.against_flow || graph.get(parent).is_some_and(|q| !q.old && q.evidence.stakes > 0.0))
}

/// The threshold after so much training: a surprise grows with the logarithm of what it is
/// compared with, so an incident needs what two independent processes of one in all have.
fn threshold(model: &Model, c: &Grouping) -> f64 {
    let rarest = f64::from(model.processes().max(2)).log2();
    c.threshold.max((2.0 * rarest).min(c.threshold_most))
}

/// Groups with the same set of images are one incident that recurs.
fn alike(graph: &Graph, groups: Vec<BTreeSet<u32>>) -> Vec<BTreeSet<u32>> {
    let mut by_shape: BTreeMap<Vec<u64>, BTreeSet<u32>> = BTreeMap::new();
    for mut group in groups.into_iter().filter(|g| !g.is_empty()) {
        let images: BTreeSet<u64> = group.iter().filter_map(|&n| graph.get(n)).map(|p| p.image_id).collect();
        by_shape.entry(images.into_iter().collect()).or_default().append(&mut group);
    }
    by_shape.into_values().collect()
}

/// From the first to the last moment of the processes since judging began.
fn span(graph: &Graph, processes: &[u32]) -> (u64, u64) {
    let all = processes.iter().filter_map(|&n| graph.get(n));
    all.fold((u64::MAX, 0), |(from, to), p| (from.min(p.first), to.max(p.first)))
}

/// An incident's score: of each image its greatest bits, so that ten alike weigh as one; and what
/// trusted programs add by being new is bounded, as systems bring whole families of them.
fn rate(graph: &Graph, own: &BTreeMap<u32, f64>, members: BTreeSet<u32>, c: &Grouping) -> Incident {
    let mut by_image: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    let mut processes: Vec<(u32, f64)> = Vec::new();
    for n in members {
        let Some(p) = graph.get(n) else { continue };
        let (plain, severe) = p.evidence.parts();
        let parts = if p.evidence.trust == Trust::System { (severe, plain) } else { (plain + severe, 0.0) };
        let best = by_image.entry(p.image_id).or_insert((0.0, 0.0));
        *best = (best.0.max(parts.0), best.1.max(parts.1));
        processes.push((n, own.get(&n).copied().unwrap_or(0.0)));
    }
    processes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let (free, trusted) = by_image.values().fold((0.0, 0.0), |s, b| (s.0 + b.0, s.1 + b.1));
    Incident { score: free + trusted.min(c.trusted_most), processes: processes.into_iter().map(|(n, _)| n).collect() }
}
