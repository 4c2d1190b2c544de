//! Incidents that were before: what is the same again, later or elsewhere, and what is alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hasher},
};

use ethogram_model::{Cluster, Incident, IncidentUpdate, Recurrence, Recurrences, Severity};

use serde::{Deserialize, Serialize};

use super::likeness::{Likeness, normalised};
use crate::update::FindingUpdate;

/// Incidents that are remembered; beyond, of the workload with most the one that was longest not seen goes.
const MAX_KNOWN: usize = 256;
/// Findings of one incident that are remembered.
const MAX_FINDINGS: usize = 256;
/// After so long people hear of the same again. Nanoseconds.
const QUIET_NS: u64 = 24 * 3_600_000_000_000;
/// After so long a finding that goes on is the same deed again, and no more the first. Nanoseconds.
const AGAIN_NS: u64 = 30 * 60 * 1_000_000_000;
/// Bits more than the first has, with which people hear of the same again.
const RISE_BITS: f64 = 1.0;
/// Containers that are remembered of an incident.
const MAX_PLACES: usize = Recurrences::MAX_PLACES;

/// Incidents by their uids.
#[derive(Debug, Default)]
pub(super) struct Known {
    all: BTreeMap<String, Memory>,
    /// The first of which an open incident is a recurrence, and whether that is news.
    recurrences: BTreeMap<String, Recurrence>,
    /// Of which incident a finding is.
    findings: BTreeMap<String, String>,
    /// Those that went on.
    changed: BTreeSet<String>,
    repeated: u64,
}

/// What is remembered of one.
#[derive(Debug)]
struct Memory {
    workload: String,
    shape: Shape,
    likeness: Likeness,
    severity: Severity,
    bits: f64,
    is_open: bool,
    last_seen_ns: u64,
    places: BTreeSet<String>,
    findings: Vec<String>,
    recurrences: Recurrences,
    /// The first of those that are alike; itself, where it is that.
    first: String,
}

/// What the findings of an incident are, without what differs from one time to the next: a hash of each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// Of the standard library: where a later agent has other hashes, what was stored is like no other.
    findings: BTreeSet<u64>,
    /// Whether there were more than are kept: it is like no other then.
    is_cut: bool,
}

impl Shape {
    pub(super) fn add(&mut self, analytic: &str, operation: &str, executable: &str, object: &str) {
        let mut hasher = DefaultHasher::new();
        for text in [analytic, operation, executable, &*normalised(object)] {
            hasher.write_usize(text.len());
            hasher.write(text.as_bytes());
        }
        self.findings.insert(hasher.finish());
        self.cut();
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.is_cut |= other.is_cut;
        self.cut();
    }

    fn cut(&mut self) {
        while self.findings.len() > MAX_FINDINGS {
            self.is_cut = true;
            self.findings.pop_last();
        }
    }

    /// That of a stored incident, where its parts say it.
    fn of(incident: &Incident) -> Option<Self> {
        let is_whole = incident.unlisted == 0 && incident.parts.iter().all(|part| part.objects == 1);
        let mut shape = Self::default();
        for part in &incident.parts {
            shape.add(&part.analytic, &part.operation, &part.executable, &part.object);
        }
        is_whole.then_some(shape)
    }

    fn is_part_of(&self, other: &Self) -> bool {
        !self.is_cut && !self.findings.is_empty() && self.findings.is_subset(&other.findings)
    }
}

impl Known {
    /// An incident is new, went on or ended. What is known of it besides is added to it.
    pub(super) fn place(&mut self, mut incident: Incident, shape: Shape) -> Incident {
        if incident.merged_into.is_some() {
            self.forget(&incident.uid);
            return incident;
        }
        match self.same(&incident, &shape) {
            Some(first) => self.repeat(&first, &incident),
            None => self.remember(&incident, shape),
        }
        incident.recurrence_of = self.recurrences.get(&incident.uid).cloned();
        if !incident.is_open {
            self.recurrences.remove(&incident.uid);
        }
        if let Some(update) = self.update_of(&incident.uid) {
            incident.update(update);
        }
        self.changed.remove(&incident.uid);
        incident
    }

    /// Goes on with one that was stored, and with its shape, where that was stored.
    pub(super) fn restore(&mut self, incident: &Incident, shape: Option<&Shape>) {
        if incident.merged_into.is_some() {
            return;
        }
        if let Some(recurrence) = &incident.recurrence_of {
            if incident.is_open {
                self.recurrences.insert(incident.uid.clone(), recurrence.clone());
            }
            return;
        }
        let Some(shape) = Shape::of(incident).or_else(|| shape.cloned()) else { return };
        self.remember(incident, shape);
        if let (Some(memory), Some(recurrences)) = (self.all.get_mut(&incident.uid), &incident.recurrences) {
            memory.recurrences = recurrences.clone();
            memory.last_seen_ns = memory.last_seen_ns.max(recurrences.last_seen_ns);
        }
        self.changed.clear();
    }

    /// A finding goes on. Long after its incident that is the same deed again.
    pub(super) fn go_on(&mut self, update: &FindingUpdate) {
        let Some(uid) = self.findings.get(&update.uid) else { return };
        let Some(memory) = self.all.get_mut(uid) else { return };
        if !memory.is_open && update.last_seen_ns.saturating_sub(memory.last_seen_ns) >= AGAIN_NS {
            let place = memory.places.first().cloned().unwrap_or_default();
            memory.again(update.last_seen_ns, &place);
            self.changed.insert(uid.clone());
            self.repeated += 1;
        }
        memory.last_seen_ns = memory.last_seen_ns.max(update.last_seen_ns);
    }

    pub(super) fn take_updates(&mut self) -> Vec<IncidentUpdate> {
        std::mem::take(&mut self.changed).iter().filter_map(|uid| self.update_of(uid)).collect()
    }

    /// How many were the same as an earlier one.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    pub(super) fn bytes(&self) -> usize {
        let of = |memory: &Memory| 1_024 + 24 * memory.shape.findings.len() + 160 * memory.findings.len();
        self.all.values().map(of).sum()
    }

    /// The earlier incident of which this is one more: of its own workload, or else of another.
    fn same(&self, incident: &Incident, shape: &Shape) -> Option<String> {
        let workload = incident.workloads.first()?;
        let is_same = |(uid, memory): &(&String, &Memory)| **uid != incident.uid && shape.is_part_of(&memory.shape);
        let known = self.all.iter().filter(is_same);
        let best = known.max_by_key(|(_, memory)| (memory.workload == *workload, memory.last_seen_ns));
        best.map(|(uid, _)| uid.clone())
    }

    /// It is the same as an earlier one.
    fn repeat(&mut self, first: &str, incident: &Incident) {
        // What was told apart so far is no incident of its own any more.
        let is_first_time = !self.recurrences.contains_key(&incident.uid);
        if is_first_time {
            self.forget(&incident.uid);
        }
        let Some(memory) = self.all.get_mut(first) else { return };
        let known = self.recurrences.entry(incident.uid.clone());
        let recurrence = known.or_insert_with(|| Recurrence { of: first.to_owned(), is_news: false });
        let is_after_quiet = is_first_time && incident.first_seen_ns.saturating_sub(memory.last_seen_ns) >= QUIET_NS;
        let is_worse = incident.severity > memory.severity || incident.bits >= memory.bits + RISE_BITS;
        recurrence.is_news |= is_after_quiet || is_worse;
        memory.severity = memory.severity.max(incident.severity);
        memory.bits = memory.bits.max(incident.bits);
        let place = incident.containers.first().map(String::as_str).unwrap_or_default();
        if is_first_time {
            memory.again(incident.last_seen_ns, place);
            self.repeated += 1;
            self.changed.insert(first.to_owned());
        }
        memory.last_seen_ns = memory.last_seen_ns.max(incident.last_seen_ns);
    }

    /// It is one of its own.
    fn remember(&mut self, incident: &Incident, shape: Shape) {
        let was = self.recurrences.remove(&incident.uid);
        if let Some(first) = was.and_then(|was| self.all.get_mut(&was.of)) {
            first.recurrences.count = first.recurrences.count.saturating_sub(1);
        }
        let known = self.all.get(&incident.uid);
        if known.is_some_and(|known| known.shape == shape) {
            if let Some(known) = self.all.get_mut(&incident.uid) {
                known.go_on(incident);
            }
            return;
        }
        let recurrences = known.map(|known| known.recurrences.clone()).unwrap_or_default();
        let likeness = Likeness::of(incident);
        // Two of one workload may be two deeds, however alike they are.
        let workload = incident.workloads.first().cloned().unwrap_or_default();
        let is_alike = |(uid, memory): &(&String, &Memory)| {
            memory.workload != workload && memory.first == **uid && memory.likeness.is_alike(&likeness)
        };
        let first = self.all.iter().find(is_alike).map_or_else(|| incident.uid.clone(), |(uid, _)| uid.clone());
        self.forget(&incident.uid);
        let findings = incident.parts.iter().flat_map(|part| &part.findings).cloned().collect();
        let mut memory = Memory {
            workload,
            shape,
            likeness,
            severity: incident.severity,
            bits: incident.bits,
            is_open: incident.is_open,
            last_seen_ns: incident.last_seen_ns,
            places: BTreeSet::new(),
            findings,
            recurrences,
            first: first.clone(),
        };
        memory.go_on(incident);
        for finding in &memory.findings {
            self.findings.insert(finding.clone(), incident.uid.clone());
        }
        self.all.insert(incident.uid.clone(), memory);
        if first != incident.uid {
            self.changed.insert(first);
        }
        self.make_room(&incident.uid);
    }

    fn make_room(&mut self, newest: &str) {
        while self.all.len() > MAX_KNOWN {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            self.all.values().for_each(|memory| *counts.entry(&memory.workload).or_default() += 1);
            let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(workload, _)| workload.to_owned());
            let theirs =
                self.all.iter().filter(|(uid, memory)| Some(&memory.workload) == most.as_ref() && *uid != newest);
            let Some(oldest) = theirs.min_by_key(|(_, memory)| memory.last_seen_ns).map(|(uid, _)| uid.clone()) else {
                return;
            };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, uid: &str) {
        self.recurrences.remove(uid);
        let Some(memory) = self.all.remove(uid) else { return };
        memory.findings.iter().for_each(|finding| _ = self.findings.remove(finding));
        // The next one of those that were alike is their first now.
        let alike: Vec<String> = self.all.iter().filter(|(_, m)| m.first == uid).map(|(uid, _)| uid.clone()).collect();
        for other in &alike {
            if let (Some(memory), Some(first)) = (self.all.get_mut(other), alike.first()) {
                memory.first.clone_from(first);
            }
        }
    }

    fn update_of(&self, uid: &str) -> Option<IncidentUpdate> {
        let memory = self.all.get(uid)?;
        let recurrences = (memory.recurrences.count > 0).then(|| memory.recurrences.clone());
        Some(IncidentUpdate { uid: uid.to_owned(), recurrences, cluster: self.cluster(&memory.first) })
    }

    /// Those that are alike; none where there is one only.
    fn cluster(&self, first: &str) -> Option<Cluster> {
        let alike: Vec<&Memory> = self.all.values().filter(|memory| memory.first == first).collect();
        let places: BTreeSet<&str> = alike.iter().flat_map(|memory| &memory.places).map(String::as_str).collect();
        (alike.len() > 1).then(|| Cluster {
            of: first.to_owned(),
            incidents: alike.len() as u64,
            containers: places.len() as u64,
        })
    }
}

impl Memory {
    /// It came again.
    fn again(&mut self, at_ns: u64, place: &str) {
        let again = &mut self.recurrences;
        again.count += 1;
        if again.first_seen_ns == 0 {
            again.first_seen_ns = at_ns;
        }
        again.last_seen_ns = again.last_seen_ns.max(at_ns);
        if again.places.iter().any(|known| known == place) {
            return;
        }
        match again.places.len() < MAX_PLACES {
            true => again.places.push(place.to_owned()),
            false => again.unlisted += 1,
        }
    }

    /// It goes on without another kind of part.
    fn go_on(&mut self, incident: &Incident) {
        self.severity = self.severity.max(incident.severity);
        self.bits = self.bits.max(incident.bits);
        self.is_open = incident.is_open;
        self.last_seen_ns = self.last_seen_ns.max(incident.last_seen_ns);
        let places = incident.containers.iter().take(MAX_PLACES);
        self.places.extend(places.cloned());
    }
}
