//! All alerts, oldest first, in as many and as many bytes as there is room for.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use ethogram_detect::FindingUpdate;
use ethogram_model::{Finding, RuleMatch, StoredFinding};

use super::shares::{Bounds, Shares, first_to_go};
use crate::{
    api::{AlertFilter, AlertPage, Cursor},
    store::Store,
};

/// Bytes of all alerts, as JSON.
const MAX_BYTES: usize = 8 << 20;
/// Bytes of one page of alerts, roughly.
pub(super) const PAGE_BYTES: usize = 2 << 20;

/// When an alert was first seen, and its uid.
type Key = (u64, String);

/// All alerts.
pub(in crate::server) struct AlertBook {
    pub(super) by_uid: BTreeMap<String, Entry>,
    pub(super) by_time: BTreeSet<Key>,
    shares: Shares,
    bounds: Bounds,
    unsaved: BTreeSet<String>,
    gone: BTreeSet<Key>,
    /// How many were raised since the start, by severity and rule.
    raised: BTreeMap<(String, String), u64>,
}

pub(super) struct Entry {
    /// What it is found by, without all that is long.
    head: Finding,
    pub(super) whole: StoredFinding,
}

impl Entry {
    fn new(alert: &Finding) -> Option<Self> {
        let whole = StoredFinding::of(alert)?;
        let short = |rule: &RuleMatch| RuleMatch { name: rule.name.clone(), ..RuleMatch::default() };
        let head = Finding {
            uid: alert.uid.clone(),
            title: String::new(),
            analytic: alert.analytic.clone(),
            severity: alert.severity,
            confidence: alert.confidence,
            reason: String::new(),
            workload: alert.workload.clone(),
            operation: String::new(),
            executable: String::new(),
            object: String::new(),
            usual: Vec::new(),
            container: alert.container.clone(),
            process: None,
            evidence: Vec::new(),
            rule: alert.rule.as_ref().map(short),
            score: None,
            techniques: Vec::new(),
            count: alert.count,
            first_seen_ns: alert.first_seen_ns,
            last_seen_ns: alert.last_seen_ns,
        };
        Some(Self { head, whole })
    }
}

/// What the store has not got yet.
#[derive(Debug, Default)]
pub(in crate::server) struct Unsaved {
    /// New, or gone on.
    pub(in crate::server) alerts: BTreeMap<Key, StoredFinding>,
    /// There is no room for these any more.
    pub(in crate::server) gone: BTreeSet<Key>,
}

impl Default for AlertBook {
    fn default() -> Self {
        Self::with_bounds(Bounds { count: Store::MAX_ALERTS, bytes: MAX_BYTES })
    }
}

impl AlertBook {
    pub(super) fn with_bounds(bounds: Bounds) -> Self {
        Self {
            by_uid: BTreeMap::new(),
            by_time: BTreeSet::new(),
            shares: Shares::default(),
            bounds,
            unsaved: BTreeSet::new(),
            gone: BTreeSet::new(),
            raised: BTreeMap::new(),
        }
    }

    pub(in crate::server) fn restore(alerts: Vec<StoredFinding>) -> Self {
        let mut book = Self::default();
        alerts.iter().filter_map(StoredFinding::read).for_each(|alert| book.insert(&alert));
        book
    }

    /// A new alert.
    pub(in crate::server) fn raise(&mut self, alert: &Finding) {
        let rule = (alert.severity.name().to_lowercase(), alert.analytic.clone());
        *self.raised.entry(rule).or_default() += 1;
        self.unsaved.insert(alert.uid.clone());
        self.insert(alert);
    }

    /// An alert goes on.
    pub(in crate::server) fn update(&mut self, update: FindingUpdate) {
        let Some(entry) = self.by_uid.get_mut(&update.uid) else { return };
        let FindingUpdate { uid, count, last_seen_ns, evidence } = update;
        self.shares.remove(&entry.head.workload, entry.whole.bytes());
        entry.whole.go_on(count, last_seen_ns, evidence);
        (entry.head.count, entry.head.last_seen_ns) = (count, last_seen_ns);
        self.shares.add(&entry.head.workload, entry.whole.bytes());
        self.unsaved.insert(uid);
        self.make_room();
    }

    /// What changed since the last call.
    pub(in crate::server) fn take_unsaved(&mut self) -> Unsaved {
        let alerts = std::mem::take(&mut self.unsaved)
            .into_iter()
            .filter_map(|uid| self.by_uid.get(&uid).map(|entry| ((entry.head.first_seen_ns, uid), entry.whole.clone())))
            .collect();
        Unsaved { alerts, gone: std::mem::take(&mut self.gone) }
    }

    /// The alert of that uid, or whose uid begins so where it is the only one.
    pub(in crate::server) fn find(&self, uid: &str) -> Option<Finding> {
        if let Some(entry) = self.by_uid.get(uid) {
            return entry.whole.read();
        }
        let mut hits = self.by_uid.range(uid.to_owned()..).take_while(|(known, _)| known.starts_with(uid));
        match (hits.next(), hits.next()) {
            (Some((_, only)), None) if uid.len() >= 4 => only.whole.read(),
            _ => None,
        }
    }

    /// A page of alerts, oldest first; of more than the limit, the latest before the cursor.
    pub(in crate::server) fn list(&self, filter: &AlertFilter) -> AlertPage {
        let end = match &filter.before {
            Some(cursor) => Bound::Excluded((cursor.first_seen_ns, cursor.uid.clone())),
            None => Bound::Unbounded,
        };
        let entries = self.by_time.range((Bound::Unbounded, end)).rev().filter_map(|(_, uid)| self.by_uid.get(uid));
        let mut wanted = entries.filter(|entry| filter.wants(&entry.head)).peekable();
        let (mut alerts, mut bytes, mut oldest) = (Vec::new(), 0, None);
        while let Some(entry) = wanted.peek() {
            if alerts.len() >= filter.limit || !alerts.is_empty() && bytes + entry.whole.bytes() > PAGE_BYTES {
                break;
            }
            bytes += entry.whole.bytes();
            alerts.push(entry.whole.clone());
            oldest = Some(Cursor { first_seen_ns: entry.head.first_seen_ns, uid: entry.head.uid.clone() });
            wanted.next();
        }
        let has_more = wanted.peek().is_some();
        alerts.reverse();
        let next = oldest.filter(|_| has_more);
        AlertPage { alerts, next }
    }

    /// How many alerts a filter lets pass, whatever its limit.
    pub(in crate::server) fn count(&self, filter: &AlertFilter) -> u64 {
        self.by_uid.values().filter(|entry| filter.wants(&entry.head)).count() as u64
    }

    pub(in crate::server) fn raised(&self) -> &BTreeMap<(String, String), u64> {
        &self.raised
    }

    fn insert(&mut self, alert: &Finding) {
        let Some(entry) = Entry::new(alert) else { return };
        self.remove(&alert.uid);
        let key = (alert.first_seen_ns, alert.uid.clone());
        self.gone.remove(&key);
        self.by_time.insert(key);
        self.shares.add(&alert.workload, entry.whole.bytes());
        self.by_uid.insert(alert.uid.clone(), entry);
        self.make_room();
    }

    /// Where there are too many, the workload with most of them gives way, by a sixteenth of its own.
    fn make_room(&mut self) {
        while let Some(workload) = self.shares.largest_beyond(self.bounds) {
            let alerts = self.by_uid.values().map(|entry| &entry.head);
            let of_workload: Vec<&Finding> = alerts.filter(|alert| alert.workload == workload).collect();
            let going = first_to_go(&of_workload, of_workload.len().div_ceil(16));
            if going.is_empty() {
                return;
            }
            tracing::info!(
                alerts = going.len(),
                workload,
                "old alerts of the workload with most made room for new ones"
            );
            going.iter().for_each(|uid| self.remove(uid));
        }
    }

    fn remove(&mut self, uid: &str) {
        let Some(Entry { head, whole }) = self.by_uid.remove(uid) else { return };
        self.shares.remove(&head.workload, whole.bytes());
        let key = (head.first_seen_ns, head.uid);
        self.by_time.remove(&key);
        self.gone.insert(key);
    }
}
