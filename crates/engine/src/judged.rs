//! The consumer that learns and judges, live and in a replay alike.

use std::sync::{Arc, Weak};

use ethogram_detect::{Decision, Detector, HabitChange, HabitCount, Impairment};
use ethogram_model::{Answers, Event, Exec, Report};

use crate::{Consumer, ContainerFilter, Effects, EventFilter, containers::table::Lookup, effects::Save};

/// How often what was learnt is stored, nanoseconds. With the time that writing takes, less than ten seconds of it are lost when
/// the agent is killed.
const SAVE_NS: u64 = 3_000_000_000;
/// The same after a finding: an attacker may kill the agent right after the alert, and the profile that decided it must be stored by
/// then, or the next agent might learn what this one reported.
const SAVE_AFTER_FINDING_NS: u64 = 300_000_000;

/// Open incidents of which is stored at once what they did, so that a flood of them does not keep the disk busy.
const TRAILS_AT_ONCE: usize = 16;

/// What judges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Judges {
    /// Rules and the behaviour model; the model weighs what rules find.
    #[default]
    All,
    /// Rules alone.
    Rules,
}

/// Learns and judges.
#[derive(Default)]
pub struct Judged {
    container_filter: ContainerFilter,
    /// Profiles, rules and the allowlist.
    pub detector: Detector,
    judges: Judges,
    followers: Vec<Follower>,
    saved_ns: u64,
    has_findings: bool,
    /// How many entries the allowlist had when it was last handed out; none where it is to be handed out.
    accepted: Option<usize>,
}

/// A stream that follows events, as long as the other half of `alive` exists.
struct Follower {
    filter: EventFilter,
    alive: Weak<()>,
}

impl Judged {
    /// Judges what `container_filter` collects.
    pub fn new(container_filter: ContainerFilter, detector: Detector, judges: Judges) -> Self {
        Self { container_filter, detector, judges, ..Self::default() }
    }

    /// Hands on events that pass the filter, for as long as what is returned exists.
    pub fn follow(&mut self, filter: EventFilter) -> Arc<()> {
        let alive = Arc::new(());
        self.followers.retain(|follower| follower.alive.strong_count() > 0);
        self.followers.push(Follower { filter, alive: Arc::downgrade(&alive) });
        alive
    }

    fn forward(&mut self, event: &Event, effects: &mut Effects) {
        if self.followers.is_empty() {
            return;
        }
        self.followers.retain(|follower| follower.alive.strong_count() > 0);
        if self.followers.iter().any(|follower| follower.filter.passes(event)) {
            effects.events.push(event.clone());
        }
    }

    fn hand_out_accepted(&mut self, effects: &mut Effects) {
        let count = self.detector.accepted.list().count();
        if self.accepted != Some(count) {
            self.accepted = Some(count);
            effects.accepted = Some(Box::new(self.detector.accepted.clone()));
        }
    }

    fn save(&mut self, is_last: bool, effects: &mut Effects) {
        let Detector { model, accepted, incidents, .. } = &mut self.detector;
        let changed = if is_last { model.take_last() } else { model.take_dirty() };
        let forgotten = model.take_evicted().into_iter().map(|uid| (uid, None));
        let profiles = changed.into_iter().map(|(uid, profile)| (uid, Some(profile))).chain(forgotten);
        let trails = incidents.take_trails(if is_last { usize::MAX } else { TRAILS_AT_ONCE });
        let (profiles, accepted) = (profiles.collect(), accepted.take_changed());
        effects.save = Some(Box::new(Save { profiles, accepted, trails }));
    }
}

impl Consumer for Judged {
    fn collects(&mut self, lookup: &Lookup) -> Option<bool> {
        self.container_filter.collects(lookup)
    }

    fn take(&mut self, event: &Event, effects: &mut Effects) {
        self.forward(event, effects);
        let findings = match self.judges {
            Judges::All => self.detector.judge(event),
            Judges::Rules => self.detector.judge_by_rules(event),
        };
        self.has_findings |= !findings.is_empty();
        effects.reports.extend(findings.into_iter().map(Report::from));
    }

    fn answers(&mut self, plain: (&Event, &Arc<Exec>), masked: (&Event, &Arc<Exec>)) -> Option<Arc<Answers>> {
        self.detector.rules.answers(plain, masked)
    }

    fn answers_of(&mut self, plain: &Arc<Exec>, masked: &Arc<Exec>) -> Option<Arc<Answers>> {
        self.detector.rules.answers_of(plain, masked)
    }

    fn is_ordinary(&mut self, event: &Event) -> bool {
        self.detector.is_ordinary(event)
    }

    fn decide(&mut self, decision: Decision, effects: &mut Effects) {
        if !matches!(decision, Decision::Rules(..)) {
            self.accepted = None;
        }
        self.detector.decide(decision);
        self.hand_out_accepted(effects);
    }

    fn count_habits(&mut self, counts: &[HabitCount]) {
        self.detector.count_habits(counts);
    }

    fn take_habit_changes(&mut self) -> Vec<HabitChange> {
        self.detector.take_habit_changes()
    }

    fn note_loss(&mut self) {
        self.detector.model.note_loss();
    }

    fn impaired(&mut self, impairment: &Impairment, effects: &mut Effects) {
        effects.reports.extend(self.detector.impaired(impairment).map(Report::from));
    }

    fn tick(&mut self, now_ns: u64, effects: &mut Effects) {
        self.detector.advance(now_ns);
        self.hand_out_accepted(effects);
        effects.updates = self.detector.take_updates();
        effects.incidents = self.detector.incidents.take_changed();
        effects.incident_updates = self.detector.incidents.take_updates();
        let every_ns = if self.has_findings { SAVE_AFTER_FINDING_NS } else { SAVE_NS };
        if now_ns.saturating_sub(self.saved_ns) >= every_ns || now_ns < self.saved_ns {
            (self.saved_ns, self.has_findings) = (now_ns, false);
            self.save(false, effects);
        }
    }

    fn finish(&mut self, effects: &mut Effects) {
        self.save(true, effects);
        effects.updates = self.detector.take_updates();
        effects.incidents = self.detector.incidents.take_changed();
        effects.incident_updates = self.detector.incidents.take_updates();
    }
}
