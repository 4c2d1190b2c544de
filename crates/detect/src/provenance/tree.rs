//! Counted trees of names: how probable a name is below a context, and how probable a new one.

use std::collections::HashMap;

/// Counts at one node of a tree.
#[derive(Clone, Copy, Default)]
struct Node {
    /// Processes that passed here.
    passes: u32,
    /// Distinct next segments seen here.
    kinds: u32,
    /// The process that passed last (1 + its number), so that one process counts once in a row.
    last: u32,
}

/// How unusual a name is in one context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Surprise {
    /// Nothing is known about the context.
    NoContext,
    /// The name was seen before.
    Known,
    /// The name is new: minus log2 of the probability of a new name at the deepest known segment.
    New(f64),
}

/// Trees of names, one a context, in one arena of bounded size.
pub(super) struct Trees {
    nodes: Vec<Node>,
    next: HashMap<(u32, u64), u32>,
    limit: usize,
    /// Segments that found no room; their novelty still counts at the segment above.
    pub dropped: u64,
}

impl Trees {
    /// Empty trees of at most `limit` segments together.
    pub(super) fn new(limit: usize) -> Self {
        Trees { nodes: vec![Node::default()], next: HashMap::new(), limit, dropped: 0 }
    }

    /// Segments held.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Counts one pass of `process` through `context` along `segments` (their hashes).
    pub(super) fn learn(&mut self, context: u64, segments: &[u64], process: u32) {
        let Some(mut at) = self.step_or_add(0, context) else {
            return;
        };
        for &s in segments {
            self.touch(at, process);
            let Some(next) = self.step_or_add(at, s) else {
                return;
            };
            at = next;
        }
        self.touch(at, process);
    }

    fn touch(&mut self, at: u32, process: u32) {
        if let Some(node) = self.nodes.get_mut(at as usize)
            && node.last != process + 1
        {
            node.last = process + 1;
            node.passes = node.passes.saturating_add(1);
        }
    }

    fn step_or_add(&mut self, at: u32, segment: u64) -> Option<u32> {
        if let Some(&n) = self.next.get(&(at, segment)) {
            return Some(n);
        }
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.kinds = node.kinds.saturating_add(1);
        }
        if self.nodes.len() >= self.limit {
            self.dropped += 1;
            return None;
        }
        let id = u32::try_from(self.nodes.len()).ok()?;
        self.nodes.push(Node::default());
        self.next.insert((at, segment), id);
        Some(id)
    }

    /// Whether something below these segments was learned in the context.
    pub(super) fn reaches(&self, context: u64, segments: &[u64]) -> bool {
        let mut at = self.next.get(&(0, context));
        for s in segments {
            at = at.and_then(|n| self.next.get(&(*n, *s)));
        }
        at.is_some()
    }

    /// Distinct first segments and passes of a context.
    pub(super) fn context(&self, context: u64) -> Option<(u32, u32)> {
        let id = *self.next.get(&(0, context))?;
        self.nodes.get(id as usize).map(|n| (n.kinds, n.passes))
    }

    /// How unusual the name is in the context: the share of the context's passes that reach the
    /// deepest known segment, times Witten and Bell's estimate that the next segment is new there.
    pub(super) fn surprise(&self, context: u64, segments: &[u64]) -> Surprise {
        let Some(&root) = self.next.get(&(0, context)) else {
            return Surprise::NoContext;
        };
        let mut at = root;
        for &s in segments {
            match self.next.get(&(at, s)) {
                Some(&n) => at = n,
                None => {
                    let (r, n) = (self.count(root), self.count(at));
                    let reach = (n.0 + n.1) / (r.0 + r.1);
                    let new = n.1 / (n.0 + n.1);
                    return Surprise::New(-(reach.min(1.0) * new).log2());
                }
            }
        }
        Surprise::Known
    }

    /// Passes and kinds as numbers, kinds at least one.
    fn count(&self, at: u32) -> (f64, f64) {
        let n = self.nodes.get(at as usize).copied().unwrap_or_default();
        (f64::from(n.passes.max(n.kinds)), f64::from(n.kinds.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(s: Surprise) -> f64 {
        match s {
            Surprise::New(b) => b,
            _ => 0.0,
        }
    }

    #[test]
    fn a_folder_that_always_gets_new_names_surprises_nobody() {
        let mut t = Trees::new(10_000);
        for i in 0..100 {
            t.learn(1, &[10, 1000 + i], u32::try_from(i).unwrap());
            t.learn(2, &[10, 7], u32::try_from(i).unwrap());
        }
        assert!(bits(t.surprise(1, &[10, 5])) < 1.5);
        assert!(bits(t.surprise(2, &[10, 5])) > 6.0);
        assert_eq!(t.surprise(2, &[10, 7]), Surprise::Known);
        assert_eq!(t.surprise(3, &[10, 7]), Surprise::NoContext);
    }

    #[test]
    fn a_flood_stays_within_the_limit_and_its_novelty_counts() {
        let mut t = Trees::new(100);
        for i in 0..100_000u64 {
            t.learn(1, &[i % 7, i], 1);
        }
        assert!(t.len() <= 100);
        assert!(t.dropped > 0);
    }
}
