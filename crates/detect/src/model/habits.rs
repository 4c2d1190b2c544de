//! Habits: what a workload does all the time, counted where it comes from and judged no more.
//!
//! The kernel gives events a key for who did what to what (`_habit`; 0 where there is none). Once all that an event with a key
//! shows is usual and no rule can match another with the same key, the key is a habit: the kernel only counts it from then on.
//! Here is what each habit stands for, so that the counts find their way back into profiles.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use ethogram_model::ObjectKind;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::channels::behaviour::Behaviour;

/// Habits at one time; beyond, those of workloads end that have more than an even share.
pub const MAX_HABITS: usize = 32_768;
/// How many end then at least, as each time all are looked at.
const AT_ONCE: usize = MAX_HABITS / 8;
/// How long a habit lasts before it is judged again, nanoseconds of the model's clock.
const LASTS_NS: u64 = 600_000_000_000;
/// Keys remembered that were met once, or cannot be habits; beyond, they are judged anew.
const MAX_MET: usize = 65_536;

/// What the kernel side has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HabitChange {
    /// Count this from now on.
    Begin(u64),
    /// Report this again.
    End(u64),
    /// Report everything again.
    EndAll,
}

/// How often a habit was seen since the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HabitCount {
    /// Its key.
    pub habit: u64,
    /// How often.
    pub count: u64,
    /// When last, nanoseconds since the Unix epoch.
    pub last_ns: u64,
}

/// A behaviour that outlives its event.
#[derive(Debug, Clone)]
pub(super) struct Usual {
    operation: String,
    executable: String,
    object: String,
    address: Option<String>,
    kind: ObjectKind,
    is_vague: bool,
    is_guarded: bool,
}

impl Usual {
    pub(super) fn of(behaviour: Behaviour<'_>) -> Self {
        Self {
            operation: behaviour.operation.to_owned(),
            executable: behaviour.executable.into_owned(),
            object: behaviour.object.into_owned(),
            address: behaviour.address.map(Cow::into_owned),
            kind: behaviour.kind,
            is_vague: behaviour.is_vague,
            is_guarded: behaviour.is_guarded,
        }
    }

    pub(super) fn behaviour(&self) -> Behaviour<'_> {
        let Self { operation, executable, object, address, kind, is_vague, is_guarded } = self;
        Behaviour {
            is_vague: *is_vague,
            address: address.as_deref().map(Cow::Borrowed),
            ..Behaviour::by_name(operation, executable, object, *kind, *is_guarded)
        }
    }
}

/// What a key stands for.
#[derive(Debug)]
pub(super) struct Habit {
    pub(super) workload: Arc<str>,
    pub(super) usual: Vec<Usual>,
    /// Counted since the last time that it was flushed into the profile.
    pending: u64,
    last_ns: u64,
    ends_ns: u64,
}

/// All habits.
#[derive(Debug, Default)]
pub(super) struct Habits {
    by_key: FxHashMap<u64, Habit>,
    /// Those that are over, until the kernel has sent what it had counted of them; no more than there are habits.
    over: FxHashMap<u64, Habit>,
    /// By when they end; those that ended before are still among them.
    order: VecDeque<(u64, u64)>,
    /// Met once: most never come again.
    met: FxHashSet<u64>,
    /// Judged in vain.
    refused: FxHashSet<u64>,
    changes: Vec<HabitChange>,
}

impl Habits {
    /// Habits at the moment.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Counts an event with that key, if it is a habit.
    pub(super) fn count(&mut self, key: u64, time_ns: u64) -> bool {
        let Some(habit) = self.by_key.get_mut(&key) else { return false };
        habit.pending += 1;
        habit.last_ns = habit.last_ns.max(time_ns);
        true
    }

    /// Takes in what the kernel has counted.
    pub(super) fn add(&mut self, counted: &HabitCount) {
        let Self { by_key, over, .. } = self;
        if let Some(habit) = by_key.get_mut(&counted.habit).or_else(|| over.get_mut(&counted.habit)) {
            habit.pending = habit.pending.saturating_add(counted.count);
            habit.last_ns = habit.last_ns.max(counted.last_ns);
        }
    }

    /// Whether it is worth while to find out if the key can be a habit: it has come a second time, and was not refused.
    pub(super) fn is_candidate(&mut self, key: u64) -> bool {
        if self.refused.contains(&key) || self.by_key.contains_key(&key) || self.over.contains_key(&key) {
            return false;
        }
        let is_new = self.met.insert(key);
        if self.met.len() > MAX_MET {
            self.met.clear();
        }
        !is_new
    }

    /// It cannot be one, until something changes.
    pub(super) fn refuse(&mut self, key: u64) {
        if self.refused.len() >= MAX_MET {
            self.refused.clear();
        }
        self.refused.insert(key);
    }

    /// It is one from now on.
    pub(super) fn begin(
        &mut self,
        key: u64,
        workload: Arc<str>,
        usual: Vec<Behaviour<'_>>,
        now_ns: u64,
        elapsed_ns: u64,
    ) {
        if self.by_key.len() >= MAX_HABITS {
            self.make_room();
        }
        if self.order.len() >= 2 * MAX_HABITS {
            let by_key = &self.by_key;
            self.order.retain(|(ends_ns, key)| by_key.get(key).is_some_and(|habit| habit.ends_ns == *ends_ns));
        }
        let usual = usual.into_iter().map(Usual::of).collect();
        let ends_ns = elapsed_ns.saturating_add(LASTS_NS);
        self.met.remove(&key);
        self.order.push_back((ends_ns, key));
        self.by_key.insert(key, Habit { workload, usual, pending: 0, last_ns: now_ns, ends_ns });
        self.changes.push(HabitChange::Begin(key));
    }

    /// Ends what workloads have beyond an even share, idle for longest first.
    fn make_room(&mut self) {
        let mut by_workload: FxHashMap<&str, Vec<(u64, u64)>> = FxHashMap::default();
        for (key, habit) in &self.by_key {
            by_workload.entry(&habit.workload).or_default().push((habit.last_ns, *key));
        }
        let even = even_share(by_workload.values().map(Vec::len).collect(), MAX_HABITS - AT_ONCE);
        let mut ended = Vec::new();
        for mut of_workload in by_workload.into_values() {
            let beyond = of_workload.len().saturating_sub(even);
            if beyond > 0 {
                of_workload.select_nth_unstable(beyond - 1);
                ended.extend(of_workload.drain(..beyond).map(|(_, key)| key));
            }
        }
        self.end(ended);
    }

    /// Ends these.
    fn end(&mut self, mut keys: Vec<u64>) {
        keys.sort_unstable();
        for key in keys {
            if let Some(habit) = self.by_key.remove(&key) {
                self.keep_counts(key, habit);
                self.changes.push(HabitChange::End(key));
            }
        }
    }

    /// What the kernel has counted of a habit that is over is still to come.
    fn keep_counts(&mut self, key: u64, habit: Habit) {
        if self.over.len() < MAX_HABITS {
            self.over.insert(key, habit);
        }
    }

    /// Ends those for which `is_over` says so.
    fn end_if(&mut self, is_over: impl Fn(u64, &Habit) -> bool) {
        let ended = self.by_key.iter().filter(|(key, habit)| is_over(**key, habit));
        self.end(ended.map(|(key, _)| *key).collect());
    }

    /// Ends those of a workload.
    pub(super) fn end_of(&mut self, workload: &str) {
        self.refused.clear();
        self.end_if(|_, habit| &*habit.workload == workload);
    }

    /// Ends those of a workload that are about peers: one is called otherwise by now.
    pub(super) fn end_of_peers(&mut self, workload: &str) {
        let is_about_peers = |habit: &Habit| habit.usual.iter().any(|usual| usual.kind == ObjectKind::Peer);
        self.end_if(|_, habit| &*habit.workload == workload && is_about_peers(habit));
    }

    /// Ends all, since events are judged differently from now on.
    pub(super) fn end_all(&mut self) {
        self.refused.clear();
        self.met.clear();
        if self.by_key.is_empty() {
            return;
        }
        for (key, habit) in std::mem::take(&mut self.by_key) {
            self.keep_counts(key, habit);
        }
        self.order.clear();
        self.changes.push(HabitChange::EndAll);
    }

    /// Ends those whose time is over, and hands out what was counted: to which, how often, and when last. `add` says whether
    /// the profile still holds it.
    pub(super) fn flush_counts(&mut self, elapsed_ns: u64, mut add: impl FnMut(&Habit, u64, u64) -> bool) {
        let mut lost = FxHashSet::default();
        for (key, habit) in self.by_key.iter_mut().chain(&mut self.over) {
            let times = std::mem::take(&mut habit.pending);
            if times > 0 && !add(habit, times, habit.last_ns) {
                lost.insert(*key);
            }
        }
        // What was over by the last time has sent all that it had counted.
        self.over.retain(|_, habit| habit.ends_ns != 0);
        self.over.values_mut().for_each(|habit| habit.ends_ns = 0);
        let mut ended = Vec::new();
        while let Some((ends_ns, key)) = self.order.pop_front_if(|(ends_ns, _)| *ends_ns <= elapsed_ns) {
            ended.extend(Some(key).filter(|key| self.by_key.get(key).is_some_and(|habit| habit.ends_ns == ends_ns)));
        }
        self.end(ended);
        if !lost.is_empty() {
            self.end_if(|key, _| lost.contains(&key));
        }
    }

    /// What the kernel side has to do since the last call, in this order.
    pub(super) fn take_changes(&mut self) -> Vec<HabitChange> {
        std::mem::take(&mut self.changes)
    }
}

/// The most that each may have of so many places. Who needs less than an even part leaves the rest to the others.
fn even_share(mut needs: Vec<usize>, mut places: usize) -> usize {
    needs.sort_unstable();
    for (n, need) in needs.iter().enumerate() {
        let even = places / (needs.len() - n);
        if *need > even {
            return even;
        }
        places -= need;
    }
    needs.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_needs_little_has_it_and_the_rest_is_shared_evenly() {
        assert_eq!(even_share(vec![1000], 80), 80);
        assert_eq!(even_share(vec![1000, 10, 5], 80), 65);
        assert_eq!(even_share(vec![1000, 10, 1000], 80), 35);
        assert_eq!(even_share(vec![30, 20], 61), 30, "there is room for all");
        assert_eq!((even_share(vec![3; 100], 80), even_share(Vec::new(), 80)), (0, 0));
    }
}
