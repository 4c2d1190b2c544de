//! The figures of a reduction, for one file and for all.

use std::collections::BTreeSet;

use serde::Serialize;

use super::source::Labels;
use ethogram_detect::reduction::{Counts, Decision};

/// Different labels that are told apart in one file.
const LABELS: usize = 10_000;
/// An alert without this label belongs to no kind of event.
const NONE: &[u8] = b"-";
/// A phase of this name is none.
const NO_PHASE: &[u8] = b"false_positive";

/// Counts what the labels say about the decisions on one file. They are not used for anything else.
#[derive(Debug, Default)]
pub(super) struct Counting {
    labelled: bool,
    sizes: Vec<(u64, u64)>,
    phases: [BTreeSet<Vec<u8>>; 2],
    types: [BTreeSet<Vec<u8>>; 2],
}

impl Counting {
    /// Counts one alert.
    pub(super) fn add(&mut self, decision: Decision, labels: Labels<'_>) {
        let attack = labels.is_some_and(|(_, event)| event != NONE);
        let mut kept = false;
        if let Decision::Kept { place, .. } = decision {
            kept = true;
            let at = usize::try_from(place.incident).unwrap_or(usize::MAX);
            while self.sizes.len() <= at {
                self.sizes.push((0, 0));
            }
            self.sizes[at].0 += 1;
            self.sizes[at].1 += u64::from(attack);
        }
        let Some((phase, event)) = labels else { return };
        self.labelled = true;
        if !attack {
            return;
        }
        remember(&mut self.types, event, kept);
        if phase != NO_PHASE {
            remember(&mut self.phases, phase, kept);
        }
    }

    /// The figures of the file.
    pub(super) fn figures(&self, counts: Counts, seconds: f64) -> Figures {
        let kept: u64 = self.sizes.iter().map(|size| size.0).sum();
        let largest = self.sizes.iter().map(|size| size.0).max().unwrap_or(0);
        let with_attack: Vec<_> = self.sizes.iter().filter(|size| size.1 > 0).collect();
        let sum = |set: &[BTreeSet<Vec<u8>>; 2], at: usize| set[at].len() as u64;
        Figures {
            counts,
            reduction: 0.0,
            largest_incident: share(largest, kept),
            labels: self.labelled.then(|| LabelFigures {
                incidents_attack: with_attack.len() as u64,
                purity: 0.0,
                phases: sum(&self.phases, 1),
                phases_total: sum(&self.phases, 0),
                types: sum(&self.types, 1),
                types_total: sum(&self.types, 0),
                attack_kept: with_attack.iter().map(|size| size.1).sum(),
                attack_incidents_kept: with_attack.iter().map(|size| size.0).sum(),
            }),
            alerts_per_second: 0.0,
            seconds,
        }
        .with_shares()
    }
}

/// Remembers a label among all (0), and among the kept (1).
fn remember(sets: &mut [BTreeSet<Vec<u8>>; 2], label: &[u8], kept: bool) {
    for (at, set) in sets.iter_mut().enumerate() {
        if (at == 0 || kept) && !set.contains(label) && set.len() < LABELS {
            set.insert(label.to_vec());
        }
    }
}

/// What a reduction came to.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Figures {
    /// What the reducer counted.
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Share of the alerts that is not kept.
    pub(super) reduction: f64,
    /// Share of a file's kept alerts in its largest incident; over all files the largest such share.
    pub(super) largest_incident: f64,
    /// What the labels say.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(super) labels: Option<LabelFigures>,
    /// Alerts read and judged in a second.
    pub(super) alerts_per_second: f64,
    #[serde(skip)]
    seconds: f64,
}

/// Figures that need labels.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct LabelFigures {
    /// Incidents that hold an alert of the attack.
    pub(super) incidents_attack: u64,
    /// Share of the alerts in those incidents that are of the attack.
    pub(super) purity: f64,
    /// Phases of the attack of which an alert is kept.
    pub(super) phases: u64,
    /// Phases of the attack.
    pub(super) phases_total: u64,
    /// Kinds of event of which an alert is kept.
    pub(super) types: u64,
    /// Kinds of event.
    pub(super) types_total: u64,
    /// Kept alerts of the attack.
    pub(super) attack_kept: u64,
    #[serde(skip)]
    attack_incidents_kept: u64,
}

impl Figures {
    /// Adds the figures of another file.
    pub(super) fn add(&mut self, other: &Self) {
        let (counts, more) = (&mut self.counts, &other.counts);
        counts.alerts += more.alerts;
        counts.kept += more.kept;
        counts.incidents += more.incidents;
        counts.over_budget += more.over_budget;
        counts.forgotten += more.forgotten;
        counts.clock.late += more.clock.late;
        counts.clock.jumps += more.clock.jumps;
        self.largest_incident = self.largest_incident.max(other.largest_incident);
        self.seconds += other.seconds;
        if let Some(more) = &other.labels {
            let labels = self.labels.get_or_insert_default();
            labels.incidents_attack += more.incidents_attack;
            labels.phases += more.phases;
            labels.phases_total += more.phases_total;
            labels.types += more.types;
            labels.types_total += more.types_total;
            labels.attack_kept += more.attack_kept;
            labels.attack_incidents_kept += more.attack_incidents_kept;
        }
        *self = std::mem::take(self).with_shares();
    }

    fn with_shares(mut self) -> Self {
        self.reduction = share(self.counts.alerts - self.counts.kept.min(self.counts.alerts), self.counts.alerts);
        self.alerts_per_second =
            if self.seconds > 0.0 { (self.counts.alerts as f64 / self.seconds).round() } else { 0.0 };
        if let Some(labels) = &mut self.labels {
            labels.purity = share(labels.attack_kept, labels.attack_incidents_kept);
        }
        self
    }
}

/// A share with four places, rounded down, so that 1 means all.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e4 + 1e-9).floor() / 1e4 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ethogram_detect::reduction::{Place, Reason};

    fn kept(incident: u64) -> Decision {
        Decision::Kept { reason: Reason::Burst, place: Place { incident, surge: None } }
    }

    #[test]
    fn a_phase_counts_only_where_an_alert_of_an_event_is_kept() {
        let mut counting = Counting::default();
        counting.add(kept(0), Some((b"scan", b"-")));
        counting.add(Decision::Usual, Some((b"scan", b"probe")));
        counting.add(kept(1), Some((b"false_positive", b"tunnel")));
        let labels = counting.figures(Counts::default(), 1.0).labels.unwrap();
        assert_eq!((labels.phases, labels.phases_total), (0, 1));
        assert_eq!((labels.types, labels.types_total), (1, 2));
        assert_eq!((labels.incidents_attack, labels.purity), (1, 1.0));
    }

    #[test]
    fn purity_is_over_the_incidents_that_hold_the_attack() {
        let mut counting = Counting::default();
        for incident in [0, 0, 1, 2] {
            counting.add(kept(incident), Some((b"x", b"-")));
        }
        counting.add(kept(0), Some((b"x", b"probe")));
        let labels = counting.figures(Counts::default(), 1.0).labels.unwrap();
        assert!((labels.purity - 0.3333).abs() < 1e-9);
    }

    #[test]
    fn without_labels_there_are_no_label_figures() {
        let mut counting = Counting::default();
        counting.add(kept(0), None);
        let text = serde_json::to_string(&counting.figures(Counts::default(), 1.0)).unwrap();
        assert!(!text.contains("purity") && text.contains("\"reduction\""));
    }

    #[test]
    fn figures_of_files_add_up() {
        let counts = Counts { alerts: 1_000, kept: 1, ..Counts::default() };
        let file = Counting::default().figures(counts, 0.5);
        let mut total = Figures::default();
        total.add(&file);
        total.add(&file);
        assert_eq!((total.counts.kept, total.alerts_per_second), (2, 2_000.0));
        assert!((total.reduction - 0.999).abs() < 1e-9);
    }
}
