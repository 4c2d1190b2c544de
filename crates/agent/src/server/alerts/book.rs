//! All alerts, oldest first, in as many and as many bytes as there is room for.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use ethogram_detect::FindingUpdate;
use ethogram_model::{Finding, StoredFinding};

use super::{
    entry::{AllTraits, Entry},
    shares::{Bounds, Shares, first_to_go},
};
use crate::{
    api::{AlertFilter, AlertPage, Cursor},
    store::Store,
};

/// Bytes of all alerts, as JSON.
const MAX_BYTES: usize = 8 << 20;
/// Bytes of one page of alerts, roughly.
pub(super) const PAGE_BYTES: usize = 2 << 20;

/// When an alert was first seen, and its uid.
type Key = (u64, Arc<str>);

/// All alerts.
pub(in crate::server) struct AlertBook {
    pub(super) by_uid: BTreeMap<Arc<str>, Entry>,
    pub(super) by_time: BTreeSet<Key>,
    pub(super) traits: AllTraits,
    shares: Shares,
    bounds: Bounds,
    unsaved: BTreeSet<Arc<str>>,
    gone: BTreeSet<Key>,
    /// How many were raised since the start, by severity and rule.
    raised: BTreeMap<(String, String), u64>,
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
            traits: AllTraits::default(),
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
        self.unsaved.insert(alert.uid.as_str().into());
        self.insert(alert);
    }

    /// An alert goes on.
    pub(in crate::server) fn update(&mut self, update: FindingUpdate) {
        let Some(entry) = self.by_uid.get_mut(update.uid.as_str()) else { return };
        let FindingUpdate { uid, count, last_seen_ns, evidence } = update;
        self.shares.remove(&entry.traits.workload, entry.whole.bytes());
        entry.whole.go_on(count, last_seen_ns, evidence);
        self.shares.add(&entry.traits.workload, entry.whole.bytes());
        self.unsaved.insert(uid.into());
        self.make_room();
    }

    /// What changed since the last call.
    pub(in crate::server) fn take_unsaved(&mut self) -> Unsaved {
        let alerts = std::mem::take(&mut self.unsaved)
            .into_iter()
            .filter_map(|uid| self.by_uid.get(&uid).map(|entry| ((entry.first_seen_ns, uid), entry.whole.clone())))
            .collect();
        Unsaved { alerts, gone: std::mem::take(&mut self.gone) }
    }

    /// The alert of that uid, or whose uid begins so where it is the only one.
    pub(in crate::server) fn find(&self, uid: &str) -> Option<Finding> {
        if let Some(entry) = self.by_uid.get(uid) {
            return entry.whole.read();
        }
        let mut hits = self
            .by_uid
            .range::<str, _>((Bound::Included(uid), Bound::Unbounded))
            .take_while(|(known, _)| known.starts_with(uid));
        match (hits.next(), hits.next()) {
            (Some((_, only)), None) if uid.len() >= 4 => only.whole.read(),
            _ => None,
        }
    }

    /// A page of alerts, oldest first; of more than the limit, the latest before the cursor.
    pub(in crate::server) fn list(&self, filter: &AlertFilter) -> AlertPage {
        let end = match &filter.before {
            Some(cursor) => Bound::Excluded((cursor.first_seen_ns, cursor.uid.as_str().into())),
            None => Bound::Unbounded,
        };
        let entries =
            self.by_time.range((Bound::Unbounded, end)).rev().filter_map(|(_, uid)| self.by_uid.get_key_value(uid));
        let mut wanted = entries.filter(|(_, entry)| entry.is_wanted(filter)).peekable();
        let (mut alerts, mut bytes, mut oldest) = (Vec::new(), 0, None);
        while let Some((uid, entry)) = wanted.peek() {
            if alerts.len() >= filter.limit || !alerts.is_empty() && bytes + entry.whole.bytes() > PAGE_BYTES {
                break;
            }
            bytes += entry.whole.bytes();
            alerts.push(entry.whole.clone());
            oldest = Some(Cursor { first_seen_ns: entry.first_seen_ns, uid: (**uid).to_string() });
            wanted.next();
        }
        let has_more = wanted.peek().is_some();
        alerts.reverse();
        let next = oldest.filter(|_| has_more);
        AlertPage { alerts, next }
    }

    /// How many alerts a filter lets pass, whatever its limit.
    pub(in crate::server) fn count(&self, filter: &AlertFilter) -> u64 {
        self.by_uid.values().filter(|entry| entry.is_wanted(filter)).count() as u64
    }

    pub(in crate::server) fn raised(&self) -> &BTreeMap<(String, String), u64> {
        &self.raised
    }

    fn insert(&mut self, alert: &Finding) {
        self.remove(&alert.uid);
        let Some(entry) = Entry::new(alert, &mut self.traits) else { return };
        let uid: Arc<str> = alert.uid.as_str().into();
        let key = (alert.first_seen_ns, Arc::clone(&uid));
        self.gone.remove(&key);
        self.by_time.insert(key);
        self.shares.add(&alert.workload, entry.whole.bytes());
        self.by_uid.insert(uid, entry);
        self.make_room();
    }

    /// Where there are too many, the workload with most of them gives way, by a sixteenth of its own.
    fn make_room(&mut self) {
        while let Some(workload) = self.shares.largest_beyond(self.bounds) {
            let of_workload: Vec<_> =
                self.by_time.iter().filter(|(_, uid)| self.workload_of(uid) == Some(workload)).collect();
            let oldest_first = of_workload.iter().filter_map(|(_, uid)| Some((uid, &*self.by_uid.get(uid)?.traits)));
            let going = first_to_go(oldest_first, of_workload.len().div_ceil(16));
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

    fn workload_of(&self, uid: &str) -> Option<&str> {
        self.by_uid.get(uid).map(|entry| entry.traits.workload.as_str())
    }

    fn remove(&mut self, uid: &str) {
        let Some((uid, entry)) = self.by_uid.remove_entry(uid) else { return };
        self.shares.remove(&entry.traits.workload, entry.whole.bytes());
        let key = (entry.first_seen_ns, uid);
        self.traits.forget(entry);
        self.by_time.remove(&key);
        self.gone.insert(key);
    }
}
