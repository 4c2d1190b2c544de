//! Findings that belong to one deed, as one incident.
//!
//! A `lineage` says where a deed begins, the `graph` what connects it with what others do, a `deed` is one that goes on,
//! `joining` brings findings to it, and the `score` says how severe all of it is. `known` are those that were before: it says
//! what comes again, and what is alike. A `trail` is what the next start goes on with. Nothing is kept, and nothing allocated,
//! as long as there was no incident.
//!
//! The graph, its cooling down and the joining follow NodLink (NDSS 2024); what differs, and why, is in docs/decisions.md.

mod deed;
mod graph;
mod joining;
mod known;
mod likeness;
mod lineage;
mod ordinary;
mod pressure;
mod score;
mod trail;

use std::{collections::BTreeMap, sync::Arc};

use ethogram_model::{Event, Finding, Incident, IncidentUpdate, Severity};

use crate::{Settings, learning::Bits, update::FindingUpdate};
use joining::Joining;
use known::Known;
use ordinary::Ordinary;
use pressure::Pressure;
pub use trail::Trail;

/// All incidents that are open, and what is known of those before.
#[derive(Debug, Default)]
pub struct Incidents {
    open: Joining,
    ordinary: Ordinary,
    known: Known,
    pressure: Pressure,
}

/// What became of incidents. They only ever grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IncidentCounters {
    /// Begun.
    pub begun: u64,
    /// Become part of another.
    pub merged: u64,
    /// Ended after a while without a new part.
    pub closed: u64,
    /// Cut down to a summary because there was too much.
    pub summarized: u64,
    /// Ended because there were too many.
    pub evicted: u64,
    /// Connections that were not kept because there were too many.
    pub refused: u64,
    /// The same as an earlier one, later or elsewhere.
    pub repeated: u64,
}

/// From which score on an incident is of medium severity.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// In its workload: what is ordinary there has less.
    pub medium_bits: f64,
    /// How many of medium severity and above a day are ordinary on a host.
    pub per_day: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { medium_bits: Incident::MEDIUM_BITS, per_day: 1 }
    }
}

impl Incidents {
    /// None yet. Open ones, and what connects them, take so many bytes at most.
    pub fn new(settings: &Settings) -> Self {
        Self { open: Joining::new(settings.incident_bytes), ..Self::default() }
    }

    /// A finding was raised by an event; by none where the agent itself is concerned. `init` is the pid of what the event's
    /// container was started with, where that is known.
    pub fn take(&mut self, finding: &Finding, event: Option<&Event>, init: Option<u32>, budget: Budget) {
        let now_ns = event.map_or(finding.last_seen_ns, |event| event.time_ns);
        let more = self.pressure.of(&finding.workload, now_ns, budget.per_day);
        let id = self.open.take(finding, event, init, budget.medium_bits + more);
        if let Some(incident) = self.open.incident(id).filter(|incident| incident.severity >= Severity::Medium) {
            self.pressure.note(incident);
        }
    }

    /// Something normal was new to its workload. Gives how high it and what it belongs to score together, and how high that
    /// was before, where it was.
    pub(crate) fn take_ordinary(
        &mut self,
        finding: &Finding,
        event: &Event,
        init: Option<u32>,
    ) -> Option<(Option<Bits>, Bits)> {
        self.ordinary.take(finding, event, init)
    }

    /// Takes from an event what may connect an open incident with what comes: what it writes, and to whom it connects. Cheap
    /// where none is open.
    pub fn observe(&mut self, event: &Event) {
        self.open.observe(event);
    }

    /// Time goes by: what had no new part for long is closed.
    pub fn advance(&mut self, now_ns: u64) {
        self.open.advance(now_ns);
        self.ordinary.advance(now_ns);
    }

    /// A finding of an incident goes on.
    pub(crate) fn go_on(&mut self, update: &FindingUpdate) {
        self.known.go_on(update);
    }

    /// Goes on with one that was stored, and what was stored of it besides: what is the same from now on is known to be, and what
    /// goes on is part of it where it is open.
    pub fn restore(&mut self, incident: &Incident, trail: Option<&Trail>) {
        self.known.restore(incident, trail.map(|trail| &trail.shape));
        if let Some(trail) = trail.filter(|_| incident.is_open) {
            self.open.restore(incident, trail);
        }
    }

    /// What is to be stored of open incidents besides, where that changed; at most so many, the oldest first.
    pub fn take_trails(&mut self, most: usize) -> Vec<Trail> {
        self.open.take_trails(most)
    }

    /// Incidents that are new, went on or ended since the last call.
    pub fn take_changed(&mut self) -> Vec<Arc<Incident>> {
        let changed = self.open.take_changed().into_iter();
        changed.map(|(incident, shape)| Arc::new(self.known.place(incident, shape))).collect()
    }

    /// How incidents went on since the last call that were reported before, by what was the same or alike.
    pub fn take_updates(&mut self) -> Vec<IncidentUpdate> {
        self.known.take_updates()
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.open()
    }

    /// The same by the name of their severity.
    pub fn open_by_severity(&self) -> BTreeMap<&'static str, u64> {
        self.open.open_by_severity()
    }

    /// Bytes that open incidents, what connects them, and what is known of those before take, roughly.
    pub fn graph_bytes(&self) -> usize {
        self.open.bytes() + self.ordinary.bytes() + self.known.bytes()
    }

    /// What became of them so far.
    pub fn counters(&self) -> IncidentCounters {
        IncidentCounters { repeated: self.known.repeated(), ..self.open.counters() }
    }
}

#[cfg(test)]
mod tests;
