//! Learns behaviours, and makes room for them.

use std::collections::BTreeSet;

use ethogram_model::ObjectKind;

use super::{Behaviour, BehaviourChannel, Executable, Objects, Unjudged};
use crate::{Settings, channels::Channel, learning::Seen};

impl BehaviourChannel {
    /// Adds a behaviour that it does not hold. False where there is no room: its like is not judged any more. A quarter
    /// more room is kept for what is guarded, so that masses of ordinary paths do not crowd it out.
    pub(crate) fn learn(&mut self, behaviour: &Behaviour<'_>, seen: Seen, window: u64, settings: &Settings) -> bool {
        let more = if behaviour.is_guarded { 4 } else { usize::MAX };
        let with_more = |limit: usize| limit.saturating_add(limit / more);
        let has_room = |channel: &Self| {
            channel.entries() < with_more(settings.max_entries) && channel.bytes() < with_more(settings.max_bytes)
        };
        let fits = has_room(self) || self.shrink() && has_room(self) || self.evict(behaviour) && has_room(self);
        if !self.operations.contains_key(behaviour.operation) {
            self.novelty.add(window);
        }
        let operation = self.operations.entry(behaviour.operation.to_owned()).or_default();
        operation.kind = Some(behaviour.kind);
        if let Some(words) = behaviour.words {
            operation.heading = operation.heading.take().or_else(|| words.heading.clone());
            operation.rank = operation.rank.or(words.rank);
        }
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
        let paths: BTreeSet<String> = executable
            .objects
            .patterns()
            .into_iter()
            .filter(|(_, is_path, s)| *is_path && s.count == 1 && s.last_seen_ns <= oldest)
            .map(|(path, ..)| path)
            .collect();
        let gone = executable.objects.retain(|pattern, _| !paths.contains(pattern));
        self.forgotten = self.forgotten.saturating_add(gone as u64);
        // What was given up may come again: that is no reason for an alert.
        operation.unjudged = operation.unjudged.max(Unjudged::Ordinary);
        gone > 0
    }
}

/// What is given up when this behaviour does not fit into a profile.
pub(super) fn unjudged_by_lack_of_room(behaviour: &Behaviour<'_>) -> Unjudged {
    if behaviour.is_guarded { Unjudged::All } else { Unjudged::Ordinary }
}
