//! Whether a profile knows its workload: from the first event of a workload to the end of learning, and what comes after.

use ethogram_model::render::duration;
use serde::{Deserialize, Serialize};

use super::{
    calibration::Calibration,
    state::LearningState,
    window::{Window, window_ns},
};

/// Learning periods after which a workload is judged even if it never was quiet: what is always new is no surprise.
const MOST_PERIODS: u64 = 4;

/// How long a workload was watched and learnt, and by what it is judged since.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// When the workload was first seen, nanoseconds since the Unix epoch.
    pub since_ns: u64,
    /// When it was last seen, nanoseconds since the Unix epoch.
    pub last_seen_ns: u64,
    /// How long it was learnt, nanoseconds: time in which the agent did not watch does not count.
    pub learnt_ns: u64,
    /// How long the agent has watched at all, nanoseconds.
    #[serde(default)]
    pub watched_ns: u64,
    /// Whether learning is over. It does not begin again by itself.
    #[serde(alias = "is_stable")]
    pub is_judged: bool,
    /// Whether much that is new has come of late.
    #[serde(default)]
    pub is_drifted: bool,
    /// Whether events were lost up to the end of learning.
    #[serde(default)]
    pub is_lossy: bool,
    /// Since when it is approved, nanoseconds since the Unix epoch. It learns nothing from then on.
    #[serde(default)]
    pub approved_ns: Option<u64>,
    /// The workload whose profile it began with, and what is left of that: as long as it is learnt.
    #[serde(default)]
    pub predecessor: Option<String>,
    /// How long its predecessors were learnt, nanoseconds.
    #[serde(default)]
    pub inherited_ns: u64,
    /// Starts of its containers that were seen.
    #[serde(default)]
    pub starts: u64,
    /// Until when what is new and of less than high severity is learnt after the first such start, on the clock of `watched_ns`.
    #[serde(default)]
    lenient_until_ns: u64,
    /// Until when code is learnt that an earlier version of the agent did not look at, on the same clock.
    #[serde(default, skip_serializing_if = "super::seen::is_zero")]
    code_until_ns: u64,
    /// How often something was seen of it.
    pub observations: u64,
    #[serde(default)]
    window: Window,
    #[serde(default)]
    before: Window,
    /// What was new and normal.
    #[serde(flatten)]
    pub(crate) calibration: Calibration,
}

impl Lifecycle {
    /// One that begins now.
    pub(crate) fn new(now_ns: u64) -> Self {
        Self { since_ns: now_ns, last_seen_ns: now_ns, ..Self::default() }
    }

    /// One that begins now with what another workload's has learnt, by that workload's name.
    pub(crate) fn inherit_from(predecessor: &Self, name: &str, now_ns: u64) -> Self {
        Self {
            predecessor: Some(name.to_owned()),
            inherited_ns: predecessor.all_learnt_ns(),
            starts: predecessor.starts,
            calibration: predecessor.calibration.clone(),
            ..Self::new(now_ns)
        }
    }

    /// The same for a profile that replaces this one, as a person wrote it.
    pub(crate) fn replaced(&self, is_judged: bool, approved_ns: Option<u64>) -> Self {
        Self { is_judged, approved_ns, is_drifted: false, predecessor: None, ..self.clone() }
    }

    /// How long it was learnt, with its predecessors.
    pub(crate) fn all_learnt_ns(&self) -> u64 {
        self.inherited_ns.saturating_add(self.learnt_ns)
    }

    /// Whether all that is new is judged, however little it surprises: the profile is approved.
    pub(crate) fn is_approved(&self) -> bool {
        self.approved_ns.is_some()
    }

    /// How far it is.
    pub fn state(&self) -> LearningState {
        match () {
            () if !self.is_judged => LearningState::Learning,
            () if self.is_drifted => LearningState::Drifted,
            () if (self.starts == 0 || self.is_lossy) && self.approved_ns.is_none() => LearningState::Partial,
            () => LearningState::Stable,
        }
    }

    /// What it lacks to be stable, in words.
    pub(crate) fn missing(&self, learning_period_ns: u64) -> Vec<String> {
        let mut out = Vec::new();
        let quiet = [self.window, self.before].iter().rev().take_while(|w| w.is_quiet()).count();
        let windows =
            || format!("two windows of {} in a row with next to nothing new", duration(window_ns(learning_period_ns)));
        match self.state() {
            LearningState::Learning => {
                let left_ns = learning_period_ns.saturating_sub(self.watched_ns);
                if left_ns > 0 {
                    out.push(format!("{} more of looking", duration(left_ns.max(1_000_000_000))));
                } else if quiet < 2 {
                    out.push(windows());
                }
                if self.starts == 0 {
                    out.push("no start of a container seen".to_owned());
                }
            }
            LearningState::Partial => {
                if self.starts == 0 {
                    out.push("no start of a container seen".to_owned());
                }
                if self.is_lossy {
                    out.push("events were lost while it was learnt: reset it, or approve it as it is".to_owned());
                }
            }
            LearningState::Drifted => {
                out.push(format!("drift, much new behaviour lately: {}, or an approval", windows()))
            }
            LearningState::Stable => {}
        }
        out
    }

    /// The number of the window that it is in.
    pub(crate) fn window(&self) -> u64 {
        self.window.number
    }

    /// The agent has watched for so much longer. Goes through the windows that are over by now.
    pub(crate) fn watch(&mut self, ns: u64, learning_period_ns: u64) -> bool {
        let length = window_ns(learning_period_ns);
        let untested_until_ns = self.watched_ns.max(learning_period_ns / 2);
        self.watched_ns = self.watched_ns.saturating_add(ns);
        let tested_ns = self.watched_ns.saturating_sub(untested_until_ns);
        self.calibration.watch(tested_ns);
        let mut changed = false;
        if learning_period_ns == 0 && !self.is_judged {
            self.end_learning(self.watched_ns);
            changed = true;
        }
        let now = self.watched_ns / length;
        while self.window.number < now {
            changed |= self.end_window(length, learning_period_ns);
            if self.is_idle() {
                // Nothing happens from here on.
                let next = self.window.number + 1;
                let halves = if self.predecessor.is_some() { 2 } else { 1 };
                let enough = learning_period_ns.div_ceil(length * halves).max(next);
                if !self.is_judged && enough <= now {
                    self.end_learning(enough.saturating_mul(length));
                    changed = true;
                }
                if next <= now {
                    changed |= std::mem::take(&mut self.is_drifted);
                }
                self.window.number = now;
            }
        }
        if !self.is_judged {
            self.learnt_ns = self.watched_ns;
        }
        changed
    }

    /// Whether nothing has happened in this window and the one before.
    fn is_idle(&self) -> bool {
        [self.window, self.before].iter().all(|window| Window { number: 0, ..*window } == Window::default())
    }

    /// Whether what is new to it says how much is new of normal behaviour: it has been learnt for half of the period.
    pub(crate) fn is_tested(&self, learning_period_ns: u64) -> bool {
        self.watched_ns >= learning_period_ns / 2
    }

    /// Whether what it holds or how it judges changed.
    fn end_window(&mut self, length: u64, learning_period_ns: u64) -> bool {
        let over = self.window;
        // Two windows in a row have to be quiet.
        let is_quiet = over.is_quiet() && self.before.is_quiet();
        self.before = over;
        self.window = Window { number: over.number + 1, ..Window::default() };
        let end_ns = self.window.number.saturating_mul(length);
        if !self.is_judged {
            // What another version has learnt counts for half.
            let (least, most) = match self.predecessor {
                Some(_) => (learning_period_ns / 2, learning_period_ns),
                None => (learning_period_ns, learning_period_ns.saturating_mul(MOST_PERIODS)),
            };
            let (is_long, is_overdue) = (end_ns >= least, end_ns >= most);
            if is_long && is_quiet || is_overdue {
                self.is_lossy = over.lossy || self.before.lossy;
                self.end_learning(end_ns);
                return true;
            }
            return false;
        }
        let was = self.is_drifted;
        self.is_drifted = over.is_drift() || was && !is_quiet;
        was != self.is_drifted
    }

    fn end_learning(&mut self, at_ns: u64) {
        self.is_judged = true;
        self.learnt_ns = at_ns;
        self.predecessor = None;
    }

    /// A start of one of its containers was seen. With the first, what comes with it is new to a profile that was learnt from
    /// containers that ran already, be they of the version before.
    pub(crate) fn note_start(&mut self, lenient_ns: u64) {
        if self.starts == 0 && (self.is_judged || self.predecessor.is_some()) {
            self.lenient_until_ns = self.watched_ns.saturating_add(lenient_ns);
        }
        self.starts = self.starts.saturating_add(1);
    }

    /// Whether the first start that was seen is under way.
    pub(crate) fn is_starting(&self) -> bool {
        self.watched_ns < self.lenient_until_ns
    }

    /// Whether something new is learnt, and not judged. What is odd (of high severity, or the first of its kind) is not, where it
    /// comes with a start or another version; and with a start, only what `may_come_with_start` is.
    pub(crate) fn learns(&self, is_start: bool, is_odd: bool, may_come_with_start: bool, is_locked: bool) -> bool {
        if is_locked || self.is_approved() {
            return false;
        }
        if is_start || !self.is_judged && self.predecessor.is_none() {
            return true;
        }
        let is_of_start = self.is_starting() && may_come_with_start;
        !is_odd && (is_of_start || self.predecessor.is_some())
    }

    /// It comes from an agent that did not look at some of the code that the workload writes.
    pub(crate) fn begin_learning_code(&mut self, learning_period_ns: u64) {
        self.code_until_ns = self.watched_ns.saturating_add(learning_period_ns);
    }

    /// Whether such code is learnt, and not judged.
    pub(crate) fn learns_code(&self, is_locked: bool) -> bool {
        !is_locked && !self.is_approved() && self.watched_ns < self.code_until_ns
    }

    /// A person has said that it is right.
    pub(crate) fn approve(&mut self, now_ns: u64) {
        if !self.is_judged {
            self.end_learning(self.watched_ns);
        }
        self.approved_ns = Some(now_ns);
        self.is_drifted = false;
    }

    /// So many behaviours were seen in this window.
    pub(crate) fn count_seen(&mut self, times: u64) {
        self.observations = self.observations.saturating_add(times);
        self.window.seen = self.window.seen.saturating_add(times);
    }

    /// One was new.
    pub(crate) fn count_new(&mut self) {
        self.window.new = self.window.new.saturating_add(1);
    }

    /// Events were lost in this window.
    pub(crate) fn count_loss(&mut self) {
        self.window.lossy = true;
    }
}
