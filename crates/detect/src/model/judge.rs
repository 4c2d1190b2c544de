//! Learns from events, or judges them.

use std::sync::Arc;

use ethogram_model::{Event, EventSchema, Finding, ObjectKind, Severity, render};

use super::{
    FindingUpdate, MAX_CONTAINERS, Model, Recall, START_NS, calibration,
    finding::{self, Assessment},
    habits::Usual,
    score::Scored,
    sessions::Session,
};
use crate::{
    Behaviour,
    names::tells_names,
    profile::{OTHERS, Raised, Seen},
};

impl Model {
    /// Learns from an event, or judges it. Gives what is new; what goes on is in [`Model::take_updates`].
    ///
    /// Events of the host of which no service is known, and those of a container without an image, are neither learnt nor
    /// judged: whoever calls waits with an event until its container is resolved, and gives up waiting after a moment.
    pub fn judge(&mut self, event: &Event) -> Vec<Finding> {
        self.judge_unless(event, |_, _, _| false)
    }

    /// What the profile of the event's workload says of it, without learning from it.
    pub fn recall(&mut self, event: &Event) -> Recall {
        let Some(uid) = self.workload_of(event) else { return Recall::NotAsked };
        let Some(held) = self.profiles.get(&uid) else { return Recall::NotAsked };
        let mut recall = Recall::NotAsked;
        for behaviour in Behaviour::of(event).map(|behaviour| behaviour.named(event, &self.names)) {
            recall = match held.profile.recall(&behaviour) {
                _ if !held.profile.is_judged => return Recall::Learning,
                Some(seen) => Recall::Known(seen),
                None => return Recall::New,
            };
        }
        recall
    }

    /// As [`Model::judge`], but without the findings that `accepted` says are normal, by their analytic, the workload's
    /// name and the executable.
    pub fn judge_unless(&mut self, event: &Event, mut accepted: impl FnMut(&str, &str, &str) -> bool) -> Vec<Finding> {
        self.advance(event.time_ns);
        let mut findings = Vec::new();
        let Some(uid) = self.workload_of(event) else {
            self.counters.unattributed += u64::from(event.context.container.is_some());
            return findings;
        };
        let container = event.context.container.as_ref().map_or(0, |container| container.cgroup_id);
        if self.tells_names(&event.schema) && self.names.learn(event) {
            self.habits.end_of_peers(&uid);
        }
        let Some(held) = self.profiles.get_mut(&uid) else { return findings };
        held.settle(&self.clock, self.settings.learning_period_ns);
        held.profile.last_seen_ns = held.profile.last_seen_ns.max(event.time_ns);
        if self.settings.is_locked && held.profile.is_empty() {
            return self.tell_unprofiled(&uid, event).into_iter().collect();
        }
        if let Some(process) = event.context.process.as_ref().filter(|process| process.namespace_pid == 1)
            && container != 0
        {
            if self.inits.len() >= MAX_CONTAINERS {
                self.inits.clear();
            }
            self.inits.insert(container, process.pid);
        }
        let mut news = Vec::new();
        for behaviour in Behaviour::of(event).map(|behaviour| behaviour.named(event, &self.names)) {
            held.is_touched = true;
            if behaviour.is_start {
                held.profile.note_start(START_NS.min(self.settings.learning_period_ns));
            }
            if held.profile.knows(&behaviour, |seen| seen.note_in(container, event.time_ns)) {
                held.is_pending = true;
                self.counters.known += 1;
            } else {
                news.push(behaviour);
            }
        }
        for behaviour in news {
            findings.extend(self.judge_new(&uid, &behaviour, event, &mut accepted));
        }
        if let Some(worst) = findings.iter().max_by_key(|finding| finding.severity) {
            self.suspect(worst);
        }
        findings
    }

    pub(super) fn tells_names(&mut self, schema: &Arc<EventSchema>) -> bool {
        if self.telling.len() >= MAX_CONTAINERS {
            self.telling.clear();
        }
        let place = Arc::as_ptr(schema) as usize;
        self.telling.entry(place).or_insert_with(|| (Arc::clone(schema), tells_names(schema))).1
    }

    /// A behaviour that the profile does not hold: it is learnt, told, or neither.
    pub(super) fn judge_new(
        &mut self,
        uid: &Arc<str>,
        behaviour: &Behaviour<'_>,
        event: &Event,
        accepted: &mut impl FnMut(&str, &str, &str) -> bool,
    ) -> Option<Finding> {
        let mut assessment = Assessment::of(behaviour, event);
        let is_suspect = self.quarantine.holds(event);
        let is_tested = self.profiles.get(uid)?.profile.is_tested(self.settings.learning_period_ns);
        // A score that nobody asks for is not worth it.
        let asked = if is_tested { self.ask_others(uid, behaviour) } else { (0, 0) };
        let held = self.profiles.get_mut(uid)?;
        held.is_dirty = true;
        let session = event
            .context
            .container
            .as_ref()
            .and_then(|container| Session::of(event, container, self.inits.get(&container.cgroup_id).copied()));
        let first = held.profile.first_of_kind(behaviour).filter(|_| session.is_none());
        if let Some(what) = first {
            assessment = assessment.graver(what);
        }
        let is_sweep = held.profile.is_sweep(behaviour, event.time_ns);
        if is_sweep {
            assessment = assessment.graver("it connects to one new peer after another");
        }
        let is_odd = first.is_some() || is_sweep || assessment.severity >= Severity::High;
        let learns = held.profile.learns(behaviour, is_odd, self.settings.is_locked);
        let scored = Scored::of(behaviour, &held.profile, asked, assessment.severity);
        held.profile.count_seen(1);
        if held.profile.is_judged || learns && !is_suspect {
            held.profile.count_new();
        }
        if held.profile.is_judged
            && let Some(again) = held.profile.raise_again(behaviour, event.time_ns)
        {
            self.go_on(again, event);
            return None;
        }
        let is_grave = assessment.severity >= Severity::High;
        if learns {
            if is_suspect && !behaviour.is_start {
                self.counters.withheld += 1;
                return None;
            }
            if is_tested && !behaviour.is_start {
                calibration::note(&mut held.profile, scored.bits);
            }
            self.learn(uid, behaviour, event);
            return None;
        }
        let analytic = format!("behaviour.{}", behaviour.operation);
        if accepted(&analytic, &held.profile.workload.name, &behaviour.executable) {
            return None;
        }
        let is_strict = self.settings.is_locked || held.profile.approved_ns.is_some();
        if !is_grave && !is_strict && scored.bits < self.threshold {
            self.counters.unsurprising += 1;
            if is_suspect {
                self.counters.withheld += 1;
            } else {
                calibration::note(&mut held.profile, scored.bits);
                self.learn(uid, behaviour, event);
            }
            return None;
        }
        if let Some(first) = session
            .as_ref()
            .filter(|session| session.is_interactive && !is_grave)
            .and_then(|session| self.sessions.told(session))
            && let Some(again) = held.profile.raise_again(&first.behaviour(), event.time_ns)
        {
            self.go_on(again, event);
            return None;
        }
        // One alert for all that it finds.
        let many = Behaviour { object: OTHERS.into(), ..behaviour.clone() };
        let behaviour = if is_sweep { &many } else { behaviour };
        match held.profile.raise(behaviour, event.time_ns, is_grave, &self.settings) {
            Raised::First { uid: finding, object } => {
                self.counters.findings += 1;
                if let Some(session) = session.filter(|session| session.is_interactive) {
                    self.sessions.tell(session, Usual::of(behaviour.clone()));
                }
                let score = scored.told(self.threshold);
                Some(finding::make(behaviour, assessment, score, event, &held.profile, finding, object))
            }
            again => {
                self.go_on(again, event);
                None
            }
        }
    }

    /// Tells once of a workload without a profile.
    pub(super) fn tell_unprofiled(&mut self, uid: &Arc<str>, event: &Event) -> Option<Finding> {
        let held = self.profiles.get_mut(uid)?;
        let workload = held.profile.workload.image.clone();
        let behaviour = Behaviour::by_name("run", "", &workload, ObjectKind::Executable, true);
        if let Some(again) = held.profile.raise_again(&behaviour, event.time_ns) {
            self.go_on(again, event);
            return None;
        }
        let Raised::First { uid, .. } = held.profile.raise(&behaviour, event.time_ns, true, &self.settings) else {
            return None;
        };
        held.is_dirty = true;
        self.counters.findings += 1;
        Some(finding::without_profile(event, &held.profile, uid))
    }

    pub(super) fn learn(&mut self, uid: &Arc<str>, behaviour: &Behaviour<'_>, event: &Event) {
        let Some(held) = self.profiles.get_mut(uid) else { return };
        let container = event.context.container.as_ref().map_or(0, |c| c.cgroup_id);
        let fits = held.profile.learn(behaviour, Seen::shown(event.time_ns, container), &self.settings);
        self.counters.learnt += u64::from(fits);
        self.counters.overflowed += u64::from(!fits);
    }

    /// Something that was told goes on.
    pub(super) fn go_on(&mut self, raised: Raised, event: &Event) {
        let Raised::Again { uid, seen } = raised else {
            self.counters.untold += 1;
            return;
        };
        self.counters.repeated += 1;
        let update = self.updates.entry(uid.clone()).or_insert_with(|| FindingUpdate {
            uid,
            count: 0,
            last_seen_ns: 0,
            evidence: Vec::new(),
        });
        (update.count, update.last_seen_ns) = (seen.count, seen.last_seen_ns);
        if seen.count <= Finding::MAX_EVIDENCE as u64 {
            update.evidence.push(render::to_json(event));
        }
    }

    /// In how many of how many other workloads that are known somebody does such a thing to the same object.
    pub(super) fn ask_others(&self, uid: &Arc<str>, behaviour: &Behaviour<'_>) -> (u64, u64) {
        let asked = self.asked.iter().filter(|other| *other != uid).filter_map(|other| self.profiles.get(other));
        asked.fold((0, 0), |(shown_by, others), held| (shown_by + u64::from(held.profile.shows(behaviour)), others + 1))
    }
}
