//! Incidents as they are kept: the latest, in as many and as many bytes as there is room for.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use ethogram_detect::Trail;
use ethogram_model::{AnnotatedIncident, Incident, IncidentUpdate, Triage, evidence};

use crate::{
    api::IncidentFilter,
    metrics::TriageMetrics,
    triage::{Triager, shape},
};

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
    /// The uids of those that became part of another, each with the uid of that.
    merged: BTreeMap<Arc<str>, Arc<str>>,
    bytes: usize,
    unsaved: BTreeSet<Arc<str>>,
    gone: BTreeSet<Key>,
    /// Who is asked what it takes an incident for; none where triage is off.
    triager: Option<Triager>,
}

/// What is to be stored.
pub(super) struct Unsaved {
    /// Incidents; none where there is no room any more.
    pub(super) incidents: BTreeMap<Key, Option<AnnotatedIncident>>,
    /// What is stored of these besides.
    pub(super) trails: BTreeMap<Key, Arc<Trail>>,
}

struct Entry {
    incident: Arc<Incident>,
    /// What a model wrote about it as it is now.
    triage: Option<Arc<Triage>>,
    /// By what it goes on after a restart, and is known when it comes again.
    trail: Option<Arc<Trail>>,
    /// The shape in which it was last offered to be triaged.
    offered: String,
    bytes: usize,
}

impl Entry {
    fn annotated(&self) -> AnnotatedIncident {
        AnnotatedIncident { incident: Arc::clone(&self.incident), triage: self.triage.clone() }
    }
}

impl IncidentBook {
    /// Goes on with those that were stored.
    pub(super) fn restore(
        incidents: Vec<AnnotatedIncident>,
        mut trails: BTreeMap<String, Trail>,
        triager: Option<Triager>,
    ) -> Self {
        let mut book = Self { triager, ..Self::default() };
        for AnnotatedIncident { incident, triage } in incidents {
            let trail = trails.remove(&incident.uid).map(Arc::new);
            book.insert(incident, triage, trail, String::new());
        }
        book
    }

    /// An incident begins, goes on or ends.
    pub(super) fn put(&mut self, incident: Arc<Incident>) {
        if incident.merged_into.is_some() {
            self.triager.iter().for_each(|triager| triager.offer(&incident, ""));
            return self.remove(&incident.uid);
        }
        let (mut triage, mut offered) = (None, String::new());
        let known = self.by_uid.get(incident.uid.as_str());
        if self.triager.is_some() || known.is_some_and(|known| known.triage.is_some()) {
            let shape = shape(&incident);
            // What was written about another shape says nothing of this one.
            triage = known.and_then(|known| known.triage.clone()).filter(|triage| triage.shape == shape);
            if known.is_none_or(|known| known.offered != shape) && triage.is_none() {
                self.triager.iter().for_each(|triager| triager.offer(&incident, &shape));
            }
            offered = shape;
        }
        let trail = known.and_then(|known| known.trail.clone());
        let trail = if incident.is_open { trail } else { trail.map(|trail| Arc::new(Trail::clone(&trail).ended())) };
        self.unsaved.insert(incident.uid.as_str().into());
        self.insert(incident, triage, trail, offered);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.by_uid.len() > MAX_COUNT || self.bytes > MAX_BYTES {
            let Some(uid) = self.first_to_go() else { return };
            self.remove(&uid);
        }
    }

    /// One that there is went on without a new part. Gives it as it is now.
    pub(super) fn update(&mut self, update: IncidentUpdate) -> Option<Arc<Incident>> {
        let mut incident = Incident::clone(&self.by_uid.get(&*update.uid)?.incident);
        incident.update(update);
        let incident = Arc::new(incident);
        self.put(Arc::clone(&incident));
        Some(incident)
    }

    /// Notes what a model wrote about an incident. Returns whether that still is of the shape that it was asked about.
    pub(super) fn annotate(&mut self, uid: &str, triage: Triage) -> bool {
        let Some(entry) = self.by_uid.get(uid).filter(|entry| shape(&entry.incident) == triage.shape) else {
            return false;
        };
        let (incident, trail, offered) = (Arc::clone(&entry.incident), entry.trail.clone(), entry.offered.clone());
        self.unsaved.insert(uid.into());
        self.insert(incident, Some(Arc::new(triage)), trail, offered);
        true
    }

    /// Notes by what an incident that is open goes on after a restart.
    pub(super) fn follow(&mut self, trail: Trail) {
        let Some(entry) = self.by_uid.get(&*trail.uid) else { return };
        let (incident, triage, offered) = (Arc::clone(&entry.incident), entry.triage.clone(), entry.offered.clone());
        self.unsaved.insert(incident.uid.as_str().into());
        self.insert(incident, triage, Some(Arc::new(trail)), offered);
        self.make_room();
    }

    fn insert(
        &mut self,
        incident: Arc<Incident>,
        triage: Option<Arc<Triage>>,
        trail: Option<Arc<Trail>>,
        offered: String,
    ) {
        self.remove(&incident.uid);
        let uid: Arc<str> = incident.uid.as_str().into();
        let of_trail = trail.as_ref().map_or(0, |trail| evidence::size(&**trail));
        let of_triage = triage.as_ref().map_or(0, |triage| evidence::size(&**triage));
        let bytes = evidence::size(&*incident) + of_triage + of_trail;
        let key = (incident.first_seen_ns, Arc::clone(&uid));
        self.gone.remove(&key);
        self.by_time.insert(key);
        self.bytes += bytes;
        self.merged.extend(incident.merged.iter().map(|merged| (merged.as_str().into(), Arc::clone(&uid))));
        self.by_uid.insert(uid, Entry { incident, triage, trail, offered, bytes });
    }

    fn remove(&mut self, uid: &str) {
        let Some((uid, entry)) = self.by_uid.remove_entry(uid) else { return };
        self.bytes -= entry.bytes;
        entry.incident.merged.iter().for_each(|merged| _ = self.merged.remove(merged.as_str()));
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

    /// What became of incidents that were to be triaged; none where that is off.
    pub(super) fn triage_metrics(&self) -> Option<TriageMetrics> {
        self.triager.as_ref().map(|triager| triager.counters.metrics())
    }

    /// What the store has not got yet.
    pub(super) fn take_unsaved(&mut self) -> Unsaved {
        let gone = std::mem::take(&mut self.gone).into_iter().map(|key| (key, None));
        let mut unsaved = Unsaved { incidents: gone.collect(), trails: BTreeMap::new() };
        for uid in std::mem::take(&mut self.unsaved) {
            let Some(entry) = self.by_uid.get(&uid) else { continue };
            let key = (entry.incident.first_seen_ns, uid);
            if let Some(trail) = &entry.trail {
                unsaved.trails.insert(key.clone(), Arc::clone(trail));
            }
            unsaved.incidents.insert(key, Some(entry.annotated()));
        }
        unsaved
    }

    /// The incident of that uid, or whose uid begins so where it is the only one. The uid of one that became part of another
    /// leads to that.
    pub(super) fn find(&self, uid: &str) -> Option<AnnotatedIncident> {
        let known = self.by_uid.get_key_value(uid).map(|(known, _)| known).or_else(|| self.merged.get(uid));
        let known = known.or_else(|| self.only_one_of(uid))?;
        self.by_uid.get(known).map(Entry::annotated)
    }

    /// The uid of the only incident to which uids lead that begin so.
    fn only_one_of(&self, start: &str) -> Option<&Arc<str>> {
        let from = || (Bound::Included(start), Bound::Unbounded);
        let own = self.by_uid.range::<str, _>(from()).map(|(uid, _)| (uid, uid));
        let merged = self.merged.range::<str, _>(from());
        let of_start = |(known, _): &(&Arc<str>, &Arc<str>)| known.starts_with(start);
        let mut hits = own.take_while(of_start).chain(merged.take_while(of_start)).map(|(_, uid)| uid);
        let first = hits.next().filter(|_| start.len() >= 4)?;
        hits.all(|other| other == first).then_some(first)
    }

    /// Those that are wanted, oldest first; of more than the limit, the latest.
    pub(super) fn list(&self, filter: &IncidentFilter) -> Vec<AnnotatedIncident> {
        let latest_first = self.by_time.iter().rev().filter_map(|(_, uid)| self.by_uid.get(uid));
        let wanted = latest_first.filter(|entry| filter.wants(&entry.incident)).map(Entry::annotated);
        let mut found: Vec<_> = wanted.take(filter.limit).collect();
        found.reverse();
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ethogram_model::{Origin, Severity, Verdict};

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
        assert_eq!(book.find("abcd1").unwrap().incident.severity, Severity::High);
        let listed: Vec<_> = book.list(&all()).iter().map(|one| one.incident.uid.clone()).collect();
        assert_eq!(listed, ["abcd1", "abcd2"]);
        let unsaved = book.take_unsaved().incidents;
        let kept: Vec<_> = unsaved.iter().map(|((at, uid), incident)| (*at, &**uid, incident.is_some())).collect();
        assert_eq!(kept, [(4, "abcd1", true), (5, "abcd1", false), (6, "abcd2", true)]);
        assert!(book.take_unsaved().incidents.is_empty());
        let known = book.find("abcd2").unwrap().incident;
        let merged = Incident { merged_into: Some("abcd1".into()), ..Incident::clone(&known) };
        book.put(Arc::new(merged));
        assert!(book.find("abcd2").is_none(), "it is part of the other");
    }

    #[test]
    fn the_uid_of_one_that_became_part_of_another_leads_to_that_for_as_long_as_it_is_kept() {
        let mut book = IncidentBook::default();
        let (second, other) =
            (incident("beef2", "web", 6, Severity::Low), incident("beef3", "store", 7, Severity::Low));
        book.put(incident("abcd1", "web", 5, Severity::Low));
        book.put(Arc::clone(&second));
        book.put(Arc::new(Incident { merged_into: Some("abcd1".into()), ..Incident::clone(&second) }));
        let whole =
            Incident { merged: vec!["beef2".into()], ..Incident::clone(&incident("abcd1", "web", 5, Severity::Low)) };
        book.put(Arc::new(whole.clone()));
        let found = |book: &IncidentBook, uid: &str| book.find(uid).map(|found| found.incident.uid.clone());
        for uid in ["abcd1", "abcd", "beef2", "beef"] {
            assert_eq!(found(&book, uid).as_deref(), Some("abcd1"), "{uid}");
        }
        assert_eq!((found(&book, "bee"), found(&book, "beef9")), (None, None));
        assert_eq!(book.list(&all()).len(), 1);
        book.put(other);
        assert_eq!(
            (found(&book, "beef"), found(&book, "beef3").as_deref()),
            (None, Some("beef3")),
            "it is not clear which"
        );
        let restored = IncidentBook::restore(book.list(&all()), BTreeMap::new(), None);
        assert_eq!(found(&restored, "beef2").as_deref(), Some("abcd1"));
        // That goes, or becomes part of a third one itself.
        book.put(Arc::new(Incident { merged_into: Some("beef3".into()), ..whole }));
        assert_eq!(found(&book, "beef2"), None);
        let third = incident("beef3", "store", 7, Severity::Low);
        let merged = vec!["abcd1".into(), "beef2".into()];
        book.put(Arc::new(Incident { merged, ..Incident::clone(&third) }));
        assert_eq!(
            (found(&book, "beef2").as_deref(), found(&book, "abcd1").as_deref()),
            (Some("beef3"), Some("beef3"))
        );
        book.remove("beef3");
        assert_eq!((found(&book, "beef2"), book.merged.len()), (None, 0));
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

    #[test]
    fn by_what_it_goes_on_lies_beside_an_incident_for_as_long_as_it_is_open() {
        let trail = |path: &str| -> Trail {
            let connections = serde_json::json!({ "programs": [], "files": [[7, path, 0]], "hops": [] });
            let shape = serde_json::json!({ "findings": [5], "is_cut": false });
            serde_json::from_value(serde_json::json!({ "uid": "a", "shape": shape, "connections": connections }))
                .unwrap()
        };
        let mut book = IncidentBook::default();
        let stored = |book: &mut IncidentBook| book.take_unsaved().trails.into_values().next();
        book.follow(trail("/tmp/x"));
        assert!(stored(&mut book).is_none(), "there is no such incident");
        book.put(incident("a", "web", 5, Severity::Low));
        book.follow(trail("/tmp/x"));
        assert_eq!(stored(&mut book).as_deref(), Some(&trail("/tmp/x")));
        // It goes on, and began earlier than it seemed.
        book.put(incident("a", "web", 4, Severity::High));
        let unsaved = book.take_unsaved();
        assert_eq!(unsaved.trails.keys().map(|(at, _)| *at).collect::<Vec<_>>(), [4]);
        let over = Incident { is_open: false, ..Incident::clone(&incident("a", "web", 4, Severity::High)) };
        book.put(Arc::new(over));
        assert_eq!(stored(&mut book).as_deref(), Some(&trail("/tmp/x").ended()));
        let before = book.bytes;
        book.put(incident("a", "web", 4, Severity::High));
        book.follow(trail(&"x".repeat(10_000)));
        assert!(book.bytes > before + 10_000, "it counts");
        book.remove("a");
        assert_eq!((book.bytes, stored(&mut book)), (0, None));
    }

    fn triage(incident: &Incident) -> Triage {
        Triage {
            verdict: Verdict::Maintenance,
            reason: "a job".into(),
            look_at: Vec::new(),
            model: "small".into(),
            prompt: "00".into(),
            shape: shape(incident),
            asked_ns: 5,
            cached: false,
        }
    }

    #[test]
    fn an_annotation_lies_beside_an_incident_for_as_long_as_that_is_the_same() {
        let mut book = IncidentBook::default();
        let medium = incident("abcd1", "web", 5, Severity::Medium);
        book.put(Arc::clone(&medium));
        book.take_unsaved();
        let before = book.bytes;
        assert!(book.annotate("abcd1", triage(&medium)));
        let unsaved = book.take_unsaved().incidents;
        let stored = unsaved.into_values().next().flatten().unwrap();
        assert_eq!(stored.incident, medium, "nothing of it is changed");
        assert!(stored.triage.is_some() && book.bytes > before);
        // It goes on, and ends: that is the same deed.
        let over = Incident { is_open: false, last_seen_ns: 90, findings: 2, ..Incident::clone(&medium) };
        book.put(Arc::new(over));
        assert!(book.find("abcd1").unwrap().triage.is_some());
        let restored = IncidentBook::restore(book.list(&all()), BTreeMap::new(), None);
        assert!(restored.find("abcd1").unwrap().triage.is_some());
        // It gets worse: what was written before does not speak for that.
        book.put(incident("abcd1", "web", 5, Severity::High));
        assert!(book.find("abcd1").unwrap().triage.is_none());
        assert_eq!(book.bytes, evidence::size(&*book.find("abcd1").unwrap().incident));
        assert!(!book.annotate("abcd1", triage(&medium)), "the answer came too late");
        assert!(!book.annotate("gone", triage(&medium)));
    }
}
