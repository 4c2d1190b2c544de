//! What one workload does, and what of the rest was told.

mod alerted;
pub mod diff;
pub mod file;
mod novelty;
pub mod objects;
mod paths;
pub(crate) mod peers;
mod programs;
mod seen;
mod state;
pub mod view;

use std::collections::BTreeMap;

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use crate::{
    Behaviour, Settings, Workload,
    behaviour::{OUTSIDE, UNKNOWN, template},
};
pub use alerted::Alerted;
pub(crate) use alerted::{OTHERS, Raised};
pub use novelty::{Bits, Novelty};
use objects::Objects;
pub use seen::Seen;
pub use state::State;
use state::Window;
pub(crate) use state::window_ns;

/// The behaviour of one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`Profile::VERSION`] of the program that wrote it.
    pub version: u32,
    /// Whose it is.
    pub workload: Workload,
    /// When the workload was first seen, nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// When it was last seen, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
    /// How long it was learnt, nanoseconds: time in which the agent did not look does not count.
    pub learnt_ns: u64,
    /// How long the agent has looked at all, nanoseconds.
    #[serde(default)]
    pub watched_ns: u64,
    /// Whether learning is over. It does not begin again by itself.
    #[serde(alias = "is_stable")]
    pub is_judged: bool,
    /// Whether much that is new has come of late.
    #[serde(default)]
    pub is_drifted: bool,
    /// Whether events were lost up to the end of learning.
    #[serde(default)]
    pub is_lossy: bool,
    /// Since when somebody has said that it is right, nanoseconds since the Unix epoch. It learns nothing from then on.
    #[serde(default)]
    pub approved_ns: Option<u64>,
    /// The workload whose profile it began with, and what is left of that: as long as it is learnt.
    #[serde(default)]
    pub predecessor: Option<String>,
    /// How long its predecessors were learnt, nanoseconds.
    #[serde(default)]
    pub inherited_ns: u64,
    /// Starts of its containers that were seen.
    #[serde(default)]
    pub starts: u64,
    /// Until when what is new and not grave is learnt after the first such start, on the clock of `watched_ns`.
    #[serde(default)]
    pub(crate) lenient_until_ns: u64,
    /// Behaviours seen, all told.
    pub observations: u64,
    /// Patterns that made room for others, or were not seen for long.
    #[serde(default)]
    pub forgotten: u64,
    /// How much tells that an operation is new.
    #[serde(default)]
    pub(crate) novelty: Novelty,
    #[serde(default)]
    window: Window,
    #[serde(default)]
    before: Window,
    /// Scores of new behaviours that were normal, in half bits, and how often: what calibrates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) normal_news: BTreeMap<i32, u32>,
    /// In which time, nanoseconds that the agent has looked.
    #[serde(default)]
    pub(crate) normal_news_ns: u64,
    /// By operation.
    pub operations: BTreeMap<String, Operation>,
    /// What was told: by operation, executable and object.
    pub alerted: BTreeMap<String, BTreeMap<String, BTreeMap<String, Alerted>>>,
}

/// What a workload did of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// What its objects are. Profiles of earlier agents do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ObjectKind>,
    /// What of it was too various to be held, and is not judged.
    #[serde(default)]
    pub unjudged: Unjudged,
    /// How much tells that another executable does it.
    #[serde(default)]
    pub novelty: Novelty,
    /// By executable; executions by the parent's.
    pub executables: BTreeMap<String, Executable>,
}

/// What one executable did of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Executable {
    /// How much tells that it does so to another object.
    #[serde(default)]
    pub novelty: Novelty,
    /// To what.
    #[serde(flatten)]
    pub objects: Objects,
}

/// What of an operation is not judged, since a workload did more of it than a profile holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unjudged {
    /// All is judged.
    #[default]
    Nothing,
    /// Ordinary paths are not. Secrets, and what decides what runs, are.
    Ordinary,
    /// Nothing of it is judged.
    All,
}

/// Bytes that a profile takes for an executable or an operation besides its name.
const PLACE_BYTES: usize = 96;
/// New peers of one executable in so short a time that it looks for something, nanoseconds. A service that is deployed anew meets
/// fewer: those of one network and port become one.
const SWEEP_PEERS: usize = 10;
const SWEEP_NS: u64 = 60_000_000_000;

impl Profile {
    /// Raised when the stored form changes.
    pub const VERSION: u32 = 2;
    /// The oldest form that is understood: what it does not say has its default.
    pub const OLDEST_VERSION: u32 = 1;

    /// An empty one.
    pub fn new(workload: Workload, now_ns: u64) -> Self {
        Self {
            version: Self::VERSION,
            workload,
            since_ns: now_ns,
            last_seen_ns: now_ns,
            learnt_ns: 0,
            watched_ns: 0,
            is_judged: false,
            is_drifted: false,
            is_lossy: false,
            approved_ns: None,
            predecessor: None,
            inherited_ns: 0,
            starts: 0,
            lenient_until_ns: 0,
            observations: 0,
            forgotten: 0,
            novelty: Novelty::default(),
            window: Window::default(),
            before: Window::default(),
            normal_news: BTreeMap::new(),
            normal_news_ns: 0,
            operations: BTreeMap::new(),
            alerted: BTreeMap::new(),
        }
    }

    /// One that begins with what other versions of its image do, the latest first.
    /// It takes the place of the one that judges, if there is one.
    pub(crate) fn heir(
        workload: Workload,
        now_ns: u64,
        judging: Option<&Self>,
        versions: &[&Self],
        settings: &Settings,
    ) -> Self {
        let mut heir = Self::new(workload, now_ns);
        if let Some(latest) = judging {
            heir.predecessor = Some(latest.workload.name.clone());
            heir.inherited_ns = latest.inherited_ns.saturating_add(latest.learnt_ns);
            heir.starts = latest.starts;
            heir.novelty = latest.novelty.of_another();
            heir.operations =
                latest.operations.iter().map(|(name, operation)| (name.clone(), operation.of_another())).collect();
            heir.normal_news = latest.normal_news.clone();
            heir.normal_news_ns = latest.normal_news_ns;
        }
        versions.iter().for_each(|version| heir.take_over(version, settings));
        heir
    }

    /// Takes over what another profile holds besides, as far as there is room.
    fn take_over(&mut self, other: &Self, settings: &Settings) {
        for (name, operation) in &other.operations {
            let own = self.operations.entry(name.clone()).or_default();
            own.unjudged = own.unjudged.max(operation.unjudged);
            for (name, executable) in &operation.executables {
                let own = own.executables.entry(name.clone()).or_default();
                own.objects.take_over(&executable.objects, settings.max_entries);
            }
        }
    }

    /// Brings one of an older version up to this one.
    pub(crate) fn migrate(&mut self) {
        if self.version < 2 {
            self.watched_ns = self.learnt_ns;
            // It does not say what interpreters were told.
            if let Some(execute) = self.operations.get_mut("execute") {
                for (_, executable) in execute.executables.iter_mut().filter(|(parent, _)| *parent != OUTSIDE) {
                    executable.objects.allow_any_arguments(template::is_program);
                }
            }
        }
        self.version = Self::VERSION;
    }

    /// Takes the place of another profile of the same workload: what that had seen, and told of what this one does not hold.
    pub(crate) fn replace(&mut self, before: &Self) {
        let approved_ns = before.approved_ns.filter(|_| self.to_file() == before.to_file()).or(self.approved_ns);
        for (name, operation) in &mut self.operations {
            let Some(known) = before.operations.get(name) else { continue };
            operation.novelty = known.novelty;
            for (name, executable) in &mut operation.executables {
                let Some(known) = known.executables.get(name) else { continue };
                executable.novelty = known.novelty;
                executable.objects.remember(&known.objects);
            }
        }
        let (workload, operations) = (std::mem::take(&mut self.workload), std::mem::take(&mut self.operations));
        let (is_judged, alerted) = (self.is_judged, before.alerted_but(&operations));
        *self = Self {
            workload,
            operations,
            is_judged,
            alerted,
            approved_ns,
            is_drifted: false,
            predecessor: None,
            ..before.clone()
        };
    }

    /// Whether it says nothing of what the workload does.
    pub(crate) fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Patterns it holds.
    pub fn entries(&self) -> usize {
        self.executables().map(|e| e.objects.len()).sum()
    }

    /// Bytes it takes, roughly.
    pub fn bytes(&self) -> usize {
        let names = |(name, operation): (&String, &Operation)| {
            let executables = operation.executables.iter();
            name.len()
                + PLACE_BYTES
                + executables.map(|(n, e)| n.len() + PLACE_BYTES + e.objects.bytes()).sum::<usize>()
        };
        self.operations.iter().map(names).sum()
    }

    fn executables(&self) -> impl Iterator<Item = &Executable> {
        self.operations.values().flat_map(|o| o.executables.values())
    }

    fn executables_mut(&mut self) -> impl Iterator<Item = &mut Executable> {
        self.operations.values_mut().flat_map(|o| o.executables.values_mut())
    }

    /// Whether it holds the behaviour; `note` notes in what it holds that it was seen again.
    pub(crate) fn knows(&mut self, behaviour: &Behaviour<'_>, note: impl Fn(&mut Seen)) -> bool {
        alike(behaviour).iter().any(|operation| {
            let Some(Operation { unjudged, executables, .. }) = self.operations.get_mut(*operation) else {
                return false;
            };
            if *unjudged >= unjudged_by_lack_of_room(behaviour) {
                return true;
            }
            let holds = |executable: &mut Executable| executable.objects.get_mut(behaviour).map(&note);
            if behaviour.is_vague {
                let mut candidates = executables.iter_mut().filter(|(name, _)| behaviour.may_be_by(name));
                return candidates.find_map(|(_, executable)| holds(executable)).is_some();
            }
            // What somebody did while it was learnt, anybody may do.
            [&*behaviour.executable, UNKNOWN].into_iter().any(|n| executables.get_mut(n).and_then(holds).is_some())
        })
    }

    /// What was seen of a behaviour.
    pub(crate) fn recall(&self, behaviour: &Behaviour<'_>) -> Option<Seen> {
        alike(behaviour).iter().find_map(|operation| {
            let executables = &self.operations.get(*operation)?.executables;
            executables.get(&*behaviour.executable)?.objects.get(behaviour).copied()
        })
    }

    /// What the executable, which the workload knows, never did at all until this behaviour, as a sentence. What comes from outside
    /// is told by what it runs, a shell is there to run programs, and what others of the workload do all the time is no surprise.
    pub(crate) fn first_of_kind(&self, behaviour: &Behaviour<'_>) -> Option<&'static str> {
        let executable = &*behaviour.executable;
        if behaviour.is_vague || executable == OUTSIDE || self.shows(behaviour) {
            return None;
        }
        let what = match behaviour.kind {
            ObjectKind::Executable if !template::is_program(executable) => "it never ran a program before",
            ObjectKind::Peer => "it never connected to anything before",
            ObjectKind::Name if behaviour.operation == "generate" => "it never made code before",
            ObjectKind::Name => "it never did that to anybody before",
            _ => return None,
        };
        let does = |operation: &Operation| operation.executables.contains_key(executable);
        if let Some(known) = self.operations.get(behaviour.operation).and_then(|o| o.executables.get(executable)) {
            let is_farther = behaviour.kind == ObjectKind::Peer
                && peers::is_public(behaviour.address.as_ref().unwrap_or(&behaviour.object))
                && !known.objects.patterns().iter().any(|(peer, ..)| peers::is_public(peer));
            return is_farther.then_some("it never connected beyond its own network before");
        }
        let run = Behaviour::by_name("execute", "", executable, ObjectKind::Executable, true);
        (self.operations.values().any(does) || self.shows(&run)).then_some(what)
    }

    /// Whether the executable connects to one new peer after another, as who looks for something does.
    pub(crate) fn is_sweep(&self, behaviour: &Behaviour<'_>, time_ns: u64) -> bool {
        let operation =
            (behaviour.kind == ObjectKind::Peer).then(|| self.operations.get(behaviour.operation)).flatten();
        let does = operation.and_then(|operation| operation.executables.get(&*behaviour.executable));
        does.is_some_and(|does| does.objects.newer_than(time_ns.saturating_sub(SWEEP_NS)) >= SWEEP_PEERS)
    }

    /// Whether anybody in this workload does such a thing to the behaviour's object.
    pub(crate) fn shows(&self, behaviour: &Behaviour<'_>) -> bool {
        let Some(operation) = self.operations.get(behaviour.operation) else { return false };
        operation.executables.values().any(|e| e.objects.get(behaviour).is_some())
    }

    /// Adds a behaviour that it does not hold. False where there is no room: its like is not judged any more. A quarter
    /// more room is kept for what is guarded, so that masses of ordinary paths do not crowd it out.
    pub(crate) fn learn(&mut self, behaviour: &Behaviour<'_>, seen: Seen, settings: &Settings) -> bool {
        let more = if behaviour.is_guarded { 4 } else { usize::MAX };
        let with_more = |limit: usize| limit.saturating_add(limit / more);
        let has_room = |profile: &Self| {
            profile.entries() < with_more(settings.max_entries) && profile.bytes() < with_more(settings.max_bytes)
        };
        let fits = has_room(self) || self.shrink() && has_room(self) || self.evict(behaviour) && has_room(self);
        let window = self.window();
        if !self.operations.contains_key(behaviour.operation) {
            self.novelty.add(window);
        }
        let operation = self.operations.entry(behaviour.operation.to_owned()).or_default();
        operation.kind = Some(behaviour.kind);
        if !fits {
            operation.unjudged = operation.unjudged.max(unjudged_by_lack_of_room(behaviour));
            return false;
        }
        if !operation.executables.contains_key(&*behaviour.executable) {
            operation.novelty.add(window);
        }
        let executable = operation.executables.entry(behaviour.executable.to_string()).or_default();
        executable.novelty.add(window);
        executable.objects.insert(behaviour, seen);
        true
    }

    /// Makes room where the most paths are.
    fn shrink(&mut self) -> bool {
        let mut by_size: Vec<&mut Objects> =
            self.executables_mut().map(|e| &mut e.objects).filter(|o| o.shrinkable() > 1).collect();
        by_size.sort_by_key(|o| std::cmp::Reverse(o.shrinkable()));
        by_size.into_iter().any(Objects::shrink)
    }

    /// Makes room for an ordinary path by giving up the ordinary paths that tell least: seen once, by the executable with
    /// most of them, the older half. What is guarded is never given up.
    fn evict(&mut self, behaviour: &Behaviour<'_>) -> bool {
        if behaviour.kind != ObjectKind::Path || behaviour.is_guarded {
            return false;
        }
        let Some(operation) = self.operations.get_mut(behaviour.operation) else { return false };
        let largest = operation.executables.values_mut().max_by_key(|e| e.objects.shrinkable());
        let Some(executable) = largest else { return false };
        let mut once: Vec<u64> = executable
            .objects
            .patterns()
            .iter()
            .filter(|(_, is_path, s)| *is_path && s.count == 1)
            .map(|(.., s)| s.last_seen_ns)
            .collect();
        once.sort_unstable();
        let Some(oldest) = once.get(once.len() / 2).copied() else { return false };
        let paths: std::collections::BTreeSet<String> = executable
            .objects
            .patterns()
            .into_iter()
            .filter(|(_, is_path, s)| *is_path && s.count == 1 && s.last_seen_ns <= oldest)
            .map(|(path, ..)| path)
            .collect();
        let gone = executable.objects.retain(|pattern, _| !paths.contains(pattern));
        self.forgotten = self.forgotten.saturating_add(gone as u64);
        // What was given up may come again: it is nothing to tell.
        operation.unjudged = operation.unjudged.max(Unjudged::Ordinary);
        gone > 0
    }

    /// Forgets what was not seen since a time. How many patterns that were.
    pub(crate) fn forget(&mut self, before_ns: u64) -> usize {
        let mut gone = 0;
        for operation in self.operations.values_mut() {
            operation.executables.retain(|_, executable| {
                gone += executable.objects.retain(|_, seen| seen.up_to_now().last_seen_ns >= before_ns);
                !executable.objects.is_empty()
            });
        }
        self.operations.retain(|_, o| !o.executables.is_empty() || o.unjudged != Unjudged::Nothing);
        self.forgotten = self.forgotten.saturating_add(gone as u64);
        gone
    }

    /// Counts what was noted since the last time, in that window.
    pub(crate) fn settle(&mut self, window: u64) {
        let mut all = 0;
        for operation in self.operations.values_mut() {
            let mut of_operation = 0;
            for executable in operation.executables.values_mut() {
                let times = executable.objects.settle();
                if times > 0 {
                    executable.novelty.touch(window);
                    of_operation += times;
                }
            }
            if of_operation > 0 {
                operation.novelty.touch(window);
                all += of_operation;
            }
        }
        if all > 0 {
            self.novelty.touch(window);
            self.count_seen(all);
        }
    }

    /// What the workload did of the same kind, most frequent first: by the same executable, or else by any.
    pub(crate) fn usual(&self, behaviour: &Behaviour<'_>, most: usize) -> Vec<String> {
        let Some(operation) = self.operations.get(behaviour.operation) else { return Vec::new() };
        let own = operation.executables.get(&*behaviour.executable);
        let own: Vec<_> = own.map(|e| e.objects.by_frequency()).unwrap_or_default();
        if !own.is_empty() {
            return own.into_iter().take(most).map(|(object, _)| object).collect();
        }
        let mut all: Vec<(String, u64)> = Vec::new();
        for (name, executable) in &operation.executables {
            let theirs = executable.objects.by_frequency().into_iter().take(most);
            all.extend(theirs.map(|(object, seen)| (format!("{object} by {name}"), seen.count)));
        }
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.into_iter().take(most).map(|(object, _)| object).collect()
    }
}

impl Operation {
    /// The same for a workload that takes another's place: windows begin anew.
    fn of_another(&self) -> Self {
        let executables = self.executables.iter().map(|(name, executable)| {
            let novelty = executable.novelty.of_another();
            (name.clone(), Executable { novelty, objects: executable.objects.clone() })
        });
        let (kind, unjudged, novelty) = (self.kind, self.unjudged, self.novelty.of_another());
        Self { kind, unjudged, novelty, executables: executables.collect() }
    }
}

/// What is given up when this behaviour does not fit into a profile.
fn unjudged_by_lack_of_room(behaviour: &Behaviour<'_>) -> Unjudged {
    if behaviour.is_guarded { Unjudged::All } else { Unjudged::Ordinary }
}

/// The operations that stand for a behaviour. A port that is listened on may be accepted on, and the other way round:
/// whether a client came while the workload was learnt is no trait of the workload.
pub(crate) fn alike<'a>(behaviour: &'a Behaviour<'_>) -> &'a [&'a str] {
    match behaviour.kind {
        ObjectKind::Port if matches!(behaviour.operation, "listen" | "accept") => &["listen", "accept"],
        _ => std::slice::from_ref(&behaviour.operation),
    }
}
