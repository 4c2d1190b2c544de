//! A profile in memory, with what is known of it besides.

use crate::{
    Profile,
    channels::behaviour::bulk::Bulks,
    learning::{Bits, clock::Clock},
};

/// A profile in memory.
#[derive(Debug)]
pub(super) struct ProfileEntry {
    pub(super) profile: Profile,
    /// Up to when, on the model's clock, the profile's watched time is counted.
    pub(super) counted_ns: u64,
    /// When, on the model's clock, it was last taken to be stored.
    pub(super) taken_ns: u64,
    /// The window in which it was last looked through for what was not seen for long.
    pub(super) forgot_in: u64,
    /// What was known of it when counts were flushed last. What depends on several profiles goes by this: it makes no difference then when
    /// there was a request, or when the kernel has counted.
    pub(super) flushed: Flushed,
    /// From which score on what is new to it raises an alert, as of the last flush.
    pub(super) threshold: Bits,
    /// From which score on an incident of it is of medium severity, where that is more than usual.
    pub(super) incident_threshold: Bits,
    /// What the workload did of late that counts only where there is much of it.
    pub(super) bulks: Bulks,
    /// Something was learnt or raised since it was taken.
    pub(super) is_dirty: bool,
    /// Something was counted since it was taken.
    pub(super) is_touched: bool,
    /// Something was noted that is not counted yet.
    pub(super) is_pending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flushed {
    pub(super) last_seen_ns: u64,
    pub(super) is_judged: bool,
    /// What is noted until the next one belongs to this window.
    pub(super) window: u64,
}

impl Flushed {
    pub(super) fn of(profile: &Profile) -> Self {
        Self {
            last_seen_ns: profile.lifecycle.last_seen_ns,
            is_judged: profile.lifecycle.is_judged,
            window: profile.lifecycle.window(),
        }
    }
}

impl ProfileEntry {
    pub(super) fn new(profile: Profile, clock: &Clock) -> Self {
        let now = clock.elapsed_ns;
        let (forgot_in, flushed) = (profile.lifecycle.window(), Flushed::of(&profile));
        Self {
            profile,
            counted_ns: now,
            taken_ns: now,
            forgot_in,
            flushed,
            threshold: Bits::default(),
            incident_threshold: Bits::default(),
            bulks: Bulks::default(),
            is_dirty: true,
            is_touched: false,
            is_pending: false,
        }
    }

    /// Brings the time that the agent has watched up to date. It does not matter how often this is done.
    pub(super) fn advance(&mut self, clock: &Clock, learning_period_ns: u64) {
        let passed = clock.elapsed_ns - self.counted_ns;
        self.counted_ns = clock.elapsed_ns;
        self.is_dirty |= self.profile.lifecycle.watch(passed, learning_period_ns);
    }
}
