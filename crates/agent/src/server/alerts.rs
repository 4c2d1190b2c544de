//! The alerts there are, newest known state of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ethogram_detect::FindingUpdate;
use ethogram_model::Finding;

use crate::{api::AlertFilter, store::Store};

/// All alerts, oldest first. Bounded as the store is.
#[derive(Default)]
pub(super) struct AlertBook {
    by_uid: BTreeMap<String, Arc<Finding>>,
    by_time: BTreeSet<(u64, String)>,
    /// Those that the store has not got yet as they are now.
    unsaved: BTreeSet<String>,
    /// How many were raised since the start, by severity and rule.
    raised: BTreeMap<(String, String), u64>,
}

impl AlertBook {
    pub(super) fn restore(alerts: Vec<Finding>) -> Self {
        let mut book = Self::default();
        for alert in alerts {
            book.insert(Arc::new(alert));
        }
        book
    }

    /// A new alert.
    pub(super) fn raise(&mut self, alert: Arc<Finding>) {
        let rule = (alert.severity.name().to_lowercase(), alert.analytic.clone());
        *self.raised.entry(rule).or_default() += 1;
        self.unsaved.insert(alert.uid.clone());
        self.insert(alert);
    }

    /// An alert goes on.
    pub(super) fn update(&mut self, update: FindingUpdate) {
        let Some(alert) = self.by_uid.get_mut(&update.uid) else { return };
        let alert = Arc::make_mut(alert);
        alert.count = update.count;
        alert.last_seen_ns = update.last_seen_ns;
        alert.evidence.extend(update.evidence);
        alert.evidence.truncate(Finding::MAX_EVIDENCE);
        self.unsaved.insert(update.uid);
    }

    /// Those that changed since the last call.
    pub(super) fn take_unsaved(&mut self) -> BTreeMap<String, Finding> {
        std::mem::take(&mut self.unsaved)
            .into_iter()
            .filter_map(|uid| self.by_uid.get(&uid).map(|a| (uid, Finding::clone(a))))
            .collect()
    }

    /// The alert of that uid, or whose uid begins so where it is the only one.
    pub(super) fn find(&self, uid: &str) -> Option<Arc<Finding>> {
        if let Some(alert) = self.by_uid.get(uid) {
            return Some(Arc::clone(alert));
        }
        let mut hits = self.by_uid.range(uid.to_owned()..).take_while(|(known, _)| known.starts_with(uid));
        match (hits.next(), hits.next()) {
            (Some((_, only)), None) if uid.len() >= 4 => Some(Arc::clone(only)),
            _ => None,
        }
    }

    /// Oldest first; of more than the limit, the latest.
    pub(super) fn list(&self, filter: &AlertFilter) -> Vec<Finding> {
        let wanted = self.by_time.iter().rev().filter_map(|(_, uid)| self.by_uid.get(uid)).filter(|a| filter.wants(a));
        let mut list: Vec<Finding> = wanted.take(filter.limit).map(|a| Finding::clone(a)).collect();
        list.reverse();
        list
    }

    pub(super) fn raised(&self) -> &BTreeMap<(String, String), u64> {
        &self.raised
    }

    fn insert(&mut self, alert: Arc<Finding>) {
        self.by_time.insert((alert.first_seen_ns, alert.uid.clone()));
        self.by_uid.insert(alert.uid.clone(), alert);
        while self.by_time.len() > Store::MAX_ALERTS {
            if let Some((_, uid)) = self.by_time.pop_first() {
                self.by_uid.remove(&uid);
            }
        }
    }
}
