//! What is learnt of one workload: how far that is, and what it does.

pub mod diff;
pub mod file;
pub mod view;

use serde::{Deserialize, Serialize};

use crate::{
    Settings,
    channels::Channels,
    learning::{LearningState, Lifecycle},
    subject::workload::Workload,
};

/// What is learnt of one workload. It is stored as one table: what its parts hold stands side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// [`Profile::VERSION`] of the program that wrote it.
    pub version: u32,
    /// Whose it is.
    pub workload: Workload,
    /// How long it was learnt, and how it judges.
    #[serde(flatten)]
    pub lifecycle: Lifecycle,
    /// What the workload does.
    #[serde(flatten)]
    pub channels: Channels,
}

impl Profile {
    /// Raised when the stored form changes.
    pub const VERSION: u32 = 5;
    /// The oldest form that is understood: what it does not say has its default.
    pub const OLDEST_VERSION: u32 = 1;

    /// An empty one.
    pub fn new(workload: Workload, now_ns: u64) -> Self {
        let (lifecycle, channels) = (Lifecycle::new(now_ns), Channels::default());
        Self { version: Self::VERSION, workload, lifecycle, channels }
    }

    /// One that begins with what other versions of its image do, the latest first.
    /// It takes the place of the one that judges, if there is one.
    pub(crate) fn inherit_from(
        workload: Workload,
        now_ns: u64,
        judging: Option<&Self>,
        versions: &[&Self],
        settings: &Settings,
    ) -> Self {
        let mut heir = Self::new(workload, now_ns);
        if let Some(latest) = judging {
            heir.lifecycle = Lifecycle::inherit_from(&latest.lifecycle, &latest.workload.name, now_ns);
            heir.channels = latest.channels.inherited();
        }
        versions.iter().for_each(|version| heir.channels.merge(&version.channels, settings));
        heir
    }

    /// Brings one of an older version up to this one, which may have to learn something for so long.
    pub(crate) fn migrate(&mut self, learning_period_ns: u64) {
        if self.version < 2 {
            self.lifecycle.watched_ns = self.lifecycle.learnt_ns;
        }
        if self.version < 5 {
            self.lifecycle.begin_learning_code(learning_period_ns);
        }
        self.channels.migrate(self.version);
        // What a person wrote not to be judged is not.
        if !self.lifecycle.is_approved() {
            self.channels.behaviour.judge_all();
        }
        self.version = Self::VERSION;
    }

    /// Takes the place of another profile of the same workload: what that had seen, and raised of what this one does not hold.
    pub(crate) fn replace(&mut self, before: &Self) {
        let still_approved_ns = before.lifecycle.approved_ns.filter(|_| self.to_file() == before.to_file());
        self.channels.remember(&before.channels);
        self.version = before.version;
        let approved_ns = still_approved_ns.or(self.lifecycle.approved_ns);
        self.lifecycle = before.lifecycle.replaced(self.lifecycle.is_judged, approved_ns);
    }

    /// How far it is.
    pub fn state(&self) -> LearningState {
        self.lifecycle.state()
    }

    /// Whether it says nothing of what the workload does.
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.all().iter().all(|channel| channel.is_empty())
    }

    /// Patterns it holds.
    pub fn entries(&self) -> usize {
        self.channels.all().iter().map(|channel| channel.entries()).sum()
    }

    /// Bytes it takes, roughly.
    pub fn bytes(&self) -> usize {
        self.channels.all().iter().map(|channel| channel.bytes()).sum()
    }

    /// What was raised.
    pub fn alerts(&self) -> usize {
        self.channels.all().iter().map(|channel| channel.alerts()).sum()
    }

    /// Counts what was noted since the last time, in that window.
    pub(crate) fn flush_counts(&mut self, window: u64) {
        let times: u64 = self.channels.all_mut().into_iter().map(|channel| channel.flush_counts(window)).sum();
        self.lifecycle.count_seen(times);
    }

    /// Forgets what was not seen since a time. How many patterns that were.
    pub(crate) fn forget(&mut self, before_ns: u64) -> usize {
        self.channels.all_mut().into_iter().map(|channel| channel.forget(before_ns)).sum()
    }

    /// Takes what was raised as usual.
    pub(crate) fn learn_alerted(&mut self, settings: &Settings) {
        let window = self.lifecycle.window();
        self.channels.all_mut().into_iter().for_each(|channel| channel.learn_alerted(window, settings));
    }

    /// In how many containers it was seen.
    fn containers(&self) -> u32 {
        let mut all = crate::Seen::default();
        self.channels.all().iter().for_each(|channel| all.add(channel.seen_at_all()));
        all.containers()
    }
}
