//! What people decide of profiles and alerts, and what becomes a habit.

use std::sync::Arc;

use ethogram_model::{Event, Finding};

use super::{HabitChange, HabitCount, Model, ProfileEntry};
use crate::{Acceptance, Profile, channels::behaviour::Behaviour};

impl Model {
    /// A workload's profile is right as it is, with what was raised: it judges by it from now on, and learns nothing more.
    /// False where there is none.
    pub fn approve(&mut self, uid: &str) -> bool {
        let now_ns = self.clock.now_ns();
        let Some(held) = self.profiles.get_mut(uid) else { return false };
        held.profile.learn_alerted(&self.settings);
        held.profile.lifecycle.approve(now_ns);
        held.is_dirty = true;
        let workload = held.profile.workload.name.clone();
        self.quarantine.release_workload(&workload);
        self.habits.end_of(uid);
        true
    }

    /// A workload is learnt anew, from nothing. False where there is no profile of it.
    pub fn reset(&mut self, uid: &str) -> bool {
        let Some(profile) = self.remove(uid) else { return false };
        self.quarantine.release_workload(&profile.workload.name);
        true
    }

    /// Judges by a profile that a person wrote or reviewed, in the place of the one that there is. What that had seen and raised is
    /// kept, so that importing the same again changes nothing.
    pub fn import(&mut self, mut profile: Profile) {
        profile.version = Profile::VERSION;
        let uid: Arc<str> = profile.workload.uid.as_str().into();
        if let Some(held) = self.profiles.get_mut(&uid) {
            held.advance(&self.clock, self.settings.learning_period_ns);
            profile.replace(&held.profile);
        }
        self.quarantine.release_workload(&profile.workload.name);
        self.habits.end_of(&uid);
        self.insert(uid, ProfileEntry::new(profile, &self.clock));
    }

    /// A person said that something is normal: its process is learnt from again.
    pub(crate) fn release(&mut self, accepted: &Acceptance) {
        self.quarantine.release(accepted);
        self.habits.end_all();
    }

    /// A finding, of a rule or of a profile, is open: nothing is learnt from who led to it, and the habits of its workload end, so
    /// that all that goes on there is seen.
    pub(crate) fn suspect(&mut self, finding: &Finding) {
        self.quarantine.suspect(finding);
        if let Some(uid) = finding.container.as_deref().and_then(|container| self.profile_of(container)) {
            self.habits.end_of(&uid);
        }
    }

    /// Whether an event is a habit, which is counted then.
    pub(crate) fn is_habit(&mut self, event: &Event) -> bool {
        self.settings.habituation && event.habit().is_some_and(|key| self.habits.count(key, event.time_ns))
    }

    /// Makes an event's key a habit if all that it shows is usual. `may_match` says whether a rule may match another event
    /// with that key.
    pub(crate) fn habituate(&mut self, event: &Event, may_match: impl FnOnce() -> bool) {
        let Some(key) = event.habit().filter(|_| self.settings.habituation) else { return };
        if !self.habits.is_candidate(key) {
            return;
        }
        let Some(uid) = self.workload_of(event) else { return };
        let Some(held) = self.profiles.get_mut(&uid).filter(|held| held.profile.lifecycle.is_judged) else { return };
        let shown: Vec<_> = Behaviour::of(event).map(|shown| shown.named(event, &self.names)).collect();
        let is_usual =
            !shown.is_empty() && shown.iter().all(|behaviour| held.profile.channels.behaviour.knows(behaviour, |_| ()));
        if !is_usual || self.quarantine.holds(event) {
            return;
        }
        if may_match() {
            self.habits.refuse(key);
            return;
        }
        self.habits.begin(key, uid, shown, event.time_ns, self.clock.elapsed_ns);
    }

    /// Events are judged differently from now on: nothing is a habit.
    pub(crate) fn end_habits(&mut self) {
        self.habits.end_all();
    }

    /// Takes in what was counted of habits.
    pub(crate) fn count_habits(&mut self, counted: &[HabitCount]) {
        counted.iter().for_each(|count| self.habits.add(count));
    }

    /// What the kernel side has to do since the last call, in this order.
    pub(crate) fn take_habit_changes(&mut self) -> Vec<HabitChange> {
        self.habits.take_changes()
    }
}
