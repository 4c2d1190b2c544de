//! What one executable did one kind of thing to.

use std::{borrow::Cow, collections::BTreeMap};

use ethogram_model::ObjectKind;
use serde::{Deserialize, Serialize};

use super::{Behaviour, paths::PathTree, peers, programs};
use crate::learning::{Novelty, Seen};

/// Objects with how often each was seen. Paths, peers and arguments that become many are treated as one; guarded paths
/// never.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Objects {
    named: BTreeMap<String, Seen>,
    paths: PathTree,
}

/// The same as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    named: BTreeMap<String, Seen>,
    #[serde(default, skip_serializing_if = "is_empty")]
    paths: PathTree,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    folders: BTreeMap<String, Novelty>,
}

impl From<Stored> for Objects {
    fn from(stored: Stored) -> Self {
        let Stored { named, mut paths, folders } = stored;
        paths.set_novelties(&folders);
        Self { named, paths }
    }
}

impl From<Objects> for Stored {
    fn from(objects: Objects) -> Self {
        let folders = objects.paths.novelties();
        Self { named: objects.named, paths: objects.paths, folders }
    }
}

/// Whether its object is held among other paths, and not by its own name.
fn is_in_tree(behaviour: &Behaviour<'_>) -> bool {
    !behaviour.is_guarded && !matches!(behaviour.kind, ObjectKind::Peer | ObjectKind::Executable)
}

fn is_empty(paths: &PathTree) -> bool {
    paths.len() == 0
}

impl Objects {
    /// Patterns it holds.
    pub fn len(&self) -> usize {
        self.named.len() + self.paths.len()
    }

    /// How many names were first seen after that time.
    pub(crate) fn newer_than(&self, time_ns: u64) -> usize {
        self.named.values().filter(|seen| seen.first_seen_ns > time_ns).count()
    }

    /// What is not a path: peers, programs, names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was seen of a behaviour's object, itself or among its like.
    pub(crate) fn get(&self, behaviour: &Behaviour<'_>) -> Option<&Seen> {
        match behaviour.kind {
            ObjectKind::Peer => self.peer(behaviour).and_then(|name| self.named.get(&*name)),
            ObjectKind::Executable => self.named.get(&*programs::known_as(&self.named, &behaviour.object)),
            _ if behaviour.is_guarded => self.named.get(&*behaviour.object),
            _ => self.paths.get(&behaviour.object),
        }
    }

    /// The same to be changed.
    pub(crate) fn get_mut(&mut self, behaviour: &Behaviour<'_>) -> Option<&mut Seen> {
        match behaviour.kind {
            ObjectKind::Peer => {
                let name = self.peer(behaviour)?;
                self.named.get_mut(&*name)
            }
            ObjectKind::Executable => {
                let name = programs::known_as(&self.named, &behaviour.object);
                self.named.get_mut(&*name)
            }
            _ if behaviour.is_guarded => self.named.get_mut(&*behaviour.object),
            _ => self.paths.get_mut(&behaviour.object),
        }
    }

    /// As what a peer is held: by its name or its address.
    fn peer<'b>(&self, behaviour: &'b Behaviour<'_>) -> Option<Cow<'b, str>> {
        let known = [Some(&behaviour.object), behaviour.address.as_ref()].into_iter().flatten();
        known.map(|peer| peers::known_as(&self.named, peer)).find(|name| self.named.contains_key(&**name))
    }

    /// Adds a behaviour's object.
    pub(crate) fn insert(&mut self, behaviour: &Behaviour<'_>, seen: Seen) {
        match behaviour.kind {
            ObjectKind::Peer => peers::insert(&mut self.named, &behaviour.object, seen),
            ObjectKind::Executable => programs::insert(&mut self.named, &behaviour.object, seen),
            _ if behaviour.is_guarded => self.named.entry(behaviour.object.to_string()).or_default().add(seen),
            _ => self.paths.insert(&behaviour.object, seen),
        }
    }

    /// Adds all code of the kind of a behaviour's object, wherever it lies.
    pub(crate) fn insert_anywhere(&mut self, behaviour: &Behaviour<'_>, seen: Seen) {
        self.paths.insert_anywhere(&behaviour.object, seen);
    }

    /// An object that it did not hold until now came in that window.
    pub(crate) fn note_new(&mut self, behaviour: &Behaviour<'_>, window: u64) {
        if is_in_tree(behaviour) {
            self.paths.note_new(&behaviour.object, window);
        }
    }

    /// How surprising something new is in the innermost folder around a path of which enough is known, and which one that is.
    pub(crate) fn novelty_around<'b>(&self, behaviour: &'b Behaviour<'_>) -> Option<(&'b str, Novelty)> {
        is_in_tree(behaviour).then(|| self.paths.novelty_around(&behaviour.object)).flatten()
    }

    /// Whether a behaviour's object is code, and none is among other paths that it holds.
    pub(crate) fn is_first_code(&self, behaviour: &Behaviour<'_>) -> bool {
        is_in_tree(behaviour) && behaviour.is_code() && !self.paths.holds_code()
    }

    /// Whether the names of the files beside a path were given up.
    pub(crate) fn gave_up_around(&self, behaviour: &Behaviour<'_>) -> bool {
        is_in_tree(behaviour) && self.paths.gave_up_around(&behaviour.object)
    }

    /// Whether a path lies in a folder, or right below one, in which there are many others all the time.
    pub(crate) fn is_own_data(&self, behaviour: &Behaviour<'_>) -> bool {
        is_in_tree(behaviour) && self.paths.is_own_data(&behaviour.object)
    }

    /// The same for a workload that takes another's place: windows begin anew.
    pub(super) fn inherited(&self) -> Self {
        let mut objects = self.clone();
        let of_another = |(folder, novelty): (String, Novelty)| (folder, novelty.of_another());
        objects.paths.set_novelties(&self.paths.novelties().into_iter().map(of_another).collect());
        objects
    }

    /// Adds the patterns of another that it does not hold, until it has as many as it may.
    pub(crate) fn merge(&mut self, other: &Self, most: usize) {
        for (pattern, is_path, seen) in other.patterns() {
            if self.len() >= most {
                return;
            }
            if is_path {
                if self.paths.get(&pattern).is_none() {
                    self.paths.insert_pattern(&pattern, seen);
                }
            } else {
                self.named.entry(pattern).or_insert(seen);
            }
        }
    }

    /// Programs whose arguments are not known: all of them count as usual.
    pub(crate) fn allow_any_arguments(&mut self, of: impl Fn(&str) -> bool) {
        let programs: Vec<_> = self.named.iter().filter(|(name, _)| of(name)).map(|(n, s)| (n.clone(), *s)).collect();
        for (name, seen) in programs {
            self.named.insert(programs::any(&name), seen);
        }
    }

    /// Gives what it holds other names.
    pub(crate) fn rename(&mut self, name: impl Fn(&str) -> String) {
        for (old, seen) in std::mem::take(&mut self.named) {
            self.named.entry(name(&old)).or_default().add(seen);
        }
        let novelties = self.paths.novelties();
        let mut paths: BTreeMap<String, Seen> = BTreeMap::new();
        for (old, seen) in self.paths.patterns() {
            paths.entry(name(&old)).or_default().add(seen);
        }
        self.paths = paths.into();
        self.paths.set_novelties(&novelties);
    }

    /// Adds an object by its own name, or what stands for many as it is written.
    pub(crate) fn insert_name(&mut self, name: &str, seen: Seen) {
        self.named.entry(name.to_owned()).or_default().add(seen);
    }

    /// Adds a pattern of paths as it is.
    pub(crate) fn insert_pattern(&mut self, pattern: &str, seen: Seen) {
        self.paths.insert_pattern(pattern, seen);
    }

    /// Whether a pattern is found by what it stands for, and no other hides it.
    pub(crate) fn reaches(&self, pattern: &str) -> bool {
        self.paths.get(pattern).is_some()
    }

    /// Takes over how often things were seen from what held them before, where that held the same or what stands for it.
    pub(crate) fn remember(&mut self, before: &Self) {
        self.paths.set_novelties(&before.paths.novelties());
        self.retain(|name, seen| {
            let known = before.named.get(name).or_else(|| before.paths.get(name));
            if let Some(known) = known.filter(|_| seen.count == 0) {
                // Written is what is read, and not by which process.
                *seen = known.of_main_alone(false);
            }
            true
        });
    }

    /// Paths that could still be treated as one.
    pub(crate) fn shrinkable(&self) -> usize {
        self.paths.len()
    }

    /// Treats the paths of one directory as one. False when there is none left for which that helps.
    pub(crate) fn shrink(&mut self) -> bool {
        self.paths.shrink()
    }

    /// Keeps what `keep` says, of all that it holds. How many patterns went.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &mut Seen) -> bool) -> usize {
        let before = self.len();
        self.named.retain(|name, seen| keep(name, seen));
        self.paths.retain(&mut |path, seen| keep(path, seen));
        before - self.len()
    }

    /// Bytes of its patterns.
    pub(crate) fn bytes(&self) -> usize {
        let named: usize = self.named.keys().map(String::len).sum();
        named + self.paths.bytes() + self.len() * size_of::<Seen>()
    }

    /// Counts what was noted. How much that was.
    pub(crate) fn flush_counts(&mut self, window: u64) -> u64 {
        let named: u64 = self.named.values_mut().map(Seen::flush_counts).sum();
        named + self.paths.flush_counts(window)
    }

    /// Every pattern with what was seen, most frequent first.
    pub fn by_frequency(&self) -> Vec<(String, Seen)> {
        let mut out: Vec<_> = self.named.iter().map(|(name, seen)| (name.clone(), *seen)).collect();
        out.extend(self.paths.patterns());
        out.sort_by(|a, b| b.1.count.cmp(&a.1.count).then_with(|| a.0.cmp(&b.0)));
        out
    }

    /// All that it was seen of, as one.
    pub(crate) fn seen_at_all(&self) -> Seen {
        let mut all = Seen::default();
        self.named.values().for_each(|seen| all.add(*seen));
        self.paths.add_to(&mut all);
        all
    }

    /// Every pattern, and whether it is one of paths, in order.
    pub(crate) fn patterns(&self) -> Vec<(String, bool, Seen)> {
        let mut out: Vec<_> = self.named.iter().map(|(name, seen)| (name.clone(), false, *seen)).collect();
        out.extend(self.paths.patterns().into_iter().map(|(path, seen)| (path, true, seen)));
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    }
}
