//! Learns behaviours, and makes room for them.

use std::collections::BTreeSet;

use ethogram_model::ObjectKind;

use super::{Behaviour, BehaviourChannel, Executable, Objects, Reader, Sketch, Unjudged, code};
use crate::{Settings, channels::Channel, learning::Seen, subject::program::UNKNOWN};

/// What became of a behaviour that is learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// The profile holds it.
    Held,
    /// There is no room, and it is in the sketch of its operation, as far as that has room; as the first one there or not.
    Sketched { is_first: bool },
    /// There is no room, and ordinary paths are not judged any more.
    GivenUp,
}

impl BehaviourChannel {
    /// Adds a behaviour that it does not hold. A quarter more room is kept for what is guarded, so that masses of ordinary paths do
    /// not crowd it out.
    pub(crate) fn learn(&mut self, behaviour: &Behaviour<'_>, seen: Seen, window: u64, settings: &Settings) -> Fit {
        let seen = seen.of_main_alone(behaviour.reader == Reader::Main);
        let more = if behaviour.is_guarded { 4 } else { usize::MAX };
        let with_more = |limit: usize| limit.saturating_add(limit / more);
        let has_room = |channel: &Self| {
            channel.entries() < with_more(settings.max_entries) && channel.bytes() < with_more(settings.max_bytes)
        };
        // Where something did not fit before, no room is looked for again and again: what comes there would never end.
        let is_sketched = self.operations.get(behaviour.operation).is_some_and(|o| o.sketch.is_some());
        let fits = !(is_sketched && behaviour.is_guarded)
            && (has_room(self) || self.shrink() && has_room(self) || self.evict(behaviour) && has_room(self));
        if !self.operations.contains_key(behaviour.operation) {
            self.novelty.add(window);
        }
        let operation = self.operations.entry(behaviour.operation.to_owned()).or_default();
        operation.kind = Some(behaviour.kind);
        if let Some(words) = behaviour.words {
            operation.heading = operation.heading.take().or_else(|| words.heading.clone());
            operation.rank = operation.rank.or(words.rank);
        }
        if !fits && !behaviour.is_guarded {
            operation.unjudged = operation.unjudged.max(Unjudged::Ordinary);
            if behaviour.is_code() {
                // Code is judged all the same, so what there is too much of is known wherever it lies, of few kinds.
                let anybody = operation.executables.entry(UNKNOWN.to_owned()).or_default();
                anybody.novelty.add(window);
                anybody.objects.insert_anywhere(behaviour, seen);
            }
            return Fit::GivenUp;
        }
        if !fits {
            operation.novelty.add(window);
            operation.unjudged = operation.unjudged.max(Unjudged::Sketched);
            let is_first = operation.sketch.is_none();
            let sketch = operation.sketch.get_or_insert_with(|| Sketch::new(behaviour, seen.last_seen_ns));
            sketch.insert(behaviour);
            return Fit::Sketched { is_first };
        }
        if !operation.executables.contains_key(&*behaviour.executable) {
            operation.novelty.add(window);
        }
        let executable = operation.executables.entry(behaviour.executable.to_string()).or_default();
        executable.novelty.add(window);
        executable.objects.insert(behaviour, seen);
        executable.objects.note_new(behaviour, window);
        Fit::Held
    }

    fn executables_mut(&mut self) -> impl Iterator<Item = &mut Executable> {
        self.operations.values_mut().flat_map(|o| o.executables.values_mut())
    }

    /// Makes room where the most paths are.
    fn shrink(&mut self) -> bool {
        let mut by_size: Vec<&mut Objects> =
            self.executables_mut().map(|e| &mut e.objects).filter(|o| o.shrinkable() > 1).collect();
        by_size.sort_by_key(|o| std::cmp::Reverse(o.shrinkable()));
        by_size.into_iter().any(Objects::shrink)
    }

    /// Makes room for an ordinary path by giving up the ordinary paths that say least: seen once, by the executable with
    /// most of them, the older half. What is guarded is never given up, nor is code.
    fn evict(&mut self, behaviour: &Behaviour<'_>) -> bool {
        if behaviour.kind != ObjectKind::Path || behaviour.is_guarded {
            return false;
        }
        let Some(operation) = self.operations.get_mut(behaviour.operation) else { return false };
        let largest = operation.executables.values_mut().max_by_key(|e| e.objects.shrinkable());
        let Some(executable) = largest else { return false };
        let mut once = executable.objects.patterns();
        once.retain(|(path, is_path, seen)| *is_path && seen.count == 1 && !code::is_code(path));
        once.sort_by_key(|(.., seen)| seen.last_seen_ns);
        let Some(oldest) = once.get(once.len() / 2).map(|(.., seen)| seen.last_seen_ns) else { return false };
        once.retain(|(.., seen)| seen.last_seen_ns <= oldest);
        let paths: BTreeSet<String> = once.into_iter().map(|(path, ..)| path).collect();
        let gone = executable.objects.retain(|pattern, _| !paths.contains(pattern));
        self.forgotten = self.forgotten.saturating_add(gone as u64);
        // What was given up may come again: that is no reason for an alert.
        operation.unjudged = operation.unjudged.max(Unjudged::Ordinary);
        gone > 0
    }
}
