//! All that judges, as one: rules, the behaviour model, and what people accepted. Live and from a recording it is this.

use std::sync::Arc;

use ethogram_model::{Event, Finding, Incident, render};
use serde::{Deserialize, Serialize};

use crate::{
    Health, Impairment, Incidents, Profile, Trail,
    accepted::{Acceptance, Acceptances},
    incidents::Budget,
    model::{HabitChange, HabitCount, Model, Recall},
    rules::{File, RuleSet, Rules},
    update::FindingUpdate,
};

/// How much less sure a rule's finding is where the workload's profile knows the behaviour.
const USUAL_CONFIDENCE: u8 = 30;

/// Something that changes how events are judged from then on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Other rules are in force, and the files that they are from. A recording has the files, and compiles them again.
    #[serde(skip)]
    Rules(Arc<RuleSet>, Arc<[File]>),
    /// Something is normal.
    Accept(Box<Acceptance>),
    /// It is not any more, by its id.
    Revoke(String),
    /// The profile of a workload is right as it is, by its uid.
    ApproveProfile(String),
    /// A workload is to be learnt anew, by its uid.
    ResetProfile(String),
    /// A person wrote or reviewed a profile, which is to be judged by.
    ImportProfile(Box<Profile>),
}

/// Judges events. The same events and decisions in the same order give the same findings.
#[derive(Debug, Default)]
pub struct Detector {
    /// What workloads usually do.
    pub model: Model,
    /// What is known to be bad.
    pub rules: Rules,
    /// What people said is normal.
    pub accepted: Acceptances,
    /// What the agent itself could not see.
    pub health: Health,
    /// Which findings are one deed.
    pub incidents: Incidents,
}

impl Detector {
    /// One that goes on from this model, by these rules.
    pub fn new(model: Model, rules: Rules) -> Self {
        let incidents = Incidents::new(model.settings());
        Self { model, rules, incidents, ..Self::default() }
    }

    /// Takes a decision.
    pub fn decide(&mut self, decision: Decision) {
        match decision {
            Decision::Rules(set, _) => {
                self.rules.replace(set);
                self.model.end_habits();
            }
            Decision::Accept(acceptance) => {
                self.model.release(&acceptance);
                // What else is done to another object is a finding of its own from now on.
                self.rules.accept(&acceptance);
                self.accepted.accept(*acceptance);
            }
            Decision::Revoke(id) => {
                self.accepted.revoke(&id);
                self.model.end_habits();
            }
            Decision::ApproveProfile(uid) => _ = self.model.approve(&uid),
            Decision::ResetProfile(uid) => _ = self.model.reset(&uid),
            Decision::ImportProfile(profile) => self.model.import(*profile),
        }
    }

    /// Goes on with a finding that was raised before.
    pub fn restore_alert(&mut self, finding: &Finding) {
        self.model.restore_alert(finding);
        self.rules.restore_finding(finding);
    }

    /// Goes on with an incident that was before, and what was stored of it besides.
    pub fn restore_incident(&mut self, incident: &Incident, trail: Option<&Trail>) {
        self.incidents.restore(incident, trail);
    }

    /// Goes on with what was accepted before.
    pub fn restore_acceptance(&mut self, acceptance: Acceptance) {
        self.rules.accept(&acceptance);
        self.accepted.restore(acceptance);
    }

    /// Judges an event, and learns from it. Gives what is new; what goes on is in [`Detector::take_updates`].
    pub fn judge(&mut self, event: &Event) -> Vec<Finding> {
        let Self { model, rules, accepted, .. } = self;
        model.advance(event.time_ns);
        if model.is_habit(event) {
            return Vec::new();
        }
        let mut findings = rules.judge(event, accepted);
        if !findings.is_empty() {
            let recall = model.recall(event);
            findings.iter_mut().for_each(|finding| weigh(finding, recall));
            findings.iter().for_each(|finding| model.suspect(finding));
        }
        findings.extend(model.judge_unless(event, |found| accepted.covers(found, event.time_ns)));
        if findings.is_empty() {
            model.habituate(event, || rules.may_match_habit(event));
        }
        self.join(&findings, event);
        findings
    }

    /// The same by rules alone: nothing is learnt.
    pub fn judge_by_rules(&mut self, event: &Event) -> Vec<Finding> {
        let findings = self.rules.judge(event, &mut self.accepted);
        self.join(&findings, event);
        findings
    }

    /// What was found belongs to an incident, and what was not may connect one with what comes.
    fn join(&mut self, findings: &[Finding], event: &Event) {
        let ordinary = self.model.take_ordinary();
        if findings.is_empty() {
            self.incidents.observe(event);
        }
        if findings.is_empty() && ordinary.is_empty() {
            return;
        }
        let init = event.context.container.as_ref().and_then(|container| self.model.init_of(container.cgroup_id));
        let budget = self.model.budget(event);
        findings.iter().for_each(|finding| self.incidents.take(finding, Some(event), init, budget));
        for (uid, finding) in ordinary {
            if let Some((before, now)) = self.incidents.take_ordinary(&finding, event, init) {
                self.model.note_ordinary_incident(&uid, before, now);
            }
        }
    }

    /// Whether an event is of no use because of the file that it is about (an ordinary file), and so is any like it.
    pub fn is_ordinary(&mut self, event: &Event) -> bool {
        crate::is_ordinary(event) && !self.rules.may_match_object(event)
    }

    /// Lets time go by without an event. Nanoseconds since the Unix epoch.
    pub fn advance(&mut self, now_ns: u64) {
        self.model.advance(now_ns);
        self.accepted.expire(now_ns);
        self.incidents.advance(now_ns);
    }

    /// Something impaired the agent. What is learnt meanwhile is not all that happened.
    pub fn impaired(&mut self, impairment: &Impairment) -> Option<Finding> {
        if impairment.loses_events {
            self.model.note_loss();
        }
        let finding = self.health.impaired(impairment);
        finding.iter().for_each(|finding| self.incidents.take(finding, None, None, Budget::default()));
        finding
    }

    /// Takes in what the kernel has counted of habits since the last time.
    pub fn count_habits(&mut self, counted: &[HabitCount]) {
        self.model.count_habits(counted);
    }

    /// What the kernel side has to do about habits since the last call, in this order.
    pub fn take_habit_changes(&mut self) -> Vec<HabitChange> {
        self.model.take_habit_changes()
    }

    /// How findings went on since the last call.
    pub fn take_updates(&mut self) -> Vec<FindingUpdate> {
        let mut updates = self.model.take_updates();
        updates.extend(self.rules.take_updates());
        updates.extend(self.health.take_updates());
        updates.iter().for_each(|update| self.incidents.go_on(update));
        updates
    }
}

/// Says what the workload's profile knows of what a rule found. What is usual is less severe.
fn weigh(finding: &mut Finding, recall: Recall) {
    let Some(rule) = &mut finding.rule else { return };
    rule.profile = match recall {
        Recall::NotAsked => return,
        Recall::Learning => Some("the workload is still being learnt".into()),
        Recall::New => Some("the workload never did this".into()),
        Recall::Known(seen) => {
            finding.severity = finding.severity.one_lower();
            finding.confidence = finding.confidence.saturating_sub(USUAL_CONFIDENCE);
            if seen.up_to_now().count == 0 {
                rule.profile =
                    Some("right for this workload, as its profile says, so severity is one step lower".into());
                return;
            }
            let first = render::rfc3339(seen.first_seen_ns);
            let first = first.get(..19).unwrap_or(&first).replace('T', " ");
            Some(format!("usual for this workload: {} times since {first}, so severity is one step lower", seen.count))
        }
    };
}
