//! What a workload does: which executable does what to what.

mod alerted;
mod alike;
pub(crate) mod assessment;
pub(crate) mod bulk;
pub(crate) mod code;
mod earlier;
pub(crate) mod finding;
mod objects;
mod paths;
pub(crate) mod peers;
pub mod places;
mod programs;
pub(crate) mod purpose;
pub mod read;
pub mod reader;
mod renamed;
mod room;
pub(crate) mod score;
mod shape;
mod sketch;
mod template;
pub(crate) mod words;

use std::collections::BTreeMap;

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use super::Channel;
use crate::{
    Settings,
    learning::{Novelty, Seen},
    subject::program::{self, OUTSIDE, UNKNOWN, visit},
};
pub use alerted::Alerted;
pub(crate) use alerted::{Dedup, Raise};
pub use objects::Objects;
pub use read::Behaviour;
pub(crate) use reader::Reader;
pub(crate) use room::Fit;
use sketch::Sketch;

/// What is learnt of what a workload's executables do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BehaviourChannel {
    /// Patterns that made room for others, or were not seen for long.
    #[serde(default)]
    pub forgotten: u64,
    /// How surprising a new operation is.
    #[serde(default)]
    pub(crate) novelty: Novelty,
    /// By operation.
    pub operations: BTreeMap<String, Operation>,
    /// What was raised: by operation, executable and object.
    pub alerted: BTreeMap<String, BTreeMap<String, BTreeMap<String, Alerted>>>,
}

/// What a workload did of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// What its objects are. Profiles of earlier agents do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ObjectKind>,
    /// What of it was too various to be held, and is not judged, or only by its sketch.
    #[serde(default)]
    pub unjudged: Unjudged,
    /// What was seen and not held, in the most of a few bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sketch: Option<Sketch>,
    /// What is listed below it for people, as its tracker's manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
    /// Where it is listed, as its tracker's manifest says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// How surprising another executable that does it is.
    #[serde(default)]
    pub novelty: Novelty,
    /// By executable; executions by the parent's.
    pub executables: BTreeMap<String, Executable>,
}

/// What one executable did of one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Executable {
    /// How surprising another object is.
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
    /// Ordinary paths are not. Secrets, code, and what decides what runs, are.
    Ordinary,
    /// Ordinary paths are not, and all else that the profile does not hold is judged by a sketch of what was seen.
    Sketched,
    /// Nothing of it is judged.
    All,
}

/// Bytes that a profile takes for an executable or an operation besides its name.
const PLACE_BYTES: usize = 96;
/// New peers of one executable in so short a time that it looks for something, nanoseconds. A service that is deployed anew meets
/// fewer: those of one network and port become one.
const SWEEP_PEERS: usize = 10;
const SWEEP_NS: u64 = 60_000_000_000;

impl Channel for BehaviourChannel {
    fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    fn entries(&self) -> usize {
        self.executables().map(|e| e.objects.len()).sum()
    }

    fn bytes(&self) -> usize {
        let names = |(name, operation): (&String, &Operation)| {
            let executables = operation.executables.iter();
            name.len()
                + PLACE_BYTES
                + executables.map(|(n, e)| n.len() + PLACE_BYTES + e.objects.bytes()).sum::<usize>()
        };
        self.operations.iter().map(names).sum()
    }

    fn alerts(&self) -> usize {
        self.alerted.values().flat_map(|executables| executables.values()).map(|objects| objects.len()).sum()
    }

    fn seen_at_all(&self) -> Seen {
        let mut all = Seen::default();
        self.executables().for_each(|e| all.add(e.objects.seen_at_all()));
        all
    }

    fn flush_counts(&mut self, window: u64) -> u64 {
        let mut all = 0;
        for operation in self.operations.values_mut() {
            let mut of_operation = 0;
            for executable in operation.executables.values_mut() {
                let times = executable.objects.flush_counts(window);
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
        }
        all
    }

    fn forget(&mut self, before_ns: u64) -> usize {
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

    fn learn_alerted(&mut self, window: u64, settings: &Settings) {
        self.learn_all_alerted(window, settings);
    }
}

impl BehaviourChannel {
    fn executables(&self) -> impl Iterator<Item = &Executable> {
        self.operations.values().flat_map(|o| o.executables.values())
    }

    /// The same for a workload that takes another's place: windows begin anew, and nothing was raised.
    pub(super) fn inherited(&self) -> Self {
        Self {
            novelty: self.novelty.of_another(),
            operations: self.operations.iter().map(|(name, operation)| (name.clone(), operation.inherited())).collect(),
            ..Self::default()
        }
    }

    /// Adds what another holds besides, as far as there is room.
    pub(super) fn merge(&mut self, other: &Self, settings: &Settings) {
        for (name, operation) in &other.operations {
            let own = self.operations.entry(name.clone()).or_default();
            for (name, executable) in &operation.executables {
                let own = own.executables.entry(name.clone()).or_default();
                own.objects.merge(&executable.objects, settings.max_entries);
            }
        }
    }

    /// Takes over what was seen by what it takes the place of, and what was raised that it does not hold.
    pub(super) fn remember(&mut self, before: &Self) {
        for (name, operation) in &mut self.operations {
            let Some(known) = before.operations.get(name) else { continue };
            operation.novelty = known.novelty;
            if operation.sketch.is_none() && operation.unjudged == Unjudged::Sketched {
                operation.sketch.clone_from(&known.sketch);
            }
            for (name, executable) in &mut operation.executables {
                let Some(known) = known.executables.get(name) else { continue };
                executable.novelty = known.novelty;
                executable.objects.remember(&known.objects);
            }
        }
        self.alerted = before.alerted_but(&self.operations);
        (self.novelty, self.forgotten) = (before.novelty, before.forgotten);
    }

    /// Brings what an older version has stored up to this one.
    pub(super) fn migrate(&mut self, version: u32) {
        if version < 4 {
            self.rename_numbered_folders();
        }
        // The first version does not say what interpreters were given as arguments; the second says it of those only that
        // something in the container runs, and not of all.
        if version >= 3 {
            return;
        }
        for (_, operation) in
            self.operations.iter_mut().filter(|(name, o)| o.kind(name) == Some(ObjectKind::Executable))
        {
            for (parent, executable) in &mut operation.executables {
                let is_new = |program: &str| version < 2 || parent == OUTSIDE || !template::is_program(program);
                let of = |program: &str| template::has_arguments(program) && is_new(program);
                executable.objects.allow_any_arguments(of);
            }
        }
    }

    /// What an earlier agent did not judge at all is judged by a sketch, from now on.
    pub(crate) fn judge_all(&mut self) {
        for operation in self.operations.values_mut().filter(|operation| operation.unjudged == Unjudged::All) {
            operation.unjudged = Unjudged::Sketched;
        }
    }

    /// Whether it holds the behaviour; `note` notes in what it holds that it was seen again.
    pub(crate) fn knows(&mut self, behaviour: &Behaviour<'_>, note: impl Fn(&mut Seen)) -> bool {
        if behaviour.kind != ObjectKind::Port {
            return self.operations.get_mut(behaviour.operation).is_some_and(|o| o.knows(behaviour, &note));
        }
        let mut equivalents: Vec<(u32, &mut Operation)> = self
            .operations
            .iter_mut()
            .filter(|(name, operation)| operation.stands_for(name, behaviour))
            .map(|(name, operation)| (operation.rank(name), operation))
            .collect();
        equivalents.sort_by_key(|(rank, _)| *rank);
        equivalents.into_iter().any(|(_, operation)| operation.knows(behaviour, &note))
    }

    /// Whether it holds what people and their tools did as what the service does itself: that is no news of them. The other way round
    /// it is, as they run what no service does.
    pub(crate) fn excuses(&mut self, behaviour: &Behaviour<'_>) -> bool {
        behaviour.of_service().is_some_and(|of_service| self.knows(&of_service, |_| ()))
    }

    /// The operations that stand for a behaviour, by rank.
    fn equivalents(&self, behaviour: &Behaviour<'_>) -> Vec<&Operation> {
        let mut all: Vec<_> = self.operations.iter().filter(|(name, o)| o.stands_for(name, behaviour)).collect();
        all.sort_by_key(|(name, operation)| operation.rank(name));
        all.into_iter().map(|(_, operation)| operation).collect()
    }

    /// What was seen of a behaviour.
    pub(crate) fn recall(&self, behaviour: &Behaviour<'_>) -> Option<Seen> {
        self.equivalents(behaviour)
            .into_iter()
            .find_map(|operation| operation.does(behaviour).find_map(|e| e.objects.get(behaviour)).copied())
    }

    /// What the executable, which the workload knows, never did at all until this behaviour, as a sentence. What comes from outside
    /// is judged by what it runs, a shell is there to run programs, as interpreters are that serve nobody, and what others of the
    /// workload do all the time is no surprise.
    pub(crate) fn first_of_kind<'b>(&self, behaviour: &Behaviour<'b>) -> Option<&'b str> {
        let executable = behaviour.program();
        if behaviour.is_vague || executable == OUTSIDE || self.shows(behaviour) {
            return None;
        }
        match behaviour.kind {
            ObjectKind::Executable if template::is_shell(executable) => return None,
            ObjectKind::Executable if !template::is_program(executable) || self.serves(executable) => {}
            ObjectKind::Peer | ObjectKind::Name => {}
            _ => return None,
        }
        let does = |operation: &Operation| operation.executables.contains_key(executable);
        if let Some(known) = self.operations.get(behaviour.operation).and_then(|o| o.does(behaviour).next()) {
            let is_farther = behaviour.kind == ObjectKind::Peer
                && peers::is_public(behaviour.address.as_ref().unwrap_or(&behaviour.object))
                && !known.objects.names().any(peers::is_public);
            let is_shell = |object: &str| template::is_shell(programs::of(object));
            let is_first_shell = behaviour.kind == ObjectKind::Executable
                && visit(&behaviour.executable).is_none()
                && is_shell(&behaviour.object)
                && !known.objects.names().any(is_shell);
            return is_farther
                .then_some("it never connected beyond its own network before")
                .or(is_first_shell.then_some("it never ran a shell before"));
        }
        (self.operations.values().any(does) || self.runs(executable)).then(|| words::first(behaviour))
    }

    /// Whether a program waits for clients at a port.
    pub(crate) fn serves(&self, program: &str) -> bool {
        let ports = self.operations.iter().filter(|(name, operation)| operation.kind(name) == Some(ObjectKind::Port));
        ports.into_iter().any(|(_, operation)| operation.executables.contains_key(program))
    }

    /// Whether the executable has that port.
    fn listens_on(&self, behaviour: &Behaviour<'_>, port: &str) -> bool {
        let port = Behaviour::by_name(behaviour.operation, &behaviour.executable, port, ObjectKind::Port, true);
        let mut ports = self.operations.iter().filter(|(name, o)| o.kind(name) == Some(ObjectKind::Port));
        ports.any(|(_, o)| o.executables.get(&*port.executable).is_some_and(|e| e.objects.get(&port).is_some()))
    }

    /// Whether the executable connects to one new peer after another, as who looks for something does.
    pub(crate) fn is_sweep(&self, behaviour: &Behaviour<'_>, time_ns: u64) -> bool {
        let operation =
            (behaviour.kind == ObjectKind::Peer).then(|| self.operations.get(behaviour.operation)).flatten();
        let does = operation.and_then(|operation| operation.executables.get(&*behaviour.executable));
        does.is_some_and(|does| does.objects.newer_than(time_ns.saturating_sub(SWEEP_NS)) >= SWEEP_PEERS)
    }

    /// Whether only the main process of its program, and none that this forks, was seen to do it.
    pub(crate) fn is_of_main_alone(&self, behaviour: &Behaviour<'_>) -> bool {
        let operation = self.operations.get(behaviour.operation).into_iter();
        let mut known = operation.flat_map(|operation| operation.does(behaviour));
        known.any(|known| known.objects.get(behaviour).is_some_and(|seen| !behaviour.is_as(seen)))
    }

    /// Whether it is one more file of a folder in which the executable keeps many, all the time: a database's data, a build's
    /// objects. What can be run is never that, nor what is hidden.
    pub(crate) fn is_own_data(&self, behaviour: &Behaviour<'_>) -> bool {
        let operation =
            (behaviour.kind == ObjectKind::Path).then(|| self.operations.get(behaviour.operation)).flatten();
        let mut does = operation.into_iter().flat_map(|operation| operation.does(behaviour));
        !behaviour.is_code()
            && !program::file_name(&behaviour.object).starts_with('.')
            && does.any(|does| does.objects.is_own_data(behaviour))
    }

    /// Whether it is code that agents of earlier versions took as known, as the names of other files beside it, or of all of them,
    /// were given up.
    pub(crate) fn was_known_among_others(&self, behaviour: &Behaviour<'_>) -> bool {
        let Some(operation) = self.operations.get(behaviour.operation).filter(|_| behaviour.is_code()) else {
            return false;
        };
        operation.unjudged != Unjudged::Nothing
            || operation.executables.values().any(|executable| executable.objects.gave_up_around(behaviour))
    }

    /// Whether the workload runs that executable.
    fn runs(&self, executable: &str) -> bool {
        self.operations.iter().any(|(name, operation)| {
            operation.kind(name) == Some(ObjectKind::Executable)
                && self.shows(&Behaviour::by_name(name, "", executable, ObjectKind::Executable, true))
        })
    }

    /// Whether any executable of this workload does such a thing to the behaviour's object. What people and their tools do says nothing
    /// of services.
    pub(crate) fn shows(&self, behaviour: &Behaviour<'_>) -> bool {
        let Some(operation) = self.operations.get(behaviour.operation) else { return false };
        let is_visit = visit(&behaviour.executable).is_some();
        let mut others = operation.executables.iter().filter(|(name, _)| is_visit || visit(name).is_none());
        others.any(|(_, executable)| executable.objects.get(behaviour).is_some())
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
    fn inherited(&self) -> Self {
        let executables = self.executables.iter().map(|(name, executable)| {
            let novelty = executable.novelty.of_another();
            (name.clone(), Executable { novelty, objects: executable.objects.inherited() })
        });
        let (heading, novelty) = (self.heading.clone(), self.novelty.of_another());
        let Self { kind, rank, .. } = *self;
        // What was too various is found out anew.
        let (unjudged, sketch) = (Unjudged::Nothing, None);
        Self { kind, unjudged, sketch, heading, rank, novelty, executables: executables.collect() }
    }

    /// Its sketch as text, where it has one.
    pub(crate) fn sketch_text(&self) -> Option<String> {
        self.sketch.as_ref().map(Sketch::to_text)
    }

    /// Takes a sketch that was a text. False where it is none, or is not used.
    pub(crate) fn set_sketch(&mut self, text: &str) -> bool {
        self.sketch = Sketch::of_text(text).filter(|_| self.unjudged == Unjudged::Sketched);
        self.sketch.is_some()
    }

    /// What a behaviour's executable did; where people or their tools run it, then also what the service does by it.
    fn does(&self, behaviour: &Behaviour<'_>) -> impl Iterator<Item = &Executable> {
        let names = [Some(&*behaviour.executable), visit(&behaviour.executable).map(|(_, program)| program)];
        names.into_iter().flatten().filter_map(|name| self.executables.get(name))
    }

    /// What its objects are.
    fn kind(&self, name: &str) -> Option<ObjectKind> {
        self.kind.or_else(|| Some(earlier::find(name)?.kind))
    }

    /// Its place among others, where these are listed.
    pub(crate) fn rank(&self, name: &str) -> u32 {
        self.rank.or_else(|| earlier::rank(name)).unwrap_or(u32::MAX)
    }

    /// Whether a behaviour is known where this operation holds it. A port that is listened on may be accepted on, and the
    /// other way round: whether a client came while the workload was learnt is no trait of the workload.
    fn stands_for(&self, name: &str, behaviour: &Behaviour<'_>) -> bool {
        name == behaviour.operation || behaviour.kind == ObjectKind::Port && self.kind(name) == Some(ObjectKind::Port)
    }

    /// Whether it holds the behaviour.
    fn knows(&mut self, behaviour: &Behaviour<'_>, note: &impl Fn(&mut Seen)) -> bool {
        let is_ordinary = || !behaviour.is_guarded && !behaviour.is_code();
        if self.unjudged == Unjudged::All || self.unjudged != Unjudged::Nothing && is_ordinary() {
            return true;
        }
        if self.sketch.as_ref().is_some_and(|sketch| sketch.contains(behaviour)) {
            return true;
        }
        let known = |executable: &mut Executable| -> Option<()> {
            executable.objects.get_mut(behaviour).filter(|seen| behaviour.is_as(seen)).map(note)
        };
        if behaviour.is_vague {
            let mut candidates = self.executables.iter_mut().filter(|(n, _)| *n == UNKNOWN || behaviour.may_be_by(n));
            return candidates.find_map(|(_, executable)| known(executable)).is_some();
        }
        // What an unknown executable did while it was learnt, every executable may do.
        [&*behaviour.executable, UNKNOWN].into_iter().any(|n| self.executables.get_mut(n).and_then(known).is_some())
    }
}
