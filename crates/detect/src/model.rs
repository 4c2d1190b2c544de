//! Learns profiles and judges events by them.

mod calibration;
mod clock;
mod decide;
pub(crate) mod finding;
mod habits;
mod quarantine;
mod score;
mod sessions;
mod settings;

use std::{collections::BTreeMap, fmt, sync::Arc};

use ethogram_model::{Container, Event, EventSchema, Finding, ObjectKind, Severity, render};
use rustc_hash::FxHashMap;

use crate::{
    Behaviour, Profile, ProfileSummary, ProfileTree, Workload,
    names::{Names, tells_names},
    profile::{Bits, Raised, Seen},
};
use clock::Clock;
use finding::Assessment;
pub use habits::{HabitChange, HabitCount, MAX_HABITS};
use habits::{Habits, Usual};
use quarantine::Quarantine;
use score::Scored;
use sessions::{Session, Sessions};
pub use settings::{Counters, Settings};

/// How long counts alone, without anything new learnt, may wait to be stored. Nanoseconds.
const COUNTS_WAIT_NS: u64 = 5_000_000_000;
/// How often counts are folded into profiles, at most, nanoseconds.
const FOLD_NS: u64 = 10_000_000_000;
/// Containers whose workload is remembered; beyond, all are looked up anew.
const MAX_CONTAINERS: usize = 4_096;
/// Other workloads that are asked whether they show a behaviour, those seen latest.
const MAX_ASKED: usize = 64;
/// How long what comes with the first start of a container that is seen is learnt, at most, nanoseconds.
const START_NS: u64 = 10_000_000_000;

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
    /// The workload of a service of the host.
    services: FxHashMap<Arc<str>, Arc<str>>,
    /// The process that a container was started with, by its cgroup.
    inits: FxHashMap<u64, u32>,
    habits: Habits,
    quarantine: Quarantine,
    sessions: Sessions,
    names: Names,
    /// Which kinds of events tell names, by where their schemas lie.
    telling: FxHashMap<usize, bool>,
    updates: BTreeMap<String, FindingUpdate>,
    evicted: Vec<String>,
    clock: Clock,
    /// When, on its clock, counts were folded last.
    folded_ns: u64,
    /// From which score on what is new is told.
    threshold: Bits,
    counters: Counters,
}

/// A profile in memory.
#[derive(Debug)]
struct Held {
    profile: Profile,
    /// Up to when, on the model's clock, `profile.watched_ns` is counted.
    counted_ns: u64,
    /// When, on the model's clock, it was last taken to be stored.
    taken_ns: u64,
    /// The window in which it was last looked through for what was not seen for long.
    forgot_in: u64,
    /// Something was learnt or told since it was taken.
    is_dirty: bool,
    /// Something was counted since it was taken.
    is_touched: bool,
    /// Something was noted that is not counted yet.
    is_pending: bool,
}

impl Held {
    fn new(profile: Profile, clock: &Clock) -> Self {
        let now = clock.elapsed_ns;
        let forgot_in = profile.window();
        Self {
            profile,
            counted_ns: now,
            taken_ns: now,
            forgot_in,
            is_dirty: true,
            is_touched: false,
            is_pending: false,
        }
    }

    /// Brings the time that the agent has looked up to date. It does not matter how often this is done.
    fn settle(&mut self, clock: &Clock, learning_period_ns: u64) {
        let passed = clock.elapsed_ns - self.counted_ns;
        self.counted_ns = clock.elapsed_ns;
        self.is_dirty |= self.profile.watch(passed, learning_period_ns);
    }
}

impl Model {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        let threshold = calibration::threshold(std::iter::empty(), settings.alerts_per_day);
        Self { settings, threshold, ..Self::default() }
    }

    /// Takes up a stored profile. When it is full, the profile unseen for longest is given up.
    ///
    /// # Errors
    /// The profile was written by a program that stores them in another form.
    pub fn restore(&mut self, mut profile: Profile) -> Result<(), UnknownVersion> {
        if !(Profile::OLDEST_VERSION..=Profile::VERSION).contains(&profile.version) {
            return Err(UnknownVersion { workload: profile.workload.name, version: profile.version });
        }
        profile.migrate();
        // While profiles were locked, nothing of it was learnt.
        if profile.is_empty() && !self.settings.is_locked && profile.approved_ns.is_none() {
            let alerted = std::mem::take(&mut profile.alerted);
            profile = Profile::new(profile.workload, profile.since_ns);
            profile.alerted = alerted;
        }
        let uid: Arc<str> = profile.workload.uid.as_str().into();
        let mut held = Held::new(profile, &self.clock);
        held.is_dirty = false;
        self.hold(uid, held);
        self.calibrate();
        Ok(())
    }

    /// Goes on with an alert that was told before: what led to it is not learnt from.
    pub fn restore_alert(&mut self, finding: &Finding) {
        self.quarantine.suspect(finding);
    }

    /// Lets time go by without an event, so that quiet hours count as learnt too. Nanoseconds since the Unix epoch.
    pub fn advance(&mut self, now_ns: u64) {
        self.clock.advance(now_ns);
        let every_ns = FOLD_NS.min(self.settings.learning_period_ns / 10).max(1);
        if self.clock.elapsed_ns / every_ns != self.folded_ns / every_ns {
            self.folded_ns = self.clock.elapsed_ns;
            self.fold();
        }
    }

    /// Events were lost: what was seen in this window is not all that happened.
    pub fn note_loss(&mut self) {
        for held in self.profiles.values_mut() {
            held.settle(&self.clock, self.settings.learning_period_ns);
            held.profile.count_loss();
        }
    }

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

    fn tells_names(&mut self, schema: &Arc<EventSchema>) -> bool {
        if self.telling.len() >= MAX_CONTAINERS {
            self.telling.clear();
        }
        *self.telling.entry(Arc::as_ptr(schema) as usize).or_insert_with(|| tells_names(schema))
    }

    /// A behaviour that the profile does not hold: it is learnt, told, or neither.
    fn judge_new(
        &mut self,
        uid: &Arc<str>,
        behaviour: &Behaviour<'_>,
        event: &Event,
        accepted: &mut impl FnMut(&str, &str, &str) -> bool,
    ) -> Option<Finding> {
        let mut assessment = Assessment::of(behaviour, event);
        let is_suspect = self.quarantine.holds(event);
        let asked = self.ask_others(uid, behaviour);
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
        let is_odd = first.is_some() || assessment.severity >= Severity::High;
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
        let is_tested = held.profile.is_tested(self.settings.learning_period_ns);
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
        if let Some(first) = session.as_ref().filter(|_| !is_grave).and_then(|session| self.sessions.told(session))
            && let Some(again) = held.profile.raise_again(&first.behaviour(), event.time_ns)
        {
            self.go_on(again, event);
            return None;
        }
        match held.profile.raise(behaviour, event.time_ns, is_grave, &self.settings) {
            Raised::First { uid: finding, object } => {
                self.counters.findings += 1;
                if let Some(session) = session {
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
    fn tell_unprofiled(&mut self, uid: &Arc<str>, event: &Event) -> Option<Finding> {
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

    fn learn(&mut self, uid: &Arc<str>, behaviour: &Behaviour<'_>, event: &Event) {
        let Some(held) = self.profiles.get_mut(uid) else { return };
        let container = event.context.container.as_ref().map_or(0, |c| c.cgroup_id);
        let fits = held.profile.learn(behaviour, Seen::shown(event.time_ns, container), &self.settings);
        self.counters.learnt += u64::from(fits);
        self.counters.overflowed += u64::from(!fits);
    }

    /// Something that was told goes on.
    fn go_on(&mut self, raised: Raised, event: &Event) {
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
    fn ask_others(&mut self, uid: &Arc<str>, behaviour: &Behaviour<'_>) -> (u64, u64) {
        self.settle_all();
        let mut others: Vec<&Profile> = self
            .profiles
            .iter()
            .filter(|(other, held)| *other != uid && held.profile.is_judged)
            .map(|(_, h)| &h.profile)
            .collect();
        if others.len() > MAX_ASKED {
            others.select_nth_unstable_by_key(MAX_ASKED, |profile| std::cmp::Reverse(profile.last_seen_ns));
            others.truncate(MAX_ASKED);
        }
        let shown_by = others.iter().filter(|profile| profile.shows(behaviour)).count();
        (shown_by as u64, others.len() as u64)
    }

    /// Brings all profiles up to date, so that it makes no difference which of them somebody has looked at.
    fn settle_all(&mut self) {
        for held in self.profiles.values_mut() {
            held.settle(&self.clock, self.settings.learning_period_ns);
        }
    }

    /// Counts what was noted since the last time, forgets what was not seen for long, and sets the threshold anew.
    fn fold(&mut self) {
        let Self { habits, profiles, settings, counters, .. } = self;
        habits.fold(self.clock.elapsed_ns, |habit, times, last_ns| {
            let Some(held) = profiles.get_mut(&habit.workload) else { return false };
            counters.habitual = counters.habitual.saturating_add(times);
            (held.is_pending, held.is_touched) = (true, true);
            held.profile.last_seen_ns = held.profile.last_seen_ns.max(last_ns);
            let mut is_known = true;
            for usual in &habit.usual {
                is_known &= held.profile.knows(&usual.behaviour(), |seen| seen.note(times, last_ns));
            }
            is_known
        });
        let forget_before_ns = self.clock.now_ns().saturating_sub(settings.forget_after_ns);
        let forgets = self.clock.is_steady_for(settings.forget_after_ns);
        let mut changed = Vec::new();
        for (uid, held) in profiles.iter_mut() {
            if std::mem::take(&mut held.is_pending) {
                held.profile.settle();
            }
            held.settle(&self.clock, settings.learning_period_ns);
            let window = held.profile.window();
            if forgets && held.forgot_in != window && held.profile.is_judged && held.profile.approved_ns.is_none() {
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
    }

    fn calibrate(&mut self) {
        let profiles = self.profiles.values().map(|held| &held.profile);
        self.threshold = calibration::threshold(profiles, self.settings.alerts_per_day);
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
        self.fold();
        self.take_changed(0)
    }

    fn take_changed(&mut self, counts_wait_ns: u64) -> Vec<(String, Profile)> {
        let mut out = Vec::new();
        for (uid, held) in &mut self.profiles {
            held.settle(&self.clock, self.settings.learning_period_ns);
            let has_waited = self.clock.elapsed_ns - held.taken_ns >= counts_wait_ns;
            if held.is_dirty || has_waited && (held.is_touched || !held.profile.is_judged) {
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
                ProfileSummary::of(&held.profile, &self.settings)
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

    /// The same for people to look at.
    pub fn describe(&mut self, uid: &str) -> Option<ProfileTree> {
        let (settings, threshold) = (self.settings.clone(), self.threshold.tenths());
        self.profile(uid).map(|profile| profile.describe(&settings, Some(threshold)))
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
        versions.max_by_key(|p| (p.since_ns <= this.since_ns, p.last_seen_ns))
    }

    /// The uid of a container's workload, where it has a profile.
    pub fn profile_of(&self, container: &Container) -> Option<String> {
        Workload::of(container).map(|w| w.uid).filter(|uid| self.profiles.contains_key(uid.as_str()))
    }

    /// What it did so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Habits at the moment.
    pub fn habits(&self) -> usize {
        self.habits.len()
    }

    /// From which score on what is new is told, in bits.
    pub fn threshold(&self) -> f64 {
        self.threshold.tenths()
    }

    /// The key of the workload that an event is of, whose profile begins now if there is none.
    fn workload_of(&mut self, event: &Event) -> Option<Arc<str>> {
        let now_ns = event.time_ns;
        let Some(container) = &event.context.container else {
            let service = event.context.service.as_ref()?;
            if let Some(uid) = self.services.get(service).filter(|uid| self.profiles.contains_key(*uid)) {
                return Some(Arc::clone(uid));
            }
            let uid = self.key_of(Workload::of_service(service), now_ns);
            if self.services.len() >= MAX_CONTAINERS {
                self.services.clear();
            }
            self.services.insert(Arc::clone(service), Arc::clone(&uid));
            return Some(uid);
        };
        if let Some((known, uid)) = self.containers.get(&container.cgroup_id)
            && Arc::ptr_eq(known, container)
            && self.profiles.contains_key(uid)
        {
            return Some(Arc::clone(uid));
        }
        let uid = self.key_of(Workload::of(container)?, now_ns);
        if self.containers.len() >= MAX_CONTAINERS {
            self.containers.clear();
        }
        self.containers.insert(container.cgroup_id, (Arc::clone(container), Arc::clone(&uid)));
        Some(uid)
    }

    fn key_of(&mut self, workload: Workload, now_ns: u64) -> Arc<str> {
        if let Some((uid, _)) = self.profiles.get_key_value(workload.uid.as_str()) {
            return Arc::clone(uid);
        }
        let uid: Arc<str> = workload.uid.as_str().into();
        let profile = self.begin(workload, now_ns);
        self.hold(Arc::clone(&uid), Held::new(profile, &self.clock));
        uid
    }

    /// The profile that a workload begins with: what the last version of its image did, where there was one.
    fn begin(&mut self, workload: Workload, now_ns: u64) -> Profile {
        self.settle_all();
        let earlier = self.profiles.values().map(|held| &held.profile);
        let mut versions: Vec<&Profile> = earlier.filter(|p| workload.is_version_of(&p.workload)).collect();
        versions.sort_by_key(|p| std::cmp::Reverse(p.last_seen_ns));
        Profile::heir(workload, now_ns, &versions, &self.settings)
    }

    fn hold(&mut self, uid: Arc<str>, held: Held) {
        if self.profiles.len() >= self.settings.max_profiles.max(1) && !self.profiles.contains_key(&uid) {
            let oldest = self.profiles.iter().min_by_key(|(_, held)| held.profile.last_seen_ns).map(|(uid, _)| uid);
            if let Some(oldest) = oldest.cloned() {
                self.remove(&oldest);
                self.counters.evicted += 1;
            }
        }
        self.evicted.retain(|evicted| **evicted != *uid);
        self.profiles.insert(uid, held);
    }

    fn remove(&mut self, uid: &str) -> Option<Profile> {
        let held = self.profiles.remove(uid)?;
        self.habits.end_of(uid);
        // Whoever never asks for them does not want to know.
        if self.evicted.len() < self.settings.max_profiles {
            self.evicted.push(uid.to_owned());
        }
        Some(held.profile)
    }
}
