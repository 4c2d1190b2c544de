//! Habits: what a workload does all the time, counted where it comes from and judged no more.
//!
//! The kernel gives events a key for who did what to what (`_habit`; 0 where there is none). Once all that an event with a key
//! shows is usual and no rule can match another with the same key, the key is a habit: the kernel only counts it from then on.
//! Here is what each habit stands for, so that the counts find their way back into profiles.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use ethogram_model::ObjectKind;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::channels::behaviour::Behaviour;

/// Habits at one time; beyond, the quarter that was idle for longest ends.
pub const MAX_HABITS: usize = 32_768;
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
    /// It is over, and only what the kernel has counted until then is still to come.
    is_over: bool,
}

/// All habits.
#[derive(Debug, Default)]
pub(super) struct Habits {
    by_key: FxHashMap<u64, Habit>,
    /// By when they end.
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
        self.by_key.values().filter(|habit| !habit.is_over).count()
    }

    /// Counts an event with that key, if it is a habit.
    pub(super) fn count(&mut self, key: u64, time_ns: u64) -> bool {
        let Some(habit) = self.by_key.get_mut(&key).filter(|habit| !habit.is_over) else { return false };
        habit.pending += 1;
        habit.last_ns = habit.last_ns.max(time_ns);
        true
    }

    /// Takes in what the kernel has counted.
    pub(super) fn add(&mut self, counted: &HabitCount) {
        if let Some(habit) = self.by_key.get_mut(&counted.habit) {
            habit.pending = habit.pending.saturating_add(counted.count);
            habit.last_ns = habit.last_ns.max(counted.last_ns);
        }
    }

    /// Whether it is worth while to find out if the key can be a habit: it has come a second time, and was not refused.
    pub(super) fn is_candidate(&mut self, key: u64) -> bool {
        if self.refused.contains(&key) || self.by_key.contains_key(&key) {
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
            self.end_idle();
        }
        let usual = usual.into_iter().map(Usual::of).collect();
        let ends_ns = elapsed_ns.saturating_add(LASTS_NS);
        self.met.remove(&key);
        self.order.push_back((ends_ns, key));
        self.by_key.insert(key, Habit { workload, usual, pending: 0, last_ns: now_ns, ends_ns, is_over: false });
        self.changes.push(HabitChange::Begin(key));
    }

    fn end_idle(&mut self) {
        let mut last: Vec<u64> = self.by_key.values().map(|habit| habit.last_ns).collect();
        let (_, middle, _) = last.select_nth_unstable(MAX_HABITS / 4);
        let idle_since = *middle;
        self.end_if(|_, habit| habit.last_ns <= idle_since);
    }

    /// Ends those for which `is_over` says so.
    pub(super) fn end_if(&mut self, is_over: impl Fn(u64, &Habit) -> bool) {
        let mut ended: Vec<u64> = Vec::new();
        for (key, habit) in self.by_key.iter_mut().filter(|(_, habit)| !habit.is_over) {
            if is_over(*key, habit) {
                habit.is_over = true;
                ended.push(*key);
            }
        }
        ended.sort_unstable();
        self.changes.extend(ended.into_iter().map(HabitChange::End));
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
        if self.len() > 0 {
            self.by_key.values_mut().for_each(|habit| habit.is_over = true);
            self.changes.push(HabitChange::EndAll);
        }
    }

    /// Ends those whose time is over, and hands out what was counted: to which, how often, and when last. `add` says whether
    /// the profile still holds it.
    pub(super) fn flush_counts(&mut self, elapsed_ns: u64, mut add: impl FnMut(&Habit, u64, u64) -> bool) {
        let mut lost = FxHashSet::default();
        for (key, habit) in &mut self.by_key {
            let times = std::mem::take(&mut habit.pending);
            if times > 0 && !add(habit, times, habit.last_ns) {
                lost.insert(*key);
            }
        }
        // What was over by the last time has sent all that it had counted.
        self.by_key.retain(|_, habit| !(habit.is_over && habit.ends_ns == 0));
        self.by_key.values_mut().filter(|habit| habit.is_over).for_each(|habit| habit.ends_ns = 0);
        while let Some((ends_ns, key)) = self.order.front().copied().filter(|(ends_ns, _)| *ends_ns <= elapsed_ns) {
            self.order.pop_front();
            if let Some(habit) = self.by_key.get_mut(&key).filter(|h| !h.is_over && h.ends_ns == ends_ns) {
                habit.is_over = true;
                self.changes.push(HabitChange::End(key));
            }
        }
        if !lost.is_empty() {
            self.end_if(|key, _| lost.contains(&key));
        }
    }

    /// What the kernel side has to do since the last call, in this order.
    pub(super) fn take_changes(&mut self) -> Vec<HabitChange> {
        std::mem::take(&mut self.changes)
    }
}
