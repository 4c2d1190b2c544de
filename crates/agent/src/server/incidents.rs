//! Incidents as they are kept: the latest, in as many and as many bytes as there is room for.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use ethogram_model::{Incident, IncidentUpdate, evidence};

use crate::api::IncidentFilter;

/// Incidents kept, and bytes of them as JSON.
const MAX_COUNT: usize = 1_000;
const MAX_BYTES: usize = 4 << 20;

/// When an incident was first seen, and its uid.
type Key = (u64, Arc<str>);

/// All incidents.
#[derive(Default)]
pub(super) struct IncidentBook {
    by_uid: BTreeMap<Arc<str>, Entry>,
    by_time: BTreeSet<Key>,
    bytes: usize,
    unsaved: BTreeSet<Arc<str>>,
    gone: BTreeSet<Key>,
}

struct Entry {
    incident: Arc<Incident>,
    bytes: usize,
}

impl IncidentBook {
    /// Goes on with those that were stored.
    pub(super) fn restore(incidents: Vec<Incident>) -> Self {
        let mut book = Self::default();
        incidents.into_iter().for_each(|incident| book.insert(Arc::new(incident)));
        book
    }

    /// An incident begins, goes on or ends.
    pub(super) fn put(&mut self, incident: Arc<Incident>) {
        if incident.merged_into.is_some() {
            return self.remove(&incident.uid);
        }
        self.unsaved.insert(incident.uid.as_str().into());
        self.insert(incident);
        while self.by_uid.len() > MAX_COUNT || self.bytes > MAX_BYTES {
            let Some(uid) = self.first_to_go() else { return };
            self.remove(&uid);
        }
    }

    /// One that there is went on without a new part.
    pub(super) fn update(&mut self, update: IncidentUpdate) {
        if let Some(entry) = self.by_uid.get(&*update.uid) {
            let mut incident = Incident::clone(&entry.incident);
            incident.update(update);
            self.put(Arc::new(incident));
        }
    }

    fn insert(&mut self, incident: Arc<Incident>) {
        self.remove(&incident.uid);
        let (uid, bytes): (Arc<str>, _) = (incident.uid.as_str().into(), evidence::size(&*incident));
        let key = (incident.first_seen_ns, Arc::clone(&uid));
        self.gone.remove(&key);
        self.by_time.insert(key);
        self.bytes += bytes;
        self.by_uid.insert(uid, Entry { incident, bytes });
    }

    fn remove(&mut self, uid: &str) {
        let Some((uid, entry)) = self.by_uid.remove_entry(uid) else { return };
        self.bytes -= entry.bytes;
        let key = (entry.incident.first_seen_ns, uid);
        self.by_time.remove(&key);
        self.gone.insert(key);
    }

    /// Of the workload with most, the mildest that is over, the oldest of these.
    fn first_to_go(&self) -> Option<Arc<str>> {
        let owner = |incident: &Incident| incident.workloads.first().cloned().unwrap_or_default();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        self.by_uid.values().for_each(|entry| *counts.entry(owner(&entry.incident)).or_default() += entry.bytes);
        let (most, _) = counts.into_iter().max_by_key(|(_, bytes)| *bytes)?;
        let theirs = self.by_uid.iter().filter(|(_, entry)| owner(&entry.incident) == most);
        let key = |incident: &Incident| (incident.is_open, incident.severity, incident.first_seen_ns);
        theirs.min_by_key(|(_, entry)| key(&entry.incident)).map(|(uid, _)| Arc::clone(uid))
    }

    /// What the store has not got yet.
    pub(super) fn take_unsaved(&mut self) -> BTreeMap<Key, Option<Arc<Incident>>> {
        let gone = std::mem::take(&mut self.gone).into_iter().map(|key| (key, None));
        let mut all: BTreeMap<_, _> = gone.collect();
        for uid in std::mem::take(&mut self.unsaved) {
            if let Some(entry) = self.by_uid.get(&uid) {
                all.insert((entry.incident.first_seen_ns, uid), Some(Arc::clone(&entry.incident)));
            }
        }
        all
    }

    /// The incident of that uid, or whose uid begins so where it is the only one.
    pub(super) fn find(&self, uid: &str) -> Option<Arc<Incident>> {
        if let Some(entry) = self.by_uid.get(uid) {
            return Some(Arc::clone(&entry.incident));
        }
        let from = (Bound::Included(uid), Bound::Unbounded);
        let mut hits = self.by_uid.range::<str, _>(from).take_while(|(known, _)| known.starts_with(uid));
        match (hits.next(), hits.next()) {
            (Some((_, only)), None) if uid.len() >= 4 => Some(Arc::clone(&only.incident)),
            _ => None,
        }
    }

    /// Those that are wanted, oldest first; of more than the limit, the latest.
    pub(super) fn list(&self, filter: &IncidentFilter) -> Vec<Arc<Incident>> {
        let latest_first = self.by_time.iter().rev().filter_map(|(_, uid)| self.by_uid.get(uid));
        let wanted = latest_first.map(|entry| &entry.incident).filter(|incident| filter.wants(incident));
        let mut found: Vec<_> = wanted.take(filter.limit).cloned().collect();
        found.reverse();
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_model::{Origin, Severity};

    use super::*;

    fn incident(uid: &str, workload: &str, at: u64, severity: Severity) -> Arc<Incident> {
        Arc::new(Incident {
            severity,
            containers: vec![workload.into()],
            workloads: vec![workload.into()],
            findings: 1,
            ..Incident::begun(uid.into(), Origin::Child, at)
        })
    }

    fn all() -> IncidentFilter {
        IncidentFilter { limit: 10_000, ..IncidentFilter::default() }
    }

    #[test]
    fn it_is_found_by_the_start_of_its_uid_and_kept_as_it_goes_on() {
        let mut book = IncidentBook::default();
        book.put(incident("abcd1", "web", 5, Severity::Low));
        book.put(incident("abcd2", "web", 6, Severity::Low));
        book.put(incident("abcd1", "web", 4, Severity::High));
        assert!(book.find("abcd").is_none(), "it is not clear which");
        assert_eq!(book.find("abcd1").unwrap().severity, Severity::High);
        let listed: Vec<_> = book.list(&all()).iter().map(|incident| incident.uid.clone()).collect();
        assert_eq!(listed, ["abcd1", "abcd2"]);
        let unsaved = book.take_unsaved();
        let kept: Vec<_> = unsaved.iter().map(|((at, uid), incident)| (*at, &**uid, incident.is_some())).collect();
        assert_eq!(kept, [(4, "abcd1", true), (5, "abcd1", false), (6, "abcd2", true)]);
        assert!(book.take_unsaved().is_empty());
        let merged = Incident { merged_into: Some("abcd1".into()), ..Incident::clone(&book.find("abcd2").unwrap()) };
        book.put(Arc::new(merged));
        assert!(book.find("abcd2").is_none(), "it is part of the other");
    }

    #[test]
    fn who_has_most_gives_way_by_what_is_mild() {
        let mut book = IncidentBook::default();
        book.put(incident("store", "store", 1, Severity::Low));
        book.put(incident("first", "web", 2, Severity::High));
        (0..3_000).for_each(|n| book.put(incident(&format!("web{n}"), "web", 10 + n, Severity::Low)));
        assert_eq!(book.by_uid.len(), MAX_COUNT);
        assert!(book.find("store").is_some() && book.find("first").is_some() && book.find("web0").is_none());
    }
}
