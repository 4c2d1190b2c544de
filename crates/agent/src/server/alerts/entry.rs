//! An alert as it is kept: what it is found by, and all of it as its JSON.

use std::{collections::BTreeSet, sync::Arc};

use ethogram_model::{Finding, Severity, StoredFinding};

use crate::api::{AlertFilter, AlertTraits};

/// What an alert is found by. A flood of alerts shares a few of these.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Traits {
    pub(super) workload: String,
    pub(super) analytic: String,
    pub(super) severity: Severity,
    rule: Option<String>,
    /// Its id and its name.
    container: Option<(String, Option<String>)>,
}

impl Traits {
    fn of(alert: &Finding) -> Self {
        Self {
            workload: alert.workload.clone(),
            analytic: alert.analytic.clone(),
            severity: alert.severity,
            rule: alert.rule.as_ref().map(|rule| rule.name.clone()),
            container: alert.container.as_ref().map(|it| (it.id.clone(), it.name.clone())),
        }
    }
}

/// The traits of all alerts, each once.
#[derive(Debug, Default)]
pub(super) struct AllTraits(BTreeSet<Arc<Traits>>);

impl AllTraits {
    fn shared(&mut self, traits: Traits) -> Arc<Traits> {
        if let Some(known) = self.0.get(&traits) {
            return Arc::clone(known);
        }
        let new = Arc::new(traits);
        self.0.insert(Arc::clone(&new));
        new
    }

    /// No alert has these any more, if that one was the last.
    pub(super) fn forget(&mut self, entry: Entry) {
        let Entry { traits, .. } = entry;
        // Here and in the set.
        if Arc::strong_count(&traits) == 2 {
            self.0.remove(&traits);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// One alert.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) traits: Arc<Traits>,
    pub(super) first_seen_ns: u64,
    pub(super) whole: StoredFinding,
}

impl Entry {
    /// None where the alert cannot be kept.
    pub(super) fn new(alert: &Finding, all: &mut AllTraits) -> Option<Self> {
        let whole = StoredFinding::of(alert)?;
        Some(Self { traits: all.shared(Traits::of(alert)), first_seen_ns: alert.first_seen_ns, whole })
    }

    pub(super) fn is_wanted(&self, filter: &AlertFilter) -> bool {
        let Traits { workload, analytic, severity, rule, container } = &*self.traits;
        let container = container.as_ref().map(|(id, name)| (id.as_str(), name.as_deref()));
        let traits = AlertTraits { container, severity: *severity, analytic, rule: rule.as_deref(), workload };
        filter.wants_seen(traits, self.first_seen_ns, self.whole.last_seen_ns)
    }
}
