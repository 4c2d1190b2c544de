//! What was learnt, found and accepted before, from the store: with it the detector goes on, and a recording begins.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

use ethogram_detect::{
    Acceptance, Detector, Model, Profile, Settings, Trail,
    rules::{File, RuleSet, Rules},
};
use ethogram_engine::recording::{Before, Conditions};
use ethogram_model::{AnnotatedIncident, Finding, Incident, StoredFinding, TrackerSchema};

use crate::{record::Recorder, store::Contents};

/// What was there before this start.
pub(super) struct Restored {
    model: Model,
    /// The profiles as JSON, by their workload.
    profiles: BTreeMap<String, String>,
    /// What rules had found: uids of findings, and how often. Of these, only repetitions are reported.
    groups: Vec<(String, u64)>,
    accepted: Vec<Acceptance>,
    pub(super) alerts: Vec<Finding>,
    kept: Vec<StoredFinding>,
    incidents: Vec<AnnotatedIncident>,
    /// What is stored of these besides, by their uids.
    trails: BTreeMap<String, Trail>,
    /// Which of these each place of alerts had open.
    pub(super) delivered: BTreeMap<String, String>,
}

impl Restored {
    /// `approved` are profiles from files, which take the place of those in the store.
    pub(super) fn new(contents: Contents, approved: Vec<Profile>, settings: Settings, now_ns: u64) -> Self {
        let Contents { mut profiles, alerts, kept, incidents, mut trails, delivered, accepted } = contents;
        let mut model = model(settings, profiles.iter().map(|(uid, json)| (&**uid, &**json)));
        for profile in approved {
            let uid = profile.workload.uid.clone();
            model.import(profile);
            // A recording begins with the profiles as they are then.
            if let Some(json) = model.profile(&uid).and_then(|profile| serde_json::to_string(profile).ok()) {
                profiles.insert(uid, json);
            }
        }
        let of_rules = alerts.iter().filter(|alert| alert.rule.is_some());
        let groups = of_rules.map(|alert| (alert.uid.clone(), alert.count)).collect();
        // What goes on is open as before; nothing connects with the others any more.
        let mut before = std::mem::take(&mut trails);
        let mut restore = |AnnotatedIncident { incident, triage }: AnnotatedIncident| {
            let trail = before.remove(&incident.uid);
            let is_open = trail.as_ref().is_some_and(|trail| trail.goes_on(&incident, now_ns));
            if let Some(trail) = trail {
                trails.insert(incident.uid.clone(), if is_open { trail } else { trail.ended() });
            }
            AnnotatedIncident { incident: Arc::new(Incident { is_open, ..Incident::clone(&incident) }), triage }
        };
        let incidents = incidents.into_iter().map(&mut restore).collect();
        Self { model, profiles, groups, accepted, alerts, kept, incidents, trails, delivered }
    }

    /// The incidents that are open again.
    pub(super) fn open(&self) -> Vec<Arc<Incident>> {
        self.incidents.iter().map(|kept| &kept.incident).filter(|incident| incident.is_open).cloned().collect()
    }

    /// A recording that begins with all of it.
    ///
    /// # Errors
    /// Where its file cannot be made, or is there.
    pub(super) fn record(
        &self,
        path: &Path,
        conditions: Conditions,
        trackers: &[Arc<TrackerSchema>],
        rules: &[File],
    ) -> anyhow::Result<Recorder> {
        let (accepted, groups, alerts) = (&self.accepted[..], &self.groups[..], &self.alerts[..]);
        let incidents: Vec<Incident> = self.incidents.iter().map(|kept| Incident::clone(&kept.incident)).collect();
        let (profiles, trails): (_, Vec<Trail>) = (Some(&self.profiles), self.trails.values().cloned().collect());
        let (incidents, trails) = (&incidents[..], &trails[..]);
        let before = Before { profiles, rules, accepted, groups, alerts, incidents, trails };
        Ok(Recorder::create(path, conditions, trackers, &before)?)
    }

    /// A detector that goes on from there by these rules, the alerts, and the incidents.
    pub(super) fn into_detector(
        self,
        rules: &Arc<RuleSet>,
    ) -> (Detector, Vec<StoredFinding>, Vec<AnnotatedIncident>, BTreeMap<String, Trail>) {
        let mut rules = Rules::new(Arc::clone(rules));
        let begun = Instant::now();
        rules.measure_with(move || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let mut detector = Detector::new(self.model, rules);
        self.groups.into_iter().for_each(|(uid, count)| detector.rules.restore(uid, count));
        self.alerts.iter().for_each(|alert| detector.restore_alert(alert));
        for AnnotatedIncident { incident, .. } in &self.incidents {
            detector.restore_incident(incident, self.trails.get(&incident.uid));
        }
        self.accepted.into_iter().for_each(|acceptance| detector.restore_acceptance(acceptance));
        (detector, self.kept, self.incidents, self.trails)
    }
}

/// A model that goes on from profiles learnt before: workload, and profile as JSON.
pub(crate) fn model<'a>(settings: Settings, profiles: impl Iterator<Item = (&'a str, &'a str)>) -> Model {
    let mut model = Model::new(settings);
    for (uid, json) in profiles {
        match serde_json::from_str::<Profile>(json) {
            Ok(profile) => {
                if let Err(unknown) = model.restore(profile) {
                    tracing::warn!("{unknown}");
                }
            }
            Err(error) => tracing::warn!("the stored profile {uid} cannot be read, it is learnt anew: {error}"),
        }
    }
    model
}
