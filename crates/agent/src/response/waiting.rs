//! Findings that wait to be acted upon: an even share for each container, and in it for each rule, so that many of one kind
//! keep none of another waiting.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use ethogram_model::{Finding, Severity};

use super::decide::rule_of;

/// Findings of one rule that wait in a container.
const OF_RULE: usize = 16;
/// Findings that wait in all.
const ALL: usize = 256;

/// What waits, by container.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_container: BTreeMap<String, Container>,
    /// Whose turn it is next.
    turns: VecDeque<String>,
    count: usize,
}

/// What waits of one container.
#[derive(Debug, Default)]
struct Container {
    /// Of each rule, the most severe first. The rule whose turn it is stands first.
    by_rule: VecDeque<(String, VecDeque<Arc<Finding>>)>,
}

impl Waiting {
    /// Adds a finding. Returns how many are given up for it, itself included.
    pub(super) fn push(&mut self, finding: &Arc<Finding>) -> u64 {
        let id = finding.container.as_ref().map_or_else(String::new, |container| container.id.clone());
        let container = self.by_container.entry(id.clone()).or_default();
        if container.by_rule.is_empty() {
            self.turns.push_back(id);
        }
        let added = container.push(finding);
        self.count += added;
        let mut lost = u64::from(added == 0);
        if self.count > ALL {
            self.give_up_one();
            lost += 1;
        }
        lost
    }

    /// What is acted upon next.
    pub(super) fn take(&mut self) -> Option<Arc<Finding>> {
        let id = self.turns.pop_front()?;
        let finding = self.by_container.get_mut(&id).and_then(Container::take);
        self.count -= usize::from(finding.is_some());
        if self.by_container.get(&id).is_some_and(|container| !container.by_rule.is_empty()) {
            self.turns.push_back(id);
        } else {
            self.by_container.remove(&id);
        }
        finding
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The container with most gives way, its rule with most, the least severe of that.
    fn give_up_one(&mut self) {
        let most = self.by_container.iter_mut().max_by_key(|(_, container)| container.len());
        let Some((id, container)) = most else { return };
        let id = id.clone();
        self.count -= container.give_up_one();
        if container.by_rule.is_empty() {
            self.by_container.remove(&id);
            self.turns.retain(|turn| *turn != id);
        }
    }
}

impl Container {
    fn len(&self) -> usize {
        self.by_rule.iter().map(|(_, all)| all.len()).sum()
    }

    /// Returns how many more wait now.
    fn push(&mut self, finding: &Arc<Finding>) -> usize {
        let rule = rule_of(finding);
        let Some((_, all)) = self.by_rule.iter_mut().find(|(name, _)| name == rule) else {
            self.by_rule.push_back((rule.to_owned(), [Arc::clone(finding)].into()));
            return 1;
        };
        let at = all.partition_point(|other| other.severity >= finding.severity);
        all.insert(at, Arc::clone(finding));
        if all.len() > OF_RULE {
            all.pop_back();
            return 0;
        }
        1
    }

    fn take(&mut self) -> Option<Arc<Finding>> {
        let severity = |all: &VecDeque<Arc<Finding>>| all.front().map(|finding| finding.severity);
        let highest: Option<Severity> = self.by_rule.iter().filter_map(|(_, all)| severity(all)).max();
        let place = self.by_rule.iter().position(|(_, all)| severity(all) == highest)?;
        let (rule, mut all) = self.by_rule.remove(place)?;
        let finding = all.pop_front();
        if !all.is_empty() {
            self.by_rule.push_back((rule, all));
        }
        finding
    }

    fn give_up_one(&mut self) -> usize {
        let Some((_, all)) = self.by_rule.iter_mut().max_by_key(|(_, all)| all.len()) else { return 0 };
        let given_up = usize::from(all.pop_back().is_some());
        self.by_rule.retain(|(_, all)| !all.is_empty());
        given_up
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn finding(container: &str, analytic: &str, severity: Severity, uid: usize) -> Arc<Finding> {
        let container = ethogram_model::Container { id: container.into(), ..Default::default() };
        let event = Finding { container: Some(Arc::new(container)), ..super::super::decide::tests::finding() };
        Arc::new(Finding { analytic: analytic.into(), severity, uid: uid.to_string(), rule: None, ..event })
    }

    #[test]
    fn many_of_one_kind_keep_none_of_another_waiting() {
        let mut waiting = Waiting::default();
        let cheap = |n| finding("a", "cheap", Severity::Critical, n);
        let lost: u64 = (0..300).map(|n| waiting.push(&cheap(n))).sum();
        assert_eq!((lost, waiting.count), (300 - OF_RULE as u64, OF_RULE));
        assert_eq!(waiting.push(&finding("a", "real", Severity::Critical, 1000)), 0);
        assert_eq!(waiting.push(&finding("b", "other", Severity::High, 2000)), 0);
        let first: Vec<_> = (0..3).map(|_| waiting.take().unwrap().uid.clone()).collect();
        assert_eq!(first, ["0", "2000", "1000"]);
    }

    #[test]
    fn the_most_severe_comes_first_and_all_come_in_the_end() {
        let mut waiting = Waiting::default();
        for (n, severity) in [Severity::Low, Severity::Critical, Severity::High, Severity::Critical].iter().enumerate()
        {
            waiting.push(&finding("a", if n == 3 { "y" } else { "x" }, *severity, n));
        }
        let order: Vec<_> = std::iter::from_fn(|| waiting.take()).map(|finding| finding.uid.clone()).collect();
        assert_eq!(order, ["1", "3", "2", "0"]);
        assert!(waiting.is_empty() && waiting.by_container.is_empty() && waiting.turns.is_empty());
    }

    #[test]
    fn a_container_with_many_rules_gives_way_to_others() {
        let mut waiting = Waiting::default();
        for n in 0..2_000 {
            waiting.push(&finding("flood", &format!("rule{}", n % 200), Severity::Critical, n));
        }
        assert_eq!(waiting.count, ALL);
        assert_eq!(waiting.push(&finding("quiet", "real", Severity::Low, 1)), 1);
        assert_eq!(waiting.count, ALL);
        assert!((0..2).any(|_| waiting.take().unwrap().analytic == "real"));
    }
}
