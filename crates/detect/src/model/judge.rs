//! Learns from events, or judges them.

use std::sync::Arc;

use ethogram_model::{Event, Finding, ObjectKind, evidence};

use super::{MAX_CONTAINERS, Model, Recall, START_NS};
use crate::{
    Candidate, FindingUpdate, Profile,
    channels::behaviour::{
        Behaviour, Dedup, Fit, Raise,
        finding::{self, Known},
    },
    learning::Seen,
};

impl Model {
    /// Learns from an event, or judges it. Gives what is new; what goes on is in [`Model::take_updates`].
    ///
    /// Events of the host of which no service is known, and those of a container without an image, are neither learnt nor
    /// judged: the caller waits with an event until its container is resolved, and gives up waiting after a moment.
    pub fn judge(&mut self, event: &Event) -> Vec<Finding> {
        self.judge_unless(event, |_| false)
    }

    /// What the profile of the event's workload says of it, without learning from it.
    pub fn recall(&mut self, event: &Event) -> Recall {
        let Some(uid) = self.workload_of(event) else { return Recall::NotAsked };
        let Some(held) = self.profiles.get(&uid) else { return Recall::NotAsked };
        let mut recall = Recall::NotAsked;
        for behaviour in Behaviour::of(event).map(|behaviour| behaviour.named(event, &self.names)) {
            recall = match held.profile.channels.behaviour.recall(&behaviour) {
                _ if !held.profile.lifecycle.is_judged => return Recall::Learning,
                Some(seen) => Recall::Known(seen),
                None => return Recall::New,
            };
        }
        recall
    }

    /// As [`Model::judge`], but without the findings that `accepted` says are normal.
    pub fn judge_unless(&mut self, event: &Event, mut accepted: impl FnMut(&Candidate<'_>) -> bool) -> Vec<Finding> {
        self.advance(event.time_ns);
        self.ordinary.clear();
        let mut findings = Vec::new();
        let Some(uid) = self.workload_of(event) else {
            self.counters.unattributed += u64::from(event.context.container.is_some());
            return findings;
        };
        let container = event.context.container.as_ref().map_or(0, |container| container.cgroup_id);
        if self.names.learn(event) {
            self.habits.end_of_peers(&uid);
        }
        let Some(held) = self.profiles.get_mut(&uid) else { return findings };
        held.advance(&self.clock, self.settings.learning_period_ns);
        held.profile.lifecycle.last_seen_ns = held.profile.lifecycle.last_seen_ns.max(event.time_ns);
        if self.settings.is_locked && held.profile.is_empty() {
            return self.raise_unprofiled(&uid, event).into_iter().collect();
        }
        if let Some(process) = event.context.process.as_ref().filter(|process| process.namespace_pid == 1)
            && container != 0
        {
            if self.inits.len() >= MAX_CONTAINERS {
                self.inits.clear();
            }
            self.inits.insert(container, process.pid);
        }
        let (mut news, mut excused) = (Vec::new(), Vec::new());
        let shown = Behaviour::of(event).map(|behaviour| behaviour.named(event, &self.names));
        for behaviour in shown.chain(held.bulks.observe(event)) {
            held.is_touched = true;
            if behaviour.is_start {
                held.profile.lifecycle.note_start(START_NS.min(self.settings.learning_period_ns));
            }
            if held.profile.channels.behaviour.knows(&behaviour, |seen| seen.note_in(container, event.time_ns)) {
                held.is_pending = true;
                self.counters.known += 1;
            } else if held.profile.channels.behaviour.excuses(&behaviour) {
                self.counters.known += 1;
                excused.push(behaviour);
            } else {
                news.push(behaviour);
            }
        }
        excused.iter().for_each(|behaviour| self.learn_excused(&uid, behaviour, event));
        for behaviour in news {
            findings.extend(self.judge_new(&uid, &behaviour, event, &mut accepted));
        }
        if let Some(worst) = findings.iter().max_by_key(|finding| finding.severity) {
            self.suspect(worst);
        }
        findings
    }

    /// What people and their tools do as the service does it is learnt as theirs. So it is no news where the service no longer does it;
    /// and what a service never did, but was learnt of it when the two were not told apart, is forgotten in time.
    fn learn_excused(&mut self, uid: &Arc<str>, behaviour: &Behaviour<'_>, event: &Event) {
        let Some(held) = self.profiles.get_mut(uid) else { return };
        let Profile { lifecycle, channels, .. } = &mut held.profile;
        if self.settings.is_locked || lifecycle.is_approved() || self.quarantine.holds(event) {
            return;
        }
        let container = event.context.container.as_ref().map_or(0, |container| container.cgroup_id);
        let seen = Seen::shown(event.time_ns, container);
        let fit = channels.behaviour.learn(behaviour, seen, lifecycle.window(), &self.settings);
        self.counters.overflowed += u64::from(fit != Fit::Held);
        held.is_dirty = true;
    }

    /// Raises once that a workload has no profile.
    pub(super) fn raise_unprofiled(&mut self, uid: &Arc<str>, event: &Event) -> Option<Finding> {
        let held = self.profiles.get_mut(uid)?;
        let (workload, channel) = (&held.profile.workload, &mut held.profile.channels.behaviour);
        let behaviour = Behaviour::by_name("run", "", &workload.image, ObjectKind::Executable, true);
        let raise = Raise { workload: &workload.uid, time_ns: event.time_ns, is_severe: true, by: "" };
        let dedup = channel.raise(&behaviour, raise, &self.settings);
        let Dedup::New { uid, .. } = dedup else {
            self.go_on(dedup, event);
            return None;
        };
        held.is_dirty = true;
        self.counters.findings += 1;
        let known = Known { workload: &workload.name, image: &workload.image, learnt_ns: 0, usual: Vec::new() };
        Some(finding::without_profile(event, known, uid))
    }

    /// A finding goes on.
    pub(super) fn go_on(&mut self, dedup: Dedup, event: &Event) {
        let Dedup::Repeat { uid, seen } = dedup else { return };
        self.counters.repeated += 1;
        let update = self.updates.entry(uid.clone()).or_insert_with(|| FindingUpdate {
            uid,
            count: 0,
            last_seen_ns: 0,
            evidence: Vec::new(),
        });
        (update.count, update.last_seen_ns) = (seen.count, seen.last_seen_ns);
        if seen.count <= Finding::MAX_EVIDENCE as u64 {
            update.evidence.push(evidence::of(event));
        }
    }
}
