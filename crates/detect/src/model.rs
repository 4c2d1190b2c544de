//! Learns profiles and judges events by them.

mod counters;
mod decide;
mod entry;
mod habits;
mod judge;
mod news;
mod sessions;
mod workloads;

use std::{collections::BTreeMap, fmt, sync::Arc};

use ethogram_model::{Container, Event, Finding, render};
use rustc_hash::FxHashMap;

use crate::{
    Profile, ProfileOverview, ProfileTree, Settings, Workload,
    incidents::Budget,
    learning::{Bits, Seen, calibration::Thresholds, clock::Clock, quarantine::Quarantine, window_ns},
    subject::names::Names,
    update::FindingUpdate,
};
pub use counters::ModelCounters;
use entry::ProfileEntry;
use habits::Habits;
pub use habits::{HabitChange, HabitCount, MAX_HABITS};
use sessions::Sessions;

/// How long counts alone, without anything new learnt, may wait to be stored. Nanoseconds.
const COUNTS_WAIT_NS: u64 = 5_000_000_000;
/// How often counts are flushed into profiles, at most, nanoseconds.
const FLUSH_NS: u64 = 10_000_000_000;
/// Containers whose workload is remembered; beyond, all are looked up anew.
const MAX_CONTAINERS: usize = 4_096;
/// Other workloads that are asked whether they show a behaviour, those seen latest.
const MAX_ASKED: usize = 64;
/// How long what comes with the first start of a container that is seen is learnt, at most, nanoseconds.
const START_NS: u64 = 10_000_000_000;

/// What a workload's profile says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// There is no profile, or the event is no behaviour.
    NotAsked,
    /// The workload is still being learnt.
    Learning,
    /// It never did this.
    New,
    /// It did this before.
    Known(Seen),
}

/// A stored profile that this program cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVersion {
    /// The workload.
    pub workload: String,
    /// The version of its profile.
    pub version: u32,
}

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, own) = (render::escape(&self.workload), Profile::VERSION);
        write!(f, "profile of {name} has version {}, this program reads version {own}: it is learnt anew", self.version)
    }
}

impl std::error::Error for UnknownVersion {}

/// All profiles. The same events in the same order give the same findings: its clock is the events' time.
#[derive(Debug, Default)]
pub struct Model {
    settings: Settings,
    profiles: BTreeMap<Arc<str>, ProfileEntry>,
    /// The workload of a container, by cgroup id, as long as nothing else is known of it.
    containers: FxHashMap<u64, (Arc<Container>, Arc<str>)>,
    /// The workload of a service of the host.
    services: FxHashMap<Arc<str>, Arc<str>>,
    /// The process that a container was started with, by its cgroup.
    inits: FxHashMap<u64, u32>,
    habits: Habits,
    quarantine: Quarantine,
    sessions: Sessions,
    names: Names,
    updates: BTreeMap<String, FindingUpdate>,
    evicted: Vec<String>,
    clock: Clock,
    /// When, on its clock, counts were flushed last.
    flushed_ns: u64,
    /// Other workloads that are asked whether they show a behaviour: those that judge, seen latest.
    asked: Vec<Arc<str>>,
    /// What was new and normal of the last event, as the findings that it would have been, with its workload's uid.
    ordinary: Vec<(Arc<str>, Finding)>,
    /// From which score on what is new raises an alert, where not enough is known of its workload.
    thresholds: Thresholds,
    counters: ModelCounters,
}

impl Model {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        let thresholds = Thresholds::new(std::iter::empty(), settings.incidents_per_day);
        Self { settings, thresholds, ..Self::default() }
    }

    /// How it learns and judges.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Goes on with a stored profile. When it is full, the profile unseen for longest is given up.
    ///
    /// # Errors
    /// The profile was written by a program that stores them in another form.
    pub fn restore(&mut self, mut profile: Profile) -> Result<(), UnknownVersion> {
        if !(Profile::OLDEST_VERSION..=Profile::VERSION).contains(&profile.version) {
            return Err(UnknownVersion { workload: profile.workload.name, version: profile.version });
        }
        profile.migrate(self.settings.learning_period_ns);
        // While profiles were locked, nothing of it was learnt.
        if profile.is_empty() && !self.settings.is_locked && profile.lifecycle.approved_ns.is_none() {
            let alerted = std::mem::take(&mut profile.channels.behaviour.alerted);
            profile = Profile::new(profile.workload, profile.lifecycle.since_ns);
            profile.channels.behaviour.alerted = alerted;
        }
        let uid: Arc<str> = profile.workload.uid.as_str().into();
        let mut held = ProfileEntry::new(profile, &self.clock);
        held.is_dirty = false;
        self.insert(uid, held);
        self.calibrate();
        self.choose_asked();
        Ok(())
    }

    /// Goes on with an alert that was raised before: what led to it is not learnt from.
    pub fn restore_alert(&mut self, finding: &Finding) {
        self.quarantine.suspect(finding);
    }

    /// Lets time go by without an event, so that quiet hours count as learnt too. Nanoseconds since the Unix epoch.
    pub fn advance(&mut self, now_ns: u64) {
        self.clock.advance(now_ns);
        let every_ns = FLUSH_NS.min(window_ns(self.settings.learning_period_ns));
        if self.clock.elapsed_ns / every_ns != self.flushed_ns / every_ns {
            self.flushed_ns = self.clock.elapsed_ns;
            self.flush_counts();
        }
    }

    /// Events were lost: what was seen in this window is not all that happened.
    pub fn note_loss(&mut self) {
        for held in self.profiles.values_mut() {
            held.advance(&self.clock, self.settings.learning_period_ns);
            held.profile.lifecycle.count_loss();
        }
    }

    /// Counts what was noted since the last time, forgets what was not seen for long, and sets the threshold anew.
    fn flush_counts(&mut self) {
        let Self { habits, profiles, settings, counters, .. } = self;
        habits.flush_counts(self.clock.elapsed_ns, |habit, times, last_ns| {
            let Some(held) = profiles.get_mut(&habit.workload) else { return false };
            counters.habitual = counters.habitual.saturating_add(times);
            (held.is_pending, held.is_touched) = (true, true);
            held.profile.lifecycle.last_seen_ns = held.profile.lifecycle.last_seen_ns.max(last_ns);
            let mut is_known = true;
            for usual in &habit.usual {
                is_known &= held.profile.channels.behaviour.knows(&usual.behaviour(), |seen| seen.note(times, last_ns));
            }
            is_known
        });
        let forget_before_ns = self.clock.now_ns().saturating_sub(settings.forget_after_ns);
        let forgets = self.clock.is_steady_for(settings.forget_after_ns);
        let mut changed = Vec::new();
        for (uid, held) in profiles.iter_mut() {
            if std::mem::take(&mut held.is_pending) {
                held.profile.flush_counts(held.flushed.window);
            }
            held.advance(&self.clock, settings.learning_period_ns);
            held.flushed = entry::Flushed::of(&held.profile);
            held.bulks.forget(self.clock.now_ns());
            let window = held.profile.lifecycle.window();
            if forgets
                && held.forgot_in != window
                && held.profile.lifecycle.is_judged
                && held.profile.lifecycle.approved_ns.is_none()
            {
                held.forgot_in = window;
                let gone = held.profile.forget(forget_before_ns);
                if gone > 0 {
                    counters.forgotten += gone as u64;
                    held.is_dirty = true;
                    changed.push(Arc::clone(uid));
                }
            }
        }
        changed.iter().for_each(|uid| habits.end_of(uid));
        self.quarantine.expire(self.clock.now_ns());
        self.calibrate();
        self.choose_asked();
    }

    fn choose_asked(&mut self) {
        let mut judging: Vec<_> = self.profiles.iter().filter(|(_, held)| held.flushed.is_judged).collect();
        if judging.len() > MAX_ASKED {
            judging.select_nth_unstable_by_key(MAX_ASKED, |(uid, held)| (std::cmp::Reverse(held.flushed), *uid));
            judging.truncate(MAX_ASKED);
        }
        self.asked = judging.into_iter().map(|(uid, _)| Arc::clone(uid)).collect();
    }

    fn calibrate(&mut self) {
        let judged = self.profiles.values().filter(|held| held.flushed.is_judged);
        let profiles = judged.map(|held| &held.profile.lifecycle.calibration);
        self.thresholds = Thresholds::new(profiles, self.settings.incidents_per_day);
        for held in self.profiles.values_mut() {
            held.threshold = self.thresholds.of(&held.profile.lifecycle.calibration);
            held.incident_threshold = self.thresholds.of_incidents(&held.profile.lifecycle.calibration);
        }
    }

    /// How findings went on since the last call, by uid. Small: repetitions are counted here, not listed.
    pub fn take_updates(&mut self) -> Vec<FindingUpdate> {
        std::mem::take(&mut self.updates).into_values().collect()
    }

    /// What was new and normal of the last event, as the findings that it would have been.
    pub(crate) fn take_ordinary(&mut self) -> Vec<(Arc<str>, Finding)> {
        std::mem::take(&mut self.ordinary)
    }

    /// What would have been an incident of a workload's normal life scores so much now, and scored so much before.
    pub(crate) fn note_ordinary_incident(&mut self, uid: &str, before: Option<Bits>, now: Bits) {
        if let Some(held) = self.profiles.get_mut(uid) {
            held.profile.lifecycle.calibration.note_incident(before, now);
        }
    }

    /// From which score on an incident that begins with an event is of medium severity.
    pub(crate) fn budget(&mut self, event: &Event) -> Budget {
        let held = self.workload_of(event).and_then(|uid| self.profiles.get(&uid));
        let usual = Budget::default();
        let own = held.map_or(0.0, |held| held.incident_threshold.tenths());
        Budget { medium_bits: usual.medium_bits.max(own), per_day: self.settings.incidents_per_day }
    }

    /// The profiles to be stored: those that changed since the last call. Mere counts wait a few seconds.
    pub fn take_dirty(&mut self) -> Vec<(String, Profile)> {
        self.take_changed(COUNTS_WAIT_NS)
    }

    /// The same at the end, when nothing can wait any more.
    pub fn take_last(&mut self) -> Vec<(String, Profile)> {
        self.flush_counts();
        self.take_changed(0)
    }

    fn take_changed(&mut self, counts_wait_ns: u64) -> Vec<(String, Profile)> {
        let mut out = Vec::new();
        for (uid, held) in &mut self.profiles {
            let has_waited = self.clock.elapsed_ns - held.taken_ns >= counts_wait_ns;
            if held.is_dirty || has_waited && (held.is_touched || !held.profile.lifecycle.is_judged) {
                held.is_dirty = false;
                held.is_touched = false;
                held.taken_ns = self.clock.elapsed_ns;
                out.push((uid.to_string(), held.profile.clone()));
            }
        }
        out
    }

    /// The uids of profiles given up since the last call: they can be removed where they are stored.
    pub fn take_evicted(&mut self) -> Vec<String> {
        std::mem::take(&mut self.evicted)
    }

    /// All profiles in brief, by name. As of the last flush or event of each: asking changes nothing.
    pub fn profiles(&self) -> Vec<ProfileOverview> {
        let all = self.profiles.values().map(|held| ProfileOverview::of(&held.profile, &self.settings));
        let mut out: Vec<ProfileOverview> = all.collect();
        out.sort_by(|a, b| (&a.name, &a.uid).cmp(&(&b.name, &b.uid)));
        out
    }

    /// The profile of a workload, by its uid.
    pub fn profile(&self, uid: &str) -> Option<&Profile> {
        self.profiles.get(uid).map(|held| &held.profile)
    }

    /// The same as people see it.
    pub fn describe(&self, uid: &str) -> Option<ProfileTree> {
        let held = self.profiles.get(uid)?;
        Some(held.profile.describe(&self.settings, Some(held.threshold.tenths())))
    }

    /// The workloads that have profiles.
    pub fn workloads(&self) -> impl Iterator<Item = &Workload> {
        self.profiles.values().map(|held| &held.profile.workload)
    }

    /// The profile of the version of a workload's image that was seen latest before the profile of this one began; of the last
    /// one seen, where none was before.
    pub fn version_before(&self, uid: &str) -> Option<&Profile> {
        let this = &self.profiles.get(uid)?.profile;
        let others = self.profiles.values().map(|held| &held.profile);
        let versions = others.filter(|p| p.workload.is_version_of(&this.workload));
        versions.max_by_key(|p| (p.lifecycle.since_ns <= this.lifecycle.since_ns, p.lifecycle.last_seen_ns))
    }

    /// The pid of what a container was started with, where it was seen.
    pub(crate) fn init_of(&self, cgroup: u64) -> Option<u32> {
        self.inits.get(&cgroup).copied()
    }

    /// What it did so far.
    pub fn counters(&self) -> ModelCounters {
        self.counters
    }

    /// Habits at the moment.
    pub fn habits(&self) -> usize {
        self.habits.len()
    }

    /// From which score on what is new raises an alert, in bits, where not enough is known of its workload.
    pub fn threshold(&self) -> f64 {
        self.thresholds.common().tenths()
    }
}
