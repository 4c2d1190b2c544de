//! Learns profiles and judges events by them.

pub(crate) mod finding;

use std::{collections::BTreeMap, fmt, sync::Arc};

use ethogram_model::{Container, Event, Finding, Severity, render};
use rustc_hash::FxHashMap;

use crate::{
    Behaviour, Profile, ProfileSummary, Workload,
    profile::{Raised, Seen},
};
use finding::Assessment;

/// The longest that two events may lie apart and all the time between them count as looked at. More is a clock that
/// jumped or a machine that slept, and counts as this much. Nanoseconds.
const LONGEST_STEP_NS: u64 = 3_600_000_000_000;
/// Events of several CPUs come a little out of order; a clock that goes back by more than this was set. Nanoseconds.
const DISORDER_NS: u64 = 10_000_000_000;
/// How long counts alone, without anything new learnt, may wait to be stored. Nanoseconds.
const COUNTS_WAIT_NS: u64 = 5_000_000_000;
/// Containers whose workload is remembered; beyond, all are looked up anew.
const MAX_CONTAINERS: usize = 4_096;

/// How the model learns, and its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a workload is learnt before it is judged, nanoseconds.
    pub learning_period_ns: u64,
    /// Profiles held; the one unseen for longest makes room for a new one.
    pub max_profiles: usize,
    /// Patterns a profile holds; beyond, paths are given up for their directories.
    pub max_entries: usize,
    /// Behaviours of one profile that are told; further ones are counted.
    pub max_alerts: usize,
    /// Behaviours of one executable and operation that are told each by itself, unless they are grave.
    pub alerts_per_executable: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            learning_period_ns: 24 * 3_600_000_000_000,
            max_profiles: 1_024,
            max_entries: 4_096,
            max_alerts: 1_024,
            alerts_per_executable: 16,
        }
    }
}

/// What the model did, each a count that only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Behaviours added to a profile.
    pub learnt: u64,
    /// Behaviours that a profile held.
    pub known: u64,
    /// Findings made.
    pub findings: u64,
    /// Behaviours that belong to a finding made before.
    pub repeated: u64,
    /// Events of a container whose image is not known: neither learnt nor judged.
    pub unattributed: u64,
    /// Behaviours that did not fit into a profile: their operation is not judged any more.
    pub overflowed: u64,
    /// New behaviours that were not told, since the workload has too many alerts.
    pub untold: u64,
    /// Profiles that made room for others.
    pub evicted: u64,
}

/// How a finding went on. The numbers are totals: whoever misses one update misses nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingUpdate {
    /// Of which finding.
    pub uid: String,
    /// How often it was seen by now.
    pub count: u64,
    /// When last, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
    /// Evidence to append, so that it has [`Finding::MAX_EVIDENCE`] at most.
    pub evidence: Vec<serde_json::Value>,
}

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
    profiles: BTreeMap<Arc<str>, Held>,
    /// The workload of a container, by cgroup id, as long as nothing else is known of it.
    containers: FxHashMap<u64, (Arc<Container>, Arc<str>)>,
    updates: BTreeMap<String, FindingUpdate>,
    evicted: Vec<String>,
    clock: Clock,
    counters: Counters,
}

/// A profile in memory.
#[derive(Debug)]
struct Held {
    profile: Profile,
    /// Up to when, on the model's clock, `profile.learnt_ns` is counted.
    counted_ns: u64,
    /// When, on the model's clock, it was last taken to be stored.
    taken_ns: u64,
    /// Something was learnt or told since it was taken.
    is_dirty: bool,
    /// Something was counted since it was taken.
    is_touched: bool,
}

impl Held {
    fn new(profile: Profile, clock: &Clock) -> Self {
        let now = clock.elapsed_ns;
        Self { profile, counted_ns: now, taken_ns: now, is_dirty: true, is_touched: false }
    }

    /// Brings the time learnt up to date. Once learning is over, it stays over; the time beyond does not count, so that
    /// it does not matter how often anybody looks.
    fn settle(&mut self, clock: &Clock, learning_period_ns: u64) {
        let profile = &mut self.profile;
        if profile.is_stable {
            return;
        }
        let learnt_ns = profile.learnt_ns.saturating_add(clock.elapsed_ns - self.counted_ns);
        profile.learnt_ns = learnt_ns.min(learning_period_ns.max(profile.learnt_ns));
        self.counted_ns = clock.elapsed_ns;
        if profile.learnt_ns >= learning_period_ns {
            profile.is_stable = true;
            self.is_dirty = true;
        }
    }
}

/// Time that went by while events came, whatever their clock did.
#[derive(Debug, Default)]
struct Clock {
    last_ns: Option<u64>,
    elapsed_ns: u64,
}

impl Clock {
    fn advance(&mut self, now_ns: u64) {
        let last = self.last_ns.unwrap_or(now_ns);
        if now_ns >= last {
            self.elapsed_ns = self.elapsed_ns.saturating_add((now_ns - last).min(LONGEST_STEP_NS));
        } else if last - now_ns < DISORDER_NS {
            return;
        }
        self.last_ns = Some(now_ns);
    }
}

impl Model {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Takes up a stored profile. When it is full, the profile unseen for longest is given up.
    ///
    /// # Errors
    /// The profile was written by a program that stores them in another form.
    pub fn restore(&mut self, profile: Profile) -> Result<(), UnknownVersion> {
        if profile.version != Profile::VERSION {
            return Err(UnknownVersion { workload: profile.workload.name, version: profile.version });
        }
        let uid: Arc<str> = profile.workload.uid.as_str().into();
        let mut held = Held::new(profile, &self.clock);
        held.is_dirty = false;
        self.hold(uid, held);
        Ok(())
    }

    /// Lets time go by without an event, so that quiet hours count as learnt too. Nanoseconds since the Unix epoch.
    pub fn advance(&mut self, now_ns: u64) {
        self.clock.advance(now_ns);
    }

    /// Learns from an event, or judges it. Gives what is new; what goes on is in [`Model::take_updates`].
    ///
    /// Events of the host, and those of a container without an image, are neither learnt nor judged: whoever calls
    /// waits with an event until its container is resolved, and gives up waiting after a moment.
    pub fn judge(&mut self, event: &Event) -> Vec<Finding> {
        self.judge_unless(event, |_, _, _| false)
    }

    /// What the profile of the event's workload says of it, without learning from it.
    pub fn recall(&mut self, event: &Event) -> Recall {
        let Some(container) = &event.context.container else { return Recall::NotAsked };
        let Some(uid) = self.workload_of(container, event.time_ns) else { return Recall::NotAsked };
        let Some(held) = self.profiles.get_mut(&uid) else { return Recall::NotAsked };
        let mut recall = Recall::NotAsked;
        for behaviour in Behaviour::of(event) {
            recall = match held.profile.recall(&behaviour) {
                _ if !held.profile.is_stable => return Recall::Learning,
                Some(seen) => Recall::Known(seen),
                None => return Recall::New,
            };
        }
        recall
    }

    /// As [`Model::judge`], but without the findings that `accepted` says are normal, by their analytic, the workload's
    /// name and the executable.
    pub fn judge_unless(&mut self, event: &Event, mut accepted: impl FnMut(&str, &str, &str) -> bool) -> Vec<Finding> {
        self.clock.advance(event.time_ns);
        let mut findings = Vec::new();
        let Some(container) = &event.context.container else { return findings };
        let Some(uid) = self.workload_of(container, event.time_ns) else {
            self.counters.unattributed += 1;
            return findings;
        };
        let Some(held) = self.profiles.get_mut(&uid) else { return findings };
        held.settle(&self.clock, self.settings.learning_period_ns);
        held.profile.last_seen_ns = held.profile.last_seen_ns.max(event.time_ns);
        for behaviour in Behaviour::of(event) {
            held.profile.observations = held.profile.observations.saturating_add(1);
            held.is_touched = true;
            if held.profile.knows(&behaviour, event.time_ns) {
                self.counters.known += 1;
                continue;
            }
            held.is_dirty = true;
            if !held.profile.is_stable || behaviour.is_start {
                let fits = held.profile.learn(&behaviour, event.time_ns, self.settings.max_entries);
                self.counters.learnt += u64::from(fits);
                self.counters.overflowed += u64::from(!fits);
                continue;
            }
            let analytic = format!("behaviour.{}", behaviour.operation);
            if accepted(&analytic, &held.profile.workload.name, &behaviour.executable) {
                continue;
            }
            let assessment = Assessment::of(&behaviour, event);
            let grave = assessment.severity >= Severity::High;
            match held.profile.raise(&behaviour, event.time_ns, grave, &self.settings) {
                Raised::First { uid, object } => {
                    self.counters.findings += 1;
                    findings.extend(finding::make(&behaviour, assessment, event, &held.profile, uid, object));
                }
                Raised::Again { uid, seen } => {
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
                Raised::Full => self.counters.untold += 1,
            }
        }
        findings
    }

    /// How findings went on since the last call, by uid. Small: repetitions are counted here, not listed.
    pub fn take_updates(&mut self) -> Vec<FindingUpdate> {
        std::mem::take(&mut self.updates).into_values().collect()
    }

    /// The profiles to be stored: those that changed since the last call. Mere counts wait a few seconds.
    pub fn take_dirty(&mut self) -> Vec<(String, Profile)> {
        self.take_changed(COUNTS_WAIT_NS)
    }

    /// The same at the end, when nothing can wait any more.
    pub fn take_last(&mut self) -> Vec<(String, Profile)> {
        self.take_changed(0)
    }

    fn take_changed(&mut self, counts_wait_ns: u64) -> Vec<(String, Profile)> {
        let mut out = Vec::new();
        for (uid, held) in &mut self.profiles {
            held.settle(&self.clock, self.settings.learning_period_ns);
            let has_waited = self.clock.elapsed_ns - held.taken_ns >= counts_wait_ns;
            if held.is_dirty || has_waited && (held.is_touched || !held.profile.is_stable) {
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

    /// All profiles in brief, by name.
    pub fn profiles(&mut self) -> Vec<ProfileSummary> {
        let mut out: Vec<ProfileSummary> = self
            .profiles
            .values_mut()
            .map(|held| {
                held.settle(&self.clock, self.settings.learning_period_ns);
                ProfileSummary::of(&held.profile)
            })
            .collect();
        out.sort_by(|a, b| (&a.name, &a.uid).cmp(&(&b.name, &b.uid)));
        out
    }

    /// The profile of a workload, by its uid.
    pub fn profile(&mut self, uid: &str) -> Option<&Profile> {
        let held = self.profiles.get_mut(uid)?;
        held.settle(&self.clock, self.settings.learning_period_ns);
        Some(&held.profile)
    }

    /// The uid of a container's workload, where it has a profile.
    pub fn profile_of(&self, container: &Container) -> Option<String> {
        Workload::of(container).map(|w| w.uid).filter(|uid| self.profiles.contains_key(uid.as_str()))
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The key of a container's workload, whose profile begins now if there is none.
    fn workload_of(&mut self, container: &Arc<Container>, now_ns: u64) -> Option<Arc<str>> {
        if let Some((known, uid)) = self.containers.get(&container.cgroup_id)
            && Arc::ptr_eq(known, container)
            && self.profiles.contains_key(uid)
        {
            return Some(Arc::clone(uid));
        }
        let workload = Workload::of(container)?;
        let uid = match self.profiles.get_key_value(workload.uid.as_str()) {
            Some((uid, _)) => Arc::clone(uid),
            None => {
                let uid: Arc<str> = workload.uid.as_str().into();
                self.hold(Arc::clone(&uid), Held::new(Profile::new(workload, now_ns), &self.clock));
                uid
            }
        };
        if self.containers.len() >= MAX_CONTAINERS {
            self.containers.clear();
        }
        self.containers.insert(container.cgroup_id, (Arc::clone(container), Arc::clone(&uid)));
        Some(uid)
    }

    fn hold(&mut self, uid: Arc<str>, held: Held) {
        if self.profiles.len() >= self.settings.max_profiles.max(1) && !self.profiles.contains_key(&uid) {
            let oldest = self.profiles.iter().min_by_key(|(_, held)| held.profile.last_seen_ns).map(|(uid, _)| uid);
            if let Some(oldest) = oldest.cloned() {
                self.profiles.remove(&oldest);
                self.counters.evicted += 1;
                // Whoever never asks for them does not want to know.
                if self.evicted.len() < self.settings.max_profiles {
                    self.evicted.push(oldest.to_string());
                }
            }
        }
        self.evicted.retain(|evicted| **evicted != *uid);
        self.profiles.insert(uid, held);
    }
}
