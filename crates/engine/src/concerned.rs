//! Whom a loss concerns, as far as that is known. It is for people: no result depends on it.

use std::{collections::BTreeMap, sync::Arc};

use ethogram_detect::Workload;
use ethogram_model::Container;
use rustc_hash::FxHashMap;

use crate::share::Share;

/// Of whom something is, each with a number.
pub type Named = Vec<(String, u64)>;

/// Who was concerned since the last time.
#[derive(Debug, Default)]
pub struct Concerned {
    /// Who had no room in the tables of cgroups and containers, and how often.
    pub cgroups: BTreeMap<Share, (String, u64)>,
    /// Whose processes were forgotten to make room, and how many.
    pub processes: Named,
    /// Containers whose events were judged before a runtime had named them, and how many.
    pub nameless: Named,
    /// By tracker: of whom many of its events were, in percent.
    pub senders: BTreeMap<Arc<str>, Named>,
}

/// A count for each of a bounded number of things; beyond, no other is counted.
#[derive(Debug)]
pub(crate) struct Tally<K>(BTreeMap<K, u64>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Tally<K> {
    const MOST: usize = 64;

    pub(crate) fn add(&mut self, key: K, count: u64) {
        if self.0.len() < Self::MOST || self.0.contains_key(&key) {
            *self.0.entry(key).or_default() += count;
        }
    }

    pub(crate) fn take(&mut self) -> BTreeMap<K, u64> {
        std::mem::take(&mut self.0)
    }
}

/// Of whom each tracker's events are, by a sample of them.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    turn: u32,
    /// By tracker and container, zero for the host.
    counts: FxHashMap<(Arc<str>, u64), u64>,
}

impl Senders {
    /// Of so many events one is counted.
    const ONE_OF: u32 = 8;
    const MOST: usize = 4096;
    /// Fewer counted ones say nothing.
    const ENOUGH: u64 = 16;
    /// From which part on, in percent, it is worth a name.
    const MANY: u64 = 25;

    pub(crate) fn note(&mut self, tracker: &Arc<str>, container: u64) {
        self.turn = self.turn.wrapping_add(1);
        if !self.turn.is_multiple_of(Self::ONE_OF) {
            return;
        }
        if let Some(count) = self.counts.get_mut(&(Arc::clone(tracker), container)) {
            *count += 1;
        } else if self.counts.len() < Self::MOST {
            self.counts.insert((Arc::clone(tracker), container), 1);
        }
    }

    /// Who sent many of a tracker's events since the last call, most first, and how many of a hundred.
    pub(crate) fn take(&mut self) -> BTreeMap<Arc<str>, Vec<(u64, u64)>> {
        let mut by_tracker: BTreeMap<Arc<str>, Vec<(u64, u64)>> = BTreeMap::new();
        for ((tracker, container), count) in self.counts.drain() {
            by_tracker.entry(tracker).or_default().push((container, count));
        }
        by_tracker.retain(|_, senders| {
            let all: u64 = senders.iter().map(|(_, count)| count).sum();
            senders.iter_mut().for_each(|(_, count)| *count = *count * 100 / all.max(1));
            senders.retain(|(_, percent)| all >= Self::ENOUGH && *percent >= Self::MANY);
            senders.sort_by_key(|(container, percent)| (u64::MAX - percent, *container));
            !senders.is_empty()
        });
        by_tracker
    }
}

/// A container and its workload, for people.
pub(crate) fn name(container: &Container) -> String {
    let image = || container.image.as_ref().map(|image| image.name.clone());
    let workload = Workload::of(container).map(|workload| workload.name).or_else(image);
    let name = container.display_name();
    workload.map_or_else(|| name.to_owned(), |workload| format!("{name} ({workload})"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_most_is_named_and_who_sends_little_is_not() {
        let (mut senders, open, exec) = (Senders::default(), Arc::from("open"), Arc::from("process"));
        // One after the other, as a sample that has a rhythm would not see all.
        for n in 0..8_000_u64 {
            senders.note(&open, if n % 10 == 3 { 7 } else { 5 });
        }
        (0..80).for_each(|_| senders.note(&exec, 7));
        let taken = senders.take();
        let [(container, percent)] = taken[&open][..] else { panic!("{taken:?}") };
        assert_eq!((container, (80..=100).contains(&percent)), (5, true), "{percent}");
        assert!(!taken.contains_key(&exec), "ten say nothing");
        assert!(senders.take().is_empty());
    }

    #[test]
    fn among_many_alike_none_is_named_and_memory_is_bounded() {
        let (mut senders, open) = (Senders::default(), Arc::from("open"));
        (0..100_000).for_each(|container| senders.note(&open, container));
        assert_eq!(senders.counts.len(), Senders::MOST);
        assert!(senders.take().is_empty());
        let mut tally = Tally::default();
        (0..1000).for_each(|key| tally.add(key, 2));
        tally.add(0, 1);
        let taken = tally.take();
        assert_eq!((taken.len(), taken[&0]), (Tally::<i32>::MOST, 3));
    }

    #[test]
    fn a_container_is_called_by_its_name_and_its_workload() {
        let mut container = Container { id: "0123456789abcdef".into(), ..Container::default() };
        assert_eq!(name(&container), "0123456789ab", "nothing else is known");
        container.name = Some("web".into());
        container.image = Some(ethogram_model::Image { name: "nginx:1".into(), digest: String::new() });
        assert_eq!(name(&container), "web (nginx:1)");
        container.image = Some(ethogram_model::Image { name: "nginx:1".into(), digest: "sha256:abc".into() });
        assert_eq!(name(&container), format!("web ({})", Workload::of(&container).unwrap().name));
    }
}
