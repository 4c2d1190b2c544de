//! The finding groups there are, with a share for each workload.

use std::{collections::BTreeMap, sync::Arc};

use rustc_hash::FxHashMap;

use crate::update::QUIET_NS;

/// Finding groups kept. Beyond, the oldest of the workload with most of them is forgotten, and found anew when it goes on.
const MAX_GROUPS: usize = 16_384;
/// How often it is looked for groups that are over, nanoseconds.
const EXPIRE_NS: u64 = 3_600_000_000_000;

/// What of one rule, workload, user and lineage is one finding.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) uid: String,
    pub(super) rule: Arc<str>,
    pub(super) workload: Arc<str>,
    pub(super) count: u64,
    /// Nanoseconds since the Unix epoch; none where that is not known.
    pub(super) last_seen_ns: Option<u64>,
}

impl Group {
    /// Whether it was quiet for so long that what comes next is new again.
    pub(super) fn is_over(&self, now_ns: u64) -> bool {
        self.last_seen_ns.is_some_and(|last_ns| now_ns.saturating_sub(last_ns) >= QUIET_NS)
    }
}

/// The groups of one workload.
#[derive(Debug, Default)]
struct Share {
    /// Keys, in the order in which they came.
    order: BTreeMap<u64, String>,
    by_rule: FxHashMap<Arc<str>, usize>,
}

/// All groups, by their keys.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_key: FxHashMap<String, (u64, Group)>,
    /// How many came so far.
    number: u64,
    /// By workload.
    shares: BTreeMap<Arc<str>, Share>,
    expired_ns: u64,
    /// How many were forgotten since there were too many.
    pub(super) forgotten: u64,
}

impl Groups {
    pub(super) fn holds(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Group> {
        self.by_key.get_mut(key).map(|(_, group)| group)
    }

    /// Groups of a rule and workload.
    pub(super) fn count(&self, workload: &str, rule: &str) -> usize {
        self.shares.get(workload).and_then(|share| share.by_rule.get(rule)).copied().unwrap_or(0)
    }

    /// Adds a group, in the place of one with that key.
    pub(super) fn insert(&mut self, key: String, group: Group) {
        self.remove(&key);
        if self.by_key.len() >= MAX_GROUPS {
            self.forget_one();
        }
        let share = self.shares.entry(Arc::clone(&group.workload)).or_default();
        self.number += 1;
        share.order.insert(self.number, key.clone());
        *share.by_rule.entry(Arc::clone(&group.rule)).or_default() += 1;
        self.by_key.insert(key, (self.number, group));
    }

    /// Adds one from before, where there is room. Of two with that key the later one goes on.
    pub(super) fn restore(&mut self, key: String, group: Group) {
        let is_later = self.by_key.get(&key).is_none_or(|(_, known)| known.last_seen_ns <= group.last_seen_ns);
        if is_later && (self.by_key.len() < MAX_GROUPS || self.holds(&key)) {
            self.insert(key, group);
        }
    }

    /// Forgets groups that are over, now and then.
    pub(super) fn expire(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.expired_ns) < EXPIRE_NS {
            return;
        }
        self.expired_ns = now_ns;
        let over = self.by_key.iter().filter(|(_, (_, group))| group.is_over(now_ns));
        let over: Vec<String> = over.map(|(key, _)| key.clone()).collect();
        over.iter().for_each(|key| self.remove(key));
    }

    /// Forgets the oldest of the workload that has most.
    fn forget_one(&mut self) {
        let largest = self.shares.values().max_by_key(|share| share.order.len());
        let oldest = largest.and_then(|share| share.order.first_key_value());
        if let Some(oldest) = oldest.map(|(_, key)| key.clone()) {
            self.remove(&oldest);
            self.forgotten += 1;
        }
    }

    fn remove(&mut self, key: &str) {
        let Some((number, group)) = self.by_key.remove(key) else { return };
        let Some(share) = self.shares.get_mut(&group.workload) else { return };
        share.order.remove(&number);
        if let Some(count) = share.by_rule.get_mut(&group.rule) {
            *count -= 1;
            if *count == 0 {
                share.by_rule.remove(&group.rule);
            }
        }
        if share.order.is_empty() {
            self.shares.remove(&group.workload);
        }
    }
}
