//! What one workload did while it was learnt, and what of the rest was told.

pub mod objects;
mod paths;
pub(crate) mod peers;
pub mod view;

use std::collections::BTreeMap;

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use crate::{Behaviour, Settings, Workload, behaviour::UNKNOWN, uid};
use objects::Objects;

/// How often and when something was seen. Times are nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// First.
    pub first_seen_ns: u64,
    /// Last.
    pub last_seen_ns: u64,
}

impl Seen {
    /// Seen once.
    pub fn at(time_ns: u64) -> Self {
        Self { count: 1, first_seen_ns: time_ns, last_seen_ns: time_ns }
    }

    /// Takes over what else was seen.
    pub fn add(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
        } else if other.count > 0 {
            self.count = self.count.saturating_add(other.count);
            self.first_seen_ns = self.first_seen_ns.min(other.first_seen_ns);
            self.last_seen_ns = self.last_seen_ns.max(other.last_seen_ns);
        }
    }
}

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
    /// How long it has been learnt, nanoseconds: time in which the agent did not look does not count.
    pub learnt_ns: u64,
    /// Whether learning is over. It does not begin again by itself.
    pub is_stable: bool,
    /// Behaviours seen, all told.
    pub observations: u64,
    /// By operation.
    pub operations: BTreeMap<String, Operation>,
    /// What was told: by operation, executable and object.
    pub alerted: BTreeMap<String, BTreeMap<String, BTreeMap<String, Alerted>>>,
}

/// What a workload did of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// What of it was too various to be held, and is not judged.
    #[serde(default)]
    pub unjudged: Unjudged,
    /// By executable; executions by the parent's.
    pub executables: BTreeMap<String, Objects>,
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

/// A behaviour that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerted {
    /// Of its finding.
    pub uid: String,
    /// How often and when.
    pub seen: Seen,
}

/// What became of a behaviour that the profile does not hold.
pub(crate) enum Raised {
    /// It is told for the first time, about this object: [`OTHERS`] where that executable had many alerts already.
    First { uid: String, object: String },
    /// It goes on.
    Again { uid: String, seen: Seen },
    /// There is no room to tell it.
    Full,
}

/// The object of the one alert for everything else that an executable with many alerts does.
pub(crate) const OTHERS: &str = "*";

impl Profile {
    /// Raised when the stored form changes.
    pub const VERSION: u32 = 1;

    /// An empty one.
    pub fn new(workload: Workload, now_ns: u64) -> Self {
        Self {
            version: Self::VERSION,
            workload,
            since_ns: now_ns,
            last_seen_ns: now_ns,
            learnt_ns: 0,
            is_stable: false,
            observations: 0,
            operations: BTreeMap::new(),
            alerted: BTreeMap::new(),
        }
    }

    /// Patterns it holds.
    pub fn entries(&self) -> usize {
        self.operations.values().flat_map(|o| o.executables.values()).map(Objects::len).sum()
    }

    /// Behaviours that were told.
    pub fn alerts(&self) -> usize {
        self.alerted.values().flat_map(BTreeMap::values).map(BTreeMap::len).sum()
    }

    /// Whether it holds the behaviour, which is counted then.
    pub(crate) fn knows(&mut self, behaviour: &Behaviour<'_>, time_ns: u64) -> bool {
        alike(behaviour).iter().any(|operation| {
            let Some(Operation { unjudged, executables }) = self.operations.get_mut(*operation) else { return false };
            if *unjudged >= unjudged_by_lack_of_room(behaviour) {
                return true;
            }
            let mut holds = |objects: &mut Objects| {
                let seen = objects.get_mut(behaviour)?;
                seen.add(Seen::at(time_ns));
                Some(())
            };
            if behaviour.is_vague {
                let mut candidates = executables.iter_mut().filter(|(name, _)| behaviour.may_be_by(name));
                return candidates.find_map(|(_, objects)| holds(objects)).is_some();
            }
            // What somebody did while it was learnt, anybody may do.
            [&*behaviour.executable, UNKNOWN].into_iter().any(|n| executables.get_mut(n).and_then(&mut holds).is_some())
        })
    }

    /// What was seen of a behaviour, without counting it.
    pub(crate) fn recall(&mut self, behaviour: &Behaviour<'_>) -> Option<Seen> {
        alike(behaviour).iter().find_map(|operation| {
            let executables = &mut self.operations.get_mut(*operation)?.executables;
            executables.get_mut(&*behaviour.executable)?.get_mut(behaviour).copied()
        })
    }

    /// Adds a behaviour that it does not hold. False where there is no room: its like is not judged any more. A quarter
    /// more room is kept for what is guarded, so that masses of ordinary paths do not crowd it out.
    pub(crate) fn learn(&mut self, behaviour: &Behaviour<'_>, time_ns: u64, max_entries: usize) -> bool {
        let room = if behaviour.is_guarded { max_entries.saturating_add(max_entries / 4) } else { max_entries };
        let fits = self.entries() < room || self.shrink();
        let operation = self.operations.entry(behaviour.operation.to_owned()).or_default();
        if fits {
            let objects = operation.executables.entry(behaviour.executable.to_string()).or_default();
            objects.insert(behaviour, Seen::at(time_ns));
        } else {
            operation.unjudged = operation.unjudged.max(unjudged_by_lack_of_room(behaviour));
        }
        fits
    }

    /// Makes room where the most paths are.
    fn shrink(&mut self) -> bool {
        let all = self.operations.values_mut().flat_map(|o| o.executables.values_mut());
        let mut by_size: Vec<&mut Objects> = all.filter(|o| o.shrinkable() > 1).collect();
        by_size.sort_by_key(|o| std::cmp::Reverse(o.shrinkable()));
        by_size.into_iter().any(Objects::shrink)
    }

    /// Notes that a behaviour is told. A grave one is told by itself, whatever else its executable did.
    pub(crate) fn raise(
        &mut self,
        behaviour: &Behaviour<'_>,
        time_ns: u64,
        grave: bool,
        settings: &Settings,
    ) -> Raised {
        let again = |alerted: &mut Alerted| {
            alerted.seen.add(Seen::at(time_ns));
            Raised::Again { uid: alerted.uid.clone(), seen: alerted.seen }
        };
        for operation in alike(behaviour) {
            let Some(executables) = self.alerted.get_mut(*operation) else { continue };
            let objects = executables.get_mut(&*behaviour.executable);
            if let Some(alerted) = objects.and_then(|o| o.get_mut(&*behaviour.object)) {
                return again(alerted);
            }
        }
        let room = self.alerts() < settings.max_alerts;
        let objects = self.alerted.get_mut(behaviour.operation).and_then(|e| e.get_mut(&*behaviour.executable));
        let many = objects.as_ref().is_some_and(|o| o.len() >= settings.alerts_per_executable);
        let object = if many && !grave { OTHERS } else { &*behaviour.object };
        if let Some(alerted) = objects.and_then(|o| o.get_mut(object)) {
            return again(alerted);
        }
        if !room {
            return Raised::Full;
        }
        let uid = uid::of([&self.workload.uid, behaviour.operation, &behaviour.executable, object]);
        let alerted = Alerted { uid: uid.clone(), seen: Seen::at(time_ns) };
        let executables = self.alerted.entry(behaviour.operation.to_owned()).or_default();
        executables.entry(behaviour.executable.to_string()).or_default().insert(object.to_owned(), alerted);
        Raised::First { uid, object: object.to_owned() }
    }

    /// What the workload did of the same kind, most frequent first: by the same executable, or else by any.
    pub(crate) fn usual(&self, behaviour: &Behaviour<'_>, most: usize) -> Vec<String> {
        let Some(operation) = self.operations.get(behaviour.operation) else { return Vec::new() };
        let own: Vec<_> =
            operation.executables.get(&*behaviour.executable).map(Objects::by_frequency).unwrap_or_default();
        if !own.is_empty() {
            return own.into_iter().take(most).map(|(object, _)| object).collect();
        }
        let mut all: Vec<(String, u64)> = Vec::new();
        for (executable, objects) in &operation.executables {
            let theirs = objects.by_frequency().into_iter().take(most);
            all.extend(theirs.map(|(object, seen)| (format!("{object} by {executable}"), seen.count)));
        }
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all.into_iter().take(most).map(|(object, _)| object).collect()
    }
}

/// What is given up when this behaviour does not fit into a profile.
fn unjudged_by_lack_of_room(behaviour: &Behaviour<'_>) -> Unjudged {
    if behaviour.is_guarded { Unjudged::All } else { Unjudged::Ordinary }
}

/// The operations that stand for a behaviour. A port that is listened on may be accepted on, and the other way round:
/// whether a client came while the workload was learnt is no trait of the workload.
fn alike<'a>(behaviour: &'a Behaviour<'_>) -> &'a [&'a str] {
    match behaviour.kind {
        ObjectKind::Port if matches!(behaviour.operation, "listen" | "accept") => &["listen", "accept"],
        _ => std::slice::from_ref(&behaviour.operation),
    }
}
