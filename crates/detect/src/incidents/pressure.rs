//! How many incidents a workload had of late: one that has more than are ordinary on a host has to be more severe each time.

use std::collections::{BTreeMap, VecDeque};

use ethogram_model::{Incident, Severity};

const DAY_NS: u64 = 24 * 3_600_000_000_000;
/// Workloads that are remembered; the one that had its last incident longest ago makes room.
const MAX_WORKLOADS: usize = 1_024;
/// Incidents of one workload that are counted.
const MAX_COUNTED: usize = 32;

/// When each workload had incidents of medium severity, by their uids.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    recent: BTreeMap<String, VecDeque<(u64, String)>>,
}

impl Pressure {
    /// How many bits more it takes to be of medium severity: one for each incident of the last day beyond those that are ordinary.
    pub(super) fn of(&mut self, workload: &str, now_ns: u64, per_day: u32) -> f64 {
        let Some(recent) = self.recent.get_mut(workload) else { return 0.0 };
        recent.retain(|(at_ns, _)| now_ns.saturating_sub(*at_ns) < DAY_NS);
        let ordinary = usize::try_from(per_day).unwrap_or(usize::MAX).max(1);
        f64::from(u32::try_from(recent.len().saturating_sub(ordinary)).unwrap_or(u32::MAX))
    }

    /// An incident is of medium severity or above. One that has a severe part does not count: it is shown whatever there was.
    pub(super) fn note(&mut self, incident: &Incident) {
        let is_severe = incident.parts.iter().any(|part| part.severity >= Severity::High);
        let Some(workload) = incident.workloads.first() else { return };
        if is_severe {
            if let Some(recent) = self.recent.get_mut(workload) {
                recent.retain(|(_, uid)| *uid != incident.uid);
            }
            return;
        }
        if self.recent.len() >= MAX_WORKLOADS && !self.recent.contains_key(workload) {
            let oldest = self.recent.iter().min_by_key(|(_, recent)| recent.back().map(|(at_ns, _)| *at_ns));
            if let Some(oldest) = oldest.map(|(workload, _)| workload.clone()) {
                self.recent.remove(&oldest);
            }
        }
        let recent = self.recent.entry(workload.clone()).or_default();
        if recent.iter().all(|(_, uid)| *uid != incident.uid) {
            if recent.len() >= MAX_COUNTED {
                recent.pop_front();
            }
            recent.push_back((incident.first_seen_ns, incident.uid.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use ethogram_model::Origin;

    use super::*;

    fn incident(n: u64) -> Incident {
        let begun = Incident::begun(n.to_string(), Origin::Child, n * 1_000_000_000);
        Incident { workloads: vec!["web".into()], ..begun }
    }

    #[test]
    fn each_one_beyond_the_ordinary_takes_more_and_a_day_later_nothing_does() {
        let mut pressure = Pressure::default();
        for n in 0..5 {
            pressure.note(&incident(n));
            pressure.note(&incident(n));
        }
        let now_ns = 5_000_000_000;
        assert_eq!((pressure.of("web", now_ns, 1), pressure.of("web", now_ns, 3)), (4.0, 2.0));
        assert_eq!(pressure.of("store", now_ns, 1), 0.0, "another workload");
        assert_eq!(pressure.of("web", now_ns + DAY_NS, 1), 0.0);
    }

    #[test]
    fn what_is_severe_does_not_count_and_all_is_bounded() {
        let mut pressure = Pressure::default();
        for n in 0..3 {
            pressure.note(&incident(n));
        }
        let part = crate::incidents::tests::part(Severity::High);
        pressure.note(&Incident { parts: vec![part], ..incident(2) });
        assert_eq!(pressure.of("web", 5_000_000_000, 1), 1.0);
        for n in 0..5_000 {
            pressure.note(&Incident { workloads: vec![n.to_string()], ..incident(n) });
            pressure.note(&incident(n));
        }
        assert_eq!(pressure.recent.len(), MAX_WORKLOADS);
        assert!(pressure.recent.values().all(|recent| recent.len() <= MAX_COUNTED));
    }
}
