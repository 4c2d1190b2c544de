//! What a profile holds: a channel for each kind of thing that is learnt of a workload. Behaviour is the first.
//!
//! A channel is a struct of its own folder that is a `Channel`, and a field of [`Channels`] with a line in three of its
//! functions. The profile, its stages of learning, and the forms in which it is kept do not name it.

pub mod behaviour;

use serde::{Deserialize, Serialize};

use crate::{Settings, learning::Seen};
use behaviour::BehaviourChannel;

/// What is learnt of one kind.
pub(crate) trait Channel {
    /// Whether it says nothing of what the workload does.
    fn is_empty(&self) -> bool;

    /// Patterns it holds.
    fn entries(&self) -> usize;

    /// Bytes it takes, roughly.
    fn bytes(&self) -> usize;

    /// What was raised of it.
    fn alerts(&self) -> usize;

    /// All that it was seen of, as one.
    fn seen_at_all(&self) -> Seen;

    /// Counts what was noted since the last time, in that window. How much that was.
    fn flush_counts(&mut self, window: u64) -> u64;

    /// Forgets what was not seen since a time. How many patterns that were.
    fn forget(&mut self, before_ns: u64) -> usize;

    /// Takes what was raised as usual.
    fn learn_alerted(&mut self, window: u64, settings: &Settings);
}

/// What a workload does, by channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Channels {
    /// Who does what to what.
    #[serde(flatten)]
    pub behaviour: BehaviourChannel,
}

impl Channels {
    pub(crate) fn all(&self) -> [&dyn Channel; 1] {
        let Self { behaviour } = self;
        [behaviour]
    }

    pub(crate) fn all_mut(&mut self) -> [&mut dyn Channel; 1] {
        let Self { behaviour } = self;
        [behaviour]
    }

    /// What another profile of the same workload's next version begins with: windows begin anew.
    pub(crate) fn inherited(&self) -> Self {
        Self { behaviour: self.behaviour.inherited() }
    }

    /// Adds what another profile holds besides, as far as there is room.
    pub(crate) fn merge(&mut self, other: &Self, settings: &Settings) {
        self.behaviour.merge(&other.behaviour, settings);
    }

    /// Takes over what was seen and raised by what it takes the place of, of what it holds itself.
    pub(crate) fn remember(&mut self, before: &Self) {
        self.behaviour.remember(&before.behaviour);
    }

    /// Brings what an older version has stored up to this one.
    pub(crate) fn migrate(&mut self, version: u32) {
        self.behaviour.migrate(version);
    }
}
