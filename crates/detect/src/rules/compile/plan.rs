//! In which order rules are tested: those that need the same stand together, and are left out together where it is not so.

use super::{Node, TRUE};

/// What many rules need is asked for first where it costs no more than this.
const CHEAP: u32 = 4;
/// How often rules that stand together are parted again.
const DEPTH: usize = 8;

/// A step of the way through all rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Step {
    /// What is decided.
    pub(in crate::rules) node: usize,
    /// The rule that holds where it does; else it is only what the following steps need.
    pub(in crate::rules) rule: Option<usize>,
    /// Where to go on if it does not hold.
    pub(in crate::rules) otherwise: usize,
}

/// Puts some nodes before all others, and changes what names them.
pub(super) fn put_first(which: &[bool], nodes: &mut Vec<Node>, costs: &mut Vec<u32>, armed: &mut [(usize, usize)]) {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|node| !which[*node]);
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, old)| place[*old] = new);
    for node in nodes.iter_mut() {
        match node {
            Node::And(parts) | Node::Or(parts) => parts.iter_mut().for_each(|part| *part = place[*part]),
            Node::Not(inside) => *inside = place[*inside],
            Node::True | Node::False | Node::Predicate(_) => {}
        }
    }
    armed.iter_mut().for_each(|(_, node)| *node = place[*node]);
    *nodes = order.iter().map(|old| nodes[*old].clone()).collect();
    *costs = order.iter().map(|old| costs[*old]).collect();
}

/// The way through all rules, each with the node that decides it.
pub(super) fn plan(nodes: &[Node], costs: &[u32], armed: &[(usize, usize)]) -> Vec<Step> {
    let mut steps = Vec::with_capacity(armed.len() * 2);
    Planner { nodes, costs }.part(armed.to_vec(), &mut Vec::new(), &mut steps);
    steps
}

struct Planner<'n> {
    nodes: &'n [Node],
    costs: &'n [u32],
}

impl Planner<'_> {
    /// Parts rules by what most of them need, besides what is `given`.
    fn part(&self, mut rules: Vec<(usize, usize)>, given: &mut Vec<usize>, steps: &mut Vec<Step>) {
        while let Some(need) = self.most_needed(&rules, given) {
            let (those, rest) = rules.into_iter().partition(|(_, node)| self.needs(*node).contains(&need));
            let at = steps.len();
            steps.push(Step { node: need, rule: None, otherwise: 0 });
            given.push(need);
            self.part(those, given, steps);
            given.pop();
            steps[at].otherwise = steps.len();
            rules = rest;
        }
        for (rule, node) in rules {
            steps.push(Step { node, rule: Some(rule), otherwise: steps.len() + 1 });
        }
    }

    fn most_needed(&self, rules: &[(usize, usize)], given: &[usize]) -> Option<usize> {
        if given.len() >= DEPTH {
            return None;
        }
        let mut count = vec![0u32; self.nodes.len()];
        for need in rules.iter().flat_map(|(_, node)| self.needs(*node)) {
            count[*need] += 1;
        }
        let is_useful = |node: &usize| {
            let is_test = *node != TRUE && !matches!(self.nodes[*node], Node::Not(_));
            count[*node] > 1 && is_test && self.costs[*node] <= CHEAP && !given.contains(node)
        };
        (0..count.len()).filter(is_useful).max_by_key(|node| (count[*node], u32::MAX - self.costs[*node]))
    }

    /// All that must hold for a node to hold.
    fn needs(&self, node: usize) -> &[usize] {
        match self.nodes.get(node) {
            Some(Node::And(parts)) => parts,
            _ => &[],
        }
    }
}
